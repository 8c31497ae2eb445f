"""A mixture over given particles against a ReLU discriminator: a program with one constraint for each neuron."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan.arrangements import Maximum
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.master import master_of
from convexgan.games.sample.responses import apart, discriminator_response, random_neurons, rising_neurons

Array = NDArray[np.float64]
ROUNDS = 1000
CUTS = 60  # added in one round
STARTS = 40  # of random neurons, the best, from which others ascend, besides the program's
DRAWS = 2  # of those, before the exact search
RELATIVE = 100.0  # from the tolerance of a level that is all the value to that of a violation
NEAR = 0.8  # share of the level that those see
FAR = 0.95  # cosine between them


class Mixture(NamedTuple):
    """The optimal weights of particles, and the discriminator that proves them.

    Attributes
    ----------
    p : (m,) array
    neurons, outer : (K, d or d + 1) and (K,) arrays
    stats : dict
        "cuts", the solver's record, "status": "stopped" after a limit or Ctrl-C.
    seen : Maximum or None
        The neuron that sees most of these weights, where that has been searched for.
    """

    p: Array
    neurons: Array
    outer: Array
    stats: dict[str, Any]
    seen: Maximum | None = None


def solve_mixture(
    game: SampleGame,
    *,
    tol: float = 1e-9,
    deadline: Deadline | None = None,
    progress: Report | None = None,
) -> Mixture:
    """The optimal weights of the particles, and the discriminator that proves them.

    ipm is convex in the weights p, the maximum of |mean s(Xu) - p . s(Yu)| over all neurons u: the program starts
    with none and is given violated ones, local maxima near those in use and from random directions, and where there are
    none the exact search for another, until none is violated. Source: Kelley's cutting planes; the multipliers are the
    discriminator's outer weights.

    Raises
    ------
    InfeasibleError
        If no mixture reaches beta; ``smallest_beta`` is in canonical units.
    """
    particles, deadline = game.given, deadline or Deadline()
    cheapest, nothing = game.least(game.cost(particles))[1], np.zeros((0, game.lift(particles[:1]).shape[1]))
    reached = discriminator_response(game, particles, cheapest, deadline).upper_bound if game.beta is not None else 0.0
    if game.lam == 0 or (game.beta is not None and reached <= game.beta):
        return Mixture(cheapest, nothing, np.zeros(0), {"cuts": 0, "status": "optimal"})
    if game.lam is not None and not (game.penalty or game.spread) and (own := _own(game, particles)) is not None:
        return Mixture(own, nothing, np.zeros(0), {"cuts": 0, "status": "optimal"})
    search = _Kelley(game, particles, cheapest, tol, deadline)
    status = "stopped"
    try:
        for _ in range(ROUNDS):
            if not search.advance(progress):
                status = "optimal" if search.finished else "stopped"
                break
    except KeyboardInterrupt:
        pass  # what is known is returned
    p = search.p if search.exact is not None or game.beta is not None else search.best[1]
    if status == "stopped" and game.beta is not None:
        known = search.exact or discriminator_response(game, particles, p, deadline)
        p = _within(game, particles, p, known.upper_bound)
    neurons, outer = search.neurons[: len(search.outer)], search.outer  # the last may have come after the program
    used, seen = outer != 0, search.exact if p is search.p else None
    return Mixture(p, neurons[used], outer[used], search.master.record | {"cuts": len(neurons), "status": status}, seen)


class _Kelley:
    """The program so far, its optimum p with the multipliers, the exact search there, and whether p is the answer."""

    def __init__(self, game: SampleGame, particles: Array, start: Array, tol: float, deadline: Deadline) -> None:
        self.game, self.particles, self.deadline = game, particles, deadline
        self.neurons, self.master = np.zeros((0, game.lift(particles[:1]).shape[1])), master_of(game, particles)
        at_zero = discriminator_response(game, np.zeros((1, game.data.shape[1])), np.ones(1), deadline)
        self.p, self.outer, self._tol, self._scale = start, np.zeros(0), tol, at_zero.upper_bound
        self.best, self.finished, self._draw = (np.inf, start), False, np.random.default_rng(0)
        self.exact: Maximum | None = None
        self._seen, self._means = np.zeros((0, len(particles))), np.zeros(0)
        # offsets are in units of the data
        offset = float(np.abs(game.data).max()) if game.bias == "free" else 1.0
        self._sizes = np.append(np.ones(self.neurons.shape[1] - 1), offset or 1.0)

    def advance(self, progress: Report | None) -> bool:
        """One round: the program's optimum, and neurons that it violates; False at the end."""
        game, (p, level, outer), self.exact = self.game, (self.p, 0.0, self.outer), None
        if len(self.neurons):
            answer = self.master.solve(self._seen, self._means, self.deadline)
            if answer is None and not self.deadline.over:
                self.p, self.outer = _nearest(game, self.particles, self.deadline), np.zeros(0)
            if answer is None:
                return False
            p, level, outer = answer
        self.p, self.outer = p, outer
        limit = level if game.beta is None else game.beta
        new, seen = self._violated(limit, self._room(limit))
        cost = float(game.cost(self.particles) @ p) + game.spread * float(p @ p)
        self.best = min(self.best, (cost + (game.lam or 0.0) * max(seen, level), p), key=lambda pair: pair[0])
        if progress is not None:
            progress(cost + (game.lam or 0.0) * level, seen - limit, len(self.neurons))
        if not len(new) or self.deadline.over:
            return False
        scores = game.activation(game.lift(self.particles) @ new.T).T
        means = game.activation(game.lift(game.data) @ new.T).mean(axis=0)
        self.neurons, self._seen = np.vstack([self.neurons, new]), np.vstack([self._seen, scores])
        self._means = np.append(self._means, means)
        return True

    def _room(self, limit: float) -> float:
        """The violation that counts as none; a share of the level, where that is all that the value is made of."""
        if self.game.lam is not None and not self.game.penalty:
            return max(RELATIVE * self._tol * limit, self._tol / RELATIVE * self._scale)
        return self._tol * max(self._scale, limit)

    def _violated(self, limit: float, room: float) -> tuple[Array, float]:
        """Neurons that see more than limit and room, and the most that is seen; none if proved, or where time is over.

        The exact search has twice the room: it takes long, and ends at the first neuron beyond.
        """
        game, p, level = self.game, self.p, limit + room
        starts = np.vstack([self._near(level), self._drawn()])
        for _ in range(DRAWS):
            new, seen = self._ascend(starts, level)
            if len(new) or self.deadline.over:
                return new, seen
            starts = self._drawn()
        self.exact = found = discriminator_response(game, self.particles, p, self.deadline, level=level + room)
        if found.value > level + room:
            new, seen = self._ascend(found.direction[None, :], level)
            new = new if len(new) else self._fresh(found.direction[None, :])
        # at the end the program's own rounding repeats a neuron
        proved = found.upper_bound <= level + room + self._tol / RELATIVE * self._scale
        self.finished = not len(new) and (proved or found.value > level + room)
        return new, max(seen, found.value)

    def _drawn(self) -> Array:
        """Random neurons, the best and far from each other."""
        ranked = random_neurons(self.game, self.particles, self.p, self._draw)
        return np.asarray(ranked[apart(ranked / self._sizes, STARTS, FAR)])

    def _near(self, level: float) -> Array:
        """The program's neurons in use, and others that see nearly as much as the level, each far from all before."""
        used, seen = self.outer != 0, np.abs(self._seen @ self.p - self._means)
        seen[used] = np.inf
        order = np.argsort(-seen, kind="stable")[: np.count_nonzero(seen >= NEAR * level)]
        far = order[apart(self.neurons[order] / self._sizes, close=FAR)]
        return np.vstack([self.neurons[used], self.neurons[far[~used[far]]]])

    def _ascend(self, starts: Array, level: float) -> tuple[Array, float]:
        """Local maxima near the starts that see more than the level and are new, and the most that is seen there."""
        U, values = rising_neurons(self.game, self.particles, self.p, starts, level, self.deadline.left)
        U = U[np.argsort(-values)]
        return self._fresh(U[apart(U / self._sizes, CUTS)]), float(values.max(initial=0.0))

    def _fresh(self, neurons: Array) -> Array:
        """Those that are not among the program's."""
        near = (np.abs(self.neurons[None] - neurons[:, None]).max(axis=2) < 1e-14).any(axis=1)
        return np.asarray(neurons[~near])


def _within(game: SampleGame, particles: Array, p: Array, reached: float) -> Array:
    """The mixture moved towards the data, whose ipm is 0, until it is within beta; as it is where a row is missing."""
    own = _own(game, particles)
    if game.beta is None or reached <= game.beta or own is None:
        return p
    share = game.beta / reached  # ipm is convex
    return np.asarray(share * p + (1 - share) * own)


def _own(game: SampleGame, particles: Array) -> Array | None:
    """The data as a mixture, if every row is one of the particles."""
    place = {row.tobytes(): k for k, row in enumerate(particles + 0.0)}
    rows = [place.get(row.tobytes(), -1) for row in game.data + 0.0]
    return np.bincount(rows, minlength=len(particles)) / len(rows) if min(rows) >= 0 else None


def _nearest(game: SampleGame, particles: Array, deadline: Deadline) -> Array:
    """The mixture that a search for the smallest ipm has by the deadline, where none is known within beta.

    If it ends before, that names a beta that works, the smallest ipm a little rounded up: raises InfeasibleError.
    """
    free = replace(game, beta=None, lam=1.0, penalty=0.0, spread=0.0)
    found = solve_mixture(free, deadline=deadline)
    least = discriminator_response(game, particles, found.p, deadline).upper_bound * (1 + 1e-6)
    if found.stats["status"] == "stopped" or deadline.over:
        return found.p
    if game.beta is not None and least > game.beta:
        raise out_of_reach(len(particles), least)
    raise SolverError("HiGHS gave no answer to a program that has one: bring the columns of X to one scale.")


def out_of_reach(count: int, least: float) -> InfeasibleError:
    """No mixture of so many particles meets the constraint; the least beta that works is named."""
    return InfeasibleError(
        f"no mixture of the {count} particles comes within beta: use beta >= {least!r}, or more particles near the "
        "data.",
        smallest_beta=least,
    )
