"""Conic programs inside searches: the most accurate answer a solver gives; what it proves is computed elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from convexgan._tools.deadline import Deadline
from convexgan.conic.solvers import BACKENDS, choose_backend
from convexgan.exceptions import SolverError

# Clarabel gives up now and then at its own limit
TRIES = (("CLARABEL", 1e-12), ("CLARABEL", 1e-10), ("CLARABEL", 1e-7), ("SCS", 1e-7))
NAMED = (1e-12, 1e-10, 1e-7)  # accuracies that are asked of a solver that was named


class OutOfTimeError(Exception):
    """A program was cut short: what was known before is all there is."""


@dataclass(eq=False)
class Conic:
    """The solver of a search's programs, its options and its record.

    Attributes
    ----------
    solver : str, optional
        By default Clarabel and, where it has no answer at any accuracy, SCS.
    solver_options : dict, optional
        Over the defaults.
    record : dict
        "solver", "solver_version" and "solver_options" of the last program, empty before there was one.
    """

    solver: str | None = None
    solver_options: dict[str, Any] | None = None
    record: dict[str, Any] = field(default_factory=dict, init=False)

    def solve(self, problem: Any, deadline: Deadline, accuracy: float = 0.0) -> str:
        """Solve in place, where that is all that is needed to no more than an accuracy; the status.

        Raises
        ------
        OutOfTimeError
            If a limit ended it.
        SolverError
            If there is no answer at any accuracy.
        """
        from convexgan.conic.backends import run  # here: cvxpy takes seconds

        named = None if self.solver is None else choose_backend(1, True, self.solver)[0]
        tries = TRIES if named is None else [(named, tight) for tight in NAMED]
        for name, tight in dict.fromkeys((name, max(tight, accuracy)) for name, tight in tries):
            if deadline.over:
                raise OutOfTimeError
            options = BACKENDS[name].options(tight, deadline.left) | (self.solver_options or {})
            try:
                stats = run(problem, name, options)
            except SolverError as error:
                failure = error
                continue
            self.record = {key: stats[key] for key in ("solver", "solver_version", "solver_options")}
            if stats["solver_status"] == "user_limit":
                raise OutOfTimeError
            return str(stats["solver_status"])
        raise failure
