"""Branch and bound for half-spaces: cones of (u, b), on each of which the points that none or all of them see count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.progress import Report
from convexgan._tools.rounding import gamma
from convexgan.arrangements.branching import CONES_DIM, Branching
from convexgan.arrangements.cones import SimplicialCones, halved
from convexgan.arrangements.halfspaces import Halfspaces, best_cell, integers
from convexgan.arrangements.offset_search import belt

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
UNSURE = 1e-14  # a product with a ray that is no larger may be 0
COMMON = 40  # undecided points on one hyperplane of which all cuts are gone through
STARTS = 60  # random directions whose best cut is tried at first
PUSHES = (0.5, 0.05, 0.005)


@dataclass(frozen=True, eq=False)
class HalfspaceCones(SimplicialCones):
    """Simplicial cones of (u, b), and F on them.

    Attributes
    ----------
    open : (n,) array
        The points that may be on either side.
    base : float
        The weight of the points that are seen by all.
    whole : Halfspaces
    """

    open: Indices
    base: float
    whole: Halfspaces

    @property
    def rows(self) -> int:
        """The number of points that are not decided."""
        return len(self.open)

    def _decided(self) -> Self:
        """The same cones; points that all of them see, or none, are open no more."""
        low, high = self.reach()
        seen = (low > UNSURE).all(axis=0)
        undecided = ~seen & (high >= -UNSURE).any(axis=0)
        base = self.base + float(self.whole.weights[self.open[seen]].sum())
        return replace(self, open=self.open[undecided], base=base)

    def reach(self) -> tuple[Array, Array]:
        """The least and the largest product of each point (x, 1) with each cone's rays, (K, n)."""
        heights = self.rays @ self.whole.lifted[self.open].T
        return heights.min(axis=1), heights.max(axis=1)

    def halved(self) -> Self:
        """Two cones for each."""
        lifted = self.whole.lifted[self.open]
        return replace(self, rays=halved(self.rays, lifted.T @ lifted)[0], bounds=np.repeat(self.bounds, 2))

    def bounded(self) -> tuple[Self, NDArray[np.bool_], NDArray[np.bool_]]:
        """Tighter bounds; the points each cone sees with all rays, and those it may see with some, (K, n)."""
        low, high = self.reach()
        seen, open_ = low > UNSURE, (low <= UNSURE) & (high >= -UNSURE)
        w = self.whole.weights[self.open]
        bounds = self.base + seen @ w + open_ @ np.maximum(w, 0)
        return replace(self, bounds=np.minimum(bounds, self.bounds)), seen, open_

    def at_centres(self) -> Array:
        """|F| in the middle of each cone, (K,)."""
        middles = self.rays.sum(axis=1) @ self.whole.lifted[self.open].T
        return np.asarray(np.abs(self.base + (middles > 0) @ self.whole.weights[self.open]))


class HalfspaceSearch(Branching[HalfspaceCones]):
    """The maximum of |F| over all half-spaces.

    A cone that leaves few points undecided is bounded by the best of all cuts of these, which is exact near a vertex,
    a hyperplane through as many points as determine it; then a hyperplane next to it is looked for that cuts so.

    Parameters
    ----------
    whole : Halfspaces
    gap, progress : as in `Branching`
    """

    def __init__(self, whole: Halfspaces, gap: float = 0.0, progress: Report | None = None) -> None:
        rounding = gamma(2 * len(whole.weights) + 8) * float(np.abs(whole.weights).sum())
        super().__init__(whole, gap, rounding, progress)
        self._leaves: dict[bytes, tuple[float, list[bool]]] = {}
        self._common: dict[bytes, bool] = {}

    def _begin(self, max_nodes: float) -> None:
        whole: Halfspaces = self.sides[1.0]
        q = whole.dim - 1
        heavy = whole.points.T @ whole.weights
        for u in [heavy, *np.eye(q), *np.random.default_rng(0).standard_normal((STARTS, q))]:
            self._offer(u)
            if self.deadline.over:
                return
        if whole.dim <= CONES_DIM and self.nodes < max_nodes:
            reach = float(np.linalg.norm(whole.points, axis=1).max()) * (1 + 1e-9)
            rays, every = belt(q, reach), np.arange(len(whole.weights))
            self._start(1.0, HalfspaceCones(np.full(len(rays), self._caps[1.0]), rays, every, 0.0, whole))
            if 1.0 in self._cut:
                self._cut.add(-1.0)  # F(-z) = -F(z)

    def _bound(self, cones: HalfspaceCones) -> HalfspaceCones:
        """Bound every cone, look for better cuts, keep the cones that can beat them."""
        self.nodes += len(cones.rays)
        cones, seen, open_ = cones.bounded()
        for best in {int(np.argmax(cones.bounds)), int(np.argmax(cones.at_centres()))}:
            self._offer(cones.rays[best].sum(axis=0)[:-1])
        bounds, counts = cones.bounds.copy(), open_.sum(axis=1)
        for k in np.flatnonzero((counts <= COMMON) & (bounds > self.cutoff)):
            if self.deadline.over:
                break
            some = cones.open[open_[k]]
            if counts[k] <= cones.whole.dim + 1 or self._meet(cones.whole, some):
                bounds[k] = self._leaf(cones, int(k), seen[k], some)
        return self._prune(replace(cones, bounds=bounds))

    def _meet(self, whole: Halfspaces, some: Indices) -> bool:
        """Whether the hyperplanes of some points have a direction in common: no cone about it will tell them apart."""
        key = some.tobytes()
        if key not in self._common:
            self._common[key] = int(np.linalg.matrix_rank(whole.lifted[some], tol=1e-9)) < whole.dim
        return self._common[key]

    def _leaf(self, cones: HalfspaceCones, k: int, seen: NDArray[np.bool_], some: Indices) -> float:
        """The bound of cone k by all cuts of the points it leaves undecided, the best of which is looked for."""
        whole, key = cones.whole, some.tobytes()
        if key not in self._leaves:
            lifted = [[int(x) for x in row] + [1] for row in integers(whole.rows[some])]
            self._leaves[key] = best_cell(lifted, whole.weights[some].tolist())
        best, signs = self._leaves[key]
        bound = min(cones.base + float(seen @ whole.weights[cones.open]) + best, float(cones.bounds[k]))
        if bound > self.cutoff:
            middle, rows = cones.rays[k].sum(axis=0), whole.lifted[some]
            back = np.linalg.pinv(rows)
            vertex, push = middle - back @ (rows @ middle), back @ np.where(signs, 1.0, -1.0)
            size = float(np.linalg.norm(vertex)) / max(float(np.linalg.norm(push)), 1e-300)
            for share in PUSHES:
                self._offer((vertex + share * np.ptp(cones.rays[k], axis=0).max() * size * push)[:-1])
        return bound

    def _offer(self, u: Array) -> None:
        length = float(np.linalg.norm(u))
        if length > 0:
            value, z = self.sides[1.0].best_cut(u / length)
            if value > self.value:
                self.value, self.direction = value, z
