"""Linear generators with Gaussian latents against ReLU neurons: a semi-infinite program in the covariance S = W'W.

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
from convexgan.arrangements import maximize_difference, row_space
from convexgan.arrangements.difference import MAX_CONES, Convex, Peak
from convexgan.conic.searches import Conic, OutOfTimeError
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.gaussian_law import FAR, ROOT, Gaussian, Sample, variance_at
from convexgan.games.sample.responses import apart

Array = NDArray[np.float64]
ROUNDS = 60
TOL = 1e-9  # violation that counts as none, in units of the data
CUTS = 8  # added in one round from each side
SAME = 1e-7  # distance of cuts that count as one
FIRST = 10  # directions to begin with, for each dimension
CONES = 20_000  # of each search for cuts
RANK = 1e-6  # relative eigenvalue of S that may be zero
PROVED = 1e-8  # the same of what is proved
TIGHTENINGS = 4
PROGRAMS = 0.6  # share of the time for programs and their cuts; the rest is for a law within the level
ASIDE = (0.4, 0.15, 0.05, 0.02)  # shares of the way from what violates to the data's covariance that are tried there
SAFETY = 1.1  # share of the excess by which the level is lowered
UNUSED = 1e-10  # share of the largest multiplier
PRICE = 1e3  # of what is missing of a level; data have size 1
STEADY = 1e-6  # relative progress that counts as none
STEPS = 100
NEAR = 1e-4  # as SAME, where the level is approached from inside
NEAREST = 1e-2  # relative accuracy of the smallest feasible level


class _OutOfReachError(Exception):
    """No law is within the level."""


@dataclass(frozen=True, eq=False)
class GaussianAnswer:
    """The law N(mean, factor'factor) and the discriminator that belongs to it.

    Attributes
    ----------
    factor : (r, d) array
    neurons, outer : (K, d) and (K,) arrays
    spreads : (K,) array
        The deviations sqrt(u_j'Su_j) of the optimal law, which make the discriminator's guarantee tight.
    stats : dict
    """

    factor: Array
    neurons: Array
    outer: Array
    spreads: Array
    stats: dict[str, Any]


def solve_gaussian(
    game: SampleGame,
    rank: int,
    mean: Array,
    *,
    deadline: Deadline | None = None,
    progress: Report | None = None,
    conic: Conic | None = None,
) -> GaussianAnswer:
    """The cheapest Gaussian law of the given mean (d,) that the neurons cannot tell from the data.

    Where the optimum has a higher rank than the latents, ``rank``, the law is the best one on the data's leading
    principal axes, or where these hold none within beta one that a local search finds; the discriminator is still that
    of the optimum. In four columns and more, where the search for the neuron that sees most ends with a bound that is
    not tight, the law is one of a level so much lower that the bound is within beta.

    Raises
    ------
    InfeasibleError
        If no Gaussian law of mean 0 comes within beta, of any rank; ``smallest_beta`` is one that works, in canonical
        units.
    SolverError
        If none was found, though none is excluded: of a rank below the optimum's, or of the data's mean.
    """
    basis = row_space(game.data, game.data.shape[1])
    size = float(np.sqrt(np.mean(np.sum(game.data**2, axis=1)))) or 1.0
    unit = game.penalty * size
    whole = deadline or Deadline()
    how = whole.part(PROGRAMS), progress, conic or Conic()
    rows = game.data @ basis / size
    budget = None if game.beta is None else game.beta / size, None if game.lam is None else game.lam / unit
    p = basis.shape[1]
    search = narrow = _Program(rows, mean @ basis / size, np.eye(p), *how)
    if rank < p:
        axes = np.linalg.svd(rows - search.mean, full_matrices=False)[2][:rank]
        narrow = _Program(rows, search.mean, axes.T, *how)
    try:
        found = search.best(*budget)
    except _OutOfReachError:
        raise _none_within(size * narrow.least(), bool(mean.any())) from None
    proof = search.witnesses(found)
    if game.lam is not None and (found.outer < 0).any():  # such neurons prove little: see `guaranteed`
        relaxed = _Program(rows, search.mean, search.axes, *how, one_sided=True)
        proof = relaxed.witnesses(relaxed.best(*budget))
    if rank < p:
        search, found = _of_rank(search, found, narrow, rank, budget, size)
    if budget[0] is not None:
        best, found = found, search.within(found, budget[0])
        if not found.finished and rank >= p:
            search.deadline = whole
            found = search.moved(best, budget[0])
    values, vectors = np.linalg.eigh(found.covariance)
    root = np.sqrt(np.maximum(values, 0))[::-1][:rank]
    factor = size * root[:, None] * (basis @ vectors[:, ::-1][:, :rank]).T
    status = "optimal" if found.finished and not whole.over else "stopped"
    neurons, outer, spreads = proof
    stats = how[2].record | {"cuts": len(search.cuts), "status": status}
    return GaussianAnswer(factor, neurons @ basis.T, unit * outer, size * spreads, stats)


def _of_rank(
    whole: _Program,
    found: _Optimum,
    narrow: _Program,
    rank: int,
    budget: tuple[float | None, float | None],
    size: float,
) -> tuple[_Program, _Optimum]:
    """The optimum if its rank is no higher, else the best one on the axes or of a local search, and its program."""
    values, vectors = np.linalg.eigh(found.covariance)
    values[:-rank] = 0
    cut = replace(found, covariance=(vectors * values) @ vectors.T)
    near = float(np.trace(found.covariance - cut.covariance)) <= RANK * values[-1]
    beta = budget[0]
    if near and (beta is None or whole.proved(cut) <= max(beta, whole.proved(found)) + PROVED):
        return whole, cut
    programs = [narrow, _LowRank(whole, rank, found.covariance)]
    for search in programs[::-1] if near else programs:
        try:
            return search, search.best(*budget)
        except _OutOfReachError:
            continue
    least = size * narrow.least()
    raise SolverError(
        f"no Gaussian law of rank {rank} within beta was found, though none is excluded: add latent dimensions, or use "
        f"beta >= {least!r}, which is known to work."
    )


def _none_within(least: float, fixed: bool) -> InfeasibleError | SolverError:
    """The error where no covariance is within beta: for a fixed mean that excludes no other mean."""
    if fixed:
        return SolverError(
            "no Gaussian law with the mean of the data is within beta, though none of another mean is excluded: use "
            f"beta >= {least!r}, which is known to work, or lam=."
        )
    return InfeasibleError(
        f"no Gaussian law of the generator's comes within beta: use beta >= {least!r}, which is known to work, or "
        "lam=, or Linear(bias=True) if the data are not centred.",
        smallest_beta=least,
    )


@dataclass(frozen=True, eq=False)
class _Optimum:
    """The best covariance (p, p) at a level of ipm, and the multipliers of the cuts as outer weights (K,)."""

    level: float
    covariance: Array
    outer: Array
    finished: bool = True

    @property
    def price(self) -> float:
        """By how much the cost falls when the level rises."""
        return float(np.abs(self.outer).sum())


class _Program:
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
        self.nothing = _Optimum(0.0, np.zeros((p, p)), np.zeros(0))
        first = np.vstack([np.eye(p), np.random.default_rng(0).standard_normal((FIRST * p, p))])
        self.cuts = np.unique(np.round(first / np.linalg.norm(first, axis=1)[:, None], 12), axis=0)

    def best(self, beta: float | None, lam: float | None) -> _Optimum:
        """The optimum under a constraint or at a price of ipm."""
        highest = self._highest()
        if lam == 0 or highest <= (beta or 0.0):
            return self.nothing
        if beta is None:
            return self._priced(lam or 0.0, highest)
        found = self.at(beta)
        if found is None:
            raise _OutOfReachError
        return found

    def witnesses(self, found: _Optimum) -> tuple[Array, Array, Array]:
        """The cuts that hold the optimum, their outer weights, and the deviations that they see."""
        used = np.flatnonzero(found.outer)
        cuts = self.cuts[used]
        variances = np.einsum("kp,pq,kq->k", cuts, found.covariance, cuts)
        return cuts, found.outer[used], np.sqrt(np.maximum(variances, 0))

    def at(self, level: float) -> _Optimum | None:
        """The optimum with ipm at most the level, None if there is none."""
        found: _Optimum | None = self.nothing
        try:
            for _ in range(ROUNDS):
                found = self._restricted(level)
                if found is None or self.deadline.over:
                    break
                fresh, (worst, _) = self._peaks(found.covariance, level)
                if self.progress is not None:
                    self.progress(float(np.trace(found.covariance)), worst - level, len(self.cuts))
                # at the end the program's own rounding repeats cuts
                fresh = [u for u in fresh if np.abs(self.cuts - u).max(axis=1).min() > SAME]
                if worst <= level + TOL or not fresh:
                    return found
                self.cuts = np.vstack([self.cuts, fresh])
        except OutOfTimeError:
            pass  # what is known is returned
        except KeyboardInterrupt:
            self.deadline.end()
        return None if found is None else replace(found, finished=False)

    def within(self, found: _Optimum, level: float) -> _Optimum:
        """The optimum if its ipm is proved to be within the level, else that of a lower one, unfinished if none is."""
        for _ in range(TIGHTENINGS):
            excess = self.proved(found) - level
            if excess <= PROVED:
                return found
            tighter = self.at(found.level - SAFETY * excess) if found.level > SAFETY * excess else None
            if tighter is None or not tighter.finished:
                break
            found = tighter
        return replace(found, finished=False)

    def moved(self, found: _Optimum, level: float) -> _Optimum:
        """A law that is proved to be within the level: the nearest that is on the way to the data's covariance.

        What a neuron sees of the law is concave in the covariance: whatever it sees too little of falls in proportion.
        If none is proved, the data's covariance is the answer, if nothing is known against that.
        """
        whole, goal = self.deadline, np.atleast_2d(np.cov(self.sample.rows.T, bias=True))
        self.deadline = whole.part(1 / (len(ASIDE) + 2))
        if self._within(goal, level)[0] > level:
            return replace(found, finished=False)
        self.deadline = whole.part(1 / (len(ASIDE) + 1))
        excess, best = max(self._within(found.covariance, level)[0] / level - 1, 0.0), goal
        for k, share in enumerate(ASIDE):
            self.deadline = whole.part(1 / (len(ASIDE) - k))
            law = found.covariance + min(share + excess, 1.0) * (goal - found.covariance)
            if not self._within(law, level)[1]:
                break
            best = law
        return replace(found, covariance=best, finished=False)

    def _within(self, covariance: Array, level: float) -> tuple[float, bool]:
        """What is found of a law's ipm, and whether it is proved to be within the level."""
        worst, bound = self._peaks(covariance, max_cones=MAX_CONES, enough=level)[1]
        return worst, bound <= level

    def _highest(self) -> float:
        """The level at which no generator is needed."""
        return self._peaks(self.nothing.covariance)[1][1]

    def proved(self, found: _Optimum) -> float:
        """The bound on the optimum's ipm."""
        return self._peaks(found.covariance, max_cones=MAX_CONES)[1][1]

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

    def _restricted(self, level: float) -> _Optimum | None:
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
        return _Optimum(level, self.axes @ C.value @ self.axes.T, outer)

    def _priced(self, lam: float, highest: float) -> _Optimum:
        """The optimum of cost plus lam times the level: where the price of the level is lam."""
        from scipy.optimize import brentq  # here: `import convexgan` stays light

        tried = [replace(self.nothing, level=highest)]

        known = {highest: -lam}  # a search that is cut short finds another price the next time

        def excess(level: float) -> float:
            if level not in known:
                known[level] = self._excess(level, lam, tried)
            return known[level]

        if excess(0.0) > 0:
            brentq(excess, 0.0, highest, xtol=1e-12 * highest, rtol=1e-13)
        return min(tried, key=lambda found: float(np.trace(found.covariance)) + lam * found.level)

    def _excess(self, level: float, lam: float, tried: list[_Optimum]) -> float:
        """By how much the price at a level exceeds lam; the answer is added to those that were tried."""
        try:
            found = self.at(level)
        except SolverError:  # at the edge of feasibility
            found = None
        if found is None:
            return 9 * lam
        if found.finished or found.covariance.any():
            tried.append(found)
        return min(found.price, 10 * lam) - lam

    def least(self) -> float:
        """A level with an answer that is proved, little above the smallest."""
        low, high, found = 0.0, self._highest(), self.nothing
        while high - low > NEAREST * high:
            middle = self.at((low + high) / 2)
            if middle is None:
                low = (low + high) / 2
            else:
                high, found = middle.level, middle
        return high + 2 * max(self.proved(found) - high, 0.0)


class _LowRank(_Program):
    """The same for covariances F'F of rank r: locally optimal ones, by the concave-convex procedure.

    That a neuron sees not too much of the generator is convex in F; that it sees not too little is asked of the
    linearisation |F0 u|^2 + 2 F0 u . (F - F0) u <= |F u|^2. What is missing is paid for; as little of a variance is
    much of a deviation near 0, the search then aims lower.
    Source: Yuille and Rangarajan, The concave-convex procedure, 2003.
    """

    def __init__(self, whole: _Program, rank: int, covariance: Array) -> None:
        super().__init__(whole.sample.rows, whole.mean, whole.axes, whole.deadline, whole.progress, whole.conic)
        roots = [np.linalg.eigh(C) for C in (covariance, self.sample.metric)]
        self.starts = [(np.sqrt(np.maximum(values, 0)) * U)[:, ::-1][:, :rank].T for values, U in roots]

    def at(self, level: float) -> _Optimum | None:
        """The cheaper local optimum of two starts, None if neither search ends within the level."""
        found: list[_Optimum] = []
        try:
            found = [end for start in self.starts if (end := self._descend(start, level)) is not None]
        except KeyboardInterrupt:
            self.deadline.end()
        if not found and self.deadline.over:
            return _Optimum(level, self.starts[0].T @ self.starts[0], np.zeros(0), finished=False)
        return min(found, key=lambda end: float(np.trace(end.covariance)), default=None)

    def _descend(self, factor: Array, level: float) -> _Optimum | None:
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
                    return _Optimum(level, covariance, np.zeros(0))
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


def _variance_per_level(variance: Array, mu: Array) -> Array:
    """The derivative of `variance_at` in its level: 2 s / phi(mu / s), 0 where the variance is."""
    s = np.sqrt(variance)
    t = np.clip(np.divide(mu, s, out=np.zeros_like(s), where=s > 0), -FAR, FAR)
    return np.asarray(2 * s * ROOT * np.exp(t**2 / 2))
