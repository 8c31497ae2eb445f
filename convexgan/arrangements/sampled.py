"""Random directions and their activation patterns: a lower bound by name, never exact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats
from convexgan._tools.checks import as_rng
from convexgan._tools.deadline import Deadline
from convexgan.arrangements.enumeration import cover_bound
from convexgan.arrangements.reduce import WORK, Arrangement
from convexgan.arrangements.zonotope import maximize_concave, positive_rows

Array = NDArray[np.float64]
DRAWS = 10_000
BATCH = 1_000
REFINED = 10  # directions from which an ascent starts
DIRECTIONS = 300  # where the same are used for many weights
CLIMBS = 20  # steps of an ascent by gradients, each the best of these lengths
LENGTHS = np.array([0.03, 0.1, 0.3, 1.0, 3.0, 30.0])


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
    arrangement: Arrangement, rng: np.random.Generator | int | None, deadline: Deadline
) -> tuple[Array, dict[str, float]]:
    """A good direction for |m| from the gradients of random cells, refined by ascents, and what was covered.

    Returns
    -------
    u : (p,) array, a unit vector
    stats : dict
        ``cells_found`` and ``coverage``, their share of Cover's bound.
    """
    rng, tried = as_rng(rng), []
    found: set[bytes] = set()
    step = max(1, min(BATCH, WORK // max(len(arrangement.rows), 1)))
    for i in range(0, DRAWS, step):
        U = rng.standard_normal((min(step, DRAWS - i), arrangement.dim))
        active = U @ arrangement.rows.T > 0
        found.update(row.tobytes() for row in np.packbits(active, axis=1))
        gradients = arrangement.linear + (active * arrangement.signs) @ arrangement.rows
        tried.append(_best(arrangement, np.vstack([U, gradients, -gradients]), 1))
        if deadline.over:
            break
    starts = _best(arrangement, np.vstack(tried), REFINED)
    refined = [_ascend(arrangement, u, deadline) for u in starts]
    u = _best(arrangement, np.vstack([starts, *refined]), 1)[0]
    bound = cover_bound(len(arrangement.rows), arrangement.dim)
    return u, {"cells_found": len(found), "coverage": len(found) / bound}


def _best(arrangement: Arrangement, directions: Array, count: int) -> Array:
    """The best of the directions, normalised, (count, p)."""
    lengths = np.linalg.norm(directions, axis=1)
    U = directions[lengths > 0] / lengths[lengths > 0, None]
    return np.asarray(U[np.argsort(-np.abs(arrangement.values(U)), kind="stable")[:count]])


def _ascend(arrangement: Arrangement, u: Array, deadline: Deadline) -> Array:
    """A few convex-concave steps from u, (1, p)."""
    side = arrangement if arrangement.value(u) > 0 else arrangement.negated()
    for _ in range(5):
        moved = maximize_concave(side.linear + positive_rows(side.plus, u), side.minus, u, deadline)[1]
        if deadline.over or not moved.any():
            break
        u = moved
    return u[None, :]


def climb(
    rows: Array, weights: Array, linear: Array, U: Array, deadline: Deadline | None = None
) -> tuple[Array, Array]:
    """Unit vectors (k, p) that ascents of |linear . u + sum_i weights_i max(rows_i . u, 0)| from U reach, and values.

    All at once, each by the best of some steps along the gradient, as long as one of them rises and there is time.
    """
    every, deadline = np.arange(len(U)), deadline or Deadline()
    values = np.maximum(U @ rows.T, 0) @ weights + U @ linear
    for _ in range(CLIMBS):
        slopes = (((U @ rows.T > 0) * weights) @ rows + linear) * np.sign(values)[:, None]
        slopes /= np.maximum(np.linalg.norm(slopes, axis=1), 1e-300)[:, None]
        tried = U + LENGTHS[:, None, None] * slopes
        tried /= np.maximum(np.linalg.norm(tried, axis=2), 1e-300)[:, :, None]
        heights = np.maximum(tried @ rows.T, 0) @ weights + tried @ linear
        best = np.abs(heights).argmax(axis=0)
        higher = np.abs(heights[best, every]) > np.abs(values)
        U, values = np.where(higher[:, None], tried[best, every], U), np.where(higher, heights[best, every], values)
        if not higher.any() or deadline.over:
            break
    return U, values


@dataclass(frozen=True, eq=False)
class Sampled:
    """What ascents from the best of random directions see of the same rows (N, p) under any weights.

    Which rows a direction sees is found once; the gradients there, and their opposites, are directions too.
    """

    rows: Array
    directions: Array

    @classmethod
    def draw(cls, rows: Array, seed: int) -> Sampled:
        """Ascents of the rows from the random directions of a seed."""
        U = np.random.default_rng(seed).standard_normal((min(DIRECTIONS, max(1, WORK // len(rows))), rows.shape[1]))
        return cls(rows, U / np.linalg.norm(U, axis=1)[:, None])

    @cached_property
    def _seen(self) -> Array:
        return (self.directions @ self.rows.T > 0).astype(np.float64)

    def value(self, weights: Array, linear: Array) -> float:
        """The largest |linear . u + sum_i weights_i max(rows_i . u, 0)| found."""
        U, slope = self.directions, weights @ self.rows
        slopes = self._seen @ (weights[:, None] * self.rows) + linear
        lengths = np.linalg.norm(slopes, axis=1)
        units = slopes / np.where(lengths > 0, lengths, 1.0)[:, None]
        ahead = np.maximum(units @ self.rows.T, 0) @ weights + units @ linear
        behind = ahead - units @ (slope + 2 * linear)  # max(-t, 0) = max(t, 0) - t
        heights = np.concatenate([np.einsum("kp,kp->k", U, slopes), ahead, behind])
        starts = np.argsort(-np.abs(heights), kind="stable")[:REFINED]
        reached = climb(self.rows, weights, linear, np.vstack([U, units, -units])[starts])[1]
        return float(np.abs(reached).max(initial=0.0))
