"""Gaussian laws of covariance F'F and a given rank against ReLU neurons, by the concave-convex procedure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan.conic.searches import OutOfTimeError
from convexgan.exceptions import SolverError
from convexgan.games.sample.gaussian_law import variance_at
from convexgan.games.sample.semi_infinite import SAFETY, TOL, Optimum, Program

Array = NDArray[np.float64]
PRICE = 1e3  # of what is missing of a level; data have size 1
STEADY = 1e-6  # relative progress that counts as none
STEPS = 100
NEAR = 1e-4  # distance of cuts that count as one, where the level is approached from inside


class LowRankProgram(Program):
    """The program for covariances F'F of rank r: locally optimal ones, by the concave-convex procedure.

    That a neuron sees not too much of the generator is convex in F; that it sees not too little is asked of the
    linearisation |F0 u|^2 + 2 F0 u . (F - F0) u <= |F u|^2. What is missing is paid for; as little of a variance is
    much of a deviation near 0, the search then aims lower.
    Source: Yuille and Rangarajan, The concave-convex procedure, 2003.
    """

    def __init__(self, whole: Program, rank: int, covariance: Array) -> None:
        super().__init__(whole.sample.rows, whole.mean, whole.axes, whole.deadline, whole.progress, whole.conic)
        roots = [np.linalg.eigh(C) for C in (covariance, self.sample.metric)]
        self.starts = [(np.sqrt(np.maximum(values, 0)) * U)[:, ::-1][:, :rank].T for values, U in roots]

    def at(self, level: float) -> Optimum | None:
        """The cheaper local optimum of two starts, None if neither search ends within the level."""
        found: list[Optimum] = []
        try:
            found = [end for start in self.starts if (end := self._descend(start, level)) is not None]
        except KeyboardInterrupt:
            self.deadline.end()
        if not found and self.deadline.over:
            return Optimum(level, self.starts[0].T @ self.starts[0], np.zeros(0), finished=False)
        return min(found, key=lambda end: float(np.trace(end.covariance)), default=None)

    def _descend(self, factor: Array, level: float) -> Optimum | None:
        aim, last = level, np.inf
        for _ in range(STEPS):
            if self.deadline.over or aim <= 0:
                break
            try:
                factor, total = self._step(factor, aim)
            except (SolverError, OutOfTimeError):
                break
            covariance = factor.T @ factor
            fresh, (worst, _) = self._peaks(covariance, aim)
            fresh = [u for u in fresh if np.abs(self.cuts - u).max(axis=1).min() > NEAR]
            if fresh:
                self.cuts, last = np.vstack([self.cuts, fresh]), np.inf
            elif total > last * (1 - STEADY):
                if worst <= level + TOL:
                    return Optimum(level, covariance, np.zeros(0))
                aim, last = aim - SAFETY * (worst - level), np.inf
            else:
                last = total
        return None

    def _step(self, base: Array, level: float) -> tuple[Array, float]:
        """The next factor, and its cost with what is missing."""
        import cvxpy as cp

        U, seen, mu = self.cuts, self.sample.values(self.cuts), self.cuts @ self.mean
        low, high = variance_at(seen - level, mu), variance_at(seen + level, mu)
        F, missing, known = cp.Variable(base.shape), cp.Variable(nonneg=True), U @ base.T
        below = 2 * cp.sum(cp.multiply(known, U @ F.T), axis=1) - np.sum(known**2, axis=1)
        constraints = [below + missing >= low, cp.norm(U @ F.T, 2, axis=1) <= np.sqrt(high) + missing]
        problem = cp.Problem(cp.Minimize(cp.sum_squares(F) + PRICE * missing), constraints)
        self.conic.solve(problem, self.deadline)
        return np.asarray(F.value), float(problem.value)
