"""Branch and bound over simplicial cones: the maximum of a piecewise-linear function on the ball, p >= 3."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan.arrangements.ascents import ascend
from convexgan.arrangements.cones import Cones, quadratic_bounds
from convexgan.arrangements.majorant import Quadratic, majorants
from convexgan.arrangements.reduce import Arrangement
from convexgan.arrangements.zonotope import maximize_concave

Array = NDArray[np.float64]
CHUNK = 256  # cones that share one list of undecided rows
MAJORANT_DIM = 7  # from this dimension on a quadratic majorant precedes the cones
CONES_DIM = 16  # beyond it cones prune nothing: the majorant's bound is all
ASCENTS = 50
STARTS = 20  # random directions from which the value is sought where cones are of no use
LEAST_GAP = 1e-10
FINEST = 1e-13  # width of cones that are cut no more
ROUNDING = 1e-15  # share of the rows' total length that counts as zero


class Search:
    """The maximum of |m| over the unit ball: the best direction so far, and an upper bound.

    A cone is pruned when its bound is below ``cutoff``. A cone on which every row of positive weight keeps its sign
    is closed: with these rows' signs fixed m becomes a concave function that nowhere exceeds m, and its maximum over
    the whole ball is computed exactly.

    Parameters
    ----------
    arrangement : Arrangement
    gap : float
        Relative gap (upper_bound - value) / upper_bound at which to stop, at least `LEAST_GAP`.
    progress : callable (value, upper_bound, nodes), optional
    """

    def __init__(self, arrangement: Arrangement, gap: float = 0.0, progress: Report | None = None) -> None:
        self.sides = {1.0: arrangement, -1.0: arrangement.negated()}
        self.value, self.sign, self.direction = 0.0, 1.0, np.eye(1, arrangement.dim)[0]
        self.nodes = 0
        self._gap, self._progress = max(gap, LEAST_GAP), progress
        self._caps = {sign: side.bound() for sign, side in self.sides.items()}  # bounds over the whole ball
        self._cut: set[float] = set()  # the sides that have been cut into cones
        self._queue: list[tuple[float, int, Cones]] = []
        self._left = 0.0  # the largest bound among pruned cones
        self._ticket = itertools.count()
        self._majorants: dict[float, Quadratic] = {}
        self._faces: dict[Any, float] = {}  # maxima of the concave functions of closed cones
        linear = float(np.linalg.norm(arrangement.linear))
        self._scale = float(np.linalg.norm(arrangement.rows, axis=1).sum()) + linear
        self._unsure = max(ROUNDING * self._scale, arrangement.slack / 4)  # bounds are rounded by more, and pay for it

    @property
    def cutoff(self) -> float:
        """The level below which a cone's bound does not matter."""
        return max(self.value / (1 - self._gap) if self._gap < 1 else np.inf, self.value + self._unsure)

    @property
    def upper_bound(self) -> float:
        """At least the maximum."""
        top = -self._queue[0][0] if self._queue else 0.0
        by_cones = max(self._left, top) if len(self._cut) == 2 else np.inf
        return max(self.value, min(by_cones, max(self._caps.values())))

    def run(self, time_limit: float | None = None, max_nodes: int | None = None) -> str:
        """Search; "optimal" if the gap was reached, else "stopped", or "interrupted" by Ctrl-C."""
        deadline = Deadline(time_limit)
        nodes = np.inf if max_nodes is None else max_nodes
        try:
            return self._run(deadline, nodes)
        except KeyboardInterrupt:
            return "interrupted"

    def _run(self, deadline: Deadline, max_nodes: float) -> str:
        p = self.sides[1.0].dim
        for sign, side in self.sides.items():
            if p >= MAJORANT_DIM and not deadline.over:
                self._relax(sign, deadline)
            if p <= CONES_DIM and not deadline.over and self.nodes < max_nodes:
                self._push(self._bound(Cones.cover(sign, side, self._caps[sign])))
                self._cut.add(sign)
        if p > CONES_DIM:
            self._wander(deadline)
        while self.upper_bound > self.cutoff:
            if not self._queue or deadline.over or self.nodes >= max_nodes:
                return "stopped"
            self._expand(self._queue[0][2])
            heapq.heappop(self._queue)
            if self._progress:
                self._progress(self.value, self.upper_bound, self.nodes)
        return "optimal"

    def _relax(self, sign: float, deadline: Deadline) -> None:
        side = self.sides[sign]
        for quadratic, bound, u in majorants(side):
            if bound <= self._caps[sign] or sign not in self._majorants:
                self._caps[sign], self._majorants[sign] = min(bound, self._caps[sign]), quadratic
            self._ascend(sign, u)
            if bound <= self.cutoff or deadline.over:
                return
            if self._progress:
                self._progress(self.value, self.upper_bound, self.nodes)

    def _wander(self, deadline: Deadline) -> None:
        for u in np.random.default_rng(0).standard_normal((STARTS, len(self.direction))):
            for sign, side in self.sides.items():
                if self.upper_bound <= self.cutoff or deadline.over:
                    return
                self._offer(sign, ascend(side, u / np.linalg.norm(u))[0])
            if self._progress:
                self._progress(self.value, self.upper_bound, self.nodes)

    def _expand(self, cones: Cones) -> None:
        cones = self._prune(cones)
        if not len(cones.bounds):
            return
        for part in cones.parts(CHUNK):
            self._push(self._bound(part.halved()))

    def _push(self, cones: Cones) -> None:
        if len(cones.bounds):
            heapq.heappush(self._queue, (-cones.bound, next(self._ticket), cones))

    def _prune(self, cones: Cones) -> Cones:
        wide = np.ptp(cones.rays, axis=1).max(axis=1) > FINEST
        live = (cones.bounds > self.cutoff) & wide
        if live.all():
            return cones
        self._left = max(self._left, float(cones.bounds[~live].max()))
        return cones.take(live)

    def _bound(self, cones: Cones) -> Cones:
        """Bound every cone, look for better directions, keep the cones that can beat them."""
        self.nodes += len(cones.rays)
        if cones.sign in self._majorants:
            bounds = quadratic_bounds(self._majorants[cones.sign], cones.rays)
            cones = self._prune(replace(cones, bounds=np.minimum(bounds, cones.bounds)))
            if not len(cones.bounds):
                return cones
        paired = cones.paired()
        if paired is not None:
            cones = self._prune(replace(cones, bounds=paired.bounded(self.cutoff)[0].bounds))
            if not len(cones.bounds):
                return cones
        cones, at_centres, excess = cones.bounded(self.cutoff)
        best = int(np.argmax(at_centres))
        if at_centres[best] > self.value:
            self._ascend(cones.sign, cones.rays[best].sum(axis=0))
        bounds = cones.bounds.copy()
        for k in np.flatnonzero((excess <= 1e-13 * self._scale) & (bounds > self.cutoff)):
            bounds[k] = min(bounds[k], self._closed(cones, int(k)))
        return self._prune(replace(cones, bounds=bounds))

    def _closed(self, cones: Cones, k: int) -> float:
        """The exact bound of cone k if it leaves no row of positive weight undecided, else infinity."""
        products = cones.rays[k] @ cones.plus.T
        tiny = 1e-14 * np.linalg.norm(cones.plus, axis=1)
        if not ((products >= -tiny).all(axis=0) | (products <= tiny).all(axis=0)).all():
            return np.inf
        side, middle = self.sides[cones.sign], cones.rays[k].sum(axis=0)
        active = side.plus @ middle > 0
        key = (cones.sign, active.tobytes())
        if key not in self._faces:
            self._faces[key], u = maximize_concave(side.linear + side.plus[active].sum(axis=0), side.minus, middle)
            self._offer(cones.sign, u)
        return self._faces[key]

    def _ascend(self, sign: float, u: Array) -> None:
        """Convex-concave steps from u: each maximises m with the rows of positive weight held in u's cell."""
        side = self.sides[sign]
        self._offer(sign, u)
        for _ in range(ASCENTS):
            before = self.value
            _, u = maximize_concave(side.linear + side.plus[side.plus @ u > 0].sum(axis=0), side.minus, u)
            self._offer(sign, u)
            if self.value <= before:
                return

    def _offer(self, sign: float, u: Array) -> None:
        length = float(np.linalg.norm(u))
        if length > 0:
            value = self.sides[sign].value(u / length)
            if value > self.value:
                self.value, self.direction, self.sign = value, u / length, sign
