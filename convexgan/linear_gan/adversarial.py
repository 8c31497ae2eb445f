"""Linear generators trained by descent-ascent against quadratic discriminators, with and without fixed pairs.

    min over W (k, d), max over symmetric A (d, d):
    <A, Sh - W'W> - (price / 2) |A|^2 + penalty |W|^2 + (weight / m) sum_i |x_i - W'z_i|^2,       i = 1..m pairs

D(x) = x'Ax is a two-layer network of quadratic neurons, A = sum v_j u_j u_j'. Without pairs the optimal generator is
that of `solve` with beta = price * penalty: the discriminator's best response A = (Sh - B) / price makes the game
|Sh - B|^2 / (2 price) + penalty tr B in B = W'W, minimal at B* with eigenvalues (l - beta)_+.

Around that optimum each pair of eigenvectors is an oscillator, which `price` alone damps, whatever k. Pairs cost
nothing iff some W has W'W = B* and ZW = X, which takes k well above m: then they only add friction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convexgan._tools.arrays import as_floats
from convexgan._tools.checks import check_count, check_number
from convexgan.dynamics import LinearGame
from convexgan.gaussian import covariance_factor
from convexgan.linear_gan.learners import least_squares
from convexgan.linear_gan.sweeps import check_spectrum, generator_error
from convexgan.updates import Game, State, Step, resolve_step

Array = NDArray[np.float64]
ROUNDING = 1e-9  # of the largest eigenvalue or singular value
AT_REST = 1e-6  # of the forces on a generator that cancel where it is at rest
LOST = 1e6  # times the data's size: a run beyond it has diverged


class AdversarialGame(Game):
    """The game of W (..., k, d) and A (..., d, d); leading axes are independent games, played side by side.

    Parameters
    ----------
    X : (..., n, d) array
        Samples; the first m are paired.
    Z : (..., m, k) array
        Latents of the first m <= n samples.
    weight : float or array
        Of the pairs; 0 is the plain game. An array broadcasts against the leading axes.
    price : float
        Of the discriminator's norm, positive.
    penalty : float
        Of E|W'z|^2, the `generator_penalty` of `solve`.
    """

    def __init__(self, X: ArrayLike, Z: ArrayLike, weight: Any, price: float, penalty: float = 1.0) -> None:
        rows, self.Z = _finite(X, "X"), _finite(Z, "Z")
        if self.pairs > rows.shape[-2]:
            samples = rows.shape[-2]
            raise ValueError(f"Z has {self.pairs} rows, more pairs than the {samples} samples of X: drop some.")
        weights = as_floats(weight, "weight")
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError(f"weight must be finite and >= 0, got {weight}.")
        self.price = check_number(price, "price", positive=True)
        self.penalty = check_number(penalty, "penalty", positive=True)
        self.weight = weights[..., None, None]
        if not rows.any(axis=(-1, -2)).all():
            raise ValueError("X is 0: there is no law to learn.")
        self.X = rows[..., : self.pairs, :]
        self.second = np.swapaxes(rows, -1, -2) @ rows / rows.shape[-2]

    @property
    def pairs(self) -> int:
        """m."""
        return int(self.Z.shape[-2])

    @property
    def beta(self) -> float:
        """The beta of `solve` with the same optimal generator."""
        return self.price * self.penalty

    def grad_x(self, x: Array, y: Array) -> Array:
        """2 W (penalty I - A) + (2 weight / m) Z'(Z W - X)."""
        misfit = np.swapaxes(self.Z, -1, -2) @ (self.Z @ x - self.X)
        return np.asarray(2 * (self.penalty * x - x @ y + self.weight / self.pairs * misfit))

    def grad_y(self, x: Array, y: Array) -> Array:
        """Sh - W'W - price A."""
        return np.asarray(self.second - np.swapaxes(x, -1, -2) @ x - self.price * y)

    def value(self, W: Array) -> Array:
        """The game (...) at W and the best response to it, without the pairs."""
        excess = self.second - np.swapaxes(W, -1, -2) @ W
        return np.asarray(
            np.sum(excess**2, axis=(-1, -2)) / (2 * self.price) + self.penalty * np.sum(W**2, axis=(-1, -2))
        )

    @cached_property
    def optimum(self) -> Array:
        """The W (..., k, d) of least `value`: the k leading eigenpairs of Sh, eigenvalues lowered by beta."""
        values, vectors = np.linalg.eigh(self.second)
        k, d = self.Z.shape[-1], values.shape[-1]
        kept = min(k, d)
        roots = np.sqrt(np.maximum(values - self.beta, 0))[..., ::-1][..., :kept]
        W = np.zeros((*values.shape[:-1], k, d))
        W[..., :kept, :] = roots[..., None] * np.swapaxes(vectors[..., ::-1], -1, -2)[..., :kept, :]
        return W

    def interpolating_optimum(self) -> Array:
        """A W (..., k, d) of least `value` that also meets every pair: the optimum for every weight.

        Raises
        ------
        ValueError
            The pairs have a price: too few latents, or the smallest W that meets them exceeds B* in some direction.
        """
        W, fit = self.optimum, least_squares(self.X, self.Z, 0.0)
        values, vectors = np.linalg.eigh(np.swapaxes(W, -1, -2) @ W - np.swapaxes(fit, -1, -2) @ fit)
        rounding = ROUNDING * np.trace(self.second, axis1=-2, axis2=-1).max()
        rank = int((values > rounding).any(axis=tuple(range(values.ndim - 1))).sum())
        met = (self.X - self.Z @ fit) ** 2 <= rounding
        if not met.all() or values.min() < -rounding or self.Z.shape[-1] < self.pairs + rank:
            raise ValueError(
                f"no generator of {self.Z.shape[-1]} latents is optimal and meets {self.pairs} pairs: pass a Z with "
                "more columns, fewer pairs, or a smaller price * penalty."
            )
        rest = np.sqrt(np.maximum(values, 0))[..., None] * np.swapaxes(vectors, -1, -2)
        free = np.linalg.qr(np.swapaxes(self.Z, -1, -2), mode="complete")[0]
        return np.asarray(fit + free[..., self.pairs : self.pairs + rank] @ rest[..., values.shape[-1] - rank :, :])


@dataclass(frozen=True, eq=False)
class AdversarialRuns:
    """Trained games, recorded every few steps.

    Attributes
    ----------
    steps : (T,) array
        The steps after which was recorded.
    errors : (T, ...) array
        Test errors W2^2(law, N(0, W'W)); infinite once a run has diverged.
    gaps : (T, ...) array
        Relative gaps (value(W) - value*) / value* of the game without pairs; infinite likewise.
    W, A : (..., k, d), (..., d, d) arrays
        The players in the end.
    """

    steps: NDArray[np.int64]
    errors: Array
    gaps: Array
    W: Array
    A: Array

    def settled(self, values: Array, target: Any) -> Array:
        """The first recorded step (...) from which values (T, ...) stay at most at the target; infinite if none is."""
        outside = values > target
        last = len(values) - np.argmax(outside[::-1], axis=0)  # the record after the last one above the target
        last = np.where(outside.any(axis=0), last, 0)
        return np.where(last < len(values), self.steps[np.minimum(last, len(values) - 1)], np.inf)


def train_adversarial(
    game: AdversarialGame,
    W: ArrayLike,
    law: ArrayLike,
    rates: tuple[float, float],
    *,
    steps: int = 2000,
    every: int = 10,
    method: str | Step = "alternating",
) -> AdversarialRuns:
    """Descent-ascent from W and A = 0, all games in the same matrix products.

    Parameters
    ----------
    game : AdversarialGame
    W : (..., k, d) array
        Where the generators start; its leading axes are those of the runs.
    law : (d, d) array
        Second moment of the law, for the test error.
    rates : (float, float)
        Step sizes of W and A.
    steps, every : int
        Steps of each run, and between records.
    method : str or step function
        As for `convexgan.dynamics.update_matrix`.

    Raises
    ------
    ValueError
        W is not of the game's latents and dimensions, or a rate is none.
    """
    root, step = covariance_factor(law, "law"), resolve_step(method)
    steps, every = check_count(steps, "steps"), check_count(every, "every")
    a, b = (check_number(rate, "rates") for rate in rates)
    start = _finite(W, "W")
    k, d = game.Z.shape[-1], game.second.shape[-1]
    if start.shape[-2:] != (k, d) or root.shape[1] != d:
        found = f"W ends in {start.shape[-2:]} and law has {root.shape[1]} columns"
        raise ValueError(f"{found}, but the game is one of {k} latents and {d} dimensions.")
    best = game.value(game.optimum)
    limit = LOST * np.sqrt(np.trace(game.second, axis1=-2, axis2=-1).max())
    state, errors, gaps = State(start, np.zeros((*start.shape[:-2], d, d))), [], []
    with np.errstate(over="ignore", invalid="ignore"):
        for index in range(steps + 1):
            if index % every == 0:
                sound = (np.abs(state.x) < limit).all(axis=(-1, -2))
                seen = np.where(sound[..., None, None], state.x, 0)
                errors.append(np.where(sound, generator_error(seen, root), np.inf))
                gaps.append(np.where(sound, game.value(seen) / best - 1, np.inf))
            if index < steps:
                state = step(game, state, (a, b))
    return AdversarialRuns(np.arange(0, steps + 1, every), np.stack(errors), np.stack(gaps), state.x, state.y)


def linearize_adversarial(game: AdversarialGame, W: ArrayLike) -> LinearGame:
    """One game linearised where W and the best response to it are at rest, without the directions that never move.

    A direction never moves if it turns W without changing W'W or ZW. Latent directions that neither Z nor W uses are
    represented by one of them, so the matrices do not grow with k. Derived here from the payoff above.

    Parameters
    ----------
    game : AdversarialGame
        Without leading axes.
    W : (k, d) array
        A stationary point, such as `interpolating_optimum()`, `optimum` for weight 0, or the end of a run.

    Raises
    ------
    ValueError
        There are several games, or W is not at rest.
    """
    rows = _finite(W, "W")
    if rows.ndim != 2 or game.second.ndim != 2 or game.weight.size != 1:
        raise ValueError("linearize_adversarial takes one game and one W (k, d): index the leading axes away first.")
    A = (game.second - rows.T @ rows) / game.price
    forces = (game.penalty * rows, rows @ A, game.weight / game.pairs * game.Z.T @ game.X)
    if np.linalg.norm(game.grad_x(rows, A)) > AT_REST * sum(np.linalg.norm(force) for force in forces):
        raise ValueError("W is not at rest against the best response to it: train for longer, or pass an optimum.")
    d = rows.shape[1]
    used = np.linalg.matrix_rank(np.hstack([game.Z.T, rows]))
    latents = np.linalg.svd(np.hstack([game.Z.T, rows]))[0][:, : used + 1]
    Z, rows = game.Z @ latents, latents.T @ rows
    basis = _symmetric_basis(d)
    pull = game.weight.item() / game.pairs * Z.T @ Z
    xx = 2 * (np.kron(pull, np.eye(d)) + np.kron(np.eye(len(rows)), game.penalty * np.eye(d) - A))
    xy = -2 * np.einsum("ia,eab->ibe", rows, basis).reshape(len(xx), len(basis))
    moving, sizes, _ = np.linalg.svd(np.hstack([xx, xy]), full_matrices=False)
    moving = moving[:, sizes > ROUNDING * sizes[0]]
    xx, xy = moving.T @ xx @ moving, moving.T @ xy
    return LinearGame(xx, xy, xy.T, -game.price * np.eye(len(basis)))


def adversarial_modes(eigenvalues: ArrayLike, price: float, penalty: float = 1.0) -> LinearGame:
    """The game without pairs, linearised at its optimum: a batch of two-number games, one for each pair i <= j.

    Between eigenvectors i and j of Sh the coupling is sqrt(2 (t_i + t_j)), t = (l - beta)_+. Where both are generated
    only the price resists the oscillation: alternating steps (a, b) damp it by sqrt(1 - b price), whatever the step a,
    the frequency and k. Derived here from the payoff above.

    Parameters
    ----------
    eigenvalues : (d,) array
        Of Sh; there are at least d latents.
    price, penalty : float
        As for `AdversarialGame`.
    """
    values, t = _generated(eigenvalues, price, penalty)
    i, j = np.triu_indices(len(values))
    coupling = np.sqrt(2 * (t[i] + t[j]))
    resting = 2 * (penalty - (values[j] - t[j]) / price)
    return LinearGame.of_modes(resting, -coupling, -coupling, -price)


def paired_modes(
    eigenvalues: ArrayLike, n: int, k: int, weight: float, price: float, penalty: float = 1.0
) -> LinearGame:
    """The game with all n samples paired, linearised where pairs cost nothing: four-number games, one for each i <= j.

    Exact for ZZ' = k I, which Gaussian latents approach for k far above n. The smallest W that meets the pairs then
    has second moment c Sh, c = n/k: that share of every coupling is felt by latents which the pairs hold with
    curvature 2 weight k / n, the rest by latents which they leave free. The third number is a held latent that the
    discriminator does not feel. Too little weight damps little, too much freezes the held share; and the more
    latents, the smaller that share.

    Parameters
    ----------
    eigenvalues : (d,) array
        Of Sh, all of them above beta / (1 - c).
    n, k : int
        Samples and latents, k >= n + d.
    weight : float
        Positive.
    price, penalty : float
        As for `AdversarialGame`.

    Raises
    ------
    ValueError
        So few latents make pairs cost something.
    """
    values, t = _generated(eigenvalues, price, penalty)
    c = check_count(n, "n") / check_count(k, "k", n + len(values))
    if (t <= c * values).any():
        raise ValueError(f"with {k} latents {n} pairs cost something: increase k, or lower price * penalty.")
    i, j = np.triu_indices(len(values))
    held, both = 2 * c * (values[i] + values[j]), 2 * (t[i] + t[j])
    curvature = 2 * check_number(weight, "weight", positive=True) * k / n
    xx = np.broadcast_to(np.diag([curvature, 0.0, curvature]), (len(i), 3, 3))
    xy = -np.sqrt(np.stack([held, both - held, np.zeros(len(i))], axis=-1))[..., None]
    return LinearGame(xx, xy, np.swapaxes(xy, 1, 2), np.full((len(i), 1, 1), -price))


def _generated(eigenvalues: ArrayLike, price: float, penalty: float) -> tuple[Array, Array]:
    """Eigenvalues of Sh, descending, and of B*."""
    values = np.sort(check_spectrum(eigenvalues))[::-1]
    beta = check_number(price, "price", positive=True) * check_number(penalty, "penalty", positive=True)
    return values, np.maximum(values - beta, 0)


def _symmetric_basis(d: int) -> Array:
    """(d(d+1)/2, d, d): an orthonormal basis of the symmetric matrices."""
    i, j = np.triu_indices(d)
    basis = np.zeros((len(i), d, d))
    basis[np.arange(len(i)), i, j] = basis[np.arange(len(i)), j, i] = np.where(i == j, 1.0, np.sqrt(0.5))
    return basis


def _finite(array: ArrayLike, name: str) -> Array:
    """Matrices (..., rows, columns) in float64."""
    values = as_floats(array, name)
    if values.ndim < 2 or 0 in values.shape or not np.isfinite(values).all():
        raise ValueError(f"{name} must be a finite array (..., rows, columns), got shape {values.shape}.")
    return values
