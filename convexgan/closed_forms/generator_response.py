"""The generator's side of a moment game in closed form: its coordinates, its cost, its moments."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import entries, gamma, length, squares, up
from convexgan.records.moment_game import MomentGame, Whitened
from convexgan.statistics.latents import Decomposed
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
RANK = 1e-9  # of the largest deviation: weights on smaller ones lose the digits that a certificate promises
ZERO_KAPPA = 1e-24  # the latent mean is zero up to rounding below this


def whiten(features: Moments) -> Whitened:
    """The features in coordinates where their second moment is I, cut at its numerical rank."""
    r = features.rank()
    values, vectors = features.spectrum.values[:r], features.spectrum.vectors[:, :r]
    if (values == 1).all() and np.array_equal(vectors, np.eye(len(vectors), r)) and r == features.dim:
        return Whitened(values, features.mean)
    mean = vectors.T @ features.mean / np.sqrt(values)
    least = float(values[-1]) if r else 1.0
    error = features.spectrum_error / least
    error += (features.mean_error + gamma(features.dim + 4) * length(features.mean)) / least**0.5
    clipped = _clipped(mean)
    return Whitened(values, clipped, vectors, error=error + length(mean - clipped))


def whiten_sample(features: Decomposed) -> Whitened:
    """A sample's whitened features, whose small directions keep their digits, cut where weights cannot use them."""
    r = int(np.count_nonzero(features.sizes > RANK * features.sizes.max(initial=0.0)))
    left, vectors = features.left[:, :r], features.right[:r].T
    return Whitened(features.sizes[:r] ** 2, _clipped(left.T @ features.ones), vectors, left.T @ features.triangle)


def whitening_error(parts: Iterable[Array], latent: Whitened) -> float:
    """How far the moments of features (n_i, k), in the coordinates of a `Whitened`, are from I and its mean.

    Bounds the spectral norm of the one and the length of the other, in exact arithmetic for the features as they are.
    """
    if latent.vectors is None or latent.rank == 0:
        return 0.0
    turn = latent.vectors / np.sqrt(latent.values)
    moments, rounded = Moments(latent.rank), 0.0
    for part in parts:
        moments.update(part @ turn)
        rounded += (gamma(part.shape[1] + 8) * length(np.abs(part) @ np.abs(turn))) ** 2
    stray = up(float(np.sqrt(rounded / moments.total)), 8)  # root mean square of what the products' rounding moves
    size = up(entries(moments.second - np.eye(latent.rank)) + moments.second_error)
    mean = length(moments.mean - latent.mean) + moments.mean_error + stray
    skew = entries(latent.vectors.T @ latent.vectors - np.eye(latent.rank)) + gamma(len(turn) + 2) * latent.rank
    return max(size + stray * (2 * float(np.sqrt(1 + size)) + stray) + skew, mean)


def _clipped(mean: Array) -> Array:
    """The whitened mean, whose squared norm rounding can make more than 1, or other than 0."""
    kappa = float(mean @ mean)
    return mean * 0.0 if kappa < ZERO_KAPPA else mean / max(1.0, kappa**0.5)


def unwhiten(latent: Whitened, factor: Array) -> Array:
    """The weights W on the features, (k, d), of a factor (r, d)."""
    if latent.vectors is None:
        return factor
    used = factor.any(axis=1)
    return np.asarray(latent.vectors[:, used] @ (factor[used] / np.sqrt(latent.values[used])[:, None]))


def class_factor(latent: Whitened, weights: Array) -> Array:
    """The factor (r, d), in whitened coordinates, of weights on the features, (k, d)."""
    if latent.root is not None:
        return latent.root @ weights
    turned = weights if latent.vectors is None else latent.vectors.T @ weights
    return np.asarray(np.sqrt(latent.values)[:, None] * turned)


def generated_moments(game: MomentGame, factor: Array) -> Moments:
    """The exact mean and second moment of the generated law."""
    used = factor.any(axis=1)
    return Moments.of_law(factor.T @ game.latent.mean, factor[used] if used.any() else factor[:1])


def cost(game: MomentGame, factor: Array) -> float:
    """R_g of a generator, rounded up: penalty * E|G|^2, or penalty * |W|_F^2."""
    weights = factor / np.sqrt(game.latent.values)[:, None] if game.regularizer == "weights" else factor
    return up(game.penalty * squares(weights), 8)


def quadratic_means(moments: Moments, neurons: Array) -> tuple[Array, float]:
    """mean (u_j . x)^2 for each neuron of length 1, (m,), and a bound on what rounding may have changed of each."""
    size, d = max(moments.trace, 0.0), neurons.shape[1]
    if moments.factor is not None:
        squares = np.sum((moments.factor @ neurons.T) ** 2, axis=0)
        return squares, moments.factor_error + gamma(2 * d + len(moments.factor) + 4) * size
    squares = np.sum((neurons @ moments.second) * neurons, axis=1)
    return squares, moments.second_error + gamma(2 * d + 4) * size
