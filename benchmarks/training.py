"""What helps a generator of faces that starts at the closed form: one change at a time, equal processor seconds.

16,000 synthetic colour faces of 32 pixels, chosen ranks. The judge is FD-age256 of 1,000 generated pictures to 2,000
others, not those by which `faces` judges. "unchanged" are the package's defaults, but for what this table has changed
since: 32 features in both nets and penalties of 1. It takes 828 steps, every change as many as fit into the same
seconds: its steps and those of "unchanged" are timed in turn, a few at a time, so that a machine that is busy slows
both. The seconds in the table are of whole runs, on a machine that was busy at times. "start" is the closed form's own
distance, "floor" that of 1,000 training pictures. A change is better or worse if its interval over three seeds lies
beside that of "unchanged", and otherwise "no difference seen".

Predicted, from trials on one seed: the discriminator decides, then the rate; penalties in every step only cost time.
Statistics of the batch (predicted before their run): nothing, for no run lost its variety. Both nets of half the width
(predicted after a trial at 64 pixels): better, for the steps decide.

Finished runs are kept in build/training.jsonl, and the table is of those.

Example: OMP_NUM_THREADS=1 python -m benchmarks.training --quick
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise, product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks._faces import faces, use_tools
from benchmarks._records import forget, recall
from benchmarks._report import parse, spread, write
from benchmarks.faces import JUDGE, Augmented, Task
from benchmarks.progressive_gda import Clock
from convexgan.datasets import digits
from convexgan.torch import ConvolutionalDiscriminator, Objective, ProgressiveGenerator, grow
from convexgan.torch.growing import HEAD_START, R3GAN

SIZE, STEPS, SEEDS, FAKES = 32, 828, 3, 1000
LOOKS, TIMED, ROUNDS, BATCH, WIDTH = 3, 24, 5, 16, 32


class Blocks(nn.Module):
    """Residual convolutions at every resolution, box averages between them: the discriminator of R3GAN, small."""

    def __init__(self, size: int, channels: int, width: int = 8) -> None:
        super().__init__()
        widths = [width * min(2**i, 8) for i in range((size // 4).bit_length())]
        self.enter = nn.Conv2d(channels, width, 1)
        self.first, self.second = (nn.ModuleList(nn.Conv2d(w, w, 3, padding=1) for w in widths) for _ in range(2))
        self.wider = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
        self.score = nn.Linear(16 * widths[-1], 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """The scores, (n,)."""
        bent, found = nn.functional.leaky_relu, self.enter(pictures)
        for i, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            found = self.wider[i - 1](nn.functional.avg_pool2d(found, 2)) if i else found
            found = found + second(bent(first(bent(found, 0.2)), 0.2))
        scores: Tensor = self.score(found.flatten(1)).flatten()
        return scores


class Batchwise(ConvolutionalDiscriminator):
    """With a further feature, the mean deviation in the batch (Karras et al., 2018, arXiv 1710.10196, section 3)."""

    def __init__(self, size: int, channels: int, width: int) -> None:
        super().__init__(size, channels, width=width)
        self.inner = nn.Conv2d(self.inner.in_channels + 1, self.inner.out_channels, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """The scores, (n,)."""
        found = pictures
        for layer in self.halve:
            found = nn.functional.leaky_relu(layer(found), 0.2)
        deviation = (found.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
        found = torch.cat([found, deviation.expand_as(found[:, :1])], dim=1)
        scores: Tensor = self.score(nn.functional.leaky_relu(self.inner(found), 0.2).flatten(1)).flatten()
        return scores


def convolutions(width: int) -> Callable[[int], nn.Module]:
    """The package's discriminator of colour pictures."""
    return lambda size: ConvolutionalDiscriminator(size, 3, width=width)


HALF: dict[str, Any] = {"width": WIDTH // 2, "discriminator": convolutions(WIDTH // 2)}
BASE = replace(R3GAN, r1=1.0, r2=1.0)
CHANGES: dict[str, dict[str, Any]] = {
    "unchanged": {},
    "discriminator of residual blocks": {"discriminator": lambda size: Blocks(size, 3)},
    "discriminator of twice the width": {"discriminator": convolutions(2 * WIDTH)},
    "discriminator of half the width": {"discriminator": convolutions(WIDTH // 2)},
    "generator of half the width": {"width": WIDTH // 2},
    "both of half the width": HALF,
    "the same, penalties .1: the package's defaults": HALF | {"objective": R3GAN},
    "rate 4e-4, discriminator's 8e-4": {"rates": (4e-4, 8e-4)},
    "rates 3e-3": {"rates": 3e-3},
    "closed form trained too, at .2": {"old_rate": 0.2},
    "no head start": {"head_start": 0},
    "penalties in every step": {"objective": replace(BASE, lazy=1)},
    "penalties .1": {"objective": replace(BASE, r1=0.1, r2=0.1)},
    "penalties 10": {"objective": replace(BASE, r1=10.0, r2=10.0)},
    "WGAN-GP": {"objective": Objective(generator_penalty=0.0, gradient_penalty=10.0, lazy=4)},
    "batches of 64": {"batch": 64},
    "augmented": {"discriminator": lambda size: Augmented(ConvolutionalDiscriminator(size, 3, width=WIDTH))},
    "statistics of the batch": {"discriminator": lambda size: Batchwise(size, 3, WIDTH)},
    "mirrored pictures": {"flip": True},
    "every resolution in turn": {"sizes": None},
    "bfloat16": {"mixed_precision": True},
}


def sets(quick: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures to train on, and to judge by."""
    if quick:
        images = np.repeat(digits().images[..., None], 3, axis=3)
        return images[200:], images[:200]
    images = faces(SIZE)
    return np.asarray(images[4000:]), np.asarray(images[2000:4000])


def run(task: Task, change: dict[str, Any], seed: int, steps: int, head: int | None, see: Any) -> None:
    """So many steps from the closed form, each told to ``see``."""
    given: dict[str, Any] = {"width": WIDTH, "discriminator": convolutions(WIDTH), "batch": BATCH, "objective": BASE}
    given |= change
    width, usual = given.pop("width"), given.pop("head_start", HEAD_START)
    torch.manual_seed(seed)
    G = ProgressiveGenerator.from_model(task.model[0], width=width)
    how: dict[str, Any] = {"sizes": [task.size], "every": max(steps // LOOKS, 1), "callbacks": [see]}
    how |= {"rng": seed, "steps": steps, "head_start": usual if head is None else head}
    grow(G, task.train, warm=True, **how | given)


def relative(task: Task, change: dict[str, Any], rounds: int) -> float:
    """The processor seconds of a step over those of "unchanged", the two timed in turn."""

    def seconds(options: dict[str, Any]) -> float:
        times: dict[int, list[float]] = {}
        run(
            task,
            options,
            0,
            TIMED,
            0,
            lambda _, stage, *__: times.setdefault(stage.size, []).append(time.process_time()),
        )
        return sum(each[-1] - each[0] for each in times.values())  # without what a size takes to begin

    return float(np.median([seconds(change) / seconds({}) for _ in range(rounds)]))


def trained(task: Task, change: dict[str, Any], seed: int, steps: int) -> list[list[float]]:
    """The curve (steps, seconds, distance) of a run."""
    curve: list[list[float]] = []
    clock = Clock()

    def see(step: int, stage: Any, _D: nn.Module) -> None:
        spent = clock.pause()
        if stage.size == task.size:
            curve.append([step, spent, task.distance(stage.generator.sample(FAKES, seed + 1))])
        clock.resume()

    run(task, change, seed, steps, None, see)
    return curve


def verdict(ends: list[float], usual: list[float]) -> str:
    """Whether intervals over seeds lie beside each other."""
    if max(ends) < min(usual):
        return "better"
    return "worse" if min(ends) > max(usual) else "no difference seen"


def main() -> None:
    """Run what is missing, then compare."""
    quick = parse(__doc__).quick
    torch.set_num_threads(1)
    use_tools()
    if quick:
        forget("training_quick")
    name, most, seeds, rounds = ("training_quick", 6, 1, 1) if quick else ("training", STEPS, SEEDS, ROUNDS)
    task = Task(f"synthetic, {SIZE} px", *sets(quick))
    changes = dict(list(CHANGES.items())[:4]) if quick else CHANGES
    found: dict[str, list[list[list[float]]]] = {change: [] for change in changes}
    for seed, (change, options) in product(range(seeds), changes.items()):
        cost = recall(name, {"change": change}, partial(relative, task, options, rounds)) if options else 1.0
        head = options.get("head_start", HEAD_START)
        steps = max(int((most + HEAD_START) / cost - head) // LOOKS, 1) * LOOKS
        key = {"change": change, "seed": seed, "most": most}
        curve = recall(name, key, partial(trained, task, options, seed, steps))
        found[change].append(curve)
        print(change, seed, *(f"{x:.4g}" for x in curve[-1]), flush=True)
    usual = [curve[-1][2] for curve in found["unchanged"]]
    rows: list[list[Any]] = []
    for change, curves in found.items():
        middle = [spread([curve[i][2] for curve in curves]) for i in range(1, LOOKS + 1)]
        ends = [curve[-1][2] for curve in curves]
        steps, spent = (float(np.median([curve[-1][i] for curve in curves])) for i in (0, 1))
        rows.append([change, int(steps), spent, *middle, "" if change == "unchanged" else verdict(ends, usual)])
    start = float(np.median([curve[0][2] for curve in found["unchanged"]]))
    floor = task.distance(task.train[:: len(task.train) // FAKES][:FAKES])
    text = f"{__doc__}\nstart {start:.3g}, floor {floor:.3g}."
    columns = ["change", "steps", "seconds", *(f"{JUDGE} after {i}/{LOOKS}" for i in range(1, LOOKS + 1)), "verdict"]
    write("training", columns, rows, text, quick)


if __name__ == "__main__":
    main()
