"""beta = 0 against neurons that see mean and second moment: the generator has the data's."""

from __future__ import annotations

import numpy as np

from convexgan.closed_forms.generator_response import generated_moments
from convexgan.closed_forms.pairing import realize, unit_neurons
from convexgan.closed_forms.polynomial import equal_prices
from convexgan.closed_forms.quadratic import count_above, prices
from convexgan.records.moment_game import MomentGame, Optimum

MISFIT = 1e-10  # of the second moment, relative


def has_match(game: MomentGame) -> bool:
    """Whether beta is 0, the neurons see both moments, and a generator of the class has the data's."""
    a, b, _ = game.activation.coefficients
    if game.beta != 0 or a == 0 or (b == 0 and game.bias == "none") or not equal_prices(game):
        return False
    law = generated_moments(game, realize(game.latent, game.data.second, game.data.mean))
    size = game.data.trace or 1.0
    second = float(np.linalg.norm((law.second - game.data.second) / size))  # scaled first: its square may overflow
    mean = float(np.linalg.norm(law.mean - game.data.mean))
    return second <= MISFIT and mean <= MISFIT * size**0.5


def solve_matching(game: MomentGame) -> Optimum:
    """The generator with the data's moments, and a critic that proves that none within beta = 0 is cheaper.

    The critic is |a| sum v_j u_j u_j' = price * I on the data's span with sum v_j u_j = 0, whose bound is the price of
    the data's second moment: conic solvers find no interior at beta = 0.
    """
    a, b, _ = game.activation.coefficients
    weights = np.full(count_above(game, 0.0), prices(game)[0] / abs(a))
    basis = game.data.spectrum.vectors[:, : len(weights)].T
    factor = realize(game.latent, game.data.second, game.data.mean)
    if b == 0 or len(weights) == 0:
        return Optimum(factor, basis, np.sign(a) * weights)
    local, outer = unit_neurons(np.diag(weights), np.zeros(len(weights)), float(weights.sum()))
    return Optimum(factor, local @ basis, np.sign(a) * outer)
