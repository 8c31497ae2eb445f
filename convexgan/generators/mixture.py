"""Mixture generators: a law on given particles, whose weights are the variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import as_rng, check_choice, check_count, check_finite, check_weights
from convexgan._tools.tables import Label, column_names, new_places
from convexgan.generators.generator import State

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mixture:
    """The class of all laws on the given particles, or of all laws: a game against it is convex in the law.

    Parameters
    ----------
    particles : (m, d) array, optional
        By default the real samples themselves, their multiples by 0, 1/8, ..., 7/8 and 1: towards zero, where it is
        cheap.
    support : "particles" or "continuous"
        "continuous" lets particles lie anywhere in R^d; the game's value then bounds that of every other generator
        from below. Leave ``particles`` out.
    """

    particles: Array | None = None
    support: str = "particles"
    columns: tuple[Label, ...] | None = field(default=None, init=False, repr=False)
    name: ClassVar[str] = "mixture"
    form: ClassVar[Literal["law"]] = "law"

    def __post_init__(self) -> None:
        check_choice(self.support, "support", ("particles", "continuous"))
        if self.particles is not None:
            if self.support == "continuous":
                raise ValueError("support='continuous' finds its own particles: leave particles out.")
            rows = as_rows(self.particles, "particles")
            check_finite(rows, "particles")
            object.__setattr__(self, "columns", column_names(self.particles, "particles"))
            object.__setattr__(self, "particles", rows.astype(np.float64))

    def points(self, data: Array, columns: tuple[Label, ...] | None = None) -> Array | None:
        """The particles, (m, d), without duplicates, in the order of the data's columns; None if they lie anywhere."""
        if self.support == "continuous":
            return None
        if self.particles is not None:
            places = new_places(self.columns, columns, "particles", "X") or slice(None)
            return np.unique(self.particles[:, places], axis=0)
        return np.unique(np.concatenate([share * data for share in np.arange(9) / 8]), axis=0)

    @staticmethod
    def restore(settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> MixtureGenerator:
        """The generator whose `state` was saved."""
        return MixtureGenerator(arrays["particles"], arrays["weights"])


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
    form: ClassVar[Literal["law"]] = "law"

    def __post_init__(self) -> None:
        object.__setattr__(self, "particles", as_rows(self.particles, "particles"))
        object.__setattr__(self, "weights", check_weights(self.weights, len(self.particles), "weights"))

    def __call__(self, Z: Any = None) -> Array:
        """Refused: a mixture is a law, not a function of latents."""
        raise ValueError("a mixture has no latents: call .sample(n), or use .particles and .weights.")

    def sample(self, n: int, rng: int | np.random.Generator | None = None) -> Array:
        """n independent draws, (n, d)."""
        draw = as_rng(rng)
        return self.particles[draw.choice(len(self.particles), size=check_count(n, "n"), p=self.weights)]

    def state(self) -> State:
        """Settings and arrays from which `Mixture.restore` makes it again."""
        return {"name": "mixture"}, {"particles": self.particles, "weights": self.weights}
