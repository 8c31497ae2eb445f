"""The nearest point of a zonotope: how a concave piecewise-linear function is maximised on the unit ball."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline

Array = NDArray[np.float64]
STEPS = 1000
ACCURACY = 1e-14


def positive_rows(rows: Array, u: Array) -> Array:
    """The sum (p,) of the rows that u sees: a product, which takes a tenth of the time of picking them."""
    return np.asarray((rows @ u > 0).astype(np.float64) @ rows)


def maximize_concave(
    linear: Array, minus: Array, start: Array | None = None, deadline: Deadline | None = None
) -> tuple[float, Array]:
    """The maximum over |u| <= 1 of linear . u - sum_j max(minus_j . u, 0), and its direction u.

    By duality it is the distance from ``linear`` to the zonotope {sum_j t_j minus_j, 0 <= t <= 1}, and
    u points from the nearest point to ``linear``. Wolfe's active-set method: exact after finitely many steps.

    Parameters
    ----------
    linear : (p,) array
    minus : (m, p) array
    start : (p,) array, optional
        A direction near the maximiser.
    deadline : Deadline, optional
        After which the bound is no longer tight.

    Returns
    -------
    value : float
        An upper bound, equal to the maximum up to rounding.
    u : (p,) array
        A unit vector, zero if the maximum is zero.

    References
    ----------
    Wolfe, Finding the nearest point in a polytope, Mathematical Programming 11, 1976.
    """
    point = linear.copy()
    if len(minus):
        size = float(np.linalg.norm(linear)) + float(np.linalg.norm(np.abs(minus).sum(axis=0)))
        point = shortest(
            lambda u: linear - positive_rows(minus, u), linear if start is None else start, size, deadline or Deadline()
        )
    length = float(np.linalg.norm(point))
    return length, point / length if length > 0 else point


def shortest(lowest: Callable[[Array], Array], start: Array, size: float, deadline: Deadline) -> Array:
    """The shortest vector of a polytope of this size, by Wolfe's method; ``lowest(u)`` is a vertex least along u."""
    point = lowest(start)
    corral, weights = point[None, :], np.ones(1)
    for _ in range(STEPS):
        if deadline.over:
            break
        if float(np.linalg.norm(point)) <= ACCURACY * size:
            return np.zeros_like(point)
        vertex = lowest(point)
        gain = float(point @ (point - vertex))
        if gain <= ACCURACY * size * float(np.linalg.norm(point)):
            break
        if (np.abs(corral - vertex).sum(axis=1) <= 1e-15 * size).any():
            break  # rounding: the vertex is in the corral already
        corral, weights = np.vstack([corral, vertex]), np.append(weights, 0.0)
        corral, weights = _to_affine_minimum(corral, weights)
        point = weights @ corral
    return np.asarray(point)


def _to_affine_minimum(corral: Array, weights: Array) -> tuple[Array, Array]:
    """Move to the shortest vector of the affine hull, dropping vertices whose weight reaches zero on the way."""
    while True:
        target = _affine_minimum(corral)
        if (target > 0).all():
            return corral, target
        falling = target <= 0
        steps = weights[falling] / np.maximum(weights[falling] - target[falling], 1e-300)
        step = min(float(steps.min()), 1.0)
        weights = (1 - step) * weights + step * target
        kept = ~falling | (weights > 1e-15)
        kept[np.flatnonzero(falling)[np.argmin(steps)]] = False
        corral, weights = corral[kept], np.maximum(weights[kept], 0)
        weights = weights / weights.sum()
        if len(weights) == 1:
            return corral, weights


def _affine_minimum(corral: Array) -> Array:
    """Weights, summing to 1, of the shortest vector in the affine hull of the rows."""
    edges = corral[1:] - corral[0]
    rest = np.linalg.lstsq(edges.T, -corral[0], rcond=1e-13)[0]
    return np.concatenate([[1 - rest.sum()], rest])
