"""The generator's best response to a critic: the lower bound on the game's value that the critic proves."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import UNIT, down, gamma, is_positive, largest_eigenvalue, length, transposed, up
from convexgan.closed_forms.generator_response import quadratic_means
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.records.moment_game import MomentGame

Array = NDArray[np.float64]
TOLERATED = 1e-9  # share by which a critic may be beyond its limits, and is then scaled down
SHARES = (0.0, 1e-13, 1e-12, 1e-11, 1e-10, TOLERATED)  # by which it is scaled down for a proof
RISES = (1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0)  # of an inverse above what was computed


def dual_value(game: MomentGame, critic: TwoLayerDiscriminator) -> float:
    """The lower bound that the critic proves, in exact arithmetic for the rows as they are stored.

    min over G of mean D(X) - mean D(G) + R(G) - beta |v|_1 has a closed form because every term is quadratic in
    the generator: with D = x'Qx + q'x it is finite iff penalty * I >= Q ("weights": penalty * I >= k_1 Q), and
    then equals <Q, S_X> + q'xbar - beta |v|_1 - sum_i |zbar_i|^2 q'(penalty / k_i - Q)^{-1} q / 4. It is -inf
    for critics beyond that limit, or beyond |v|_1 <= lam, by more than rounding. What rounding may have added is taken
    off; neurons count as scaled to length 1.
    """
    if critic.norm == 0:
        return 0.0
    worth = _Worth(game, critic)
    full = min(1.0, worth.limit)
    if full <= 1 - 2 * TOLERATED:
        return -np.inf
    return max(worth.proved(full * (1 - share)) for share in (SHARES if worth.shares.any() else SHARES[:1]))


def best_scale(game: MomentGame, critic: TwoLayerDiscriminator) -> float:
    """The theta for which theta * critic proves most, as computed."""
    if critic.norm == 0:
        return 0.0
    worth = _Worth(game, critic)
    if worth.gain <= 0:
        return 0.0
    loss, end = worth.loss(0.0), worth.limit
    if not np.isfinite(end):
        end = 2e3 * worth.gain / loss if loss > 0 else 1.0
    from scipy.optimize import minimize_scalar  # here: it takes longer to import than all the rest of the package

    found = minimize_scalar(
        lambda theta: -worth.computed(theta), bounds=(0.0, end), method="bounded", options={"xatol": 1e-13 * end}
    )
    return max((worth.computed(theta), theta) for theta in (0.0, float(found.x), end * (1 - 1e-9), end))[1]


class _Worth:
    """What theta * critic proves: theta * gain - theta^2 * loss(theta) / 4, for theta up to a limit."""

    def __init__(self, game: MomentGame, critic: TwoLayerDiscriminator) -> None:
        a, b, _ = critic.coefficients
        self.game, self.critic, latent = game, critic, game.latent
        self.neurons, self.curved = critic.neurons, a * critic.outer  # Q = sum curved_j u_j u_j'
        self.slopes = 2 * a * critic.biases + b
        self.linear = (critic.outer * self.slopes) @ critic.neurons
        m, d = critic.neurons.shape
        whole = np.column_stack([critic.neurons, critic.biases])
        stray = float(np.abs(np.linalg.norm(whole, axis=1) - 1).max()) + gamma(d + 4)
        self.lengthened = 2.1 * stray  # by which squares of unscaled neurons are off, relative
        self.relative = self.lengthened + gamma(m + 2 * d + 8)  # of what a neuron contributes to Q, q and means
        self.mass = mass = up(float(np.abs(self.curved).sum()), m)
        self.form_error = self.relative * mass
        self.linear_error = self.relative * up(float(np.abs(critic.outer) @ np.abs(self.slopes)), m + 2)
        weighted = game.regularizer == "weights"
        self.latent_error = 2.1 * latent.error * mass if weighted else 0.0  # K is I to that in the latents' coordinates
        self.form_error += self.latent_error
        k = latent.values if weighted else np.ones(1)
        mean = np.abs(latent.mean) if weighted else np.array([latent.kappa**0.5])
        moved = (1 + latent.error) * (mean * (1 + gamma(latent.rank + 4)) + latent.error)
        self.shares = np.minimum(moved**2, 1.0) * bool(self.linear.any())  # of the constant in the latents
        self.prices = game.penalty / k * (1 - gamma(2))
        budget = np.inf if game.lam is None else game.lam / up(critic.norm, m)
        self.limit = min(budget, down(float(self.prices[0]) / self.top) if self.top > 0 else np.inf)

    @cached_property
    def top(self) -> float:
        """At least the largest eigenvalue of Q; 0 for negative ones."""
        positive = self.curved > 0
        if not positive.any():
            return 0.0
        scaled = np.sqrt(self.curved[positive])[:, None] * self.neurons[positive]
        sides = scaled.T if len(scaled) <= scaled.shape[1] else scaled
        gram, rounded = transposed(sides, sides)
        circles = up(float(np.abs(gram).sum(axis=1).max()), len(gram))  # Gershgorin: exact for orthogonal neurons
        if positive.all() and circles <= float(gram.diagonal().max()) * (1 + 1e-10):
            rounded += gamma(8) * self.mass + self.latent_error
            return up((circles + rounded) * (1 + self.lengthened))  # of terms that are all positive semidefinite
        form = gram if positive.all() else (self.curved * self.neurons.T) @ self.neurons
        return max(largest_eigenvalue(form), 0.0) + self.form_error

    @cached_property
    def gain(self) -> float:
        """At most mean D(X) - beta |v|_1."""
        data, outer, beta = self.game.data, self.critic.outer, self.game.beta or 0.0
        a, sizes = self.critic.coefficients[0], np.abs(self.critic.outer)
        along, squares, flat = self.neurons @ data.mean, np.zeros(len(outer)), length(data.mean)
        moved = np.abs(self.slopes) * (data.mean_error + self.relative * flat)
        if a != 0:
            squares, error = quadratic_means(data, self.neurons)
            moved += abs(a) * (error + self.relative * max(data.trace, 0.0))
        each = a * squares + self.slopes * along
        rounded = gamma(len(outer) + 6) * (np.abs(a * squares) + np.abs(self.slopes * along) + beta)
        return float(outer @ each - beta * sizes.sum() - (1 + gamma(len(outer) + 4)) * (sizes @ (moved + rounded)))

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues of Q on the neurons' span, and the squared coordinates of q."""
        basis, _ = np.linalg.qr(self.neurons.T)
        inner = self.neurons @ basis
        values, vectors = np.linalg.eigh((self.curved * inner.T) @ inner)
        return values, (vectors.T @ (basis.T @ self.linear)) ** 2

    def inverse(self, price: float, theta: float) -> float:
        """q'(price - theta Q)^{-1} q as computed; infinite beyond the limit."""
        values, along = self.spectrum
        slack = price - theta * values
        return float(np.divide(along, slack, out=np.where(along > 0, np.inf, 0.0), where=slack > 0).sum())

    def loss(self, theta: float) -> float:
        """sum_i |zbar_i|^2 q'(price_i - theta Q)^{-1} q as computed."""
        used = self.shares > 0
        prices = self.prices[used]
        return float(sum(s * self.inverse(p, theta) for s, p in zip(self.shares[used], prices, strict=True)))

    def computed(self, theta: float) -> float:
        """The bound at a scale, as computed."""
        return theta * self.gain - theta**2 * self.loss(theta) / 4

    def proved(self, theta: float) -> float:
        """The bound at a scale, with a proof of every inverse."""
        used = self.shares > 0
        terms = zip(self.shares[used], self.prices[used], strict=True)
        loss = up(float(sum(share * self.proved_inverse(float(price), theta) for share, price in terms)), len(used) + 2)
        bound = theta * self.gain - theta**2 * loss / 4
        return bound - gamma(6) * (abs(theta * self.gain) + theta**2 * loss) if np.isfinite(loss) else -np.inf

    def proved_inverse(self, price: float, theta: float) -> float:
        """A t for which [[price - theta Q, q], [q', t]] >= 0 is proved; infinite where none is."""
        size, d = length(self.linear) + self.linear_error, len(self.linear)
        if not self.curved.any():
            return up(size**2 / price)
        slack = (price - theta * self.top) / 4
        guess = self.inverse(price, theta)
        if slack <= 0 or not np.isfinite(guess):
            return np.inf
        unit = max((guess / price) ** 0.5, size / price, self.linear_error / slack)  # no entry is much above the price
        arrow = np.zeros((d + 1, d + 1))
        arrow[:d, :d] = -theta * ((self.curved * self.neurons.T) @ self.neurons)
        moved = theta * self.form_error + 4 * UNIT * price + self.linear_error / unit  # of q / unit, both ways
        arrow[np.arange(d), np.arange(d)] += price - moved
        arrow[d, :d] = arrow[:d, d] = self.linear / unit
        for rise in RISES:
            corner = guess * (1 + rise) / unit**2 + rise * price
            arrow[d, d] = corner
            if is_positive(arrow):
                return up((corner + self.linear_error / unit + 4 * UNIT * corner) * unit**2)
        return np.inf
