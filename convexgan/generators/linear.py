"""Linear generators, G(z) = W'z (+ b)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import as_rng, check_columns, check_count, check_finite, check_flag
from convexgan._tools.rounding import gamma
from convexgan.generators.generator import State
from convexgan.statistics.latents import Latent, latent_state, restore_latent
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """The class of linear generators; with ``bias`` a constant is appended to the latents and penalised alike.

    Parameters
    ----------
    bias : bool
    """

    bias: bool = False
    name: ClassVar[str] = "linear"
    form: ClassVar[Literal["affine"]] = "affine"
    regularizers: ClassVar[tuple[str, ...]] = ("output", "weights")  # as errors list them
    refusals: ClassVar[dict[str, str]] = {}  # those among them that are not convex, and the repair

    def __post_init__(self) -> None:
        check_flag(self.bias, "bias of Linear")

    def features(self, latent: Latent) -> Moments:
        """The moments of what the weights multiply: z, or [z, 1]."""
        moments = latent.moments()
        return moments.with_ones() if self.bias else moments

    def lift(self, rows: NDArray[Any]) -> NDArray[Any]:
        """What the weights multiply, (n, k) or (n, k + 1), for latents (n, k)."""
        return np.column_stack([rows, np.ones(len(rows))]) if self.bias else rows

    def build(self, weights: Array, latent: Latent) -> LinearGenerator:
        """The generator with the given (k or k + 1, d) weights."""
        if self.bias:
            return LinearGenerator(weights[:-1], weights[-1], latent)
        return LinearGenerator(weights, np.zeros(weights.shape[1]), latent)

    @staticmethod
    def restore(settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> LinearGenerator:
        """The generator whose `state` was saved."""
        return LinearGenerator(arrays["weights"], arrays["bias"], restore_latent(settings, arrays))


@dataclass(frozen=True, eq=False)
class LinearGenerator:
    """G(z) = weights' z + bias.

    Attributes
    ----------
    weights : (k, d) array
    bias : (d,) array
    latent : Latent
        What `sample` draws from.
    """

    weights: Array
    bias: Array
    latent: Latent
    form: ClassVar[Literal["affine"]] = "affine"

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.bias.shape != self.weights.shape[1:] or len(self.weights) != self.latent.dim:
            raise ValueError(
                f"weights and bias must have shapes ({self.latent.dim}, d) and (d,) for latents of dimension "
                f"{self.latent.dim}, got {self.weights.shape} and {self.bias.shape}."
            )

    def __call__(self, Z: Any) -> Array:
        """The generated rows, (n_f, d), for latents (n_f, k)."""
        rows = as_rows(Z, "Z")
        check_columns(rows, len(self.weights), "Z", "the generator's latents")
        check_finite(rows, "Z")
        return np.asarray(rows @ self.weights + self.bias, dtype=np.float64)

    def rounding(self, rows: Array) -> Array:
        """How far rounding may have moved each entry of the rows generated from latents (n, k), (n, d)."""
        return np.asarray(gamma(len(self.weights) + 3) * (np.abs(rows) @ np.abs(self.weights) + np.abs(self.bias)))

    def sample(self, n: int, rng: int | np.random.Generator | None = None) -> Array:
        """n generated rows, (n, d), from fresh latents."""
        return self(self.latent.sample(check_count(n, "n"), as_rng(rng)))

    def state(self) -> State:
        """Settings and arrays from which `Linear.restore` makes it again."""
        settings, arrays = latent_state(self.latent)
        return settings | {"name": "linear"}, arrays | {"weights": self.weights, "bias": self.bias}
