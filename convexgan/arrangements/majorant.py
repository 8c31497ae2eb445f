"""A flatter function above m: rows of positive weight written as combinations of rows of negative weight.

If a_i = sum_j A_ij b_j + r_i then |a_i . u| <= sum_j |A_ij| |b_j . u| + |r_i . u|. Where the columns of A have l1 norms
c_j <= 1 this gives, for all u,

    sum_i |a_i . u| - sum_j |b_j . u|  <=  sum_i |r_i . u| - sum_j (1 - c_j) |b_j . u|,

and with max(t, 0) = (t + |t|) / 2 a function above m of the same form, whose convex part has the short rows r_i instead
of a_i: the bounds of branch and bound, which lose in proportion to the convex part, become far tighter.
Geometrically A is an affine decision rule that maps one zonotope towards the other; m is the difference of their
support functions. Compare Ben-Tal, El Ghaoui and Nemirovski, Robust Optimization, 2009, section 14.3.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.reduce import Arrangement

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
BLOCK = 128  # rows of each side that are paired with each other;
LARGE_BLOCK = 512  # where there is time for it: a round takes the cube, and is not interrupted
ROUNDS = 40  # of majorants; with large blocks as long as so many lower the bound by a share of
SETTLED = 1e-3
STEPS = 10  # of an accelerated projected gradient in each round; any number gives a valid majorant
FLOOR = 1e-3


@dataclass(frozen=True, eq=False)
class Quadratic:
    """u'Su subtracted from a linear function: m(u) <= linear . u - u' curvature u + constant wherever |u| = 1.

    ``curvature`` is positive semidefinite, so the function is concave and tangents bound it. Where vectors
    have lengths s in [1, longest] in the measure of the sphere, m(u) <= linear . u - u' curvature u / s + s constant,
    and the offsets of tangents count s times.
    """

    linear: Array
    curvature: Array
    constant: float
    longest: float = 1.0

    def tangents(self, V: Array) -> tuple[Array, Array]:
        """Slopes (K, p) and offsets (K,) of the tangents at the rows of V (K, p)."""
        bent = V @ self.curvature
        return self.linear - 2 * bent, self.constant + np.einsum("kp,kp->k", bent, V)

    def maximum(self) -> tuple[float, Array]:
        """An upper bound on the maximum over the unit sphere, by its dual, and the direction that belongs to it."""
        values, vectors = np.linalg.eigh(self.curvature)
        half = vectors.T @ self.linear / 2
        low, high = 1e-9 * (float(np.linalg.norm(half)) + 1e-300), float(np.linalg.norm(half)) + 1e-300
        shifts = np.geomspace(low, high, 200) - values[0]
        bounds = shifts + (half**2 / (values + shifts[:, None])).sum(axis=1) + self.constant
        best = int(np.argmin(bounds))
        u = vectors @ (half / (values + shifts[best]))
        length = float(np.linalg.norm(u))
        return float(bounds[best]), u / length if length > 0 else vectors[:, 0]


def majorants(
    arrangement: Arrangement, deadline: Deadline, block: int = BLOCK
) -> Iterator[tuple[Quadratic, float, Array]]:
    """Majorants of m, its maximum over the sphere from above, and the direction where it is highest.

    Each is fitted where those before were highest: a Frank-Wolfe step on the second moment of the directions. One that
    is not ready by the deadline is left out. Of each side about ``block`` rows are paired with each other.
    """
    p, lowest = arrangement.dim, [np.inf]
    gains, losses = _blocks(arrangement.plus, arrangement.minus, block, deadline)
    pairings: list[Array | None] = [None] * len(gains)
    metric = np.eye(p) / p
    for k in itertools.count():
        if k >= ROUNDS and (block == BLOCK or lowest[k] > (1 - SETTLED) * lowest[k - ROUNDS]):
            return
        root = np.linalg.cholesky(metric + 1e-6 * np.trace(metric) / p * np.eye(p))
        rest, left = arrangement.plus.copy(), np.ones(len(arrangement.minus))
        for b, (i, j) in enumerate(zip(gains, losses, strict=True)):
            if deadline.over:
                return
            if len(i) and len(j):
                start = pairings[b]
                start = np.zeros((len(i), len(j))) if start is None else start
                pairings[b] = A = absorb(arrangement.plus[i] @ root, arrangement.minus[j] @ root, start)
                rest[i] -= A @ arrangement.minus[j]
                left[j] -= np.abs(A).sum(axis=0)
        quadratic = _quadratic(arrangement, rest, left, metric)
        bound, u = quadratic.maximum()
        lowest.append(min(bound, lowest[-1]))
        yield quadratic, bound, u
        metric = metric + 2.0 / (k + 4) * (np.outer(u, u) - metric)


def _quadratic(arrangement: Arrangement, rest: Array, left: Array, metric: Array) -> Quadratic:
    """The majorant from what is left of both sides: |r . u| <= (r . u)^2 / (2 tau) + tau / 2 for every tau > 0.

    tau is the typical size of r . u under ``metric``, the second moment of the directions that matter.
    """
    p, plus, minus = arrangement.dim, arrangement.plus, arrangement.minus
    size = np.sqrt(np.maximum(np.einsum("np,pq,nq->n", rest, metric, rest), 0))
    tau = np.maximum(size, FLOOR * size.max(initial=0.0) + 1e-300)
    form = (rest / tau[:, None]).T @ rest / 4
    top = float(np.linalg.eigvalsh(form)[-1]) * (1 + 1e-12)
    axis = np.linalg.eigh(metric)[1][:, -1]
    sides = np.maximum(left, 0) * np.sign(minus @ axis)  # |t| >= t and >= -t
    slope = arrangement.linear + (plus.sum(axis=0) - minus.sum(axis=0) - sides @ minus) / 2
    return Quadratic(slope, top * np.eye(p) - form, float(tau.sum()) / 4 + top)


def absorb(plus: Array, minus: Array, start: Array) -> Array:
    """The matrix A of least |plus - A minus|_F whose columns have l1 norm at most 1, (n_+, n_-)."""
    gram = minus @ minus.T
    target = plus @ minus.T
    rate = 1 / max(float(np.linalg.eigvalsh(minus.T @ minus)[-1]), 1e-300)
    A = ahead = start
    momentum = 1.0
    for _ in range(STEPS):
        step = _into_l1_balls(ahead - rate * (ahead @ gram - target))
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = step + (momentum - 1) / following * (step - A)
        A, momentum = step, following
    return np.asarray(A / np.maximum(np.abs(A).sum(axis=0), 1))


def _into_l1_balls(A: Array) -> Array:
    """Columns soft-thresholded until their l1 norm is 1 (Newton's method on the threshold, from below)."""
    size = np.abs(A)
    threshold = np.zeros(A.shape[1])
    over = size.sum(axis=0) > 1
    for _ in range(6):
        left = np.maximum(size - threshold, 0)
        threshold += np.where(over, np.maximum(left.sum(axis=0) - 1, 0) / np.maximum((left > 0).sum(axis=0), 1), 0)
    return np.asarray(np.copysign(np.maximum(size - threshold, 0), A))


def _blocks(plus: Array, minus: Array, block: int, deadline: Deadline) -> tuple[list[Indices], list[Indices]]:
    """Both sides cut into parts of like directions (up to sign), by repeated halving."""
    points = np.vstack([plus, minus])
    is_plus = np.arange(len(points)) < len(plus)
    points = points / np.linalg.norm(points, axis=1)[:, None]
    parts = [np.arange(len(points))]
    while len(parts) < round(len(points) / (2 * block)) and not deadline.over:
        parts.sort(key=len)
        parts += _halve(points, parts.pop())
    return [q[is_plus[q]] for q in parts], [q[~is_plus[q]] - len(plus) for q in parts]


def _halve(points: Array, part: Indices) -> list[Indices]:
    """Two halves by the angle, modulo pi, in the plane of the two main axes."""
    axes = np.linalg.eigh(points[part].T @ points[part])[1]
    angle = np.arctan2(points[part] @ axes[:, -1], points[part] @ axes[:, -2]) % np.pi
    order = np.argsort(angle)
    return [part[order[: len(part) // 2]], part[order[len(part) // 2 :]]]
