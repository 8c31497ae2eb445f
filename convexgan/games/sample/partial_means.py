"""A lower bound for games with ReLU discriminators from the partial means of the data, at hardly any price."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import gamma
from convexgan.discriminators.activation import is_kinked
from convexgan.games.sample.game import SampleGame

Array = NDArray[np.float64]
ROTATIONS = 20
ROUNDING = 1e-13  # of the data's size, taken off every mean


def partial_means_bound(game: SampleGame, evenness: tuple[float, float] = (1.0, 1.0)) -> float:
    """A lower bound on E R, plus lam * ipm, over all laws (with ipm <= beta); 0 unless the neurons are ReLUs.

    The laws are those of whose variables u.Y the mean of max(u.Y, 0), and that of |u.Y|, are at most ``evenness``
    times (E (u.Y)^2)^1/2; by default all (Jensen). Each partial mean is at least that of the data less the ipm. Sums
    of squares over orthonormal vectors u bound E|Y|^2; the best of some bases counts: the columns, the right singular
    vectors and random rotations. A bias only strengthens the discriminator.
    """
    if not sees_partial_means(game):
        return 0.0
    rows = game.data
    turned = rows @ np.linalg.svd(rows, full_matrices=False)[2].T
    random = np.random.default_rng(0).standard_normal((ROTATIONS, rows.shape[1], rows.shape[1]))
    rotated = (rows @ np.linalg.qr(part)[0] for part in random)
    return max(_along_axes(game, part, *evenness) for part in (rows, turned, *rotated))


def sees_partial_means(game: SampleGame) -> bool:
    """Whether the neurons are ReLUs, whose means are partial means."""
    return is_kinked(game.activation) and not game.activation.slope


def _along_axes(game: SampleGame, rows: Array, one: float, both: float) -> float:
    means = np.stack([np.maximum(rows, 0).mean(0), np.maximum(-rows, 0).mean(0)])
    share = max(ROUNDING, gamma(len(rows) + 4 * rows.shape[1] + 16))
    means = means - share * float(np.sqrt(np.mean(np.sum(rows**2, axis=1))))

    def spreads(level: float) -> tuple[Array, Array]:
        """The least root mean squares along the axes, and by how much they fall as the level rises."""
        left = np.maximum(means - level, 0)
        single, sums = left.max(0) / one, left.sum(0) / both
        return np.maximum(single, sums), np.where(single > sums, (left.max(0) > 0) / one, (left > 0).sum(0) / both)

    if game.lam is None:
        return (1 - ROUNDING) * game.penalty * float(np.sum(spreads(game.beta or 0.0)[0] ** 2))
    low, high = 0.0, max(float(means.max()), 0.0)  # convex in the level: bisection on its slope
    for _ in range(100):
        middle = (low + high) / 2
        size, fall = spreads(middle)
        low, high = (middle, high) if game.lam < 2 * game.penalty * float(size @ fall) else (low, middle)
    return (1 - ROUNDING) * (game.penalty * float(np.sum(spreads(high)[0] ** 2)) + game.lam * low)
