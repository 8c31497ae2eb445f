"""Conic programs inside searches: the most accurate answer a solver gives; what it proves is computed elsewhere."""

from __future__ import annotations

from typing import Any

from convexgan.exceptions import SolverError

# Clarabel gives up now and then at its own limit
TRIES = (("CLARABEL", 1e-12), ("CLARABEL", 1e-10), ("CLARABEL", 1e-7), ("SCS", 1e-7))


def solve_conic(problem: Any, time_limit: float | None = None) -> str:
    """Solve in place; the status, "user_limit" if the time was up.

    Raises
    ------
    SolverError
        If neither Clarabel nor SCS has an answer at any accuracy.
    """
    from convexgan.programs.backends import default_options, run  # here: cvxpy takes seconds to import

    limit = None if time_limit is None else max(time_limit, 1e-3)
    for name, accuracy in TRIES:
        try:
            return str(run(problem, name, default_options(name, accuracy, limit))["solver_status"])
        except SolverError as error:
            failure = error
    raise failure
