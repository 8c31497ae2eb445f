"""Why a program has no point: what the class and added constraints exclude, and the least beta that is left."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np

from convexgan.closed_forms import ipm_of_zero
from convexgan.conic.backends import Run
from convexgan.exceptions import InfeasibleError, SolverError, UnboundedError
from convexgan.programs.formulation import Formulation, formulate, within
from convexgan.programs.units import negligible
from convexgan.records.moment_game import MomentGame

EDGE = 5e-5  # relative: a little above the least level, where solvers lose digits
FAR = 1e-3  # of a unit: a least level below is looked for again in units of its own size


def why_infeasible(
    game: MomentGame, formulation: Formulation, names: list[str], run: Run, added: list[Any]
) -> InfeasibleError:
    """The error that names what excludes every generator, and the least beta that is left.

    Parameters
    ----------
    game : MomentGame
        At the present beta.
    formulation : Formulation
        In whose variables the constraints are.
    names : list of str
        Solvers, the first one that answers is believed.
    run : Run
    added : list of cvxpy constraints

    Raises
    ------
    SolverError
        If nothing is excluded, or no solver says.
    """
    beta = np.inf if game.beta is None else game.beta
    restricted = _least_level(game, formulation, names, run, added) if added else 0.0
    if restricted is None:
        return InfeasibleError(
            "the added constraints contradict each other, or ask for moments that no generator of this class has: "
            "relax them.",
            np.inf,
        )
    least = _class_level(game, names, run) if beta < np.inf else 0.0
    if least > beta:
        return _below(
            least * game.rows,
            "no generator of this class satisfies ipm <= beta: use beta >= {:.6g}, a generator with a bias or more "
            "latent dimensions.",
        )
    if restricted > beta:
        return _below(
            restricted * game.rows,
            "the added constraints leave no generator with ipm <= beta: with them use beta >= {:.6g}, or relax them.",
        )
    raise SolverError(f"{', '.join(names)} found no point though none is excluded: try a slightly larger beta.")


def _below(level: float, message: str) -> InfeasibleError:
    """The error of a beta below the least level, with the beta that is known to work."""
    smallest = level * (1 + EDGE)
    return InfeasibleError(message.format(smallest), smallest_beta=smallest)


def _class_level(game: MomentGame, names: list[str], run: Run) -> float:
    """The least ipm of the class, in canonical units, found in units of its own size."""
    level = ipm_of_zero(game) / 10
    for _ in range(3):
        least = _least_level(game, formulate(game, level), names, run, [])
        if least is None:
            raise SolverError(f"{', '.join(names)} found no least ipm, though there is one: try another solver.")
        last, level = level, max(least, negligible(game))
        if level >= FAR * last:
            break
    return level if level > negligible(game) else 0.0


def _least_level(
    game: MomentGame, formulation: Formulation, names: list[str], run: Run, added: list[Any]
) -> float | None:
    """The least ipm under the added constraints, in canonical units; None if they have no point."""
    free, failure = cp.Variable(nonneg=True), SolverError("no solver was tried.")
    problem = cp.Problem(cp.Minimize(free), [*formulation.domain, *within(game, formulation, free).constraints, *added])
    for name in names:
        try:
            run.once(problem, name)
        except (SolverError, UnboundedError) as error:
            failure = SolverError(str(error))
        else:
            return None if free.value is None else float(free.value) * formulation.units.level
    raise failure
