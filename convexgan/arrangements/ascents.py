"""Local maxima of a piecewise-linear function on the ball: many answers where one global maximum is not enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.reduce import WORK, Arrangement, reduce_rows
from convexgan.arrangements.zonotope import maximize_concave, positive_rows
from convexgan.arrangements.zonotopes import Corrals

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
STEPS = 30
ROUNDS = 1000  # of one vertex each for all that still rise


def local_maxima(rows: Array, weights: Array, starts: Array, time_limit: float | None = None) -> tuple[Array, Array]:
    """Unit vectors (k, d) where |sum_i weights_i max(rows_i . u, 0)| is locally largest, and its values there (k,).

    Each start (d,) ascends, on the side on which it lies, by convex-concave steps, each of which maximises the sum with
    the rows of positive weight held in u's cell, all starts at once. After ``time_limit`` seconds they go on no
    further. Source: Yuille and Rangarajan, The concave-convex procedure, 2003.
    """
    deadline, arrangement = Deadline(time_limit), reduce_rows(rows, weights)
    U = starts @ arrangement.basis
    U = U[U.any(axis=1)]
    U /= np.linalg.norm(U, axis=1)[:, None]
    parts = np.array_split(U, max(1, -(-U.size * len(arrangement.rows) // WORK))) if len(U) else []
    found = [_ascend_all(arrangement, part, deadline) for part in parts if not deadline.over]
    U = np.concatenate([u for u, _ in found] or [U[:0]]) @ arrangement.basis.T
    values = np.concatenate([value for _, value in found] or [np.zeros(0)])
    return U[values > 0], values[values > 0]


def _ascend_all(arrangement: Arrangement, U: Array, deadline: Deadline) -> tuple[Array, Array]:
    """Local maxima from unit vectors (k, p), or what is reached by then, and their values (k,).

    Each step's concave maximum is the shortest vector of a polytope, which the next only moves: its corral is kept.
    """
    values = arrangement.values(U)
    U, turned = U[order := np.argsort(values < 0, kind="stable")], values[order] < 0
    sides, values, live = _Sides(arrangement, turned), np.abs(values[order]), np.arange(len(U))
    steep = sides.steep(live, U)
    corrals = Corrals(steep - sides.lost(live, U), sides.size)
    for _ in range(ROUNDS):
        if deadline.over or not len(live):
            break
        here = corrals.points[live]
        going = corrals.advance(live, steep[live] - sides.lost(live, here))
        arrived = live[~going]
        ahead = here[~going] / np.maximum(np.linalg.norm(here[~going], axis=1), 1e-300)[:, None]
        reached = sides.values(arrived, ahead)
        higher = reached > values[arrived] * (1 + 1e-12)
        rising = arrived[higher]
        U[rising], values[rising] = ahead[higher], reached[higher]
        moved = sides.steep(rising, ahead[higher])
        corrals.move(rising, moved - steep[rising])
        steep[rising], going[~going] = moved, higher
        live = live[going]
    return U, values


@dataclass(frozen=True, eq=False)
class _Sides:
    """The function for some vectors and its negative for others, those for which ``turned`` (k,), which come last."""

    arrangement: Arrangement
    turned: NDArray[np.bool_]

    @property
    def size(self) -> float:
        """Of the polytopes."""
        return float(np.linalg.norm(np.abs(self.arrangement.rows).sum(axis=0) + np.abs(self.arrangement.linear)))

    def steep(self, which: Indices, U: Array) -> Array:
        """The gradients of the linear and convex part at U, of the vectors ``which``, in order."""
        signs = np.where(self.turned[which], -1.0, 1.0)
        return signs[:, None] * self.arrangement.linear + self._seen(which, U, self.arrangement)

    def lost(self, which: Indices, U: Array) -> Array:
        """The gradients of what the concave part takes off."""
        return self._seen(which, U, self.arrangement.negated())

    def values(self, which: Indices, U: Array) -> Array:
        """Of the functions."""
        return np.where(self.turned[which], -1.0, 1.0) * self.arrangement.values(U)

    def _seen(self, which: Indices, U: Array, side: Arrangement) -> Array:
        """The sums of the positive rows seen, of the negative ones for those that are turned."""
        cut = int(np.count_nonzero(~self.turned[which]))
        parts = (U[:cut], side.plus), (U[cut:], side.minus)
        return np.concatenate([(u @ rows.T > 0).astype(np.float64) @ rows for u, rows in parts])


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
