"""Closed forms and programs of moment games: which there is, why, and its optimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.closed_forms import (
    cost,
    dual_value,
    game_ipm,
    generated_moments,
    has_closed_form,
    has_match,
    ipm_of_zero,
    solve_linear,
    solve_matching,
    solve_polynomial,
    solve_quadratic,
    spectral_bound,
)
from convexgan.conic.solvers import choose_backend
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.exceptions import InfeasibleError, SolverError, UnboundedError
from convexgan.records.moment_game import MomentGame, Optimum

MARGIN, GROWTH = 1e-5, 4.0  # of a beta above the least ipm that was found, relative; and of margins in which none was
SMALL = 0.01  # share of the tolerance that a cut answer may violate: it is also cheaper for that


class Formula(NamedTuple):
    """A closed form: the games that have it, its optimum, why it is the method, and whether it knows every width."""

    applies: Callable[[MomentGame], bool]
    solve: Callable[[MomentGame], Optimum]
    reason: str
    widths: bool = False


def formula(game: MomentGame) -> Formula | None:
    """The closed form of a game, if it has one."""
    return next((one for one in FORMULAS if one.applies(game)), None)


def _zero_generator(game: MomentGame) -> Optimum:
    """The generator of zeros, and no neurons."""
    no_neurons = np.zeros((0, game.data.dim))
    return Optimum(np.zeros((game.latent.rank, game.data.dim)), no_neurons, np.zeros(0), max_min=0.0, min_neurons=0)


def run_program(
    game: MomentGame,
    solver: str | None = None,
    options: dict[str, Any] | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> tuple[Optimum, dict[str, Any]]:
    """The optimum by a conic solver, and the solver's record."""
    from convexgan.programs import build_program

    program = build_program(game)
    stats = program.solve(solver, solver_options=options, time_limit=time_limit, verbose=progress)
    optimum = program.optimum()[1]
    zeros = np.zeros_like(optimum.factor)
    # a solver stops within its accuracy of zero, where zero itself is the answer
    if nothing_is_optimal(game) or (game.lam is not None and payoff(game, zeros) <= payoff(game, optimum.factor)):
        optimum = replace(optimum, factor=zeros)
    return optimum, stats


def solve_program(
    game: MomentGame,
    solver: str | None = None,
    options: dict[str, Any] | None = None,
    deadline: Deadline | None = None,
    progress: bool = False,
    tol: float = 1e-6,
) -> tuple[Optimum, dict[str, Any]]:
    """The program's optimum where that is the game's, else the best local optimum found; and the record of both.

    Raises
    ------
    InfeasibleError
        If eigenvalues or the relaxed program exclude every generator; ``smallest_beta`` is one that was tried.
    """
    deadline = deadline or Deadline()
    try:
        return _solve_program(game, solver, options, deadline, progress, tol)
    except InfeasibleError as error:
        works = attained_beta(game, error.smallest_beta / game.rows, solver, options, deadline, tol) * game.rows
        if works <= error.smallest_beta:
            raise
        raise InfeasibleError(
            f"no generator of this class satisfies ipm <= beta, and none any beta below {error.smallest_beta:.6g}: use "
            f"beta >= {works:.17g}, which was tried with latents of this rank, {game.latent.rank}, a generator with a "
            "bias or more latent dimensions.",
            smallest_beta=works,
        ) from None


def _solve_program(
    game: MomentGame,
    solver: str | None,
    options: dict[str, Any] | None,
    deadline: Deadline,
    progress: bool,
    tol: float,
) -> tuple[Optimum, dict[str, Any]]:
    _check_eigenvalues(game, tol)
    optimum, stats = run_program(game, solver, options, deadline.left, progress)
    if (is_relaxed(game) or optimum.truncated) and not (deadline.over or _proved(game, optimum, tol)):
        optimum, stats["search"] = _searched(game, optimum, deadline, tol)
    return optimum, stats


def is_relaxed(game: MomentGame) -> bool:
    """Whether the program's moments may be those of no generator, or cost more than it says."""
    centred = game.latent.rank - (game.latent.kappa > 0)
    curved = not is_linear(game)
    return curved and (bool(not_convex(game)) or centred < min(game.data.dim, game.data.rank()))


def _searched(game: MomentGame, optimum: Optimum, deadline: Deadline, tol: float) -> tuple[Optimum, str]:
    """The optimum with the best of its generator and local optima, and what was done."""
    from convexgan.programs import local_optima, too_large

    if too_large(game):
        return optimum, "none: too many variables for local searches"
    search = local_optima(game, optimum.factor, deadline)
    factors = [optimum.factor, *search.factors]
    violations = np.array([_violation(game, factor) for factor in factors])
    within = violations <= SMALL * tol
    paid = np.array([payoff(game, factor) for factor in factors])
    best = int(np.argmin(np.where(within, paid, np.inf)) if within.any() else np.argmin(violations))
    record = (
        f"rank and prices of the latents are not those of the program: of {search.starts} local searches "
        f"{np.count_nonzero(within[1:])} ended within the constraint{', at the time limit' if deadline.over else ''}"
    )
    return replace(optimum, factor=factors[best]), record


def _proved(game: MomentGame, optimum: Optimum, tol: float) -> bool:
    """Whether the program's own generator is within the constraint, and optimal by its critic or eigenvalues."""
    if _violation(game, optimum.factor) > SMALL * tol:
        return False
    d, neurons = game.data.dim, optimum.neurons
    biases = neurons[:, d] if neurons.shape[1] > d else np.zeros(len(neurons))
    critic = TwoLayerDiscriminator(neurons[:, :d], optimum.outer, game.activation, biases)
    value, bound = payoff(game, optimum.factor), dual_value(game, critic)
    if not is_linear(game):
        bound = max(bound, spectral_bound(game))
    return value - bound <= tol * value


def attained_beta(
    game: MomentGame,
    least: float,
    solver: str | None,
    options: dict[str, Any] | None,
    deadline: Deadline,
    tol: float = 1e-6,
) -> float:
    """A beta in canonical units, from the least on, with which `solve_program` finds a generator: each is tried."""
    top, least, margin = ipm_of_zero(game), max(least, _least_ipm(game, deadline)), MARGIN
    while least * (1 + margin) < top and least > 0 and not deadline.over:
        tried = replace(game, beta=least * (1 + margin))
        try:
            factor = _solve_program(tried, solver, options, deadline, False, tol)[0].factor
            if _violation(tried, factor) <= tol / 2:
                return least * (1 + margin)
        except (InfeasibleError, SolverError, UnboundedError):
            pass
        margin *= GROWTH
    return top


def _least_ipm(game: MomentGame, deadline: Deadline) -> float:
    """The least ipm that local searches find."""
    from convexgan.programs import nearest, too_large

    if too_large(game) or is_linear(game):
        return 0.0
    zero_factor = np.zeros((game.latent.rank, game.data.dim))
    search = nearest(game, zero_factor, deadline)
    return min(game_ipm(game, generated_moments(game, factor)) for factor in search.factors)


def _violation(game: MomentGame, factor: NDArray[np.float64]) -> float:
    """The relative violation of the constraint."""
    if game.beta is None:
        return 0.0
    excess, scale = game_ipm(game, generated_moments(game, factor)) - game.beta, max(game.beta, ipm_of_zero(game))
    return max(excess, 0.0) / scale if scale > 0 else 0.0


def _check_eigenvalues(game: MomentGame, tol: float) -> None:
    """Raise if by eigenvalues alone no generator of the latents' rank is within beta."""
    if game.beta is None or is_linear(game):
        return
    try:
        spectral_bound(game)
    except InfeasibleError as error:
        if error.smallest_beta / game.rows - game.beta > tol * max(game.beta, ipm_of_zero(game)):
            raise


def payoff(game: MomentGame, factor: NDArray[np.float64]) -> float:
    """The generator's cost plus lam * ipm."""
    return cost(game, factor) + (game.lam or 0.0) * game_ipm(game, generated_moments(game, factor))


def nothing_is_optimal(game: MomentGame) -> bool:
    """Whether the generator of zeros satisfies the constraint, or has nothing to pay."""
    return ipm_of_zero(game) <= (game.beta or 0.0)


def not_convex(game: MomentGame) -> str:
    """Why the game is not a convex program in the moments, or an empty string."""
    values = game.latent.values
    if game.regularizer == "output" or is_linear(game) or values[-1] >= values[0] * (1 - 1e-9):
        return ""
    return (
        "regularizer='weights' with latents of unequal variances is not convex in the moments: use "
        "regularizer='output', or whiten the latents (GaussianLatent, say)"
    )


def is_linear(game: MomentGame) -> bool:
    """Whether neurons see the mean only."""
    return game.activation.coefficients[0] == 0


def _is_quadratic(game: MomentGame) -> bool:
    return game.activation.coefficients[1] == 0 and game.bias == "none"


FORMULAS = (
    Formula(
        nothing_is_optimal,
        _zero_generator,
        "beta is at least ipm(X, 0): the generator of zeros is feasible and costs nothing",
        widths=True,
    ),
    Formula(is_linear, solve_linear, "a linear discriminator matches means: soft threshold of the mean", widths=True),
    Formula(
        _is_quadratic,
        solve_quadratic,
        "a quadratic discriminator matches second moments: soft threshold of the eigenvalues",
        widths=True,
    ),
    Formula(
        lambda game: game.bias == "none" and has_closed_form(game),
        solve_polynomial,
        "a polynomial discriminator on centred data matches second moments: soft threshold",
    ),
    Formula(
        has_match,
        solve_matching,
        "beta is 0 and the latents suffice: the generator has the data's mean and second moment",
    ),
)


def why_program(game: MomentGame, solver: str | None = None) -> str:
    """Why a game is solved as a convex program, and by which solver."""
    who = "a discriminator bias" if game.bias == "penalized" else "a polynomial discriminator"
    known = formula(game)
    reason = known.reason if known else f"{who} couples mean and second moment: semidefinite program"
    name, why = choose_backend(game.data.dim, not is_linear(game), solver)
    obstacle = not_convex(game)
    relaxed = f"; relaxed, so the answer is bounded: {obstacle}" if obstacle else ""
    return f"{reason}; {name}: {why}{relaxed}"
