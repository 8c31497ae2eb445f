"""Two-layer polynomial generators, linear in lifted features of the latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import as_rng, check_columns, check_count, check_finite, check_number
from convexgan._tools.rounding import gamma, length
from convexgan.generators.generator import State
from convexgan.statistics.latents import (
    GaussianLatent,
    Latent,
    SampleLatent,
    latent_state,
    quadratic_features,
    restore_latent,
)
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TwoLayerPolynomial:
    """The class of generators sum_j w_j s(u_j . z), s(t) = a t^2 + b t + c, of any width.

    With enough neurons of any norm the class is all maps linear in the lifted features [a zz', b z, c]
    (a feature with coefficient 0 is absent), so the closed forms of linear generators hold with lifted moments.

    Parameters
    ----------
    a, b, c : float
    """

    a: float = 0.09375
    b: float = 0.5
    c: float = 0.46875
    name: ClassVar[str] = "polynomial"
    form: ClassVar[Literal["features"]] = "features"
    regularizers: ClassVar[tuple[str, ...]] = ("output", "weights", "lifted")  # as errors list them
    refusals: ClassVar[dict[str, str]] = {  # those among them that are not convex, and the repair
        "weights": "regularizer='weights' is not convex for two-layer generators: use regularizer='output', or "
        "'lifted', the squared Frobenius norm of the weights on the lifted features (not weight decay)."
    }

    def __post_init__(self) -> None:
        for name, value in (("a", self.a), ("b", self.b), ("c", self.c)):
            check_number(value, f"{name} of TwoLayerPolynomial", signed=True)
        if self.a == 0 and self.b == 0:
            raise ValueError(f"TwoLayerPolynomial needs a or b non-zero, got {(self.a, self.b, self.c)}.")

    def _scale(self, k: int) -> Array:
        """The factor of each quadratic feature."""
        return np.concatenate([np.full(k * (k + 1) // 2, self.a), np.full(k, self.b), [self.c]])

    def lift(self, rows: NDArray[Any]) -> Array:
        """The lifted features, (n, K), of latents (n, k)."""
        scale = self._scale(rows.shape[1])
        return (quadratic_features(rows) * scale)[:, scale != 0]

    def features(self, latent: Latent) -> Moments:
        """The moments of the lifted features: exact for Gaussian latents, else of the sample.

        Raises
        ------
        ValueError
            The latents are Moments, which lack the fourth ones.
        """
        if isinstance(latent, SampleLatent):
            return Moments.from_array(self.lift(latent.rows), name="lifted Z")
        if not isinstance(latent, GaussianLatent):
            raise ValueError(
                "a polynomial generator needs fourth moments of the latents: pass Z as an array or GaussianLatent(k)."
            )
        exact, scale = latent.quadratic_moments(), self._scale(latent.dim)
        keep = scale != 0
        second = (exact.second * np.outer(scale, scale))[np.ix_(keep, keep)]
        size = float(np.abs(scale).max())
        error = size**2 * (exact.second_error + gamma(4) * exact.trace)
        return Moments.of_second((exact.mean * scale)[keep], second, error, gamma(2) * size * length(exact.mean))

    def build(self, weights: Array, latent: Latent) -> PolynomialGenerator:
        """The generator with the given (K, d) weights on the lifted features."""
        return PolynomialGenerator(weights, self, latent)

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> PolynomialGenerator:
        """The generator whose `state` was saved."""
        latent = restore_latent(settings, arrays)
        return PolynomialGenerator(arrays["weights"], cls(*settings["coefficients"]), latent)


@dataclass(frozen=True, eq=False)
class PolynomialGenerator:
    """G(z) = weights' lift(z), a polynomial of degree two in z.

    Attributes
    ----------
    weights : (K, d) array
    spec : TwoLayerPolynomial
    latent : Latent
    """

    weights: Array
    spec: TwoLayerPolynomial
    latent: Latent
    form: ClassVar[Literal["features"]] = "features"

    def __call__(self, Z: Any) -> Array:
        """The generated rows, (n_f, d), for latents (n_f, k)."""
        rows = as_rows(Z, "Z")
        check_columns(rows, self.latent.dim, "Z", "the generator's latents")
        check_finite(rows, "Z")
        return self.spec.lift(rows) @ self.weights

    def rounding(self, rows: Array) -> Array:
        """How far rounding may have moved each entry of the rows generated from latents (n, k), (n, d)."""
        features = np.abs(self.spec.lift(rows))
        return np.asarray(gamma(features.shape[1] + 8) * (features @ np.abs(self.weights)))

    def sample(self, n: int, rng: int | np.random.Generator | None = None) -> Array:
        """n generated rows, (n, d), from fresh latents."""
        return self(self.latent.sample(check_count(n, "n"), as_rng(rng)))

    def state(self) -> State:
        """Settings and arrays from which `TwoLayerPolynomial.restore` makes it again."""
        settings, arrays = latent_state(self.latent)
        coefficients = [self.spec.a, self.spec.b, self.spec.c]
        return settings | {"name": "polynomial", "coefficients": coefficients}, arrays | {"weights": self.weights}
