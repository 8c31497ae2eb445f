"""The generator's side of a moment game in closed form: its cost, its moments, its best response to a critic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.latents import Decomposed
from convexgan.moments import Moments
from convexgan.problem import MomentGame, Whitened

Array = NDArray[np.float64]
RANK = 1e-9  # of the largest deviation: weights on smaller ones lose the digits that a certificate promises
ZERO_KAPPA = 1e-24  # the latent mean is zero up to rounding below this


def whiten(features: Moments) -> Whitened:
    """The features in coordinates where their second moment is I, cut at its numerical rank."""
    r = features.rank()
    values, vectors = features.spectrum.values[:r], features.spectrum.vectors[:, :r]
    if (values == 1).all() and np.array_equal(vectors, np.eye(len(vectors), r)) and r == features.dim:
        return Whitened(values, features.mean)
    return Whitened(values, _clipped(vectors.T @ features.mean / np.sqrt(values)), vectors)


def whiten_sample(features: Decomposed) -> Whitened:
    """The same of a sample, whose small directions keep their digits, cut where weights could not use them."""
    r = int(np.count_nonzero(features.sizes > RANK * features.sizes.max(initial=0.0)))
    left, vectors = features.left[:, :r], features.right[:r].T
    return Whitened(features.sizes[:r] ** 2, _clipped(left.T @ features.ones), vectors, left.T @ features.triangle)


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
    """R_g of a generator: penalty * E|G|^2, or penalty * |W|_F^2."""
    rows = np.sum(factor**2, axis=1)
    return game.penalty * float(np.sum(rows / game.latent.values if game.regularizer == "weights" else rows))


def dual_value(game: MomentGame, critic: TwoLayerDiscriminator, *, rescale: bool = False) -> tuple[float, float]:
    """The lower bound that the critic proves, and 1; or the best one that theta * critic proves, and theta.

    min over G of mean D(X) - mean D(G) + R(G) - beta |v|_1 has a closed form because every term is quadratic in
    the generator: with D = x'Qx + q'x it is finite iff penalty * I >= Q ("weights": penalty * I >= k_1 Q), and
    then equals <Q, S_X> + q'xbar - beta |v|_1 - sum_i |zbar_i|^2 q'(penalty / k_i - Q)^{-1} q / 4. It is -inf
    for critics beyond that limit, or beyond |v|_1 <= lam, by more than rounding.
    """
    if critic.norm == 0:
        return 0.0, 1.0
    latent, (a, b, _) = game.latent, critic.coefficients
    linear = (critic.outer * (2 * a * critic.biases + b)) @ critic.neurons
    gain = float(a * critic.outer @ quadratic_means(game.data, critic.neurons) + linear @ game.data.mean)
    gain -= 0.0 if game.beta is None else game.beta * critic.norm
    k = latent.values if game.regularizer == "weights" else np.ones(latent.rank)
    shift = k * latent.mean**2
    budget = np.inf if game.lam is None else game.lam / critic.norm
    if linear.any() and shift.any():
        values, along = _spectrum_along(a * critic.outer, critic.neurons, linear)
    else:
        values, along = np.array([_top_eigenvalue(a * critic.outer, critic.neurons)]), np.zeros(1)
    top = float(k[0] * values.max())
    limit = min(budget, game.penalty / top if top > 0 else np.inf)
    used = np.outer(shift, along)

    def bound(theta: float) -> float:
        slack = game.penalty - theta * np.outer(k, values)
        loss = np.divide(used, slack, out=np.where(used > 0, np.inf, 0.0), where=slack > 0)
        return theta * gain - theta**2 * float(loss.sum()) / 4

    if not rescale:
        full = min(1.0, limit)
        return (max(bound(full * (1 - e)) for e in (0.0, 1e-12, 1e-9)) if full > 1 - 1e-9 else -np.inf), 1.0
    if gain <= 0:
        return 0.0, 0.0
    return _best_scale(bound, limit, 2 * gain * game.penalty / float(used.sum()) if used.any() else np.inf)


def _best_scale(bound: Callable[[float], float], limit: float, flat: float) -> tuple[float, float]:
    """The maximum of a concave bound over [0, limit] and where; ``flat`` is its maximiser without curvature."""
    from scipy.optimize import minimize_scalar  # here: it takes longer to import than all the rest of the package

    end = limit if np.isfinite(limit) else 1e3 * flat
    if not np.isfinite(end):  # the bound grows for ever: no generator is feasible
        return bound(1.0), 1.0
    found = minimize_scalar(lambda t: -bound(t), bounds=(0.0, end), method="bounded", options={"xatol": 1e-13 * end})
    best = max((bound(theta), theta) for theta in (0.0, float(found.x), end * (1 - 1e-9), end))
    return best


def _spectrum_along(weights: Array, neurons: Array, linear: Array) -> tuple[Array, Array]:
    """Eigenvalues of sum_j weights_j u_j u_j' on the neurons' span, and the squared coordinates of ``linear``."""
    basis, _ = np.linalg.qr(neurons.T)
    inner = neurons @ basis
    values, vectors = np.linalg.eigh((weights * inner.T) @ inner)
    return values, (vectors.T @ (basis.T @ linear)) ** 2


def quadratic_means(moments: Moments, neurons: Array) -> Array:
    """mean (u_j . x)^2 for each neuron, (m,)."""
    if moments.factor is not None:
        return np.asarray(np.sum((moments.factor @ neurons.T) ** 2, axis=0))
    return np.asarray(np.sum((neurons @ moments.second) * neurons, axis=1))


def _top_eigenvalue(weights: Array, neurons: Array) -> float:
    """An upper bound, tight to rounding, on the largest eigenvalue of sum_j weights_j u_j u_j'."""
    positive = weights > 0
    if not positive.any():
        return 0.0
    scaled = np.sqrt(weights[positive])[:, None] * neurons[positive]
    gram = scaled @ scaled.T if len(scaled) <= scaled.shape[1] else scaled.T @ scaled
    circles = float(np.abs(gram).sum(axis=1).max())  # Gershgorin: exact for orthogonal neurons
    if positive.all() and circles <= float(gram.diagonal().max()) * (1 + 1e-10):
        return circles
    full = (weights * neurons.T) @ neurons if not positive.all() else gram
    return float(np.linalg.eigvalsh(full)[-1])
