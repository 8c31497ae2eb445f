"""Local maxima on the ball of a sum of squared rectified rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import as_rng
from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import power_above
from convexgan.arrangements.reduce import WORK
from convexgan.arrangements.squares import Squares, reduce_squares

Array = NDArray[np.float64]
STEPS = 60
DRAWS = 10_000
BATCH = 1_000
REFINED = 10  # directions from which an ascent starts
GAIN = 1e-14  # relative, of a step that is no gain but rounding


def ascend_squares(side: Squares, u: Array, deadline: Deadline) -> tuple[Array, float]:
    """A local maximum of the side's m from the unit vector u, or what is reached by then, and its value.

    On the cell of u, m is a quadratic form; its top eigenvector is the next point if m is larger there, else a step
    along the gradient. A maximiser in the open is the top eigenvector of its own cell, and reached exactly.
    """
    value = side.value(u)
    for _ in range(STEPS):
        form = side.local_form(u)
        levels, vectors = np.linalg.eigh(form)
        shift = max(-float(levels[0]), 0.0) + 0.1 * (float(levels[-1]) - float(levels[0]))
        nearer = np.array([form @ u + share * shift * u for share in (0.1, 1.0, 10.0)])  # the last steps are short
        tried = np.vstack([vectors[:, -1], -vectors[:, -1], nearer])
        lengths = np.linalg.norm(tried, axis=1)
        tried = tried[lengths > 0] / lengths[lengths > 0, None]
        values = side.values(tried)
        best = int(np.argmax(values))
        if values[best] <= value * (1 + GAIN):
            break
        u, value = tried[best], float(values[best])
        if deadline.over:
            break
    return u, value


def local_square_maxima(
    rows: Array, weights: Array, starts: Array, time_limit: float | None = None
) -> tuple[Array, Array]:
    """Unit vectors (k, d) where |sum_i weights_i max(rows_i . u, 0)^2| is locally largest, and its values there (k,).

    From each start (d,) both signs ascend by `ascend_squares`, which is derived here. After ``time_limit`` seconds they
    go on no further.
    """
    deadline = Deadline(time_limit)
    row_scale, weight_scale = power_above(rows), power_above(weights)
    squares = reduce_squares(rows / row_scale, weights / weight_scale)
    found = [
        ascend_squares(side, u / np.linalg.norm(u), deadline)
        for side in (squares, squares.negated())
        for u in starts @ squares.basis
        if u.any() and not deadline.over
    ]
    U = np.array([u for u, _ in found]).reshape(len(found), squares.dim) @ squares.basis.T
    values = np.array([value for _, value in found]) * (row_scale * row_scale * weight_scale)
    return U[values > 0], values[values > 0]


def sampled_squares(squares: Squares, rng: np.random.Generator | int | None, deadline: Deadline) -> Array:
    """A good direction for |m|, (p,): the best of random ones and of the even part's eigenvectors, after ascents."""
    rng = as_rng(rng)
    vectors = squares.even_axes()
    tried = _best(squares, np.vstack([vectors, -vectors]), REFINED)
    step = max(1, min(BATCH, WORK // max(len(squares.rows), 1)))
    for i in range(0, DRAWS, step):
        U = rng.standard_normal((min(step, DRAWS - i), squares.dim))
        U /= np.linalg.norm(U, axis=1)[:, None]
        tried = _best(squares, np.vstack([tried, U]), REFINED)
        if deadline.over:
            break
    for u in list(tried):
        side = squares if squares.value(u) > 0 else squares.negated()
        tried = np.vstack([tried, ascend_squares(side, u, deadline)[0]])
    return np.asarray(_best(squares, tried, 1)[0])


def _best(squares: Squares, U: Array, count: int) -> Array:
    """The best of the directions, (count, p)."""
    return np.asarray(U[np.argsort(-np.abs(squares.values(U)))[:count]])
