"""Conic solvers: which is used and why, its options, and its statuses as the package's errors."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cvxpy as cp

from convexgan._tools.checks import check_choice
from convexgan._tools.deadline import Deadline
from convexgan.conic import SOLVERS
from convexgan.exceptions import SolverError, UnboundedError

CLARABEL_LIMIT = 22  # columns; SCS takes half its time there, and a tenth at 40
CLARABEL_MOST = 40  # above, an interior-point step on two matrix inequalities takes minutes and gigabytes
PACKAGES = {name: name.lower() for name in SOLVERS} | {"SCIP": "pyscipopt"}
ACCURACY = 1e-9
ACCURATE = 1e-7  # relative gap and violation from which on a second solver could not do much better


@cache
def mosek_licence() -> tuple[bool, str]:
    """Whether MOSEK can be used, and the reason if it cannot."""
    if importlib.util.find_spec("mosek") is None:
        return False, "the package mosek is not installed: pip install 'convexgan[mosek]'"
    import mosek

    try:
        with mosek.Env() as env:
            env.checkoutlicense(mosek.feature.pton)
    except mosek.Error as error:
        return False, f"no licence was found ({str(error).splitlines()[0]})"
    return True, ""


def choose_backend(dim: int, semidefinite: bool, solver: str | None) -> tuple[str, str]:
    """The solver's name and the reason for it; raises if the one asked for cannot run."""
    licensed, why_not = mosek_licence()
    if solver is not None:
        name = check_choice(str(solver).upper(), "solver", SOLVERS)
        if name == "MOSEK" and not licensed:
            raise ValueError(f"solver 'MOSEK' cannot be used: {why_not}. Use solver='CLARABEL' or 'SCS'.")
        return name, "as asked"
    if licensed:
        return "MOSEK", "a licence was found"
    if semidefinite and dim > CLARABEL_LIMIT:
        return "SCS", f"first-order, for {dim} > {CLARABEL_LIMIT} columns; MOSEK is not used: {why_not}"
    return "CLARABEL", f"interior point; MOSEK is not used: {why_not}"


def in_turn(name: str, dim: int, solver: str | None) -> list[str]:
    """The solvers to try: one that was asked for alone, or the chosen one and then those that need no licence."""
    free = ("CLARABEL", "SCS") if dim <= CLARABEL_MOST else ("SCS",)
    return [name] if solver is not None else [name, *(other for other in free if other != name)]


def choose_integer_backend(solver: str | None) -> str:
    """The solver's name for programs with binary variables: MOSEK where a licence is found, otherwise SCIP."""
    licensed, why_not = mosek_licence()
    name = check_choice(str(solver or ("MOSEK" if licensed else "SCIP")).upper(), "solver", ("SCIP", "MOSEK"))
    if name == "MOSEK" and not licensed:
        raise ValueError(f"solver 'MOSEK' cannot be used: {why_not}. Use solver='SCIP'.")
    if name == "SCIP" and importlib.util.find_spec("pyscipopt") is None:
        raise ModuleNotFoundError("SCIP is not installed: pip install 'convexgan[scip]'.", name="pyscipopt")
    return name


def integer_options(name: str, gap: float, time_limit: float | None) -> dict[str, Any]:
    """Solver options for a relative gap between value and bound, in the solver's own names."""
    if name == "SCIP":
        params: dict[str, Any] = {"limits/gap": gap, "numerics/feastol": ACCURACY}
        return {"scip_params": params | ({} if time_limit is None else {"limits/time": time_limit})}
    params = {"MSK_DPAR_MIO_TOL_REL_GAP": gap}
    return {"mosek_params": params | ({} if time_limit is None else {"MSK_DPAR_MIO_MAX_TIME": time_limit})}


def default_options(name: str, accuracy: float, time_limit: float | None) -> dict[str, Any]:
    """Solver options for a relative accuracy, in the solver's own names."""
    if name == "SCS":
        options: dict[str, Any] = {"eps_abs": accuracy, "eps_rel": accuracy, "max_iters": 50_000}
        return options | ({} if time_limit is None else {"time_limit_secs": time_limit})
    if name == "CLARABEL":
        options = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), accuracy)
        return options | ({} if time_limit is None else {"time_limit": time_limit})
    params: dict[str, Any] = {"MSK_DPAR_INTPNT_CO_TOL_REL_GAP": accuracy}
    if time_limit is not None:
        params["MSK_DPAR_OPTIMIZER_MAX_TIME"] = time_limit
    return {"mosek_params": params}


@dataclass(frozen=True)
class Answer:
    """What a solver found.

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
        last = {"accept_unknown": True} if name == "CLARABEL" else {}  # its last iterate, where it gets no further
        left = None if self.deadline.left is None else max(self.deadline.left, 1e-6)  # to SCS 0 is no limit
        options = default_options(name, self.accuracy, left) | last | self.options
        return run(problem, name, options, self.verbose)


def run(problem: cp.Problem, name: str, options: dict[str, Any], verbose: bool = False) -> dict[str, Any]:
    """Solve and return what is worth recording; the status is read by the caller.

    Raises
    ------
    UnboundedError, SolverError
        If there is no point to read. Infeasibility is left to the caller, who knows the repair.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")  # the certificate tells
            problem.solve(solver=name, verbose=verbose, **options)
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
        "solver_version": importlib.metadata.version(PACKAGES[name]),
        "solver_options": options,
        "solver_status": problem.status,
        "solver_seconds": stats.solve_time,
        "solver_iterations": stats.num_iters,
    }
