"""Games with ReLU discriminators or mixture generators behind `solve`: which are convex, and solving them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_number
from convexgan._progress import shown
from convexgan.discriminators import ReLU
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.games import (
    SampleGame,
    critic_of,
    solve_continuous,
    solve_mixture,
    solve_mixture_program,
    solve_scalar,
)
from convexgan.generators import Free, FreeGenerator, Generator, GeneratorClass, Mixture, MixtureGenerator
from convexgan.problem import Activation
from convexgan.sample_certificate import make_sample_certificate, read_sample_game, search_limits
from convexgan.solution import Solution, Status, unsolved

Array = NDArray[np.float64]


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
    gap: float | None,
    time_limit: float | None,
    throw: bool,
    progress: bool,
    meaningless: dict[str, bool],
) -> Solution:
    """The certified equilibrium of a game that needs the rows; see `convexgan.solve`.

    ``meaningless`` tells which arguments were given that mean nothing in this game: they are refused.
    """
    game = read_sample_game(X, activation, beta, lam, penalty, reduction, bias)
    method = _method(game, generator)
    time_limit = None if time_limit is None else check_number(time_limit, "time_limit")
    gap = tol if gap is None else check_number(gap, "gap")
    for name in (name for name, given in meaningless.items() if given):
        raise ValueError(
            f"{name} has no meaning for a {generator.name} generator against {activation.name} neurons: leave it out."
        )
    start = time.perf_counter()
    if isinstance(generator, Mixture):
        game = replace(game, particles=_particles(generator, game))
    try:
        if method == "program":
            backend: dict[str, Any] = {"solver": solver, "solver_options": solver_options, "time_limit": time_limit}
            points, weights, neurons, outer, stats = _run_program(game, **backend)
        else:
            points, weights, neurons, outer, stats = _run(game, method, gap, time_limit, progress)
    except (InfeasibleError, SolverError) as error:
        if throw:
            raise
        return unsolved(Status.INFEASIBLE if isinstance(error, InfeasibleError) else Status.FAILED, method, str(error))
    stats["solve_seconds"] = time.perf_counter() - start
    status = Status(stats.pop("status"))
    critic = critic_of(game, neurons, outer)
    certificate = make_sample_certificate(
        game, points, weights, critic, tol=tol, **search_limits(status is Status.STOPPED, time_limit)
    )
    made: Generator = MixtureGenerator(points, weights) if isinstance(generator, Mixture) else FreeGenerator(points)
    critic = replace(critic, outer=critic.outer * (game.value_scale / game.rows))
    if certificate.kind == "infeasible" and status is Status.OPTIMAL:
        status = Status.FAILED
        stats["message"] = f"the answer violates the constraint by {certificate.relative_violation:.2g} relative."
        if throw:
            raise SolverError(stats["message"])
    return Solution(certificate.value, status, method, made, critic, certificate, stats)


def _run(
    game: SampleGame, method: str, gap: float, time_limit: float | None, progress: bool
) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
    """Points and weights of the generated law, neurons and outer weights, and the solver's record."""
    if method == "partial_sums":
        points, neurons, outer, stats = solve_scalar(game, time_limit)
        return points, np.full(len(points), 1 / len(points)), neurons, outer, stats
    if method == "double_oracle":
        with shown(progress, "mixture: value {:.6g}, bound {:.6g}, {} neurons") as report:
            return solve_continuous(game, gap=gap, time_limit=time_limit, progress=report)
    with shown(progress, "mixture: bound {:.6g}, violation {:.2g}, {} cuts") as report:
        p, neurons, outer, stats = solve_mixture(game, time_limit=time_limit, progress=report)
    particles = np.zeros(0) if game.particles is None else game.particles
    return particles[p > 0], p[p > 0], neurons, outer, stats


def _run_program(game: SampleGame, **backend: Any) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
    """The same for smooth neurons, by one conic program."""
    if game.particles is None or isinstance(game.activation, ReLU):
        raise ValueError("support='continuous' is for ReLU neurons: use generator='free', whose rows may lie anywhere.")
    p, neurons, outer, stats = solve_mixture_program(game, game.particles, game.activation, **backend)
    return game.particles[p > 0], p[p > 0], neurons, outer, stats


def _method(game: SampleGame, spec: GeneratorClass) -> str:
    """Which method solves the game; other games are refused by name."""
    relu = isinstance(game.activation, ReLU)
    line = relu and game.data.shape[1] == 1 and game.bias == "free" and game.relu.slope == 0
    if isinstance(spec, Mixture):
        if game.rows > 1:
            raise ValueError("reduction='sum' needs as many generated rows as real ones; a mixture has none: 'mean'.")
        if not relu:
            return "program"
        if spec.support == "continuous" and game.bias == "free":
            raise ValueError("bias='free' with a continuous mixture: use generator='free', whose points are as good.")
        return "double_oracle" if spec.support == "continuous" else "cutting_planes"
    if isinstance(spec, Free) and line:
        if spec.n not in (None, len(game.data)):
            raise ValueError(f"Free(n={spec.n}) against ReLU neurons needs as many rows as X, {len(game.data)}.")
        return "partial_sums"
    raise ValueError(
        f"discriminator 'relu' against generator {spec.name!r} is not a convex game here: use generator='mixture', or "
        "generator='free' with bias='free', slope 0 and X of one column."
    )


def _particles(spec: Mixture, game: SampleGame) -> Array | None:
    points = spec.points(game.data)
    if points is not None and points.shape[1] != game.data.shape[1]:
        raise ValueError(f"particles have {points.shape[1]} columns but X has {game.data.shape[1]}.")
    return points
