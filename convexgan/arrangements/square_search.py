"""Branch and bound over simplicial cones: the maximum on the ball of a sum of squared rectified rows, p >= 3."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.progress import Report
from convexgan.arrangements.branching import CONES_DIM, Branching
from convexgan.arrangements.cones import centres
from convexgan.arrangements.square_ascents import ascend_squares
from convexgan.arrangements.square_cones import SquareCones
from convexgan.arrangements.squares import Squares

Array = NDArray[np.float64]
STARTS = 20  # random directions from which the value is sought, besides eigenvectors, where cones are of no use
ROUNDING = 1e-14  # share of the rows' squares that counts as zero


class SquareSearch(Branching[SquareCones]):
    """The maximum of |m| over the unit ball, for m a quadratic form on each cell.

    m has a continuous gradient, so a maximiser is an eigenvector of its cell's form, inside of it the top one: cones in
    that cell are bounded exactly by `SquareCones.by_forms`, others are cut until `SquareCones.by_rays`, which is off
    by the square of their width, prunes them.

    Parameters
    ----------
    squares : Squares
    gap, progress : as in `Branching`
    """

    def __init__(self, squares: Squares, gap: float = 0.0, progress: Report | None = None) -> None:
        super().__init__(squares, gap, ROUNDING * squares.size, progress)

    def _begin(self, max_nodes: float) -> None:
        self._wander()
        cap = max(self._caps.values())
        for sign, side in self.sides.items():
            if side.dim <= CONES_DIM and not self.deadline.over and self.nodes < max_nodes:
                self._start(sign, SquareCones.cover(sign, side, cap, self.deadline))

    def _wander(self) -> None:
        """Ascents from the outer eigenvectors of the even part of m, and from random directions where no cones are."""
        squares = self.sides[1.0]
        vectors = squares.even_axes()
        outer = np.vstack([vectors[[-1, 0]], -vectors[[-1, 0]]])
        values = squares.values(outer)
        starts = [(sign, outer[k]) for k in np.argsort(-np.abs(values), kind="stable") for sign in _sides(values[k])]
        count = STARTS if squares.dim > CONES_DIM else 0
        for u in np.random.default_rng(0).standard_normal((count, squares.dim)):
            starts += [(sign, u / np.linalg.norm(u)) for sign in self.sides]
        for sign, u in starts:  # something is known at once
            self._ascend(sign, u)
            if self.deadline.over or self.upper_bound <= self.cutoff:
                return

    def _bound(self, cones: SquareCones) -> SquareCones:
        """Bound every cone, look for better directions, keep the cones that can beat them."""
        self.nodes += len(cones.rays)
        cones = self._prune(replace(cones, bounds=np.minimum(cones.by_rays(), cones.bounds)))
        if not len(cones.bounds):
            return cones
        bounds, vectors = cones.by_forms()
        tried = np.vstack([centres(cones.rays), vectors, -vectors])
        values = self.sides[cones.sign].values(tried)
        best = int(np.argmax(values))
        if values[best] > self.value:
            self._ascend(cones.sign, tried[best])
        return self._prune(replace(cones, bounds=np.minimum(bounds, cones.bounds)))

    def _ascend(self, sign: float, u: Array) -> None:
        u, value = ascend_squares(self.sides[sign], u, self.deadline)
        if value > self.value:
            self.value, self.direction = value, u


def _sides(value: float) -> tuple[float, float]:
    """Both signs, first that of the value."""
    return (1.0, -1.0) if value > 0 else (-1.0, 1.0)
