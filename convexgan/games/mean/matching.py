"""Two-layer ReLU generators with weight decay against linear discriminators: one neuron matches the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import down, gamma, length, squares, up
from convexgan._tools.tables import Label
from convexgan.arrangements import Maximum, maximize
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.discriminators.activation import MomentActivation
from convexgan.generators import ReLUGenerator, TwoLayerReLU
from convexgan.statistics.latents import GaussianLatent, Latent

Array = NDArray[np.float64]
NODES = 500_000  # cones after which the search for the best neuron stops, with a bound


@dataclass(frozen=True, eq=False)
class MeanGame:
    """The game in canonical form, all terms means, for neurons b t + c and generators G(z) = sum_j w_j max(u_j . z, 0).

        min over G of penalty (1/2) sum |u_j|^2 + |w_j|^2    s.t. |b| |data - E G| <= beta, or with lam |b| |data - E G|

    Attributes
    ----------
    data : (d,) array
        The mean of the real rows.
    generator : TwoLayerReLU
    latent : GaussianLatent or SampleLatent
    activation : MomentActivation
        Without a quadratic term.
    beta, lam : float or None
    penalty : float
    rows : int
        As in `MomentGame`; values are not scaled.
    data_error : float
        A bound on the length of what rounding may have changed of the data's mean.
    columns : tuple, optional
        The names of the data's columns.
    """

    data: Array
    generator: TwoLayerReLU
    latent: Latent
    activation: MomentActivation
    beta: float | None
    lam: float | None
    penalty: float = 1.0
    rows: int = 1
    data_error: float = 0.0
    columns: tuple[Label, ...] | None = None

    @property
    def slope(self) -> float:
        """|b|."""
        return abs(self.activation.coefficients[1])


def unit_reach(game: MeanGame, time_limit: float | None = None) -> Maximum:
    """kappa, the largest mean of max(u . z, 0) over |u| <= 1, and its neuron u.

    Of Gaussian latents it is 1 / sqrt(2 pi), and with a bias 1, that of the constant neuron: the mean of
    (t + |t|) / 2 is at most (b + 1) / 2. Of rows it is a maximum over their arrangement.
    """
    if isinstance(game.latent, GaussianLatent):
        bias, dim = game.generator.bias, game.latent.dim
        value = 1.0 if bias else float(1 / np.sqrt(2 * np.pi))
        direction = np.eye(1, dim + bias, dim if bias else 0)[0]
        return Maximum(value, up(value), True, direction, 1.0, "optimal", "formula", {})
    Z = game.generator.augmented(latent_rows(game.latent))
    return maximize(Z, np.full(len(Z), 1 / len(Z)), time_limit=time_limit, max_nodes=NODES)


def latent_rows(latent: Latent) -> Array:
    """The rows of a sample of latents; refused for moments."""
    if latent.rows is None:
        raise ValueError("a ReLU generator needs the latents themselves: pass Z as an array or GaussianLatent(k).")
    return np.asarray(latent.rows, dtype=np.float64)


def solve_mean_matching(game: MeanGame, reach: Maximum) -> tuple[ReLUGenerator, TwoLayerDiscriminator]:
    """The optimal network and the optimal discriminator.

    Weight decay of a network is at least sum |u_j| |w_j| >= |E G| / kappa, with equality for one neuron, so that the
    generator pays penalty |t| / kappa for the mean t. Within beta of the data the shortest t is
    data (1 - beta / |b data|)_+; at a price lam everything is linear in |t|, and t is 0 or the data's mean.
    """
    size = game.slope * float(np.linalg.norm(game.data))
    price = game.penalty / (game.slope * reach.upper_bound)  # for more the discriminator would be unbounded
    if game.lam is None:
        share = max(1 - (game.beta or 0.0) / size, 0.0) if size > 0 else 0.0
    else:
        share, price = float(game.lam > price), min(game.lam, price)
    mean = share * game.data
    root = np.sqrt(np.linalg.norm(mean) / reach.value)
    neurons, outer = (root * reach.direction)[None, :], (mean / (root * reach.value) if root > 0 else mean)[None, :]
    used = 1 if root > 0 else 0
    critic = 1 if size > 0 and price > 0 and (used or game.lam is not None) else 0
    unit = np.sign(game.activation.coefficients[1]) * game.data / (np.linalg.norm(game.data) or 1.0)
    discriminator = TwoLayerDiscriminator(unit[None, :][:critic], np.array([price])[:critic], game.activation)
    return game.generator.network(neurons[:used], outer[:used], game.latent), discriminator


def generated_mean(game: MeanGame, network: ReLUGenerator) -> Array:
    """E G, exactly."""
    if not isinstance(game.latent, GaussianLatent):
        return np.asarray(network(latent_rows(game.latent)).mean(axis=0))
    from scipy.special import ndtr  # here: it takes longer to import than all the rest of the package

    s, b = np.linalg.norm(network.neurons, axis=1), network.biases
    t = np.divide(b, s, out=np.sign(b) * 40.0, where=s > 0)  # beyond 40 deviations the neuron is linear
    return np.asarray((b * ndtr(t) + s * np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)) @ network.outer)


def mean_error(game: MeanGame, network: ReLUGenerator) -> float:
    """A bound on the length of what rounding may have changed of `generated_mean`."""
    shape = sum(network.neurons.shape) + network.outer.shape[1] + 64
    if isinstance(game.latent, GaussianLatent):
        sizes = (np.linalg.norm(network.neurons, axis=1) + np.abs(network.biases)) @ np.abs(network.outer)
        return gamma(shape) * length(sizes)
    Z = latent_rows(game.latent)
    inner = np.abs(Z) @ np.abs(network.neurons).T + np.abs(network.biases)
    return gamma(shape + len(Z)) * length((inner @ np.abs(network.outer)).mean(axis=0)) * 1.01


def weight_decay(game: MeanGame, network: ReLUGenerator) -> float:
    """penalty (1/2) sum |u_j|^2 + |w_j|^2, biases counted, rounded up."""
    total = squares(network.neurons) + squares(network.biases) + squares(network.outer)
    return up(game.penalty / 2 * total)


def guarantee(game: MeanGame, critic: TwoLayerDiscriminator, reach: Maximum) -> float:
    """What the discriminator guarantees: the generator gains (c . w) mean max(u . z, 0), at most |c| kappa for each
    unit of weight decay, c the slope of D; beyond the penalty it gains without end."""
    if critic.norm == 0:
        return 0.0
    slope = game.activation.coefficients[1] * (critic.outer @ critic.neurons)
    rounded = gamma(sum(critic.neurons.shape) + 8)
    stray = rounded * game.slope * up(critic.norm, len(critic.outer))  # of the slope: its sums, the neurons' lengths
    offer = up((length(slope) + stray) * reach.upper_bound / game.penalty)
    if game.lam is not None:
        offer = max(offer, up(critic.norm, len(critic.outer)) / game.lam if game.lam > 0 else np.inf)
    if offer > 1 + 1e-9:
        return -np.inf
    size, charge = length(game.data), up((game.beta or 0.0) * critic.norm, len(critic.outer) + 2)
    gain = float(slope @ game.data)
    gain -= charge + stray * size + (length(slope) + stray) * game.data_error + rounded * (abs(gain) + charge)
    return down(gain / max(offer, 1.0))
