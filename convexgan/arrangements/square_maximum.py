"""The maximum over the ball of a weighted sum of squared rectified rows: the choice of the method."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.progress import Report
from convexgan._tools.rounding import gamma
from convexgan.arrangements.maximum import EXACT, ROUNDING, Asked, Maximum, in_units, levels
from convexgan.arrangements.square_ascents import sampled_squares
from convexgan.arrangements.square_search import SquareSearch
from convexgan.arrangements.square_sweep import on_a_line, sweep_squares
from convexgan.arrangements.squares import Squares, reduce_squares, unreduced_squares

Array = NDArray[np.float64]
METHODS = ("auto", "sweep", "cones", "sampled")


def maximize_squares(
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
    """The maximum over |u| <= 1 of |sum_i weights_i max(rows_i . u, 0)^2|.

    The searches are derived here: on a cell of the arrangement the sum is a quadratic form.

    Parameters
    ----------
    rows, weights, gap, time_limit, max_nodes, rng, progress, level : as in `maximize`
    method : {"auto", "sweep", "cones", "sampled"}
        As there; all cells are enumerated in the tests only.

    Raises
    ------
    ValueError
        The method is a sweep, and the rows' rank is above 2.
    """
    asked = Asked.read(rows, weights, METHODS, method, gap, time_limit, max_nodes, rng)
    rows, weights, method, deadline = asked.rows, asked.weights, asked.method, asked.deadline
    used = rows[weights != 0]
    row_scale, weight_scale = (2.0 ** int(np.frexp(np.abs(part).max(initial=0.0))[1]) for part in (used, weights))
    reduce = unreduced_squares if asked.late else reduce_squares
    squares = reduce(used / row_scale, weights[weights != 0] / weight_scale)  # scales are powers of 2
    unit = row_scale * row_scale * weight_scale
    if method == "auto":
        method = "sweep" if squares.dim <= 2 and not asked.late else "cones"
    if method == "sweep" and squares.dim > 2:
        raise ValueError(f"method='sweep' needs rows of rank 1 or 2, these have rank {squares.dim}: use 'auto'.")
    stats: dict[str, Any] = {"rank": squares.dim, "rows": len(squares.rows)}
    status = "optimal"
    if squares.dim == 0 or (method in ("sweep", "cones") and squares.dim == 1):
        u, bound = on_a_line(squares)
    elif method == "cones":
        search = SquareSearch(squares, asked.gap, in_units(progress, unit))
        search.level = levels(level, unit, squares.slack)
        u, bound, status = search.answer(deadline.left, asked.max_nodes, stats)
    elif method == "sampled":
        u, bound, status = sampled_squares(squares, asked.draw, deadline), _cap(squares), "stopped"
    else:
        u, bound = sweep_squares(squares)
    stats["seconds"] = asked.seconds
    bound = float((bound * (1 + ROUNDING) + squares.slack) * unit)
    return _record(rows, weights, squares.basis @ u, bound, status, method, stats)


def _cap(squares: Squares) -> float:
    return max(squares.bound(), squares.negated().bound())


def _record(
    rows: Array, weights: Array, u: Array, bound: float, status: str, method: str, stats: dict[str, Any]
) -> Maximum:
    """The record, its value evaluated from the data."""
    length = float(np.linalg.norm(u))
    u = u / length if length > 0 else np.eye(1, rows.shape[1])[0]
    seen = np.maximum(rows @ u, 0) ** 2
    m = float(weights @ seen)
    value = abs(m)
    if value > bound:  # by rounding of the evaluation
        sizes = np.abs(weights) @ np.einsum("nd,nd->n", rows, rows)
        value = max(value - gamma(len(rows) + 2 * rows.shape[1] + 8) * float(sizes), 0.0)
        bound = max(bound, value)
    exact = method != "sampled" and status == "optimal" and bound - value <= EXACT * value
    return Maximum(value, bound, bool(exact), u, 1.0 if m >= 0 else -1.0, status, method, stats)
