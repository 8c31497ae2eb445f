"""What a maximum over neurons is asked for: checked arguments, the choice of the method, the search by cones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats, as_rows
from convexgan._tools.checks import as_rng, check_choice, check_count, check_finite, check_number
from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan.arrangements.branching import Branching

Array = NDArray[np.float64]
METHODS = ("auto", "sweep", "cones", "enumerate", "sampled")
ROUNDING = 1e-14  # relative error of a maximum that was computed exactly
LARGE = 2**21  # numbers that are sorted whatever the time
PACE = 5e-7  # seconds that a number takes where there are more
SWEPT = 1024  # points of a plane up to which sweeping their offsets is faster than cones


class Request(NamedTuple):
    """What a maximum is asked for, checked; `maximize` says what each is."""

    deadline: Deadline
    rows: Array
    weights: Array
    method: str
    gap: float
    max_nodes: int | None
    draw: np.random.Generator
    progress: Report | None
    level: float | None
    start: float

    @classmethod
    def read(
        cls,
        rows: Any,
        weights: Any,
        methods: Sequence[str],
        method: str,
        gap: float,
        time_limit: float | None,
        max_nodes: int | None,
        rng: np.random.Generator | int | None,
        progress: Report | None,
        level: float | None,
    ) -> Request:
        """The arguments as they are used; ValueError that names the one that is wrong."""
        deadline = Deadline(None if time_limit is None else check_number(time_limit, "time_limit"))
        rows, weights = _checked_sum(rows, weights)
        method = check_choice(method, "method", methods)
        gap = check_number(gap, "gap")
        max_nodes = None if max_nodes is None else check_count(max_nodes, "max_nodes", 0)
        return cls(deadline, rows, weights, method, gap, max_nodes, as_rng(rng), progress, level, time.perf_counter())

    @property
    def late(self) -> bool:
        """Whether there are so many rows that sorting them would take more than the time that is left."""
        left, size = self.deadline.left, self.rows.size
        return left is not None and size > LARGE and size * PACE > left

    @property
    def seconds(self) -> float:
        """Since the arguments were read."""
        return time.perf_counter() - self.start

    def about_rows(self, rank: int) -> str:
        """The method for rows of such a rank."""
        if self.method == "sweep" and rank > 2:
            raise ValueError(f"method='sweep' needs rows of rank 1 or 2, these have rank {rank}: use 'auto'.")
        if self.method != "auto":
            return self.method
        return "sweep" if rank <= 2 and not self.late else "cones"

    def about_points(self, columns: int, count: int) -> str:
        """The method for so many points that span so many columns, whose offset is free."""
        if self.method == "sweep" and columns > 2:
            raise ValueError(
                f"method='sweep' needs points that span a line or a plane, these span {columns} columns: use 'auto'."
            )
        if self.method != "auto":
            return self.method
        return "sweep" if columns <= 1 or (columns == 2 and count <= SWEPT) else "cones"

    def by_cones(
        self, search: Callable[..., Branching[Any]], side: Any, unit: float, stats: dict[str, Any]
    ) -> tuple[Array, float, str]:
        """The direction, the upper bound and the status of a search, a ``unit`` of which is one of the data."""
        progress, level = self.progress, self.level
        in_units = progress and (lambda value, bound, nodes: progress(unit * value, unit * bound, nodes))
        started = search(side, self.gap, in_units)
        if level is not None:  # the value that is surely no less, and the bound that is surely less
            wanted = level / unit
            started.level = wanted * (1 + ROUNDING) + side.slack, wanted * (1 - 2 * ROUNDING) - side.slack
        return started.answer(self.deadline.left, self.max_nodes, stats)


def _checked_sum(rows: Any, weights: Any) -> tuple[Array, Array]:
    """The rows and the weights of a sum as arrays; ValueError unless they are finite and as many."""
    rows = as_rows(rows, "rows").astype(np.float64, copy=False)
    check_finite(rows, "rows")
    weights = as_floats(weights, "weights")
    if weights.shape != (len(rows),) or not np.isfinite(weights).all():
        raise ValueError(f"weights must be finite, one for each of the {len(rows)} rows, got shape {weights.shape}.")
    return rows, weights
