"""The published recursion in torch beside the certified stages, on the same decoded pictures; decoding is not counted.

The recursion, as published: 48 standard Gaussian latents drawn for each picture, with a column of ones; at every stage
they are multiplied by the stages before, upsampled and given ones again; singular values and vectors of that input (D,
q) and of the centred pictures (s, v) give W = q D^-1 (s^2 - s_{k+1}^2)^{1/2} v'. Decompositions are complete below 64
pixels; there they are `torch.svd_lowrank` with k vectors and two iterations, the last of which stands for s_{k+1}. All
in float32, with pictures and latents in memory. Ranks are the published ones on both sides.

Claims: stages up to 32 pixels at least 10 times faster, all five at least 3 times; a fifth of the memory; beta exact to
the certificate's 1e-7 of the largest eigenvalue where the randomised one is some 10 % off. Each side runs in a process
of its own. Predicted from 5,000 pictures for 50,000: 13 and 6 times, as the recursion's time grows with their number
and ours hardly before 64 pixels. Seen: 18 and 6.4 times on the clock, 10 and 3.9 in processor time. The number of
pictures is the variable PICTURES (50000 by default).

Example: PICTURES=10000 python -m benchmarks.celeba_recursion
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._celeba import write_celeba
from benchmarks._report import parse, write
from convexgan.datasets import Cache, build_cache, find
from convexgan.progressive import ProgressiveConvexGAN
from convexgan.progressive.pyramid import box_pyramid
from convexgan.progressive.ranks import PUBLISHED

LATENTS, RANDOMISED = 48, 64


class Stage(NamedTuple):
    """Where a side was when it had finished a stage."""

    size: int
    beta: float
    wall: float
    cpu: float


def recursion(cache: Cache) -> list[Stage]:
    """The published stages; beta is the square of the singular value they subtract, over the number of pictures."""
    import torch

    from convexgan.torch.progressive import twice

    torch.manual_seed(0)
    wall, cpu, found = time.perf_counter(), time.process_time(), []
    latent = torch.randn(len(cache), LATENTS)
    for size in (size for size in PUBLISHED if size <= cache.shape[0]):
        rank = PUBLISHED[size]
        blocks = [box_pyramid(block, [size])[size].reshape(len(block), -1) for block in cache.blocks()]
        pictures = torch.from_numpy(np.concatenate(blocks))
        del blocks
        pictures -= pictures.mean(0)
        latent = torch.cat([latent, torch.ones(len(latent), 1)], 1)
        if size < RANDOMISED:
            q, scale = torch.linalg.svd(latent, full_matrices=False)[:2]
            _, s, v = torch.linalg.svd(pictures, full_matrices=False)
            last = s[rank]
        else:
            q, scale, _ = torch.svd_lowrank(latent, q=rank, niter=2)
            _, s, v = torch.svd_lowrank(pictures, q=rank, niter=2)
            v, last = v.T, s[-1]
        k = min(rank, len(scale))
        del pictures
        # latent @ W with W = r' D^-1 (s^2 - last^2)^(1/2) v', where latent = q D r'
        latent = q[:, :k] @ ((s[:k] ** 2 - last**2).clamp(min=0).sqrt()[:, None] * v[:k])
        found.append(Stage(size, float(last) ** 2 / len(cache), time.perf_counter() - wall, time.process_time() - cpu))
        if size < cache.shape[0]:
            latent = twice(latent.reshape(-1, size, size, 3).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).flatten(1)
    return found


def certified(cache: Cache) -> list[Stage]:
    """The stages of `ProgressiveConvexGAN`."""
    wall, cpu, found = time.perf_counter(), time.process_time(), []

    def record(stage: Any, data: Any) -> None:
        found.append(Stage(stage.size, stage.beta, time.perf_counter() - wall, time.process_time() - cpu))

    ProgressiveConvexGAN(ranks="published").fit(cache, memory="2GB", progress=record)
    return found


def alone(side: Callable[[Cache], list[Stage]], cache: Cache) -> tuple[list[Stage], float]:
    """The stages of a side in a process of its own, and the most memory that it used, in MB."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, side, cache).result()


def _measured(side: Callable[[Cache], list[Stage]], cache: Cache) -> tuple[list[Stage], float]:
    return side(cache), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Generate and decode the pictures, run both sides, and write the table."""
    options = parse(__doc__)
    total, size = (400, 16) if options.quick else (int(os.environ.get("PICTURES", 50_000)), 64)
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        celeba = write_celeba(folder / "celeba", total, workers=workers)
        cache = build_cache(find(celeba), folder / "cache", size, workers=workers)
        (published, much), (ours, little) = alone(recursion, cache), alone(certified, cache)
    rows = [
        [total, a.size, a.wall, b.wall, a.wall / b.wall, a.cpu, b.cpu, a.cpu / b.cpu, abs(a.beta / b.beta - 1)]
        for a, b in zip(published, ours, strict=True)
    ]
    rows = [[*row, much, little] for row in rows]
    columns = ["pictures", "pixels up to", "published s", "certified s", "times faster"]
    columns += ["published processor s", "certified processor s", "times less", "beta is off by"]
    columns += ["published peak MB", "certified peak MB"]
    write("celeba_recursion", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
