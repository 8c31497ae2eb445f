"""The maximum over the ball of a weighted sum of rectified rows: the choice of the method."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats, as_rows
from convexgan._tools.checks import as_rng, check_choice, check_count, check_finite, check_number
from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan._tools.rounding import gamma, power_above
from convexgan.arrangements.branching import Branching
from convexgan.arrangements.enumeration import enumerated_maximum
from convexgan.arrangements.reduce import SignedSum, reduce_rows, unreduced
from convexgan.arrangements.sampled import sampled_maximum
from convexgan.arrangements.search import Search
from convexgan.arrangements.sweep2d import sweep

Array = NDArray[np.float64]
EXACT = 1e-9  # relative gap below which a value counts as exact
ROUNDING = 1e-14  # relative error of a maximum that was computed exactly
LARGE = 2**21  # numbers that are sorted whatever the time
PACE = 5e-7  # seconds that a number takes where there are more
SWEPT = 1024  # points of a plane up to which sweeping their offsets is faster than cones
METHODS = ("auto", "sweep", "cones", "enumerate", "sampled")


@dataclass(frozen=True)
class Maximum:
    """The maximum of |m(u)| over the unit ball, m(u) what a neuron u sees of a signed sample, and its proof.

    Attributes
    ----------
    value : float
        |m| at ``direction``, evaluated from the rows as given.
    upper_bound : float
        At least the maximum.
    exact : bool
        Whether the two agree to 1e-9 of the value.
    direction : (d,) array
        A unit vector.
    sign : float
        The sign of m there: ``sign * m(direction) == value``.
    status : str
        "optimal": the gap asked for was reached; "stopped": a limit was, or the method gives no better bound.
    method : str
        "sweep", "cones", "enumerate" or "sampled"; "moments" of neurons for which moments are enough.
    stats : dict
        ``rank``, ``rows`` (after merging), ``seconds``, counts of the method, ``interrupted`` after Ctrl-C.
    """

    value: float
    upper_bound: float
    exact: bool
    direction: Array
    sign: float
    status: str
    method: str
    stats: dict[str, Any]

    @classmethod
    def at(
        cls, direction: Array, m: float, bound: float, status: str, method: str, stats: dict[str, Any], error: float = 0
    ) -> Self:
        """The record of m at a direction, off by at most the error, which is taken off where the bound is exceeded."""
        value = abs(m)
        if value > bound:
            value = max(value - error, 0.0)
            bound = max(bound, value)
        exact = method != "sampled" and status == "optimal" and bound - value <= EXACT * value
        return cls(value, bound, bool(exact), direction, 1.0 if m >= 0 else -1.0, status, method, stats)


def maximize(
    rows: Any,
    weights: Any,
    *,
    method: str = "auto",
    gap: float = 0.0,
    time_limit: float | None = None,
    max_nodes: int | None = None,
    rng: np.random.Generator | int | None = None,
    progress: Report | None = None,
    level: float | None = None,
) -> Maximum:
    """The maximum over |u| <= 1 of |sum_i weights_i max(rows_i . u, 0)|.

    That neurons of norm 1 suffice is from Sahiner et al., arXiv 2107.05680, section 2; the searches are derived here.

    Parameters
    ----------
    rows : (N, d) array
    weights : (N,) array
        Of any sign.
    method : {"auto", "sweep", "cones", "enumerate", "sampled"}
        "sweep" is exact and immediate up to rank 2; "cones" is branch and bound for any rank, with a valid bound
        whenever it stops; "enumerate" goes through all activation patterns and is for checks; "sampled" gives a lower
        bound from random directions. "auto" is "sweep" where that is possible, otherwise "cones".
    gap : float
        Relative gap at which "cones" may stop.
    time_limit : float, optional
        Seconds; 0 gives a valid bound at once.
    max_nodes : int, optional
        Cones to look at.
    rng : optional
        For "sampled".
    progress : callable, optional
        Called now and then with value, upper bound and cones so far.
    level : float, optional
        "cones" may stop as soon as the value reaches it, or the bound lies below.

    Raises
    ------
    ValueError
        The method is a sweep, and the rows' rank is above 2; or the arrays do not fit together.
    """
    asked = Asked.read(rows, weights, METHODS, method, gap, time_limit, max_nodes, rng, progress, level)
    rows, weights = asked.rows, asked.weights
    row_scale, weight_scale = power_above(rows), power_above(weights)
    reduce = unreduced if asked.late else reduce_rows
    arrangement = reduce(rows / row_scale, weights / weight_scale)
    unit, method = row_scale * weight_scale, asked.about_rows(arrangement.dim)
    stats: dict[str, Any] = {"rank": arrangement.dim, "rows": len(arrangement.rows)}
    status = "optimal"
    if arrangement.dim == 0 or (method in ("sweep", "cones") and arrangement.dim == 1):
        u, bound = on_a_line(arrangement)
    elif method == "cones":
        u, bound, status = asked.by_cones(Search, arrangement, unit, stats)
    elif method == "sampled":
        u, more = sampled_maximum(arrangement, asked.draw, asked.deadline)
        bound, status = arrangement.absolute_bound(), "stopped"
        stats |= more
    else:
        u = sweep(arrangement) if method == "sweep" else enumerated_maximum(arrangement)
        bound = abs(arrangement.value(u))
    stats["seconds"] = asked.seconds
    slack = arrangement.slack
    if method == "sweep":  # the best of all arcs is chosen by sums that are rounded too
        slack += gamma(4 * len(arrangement.rows) + 16) * float(np.linalg.norm(arrangement.rows, axis=1).sum())
    bound, u = (bound * (1 + ROUNDING) + slack) * row_scale * weight_scale, unit_vector(arrangement.basis @ u)
    seen = np.maximum(rows @ u, 0)
    rounding = gamma(len(rows) + rows.shape[1] + 4) * float(np.abs(weights) @ seen)
    return Maximum.at(u, float(weights @ seen), bound, status, method, stats, rounding)


class Asked(NamedTuple):
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
    ) -> Asked:
        """The arguments as they are used; ValueError that names the one that is wrong."""
        deadline = Deadline(None if time_limit is None else check_number(time_limit, "time_limit"))
        rows, weights = checked_sum(rows, weights)
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


def checked_sum(rows: Any, weights: Any) -> tuple[Array, Array]:
    """The rows and the weights of a sum as arrays; ValueError unless they are finite and as many."""
    rows = as_rows(rows, "rows").astype(np.float64, copy=False)
    check_finite(rows, "rows")
    weights = as_floats(weights, "weights")
    if weights.shape != (len(rows),) or not np.isfinite(weights).all():
        raise ValueError(f"weights must be finite, one for each of the {len(rows)} rows, got shape {weights.shape}.")
    return rows, weights


def on_a_line(side: SignedSum) -> tuple[Array, float]:
    """The end of a line at which |m| is larger, (1,), and its size there; (0,) and 0 for rank 0."""
    if side.rows.shape[1] == 0:
        return np.zeros(0), 0.0
    ends = np.array([[1.0], [-1.0]])
    sizes = np.abs(side.values(ends))
    return ends[int(np.argmax(sizes))], float(sizes.max())


def unit_vector(u: Array) -> Array:
    """The direction of u (d,) as a unit vector, the first axis if u is 0."""
    length = float(np.linalg.norm(u))
    return u / length if length > 0 else np.eye(1, len(u))[0]
