"""Activation patterns of random directions: a lower bound by name, never exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats
from convexgan._tools.checks import as_rng
from convexgan._tools.deadline import Deadline
from convexgan.arrangements.enumeration import cover_bound
from convexgan.arrangements.reduce import Arrangement
from convexgan.arrangements.zonotope import maximize_concave

Array = NDArray[np.float64]
DRAWS = 10_000
BATCH = 1_000
REFINED = 10  # directions from which an ascent starts


def sampled_patterns(rows: Array, draws: int, rng: np.random.Generator | int | None = None) -> NDArray[np.bool_]:
    """The different patterns (rows @ u > 0) of Gaussian directions u, (cells, N).

    A small cell is easily missed: ten times as many draws as there are cells finds 33 to 74 % of them.
    """
    rng, rows = as_rng(rng), as_floats(rows, "rows")
    found: set[bytes] = set()
    for first in range(0, draws, BATCH):
        U = rng.standard_normal((min(BATCH, draws - first), rows.shape[1]))
        found.update(row.tobytes() for row in np.packbits(U @ rows.T > 0, axis=1))
    packed = np.frombuffer(b"".join(sorted(found)), dtype=np.uint8).reshape(len(found), -1)
    return np.unpackbits(packed, axis=1, count=len(rows)).astype(bool)


def sampled_maximum(
    arrangement: Arrangement, rng: np.random.Generator | int | None, time_limit: float | None
) -> tuple[Array, dict[str, float]]:
    """A good direction for |m| from the gradients of random cells, refined by ascents, and what was covered.

    Returns
    -------
    u : (p,) array, a unit vector
    stats : dict
        ``cells_found`` and ``coverage``, their share of Cover's bound.
    """
    deadline = Deadline(time_limit)
    rng, tried = as_rng(rng), []
    found: set[bytes] = set()
    for _ in range(DRAWS // BATCH):
        U = rng.standard_normal((BATCH, arrangement.dim))
        active = arrangement.rows @ U.T > 0
        found.update(row.tobytes() for row in np.packbits(active.T, axis=1))
        gradients = arrangement.linear + (active.T * arrangement.signs) @ arrangement.rows
        tried.append(_best(arrangement, np.vstack([U, gradients, -gradients])))
        if deadline.over:
            break
    starts = np.vstack(tried)
    refined = [_ascend(arrangement, u) for u in starts[:REFINED]] if not deadline.over else []
    u = _best(arrangement, np.vstack([starts, *refined]))[0]
    bound = cover_bound(len(arrangement.rows), arrangement.dim)
    return u, {"cells_found": len(found), "coverage": len(found) / bound}


def _best(arrangement: Arrangement, directions: Array) -> Array:
    """The best of the directions, normalised, (1, p)."""
    lengths = np.linalg.norm(directions, axis=1)
    U = directions[lengths > 0] / lengths[lengths > 0, None]
    return np.asarray(U[[int(np.argmax(np.abs(arrangement.values(U))))]])


def _ascend(arrangement: Arrangement, u: Array) -> Array:
    """A few convex-concave steps from u, (1, p)."""
    side = arrangement if arrangement.value(u) > 0 else arrangement.negated()
    for _ in range(5):
        moved = maximize_concave(side.linear + side.plus[side.plus @ u > 0].sum(axis=0), side.minus, u)[1]
        if not moved.any():
            break
        u = moved
    return u[None, :]
