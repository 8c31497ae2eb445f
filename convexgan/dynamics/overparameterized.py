"""Overparameterised generators: a wide ReLU layer matching a mean by gradient descent-ascent, predicted and exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta as beta_law

from convexgan._tools.arrays import as_floats
from convexgan._tools.checks import as_rng, check_choice, check_count, check_number
from convexgan.dynamics.linear_games import LinearGame
from convexgan.exceptions import SolverError
from convexgan.updates import Game, State, Step, resolve_step

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MeanMatching:
    """The game of [OP]: generator V ReLU(W z), V fixed, against the discriminator <d, x> - |d|^2 / 2.

    V (m x k) has entries of variance 1/k, W (k x p) starts at entries of variance 1/p, the n latents are standard
    Gaussian and fixed, and the target is a random point of unit length.

    Parameters
    ----------
    outputs : int
        The dimension m of the data.
    latents : int
        The dimension p of the latents.
    samples : int
        Their number n.

    References
    ----------
    [OP] Balaji et al., Understanding Overparameterization in GANs, ICLR 2021, arXiv 2104.05605, section 2.
    """

    outputs: int = 5
    latents: int = 10
    samples: int = 40

    def __post_init__(self) -> None:
        for name in ("outputs", "latents", "samples"):
            check_count(getattr(self, name), name)

    @property
    def kernel(self) -> float:
        """E JJ' = kernel * I, J the Jacobian of the generated mean in W: (p + (n - 1)/pi) / (2n), at any width."""
        return (self.latents + (self.samples - 1) / np.pi) / (2 * self.samples)


class MeanGame(Game):
    """Independent copies of the game: all seeds at once, and all widths side by side along the neurons' axis.

    The minimiser is W, (seeds, K, p) with K the sum of the widths; the maximiser is d, (seeds, widths, m).

    Parameters
    ----------
    V : (seeds, K, m) array
        The fixed outer weights, a row for each neuron.
    Z : (seeds, n, p) array
        Latents, shared by the widths of a seed.
    target : (seeds, m) array
        The mean to match.
    widths : sequence of int
        Their sum is K.
    """

    def __init__(self, V: Array, Z: Array, target: Array, widths: Sequence[int]) -> None:
        self.V, self.Z, self.target = V, Z, target
        self.starts = np.concatenate([[0], np.cumsum(widths)[:-1]])
        self.owner = np.repeat(np.arange(len(widths)), widths)
        self._transposed = np.ascontiguousarray(Z.swapaxes(1, 2))
        self._latest: tuple[Array, Array] | None = None

    def slopes(self, W: Array) -> Array:
        """(seeds, K, p) rows mean_i 1{w.z_i > 0} z_i: the gradient of mean_i ReLU(w.z_i)."""
        if self._latest is None or self._latest[0] is not W:  # one step and its record ask thrice for the same W
            active = (np.matmul(W, self._transposed) > 0).astype(np.float64)
            self._latest = (W, np.matmul(active, self.Z) / self.Z.shape[1])
        return self._latest[1]

    def residual(self, W: Array) -> Array:
        """(seeds, widths, m) target less generated mean."""
        neurons = np.einsum("skp,skp->sk", W, self.slopes(W))  # mean_i ReLU(w.z_i) = w . slope
        generated: Array = np.add.reduceat(self.V * neurons[..., None], self.starts, axis=1)
        return self.target[:, None] - generated

    def grad_x(self, x: Array, y: Array) -> Array:
        """-(V'd) slope for each neuron."""
        return self._pull(y) * self.slopes(x)

    def grad_y(self, x: Array, y: Array) -> Array:
        """Residual - d."""
        return self.residual(x) - y

    def _pull(self, d: Array) -> Array:
        pull: Array = -np.einsum("skm,skm->sk", self.V, d[:, self.owner])
        return pull[..., None]

    def kernels(self, W: Array) -> Array:
        """(seeds, widths, m, m) of JJ' = V diag(|slope|^2) V'."""
        slopes = self.slopes(W)
        weight = np.einsum("skp,skp->sk", slopes, slopes)
        outer = self.V[..., :, None] * self.V[..., None, :] * weight[..., None, None]
        kernels: Array = np.add.reduceat(outer, self.starts, axis=1)
        return kernels


@dataclass(frozen=True, eq=False)
class Runs:
    """Simulated trainings.

    Attributes
    ----------
    widths : tuple of int
        Neurons of the generators.
    residuals : (steps + 1, seeds, widths, m) array
        Target less generated mean after each step; infinite or NaN once a run has overflowed.
    kernels : (seeds, widths, m) array
        Ascending eigenvalues of JJ' at the start, the per-mode curvatures of `modes`.
    """

    widths: tuple[int, ...]
    residuals: Array
    kernels: Array

    @property
    def ratio(self) -> Array:
        """(seeds, widths) of final over initial residual norms; infinite where the run diverged."""
        first, last = np.linalg.norm(self.residuals[0], axis=-1), np.linalg.norm(self.residuals[-1], axis=-1)
        return np.where(np.isfinite(last), last / first, np.inf)


def draw(setting: MeanMatching, widths: Sequence[int], seeds: int, rng: Any = 0) -> tuple[MeanGame, Array]:
    """A game and its first W (seeds, sum of widths, latents); widths of a seed share latents and target, not neurons.

    Parameters
    ----------
    setting : MeanMatching
        The dimensions.
    widths : sequence of int
        Generator widths k.
    seeds : int
        Independent draws of everything.
    rng : int or numpy Generator
        Where they come from.

    Raises
    ------
    ValueError
        widths is empty.
    """
    widths = [check_count(width, "widths") for width in widths]
    if not widths:
        raise ValueError("widths is empty: pass at least one.")
    rng = as_rng(rng)
    seeds, total = check_count(seeds, "seeds"), sum(widths)
    Z = rng.standard_normal((seeds, setting.samples, setting.latents))
    target = rng.standard_normal((seeds, setting.outputs))
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    V = rng.standard_normal((seeds, total, setting.outputs)) / np.sqrt(np.repeat(widths, widths))[:, None]
    W = rng.standard_normal((seeds, total, setting.latents)) / np.sqrt(setting.latents)
    return MeanGame(V, Z, target, widths), W


def simulate(
    setting: MeanMatching,
    widths: Sequence[int],
    rates: tuple[float, float],
    *,
    steps: int = 600,
    seeds: int = 20,
    method: str | Step = "simultaneous",
    rng: Any = 0,
) -> Runs:
    """Exact training runs, all seeds and widths in the same matrix products.

    Parameters
    ----------
    setting : MeanMatching
        The dimensions.
    widths : sequence of int
        Generator widths k.
    rates : (float, float)
        Step sizes eta of W and mu of d. Alternating with mu = 1 solves the discriminator exactly in every step:
        plain gradient descent on |residual|^2 / 2.
    steps, seeds : int
        Steps of each run and independent runs of each width.
    method : str or step function
        As for `update_matrix`.
    rng : int or numpy Generator
        Draws the seeds.
    """
    eta, mu = (check_number(rate, "rates") for rate in rates)
    step, widths = resolve_step(method), tuple(widths)
    game, W = draw(setting, widths, seeds, rng)
    kernels = np.maximum(np.linalg.eigvalsh(game.kernels(W)), 0)
    start = State(W, np.zeros((seeds, len(widths), setting.outputs)))
    return Runs(widths, residual_path(game, start, (eta, mu), step, steps), kernels)


def residual_path(game: Any, state: State, rates: tuple[float, float], step: Step, steps: int) -> Array:
    """(steps + 1, ...) residuals of a game from a state on, in the shape of its d; what diverges is not finite."""
    residuals = np.empty((check_count(steps, "steps") + 1, *state.y.shape))
    residuals[0] = game.residual(state.x)
    with np.errstate(over="ignore", invalid="ignore"):
        for index in range(1, steps + 1):
            state = step(game, state, rates)
            residuals[index] = game.residual(state.x)
    return residuals


def modes(kernels: Any) -> LinearGame:
    """The training linearised at constant JJ', as a batch of two-number games, one for each eigenvalue.

    With rates (eta, mu) the simultaneous rates are the roots 1 - mu/2 +- sqrt(mu^2/4 - mu eta kernel).

    Parameters
    ----------
    kernels : (...) array
        Eigenvalues of JJ', as in `Runs.kernels`, or `MeanMatching.kernel` for their expectation.

    Raises
    ------
    ValueError
        kernels are negative or not finite.

    References
    ----------
    [OP], theorem 2.1 and its proof.
    """
    kernels = as_floats(kernels, "kernels")
    if not (np.isfinite(kernels).all() and (kernels >= 0).all()):
        raise ValueError("kernels must be finite and >= 0: they are eigenvalues of JJ'.")
    return LinearGame.of_modes(0.0, -np.sqrt(kernels), -np.sqrt(kernels), -1.0)


def step_limit(largest_kernel: float, mu: float, method: str = "simultaneous") -> float:
    """The eta below which every mode of the linearised training converges.

    1 / kernel for simultaneous, (4 - 2 mu) / (mu kernel) for alternating; 0 for mu >= 2.

    Parameters
    ----------
    largest_kernel : float
        The largest eigenvalue of JJ'.
    mu : float
        The discriminator's step size.
    method : "simultaneous" or "alternating"
        Who moves first; other methods: `critical_step`.
    """
    kernel, mu = check_number(largest_kernel, "largest_kernel", positive=True), check_number(mu, "mu", positive=True)
    if mu >= 2:
        return 0.0
    if check_choice(method, "method", ("simultaneous", "alternating")) == "alternating":
        return (4 - 2 * mu) / (mu * kernel)
    return 1 / kernel


@dataclass(frozen=True)
class WidthAdvice:
    """The smallest width whose training failed rarely enough.

    Attributes
    ----------
    width : int
        The advice.
    failures, runs : int
        What was seen at that width.
    upper : float
        95 % upper confidence bound on its failure rate.
    """

    width: int
    failures: int
    runs: int
    upper: float


def advise_width(
    setting: MeanMatching,
    rates: tuple[float, float],
    failure: float = 0.05,
    *,
    tolerance: float = 1e-3,
    steps: int = 600,
    method: str | Step = "simultaneous",
    largest: int = 4096,
    rng: Any = 0,
) -> WidthAdvice:
    """The smallest power-of-two multiple of m at which runs fail at most this often, with 95 % confidence.

    A run fails if its residual does not fall below `tolerance` times its first. No theorem gives this width with
    useful constants, so it is measured: enough seeds are run that none failing proves the rate.

    Parameters
    ----------
    setting, rates, steps, method, rng
        As for `simulate`.
    failure : float
        The wanted failure rate, between 0 and 1.
    tolerance : float
        The residual ratio that counts as success.
    largest : int
        The width to give up at.

    Raises
    ------
    ValueError
        failure is not between 0 and 1.
    SolverError
        No width up to the largest one fails as seldom.
    """
    if not 0 < check_number(failure, "failure", positive=True) < 1:
        raise ValueError(f"failure must be between 0 and 1, got {failure}.")
    seeds = int(np.ceil(np.log(0.05) / np.log1p(-failure))) * 2
    rng = as_rng(rng)
    width = setting.outputs
    while width <= largest:
        ratio = simulate(setting, [width], rates, steps=steps, seeds=seeds, method=method, rng=rng).ratio
        failures = int((ratio[:, 0] > tolerance).sum())
        upper = float(beta_law.ppf(0.95, failures + 1, seeds - failures)) if failures < seeds else 1.0
        if upper <= failure:
            return WidthAdvice(width, failures, seeds, upper)
        width *= 2
    raise SolverError(
        f"no width up to {largest} fails at most {failure:.3g} of the time: take more steps, smaller rates "
        f"(eta below {step_limit(setting.kernel, rates[1]):.3g}), or a larger tolerance."
    )
