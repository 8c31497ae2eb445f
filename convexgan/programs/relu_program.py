"""The best response of ReLU neurons as a mixed-integer second-order-cone program, to which constraints may be added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_number
from convexgan.arrangements.reduce import Arrangement, reduce_rows
from convexgan.conic import backends
from convexgan.conic.solvers import INTEGER, choose_integer_backend
from convexgan.discriminators import as_discriminator, pieces, signed_sample
from convexgan.discriminators.activation import KinkedActivation, is_kinked
from convexgan.exceptions import InfeasibleError, SolverError

Array = NDArray[np.float64]


def relu_program(rows: Any, weights: Any, sign: float = 1.0, direction: cp.Variable | None = None) -> cp.Problem:
    """max over |u| <= 1 of sign * sum_i weights_i max(rows_i . u, 0), as a mixed-integer second-order-cone program.

    Parallel rows are merged first. A row of positive weight is convex where the program maximises and needs a binary
    z: t <= z |row| and t <= row . u + (1 - z) |row|, the smallest constants that are right for |u| <= 1. A row of
    negative weight is concave there and is t >= 0, t >= row . u. Derived here.

    Parameters
    ----------
    rows, weights : (N, d) and (N,) arrays
        The weights of any sign.
    sign : +1 or -1
    direction : cvxpy.Variable of shape (d,), optional
        The variable to use for u; otherwise it is the problem's variable named "direction".
    """
    rows, weights = np.asarray(rows, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    u = cp.Variable(rows.shape[1], name="direction") if direction is None else direction
    scaled, unit = _scaled_program(rows, weights, sign, u)
    return cp.Problem(cp.Maximize(unit * scaled.objective.args[0]), scaled.constraints)


def _scaled_program(rows: Array, weights: Array, sign: float, u: cp.Variable) -> tuple[cp.Problem, float]:
    """The program in units in which no value exceeds 1, and the unit."""
    row_scale, weight_scale = float(np.abs(rows).max()) or 1.0, float(np.abs(weights).max()) or 1.0
    arrangement = reduce_rows(rows / row_scale, weights / weight_scale)
    arrangement = arrangement if sign > 0 else arrangement.negated()
    size = arrangement.bound() or 1.0
    total, constraints = _rectified_sum(arrangement, u)
    return cp.Problem(cp.Maximize(total / size), [cp.norm(u, 2) <= 1, *constraints]), size * row_scale * weight_scale


def _rectified_sum(arrangement: Arrangement, u: cp.Variable) -> tuple[Any, list[Any]]:
    """The arrangement's function at u where it is maximised, and the constraints that make it so.

    u stays in the coordinates of the data, where constraints on it mean what they say.
    """
    v = arrangement.basis.T @ u
    total, constraints = arrangement.linear @ v, []
    if len(arrangement.plus):
        lengths, units = _polar(arrangement.plus)
        t, z = cp.Variable(len(units)), cp.Variable(len(units), boolean=True)
        total, constraints = total + lengths @ t, [t <= z, t <= units @ v + 1 - z]
    if len(arrangement.minus):
        lengths, units = _polar(arrangement.minus)
        t = cp.Variable(len(units), nonneg=True)
        total, constraints = total - lengths @ t, [*constraints, t >= units @ v]
    return total, constraints


def _polar(rows: Array) -> tuple[Array, Array]:
    lengths = np.linalg.norm(rows, axis=1)
    return lengths, rows / lengths[:, None]


@dataclass(frozen=True, eq=False)
class ProgramOptimum:
    """What the solver found; the value is recomputed from the rows, that nothing is larger is the solver's word.

    Attributes
    ----------
    value : float
        sign * (mean s(Xu) - mean s(Yu)) at ``direction``.
    direction : (d,) or (d + 1,) array
        u with |u| <= 1, its last entry the bias under ``bias="penalized"``.
    sign : float
        +1 if real samples score higher.
    status : str
        "optimal", or "stopped" if the solver met a limit first.
    stats : dict
        The solver's records of both signs, at +1.0 and -1.0.
    """

    value: float
    direction: Array
    sign: float
    status: str
    stats: dict[float, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class IPMProgram:
    """ipm of ReLU neurons as two ``cvxpy.Problem``, one for each sign, in the same variable.

    Attributes
    ----------
    plus, minus : cvxpy.Problem
        Their values are the maxima of mean s(Xu) - mean s(Yu) and of its negative.
    direction : cvxpy.Variable
        u, (d,), or (d + 1,) with the bias last.
    """

    plus: cp.Problem
    minus: cp.Problem
    direction: cp.Variable
    _rows: Array = field(repr=False)
    _weights: Array = field(repr=False)
    _scaled: dict[float, cp.Problem] = field(repr=False)

    def solve(
        self,
        solver: str | None = None,
        *,
        constraints: Sequence[Any] = (),
        gap: float = 0.0,
        time_limit: float | None = None,
        solver_options: dict[str, Any] | None = None,
        verbose: bool = False,
    ) -> ProgramOptimum:
        """The larger of the two maxima, each solved scaled to the data's own size.

        Parameters
        ----------
        solver : "SCIP" or "MOSEK", optional
            MOSEK where a licence is found, otherwise SCIP.
        constraints : sequence of cvxpy constraints, optional
            On `direction`.
        gap : float
            Relative gap between the solver's value and bound at which it may stop.
        time_limit : float, optional
            Seconds for each sign.
        solver_options : dict, optional
            Passed to the solver over our defaults.
        verbose : bool
            Let the solver print its log.

        Raises
        ------
        ImportError
            If no solver is installed.
        InfeasibleError, SolverError
            If the added constraints leave no direction; if the solver stopped with none.
        """
        name = choose_integer_backend(solver)
        options = INTEGER[name].options(check_number(gap, "gap"), time_limit) | (solver_options or {})
        best, stats = (-np.inf, np.zeros(0), 1.0), {}
        for sign, scaled in self._scaled.items():
            problem = cp.Problem(scaled.objective, [*scaled.constraints, *constraints])
            stats[sign] = backends.run(problem, name, dict(options), verbose)
            u = self._found(problem, name)
            value = sign * float(self._weights @ np.maximum(self._rows @ u, 0))
            best = max(best, (value, u, sign), key=lambda found: found[0])
        status = "optimal" if all(s["solver_status"] == cp.OPTIMAL for s in stats.values()) else "stopped"
        return ProgramOptimum(*best, status, stats)

    def _found(self, problem: cp.Problem, name: str) -> Array:
        if problem.status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
            raise InfeasibleError("no direction with |u| <= 1 satisfies the added constraints: relax them.", np.inf)
        if self.direction.value is None:
            raise SolverError(f"{name} found no direction before it stopped: allow more time.")
        u = np.asarray(self.direction.value)
        return u / max(1.0, float(np.linalg.norm(u)))


def ipm_program(
    X: Any,
    Y: Any,
    discriminator: str | KinkedActivation = "relu",
    *,
    bias: str = "none",
    weights_x: Any = None,
    weights_y: Any = None,
) -> IPMProgram:
    """The discrepancy that `convexgan.ipm` computes for ReLU neurons, as programs that take further constraints.

    For the plain maximum `convexgan.ipm` is much faster, and it proves its bound.

    Parameters
    ----------
    X, Y : (n_r, d) and (n_f, d) arrays or torch tensors
    discriminator : "relu", "absolute" or an instance
    bias : "none" or "penalized"
        "penalized" appends 1 to every row.
    weights_x, weights_y : (n_r,) and (n_f,) arrays, optional
        Row weights instead of 1/n.

    Raises
    ------
    ValueError
        The neurons are not ReLU.

    Examples
    --------
    >>> import numpy as np
    >>> from convexgan.programs import ipm_program
    >>> program = ipm_program(np.array([[3.0, -4.0]]), np.zeros((1, 2)))
    >>> round(program.solve("SCIP", constraints=[program.direction >= 0]).value, 6)
    3.0
    """
    activation = as_discriminator(discriminator)
    if not is_kinked(activation):
        raise ValueError(f"ipm_program is for ReLU neurons, got {activation.name!r}: use convexgan.ipm.")
    check_choice(bias, "bias", ("none", "penalized"))
    rows, weights = signed_sample(X, Y, weights_x, weights_y)
    rows, weights = pieces(activation, np.column_stack([rows, np.ones(len(rows))]) if bias != "none" else rows, weights)
    u = cp.Variable(rows.shape[1], name="direction")
    plus, minus = (relu_program(rows, weights, sign, u) for sign in (1.0, -1.0))
    scaled = {sign: _scaled_program(rows, weights, sign, u)[0] for sign in (1.0, -1.0)}
    return IPMProgram(plus, minus, u, rows, weights, scaled)
