"""Linear activation: the game matches means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """Neurons s(t) = t on the unit ball; ipm(X, Y) is the norm of the difference of means."""

    name: ClassVar[str] = "linear"
    needs: ClassVar[Literal["moments"]] = "moments"

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """(a, b, c) of a t^2 + b t + c."""
        return 0.0, 1.0, 0.0

    def __call__(self, t: Array) -> Array:
        """s(t), elementwise."""
        return t
