"""Local maxima of a piecewise-linear function on the ball: many answers where one global maximum is not enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.reduce import WORK, Arrangement, reduce_rows
from convexgan.arrangements.zonotope import maximize_concave, positive_rows
from convexgan.arrangements.zonotopes import shortest_all

Array = NDArray[np.float64]
STEPS = 30


def local_maxima(rows: Array, weights: Array, starts: Array, time_limit: float | None = None) -> tuple[Array, Array]:
    """Unit vectors (k, d) where |sum_i weights_i max(rows_i . u, 0)| is locally largest, and its values there (k,).

    From each start (d,) both signs ascend by convex-concave steps, each of which maximises the sum with the rows of
    positive weight held in u's cell, for all starts at once. After ``time_limit`` seconds they go on no further.
    Source: Yuille and Rangarajan, The concave-convex procedure, 2003.
    """
    deadline, arrangement = Deadline(time_limit), reduce_rows(rows, weights)
    U = starts @ arrangement.basis
    U = U[U.any(axis=1)]
    U /= np.linalg.norm(U, axis=1)[:, None]
    parts = np.array_split(U, max(1, -(-U.size * len(arrangement.rows) // WORK))) if len(U) else []
    found = [
        _ascend_all(side, part, deadline)
        for side in (arrangement, arrangement.negated())
        for part in parts
        if not deadline.over
    ]
    U = np.concatenate([u for u, _ in found] or [U[:0]]) @ arrangement.basis.T
    values = np.concatenate([value for _, value in found] or [np.zeros(0)])
    return U[values > 0], values[values > 0]


def _ascend_all(side: Arrangement, U: Array, deadline: Deadline) -> tuple[Array, Array]:
    """Local maxima of the side's function from unit vectors (k, p), or what is reached by then, and its values (k,)."""
    U, values, rising = U.copy(), side.values(U), np.arange(len(U))
    for _ in range(STEPS):
        if deadline.over or not len(rising):
            break
        here = U[rising]
        steep = side.linear + (here @ side.plus.T > 0).astype(np.float64) @ side.plus
        ahead = shortest_all(steep, side.minus, here, deadline)
        ahead /= np.maximum(np.linalg.norm(ahead, axis=1), 1e-300)[:, None]
        reached = side.values(ahead)
        higher = reached > values[rising] * (1 + 1e-12)
        rising = rising[higher]
        U[rising], values[rising] = ahead[higher], reached[higher]
    return U, values


def ascend(side: Arrangement, u: Array, deadline: Deadline) -> tuple[Array, float]:
    """A local maximum of the side's function from the unit vector u, or what is reached by then, and its value."""
    value = side.value(u)
    for _ in range(STEPS):
        if deadline.over:
            break
        _, ahead = maximize_concave(side.linear + positive_rows(side.plus, u), side.minus, u, deadline)
        reached = side.value(ahead)
        if reached <= value * (1 + 1e-12):
            break
        u, value = ahead, reached
    return u, value
