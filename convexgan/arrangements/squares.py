"""Sums of squared rectified rows in normal form: no zero rows, no two on one line, full rank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import TINY, gamma
from convexgan.arrangements.reduce import CACHE, SignedSum, line_sums, lines, merge_equal, row_space

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Squares(SignedSum):
    """The function m(u) = u'form u + sum_i max(plus_i . u, 0)^2 - sum_j max(minus_j . u, 0)^2 on R^p.

    Roots of weights are folded into the rows, since w max(t, 0)^2 = max(sqrt(w) t, 0)^2 for w > 0.

    Attributes
    ----------
    plus, minus : (n_+, p) and (n_-, p) arrays
        No two of all these rows lie on one line, none is zero.
    form : (p, p) array
        Where antiparallel rows were merged: max(-t, 0)^2 = t^2 - max(t, 0)^2.
    basis : (d, p) array
        Orthonormal columns; u in R^p stands for ``basis @ u`` in R^d.
    size : float
        At least the sum of all squared lengths, in units of which sums round.
    slack : float
        How far the sum over the rows as they were given may lie from this one anywhere on the unit ball.
    """

    form: Array
    basis: Array
    size: float
    slack: float

    @property
    def dim(self) -> int:
        """p, the rank of the rows."""
        return len(self.form)

    def negated(self) -> Self:
        """The normal form of -m."""
        return replace(self, plus=self.minus, minus=self.plus, form=-self.form)

    def values(self, U: Array) -> Array:
        """m at each row of U, (k,)."""
        smooth = np.einsum("kp,pq,kq->k", U, self.form, U)
        return np.asarray(smooth + squared_sums(U, self.plus) - squared_sums(U, self.minus))

    def local_form(self, u: Array) -> Array:
        """The matrix (p, p) of the quadratic form that m is on the cell of u."""
        plus, minus = self.plus[self.plus @ u > 0], self.minus[self.minus @ u > 0]
        return np.asarray(self.form + plus.T @ plus - minus.T @ minus)

    def even_axes(self) -> Array:
        """The eigenvectors, as rows (p, p), of the even part of m, a quadratic form; that of the largest value last."""
        return np.asarray(np.linalg.eigh(self.form + (self.rows.T * self.signs) @ self.rows / 2)[1].T)

    def bound(self) -> float:
        """An upper bound on m over the unit ball, at the cost of one pass.

        max(t, 0)^2 = (t^2 + t |t|) / 2 lies between 0 and t^2: rows of positive weight count whole and the others not
        at all, or all by half and what is left of them, in size, by half.
        """
        gains, losses = self.plus.T @ self.plus, self.minus.T @ self.minus
        halves = self.form + (gains - losses) / 2
        split = _top(halves) + max(_top(gains + losses), 0.0) / 2
        return max(min(_top(self.form + gains), split), 0.0)


def _top(form: Array) -> float:
    return float(np.linalg.eigvalsh(form)[-1]) if len(form) else 0.0


def squared_sums(U: Array, rows: Array) -> Array:
    """sum_i max(rows_i . u, 0)^2 for each row of U (k, p), in blocks."""
    out, step = np.zeros(len(U)), max(1, CACHE // max(len(rows), 1))
    for i in range(0, len(U), step):
        seen = np.maximum(U[i : i + step] @ rows.T, 0)
        out[i : i + step] = np.einsum("kn,kn->k", seen, seen)
    return out


def unreduced_squares(rows: Array, weights: Array) -> Squares:
    """The sum that `reduce_squares` takes, with all rows as they are: for a bound, and a direction."""
    d, scaled = rows.shape[1], rows * np.sqrt(np.abs(weights))[:, None]
    size = float(np.einsum("nd,nd->", scaled, scaled))
    slack = gamma(len(rows) + 4 * d + 128) * size + len(rows) * TINY
    return Squares(scaled[weights > 0], scaled[weights < 0], np.zeros((d, d)), np.eye(d), size, slack)


def reduce_squares(rows: Array, weights: Array) -> Squares:
    """The normal form of m(u) = sum_i weights_i max(rows_i . u, 0)^2, for entries of at most 1 or so.

    Rows of zero weight or length go; the rest is expressed in an orthonormal basis of its span; rows on one line become
    one row and a square, whose weights may cancel. ``slack`` says what that and rounding may have changed.

    Parameters
    ----------
    rows : (N, d) array
    weights : (N,) array
        Of any sign.
    """
    rows, weights, error = merge_equal(rows, weights)
    slack = float(error @ np.einsum("nd,nd->n", rows, rows)) + np.count_nonzero(weights) * TINY
    lengths = np.linalg.norm(rows, axis=1)
    mass = weights * lengths**2
    kept = mass != 0  # what underflows is within TINY
    given, mass = rows[kept] / lengths[kept, None], mass[kept]
    basis = row_space(given * np.sqrt(np.abs(mass))[:, None], rows.shape[1])
    units = given @ basis
    first, line, turned = lines(units)
    turned = turned != turned[first][line]  # against the first row of the line
    moved = units - np.where(turned, -1.0, 1.0)[:, None] * units[first][line]
    slack += 2.01 * float(np.abs(mass) @ np.linalg.norm(moved, axis=1))  # |s^2 - t^2| <= 2 |s - t| of unit rows
    if basis.shape[1] < len(basis):
        slack += 2.01 * float(np.abs(mass) @ np.linalg.norm(given - units @ basis.T, axis=1))
    opposite, lost = line_sums(line[turned], mass[turned], len(first))
    total, more = line_sums(line, np.where(turned, -mass, mass), len(first))
    size = float(np.abs(mass).sum())
    merged, form = units[first] * np.sqrt(np.abs(total))[:, None], (units[first].T * opposite) @ units[first]
    rest = np.vstack([merged, form])
    smaller = row_space(rest, len(form))
    if smaller.shape[1] < len(form):  # rows that cancelled may have spanned more
        stray = np.linalg.norm(rest - rest @ smaller @ smaller.T, axis=1)
        slack += 2.01 * float(stray @ np.linalg.norm(rest, axis=1)) + 2.01 * float(stray.sum())
        merged, form, basis = merged @ smaller, smaller.T @ form @ smaller, basis @ smaller
    # the sums over all rows in any order, and the forms of bounds, are off by no more
    slack += lost + more + gamma(len(rows) + 4 * rows.shape[1] + 32 * len(form) + 128) * size
    return Squares(merged[total > 0], merged[total < 0], form, basis, size, slack)
