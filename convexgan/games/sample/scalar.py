"""Free points on the line against ReLU neurons with free biases: sorted partial sums, a quadratic program."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.conic.searches import Conic
from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.responses import critic_of, discriminator_response, generator_response

Array = NDArray[np.float64]
ROUNDING = (1e-8, 1e-11)


def solve_scalar(
    game: SampleGame, time_limit: float | None = None, conic: Conic | None = None
) -> tuple[Array, Array, Array, dict[str, Any]]:
    """The optimal points, as many as the data, and the discriminator that proves them.

    With both samples sorted, ipm <= beta iff all sums of the k smallest and of the k largest x_i - w_i are at most
    n beta in absolute value: sum (x_i + b)_+ is the largest of its partial sums, whatever b. That w is sorted need not
    be asked: the partial sums of w are a taut string in a tube around those of x, which are convex.

    Returns
    -------
    points : (n, 1) array
        Ascending.
    neurons : (K, 2) array
        Rows (u, b).
    outer : (K,) array
    stats : dict
    """
    import cvxpy as cp

    x = np.sort(game.data[:, 0])
    if game.lam == 0 or discriminator_response(game, np.zeros((1, 1)), np.ones(1)).value <= (game.beta or 0.0):
        return np.zeros((len(x), 1)), np.zeros((0, 2)), np.zeros(0), {"status": "optimal"}  # zeros cost nothing
    neurons, outer = _tangents(x, game.penalty)
    if game.beta == 0 or (game.lam or 0.0) >= np.abs(outer).sum():
        return x[:, None], neurons, outer, {"status": "optimal"}
    untouched = x[:, None], neurons[:0], outer[:0], {"status": "stopped"}  # the data themselves are feasible
    if time_limit == 0:
        return untouched
    n, size = len(x), float(np.abs(x).max()) or 1.0
    sums = cp.Variable(n)  # of the k smallest points: every constraint then has few terms
    level = cp.Variable(nonneg=True) if game.beta is None else game.beta / size
    w = cp.hstack([sums[:1], cp.diff(sums)]) if n > 1 else sums
    head = (np.cumsum(x / size) - sums) / n
    tail = head[n - 1] - cp.hstack([0, head[: n - 1]]) if n > 1 else head
    bounds = [head <= level, -head <= level, tail <= level, -tail <= level]
    unit = game.penalty * size  # of the multipliers; in it the problem does not depend on the data's scale
    objective = cp.sum_squares(w) / n + (0.0 if game.lam is None else game.lam / unit * level)
    problem = cp.Problem(cp.Minimize(objective), bounds)
    conic = conic or Conic()
    conic.solve(problem, time_limit)
    if time_limit is not None and problem.solver_stats.solve_time >= time_limit:
        return untouched
    multipliers = unit * np.stack([np.maximum(np.asarray(c.dual_value).ravel(), 0.0) for c in bounds])
    for pair in (slice(0, 2), slice(2, 4)):  # both signs of one sum cancel
        multipliers[pair] -= multipliers[pair].min(axis=0)
    # which multipliers are rounding is judged by the result
    w = np.sort(w.value * size)
    found = [_players(x, w, multipliers * (multipliers > r * multipliers.max()), game.penalty) for r in ROUNDING]
    points, neurons, outer = min(found, key=lambda players: _shortfall(game, *players))
    return points, neurons, outer, conic.record | {"status": "optimal"}


def _tangents(x: Array, penalty: float) -> tuple[Array, Array]:
    """The discriminator that makes a copy of the data optimal, for sorted x: the highest tangent of the penalty at x.

    Two neighbouring tangents cross half way; one neuron, bent beyond all points, is the slope of the first.
    """
    points = np.unique(x)
    bends = np.append(-2 * np.abs(points).max(), (points[1:] + points[:-1]) / 2)
    return np.column_stack([np.ones(len(bends)), -bends]), 2 * penalty * np.append(points[0], np.diff(points))


def _players(x: Array, points: Array, multipliers: Array, penalty: float) -> tuple[Array, Array, Array]:
    merged = _merged(points, multipliers)
    return merged[:, None], *_critic(x, merged, multipliers, penalty)


def _shortfall(game: SampleGame, points: Array, neurons: Array, outer: Array) -> float:
    """The gap between both players, and the violation."""
    found = discriminator_response(game, points, np.full(len(points), 1 / len(points))).value
    cost = float(game.cost(points).mean()) + (game.lam or 0.0) * found
    excess = 0.0 if game.beta is None else max(found - game.beta, 0.0) * float(np.abs(outer).sum())
    return cost - generator_response(game, critic_of(game, neurons, outer)) + excess


def _merged(points: Array, multipliers: Array) -> Array:
    """The points with those that no multiplier divides made equal, as they are at the exact optimum."""
    divided = multipliers[:2, :-1].any(axis=0) | multipliers[2:, 1:].any(axis=0)
    label = np.concatenate([[0], np.cumsum(divided)])
    return np.asarray((np.bincount(label, points) / np.bincount(label))[label])


def _critic(x: Array, points: Array, multipliers: Array, penalty: float) -> tuple[Array, Array]:
    """A neuron for each partial sum, bent between the points it divides (of the side whose sum it must not enlarge).

    The sum of all points belongs to a neuron that is linear on both samples, and bends so far from them that no
    generator gains beyond: where the penalty's slope has grown by all that the discriminator's can change.
    """
    found, far = [], float(multipliers.sum()) / penalty
    ends = min(x[0], points[0], 0.0) - far, max(x[-1], points[-1], 0.0) + far
    for which, (side, u, sign) in zip(
        multipliers, ((x, -1.0, -1.0), (points, -1.0, 1.0), (points, 1.0, 1.0), (x, 1.0, -1.0)), strict=True
    ):
        # sums of the k smallest end after index k, sums of the largest begin before it
        between = (side[1:] + side[:-1]) / 2
        bends = np.append(between, ends[1]) if u < 0 else np.insert(between, 0, ends[0])
        found += [((u, -u * bends[k]), sign * which[k]) for k in np.flatnonzero(which)]
    if not found:
        return np.zeros((0, 2)), np.zeros(0)
    return np.array([neuron for neuron, _ in found]), np.array([v for _, v in found])
