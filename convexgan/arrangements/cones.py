"""Bounds of a piecewise-linear function on simplicial cones, many cones at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.branching import ConeFamily
from convexgan.arrangements.local_sums import LocalSum, pair_up
from convexgan.arrangements.majorant import Quadratic
from convexgan.arrangements.reduce import Arrangement, positive_sums

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
SWEEPS = 3
FLAT = 1e-12  # share of the metric's trace that every direction has at least
ORTHANTS = 8  # up to this dimension the search starts from the 2^p orthants


def fan(p: int) -> Array:
    """Simplicial cones that cover R^p, (K, p, p): orthants, or the p + 1 cones of a regular simplex."""
    if p <= ORTHANTS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=p)))
        return signs[:, :, None] * np.eye(p)
    corners = np.linalg.svd(np.eye(p + 1) - 1 / (p + 1))[0][:, :p]
    corners /= np.linalg.norm(corners, axis=1)[:, None]
    return np.stack([np.delete(corners, k, axis=0) for k in range(p + 1)])


def centres(rays: Array) -> Array:
    """A unit vector inside each cone, (K, p)."""
    sums = rays.sum(axis=1)
    return np.asarray(sums / np.linalg.norm(sums, axis=1)[:, None])


def cone_bounds(rays: Array, heights: Array) -> tuple[Array, Array]:
    """max of l . u over cone and unit ball, from above, for the l with l . r_j = heights_j; and |l|-minimal y.

    By duality it is the least |y| with y . r_j >= heights_j: every such y gives a bound, and a few sweeps of
    coordinate descent come close to the best.

    Parameters
    ----------
    rays : (K, p, p) array
        Of any lengths.
    heights : (K, p) array
    """
    columns = np.swapaxes(inverses(rays), 1, 2).copy()  # columns[:, j] . r_k = 1 if j == k else 0
    lengths = np.maximum(np.einsum("kjp,kjp->kj", columns, columns), 1e-300)
    y = np.einsum("kj,kjp->kp", heights, columns)
    slack = np.zeros_like(heights)
    for _ in range(SWEEPS):
        for j in range(heights.shape[1]):
            column = columns[:, j]
            move = np.maximum(-np.einsum("kp,kp->k", y, column) / lengths[:, j], -slack[:, j])
            slack[:, j] += move
            y += move[:, None] * column
    nearness = np.einsum("kp,kjp->kj", centres(rays), rays)  # another such y is along the centre: long cones need it
    ahead = np.divide(heights, nearness, out=np.full_like(heights, np.inf), where=nearness > 0)
    # in narrow cones rounding leaves y . r_j below heights_j, by so much; v . r_j >= 1 for a v of length reach
    missing = np.maximum(heights - np.einsum("kp,kjp->kj", y, rays), 0).max(axis=1)
    least, wide = nearness.min(axis=1), np.linalg.norm(columns.sum(axis=1), axis=1)
    reach = np.divide(1, least, out=wide, where=least > 0)
    return np.minimum(np.linalg.norm(y, axis=1) + missing * reach, np.maximum(ahead.max(axis=1), 0)), y


def inverses(rays: Array) -> Array:
    """Those of the matrices (K, p, p), or what comes near where there is none."""
    try:
        return np.asarray(np.linalg.inv(rays))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.pinv(rays))


def halved(rays: Array, metric: Array) -> tuple[Array, Indices, Indices, Array]:
    """Two cones for each, (2 K, p, p), cut through the middle of the edge along which a function varies most.

    Rays are corners of flat simplices, of which the longest edge is cut. It is measured by ``metric`` (p, p), the
    second moment of what the function sees: directions in which it hardly varies are rarely cut. The children of cone
    k, 2 k and 2 k + 1, have the new ray (K, p) instead of i and j.
    """
    count, p, _ = rays.shape
    full = metric + max(FLAT * float(np.trace(metric)), 1e-300) * np.eye(p)
    every, (first, second) = np.arange(count), np.triu_indices(p, 1)
    edges = (rays[:, first] - rays[:, second]) @ np.linalg.cholesky(full)
    longest = np.argmax(np.einsum("kep,kep->ke", edges, edges), axis=1)
    i, j = first[longest], second[longest]
    fresh = (rays[every, i] + rays[every, j]) / 2
    children = np.repeat(rays, 2, axis=0)
    children[2 * every, i] = children[2 * every + 1, j] = fresh
    return children, i, j, fresh


def quadratic_bounds(
    quadratic: Quadratic, rays: Array, linear_bounds: Callable[[Array, Array], tuple[Array, Array]]
) -> Array:
    """The maximum of a concave quadratic on cones within its sphere, from above, by tangents; rays within the ball."""
    best, at = np.full(len(rays), np.inf), centres(rays)
    for _ in range(2):
        slopes, offsets = quadratic.tangents(at)
        heights = np.einsum("kp,kjp->kj", slopes, rays)
        bounds, y = linear_bounds(rays, heights)
        highest = heights.max(axis=1)
        best = np.minimum(
            best, np.where(highest < 0, highest, bounds) + offsets * np.where(offsets > 0, quadratic.longest, 1.0)
        )
        at = y / np.maximum(np.linalg.norm(y, axis=1), 1e-300)[:, None]
    return best


@dataclass(frozen=True, eq=False)
class SimplicialCones(ConeFamily):
    """Simplicial cones.

    Attributes
    ----------
    rays : (K, p, p) array
        Within the unit ball.
    """

    EACH: ClassVar[tuple[str, ...]] = ("bounds", "rays")

    rays: Array

    @property
    def widths(self) -> Array:
        """The longest edge of each along an axis, (K,)."""
        return np.asarray(np.ptp(self.rays, axis=1).max(axis=1))

    def _signs(self, rows: Array, tiny: Array | float = 0.0) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows are nowhere below -tiny on all cones, and which nowhere above tiny, (n,)."""
        values = self.rays.reshape(-1, self.rays.shape[2]) @ rows.T
        return values.min(axis=0) >= -tiny, values.max(axis=0) <= tiny


@dataclass(frozen=True, eq=False)
class Cones(SimplicialCones, LocalSum):
    """Simplicial cones, and a sum of rectified rows on them.

    Attributes
    ----------
    heights : (K, p) array
        The sum over ``plus`` at the rays.
    metric : (p, p) array
        The second moment of all rows, see `halved`.
    """

    EACH = (*SimplicialCones.EACH, "heights")

    heights: Array
    metric: Array

    @classmethod
    def cover(cls, sign: float, side: Arrangement, bound: float, deadline: Deadline | None = None) -> Self:
        """Simplicial cones that cover the domain."""
        rays, metric = cls.domain(side), side.rows.T @ side.rows
        different, which = np.unique(rays.reshape(-1, side.dim), axis=0, return_inverse=True)
        heights = positive_sums(different, side.plus)[which.reshape(rays.shape[:2])]
        partners = pair_up(side.plus, side.minus, deadline or Deadline())
        bounds = np.full(len(rays), bound)
        return cls(bounds, sign, side.plus, side.minus, side.linear, partners, rays, heights, metric)

    @staticmethod
    def domain(side: Arrangement) -> Array:
        """Cones (K, p, p) that cover all directions."""
        return fan(side.dim)

    @property
    def middles(self) -> Array:
        """A unit vector inside each cone, (K, p)."""
        return centres(self.rays)

    def _with(self, plus: Array, minus: Array, linear: Array, partners: Indices) -> Self:
        heights = positive_sums(self.rays, plus)
        return replace(self, plus=plus, minus=minus, linear=linear, partners=partners, heights=heights)

    def under(self, quadratic: Quadratic) -> Array:
        """The maximum of a concave quadratic on cones within its sphere, from above, (K,)."""
        return quadratic_bounds(quadratic, self.rays, self._tops)

    def halved(self) -> Self:
        """Two cones for each."""
        rays, i, j, fresh = halved(self.rays, self.metric)
        heights, every = np.repeat(self.heights, 2, axis=0), np.arange(len(i))
        heights[2 * every, i] = heights[2 * every + 1, j] = positive_sums(fresh, self.plus)
        return replace(self, rays=rays, heights=heights, bounds=np.repeat(self.bounds, 2))

    def bounded(self, cutoff: float) -> tuple[Self, Array, Array]:
        """Tighter bounds; m at the centres (K,); by how much the convex part is over-estimated there (K,).

        The convex part is at most its interpolation from the rays, the concave part at most any linearisation:
        at the centre, then, for cones above the cutoff, where the first bound is attained and half way.
        """
        middles = centres(self.rays)
        slopes = self._slopes(middles)
        found, y = self._linear_bounds(slopes)
        bounds = np.minimum(found, self.bounds)
        live = np.flatnonzero(bounds > cutoff)
        if len(live) and len(self.minus):
            part = replace(self, rays=self.rays[live], heights=self.heights[live])
            other = part._slopes(y[live])
            for mixed in ((slopes[live] + other) / 2, other):
                bounds[live] = np.minimum(bounds[live], part._linear_bounds(mixed)[0])
        convex = positive_sums(middles, self.plus)
        interpolated = self.heights.sum(axis=1) / np.linalg.norm(self.rays.sum(axis=1), axis=1)
        at_centres = np.einsum("kp,kp->k", slopes, middles) + convex
        return replace(self, bounds=bounds), at_centres, interpolated - convex

    def _slopes(self, at: Array) -> Array:
        """Supergradients of the linear and concave part, (K, p)."""
        return np.asarray(self.linear - (at @ self.minus.T > 0).astype(float) @ self.minus)

    def _linear_bounds(self, slopes: Array) -> tuple[Array, Array]:
        return self._tops(self.rays, self.heights + np.einsum("kp,kjp->kj", slopes, self.rays))

    @staticmethod
    def _tops(rays: Array, heights: Array) -> tuple[Array, Array]:
        """Bounds of linear functions on the cones."""
        return cone_bounds(rays, heights)
