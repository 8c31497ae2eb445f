"""A law of any points against a ReLU discriminator: neurons and points are added where the other player gains most."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan.conic.searches import Conic, OutOfTimeError
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.games.sample.cutting_planes import solve_mixture
from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.responses import (
    cheapest,
    critic_of,
    discriminator_response,
    generator_response,
    rising_neurons,
    signed_law,
)

Array = NDArray[np.float64]
ROUNDS = 60
NEURONS = 40  # at most, added in one round
POINTS = 30
STARTS = 30  # random directions from which neurons ascend, besides those in use
PATIENCE = 3  # rounds for which an unused neuron or point is kept
SLACK = 1e-7  # relative violation that counts as none
NEAR = 0.01  # of the distance to a rival
BEFORE = 0.25  # share of the time for a law on given particles, from which the search starts:
PARTICLES = 2000  # at most, multiples of the data by at most
MULTIPLES = 9  # numbers from 0 to 1,
ROUGH = 1e-4  # to a violation of that share of what a point at 0 is seen by
NEEDED = 1e-4  # accuracy of programs, a share of the gap,
FINE = 0.0  # and in the end, or where a round has changed nothing, as accurate as they get
CLOSED = 1e-7  # share of the value that is no gap
UNUSED = 1e-8  # weight, or share of the largest multiplier


@dataclass(frozen=True, eq=False)
class _Equilibrium:
    """Both players when only some neurons and cells are allowed.

    Attributes
    ----------
    points, weights : (m, d) and (m,) arrays
        The law.
    outer : (K,) array
    level : float
        The ipm as far as the neurons see it; beta under a constraint.
    """

    points: Array
    weights: Array
    outer: Array
    level: float


def solve_continuous(
    game: SampleGame,
    *,
    gap: float = 1e-6,
    rival: float | None = None,
    deadline: Deadline | None = None,
    progress: Report | None = None,
    conic: Conic | None = None,
) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
    """The mixed equilibrium when generated points may lie anywhere: the law, and the discriminator that proves it.

    Neurons cut R^d into cells, on each of which they are linear; so the best law has one point in a cell, and in mass
    and mass times point the game on given cells is a convex conic program. Its answer is checked by both players'
    exact best responses: the neuron that sees most, and the cheapest point of R^d under the multipliers. Both are
    added, with local maxima beside them. The law of the data is always allowed, so that every beta is feasible.
    Source: McMahan, Gordon and Blum, Planning in the presence of cost functions controlled by an adversary, 2003.

    Parameters
    ----------
    gap : float
        Relative gap between the law's value and what the discriminator guarantees at which to stop.
    rival : float, optional
        The value of somebody's generator for which a bound is wanted: it need come no nearer to the optimum than a
        hundredth of its distance to the rival.
    deadline : Deadline, optional

    Returns
    -------
    points, weights : (m, d) and (m,) arrays
        A feasible law.
    neurons, outer : (K, d or d + 1) and (K,) arrays
    stats : dict
        "rounds", "status": "stopped" after a limit or Ctrl-C.
    """
    search = _DoubleOracle(game, deadline or Deadline(), conic or Conic(), NEEDED * gap)
    status = "stopped"
    try:
        search.start()
        for _ in range(ROUNDS):
            if search.deadline.over:
                break
            search.advance()
            if progress is not None:
                progress(search.value, search.bound, len(search.neurons))
            far = 0.0 if rival is None else NEAR * abs(rival - search.bound)
            if search.value - search.bound <= max(gap * search.value, far):
                status = "optimal"
                if search.accuracy == FINE and not search.converges:
                    break
                search.accuracy = FINE  # rounds come fast to the equilibrium once its cells are known
    except OutOfTimeError:
        pass  # what is known is returned
    except KeyboardInterrupt:
        search.deadline.end()
    return *search.law, *search.critic, search.conic.record | {"rounds": search.rounds, "status": status}


@dataclass(eq=False)
class _DoubleOracle:
    """What has been found so far; the law and the critic are the best ones."""

    game: SampleGame
    deadline: Deadline
    conic: Conic
    accuracy: float
    rounds: int = 0
    converges: bool = False
    value: float = field(init=False)
    bound: float = 0.0

    def __post_init__(self) -> None:
        data = self.game.data
        self.copy = data, np.full(len(data), 1 / len(data))
        self.law, self.value = self.copy, float(self.game.cost(data).mean())
        self.neurons = np.zeros((0, self.game.lift(data[:1]).shape[1]))
        self.points = np.zeros((1, data.shape[1]))
        self.critic = self.neurons, np.zeros(0)
        self.size = float(np.sqrt(np.mean(np.sum(data**2, axis=1)))) or 1.0
        self.scale = 0.0
        self._idle, self._age = np.zeros(0), np.zeros(1)

    def start(self) -> None:
        """The points and neurons of the best law on multiples of the data, where there are not too many."""
        data = self.game.data
        shares = np.linspace(0, 1, min(MULTIPLES, PARTICLES // len(data)))
        if len(shares) < 2 or self.deadline.over or self.game.beta == 0:  # for which there is the data's own law alone
            return
        particles = np.unique(np.concatenate([share * data for share in shares]), axis=0)
        try:
            found = solve_mixture(
                replace(self.game, particles=particles), tol=ROUGH, deadline=self.deadline.part(BEFORE)
            )
        except (InfeasibleError, SolverError):  # a beta of rounding's size
            return
        if not len(found.neurons):  # nothing is needed, or there was no time
            return
        self.points, self.neurons = particles[found.p > 0], found.neurons
        weights = found.p[found.p > 0]
        for points, masses, gap in ((np.zeros((1, data.shape[1])), np.ones(1), 0.1), (self.points, weights, 0.0)):
            seen = discriminator_response(self.game, points, masses, self.deadline, gap=gap)
            self._offer_law(points, masses, seen.upper_bound)
        self._age, self._idle = np.zeros(len(self.points)), np.zeros(len(self.neurons))

    def advance(self) -> None:
        """One round: the restricted equilibrium, both best responses, and what they add."""
        before = self.value - self.bound
        game, here = self.game, _Equilibrium(self.points, np.ones(1), np.zeros(0), self.game.beta or 0.0)
        if len(self.neurons):
            here = _restricted(game, self.points, self.neurons, self.size, self.deadline, self.conic, self.accuracy)
        used = np.abs(here.outer) > UNUSED * np.abs(here.outer).max(initial=0.0)
        U, values = self._ascend(here, used)
        # far from the end the global search need not be exact
        search: dict[str, Any] = {"gap": 0.1 * max(1 - here.level / max(values), 0.0)} if len(U) else {}
        found = discriminator_response(game, here.points, here.weights, self.deadline, **search)
        self._offer_law(here.points, here.weights, found.upper_bound)
        critic = critic_of(game, self.neurons[used], here.outer[used])
        priced = cheapest(game, critic, here.points, self.deadline.left)
        bound = generator_response(game, critic, self.deadline.left)
        if bound > self.bound:
            self.bound, self.critic = bound, (self.neurons[used], here.outer[used])
        self._add_points(np.vstack([here.points, priced.points[:POINTS]]))
        self._drop_neurons(here, used, found.value)
        self._add_neurons(np.vstack([found.direction, U[np.argsort(-values)]]))
        self.rounds += 1
        gap = self.value - self.bound
        self.converges = CLOSED * self.value < gap < before / 2
        if gap >= before:
            self.accuracy = FINE

    def _offer_law(self, points: Array, weights: Array, reached: float) -> None:
        """The law, moved towards the data until it is feasible: its ipm is convex, and that of the data is 0."""
        game, share = self.game, 0.0
        self.scale = max(self.scale, reached)  # the first law is a point at 0
        if game.beta is not None and reached > game.beta + SLACK * self.scale:
            share = 1 - game.beta / reached
        data, even = self.copy
        cost = (1 - share) * float(game.cost(points) @ weights) + share * float(game.cost(data) @ even)
        value = cost + (game.lam or 0.0) * reached
        if value < self.value:
            self.value = value
            self.law = points, weights
            if share > 0:
                self.law = np.vstack([points, data]), np.concatenate([(1 - share) * weights, share * even])

    def _add_points(self, points: Array) -> None:
        kept = self._age < PATIENCE
        self.points = np.vstack([points, self.points[kept]])
        self._age = np.concatenate([np.zeros(len(points)), self._age[kept] + 1])

    def _ascend(self, here: _Equilibrium, used: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Neurons that see more than the level, from those in use and from random ones, and how much they see."""
        random = np.random.default_rng(self.rounds).standard_normal((STARTS, self.neurons.shape[1]))
        starts = np.vstack([self.neurons[used], random])
        level = here.level + 1e-9 * self.size
        return rising_neurons(self.game, here.points, here.weights, starts, level, self.deadline.left)

    def _drop_neurons(self, here: _Equilibrium, used: NDArray[np.bool_], value: float) -> None:
        """Drop neurons whose constraints have been slack for many rounds."""
        rows, weights = signed_law(self.game, here.points, here.weights)
        seen = np.abs(weights @ self.game.activation(self.game.lift(rows) @ self.neurons.T))
        slack = here.level - seen > 3 * max(value - here.level, 0.0) + SLACK * self.size
        self._idle = np.where(slack & ~used, self._idle + 1, 0)
        kept = self._idle < PATIENCE
        self.neurons, self._idle = self.neurons[kept], self._idle[kept]

    def _add_neurons(self, ranked: Array) -> None:
        before = len(self.neurons)
        for u in ranked:
            if len(self.neurons) < before + NEURONS and not (np.abs(self.neurons - u).max(axis=1) < 1e-9).any():
                self.neurons = np.vstack([self.neurons, u])
        self._idle = np.append(self._idle, np.zeros(len(self.neurons) - before))


def _restricted(
    game: SampleGame,
    points: Array,
    neurons: Array,
    size: float,
    deadline: Deadline,
    conic: Conic,
    accuracy: float,
) -> _Equilibrium:
    """The game for laws on the cells in which the points lie, and on the data as a whole, against some neurons.

    Variables are in units of ``size``: the mass p of each cell, the mass times its point Q, and w >= |Q|^2 / p. That a
    point stays in its cell is asked of the hyperplanes nearest to it only: a point that leaves opens a new cell.
    """
    import cvxpy as cp

    (n, dim), cells, sides = game.data.shape, *_cells(game, points, neurons)
    m, u = len(cells), neurons[:, :dim]
    b = neurons[:, dim] / size if neurons.shape[1] > dim else np.zeros(len(neurons))
    slopes = np.where(cells, 1.0, game.relu.slope)
    real = game.activation(game.lift(game.data) @ neurons.T).mean(axis=0) / size
    p, q, w = cp.Variable(m, nonneg=True), cp.Variable(m * dim), cp.Variable(m)
    whole, miss = cp.Variable(nonneg=True), cp.Variable(len(neurons))
    level: Any = cp.Variable(nonneg=True) if game.beta is None else game.beta / size
    seen = (slopes.T[:, :, None] * u[:, None, :]).reshape(len(neurons), m * dim) @ q + (slopes.T * b[:, None]) @ p
    Q = cp.reshape(q, (m, dim), order="C")
    above, below = miss <= level, -miss <= level
    constraints = [
        above,
        below,
        miss == real * (1 - whole) - seen,
        cp.sum(p) + whole == 1,
        cp.SOC(p + w, cp.hstack([2 * Q, cp.reshape(p - w, (m, 1), order="C")]), axis=1),
        *_stay_inside(cells, sides, u, b, q, p),
    ]
    unit = game.penalty * size
    objective = cp.sum(w) + whole + (0.0 if game.lam is None else game.lam / unit * level)
    problem = cp.Problem(cp.Minimize(objective), constraints)
    conic.solve(problem, deadline, accuracy)
    outer = unit * (above.dual_value - below.dual_value)
    mass, share = np.maximum(p.value, 0.0), max(float(whole.value), 0.0)
    kept = mass > max(UNUSED, accuracy)
    found = size * q.value.reshape(m, dim)[kept] / mass[kept, None]
    weights = mass[kept]
    if share > UNUSED or not kept.any():
        found, weights = np.vstack([found, game.data]), np.concatenate([weights, np.full(n, share / n)])
    reached = size * float(level if game.beta is not None else level.value)
    return _Equilibrium(found, weights / weights.sum(), outer, reached)


def _cells(game: SampleGame, points: Array, neurons: Array) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """The activation patterns of the points, (m, K), and for each the neurons whose hyperplanes are nearest."""
    t = game.lift(points) @ neurons.T
    first = np.unique(t > 0, axis=0, return_index=True)[1]
    nearest = np.argsort(np.abs(t[first]), axis=1)[:, : 4 * points.shape[1]]
    return t[first] > 0, nearest


def _stay_inside(cells: Any, sides: Any, u: Array, b: Array, q: Any, p: Any) -> list[Any]:
    """Constraints that keep Q and p on the cells' side of the given hyperplanes."""
    from scipy.sparse import csr_array

    (m, near), dim = sides.shape, u.shape[1]
    sign = np.where(np.take_along_axis(cells, sides, axis=1), 1.0, -1.0)
    row, cell = np.arange(m * near), np.repeat(np.arange(m), near)
    columns = (cell[:, None] * dim + np.arange(dim)).ravel()
    normals = csr_array(((sign[:, :, None] * u[sides]).ravel(), (np.repeat(row, dim), columns)), (m * near, m * dim))
    offsets = csr_array(((sign * b[sides]).ravel(), (row, cell)), (m * near, m))
    return [normals @ q + offsets @ p >= 0]
