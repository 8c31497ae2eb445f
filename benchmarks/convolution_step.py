"""A step of training from the closed form on pictures: threads, layouts and precisions, each beside the defaults.

The generator and discriminator of `grow` at their default widths, batches of 16, penalties in every fourth step, on
synthetic colour faces; medians of the clock over steps, all ways in turn, of which the best round counts. Of a compiled
discriminator penalties, which are differentiated twice, go through the module as it was.

Predicted: two threads .6 of the seconds at 64 pixels and .8 at 32; layouts within 5 %; compiled .9.

Example: python -m benchmarks.convolution_step --quick
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._faces import faces
from benchmarks._report import parse, write
from benchmarks.progressive_step import stamped
from convexgan import ProgressiveConvexGAN
from convexgan.datasets import digits
from convexgan.torch import ConvolutionalDiscriminator, ProgressiveGenerator, grow


class Way(NamedTuple):
    """How the products are made."""

    threads: int = 1
    layout: torch.memory_format = torch.contiguous_format
    half: bool = False
    compiled: bool = False


WAYS: dict[str, Way] = {
    "one thread": Way(),
    "two threads": Way(threads=2),
    "one thread, channels last": Way(layout=torch.channels_last),
    "two threads, channels last": Way(threads=2, layout=torch.channels_last),
    "one thread, bfloat16": Way(half=True),
    "two threads, bfloat16, channels last": Way(2, torch.channels_last, half=True),
    "one thread, compiled discriminator": Way(compiled=True),
}


def seconds(model: ProgressiveConvexGAN, images: NDArray[np.uint8], way: str, steps: int) -> float:
    """The median of a step's seconds."""
    threads, layout, half, compiled = WAYS[way]
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    size, channels = images.shape[1], images.shape[3]
    generator: Any = ProgressiveGenerator.from_model(model)
    generator.to(memory_format=layout)
    stamps: list[float] = []

    def against(size: int) -> Any:
        made: Any = ConvolutionalDiscriminator(size, channels)
        made = made.to(memory_format=layout)
        return torch.compile(made) if compiled else made

    how: dict[str, Any] = {"method": stamped(stamps, time.perf_counter), "optimizer": "sgd", "every": steps}
    how |= {"head_start": 0, "sizes": [size]}
    grow(generator, images, warm=True, steps=steps, discriminator=against, mixed_precision=half, **how)
    return float(np.median([b - a for a, b in pairwise(stamps)]))


def main() -> None:
    """Every way, in turn."""
    options = parse(__doc__)
    rows: list[list[Any]] = []
    for size in (8,) if options.quick else (32, 64):
        if options.quick:
            images = np.repeat(digits().images[:300, ..., None], 3, axis=3)
        else:
            images = np.asarray(faces(size)[:1000])
        model = ProgressiveConvexGAN(ranks="published").fit(images)
        rounds, steps = (1, 5) if options.quick else (3, 40)
        ways = [way for way in WAYS if not (options.quick and WAYS[way].compiled)]  # which takes a C++ compiler
        found: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                found[way].append(seconds(model, images, way, steps))
        usual = min(found["one thread"])
        rows += [[size, way, min(took), min(took) / usual] for way, took in found.items()]
        print(*rows[-len(ways) :], sep="\n", flush=True)
    write("convolution_step", ["pixels", "way", "seconds a step", "ratio"], rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
