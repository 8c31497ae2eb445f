"""Stochastic gradients: mean and covariance that descent-ascent settles to, and whether it does in the mean square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, gmres

from convexgan._tools.checks import check_number
from convexgan.dynamics.linear_games import LinearGame
from convexgan.dynamics.linear_steps import LinearStep
from convexgan.dynamics.tangent import Tangent
from convexgan.exceptions import SolverError
from convexgan.updates import Game, Step, resolve_step
from convexgan.updates.game import pair

Array = NDArray[np.float64]
LARGEST = 1000  # numbers in a state, memory included: dozens of matrices of that size are kept
DENSE = 12  # up to which all eigenvalues of the map of second moments are computed
ROUNDING = 1e-9  # in which matrices of different minibatches differ by differentiation alone, relative
ACCURACY = 1e-12  # of eigenvalue and moments, relative


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
    constant A it is the discrete Lyapunov equation P = A P A' + E b b'. That is solved by doubling, and where A is
    random by a Krylov iteration on matrices P: seconds for some hundred numbers, minutes for a thousand.

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
        The mean gradient does not vanish, a game has a kink there, or the state has more than 1,000 numbers.
    SolverError
        The iteration did not separate eigenvalues or did not settle, close to instability.

    References
    ----------
    Smith, Matrix equation XA + BX = C, 1968 (doubling).
    """
    if not games:
        raise ValueError("games is empty: give one game for each minibatch.")
    rate_x, rate_y = (check_number(rate, "step sizes") for rate in pair(rates))
    batch, gradients = _linear(games, saddle)
    A, b = _affine(batch, gradients, (rate_x, rate_y), resolve_step(method))
    players, drift = batch.xx.shape[-1] + batch.yy.shape[-1], A.mean(axis=0)
    if np.ptp(A, axis=0).max() <= ROUNDING * np.abs(A).max():  # constant
        A = drift[None]
    rate = _rate(A)
    if rate >= 1:
        return NoisyForecast(rate, np.full(players, np.inf), np.full((players, players), np.inf))
    mean = np.linalg.solve(np.eye(len(drift)) - drift, b.mean(axis=0))
    cross = np.mean((A @ mean)[:, :, None] * b[:, None, :], axis=0)
    source = cross + cross.T + np.mean(b[:, :, None] * b[:, None, :], axis=0)
    covariance = _second(A, drift, source) - np.outer(mean, mean)
    return NoisyForecast(rate, mean[:players], covariance[:players, :players])


def _moved(A: Array, P: Array) -> Array:
    """E A P A'."""
    total = np.zeros_like(P)
    for each in A:
        total += each @ P @ each.T
    return total / len(A)


def _rate(A: Array) -> float:
    """The root of the spectral radius of P -> E A P A', which is an eigenvalue: the map keeps P positive (Perron)."""
    size = A.shape[-1]
    if len(A) == 1:
        return float(np.abs(np.linalg.eigvals(A[0])).max())
    moments = LinearOperator((size**2, size**2), lambda p: _moved(A, p.reshape(size, size)).ravel(), dtype=np.float64)
    if size <= DENSE:
        found = np.linalg.eigvals(moments @ np.eye(size**2))
    else:
        start = np.eye(size).ravel()
        options = {"which": "LR", "v0": start, "ncv": 40, "maxiter": 100, "tol": ACCURACY, "return_eigenvectors": False}
        try:
            found = eigs(moments, k=1, **options)
        except ArpackNoConvergence:
            raise SolverError(
                "Arnoldi iteration did not find how fast second moments grow: other modes are nearly as fast. Larger "
                "step sizes part them, or predict a smaller game."
            ) from None
    return float(np.sqrt(np.max(found.real)))


def _second(A: Array, drift: Array, source: Array) -> Array:
    """P = E A P A' + source: by Krylov iteration, of which P = drift P drift' + source is the preconditioner."""
    size, known = len(drift), _powers(drift)

    def settled(source: Array) -> Array:
        return _doubled(known, source.reshape(size, size)).ravel()

    if len(A) == 1:
        return _doubled(known, source)
    shape = (size**2, size**2)
    left = LinearOperator(shape, lambda p: settled(p - _moved(A, p.reshape(size, size)).ravel()), dtype=np.float64)
    right = settled(source.ravel())
    found, failed = gmres(left, right, x0=right, rtol=ACCURACY, atol=0.0, restart=30, maxiter=30)
    if failed:
        raise SolverError("second moments did not settle within 900 products: the step sizes are too near instability.")
    P: Array = found.reshape(size, size)
    return (P + P.T) / 2


def _powers(M: Array) -> list[Array]:
    """M, M^2, M^4, ... until they vanish to rounding."""
    powers = [M]
    while np.abs(powers[-1]).max() > np.finfo(np.float64).eps ** 2 and len(powers) < 64:
        powers.append(powers[-1] @ powers[-1])
    return powers


def _doubled(powers: list[Array], source: Array) -> Array:
    """The sum of M^k source M'^k over all k, twice as many at each power (Smith, 1968)."""
    total = source
    for power in powers:
        total = total + power @ total @ power.T
    return total


def _linear(games: Sequence[Game], saddle: Any) -> tuple[LinearGame, Array]:
    """The games linearised at the point, side by side, and their gradients (S, n + m) there."""
    point = getattr(games[0], "saddle", None) if saddle is None else saddle
    if point is None:
        raise ValueError("saddle is missing: pass the players (x, y) at which the mean of the gradients vanishes.")
    tangents = [Tangent(game, point) for game in games]
    _check_size(sum(tangents[0].sizes))
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
    _check_size(one.size - 1)
    found = one(np.eye(one.size))
    others = np.delete(np.arange(one.size), n)
    return found[:, others][:, :, others], found[:, others, n]


def _check_size(numbers: int) -> None:
    if numbers > LARGEST:
        raise ValueError(
            f"the players and the method's memory are {numbers:,} numbers, more than the {LARGEST:,} of which second "
            "moments are computed: predict a smaller game of the same kind."
        )
