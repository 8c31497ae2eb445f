"""One resolution: the game on its pictures, solved and certified for the law that is sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convexgan.closed_forms import solve_quadratic
from convexgan.games.game import Call
from convexgan.games.moment.certificate import critic, make_certificate
from convexgan.games.moment.reading import read_moments
from convexgan.progressive.coupling import in_order, transport
from convexgan.progressive.ranks import Variance
from convexgan.progressive.streaming import StageData
from convexgan.records.certificate import Certificate
from convexgan.statistics.latents import GaussianLatent, MomentLatent
from convexgan.statistics.moments import Moments
from convexgan.statistics.spectrum import Spectrum

Array = NDArray[np.float64]
Latents = Literal["fresh", "single"]
Coupling = Literal["transport", "sorted"]
TOLERANCE = 1e-6  # of certificates


@dataclass(frozen=True, eq=False)
class Stage:
    """A solved resolution.

    Attributes
    ----------
    size, channels : int
        The pictures are (size, size, channels), d = size * size * channels.
    beta : float
        The level of the constraint, in units of squared pixels in [-1, 1].
    mean : (d,) array
    factor : (k, d) array
        Pictures are mean + code @ factor, with standard Gaussian codes.
    carry, fresh : (q, k) and (p, k) arrays
        code = previous code @ carry + noise @ fresh.
    eigenvalues : (r,) array
        Of the second moment the stage matches, descending.
    variance : Variance
        Of what the stage matches, and of the pictures.
    certificate : Certificate
    detail : (j, d) array
        Factor of what the game was played on: ``factor`` itself, or with skip connections the detail's.
    detail_mean : (d,) array
        Mean of that.
    """

    size: int
    channels: int
    beta: float
    mean: Array
    factor: Array
    carry: Array
    fresh: Array
    eigenvalues: Array
    variance: Variance
    certificate: Certificate
    detail: Array
    detail_mean: Array

    @property
    def rank(self) -> int:
        """The rank of what the stage adds, or of its pictures without skip connections."""
        return len(self.detail)

    @property
    def lost(self) -> tuple[float, float]:
        """The shares of the pictures' variance that the rank cuts off, and that beta takes off what is within it."""
        return self.variance.lost(self.eigenvalues[: self.rank], np.sum(self.detail**2, axis=1))

    @property
    def law(self) -> Moments:
        """The exact moments of what the game was played on, centred."""
        return Moments.of_law(np.zeros(len(self.mean)), _at_least_one(self.detail))

    def code(self, previous: Array, rng: np.random.Generator) -> Array:
        """Codes of this stage, (n, k), for codes (n, q) of the one before."""
        return previous @ self.carry + rng.standard_normal((len(previous), len(self.fresh))) @ self.fresh

    def pictures(self, code: Array) -> Array:
        """(n, size, size, channels) pictures, not clipped to [-1, 1]."""
        return (self.mean + code @ self.factor).reshape(-1, self.size, self.size, self.channels)


def solve_stage(
    given: StageData,
    size: int,
    channels: int,
    previous: Array | None,
    *,
    latents: Latents,
    coupling: Coupling,
    latent_dim: int,
    tol: float = TOLERANCE,
) -> Stage:
    """The stage whose generator is the global optimum of the quadratic game on the centred pictures.

    Parameters
    ----------
    given : StageData
        Mean and moments of the flattened pictures at this resolution, with rank and beta.
    size, channels : int
    previous : (q, d) array or None
        Factor of the upsampled output of the stage before.
    latents : "fresh" or "single"
        Whether k dimensions of noise are appended to the input.
    coupling : "transport" or "sorted"
    latent_dim : int
        Noise dimensions of the first stage under "single".
    tol : float
        Of the certificate.

    Raises
    ------
    InfeasibleError
        If the input's rank is too small for the level; ``smallest_beta`` is the repair.
    """
    mean, data, variance, rank, beta = given
    if previous is None:
        noise, law = (latent_dim if latents == "single" else max(rank, 1)), None
    else:
        noise = max(rank, 1) if latents == "fresh" else 0
        law = _input_law(previous, noise)
    latent = GaussianLatent(noise) if law is None else MomentLatent(law)
    game = read_moments(Call.read(data, latent, discriminator="quadratic", generator="linear", beta=beta)).game
    optimum = solve_quadratic(game)
    factor = optimum.factor[np.any(optimum.factor != 0, axis=1)]
    if previous is None:
        carry, fresh = np.zeros((0, len(factor))), np.eye(noise)[:, : len(factor)]
    elif coupling == "transport":
        carry, fresh = transport(previous, factor, min(noise, len(factor)))
    else:
        carry, fresh = in_order(previous, len(factor), noise)
    certificate = make_certificate(
        game,
        _at_least_one(_root(carry.T @ carry + fresh.T @ fresh) @ factor),
        np.zeros(data.dim),
        critic(game, optimum.neurons, optimum.outer),
        tol=tol,
        min_neurons=optimum.min_neurons,
    )
    values = data.spectrum.values
    return Stage(size, channels, beta, mean, factor, carry, fresh, values, variance, certificate, factor, mean)


def _input_law(previous: Array, noise: int) -> Moments:
    """The exact moments of [upsampled picture, fresh noise]: no latent is drawn."""
    d = previous.shape[1]
    _, scales, axes = np.linalg.svd(previous, full_matrices=False)
    values = np.concatenate([scales**2, np.ones(noise)])
    vectors = np.zeros((d + noise, len(values)))
    vectors[:d, : len(scales)], vectors[d:, len(scales) :] = axes.T, np.eye(noise)
    order = np.argsort(-values, kind="stable")
    return Moments.of_law(np.zeros(d + noise), spectrum=Spectrum(values[order], vectors[:, order]))


def _root(covariance: Array) -> Array:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def _at_least_one(factor: Array) -> Array:
    """The factor, with a row of zeros if it has none."""
    return factor if len(factor) else np.zeros((1, factor.shape[1]))
