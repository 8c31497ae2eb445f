"""Free offsets on the line and in the plane, exactly: the hyperplanes through each point in turn, in sorted order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import prefix_sums

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
BLOCK = 2**15  # numbers that are held at a time, few enough for the processor's cache


def sweep_line(points: Array, weights: Array, linear: float) -> tuple[float, Array, int]:
    """The maximum over u = +-1 and every b of |m|, m = linear u + sum_i weights_i max(u points_i + b, 0), signed.

    The weights sum to 0. The sum is piecewise linear in b and constant beyond the points, so one of them decides;
    prefix sums make it O(N log N).

    Parameters
    ----------
    points, weights : (N,) arrays

    Returns
    -------
    value : float
    direction : (2,) array
        u and b.
    roundings : int
        Of each sum.
    """
    order, roundings = np.argsort(points), 0
    best = (linear, np.array([1.0, -points[order[-1]] if len(order) else 0.0]))
    for u in (1.0, -1.0):
        t, w = u * points[order[:: int(u)]], weights[order[:: int(u)]]
        (below, roundings), (mass, _) = prefix_sums(w * t), prefix_sums(w)
        sums = below[-1] - below[:-1] - t * (mass[-1] - mass[:-1]) + u * linear
        i = int(np.argmax(np.abs(sums))) if len(t) else -1
        if i >= 0 and abs(sums[i]) > abs(best[0]):
            best = float(sums[i]), np.array([u, -t[i]])
    return *best, roundings


@dataclass(frozen=True, eq=False)
class Fans:
    """Some points of a plane as pivots, the others in the order in which a line that turns about a pivot meets them.

    Attributes
    ----------
    pivots : (P,) array
    order : (P, N) array
        The points in that order, for half a turn from the vertical line on.
    x, y : (P, N) arrays
        Their differences to the pivot, turned into the right half of the plane.
    turned : (P, N) array
        Which of them were.
    """

    pivots: Indices
    order: Indices
    x: Array
    y: Array
    turned: NDArray[np.bool_]

    @classmethod
    def of(cls, points: Array, pivots: Indices) -> Fans:
        """The fans of some points as pivots."""
        x, y = (column - column[pivots, None] for column in points.T)
        turned = (x < 0) | ((x == 0) & (y > 0))
        flip = np.where(turned, -1.0, 1.0)
        steep = np.divide(y, x, out=np.full_like(x, -np.inf), where=x != 0)
        order = np.argsort(steep, axis=1, kind="stable")
        x, y, turned = (np.take_along_axis(part, order, axis=1) for part in (x * flip, y * flip, turned))
        return cls(pivots, order, x, y, turned)

    @classmethod
    def all(cls, points: Array, deadline: Deadline) -> Iterator[Fans]:
        """The fans of every point as pivot, some at a time, until the time is over."""
        step = max(1, BLOCK // max(len(points), 1))
        for i in range(0, len(points), step):
            if deadline.over:
                return
            yield cls.of(points, np.arange(i, min(i + step, len(points))))

    @cached_property
    def normals(self) -> tuple[Array, Array]:
        """The unit normals of the lines through pivot and point, by their coordinates (P, N)."""
        sizes = np.hypot(self.x, self.y)
        scale = np.where(sizes > 0, sizes, 1.0)
        return np.where(sizes > 0, -self.y / scale, 1.0), self.x / scale

    @cached_property
    def _before(self) -> tuple[Array, Array]:
        """The normals of the lines before; before the first that of the last."""
        first, second = (_shifted(part) for part in self.normals)
        return first, second

    def squares(self, weights: Array, half: Array) -> Iterator[tuple[Array, tuple[Array, Array]]]:
        """(|half . u| + |E(u)|)^2 where it may be largest, (P, N), and these u, for E = sum_i w_i |apart_i . u| / 2.

        Between two of the lines E(u) = e . u with e from prefix sums: a maximum is there along half + e or half - e, or
        it is on a line. What is not between its lines counts as 0.
        """
        w, (nx, ny), (fx, fy) = weights[self.order], self.normals, self._before
        e, f = (np.cumsum(w * part, axis=1) for part in (self.x, self.y))
        e, f = e[:, -1:] / 2 - e, f[:, -1:] / 2 - f  # behind each line
        yield (np.abs(nx * half[0] + ny * half[1]) + np.abs(e * nx + f * ny)) ** 2, (nx, ny)
        e, f = _shifted(e), _shifted(f)
        for a, b in ((half[0] + e, half[1] + f), (half[0] - e, half[1] - f)):
            inside = (fx * b - fy * a) * (a * ny - b * nx) > 0
            yield np.where(inside, a * a + b * b, 0.0), (a, b)


def _shifted(part: Array) -> Array:
    """The entries of each row moved on by one, the last to the front, where it is met from the other side."""
    return np.concatenate([-part[:, -1:], part[:, :-1]], axis=1)


def sweep_plane(points: Array, weights: Array, linear: Array, deadline: Deadline) -> tuple[float, Array, bool]:
    """The maximum over |u| = 1 and b of |m|, m = linear . u + sum_i weights_i max(points_i . u + b, 0): O(N^2 log N).

    With weights of sum 0 a point lies on the best line. About a pivot x the sum at u and -u is +-half . u + E(u), with
    half = linear + sum_i weights_i points_i / 2 and E = sum_i weights_i |(points_i - x) . u| / 2, so that half a turn
    of each pivot is enough.

    Returns
    -------
    value : float
    u : (2,) array
    finished : bool
        Whether all points were pivots before the time was over.
    """
    half = linear + weights @ points / 2
    best, u, done = float(np.linalg.norm(half)), half, 0
    for fans in Fans.all(points, deadline):
        done += len(fans.pivots)
        for found, where in fans.squares(weights, half):
            i = int(np.argmax(found))
            if found.flat[i] > best * best:
                best, u = math.sqrt(found.flat[i]), np.array([part.flat[i] for part in where])
    size = float(np.linalg.norm(u))
    return best, u / size if size > 0 else np.eye(1, 2)[0], done == len(points)


def sweep_offsets(points: Array, weights: Array, linear: Array, deadline: Deadline) -> Array | None:
    """The maximum, (B,), for many weights (B, N) and slopes (B, d) of the same points (N, d) on the line or a plane.

    None if the time is over before.
    """
    half = linear + weights @ points / 2
    best: Array = np.linalg.norm(half, axis=1)
    if points.shape[1] == 1:
        order = np.argsort(points[:, 0])
        t, w = points[order, 0], weights[:, order]
        below = t * np.cumsum(w, axis=1) - np.cumsum(
            w * t, axis=1
        )  # E(1) is this and half the sum of weights and points
        return np.asarray(best + np.abs(below + half - linear).max(axis=1, initial=0.0))
    for fans in Fans.all(points, deadline):
        for k, w in enumerate(weights):
            top = max(float(found.max()) for found, _ in fans.squares(w, half[k]))
            best[k] = max(best[k], math.sqrt(top))
    return None if deadline.over else best
