"""The exact maximum on the circle of a sum of squared rectified rows, from sorted boundary angles: O(N log N)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import gamma
from convexgan.arrangements.squares import Squares
from convexgan.arrangements.sweep2d import Arcs

Array = NDArray[np.float64]


def sweep_squares(squares: Squares) -> tuple[Array, float]:
    """A unit vector at which |m| is largest, (2,), for p = 2, and an upper bound on |m|.

    Between two neighbouring boundary angles m is a quadratic form, known from prefix sums: it is largest at an
    eigenvector, if that lies between them, or at an end.
    """
    u, value = Arcs(squares.rows, _waves(squares.rows)).peak(squares, _parts(squares.form))
    return u, value + gamma(8 * len(squares.rows) + 64) * squares.size


def sweep_square_values(rows: Array, weights: Array) -> Array:
    """max over unit u of |sum_i weights_i max(rows_i . u, 0)^2| for many weightings of the same rows.

    Derived here: between two sorted angles at which a row changes sign the sum is a constant and a wave of twice the
    angle, whose extremes are known.

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
    return Arcs(rows, _waves(rows)).largest(weights)


def _parts(form: Array) -> Array:
    """(h, p, q) of u'form u = h + p cos 2t + q sin 2t at the angle t."""
    return np.array([form[0, 0] + form[1, 1], form[0, 0] - form[1, 1], form[0, 1] + form[1, 0]]) / 2


def _waves(rows: Array) -> Array:
    """The `_parts` of each row's square, (N, 3)."""
    x, y = rows.T
    return np.column_stack([(x * x + y * y) / 2, (x - y) * (x + y) / 2, x * y])
