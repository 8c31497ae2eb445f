"""A two-layer discriminator as a callable with its neurons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows, ordered
from convexgan._tools.checks import check_columns, check_finite
from convexgan._tools.tables import Label
from convexgan.discriminators.activation import Activation, needs_rows

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
        t = rows @ self.neurons.T + self.biases
        return np.asarray(self.activation(t) @ self.outer, dtype=np.float64)

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
