"""Branch and bound over simplicial cones: the maximum on the ball of a sum of squared rectified rows, p >= 3."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan.arrangements.cones import centres
from convexgan.arrangements.square_ascents import ascend_squares
from convexgan.arrangements.square_cones import SquareCones
from convexgan.arrangements.squares import Squares

Array = NDArray[np.float64]
CHUNK = 256  # cones that share one list of undecided rows
CONES_DIM = 16  # beyond it cones prune nothing: the bound over the whole ball is all
STARTS = 20  # random directions from which the value is sought, besides eigenvectors, where cones are of no use
LEAST_GAP = 1e-10
FINEST = 1e-13  # width of cones that are cut no more
ROUNDING = 1e-14  # share of the rows' squares that counts as zero


class SquareSearch:
    """The maximum of |m| over the unit ball: the best direction so far, and an upper bound.

    m has a continuous gradient, so a maximiser is an eigenvector of its cell's form, inside of it the top one: cones in
    that cell are bounded exactly by `SquareCones.by_forms`, others are cut until `SquareCones.by_rays`, which is off
    by the square of their width, prunes them.

    Parameters
    ----------
    squares : Squares
    gap : float
        Relative gap (upper_bound - value) / upper_bound at which to stop, at least `LEAST_GAP`.
    progress : callable (value, upper_bound, nodes), optional
    """

    def __init__(self, squares: Squares, gap: float = 0.0, progress: Report | None = None) -> None:
        self.sides = {1.0: squares, -1.0: squares.negated()}
        self.value, self.direction, self.nodes = 0.0, np.eye(1, squares.dim)[0], 0
        self._gap, self._progress = max(gap, LEAST_GAP), progress
        self._cap = max(side.bound() for side in self.sides.values())  # over the whole ball
        self._cut = 0  # the sides that have been cut into cones
        self._queue: list[tuple[float, int, SquareCones]] = []
        self._left = 0.0  # the largest bound among pruned cones
        self._ticket = itertools.count()
        self._noise = ROUNDING * squares.size

    @property
    def cutoff(self) -> float:
        """The level below which a cone's bound does not matter."""
        return max(self.value / (1 - self._gap) if self._gap < 1 else np.inf, self.value + self._noise)

    @property
    def upper_bound(self) -> float:
        """At least the maximum."""
        top = -self._queue[0][0] if self._queue else 0.0
        by_cones = max(self._left, top) if self._cut == len(self.sides) else np.inf
        return max(self.value, min(by_cones, self._cap))

    def run(self, time_limit: float | None = None, max_nodes: int | None = None) -> str:
        """Search; "optimal" if the gap was reached, else "stopped", or "interrupted" by Ctrl-C."""
        try:
            return self._run(Deadline(time_limit), np.inf if max_nodes is None else max_nodes)
        except KeyboardInterrupt:
            return "interrupted"

    def _run(self, deadline: Deadline, max_nodes: float) -> str:
        self._wander(deadline)
        for sign, side in self.sides.items():
            if side.dim <= CONES_DIM and not deadline.over and self.nodes < max_nodes:
                self._push(self._bound(SquareCones.cover(sign, side, self._cap)))
                self._cut += 1
        while self.upper_bound > self.cutoff:
            if not self._queue or deadline.over or self.nodes >= max_nodes:
                return "stopped"
            self._expand(self._queue[0][2])
            heapq.heappop(self._queue)
            if self._progress:
                self._progress(self.value, self.upper_bound, self.nodes)
        return "optimal"

    def _wander(self, deadline: Deadline) -> None:
        """Ascents from the outer eigenvectors of the even part of m, and from random directions where no cones are."""
        squares = self.sides[1.0]
        vectors = np.linalg.eigh(squares.form + (squares.rows.T * squares.signs) @ squares.rows / 2)[1].T
        count = STARTS if squares.dim > CONES_DIM else 0
        random = np.random.default_rng(0).standard_normal((count, squares.dim))
        for u in (*vectors[[-1, 0]], *-vectors[[-1, 0]], *random):
            for sign in self.sides:
                self._ascend(sign, u / np.linalg.norm(u))
            if deadline.over or self.upper_bound <= self.cutoff:
                return

    def _expand(self, cones: SquareCones) -> None:
        cones = self._prune(cones)
        if len(cones.bounds):
            for part in cones.parts(CHUNK):
                self._push(self._bound(part.halved()))

    def _push(self, cones: SquareCones) -> None:
        if len(cones.bounds):
            heapq.heappush(self._queue, (-cones.bound, next(self._ticket), cones))

    def _prune(self, cones: SquareCones) -> SquareCones:
        wide = np.ptp(cones.rays, axis=1).max(axis=1) > FINEST
        live = (cones.bounds > self.cutoff) & wide
        if live.all():
            return cones
        self._left = max(self._left, float(cones.bounds[~live].max()))
        return cones.take(live)

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
        u, value = ascend_squares(self.sides[sign], u)
        if value > self.value:
            self.value, self.direction = value, u
