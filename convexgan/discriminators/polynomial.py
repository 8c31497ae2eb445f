"""Polynomial activation of degree two: the game matches means and second moments together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_number

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Polynomial:
    """Neurons s(t) = a t^2 + b t + c on the unit sphere; each sign of ipm is a trust-region problem.

    Parameters
    ----------
    a, b, c : float
        The default is the usual fit of the ReLU. c has no influence on the game: constants cancel.
    """

    a: float = 0.09375
    b: float = 0.5
    c: float = 0.46875
    name: ClassVar[str] = "polynomial"
    needs: ClassVar[Literal["moments"]] = "moments"

    def __post_init__(self) -> None:
        for name, value in (("a", self.a), ("b", self.b), ("c", self.c)):
            check_number(value, f"{name} of Polynomial", signed=True)
        if self.a == 0 and self.b == 0:
            raise ValueError(
                f"Polynomial needs a or b non-zero, got {self.coefficients}: a constant activation separates nothing."
            )

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """(a, b, c) of a t^2 + b t + c."""
        return self.a, self.b, self.c

    def __call__(self, t: Array) -> Array:
        """s(t), elementwise."""
        return (self.a * t + self.b) * t + self.c
