"""The maximum over the ball of a weighted sum of rectified rows: the choice of the method."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats, as_rows
from convexgan._tools.checks import as_rng, check_choice, check_count, check_finite, check_number
from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan._tools.rounding import gamma
from convexgan.arrangements.box_cones import rounding
from convexgan.arrangements.enumeration import enumerated_maximum
from convexgan.arrangements.reduce import Arrangement, reduce_rows, unreduced
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
    asked = Asked.read(rows, weights, METHODS, method, gap, time_limit, max_nodes, rng)
    rows, weights, method, deadline = asked.rows, asked.weights, asked.method, asked.deadline
    row_scale, weight_scale = (2.0 ** int(np.frexp(np.abs(part).max())[1]) for part in (rows, weights))  # exact
    reduce = unreduced if asked.late else reduce_rows
    arrangement = reduce(rows / row_scale, weights / weight_scale)
    if method == "auto":
        method = "sweep" if arrangement.dim <= 2 and not asked.late else "cones"
    if method == "sweep" and arrangement.dim > 2:
        raise ValueError(f"method='sweep' needs rows of rank 1 or 2, these have rank {arrangement.dim}: use 'auto'.")
    stats: dict[str, Any] = {"rank": arrangement.dim, "rows": len(arrangement.rows)}
    if arrangement.dim == 0 or (method in ("sweep", "cones") and arrangement.dim == 1):
        u, bound, status = _on_a_line(arrangement)
    elif method == "cones":
        arrangement = replace(arrangement, slack=arrangement.slack + rounding(arrangement))
        search = Search(arrangement, asked.gap, in_units(progress, row_scale * weight_scale))
        search.level = levels(level, row_scale * weight_scale, arrangement.slack)
        u, bound, status = search.answer(deadline.left, asked.max_nodes, stats)
    elif method == "sampled":
        u, more = sampled_maximum(arrangement, asked.draw, deadline)
        bound, status = max(arrangement.bound(), arrangement.negated().bound()), "stopped"
        stats |= more
    else:
        u = sweep(arrangement) if method == "sweep" else enumerated_maximum(arrangement)
        bound, status = abs(arrangement.value(u)), "optimal"
    stats["seconds"] = asked.seconds
    slack = arrangement.slack
    if method == "sweep":  # the best of all arcs is chosen by sums that are rounded too
        slack += gamma(4 * len(arrangement.rows) + 16) * float(np.linalg.norm(arrangement.rows, axis=1).sum())
    bound = (bound * (1 + ROUNDING) + slack) * row_scale * weight_scale
    return _maximum(rows, weights, arrangement.basis @ u, bound, status, method, stats)


class Asked(NamedTuple):
    """What a maximum is asked for, checked; `maximize` says what each is."""

    deadline: Deadline
    rows: Array
    weights: Array
    method: str
    gap: float
    max_nodes: int | None
    draw: np.random.Generator
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
    ) -> Asked:
        """The arguments as they are used; ValueError that names the one that is wrong."""
        deadline = Deadline(None if time_limit is None else check_number(time_limit, "time_limit"))
        rows, weights = checked_sum(rows, weights)
        method = check_choice(method, "method", methods)
        gap = check_number(gap, "gap")
        max_nodes = None if max_nodes is None else check_count(max_nodes, "max_nodes", 0)
        return cls(deadline, rows, weights, method, gap, max_nodes, as_rng(rng), time.perf_counter())

    @property
    def late(self) -> bool:
        """Whether there are so many rows that sorting them would take more than the time that is left."""
        left, size = self.deadline.left, self.rows.size
        return left is not None and size > LARGE and size * PACE > left

    @property
    def seconds(self) -> float:
        """Since the arguments were read."""
        return time.perf_counter() - self.start

    def about_points(self, columns: int, count: int) -> str:
        """The method for so many points that span so many columns, whose offset is free."""
        if self.method == "sweep" and columns > 2:
            raise ValueError(
                f"method='sweep' needs points that span a line or a plane, these span {columns} columns: use 'auto'."
            )
        if self.method != "auto":
            return self.method
        return "sweep" if columns <= 1 or (columns == 2 and count <= SWEPT) else "cones"


def levels(level: float | None, unit: float, slack: float) -> tuple[float, float]:
    """The value that is surely no less than a level, and the bound that is surely less, in a search's units."""
    if level is None:
        return np.inf, -np.inf
    return level / unit * (1 + ROUNDING) + slack, level / unit * (1 - 2 * ROUNDING) - slack


def in_units(progress: Report | None, unit: float) -> Report | None:
    """What takes the search's own numbers and reports the data's."""
    return progress and (lambda value, bound, nodes: progress(unit * value, unit * bound, nodes))


def checked_sum(rows: Any, weights: Any) -> tuple[Array, Array]:
    """The rows and the weights of a sum as arrays; ValueError unless they are finite and as many."""
    rows = as_rows(rows, "rows").astype(np.float64, copy=False)
    check_finite(rows, "rows")
    weights = as_floats(weights, "weights")
    if weights.shape != (len(rows),) or not np.isfinite(weights).all():
        raise ValueError(f"weights must be finite, one for each of the {len(rows)} rows, got shape {weights.shape}.")
    return rows, weights


def _on_a_line(arrangement: Arrangement) -> tuple[Array, float, str]:
    """The better end of a line, for rank 1; nothing to choose for rank 0."""
    if arrangement.dim == 0:
        return np.zeros(0), 0.0, "optimal"
    ends = np.array([[1.0], [-1.0]])
    sizes = np.abs(arrangement.values(ends))
    return ends[int(np.argmax(sizes))], float(sizes.max()), "optimal"


def _maximum(
    rows: Array, weights: Array, u: Array, bound: float, status: str, method: str, stats: dict[str, Any]
) -> Maximum:
    """The record, its value evaluated from the data."""
    length = float(np.linalg.norm(u))
    u = u / length if length > 0 else np.eye(1, rows.shape[1])[0]
    seen = np.maximum(rows @ u, 0)
    m = float(weights @ seen)
    value = abs(m)
    if value > bound:  # by rounding of the evaluation
        value = max(value - gamma(len(rows) + rows.shape[1] + 4) * float(np.abs(weights) @ seen), 0.0)
        bound = max(bound, value)
    exact = method != "sampled" and status == "optimal" and bound - value <= EXACT * value
    return Maximum(value, bound, exact, u, 1.0 if m >= 0 else -1.0, status, method, stats)
