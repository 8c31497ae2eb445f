"""The minimum of |y|^2 minus rectified affine functions, by branch and bound over boxes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline

Array = NDArray[np.float64]
CHUNK = 512  # boxes bounded together
MAX_BOXES = 200_000  # a limit on work that gives the same bound on every machine
SWEEPS = 3
SETTLED = 1e-3  # how much less cutting a box helps losses, whose shares adapt


@dataclass(frozen=True)
class Minimum:
    """Points where the function is low, and a lower bound.

    Attributes
    ----------
    bound : float
        At most the minimum over R^d.
    points, values : (k, d) and (k,) arrays
        The lowest point found in each cell of the rows where one was found, ascending.
    exact : bool
        Whether the search ended: the bound is then within its tolerance of the minimum.
    boxes : int
    """

    bound: float
    points: Array
    values: Array
    exact: bool
    boxes: int


class _Function:
    """f(y) = |y|^2 - sum_j gains_j max(rows_j . y + shifts_j, 0) + the same with ``losses``, all weights positive."""

    def __init__(self, rows: Array, shifts: Array, weights: Array) -> None:
        up, down = weights > 0, weights < 0
        self.rows, self.shifts, self.weights = rows, shifts, weights
        self.gains = rows[up] * weights[up, None], shifts[up] * weights[up]  # w max(t, 0) = max(w t, 0)
        self.losses = -rows[down] * weights[down, None], -shifts[down] * weights[down]

    def __call__(self, Y: Array) -> Array:
        raised = np.maximum(Y @ self.rows.T + self.shifts, 0) @ self.weights
        return np.asarray(np.einsum("kd,kd->k", Y, Y) - raised)

    def root(self) -> tuple[Array, Array]:
        """A box with all minimisers: there 2 y is a sum of weighted rows, each taken by a share in [0, 1]."""
        slopes = np.concatenate([self.gains[0], -self.losses[0]])
        return np.minimum(slopes, 0).sum(axis=0) / 2, np.maximum(slopes, 0).sum(axis=0) / 2

    def bound(self, low: Array, high: Array, shares: Array) -> tuple[_Boxes, Array]:
        """Boxes (B, d) with their lower bounds, and the points where those are attained.

        A gain is at most its chord over the box; a loss is at least any share in [0, 1] of its affine function, by
        coordinate ascent. What is left is |y|^2 minus an affine function.
        """
        middle, half = (low + high) / 2, (high - low) / 2
        rows, shifts = self.gains
        t, spread = middle @ rows.T + shifts, half @ np.abs(rows).T
        torn = np.abs(t) < spread
        chord = np.where(torn, (t + spread) / np.maximum(2 * spread, 1e-300), t > 0)
        slope = chord @ rows
        constant = -chord @ shifts - np.where(torn, chord * (spread - t), 0.0).sum(axis=1)
        reach = torn.astype(float) @ np.abs(rows)
        rows, shifts = self.losses
        t, spread = middle @ rows.T + shifts, half @ np.abs(rows).T
        free = np.abs(t) < spread
        shares = self._shares(slope, np.where(free, shares, t > 0), free)
        slope, constant = slope - shares @ rows, constant + shares @ shifts
        reach += SETTLED * free.astype(float) @ np.abs(rows)
        y = np.clip(slope / 2, low, high)
        bounds = np.einsum("kd,kd->k", y, y - slope) + constant
        return _Boxes(low, high, bounds, shares, np.argmax(reach * half, axis=1)), y

    def _shares(self, slope: Array, shares: Array, free: NDArray[np.bool_]) -> Array:
        """Shares whose minimum of |y|^2 - (slope - shares . rows) . y + shares . shifts over R^d is nearly largest."""
        rows, shifts = self.losses
        shares, slope = shares.astype(float), slope - shares @ rows
        lengths = np.maximum(np.einsum("kd,kd->k", rows, rows), 1e-300)
        for _ in range(SWEEPS):
            for j, row in enumerate(rows):
                step = (slope @ row + 2 * shifts[j]) / lengths[j]
                moved = np.where(free[:, j], np.clip(shares[:, j] + step, 0, 1), shares[:, j])
                slope = slope - (moved - shares[:, j])[:, None] * row
                shares[:, j] = moved
        return shares


@dataclass(frozen=True, eq=False)
class _Boxes:
    """Boxes from ``low`` to ``high`` (B, d): lower bounds, the losses' shares (B, K), the axes along which to cut."""

    low: Array
    high: Array
    bounds: Array
    shares: Array
    axes: NDArray[np.intp]

    def take(self, chosen: NDArray[Any]) -> _Boxes:
        """Some of the boxes."""
        return _Boxes(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def join(self, other: _Boxes) -> _Boxes:
        """The boxes of two families in one."""
        return _Boxes(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))

    def halved(self) -> tuple[Array, Array]:
        """Two boxes for each, cut in the middle of its axis."""
        every = np.arange(len(self.low))
        middle = (self.low[every, self.axes] + self.high[every, self.axes]) / 2
        low, high = np.repeat(self.low, 2, axis=0), np.repeat(self.high, 2, axis=0)
        high[2 * every, self.axes] = middle
        low[2 * every + 1, self.axes] = middle
        return low, high


def minimize_rectified(
    rows: Array,
    shifts: Array,
    weights: Array,
    start: Array | None = None,
    *,
    tol: float = 1e-12,
    max_boxes: int = MAX_BOXES,
    time_limit: float | None = None,
) -> Minimum:
    """The minimum over R^d of |y|^2 - sum_j weights_j max(rows_j . y + shifts_j, 0), from both sides.

    Branch and bound; the bounds of boxes are derived here.

    Parameters
    ----------
    rows, shifts, weights : (K, d), (K,) and (K,) arrays
        Weights of any sign.
    start : (k, d) array, optional
        Points where the function is low.
    tol : float
        Boxes that lie no deeper than this below the lowest point found are not cut.
    max_boxes : int
        Boxes to bound; the lower bound holds wherever the search stops.
    time_limit : float, optional
        Seconds; 0 gives a valid bound at once.
    """
    deadline = Deadline(time_limit)
    f, zero = _Function(rows, shifts, weights), np.zeros((1, rows.shape[1]))
    found = [zero if start is None else np.vstack([start, zero])]
    best, settled, count = float(f(found[0]).min()), np.inf, 1
    low, high = f.root()
    boxes, _ = f.bound(low[None, :], high[None, :], np.zeros((1, len(f.losses[0]))))
    while len(boxes.bounds) and count < max_boxes and not deadline.over:
        picked = np.argsort(boxes.bounds)[:CHUNK]
        parents = boxes.take(picked)
        children, y = f.bound(*parents.halved(), np.repeat(parents.shares, 2, axis=0))
        values, count = f(y), count + len(y)
        best = min(best, float(values.min()))
        found.append(y[values <= best + tol])
        boxes = boxes.take(np.setdiff1d(np.arange(len(boxes.bounds)), picked)).join(children)
        live = boxes.bounds < best - tol
        settled = min(settled, float(boxes.bounds[~live].min(initial=np.inf)))
        boxes = boxes.take(live)
    bound = min(best, settled, float(boxes.bounds.min(initial=np.inf)))
    points = np.vstack(found)
    points = points[np.argsort(f(points))]
    cells = np.sort(np.unique(points @ rows.T + shifts > 0, axis=0, return_index=True)[1])
    return Minimum(bound, points[cells], f(points[cells]), not len(boxes.bounds), count)
