"""Certificates of games of moments, computed from the data for both players."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import gamma, length, up
from convexgan._tools.tables import naming
from convexgan.closed_forms import (
    cost,
    dual_value,
    game_ipm,
    ipm_of_zero,
    ipm_rounding,
    proved_spectral_bound,
    rounding,
)
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.exceptions import InfeasibleError
from convexgan.games.judge import WEYL, Bound, Proved, judge
from convexgan.records.certificate import Certificate, Evidence, Kind
from convexgan.records.moment_game import MomentGame
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


def critic(game: MomentGame, neurons: Array, outer: Array) -> TwoLayerDiscriminator:
    """The discriminator with the given neurons, whose last column is the bias where the game has one."""
    if game.bias == "penalized" and neurons.shape[1] == game.data.dim + 1:
        return TwoLayerDiscriminator(neurons[:, :-1], outer, game.activation, neurons[:, -1])
    return TwoLayerDiscriminator(neurons, outer, game.activation)


def make_certificate(
    game: MomentGame,
    factor: Array,
    mean: Array,
    discriminator: TwoLayerDiscriminator,
    *,
    tol: float,
    min_neurons: int | None = None,
    unproved: Kind = "bounded",
    law_error: tuple[float, float] = (0.0, 0.0),
    spent: float | None = None,
) -> Certificate:
    """The certificate of a generated law and a discriminator, its numbers bounds in exact arithmetic.

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
    unproved : "bounded", "restricted" or "stationary"
        The kind if optimality is not proved.
    law_error : (float, float)
        How far the law may be from the mean, and in the spectral norm from the second moment, that are given.
    spent : float, optional
        At least the weights' cost, where the factor's is rounded.
    """
    law = Moments.of_law(mean, factor).off_by(law_error[0] + _mean_rounding(game, factor), law_error[1])
    ipm = game_ipm(game, law)
    if spent is None and game.regularizer == "output":
        spent = game.penalty * (law.trace_bound + (game.data.dim - 1) * law_error[1])  # a trace is d eigenvalues
    spent = cost(game, factor) if spent is None else spent
    value = up(spent + (0.0 if game.lam is None else game.lam * ipm), 6)
    evidence = _evidence(game, factor, mean, discriminator, law_error, unproved)
    max_min = dual_value(game, discriminator)
    proved = moments_proved(game, value, ipm, max_min, partial(_weyl, game))
    limit = {"min_neurons": min_neurons, "max_neurons": game.max_neurons}
    certificate = judge(proved, evidence, tol, unproved=unproved, **limit)
    error, failure = _eigenvalue_error(game)
    return replace(certificate, eigenvalue_error=error, failure=failure)


def moments_proved(
    game: MomentGame, value: float, ipm: float, max_min: float, further: Callable[[float], list[Bound]]
) -> Proved:
    """What was proved in a game of moments, with the sizes of its violations and of its rounding."""
    return Proved(
        value=value,
        ipm=ipm,
        max_min=max_min,
        beta=game.beta,
        size=ipm_of_zero(game),
        rows=game.rows,
        value_scale=game.value_scale,
        noise=rounding(game),
        unseen=ipm_rounding(game),
        further=further,
    )


def _mean_rounding(game: MomentGame, factor: Array) -> float:
    """What rounding may have changed of factor' zbar: nothing where zbar is a coordinate, or 0."""
    zbar = np.abs(game.latent.mean)
    if not zbar.any() or (np.count_nonzero(zbar) == 1 and zbar.max() == 1):
        return 0.0
    used = min(len(zbar), len(factor))
    return gamma(len(zbar) + 2) * length(np.abs(factor[:used]).T @ zbar[:used])


def _eigenvalue_error(game: MomentGame) -> tuple[float, float]:
    """How far the data's eigenvalues down to beta may lie above those used, and the chance that they lie farther."""
    known = game.data.subspace
    if known is None:
        return 0.0, 0.0
    level = (game.beta or 0.0) / abs(game.activation.coefficients[0])
    above = int(np.count_nonzero(known.enclosure.values > level * (1 + 1e-12)))
    return known.enclosure.proved_error(min(above + 1, len(known.enclosure.values))) * game.rows, known.failure


def _weyl(game: MomentGame, tolerated: float) -> list[Bound]:
    """What the data's eigenvalues prove, if a constraint that is violated by little counts as met."""
    if game.activation.coefficients[0] == 0:  # else a linear term or a bias only strengthens the discriminator
        return []
    try:
        return [(proved_spectral_bound(game), WEYL)]
    except InfeasibleError as error:
        smallest = error.smallest_beta / game.rows
        if smallest - (game.beta or 0.0) > tolerated:
            return [(math.inf, "no generator of the class is feasible")]
        more = game.data.spectrum_error * abs(game.activation.coefficients[0])
        return [(proved_spectral_bound(replace(game, beta=smallest + more)), f"{WEYL} at the smallest feasible beta")]


def _evidence(
    game: MomentGame,
    factor: Array,
    mean: Array,
    discriminator: TwoLayerDiscriminator,
    law_error: tuple[float, float],
    unproved: Kind,
) -> Evidence:
    used = np.flatnonzero(np.any(factor != 0, axis=1))
    settings: dict[str, Any] = {
        "game": "moments",
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
        "used": used.tolist(),
        "law_error": list(law_error),
        "latent_error": game.latent.error,
        "unproved": unproved,
    }
    arrays = {
        "factor": factor if len(used) == len(factor) else factor[used],
        "mean": mean,
        "latent_values": game.latent.values,
        "latent_mean": game.latent.mean,
        "neurons": discriminator.neurons,
        "biases": discriminator.biases,
        "outer": discriminator.outer,
    }
    return Evidence(settings | naming(game.data.columns), arrays)
