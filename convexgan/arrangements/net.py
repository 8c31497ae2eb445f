"""Bounds on the maximum on the sphere in three columns for many weightings of the same rows, all from one net."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import gamma
from convexgan.arrangements.cones import centres, fan
from convexgan.arrangements.reduce import WORK

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
COARSEST, FINEST = 4, 6  # times that the octants are cut into four
FEW = 1500  # rows for which the coarsest net is fine enough; 16 times as many need the next


def net_size(rows: int) -> int:
    """The number of cones of the net for so many rows."""
    return int(8 * 4 ** _level(rows))


def net_bounds(rows: Array, weights: Array, linear: Array, deadline: Deadline) -> tuple[Array, Array] | None:
    """Bounds on max over unit u of |linear . u + sum_i weights_i max(rows_i . u, 0)|; None if the time is over.

    What does not depend on the weights is computed once. On a cone the sum is at most its interpolation from the rays,
    which rows without a kink there have no part in, and what this lacks of rows of negative weight: of max(t, 0), t the
    heights at the rays, no more than t+ t- / (t+ + t-), t+ the largest of them and -t- the least. Derived here.

    Parameters
    ----------
    rows : (N, 3) array
    weights : (B, N) array
    linear : (B, 3) array

    Returns
    -------
    low, high : (B,) arrays
        What is seen at the best ray, and an upper bound, with what rounding may have changed.
    """
    V, corners, reach = _net(_level(len(rows)))
    at, above, below = V @ linear.T, np.zeros((len(reach), len(weights))), np.zeros((len(reach), len(weights)))
    for i in range(0, len(rows), step := max(1, WORK // (3 * len(reach)))):
        if deadline.over:
            return None
        part, heights = weights[:, i : i + step].T, V @ rows[i : i + step].T
        at += np.maximum(heights, 0) @ part
        t = heights[corners]  # (K, 3, rows)
        ahead, behind = np.maximum(t.max(axis=1), 0), np.maximum(-t.min(axis=1), 0)
        lacking = ahead * behind / np.maximum(ahead + behind, 1e-300)
        above += lacking @ np.maximum(-part, 0)
        below += lacking @ np.maximum(part, 0)
    sizes = np.abs(weights) @ np.linalg.norm(rows, axis=1) + np.linalg.norm(linear, axis=1)
    rounding = gamma(4 * len(rows) + 64) * sizes
    tops = reach[:, None] * np.maximum(at[corners].max(axis=1) + above, below - at[corners].min(axis=1))
    return np.abs(at).max(axis=0) - rounding, tops.max(axis=0) + rounding


def _level(rows: int) -> int:
    return min(FINEST, COARSEST + max(0, round(math.log(max(rows, 1) / FEW, 16))))


@cache
def _net(level: int) -> tuple[Array, Indices, Array]:
    """Unit rays (V, 3), three of them for each cone (K, 3), and the largest sum of coordinates of a unit vector in it.

    With c a cone's centre every such vector sum_j a_j r_j has sum_j a_j (r_j . c) <= 1.
    """
    cones = fan(3)
    for _ in range(level):
        a, b, c = np.swapaxes(cones, 0, 1)
        ab, bc, ca = (side / np.linalg.norm(side, axis=1)[:, None] for side in (a + b, b + c, c + a))
        parts = (a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)
        cones = np.concatenate([np.stack(part, axis=1) for part in parts])
    flat = cones.reshape(-1, 3)
    _, first, which = np.unique(np.round(flat, 9), axis=0, return_index=True, return_inverse=True)
    rays, corners = flat[first], which.reshape(-1, 3)
    cones = rays[corners]
    nearness = np.einsum("kjp,kp->kj", cones, centres(cones)).min(axis=1)
    return rays, corners, (1 + 1e-12) / nearness
