"""The moment game as a cvxpy program over the generated mean and second moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_number
from convexgan.closed_forms import best_scale, realize, unit_neurons
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.problem import MomentGame, Optimum
from convexgan.programs import backends
from convexgan.programs.constraints import (
    Separation,
    linear_separation,
    polynomial_separation,
    quadratic_separation,
    read_polynomial,
    read_quadratic,
)

Array = NDArray[np.float64]


Finish = Callable[[MomentGame, Optimum, dict[str, Any]], Any]


@dataclass
class Program:
    """A game as a ``cvxpy.Problem`` that takes further constraints.

    Attributes
    ----------
    problem : cvxpy.Problem
        Its value is the game's value. Solve it with a named solver, alone or with constraints added; or call
        `solve`, which scales it to the data first (``problem.objective.value`` is then the value).
    variables : dict of cvxpy expressions
        ``mean`` (d,) and ``second_moment`` (d, d) of the generated law, those the game depends on.
    parameters : dict of cvxpy.Parameter
        ``beta`` or ``lam``: set ``.value`` and solve again.

    Examples
    --------
    >>> import numpy as np, cvxpy as cp, convexgan as cg
    >>> X = np.random.default_rng(0).standard_normal((50, 3))
    >>> program = cg.program(X, cg.GaussianLatent(3), discriminator="quadratic", beta=0.1)
    >>> S = program.variables["second_moment"]
    >>> constrained = cp.Problem(program.problem.objective, [*program.problem.constraints, S[0, 1] == 0])
    >>> _ = constrained.solve(solver="CLARABEL")
    >>> program.recover().certificate.kind
    'restricted'
    """

    problem: cp.Problem
    variables: dict[str, Any]
    parameters: dict[str, cp.Parameter]
    _game: MomentGame = field(repr=False)
    _scaled: cp.Problem = field(repr=False)
    _level: Any = field(repr=False)
    _separation: Separation = field(repr=False)
    _finish: Finish | None = field(default=None, repr=False)

    def solve(
        self,
        solver: str | None = None,
        *,
        constraints: Sequence[Any] = (),
        solver_options: dict[str, Any] | None = None,
        time_limit: float | None = None,
        accuracy: float = backends.ACCURACY,
        verbose: bool = False,
    ) -> dict[str, Any]:
        """Solve, scaled to the data's own size, and return the solver's record; then call `recover`.

        Parameters
        ----------
        solver : "CLARABEL", "SCS" or "MOSEK", optional
        constraints : sequence of cvxpy constraints, optional
            Further constraints on `variables`.
        solver_options : dict, optional
            Passed to the solver over our defaults.
        time_limit : float, optional
            Seconds.
        accuracy : float
            Relative accuracy asked of the solver.
        verbose : bool
            Let the solver print its log.
        """
        if time_limit is not None:
            check_number(time_limit, "time_limit")
        name, reason = backends.choose_backend(self._game.data.dim, bool(self._separation.multipliers), solver)
        options = backends.default_options(name, accuracy, time_limit) | (solver_options or {})
        problem = self._scaled
        if constraints:
            problem = cp.Problem(problem.objective, [*problem.constraints, *constraints])
        stats = backends.run(problem, name, options, verbose)
        if problem.status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
            raise self._infeasible(name, options, problem.constraints)
        return stats | {"solver_reason": reason}

    def _infeasible(self, name: str, options: dict[str, Any], constraints: list[Any]) -> InfeasibleError:
        """The error with the smallest feasible beta, found by minimising the separation itself."""
        unit = units(self._game)[1]
        free = cp.Variable(nonneg=True)
        others = [c for c in constraints if not any(c is own for own in self._separation.constraints)]
        least = cp.Problem(cp.Minimize(free), others + separate(self._game, self.variables, free, unit).constraints)
        backends.run(least, name, options)
        if free.value is None:
            return InfeasibleError("the added constraints contradict each other: no generator satisfies them.", np.inf)
        if float(free.value) * unit <= (_with_parameters(self._game, self.parameters).beta or 0.0):
            raise SolverError(f"{name} calls infeasible what is not: try another solver, or a slightly larger beta.")
        # a little above the edge, where solvers lose digits
        smallest = float(free.value) * (1 + 1e-4) * self._game.rows * unit
        return InfeasibleError(
            f"no generator of this class satisfies ipm <= beta: use beta >= {smallest:.6g}, a generator with a bias "
            "or more latent dimensions.",
            smallest_beta=smallest,
        )

    def optimum(self) -> tuple[MomentGame, Optimum]:
        """The game at the parameters' present values, and the generator and critic at the variables' values."""
        game = _with_parameters(self._game, self.parameters)
        d = game.data.dim
        mean = self.variables.get("mean")
        if (mean if mean is not None else self.variables["second_moment"]).value is None:
            raise ValueError("the program has no values yet: solve it (solver='CLARABEL', say) before recover().")
        m = np.zeros(d) if mean is None else np.asarray(mean.value).reshape(d)
        truncated = False
        if "second_moment" not in self.variables:
            factor = np.outer(_lift(game), m)
            size = float(np.linalg.norm(m))
            sign = np.sign(game.activation.coefficients[1])
            neurons = sign * m[None, :] / size if size > 0 else np.zeros((0, d))
            outer = np.ones(len(neurons))
        else:
            S = np.asarray(self.variables["second_moment"].value)
            factor = realize(game.latent, (S + S.T) / 2, m)
            truncated = float(np.sum(factor**2)) < float(np.trace(S)) * (1 - 1e-6)
            neurons, outer = self._read_neurons()
        return game, Optimum(factor, neurons, _rescaled(game, neurons, outer), truncated=truncated)

    def _read_neurons(self) -> tuple[Array, Array]:
        game, cones = self._game, self._separation.multipliers
        b = game.activation.coefficients[1]
        width = game.data.dim + (game.bias == "penalized")
        if any(cone.dual_value is None for cone in cones.values()):
            return np.zeros((0, width)), np.zeros(0)
        return read_polynomial(cones, unit_neurons) if b != 0 else read_quadratic(cones)

    def recover(self) -> Any:
        """The solution at the variables' present values, certified; kind "restricted" if constraints were added."""
        if self._finish is None:
            raise ValueError("recover() needs a program made by convexgan.program.")
        game, optimum = self.optimum()
        return self._finish(game, optimum, {"solver": str(getattr(self.problem.solver_stats, "solver_name", None))})


def build_program(game: MomentGame, finish: Finish | None = None) -> Program:
    """The convex program of a moment game.

    min penalty tr S over the moments (S, m) of laws that the latents can reach, [[S, m], [m', kappa]] >= 0, with
    ipm <= beta or its lam-fold added. Under the weight penalty it is convex only for latents with equal
    eigenvalues. ``finish`` makes of an optimum and its statistics what `Program.recover` returns.
    """
    size, unit = units(game)
    parameter = cp.Parameter(nonneg=True, name="beta" if game.lam is None else "lam")
    parameter.value = (
        game.beta * game.rows if game.beta is not None else (game.lam or 0.0) * game.value_scale / game.rows
    )
    variables, domain, costs = _moment_variables(game, size)
    if game.lam is None:
        level: Any = parameter / (game.rows * unit)
        extra: Any = 0.0
    else:
        level = cp.Variable(nonneg=True)
        # in units of penalty * size^2
        extra = parameter * level * (game.rows / game.value_scale * unit / (game.penalty * size**2))
    separation = separate(game, variables, level, unit)
    constraints = [*domain, *separation.constraints]
    objective = costs + extra
    user = game.penalty * size**2 * game.value_scale
    return Program(
        cp.Problem(cp.Minimize(user * objective), constraints),
        variables,
        {parameter.name(): parameter},
        game,
        cp.Problem(cp.Minimize(objective), constraints),
        level,
        separation,
        finish,
    )


def units(game: MomentGame) -> tuple[float, float]:
    """The size of the data, sqrt of its largest eigenvalue, and of a typical ipm."""
    size = float(np.sqrt(game.data.spectrum.value(0))) or 1.0
    a, b, _ = game.activation.coefficients
    return size, max(abs(a) * size**2, abs(b) * size)


def _moment_variables(game: MomentGame, size: float) -> tuple[dict[str, Any], list[Any], Any]:
    """Expressions for mean and second moment in data units, their domain, and the cost / (penalty size^2)."""
    d, kappa = game.data.dim, game.latent.kappa
    a, b, _ = game.activation.coefficients
    if a == 0:
        mean = cp.Variable(d)
        reach = kappa if game.regularizer == "output" else float(game.latent.values @ game.latent.mean**2)
        if reach == 0:
            return {"mean": size * mean}, [mean == 0], 0.0
        return {"mean": size * mean}, [], cp.sum_squares(mean) / reach
    price = 1.0 if game.regularizer == "output" else 1 / float(game.latent.values[0])
    if b == 0 and game.bias == "none":
        S = cp.Variable((d, d), PSD=True)
        return {"second_moment": size**2 * S}, [], price * cp.trace(S)
    if kappa == 0:
        S = cp.Variable((d, d), PSD=True)
        return {"second_moment": size**2 * S, "mean": cp.Constant(np.zeros(d))}, [], price * cp.trace(S)
    block = cp.Variable((d + 1, d + 1), PSD=True)
    S, m = block[:d, :d], block[:d, d] * np.sqrt(kappa)
    return {"second_moment": size**2 * S, "mean": size * m}, [block[d, d] == 1], price * cp.trace(S)


def separate(game: MomentGame, variables: dict[str, Any], level: Any, unit: float) -> Separation:
    """``ipm / unit <= level`` for the game's discriminator."""
    a, b, _ = game.activation.coefficients
    d = game.data.dim
    if a == 0:
        return linear_separation((abs(b) / unit) * (game.data.mean - variables["mean"]), level)
    difference = (a / unit) * (game.data.second - variables["second_moment"])
    if b == 0 and game.bias == "none":
        return quadratic_separation(difference, level)
    shift = (game.data.mean - variables["mean"]) / unit
    linear = b * shift
    if game.bias == "penalized":
        column = cp.reshape(a * shift, (d, 1), order="C")
        difference = cp.bmat([[difference, column], [column.T, np.zeros((1, 1))]])
        linear = cp.hstack([linear, np.zeros(1)])
    if b == 0:
        return quadratic_separation(difference, level)
    return polynomial_separation(difference, linear, level)


def _lift(game: MomentGame) -> Array:
    """The cheapest response of the whitened features that gives mean 1."""
    lift = game.latent.mean if game.regularizer == "output" else game.latent.values * game.latent.mean
    reach = float(lift @ game.latent.mean)
    return lift / reach if reach > 0 else np.zeros_like(lift)


def _rescaled(game: MomentGame, neurons: Array, outer: Array) -> Array:
    """Multipliers are used for their direction; the size that proves most is found exactly."""
    d = game.data.dim
    biases = neurons[:, d] if neurons.shape[1] > d else np.zeros(len(outer))
    critic = TwoLayerDiscriminator(neurons[:, :d], outer, game.activation, biases)
    return outer * best_scale(game, critic)


def _with_parameters(game: MomentGame, parameters: dict[str, cp.Parameter]) -> MomentGame:
    value = {name: float(parameter.value) for name, parameter in parameters.items()}
    if "beta" in value:
        return replace(game, beta=value["beta"] / game.rows)
    return replace(game, lam=value["lam"] * game.rows / game.value_scale)
