"""The maximum of a weighted sum of rectified affine functions whose offset costs nothing: the choice of the method."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan._tools.rounding import gamma, power_above
from convexgan.arrangements.enumeration import check_cells, enumerated_maximum
from convexgan.arrangements.offset_search import OffsetSearch
from convexgan.arrangements.offset_sweep import sweep_line, sweep_plane
from convexgan.arrangements.offsets import Offsets, reduce_points
from convexgan.arrangements.record import Maximum
from convexgan.arrangements.reduce import reduce_rows, unit_vector
from convexgan.arrangements.request import METHODS, ROUNDING, Request
from convexgan.arrangements.sampled_offsets import best_of_directions

Array = NDArray[np.float64]


def maximize_with_offsets(
    rows: Any,
    weights: Any,
    slope: float = 0.0,
    *,
    method: str = "auto",
    gap: float = 0.0,
    time_limit: float | None = None,
    max_nodes: int | None = None,
    rng: np.random.Generator | int | None = None,
    progress: Report | None = None,
    level: float | None = None,
) -> Maximum:
    """The maximum over |u| <= 1 and all b of |sum_i weights_i s(rows_i . u + b)|, s(t) = max(t, 0) + slope min(t, 0).

    Parameters
    ----------
    rows : (N, d) array
    weights : (N,) array
        Of sum 0: with another one there is no maximum.
    slope : float
    method : {"auto", "sweep", "cones", "enumerate", "sampled"}
        "sweep" is exact for points that span a line, in O(N log N), or a plane, in O(N^2 log N); "cones" is branch and
        bound for any number of columns; "enumerate" goes through all activation patterns about each point and is for
        checks; "sampled" gives a lower bound, the best offset of random directions. "auto" sweeps lines, and planes of
        at most 1,024 points.
    gap, time_limit, max_nodes, rng, progress, level : as in `maximize`

    Returns
    -------
    Maximum
        Its direction has d + 1 entries, u of length 1 and b.

    Raises
    ------
    ValueError
        If the weights do not add up to 0.

    References
    ----------
    The sweep and the bounds are derived here. As a statistic, with a smoother penalty in place of |u| <= 1: the
    Radon-Kolmogorov-Smirnov test of degree 1, arXiv 2309.02422.
    """
    request = Request.read(rows, weights, METHODS, method, gap, time_limit, max_nodes, rng, progress, level)
    rows, weights, deadline, late = request.rows, request.weights, request.deadline, request.late
    wide = 2 * float(np.linalg.norm(rows.max(axis=0) / 2 - rows.min(axis=0) / 2))
    scale, mass = power_above(wide), power_above(weights)
    side = reduce_points(rows / scale, weights / mass, slope, whole=late)
    unit, q = scale * mass, side.dim - 1
    method = request.about_points(q, len(side.rows))
    stats: dict[str, Any] = {"rank": q, "rows": len(side.rows)}
    side = side if q <= 1 else replace(side, slack=side.slack + _rounding(side, len(side.rows) + 64))
    if method == "cones" and q > 1:
        z, bound, status = request.by_cones(OffsetSearch, side, unit, stats)
    elif method == "sampled" and q > 1:
        z, bound, status = _sampled(side, request.draw, deadline), side.absolute_bound(), "stopped"
    else:
        z, bound, status = _enumerated(side) if method == "enumerate" and q > 0 else _swept(side, deadline)
    stats["seconds"] = request.seconds
    bound, u = bound * (1 + ROUNDING) + side.slack, unit_vector(side.basis @ z[:-1])
    m = min(max(_at(side, z), -bound), bound)
    direction = np.append(u, (z[-1] - u @ side.centre) * scale)
    return Maximum.at(direction, m * unit, bound * unit, status, method, stats)


def _rounding(side: Offsets, roundings: int) -> float:
    """What sums over all rows may be off by after so many roundings, for offsets within the points' reach."""
    sizes = np.linalg.norm(side.rows[:, :-1], axis=1) + side.rows[:, -1] * side.reach
    return gamma(roundings) * float(sizes.sum() + np.linalg.norm(side.linear))


def _at(side: Offsets, z: Array) -> float:
    """m at (u, b) with |u| <= 1, what rounding may have added taken off."""
    seen = side.weights * np.maximum(side.points @ z[:-1] + z[-1], 0.0)
    m = math.fsum([float(side.linear @ z), *seen.tolist()])
    return math.copysign(max(abs(m) - side.slack, 0.0), m)


def _best(side: Offsets, U: Array) -> Array:
    """(u, b) with the direction of U (k, q), and its offset, for which |m| is largest."""
    tried = [z for u in U for z in (side.with_offset(u), side.negated().with_offset(u))]
    return tried[int(np.argmax([abs(side.value(z)) for z in tried]))]


def _swept(side: Offsets, deadline: Deadline) -> tuple[Array, float, str]:
    """Where |m| is largest on a line or in a plane, an upper bound, and the status."""
    points, weights, linear = side.points, side.weights, side.linear[:-1]
    if side.dim == 1:
        return np.zeros(1), 0.0, "optimal"
    if side.dim == 2:
        value, z, roundings = sweep_line(points[:, 0], weights, float(linear[0]))
        return z, abs(value) + _rounding(side, roundings + 8), "optimal"
    value, u, finished = sweep_plane(points, weights, linear, deadline)
    z = _best(side, np.stack([u, -u]))
    return (z, value, "optimal") if finished else (z, side.absolute_bound(), "stopped")


def _enumerated(side: Offsets) -> tuple[Array, float, str]:
    """Where |m| is largest, its size there and the status, from all activation patterns about each point."""
    points, weights, linear = side.points, side.weights, side.linear[:-1]
    check_cells(len(points), side.dim)
    tried = [linear]
    for x in points:
        about = reduce_rows(np.vstack([points - x, linear, -linear]), np.append(weights, [1.0, -1.0]))
        tried.append(about.basis @ enumerated_maximum(about) if about.dim else linear)
    U = np.array([u / np.linalg.norm(u) for u in tried if u.any()]).reshape(-1, side.dim - 1)
    z = _best(side, U) if len(U) else np.zeros(side.dim)
    return z, abs(side.value(z)), "optimal"


def _sampled(side: Offsets, rng: np.random.Generator, deadline: Deadline) -> Array:
    """(u, b) with the best of random directions, or the first of them."""

    def offset(u: Array) -> tuple[float, Array]:
        z = _best(side, (u / np.linalg.norm(u))[None])
        return abs(side.value(z)), z

    return best_of_directions(offset, side.dim - 1, rng, deadline)
