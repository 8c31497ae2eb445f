"""Threshold neurons: the game of half-spaces, the Kolmogorov-Smirnov distance in any number of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan.arrangements import Maximum, maximize_over_halfspaces

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """Neurons 1{u . x > t} with any u and t: ipm(X, Y) is the largest difference of shares in a half-space.

    On one column this is the two-sample Kolmogorov-Smirnov statistic. Their offset is their own, so that ``bias`` stays
    at "none", or is "free", which says the same.

    References
    ----------
    Paik, Celentano, Green and Tibshirani, Integral Probability Metrics Meet Neural Networks: The
    Radon-Kolmogorov-Smirnov Test, JMLR 2025, arXiv 2309.02422, degree 0.
    """

    name: ClassVar[str] = "threshold"
    needs: ClassVar[Literal["rows"]] = "rows"
    degree: ClassVar[int] = 0

    def __call__(self, t: Array) -> Array:
        """s(t), elementwise."""
        return (t > 0).astype(np.float64)

    def separate(self, rows: Array, weights: Array, **search: Any) -> Maximum:
        """The half-space in which samples differ most, with the options of `maximize_over_halfspaces`."""
        return maximize_over_halfspaces(rows, weights, **search)
