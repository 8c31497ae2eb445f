"""A two-layer discriminator as a callable with its neurons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows, ordered
from convexgan._tools.checks import check_columns, check_finite
from convexgan._tools.rounding import prefix_sums
from convexgan._tools.tables import Label
from convexgan.discriminators.activation import Activation, is_kinked, needs_rows

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TwoLayerDiscriminator:
    """D(x) = sum_j outer_j s(neurons_j . x + biases_j).

    Attributes
    ----------
    neurons : (m, d) array
    outer : (m,) array
    activation : Activation
        s(t).
    biases : (m,) array
        Zero unless the game was solved with ``bias="penalized"``.
    columns : tuple, optional
        The names of the d columns, if the data had names: rows with names are brought into this order.
    """

    neurons: Array
    outer: Array
    activation: Activation
    biases: Array = field(default_factory=lambda: np.zeros(0))
    columns: tuple[Label, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.biases.size == 0:
            object.__setattr__(self, "biases", np.zeros(len(self.outer)))
        width = (len(self.neurons),)
        if self.neurons.ndim != 2 or self.outer.shape != width or self.biases.shape != width:
            raise ValueError(
                f"neurons, outer and biases must have shapes (m, d), (m,) and (m,), got {self.neurons.shape}, "
                f"{self.outer.shape} and {self.biases.shape}."
            )

    def __call__(self, X: Any) -> Array:
        """The scores of rows, (n,)."""
        rows = as_rows(ordered(X, self.columns, "X", "the discriminator"), "X")
        check_columns(rows, self.neurons.shape[1], "X", "the discriminator")
        check_finite(rows, "X")
        if is_kinked(self.activation) and rows.shape[1] == 1:
            return self._on_the_line(self.activation.slope, rows[:, 0].astype(np.float64))
        t = rows @ self.neurons.T + self.biases
        return np.asarray(self.activation(t) @ self.outer, dtype=np.float64)

    def _on_the_line(self, slope: float, x: Array) -> Array:
        """The scores of one column, linear between the neurons' bends: O((n + m) log m)."""
        u, b = self.neurons[:, 0], self.biases
        steps = np.stack([self.outer * u, self.outer * b])
        with np.errstate(over="ignore"):
            bends = np.divide(-b, u, out=np.where(b > 0, -np.inf, np.inf), where=u != 0)
        order, rising = np.argsort(bends), u + (u == 0) > 0
        behind, ahead = (steps[:, order] * np.where(rising == side, 1.0, slope)[order] for side in (True, False))
        # to the right of a bend those are active that rise, to the left of it the others
        passed = np.stack([prefix_sums(part)[0] for part in behind])
        to_come = np.stack([prefix_sums(part[::-1])[0][::-1] for part in ahead])
        place = np.searchsorted(bends[order], x)
        steep, level = (passed + to_come)[:, place]
        return np.asarray(steep * x + level)

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """(a, b, c) of s(t) = a t^2 + b t + c."""
        if needs_rows(self.activation):
            raise ValueError("ReLU neurons are no polynomials: they have no coefficients a, b, c.")
        return self.activation.coefficients

    @property
    def norm(self) -> float:
        """|v|_1, what the penalty beta multiplies and lam bounds."""
        return float(np.abs(self.outer).sum())

    def quadratic_form(self) -> tuple[Array, Array]:
        """(Q, q) with D(x) = x'Qx + q'x + constant; shapes (d, d) and (d,)."""
        a, b, _ = self.coefficients
        weighted = self.outer[:, None] * self.neurons
        return a * weighted.T @ self.neurons, (self.outer * (2 * a * self.biases + b)) @ self.neurons
