"""Expected test errors of pseudo-supervised linear GANs beside simulation, and the time of a full sweep.

Claims: the proved bounds enclose the simulated mean within 3 standard errors wherever its variance is finite; the
second-order estimate is within 8 % from k = 2n + 5 on and within 4 % from 3n on; a sweep at d = 64 with 40 draws
and 30 latent dimensions takes under 20 s on two cores, the mixed learner included. Its medians
(double_descent_curves.md, double_descent.png): without pairs about 2.53 at every k >= n = 20; with pairs 3.8 at k = 6,
hundreds at k = n, 2.9 and 2.4 after the second descent at k = 41 and 64, and 3.4 at k = 400, where the generator has
shrunk.

Example: python -m benchmarks.double_descent --quick
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks._report import RESULTS, parse, write
from convexgan.cli.studies.double_descent import plot
from convexgan.linear_gan import expected_error, sweep

SPECTRA = {"1/i, d=64": 1 / np.arange(1, 65), "1/i^2, d=30": 1 / np.arange(1, 31) ** 2, "equal, d=20": np.ones(20)}
DIMENSIONS = [2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 30, 35, 41, 48, 56, 64, 80, 120]
DIMENSIONS += [200, 400]
CURVES = "Median test errors of 40 draws: n = 20 samples, d = 64, eigenvalues 1/i."
SHOWN = [6, 20, 41, 64, 400]


def simulated(X: np.ndarray, eigenvalues: np.ndarray, k: int, draws: int) -> tuple[float, float]:
    """Mean test error of least squares on random latents, and its standard error."""
    Z = np.random.default_rng(1).standard_normal((draws, len(X), k))
    L = np.swapaxes(np.linalg.qr(np.swapaxes(Z, 1, 2), mode="r"), 1, 2)  # turning latents changes no error
    W = np.linalg.pinv(L) @ X
    fidelity = np.linalg.svd(W * np.sqrt(eigenvalues), compute_uv=False).sum(-1)
    errors = eigenvalues.sum() + np.sum(W**2, axis=(1, 2)) - 2 * fidelity
    return float(errors.mean()), float(errors.std() / np.sqrt(draws))


def main() -> None:
    """Compare at several latent dimensions, then time the sweep."""
    options = parse(__doc__)
    draws = 50 if options.quick else 300
    rows = []
    for name, eigenvalues in SPECTRA.items():
        for n in (20, 60):
            X = np.random.default_rng(n).standard_normal((n, len(eigenvalues))) * np.sqrt(eigenvalues)
            for k in (n // 4, n // 2, n + 6, 2 * n + 5, 3 * n, 5 * n, 20 * n):
                mean, error = simulated(X, eigenvalues, k, draws)
                found = expected_error(np.diag(eigenvalues), X.T @ X / n, n, k)
                inside = found.lower - 3 * error <= mean <= found.upper + 3 * error
                rows.append([name, n, k, mean, error, found.lower, found.estimate, found.upper])
                rows[-1] += [found.estimate / mean - 1, "yes" if inside else "NO"]
    for weights in ((), (1.0, 10.0)):
        start = time.perf_counter()
        swept = sweep(SPECTRA["1/i, d=64"], 20, SHOWN if options.quick else DIMENSIONS, weights=weights)
        seconds = time.perf_counter() - start
        rows.append([f"sweep, {2 + len(weights)} learners", 20, "all", *[""] * 6, f"{seconds:.1f} s"])
    columns = ["spectrum", "n", "k", "simulated", "s.e.", "lower", "estimate", "upper", "relative error", "inside"]
    at = [swept.setting.dimensions.index(k) for k in SHOWN]
    curves = [[learner, *swept.curve(learner)[at]] for learner in swept.setting.learners]
    write("double_descent_curves", ["learner", *(f"k = {k}" for k in SHOWN)], curves, CURVES, options.quick)
    write("double_descent", columns, rows, __doc__ or "", options.quick)
    if not options.quick:
        plot(swept, RESULTS / "double_descent.png")


if __name__ == "__main__":
    main()
