"""Free offsets on the line and in the plane, exactly: the hyperplanes through each point in turn, in sorted order."""

from __future__ import annotations

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
    apart : (P, N, 2) array
        Their differences to the pivot, turned into the right half of the plane.
    turned : (P, N) array
        Which of them were.
    """

    pivots: Indices
    order: Indices
    apart: Array
    turned: NDArray[np.bool_]

    @classmethod
    def of(cls, points: Array, pivots: Indices) -> Fans:
        """All points about some of them."""
        x, y = np.moveaxis(points[None, :, :] - points[pivots, None, :], 2, 0)
        turned = (x < 0) | ((x == 0) & (y > 0))
        flip = np.where(turned, -1.0, 1.0)
        steep = np.divide(y, x, out=np.full_like(x, -np.inf), where=x != 0)
        order = np.argsort(steep, axis=1, kind="stable")
        x, y, turned = (np.take_along_axis(part, order, axis=1) for part in (x * flip, y * flip, turned))
        return cls(pivots, order, np.stack([x, y], axis=2), turned)

    @cached_property
    def normals(self) -> Array:
        """That of the line through both, of length 1, (P, N, 2)."""
        x, y = self.apart[..., 0], self.apart[..., 1]
        sizes = np.hypot(x, y)
        normals = np.stack([-y, x], axis=2) / np.where(sizes > 0, sizes, 1.0)[..., None]
        normals[sizes == 0] = 1.0, 0.0
        return normals

    @classmethod
    def all(cls, points: Array, deadline: Deadline) -> Iterator[Fans]:
        """Those of every point, some at a time, until the time is over."""
        step = max(1, BLOCK // max(len(points), 1))
        for i in range(0, len(points), step):
            if deadline.over:
                return
            yield cls.of(points, np.arange(i, min(i + step, len(points))))

    def heights(self, weights: Array, half: Array) -> tuple[Array, Array]:
        """|half . u| + |E(u)| where it may be largest, (P, 3 N), and these u, for E = sum_i w_i |apart_i . u| / 2.

        Between two of the lines E(u) = e . u with e from prefix sums: a maximum is there along half + e or half - e, or
        it is on a line. What is not between its lines counts as 0.
        """
        passed = np.cumsum(weights[self.order][:, :, None] * self.apart, axis=1)
        e = passed[:, -1:] / 2 - passed  # behind each line
        at_lines = np.abs(self.normals @ half) + np.abs(np.einsum("pnk,pnk->pn", e, self.normals))
        before = np.concatenate([-e[:, -1:], e[:, :-1]], axis=1)
        first = np.concatenate([-self.normals[:, -1:], self.normals[:, :-1]], axis=1)
        found, where = [at_lines], [self.normals]
        for v in (half + before, half - before):
            ahead = first[..., 0] * v[..., 1] - first[..., 1] * v[..., 0]
            behind = v[..., 0] * self.normals[..., 1] - v[..., 1] * self.normals[..., 0]
            found.append(np.where(ahead * behind > 0, np.hypot(v[..., 0], v[..., 1]), 0.0))
            where.append(v)
        return np.concatenate(found, axis=1), np.concatenate(where, axis=1)


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
        found, where = fans.heights(weights, half)
        i = int(np.argmax(found))
        done += len(fans.pivots)
        if found.flat[i] > best:
            best, u = float(found.flat[i]), where.reshape(-1, 2)[i]
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
            best[k] = max(best[k], float(fans.heights(w, half[k])[0].max()))
    return None if deadline.over else best
