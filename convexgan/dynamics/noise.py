"""Stochastic gradients: mean and covariance that descent-ascent settles to, and whether it does in the mean square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_number
from convexgan.dynamics.linear_games import LinearGame
from convexgan.dynamics.linear_steps import LinearStep
from convexgan.dynamics.tangent import Tangent
from convexgan.updates import Game, Step, resolve_step
from convexgan.updates.game import pair

Array = NDArray[np.float64]
LARGEST = 40  # numbers in a state, memory included: the Lyapunov operator has their fourth power of entries


@dataclass(frozen=True, eq=False)
class NoisyForecast:
    """The first two moments of the players' distance to the saddle point, while minibatches are drawn independently.

    Attributes
    ----------
    rate : float
        The factor per step of the root mean square: the root of the spectral radius of P -> E A P A', where a step of
        a random minibatch is z -> A z + b.
    mean : (n + m,) array
        Of x and y less the saddle point, in the end; infinite if unstable. Not 0 where a step uses one minibatch more
        than once, as alternating ones do.
    covariance : (n + m, n + m) array
        In the end; infinite if unstable.
    """

    rate: float
    mean: Array
    covariance: Array

    @property
    def stable(self) -> bool:
        """Whether mean squares stay bounded: stability in the mean square, stricter than that of the mean."""
        return self.rate < 1


def predict_noise(
    games: Sequence[Game], rates: Any, method: str | Step = "alternating", *, saddle: Any = None
) -> NoisyForecast:
    """What a method with stochastic gradients settles to near a saddle point of the mean of minibatch games.

    Each step draws one of the games, all equally likely, and uses its gradients throughout. To first order the step is
    z -> A z + b with random A and b, so the second moments solve the linear equation P = E (A z + b)(A z + b)'; with
    constant A it is the discrete Lyapunov equation P = A P A' + E b b'.

    Parameters
    ----------
    games : sequence of Game
        One for each minibatch, with the same players; `PayoffGame` of each minibatch, say. Linear games are at rest
        at 0, where no noise is left: that is, noise that the gradients' slopes alone have.
    rates : number or pair
    method : str or step function
        As for `predict_gda`.
    saddle : State or pair of players, optional
        Where the mean of the gradients vanishes; by default the ``saddle`` of the first game, and 0 for linear games.

    Raises
    ------
    ValueError
        The mean gradient does not vanish, a game has a kink there, or the state has more than 40 numbers.
    """
    if not games:
        raise ValueError("games is empty: give one game for each minibatch.")
    rate_x, rate_y = (check_number(rate, "step sizes") for rate in pair(rates))
    batch, gradients = _linear(games, saddle)
    A, b = _affine(batch, gradients, (rate_x, rate_y), resolve_step(method))
    size, players = A.shape[-1], batch.xx.shape[-1] + batch.yy.shape[-1]
    operator = np.mean([np.kron(each, each) for each in A], axis=0)
    rate = float(np.sqrt(np.abs(np.linalg.eigvals(operator)).max()))
    if rate >= 1:
        return NoisyForecast(rate, np.full(players, np.inf), np.full((players, players), np.inf))
    mean = np.linalg.solve(np.eye(size) - A.mean(axis=0), b.mean(axis=0))
    cross = np.mean((A @ mean)[:, :, None] * b[:, None, :], axis=0)
    source = cross + cross.T + np.mean(b[:, :, None] * b[:, None, :], axis=0)
    second = np.linalg.solve(np.eye(size**2) - operator, source.ravel()).reshape(size, size)
    covariance = second - np.outer(mean, mean)
    return NoisyForecast(rate, mean[:players], (covariance + covariance.T)[:players, :players] / 2)


def _linear(games: Sequence[Game], saddle: Any) -> tuple[LinearGame, Array]:
    """The games linearised at the point, side by side, and their gradients (S, n + m) there."""
    point = getattr(games[0], "saddle", None) if saddle is None else saddle
    if point is None and isinstance(games[0], LinearGame):
        point = np.zeros(games[0].xx.shape[-1]), np.zeros(games[0].yy.shape[-1])
    if point is None:
        raise ValueError("saddle is missing: pass the players (x, y) at which the mean of the gradients vanishes.")
    tangents = [Tangent(game, point) for game in games]
    gradients = np.stack([tangent.gradient for tangent in tangents])
    tangents[0].check_still(gradients.mean(axis=0))
    linear = [tangent.dense() for tangent in tangents]
    blocks = (np.stack([getattr(game, name) for game in linear]) for name in ("xx", "xy", "yx", "yy"))
    return LinearGame(*blocks), gradients


def _affine(batch: LinearGame, gradients: Array, rates: tuple[float, float], step: Step) -> tuple[Array, Array]:
    """A (S, N, N) and b (S, N) of each game's step, on the players and on what the method remembers.

    The gradients at the point are the slopes in one more coordinate of x, which has step size 0 and so stays 1.
    """
    n, m = batch.xx.shape[-1], batch.yy.shape[-1]
    xx = np.pad(batch.xx, [(0, 0), (0, 1), (0, 1)])
    xx[:, :n, n] = gradients[:, :n]
    yx = np.concatenate([batch.yx, gradients[:, n:, None]], axis=2)
    game = LinearGame(xx, np.pad(batch.xy, [(0, 0), (0, 1), (0, 0)]), yx, batch.yy)
    rate_x = np.append(np.full(n, rates[0]), 0.0)[:, None]
    one = LinearStep(game, np.zeros((n + 1, 1)), np.zeros((m, 1)), (rate_x, np.full((m, 1), rates[1])), step)
    if one.size - 1 > LARGEST:
        raise ValueError(
            f"the players and the method's memory are {one.size - 1} numbers, more than the {LARGEST} of which second "
            "moments are computed: predict a smaller game of the same kind."
        )
    found = one(np.eye(one.size))
    others = np.delete(np.arange(one.size), n)
    return found[:, others][:, :, others], found[:, others, n]
