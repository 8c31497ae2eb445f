"""Absolute value: neurons see the mean distance to a hyperplane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Absolute:
    """Neurons s(t) = |t| on the unit ball; ipm(X, Y) is a search over hyperplane arrangements."""

    name: ClassVar[str] = "absolute"
    needs: ClassVar[Literal["rows"]] = "rows"
    slope: ClassVar[float] = -1.0

    def __call__(self, t: Array) -> Array:
        """s(t), elementwise."""
        return np.abs(t)
