"""Bounds of a piecewise-linear function on simplicial cones, many cones at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.majorant import Quadratic
from convexgan.arrangements.reduce import Arrangement, positive_sums

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
SWEEPS = 3
FLAT = 1e-12  # share of the metric's trace that every direction has at least
PAIRINGS = 4  # rounds of mutual nearest neighbours
QUERIES = 256  # of a tree at once, which take a second among many rows of many columns
ALIKE = 0.3  # rows are partners if their difference is at most this share of the first;
ALIKE_IN_SPACE = 0.01  # for p = 3, where plain bounds are good, pairing random rows costs more than it prunes
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
class Cones:
    """Cones that lie close together, and a function that equals m on them.

    Attributes
    ----------
    sign : float
        Whether m or -m is maximised.
    rays : (K, p, p) array
        Within the unit ball.
    bounds : (K,) array
        Upper bounds on the maximum over cone and unit ball.
    plus, minus, linear : arrays
        The function, as in `Arrangement`; rows that are decided on all cones are part of ``linear``.
    partners : (n_+,) array
        For each of ``plus`` the index of the like row among ``minus``, or -1; see `pair_up`.
    heights : (K, p) array
        The sum over ``plus`` at the rays.
    metric : (p, p) array
        The second moment of all rows, see `halved`.
    """

    sign: float
    rays: Array
    bounds: Array
    plus: Array
    minus: Array
    linear: Array
    partners: Indices
    heights: Array
    metric: Array

    @classmethod
    def cover(cls, sign: float, side: Arrangement, bound: float, deadline: Deadline | None = None) -> Cones:
        """Simplicial cones that cover the domain."""
        rays, metric = cls.domain(side), side.rows.T @ side.rows
        different, which = np.unique(rays.reshape(-1, side.dim), axis=0, return_inverse=True)
        heights = positive_sums(different, side.plus)[which.reshape(rays.shape[:2])]
        partners = pair_up(side.plus, side.minus, deadline or Deadline())
        return cls(sign, rays, np.full(len(rays), bound), side.plus, side.minus, side.linear, partners, heights, metric)

    @staticmethod
    def domain(side: Arrangement) -> Array:
        """Cones (K, p, p) that cover all directions."""
        return fan(side.dim)

    @property
    def bound(self) -> float:
        """The largest of the bounds, 0 if there are none."""
        return float(self.bounds.max(initial=0.0))

    @property
    def rows(self) -> int:
        """The number of rows that are not decided."""
        return len(self.plus) + len(self.minus)

    def take(self, chosen: NDArray[Any]) -> Cones:
        """Some of the cones."""
        return replace(self, rays=self.rays[chosen], bounds=self.bounds[chosen], heights=self.heights[chosen])

    def parts(self, size: int) -> Iterator[Cones]:
        """Parts of at most that many cones, each with its own undecided rows."""
        for cut in np.array_split(np.arange(len(self.bounds)), -(-len(self.bounds) // size)):
            yield self.take(cut)._decided()

    def _decided(self) -> Cones:
        """The same cones; rows that keep their sign on all of them become part of the linear term."""
        gains, linear = _undecided(self.plus, self.rays, self.linear, 1.0)
        losses, linear = _undecided(self.minus, self.rays, linear, -1.0)
        if gains.all() and losses.all():
            return self
        partners = np.append(np.where(losses, np.cumsum(losses) - 1, -1), -1)[self.partners[gains]]
        plus = self.plus[gains]
        heights = positive_sums(self.rays, plus)
        return replace(self, plus=plus, minus=self.minus[losses], linear=linear, partners=partners, heights=heights)

    def paired(self) -> Cones | None:
        """A function above m on the cones where pairs of like rows are one: max(s, 0) - max(t, 0) <= max(s - t, 0).

        The convex part, in proportion to which bounds lose, is then that of the short differences. None where the rows
        that have partners are less than half of it.
        """
        has = self.partners >= 0
        if not has.any() or 2 * _mass(self.plus[has]) < _mass(self.plus):
            return None
        taken = self.partners[has]
        plus = np.vstack([self.plus[~has], self.plus[has] - self.minus[taken]])
        alone, heights = np.full(len(plus), -1), positive_sums(self.rays, plus)
        minus = np.delete(self.minus, taken, axis=0)
        return replace(self, plus=plus, minus=minus, partners=alone, heights=heights)._decided()

    def halved(self) -> Cones:
        """Two cones for each."""
        rays, i, j, fresh = halved(self.rays, self.metric)
        heights, every = np.repeat(self.heights, 2, axis=0), np.arange(len(i))
        heights[2 * every, i] = heights[2 * every + 1, j] = positive_sums(fresh, self.plus)
        return replace(self, rays=rays, heights=heights, bounds=np.repeat(self.bounds, 2))

    def bounded(self, cutoff: float) -> tuple[Cones, Array, Array]:
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
        return cone_bounds(self.rays, self.heights + np.einsum("kp,kjp->kj", slopes, self.rays))


def pair_up(plus: Array, minus: Array, deadline: Deadline) -> Indices:
    """For each row of ``plus`` the index of a row of ``minus`` that differs little from it, each used once, or -1.

    Where the time is over before all have been compared, none has a partner.
    """
    partners, free = np.full(len(plus), -1), np.arange(len(minus))
    single = np.arange(len(plus))
    for _ in range(PAIRINGS):
        if not len(single) or not len(free):
            break
        there, back = _nearest(minus[free], plus[single], deadline), _nearest(plus[single], minus[free], deadline)
        if there is None or back is None:
            return np.full(len(plus), -1)
        mutual = back[there] == np.arange(len(single))
        partners[single[mutual]] = free[there[mutual]]
        single, free = single[~mutual], np.delete(free, there[mutual])
    share = ALIKE if plus.shape[1] > 3 else ALIKE_IN_SPACE
    far = np.linalg.norm(plus - minus[partners], axis=1) > share * np.linalg.norm(plus, axis=1) if len(minus) else True
    return np.where(far, -1, partners)


def _nearest(rows: Array, others: Array, deadline: Deadline) -> Indices | None:
    """The index of the row that is nearest to each of the others; None if the time is over."""
    from scipy.spatial import cKDTree  # here: `import convexgan` stays light

    if deadline.over:
        return None
    tree, found = cKDTree(rows), np.empty(len(others), dtype=np.intp)
    for i in range(0, len(others), QUERIES):
        if deadline.over:
            return None
        found[i : i + QUERIES] = tree.query(others[i : i + QUERIES])[1]
    return found


def _mass(rows: Array) -> float:
    """The sum of the rows' lengths."""
    return float(np.linalg.norm(rows, axis=1).sum())


def _undecided(rows: Array, rays: Array, linear: Array, sign: float) -> tuple[NDArray[np.bool_], Array]:
    """Which rows change sign among the rays, and the linear part with the rows that are positive on all."""
    values = rays.reshape(-1, rays.shape[2]) @ rows.T
    low, high = values.min(axis=0), values.max(axis=0)
    positive = low >= 0
    return ~positive & (high > 0), linear + sign * rows[positive].sum(axis=0)
