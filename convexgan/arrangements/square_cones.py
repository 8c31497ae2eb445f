"""Bounds of a sum of squared rectified rows on simplicial cones, many cones at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.cones import SimplicialCones, centres, fan, halved
from convexgan.arrangements.local_sums import pair_up
from convexgan.arrangements.squares import Squares

Array = NDArray[np.float64]
BLOCK = 4096  # rows whose forms are held at a time
ROUND = 0.1  # of the metric that is the sphere's own: on it a constant form is none


@dataclass(frozen=True, eq=False)
class SquareCones(SimplicialCones):
    """Simplicial cones, and a sum of squared rectified rows on them.

    Attributes
    ----------
    sign : float
        Whether m or -m is maximised.
    plus, minus, form : arrays
        The function, as in `Squares`; rows that are decided on all cones are part of ``form``.
    pairs : (2, n, p) array
        Further rows of positive weight, and of negative weight one like each of them.
    metric : (p, p) array
        By which edges are measured, see `cones.halved`.
    """

    sign: float
    plus: Array
    minus: Array
    form: Array
    pairs: Array
    metric: Array

    @classmethod
    def cover(cls, sign: float, side: Squares, bound: float, deadline: Deadline | None = None) -> Self:
        """A fan of simplicial cones that covers R^p."""
        rays, metric = fan(side.dim), side.rows.T @ side.rows
        partners = pair_up(side.plus, side.minus, deadline or Deadline())
        metric = metric + ROUND * float(np.trace(metric)) / side.dim * np.eye(side.dim)
        has = partners >= 0
        pairs = np.stack([side.plus[has], side.minus[partners[has]]])
        minus = np.delete(side.minus, partners[has], axis=0)
        bounds = np.full(len(rays), bound)
        return cls(bounds, rays, sign, side.plus[~has], minus, side.form, pairs, metric)

    @property
    def rows(self) -> int:
        """The number of rows that are not decided."""
        return len(self.plus) + len(self.minus) + self.pairs[..., 0].size

    def _decided(self) -> Self:
        """The same cones; rows that keep their sign on all of them become part of the form."""
        open_plus, gained = self._sides(self.plus)
        open_minus, lost = self._sides(self.minus)
        (first, more), (second, less) = map(self._sides, self.pairs)
        kept = first | second  # of a pair that is not decided both rows stay
        active = [(self.plus, gained, 1.0), (self.minus, lost, -1.0)]
        active += [(self.pairs[0], more & ~kept, 1.0), (self.pairs[1], less & ~kept, -1.0)]
        form = self.form + sum(sign * rows[on].T @ rows[on] for rows, on, sign in active)
        return replace(
            self, plus=self.plus[open_plus], minus=self.minus[open_minus], pairs=self.pairs[:, kept], form=form
        )

    def _sides(self, rows: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows change sign among the rays, and which are positive on all."""
        positive, negative = self._signs(rows)
        return ~(positive | negative), positive

    def halved(self) -> Self:
        """Two cones for each."""
        return replace(self, rays=halved(self.rays, self.metric)[0], bounds=np.repeat(self.bounds, 2))

    def by_rays(self) -> Array:
        """Upper bounds from what the function is at pairs of rays, (K,); infinite for cones that are wide.

        At u = sum_j a_j r_j, a >= 0, a row of positive weight adds at most (sum_j a_j max(row . r_j, 0))^2. One of
        negative weight takes off at least 0 and at least x (x - 2 y), x and y the sums of its positive and its negative
        products. A pair s, t adds at most max(s - t, 0) (max(s, 0) + max(t, 0)). So m(u) <= a'Pa, which is at most
        level |u|^2 if no entry of P - level R'R is positive.
        """
        rays = self.rays
        turned, gains, losses = np.swapaxes(rays, 1, 2), rays @ self.pairs[0].T, rays @ self.pairs[1].T
        ahead, sums = np.maximum(gains - losses, 0), np.maximum(gains, 0) + np.maximum(losses, 0)
        apart = _whole_square(gains) - np.maximum(_least_square(losses), 0)
        joint = (ahead.sum(axis=1) * sums.sum(axis=1) < apart)[:, None, :]
        up = np.maximum(np.concatenate([rays @ self.plus.T, gains * ~joint], axis=2), 0)
        down = np.concatenate([rays @ self.minus.T, losses * ~joint], axis=2)
        down = down * (_least_square(down) > 0)[:, None, :]
        below = np.maximum(-down, 0)
        mixed = (ahead * joint) @ np.swapaxes(sums, 1, 2)
        form = rays @ self.form @ turned + _gram(up) - _gram(down) + _gram(below)
        form += (mixed + np.swapaxes(mixed, 1, 2)) / 2
        gram = rays @ turned
        wide = np.where((form > 0) | (gram < 0), np.inf, 0.0)
        return np.asarray(np.divide(form, gram, out=wide, where=gram > 0).max(axis=(1, 2)))

    def by_forms(self) -> tuple[Array, Array]:
        """Upper bounds by eigenvalues, (K,), and the top eigenvectors, (K, p): tight on the cell of a maximiser.

        An undecided row counts whole or not at all, and so do both of a pair, whichever errs least; what they may lack
        is added. On the unit sphere row . u is at most the largest of row . r_j / (c . r_j), c the centre.
        """
        nearness = np.einsum("kp,kjp->kj", centres(self.rays), self.rays)[:, :, None]
        flat = (nearness <= 0).any(axis=(1, 2))  # cones wider than a right angle, of which nothing is known
        nearness = np.where(nearness > 0, nearness, 1.0)

        def extent(rows: Array) -> tuple[Array, Array]:
            heights = (self.rays @ rows.T) / nearness
            return np.maximum(heights.max(axis=1), 0), np.maximum(-heights.min(axis=1), 0)

        gains, losses = self.pairs
        (high, low), (top, bottom), ahead = extent(gains), extent(losses), extent(gains - losses)[0]
        alone = np.minimum(high, low) ** 2 + np.minimum(top, bottom) ** 2
        both, none = ahead * (low + bottom), ahead * (high + top)
        joint = np.minimum(both, none) < alone
        together = joint & (both < none)
        forms = np.broadcast_to(self.form, (len(self.rays), *self.form.shape))
        lacking = np.where(flat, np.inf, (np.minimum(both, none) * joint).sum(axis=1))
        for rows, sign, (up, down), single, counted in (
            (self.plus, 1.0, extent(self.plus), True, False),
            (self.minus, -1.0, extent(self.minus), True, False),
            (gains, 1.0, (high, low), ~joint, together),
            (losses, -1.0, (top, bottom), ~joint, together),
        ):
            whole = down < up
            missed = (np.where(whole, 0.0, up) if sign > 0 else np.where(whole, down, 0.0)) * single
            lacking = lacking + (missed * missed).sum(axis=1)
            forms = forms + sign * _counted((whole & single) | counted, rows)
        levels, vectors = np.linalg.eigh(forms)
        return np.maximum(levels[:, -1] + lacking, 0.0), vectors[:, :, -1]


def _counted(which: NDArray[np.bool_], rows: Array) -> Array:
    """The form of some of the rows (n, p) for each cone, (K, p, p)."""
    p = rows.shape[1]
    total = np.zeros((len(which), p * p))
    for i in range(0, len(rows), BLOCK):
        part = rows[i : i + BLOCK]
        total += which[:, i : i + BLOCK].astype(float) @ (part[:, :, None] * part[:, None, :]).reshape(-1, p * p)
    return total.reshape(len(which), p, p)


def _gram(heights: Array) -> Array:
    return np.asarray(heights @ np.swapaxes(heights, 1, 2))


def _whole_square(heights: Array) -> Array:
    """What rows add at the centre of each cone at most, as `SquareCones.by_rays` has it, (K, n)."""
    return np.asarray(np.maximum(heights, 0).sum(axis=1) ** 2)


def _least_square(heights: Array) -> Array:
    """The least that each row of negative weight subtracts on each cone, (K, n)."""
    above, below = np.maximum(heights, 0).sum(axis=1), np.maximum(-heights, 0).sum(axis=1)
    return np.asarray(above * (above - 2 * below))
