"""Both players' best responses in a game with a ReLU discriminator or a mixture generator, exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import down, gamma, prefix_sums, up
from convexgan.arrangements import Maximum, Minimum, minimize_rectified
from convexgan.discriminators import TwoLayerDiscriminator, at_most, enlarging, pieces, rising, separate, separate_rows
from convexgan.discriminators.activation import is_kinked, needs_rows
from convexgan.games.sample.game import SampleGame
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
CLOSE = 0.9999  # cosine
RANDOM, SCORES = 500, 2**18  # neurons drawn at once, and what they see of rows
PRICE = 1e-10  # accuracy of the cheapest point, in units of the data's second moment


def discriminator_response(
    game: SampleGame, points: Array, weights: Array, deadline: Deadline | None = None, **search: Any
) -> Maximum:
    """The neuron that sees most between the data and a law of points (m, d) with weights (m,).

    Ctrl-C ends this search, and with the ``deadline`` that of which it is a part.
    """
    if needs_rows(game.activation):
        if deadline is not None:
            search["time_limit"] = deadline.half
        best = separate_rows(game.activation, *signed_law(game, points, weights), game.bias, **search)
        if deadline is not None and best.stats.get("interrupted"):
            deadline.end()
        return best
    used, (a, b, _) = weights > 0, game.activation.coefficients
    fake = Moments.from_array(game.lift(points[used]), weights[used])
    return separate(Moments.from_array(game.lift(game.data)), fake, a, b)


def signed_law(game: SampleGame, points: Array, weights: Array) -> tuple[Array, Array]:
    """The rows of the data and of a law, (N, d), and their weights (N,): those of the law are negative."""
    used = weights > 0
    rows = np.concatenate([game.data, points[used]])
    return rows, np.concatenate([np.full(len(game.data), 1 / len(game.data)), -weights[used] / math.fsum(weights)])


def rising_neurons(
    game: SampleGame, points: Array, weights: Array, starts: Array, level: float, time_limit: float | None = None
) -> tuple[Array, Array]:
    """Neurons, local maxima found from the starts, that see more than the level, and how much; smooth ones: none."""
    if not needs_rows(game.activation):
        return np.zeros((0, starts.shape[1])), np.zeros(0)
    rows, signed = signed_law(game, points, weights)
    unit = enlarging(rows) if game.bias == "penalized" and is_kinked(game.activation) else 1.0
    far = np.append(np.ones(starts.shape[1] - 1), unit) if unit > 1 else 1.0
    U, values = rising(game.activation, game.lift(unit * rows), signed, starts * far, time_limit)
    if unit > 1:
        lengths = np.linalg.norm(U / far, axis=1)
        U, values = U / far / lengths[:, None], values / (unit * lengths)
    if game.bias == "free":  # the ascents charged it: without, |u| = 1; neurons that bend beyond all rows see no more
        lengths = np.linalg.norm(U[:, :-1], axis=1)
        inside = np.abs(U[:, -1]) <= lengths * np.abs(rows).max()
        U, values = U[inside] / lengths[inside, None], values[inside] / lengths[inside]
    return U[values > level], values[values > level]


def random_neurons(game: SampleGame, points: Array, weights: Array, rng: np.random.Generator) -> Array:
    """Random neurons (k, d or d + 1), those that see most first; with a bias they bend at rows; smooth ones: none."""
    rows, signed = signed_law(game, points, weights)
    if not needs_rows(game.activation):
        return np.zeros((0, game.lift(rows[:1]).shape[1]))
    neurons = rng.standard_normal((max(1, min(RANDOM, SCORES // len(rows))), rows.shape[1]))
    if game.bias != "none":
        bends = rows[rng.integers(len(rows), size=len(neurons))]
        neurons = np.column_stack([neurons, -np.einsum("kd,kd->k", neurons, bends)])
    neurons /= np.linalg.norm(neurons[:, : rows.shape[1]] if game.bias == "free" else neurons, axis=1)[:, None]
    seen = np.abs(signed @ game.activation(game.lift(rows) @ neurons.T))
    return np.asarray(neurons[np.argsort(-seen, kind="stable")])


def apart(ranked: Array, count: int | None = None, close: float = CLOSE) -> NDArray[np.intp]:
    """Which of the vectors are the first, at most ``count``, of which none is close to another's direction."""
    units = ranked / np.maximum(np.linalg.norm(ranked, axis=1), 1e-300)[:, None]
    chosen: list[int] = []
    for k, u in enumerate(units):
        if len(chosen) == count:
            break
        if (units[chosen] @ u < close).all():
            chosen.append(k)
    return np.array(chosen, dtype=np.intp)


def critic_of(game: SampleGame, neurons: Array, outer: Array) -> TwoLayerDiscriminator:
    """The discriminator with these neurons (K, d or d + 1), scaled into the norm bound if there is one."""
    size, dim = float(np.abs(outer).sum()), game.data.shape[1]
    if game.lam is not None and size > game.lam:
        outer = outer * (game.lam / size)
    biases = neurons[:, dim] if neurons.shape[1] > dim else np.zeros(len(neurons))
    return TwoLayerDiscriminator(neurons[:, :dim], outer, game.activation, biases)


def generator_response(game: SampleGame, critic: TwoLayerDiscriminator, time_limit: float | None = None) -> float:
    """What the discriminator guarantees: mean D(X) - beta |v|_1 + min over y of R(y) - D(y).

    The minimum is over the particles, or with a spread over their weights; without them over R^d, where R - D is a
    piecewise quadratic. In one column its minima are at its bends or at the vertices of its pieces; in more they are
    bounded by `cheapest`, which takes a limit in seconds. Squared neurons are scaled until the minimum is 0. What
    rounding may have added is taken off: large neurons that cancel prove nothing.
    """
    charge = up((game.beta or 0.0) * critic.norm, sum(critic.neurons.shape) + 8)  # of lengths that are 1 to rounding
    if critic.norm == 0:
        return down(game.least(game.cost(game.particles))[0], 8) if game.particles is not None else 0.0
    real = real_score(game, critic)
    if game.particles is None and not is_kinked(game.activation):
        return _against_any_law(game, critic, real, charge, time_limit)
    if game.particles is None and game.data.shape[1] > 1:
        reach = np.abs(critic.outer) @ np.abs(critic.neurons) / game.penalty  # minimisers are within half of it
        lowest = game.penalty * cheapest(game, critic, time_limit=time_limit).bound
        lowest -= float(
            rounding(game, critic, reach[None, :])[0] + gamma(len(reach) + 8) * game.cost(reach[None, :])[0]
        )
        return _below(game, critic, real, charge, lowest)
    points, missed = (game.particles, 0.0) if game.particles is not None else _candidates(game, critic)
    cost = game.cost(points)
    scores = cost - critic(points) - rounding(game, critic, points) - gamma(points.shape[1] + 4) * cost
    return _below(game, critic, real, charge, game.least(scores)[0] - missed)


def _against_any_law(
    game: SampleGame, critic: TwoLayerDiscriminator, real: float, charge: float, time_limit: float | None
) -> float:
    """What squared neurons guarantee against points anywhere, where R - D is 0 at 0 and as homogeneous as they are.

    The multiple of the critic is taken for which D is at most R: its neurons are the rows of one more search.
    """
    if critic.biases.any() or not needs_rows(game.activation):
        return -math.inf  # nothing is known
    top = separate_rows(game.activation, critic.neurons, critic.outer, time_limit=time_limit).upper_bound
    found = _below(game, critic, real, charge, 0.0)
    return found if found <= 0 or top <= game.penalty else down(found * (game.penalty / top), 4)


def real_score(game: SampleGame, critic: TwoLayerDiscriminator) -> float:
    """At most mean D(X)."""
    scores = critic(game.data) - rounding(game, critic, game.data)
    return math.fsum(scores) / len(scores)


def _below(game: SampleGame, critic: TwoLayerDiscriminator, real: float, charge: float, least: float) -> float:
    """At most the sum, whose terms may cancel; a critic that rounding puts beyond a norm bound is scaled into it."""
    found = real - charge + least - gamma(8) * (abs(real) + charge + abs(least))
    return found if game.lam is None or found < 0 else down(found, sum(critic.neurons.shape) + 8)


def cheapest(
    game: SampleGame, critic: TwoLayerDiscriminator, start: Array | None = None, time_limit: float | None = None
) -> Minimum:
    """Where in R^d a generated point costs least, R - D in units of the penalty, and a lower bound on that."""
    lifted = np.column_stack([critic.neurons, critic.biases])
    rows, weights = pieces(game.relu, lifted, critic.outer / game.penalty)
    tol = PRICE * float(game.cost(game.data).mean()) / game.penalty
    return minimize_rectified(rows[:, :-1], rows[:, -1], weights, start, tol=tol, time_limit=time_limit)


def rounding(game: SampleGame, critic: TwoLayerDiscriminator, rows: Array) -> Array:
    """How far rounding may move the scores: a share of the sum over j of |v_j| s(|u_j| . |x| + |b_j|).

    That of neurons whose length is 1 up to rounding is among it.
    """
    width, dim = critic.neurons.shape
    share = gamma(2 * (width + dim) + 24)
    if is_kinked(game.activation):  # at most so steep: no matrix of sizes is needed
        share = gamma(2 * math.isqrt(width) + 24) if dim == 1 else share  # of `prefix_sums`
        steep, level = np.abs(critic.outer) @ np.abs(critic.neurons), np.abs(critic.outer) @ np.abs(critic.biases)
        return np.asarray(share * at_most(game.activation, np.abs(rows) @ steep + level))
    sizes = np.abs(rows) @ np.abs(critic.neurons).T + np.abs(critic.biases)
    if needs_rows(game.activation):
        sizes = at_most(game.activation, sizes)
    else:
        a, b, c = np.abs(game.activation.coefficients)
        sizes = (2 * a * sizes + b) * sizes + c
    return np.asarray(share * (sizes @ np.abs(critic.outer)))


def _candidates(game: SampleGame, critic: TwoLayerDiscriminator) -> tuple[Array, float]:
    """The points of one column among which R - D is least, and by how much rounding may have missed that."""
    slopes, slope = critic.neurons[:, 0], game.relu.slope
    steps = critic.outer * slopes
    with np.errstate(over="ignore"):
        bends = np.divide(-critic.biases, slopes, out=np.zeros_like(slopes), where=slopes != 0)
    order = np.argsort(bends)
    bends, steps, rising = bends[order], steps[order], slopes[order] > 0
    (passed, roundings), (to_come, _) = (
        prefix_sums(steps * np.where(rising, 1.0, slope)),
        prefix_sums((steps * np.where(rising, slope, 1.0))[::-1]),
    )
    ends = np.concatenate([[-np.inf], bends, [np.inf]])
    vertices = np.clip((passed + to_come[::-1]) / (2 * game.penalty), ends[:-1], ends[1:])
    stray = gamma(roundings + 8) * max(1.0, abs(slope)) * float(np.abs(steps).sum())
    return np.concatenate([vertices, bends])[:, None], stray * stray / (4 * game.penalty)
