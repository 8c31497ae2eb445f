"""The nearest points of many zonotopes at once, by the method of `zonotope`: near a cut many neurons are tried."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.zonotope import ACCURACY, STEPS

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
RIDGE = 1e-14  # of unit edges, which rounding may have made parallel


def shortest_all(linear: Array, minus: Array, starts: Array, deadline: Deadline) -> Array:
    """The shortest vector (k, p) of each of the polytopes {linear_k - sum_j t_j minus_j, 0 <= t <= 1}.

    Wolfe's active-set method, see `zonotope.shortest`, whose corrals are slots of one array here.

    Parameters
    ----------
    linear, starts : (k, p) arrays
        Of each polytope; a direction near that of its shortest vector.
    minus : (m, p) array
    deadline : Deadline
        After which the vectors are not the shortest.
    """
    count, p = linear.shape
    every, size = np.arange(count), np.linalg.norm(linear, axis=1) + np.linalg.norm(np.abs(minus).sum(axis=0))
    corral, weights, used = np.zeros((count, p + 1, p)), np.zeros((count, p + 1)), np.zeros((count, p + 1), dtype=bool)
    corral[:, 0], weights[:, 0], used[:, 0] = _lowest(linear, minus, starts), 1.0, True
    points, live = corral[:, 0].copy(), every
    for _ in range(STEPS):
        here, tiny = points[live], ACCURACY * size[live]
        vertex, lengths = _lowest(linear[live], minus, here), np.linalg.norm(here, axis=1)
        gains = np.einsum("kp,kp->k", here, here - vertex)
        # a vertex that is in the corral already is rounding
        apart = np.abs(corral[live] - vertex[:, None]).sum(axis=2) > tiny[:, None] / 10
        going = (lengths > tiny) & (gains > tiny * lengths) & (apart | ~used[live]).all(axis=1)
        going &= ~used[live].all(axis=1)
        live, vertex = live[going], vertex[going]
        if not len(live) or deadline.over:
            break
        slot = np.argmin(used[live], axis=1)
        corral[live, slot], used[live, slot], weights[live, slot] = vertex, True, 0.0
        weights[live], used[live] = _to_affine_minima(corral[live], weights[live], used[live])
        points[live] = np.einsum("ki,kip->kp", weights[live], corral[live])
    return points


def _lowest(linear: Array, minus: Array, U: Array) -> Array:
    """The vertex of each polytope that is least along u, (k, p)."""
    return np.asarray(linear - (U @ minus.T > 0).astype(np.float64) @ minus)


def _to_affine_minima(corral: Array, weights: Array, used: Mask) -> tuple[Array, Mask]:
    """Weights of the shortest vectors of affine hulls, after vertices whose weights reach zero on the way are left."""
    moving = np.arange(len(corral))
    while True:
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
