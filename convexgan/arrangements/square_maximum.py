"""The maximum over the ball of a weighted sum of squared rectified rows: the choice of the method."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.progress import Report
from convexgan._tools.rounding import gamma, power_above
from convexgan.arrangements.record import Maximum
from convexgan.arrangements.reduce import unit_vector
from convexgan.arrangements.request import ROUNDING, Request
from convexgan.arrangements.square_ascents import sampled_squares
from convexgan.arrangements.square_search import SquareSearch
from convexgan.arrangements.square_sweep import sweep_squares
from convexgan.arrangements.squares import reduce_squares, unreduced_squares

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
    request = Request.read(rows, weights, METHODS, method, gap, time_limit, max_nodes, rng, progress, level)
    rows, weights = request.rows, request.weights
    used = rows[weights != 0]
    row_scale, weight_scale = power_above(used), power_above(weights)
    reduce = unreduced_squares if request.late else reduce_squares
    squares = reduce(used / row_scale, weights[weights != 0] / weight_scale)
    unit, method = row_scale * row_scale * weight_scale, request.about_rows(squares.dim)
    stats: dict[str, Any] = {"rank": squares.dim, "rows": len(squares.rows)}
    status = "optimal"
    if squares.dim == 0 or (method in ("sweep", "cones") and squares.dim == 1):
        u, bound = squares.best_end()
    elif method == "cones":
        u, bound, status = request.by_cones(SquareSearch, squares, unit, stats)
    elif method == "sampled":
        u, bound, status = sampled_squares(squares, request.draw, request.deadline), squares.absolute_bound(), "stopped"
    else:
        u, bound = sweep_squares(squares)
    stats["seconds"] = request.seconds
    bound, u = float((bound * (1 + ROUNDING) + squares.slack) * unit), unit_vector(squares.basis @ u)
    sizes = np.abs(weights) @ np.einsum("nd,nd->n", rows, rows)
    error = gamma(len(rows) + 2 * rows.shape[1] + 8) * float(sizes)
    return Maximum.at(u, float(weights @ np.maximum(rows @ u, 0) ** 2), bound, status, method, stats, error)
