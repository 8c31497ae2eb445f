"""Conic programs inside searches: the most accurate answer Clarabel gives; what it proves is computed elsewhere."""

from __future__ import annotations

from typing import Any

from convexgan.exceptions import SolverError

ACCURACIES = (1e-12, 1e-10, 1e-7)  # Clarabel gives up now and then at its own limit


def solve_conic(problem: Any, time_limit: float | None = None) -> str:
    """Solve in place; the status, "user_limit" if the time was up.

    Raises
    ------
    SolverError
        If there is no answer at any accuracy.
    """
    from convexgan.programs.backends import default_options, run  # here: cvxpy takes seconds to import

    limit = None if time_limit is None else max(time_limit, 1e-3)
    for accuracy in ACCURACIES:
        try:
            return str(run(problem, "CLARABEL", default_options("CLARABEL", accuracy, limit))["solver_status"])
        except SolverError as error:
            failure = error
    raise failure
