"""A mixture over given particles against a discriminator that matches moments: one conic program in the weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.closed_forms import unit_neurons
from convexgan.conic.solvers import ACCURACY, choose_backend, in_turn
from convexgan.discriminators.activation import MomentActivation
from convexgan.exceptions import ConvexGANError, SolverError
from convexgan.games.sample.cutting_planes import Mixture, out_of_reach
from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.responses import critic_of, discriminator_response, generator_response
from convexgan.records.certificate import relative_gap

Array = NDArray[np.float64]
SMALL = 1e-2
NEGLIGIBLE = 1e-10  # share of a weight that is an interior-point solver's distance from zero
ROUNDING = 1e-13
SOLVED = 1e-8  # relative: what solvers may leave of moments that they match


def solve_mixture_program(
    game: SampleGame,
    particles: Array,
    activation: MomentActivation,
    *,
    solver: str | None = None,
    solver_options: dict[str, Any] | None = None,
    time_limit: float | None = None,
) -> Mixture:
    """The optimal weights of the particles, and the discriminator that proves them.

    The generated mean and second moment are linear in the weights p, so that ipm <= level is a second-order cone for
    linear neurons and a pair of matrix inequalities for the others. Their multipliers are the discriminator. Cutting
    planes give the same in ever more rounds: half a minute where this takes half a second, with twelve columns.

    Raises
    ------
    InfeasibleError
        If no mixture reaches beta; ``smallest_beta`` is in canonical units.
    """
    from convexgan.conic.backends import Run, first_accurate  # here: cvxpy takes seconds to import

    lifted, cheapest = game.lift(particles), game.least(game.cost(particles))[1]
    nothing = np.zeros((0, lifted.shape[1])), np.zeros(0)
    reach = discriminator_response(game, particles, cheapest).upper_bound
    a, b, _ = np.abs(activation.coefficients)
    size = max(float(np.abs(lifted).max()), float(np.abs(game.data).max()))
    if game.lam == 0 or reach <= max(game.beta or 0.0, ROUNDING * (a * size**2 + b * size)):
        return Mixture(cheapest, *nothing, {"status": "optimal", "reason": "the cheapest law is optimal"})
    program = _Program(game, particles, activation, reach)
    name, reason = choose_backend(lifted.shape[1], activation.coefficients[0] != 0, solver)
    run = Run(ACCURACY, solver_options or {}, Deadline(time_limit))

    names = in_turn(name, lifted.shape[1], solver)
    try:
        answer = first_accurate(names, lambda one: program.attempt(one, names, run), run.deadline)
    except SolverError as failure:
        raise _no_answer(game, particles, activation, solver, run.deadline, failure) from failure
    p, neurons, outer = answer.found
    p = p if game.penalty or game.spread else _matched(game, particles, activation, p)
    status = "stopped" if answer.stats["solver_status"] == "user_limit" else "optimal"
    return Mixture(p, neurons, outer, answer.stats | {"status": status, "reason": reason})


def _matched(game: SampleGame, particles: Array, activation: MomentActivation, p: Array) -> Array:
    """Weights whose moments are the data's up to rounding, by the least change, if they are up to a solver's accuracy.

    Relative to an optimum of 0 no tolerance of a solver is small.
    """
    a, b, _ = activation.coefficients
    used = p > 0

    def moments(rows: Array) -> Array:
        lifted = game.lift(rows)
        i, j = np.triu_indices(lifted.shape[1])
        return np.column_stack([lifted] * (b != 0) + [lifted[:, i] * lifted[:, j]] * (a != 0))

    features = np.vstack([moments(particles[used]).T, np.ones(used.sum())])
    missing = np.append(moments(game.data).mean(axis=0), 1.0) - features @ p[used]
    if np.abs(missing).max() > SOLVED * np.abs(features).max():
        return p
    found = p.copy()
    found[used] += np.linalg.lstsq(features, missing, rcond=SOLVED)[0]
    return found if (found >= 0).all() else p


class _Program:
    """The program of one game, and what its answers prove."""

    def __init__(self, game: SampleGame, particles: Array, activation: MomentActivation, reach: float) -> None:
        self.game, self.reach, self.activation = replace(game, particles=particles), reach, activation
        self.points, self.costs = particles, game.cost(particles)

    def attempt(self, name: str, names: list[str], run: Any) -> Any:
        """A solver's answer, refined by the first of them."""
        import cvxpy as cp

        from convexgan.conic.backends import Answer
        from convexgan.conic.refine import refine

        game, reach, costs = self.game, self.reach, self.costs
        p = cp.Variable(len(costs), nonneg=True)
        bound = cp.Variable(nonneg=True) if game.beta is None else cp.Constant(game.beta / reach)
        separation = _separation(self.activation, game.lift(game.data), game.lift(self.points), p, bound, reach)
        unit, constraints = max(float(costs.max()), (game.lam or 0.0) * reach, game.spread), [cp.sum(p) == 1]
        for again in (True, False):
            price = 0.0 if game.lam is None else game.lam * reach / unit * bound
            price += game.spread / unit * cp.sum_squares(p) if game.spread else 0.0
            problem = cp.Problem(cp.Minimize(costs / unit @ p + price), [*constraints, *separation.constraints])
            stats = run.once(problem, name)
            if p.value is None:
                raise SolverError(f"{name} found no mixture within beta.")
            if problem.value > SMALL or not again:
                break
            unit *= max(problem.value, SMALL**2)  # solvers are accurate relative to 1, not to a small optimum

        def doubt() -> float:
            gap, over = self._gap_and_excess(*self._found(p.value, separation, unit))
            return max(abs(gap), over / max(game.beta or 0.0, reach))

        left, refined = (doubt(), 0) if self.activation.coefficients[0] == 0 else refine(problem, names[0], run, doubt)
        found = self._found(p.value, separation, unit)
        return Answer(left, stats | ({"refined": refined} if refined else {}), found)

    def _found(self, p: Array, separation: Any, unit: float) -> tuple[Array, Array, Array]:
        """Weights, neurons and outer weights."""
        weights = np.where(p > NEGLIGIBLE * p.max(), p, 0.0)
        neurons, outer = _neurons(self.activation, separation)
        return weights / weights.sum(), neurons, outer * (unit / self.reach)

    def _gap_and_excess(self, p: Array, neurons: Array, outer: Array) -> tuple[float, float]:
        game = self.game
        reached = discriminator_response(game, self.points, p).upper_bound
        value = float(self.costs @ p) + game.spread * float(p @ p) + (game.lam or 0.0) * reached
        proved = generator_response(game, critic_of(game, neurons, outer))
        noise = ROUNDING * (float(self.costs.max()) + (game.lam or 0.0) * self.reach)
        return relative_gap(value, proved, noise), 0.0 if game.beta is None else max(reached - game.beta, 0.0)


def _separation(activation: MomentActivation, real: Array, lifted: Array, p: Any, level: Any, unit: float) -> Any:
    """ipm / unit <= level as constraints on the weights."""
    import cvxpy as cp

    from convexgan.conic.constraints import Separation, polynomial_separation, quadratic_separation

    (a, b, _), d = activation.coefficients, lifted.shape[1]
    centre = real.mean(axis=0)
    # as the weights have sum 1, differences to the data are averaged: an offset of both cancels before it is rounded
    apart = lifted - centre
    shift = (-b / unit * apart.T) @ p
    if a == 0:
        return Separation([cp.SOC(level, shift)], {})
    spread = (real - centre).T @ (real - centre) / len(real)
    products = np.einsum("ni,nj->nij", apart, apart) - spread
    products += centre[:, None] * apart[:, None, :] + apart[:, :, None] * centre
    difference = cp.reshape((-a / unit * products.reshape(-1, d * d).T) @ p, (d, d), order="C")
    return quadratic_separation(difference, level) if b == 0 else polynomial_separation(difference, shift, level)


def _neurons(activation: MomentActivation, separation: Any) -> tuple[Array, Array]:
    """The discriminator that the multipliers are."""
    from convexgan.conic.constraints import read_polynomial, read_quadratic

    if not separation.multipliers:  # a second-order cone, whose multiplier points against the difference of means
        along = -np.ravel(separation.constraints[0].dual_value[1])
        size = float(np.linalg.norm(along))
        return (along[None, :] / size, np.array([size])) if size > 0 else (np.zeros((0, len(along))), np.zeros(0))
    if activation.coefficients[1] == 0:
        return read_quadratic(separation.multipliers)
    return read_polynomial(separation.multipliers, unit_neurons)


def _no_answer(
    game: SampleGame,
    particles: Array,
    activation: MomentActivation,
    solver: str | None,
    deadline: Deadline,
    failure: SolverError,
) -> ConvexGANError:
    """Names a beta that works, the smallest ipm of any mixture a little rounded up, if the game's own does not."""
    if game.beta is not None:
        free = replace(game, beta=None, lam=1.0, penalty=0.0, spread=0.0)
        found = solve_mixture_program(free, particles, activation, solver=solver, time_limit=deadline.left)
        least = discriminator_response(game, particles, found.p).upper_bound * (1 + 1e-6)
        if least > game.beta and found.stats["status"] == "optimal":
            return out_of_reach(len(particles), least)
    return failure
