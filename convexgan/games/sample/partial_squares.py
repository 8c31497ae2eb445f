"""A discriminator of squared ReLU neurons that proves a bound for all laws, at hardly any price."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.partial_means import ROTATIONS

Array = NDArray[np.float64]


def partial_squares(game: SampleGame) -> tuple[Array, Array]:
    """Neurons (K, d), with no bias, and outer weights (K,) of the best such discriminator on some orthonormal bases.

    Along orthonormal u_k, E|Y|^2 is the sum of all E max(+-u_k.Y, 0)^2, each of which is at least that of the data less
    the ipm: against beta those neurons are of use that see more than that, within lam those that see most. Bases are
    those of `partial_means_bound`: the columns, the right singular vectors and random rotations.
    """
    rows, d = game.data, game.data.shape[1]
    random = np.random.default_rng(0).standard_normal((ROTATIONS, d, d))
    found = [
        _along(game, basis) for basis in (np.eye(d), _singular(rows), *(np.linalg.qr(part)[0].T for part in random))
    ]
    value, neurons, outer = max(found, key=lambda answer: answer[0])
    return (neurons, outer) if value > 0 else (neurons[:0], outer[:0])


def _singular(rows: Array) -> Array:
    """An orthonormal basis, (d, d), that begins with the right singular vectors."""
    return np.asarray(np.linalg.svd(rows.T @ rows)[2])


def _along(game: SampleGame, basis: Array) -> tuple[float, Array, Array]:
    """What the discriminator on a basis (d, d) proves, its neurons and its outer weights."""
    neurons = np.vstack([basis, -basis])
    seen = game.activation(game.data @ neurons.T).mean(axis=0)
    if game.lam is None:
        outer, charge = np.where(seen > (game.beta or 0.0), game.penalty, 0.0), game.beta or 0.0
    else:
        outer, charge = np.zeros(len(seen)), 0.0
        outer[np.argsort(-seen)] = np.clip(game.lam - game.penalty * np.arange(len(seen)), 0.0, game.penalty)
    used = outer > 0
    return float(outer @ (seen - charge)), neurons[used], outer[used]
