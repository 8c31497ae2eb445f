"""Free generators: the generated rows themselves are the variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import as_rng, check_count
from convexgan.generators.generator import State

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Free:
    """The class of all samples of n rows.

    Parameters
    ----------
    n : int, optional
        Number of generated rows; by default that of Z, or of X where Z is None.
    """

    n: int | None = None
    name: ClassVar[str] = "free"
    form: ClassVar[Literal["rows"]] = "rows"
    regularizers: ClassVar[tuple[str, ...]] = ("output", "weights")  # as errors list them
    refusals: ClassVar[dict[str, str]] = {}  # those among them that are not convex, and the repair

    def __post_init__(self) -> None:
        if self.n is not None:
            check_count(self.n, "n of Free")

    def build(self, factor: Array, n: int, rng: np.random.Generator) -> FreeGenerator:
        """n rows Y (n, d) with Y'Y / n = factor'factor and mean equal to the factor's last row.

        Rows of the factor are coordinates in an orthonormal basis of the n rows whose last vector is constant;
        the others are drawn at random, since the game leaves them free.
        """
        used = np.flatnonzero(np.any(factor[:-1] != 0, axis=1))
        basis = np.column_stack([np.ones(n), rng.standard_normal((n, len(used)))])
        orthonormal = np.linalg.qr(basis)[0][:, 1:]
        return FreeGenerator(np.sqrt(n) * orthonormal @ factor[used] + factor[-1])

    @staticmethod
    def restore(settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> FreeGenerator:
        """The generator whose `state` was saved."""
        return FreeGenerator(arrays["points"])


@dataclass(frozen=True, eq=False)
class FreeGenerator:
    """A fixed sample of generated rows.

    Attributes
    ----------
    points : (n, d) array
    """

    points: Array
    form: ClassVar[Literal["rows"]] = "rows"

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", as_rows(self.points, "points"))

    def __call__(self, Z: Any = None) -> Array:
        """The generated rows, (n, d), one for each training latent; other latents are refused."""
        if Z is not None and len(as_rows(Z, "Z")) != len(self.points):
            raise ValueError(
                f"a free generator knows only its {len(self.points)} training latents, got {len(Z)}: "
                "call .sample(n) for more rows, or solve with generator='linear'."
            )
        return self.points.copy()

    def sample(self, n: int, rng: int | np.random.Generator | None = None) -> Array:
        """n of the rows, drawn with replacement, (n, d)."""
        draw = as_rng(rng).integers(len(self.points), size=check_count(n, "n"))
        return self.points[draw]

    def state(self) -> State:
        """Settings and arrays from which `Free.restore` makes it again."""
        return {"name": "free"}, {"points": self.points}
