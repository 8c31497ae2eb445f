"""Cones over boxes in the faces of a cube, and bounds of a piecewise-linear function on them, many at a time.

A cell of p - 1 coordinates that can be cut along each of them is a box, of which a simplex would fill a share of one
in (p - 1)!: though rows are bounded one by one on boxes, and together on simplices, far fewer boxes are needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import gamma
from convexgan.arrangements.local_sums import LocalSum, pair_up
from convexgan.arrangements.majorant import Quadratic
from convexgan.arrangements.reduce import CACHE, Arrangement

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
ROUND = 6  # cuts, of which the last is where differences of partners vary most
NEAR = 1.3  # times the cutoff: bounds above that are not brought below it by further linearisations
LINES = 3  # linearisations of the concave part after the one at the centre
TURNS = 4  # of Newton's method for the projection onto a cone; any number gives a bound


@dataclass(frozen=True, eq=False)
class BoxCones(LocalSum):
    """Cones over boxes low <= v <= high in which one coordinate is 1 or -1.

    Attributes
    ----------
    low, high : (K, p) arrays
    axes : (K,) array
        The coordinate that is fixed.
    reaches : tuple of (p,) arrays
        By how much all rows vary along each coordinate, and differences of partners: by these boxes are cut in turn.
    cuts : int
        How often each has been cut.
    """

    EACH = ("bounds", "low", "high", "axes")

    low: Array
    high: Array
    axes: Indices
    reaches: tuple[Array, Array]
    cuts: int = 0

    @classmethod
    def cover(cls, sign: float, side: Arrangement, bound: float, deadline: Deadline | None = None) -> Self:
        """The cones over the 2 p faces of a cube."""
        p, faces = side.dim, np.arange(2 * side.dim)
        low, axes = np.full((2 * p, p), -1.0), faces // 2
        high = -low
        low[faces, axes] = high[faces, axes] = 1.0 - 2.0 * (faces % 2)
        partners, bounds = pair_up(side.plus, side.minus, deadline or Deadline()), np.full(2 * p, bound)
        has = partners >= 0
        apart = side.plus[has] - side.minus[partners[has]]
        reaches = np.abs(side.rows).sum(axis=0), np.abs(apart if len(apart) else side.rows).sum(axis=0)
        return cls(bounds, sign, side.plus, side.minus, side.linear, partners, low, high, axes, reaches)

    @property
    def widths(self) -> Array:
        """The longest edge of each, (K,)."""
        return np.asarray((self.high - self.low).max(axis=1))

    @property
    def centres(self) -> Array:
        """The centres of the boxes, (K, p)."""
        return np.asarray((self.low + self.high) / 2)

    @property
    def middles(self) -> Array:
        """A unit vector inside each cone, (K, p)."""
        return _units(self.centres)

    def halved(self) -> Self:
        """Two cones for each."""
        every, (low, high) = np.arange(len(self.axes)), (np.repeat(end, 2, axis=0) for end in (self.low, self.high))
        reach = self.reaches[self.cuts % ROUND == ROUND - 1]
        longest = np.argmax((self.high - self.low) * reach, axis=1)
        low[2 * every + 1, longest] = high[2 * every, longest] = self.centres[every, longest]
        bounds, axes = np.repeat(self.bounds, 2), np.repeat(self.axes, 2)
        return replace(self, bounds=bounds, low=low, high=high, axes=axes, cuts=self.cuts + 1)

    def _signs(self, rows: Array, tiny: Array | float = 0.0) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        products, spreads = self._ranges(rows)
        return (products - spreads).min(axis=0) >= -tiny, (products + spreads).max(axis=0) <= tiny

    def _ranges(self, rows: Array) -> tuple[Array, Array]:
        """Products with the centres, and by how much they vary on the boxes, (K, n)."""
        return self.centres @ rows.T, (self.high - self.low) / 2 @ np.abs(rows).T

    def under(self, quadratic: Quadratic) -> Array:
        """The maximum of a concave quadratic on the unit sphere within the cones, from above, by tangents, (K,)."""
        best, at = np.full(len(self.axes), np.inf), self.middles
        for _ in range(2):
            slopes, offsets = quadratic.tangents(at)
            bounds, y = box_bounds(self.low, self.high, self.axes, slopes)
            best, at = np.minimum(best, bounds + offsets), _units(y)
        return best

    def bounded(self, cutoff: float) -> tuple[Self, Array, Array]:
        """Tighter bounds; m at the centres (K,); by how much the convex part is over-estimated there (K,).

        A row of positive weight is at most its chord on the box, the concave part at most any linearisation: at the
        centre, then, for cones above the cutoff, mixtures with that where the last bound is attained. These are steps
        of the method of Frank and Wolfe towards the best linearisation.
        """
        live, lengths = np.arange(len(self.axes)), np.linalg.norm(self.centres, axis=1)
        chords, convex, excess = self._chords()
        slopes = self._slopes(self.centres)
        at_centres = np.einsum("kp,kp->k", slopes, self.centres) + convex
        slopes, bounds = chords + slopes, self.bounds.copy()
        for k in range(LINES + 1):
            found, y = box_bounds(self.low[live], self.high[live], self.axes[live], slopes)
            bounds[live] = np.minimum(bounds[live], found)
            above = (bounds[live] > cutoff) & (bounds[live] < NEAR * cutoff)
            if k == LINES or not above.any() or not len(self.minus):
                break
            live, slopes, y = live[above], slopes[above], y[above]
            slopes += (chords[live] + self._slopes(y) - slopes) / (k + 2)
        return replace(self, bounds=bounds), at_centres / lengths, excess / lengths

    def _chords(self) -> tuple[Array, Array, Array]:
        """Slopes (K, p) of what lies above the sum over ``plus`` on the boxes; the sum at the centres, the excess."""
        count, centres, halves, sizes = len(self.axes), self.centres, (self.high - self.low) / 2, np.abs(self.plus).T
        slopes, constants, convex = np.empty_like(centres), np.empty(count), np.empty(count)
        step = max(1, CACHE // max(len(self.plus), 1))
        for some in (slice(i, i + step) for i in range(0, count, step)):
            products, spreads = centres[some] @ self.plus.T, halves[some] @ sizes
            convex[some] = np.maximum(products, 0).sum(axis=1)
            above, below = np.maximum(products + spreads, 0), np.maximum(spreads - products, 0)
            shares = above / np.maximum(above + below, 1e-300)  # the chord's slope, 1 or 0 of rows that are decided
            slopes[some], constants[some] = shares @ self.plus, np.einsum("kn,kn->k", shares, below)
        excess = np.einsum("kp,kp->k", slopes, centres) + constants - convex
        slopes[np.arange(count), self.axes] += constants * self.low[np.arange(count), self.axes]
        return slopes, convex, excess

    def _slopes(self, at: Array) -> Array:
        """Supergradients of the linear and concave part, (K, p)."""
        return np.asarray(self.linear - (at @ self.minus.T > 0).astype(float) @ self.minus)


def box_bounds(low: Array, high: Array, axes: Indices, slopes: Array) -> tuple[Array, Array]:
    """max of slopes . u over cones over boxes and the unit ball, from above, (K,); and y (K, p), where it is attained.

    It is the length of the projection y onto the cone of all t v, t >= 0, low <= v <= high. Given t the projection is
    clipped, so that only t is sought. By duality the length of any y bounds the maximum for which (y - slopes) . v >= 0
    on the box: the coordinate that is fixed is set so that this holds, whatever t is.
    """
    every = np.arange(len(axes))
    ends, middle = low[every, axes], (low + high) / 2
    t = np.maximum(np.einsum("kp,kp->k", slopes, middle) / np.einsum("kp,kp->k", middle, middle), 0)[:, None]
    for _ in range(TURNS):
        edges = np.where(slopes > t * high, high, np.where(slopes < t * low, low, 0.0))
        edges[every, axes] = ends
        t = np.maximum(np.einsum("kp,kp->k", slopes, edges) / np.einsum("kp,kp->k", edges, edges), 0)[:, None]
    y = np.clip(slopes, t * low, t * high)
    push = y - slopes
    push[every, axes] = 0
    needed = ends * slopes[every, axes] - np.minimum(push * low, push * high).sum(axis=1)
    y[every, axes] = ends * np.maximum(needed, 0)
    return np.sqrt(np.einsum("kp,kp->k", y, y)), y


def rounding(side: Arrangement) -> float:
    """By how much bounds on boxes may be off, beside what sums over all rows are.

    A product with a box, whose coordinates are at most 1, by gamma(p + 4) times the row's l1 norm, which is at most
    sqrt(p) times its length; the condition that `box_bounds` solves for likewise, and the length of y.
    """
    p, mass = side.dim, float(np.linalg.norm(side.rows, axis=1).sum() + np.linalg.norm(side.linear))
    return gamma(2 * (p + 4) * math.sqrt(p) + p + 8) * mass


def _units(V: Array) -> Array:
    return np.asarray(V / np.maximum(np.linalg.norm(V, axis=1), 1e-300)[:, None])
