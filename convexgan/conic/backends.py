"""Runs of conic solvers: their records, their statuses as the package's errors, and one after another."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cvxpy as cp

from convexgan._tools.deadline import Deadline
from convexgan.conic.solvers import BACKENDS, INTEGER
from convexgan.exceptions import SolverError, UnboundedError

ACCURATE = 1e-7  # relative gap and violation from which on a second solver could not do much better


@dataclass(frozen=True)
class Answer:
    """A solver's answer with its record.

    Attributes
    ----------
    doubt : float
        How far it is from proved, relative: its gap or its violation, recomputed from the data.
    stats : dict
        Its record.
    found : object
        The values.
    """

    doubt: float
    stats: dict[str, Any]
    found: Any


def first_accurate(names: list[str], attempt: Callable[[str], Answer], deadline: Deadline) -> Answer:
    """The answer of the first solver that has an accurate one, or the best; the record says which failed before.

    Raises
    ------
    SolverError
        If none has any.
    """
    failures: dict[str, str] = {}
    answers: list[Answer] = []
    for name in names:
        if failures and deadline.over:
            break
        try:
            answer = attempt(name)
        except SolverError as error:
            failures[name] = str(error)
            continue
        answers.append(answer)
        status = answer.stats["solver_status"]
        if answer.doubt <= ACCURATE or status == cp.USER_LIMIT:
            break
        failures[name] = f"{status}, inaccurate by {answer.doubt:.2g}"
    if not answers:
        raise SolverError("; ".join(failures.values()))
    best = min(answers, key=lambda answer: answer.doubt)
    return replace(best, stats=best.stats | ({"solver_failures": failures} if failures and len(names) > 1 else {}))


@dataclass(frozen=True)
class Run:
    """How every solver of a series is to be run.

    Attributes
    ----------
    accuracy : float
        Relative accuracy asked of them.
    options : dict
        The user's, over the defaults.
    deadline : Deadline
    verbose : bool
    """

    accuracy: float
    options: dict[str, Any]
    deadline: Deadline
    verbose: bool = False

    def once(self, problem: cp.Problem, name: str) -> dict[str, Any]:
        """Solve by one of them; what an answer that is called inaccurate proves is computed by the caller."""
        backend = BACKENDS[name]
        left = None if self.deadline.left is None else max(self.deadline.left, 1e-6)  # to SCS 0 is no limit
        options = backend.options(self.accuracy, left) | backend.unknown | self.options
        return run(problem, name, options, self.verbose)


def run(problem: cp.Problem, name: str, options: dict[str, Any], verbose: bool = False) -> dict[str, Any]:
    """Solve and return what is worth recording; the status is read by the caller.

    Raises
    ------
    UnboundedError, SolverError
        If there is no point to read. Infeasibility is left to the caller, who knows the repair.
    """
    backend = (INTEGER | BACKENDS)[name]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")  # the certificate tells
            problem.solve(solver=backend.interface or name, verbose=verbose, **options)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"solver_options does not suit {name}, which says: {error}") from error
    except cp.SolverError as error:
        raise SolverError(f"{name} failed ({error}): try another solver, or rescale the data.") from error
    if problem.status in (cp.UNBOUNDED, cp.UNBOUNDED_INACCURATE):
        raise UnboundedError(f"{name} reports an unbounded program: check the constraints that were added.")
    feasible = problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE, cp.USER_LIMIT)
    if not feasible and problem.status not in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
        raise SolverError(f"{name} stopped with status {problem.status!r}: allow more time or try another solver.")
    stats = problem.solver_stats
    return {
        "solver": name,
        "solver_version": importlib.metadata.version(backend.package),
        "solver_options": options,
        "solver_status": problem.status,
        "solver_seconds": stats.solve_time,
        "solver_iterations": stats.num_iters,
    }
