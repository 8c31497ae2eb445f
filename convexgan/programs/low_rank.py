"""A generator of the latents' own rank, by local search from the answer of a relaxation that has more.

In the factor F (r, d) the second moment is F'F, whose matrix inequalities from above are convex. Those from below are
asked of its linearisation F0'F + F'F0 - F0'F0 <= F'F, an inner approximation: every step's answer is feasible, and
none is worse than the last. Source: Yuille and Rangarajan, The concave-convex procedure, 2003.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from convexgan._deadline import Deadline
from convexgan.closed_forms import cost, game_ipm, generated_moments
from convexgan.exceptions import SolverError
from convexgan.problem import MomentGame
from convexgan.programs import backends
from convexgan.programs.formulation import separate, units

Array = NDArray[np.float64]
STEPS = 60
STEADY = 1e-7  # relative progress that counts as none
FEASIBLE = 1e-3  # share of the level by which the search may stay below it
MARGIN = 1e-8  # the same, of the size of an ipm
NUDGE = 1e-2  # a factor with empty rows is a saddle point of the search


def fit_rank(
    game: MomentGame,
    factor: Array,
    solver: str | None = None,
    options: dict[str, Any] | None = None,
    time_limit: float | None = None,
) -> Array:
    """A locally cheapest generator within beta near a factor (r, d) that is not; if none is found, the nearest one."""
    search, level = _Search(game, solver, options, Deadline(time_limit)), game.beta or 0.0
    found = search.nearest(factor, level)
    return search.cheapest(found, level) if search.reached(found) <= level else found


class _Search:
    """The descents of one game at any level of its ipm; the data have size 1 in its variables."""

    def __init__(
        self, game: MomentGame, solver: str | None, options: dict[str, Any] | None, deadline: Deadline
    ) -> None:
        self.game, self.deadline, (self.size, self.unit) = game, deadline, units(game)
        self.name = backends.choose_backend(game.data.dim, True, solver)[0]
        self.options = options or {}
        r, d = game.latent.rank, game.data.dim
        self.factor, self.base = cp.Variable((r, d)), cp.Parameter((r, d))
        self.square = cp.Parameter((d, d), symmetric=True)  # base'base
        below = self.base.T @ self.factor + self.factor.T @ self.base - self.square
        above = cp.Variable((d, d), symmetric=True)
        mean, slope = self.factor.T @ game.latent.mean, game.activation.coefficients[0]
        self.level = cp.Variable(nonneg=True)
        self.constraints = [cp.bmat([[above, self.factor.T], [self.factor, np.eye(r)]]) >> 0]
        for sign in (1.0, -1.0):
            second = below if sign * slope > 0 else above
            moments = {"second_moment": self.size**2 * second, "mean": self.size * mean}
            self.constraints.append(separate(game, moments, self.level, self.unit).multipliers[sign])
        price = 1 / game.latent.values if game.regularizer == "weights" else np.ones(r)
        self.spent = cp.sum_squares(cp.multiply(np.sqrt(price / price.min())[:, None], self.factor))

    def reached(self, factor: Array) -> float:
        """The ipm of a generator."""
        return game_ipm(self.game, generated_moments(self.game, factor))

    def nearest(self, factor: Array, goal: float) -> Array:
        """The first factor within the goal, or one from which the ipm falls no further."""
        nudge = np.random.default_rng(0).standard_normal(factor.shape) / np.sqrt(factor.size)
        problem = cp.Problem(cp.Minimize(self.level), self.constraints)
        return self._descend(problem, factor + NUDGE * self.size * nudge, self.reached, goal)

    def cheapest(self, factor: Array, level: float) -> Array:
        """A factor within the level, as the given one is, whose cost falls no further."""
        inside = max(level - MARGIN * self.unit, (1 - FEASIBLE) * level)  # room for the solver's accuracy
        within = [*self.constraints, self.level <= inside / self.unit]

        def value(factor: Array) -> float:
            return cost(self.game, factor) if self.reached(factor) <= level else np.inf

        return self._descend(cp.Problem(cp.Minimize(self.spent), within), factor, value)

    def _descend(self, problem: cp.Problem, factor: Array, value: Callable[[Array], float], goal: float = 0.0) -> Array:
        best = value(factor)
        for _ in range(STEPS):
            if best <= goal or self.deadline.over:
                break
            self.base.value = factor / self.size
            self.square.value = self.base.value.T @ self.base.value
            options = backends.default_options(self.name, backends.ACCURACY, self.deadline.left) | self.options
            try:
                backends.run(problem, self.name, options)
            except SolverError:  # what was found before holds
                break
            if self.factor.value is None:
                break
            step = self.size * np.asarray(self.factor.value)
            now = value(step)
            if now < best:
                factor = step
            if not now < best * (1 - STEADY):
                break
            best = now
        return factor
