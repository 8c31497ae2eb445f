"""Affine hyperplanes: sums of rectified affine functions whose offset costs nothing, in normal form.

With weights that sum to 0 the function m(u, b) = sum_i weights_i s(points_i . u + b), where s(t) is max(t, 0) +
slope min(t, 0), is constant in b beyond all points, so that its maximum over |u| <= 1 and all b is finite. Between the
points it is linear in b: the maximum is attained where one of them lies on the hyperplane. As s(t) is (1 - slope)
max(t, 0) + slope t, and the sum of the latter is the same for all b, m is a sum of rectified functions and a linear
one of u.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import gamma
from convexgan.arrangements.reduce import Arrangement, merge_equal, row_space
from convexgan.arrangements.zonotope import shortest

Array = NDArray[np.float64]
BALANCED = 1e-9  # share of the weights' sizes that their sum may be


@dataclass(frozen=True, eq=False)
class Offsets(Arrangement):
    """The function m on (u, b) in R^q x R: rows (w x, w) for points x within the unit ball and weights w.

    Attributes
    ----------
    plus, minus, linear, slack : as in `Arrangement`, in p = q + 1 columns
        The last column of ``plus`` and ``minus`` are weights, of nearly the same sum; that of ``linear`` is 0.
    basis : (d, q) array
        u in R^q stands for ``basis @ u``.
    centre : (d,) array
        What was subtracted from every point, in their own units.
    """

    centre: Array = None  # type: ignore[assignment]

    @cached_property
    def points(self) -> Array:
        """The different points, (N, q)."""
        rows = self.rows
        return np.asarray(rows[:, :-1] / rows[:, -1:])

    @cached_property
    def reach(self) -> float:
        """At least the length of every point, so that |b| need be no larger; 1 if there are none."""
        return float(np.linalg.norm(self.points, axis=1).max(initial=0.0)) * (1 + 1e-12) or 1.0

    @cached_property
    def weights(self) -> Array:
        """Their weights, (N,)."""
        return np.asarray(self.rows[:, -1] * self.signs)

    def bound(self) -> float:
        """An upper bound on m for |u| <= 1, at the cost of sorting.

        max(t, 0) = (t + |t|) / 2, and any way to carry the points of positive weight to those of negative weight gives
        sum w |t| <= sum mass |u . move|, whatever b; then Cauchy and Schwarz, as for any arrangement.
        """
        slope = (self.linear + (self.plus.sum(axis=0) - self.minus.sum(axis=0)) / 2)[:-1]
        mass, moves = self._transport()
        sizes = np.linalg.norm(moves, axis=1)
        form = (moves * (mass / np.maximum(sizes, 1e-300))[:, None]).T @ moves
        top = max(float(np.linalg.eigvalsh(form)[-1]), 0.0) if len(form) else 0.0
        return float(np.linalg.norm(slope) + np.sqrt(float(mass @ sizes) * top) / 2)

    def _transport(self) -> tuple[Array, Array]:
        """Masses (k,) and how far each is moved (k, q), from ``plus`` to ``minus`` in the order along the main axis."""
        if not len(self.plus) or not len(self.minus):
            return np.zeros(0), np.zeros((0, self.dim - 1))
        points, places = [], []
        axis = np.linalg.eigh(self.rows[:, :-1].T @ self.rows[:, :-1])[1][:, -1]
        for rows in (self.plus, self.minus):
            given = rows[:, :-1] / rows[:, -1:]
            order = np.argsort(given @ axis)
            points.append(given[order])
            places.append(np.cumsum(rows[order, -1]))
        ends = np.sort(np.concatenate(places))
        starts = np.append(0.0, ends[:-1])
        at = [np.minimum(np.searchsorted(place, starts, side="right"), len(place) - 1) for place in places]
        return ends - starts, points[0][at[0]] - points[1][at[1]]

    def with_offset(self, u: Array) -> Array:
        """(u, b) with the b for which m is largest: the hyperplane passes through a point."""
        weights, along = self.weights, self.points @ u
        order = np.argsort(-along)
        t, w = along[order], weights[order]
        heights = np.cumsum(w * t) - t * np.cumsum(w)
        return np.append(u, -t[int(np.argmax(heights))]) if len(t) else np.append(u, 0.0)

    def maximize_concave(self, active: Array, start: Array, deadline: Deadline) -> tuple[float, Array]:
        """The maximum of the function whose rows of positive weight add up to ``active``, from above, and where it is.

        For each u the offset is best that leaves the points of negative weight beyond it the weight of ``active``. The
        supergradients there make a polytope, whose shortest vector has the direction u: see `maximize_concave`.
        """
        slope, weights = (self.linear + active)[:-1], self.minus[:, -1]
        moments, points = self.minus[:, :-1], self.minus[:, :-1] / self.minus[:, -1:]

        def beyond(u: Array) -> tuple[Array, float]:
            along = points @ u
            order = np.argsort(-along)
            mass = np.cumsum(weights[order])
            k = min(int(np.searchsorted(mass, active[-1])), len(order) - 1)
            share = min(max((active[-1] - mass[k]) / weights[order[k]] + 1, 0.0), 1.0)
            return moments[order[:k]].sum(axis=0) + share * moments[order[k]], -float(along[order[k]])

        if not len(weights):
            return float(np.linalg.norm(slope)), np.append(slope, 0.0)
        size = float(np.linalg.norm(slope)) + float(np.linalg.norm(np.abs(moments).sum(axis=0)))
        point = shortest(lambda u: slope - beyond(u)[0], start[:-1], size, deadline)
        length = float(np.linalg.norm(point))
        u = point / length if length > 0 else point
        return length, np.append(u, beyond(u)[1])


def check_balanced(weights: Array) -> float:
    """The sum of the weights; ValueError unless that is 0 up to rounding."""
    total = math.fsum(weights)
    if abs(total) > BALANCED * float(np.abs(weights).sum()):
        raise ValueError(
            f"weights add up to {total:.3g}, not to 0, so that free offsets see any size: divide those of both samples "
            "by their sum, or use bias='penalized'."
        )
    return total


def reduce_points(points: Array, weights: Array, slope: float = 0.0, *, whole: bool = False) -> Offsets:
    """The normal form of m for points and weights, whose sum is 0.

    Equal points become one, whose weight may cancel; the others are centred and expressed in an orthonormal basis of
    their span, or left ``whole``, at once. ``slack`` says what that, but not sums, may have changed where |b| <= 1.

    Parameters
    ----------
    points : (N, d) array
        Of differences less than 1.
    weights : (N,) array
        Of any sign.
    slope : float

    Raises
    ------
    ValueError
        If the weights do not add up to 0.
    """
    total = check_balanced(weights)
    error, d = np.zeros(1), points.shape[1]
    if not whole:
        points, weights, error = merge_equal(points, weights)
    points, weights = points[weights != 0], weights[weights != 0]
    centre = np.median(points, axis=0) if len(points) else np.zeros(d)
    points = points - centre
    reach = float(np.linalg.norm(points, axis=1).max(initial=0.0)) + 1
    basis = np.eye(d) if whole else row_space(points, d)
    inside = points @ basis
    lost = float(np.abs(weights) @ np.linalg.norm(points - inside @ basis.T, axis=1))
    rounded = float(error.sum()) + abs(total) + gamma(2 * d + 32) * float(np.abs(weights).sum())
    slack = 2 * max(1.0, abs(slope)) * (lost + reach * rounded)
    linear = np.append(slope * (weights @ inside), 0.0)
    rows = (1 - slope) * weights[:, None] * np.column_stack([inside, np.ones(len(inside))])
    if slope == 1:
        rows = rows[:0]
    positive = rows[:, -1] > 0
    return Offsets(rows[positive], -rows[~positive], linear, basis, slack, centre)
