"""Which conic solvers there are, which is used and why, and their options; nothing here needs cvxpy."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from convexgan._tools.checks import check_choice

CLARABEL_LIMIT = 22  # columns; SCS takes half its time there, and a tenth at 40
CLARABEL_MOST = 40  # above, an interior-point step on two matrix inequalities takes minutes and gigabytes
ACCURACY = 1e-9


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


@dataclass(frozen=True)
class Backend:
    """A conic solver.

    Attributes
    ----------
    package : str
        What brings it, whose version is recorded.
    options : callable
        From a relative accuracy and seconds or None to options in the solver's own names.
    missing : callable
        Why it cannot be used, an empty string where it can.
    unknown : dict
        Options with which it hands over its last iterate where it gets no further.
    interface : object
        What cvxpy takes as ``solver``; by default the name. An instance of cvxpy's own base class of solvers for one
        that cvxpy does not know.
    """

    package: str
    options: Callable[[float, float | None], dict[str, Any]]
    missing: Callable[[], str] = lambda: ""
    unknown: dict[str, Any] = field(default_factory=dict)
    interface: Any = None


def _clarabel(accuracy: float, time_limit: float | None) -> dict[str, Any]:
    options = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), accuracy)
    return options | ({} if time_limit is None else {"time_limit": time_limit})


def _scs(accuracy: float, time_limit: float | None) -> dict[str, Any]:
    options: dict[str, Any] = {"eps_abs": accuracy, "eps_rel": accuracy, "max_iters": 50_000}
    return options | ({} if time_limit is None else {"time_limit_secs": time_limit})


def _mosek(accuracy: float, time_limit: float | None) -> dict[str, Any]:
    params: dict[str, Any] = {"MSK_DPAR_INTPNT_CO_TOL_REL_GAP": accuracy}
    return {"mosek_params": params | ({} if time_limit is None else {"MSK_DPAR_OPTIMIZER_MAX_TIME": time_limit})}


BACKENDS: dict[str, Backend] = {
    "CLARABEL": Backend("clarabel", _clarabel, unknown={"accept_unknown": True}),
    "SCS": Backend("scs", _scs),
    "MOSEK": Backend("mosek", _mosek, missing=lambda: mosek_licence()[1]),
}


def _scip(gap: float, time_limit: float | None) -> dict[str, Any]:
    params: dict[str, Any] = {"limits/gap": gap, "numerics/feastol": ACCURACY}
    return {"scip_params": params | ({} if time_limit is None else {"limits/time": time_limit})}


def _mosek_integer(gap: float, time_limit: float | None) -> dict[str, Any]:
    params = {"MSK_DPAR_MIO_TOL_REL_GAP": gap}
    return {"mosek_params": params | ({} if time_limit is None else {"MSK_DPAR_MIO_MAX_TIME": time_limit})}


INTEGER: dict[str, Backend] = {  # for programs with binary variables; accuracy is the gap between value and bound
    "SCIP": Backend("pyscipopt", _scip),
    "MOSEK": Backend("mosek", _mosek_integer),
}


def check_solver(solver: str) -> str:
    """The name in `BACKENDS`, in whatever case it was written."""
    return check_choice(str(solver).upper(), "solver", BACKENDS)


def choose_backend(dim: int, semidefinite: bool, solver: str | None) -> tuple[str, str]:
    """The solver's name and the reason for it; raises if the one asked for cannot run.

    Raises
    ------
    ValueError
        The solver is unknown, or cannot be used here; the error says why.
    """
    if solver is not None:
        name = check_solver(solver)
        if why_not := BACKENDS[name].missing():
            raise ValueError(f"solver {name!r} cannot be used: {why_not}. Use solver='CLARABEL' or 'SCS'.")
        return name, "as asked"
    licensed, why_not = mosek_licence()
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
    name = check_choice(str(solver or ("MOSEK" if licensed else "SCIP")).upper(), "solver", INTEGER)
    if name == "MOSEK" and not licensed:
        raise ValueError(f"solver 'MOSEK' cannot be used: {why_not}. Use solver='SCIP'.")
    if name == "SCIP" and importlib.util.find_spec("pyscipopt") is None:
        raise ModuleNotFoundError("SCIP is not installed: pip install 'convexgan[scip]'.", name="pyscipopt")
    return name
