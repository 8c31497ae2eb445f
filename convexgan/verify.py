"""A referee recomputes a certificate: everything is checked, nothing is taken from its author but the players."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_choice, check_count, check_number
from convexgan.canonical import check_budget
from convexgan.certificate import Certificate, Evidence
from convexgan.certify import make_certificate
from convexgan.discriminators import ReLU, TwoLayerDiscriminator, activation_from
from convexgan.exceptions import InfeasibleError
from convexgan.gaussian_certificate import verify_gaussian_certificate
from convexgan.mean_certificate import verify_mean_certificate
from convexgan.methods import choose, closed_form
from convexgan.moments import Moments
from convexgan.problem import MomentGame, Whitened
from convexgan.sample_certificate import verify_sample_certificate

Array = NDArray[np.float64]


def verify(certificate: Certificate, X: Any, *, tol: float = 1e-6, time_limit: float | None = None) -> Certificate:
    """The certificate recomputed from the data; compare it with the claim.

    Only the generated law's moments, the generator class and the discriminator's weights are taken from the
    file. Every number is computed again.

    Parameters
    ----------
    certificate : Certificate
        With evidence, as `Certificate.from_json` reads it.
    X : (n_r, d) array or Moments
        The real samples.
    tol : float
        The referee's own relative tolerance on gap and violation.
    time_limit : float, optional
        Seconds, for searches against ReLU neurons: what they have proved by then holds.

    Raises
    ------
    ValueError
        The evidence is missing, damaged, does not fit X, or describes no generator of its class.
    """
    check_number(tol, "tol", positive=True)
    if not isinstance(certificate, Certificate):
        raise ValueError(
            f"certificate must be a Certificate, got {type(certificate).__name__}: pass .certificate of a solution, "
            "of a file Certificate.from_json(Path(...).read_text())."
        )
    if certificate.evidence is None:
        raise ValueError("the certificate carries no evidence, so it cannot be recomputed.")
    limit = None if time_limit is None else check_number(time_limit, "time_limit")
    if certificate.evidence.settings.get("latent") == "gaussian":
        return verify_gaussian_certificate(certificate.evidence, X, tol, limit)
    if limit is not None and certificate.evidence.settings.get("activation") != ReLU.name:
        raise ValueError("time_limit is for searches against ReLU neurons, this certificate needs none: leave it out.")
    if "hidden" in certificate.evidence.arrays:  # a network, whose weights are penalised
        return verify_mean_certificate(certificate.evidence, X, tol)
    if "points" in certificate.evidence.arrays:  # a law of points: the rows themselves matter
        return verify_sample_certificate(certificate.evidence, X, tol, limit)
    data = Moments.from_array(X, name="X")
    try:
        game, factor, mean, discriminator = _read_evidence(certificate.evidence, data)
        width = closed_form(game).min_neurons if choose(game)[0] == "closed_form" else None
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"the certificate's evidence does not fit X or is damaged: {error}.") from None
    except InfeasibleError:
        width = None
    status = certificate.kind if certificate.kind in ("restricted", "stationary") else None
    return make_certificate(game, factor, mean, discriminator, tol=tol, min_neurons=width, status=status)


def _read_evidence(evidence: Evidence, data: Moments) -> tuple[MomentGame, Array, Array, TwoLayerDiscriminator]:
    """The game, the generated law and the discriminator, checked."""
    settings, arrays = evidence.settings, evidence.arrays
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("it has entries that are not finite")
    beta, lam = check_budget(settings["beta"], settings["lam"])
    activation = activation_from(settings["activation"], settings["coefficients"])
    game = MomentGame(
        data,
        _read_class(arrays["latent_values"], arrays["latent_mean"]),
        activation,
        beta,
        lam,
        check_number(settings["penalty"], "penalty", positive=True),
        check_choice(settings["regularizer"], "regularizer", ("output", "weights")),  # type: ignore[arg-type]
        check_choice(settings["bias"], "bias", ("none", "penalized")),  # type: ignore[arg-type]
        settings["max_neurons"] and check_count(settings["max_neurons"], "max_neurons"),
        check_count(settings["rows"], "rows"),
        check_number(settings["value_scale"], "value_scale", positive=True),
    )
    if game.value_scale != (game.rows if game.regularizer == "output" else 1) or (
        game.rows > 1 and game.rows != data.count
    ):
        raise ValueError("its scales do not belong to the sums over the rows of X")
    mean, used = arrays["mean"], np.asarray(settings["used"], dtype=int)
    if mean.shape != (data.dim,) or arrays["factor"].shape != (len(used), data.dim):
        raise ValueError(
            f"X has {data.dim} columns, the generated law has shapes {mean.shape}, {arrays['factor'].shape}"
        )
    factor = np.zeros((max(game.latent.rank, used.max(initial=-1) + 1), data.dim))
    factor[used] = arrays["factor"]
    _check_law(game.latent, arrays["factor"], mean)
    return game, factor, mean, _read_critic(arrays, game)


def _read_class(values: Array, mean: Array) -> Whitened:
    """A generator class: positive descending latent eigenvalues and a whitened mean of norm at most 1."""
    if values.ndim != 1 or mean.shape != values.shape or len(values) == 0:
        raise ValueError("its latents have wrong shapes")
    if values[-1] <= 0 or np.any(np.diff(values) > 0) or mean @ mean > 1 + 1e-9:
        raise ValueError("its latents are no law's: eigenvalues must be positive and descending, the mean within 1")
    return Whitened(values, mean)


def _read_critic(arrays: dict[str, Array], game: MomentGame) -> TwoLayerDiscriminator:
    """The discriminator; its neurons have unit norm, biases counted, or the norm of its weights means nothing."""
    neurons, outer, biases = arrays["neurons"], arrays["outer"], arrays["biases"]
    if neurons.shape != (len(outer), game.data.dim) or outer.ndim != 1 or biases.shape != outer.shape:
        raise ValueError("its discriminator has wrong shapes")
    if np.any(np.abs(np.sum(neurons**2, axis=1) + biases**2 - 1) > 1e-9) or (game.bias == "none" and biases.any()):
        raise ValueError("its neurons are not unit vectors")
    return TwoLayerDiscriminator(neurons, outer, game.activation, biases)


def _check_law(latent: Whitened, factor: Array, mean: Array) -> None:
    """Raise unless some generator of the class has this mean and second moment: S >= m m' / kappa, rank S <= r."""
    scale = float(np.linalg.norm(factor)) or 1.0
    share = np.linalg.lstsq(factor.T, mean, rcond=1e-9)[0]  # smaller directions are rounding
    misfit = float(np.linalg.norm(factor.T @ share - mean))
    rank = int(np.linalg.matrix_rank(factor / scale, tol=1e-6)) if factor.size else 0
    if misfit > 1e-6 * scale or share @ share > latent.kappa * (1 + 1e-6) + 1e-9 or rank > latent.rank:
        raise ValueError("its mean and second moment belong to no law of the generator class")
