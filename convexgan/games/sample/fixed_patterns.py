"""Generators that are linear in given features against ReLU neurons: local optima by convex programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan.conic.searches import Conic, OutOfTimeError
from convexgan.exceptions import SolverError
from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.responses import discriminator_response, rising_neurons

Array = NDArray[np.float64]
ROUNDS = 60  # of cuts for one choice of patterns
UPDATES = 40
HALVINGS = 20  # of a step that leads out of the constraint
STEADY = 1e-3  # relative decrease of the value at which the patterns are kept
CUTS = 20
STARTS = 20  # random directions from which neurons ascend
UNUSED = 1e-6  # share of the largest multiplier
FEASIBLE = 1e-8  # violation, in units of ipm(X, 0), that counts as none
STEEP = 1e3  # price of a violation, in units of the data: beyond any multiplier of a well-posed game


def solve_fixed_patterns(
    game: SampleGame,
    features: Array,
    starts: list[Array],
    *,
    spare: Iterable[Array] = (),
    deadline: Deadline | None = None,
    progress: Report | None = None,
    conic: Conic | None = None,
) -> tuple[Array, dict[str, Any]]:
    """Weights W (K, d) of the best generator features @ W found from the starts, feasible where there is a beta.

    Neurons see a convex function of W, the mean of max((features W) u, 0). That it is not too large is convex; that
    it is not too small is asked of its linearisation, the rows' activation patterns held fixed, which is an inner
    approximation: a convex program, solved by cutting planes with the exact best response of the discriminator. Then
    the patterns are updated, until the value no longer falls.
    Source: Yuille and Rangarajan, The concave-convex procedure, 2003; the game of fixed patterns is that of Sahiner et
    al., arXiv 2107.05680, section 4.

    Parameters
    ----------
    features : (n, K) array
        What the weights multiply, of rank K.
    starts : list of (K, d) arrays
    spare : iterable of (K, d) arrays
        Further starts, each of which is tried as long as none within beta is known.

    Raises
    ------
    SolverError
        If no start leads to a generator within beta; it names a beta that was reached.
    """
    how = deadline or Deadline(), progress, conic or Conic()
    search, status = _Search(game, features, *how), "optimal"
    try:
        for start in starts:
            search.descend(start)
        if search.weights is None and not search.deadline.over:
            nearest = _Search(_priced_highly(game, search.scale), features, *how)
            for start in chain(starts, spare):
                nearest.descend(start)
                if game.beta is not None and nearest.reached <= game.beta:
                    break
            if nearest.weights is not None:
                reached = nearest.reached * (1 + 1e-6)
                if game.beta is not None and reached > game.beta and not search.deadline.over:
                    least = reached * game.rows  # in the caller's units
                    raise SolverError(
                        "no generator within beta was found, though none is excluded: use "
                        f"beta >= {least!r}, which was reached, more latents, or lam=."
                    )
                search.descend(nearest.weights)
    except OutOfTimeError:
        status = "stopped"  # what is known is returned
    except KeyboardInterrupt:
        search.deadline.end()
    weights = search.last if search.weights is None else search.weights
    status = "stopped" if search.deadline.over else status
    stats = how[2].record | {"programs": search.programs, "status": status}
    return starts[0] if weights is None else weights, stats


def _priced_highly(game: SampleGame, scale: float) -> SampleGame:
    """The game of coming near at any cost."""
    return replace(game, beta=None, lam=STEEP**2 * game.penalty * scale)


class _Search:
    """Descents from several starts; ``weights`` is the best feasible answer, ``value`` and ``reached`` its numbers."""

    def __init__(
        self, game: SampleGame, features: Array, deadline: Deadline, progress: Report | None, conic: Conic
    ) -> None:
        self.game, self.features, self.deadline, self.progress, self.conic = game, features, deadline, progress, conic
        self.scale = float(np.sqrt(np.mean(np.sum(game.data**2, axis=1)))) or 1.0
        self.even = np.full(len(features), 1 / len(features))
        self.root = np.linalg.qr(features, mode="r") / np.sqrt(len(features))
        law_at_zero = np.zeros((1, game.data.shape[1])), np.ones(1)
        self.tol = FEASIBLE * discriminator_response(game, *law_at_zero, deadline).value
        self.weights: Array | None = None
        self.last: Array | None = None
        self.value, self.reached, self.programs = np.inf, np.inf, 0

    def descend(self, W: Array) -> None:
        """Fixed-pattern programs from W until the value no longer falls."""
        width = self.game.lift(self.game.data[:1]).shape[1]
        cuts = _Cuts(np.zeros((0, width)), np.zeros((0, width)), np.zeros((0, len(self.features))))
        value = self._offer(W)
        for _ in range(UPDATES):
            if self.deadline.over:
                return
            improved, cuts = self._improve(W, cuts)
            reached = self._offer(improved)
            for _ in range(HALVINGS if np.isfinite(value) and not np.isfinite(reached) else 0):
                improved = (
                    W + improved
                ) / 2  # the cost is convex and W is within beta: some part of the step is better
                if (reached := self._offer(improved)) < value:
                    break
            W = improved
            if not reached < value * (1 - STEADY):
                return
            value = reached

    def _offer(self, W: Array) -> float:
        """The value of W, infinite if it is not feasible; the best is kept."""
        points = self.features @ W
        found = float(self._respond(points).upper_bound)
        value = float(self.game.cost(points).mean()) + (self.game.lam or 0.0) * found
        if self.game.beta is not None and found > self.game.beta + self.tol:
            value = np.inf
        self.last = W
        if value < self.value:
            self.value, self.weights, self.reached = value, W, found
        return value

    def _respond(self, points: Array) -> Any:
        return discriminator_response(self.game, points, self.even, self.deadline)

    def _improve(self, W: Array, cuts: _Cuts) -> tuple[Array, _Cuts]:
        """The best weights with the activation patterns that W has, and the cuts that held them."""
        game, fixed, used = self.game, self.features @ W, cuts
        points, limit = fixed, game.beta or 0.0
        for round_ in range(ROUNDS):
            found = self._respond(points)
            if self.progress is not None:
                self.progress(self.value, found.value - limit, len(cuts.lower))
            if (round_ and found.value <= limit + self.tol) or self.deadline.over:
                break
            random = np.random.default_rng(self.programs).standard_normal((STARTS, cuts.lower.shape[1]))
            U, values = rising_neurons(game, points, self.even, random, limit + self.tol, self.deadline.left)
            fresh = np.vstack([found.direction, U[np.argsort(-values)][:CUTS]])
            cuts = cuts.with_more(fresh, self._patterns(points, fresh))
            W, slack, used = self._program(cuts, self._patterns(fixed, cuts.lower))
            points, limit = self.features @ W, (game.beta or 0.0) + slack
        return W, used

    def _patterns(self, points: Array, neurons: Array) -> Array:
        """The slopes of the activation at each row, for each neuron, (k, n)."""
        return np.where(self.game.lift(points) @ neurons.T > 0, 1.0, self.game.relu.slope).T

    def _program(self, cuts: _Cuts, patterns: Array) -> tuple[Array, float, _Cuts]:
        """The cheapest weights within the cuts, by how much the level is exceeded, and the cuts that hold them."""
        import cvxpy as cp

        game, scale, dim = self.game, self.scale, self.game.data.shape[1]
        W, slack = cp.Variable((self.features.shape[1], dim)), cp.Variable(nonneg=True)

        def seen(u: Array, slopes: Array) -> Any:
            """mean_i slopes_i (features W u + b)_i for each neuron, in units of the data."""
            pulled = slopes @ self.features / len(self.features)
            linear = cp.sum(cp.multiply(pulled @ W, u[:, :dim]), axis=1)
            return linear + (slopes.mean(axis=1) * u[:, dim] / scale if u.shape[1] > dim else 0.0)

        def real(u: Array) -> Array:
            return np.asarray(game.activation(game.lift(game.data) @ u.T).mean(axis=0)) / scale

        level = (game.beta or 0.0) / scale + slack
        price = STEEP if game.lam is None else game.lam / (game.penalty * scale)
        enough = seen(cuts.lower, patterns) >= real(cuts.lower) - level
        not_more = seen(cuts.upper, cuts.patterns) <= real(cuts.upper) + level
        problem = cp.Problem(cp.Minimize(cp.sum_squares(self.root @ W) + price * slack), [enough, not_more])
        self.conic.solve(problem, self.deadline)
        self.programs += 1
        return scale * W.value, scale * float(slack.value), cuts.held(enough.dual_value, not_more.dual_value)


@dataclass(frozen=True, eq=False)
class _Cuts:
    """Neurons that hold the weights.

    Attributes
    ----------
    lower, upper : (k, p) and (l, p) arrays
        Neurons by which the generator must be seen enough, and not too much.
    patterns : (l, n) array
        The slopes of the activation at the rows when ``upper`` were added, whose cuts are valid for all weights.
    """

    lower: Array
    upper: Array
    patterns: Array

    def with_more(self, neurons: Array, patterns: Array) -> _Cuts:
        """New neurons on both sides."""
        return _Cuts(
            np.vstack([self.lower, neurons]), np.vstack([self.upper, neurons]), np.vstack([self.patterns, patterns])
        )

    def held(self, enough: Array, not_more: Array) -> _Cuts:
        """The neurons whose constraints have a positive multiplier."""
        lower, upper = (m > UNUSED * max(m.max(), 1e-300) for m in (enough, not_more))
        return _Cuts(self.lower[lower], self.upper[upper], self.patterns[upper])
