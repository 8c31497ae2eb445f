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
TIGHT = (1e-10, 1e-10, 1e-8, 1e-7)  # HiGHS gives up now and then at its own limit
PIVOTS = 4  # for each row and column, after which the last solution is no good start: degenerate ones make it cycle
MOST = 2**31 - 1  # HiGHS has no other number of pivots
PATIENCE = 3  # solutions for which a slack row stays, of which each rose by
RISE = 1e-9  # of its value: among many of one value those without a row are all tried
ROUNDED = 1e-12  # share of a multiplier that is a solver's 0
NEGLIGIBLE = 1e-10  # share of a weight that is an interior-point solver's distance from zero
Answer = tuple[Array, float, Array]  # weights (m,), the level of ipm as far as the neurons see it, multipliers (K,)


class Master(Protocol):
    """What solves the program, and its record."""

    @property
    def record(self) -> dict[str, Any]: ...

    def solve(self, seen: Array, real: Array, deadline: Deadline) -> Answer | None:
        """The optimum against the neurons of the call before and more; None where there is none, or none was found.

        Parameters
        ----------
        seen : (K, m) array
            What they see of the particles.
        real : (K,) array
            What they see of the data on average.
        """


def master_of(game: SampleGame, particles: Array) -> Master:
    """The program of a game."""
    return _Quadratic(game) if game.spread else _Linear(game, particles)


class _Linear:
    """min costs . p + lam t over weights p, with |real - seen p| at most t, or beta: each solution starts the next.

    A neuron has two rows. Those that solutions violate come into the program, those that were slack for some go.
    """

    def __init__(self, game: SampleGame, particles: Array) -> None:
        import highspy  # here: it takes longer to import than the package

        self._game, self._costs, self._size, self._unit = game, game.cost(particles), 0.0, 1.0
        self._highs, self._infinity = highspy.Highs(), highspy.kHighsInf  # type: ignore[no-untyped-call]
        self._optimal = highspy.HighsModelStatus.kOptimal
        self.record = {"solver": "HIGHS", "solver_version": self._highs.version(), "solver_options": {}}
        self._highs.setOptionValue("output_flag", False)
        m = len(particles)
        self._highs.addVars(m + 1, np.zeros(m + 1), np.full(m + 1, self._infinity))
        self._add(np.append(np.ones(m), 0.0)[None, :], np.ones(1), 1.0)
        self._p, self._level, self._value = np.zeros(m), -np.inf, -np.inf
        # of each row but the first: its neuron and side, its multiplier, and for how many rises it has been slack
        self._neurons, self._sides = np.zeros(0, np.intp), np.zeros(0)
        self._multipliers, self._idle = np.zeros(0), np.zeros(0, np.intp)

    def solve(self, seen: Array, real: Array, deadline: Deadline) -> Answer | None:
        if not self._size:
            self._scale(seen, real)
        self._drop()
        while self._cut(seen, real):
            if not self._run(deadline):
                return None
        value = self._highs.getInfo().objective_function_value
        risen, self._value = value > self._value + RISE * abs(value), value
        self._idle = np.where(self._multipliers == 0, self._idle + risen, 0)
        outer = np.bincount(self._neurons, self._sides * self._multipliers, len(real)) * (self._unit / self._size)
        outer[np.abs(outer) <= ROUNDED * np.abs(outer).max(initial=0.0)] = 0.0
        return self._p, self._level, np.asarray(outer)

    def _scale(self, seen: Array, real: Array) -> None:
        """Numbers of about 1, and the costs in their units."""
        price = self._game.lam or 0.0
        self._size = float(np.abs(real).max() + np.abs(seen).max()) or 1.0
        self._unit = max(float(self._costs.max()), price * self._size) or 1.0
        prices = np.append(self._costs, price * self._size) / self._unit
        self._highs.changeColsCost(len(prices), np.arange(len(prices), dtype=np.int32), prices)

    def _add(self, rows: Array, low: Array, high: float) -> None:
        count, width = rows.shape
        starts, columns = np.arange(0, rows.size, width), np.tile(np.arange(width), count)
        ends = low, np.full(count, high)
        self._highs.addRows(count, *ends, rows.size, starts.astype(np.int32), columns.astype(np.int32), rows.ravel())

    def _drop(self) -> None:
        """Rows that have been slack for long leave the program; its solution stays one."""
        old = self._idle >= PATIENCE
        self._highs.deleteRows(int(old.sum()), 1 + np.flatnonzero(old).astype(np.int32))
        self._neurons, self._sides = self._neurons[~old], self._sides[~old]
        self._multipliers, self._idle = self._multipliers[~old], self._idle[~old]

    def _cut(self, seen: Array, real: Array) -> bool:
        """Rows that the solution violates come into the program; False if there are none."""
        priced, room = (0.0, self._game.beta) if self._game.beta is not None else (1.0, 0.0)
        miss = (real - seen @ self._p) / self._size
        violated = np.stack([miss, -miss]) > (self._level + room) / self._size + TIGHT[0]
        violated[(1 - self._sides.astype(np.intp)) // 2, self._neurons] = False
        turned, neurons = np.nonzero(violated)
        if not len(neurons):
            return False
        sides = 1.0 - 2.0 * turned
        rows = np.column_stack([sides[:, None] * seen[neurons] / self._size, np.full(len(sides), priced)])
        self._add(rows, (sides * real[neurons] - room) / self._size, self._infinity)
        self._neurons, self._sides = np.append(self._neurons, neurons), np.append(self._sides, sides)
        self._idle = np.append(self._idle, np.zeros(len(sides), np.intp))
        return True

    def _run(self, deadline: Deadline) -> bool:
        """The optimum of the program as it is."""
        highs = self._highs
        pivots = PIVOTS * (highs.getNumRow() + highs.getNumCol())
        for tight, limit in zip(TIGHT, (pivots, *[MOST] * (len(TIGHT) - 1)), strict=True):
            for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
                highs.setOptionValue(name, tight)
            highs.setOptionValue("simplex_iteration_limit", limit)
            if deadline.left is not None:
                highs.setOptionValue("time_limit", highs.getRunTime() + deadline.left)
            highs.run()
            if highs.getModelStatus() == self._optimal:
                break
            highs.clearSolver()
        else:
            return False
        found = highs.getSolution()
        p = np.maximum(found.col_value[:-1], 0.0)
        self._p, self._level = p / p.sum(), found.col_value[-1] * self._size
        self._multipliers = np.array(found.row_dual[1:])
        return True


class _Quadratic:
    """min spread |p|^2 over weights p, with |real - seen p| at most beta."""

    def __init__(self, game: SampleGame) -> None:
        self._game, self._conic = game, Conic()

    @property
    def record(self) -> dict[str, Any]:
        return self._conic.record

    def solve(self, seen: Array, real: Array, deadline: Deadline) -> Answer | None:
        import cvxpy as cp  # here: it takes seconds to import

        m, beta = seen.shape[1], self._game.beta or 0.0
        size = float(np.abs(real).max(initial=0.0) + np.abs(seen).max(initial=0.0)) or 1.0
        p = cp.Variable(m, nonneg=True)
        miss = (real - seen @ p) / size
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
