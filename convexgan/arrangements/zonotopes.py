"""The nearest points of many zonotopes at once, by the method of `zonotope`: near a cut many neurons are tried."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan.arrangements.zonotope import ACCURACY

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]
RIDGE = 1e-14  # of unit edges, which rounding may have made parallel


class Corrals:
    """Wolfe's active-set method, see `zonotope.shortest`, for the shortest vectors of many polytopes in step.

    Their corrals are slots of one array.

    Attributes
    ----------
    points : (k, p) array
        The shortest vectors of the corrals.
    """

    def __init__(self, vertices: Array, size: float) -> None:
        """From a vertex (k, p) of each polytope; ``size`` is at least that of every polytope."""
        count, p = vertices.shape
        self.points, self._tiny, self._stalled = vertices.copy(), ACCURACY * size, np.zeros(count, dtype=bool)
        self._corral, self._weights = np.zeros((count, p + 1, p)), np.zeros((count, p + 1))
        self._used = np.zeros((count, p + 1), dtype=bool)
        self._corral[:, 0], self._weights[:, 0], self._used[:, 0] = vertices, 1.0, True

    def advance(self, which: Indices, vertex: Array) -> Mask:
        """Add to the corrals ``which`` the vertices least along their points; whether these were not the shortest."""
        here, used = self.points[which], self._used[which]
        lengths = np.linalg.norm(here, axis=1)
        gains = np.einsum("kp,kp->k", here, here - vertex)
        # a vertex that is in the corral already is rounding
        apart = np.abs(self._corral[which] - vertex[:, None]).sum(axis=2) > self._tiny / 10
        going = (lengths > self._tiny) & (gains > self._tiny * lengths) & (apart | ~used).all(axis=1)
        going &= ~used.all(axis=1) & ~self._stalled[which]
        on = which[going]
        slot = np.argmin(self._used[on], axis=1)
        self._corral[on, slot], self._used[on, slot], self._weights[on, slot] = vertex[going], True, 0.0
        self._settle(on)
        self._stalled[on] = np.linalg.norm(self.points[on], axis=1) >= lengths[going]
        return np.asarray(going)

    def move(self, which: Indices, steps: Array) -> None:
        """The polytopes ``which`` moved by so much (k, p)."""
        self._corral[which] += steps[:, None]
        self._stalled[which] = False
        self._settle(which)

    def _settle(self, which: Indices) -> None:
        """The shortest vectors of the corrals, without what these do not need."""
        self._weights[which], self._used[which] = _to_affine_minima(
            self._corral[which], self._weights[which], self._used[which]
        )
        self.points[which] = np.einsum("ki,kip->kp", self._weights[which], self._corral[which])


def _to_affine_minima(corral: Array, weights: Array, used: Mask) -> tuple[Array, Mask]:
    """Weights of the shortest vectors of affine hulls, after vertices whose weights reach zero on the way are left."""
    moving = np.arange(len(corral))
    while len(moving):
        w, on = weights[moving], used[moving]
        target = _affine_minima(corral[moving], on)
        falling = on & (target <= 0)
        inside = ~falling.any(axis=1)
        weights[moving[inside]] = target[inside]
        if inside.all():
            break
        moving, w, target = moving[~inside], w[~inside], target[~inside]
        on, falling = on[~inside], falling[~inside]
        steps = np.where(falling, w / np.maximum(w - target, 1e-300), np.inf)
        first = np.argmin(steps, axis=1)
        step = np.minimum(steps[np.arange(len(moving)), first], 1.0)[:, None]
        w = (1 - step) * w + step * target
        on &= ~falling | (w > 1e-15)
        on[np.arange(len(moving)), first] = False
        w = np.maximum(w, 0.0) * on
        weights[moving], used[moving] = w / w.sum(axis=1, keepdims=True), on
    return weights, used


def _affine_minima(corral: Array, used: Mask) -> Array:
    """Weights (k, p + 1) of sum 1 of the shortest vector in the affine hull of each corral's used rows."""
    every, first = np.arange(len(corral)), np.argmax(used, axis=1)
    base = corral[every, first]
    others = used.copy()
    others[every, first] = False
    edges = np.where(others[:, :, None], corral - base[:, None], 0.0)
    lengths = np.linalg.norm(edges, axis=2)
    units = edges / np.where(lengths > 0, lengths, 1.0)[:, :, None]
    gram = np.einsum("kip,kjp->kij", units, units)
    diagonal = np.arange(gram.shape[1])
    gram[:, diagonal, diagonal] += np.where(others & (lengths > 0), RIDGE, 1.0)
    along = np.linalg.solve(gram, -np.einsum("kip,kp->ki", units, base)[:, :, None])[:, :, 0]
    rest = np.where(lengths > 0, along / np.where(lengths > 0, lengths, 1.0), 0.0)
    rest[every, first] = 1 - rest.sum(axis=1)
    return rest
