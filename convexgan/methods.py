"""Every method for moment games: which applies, why, and running it."""

from __future__ import annotations

from typing import Any

from convexgan._checks import check_choice
from convexgan.closed_forms import has_closed_form, solve_linear, solve_polynomial, solve_quadratic
from convexgan.problem import MomentGame, Optimum

METHODS = ("auto", "closed_form", "program")


def closed_form(game: MomentGame) -> Optimum:
    """The optimum by formula, where `choose` says there is one."""
    a, b, _ = game.activation.coefficients
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
    return made.optimum()[1], stats


def choose(game: MomentGame, method: str = "auto", solver: str | None = None) -> tuple[str, str]:
    """The method and the reason; raises if the one asked for does not apply."""
    check_choice(method, "method", METHODS)
    formula, reason = _formula(game)
    if method == "closed_form" and not formula:
        raise ValueError(f"method='closed_form' does not apply: {reason}. Use method='program'.")
    if method == "closed_form" or (method == "auto" and formula):
        return "closed_form", reason
    obstacle = not_convex(game)
    if method == "program" and obstacle:
        raise ValueError(obstacle)
    from convexgan.programs import choose_backend

    name, why = choose_backend(game.data.dim, game.activation.coefficients[0] != 0, solver)
    relaxed = f"; relaxed, so the answer is bounded: {obstacle}" if obstacle else ""
    return "program", f"{reason}; {name}: {why}{relaxed}"


def _formula(game: MomentGame) -> tuple[bool, str]:
    a, b, _ = game.activation.coefficients
    if a == 0:
        return True, "a linear discriminator matches means: soft threshold of the mean"
    if game.bias == "penalized":
        return False, "a discriminator bias couples mean and second moment: semidefinite program"
    if b == 0:
        return True, "a quadratic discriminator matches second moments: soft threshold of the eigenvalues"
    if has_closed_form(game):
        return True, "a polynomial discriminator on centred data matches second moments: soft threshold"
    return False, "a polynomial discriminator couples mean and second moment: semidefinite program"


def not_convex(game: MomentGame) -> str:
    """Why the game is not a convex program in the moments, or an empty string."""
    values = game.latent.values
    if game.regularizer == "output" or game.activation.coefficients[0] == 0 or values[-1] >= values[0] * (1 - 1e-9):
        return ""
    return (
        "regularizer='weights' with latents of unequal variances is not convex in the moments: use "
        "regularizer='output', or whiten the latents (GaussianLatent, say)"
    )
