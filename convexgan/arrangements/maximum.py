"""The maximum over the ball of a weighted sum of rectified rows: the choice of the method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convexgan._tools.progress import Report
from convexgan._tools.rounding import gamma, power_above
from convexgan.arrangements.box_cones import rounding
from convexgan.arrangements.enumeration import enumerated_maximum
from convexgan.arrangements.record import Maximum
from convexgan.arrangements.reduce import reduce_rows, unit_vector, unreduced
from convexgan.arrangements.request import METHODS, ROUNDING, Request
from convexgan.arrangements.sampled import sampled_maximum
from convexgan.arrangements.search import Search
from convexgan.arrangements.sweep2d import sweep


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
    request = Request.read(rows, weights, METHODS, method, gap, time_limit, max_nodes, rng, progress, level)
    rows, weights = request.rows, request.weights
    row_scale, weight_scale = power_above(rows), power_above(weights)
    reduce = unreduced if request.late else reduce_rows
    arrangement = reduce(rows / row_scale, weights / weight_scale)
    unit, method = row_scale * weight_scale, request.about_rows(arrangement.dim)
    stats: dict[str, Any] = {"rank": arrangement.dim, "rows": len(arrangement.rows)}
    status = "optimal"
    if arrangement.dim == 0 or (method in ("sweep", "cones") and arrangement.dim == 1):
        u, bound = arrangement.best_end()
    elif method == "cones":
        arrangement = replace(arrangement, slack=arrangement.slack + rounding(arrangement))
        u, bound, status = request.by_cones(Search, arrangement, unit, stats)
    elif method == "sampled":
        u, more = sampled_maximum(arrangement, request.draw, request.deadline)
        bound, status = arrangement.absolute_bound(), "stopped"
        stats |= more
    else:
        u = sweep(arrangement) if method == "sweep" else enumerated_maximum(arrangement)
        bound = abs(arrangement.value(u))
    stats["seconds"] = request.seconds
    slack = arrangement.slack
    if method == "sweep":  # the best of all arcs is chosen by sums that are rounded too
        slack += gamma(4 * len(arrangement.rows) + 16) * float(np.linalg.norm(arrangement.rows, axis=1).sum())
    bound, u = (bound * (1 + ROUNDING) + slack) * row_scale * weight_scale, unit_vector(arrangement.basis @ u)
    seen = np.maximum(rows @ u, 0)
    error = gamma(len(rows) + rows.shape[1] + 4) * float(np.abs(weights) @ seen)
    return Maximum.at(u, float(weights @ seen), bound, status, method, stats, error)
