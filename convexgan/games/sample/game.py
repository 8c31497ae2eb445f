"""The record of a game with a ReLU discriminator or a mixture generator; no computing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import up
from convexgan._tools.tables import Label
from convexgan.discriminators.activation import Activation, KinkedActivation, is_kinked

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SampleGame:
    """A game that needs the rows, all terms means; the generator is a law: points and their weights.

        min over laws of E R        s.t. ipm <= beta        (penalised discriminator), or
        min over laws of E R + lam * ipm                    (norm-bounded discriminator)

    with R(y) = penalty * |y|^2.

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
        """At least E R of a law of points (m, d), whose weights (m,) are divided by their sum."""
        total = math.fsum(self.cost(points) * weights) / math.fsum(weights)
        return up(total, points.shape[1] + 8)

    def lift(self, rows: Array) -> Array:
        """The rows as the neurons see them: with a 1 appended where they have a bias."""
        return rows if self.bias == "none" else np.column_stack([rows, np.ones(len(rows))])
