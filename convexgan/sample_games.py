"""Games with ReLU discriminators or mixture generators behind `solve`: checked, solved and certified."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from convexgan._checks import check_number
from convexgan._deadline import Deadline
from convexgan.discriminators import ReLU
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.games import SampleGame
from convexgan.generators import Free, GeneratorClass, Linear, Mixture
from convexgan.latents import Latent, SampleLatent, as_latent
from convexgan.problem import Activation
from convexgan.sample_certificate import read_sample_game, rest
from convexgan.sample_methods import METHODS, REASONS, Call, choose_method
from convexgan.solution import Solution, Status, shortfall, unsolved

SEARCH_TIME = 0.6  # share of the time limit; the certificate has to prove again what one search has proved


def solve_sample_game(
    X: Any,
    Z: Any,
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
    rng: int | np.random.Generator | None,
    throw: bool,
    progress: bool,
    meaningless: dict[str, bool],
) -> Solution:
    """The certified answer of a game that needs the rows; see `convexgan.solve`.

    ``meaningless`` tells which arguments were given that mean nothing in these games: they are refused.
    """
    game, latent, points, method = read_sample_call(
        X, Z, activation, generator, beta, lam, penalty, reduction, bias, gap, rng, meaningless
    )
    gap = None if gap is None else check_number(gap, "gap")
    time_limit = None if time_limit is None else check_number(time_limit, "time_limit")
    backend = {"solver": solver, "solver_options": solver_options}
    start = time.perf_counter()
    whole = Deadline(time_limit)
    try:
        call = Call(game, generator, latent, points, tol, gap, whole.part(SEARCH_TIME), rng, progress, backend)
        answer = METHODS[method](call)
    except (InfeasibleError, SolverError) as error:
        if throw:
            raise
        return unsolved(Status.INFEASIBLE if isinstance(error, InfeasibleError) else Status.FAILED, method, str(error))
    stats = answer.stats | {"reason": REASONS[method], "solve_seconds": time.perf_counter() - start}
    status = Status(stats.pop("status"))
    try:
        limited = status is Status.STOPPED or time_limit is not None
        certificate = answer.certify(time_limit=rest(whole, time_limit) if limited else None)
    except KeyboardInterrupt:
        whole.end()
        status, certificate = Status.STOPPED, answer.certify(time_limit=rest(whole, time_limit))
    critic = replace(answer.critic, outer=answer.critic.outer * (game.value_scale / game.rows))
    if certificate.kind == "infeasible" and status is Status.OPTIMAL:
        status = Status.STOPPED  # within a limit the certificate may have had no time to prove what the search proved
        if time_limit is None:
            status = Status.FAILED
            stats["message"] = f"{shortfall(certificate)}."
            if throw:
                raise SolverError(stats["message"])
    return Solution(certificate.value, status, method, answer.generator, critic, certificate, stats)


def read_sample_call(
    X: Any,
    Z: Any,
    activation: Activation | ReLU,
    generator: GeneratorClass,
    beta: float | None = None,
    lam: float | None = None,
    penalty: float = 1.0,
    reduction: str = "mean",
    bias: str = "none",
    gap: float | None = None,
    rng: int | np.random.Generator | None = None,
    meaningless: dict[str, bool] | None = None,
) -> tuple[SampleGame, Latent | None, int, str]:
    """The checked game, the latents, the number of free rows, and the method that `solve` uses."""
    game = read_sample_game(X, activation, beta, lam, penalty, reduction, bias)
    given = (meaningless or {}) | {"Z": Z is not None and isinstance(generator, Mixture)}
    _refuse(given, generator, activation)
    latent, points = _read_latent(generator, Z, game)
    method = choose_method(game, generator, latent, points)
    biased = isinstance(generator, Linear) and generator.bias
    uses_gap = method in ("double_oracle", "fixed_patterns") or (method == "semi_infinite" and biased)
    given = {"rng": rng is not None and method != "fixed_patterns", "gap": gap is not None and not uses_gap}
    _refuse(given, generator, activation)
    return game, latent, points, method


def _refuse(given: dict[str, bool], spec: GeneratorClass, activation: Activation | ReLU) -> None:
    for name in (name for name, wrong in given.items() if wrong):
        raise ValueError(
            f"{name} has no meaning for a {spec.name} generator against {activation.name} neurons: leave it out."
        )


def _read_latent(spec: GeneratorClass, Z: Any, game: SampleGame) -> tuple[Latent | None, int]:
    """The latents, None for free generators and mixtures; and the number of free rows."""
    if isinstance(spec, Mixture):
        return None, 0
    if not isinstance(spec, Free):
        return as_latent(Z), 0
    latent = None if Z is None else as_latent(Z)
    rows = len(latent.rows) if isinstance(latent, SampleLatent) else None
    if spec.n is not None and rows not in (None, spec.n):
        raise ValueError(f"Free(n={spec.n}) but Z has {rows} rows: pass one of them.")
    return None, spec.n or rows or len(game.data)
