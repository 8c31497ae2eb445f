"""Generators for which no convex program speaks: the latents' rank is too low, or their prices differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.closed_forms import realize
from convexgan.programs.barrier import Barrier
from convexgan.records.moment_game import MomentGame

Array = NDArray[np.float64]
STARTS = 40
WORK = 2e5  # starts times squared numbers of variables, at most, if more than one
LARGEST = 1000  # variables of a descent
AT_ONCE = 1e5  # entries of all Hessians
RATES = ((10.0, 1e-3), (1e3, 1e-3), (1e6, 1e-6))  # the level's price, and how near: the first to suffice costs least
INSIDE = 1e-3  # share of the level by which a start should be below it
ACCURACY = 1e-8
SIZES = (-1.5, 0.7)  # of random starts beside the data, logarithms
NUDGE = 1e-2  # a factor with empty rows is a saddle point


@dataclass(frozen=True)
class Search:
    """The outcome of local searches.

    Attributes
    ----------
    factors : (m, r, d) array
        Local optima, and local minimisers of the ipm where that is asked for or above beta.
    starts : int
    """

    factors: Array
    starts: int


def too_large(game: MomentGame) -> bool:
    """Whether a local search cannot take as many columns as the latents' rank, and one for the mean."""
    return game.latent.rank * min(game.data.dim, game.latent.rank + 1) > LARGEST


def _barrier(game: MomentGame, relaxed: Array, deadline: Deadline) -> Barrier:
    """The barrier, of games with many columns on the span of a generator, the mean and leading eigenvectors."""
    columns = LARGEST // game.latent.rank
    if columns >= game.data.dim:
        return Barrier(game, deadline)
    directions = [relaxed[relaxed.any(axis=1)], game.data.mean[None], game.data.spectrum.vectors.T]
    return Barrier(game, deadline, np.linalg.qr(np.vstack(directions)[:columns].T)[0].T)


def local_optima(game: MomentGame, relaxed: Array, deadline: Deadline) -> Search:
    """Locally cheapest generators, within beta where descents from a relaxation's (r, d) and other starts get there."""
    barrier, starts = _barrier(game, relaxed, deadline), _starts(game, relaxed)
    if game.lam is not None:
        rate = game.lam * barrier.unit / barrier.worth
        return _each(barrier, starts, lambda x: barrier.descend(x, rate, ACCURACY))
    level = (game.beta or 0.0) / barrier.unit

    def cheapest(x: Array) -> Array:
        inside = np.zeros((0, x.shape[1]))
        for rate, accuracy in RATES:
            x = barrier.descend(x, rate, accuracy, (1 - INSIDE) * level)
            within = x[:, -1] < level
            inside, x = np.vstack([inside, x[within]]), x[~within]
        inside[:, -1] = level
        return np.vstack([barrier.descend(inside, None, ACCURACY), x])

    return _each(barrier, starts, cheapest)


def nearest(game: MomentGame, relaxed: Array, deadline: Deadline) -> Search:
    """Generators whose ipm is least, locally, whatever they cost; from the factor (r, d) of a relaxation and others."""
    barrier = _barrier(game, relaxed, deadline)

    def closest(x: Array) -> Array:
        for rate, accuracy in RATES:
            x = barrier.descend(x, rate, accuracy)
        return x

    return _each(barrier, _starts(game, relaxed), closest)


def _each(barrier: Barrier, starts: Array, descend: Callable[[Array], Array]) -> Search:
    """The descents from all starts, as many at once as memory allows."""
    points = barrier.start(starts)
    step = max(int(AT_ONCE / points.shape[1] ** 2), 1)
    found = [descend(points[i : i + step]) for i in range(0, len(points), step)]
    return Search(barrier.factors(np.concatenate(found)), len(points))


def _starts(game: MomentGame, relaxed: Array) -> Array:
    """The relaxation's answer and its mirror images, the data's moments cut to the latents' rank, and random ones."""
    rng, count = np.random.default_rng(0), int(np.clip(WORK / min(relaxed.size, LARGEST) ** 2, 1, STARTS))
    latent, data = game.latent, game.data
    line = np.outer(latent.mean, latent.mean @ relaxed) / (latent.kappa or 1.0)
    cut, other = (realize(latent, data.second, sign * data.mean) for sign in (1, -1))
    given = [relaxed, relaxed - 2 * line, cut, other, -relaxed, 2 * line - relaxed, -cut, -other][:count]
    noise = rng.standard_normal((len(given), *relaxed.shape)) * np.sqrt(data.trace / relaxed.size)
    root = np.sqrt(np.maximum(data.spectrum.values, 0.0))[:, None] * data.spectrum.vectors.T
    sizes = np.exp(rng.uniform(*SIZES, (count - len(given), 1, 1)))
    drawn = rng.standard_normal((count - len(given), latent.rank, len(root))) @ root
    return np.concatenate([np.array(given) + NUDGE * noise, sizes * drawn])
