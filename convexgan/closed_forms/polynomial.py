"""Polynomial discriminator on centred data: the quadratic closed form, with a critic that sums to zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convexgan.closed_forms.pairing import unit_neurons
from convexgan.closed_forms.quadratic import critic_weights, solve_quadratic, spectral_threshold
from convexgan.records.moment_game import MomentGame, Optimum


def is_centred(game: MomentGame) -> bool:
    """Whether the data's mean is zero up to rounding, and too small for the activation's linear term to matter."""
    a, b, _ = game.activation.coefficients
    mean, top = float(np.linalg.norm(game.data.mean)), game.data.spectrum.value(0)
    return mean <= 1e-13 * top**0.5 and abs(b) * mean <= 1e-8 * abs(a) * top


def equal_prices(game: MomentGame) -> bool:
    """Whether the cost of a generator depends on its second moment only."""
    return game.regularizer == "output" or bool(game.latent.values[0] <= game.latent.values[-1] * (1 + 1e-9))


def has_closed_form(game: MomentGame) -> bool:
    """Whether `solve_polynomial` applies: centred data, a quadratic term, equal prices, enough latents.

    Latents with a mean must leave as many centred directions as the solution needs.
    """
    centred_rank = game.latent.rank - (game.latent.kappa > 0)
    if game.activation.coefficients[0] == 0 or not is_centred(game) or not equal_prices(game) or centred_rank < 1:
        return False
    return game.latent.kappa == 0 or centred_rank >= min(game.data.dim, game.data.rank())


def solve_polynomial(game: MomentGame) -> Optimum:
    """The optimum for centred data: second moments matched as by a quadratic discriminator, mean zero.

    The critic's neurons have |a| sum v_j u_j u_j' = L: the eigenvectors of L, where the latents have mean zero and so
    has every generator. Others gain nothing by moving their mean if sum v_j u_j = 0: a frame of one neuron more than
    L's rank, which is the fewest possible.
    Source: section 3.3 of Sahiner et al., arXiv 2107.05680.
    """
    game = replace(game, max_neurons=None)
    if game.latent.kappa == 0:
        return solve_quadratic(game)
    a, b, _ = game.activation.coefficients
    complement = np.linalg.qr(game.latent.mean[:, None], mode="complete")[0][:, 1:]
    latent = replace(
        game.latent, values=np.full(complement.shape[1], game.latent.values[0]), mean=np.zeros(complement.shape[1])
    )
    inner = solve_quadratic(replace(game, latent=latent))
    factor = complement @ inner.factor
    if b == 0 or len(inner.outer) == 0:
        return replace(inner, factor=factor)
    weights = critic_weights(game, spectral_threshold(game)) / abs(a)
    basis = inner.neurons
    local, outer = unit_neurons(np.diag(weights), np.zeros(len(weights)), float(weights.sum()))
    width = None if inner.min_neurons is None else len(outer)
    return Optimum(factor, local @ basis, np.sign(a) * outer, max_min=inner.max_min, min_neurons=width)
