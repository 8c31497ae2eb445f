"""Branch and bound over cones: what both searches share, the queue, the pruning and the end."""

from __future__ import annotations

import heapq
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report

Array = NDArray[np.float64]
CHUNK = 256  # cones that share one list of undecided rows;
PRODUCTS = 2**18  # of cones and rows: fewer cones of many rows, which decide more of these, and a step is short
CONES_DIM = 16  # beyond it cones prune nothing: the bound over the whole ball is all
LEAST_GAP = 1e-10
FINEST = 1e-13  # width of cones that are cut no more


@dataclass(frozen=True, eq=False)
class ConeFamily(ABC):
    """Cones that lie close together, and a function that equals m on them.

    Attributes
    ----------
    bounds : (K,) array
        Upper bounds on the maximum over cone and unit ball.
    """

    EACH: ClassVar[tuple[str, ...]]  # what has an entry for each cone

    bounds: Array

    @property
    @abstractmethod
    def widths(self) -> Array:
        """The longest edge of each along an axis, (K,)."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """The number of rows that are not decided."""

    @abstractmethod
    def halved(self) -> Self:
        """Two cones for each."""

    @abstractmethod
    def _decided(self) -> Self:
        """The same cones; rows that keep their sign on all of them are open no more."""

    @property
    def bound(self) -> float:
        """The largest of the bounds, 0 if there are none."""
        return float(self.bounds.max(initial=0.0))

    def take(self, chosen: NDArray[Any]) -> Self:
        """Some of the cones."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in self.EACH})

    def parts(self, size: int) -> Iterator[Self]:
        """Parts of at most that many cones, each with its own undecided rows."""
        for cut in np.array_split(np.arange(len(self.bounds)), -(-len(self.bounds) // size)):
            yield self.take(cut)._decided()


C = TypeVar("C", bound=ConeFamily)


class Branching(ABC, Generic[C]):
    """The maximum of |m| over the unit ball: the best direction so far, and an upper bound.

    A cone is pruned when its bound is below ``cutoff``.

    Parameters
    ----------
    side : Arrangement or Squares
        m in normal form.
    gap : float
        Relative gap (upper_bound - value) / upper_bound at which to stop, at least `LEAST_GAP`.
    unsure : float
        By how much bounds are rounded: below it nothing is cut.
    progress : callable (value, upper_bound, nodes), optional
    """

    def __init__(self, side: Any, gap: float, unsure: float, progress: Report | None) -> None:
        self.sides = {1.0: side, -1.0: side.negated()}
        self.value, self.direction, self.nodes = 0.0, np.eye(1, side.dim)[0], 0
        self._gap, self._unsure, self._progress = max(gap, LEAST_GAP), unsure, progress
        self.deadline, self.level = Deadline(), (np.inf, -np.inf)
        # bounds over the whole ball
        self._caps: dict[float, float] = {sign: one.bound() for sign, one in self.sides.items()}
        self._cut: set[float] = set()  # the sides that have been cut into cones
        self._queue: list[tuple[float, int, C]] = []
        self._left = 0.0  # the largest bound among pruned cones
        self._ticket = itertools.count()

    @abstractmethod
    def _begin(self, max_nodes: float) -> None:
        """Find directions, and cover both sides with cones."""

    @abstractmethod
    def _bound(self, cones: C) -> C:
        """Bound every cone, look for better directions, keep the cones that can beat them."""

    @property
    def cutoff(self) -> float:
        """The level below which a cone's bound does not matter; infinite where the value has decided."""
        enough, little = self.level
        return np.inf if self.value >= enough else max(self._reached, little)

    @property
    def _reached(self) -> float:
        """The bound at which the value is good enough."""
        return max(self.value / (1 - self._gap) if self._gap < 1 else np.inf, self.value + self._unsure)

    @property
    def upper_bound(self) -> float:
        """At least the maximum."""
        top = -self._queue[0][0] if self._queue else 0.0
        by_cones = max(self._left, top) if len(self._cut) == len(self.sides) else np.inf
        return max(self.value, min(by_cones, max(self._caps.values())))

    def run(self, time_limit: float | None = None, max_nodes: int | None = None) -> str:
        """Search; "optimal" if the gap was reached, else "stopped", or "interrupted" by Ctrl-C.

        With ``level`` = (enough, little) it ends as soon as the value is enough, or the bound no more than little.
        """
        self.deadline = Deadline(time_limit)
        try:
            return self._run(np.inf if max_nodes is None else max_nodes)
        except KeyboardInterrupt:
            return "interrupted"

    def answer(
        self, time_limit: float | None, max_nodes: int | None, stats: dict[str, Any]
    ) -> tuple[Array, float, str]:
        """The direction, the upper bound and the status after the search, "stopped" by Ctrl-C too; what is counted."""
        status = self.run(time_limit, max_nodes)
        stats["nodes"] = self.nodes
        if status == "interrupted":
            status, stats["interrupted"] = "stopped", True
        return self.direction, self.upper_bound, status

    def _run(self, max_nodes: float) -> str:
        self._begin(max_nodes)
        while self.upper_bound > self.cutoff:
            if not self._queue or self.deadline.over or self.nodes >= max_nodes:
                return "stopped"
            self._expand(self._queue[0][2])
            if not self.deadline.over:  # else some of its parts may have been left out
                heapq.heappop(self._queue)
            if self._progress:
                self._progress(self.value, self.upper_bound, self.nodes)
        return "optimal" if self.upper_bound <= self._reached else "stopped"

    def _start(self, sign: float, cones: C) -> None:
        """Queue the cones that cover a side."""
        for part in self._parts(cones):
            self._push(self._bound(part))
        if not self.deadline.over:
            self._cut.add(sign)

    def _expand(self, cones: C) -> None:
        for part in self._parts(self._prune(cones)):
            self._push(self._bound(part.halved()))

    def _parts(self, cones: C) -> Iterator[C]:
        """The cones in parts, until the time is over."""
        if len(cones.bounds):
            size = max(1, min(CHUNK, PRODUCTS // max(cones.rows, 1)))
            yield from itertools.takewhile(lambda _: not self.deadline.over, cones.parts(size))

    def _push(self, cones: C) -> None:
        if len(cones.bounds):
            heapq.heappush(self._queue, (-cones.bound, next(self._ticket), cones))

    def _prune(self, cones: C) -> C:
        live = (cones.bounds > self.cutoff) & (cones.widths > FINEST)
        if live.all():
            return cones
        self._left = max(self._left, float(cones.bounds[~live].max()))
        return cones.take(live)
