"""The maximum on the ball of a difference of two convex, positively homogeneous functions, by cones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.cones import centres, cone_bounds, fan, halved
from convexgan.arrangements.reduce import WORK

Array = NDArray[np.float64]
CHUNK = 512  # cones cut together; fewer where a step would be long
STEPS = 20
MAX_CONES = 200_000
ACCURACY = 1e-8  # of the maximum, in units of the functions' size


class Convex(Protocol):
    """A convex function with f(t u) = t f(u) for t >= 0, evaluated at rows U (k, p), and the metric of `halved`.

    ``count`` products with a row u are made to evaluate it.
    """

    @property
    def count(self) -> int: ...

    @property
    def metric(self) -> Array: ...

    def values(self, U: Array) -> Array:
        """f at each row, (k,)."""

    def gradients(self, U: Array) -> Array:
        """A subgradient of f at each row, (k, p)."""


@dataclass(frozen=True, eq=False)
class Peak:
    """The maximum of f - g over the unit ball from both sides.

    Attributes
    ----------
    value, upper_bound : float
        At least 0, the value at the origin.
    directions, values : (k, p) and (k,) arrays
        Unit vectors that were tried and what they give, descending.
    finished : bool
        Whether no limit ended the search.
    """

    value: float
    upper_bound: float
    directions: Array
    values: Array
    finished: bool


def maximize_difference(
    f: Convex,
    g: Convex,
    dim: int,
    *,
    max_cones: int = MAX_CONES,
    time_limit: float | None = None,
    level: float = 0.0,
) -> Peak:
    """The maximum over |u| <= 1 of f(u) - g(u).

    On a cone f is at most its interpolation from the rays, and g at least its linearisation at the centre: what is
    left is linear, with the bound of `cone_bounds`. Where both are smooth the bound is off by the square of the cone's
    width. The bound need not be better than ``level``.
    """
    if dim == 0:
        return Peak(0.0, 0.0, np.zeros((0, 0)), np.zeros(0), True)
    deadline = Deadline(time_limit)
    chunk = max(1, min(CHUNK, 4 * WORK // (dim * (f.count + g.count))))
    rays, metric = fan(dim), f.metric + g.metric
    scale = max(float(np.abs(f.values(rays.reshape(-1, dim))).max()), 1e-300)
    bounds, middles, gains = _bounded(f, g, rays)
    tried, found, settled, count = [middles], [gains], 0.0, len(rays)
    best = max(float(gains.max()), 0.0)
    while len(rays) and count < max_cones and not deadline.over:
        live = bounds > max(best + ACCURACY * scale, level)
        settled = max(settled, float(bounds[~live].max(initial=0.0)))
        rays, bounds = rays[live], bounds[live]
        order = np.argsort(-bounds)
        picked, rest = order[:chunk], order[chunk:]
        if not len(picked):
            break
        children = halved(rays[picked], metric)[0]
        more, middles, gains = _bounded(f, g, children)
        more = np.minimum(more, np.repeat(bounds[picked], 2))
        rays, bounds = np.concatenate([rays[rest], children]), np.concatenate([bounds[rest], more])
        climbed, top = _climb(f, g, middles[int(np.argmax(gains))])
        best, count = max(best, float(gains.max()), top), count + len(children)
        tried += [middles, climbed[None, :]]
        found += [gains, np.array([top])]
    upper = max(best, settled, float(bounds.max(initial=0.0)))
    values = np.concatenate(found)
    order = np.argsort(-values)
    return Peak(best, upper, np.concatenate(tried)[order], values[order], not len(rays))


def _bounded(f: Convex, g: Convex, rays: Array) -> tuple[Array, Array, Array]:
    """Upper bounds on cones (K, p, p), their centres (K, p), and f - g there."""
    count, p, _ = rays.shape
    middles, at_rays = centres(rays), f.values(rays.reshape(-1, p)).reshape(count, p)
    slopes = g.gradients(middles)
    bounds, y = _linear_bounds(rays, at_rays, slopes)
    y /= np.maximum(np.abs(y).max(axis=1), 1e-300)[:, None]  # in narrow cones it is far beyond the ball
    other = g.gradients(y)  # where g bends between the centre and y a mixture of both slopes bounds best
    for mixed in ((slopes + other) / 2, other):
        bounds = np.minimum(bounds, _linear_bounds(rays, at_rays, mixed)[0])
    return bounds, middles, f.values(middles) - g.values(middles)


def _linear_bounds(rays: Array, at_rays: Array, slopes: Array) -> tuple[Array, Array]:
    heights = at_rays - np.einsum("kp,kjp->kj", slopes, rays)
    bounds, y = cone_bounds(rays, heights)
    return np.where(heights.max(axis=1) > 0, bounds, 0.0), y


def _climb(f: Convex, g: Convex, u: Array) -> tuple[Array, float]:
    """A unit vector where f - g is larger: along the gradient, with which a maximiser in the open is parallel."""
    value = float((f.values(u[None, :]) - g.values(u[None, :]))[0])
    for _ in range(STEPS):
        ahead = (f.gradients(u[None, :]) - g.gradients(u[None, :]))[0]
        length = float(np.linalg.norm(ahead))
        if length == 0:
            break
        ahead = ahead / length
        reached = float((f.values(ahead[None, :]) - g.values(ahead[None, :]))[0])
        if reached <= value:
            break
        u, value = ahead, reached
    return u, value
