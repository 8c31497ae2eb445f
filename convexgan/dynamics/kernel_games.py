"""Kernel discriminators: exact descent-ascent of points or of a generator, the discriminator as a sum of kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats, as_rows
from convexgan._tools.checks import check_count, check_finite, check_number
from convexgan.dynamics.kernels import Kernel, curvature
from convexgan.dynamics.linear_games import LinearGame, as_matrix
from convexgan.dynamics.point_generators import FreePoints, PointGenerator
from convexgan.dynamics.tangent import differences, flat, like, parts
from convexgan.updates import Game, Player, Rates, State, Step, resolve_step
from convexgan.updates.game import each, pair

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
    """min over points y_j, max over f: sum p_i f(x_i) - sum q_j f(y_j) - lam |f|^2 / 2 in the kernel's space.

    The players are the points (..., n, dim), or the weights of a generator of them, and a `Critic`.

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
    generator : PointGenerator, optional
        `LinearPoints`, `NetworkPoints`, or an object with their two methods; by default the points are free.

    References
    ----------
    [KG] Becker et al., Local Convergence of GDA for Training GANs, arXiv 2305.08277, equations 5 and 6.
    """

    def __init__(
        self,
        data: Any,
        kernel: Kernel,
        lam: Any,
        p: Any = None,
        q: Any = None,
        generator: PointGenerator | None = None,
    ) -> None:
        self.data = as_rows(data, "data").astype(np.float64)
        check_finite(self.data, "data")
        self.kernel = kernel
        self.lam = as_floats(lam, "lam")[..., None, None]
        if not np.isfinite(self.lam).all() or (self.lam <= 0).any():
            raise ValueError(f"lam must be finite and positive, got {lam!r}.")
        self.p = as_masses(p, "p", len(self.data))
        self._q = q
        self.generator: PointGenerator = generator or FreePoints()
        curvature(kernel)

    def q(self, points: Array) -> Array:
        """(n,) masses of the generated points."""
        return as_masses(self._q, "q", points.shape[-2])

    def grad_x(self, x: Player, y: Critic) -> Player:
        """-q_j grad f(y_j), pulled back to what moves the points."""
        points = self.generator.points(x)
        return self.generator.pull(x, -self.q(points)[:, None] * self.slope(points, y))

    def grad_y(self, x: Player, y: Critic) -> Critic:
        """sum p_i K(., x_i) - sum q_j K(., y_j) - lam f."""
        x = self.generator.points(x)
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

    def linearized(self, points: Any) -> LinearGame:
        """The game around points that their best critic leaves at rest, see `linearize`.

        Raises
        ------
        ValueError
            There are no points, or they are moved by their best critic.
        """
        if points is None:
            raise ValueError("saddle is missing: pass points that their best critic leaves at rest.")
        return linearize(self, points)


def simulate_points(
    game: KernelGame,
    start: Any,
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
        The game, or a batch: its lam and widths, the start and the rates broadcast.
    start : (..., n, dim) array, or weights of the game's generator
        Where the generated points start.
    rates : number, array or pair
        Step sizes eta_g of the points, or of the weights, and eta_d of the critic.
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
    start = _checked_start(game, start)
    batches = [part.shape[:-2] for part in (*parts(start), game.lam, rate_x, rate_y)]
    batch = np.broadcast_shapes(*batches, curvature(game.kernel).shape)
    start = each(lambda part: np.broadcast_to(part, batch + part.shape[-2:]), start)
    points, step = game.generator.points(start), resolve_step(method)
    state = State(start, game.silent(points) if critic is None else critic)
    path = np.empty((check_count(steps, "steps") + 1, *points.shape))
    path[0] = points
    for index in range(1, steps + 1):
        state = step(game, state, (rate_x, rate_y))
        state = state._replace(y=state.y.forget(threshold))
        path[index] = game.generator.points(state.x)
    return path


def _checked_start(game: KernelGame, start: Any) -> Player:
    """Float64 arrays of at least two axes that generate finite points of the data's dimension."""
    arrays = tuple(as_floats(part, "start") for part in parts(start))
    dim = game.data.shape[1]
    if min(part.ndim for part in arrays) < 2 or not all(np.isfinite(part).all() for part in arrays):
        raise ValueError(f"start must hold finite arrays of at least two axes, got shapes {[a.shape for a in arrays]}.")
    made = arrays if isinstance(start, tuple) else arrays[0]
    shape = game.generator.points(made).shape
    if shape[-1] != dim:
        raise ValueError(f"start generates points of shape {shape}: they must end in (n, {dim}), as data does.")
    return made


def point_modes(kernel: Kernel, lam: Any, p: Any = 1.0, q: Any = 1.0) -> LinearGame:
    """A generated point of mass q at a true one of mass p, as two numbers: its offset and the critic's slope there.

    With rates (eta_g, eta_d), A = eta_d lam, B = eta_g q gamma (p - q) / lam and C = eta_d eta_g gamma q^2 the
    eigenvalues solve s^2 - (2-A-B) s + (1-A)(1-B) + C = 0 (simultaneous) or s^2 - (2-A-B-C) s + (1-A)(1-B) = 0.
    The critic's other directions, which the point does not feel, decay by 1 - A: A < 2 is needed besides, and where it
    is not so `predict` says "diverge".

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
    lam, p, q = (as_positive(value, name) for value, name in ((lam, "lam"), (p, "p"), (q, "q")))
    return replace(LinearGame.of_modes(q * gamma * (p - q) / lam, -q, -q * gamma, -lam), unfelt=-lam)


def linearize(game: KernelGame, start: Any) -> LinearGame:
    """The game around points, or weights, that stand still under their best critic: their moves, and its slopes.

    Exact: the slopes at the points are all that the points feel of the critic. Points on the modes give the matched
    modes, points of one cloud its mean and deviation modes, a lone point the one that freezes or runs.

    Parameters
    ----------
    game : KernelGame
        One game, not a batch.
    start : (n, dim) array, or weights of the game's generator
        Where the gradient under the best critic vanishes.

    Raises
    ------
    ValueError
        They are moved by their best critic.
    """
    start = _checked_start(game, start)
    points = game.generator.points(start)
    n, dim = points.shape
    q, rest, lam = game.q(points), game.rest(points), game.lam.item()
    pull = -q[:, None] * game.slope(points, rest)
    moved, scale = np.abs(flat(game.generator.pull(start, pull))).max(), np.sqrt(curvature(game.kernel)) / lam
    if moved > 1e-8 * scale:
        raise ValueError(f"points move: their best critic has slope {moved:.3g} there; linearise at rest only.")
    data_hessians = _hessians(game.kernel, points, game.data)
    self_hessians = _hessians(game.kernel, points, points)
    bend = np.einsum("i,jiab->jab", game.p, data_hessians) - np.einsum("k,jkab->jab", q, self_hessians)
    xx = np.zeros((n, dim, n, dim))
    xx[np.arange(n), :, np.arange(n), :] = -q[:, None, None] * bend / lam
    yx = np.einsum("k,jkab->jakb", q, self_hessians)  # a centre's derivative is minus the point's, its weight is -q
    size, masses = n * dim, np.repeat(q, dim)
    J = np.stack([flat(game.generator.pull(start, unit)) for unit in np.eye(size).reshape(size, n, dim)])
    xx_weights = J.T @ xx.reshape(size, size) @ J + _turning(game.generator, start, pull)
    blocks = xx_weights, -J.T * masses, yx.reshape(size, size) @ J, -lam * np.eye(size)
    return LinearGame(*blocks, unfelt=np.asarray(-lam))


def _turning(generator: PointGenerator, weights: Player, pull: Array) -> Array:
    """The derivative of a pulled-back gradient at a fixed gradient of the points: 0 where points are linear."""

    def field(entries: Array) -> Array:
        return flat(generator.pull(like(weights, entries), pull))

    entries = flat(weights)
    product = differences(field, entries)
    return np.stack([product(unit) for unit in np.eye(len(entries))], axis=1)


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
    found = as_floats(masses, name)
    if found.shape != (count,) or not (found > 0).all() or abs(found.sum() - 1) > 1e-9:
        raise ValueError(
            f"{name} must be {count} positive masses with sum 1, got shape {found.shape}, sum {found.sum():.6g}, "
            f"least {found.min(initial=np.inf):.6g}: drop points without mass and divide by {name}.sum()."
        )
    return found


def as_positive(value: Any, name: str) -> Array:
    """A number or an array of finite positive ones."""
    number = as_floats(value, name)
    if not np.isfinite(number).all() or (number <= 0).any():
        raise ValueError(f"{name} must be finite and positive, got {value!r}.")
    return number
