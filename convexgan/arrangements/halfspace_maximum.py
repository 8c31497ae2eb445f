"""The maximum over all half-spaces of a weighted count of the rows inside: the choice of the method."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.progress import Report
from convexgan._tools.rounding import gamma
from convexgan.arrangements.enumeration import check_cells
from convexgan.arrangements.halfspace_search import HalfspaceSearch
from convexgan.arrangements.halfspace_sweep import sweep_halfplanes
from convexgan.arrangements.halfspaces import Halfspaces, best_cell, beyond, integers, reduce_halfspaces
from convexgan.arrangements.record import Maximum
from convexgan.arrangements.request import METHODS, Request
from convexgan.arrangements.sampled_offsets import best_of_directions

Array = NDArray[np.float64]


def maximize_over_halfspaces(
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
    """The maximum over all u and b of |sum of the weights of the rows with u . x + b > 0|.

    Parameters
    ----------
    rows : (N, d) array
    weights : (N,) array
        Of sum 0.
    method : {"auto", "sweep", "cones", "enumerate", "sampled"}
        "sweep" is exact on one column, in O(N log N), and on two, in O(N^2 log N); "cones" is branch and bound for any
        number of columns; "enumerate" goes through all cells in integers and is for checks; "sampled" gives a lower
        bound, the best offset of random directions. "auto" sweeps one column, and two of at most 1,024 rows.
    gap, time_limit, max_nodes, rng, progress, level : as in `maximize`

    Returns
    -------
    Maximum
        Its direction has d + 1 entries, u of length 1 and b; its value is that of this half-space in exact arithmetic.

    Raises
    ------
    ValueError
        If the weights do not add up to 0.

    References
    ----------
    For half-planes: Dobkin, Eppstein and Mitchell, Computing the discrepancy with applications to supersampling
    patterns, ACM Transactions on Graphics 15, 1996.
    """
    request = Request.read(rows, weights, METHODS, method, gap, time_limit, max_nodes, rng, progress, level)
    rows, weights, deadline = request.rows, request.weights, request.deadline
    request = request._replace(max_nodes=0) if request.late else request
    whole = reduce_halfspaces(rows, weights)
    q = whole.dim - 1
    method = request.about_points(q, len(whole.weights))
    stats: dict[str, Any] = {"rank": q, "rows": len(whole.weights)}
    z, bound, status = np.zeros(q + 1), 0.0, "optimal"
    if not len(whole.weights):
        pass
    elif q == 1:
        bound, z = whole.best_cut(np.ones(1))
    elif method == "cones":
        z, bound, status = request.by_cones(HalfspaceSearch, whole, 1.0, stats)
    elif method == "sweep":
        bound, u, finished = sweep_halfplanes(whole, deadline)
        z = whole.best_cut(u)[1]
        bound, status = (bound, "optimal") if finished else (whole.bound(), "stopped")
    elif method == "enumerate":
        z, bound = _enumerated(whole)
    else:
        z, bound, status = best_of_directions(whole.best_cut, q, request.draw, deadline), whole.bound(), "stopped"
    stats["seconds"] = request.seconds
    return _record(rows, weights, whole, z, bound, status, method, stats)


def _record(
    rows: Array,
    weights: Array,
    whole: Halfspaces,
    z: Array,
    bound: float,
    status: str,
    method: str,
    stats: dict[str, Any],
) -> Maximum:
    """The record, its value counted from the data without rounding."""
    direction = whole.in_units_of_rows(z, rows.shape[1])
    inside = weights[beyond(rows, direction)]
    m, size = math.fsum(inside), float(np.abs(whole.weights).sum())
    roundings = 2 * (math.isqrt(len(whole.weights)) if whole.dim == 2 else len(whole.weights)) + 16
    return Maximum.at(direction, m, bound + gamma(roundings) * size + whole.slack, status, method, stats)


def _enumerated(whole: Halfspaces) -> tuple[Array, float]:
    """The maximum from all cells in integers, and a hyperplane that shows it."""
    check_cells(len(whole.weights), whole.dim)
    lifted = [[int(x) for x in row] + [1] for row in integers(whole.rows)]
    bound, inside = best_cell(lifted, whole.weights.tolist())
    return separating(whole.points, np.array(inside)), bound


def separating(points: Array, inside: NDArray[np.bool_]) -> Array:
    """(u, b) with the widest margin between points (N, d) inside and the others; 0 where no hyperplane is between."""
    from scipy.optimize import linprog  # here: it takes longer to import than all the rest of the package

    d, signs = points.shape[1], np.where(inside, 1.0, -1.0)
    lifted = signs[:, None] * np.column_stack([points, np.ones(len(points))])
    rows = np.column_stack([-lifted, np.ones(len(points))])
    bounds = [(-1, 1)] * d + [(None, None), (0, 1)]
    found = linprog(np.append(np.zeros(d + 1), -1.0), rows, np.zeros(len(points)), bounds=bounds, method="highs")
    return np.asarray(found.x[:-1]) if found.x is not None else np.zeros(d + 1)
