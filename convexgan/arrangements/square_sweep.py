"""The exact maximum on the circle of a sum of squared rectified rows, from sorted boundary angles: O(N log N)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import gamma
from convexgan.arrangements.squares import Squares, squared_sums

Array = NDArray[np.float64]
BLOCK = 100_000  # weights whose arcs are in memory together


def sweep_squares(squares: Squares) -> tuple[Array, float]:
    """A unit vector at which |m| is largest, (2,), for p = 2, and an upper bound on |m|.

    Between two neighbouring boundary angles m is a quadratic form, known from prefix sums: it is largest at an
    eigenvector, if that lies between them, or at an end.
    """
    arcs = Arcs(squares.rows)
    angles, values = arcs.extremes(arcs.forms(squares.signs[None, :]) + _parts(squares.form))
    ends = angles[0, [int(values.argmax()), int(values.argmin())]]
    U = np.column_stack([np.cos(ends), np.sin(ends)])
    best = U[int(np.argmax(np.abs(squares.values(U))))]
    return best, float(np.abs(values).max()) + gamma(8 * len(squares.rows) + 64) * squares.size


def sweep_square_values(rows: Array, weights: Array) -> Array:
    """max over unit u of |sum_i weights_i max(rows_i . u, 0)^2| for many weightings of the same rows.

    Parameters
    ----------
    rows : (N, 2) or (N, 1) array
    weights : (B, N) array

    Returns
    -------
    (B,) array
    """
    if rows.shape[1] == 1:
        ends = np.maximum(rows * np.array([1.0, -1.0]), 0) ** 2
        return np.asarray(np.abs(weights @ ends).max(axis=1))
    arcs, found, block = Arcs(rows), np.zeros(len(weights)), max(1, BLOCK // len(rows))
    for i in range(0, len(weights), block):
        part = slice(i, i + block)
        found[part] = np.abs(arcs.extremes(arcs.forms(weights[part]))[1]).max(axis=1)
    return found


def on_a_line(squares: Squares) -> tuple[Array, float]:
    """The better end of a line, for rank 1, and an upper bound on |m|; nothing to choose for rank 0."""
    if squares.dim == 0:
        return np.zeros(0), 0.0
    ends = np.array([[1.0], [-1.0]])
    smooth = squares.form[0, 0]
    sizes = np.abs(smooth + squared_sums(ends, squares.plus) - squared_sums(ends, squares.minus))
    return ends[int(np.argmax(sizes))], float(sizes.max())


def _parts(form: Array) -> Array:
    """(h, p, q) of u'form u = h + p cos 2t + q sin 2t at the angle t."""
    return np.array([form[0, 0] + form[1, 1], form[0, 0] - form[1, 1], form[0, 1] + form[1, 0]]) / 2


class Arcs:
    """The circle cut at the 2N angles where a row changes sign."""

    def __init__(self, rows: Array) -> None:
        turns = np.arctan2(rows[:, 1], rows[:, 0])
        # a row is active on the half circle from its angle - pi/2 to its angle + pi/2
        angles = np.concatenate([turns - np.pi / 2, turns + np.pi / 2]) % (2 * np.pi)
        order = np.argsort(angles)
        self.starts = angles[order] if len(rows) else np.zeros(1)
        self.lengths = np.diff(self.starts, append=self.starts[0] + 2 * np.pi)
        x, y = rows.T
        squares = np.column_stack([(x * x + y * y) / 2, (x - y) * (x + y) / 2, x * y])
        self._changes = np.concatenate([squares, -squares])[order]
        self._row = np.concatenate([np.arange(len(rows))] * 2)[order]
        middle = self.starts[-1] + self.lengths[-1] / 2  # of the arc that closes the circle
        self._last = squares * (rows @ np.array([np.cos(middle), np.sin(middle)]) > 0)[:, None]

    def forms(self, weights: Array) -> Array:
        """The quadratic form of every arc as its `_parts`, (B, 2N, 3)."""
        if not len(self._row):
            return np.zeros((len(weights), 1, 3))
        steps = weights[:, self._row, None] * self._changes
        sums: Array = np.cumsum(steps, axis=1) + (weights @ self._last)[:, None, :]
        return sums

    def extremes(self, forms: Array) -> tuple[Array, Array]:
        """For every arc and both signs the best angle and the value there; shapes (B, 4N)."""
        level, size = forms[..., 0], np.hypot(forms[..., 1], forms[..., 2])
        offset = (np.arctan2(forms[..., 2], forms[..., 1]) / 2 - self.starts) % np.pi
        angles, values = [], []
        for sign in (1.0, -1.0):
            ahead = offset if sign > 0 else (offset + np.pi / 2) % np.pi
            best = np.where(ahead > self.lengths, 0.0, ahead)  # the arc's end is the start of the next
            angles.append(self.starts + best)
            values.append(level + sign * size * np.cos(2 * (ahead - best)))
        return np.concatenate(angles, axis=-1), np.concatenate(values, axis=-1)
