"""Branch and bound over cones: the maximum of a piecewise-linear function on the ball, p >= 3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.progress import Report
from convexgan.arrangements.ascents import ascend
from convexgan.arrangements.box_cones import BoxCones
from convexgan.arrangements.branching import CONES_DIM, Branching
from convexgan.arrangements.local_sums import LocalSum
from convexgan.arrangements.majorant import LARGE_BLOCK, Quadratic, majorants
from convexgan.arrangements.reduce import WORK, Arrangement
from convexgan.arrangements.sampled import LENGTHS, climb
from convexgan.arrangements.zonotope import maximize_concave, positive_rows

Array = NDArray[np.float64]
MAJORANT_DIM = 7  # from this dimension on a quadratic majorant precedes the cones
REFINED = 0.1  # share of a limit for better majorants where cones follow
ASCENTS = 50
RARELY = 15  # parts of cones without bounds by pairs, at most, after one with
STARTS = 40  # random directions from which the value is sought before anything else is done there;
POLISHED = 3  # of these so many are brought to a local maximum where cones follow
ROUNDING = 1e-15  # share of the rows' total length that counts as zero


class Search(Branching[LocalSum]):
    """The maximum of |m| over the unit ball, for m piecewise linear.

    A cone on which every row of positive weight keeps its sign is closed: with these rows' signs fixed m becomes a
    concave function that nowhere exceeds m, and its maximum over the whole ball is computed exactly.

    Parameters
    ----------
    arrangement : Arrangement
    gap, progress : as in `Branching`
    """

    def __init__(self, arrangement: Arrangement, gap: float = 0.0, progress: Report | None = None) -> None:
        linear = float(np.linalg.norm(arrangement.linear))
        self._scale = float(np.linalg.norm(arrangement.rows, axis=1).sum()) + linear
        # bounds are rounded by more than a quarter of the slack, and pay for it
        super().__init__(arrangement, gap, max(ROUNDING * self._scale, arrangement.slack / 4), progress)
        self.sign = 1.0
        self._majorants: dict[float, Quadratic] = {}
        self._faces: dict[Any, float] = {}  # maxima of the concave functions of closed cones
        self._failures = self._skipped = 0  # of bounds by pairs of rows

    family: type[Any] = BoxCones  # of the cones

    def _begin(self, max_nodes: float) -> None:
        whole = self.sides[1.0]
        p, steep = whole.dim, whole.linear + (whole.plus.sum(axis=0) - whole.minus.sum(axis=0)) / 2
        for sign in self.sides:  # something is known at once
            self._offer(sign, sign * steep)
        if p >= MAJORANT_DIM:
            self._wander()
            self._relax()
        self._cover(max_nodes)

    def _cover(self, max_nodes: float) -> None:
        """Queue the cones of both sides, where cones are of use."""
        for sign, side in self.sides.items() if self.sides[1.0].dim <= CONES_DIM else ():
            if not self.deadline.over and self.nodes < max_nodes:
                self._start(sign, self.family.cover(sign, side, self._caps[sign], self.deadline))

    def _wander(self) -> None:
        """Ascents from random directions: by gradients from all, from the best of these by convex-concave steps."""
        whole = self.sides[1.0]
        count = max(1, min(STARTS, WORK // (len(LENGTHS) * max(len(whole.rows), 1))))
        U = np.random.default_rng(0).standard_normal((count, whole.dim))
        U /= np.linalg.norm(U, axis=1)[:, None]
        U, values = climb(whole.rows, whole.signs, whole.linear, U, self.deadline)
        for k in np.argsort(-np.abs(values), kind="stable")[: POLISHED if whole.dim <= CONES_DIM else count]:
            sign = 1.0 if values[k] >= 0 else -1.0
            self._offer(sign, U[k])
            if self.upper_bound <= self.cutoff or self.deadline.over:
                return
            self._offer(sign, ascend(self.sides[sign], U[k], self.deadline)[0])
            if self._progress:
                self._progress(self.value, self.upper_bound, self.nodes)

    def _relax(self) -> None:
        """Majorants of both sides in turn, of each until its bound cannot matter."""
        left = {sign: self._flatter(side) for sign, side in self.sides.items()}
        while left and not self.deadline.over:
            for sign in tuple(left):
                found = next(left[sign], None) if self._caps[sign] > self.cutoff else None
                if found is None:
                    del left[sign]
                    continue
                quadratic, bound, u = found
                if bound <= self._caps[sign] or sign not in self._majorants:
                    self._caps[sign], self._majorants[sign] = min(bound, self._caps[sign]), quadratic
                self._ascend(sign, u)
                if self._progress:
                    self._progress(self.value, self.upper_bound, self.nodes)

    def _flatter(self, side: Arrangement) -> Iterator[tuple[Quadratic, float, Array]]:
        """Majorants that are found soon; then, within a limit, better ones, for all of it where no cones follow."""
        yield from majorants(side, self.deadline)
        if self.deadline.left is not None:
            more = self.deadline.part(1.0 if side.dim > CONES_DIM else REFINED)
            yield from majorants(side, more, LARGE_BLOCK)

    def _bound(self, cones: LocalSum) -> LocalSum:
        """Bound every cone, look for better directions, keep the cones that can beat them."""
        self.nodes += len(cones.bounds)
        if cones.sign in self._majorants:
            bounds = cones.under(self._majorants[cones.sign])
            cones = self._prune(replace(cones, bounds=np.minimum(bounds, cones.bounds)))
            if not len(cones.bounds):
                return cones
        whole, (cones, tried) = len(cones.bounds), self._bound_by_pairs(cones)
        cones = self._prune(cones)
        if not len(cones.bounds):
            return cones
        before = cones.bounds
        cones, at_centres, excess = cones.bounded(self.cutoff)
        if tried:
            useful = len(before) < whole or 2 * np.count_nonzero(cones.bounds < before) < whole
            self._failures = 0 if useful else min(2 * self._failures + 1, RARELY)
        best = int(np.argmax(at_centres))
        if at_centres[best] > self.value:
            self._ascend(cones.sign, cones.middles[best])
        bounds = cones.bounds.copy()
        for k in np.flatnonzero((excess <= 1e-13 * self._scale) & (bounds > self.cutoff)):
            bounds[k] = min(bounds[k], self._closed(cones, int(k)))
        return self._prune(replace(cones, bounds=bounds))

    def _bound_by_pairs(self, cones: LocalSum) -> tuple[LocalSum, bool]:
        """The cones with bounds by pairs of rows, and whether these were tried: after failures ever more rarely."""
        if self._skipped < self._failures:
            self._skipped += 1
            return cones, False
        self._skipped, paired = 0, cones.paired()
        if paired is None:
            return cones, False
        return replace(cones, bounds=paired.bounded(self.cutoff)[0].bounds), True

    def _closed(self, cones: LocalSum, k: int) -> float:
        """The exact bound of cone k if it leaves no row of positive weight undecided, else infinity."""
        if not cones.is_settled(k):
            return np.inf
        side, middle = self.sides[cones.sign], cones.middles[k]
        active = side.plus @ middle > 0
        key = (cones.sign, active.tobytes())
        if key not in self._faces:
            self._faces[key], u = self._concave(side, active.astype(np.float64) @ side.plus, middle)
            self._offer(cones.sign, u)
        return self._faces[key]

    def _ascend(self, sign: float, u: Array) -> None:
        """Convex-concave steps from u: each maximises m with the rows of positive weight held in u's cell."""
        side = self.sides[sign]
        self._offer(sign, u)
        for _ in range(ASCENTS):
            before = self.value
            _, u = self._concave(side, positive_rows(side.plus, u), u)
            self._offer(sign, u)
            if self.value <= before or self.value >= self.level[0] or self.deadline.over:
                return

    def _concave(self, side: Arrangement, active: Array, start: Array) -> tuple[float, Array]:
        """The maximum where the rows of positive weight add up to ``active``, from above, and where it is."""
        return maximize_concave(side.linear + active, side.minus, start, self.deadline)

    def _offer(self, sign: float, u: Array) -> None:
        length = float(np.linalg.norm(u))
        if length > 0:
            value = self.sides[sign].value(u / length)
            if value > self.value:
                self.value, self.direction, self.sign = value, u / length, sign
