"""Arrangements in normal form: no zero rows, no parallel rows, full rank."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import UNIT, gamma

Array = NDArray[np.float64]
DECIMALS = 12  # parallel rows are recognised by their unit vectors, rounded
CANCELLED = 1e-14  # a sum of weights smaller than this share of their sizes is rounding
LOST = 1e-150
CACHE = 32768  # numbers that stay in the processor's second-level cache
WORK = 2**22  # products of rows and directions that are held at a time


@dataclass(frozen=True, eq=False)
class SignedSum(ABC):
    """A function m on R^p: what rows of positive weight see of u, less what rows of negative weight see.

    Attributes
    ----------
    plus, minus : (n_+, p) and (n_-, p) arrays
        Both kinds of rows, the sizes of their weights folded in.
    """

    plus: Array
    minus: Array

    @abstractmethod
    def values(self, U: Array) -> Array:
        """m at each row of U, (k,)."""

    @abstractmethod
    def negated(self) -> Self:
        """The normal form of -m."""

    @abstractmethod
    def bound(self) -> float:
        """An upper bound on m over the unit ball."""

    @property
    def rows(self) -> Array:
        """All rows, those of positive weight first, (N, p)."""
        return np.vstack([self.plus, self.minus])

    @property
    def signs(self) -> Array:
        """+1 and -1 for each of `rows`, (N,)."""
        return np.concatenate([np.ones(len(self.plus)), -np.ones(len(self.minus))])

    def value(self, u: Array) -> float:
        """m(u)."""
        return float(self.values(u[None, :])[0])

    def best_end(self) -> tuple[Array, float]:
        """Of rank 1 the end of the line at which |m| is larger, (1,), and its size there; (0,) and 0 of rank 0."""
        if self.plus.shape[1] == 0:
            return np.zeros(0), 0.0
        ends = np.array([[1.0], [-1.0]])
        sizes = np.abs(self.values(ends))
        return ends[int(np.argmax(sizes))], float(sizes.max())

    def absolute_bound(self) -> float:
        """An upper bound on |m| over the unit ball."""
        return max(self.bound(), self.negated().bound())


@dataclass(frozen=True, eq=False)
class Arrangement(SignedSum):
    """The function m(u) = linear . u + sum_i max(plus_i . u, 0) - sum_j max(minus_j . u, 0) on R^p.

    Weights are folded into the rows, since w max(t, 0) = max(w t, 0) for w > 0.

    Attributes
    ----------
    plus, minus : (n_+, p) and (n_-, p) arrays
        No two of all these rows are parallel, none is zero.
    linear : (p,) array
        Where antiparallel rows were merged: max(-t, 0) = max(t, 0) - t.
    basis : (d, p) array
        Orthonormal columns; u in R^p stands for ``basis @ u`` in R^d.
    slack : float
        How far the sum over the rows as they were given may lie from this one anywhere on the unit ball: rows that
        were taken for parallel, directions that were taken for none, and rounding.
    """

    linear: Array
    basis: Array
    slack: float = 0.0

    @property
    def dim(self) -> int:
        """p, the rank of the rows."""
        return len(self.linear)

    def negated(self) -> Self:
        """The arrangement of -m."""
        return replace(self, plus=self.minus, minus=self.plus, linear=-self.linear)

    def values(self, U: Array) -> Array:
        """m at each row of U, (k,)."""
        return U @ self.linear + positive_sums(U, self.plus) - positive_sums(U, self.minus)

    def bound(self) -> float:
        """An upper bound on m over the unit ball, at the cost of one pass.

        max(t, 0) = (t + |t|) / 2, and by Cauchy and Schwarz (sum |a_i . u|)^2 is at most sum |a_i| times the largest
        eigenvalue of sum a_i a_i' / |a_i|.
        """
        slope = self.linear + (self.plus.sum(axis=0) - self.minus.sum(axis=0)) / 2
        sizes = np.linalg.norm(self.plus, axis=1)
        form = (self.plus / sizes[:, None]).T @ self.plus
        top = max(float(np.linalg.eigvalsh(form)[-1]), 0.0)
        return float(np.linalg.norm(slope) + np.sqrt(sizes.sum() * top) / 2)


def positive_sums(U: Array, rows: Array) -> Array:
    """sum_i max(rows_i . u, 0) for each u along the last axis of U, in blocks."""
    flat = U.reshape(-1, U.shape[-1])
    out, ones, step = np.zeros(len(flat)), np.ones(len(rows)), max(1, CACHE // max(len(rows), 1))
    for i in range(0, len(flat), step):
        products = flat[i : i + step] @ rows.T
        np.maximum(products, 0, out=products)
        out[i : i + step] = products @ ones
    return out.reshape(U.shape[:-1])


def reduce_rows(rows: Array, weights: Array) -> Arrangement:
    """The normal form of m(u) = sum_i weights_i max(rows_i . u, 0).

    Rows of zero weight or zero length go; the rest is expressed in an orthonormal basis of its span (singular
    values below max(N, d) eps of the largest count as zero); parallel rows become one, whose weight may cancel
    (weights that cancel to 1e-14 count as having cancelled: 0.1 + 0.2 - 0.3). ``slack`` says what else was changed.

    Parameters
    ----------
    rows : (N, d) array
    weights : (N,) array
        Of any sign.
    """
    rows, weights, error = merge_equal(rows, weights)
    lengths = np.linalg.norm(rows, axis=1)
    slack, mass = float(error @ lengths), weights * lengths
    kept = mass != 0
    if not kept.all():  # lengths below 1e-150 of the largest are 0
        slack += LOST * float(np.abs(weights[~kept & rows.any(axis=1)]).sum())
        rows, lengths, mass = rows[kept], lengths[kept], mass[kept]
    units = rows / lengths[:, None]
    basis = row_space(units * np.abs(mass)[:, None], rows.shape[1])
    given, units = units, units @ basis
    first, line, turned = lines(units)
    oriented = np.where(turned[first, None], -units[first], units[first])
    others = np.flatnonzero(first[line] != np.arange(len(units)))
    moved = units[others] - np.where(turned[others, None], -1.0, 1.0) * oriented[line[others]]
    slack += float(np.abs(mass[others]) @ np.linalg.norm(moved, axis=1))  # max(t, 0) changes by no more than t
    if basis.shape[1] < len(basis):
        slack += float(np.abs(mass) @ np.linalg.norm(given - units @ basis.T, axis=1))
    total, lost = line_sums(line, mass, len(first))
    slack += lost
    turns, lost = line_sums(line[turned], mass[turned], len(first))
    slope = -turns @ oriented  # max(-t, 0) = max(t, 0) - t
    slack += lost + gamma(len(first)) * float(np.abs(turns).sum())
    left = total != 0
    merged, positive = (oriented * np.abs(total)[:, None])[left], total[left] > 0
    if not left.all():  # what is left may span less
        rest = np.vstack([merged, slope]) if slope.any() else merged
        smaller = row_space(rest, len(slope))
        slack += float(np.linalg.norm(rest - rest @ smaller @ smaller.T, axis=1).sum())
        merged, slope, basis = merged @ smaller, slope @ smaller, basis @ smaller
    # what the sums over all rows may be off by, in any order: every bound of theirs is off by no more
    slack += gamma(len(merged) + merged.shape[1] + 16) * float(np.linalg.norm(merged, axis=1).sum())
    return Arrangement(merged[positive], merged[~positive], slope, basis, slack)


def unreduced(rows: Array, weights: Array) -> Arrangement:
    """The sum that `reduce_rows` takes, with all rows of any weight as they are: for a bound, and a direction."""
    scaled, d = rows * np.abs(weights)[:, None], rows.shape[1]
    seen = scaled.any(axis=1)
    slack = gamma(len(rows) + d + 16) * float(np.linalg.norm(scaled, axis=1).sum()) + len(rows) * LOST
    plus, minus = scaled[seen & (weights > 0)], scaled[seen & (weights < 0)]
    return Arrangement(plus, minus, np.zeros(d), np.eye(d), slack)


def merge_equal(rows: Array, weights: Array) -> tuple[Array, Array, Array]:
    """The different rows, the sums of their weights, and bounds on what rounding may have changed of each sum.

    Each sum is rounded once, so that weights that cancel do so exactly.
    """
    order, fresh = lexical(rows)
    starts = np.flatnonzero(fresh)
    if len(starts) == len(rows):
        return rows, weights, np.zeros(len(rows))
    counts, dealt = np.diff(starts, append=len(rows)), weights[order]
    total = np.add.reduceat(dealt, starts)
    for i in np.flatnonzero(counts > 2):
        total[i] = math.fsum(dealt[starts[i] : starts[i] + counts[i]])
    return rows[order[starts]], total, UNIT * np.abs(total) * (counts > 1)


def lexical(rows: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The stable order (N,) of rows by their first, then their second, ... entries, and which differ from the last."""
    order = np.argsort(rows[:, 0], kind="stable")
    first = rows[order, 0]
    tied = np.concatenate([[False], first[1:] == first[:-1]])
    tied[:-1] |= tied[1:]
    fresh = np.ones(len(rows), dtype=bool)
    some = np.flatnonzero(tied)
    order[some] = order[some][np.lexsort(rows[order[some]].T[::-1])]
    fresh[some[1:]] = (rows[order[some[1:]]] != rows[order[some[:-1]]]).any(axis=1)
    return order, fresh


def unit_vector(u: Array) -> Array:
    """The direction of u (d,) as a unit vector, the first axis if u is 0."""
    length = float(np.linalg.norm(u))
    return u / length if length > 0 else np.eye(1, len(u))[0]


def line_sums(line: NDArray[np.intp], mass: Array, count: int) -> tuple[Array, float]:
    """The sum of the masses on each line, exactly 0 where only rounding remains; and what rounding may have changed."""
    total, size = np.bincount(line, mass, count), np.bincount(line, np.abs(mass), count)
    small = np.abs(total) <= CANCELLED * size
    lost = float(np.abs(total[small]).sum()) + float(gamma(1) * ((np.bincount(line, minlength=count) + 6) @ size))
    return np.where(small, 0.0, total), lost


def row_space(rows: Array, d: int) -> Array:
    """An orthonormal basis of the span of the rows, (d, p); the identity where that is everything."""
    if not len(rows):
        return np.zeros((d, 0))
    triangular = np.linalg.qr(rows, mode="r") if len(rows) > d else rows
    _, values, vectors = np.linalg.svd(triangular, full_matrices=False)
    rank = int(np.count_nonzero(values > values[0] * max(len(rows), d) * np.finfo(float).eps))
    return np.eye(d) if rank == d else vectors[:rank].T


def lines(units: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Which of the unit vectors (N, p) span the same line.

    Returns
    -------
    first : (L,) array
        One vector for each line.
    line : (N,) array
        The line of each vector.
    turned : (N,) array
        Whether its leading coordinate is negative.
    """
    if not len(units):
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0, bool)
    rounded = np.round(units, DECIMALS)
    turned = rounded[np.arange(len(units)), np.argmax(rounded != 0, axis=1)] < 0
    rounded[turned] *= -1
    order, fresh = lexical(rounded[:, ::-1])
    line = np.empty(len(units), dtype=np.intp)
    line[order] = np.cumsum(fresh) - 1
    return order[fresh], line, turned
