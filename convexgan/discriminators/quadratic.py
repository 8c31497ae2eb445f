"""Quadratic activation: the game matches second moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Quadratic:
    """Neurons s(t) = t^2 on the unit sphere; ipm(X, Y) is the spectral norm of the second moments' difference."""

    name: ClassVar[str] = "quadratic"
    needs: ClassVar[Literal["moments"]] = "moments"

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """(a, b, c) of a t^2 + b t + c."""
        return 1.0, 0.0, 0.0

    def __call__(self, t: Array) -> Array:
        """s(t), elementwise."""
        return t * t
