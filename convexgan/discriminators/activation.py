"""What an activation is: a class with these attributes is a discriminator class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Array = NDArray[np.float64]


class MomentActivation(Protocol):
    """Neurons a t^2 + b t + c, on the unit ball or sphere: they see the moments of a law.

    An instance of any class with these attributes is a discriminator class; a line in
    `convexgan.discriminators.CLASSES` gives it a name, by which files are read.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Literal["moments"]: ...

    @property
    def coefficients(self) -> tuple[float, float, float]: ...

    def __call__(self, t: Array) -> Array: ...


class KinkedActivation(Protocol):
    """Neurons max(t, 0) + slope min(t, 0) on the unit ball: they see rows, by the hyperplanes between them."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Literal["rows"]: ...

    @property
    def slope(self) -> float: ...

    def __call__(self, t: Array) -> Array: ...


class SearchedActivation(Protocol):
    """Neurons max(t, 0)^degree on the unit ball, which bring the searches for the best of them.

    Rows (N, d) and weights (N,) are those of a signed sum; ``separate`` returns a `convexgan.arrangements.Maximum` and
    takes the options of `convexgan.ipm`, ``separate_all`` the maxima (B,) for weights (B, N) on one or two columns,
    ``local_maxima`` unit neurons (k, d) found from starts, and what they see.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Literal["rows"]: ...

    @property
    def degree(self) -> int: ...

    def __call__(self, t: Array) -> Array: ...

    def separate(self, rows: Array, weights: Array, **search: Any) -> Any: ...

    def separate_all(self, rows: Array, weights: Array) -> Array: ...

    def local_maxima(
        self, rows: Array, weights: Array, starts: Array, time_limit: float | None = None
    ) -> tuple[Array, Array]: ...


RowActivation = KinkedActivation | SearchedActivation
Activation = MomentActivation | RowActivation


def needs_rows(activation: Activation) -> TypeIs[RowActivation]:
    """Whether neurons see more of a law than its moments."""
    return activation.needs == "rows"


def is_kinked(activation: Activation) -> TypeIs[KinkedActivation]:
    """Whether neurons are linear on either side of their hyperplane: ReLUs, leaky ones, the absolute value."""
    return activation.needs == "rows" and hasattr(activation, "slope")
