"""A step of `train` on pictures beside the same step in a plain PyTorch loop of the same nets.

Both draw a batch of bytes and latents, take an Adam step of the discriminator (relativistic pairing loss, penalties on
slopes at both samples in every step), one of the generator, and average its weights; `ProgressiveGenerator` and
`ConvolutionalDiscriminator` at their default width of 16, float32, one thread, processor time, both sides in turn.
Claim: within 5 %. Predicted: within 2 % where convolutions do the work (16 pixels and more), and more at 4 pixels,
where arithmetic on small tensors counts.

Example: python -m benchmarks.progressive_step --quick
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from benchmarks._report import parse, write
from convexgan.torch import ConvolutionalDiscriminator, PictureSource, ProgressiveGenerator, train
from convexgan.torch.growing import ADAM, R3GAN
from convexgan.updates import alternating

RANKS = {4: 20, 8: 30, 16: 40, 32: 100, 64: 175}
RATE, DECAY = 1e-3, 0.999


def players(size: int, channels: int) -> tuple[ProgressiveGenerator, ConvolutionalDiscriminator]:
    """Nets with the same random weights at every call."""
    torch.manual_seed(0)
    sizes = [s for s in RANKS if s <= size]
    ranks = [RANKS[s] for s in sizes]
    return ProgressiveGenerator(sizes, channels, ranks, ranks), ConvolutionalDiscriminator(size, channels)


def stamped(stamps: list[float], clock: Callable[[], float]) -> Callable[..., Any]:
    """Alternating steps of Adam, as a method of `train`, that write down when each begins."""

    def step(game: Any, state: Any, rates: Any) -> Any:
        stamps.append(clock())
        return alternating(game, state, rates, ADAM)

    return step


def ours(images: Any, size: int, batch: int, steps: int) -> list[float]:
    """Seconds of each step of `train`."""
    stamps: list[float] = []
    source = PictureSource(images)
    options: dict[str, Any] = {
        "method": stamped(stamps, time.process_time),
        "rates": RATE,
        "batch": batch,
        "averaged": DECAY,
        "every": steps,
    }
    train(*players(size, source.channels), source, None, replace(R3GAN, lazy=1), steps=steps, **options)
    return list(np.diff(stamps))


def plain(images: Any, size: int, batch: int, steps: int) -> list[float]:
    """Seconds of each step of a loop without us."""
    pixels = torch.from_numpy(images).reshape(len(images), size, size, -1)
    G, D = players(size, pixels.shape[3])
    mean = [p.detach().clone() for p in G.parameters()]
    down, up = (torch.optim.Adam(net.parameters(), lr=RATE, betas=(0.0, 0.99)) for net in (G, D))

    def slope(points: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(scores.sum(), points, create_graph=True)[0].flatten(1).square().sum(1).mean()

    def draws() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            rows = pixels[torch.randint(len(pixels), (batch,))].permute(0, 3, 1, 2) / 127.5 - 1
            yield rows.contiguous(), torch.randn(batch, G.latent_dim)

    stamps = []
    for _, (real, Z) in zip(range(steps), draws(), strict=False):
        stamps.append(time.process_time())
        D.requires_grad_(True)
        with torch.no_grad():
            fake = G(Z)
        points = real.detach().requires_grad_(), fake.requires_grad_()
        on_real, on_fake = D(points[0]), D(points[1])
        slopes = slope(points[0], on_real) + slope(points[1], on_fake)
        loss = softplus(on_fake - on_real).mean() + R3GAN.r1 / 2 * slopes
        up.zero_grad()
        loss.backward()
        up.step()
        D.requires_grad_(False)
        down.zero_grad()
        softplus(D(real) - D(G(Z))).mean().backward()
        down.step()
        with torch.no_grad():
            for average, p in zip(mean, G.parameters(), strict=True):
                average.lerp_(p, 1 - DECAY)
    return list(np.diff(stamps))


def main() -> None:
    """Measure every size."""
    options = parse(__doc__)
    torch.set_num_threads(1)
    rows = []
    for size, channels in ((4, 1), (16, 1), (32, 1), (32, 3)) if not options.quick else ((4, 1), (8, 3)):
        shape = (500, size, size, 3) if channels == 3 else (500, size, size)
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        batch, times = 32, ([], [])  # type: tuple[int, tuple[list[float], list[float]]]
        for _ in range(2 if options.quick else 4):
            for side, seconds in zip((ours, plain), times, strict=True):
                seconds += side(images, size, batch, 6 if size > 8 else 25)[1:]  # the first one warms up
        mine, theirs = (float(np.median(seconds)) for seconds in times)
        least = float(min(times[0]) / min(times[1]))
        rows.append([size, channels, batch, theirs, mine, mine / theirs, least])
        print(rows[-1], flush=True)
    columns = ["pixels", "channels", "batch", "plain s", "train s", "ratio of medians", "ratio of minima"]
    write("progressive_step", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
