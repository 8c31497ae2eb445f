"""Every method for moment games: which applies, why, and running it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_choice
from convexgan.closed_forms import (
    cost,
    game_ipm,
    generated_moments,
    has_closed_form,
    ipm_of_nothing,
    solve_linear,
    solve_polynomial,
    solve_quadratic,
)
from convexgan.problem import SOLVERS, MomentGame, Optimum

METHODS = ("auto", "closed_form", "program")


def closed_form(game: MomentGame) -> Optimum:
    """The optimum by formula, where `choose` says there is one."""
    a, b, _ = game.activation.coefficients
    if nothing_is_optimal(game):
        nothing = np.zeros((0, game.data.dim))
        return Optimum(np.zeros((game.latent.rank, game.data.dim)), nothing, np.zeros(0), max_min=0.0, min_neurons=0)
    if a == 0:
        return solve_linear(game)
    return solve_quadratic(game) if b == 0 else solve_polynomial(game)


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
    if game.bias == "penalized":
        return False, "a discriminator bias couples mean and second moment: semidefinite program"
    if b == 0:
        return True, "a quadratic discriminator matches second moments: soft threshold of the eigenvalues"
    if has_closed_form(game):
        return True, "a polynomial discriminator on centred data matches second moments: soft threshold"
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
