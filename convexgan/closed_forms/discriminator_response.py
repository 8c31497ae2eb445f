"""The discriminator's best response in a moment game, and what it is against a generator that does nothing."""

from __future__ import annotations

import numpy as np

from convexgan.discriminators import separate, separation
from convexgan.moments import Moments
from convexgan.problem import MomentGame

EPS = float(np.finfo(np.float64).eps)


def game_ipm(game: MomentGame, generated: Moments) -> float:
    """The discriminator's best response, an upper bound up to rounding."""
    X, Y = game.data, generated
    a, b, _ = game.activation.coefficients
    if game.bias == "penalized" and a != 0:
        X, Y = X.with_ones(), Y.with_ones()
    return separate(X, Y, a, b).upper_bound if a != 0 and b != 0 else separation(X, Y, a, b)


def ipm_of_nothing(game: MomentGame) -> float:
    """ipm(X, 0), the size against which violations are measured."""
    a, b, _ = game.activation.coefficients
    if b == 0 and game.bias == "none":
        return abs(a) * game.data.spectrum.value(0)
    return game_ipm(game, Moments.of_law(np.zeros(game.data.dim), np.zeros((1, game.data.dim))))


def ipm_rounding(game: MomentGame) -> float:
    """The size below which an ipm is rounding noise of the data's moments."""
    a, b, _ = game.activation.coefficients
    return float(32 * EPS * (abs(a) * game.data.trace + abs(b) * game.data.trace**0.5))


def rounding(game: MomentGame) -> float:
    """The size below which a value is rounding noise of the data's moments."""
    price = game.penalty / (game.latent.values[0] if game.regularizer == "weights" else 1.0)
    return float(32 * EPS * (price * game.data.trace + (game.lam or 0.0) * ipm_of_nothing(game)))
