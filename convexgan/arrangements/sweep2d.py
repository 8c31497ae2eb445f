"""The exact maximum of a piecewise-linear function on the circle, from sorted boundary angles: O(N log N)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import power_above
from convexgan.arrangements.reduce import Arrangement, SignedSum

Array = NDArray[np.float64]
BLOCK = 100_000  # weights whose arcs are in memory together


def sweep(arrangement: Arrangement) -> Array:
    """A unit vector at which |m| is largest, (2,), for p = 2.

    Between two neighbouring boundary angles m(u) = g . u with g from prefix sums, so the best angle of an arc is
    that of g (or -g), or an end of the arc.
    """
    return Arcs(arrangement.rows, arrangement.rows).peak(arrangement, arrangement.linear)[0]


def sweep_values(rows: Array, weights: Array) -> Array:
    """max over unit u of |sum_i weights_i max(rows_i . u, 0)| for many weightings of the same rows.

    Derived here: between two sorted angles at which a row changes sign the sum is a wave of the angle, whose extremes
    are known.

    Parameters
    ----------
    rows : (N, 2) or (N, 1) array
    weights : (B, N) array

    Returns
    -------
    (B,) array

    Raises
    ------
    ValueError
        The rows have more than two columns, or the weights are of other rows.
    """
    rows, weights = np.asarray(rows, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] not in (1, 2) or weights.ndim != 2 or weights.shape[1] != len(rows):
        raise ValueError(
            f"rows must have shape (N, 2) or (N, 1) and weights (B, N), got {rows.shape} and {weights.shape}: "
            "call maximize for each weighting of rows in higher dimension."
        )
    if rows.shape[1] == 1:
        ends = np.maximum(rows * np.array([1.0, -1.0]), 0)
        return np.asarray(np.abs(weights @ ends).max(axis=1))
    scale = power_above(rows)  # squares neither overflow nor vanish
    return Arcs(rows / scale, rows / scale).largest(weights) * scale


class Arcs:
    """The circle cut at the 2N angles where a row changes sign; on each arc m is a constant and a wave of the angle.

    Parameters
    ----------
    rows : (N, 2) array
    waves : (N, 2) or (N, 3) array
        What a row adds to m where it is active: the coefficients of cos(t) and sin(t); or a constant, and those of
        cos(2t) and sin(2t).
    """

    def __init__(self, rows: Array, waves: Array) -> None:
        self._order = waves.shape[1] - 1
        turns = np.arctan2(rows[:, 1], rows[:, 0])
        # a row is active on the half circle from its angle - pi/2 to its angle + pi/2
        angles = np.concatenate([turns - np.pi / 2, turns + np.pi / 2]) % (2 * np.pi)
        order = np.argsort(angles)
        self.starts = angles[order] if len(rows) else np.zeros(1)
        self.lengths = np.diff(self.starts, append=self.starts[0] + 2 * np.pi)
        self._changes = np.concatenate([waves, -waves])[order]
        self._row = np.concatenate([np.arange(len(rows))] * 2)[order]
        middle = self.starts[-1] + self.lengths[-1] / 2  # of the arc that closes the circle
        self._last = waves * (rows @ np.array([np.cos(middle), np.sin(middle)]) > 0)[:, None]

    def sums(self, weights: Array) -> Array:
        """The coefficients of m on every arc, (B, 2N, 2 or 3)."""
        if not len(self._row):
            return np.zeros((len(weights), 1, self._changes.shape[1]))
        steps = weights[:, self._row, None] * self._changes
        sums: Array = np.cumsum(steps, axis=1) + (weights @ self._last)[:, None, :]
        return sums

    def extremes(self, sums: Array) -> tuple[Array, Array]:
        """For every arc and both signs the best angle and the value there; shapes (B, 4N)."""
        period, level = 2 * np.pi / self._order, sums[..., 0] if self._order == 2 else 0.0
        cosine, sine = sums[..., -2], sums[..., -1]
        size, offset = np.hypot(cosine, sine), (np.arctan2(sine, cosine) / self._order - self.starts) % period
        angles, values = [], []
        for sign in (1.0, -1.0):
            ahead = offset if sign > 0 else (offset + period / 2) % period
            best = np.where(ahead > self.lengths, 0.0, ahead)  # the arc's end is the start of the next
            angles.append(self.starts + best)
            values.append(level + sign * size * np.cos(self._order * (ahead - best)))
        return np.concatenate(angles, axis=-1), np.concatenate(values, axis=-1)

    def peak(self, side: SignedSum, smooth: Array) -> tuple[Array, float]:
        """A unit vector (2,) at which |m| is largest, and that maximum as the arcs' sums have it.

        Parameters
        ----------
        side : SignedSum
            m, of the same rows and weights of size 1.
        smooth : (2,) or (3,) array
            Coefficients that m has on every arc besides.
        """
        angles, values = self.extremes(self.sums(side.signs[None, :]) + smooth)
        ends = angles[0, [int(values.argmax()), int(values.argmin())]]
        U = np.column_stack([np.cos(ends), np.sin(ends)])
        return U[int(np.argmax(np.abs(side.values(U))))], float(np.abs(values).max())

    def largest(self, weights: Array) -> Array:
        """max |m| over the circle for each of many weightings (B, N) of the rows, (B,)."""
        found, block = np.zeros(len(weights)), max(1, BLOCK // max(len(self._row) // 2, 1))
        for i in range(0, len(weights), block):
            sums = self.sums(weights[i : i + block])
            several = np.abs(self.extremes(sums)[1]) if self._order == 2 else self._heights(sums)
            found[i : i + block] = several.max(axis=1)
        return found

    def _heights(self, sums: Array) -> Array:
        """What |m| is at the start of every arc, and its peak inside where it has one; no arc is longer than pi."""
        first = np.column_stack([np.cos(self.starts), np.sin(self.starts)])
        last = np.roll(first, -1, axis=0)
        x, y = sums[..., 0], sums[..., 1]
        after, before = first[:, 0] * y - first[:, 1] * x, x * last[:, 1] - y * last[:, 0]
        inside = after * before > 0  # between both ends, or opposite to that
        peaks = np.sqrt(np.where(inside, x * x + y * y, 0.0))
        return np.maximum(np.abs(first[:, 0] * x + first[:, 1] * y), peaks)
