"""The best offsets of random directions, the same for all weights of the same points: a lower bound by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.reduce import WORK

Array = NDArray[np.float64]
DIRECTIONS = 300
APART = 1e-12  # of the largest projection: what is nearer is not cut


def best_of_directions(
    at: Callable[[Array], tuple[float, Array]], dim: int, rng: np.random.Generator, deadline: Deadline
) -> Array:
    """(u, b) of the largest value of the pairs ``at`` has for random directions u (dim,), or the first of them."""
    best, top = np.zeros(dim + 1), -1.0
    for _ in range(DIRECTIONS):
        value, z = at(rng.standard_normal(dim))
        if value > top:
            best, top = z, value
        if deadline.over:
            break
    return best


@dataclass(frozen=True, eq=False)
class SampledOffsets:
    """Points (N, d), centred, in their order along random directions.

    Attributes
    ----------
    points, directions : (N, d) and (K, d) arrays
    order, along : (K, N) arrays
        The points along each direction, and where they lie on it, ascending.
    """

    points: Array
    directions: Array
    order: NDArray[np.intp]
    along: Array

    @classmethod
    def draw(cls, points: Array, seed: int) -> SampledOffsets:
        """Points (N, d) along the random directions of a seed."""
        points = points - np.median(points, axis=0)
        U = np.random.default_rng(seed).standard_normal((min(DIRECTIONS, max(1, WORK // len(points))), points.shape[1]))
        U /= np.linalg.norm(U, axis=1)[:, None]
        along = U @ points.T
        order = np.argsort(along, axis=1)
        return cls(points, U, order, np.take_along_axis(along, order, axis=1))

    def rectified(self, weights: Array, slope: float) -> float:
        """The largest |sum_i weights_i s(x_i . u + b)|, s(t) = max(t, 0) + slope min(t, 0), for weights of sum 0."""
        along = self.directions @ (weights @ self.points)
        w = (1 - slope) * weights[self.order]
        below = self.along * np.cumsum(w, axis=1) - np.cumsum(w * self.along, axis=1)
        even = np.abs(below + (1 - slope) / 2 * along[:, None]).max(axis=1)
        return float((even + abs(1 + slope) / 2 * np.abs(along)).max())

    def cut(self, weights: Array) -> float:
        """The largest |sum of the weights of points with x . u + b > 0|, for weights of sum 0."""
        tied = np.diff(self.along, axis=1) <= APART * np.abs(self.along).max(initial=0.0)
        return float((np.abs(np.cumsum(weights[self.order], axis=1))[:, :-1] * ~tied).max(initial=0.0))
