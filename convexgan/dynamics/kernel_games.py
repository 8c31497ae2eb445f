"""Kernel discriminators against free points: exact descent-ascent, with the discriminator as a sum of kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import as_rows, check_count, check_number
from convexgan.dynamics.kernels import Kernel, curvature
from convexgan.dynamics.linear_games import LinearGame, Step, as_matrix, resolve_step
from convexgan.updates import Game, Rates, State
from convexgan.updates.game import pair

Array = NDArray[np.float64]


class Critic:
    """A function real * sum_i p_i K(., x_i) - sum_t weights_t sum_j q_j K(., centres_tj), as a player: it adds.

    Parameters
    ----------
    real : (..., 1, 1) array
        The coefficient of the data.
    weights : (T, ..., 1, 1) array
        The coefficient of each cloud of points.
    centres : (T, ..., n, dim) array
        The clouds, in the order in which they were met.
    first : int
        How many earlier clouds were forgotten: two critics of one history are aligned by it.
    """

    __array_ufunc__ = None  # an array times a critic is the critic's to compute

    def __init__(self, real: Array, weights: Array, centres: Array, first: int = 0) -> None:
        self.real, self.weights, self.centres, self.first = real, weights, centres, first

    def __mul__(self, number: Any) -> Critic:
        return Critic(number * self.real, number * self.weights, self.centres, self.first)

    __rmul__ = __mul__

    def __add__(self, other: Critic) -> Critic:
        short, long = sorted((self, other), key=lambda critic: critic.first + len(critic.weights))
        start = max(short.first, long.first - len(short.weights))  # if all in common is forgotten: just before
        early = min(start, long.first)
        head = long.first - early
        shape = np.broadcast_shapes(long.weights.shape[1:], short.weights.shape[1:])
        weights = np.zeros((head + len(long.weights), *shape))
        weights[head:] = long.weights
        weights[start - early :][: len(short.weights)] += short.weights
        centres = np.concatenate([short.centres[:head], long.centres]) if head else long.centres
        return Critic(self.real + other.real, weights, centres, early)

    def __sub__(self, other: Critic) -> Critic:
        return self + -1.0 * other

    def forget(self, threshold: float) -> Critic:
        """The critic without its oldest clouds whose weights are all below the threshold times the largest."""
        sizes = np.abs(self.weights).reshape(len(self.weights), -1).max(axis=1, initial=0)
        kept = np.flatnonzero(sizes > threshold * sizes.max(initial=0))
        start = int(kept[0]) if len(kept) else 0
        if start == 0:
            return self
        return Critic(self.real, self.weights[start:], self.centres[start:], self.first + start)


class KernelGame(Game):
    """min over points Y, max over f: sum p_i f(x_i) - sum q_j f(y_j) - lam |f|^2 / 2 in the kernel's space.

    The players are Y, (..., n, dim), and a `Critic`.

    Parameters
    ----------
    data : (N, dim) array
        True points.
    kernel : Kernel
        `GaussianKernel`, `RationalQuadratic`, `KernelSum`, or an object with their three methods.
    lam : float or (...) array
        Regularisation; an array makes a batch of games.
    p : (N,) array, optional
        Masses of the true points, with sum 1; equal by default.
    q : (n,) array, optional
        Masses of the generated points, with sum 1; equal by default.

    References
    ----------
    [KG] Becker et al., Local Convergence of GDA for Training GANs, arXiv 2305.08277, equations 5 and 6.
    """

    def __init__(self, data: Any, kernel: Kernel, lam: Any, p: Any = None, q: Any = None) -> None:
        self.data = as_rows(data, "data").astype(np.float64)
        self.kernel = kernel
        self.lam = np.asarray(lam, dtype=np.float64)[..., None, None]
        if not np.isfinite(self.lam).all() or (self.lam <= 0).any():
            raise ValueError(f"lam must be finite and positive, got {lam!r}.")
        self.p = as_masses(p, "p", len(self.data))
        self._q = q
        curvature(kernel)

    def q(self, points: Array) -> Array:
        """(n,) masses of the generated points."""
        return as_masses(self._q, "q", points.shape[-2])

    def grad_x(self, x: Array, y: Critic) -> Array:
        """-q_j grad f(y_j)."""
        return -self.q(x)[:, None] * self.slope(x, y)

    def grad_y(self, x: Array, y: Critic) -> Critic:
        """sum p_i K(., x_i) - sum q_j K(., y_j) - lam f."""
        shape = np.broadcast_shapes((*x.shape[:-2], 1, 1), self.lam.shape, y.weights.shape[1:])
        old = np.broadcast_to(-self.lam * y.weights, (len(y.weights), *shape))
        weights = np.concatenate([old, np.ones((1, *shape))])
        past = np.broadcast_to(y.centres, (len(y.centres), *x.shape))
        return Critic(1 - self.lam * y.real, weights, np.concatenate([past, x[None]]), y.first)

    def slope(self, points: Array, critic: Critic) -> Array:
        """(..., m, dim) gradients of the critic at points (..., m, dim)."""
        pull = critic.real * self._pull(points, self.data, self.p)
        if len(critic.weights):
            push = self._pull(points, critic.centres, self.q(critic.centres))
            pull = pull - (critic.weights * push).sum(axis=0)
        return pull

    def _pull(self, points: Array, centres: Array, masses: Array) -> Array:
        gaps = points[..., :, None, :] - centres[..., None, :, :]
        slopes = self.kernel.slope(np.einsum("...d,...d->...", gaps, gaps)) * masses
        pull: Array = 2 * np.einsum("...mn,...mnd->...md", slopes, gaps)
        return pull

    def silent(self, points: Array) -> Critic:
        """The critic 0, with which training starts."""
        batch = points.shape[:-2]
        return Critic(np.zeros((*batch, 1, 1)), np.zeros((0, *batch, 1, 1)), np.zeros((0, *points.shape)))

    def rest(self, points: Array) -> Critic:
        """The best critic of points that stand still."""
        batch = np.broadcast_shapes(points.shape[:-2], self.lam.shape[:-2])
        price = np.broadcast_to(1 / self.lam, (*batch, 1, 1))
        return Critic(price, price[None], np.broadcast_to(points, (1, *batch, *points.shape[-2:])))


def simulate_points(
    game: KernelGame,
    points: Any,
    rates: Rates,
    *,
    steps: int = 1000,
    method: str | Step = "alternating",
    critic: Critic | None = None,
    threshold: float = 1e-12,
) -> Array:
    """(steps + 1, ..., n, dim) path of the points: exact, with the memory of every past cloud that still counts.

    Parameters
    ----------
    game : KernelGame
        The game, or a batch: its lam and widths, the points and the rates broadcast.
    points : (..., n, dim) array
        Where the generated points start.
    rates : number, array or pair
        Step sizes eta_g of the points and eta_d of the critic.
    steps : int
        The number of steps.
    method : str or step function
        As for `update_matrix`.
    critic : Critic, optional
        Where the critic starts; 0 by default.
    threshold : float
        A past cloud is forgotten when its weight, (1 - eta_d lam)^age, falls below this.
    """
    rate_x, rate_y = (as_matrix(rate) for rate in pair(rates))
    check_number(threshold, "threshold")
    points = np.asarray(points, dtype=np.float64)
    if points.ndim < 2 or points.shape[-1] != game.data.shape[1] or not np.isfinite(points).all():
        raise ValueError(f"points must be finite, (..., n, {game.data.shape[1]}), got shape {points.shape}.")
    gamma = curvature(game.kernel)
    batch = np.broadcast_shapes(points.shape[:-2], *(a.shape[:-2] for a in (game.lam, rate_x, rate_y)), gamma.shape)
    points = np.broadcast_to(points, batch + points.shape[-2:])
    step = resolve_step(method)
    state = State(points, game.silent(points) if critic is None else critic)
    path = np.empty((check_count(steps, "steps") + 1, *points.shape))
    path[0] = points
    for index in range(1, steps + 1):
        state = step(game, state, (rate_x, rate_y))
        state = state._replace(y=state.y.forget(threshold))
        path[index] = state.x
    return path


def point_modes(kernel: Kernel, lam: Any, p: Any = 1.0, q: Any = 1.0) -> LinearGame:
    """A generated point of mass q at a true one of mass p, as two numbers: its offset and the critic's slope there.

    With rates (eta_g, eta_d), A = eta_d lam, B = eta_g q gamma (p - q) / lam and C = eta_d eta_g gamma q^2 the
    eigenvalues solve s^2 - (2-A-B) s + (1-A)(1-B) + C = 0 (simultaneous) or s^2 - (2-A-B-C) s + (1-A)(1-B) = 0.
    The critic's other directions, which the point does not feel, decay by 1 - A: A < 2 is needed besides.

    Parameters
    ----------
    kernel : Kernel
        An array of widths makes a batch.
    lam, p, q : float or (...) array
        Regularisation and masses of the two points; other points are far away.

    References
    ----------
    [KG], section 4.
    """
    gamma = curvature(kernel)
    lam, p, q = (_checked(value, name) for value, name in ((lam, "lam"), (p, "p"), (q, "q")))
    return LinearGame.of_modes(q * gamma * (p - q) / lam, -q, -q * gamma, -lam)


def linearize(game: KernelGame, points: Any) -> LinearGame:
    """The game around points that stand still under their best critic: their offsets, and its slopes at them.

    Exact: the slopes at the points are all that the points feel of the critic. Points on the modes give the matched
    modes, points of one cloud its mean and deviation modes, a lone point the one that freezes or runs.

    Parameters
    ----------
    game : KernelGame
        One game, not a batch.
    points : (n, dim) array
        Where the gradient of the best critic vanishes.

    Raises
    ------
    ValueError
        The points are moved by their best critic.
    """
    points = as_rows(points, "points").astype(np.float64)
    n, dim = points.shape
    q, rest = game.q(points), game.rest(points)
    moved, scale = np.abs(game.slope(points, rest)).max(), np.sqrt(curvature(game.kernel)) / game.lam.item()
    if moved > 1e-8 * scale:
        raise ValueError(f"points move: their best critic has slope {moved:.3g} there; linearise at rest only.")
    data_hessians = _hessians(game.kernel, points, game.data)
    self_hessians = _hessians(game.kernel, points, points)
    bend = np.einsum("i,jiab->jab", game.p, data_hessians) - np.einsum("k,jkab->jab", q, self_hessians)
    xx = np.zeros((n, dim, n, dim))
    xx[np.arange(n), :, np.arange(n), :] = -q[:, None, None] * bend / game.lam.item()
    yx = np.einsum("k,jkab->jakb", q, self_hessians)  # a centre's derivative is minus the point's, its weight is -q
    size, masses = n * dim, np.repeat(q, dim)
    return LinearGame(xx.reshape(size, size), -np.diag(masses), yx.reshape(size, size), -game.lam.item() * np.eye(size))


def _hessians(kernel: Kernel, points: Array, centres: Array) -> Array:
    """(m, n, dim, dim) second derivatives of K(y, c) in y."""
    gaps = points[:, None, :] - centres[None, :, :]
    r2 = np.einsum("mnd,mnd->mn", gaps, gaps)
    outer = gaps[..., :, None] * gaps[..., None, :]
    flat = 2 * kernel.slope(r2)[..., None, None] * np.eye(points.shape[1])
    return flat + 4 * kernel.bend(r2)[..., None, None] * outer


def as_masses(masses: Any, name: str, count: int) -> Array:
    """Positive masses with sum 1, (count,)."""
    if masses is None:
        return np.full(count, 1 / count)
    found = np.asarray(masses, dtype=np.float64)
    if found.shape != (count,) or not (found > 0).all() or abs(found.sum() - 1) > 1e-9:
        raise ValueError(
            f"{name} must be {count} positive masses with sum 1, got shape {found.shape} and sum {found.sum():.6g}: "
            f"divide by {name}.sum()."
        )
    return found


def _checked(value: Any, name: str) -> Array:
    number = np.asarray(value, dtype=np.float64)
    if not np.isfinite(number).all() or (number <= 0).any():
        raise ValueError(f"{name} must be finite and positive, got {value!r}.")
    return number
