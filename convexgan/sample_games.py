"""Games with ReLU discriminators or mixture generators behind `solve`: which are convex, and solving them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import as_rows, check_choice, check_finite, check_number
from convexgan._progress import shown
from convexgan.canonical import check_bias, check_budget
from convexgan.discriminators import ReLU
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.games import SampleGame, critic_of, solve_mixture, solve_mixture_program, solve_scalar
from convexgan.generators import Free, FreeGenerator, Generator, GeneratorClass, Mixture, MixtureGenerator
from convexgan.moments import Moments
from convexgan.problem import Activation
from convexgan.sample_certificate import make_sample_certificate
from convexgan.solution import Solution, Status, unsolved

Array = NDArray[np.float64]
AFTERWARDS = 1.0  # seconds for the certificate's own search after Ctrl-C


def solve_sample_game(
    X: Any,
    *,
    activation: Activation | ReLU,
    generator: GeneratorClass,
    beta: float | None,
    lam: float | None,
    penalty: float,
    reduction: str,
    bias: str,
    tol: float,
    solver: str | None,
    solver_options: dict[str, Any] | None,
    time_limit: float | None,
    throw: bool,
    progress: bool,
    meaningless: dict[str, bool],
) -> Solution:
    """The certified equilibrium of a game that needs the rows, where it is convex; see `convexgan.solve`.

    ``meaningless`` tells which arguments were given that mean nothing in this game: they are refused.
    """
    game = _read_game(X, activation, generator, beta, lam, penalty, reduction, bias)
    time_limit = None if time_limit is None else check_number(time_limit, "time_limit")
    for name in (name for name, given in meaningless.items() if given):
        raise ValueError(
            f"{name} has no meaning for a {generator.name} generator against {activation.name} neurons: leave it out."
        )
    method, start = _method(activation, generator), time.perf_counter()
    try:
        backend = {"solver": solver, "solver_options": solver_options}
        points, weights, neurons, outer, stats = _run(game, time_limit, progress, **backend)
    except (InfeasibleError, SolverError) as error:
        if throw:
            raise
        return unsolved(Status.INFEASIBLE if isinstance(error, InfeasibleError) else Status.FAILED, method, str(error))
    stats["solve_seconds"] = time.perf_counter() - start
    status = Status(stats.pop("status"))
    critic = critic_of(game, neurons, outer)
    # where the search had no time the certificate's has as little: its bounds hold all the same
    limits = {"time_limit": AFTERWARDS if time_limit is None else time_limit} if status is Status.STOPPED else {}
    certificate = make_sample_certificate(game, points, weights, critic, tol=tol, **limits)
    made: Generator = FreeGenerator(points) if game.particles is None else MixtureGenerator(points, weights)
    critic = replace(critic, outer=critic.outer * (game.value_scale / game.rows))
    if certificate.kind == "infeasible" and status is Status.OPTIMAL:
        status = Status.FAILED
        stats["message"] = f"the answer violates the constraint by {certificate.relative_violation:.2g} relative."
        if throw:
            raise SolverError(stats["message"])
    return Solution(certificate.value, status, method, made, critic, certificate, stats)


def _run(
    game: SampleGame, time_limit: float | None, progress: bool, **backend: Any
) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
    """Points and weights of the generated law, neurons and outer weights, and the solver's record."""
    if game.particles is None:
        points, neurons, outer, stats = solve_scalar(game, time_limit)
        return points, np.full(len(points), 1 / len(points)), neurons, outer, stats
    if isinstance(game.activation, ReLU):
        with shown(progress, "mixture: bound {:.6g}, violation {:.2g}, {} cuts") as report:
            p, neurons, outer, stats = solve_mixture(game, time_limit=time_limit, progress=report)
    else:
        found = solve_mixture_program(game, game.particles, game.activation, time_limit=time_limit, **backend)
        p, neurons, outer, stats = found
    return game.particles[p > 0], p[p > 0], neurons, outer, stats


def _method(activation: Activation | ReLU, generator: GeneratorClass) -> str:
    if not isinstance(activation, ReLU):
        return "program"
    return "cutting_planes" if isinstance(generator, Mixture) else "partial_sums"


def _read_game(
    X: Any,
    activation: Activation | ReLU,
    generator: GeneratorClass,
    beta: float | None,
    lam: float | None,
    penalty: float,
    reduction: str,
    bias: str,
) -> SampleGame:
    if isinstance(X, Moments):
        raise ValueError("X is Moments, but ReLU neurons and mixtures need the rows themselves: pass the array.")
    rows = as_rows(X, "X")
    check_finite(rows, "X")
    beta, lam = check_budget(beta, lam)
    check_choice(bias, "bias", ("none", "penalized", "free"))
    if not isinstance(activation, ReLU):
        bias = check_bias(bias, activation)
    scale = float(len(rows)) if check_choice(reduction, "reduction", ("mean", "sum")) == "sum" else 1.0
    data = rows.astype(np.float64)
    return SampleGame(
        data=data,
        activation=activation,
        beta=None if beta is None else beta / scale,
        lam=None if lam is None else lam,
        particles=_read_particles(generator, activation, data, bias, scale),
        penalty=check_number(penalty, "generator_penalty", positive=True),
        bias=bias,
        rows=int(scale),
        value_scale=scale,
    )


def _read_particles(
    spec: GeneratorClass, activation: Activation | ReLU, data: Array, bias: str, scale: float
) -> Array | None:
    """The particles of a mixture; None for free points on the line; other games are refused by name."""
    if isinstance(spec, Mixture):
        if scale > 1:
            raise ValueError("reduction='sum' needs as many generated rows as real ones; a mixture has none: 'mean'.")
        points = spec.points(data)
        if points.shape[1] != data.shape[1]:
            raise ValueError(f"particles have {points.shape[1]} columns but X has {data.shape[1]}.")
        if bias == "free" and data.shape[1] > 1:
            raise ValueError(f"bias='free' is for data of one column, got {data.shape[1]}: use 'penalized'.")
        return points
    straight = isinstance(activation, ReLU) and activation.slope == 0
    if isinstance(spec, Free) and data.shape[1] == 1 and bias == "free" and straight:
        if spec.n not in (None, len(data)):
            raise ValueError(f"Free(n={spec.n}) against ReLU neurons needs as many rows as X, {len(data)}.")
        return None
    raise ValueError(
        f"discriminator 'relu' against generator {spec.name!r} is not a convex game here: use generator='mixture', or "
        "generator='free' with bias='free', slope 0 and X of one column."
    )
