"""Certificates, computed from the data for both players and never from a solver's word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import paired
from convexgan._tools.checks import check_number
from convexgan._tools.rounding import squares, up
from convexgan.closed_forms import (
    class_factor,
)
from convexgan.discriminators import distance
from convexgan.discriminators.activation import Activation, needs_rows
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.games.game import Call
from convexgan.games.moment.certificate import critic, make_certificate
from convexgan.games.moment.evidence import nearest_law
from convexgan.games.moment.laws import least_weights
from convexgan.games.moment.methods import formula, run_program
from convexgan.games.moment.reading import Setting, any_law, check_same_columns, read_moments
from convexgan.games.sample.certificate import certify_rows, read_sample_game
from convexgan.generators import Free, GeneratorClass
from convexgan.records.certificate import Certificate
from convexgan.records.moment_game import MomentGame
from convexgan.statistics.latents import SampleLatent
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


def certify(
    X: Any,
    Y: Any,
    *,
    discriminator: str | Activation = "quadratic",
    beta: float | None = None,
    lam: float | None = None,
    generator: str | GeneratorClass | None = None,
    Z: Any = None,
    regularizer: str = "output",
    generator_penalty: float = 1.0,
    reduction: str = "mean",
    bias: str = "none",
    tol: float = 1e-6,
    time_limit: float | None = None,
) -> Certificate:
    """The certificate of anybody's generated rows: value, violation, and a bound on the optimum.

    Parameters
    ----------
    X, Y : (n_r, d) and (n_f, d) arrays, frames, tensors or Moments
        Real and generated rows. Columns with names are brought into the order of X's.
    discriminator, beta, lam, regularizer, generator_penalty, reduction, bias, tol : as in `solve`
    generator, Z : as in `solve`, optional
        The class Y comes from, which tightens the bound; without them the bound holds for every generator.
        If Z is an array, Y must be its image. "weights" needs both. With ReLU neurons leave them out: the bound is
        the value of the game in which generated points may lie anywhere, and holds for every generator.
    time_limit : float, optional
        Seconds in all: what has been proved by then holds.

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError
        An argument is not what it should be, or has no meaning for rows against ReLU neurons.
    """
    check_number(tol, "tol", positive=True)
    limit = None if time_limit is None else check_number(time_limit, "time_limit")
    X, Y = paired(X, Y)
    call = Call.read(
        X,
        Z,
        discriminator=discriminator,
        generator=generator or "linear",
        beta=beta,
        lam=lam,
        regularizer=regularizer,
        generator_penalty=generator_penalty,
        reduction=reduction,
        bias=bias,
    )
    if not needs_rows(call.activation):
        return _certify_moments(call, Y, generator is not None, tol, limit)
    for name, given in (("generator", generator), ("Z", Z), ("regularizer", regularizer != "output" or None)):
        if given is not None:
            raise ValueError(f"{name} has no meaning for rows against ReLU neurons: leave it out.")
    return certify_rows(read_sample_game(call), Y, tol=tol, time_limit=limit)


def _certify_moments(call: Call, Y: Any, named: bool, tol: float, limit: float | None) -> Certificate:
    """The certificate of rows or moments in a game of moments; ``named`` tells whether their class was given."""
    data, fake = Moments.from_array(call.X, name="X"), Moments.from_array(Y, name="Y")
    check_same_columns(data, fake)
    free = not named or call.spec.form == "rows"
    known = named and (free or (call.Z is not None and not isinstance(Y, Moments)))
    if call.regularizer != "output" and not known:
        raise ValueError(
            f"regularizer={call.regularizer!r} measures weights: pass generator=, Z and the rows Y = G(Z)."
        )
    if free:
        call = replace(call, spec=Free(fake.count or data.count or 1), Z=None)
    setting = read_moments(replace(call, X=data))
    game = setting.game
    if not named:
        game = replace(game, latent=any_law(data, fake))
    elif not free:
        _check_class(setting, Y, fake)
    of_weights = not free and call.regularizer != "output"
    weights = least_weights(setting, Y)[0] if of_weights else np.zeros((0, 0))
    factor = class_factor(game.latent, weights) if of_weights else _factor_of(fake)
    if len(factor) < game.latent.rank:
        factor = np.vstack([factor, np.zeros((game.latent.rank - len(factor), data.dim))])
    neurons, outer, width = _best_critic(game, limit)
    spent = up(game.penalty * fake.trace_bound) if call.regularizer == "output" else None
    return make_certificate(
        game,
        factor,
        fake.mean,
        critic(game, neurons, outer),
        tol=tol,
        min_neurons=width,
        law_error=distance(fake, Moments.of_law(fake.mean, factor)),
        spent=up(game.penalty * squares(weights)) if of_weights else spent,
    )


def _best_critic(game: MomentGame, limit: float | None) -> tuple[Array, Array, int | None]:
    """The optimal discriminator's neurons, outer weights and width; none where no method has an answer."""
    try:
        known = formula(game)
        optimum = known.solve(game) if known else run_program(game, time_limit=limit)[0]
    except (InfeasibleError, SolverError):  # what needs no critic is known all the same
        return np.zeros((0, game.data.dim)), np.zeros(0), None
    return optimum.neurons, optimum.outer, optimum.min_neurons


def _factor_of(moments: Moments) -> Array:
    """(r, d) array F with F'F the second moment."""
    if moments.factor is not None:
        return moments.factor
    return np.asarray(np.sqrt(moments.spectrum.values)[:, None] * moments.spectrum.vectors.T)


def _check_class(setting: Setting, Y: Any, fake: Moments) -> None:
    """Raise unless rows that claim to be the image of Z are, and moments or rows those of a law of the class."""
    name, repair = setting.generator.name, "leave generator and Z out to certify any rows"
    if isinstance(setting.latent, SampleLatent) and not isinstance(Y, Moments):
        misfit = least_weights(setting, Y)[1]
        if misfit > 1e-6:
            raise ValueError(
                f"Y is not the image of Z under a {name} generator (relative misfit {misfit:.2g}): {repair}."
            )
        return
    try:
        nearest_law(setting.game.latent, _factor_of(fake), fake.mean)
    except ValueError:
        raise ValueError(
            f"no {name} generator of these latents has Y's mean and second moment, as drawn rows never have them "
            f"exactly: {repair}, or pass the law, Moments.of_law(mean, factor)."
        ) from None
