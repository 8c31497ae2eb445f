"""Every method for moment games: which applies, why, and running it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_choice
from convexgan._deadline import Deadline
from convexgan.closed_forms import (
    cost,
    game_ipm,
    generated_moments,
    has_closed_form,
    has_match,
    ipm_of_nothing,
    solve_linear,
    solve_matching,
    solve_polynomial,
    solve_quadratic,
    spectral_bound,
)
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.problem import SOLVERS, MomentGame, Optimum

METHODS = ("auto", "closed_form", "program")
TRIES = 30  # of betas, each at least a tenth larger than the last
SMALL = 0.01  # share of the tolerance that a cut answer may violate: it is also cheaper for that


def closed_form(game: MomentGame) -> Optimum:
    """The optimum by formula, where `choose` says there is one."""
    a, b, _ = game.activation.coefficients
    if nothing_is_optimal(game):
        nothing = np.zeros((0, game.data.dim))
        return Optimum(np.zeros((game.latent.rank, game.data.dim)), nothing, np.zeros(0), max_min=0.0, min_neurons=0)
    if a == 0:
        return solve_linear(game)
    if game.bias == "none" and (b == 0 or has_closed_form(game)):
        return solve_quadratic(game) if b == 0 else solve_polynomial(game)
    return solve_matching(game)


def run_program(
    game: MomentGame,
    solver: str | None = None,
    options: dict[str, Any] | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> tuple[Optimum, dict[str, Any]]:
    """The optimum by a conic solver, and the solver's record."""
    from convexgan.programs import build_program

    made = build_program(game)
    stats = made.solve(solver, solver_options=options, time_limit=time_limit, verbose=progress)
    optimum = made.optimum()[1]
    zeros = np.zeros_like(optimum.factor)
    # a solver stops within its accuracy of zero, where zero itself is the answer
    if nothing_is_optimal(game) or (game.lam is not None and payoff(game, zeros) <= payoff(game, optimum.factor)):
        optimum = replace(optimum, factor=zeros)
    return optimum, stats


def solve_program(
    game: MomentGame,
    solver: str | None = None,
    options: dict[str, Any] | None = None,
    time_limit: float | None = None,
    progress: bool = False,
    tol: float = 1e-6,
) -> tuple[Optimum, dict[str, Any]]:
    """The program's optimum where the latents have its rank, else a local optimum of theirs; and the solver's record.

    Raises
    ------
    InfeasibleError
        If eigenvalues or the relaxed program exclude every generator; ``smallest_beta`` is one that was tried.
    """
    try:
        return _program_of_rank(game, solver, options, time_limit, progress, tol)
    except InfeasibleError as error:
        works = attained_beta(game, error.smallest_beta / game.rows, solver, options, tol) * game.rows
        if works <= error.smallest_beta:
            raise
        raise InfeasibleError(
            f"no generator of this class satisfies ipm <= beta, and none any beta below {error.smallest_beta:.6g}: use "
            f"beta >= {works:.17g}, which was tried with latents of this rank, {game.latent.rank}, a generator with a "
            "bias or more latent dimensions.",
            smallest_beta=works,
        ) from None


def _program_of_rank(
    game: MomentGame,
    solver: str | None,
    options: dict[str, Any] | None,
    time_limit: float | None,
    progress: bool,
    tol: float,
) -> tuple[Optimum, dict[str, Any]]:
    deadline = Deadline(time_limit)
    _check_eigenvalues(game, tol)
    optimum, stats = run_program(game, solver, options, time_limit, progress)
    if (
        optimum.truncated
        and game.beta is not None
        and _violation(game, optimum.factor) > SMALL * tol
        and not deadline.over
    ):
        from convexgan.programs import fit_rank

        optimum = replace(optimum, factor=fit_rank(game, optimum.factor, solver, options, deadline.left))
        stats["rank_search"] = "the program's optimum needs more rank than the latents have: a local one of theirs"
    return optimum, stats


def attained_beta(
    game: MomentGame, least: float, solver: str | None, options: dict[str, Any] | None, tol: float = 1e-6
) -> float:
    """A beta in canonical units, from the least on, with which `solve_program` finds a generator: each is tried."""
    top, level = ipm_of_nothing(game), least
    for _ in range(TRIES):
        if level >= top:
            break
        reached = 0.0
        try:
            factor = _program_of_rank(replace(game, beta=level), solver, options, None, False, tol)[0].factor
            if _violation(replace(game, beta=level), factor) <= tol / 2:
                return level
            reached = game_ipm(game, generated_moments(game, factor)) * (1 + tol)
        except (InfeasibleError, SolverError):
            pass
        level = max(reached, 1.1 * level)
    return top


def _violation(game: MomentGame, factor: NDArray[np.float64]) -> float:
    """Of the constraint, relative."""
    beta, scale = game.beta or 0.0, max(game.beta or 0.0, ipm_of_nothing(game))
    return max(game_ipm(game, generated_moments(game, factor)) - beta, 0.0) / scale if scale > 0 else 0.0


def _check_eigenvalues(game: MomentGame, tol: float) -> None:
    """Raise if by eigenvalues alone no generator of the latents' rank is within beta."""
    if game.beta is None or game.activation.coefficients[0] == 0:
        return
    try:
        spectral_bound(game)
    except InfeasibleError as error:
        if error.smallest_beta / game.rows - game.beta > tol * max(game.beta, ipm_of_nothing(game)):
            raise


def payoff(game: MomentGame, factor: NDArray[np.float64]) -> float:
    """The generator's cost plus lam * ipm."""
    return cost(game, factor) + (game.lam or 0.0) * game_ipm(game, generated_moments(game, factor))


def choose(game: MomentGame, method: str = "auto", solver: str | None = None) -> tuple[str, str]:
    """The method and the reason; raises if the one asked for does not apply."""
    check_choice(method, "method", METHODS)
    if solver is not None:
        check_choice(str(solver).upper(), "solver", SOLVERS)
    formula, reason = _formula(game)
    if method == "closed_form" and not formula:
        raise ValueError(f"method='closed_form' does not apply: {reason}. Use method='program'.")
    if method == "closed_form" or (method == "auto" and formula):
        return "closed_form", reason
    obstacle = not_convex(game)
    if method == "program" and obstacle:
        raise ValueError(obstacle)
    if method == "program" and game.max_neurons is not None:
        raise ValueError("max_neurons needs the closed form, programs choose the width themselves: leave method out.")
    from convexgan.programs import choose_backend

    name, why = choose_backend(game.data.dim, game.activation.coefficients[0] != 0, solver)
    relaxed = f"; relaxed, so the answer is bounded: {obstacle}" if obstacle else ""
    return "program", f"{reason}; {name}: {why}{relaxed}"


def _formula(game: MomentGame) -> tuple[bool, str]:
    a, b, _ = game.activation.coefficients
    if nothing_is_optimal(game):
        return True, "beta is at least ipm(X, 0): the generator of zeros is feasible and costs nothing"
    if a == 0:
        return True, "a linear discriminator matches means: soft threshold of the mean"
    if b == 0 and game.bias == "none":
        return True, "a quadratic discriminator matches second moments: soft threshold of the eigenvalues"
    if game.bias == "none" and has_closed_form(game):
        return True, "a polynomial discriminator on centred data matches second moments: soft threshold"
    if has_match(game):
        return True, "beta is 0 and the latents suffice: the generator has the data's mean and second moment"
    if game.bias == "penalized":
        return False, "a discriminator bias couples mean and second moment: semidefinite program"
    return False, "a polynomial discriminator couples mean and second moment: semidefinite program"


def nothing_is_optimal(game: MomentGame) -> bool:
    """Whether the generator of zeros satisfies the constraint."""
    return game.beta is not None and ipm_of_nothing(game) <= game.beta


def not_convex(game: MomentGame) -> str:
    """Why the game is not a convex program in the moments, or an empty string."""
    values = game.latent.values
    if game.regularizer == "output" or game.activation.coefficients[0] == 0 or values[-1] >= values[0] * (1 - 1e-9):
        return ""
    return (
        "regularizer='weights' with latents of unequal variances is not convex in the moments: use "
        "regularizer='output', or whiten the latents (GaussianLatent, say)"
    )
