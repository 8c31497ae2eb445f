"""The discriminator's best response in a moment game, and what it is against a generator that does nothing."""

from __future__ import annotations

import numpy as np

from convexgan.discriminators import separate, separation_bound
from convexgan.records.moment_game import MomentGame
from convexgan.statistics.moments import Moments

EPS = float(np.finfo(np.float64).eps)
NEGLIGIBLE = 1e-12


def game_ipm(game: MomentGame, generated: Moments) -> float:
    """The discriminator's best response: at least what it is in exact arithmetic, by no more than rounding."""
    a, b, _ = game.activation.coefficients
    return separation_bound(game.data, generated, a, b, game.bias, game.beta)


def ipm_of_zero(game: MomentGame) -> float:
    """ipm(X, 0), the size against which violations are measured."""
    a, b, _ = game.activation.coefficients
    if b == 0 and game.bias == "none":
        return abs(a) * game.data.spectrum.value(0)
    nothing = Moments.of_law(np.zeros(game.data.dim), np.zeros((1, game.data.dim)))
    return separate(game.data, nothing, a, b, game.bias).value


def ipm_rounding(game: MomentGame) -> float:
    """The size below which an ipm is rounding noise of the data's moments."""
    a, b, _ = game.activation.coefficients
    data = game.data
    ones = abs(a) * (game.bias == "penalized")
    own = abs(a) * data.second_error + (abs(b) + ones) * data.mean_error  # and as much again of the generated rows'
    return float(32 * EPS * (abs(a) * data.trace + abs(b) * data.trace**0.5) + 4 * own)


def rounding(game: MomentGame) -> float:
    """The size below which a value is rounding noise of the data's moments.

    That of the ipm counts too, lam times, while that is next to nothing beside the cost of generating the data.
    """
    price = game.penalty / (game.latent.values[0] if game.regularizer == "weights" else 1.0)
    whole = float(price * game.data.trace)
    return 32 * EPS * whole + min((game.lam or 0.0) * ipm_rounding(game), NEGLIGIBLE * whole)
