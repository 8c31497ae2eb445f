"""The best response to a difference of moments: max over unit u of |a u'Mu + b m'u|, both signs, with its proof."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import TINY, UNIT, entries, gamma, is_positive, length, spectral_norm, up
from convexgan.arrangements.record import EXACT, Maximum
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
NEAR = 1e-9  # relative: what rounding and the eigensolver leave of a value that a game says to be at its level


@dataclass(frozen=True, eq=False)
class Difference:
    """How the moments of two samples differ, in coordinates where that is a small matrix.

    Attributes
    ----------
    second : (p, p) array
        X.second - Y.second on the span of the basis; it is 0 elsewhere.
    mean : (p,) array
        X.mean - Y.mean.
    second_error, mean_error : float
        Bounds on what rounding may have changed of both, in the spectral and the Euclidean norm.
    basis : (d, p) array or None
        Orthonormal columns, None for the identity.
    """

    second: Array
    mean: Array
    second_error: float
    mean_error: float
    basis: Array | None = None

    def with_ones(self) -> Difference:
        """The difference of the rows [x, 1]: nothing is added to the corner, where both samples have 1."""
        p = len(self.mean)
        second = np.zeros((p + 1, p + 1))
        second[:p, :p], second[:p, p], second[p, :p] = self.second, self.mean, self.mean
        basis = self.basis
        if basis is not None:
            basis = np.block([[basis, np.zeros((len(basis), 1))], [np.zeros((1, p)), np.ones((1, 1))]])
        error = self.second_error + self.mean_error
        return Difference(second, np.append(self.mean, 0.0), error, self.mean_error, basis)

    def lifted(self, direction: Array) -> Array:
        """A direction (p,) in the coordinates of the samples."""
        return direction if self.basis is None else self.basis @ direction


def difference(X: Moments, Y: Moments) -> Difference:
    """X's moments less Y's; where both come from few rows the (d, d) matrix is not formed."""
    X.check_whole()
    mean = X.mean - Y.mean
    shifted = X.mean_error + Y.mean_error + UNIT * length(mean)
    if X.factor is None or Y.factor is None or 2 * (len(X.factor) + len(Y.factor) + 4) > X.dim:
        second = X.second - Y.second_once()  # Y is mostly a law that is asked once
        return Difference(second, mean, X.second_error + Y.second_error + UNIT * length(second), shifted)
    # one more direction represents the null space: an eigenvalue 0 the maximum may need
    extra = np.random.default_rng(0).standard_normal(X.dim)
    scale = np.sqrt(max(np.sum(X.factor**2), np.sum(Y.factor**2))) or 1.0
    stack = np.vstack([X.factor, Y.factor, X.mean, Y.mean, extra * (scale / np.linalg.norm(extra))])
    basis, _ = np.linalg.qr(stack.T)
    parts = [_projected(moments.factor, basis) for moments in (X, Y) if moments.factor is not None]
    second = parts[0][0] - parts[1][0]
    skew = entries(basis.T @ basis - np.eye(basis.shape[1])) + gamma(X.dim + 2) * basis.shape[1]
    error = X.factor_error + Y.factor_error + parts[0][1] + parts[1][1] + (UNIT + 2 * skew) * length(second)
    inside = basis.T @ mean
    outside = length(mean - basis @ inside) + gamma(2 * X.dim) * length(mean)
    return Difference(second, inside, error, shifted + outside + 2 * skew * length(inside), basis)


def distance(X: Moments, Y: Moments) -> tuple[float, float]:
    """Bounds on how far the means lie apart, and on the spectral norm of the difference of second moments."""
    gap = difference(X, Y)
    return up(length(gap.mean) + gap.mean_error), up(entries(gap.second) + gap.second_error)


def _projected(factor: Array, basis: Array) -> tuple[Array, float]:
    """L'L (p, p) with L = factor basis, and a bound on the norm of factor'factor - basis L'L basis'."""
    inside = factor @ basis
    d, p = basis.shape
    size = length(factor)
    outside = length(factor - inside @ basis.T) + gamma(d + p + 4) * size * length(basis)
    second = inside.T @ inside
    return second, outside * (2.2 * size + outside) + gamma(len(factor) + d + 4) * length(inside) ** 2


def separate(X: Moments, Y: Moments, a: float, b: float, bias: str = "none") -> Maximum:
    """The best response of neurons a t^2 + b t + c (constants cancel) with unit weights.

    Linear neurons (a = 0) point along the difference of means; quadratic ones (b = 0) along the eigenvector of
    the largest absolute eigenvalue of the difference of second moments; with both, each sign is a trust-region
    problem on the sphere. With ``bias="penalized"`` the rows are [x, 1]. Source: Sahiner et al., arXiv 2107.05680,
    sections 2 and 3.
    """
    if a == 0:
        return _along_means(X, Y, b)
    gap = difference(X, Y)
    gap = gap.with_ones() if bias == "penalized" else gap
    values, vectors = np.linalg.eigh(gap.second)
    values, shift = a * values, b * gap.mean
    sides = {sign: maximize_on_sphere(sign * values, vectors, sign * shift) for sign in (1.0, -1.0)}
    sign, (value, _, u) = max(sides.items(), key=lambda side: -math.inf if math.isnan(side[1][0]) else side[1][0])
    if b == 0:
        bound = up(abs(a) * spectral_norm(gap.second))
    else:
        bound = max(_proved(s * a * gap.second, s * shift, size, at) for s, (size, _, at) in sides.items())
    bound = up(bound + abs(a) * gap.second_error + abs(b) * gap.mean_error + 2 * UNIT * abs(b) * length(gap.mean))
    return _maximum(value, bound, gap.lifted(u), sign)


def _maximum(value: float, bound: float, direction: Array, sign: float) -> Maximum:
    if math.isnan(value) or math.isnan(bound):  # numbers that overflowed prove nothing
        return Maximum(0.0, math.inf, False, np.eye(1, len(direction))[0], 1.0, "optimal", "moments", {})
    bound = max(bound, value)
    return Maximum(value, bound, bool(bound - value <= EXACT * value), direction, sign, "optimal", "moments", {})


def _along_means(X: Moments, Y: Moments, b: float) -> Maximum:
    shift = b * (X.mean - Y.mean)
    size = float(np.linalg.norm(shift))
    direction = shift / size if size > 0 else np.eye(1, X.dim)[0]
    bound = up(length(shift) + abs(b) * (X.mean_error + Y.mean_error)) + 2 * UNIT * length(shift)
    return _maximum(size, bound, direction, 1.0)


def _proved(matrix: Array, linear: Array, value: float, u: Array) -> float:
    """A bound on u'matrix u + linear'u over the unit sphere, given its maximum as it was computed, and where.

    [[t I - matrix, -linear / 2], [-linear' / 2, level - t]] >= 0 for some t proves the level (S-lemma); the best t is
    value - linear'u / 2.
    """
    d, t = len(linear), value - float(linear @ u) / 2
    size = length(matrix) + length(linear)
    if size == 0:
        return 0.0
    arrow = np.zeros((d + 1, d + 1))
    arrow[d, :d] = arrow[:d, d] = -linear / 2
    trace = max(d * t - float(np.trace(matrix)) + value - t, 0.0)
    margin = 1.1 * gamma(d + 3) * trace + gamma(8 + d**0.5) * size + 4 * d * TINY
    while margin < size:
        arrow[:d, :d] = -matrix
        arrow[np.arange(d), np.arange(d)] += t + margin
        arrow[d, d] = value - t + margin
        if is_positive(arrow):
            return up(value + 2 * margin) + 4 * UNIT * (abs(t) + margin + size)  # of the sums on the diagonal
        margin *= 8
    return up(length(matrix) + length(linear))


def separation(X: Moments, Y: Moments, a: float, b: float) -> float:
    """The value of `separate` alone: for quadratic neurons eigenvalues without eigenvectors."""
    if a == 0 or b != 0:
        return separate(X, Y, a, b).value
    return float(abs(a) * np.abs(np.linalg.eigvalsh(difference(X, Y).second)).max())


def separation_bound(
    X: Moments, Y: Moments, a: float, b: float, bias: str = "none", guess: float | None = None
) -> float:
    """The upper bound of `separate` alone, for quadratic neurons without eigenvectors.

    Where X is known on a subspace, and Y has mean zero like it, the bound takes the rest into account. A guess is
    proved, instead of eigenvalues computed, where the leading direction of X already shows that the value is no less.
    """
    if a == 0 or b != 0:
        return separate(X, Y, a, b, bias).upper_bound
    if X.subspace is not None and Y.factor is not None and bias == "none":
        own = Y.factor_error + (0.0 if X.count is None else X.second_error)
        return up(abs(a) * (X.subspace.distance(Y.factor) + own))
    gap = difference(X, Y)
    gap = gap.with_ones() if bias == "penalized" else gap
    level = guess / abs(a) if guess and gap.basis is None and bias == "none" else None
    if level is not None:
        top = X.spectrum.vectors[:, 0]
        level = level if abs(float(top @ gap.second @ top)) >= level * (1 - NEAR) else None
    return up(abs(a) * (spectral_norm(gap.second, level) + gap.second_error))


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
