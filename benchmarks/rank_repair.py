"""The published single-latent recursion beside exact latents: the constraint's violation at every stage.

The recursion (latent 48 and a column of ones, ranks 20, 30, 40, ...): multiply the drawn latents by the earlier
weights, upsample, append ones; W_i = q_k D_k^{-1} (s_k^2 - s_{k+1}^2)^{1/2} v_k' from the singular value
decompositions of that input and of the centred pictures. At the second stage its input has rank at most 21, so that
the last D_k are rounding noise.

Predicted: violations of a few times beta from stage two on for the recursion, on the drawn latents and more on new
ones, differently in float32 and float64; at most rounding for ours, whose latent moments are exact. A draw from ours
deviates by the sampling error of its own rows only.

Example: python -m benchmarks.rank_repair --quick
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import convexgan as cg
from benchmarks._pictures import power_law
from benchmarks._report import parse, write
from convexgan.progressive.pyramid import box_pyramid, upsample

RANKS = (20, 30, 40, 100)
LATENT = 48


def with_ones(rows: np.ndarray) -> np.ndarray:
    """The rows with a column of ones."""
    return np.hstack([rows, np.ones((len(rows), 1), rows.dtype)])


def recursion(
    pyramid: dict[int, np.ndarray], ranks: tuple[int, ...], dtype: Any
) -> Callable[[int, int], list[np.ndarray]]:
    """A sampler of every stage's rows from the published weights, fitted on one draw of latents."""
    n = len(next(iter(pyramid.values())))
    h = with_ones(np.random.default_rng(0).standard_normal((n, LATENT)).astype(dtype))
    weights: list[np.ndarray] = []
    sizes = list(pyramid)
    for i, (size, k) in enumerate(zip(sizes, ranks, strict=False)):
        rows = pyramid[size].reshape(n, -1).astype(dtype)
        rows = rows - rows.mean(axis=0)
        _, s, v = np.linalg.svd(rows, full_matrices=False)
        _, d, q = np.linalg.svd(h, full_matrices=False)
        gain = np.sqrt(np.maximum(s[:k] ** 2 - s[k] ** 2, 0))
        weights.append((q[:k].T / d[:k]) @ (gain[:, None] * v[:k]))
        if i + 1 < len(sizes):
            h = with_ones(upsample(h @ weights[-1], size, 3))

    def sample(count: int, seed: int) -> list[np.ndarray]:
        z = with_ones(np.random.default_rng(seed).standard_normal((count, LATENT)).astype(dtype))
        drawn = []
        for size, w in zip(sizes, weights, strict=True):
            drawn.append((z @ w).astype(np.float64))
            z = with_ones(upsample(z @ w, size, 3)) if size != sizes[-1] else z
        return drawn

    return sample


def main() -> None:
    """Fit all three on the same pictures and print ipm / beta."""
    options = parse(__doc__)
    n, size, ranks = (600, 16, RANKS[:3]) if options.quick else (4000, 32, RANKS)
    images = power_law(n, size)
    pyramid = {key: level.astype(np.float64) for key, level in box_pyramid(images).items()}
    model = cg.ProgressiveConvexGAN(ranks=ranks).fit(images)
    betas = [stage.beta for stage in model.stages_]
    centred = [level.reshape(n, -1) - level.reshape(n, -1).mean(axis=0) for level in pyramid.values()]
    data = [cg.Moments.from_array(rows) for rows in centred]
    rows: list[list[Any]] = []
    for name, dtype in (("recursion, float32", np.float32), ("recursion, float64", np.float64)):
        sample = recursion(pyramid, ranks, dtype)
        for split, seed in (("train", 0), ("held-out latents", 1)):
            found = [cg.ipm(x, y, "quadratic").value / b for x, y, b in zip(data, sample(n, seed), betas, strict=True)]
            rows.append([name, split, *found])
    found = [cg.ipm(x, stage.law, "quadratic").value / stage.beta for x, stage in zip(data, model.stages_, strict=True)]
    rows.append(["ours, exact law", "train", *found])
    drawn = model._draw(n, np.random.default_rng(1))
    fresh = [y.reshape(n, -1) - s.mean for y, s in zip(drawn, model.stages_, strict=True)]
    found = [cg.ipm(x, y, "quadratic").value / b for x, y, b in zip(data, fresh, betas, strict=True)]
    rows.append([f"ours, {n} drawn rows", "held-out latents", *found])
    columns = ["method", "latents", *(f"ipm/beta at {key} px" for key in pyramid)]
    write("rank_repair", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
