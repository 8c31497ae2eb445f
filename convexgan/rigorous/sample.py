"""Certificates of laws of points without rounding: the sums over rows as fractions, all cells of a plane."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np

from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.discriminators.activation import needs_rows
from convexgan.games.sample import SampleGame
from convexgan.rigorous.moment import Interval, difference_on_sphere
from convexgan.rigorous.numbers import BITS, Exact, exact, root, second_and_mean

ZERO = Fraction(0)


class ExactSample:
    """A game of laws of points in fractions: the data (n, d), a law of points (m, d) with weights, a critic."""

    def __init__(self, game: SampleGame, points: Any, weights: Any, critic: TwoLayerDiscriminator) -> None:
        self.game, self.critic = game, critic
        self.data, self.points = exact(game.data), exact(points)
        mass = exact(weights)
        self.weights = mass / sum(mass.tolist())
        self._floats = game.lift(game.data), game.lift(np.asarray(points)), weights

    def cost(self) -> Fraction:
        """What the law costs."""
        if self.game.spread:
            return Fraction(Fraction(self.game.spread) * (self.weights @ self.weights))
        squares = (self.points * self.points).sum(axis=1)
        return Fraction(Fraction(self.game.penalty) * (self.weights @ squares))

    def ipm(self) -> Interval:
        """The discriminator's best response."""
        if not needs_rows(self.game.activation):
            real, fake = self._floats[0], self._floats[1:]
            a, b, _ = self.game.activation.coefficients
            (S, m), (T, k) = second_and_mean(real), second_and_mean(*fake)
            return difference_on_sphere(Fraction(a) * (S - T), Fraction(b) * (m - k))
        slope = Fraction(self.game.relu.slope)
        rows = np.vstack([exact(self._floats[0]), exact(self._floats[1])])
        w = np.concatenate([np.full(len(self.data), Fraction(1, len(self.data))), -self.weights])
        if self.game.bias == "free":
            return _largest_shift(rows[:, 0], w, slope)
        if slope:
            rows, w = np.vstack([rows, -rows]), np.concatenate([w, -slope * w])
        return _largest_in_plane(rows, w)

    def max_min(self) -> Fraction:
        """A lower bound on what the critic, scaled into its limit, guarantees."""
        critic, game = self.critic, self.game
        U, biases = exact(critic.neurons), exact(critic.biases)
        counted = biases if game.bias != "free" else biases * 0
        lengths = [root(u @ u + c * c) for u, c in zip(U, counted, strict=True)]
        v = np.array([w / high for w, (_, high) in zip(exact(critic.outer), lengths, strict=True)], dtype=object)
        self._players = (U, biases, v, [(low + high) / 2 for low, high in lengths])
        norm = sum((abs(w) for w in exact(critic.outer)), ZERO)
        if game.lam is not None and norm > Fraction(game.lam):
            v *= Fraction(game.lam) / norm
        real = self._scores(self.data).sum() / len(self.data)
        points = exact(game.particles) if game.particles is not None else self._candidates()
        squares = (points * points).sum(axis=1)
        least = self._least(Fraction(game.penalty) * squares - self._scores(points))
        return Fraction(real + least - Fraction(game.beta or 0.0) * norm - self._slack(norm, squares))

    def _least(self, costs: Exact) -> Fraction:
        """The least cost of a law on points of such further costs, see `SampleGame.least`."""
        spread = Fraction(self.game.spread)
        if not spread:
            return Fraction(costs.min())
        ordered, total, level = sorted(costs.tolist()), ZERO, ZERO
        for count, cost in enumerate(ordered, 1):
            total += cost
            if (2 * spread + total) / count <= cost:
                break
            level = (2 * spread + total) / count
        return level - sum((max(level - cost, ZERO) ** 2 for cost in ordered), ZERO) / (4 * spread)

    def _slack(self, norm: Fraction, squares: Exact) -> Fraction:
        """What square roots leave open of the scores of smooth neurons; those of ReLUs are merely smaller for it."""
        if needs_rows(self.game.activation):
            return ZERO
        size = 1 + max([*squares, *(self.data * self.data).sum(axis=1)])
        steep = sum((abs(Fraction(c)) for c in self.game.activation.coefficients), ZERO)
        return Fraction(norm * steep * size / 2 ** (BITS - 50))

    def _scores(self, rows: Exact) -> Exact:
        """The critic's scores of rows (n, d)."""
        U, biases, v, lengths = self._players
        t = rows @ U.T + biases
        if needs_rows(self.game.activation):
            slope = Fraction(self.game.relu.slope)
            return np.asarray(np.where(t > 0, t, slope * t) @ v)
        a, b, c = (Fraction(number) for number in self.game.activation.coefficients)
        t = t / np.array(lengths, dtype=object)
        return np.asarray(((a * t + b) * t + c) @ exact(self.critic.outer))

    def _candidates(self) -> Exact:
        """The points of one column among which R - D is least: its bends, and the vertices of its pieces."""
        U, biases, v, _ = self._players
        slopes, slope = U[:, 0], Fraction(self.game.relu.slope)
        bends = sorted({-c / s for s, c in zip(slopes, biases, strict=True) if s})
        ends = [None, *bends, None]
        found = list(bends) or [ZERO]
        for left, right in itertools.pairwise(ends):
            inside = (left + right) / 2 if left is not None and right is not None else ZERO
            inside = right - 1 if left is None and right is not None else inside
            inside = left + 1 if right is None and left is not None else inside
            active = [s * inside + c > 0 for s, c in zip(slopes, biases, strict=True)]
            steep = sum((w * s * (1 if on else slope) for on, w, s in zip(active, v, slopes, strict=True)), ZERO)
            vertex = steep / (2 * Fraction(self.game.penalty))
            if (left is None or vertex >= left) and (right is None or vertex <= right):
                found.append(vertex)
        return np.array(found, dtype=object)[:, None]


def _largest_shift(x: Exact, w: Exact, slope: Fraction) -> Interval:
    """The maximum over u = +-1 and b of |sum_i w_i s(u x_i + b)| for weights that sum to 0: at one of the points."""
    best = ZERO
    for u in (1, -1):
        for at in x:
            t = u * (x - at)
            best = max(best, abs(w @ np.where(t > 0, t, slope * t)))
    return best, best


def _largest_in_plane(rows: Exact, w: Exact) -> Interval:
    """The maximum over |u| <= 1 of |sum_i w_i max(rows_i . u, 0)| for rows of one or two columns.

    The sum is linear between two neighbouring hyperplanes: it is largest on one of their rays, or at its gradient where
    that lies between them.
    """
    if rows.shape[1] == 1:
        best = max(abs(w @ np.maximum(sign * rows[:, 0], 0)) for sign in (1, -1))
        return best, best
    common = math.lcm(1, *(x.denominator for x in rows.ravel().tolist()))
    whole = np.array([[int(x * common) for x in row] for row in rows], dtype=object)
    mass = math.lcm(1, *(x.denominator for x in w.tolist()))
    weights = np.array([int(x * mass) for x in w], dtype=object)
    squares = [ZERO]
    for row in {tuple(row) for row in whole.tolist() if any(row)}:
        for u in (np.array([-row[1], row[0]], dtype=object), np.array([row[1], -row[0]], dtype=object)):
            squares += _beside(whole, weights, u)
    unit = Fraction(1, common * mass)
    low, high = root(max(squares))
    return unit * low, unit * high


def _beside(rows: Exact, w: Exact, u: Exact) -> list[Fraction]:
    """The squares of the sum on the ray of u, and at the gradient between it and the next, if it lies there."""
    along, ahead = rows @ u, rows @ np.array([-u[1], u[0]], dtype=object)
    value = w @ np.maximum(along, 0)
    found = [Fraction(int(value) ** 2, int(u @ u))]
    active = (along > 0) | ((along == 0) & (ahead > 0))
    gradient = w[active] @ rows[active] if active.any() else np.zeros(2, dtype=object)
    seen = rows @ gradient
    for sign in (1, -1):
        if (sign * seen[active] >= 0).all() and (sign * seen[~active] <= 0).all():
            found.append(Fraction(int(gradient @ gradient)))
    return found
