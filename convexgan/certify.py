"""Certificates, computed from the data for both players and never from a solver's word."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_count, check_number
from convexgan.certificate import Certificate, Evidence, Kind, relative_gap
from convexgan.closed_forms import cost, dual_value, spectral_bound
from convexgan.discriminators import TwoLayerDiscriminator, activation_from, separate, separation
from convexgan.exceptions import InfeasibleError
from convexgan.moments import Moments
from convexgan.problem import MomentGame, Whitened

Array = NDArray[np.float64]


def critic(game: MomentGame, neurons: Array, outer: Array) -> TwoLayerDiscriminator:
    """The discriminator with the given neurons, whose last column is the bias where the game has one."""
    if game.bias == "penalized" and neurons.shape[1] == game.data.dim + 1:
        return TwoLayerDiscriminator(neurons[:, :-1], outer, game.activation, neurons[:, -1])
    return TwoLayerDiscriminator(neurons, outer, game.activation)


def game_ipm(game: MomentGame, generated: Moments) -> float:
    """The discriminator's best response, an upper bound up to rounding."""
    X, Y = game.data, generated
    a, b, _ = game.activation.coefficients
    if game.bias == "penalized" and a != 0:
        X, Y = X.with_ones(), Y.with_ones()
    return separate(X, Y, a, b).upper_bound if a != 0 and b != 0 else separation(X, Y, a, b)


def data_scale(game: MomentGame) -> float:
    """ipm(X, 0), the size against which violations are measured."""
    a, b, _ = game.activation.coefficients
    if b == 0 and game.bias == "none":
        return abs(a) * game.data.spectrum.value(0)
    nothing = Moments.of_law(np.zeros(game.data.dim), np.zeros((1, game.data.dim)))
    return game_ipm(game, nothing)


def make_certificate(
    game: MomentGame,
    factor: Array,
    mean: Array,
    discriminator: TwoLayerDiscriminator,
    *,
    tol: float,
    min_neurons: int | None = None,
    status: Literal["restricted", "stationary"] | None = None,
) -> Certificate:
    """The certificate of a generated law and a discriminator.

    Parameters
    ----------
    game : MomentGame
    factor : (r, d) array
        The law's second moment is factor'factor; under "weights" row i belongs to latent eigenvalue i.
    mean : (d,) array
    discriminator : TwoLayerDiscriminator
        In canonical units.
    tol : float
        Relative tolerance on gap and violation.
    min_neurons : int, optional
        The smallest width with a saddle point, where the method knows it.
    status : "restricted" or "stationary", optional
        The kind if optimality is not proved, where the method knows more than "bounded".
    """
    ipm = game_ipm(game, Moments.of_law(mean, factor))
    value = cost(game, factor) + (0.0 if game.lam is None else game.lam * ipm)
    scale = max(game.beta or 0.0, data_scale(game))
    violation = 0.0 if game.beta is None else max(ipm - game.beta, 0.0)
    relative = violation / scale if scale > 0 else (0.0 if violation == 0 else math.inf)
    max_min, _ = dual_value(game, discriminator)
    bound, origin = _best_bound(game, max_min)
    limited = game.max_neurons is not None and min_neurons is not None and game.max_neurons < min_neurons
    kind: Kind
    if relative > tol:
        kind = "infeasible"
    elif relative_gap(value, max_min) <= tol:
        kind = "saddle"
        bound, origin = max_min, DUAL
    elif relative_gap(value, bound) <= tol:
        kind = "minimax"
        if limited:
            bound, origin = max_min, f"max-min over discriminators of {game.max_neurons} neurons"
    else:
        kind = status or "bounded"
    return Certificate(
        value * game.value_scale,
        bound * game.value_scale,
        ipm * game.rows,
        violation * game.rows,
        relative,
        kind,
        max_min * game.value_scale,
        min_neurons,
        origin,
        tol,
        _evidence(game, factor, mean, discriminator, min_neurons),
    )


DUAL = "the generator's best response to the discriminator"


def _best_bound(game: MomentGame, max_min: float) -> tuple[float, str]:
    candidates = [(max_min, DUAL), (0.0, "costs are non-negative")]
    if game.activation.coefficients[1] == 0 and game.bias == "none":
        try:
            candidates.append((spectral_bound(game), "eigenvalue inequalities (Weyl, von Neumann)"))
        except InfeasibleError:
            candidates.append((math.inf, "no generator of the class is feasible"))
    return max(candidates, key=lambda pair: pair[0])


def _evidence(
    game: MomentGame, factor: Array, mean: Array, discriminator: TwoLayerDiscriminator, min_neurons: int | None
) -> Evidence:
    used = np.flatnonzero(np.any(factor != 0, axis=1))
    settings: dict[str, Any] = {
        "activation": game.activation.name,
        "coefficients": list(game.activation.coefficients),
        "beta": game.beta,
        "lam": game.lam,
        "penalty": game.penalty,
        "regularizer": game.regularizer,
        "bias": game.bias,
        "max_neurons": game.max_neurons,
        "rows": game.rows,
        "value_scale": game.value_scale,
        "min_neurons": min_neurons,
        "used": used.tolist(),
    }
    arrays = {
        "factor": factor[used],
        "mean": mean,
        "latent_values": game.latent.values,
        "latent_mean": game.latent.mean,
        "neurons": discriminator.neurons,
        "biases": discriminator.biases,
        "outer": discriminator.outer,
    }
    return Evidence(settings, arrays)


def verify(certificate: Certificate, X: Any) -> Certificate:
    """The certificate recomputed from the data; compare it with the claim.

    Only the generated law's moments, the generator class and the discriminator's weights are taken from the
    file. Every number is computed again.

    Parameters
    ----------
    certificate : Certificate
        With evidence, as `Certificate.from_json` reads it.
    X : (n_r, d) array or Moments
        The real samples.
    """
    if certificate.evidence is None:
        raise ValueError("the certificate carries no evidence, so it cannot be recomputed.")
    settings, arrays = certificate.evidence.settings, certificate.evidence.arrays
    data = Moments.from_array(X, name="X")
    try:
        activation = activation_from(settings["activation"], settings["coefficients"])
        game = MomentGame(
            data,
            Whitened(arrays["latent_values"], arrays["latent_mean"]),
            activation,
            settings["beta"],
            settings["lam"],
            check_number(settings["penalty"], "penalty", positive=True),
            settings["regularizer"],
            settings["bias"],
            settings["max_neurons"],
            check_count(settings["rows"], "rows"),
            check_number(settings["value_scale"], "value_scale", positive=True),
        )
        used, mean = settings["used"], arrays["mean"]
        factor = np.zeros((max(len(arrays["latent_values"]), max(used, default=-1) + 1), data.dim))
        if mean.shape != (data.dim,):
            raise ValueError(f"X has {data.dim} columns, the certificate's law has {len(mean)}")
        factor[used] = arrays["factor"]
        discriminator = TwoLayerDiscriminator(arrays["neurons"], arrays["outer"], activation, arrays["biases"])
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"the certificate's evidence does not fit X or is damaged: {error}.") from None
    _check_law(factor, mean)
    status = certificate.kind if certificate.kind in ("restricted", "stationary") else None
    return make_certificate(
        game,
        factor,
        mean,
        discriminator,
        tol=certificate.tol,
        min_neurons=settings["min_neurons"],
        status=status,  # type: ignore[arg-type]
    )


def _check_law(factor: Array, mean: Array) -> None:
    """No law has a second moment below the square of its mean."""
    share = np.linalg.lstsq(factor.T, mean, rcond=None)[0]
    misfit = float(np.linalg.norm(factor.T @ share - mean))
    if share @ share > 1 + 1e-6 or misfit > 1e-6 * float(np.linalg.norm(mean)):
        raise ValueError("the certificate's mean and second moment belong to no law: it is damaged or forged.")
