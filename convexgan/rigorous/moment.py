"""Certificates of moment games without rounding: every number between two fractions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.records.moment_game import MomentGame
from convexgan.rigorous.numbers import (
    BITS,
    Exact,
    exact,
    identity,
    inverse_form,
    is_positive,
    largest_eigenvalue,
    near,
    root,
    second_and_mean,
)

Interval = tuple[Fraction, Fraction]
ZERO = Fraction(0)
SHARES = tuple(Fraction(1, 10**power) for power in (24, *range(16, 8, -1)))  # by which a critic is scaled down
RISES = tuple(Fraction(1, 2**power) for power in (120, 90, 60, 30, 10))  # of an inverse above what was computed


@dataclass(frozen=True)
class ExactMoments:
    """A game, a law and a critic in fractions.

    Attributes
    ----------
    game : MomentGame
    second, mean : (d, d) and (d,) arrays
        Of the data.
    factor, centre : (r, d) and (d,) arrays
        Of the generated law; the rows of the factor belong to the latents' coordinates.
    mean_error, second_error : Fraction
        How far the law may be from that.
    critic : TwoLayerDiscriminator
    """

    game: MomentGame
    second: Exact
    mean: Exact
    factor: Exact
    centre: Exact
    mean_error: Fraction
    second_error: Fraction
    critic: TwoLayerDiscriminator

    @classmethod
    def read(
        cls, game: MomentGame, X: Any, factor: Any, mean: Any, error: tuple[float, float], critic: TwoLayerDiscriminator
    ) -> ExactMoments:
        """The game, the law and the critic of floats, which are taken as they are."""
        sums = second_and_mean(X)
        return cls(game, *sums, exact(factor), exact(mean), Fraction(error[0]), Fraction(error[1]), critic)

    @property
    def coefficients(self) -> tuple[Fraction, Fraction]:
        """a and b of the neurons."""
        a, b, _ = self.game.activation.coefficients
        return Fraction(a), Fraction(b)

    def value(self, ipm: Interval) -> Interval:
        """R of the law, plus lam times its ipm."""
        penalty = Fraction(self.game.penalty)
        squares = (self.factor * self.factor).sum(axis=1) if len(self.factor) else np.zeros(0, object)
        own = Fraction(0)
        if self.game.regularizer == "weights":
            spent = sum(
                (s / Fraction(k) for s, k in zip(squares, self.game.latent.values.tolist(), strict=False)), ZERO
            )
        else:
            spent, own = sum(squares, ZERO), self.second_error
        lam = Fraction(self.game.lam or 0.0)
        low, high = penalty * (spent - own) + lam * ipm[0], penalty * (spent + own) + lam * ipm[1]
        return max(low, ZERO), high

    def ipm(self) -> Interval:
        """The discriminator's best response."""
        a, b = self.coefficients
        shift = self.mean - self.centre
        moved = abs(a) * self.second_error + abs(b) * self.mean_error
        if a == 0:
            low, high = root(sum(shift * shift, ZERO))
            return max(abs(b) * low - moved, ZERO), abs(b) * high + moved
        form = a * (self.second - self.factor.T @ self.factor if len(self.factor) else self.second)
        linear = b * shift
        if self.game.bias == "penalized":
            form = np.block([[form, a * shift[:, None]], [a * shift[None, :], np.array([[ZERO]], dtype=object)]])
            linear, moved = np.append(linear, np.array([ZERO], dtype=object)), moved + abs(a) * self.mean_error
        low, high = difference_on_sphere(form, linear)
        return max(low - moved, ZERO), high + moved

    def max_min(self) -> Fraction:
        """A lower bound on what the critic guarantees."""
        return _Guarantee(self).best()

    def spectral_bound(self) -> Fraction:
        """A lower bound from the data's eigenvalues (Weyl, von Neumann), each bounded from below."""
        game, a = self.game, abs(self.coefficients[0])
        data = game.data.spectrum
        r = min(game.latent.rank, len(data.values))
        k = game.latent.values if game.regularizer == "weights" else np.ones(r)
        prices = [Fraction(game.penalty) / Fraction(float(x)) * (1 - 4 * Fraction(game.latent.error)) for x in k[:r]]
        below = [self._eigenvalue(i, data.value(i)) for i in range(r)]
        if game.lam is None:
            level = Fraction(game.beta or 0.0) / a
            return sum((p * max(x - level, ZERO) for p, x in zip(prices, below, strict=True)), ZERO)
        costs = [
            sum((p * max(x - level, ZERO) for p, x in zip(prices, below, strict=True)), Fraction(game.lam) * a * level)
            for level in (*below, ZERO)
        ]
        return min(costs)

    def _eigenvalue(self, i: int, guess: float) -> Fraction:
        """At most the i-th largest eigenvalue: what S exceeds on a space of i + 1 dimensions (Courant, Fischer)."""
        V = exact(self.game.data.spectrum.vectors[:, : i + 1])
        inner, gram = V.T @ self.second @ V, V.T @ V
        size = Fraction(self.game.data.spectrum.value(0))
        for power in (48, 44, 40, 30, 20):
            level = Fraction(guess) - size / 2**power
            if is_positive(inner - level * gram):
                return max(level, ZERO)
        return ZERO


def difference_on_sphere(form: Exact, linear: Exact) -> Interval:
    """The maximum of |u'form u + linear'u| over unit vectors, between two fractions."""
    if not form.any():
        return root(sum(linear * linear, ZERO))
    ends = [_on_sphere(sign * form, sign * linear) for sign in (1, -1)]
    return max(max(end[0] for end in ends), ZERO), max(end[1] for end in ends)


def _on_sphere(form: Exact, linear: Exact) -> Interval:
    """The maximum of u'form u + linear'u over unit vectors, between two fractions."""
    if not linear.any():
        return largest_eigenvalue(form)
    from convexgan.discriminators import maximize_on_sphere

    d = len(linear)
    slope = linear.astype(np.float64)
    values, vectors = np.linalg.eigh(form.astype(np.float64))
    value, _, u = maximize_on_sphere(values, vectors, slope)
    v = exact(u)
    short, long = root(v @ v)
    along = linear @ v
    low = (v @ form @ v) / (v @ v) + along / (long if along >= 0 else short)
    t = Fraction(value - float(slope @ u) / 2)
    size = Fraction(float(np.abs(values).max()) + float(np.linalg.norm(slope)))
    found = [d * size, *(_level(form, linear / 2, t + size / 2**power, size) for power in (80, 54, 52, 50, 46, 40, 20))]
    return low, min(level for level in found if level is not None)


def _level(form: Exact, half: Exact, t: Fraction, size: Fraction) -> Fraction | None:
    """t + half'(t - form)^{-1} half, which bounds u'form u + 2 half'u, with a proof of the inverse; None without."""
    d = len(half)
    arrow = np.empty((d + 1, d + 1), dtype=object)
    arrow[:d, :d], arrow[d, :d], arrow[:d, d] = t * identity(d) - form, half, half
    corner = inverse_form(arrow[:d, :d], half)
    if corner is None:
        return None
    arrow[d, d] = corner + size / 2**120
    return Fraction(t + arrow[d, d]) if is_positive(arrow) else None


class _Guarantee:
    """What a critic, scaled into its limits, proves; see `convexgan.closed_forms.dual`.

    Its neurons are divided by their lengths, which are square roots: Q and q are off by less than 2^-150 of their
    terms, and since |x| <= (1 + |x|^2) / 2 that is charged to the penalty and to the bound.
    """

    def __init__(self, given: ExactMoments) -> None:
        self.given, self.game, (a, b) = given, given.game, given.coefficients
        critic = given.critic
        U, v, biases = exact(critic.neurons), exact(critic.outer), exact(critic.biases)
        squares = [u @ u + c * c for u, c in zip(U, biases, strict=True)]
        lengths = [near(2 / sum(root(s), ZERO)) for s in squares]
        d = len(given.mean)
        self.form, self.linear = np.full((d, d), ZERO), np.full(d, ZERO)
        for u, c, w, s, size in zip(U, biases, v, squares, lengths, strict=True):
            self.form = self.form + (a * w * near(1 / s)) * np.outer(u, u)
            self.linear = self.linear + w * (2 * a * c * near(1 / s) + b * size) * u
        self.pure, self.norm = self.form, sum((abs(w) for w in v), ZERO)
        if self.game.regularizer == "weights":  # the latents' second moment is I to that error only
            self.form = self.form + Fraction(2.1) * Fraction(self.game.latent.error) * abs(a) * self.norm * identity(d)
        self.slack = (1 + abs(a) + abs(b)) * self.norm / 2 ** (BITS - 50)

    def best(self) -> Fraction:
        """The best of a few scales just below what the limits allow."""
        full, steep = Fraction(1), largest_eigenvalue(self.form)[1]
        if self.game.lam is not None and self.norm > 0:
            full = min(full, Fraction(self.game.lam) / self.norm)
        lowest = min(price for _, price in self._terms())
        if steep > 0:
            full = min(full, lowest / steep)
        return max(self.at(full * (1 - share)) for share in (ZERO, *SHARES))

    def at(self, theta: Fraction) -> Fraction:
        """A lower bound on what theta times the critic guarantees."""
        given, game = self.given, self.game
        gain = (self.pure * given.second).sum() + self.linear @ given.mean - Fraction(game.beta or 0.0) * self.norm
        gain -= self.slack * (1 + sum(given.second.diagonal(), ZERO))
        loss = ZERO
        for share, price in self._terms():
            least = self._inverse(price, theta, share)
            if least is None:
                return -(Fraction(10) ** 300)
            loss += share * least
        return Fraction(theta * gain - theta * theta * loss / 4 - self.slack)

    def _terms(self) -> list[tuple[Fraction, Fraction]]:
        """The shares of the latents' constant, and the prices of their directions; the lowest price is always there."""
        latent, penalty = self.game.latent, Fraction(self.game.penalty)
        error, squares = Fraction(latent.error), exact(latent.mean) ** 2
        if self.game.regularizer == "output":
            kappa = sum(squares, ZERO)
            kappa += 2 * error * root(kappa)[1] + error**2
            return [(min((1 + error) ** 2 * kappa, Fraction(1)), penalty - self.slack)]
        moved = [min((1 + error) ** 2 * (s + 2 * error * root(s)[1] + error**2), Fraction(1)) for s in squares]
        return [(s, penalty / Fraction(float(k)) - self.slack) for s, k in zip(moved, latent.values, strict=True)]

    def _inverse(self, price: Fraction, theta: Fraction, share: Fraction) -> Fraction | None:
        """At least linear'(price - theta form)^{-1} linear, or None where none is proved."""
        d = len(self.linear)
        form = price * identity(d) - theta * self.form
        if share == 0 or not self.linear.any():
            return ZERO if is_positive(form) else None
        guess = inverse_form(form, self.linear)
        if guess is None:
            return None
        unit = (self.linear @ self.linear) / price
        scale = root((guess + unit) / price)[1]  # so that no entry is much larger than the others
        arrow = np.empty((d + 1, d + 1), dtype=object)
        arrow[:d, :d], arrow[d, :d], arrow[:d, d] = form, self.linear / scale, self.linear / scale
        for rise in RISES:
            bound = guess + rise * (guess + unit)
            arrow[d, d] = bound / scale**2
            if is_positive(arrow):
                return Fraction(bound)
        return None
