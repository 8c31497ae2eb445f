"""A program again, about an inaccurate answer: the same point in variables and inequalities of that answer's own size.

A solver is accurate relative to the size of a program's entries, so what is small beside them it finds badly: the cost
of a generator that does nearly nothing, multipliers of inequalities that only just bind. About x0, with x = x0 + h y, a
matrix inequality E(x) >= 0 is congruent to T'E(x)T >= 0 with T = V (max(mu, 0) + h)^{-1/2} from E(x0) = V mu V': every
entry is of order 1 again, and so is y. The multiplier of E is h T M T' for M that of the new inequality.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from convexgan.conic.backends import ACCURATE, Run
from convexgan.conic.solvers import CLARABEL_MOST
from convexgan.exceptions import SolverError, UnboundedError

Array = NDArray[np.float64]
STEPS = (1e-3, 1e-5, 1e-7)


def refine(problem: cp.Problem, name: str, run: Run, doubt: Callable[[], float]) -> tuple[float, int]:
    """The doubt that is left of a solved program's answer after refining it in place, and how often that was done.

    Parameters
    ----------
    problem : cvxpy.Problem
        Solved, of affine expressions: matrix inequalities, equations, nonnegative variables.
    name, run : str and Run
        The solver.
    doubt : callable
        How far the present values are from proved, relative; what does not lower it is taken back.
    """
    best, done = doubt(), 0
    large = any(constraint.size > (CLARABEL_MOST + 2) ** 2 for constraint in problem.constraints)
    for step in () if large or problem.status == cp.USER_LIMIT else STEPS:
        if best <= ACCURATE or run.deadline.over:
            break
        held = [(v, v.value) for v in problem.variables()]
        held += [(dual, dual.value) for constraint in problem.constraints for dual in constraint.dual_variables]
        refinement = Refinement(problem, step)
        try:
            run.once(refinement.problem, name)
            found = refinement.problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
        except (SolverError, UnboundedError):
            found = False
        if not found:
            continue
        refinement.accept()
        now = doubt()
        if now < best:
            best, done = now, done + 1
        else:
            for variable, value in held:
                variable.save_value(value)
    return best, done


class Refinement:
    """A program of affine expressions about the present values of its variables.

    Attributes
    ----------
    problem : cvxpy.Problem
        In the changes y.
    """

    def __init__(self, problem: cp.Problem, step: float) -> None:
        self._step = step
        self._starts = {v.id: (v, np.asarray(v.value, dtype=np.float64)) for v in problem.variables()}
        self._changes = {v.id: cp.Variable(v.shape, symmetric=_is_symmetric(v)) for v in problem.variables()}
        self._frames: list[tuple[Any, Any, Any]] = []
        constraints = [self._about(constraint) for constraint in problem.constraints]
        for v, start in self._starts.values():
            if v.is_nonneg():
                size = np.maximum(start, 0.0) + step
                constraints.append(start / size + cp.multiply(step / size, self._changes[v.id]) >= 0)
        self.problem = cp.Problem(cp.Minimize(cp.sum(self._change(problem.objective.args[0], np.eye(1)))), constraints)

    def _about(self, constraint: Any) -> Any:
        """The constraint in the changes, balanced."""
        if isinstance(constraint, cp.constraints.PSD):
            matrix = np.asarray(constraint.args[0].value)
            values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
            frame = vectors / np.sqrt(np.maximum(values, 0.0) + self._step)
            change = self._change(constraint.args[0], frame)
            made = np.asarray(frame.T @ matrix @ frame) + self._step * cp.reshape(change, matrix.shape, order="F") >> 0
        else:
            frame = np.eye(constraint.expr.size)
            made = cp.vec(constraint.expr.value, order="F") / self._step + self._change(constraint.expr, frame) == 0
        self._frames.append((constraint, made, frame))
        return made

    def _change(self, expression: Any, frame: Array) -> Any:
        """The expression's linear part in the changes, (size,); of a matrix E that of T'ET."""
        total: Any = 0
        for variable, slope in expression.grad.items():
            matrix = np.asarray(slope.todense() if hasattr(slope, "todense") else np.reshape(slope, (-1, 1)))
            if expression.ndim == 2 and expression.size > 1:
                n = len(frame)
                turned = frame.T @ matrix.reshape(-1, n, n) @ frame  # symmetric: either order of entries
                matrix = turned.reshape(len(matrix), n * n)
            total = total + matrix.T @ cp.vec(self._changes[variable.id], order="F")
        return total

    def accept(self) -> None:
        """Give the program's variables and multipliers the values found."""
        for key, (variable, start) in self._starts.items():
            variable.save_value(start + self._step * np.asarray(self._changes[key].value))
        for constraint, made, frame in self._frames:
            dual = np.asarray(made.dual_value)
            if isinstance(constraint, cp.constraints.PSD):
                dual = self._step * frame @ dual @ frame.T
            constraint.save_dual_value(dual)


def _is_symmetric(variable: Any) -> bool:
    return bool(variable.ndim == 2 and variable.is_symmetric())
