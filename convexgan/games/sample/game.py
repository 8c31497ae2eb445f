"""The record of a game with a ReLU discriminator or a mixture generator; no computing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import gamma, up
from convexgan._tools.tables import Label
from convexgan.discriminators.activation import Activation, KinkedActivation, is_kinked

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SampleGame:
    """A game that needs the rows, all terms means; the generator is a law: points and their weights.

        min over laws of E R        s.t. ipm <= beta        (penalised discriminator), or
        min over laws of E R + lam * ipm                    (norm-bounded discriminator)

    with R(y) = penalty * |y|^2; or, with a ``spread``, weights of all particles whose sum of squares takes the place of
    E R.

    Attributes
    ----------
    data : (n, d) array
    activation : Activation
    beta, lam : float or None
        Exactly one is given, in the units of means.
    particles : (m, d) array or None
        The points a generated law may have; None for all of R^d.
    penalty : float
    bias : "none", "penalized" or "free"
    rows, value_scale : int and float
        As in `MomentGame`.
    columns : tuple, optional
        The names of the data's columns.
    spread : float
        What multiplies the sum of squared weights; the penalty is then 0, and every particle is a point of the law,
        equal ones as well.
    features : (m, K) array, optional
        The generated rows, of equal weights, are linear in these.
    """

    data: Array
    activation: Activation
    beta: float | None
    lam: float | None
    particles: Array | None
    penalty: float = 1.0
    bias: str = "none"
    rows: int = 1
    value_scale: float = 1.0
    columns: tuple[Label, ...] | None = None
    spread: float = 0.0
    features: Array | None = None

    @property
    def given(self) -> Array:
        """The particles, of a game that must have some."""
        if self.particles is None:
            raise ValueError("a mixture needs particles: generators.Mixture(points).")
        return self.particles

    @property
    def relu(self) -> KinkedActivation:
        """The activation of a game with ReLU neurons, or others with one kink."""
        if not is_kinked(self.activation):
            raise ValueError(f"laws anywhere are for ReLU neurons, this game has {self.activation.name} ones.")
        return self.activation

    def cost(self, points: Array) -> Array:
        """R of each row, (m,)."""
        return np.asarray(self.penalty * np.sum(points**2, axis=1))

    def cost_bound(self, points: Array, weights: Array) -> float:
        """At least what a law of points (m, d) costs, whose weights (m,) are divided by their sum."""
        mass = math.fsum(weights)
        if self.spread:
            return up(self.spread * math.fsum(weights**2) / mass**2, 8)
        return up(math.fsum(self.cost(points) * weights) / mass, points.shape[1] + 8)

    def least(self, costs: Array) -> tuple[float, Array]:
        """The least cost of a law on points of such further costs (m,), from below, and its weights (m,).

        With a spread they are max(level - costs, 0) / (2 spread), at the level at which their sum is 1; by duality
        level - sum of max(level - costs, 0)^2 / (4 spread) is a bound at any level.
        """
        if not self.spread:
            place = int(np.argmin(costs))
            return float(costs[place]), np.eye(1, len(costs), place)[0]
        ordered, counts = np.sort(costs), np.arange(1, len(costs) + 1)
        levels = (2 * self.spread + np.cumsum(ordered)) / counts
        level = float(levels[np.flatnonzero(levels > ordered)[-1]])
        room = np.maximum(level - costs, 0.0)
        charge = math.fsum(room**2) / (4 * self.spread)
        return level - charge - gamma(8) * (abs(level) + charge), room / room.sum()

    def lift(self, rows: Array) -> Array:
        """The rows as the neurons see them: with a 1 appended where they have a bias."""
        return rows if self.bias == "none" else np.column_stack([rows, np.ones(len(rows))])
