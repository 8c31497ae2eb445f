"""A mixture over given particles against a discriminator that matches moments: one conic program in the weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.closed_forms import unit_neurons
from convexgan.exceptions import ConvexGANError, SolverError
from convexgan.games.cutting_planes import out_of_reach
from convexgan.games.responses import discriminator_response
from convexgan.games.sample_game import SampleGame
from convexgan.problem import Activation

Array = NDArray[np.float64]
SMALL = 1e-2
NEGLIGIBLE = 1e-10  # share of a weight that is an interior-point solver's distance from zero
ROUNDING = 1e-13


def solve_mixture_program(
    game: SampleGame,
    particles: Array,
    activation: Activation,
    *,
    solver: str | None = None,
    solver_options: dict[str, Any] | None = None,
    time_limit: float | None = None,
) -> tuple[Array, Array, Array, dict[str, Any]]:
    """The optimal weights of the particles, and the discriminator that proves them.

    The generated mean and second moment are linear in the weights p, so that ipm <= level is a second-order cone for
    linear neurons and a pair of matrix inequalities for the others. Their multipliers are the discriminator. Cutting
    planes give the same in ever more rounds: half a minute where this takes half a second, with twelve columns.

    Returns
    -------
    p : (m,) array
    neurons, outer : (K, d or d + 1) and (K,) arrays
    stats : dict
        The solver's record, and "status".

    Raises
    ------
    InfeasibleError
        If no mixture reaches beta; ``smallest_beta`` is in canonical units.
    """
    import cvxpy as cp

    from convexgan.programs import backends

    lifted, costs = game.lift(particles), game.cost(particles)
    cheapest = np.eye(1, len(particles), int(np.argmin(costs)))[0]
    nothing = np.zeros((0, lifted.shape[1])), np.zeros(0)
    reach = discriminator_response(game, particles, cheapest).upper_bound
    a, b, _ = np.abs(activation.coefficients)
    size = max(float(np.abs(lifted).max()), float(np.abs(game.data).max()))
    if game.lam == 0 or reach <= max(game.beta or 0.0, ROUNDING * (a * size**2 + b * size)):
        return cheapest, *nothing, {"status": "optimal", "reason": "the cheapest particle is optimal"}
    p = cp.Variable(len(particles), nonneg=True)
    level = cp.Variable(nonneg=True) if game.beta is None else cp.Constant(game.beta / reach)
    separation = _separation(activation, game.lift(game.data), lifted, p, level, reach)
    unit, constraints = max(float(costs.max()), (game.lam or 0.0) * reach), [cp.sum(p) == 1, *separation.constraints]
    name, reason = backends.choose_backend(lifted.shape[1], bool(separation.multipliers), solver)
    options = backends.default_options(name, backends.ACCURACY, time_limit) | (solver_options or {})
    for again in (True, False):
        price = 0.0 if game.lam is None else game.lam * reach / unit * level
        problem = cp.Problem(cp.Minimize(costs / unit @ p + price), constraints)
        stats = backends.run(problem, name, options)
        if p.value is None:
            raise _no_answer(game, particles, activation, solver)
        if problem.value > SMALL or not again:
            break
        unit *= max(problem.value, SMALL**2)  # solvers are accurate relative to 1, not to a small optimum
    weights = np.where(p.value > NEGLIGIBLE * p.value.max(), p.value, 0.0)
    neurons, outer = _neurons(activation, separation)
    status = "stopped" if stats["solver_status"] == cp.USER_LIMIT else "optimal"
    return weights / weights.sum(), neurons, outer * (unit / reach), stats | {"status": status, "reason": reason}


def _separation(activation: Activation, real: Array, lifted: Array, p: Any, level: Any, unit: float) -> Any:
    """ipm / unit <= level as constraints on the weights."""
    import cvxpy as cp

    from convexgan.programs.constraints import Separation, polynomial_separation, quadratic_separation

    (a, b, _), d = activation.coefficients, lifted.shape[1]
    shift = (b / unit) * real.mean(axis=0) - (b / unit * lifted.T) @ p
    if a == 0:
        return Separation([cp.SOC(level, shift)], {})
    products = (a / unit) * np.einsum("ni,nj->ijn", lifted, lifted).reshape(d * d, -1)
    difference = (a / unit) * (real.T @ real / len(real)) - cp.reshape(products @ p, (d, d), order="C")
    return quadratic_separation(difference, level) if b == 0 else polynomial_separation(difference, shift, level)


def _neurons(activation: Activation, separation: Any) -> tuple[Array, Array]:
    """The discriminator that the multipliers are."""
    from convexgan.programs.constraints import read_polynomial, read_quadratic

    if not separation.multipliers:  # a second-order cone, whose multiplier points against the difference of means
        along = -np.ravel(separation.constraints[0].dual_value[1])
        size = float(np.linalg.norm(along))
        return (along[None, :] / size, np.array([size])) if size > 0 else (np.zeros((0, len(along))), np.zeros(0))
    if activation.coefficients[1] == 0:
        return read_quadratic(separation.multipliers)
    return read_polynomial(separation.multipliers, unit_neurons)


def _no_answer(game: SampleGame, particles: Array, activation: Activation, solver: str | None) -> ConvexGANError:
    """Names a beta that works, the smallest ipm of any mixture a little rounded up, if the game's own does not."""
    if game.beta is not None:
        free = replace(game, beta=None, lam=1.0, penalty=0.0)
        p = solve_mixture_program(free, particles, activation, solver=solver)[0]
        least = discriminator_response(game, particles, p).upper_bound * (1 + 1e-6)
        if least > game.beta:
            return out_of_reach(len(particles), least)
    return SolverError("the solver calls infeasible what is not: try another solver, or rescale X.")
