"""Mixture generators: a law on given particles, whose weights are the variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import as_rows, check_count, check_finite

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mixture:
    """The class of all laws on the given particles: a game against it is convex whatever the discriminator.

    Parameters
    ----------
    particles : (m, d) array, optional
        By default the real samples themselves, their multiples by 0, 1/8, ..., 7/8 and 1: towards zero, where it is
        cheap.
    """

    particles: Array | None = None
    name: ClassVar[str] = "mixture"

    def __post_init__(self) -> None:
        if self.particles is not None:
            rows = as_rows(self.particles, "particles")
            check_finite(rows, "particles")
            object.__setattr__(self, "particles", rows.astype(np.float64))

    def points(self, data: Array) -> Array:
        """The particles, (m, d), without duplicates."""
        if self.particles is not None:
            return np.unique(self.particles, axis=0)
        return np.unique(np.concatenate([share * data for share in np.arange(9) / 8]), axis=0)


@dataclass(frozen=True, eq=False)
class MixtureGenerator:
    """A law on particles.

    Attributes
    ----------
    particles : (m, d) array
        Those with a positive weight.
    weights : (m,) array
        Summing to 1.
    """

    particles: Array
    weights: Array

    def __call__(self, Z: Any = None) -> Array:
        """Refused: a mixture is a law, not a function of latents."""
        raise ValueError("a mixture has no latents: call .sample(n), or use .particles and .weights.")

    def sample(self, n: int, rng: int | np.random.Generator | None = None) -> Array:
        """n independent draws, (n, d)."""
        draw = np.random.default_rng(rng)
        return self.particles[draw.choice(len(self.particles), size=check_count(n, "n"), p=self.weights)]
