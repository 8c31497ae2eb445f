"""A semi-infinite program in the covariance S = W'W of a Gaussian law, against ReLU neurons.

Of the law N(m, S) a neuron u sees E max(y . u, 0), which increases in u'Su and is sqrt(u'Su / 2 pi) for m = 0. So for a
fixed mean ipm <= beta asks of every unit u that u'Su lie in an interval: linear in S. The method is Kelley's cutting
planes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan.arrangements import maximize_difference
from convexgan.arrangements.difference import MAX_CONES, Convex, Peak
from convexgan.conic.searches import Conic, OutOfTimeError
from convexgan.exceptions import SolverError
from convexgan.games.sample.gaussian_law import FAR, ROOT, Gaussian, Sample, variance_at
from convexgan.games.sample.responses import apart

Array = NDArray[np.float64]
ROUNDS = 60
TOL = 1e-9  # violation that counts as none, in units of the data
CUTS = 8  # added in one round from each side
SAME = 1e-7  # distance of cuts that count as one
FIRST = 10  # directions to begin with, for each dimension
CONES = 20_000  # of each search for cuts
PROVED = 1e-8  # excess over a level that counts as none where the bound is meant
TIGHTENINGS = 4
ASIDE = (0.4, 0.15, 0.05, 0.02)  # shares of the way from what violates to the data's covariance that are tried there
SAFETY = 1.1  # share of the excess by which the level is lowered
UNUSED = 1e-10  # share of the largest multiplier
NEAREST = 1e-2  # relative accuracy of the smallest feasible level


class OutOfReachError(Exception):
    """No law is within the level."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best covariance (p, p) at a level of ipm, and the multipliers of the cuts as outer weights (K,)."""

    level: float
    covariance: Array
    outer: Array
    finished: bool = True

    @property
    def price(self) -> float:
        """By how much the cost falls when the level rises."""
        return float(np.abs(self.outer).sum())


class Program:
    """The semi-infinite program of one sample and one mean, for covariances axes C axes'; cuts serve all levels.

    ``one_sided`` asks only that no neuron see too little of the generator: a convex relaxation even where the level is
    a variable.
    """

    def __init__(
        self,
        rows: Array,
        mean: Array,
        axes: Array,
        deadline: Deadline,
        progress: Report | None,
        conic: Conic,
        one_sided: bool = False,
    ) -> None:
        p, self.one_sided = rows.shape[1], one_sided
        self.sample, self.mean, self.axes = Sample(rows), mean, axes
        self.deadline, self.progress, self.conic = deadline, progress, conic
        self.zero = Optimum(0.0, np.zeros((p, p)), np.zeros(0))
        first = np.vstack([np.eye(p), np.random.default_rng(0).standard_normal((FIRST * p, p))])
        self.cuts = np.unique(np.round(first / np.linalg.norm(first, axis=1)[:, None], 12), axis=0)

    def best(self, beta: float | None, lam: float | None) -> Optimum:
        """The optimum under a constraint or at a price of ipm."""
        highest = self._highest()
        if lam == 0 or highest <= (beta or 0.0):
            return self.zero
        if beta is None:
            return self._priced(lam or 0.0, highest)
        optimum = self.at(beta)
        if optimum is None:
            raise OutOfReachError
        return optimum

    def witnesses(self, optimum: Optimum) -> tuple[Array, Array, Array]:
        """The cuts that hold the optimum, their outer weights, and the deviations that they see."""
        used = np.flatnonzero(optimum.outer)
        cuts = self.cuts[used]
        variances = np.einsum("kp,pq,kq->k", cuts, optimum.covariance, cuts)
        return cuts, optimum.outer[used], np.sqrt(np.maximum(variances, 0))

    def at(self, level: float) -> Optimum | None:
        """The optimum with ipm at most the level, None if there is none."""
        optimum: Optimum | None = self.zero
        try:
            for _ in range(ROUNDS):
                optimum = self._restricted(level)
                if optimum is None or self.deadline.over:
                    break
                fresh, (worst, _) = self._peaks(optimum.covariance, level)
                if self.progress is not None:
                    self.progress(float(np.trace(optimum.covariance)), worst - level, len(self.cuts))
                # at the end the program's own rounding repeats cuts
                fresh = [u for u in fresh if np.abs(self.cuts - u).max(axis=1).min() > SAME]
                if worst <= level + TOL or not fresh:
                    return optimum
                self.cuts = np.vstack([self.cuts, fresh])
        except OutOfTimeError:
            pass  # what is known is returned
        except KeyboardInterrupt:
            self.deadline.end()
        return None if optimum is None else replace(optimum, finished=False)

    def within(self, optimum: Optimum, level: float) -> Optimum:
        """The optimum if its ipm is proved to be within the level, else that of a lower one, unfinished if none is."""
        for _ in range(TIGHTENINGS):
            excess = self.proved(optimum) - level
            if excess <= PROVED:
                return optimum
            tighter = self.at(optimum.level - SAFETY * excess) if optimum.level > SAFETY * excess else None
            if tighter is None or not tighter.finished:
                break
            optimum = tighter
        return replace(optimum, finished=False)

    def moved(self, optimum: Optimum, level: float) -> Optimum:
        """A law that is proved to be within the level: the nearest that is on the way to the data's covariance.

        What a neuron sees of the law is concave in the covariance: whatever it sees too little of falls in proportion.
        If none is proved, the data's covariance is the answer, if nothing is known against that.
        """
        whole, goal = self.deadline, np.atleast_2d(np.cov(self.sample.rows.T, bias=True))
        self.deadline = whole.part(1 / (len(ASIDE) + 2))
        if self._within(goal, level)[0] > level:
            return replace(optimum, finished=False)
        self.deadline = whole.part(1 / (len(ASIDE) + 1))
        excess, best = max(self._within(optimum.covariance, level)[0] / level - 1, 0.0), goal
        for k, share in enumerate(ASIDE):
            self.deadline = whole.part(1 / (len(ASIDE) - k))
            law = optimum.covariance + min(share + excess, 1.0) * (goal - optimum.covariance)
            if not self._within(law, level)[1]:
                break
            best = law
        return replace(optimum, covariance=best, finished=False)

    def _within(self, covariance: Array, level: float) -> tuple[float, bool]:
        """What is found of a law's ipm, and whether it is proved to be within the level."""
        worst, bound = self._peaks(covariance, max_cones=MAX_CONES, enough=level)[1]
        return worst, bound <= level

    def _highest(self) -> float:
        """The level at which no generator is needed."""
        return self._peaks(self.zero.covariance)[1][1]

    def proved(self, optimum: Optimum) -> float:
        """The bound on the optimum's ipm."""
        return self._peaks(optimum.covariance, max_cones=MAX_CONES)[1][1]

    def _peaks(
        self, covariance: Array, level: float = np.inf, max_cones: int = CONES, enough: float = 0.0
    ) -> tuple[list[Array], tuple[float, float]]:
        """New cuts where the laws differ by more than the level; the largest difference found, and a bound on it.

        The bound need not be better than ``enough``.
        """
        values, vectors = np.linalg.eigh(covariance)
        law = Gaussian(np.sqrt(np.maximum(values, 0))[:, None] * vectors.T, self.mean)
        cuts: list[Array] = []
        worst, bound = 0.0, 0.0
        for f, g in ((self.sample, law), (law, self.sample))[: 1 if self.one_sided else 2]:
            peak = self._peak(f, g, max_cones, enough)
            worst, bound = max(worst, peak.value), max(bound, peak.upper_bound)
            over = peak.directions[peak.values > level + TOL / 2]
            cuts += list(over[apart(over, CUTS)])
        return cuts, (worst, bound)

    def _peak(self, f: Convex, g: Convex, max_cones: int, enough: float) -> Peak:
        """The maximum of f - g."""
        how: dict[str, Any] = {"max_cones": max_cones, "time_limit": self.deadline.half, "level": enough}
        try:
            return maximize_difference(f, g, len(self.mean), **how)
        except KeyboardInterrupt:
            self.deadline.end()
            return maximize_difference(f, g, len(self.mean), time_limit=0)

    def _restricted(self, level: float) -> Optimum | None:
        """The program with the cuts so far; the last round's multipliers are the outer weights."""
        import cvxpy as cp

        U, seen, mu = self.cuts, self.sample.values(self.cuts), self.cuts @ self.mean
        low, high = variance_at(seen - level, mu), variance_at(seen + level, mu)
        C = cp.Variable((self.axes.shape[1],) * 2, PSD=True)
        V = U @ self.axes
        variances = np.einsum("ki,kj->kij", V, V).reshape(len(V), -1) @ cp.vec(C, order="C")
        above, below = variances >= low, variances <= high
        problem = cp.Problem(cp.Minimize(cp.trace(C)), [above] if self.one_sided else [above, below])
        if self.conic.solve(problem, self.deadline) in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
            return None
        outer = above.dual_value * _variance_per_level(low, mu)
        if not self.one_sided:
            outer = outer - below.dual_value * _variance_per_level(high, mu)
        outer[np.abs(outer) < UNUSED * np.abs(outer).max(initial=0.0)] = 0.0
        return Optimum(level, self.axes @ C.value @ self.axes.T, outer)

    def _priced(self, lam: float, highest: float) -> Optimum:
        """The optimum of cost plus lam times the level: where the price of the level is lam."""
        from scipy.optimize import brentq  # here: `import convexgan` stays light

        tried = [replace(self.zero, level=highest)]
        excesses = {highest: -lam}  # a search that is cut short finds another price the next time

        def excess(level: float) -> float:
            if level not in excesses:
                excesses[level] = self._excess(level, lam, tried)
            return excesses[level]

        if excess(0.0) > 0:
            brentq(excess, 0.0, highest, xtol=1e-12 * highest, rtol=1e-13)
        return min(tried, key=lambda optimum: float(np.trace(optimum.covariance)) + lam * optimum.level)

    def _excess(self, level: float, lam: float, tried: list[Optimum]) -> float:
        """By how much the price at a level exceeds lam; the answer is added to those that were tried."""
        try:
            optimum = self.at(level)
        except SolverError:  # at the edge of feasibility
            optimum = None
        if optimum is None:
            return 9 * lam
        if optimum.finished or optimum.covariance.any():
            tried.append(optimum)
        return min(optimum.price, 10 * lam) - lam

    def least(self) -> float:
        """A level with an answer that is proved, little above the smallest."""
        low, high, optimum = 0.0, self._highest(), self.zero
        while high - low > NEAREST * high:
            middle = self.at((low + high) / 2)
            if middle is None:
                low = (low + high) / 2
            else:
                high, optimum = middle.level, middle
        return high + 2 * max(self.proved(optimum) - high, 0.0)


def _variance_per_level(variance: Array, mu: Array) -> Array:
    """The derivative of `variance_at` in its level: 2 s / phi(mu / s), 0 where the variance is."""
    s = np.sqrt(variance)
    t = np.clip(np.divide(mu, s, out=np.zeros_like(s), where=s > 0), -FAR, FAR)
    return np.asarray(2 * s * ROOT * np.exp(t**2 / 2))
