"""Squared ReLU: the game matches second moments, one for each way a hyperplane cuts the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan.arrangements import Maximum, local_square_maxima, maximize_squares, sweep_square_values

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SquaredReLU:
    """Neurons s(t) = max(t, 0)^2 on the unit ball; ipm(X, Y) is a search over hyperplane arrangements."""

    name: ClassVar[str] = "squared_relu"
    needs: ClassVar[Literal["rows"]] = "rows"
    degree: ClassVar[int] = 2

    def __call__(self, t: Array) -> Array:
        """s(t), elementwise."""
        return np.maximum(t, 0.0) ** 2

    def separate(self, rows: Array, weights: Array, **search: Any) -> Maximum:
        """The neuron that sees most of a signed sample, with the options of `maximize_squares`."""
        return maximize_squares(rows, weights, **search)

    def separate_all(self, rows: Array, weights: Array) -> Array:
        """What the best neuron sees, (B,), for many weights (B, N) of the same rows (N, 1) or (N, 2)."""
        return sweep_square_values(rows, weights)

    def local_maxima(
        self, rows: Array, weights: Array, starts: Array, time_limit: float | None = None
    ) -> tuple[Array, Array]:
        """Unit neurons (k, d) that ascents from the starts reach, and what they see (k,)."""
        return local_square_maxima(rows, weights, starts, time_limit)
