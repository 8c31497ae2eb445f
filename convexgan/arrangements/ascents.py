"""Local maxima of a piecewise-linear function on the ball: many answers where one global maximum is not enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.reduce import Arrangement, reduce_rows
from convexgan.arrangements.zonotope import maximize_concave, positive_rows

Array = NDArray[np.float64]
STEPS = 30


def local_maxima(rows: Array, weights: Array, starts: Array, time_limit: float | None = None) -> tuple[Array, Array]:
    """Unit vectors (k, d) where |sum_i weights_i max(rows_i . u, 0)| is locally largest, and its values there (k,).

    From each start (d,) both signs ascend by convex-concave steps, each of which maximises the sum with the rows of
    positive weight held in u's cell. After ``time_limit`` seconds they go on no further. Source: Yuille and Rangarajan,
    The concave-convex procedure, 2003.
    """
    deadline = Deadline(time_limit)
    arrangement = reduce_rows(rows, weights)
    found = [
        ascend(side, u / np.linalg.norm(u), deadline)
        for side in (arrangement, arrangement.negated())
        for u in starts @ arrangement.basis
        if u.any() and not deadline.over
    ]
    U = np.array([u for u, _ in found]).reshape(len(found), arrangement.dim) @ arrangement.basis.T
    values = np.array([value for _, value in found])
    return U[values > 0], values[values > 0]


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
