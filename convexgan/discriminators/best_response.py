"""The best response to a pair of second moments and means: max over unit u of |a u'Mu + b m'u|, both signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan.moments import Moments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BestResponse:
    """The neuron that separates the samples best.

    Attributes
    ----------
    value : float
        |mean s(Xu) - mean s(Yu)| at the direction.
    upper_bound : float
        A proved upper bound on the maximum over all directions (equal to the value up to rounding).
    direction : (d,) array
        The unit vector u.
    sign : float
        +1 if real samples score higher, else -1.
    """

    value: float
    upper_bound: float
    direction: Array
    sign: float


def separate(X: Moments, Y: Moments, a: float, b: float) -> BestResponse:
    """The best response of neurons a t^2 + b t + c (constants cancel) with unit weights.

    Linear neurons (a = 0) point along the difference of means; quadratic ones (b = 0) along the eigenvector of
    the largest absolute eigenvalue of the difference of second moments; with both, each sign is a trust-region
    problem on the sphere. Source: Sahiner et al., arXiv 2107.05680, sections 2 and 3.
    """
    shift = b * (X.mean - Y.mean)
    length = float(np.linalg.norm(shift))
    if a == 0:
        direction = shift / length if length > 0 else np.eye(1, X.dim)[0]
        return BestResponse(length, length, direction, 1.0)
    values, vectors = difference_eigh(X, Y)
    values = a * values
    best = BestResponse(-1.0, 0.0, np.zeros(X.dim), 1.0)
    for sign in (1.0, -1.0):
        value, bound, direction = maximize_on_sphere(sign * values, vectors, sign * shift)
        if value > best.value:
            best = BestResponse(value, max(bound, best.upper_bound), direction, sign)
        else:
            best = BestResponse(best.value, max(bound, best.upper_bound), best.direction, best.sign)
    return best


def separation(X: Moments, Y: Moments, a: float, b: float) -> float:
    """The value of `separate` alone: for quadratic neurons eigenvalues without eigenvectors.

    Where X is known on a subspace, and Y has mean zero like it, an upper bound.
    """
    if a == 0 or b != 0:
        return separate(X, Y, a, b).value
    if X.subspace is not None and Y.factor is not None:
        return abs(a) * X.subspace.distance(Y.factor)
    reduced = _reduced_difference(X, Y)
    values = np.linalg.eigvalsh(reduced[0] if reduced is not None else X.second - Y.second)
    return float(abs(a) * np.abs(values).max())


def difference_eigh(X: Moments, Y: Moments) -> tuple[Array, Array]:
    """Eigenvalues (ascending) and eigenvectors of X.second - Y.second.

    Where both moments come from few rows the (d, d) matrix is not formed: eigenvectors are then (d, r + 1) with
    one eigenvalue 0 standing for the null space.
    """
    reduced = _reduced_difference(X, Y)
    if reduced is None:
        values, vectors = np.linalg.eigh(X.second - Y.second)
        return values, vectors
    small, basis = reduced
    values, inner = np.linalg.eigh(small)
    return values, basis @ inner


def _reduced_difference(X: Moments, Y: Moments) -> tuple[Array, Array] | None:
    """X.second - Y.second restricted to the span of the rows (plus means and one null vector), and its basis."""
    X.check_whole()
    if X.factor is None or Y.factor is None or len(X.factor) + len(Y.factor) + 4 > X.dim:
        return None
    # one more direction represents the null space: an eigenvalue 0 the maximum may need
    extra = np.random.default_rng(0).standard_normal(X.dim)
    scale = np.sqrt(max(np.sum(X.factor**2), np.sum(Y.factor**2))) or 1.0
    stack = np.vstack([X.factor, Y.factor, X.mean, Y.mean, extra * (scale / np.linalg.norm(extra))])
    basis, _ = np.linalg.qr(stack.T)
    left, right = X.factor @ basis, Y.factor @ basis
    return left.T @ left - right.T @ right, basis


def maximize_on_sphere(values: Array, vectors: Array, linear: Array) -> tuple[float, float, Array]:
    """The maximum of u'Qu + linear'u over |u| = 1, with Q = vectors diag(values) vectors'.

    Solves the secular equation |(mu - Q)^{-1} linear / 2| = 1 for mu >= the largest eigenvalue; in the hard case
    (no solution above it) an eigenvector is added. Returns the value at u, the dual upper bound
    mu + sum_i q_i^2 / (4 (mu - lambda_i)), and u.

    Parameters
    ----------
    values : (r,) array
    vectors : (d, r) array, orthonormal columns whose span holds ``linear``
    linear : (d,) array

    References
    ----------
    Moré and Sorensen, Computing a trust region step, 1983; Martin, 1994 (the hard case).
    """
    from scipy.optimize import brentq  # here: it takes longer to import than all the rest of the package

    half = vectors.T @ linear / 2
    top = int(np.argmax(values))
    gaps = values[top] - values
    size = float(np.linalg.norm(half))
    if size == 0:
        return float(values[top]), float(values[top]), vectors[:, top]
    span = max(float(gaps.max()), size)
    at_top = gaps <= 1e-15 * span
    floor = float(np.linalg.norm(half[at_top]))

    def excess(s: float) -> float:
        return float(1 / np.linalg.norm(half / (gaps + s)) - 1)

    low = max(floor, 1e-300 + 1e-16 * size)
    if excess(low) > 0 and floor < low:  # hard case: even at the top eigenvalue the step is shorter than 1
        step = np.where(at_top, 0.0, half / np.where(at_top, 1.0, gaps))
        s = low
        step[top] = np.sqrt(max(1 - float(step @ step), 0.0)) * (1.0 if half[top] >= 0 else -1.0)
    else:
        # |step| <= 1 at s = |half|, >= 1 at s = floor; 1/|step| is nearly linear in s
        high = size * (1 + 1e-12)
        inside = excess(low) < 0 < excess(high)
        s = float(brentq(excess, low, high, xtol=1e-300, rtol=4 * np.finfo(float).eps)) if inside else low
        step = half / (gaps + s)
    step /= np.linalg.norm(step)
    value = float(values @ step**2 + 2 * half @ step)
    bound = float(values[top] + s + np.sum(half**2 / (gaps + s)))
    return value, max(bound, value), vectors @ step
