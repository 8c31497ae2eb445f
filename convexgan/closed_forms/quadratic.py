"""Quadratic discriminator: the generator matches the second moment up to a soft threshold of its eigenvalues.

With neurons a t^2 everything is in units of eigenvalues: the threshold is ipm / |a|, the critic's matrix
L = |a| sum_j v_j u_j u_j', and a norm bound lam is a budget |a| lam on its trace.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import down, gamma
from convexgan.exceptions import InfeasibleError
from convexgan.records.moment_game import AT_LEVEL, MomentGame, Optimum
from convexgan.statistics.krylov import CLOSELY, TOLERANCE

Array = NDArray[np.float64]


def solve_quadratic(game: MomentGame) -> Optimum:
    """The optimum of second-moment matching, and the critic that proves it.

    S* = soft(S_X, threshold), paired in order with the latent eigenvalues: optimal for the output penalty, and by
    von Neumann's inequality for the weight penalty too. The critic is penalty times the projector on the active
    eigenvectors. Source: equation 15 of Sahiner et al., arXiv 2107.05680.
    """
    slope, spectrum = game.activation.coefficients[0], game.data.spectrum
    threshold = spectral_threshold(game)
    active = min(count_above(game, threshold), game.latent.rank)
    factor = np.zeros((game.latent.rank, game.data.dim))
    factor[:active] = np.sqrt(spectrum.values[:active] - threshold)[:, None] * spectrum.vectors[:, :active].T
    weights = critic_weights(game, threshold)
    width = len(weights) if game.max_neurons is None else min(game.max_neurons, len(weights))
    best, bound = max_min(game, weights), spectral_bound(game)
    return Optimum(
        factor,
        spectrum.vectors[:, :width].T,
        weights[:width] / slope,
        max_min=max_min(game, weights[:width]),
        min_neurons=len(weights) if bound - best <= 1e-9 * bound else None,
    )


def count_above(game: MomentGame, threshold: float) -> int:
    """How many eigenvalues of the data exceed the threshold by more than what an eigensolver leaves open."""
    data, top = game.data, game.data.spectrum.value(0)
    rounding, disagreement = 1e-15 * data.dim * top, 0.0
    if data.subspace is not None:  # an iteration that starts elsewhere finds the same eigenvalues to that
        disagreement = (CLOSELY if data.count is not None else TOLERANCE) * top
    return int(np.count_nonzero(data.spectrum.values > max(threshold * (1 + AT_LEVEL) + disagreement, rounding)))


def spectral_threshold(game: MomentGame) -> float:
    """The optimal |S_X - S|: beta, or for the norm-bounded discriminator the eigenvalue its budget pays for.

    sum_i price_i (l_i - b)_+ + lam b is minimal at b = l_{j+1}, j the number of prices that lam covers together,
    and at most the latents' rank r. Latents of rank r cannot come nearer than l_{r+1}.
    """
    slope, spectrum, rank = abs(game.activation.coefficients[0]), game.data.spectrum, game.latent.rank
    # float32 sums are noisier than a certificate allows: what it would call a violation is not noise
    noise = min(game.data.noise(), 1e-7 * spectrum.value(0))
    smallest = spectrum.value(rank) if spectrum.value(rank) > noise else 0.0
    if game.lam is not None:
        covered = int(np.count_nonzero(np.cumsum(prices(game)) <= game.lam * slope * (1 + AT_LEVEL)))
        return max(spectrum.value(covered), smallest)
    beta = (game.beta or 0.0) / slope
    if beta < smallest * (1 - AT_LEVEL):
        subspace = game.data.subspace
        error = 0.0 if subspace is None else subspace.enclosure.proved_error(min(rank + 1, len(spectrum.values)))
        least = (smallest + error) * (slope * game.rows)
        needed = count_above(game, beta)  # of those that are known
        raise InfeasibleError(
            f"latents of rank {rank} cannot match the second moment within beta = {beta * slope * game.rows:.6g}: "
            f"use beta >= {least!r} (eigenvalue {rank + 1} of the data) or latents of rank "
            f"{needed if needed < len(spectrum.values) or subspace is None else f'{needed} or more'}.",
            smallest_beta=least,
        )
    return beta


def prices(game: MomentGame) -> Array:
    """What a unit of each generated eigenvalue costs, (r,) ascending: penalty, or penalty / k_i."""
    return game.penalty / (game.latent.values if game.regularizer == "weights" else np.ones(game.latent.rank))


def critic_weights(game: MomentGame, threshold: float) -> Array:
    """The eigenvalues of the critic's matrix L on the data's leading eigenvectors, (m*,).

    No critic may offer more than the generator's lowest price: its best response would be unbounded. A
    norm-bounded critic spends its budget in descending order of the data's eigenvalues.
    """
    offer = float(prices(game)[0])
    if game.lam is None:
        return np.full(min(count_above(game, threshold), game.latent.rank), offer)
    budget = game.lam * abs(game.activation.coefficients[0])
    spent = np.clip(budget - offer * np.arange(count_above(game, 0.0)), 0.0, offer)
    return np.asarray(spent[spent > 1e-9 * offer])


def max_min(game: MomentGame, weights: Array) -> float:
    """What a critic with these weights proves: max-min, if they are the best of their number."""
    charge = 0.0 if game.beta is None else game.beta / abs(game.activation.coefficients[0])
    return float(weights @ (game.data.spectrum.values[: len(weights)] - charge))


def spectral_bound(game: MomentGame) -> float:
    """A lower bound on min-max from eigenvalues alone (Weyl; with von Neumann for the weight penalty).

    Whatever the generator, its i-th eigenvalue is at least l_i - |S_X - S|, and costs at least the i-th price.
    """
    threshold = spectral_threshold(game)
    shared = min(game.latent.rank, len(game.data.spectrum.values))
    gains = np.maximum(game.data.spectrum.values[:shared] - threshold, 0.0)
    budget = 0.0 if game.lam is None else game.lam * abs(game.activation.coefficients[0])
    return float(prices(game)[:shared] @ gains) + budget * threshold


def proved_spectral_bound(game: MomentGame) -> float:
    """`spectral_bound` in exact arithmetic for the rows as they are stored: less all that rounding may have added.

    For a norm bound the sum is convex and piecewise linear in the threshold, so one of the eigenvalues decides.

    Raises
    ------
    InfeasibleError
        No generator of the class is within beta, which the eigenvalues prove.
    """
    slope, spectrum, error = abs(game.activation.coefficients[0]), game.data.spectrum, game.data.spectrum_error
    shared = min(game.latent.rank, len(spectrum.values))
    values = np.maximum(spectrum.values[:shared] - error, 0.0)
    price = prices(game)[:shared] * (1 - gamma(2) - 3.1 * game.latent.error)
    least = max(spectrum.value(game.latent.rank) - error, 0.0)
    if game.lam is None:
        level = (game.beta or 0.0) / slope * (1 + gamma(2))
        if level < least:
            spectral_threshold(game)  # raises, unless what the latents lack may be noise
        return down(float(price @ np.maximum(values - level, 0.0)), shared + 4)
    levels = np.append(np.maximum(values, least), least)
    above = np.searchsorted(-values, -levels)
    gains, paid = (np.append(0.0, np.cumsum(part))[above] for part in (price * values, price))
    budget = game.lam * slope
    rounded = gamma(shared + 8) * (gains + (budget + paid) * levels)
    return float((gains + (budget - paid) * levels - rounded).min())
