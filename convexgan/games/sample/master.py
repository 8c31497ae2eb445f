"""The program of a mixture against some neurons, which takes more of them in place; with a spread it is quadratic."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.conic.searches import Conic, OutOfTimeError
from convexgan.exceptions import SolverError
from convexgan.games.sample.game import SampleGame

Array = NDArray[np.float64]
TIGHT = (1e-10, 1e-8, 1e-7)  # HiGHS gives up now and then at its own limit
NEGLIGIBLE = 1e-10  # share of a weight that is an interior-point solver's distance from zero
Answer = tuple[Array, float, Array]  # weights (m,), the level of ipm as far as the neurons see it, multipliers (K,)


class Master(Protocol):
    """The program, and the record of what solves it."""

    @property
    def record(self) -> dict[str, Any]: ...

    def add(self, seen: Array, real: Array) -> None:
        """More neurons: what they see of the particles (k, m), and of the data on average (k,)."""

    def solve(self, deadline: Deadline) -> Answer | None:
        """The optimum; None where there is none, or none was found."""


def master_of(game: SampleGame, particles: Array) -> Master:
    """The program of a game, without neurons yet."""
    return _Quadratic(game, len(particles)) if game.spread else _Linear(game, particles)


class _Linear:
    """min costs . p + lam t over weights p, with |real - seen p| at most t, or beta: each solution starts the next."""

    def __init__(self, game: SampleGame, particles: Array) -> None:
        import highspy  # here: it takes longer to import than the package

        self._game, self._costs, self._size, self._unit = game, game.cost(particles), 0.0, 1.0
        self._highs, self._infinity = highspy.Highs(), highspy.kHighsInf  # type: ignore[no-untyped-call]
        self._optimal = highspy.HighsModelStatus.kOptimal
        self.record = {"solver": "HIGHS", "solver_version": self._highs.version(), "solver_options": {}}
        self._highs.setOptionValue("output_flag", False)
        m = len(particles)
        self._highs.addVars(m + 1, np.zeros(m + 1), np.full(m + 1, self._infinity))
        self._row(1.0, 1.0, np.append(np.ones(m), 0.0))

    def _row(self, low: float, high: float, entries: Array) -> None:
        self._highs.addRow(low, high, len(entries), np.arange(len(entries), dtype=np.int32), entries)

    def add(self, seen: Array, real: Array) -> None:
        game = self._game
        if not self._size:
            self._size = float(np.abs(real).max() + np.abs(seen).max()) or 1.0
            self._unit = max(float(self._costs.max()), (game.lam or 0.0) * self._size) or 1.0
            prices = np.append(self._costs / self._unit, (game.lam or 0.0) * self._size / self._unit)
            self._highs.changeColsCost(len(prices), np.arange(len(prices), dtype=np.int32), prices)
        room = (game.beta or 0.0) / self._size
        priced = 0.0 if game.lam is None else 1.0
        for row, mean in zip(seen / self._size, real / self._size, strict=True):
            self._row(mean - room, self._infinity, np.append(row, priced))
            self._row(-self._infinity, mean + room, np.append(row, -priced))

    def solve(self, deadline: Deadline) -> Answer | None:
        highs = self._highs
        for tight in TIGHT:
            for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
                highs.setOptionValue(name, tight)
            if deadline.left is not None:
                highs.setOptionValue("time_limit", highs.getRunTime() + deadline.left)
            highs.run()
            if highs.getModelStatus() == self._optimal:
                break
            highs.clearSolver()
        else:
            return None
        found = highs.getSolution()
        p, duals = np.maximum(found.col_value[:-1], 0.0), np.array(found.row_dual[1:]).reshape(-1, 2)
        return p / p.sum(), found.col_value[-1] * self._size, duals.sum(axis=1) * (self._unit / self._size)


class _Quadratic:
    """min spread |p|^2 over weights p, with |real - seen p| at most beta."""

    def __init__(self, game: SampleGame, count: int) -> None:
        self._game, self._seen, self._real = game, np.zeros((0, count)), np.zeros(0)
        self._conic = Conic()

    @property
    def record(self) -> dict[str, Any]:
        return self._conic.record

    def add(self, seen: Array, real: Array) -> None:
        self._seen, self._real = np.vstack([self._seen, seen]), np.append(self._real, real)

    def solve(self, deadline: Deadline) -> Answer | None:
        import cvxpy as cp  # here: it takes seconds to import

        m, beta = self._seen.shape[1], self._game.beta or 0.0
        size = float(np.abs(self._real).max(initial=0.0) + np.abs(self._seen).max(initial=0.0)) or 1.0
        p = cp.Variable(m, nonneg=True)
        miss = (self._real - self._seen @ p) / size
        above, below = miss <= beta / size, -miss <= beta / size
        problem = cp.Problem(cp.Minimize(m * cp.sum_squares(p)), [above, below, cp.sum(p) == 1])
        try:
            self._conic.solve(problem, deadline)
        except (OutOfTimeError, SolverError):
            return None
        if p.value is None:  # there is none within beta
            return None
        outer = (above.dual_value - below.dual_value) * (self._game.spread / (m * size))
        weights = np.where(p.value > NEGLIGIBLE * p.value.max(), p.value, 0.0)
        return weights / weights.sum(), beta, outer
