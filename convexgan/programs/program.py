"""The moment game as a cvxpy program over the generated mean and second moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import cvxpy as cp
import numpy as np
from cvxpy.reductions.solution import Solution as Values
from numpy.typing import NDArray

from convexgan._tools.checks import check_number
from convexgan._tools.deadline import Deadline
from convexgan.closed_forms import best_scale, dual_value, game_ipm, ipm_of_zero, realize, rounding, unit_neurons
from convexgan.conic.backends import Answer, Run, first_accurate
from convexgan.conic.constraints import Separation, read_polynomial, read_quadratic
from convexgan.conic.refine import refine
from convexgan.conic.solvers import ACCURACY, choose_backend, in_turn
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.exceptions import InfeasibleError, SolverError, UnboundedError
from convexgan.programs.formulation import Formulation, formulate, within
from convexgan.programs.infeasible import why_infeasible
from convexgan.programs.restrictions import as_list, missed, scaled
from convexgan.programs.units import negligible
from convexgan.records.certificate import relative_gap
from convexgan.records.moment_game import MomentGame, Optimum
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
Finish = Callable[[MomentGame, Optimum, dict[str, Any], Callable[[Array], float]], Any]


POOR = 1e-3  # relative gap or violation of an answer that may be none


@dataclass
class Program:
    """A game as a ``cvxpy.Problem`` that takes further constraints.

    Attributes
    ----------
    problem : cvxpy.Problem
        Its value is the game's value. Either call `solve`, which scales it to the data first and leaves status, value
        and duals here as cvxpy does; or solve it, or a problem of your own with its objective, its constraints and
        more, with a named solver.
    variables : dict of cvxpy expressions
        ``mean`` (d,) and ``second_moment`` (d, d) of the generated law, those the game depends on.
    parameters : dict of cvxpy.Parameter
        ``beta`` or ``lam``: set ``.value`` and solve again.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> X = np.random.default_rng(0).standard_normal((50, 3))
    >>> program = cg.program(X, cg.GaussianLatent(3), discriminator="quadratic", beta=0.1)
    >>> apart = program.variables["second_moment"][0, 1] == 0
    >>> stats = program.solve(constraints=apart)
    >>> program.problem.status, program.recover().certificate.kind
    ('optimal', 'restricted')
    >>> bool(abs(apart.dual_value) > 0)  # what a unit of the right side costs
    True
    """

    problem: cp.Problem
    variables: dict[str, Any]
    parameters: dict[str, cp.Parameter]
    _game: MomentGame = field(repr=False)
    _scaled: cp.Problem = field(repr=False)
    _unit: float = field(repr=False)
    _formulation: Formulation = field(repr=False)
    _separation: Separation = field(repr=False)
    _finish: Finish | None = field(default=None, repr=False)
    _last: tuple[Any, list[Any], dict[str, Any]] = field(default=(None, [], {}), init=False, repr=False)

    def solve(
        self,
        solver: str | None = None,
        *,
        constraints: Any = (),
        solver_options: dict[str, Any] | None = None,
        time_limit: float | None = None,
        accuracy: float = ACCURACY,
        verbose: bool = False,
        **keywords: Any,
    ) -> dict[str, Any]:
        """Solve, scaled to the data's own size, and return the solver's record; then call `recover`.

        Parameters
        ----------
        solver : "CLARABEL", "SCS" or "MOSEK", optional
            If none is named and the first gives no accurate answer, the next is tried: ``"solver_failures"`` says so.
        constraints : cvxpy constraint or iterable of them, optional
            Further constraints on `variables`; their ``dual_value`` is in the units of ``problem``.
        solver_options : dict, optional
            Passed to the solver over our defaults.
        time_limit : float, optional
            Seconds.
        accuracy : float
            Relative accuracy asked of the solver.
        verbose : bool
            Let the solver print its log.
        **keywords
            Solver options as ``cvxpy.Problem.solve`` takes them.
        """
        if time_limit is not None:
            check_number(time_limit, "time_limit")
        given, added = (solver_options or {}) | keywords, as_list(constraints)
        name, reason = choose_backend(self._game.data.dim, bool(self._separation.multipliers), solver)
        names, run = in_turn(name, self._game.data.dim, solver), Run(accuracy, given, Deadline(time_limit), verbose)
        inner = scaled(self._game, self._formulation, added)
        problem = cp.Problem(self._scaled.objective, [*self._scaled.constraints, *(c for c, _ in inner)])
        try:
            answer = self._solved(problem, names, run, [c for c, _ in inner])
        except InfeasibleError:
            self.problem.unpack(Values(cp.INFEASIBLE, np.inf, {}, {}, {}))
            raise
        stats = answer.stats | {"solver_reason": reason}
        for variable, value in answer.found:
            variable.save_value(value)
        self._hand_back(str(stats["solver_status"]), inner, added)
        self._last = self.problem.solution, added, stats
        return stats

    def _solved(self, problem: cp.Problem, names: list[str], run: Run, added: list[Any]) -> Answer:
        """The best answer; where none is any good, the reason may be that the game is infeasible."""
        try:
            best = first_accurate(names, lambda name: self._attempt(problem, name, names, run, added), run.deadline)
        except SolverError as failure:
            raise self._nothing(names, run, added, failure) from failure
        if best.doubt > POOR and not added and self._game.lam is None and best.stats["solver_status"] != cp.USER_LIMIT:
            error = self._nothing(names, run, added, SolverError())
            if isinstance(error, InfeasibleError):
                raise error
        return best

    def _attempt(self, problem: cp.Problem, name: str, names: list[str], run: Run, added: list[Any]) -> Answer:
        """One solver's answer; raises what a solver that calls the program infeasible proves, if it does."""
        try:
            stats = run.once(problem, name)
        except UnboundedError as error:
            if added:
                raise
            raise SolverError(f"{name} calls unbounded what is not: try another solver.") from error
        if problem.status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
            raise self._excluded(names, run, added)
        doubt, refined = self._doubt(problem, added), 0
        if not added and self._separation.multipliers:
            doubt, refined = refine(problem, names[0], run, lambda: self._doubt(problem, added))
        return Answer(doubt, stats | ({"refined": refined} if refined else {}), _held(problem))

    def _nothing(self, names: list[str], run: Run, added: list[Any], failure: SolverError) -> Exception:
        """The error to raise where no solver had an answer: that the game is infeasible, if that is the reason."""
        try:
            return self._excluded(names, run, added)
        except SolverError:
            return failure

    def _excluded(self, names: list[str], run: Run, added: list[Any]) -> InfeasibleError:
        return why_infeasible(_with_parameters(self._game, self.parameters), self._formulation, names, run, added)

    def _doubt(self, problem: cp.Problem, added: list[Any]) -> float:
        """How far the relaxed answer and the critic read off are from proving each other, relative."""
        if added:
            return 0.0 if problem.status == cp.OPTIMAL else 1.0
        game = _with_parameters(self._game, self.parameters)
        at_zero = ipm_of_zero(game)
        if game.beta is not None and at_zero <= game.beta:
            return 0.0
        _, optimum = self.optimum()
        reached = game_ipm(game, self._law())
        value = (
            self._formulation.unit * (float(self._formulation.cost.value) + self._formulation.constant)
            + (game.lam or 0.0) * reached
        )
        if game.lam is not None:  # zeros are often optimal, and a solver's rounding is not
            value = min(value, game.lam * at_zero)
        # the program is that of latents which are all as cheap as the cheapest
        latent = replace(game.latent, values=np.full_like(game.latent.values, game.latent.values[0]))
        relaxed, critic = replace(game, latent=latent), _critic(game, optimum.neurons, optimum.outer)
        bound = dual_value(relaxed, replace(critic, outer=best_scale(relaxed, critic) * critic.outer))
        missing = 0.0 if game.beta is None else max(reached - game.beta, 0.0) / max(game.beta, at_zero)
        return max(missing, abs(relative_gap(value, bound, rounding(game))))

    def _hand_back(self, status: str, inner: list[tuple[Any, float]], added: list[Any]) -> None:
        """Status, value and duals as cvxpy would leave them after solving the user's problem."""
        duals = [(c, c, 1.0) for c in self.problem.constraints]
        duals += [(c, ours, size) for c, (ours, size) in zip(added, inner, strict=True)]
        for constraint, ours, size in duals:
            for dual, found in zip(constraint.dual_variables, ours.dual_variables, strict=True):
                dual.save_value(None if found.value is None else self._unit / size * np.asarray(found.value))
        values = {variable.id: variable.value for variable in self.problem.variables()}
        self.problem.unpack(Values(status, None, values, {}, {}))

    def optimum(self) -> tuple[MomentGame, Optimum]:
        """The game at the parameters' present values, and the generator and critic at the variables' values."""
        game = _with_parameters(self._game, self.parameters)
        m, S = self._moments()
        if S is None:
            factor, truncated = np.outer(_lift(game), m), False
            c = np.sign(game.activation.coefficients[1]) * game.data.mean
            size = float(np.linalg.norm(c))
            neurons = c[None, :] / size if size > 0 else np.zeros((0, len(m)))
            outer = np.ones(len(neurons))
        else:
            factor = realize(game.latent, S, m)
            truncated = float(np.sum(factor**2)) < float(np.trace(S)) * (1 - 1e-6)
            neurons, outer = self._read_neurons()
        return game, Optimum(factor, neurons, _rescaled(game, neurons, outer), truncated=truncated)

    def _moments(self) -> tuple[Array, Array | None]:
        """Mean and second moment at the variables' values, the latter None against linear neurons."""
        mean, second = (self.variables.get(name) for name in ("mean", "second_moment"))
        shown = mean if second is None else second
        if shown is None or shown.value is None:
            raise ValueError("the program has no values yet: solve it (solver='CLARABEL', say) before recover().")
        m = np.zeros(self._game.data.dim) if mean is None else np.asarray(mean.value)
        S = None if second is None else np.asarray(second.value)
        return m, None if S is None else (S + S.T) / 2

    def _law(self) -> Moments:
        m, S = self._moments()
        if S is None:
            return Moments.of_law(m, m[None, :])
        values, vectors = np.linalg.eigh(S)
        return Moments.of_law(m, np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T)

    def _read_neurons(self) -> tuple[Array, Array]:
        game, cones = self._game, self._separation.multipliers
        d, width = game.data.dim, game.data.dim + (game.bias == "penalized")
        if any(cone.dual_value is None for cone in cones.values()):
            return np.zeros((0, width)), np.zeros(0)
        if game.activation.coefficients[1] == 0:
            neurons, outer = read_quadratic(cones)
        else:
            neurons, outer = read_polynomial(cones, unit_neurons, self._separation.ease)
        return np.column_stack([neurons[:, :d] @ self._formulation.units.basis.T, neurons[:, d:]]), outer

    def recover(self, problem: cp.Problem | None = None) -> Any:
        """The solution at the variables' present values, certified; kind "restricted" if constraints were added.

        Added constraints are evaluated at the moments that the generator really has, which latents of too low a rank
        make others than the program's: where it misses them the kind is "infeasible" and the status "failed".

        Parameters
        ----------
        problem : cvxpy.Problem, optional
            That of your own which you solved, with this one's constraints and more: which these are is then known.
            After `solve` leave it out.

        Raises
        ------
        ValueError
            The program was not made by `convexgan.program`.
        """
        if self._finish is None:
            raise ValueError("recover() needs a program made by convexgan.program.")
        added, record = self._solved_last() if problem is None else self._solved_by(problem)
        game, optimum = self.optimum()
        return self._finish(game, optimum, record, lambda factor: missed(game, self._formulation, added, factor))

    def _solved_by(self, problem: cp.Problem) -> tuple[list[Any], dict[str, Any]]:
        """The constraints that a problem adds to this one, and its solver's record."""
        own = {constraint.id for constraint in self.problem.constraints}
        solver = str(getattr(problem.solver_stats, "solver_name", None))
        return [c for c in problem.constraints if c.id not in own], {"solver": solver, "solver_status": problem.status}

    def _solved_last(self) -> tuple[list[Any], dict[str, Any]]:
        """`_solved_by` of the last `solve`; of a problem unknown here, that its constraints hold for its moments."""
        solution, (ours, added, record) = self.problem.solution, self._last
        if solution is not None and all(
            np.array_equal(variable.value, solution.primal_vars.get(variable.id))
            for variable in self.problem.variables()
        ):
            return (added, record) if solution is ours else self._solved_by(self.problem)
        return [expression == expression.value for expression in self.variables.values()], {"solver": None}


def build_program(game: MomentGame, finish: Finish | None = None) -> Program:
    """The convex program of a moment game.

    min penalty tr S over the moments (S, m) of laws that the latents can reach, [[S, m], [m', kappa]] >= 0, with
    ipm <= beta or its lam-fold added. Under the weight penalty it is convex only for latents with equal
    eigenvalues. ``finish`` makes of an optimum and its statistics what `Program.recover` returns.
    """
    formulation = formulate(game)
    parameter = cp.Parameter(nonneg=True, name="beta" if game.lam is None else "lam")
    parameter.value = (
        game.beta * game.rows if game.beta is not None else (game.lam or 0.0) * game.value_scale / game.rows
    )
    user, unit = formulation.unit * game.value_scale, formulation.units.level * game.rows
    if game.lam is None:
        # a level of 0 leaves no interior to a solver: it gets one that it could not tell from 0
        budget: Any = parameter / unit + (negligible(game) / formulation.units.level if game.beta == 0 else 0.0)
        extra: Any = 0.0
        steep = 1.0
    else:
        budget = cp.Variable(nonneg=True)
        steep = max(1.0, parameter.value * unit / user)
        extra = parameter * budget * (unit / (user * steep))
    separation = within(game, formulation, budget)
    constraints = [*formulation.domain, *separation.constraints]
    scaled = formulation.cost / steep + extra
    return Program(
        cp.Problem(cp.Minimize(user * (steep * scaled + formulation.constant)), constraints),
        formulation.moments,
        {parameter.name(): parameter},
        game,
        cp.Problem(cp.Minimize(scaled), constraints),
        user * steep,
        formulation,
        separation,
        finish,
    )


def _held(problem: cp.Problem) -> list[tuple[Any, Any]]:
    """The variables and multipliers of a problem with their values."""
    duals = [dual for constraint in problem.constraints for dual in constraint.dual_variables]
    return [(variable, variable.value) for variable in [*problem.variables(), *duals]]


def _lift(game: MomentGame) -> Array:
    """The cheapest response of the whitened features that gives mean 1."""
    lift = game.latent.mean if game.regularizer == "output" else game.latent.values * game.latent.mean
    reach = float(lift @ game.latent.mean)
    return lift / reach if reach > 0 else np.zeros_like(lift)


def _rescaled(game: MomentGame, neurons: Array, outer: Array) -> Array:
    """Multipliers are used for their direction; the size that proves most is found exactly."""
    return outer * best_scale(game, _critic(game, neurons, outer))


def _critic(game: MomentGame, neurons: Array, outer: Array) -> TwoLayerDiscriminator:
    d = game.data.dim
    biases = neurons[:, d] if neurons.shape[1] > d else np.zeros(len(outer))
    return TwoLayerDiscriminator(neurons[:, :d], outer, game.activation, biases)


def _with_parameters(game: MomentGame, parameters: dict[str, cp.Parameter]) -> MomentGame:
    value = {name: float(parameter.value) for name, parameter in parameters.items()}
    if "beta" in value:
        return replace(game, beta=value["beta"] / game.rows)
    return replace(game, lam=value["lam"] * game.rows / game.value_scale)
