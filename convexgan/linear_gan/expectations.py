"""What pseudo-supervised least squares does on average over the latents: formulas, no simulation.

For fixed X (n, d) and Gaussian Z (n, k), W = Z^+ X has W'W = F'MF with Sh = F'F and M = n (Z Z')^+, whose law is
invariant under rotation. So E M = c I, and the entries of M have the variances of an inverse Wishart matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from convexgan._tools.arrays import as_floats
from convexgan._tools.checks import check_count
from convexgan.gaussian import covariance_factor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedError:
    """E W2^2(N(0, S), N(0, W'W)) over the latents: bounds that are proved, and an estimate between them.

    Attributes
    ----------
    lower : float
        The error at E W'W = c Sh: W2^2 is convex in W'W (Jensen).
    estimate : float
        lower plus the second-order effect of the fluctuation of W'W; infinite for |k - n| <= 3.
    upper : float
        From E M^{1/2} >= min(n, k) / sqrt(n max(n, k)) I, as the nuclear norm is convex. Crude near k = n.
    """

    lower: float
    estimate: float
    upper: float


@dataclass(frozen=True)
class Overlap:
    """What the formulas need of S and Sh: the traces, and the roots of the eigenvalues of F S F'."""

    trace: float
    sample_trace: float
    roots: Array

    @property
    def fidelity(self) -> float:
        """tr (S^{1/2} Sh S^{1/2})^{1/2}."""
        return float(self.roots.sum())

    @property
    def ideal(self) -> float:
        """c* = (fidelity / tr Sh)^2, the multiple of Sh that is nearest to S."""
        return (self.fidelity / self.sample_trace) ** 2


def shrinkage(n: int, k: int) -> float:
    """c of E W'W = c Sh: k/(n-k-1) for k < n - 1, n/(k-n-1) for k > n + 1, and infinite between.

    Parameters
    ----------
    n : int
        Pairs.
    k : int
        Latent dimension.

    References
    ----------
    The mean of an inverse Wishart matrix; Luzi, Dar and Baraniuk, arXiv 2106.04003.
    """
    check_count(n, "n")
    check_count(k, "k")
    return min(n, k) / (abs(k - n) - 1) if abs(k - n) > 1 else float("inf")


def fluctuation(n: int, k: int) -> tuple[float, float]:
    """Variances of a diagonal and of an off-diagonal entry of M / c; infinite for |k - n| <= 3.

    M is rotation invariant with the eigenvalues of an inverse Wishart matrix of dimension min(n, k), so E tr M^2 and
    E (tr M)^2 determine both.

    References
    ----------
    Von Rosen, Moments for the inverted Wishart distribution, 1988.
    """
    p, a = min(check_count(n, "n"), check_count(k, "k")), abs(k - n)
    if a <= 3:
        return float("inf"), float("inf")
    scale = n * n / shrinkage(n, k) ** 2
    diagonal, off, cross = 2 / ((a - 1) ** 2 * (a - 3)), 1 / (a * (a - 1) * (a - 3)), 2 / (a * (a - 1) ** 2 * (a - 3))
    squares = scale * p * (diagonal + 1 / (a - 1) ** 2 + (p - 1) * off)  # E tr M^2 / c^2
    square = scale * (p * diagonal + p * (p - 1) * cross + p * p / (a - 1) ** 2)  # E (tr M)^2 / c^2
    on = (square + 2 * squares) / (n * (n + 2)) - 1
    return on, (n * squares - square) / (n * (n - 1) * (n + 2)) if n > 1 else 0.0


def expected_error(S: ArrayLike, Sh: ArrayLike, n: int, k: int) -> ExpectedError:
    """The expected test error of `pseudo_supervised` at latent dimension k.

    Parameters
    ----------
    S : (d, d) array
        Second moment of the law, or of held-out samples.
    Sh : (d, d) array
        Second moment of the n paired samples.
    n, k : int
        Pairs, at least the rank of Sh, and latent dimension.

    References
    ----------
    The formula for c is that of Luzi, Dar and Baraniuk, arXiv 2106.04003; bounds and second order are ours.
    """
    return error_of(overlap(S, Sh, n), n, k)


def amplification(weights: ArrayLike, spectrum: ArrayLike) -> Array:
    """a (m,) of E W'CW = sum a_i x_i x_i' for least squares on weighted pairs, in the limit of many pairs and features.

    W (q, d) minimises sum_i w_i |x_i - W'f_i|^2, the smallest one if many do, over independent Gaussian features f_i of
    second moment C, so the generated law has second moment W'CW. With s = min(m, q), the share of pair i that is met
    and of feature j that is used are

        e_i = w_i / (w_i + t),    g_j = c_j / (c_j + u),    sum e = sum g = s,
        a_i = e_i^2 sum g^2 / (s^2 - sum e^2 sum g^2).

    All shares of the fewer are 1. A peak is where all other shares are nearly 0 or 1: where as many strong pairs as
    strong features meet. Features of another law of the same second moment behave alike if no few of them dominate.

    Parameters
    ----------
    weights : (m,) array
        w > 0 of the pairs.
    spectrum : (q,) array
        Eigenvalues c > 0 of C.

    Returns
    -------
    a : (m,) array
        Infinite for q = m. For equal weights and C = I, min(m, q) / (m |q - m|); `shrinkage` is exact there, with
        |q - m| - 1.

    Raises
    ------
    ValueError
        An argument is no list of positive numbers.

    References
    ----------
    Deterministic equivalents of resolvents: Hachem, Loubaton and Najim, Deterministic equivalents for certain
    functionals of large random matrices, 2007; for features Hu and Lu, arXiv 2009.07669. The application is ours.
    """
    w, c = (as_floats(each, name) for each, name in ((weights, "weights"), (spectrum, "spectrum")))
    for name, each in (("weights", w), ("spectrum", c)):
        if each.ndim != 1 or not len(each) or not np.isfinite(each).all() or not (each > 0).all():
            raise ValueError(f"{name} must be a list of positive numbers.")
    if len(w) == len(c):
        return np.full(len(w), np.inf)
    s = min(len(w), len(c))
    e, g = _shares(w, s), float(np.sum(_shares(c, s) ** 2))
    return e**2 * g / (s * s - np.sum(e**2) * g)


def _shares(sizes: Array, total: int) -> Array:
    """sizes / (sizes + t) with the t >= 0 at which they sum to the total."""
    if total == len(sizes):
        return np.ones(len(sizes))
    low, high = np.log(sizes.min()) - 40, np.log(sizes.max() * len(sizes))
    level = brentq(lambda log: float(np.sum(sizes / (sizes + np.exp(log)))) - total, low, high, xtol=1e-14)
    return np.asarray(sizes / (sizes + np.exp(level)))


def best_dimension(S: ArrayLike, Sh: ArrayLike, n: int) -> int:
    """The latent dimension k > n + 3 with the smallest estimate of the expected test error.

    Ignoring fluctuations it would be n + 1 + n/c*, c* = (tr (S^{1/2} Sh S^{1/2})^{1/2} / tr Sh)^2; they push it up.
    Derived from the expectation of `expected_error`.

    Parameters
    ----------
    S, Sh : (d, d) array
        As for `expected_error`. Sh alone cannot tell: with S = Sh the advice is for the training error.
    n : int
        Pairs.
    """
    known = overlap(S, Sh, n)
    least, most = n + 4, n + 8 + int(np.ceil(4 * n / min(known.ideal, 1.0)))
    grid = np.unique(np.geomspace(1, most - least + 1, 200).astype(int)) + least - 1
    coarse = int(np.argmin([error_of(known, n, int(k)).estimate for k in grid]))
    fine = range(int(grid[max(coarse - 1, 0)]), int(grid[min(coarse + 1, len(grid) - 1)]) + 1)
    return min(fine, key=lambda k: error_of(known, n, k).estimate)


def overlap(S: ArrayLike, Sh: ArrayLike, n: int) -> Overlap:
    """What the formulas need of S and Sh, the second moment of n samples, once for all k."""
    root, F = covariance_factor(S, "S"), covariance_factor(Sh, "Sh")
    if root.shape[1] != F.shape[1]:
        raise ValueError(f"S has dimension {root.shape[1]} and Sh {F.shape[1]}: they must agree.")
    if len(F) > check_count(n, "n"):
        raise ValueError(
            f"Sh has rank {len(F)}, more than n = {n} samples can have: pass the Sh of the paired samples."
        )
    if not len(F) or not len(root):
        raise ValueError("S and Sh must not be 0: there is nothing to generate.")
    roots: Array = np.linalg.svd(F @ root.T, compute_uv=False).astype(np.float64)
    return Overlap(float(np.sum(root**2)), float(np.sum(F**2)), roots)


def error_of(known: Overlap, n: int, k: int) -> ExpectedError:
    """`expected_error` from what is known of S and Sh."""
    c = shrinkage(n, k)
    if not np.isfinite(c):
        return ExpectedError(c, c, c)
    energy = known.trace + c * known.sample_trace
    lower = energy - 2 * np.sqrt(c) * known.fidelity
    upper = energy - 2 * min(n, k) / np.sqrt(n * max(n, k)) * known.fidelity
    on, off = fluctuation(n, k)
    roots = known.roots[known.roots > 0]
    curvature = roots[:, None] * roots / (roots[:, None] + roots)  # of tr A^{1/2}, times 4
    pairs = on * curvature.trace() + off * (curvature.sum() - curvature.trace()) if np.isfinite(on) else np.inf
    return ExpectedError(float(lower), float(min(lower + np.sqrt(c) * pairs / 2, upper)), float(upper))
