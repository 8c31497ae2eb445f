"""Latent dimensions below and above the number of fixed pairs, on the digits: a small GAN, and the linear one.

Luzi, Dar and Baraniuk (arXiv 2106.04003) combine pairs with overly large latent spaces to train faster at equal or
better quality. `pseudo_supervised_gans` has at most 64 latents for 90 pairs or more; here the same perceptrons, critic,
data and measure have up to 384 latents for 90 pairs (10 % of the pictures to train on), three seeds; columns as there.

latents_beyond_pairs_linear: the linear GAN on the same 90 pairs and all 898 pictures, centred; W2^2 between the
Gaussians of generated and held-out second moments, mean of 20 draws of the latents and its standard error. Predicted:
with pairs alone a peak at k = 90 and less error beyond; with both criteria a lower one, and for large k the error of
the law without pairs.

Finished runs are kept in build/latents_beyond_pairs.csv: remove that file to start afresh.

Example: python -m benchmarks.latents_beyond_pairs --quick
"""

from __future__ import annotations

import numpy as np

from benchmarks._report import parse, write
from benchmarks.pseudo_supervised_gans import BUILD, SEEDS, WEIGHT, Run, Task, curves, digits_task, table
from convexgan.gaussian import factor_distance
from convexgan.linear_gan import mixed, pseudo_supervised, unsupervised

PAIRED, PAIRS = 0.1, 90
DIMENSIONS = (16, 64, 96, 192, 384)
LINEAR = (4, 16, 45, 80, 90, 100, 128, 192, 384, 1000)


def linear(task: Task, quick: bool) -> list[list[object]]:
    """Test errors of the linear GAN."""
    X, held = (
        rows.reshape(len(rows), -1) - task.train.reshape(len(task.train), -1).mean(0)
        for rows in (task.train, task.held)
    )
    root = held / np.sqrt(len(held))
    rows: list[list[object]] = []
    for k in LINEAR[:: 3 if quick else 1]:
        draws = [np.random.default_rng(seed).standard_normal((PAIRS, k)) for seed in range(2 if quick else 20)]
        pairs = [float(factor_distance(root, pseudo_supervised(X[:PAIRS], Z))) for Z in draws]
        both = [float(factor_distance(root, mixed(X, Z, WEIGHT, tol=1e-4).W)) for Z in draws[: 2 if quick else 5]]
        rows.append([k, float(factor_distance(root, unsupervised(X, k)))])
        for errors in (pairs, both):
            rows[-1] += [float(np.mean(errors)), float(np.std(errors) / np.sqrt(len(errors)))]
    return rows


def main() -> None:
    """The linear GAN, then what is missing of the training."""
    options = parse(__doc__)
    task = digits_task()
    columns = ["k", "no pairs", "pairs", "s.e.", f"both, weight {WEIGHT:g}", "s.e."]
    write("latents_beyond_pairs_linear", columns, linear(task, options.quick), __doc__ or "", options.quick)
    ks, seeds, steps = ((64, 128), (0,), 50) if options.quick else (DIMENSIONS, SEEDS, 800)
    runs = [Run("digits", "perceptron", k, p, WEIGHT, s, steps) for k in ks for p in (0.0, PAIRED) for s in seeds]
    path = BUILD / f"latents_beyond_pairs{'_quick' if options.quick else ''}.csv"
    if options.quick:
        path.unlink(missing_ok=True)
    columns = ["data", "network", "k", "pairs", "weight", "final distance", "iterations to target", "speed-up"]
    columns += ["distance on the way, ratio", "final distance, ratio", "misfit"]
    rows = table(curves(runs, {"digits": task}, path))
    middle, low, high = task.floor()
    about = f"{__doc__}\nReal against real: {middle:.3g} ({low:.3g} to {high:.3g})."
    write("latents_beyond_pairs", columns, rows, about, options.quick)


if __name__ == "__main__":
    main()
