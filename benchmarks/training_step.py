"""A step of `train` on multilayer perceptrons beside the same step in a plain PyTorch loop of the same nets.

Both draw a batch and latents, take an ascent step of the discriminator and a descent step of the generator by Adam
(log losses), each differentiating the other's net only where it must; three hidden layers of a width, float32, one
thread, processor time, both sides in turn. Claim: at most 1.05 times the plain loop. Predicted: there for widths from
256 on, where products and Adam's passes over the weights do the work, and 1.2 at 64, where a step is 3 ms of calls.

Example: python -m benchmarks.training_step --quick
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import logsigmoid

from benchmarks._report import parse, write
from convexgan.torch import Objective, train

LATENTS, COLUMNS, RATE = 64, 784, 1e-4


class Stamped(nn.Sequential):
    """A generator that notes when a step of `train` begins."""

    def at_step(self, step: int) -> None:
        """Note the processor's time."""
        self.stamps = [*getattr(self, "stamps", []), time.process_time()]


def players(width: int) -> tuple[Stamped, Stamped]:
    """Nets with the same random weights at every call."""
    torch.manual_seed(0)

    def net(inputs: int, outputs: int) -> Stamped:
        sizes = [inputs, width, width, width]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return Stamped(*layers, nn.Linear(width, outputs))

    return net(LATENTS, COLUMNS), net(COLUMNS, 1)


def ours(X: torch.Tensor, width: int, batch: int, steps: int) -> list[float]:
    """Seconds of each step of `train`."""
    G, D = players(width)
    objective = Objective(generator_penalty=0.0, loss="classic")
    options: dict[str, Any] = {"optimizer": "adam", "rates": RATE, "batch": batch, "every": steps}
    train(G, D, X, LATENTS, objective, steps=steps, **options)
    return list(np.diff(G.stamps))


def plain(X: torch.Tensor, width: int, batch: int, steps: int) -> list[float]:
    """Seconds of each step of a loop without us."""
    G, D = players(width)
    down, up = (torch.optim.Adam(net.parameters(), lr=RATE) for net in (G, D))
    stamps = []
    for _ in range(steps):
        stamps.append(time.process_time())
        real, Z = X[torch.randint(len(X), (batch,))], torch.randn(batch, LATENTS)
        D.requires_grad_(True)
        with torch.no_grad():
            fake = G(Z)
        up.zero_grad()
        (-(logsigmoid(D(real)).mean() + logsigmoid(-D(fake)).mean()) / 2).backward()
        up.step()
        D.requires_grad_(False)
        down.zero_grad()
        (logsigmoid(-D(G(Z))).mean() / 2).backward()
        down.step()
    return list(np.diff(stamps))


def main() -> None:
    """Measure every width."""
    options = parse(__doc__)
    torch.set_num_threads(1)
    X = torch.from_numpy(np.random.default_rng(0).standard_normal((5000, COLUMNS), dtype=np.float32))
    rows = []
    for width, batch in ((64, 64), (256, 64), (512, 128), (1024, 128)) if not options.quick else ((64, 64),):
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(2 if options.quick else 8):
            for side, seconds in zip((ours, plain), times, strict=True):
                seconds += side(X, width, batch, 30)[2:]  # the first ones warm up
        mine, theirs = (float(np.median(seconds)) for seconds in times)
        rows.append([width, batch, theirs, mine, mine / theirs, float(min(times[0]) / min(times[1]))])
        print(rows[-1], flush=True)
    columns = ["width", "batch", "plain s", "train s", "ratio of medians", "ratio of minima"]
    write("training_step", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
