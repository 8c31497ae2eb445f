"""What a generator class and a solved generator of one's own are made of.

The ``form`` of both says what is optimised: an "affine" map of the latents (`Linear`), weights on "features" of them, a
ReLU "network" through given ones, the generated "rows" themselves (`Free`), or a "law" on particles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.tables import Label
from convexgan.statistics.latents import Latent, Lifting
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
State = tuple[dict[str, Any], dict[str, NDArray[Any]]]  # settings, which are JSON, and arrays


class FeatureGenerator(Protocol):
    """G(z) = weights' lift(z)."""

    @property
    def form(self) -> Literal["features"]: ...

    @property
    def weights(self) -> Array:
        """The weights of the features, (K, d)."""

    @property
    def spec(self) -> FeatureClass: ...

    @property
    def latent(self) -> Latent:
        """The law of the latents that `sample` draws from."""

    def __call__(self, Z: Any) -> Array:
        """The generated rows, (n, d), for latents (n, k)."""

    def rounding(self, rows: Array) -> Array:
        """How far rounding may have moved each entry of the rows generated from latents (n, k), (n, d)."""

    def sample(self, n: int, rng: int | np.random.Generator | None = None) -> Array:
        """n generated rows, (n, d), from fresh latents."""

    def state(self) -> State:
        """Settings, with the class's name as "name", and arrays, from which the class's `restore` makes it again."""


class FeatureClass(Lifting, Protocol):
    """Generators linear in features of the latents.

    An instance of any class with these attributes is a generator class; a line in `convexgan.generators.CLASSES` gives
    it a name, by which files are read. ``lift`` gives each row's features, (n, K), whatever the other rows are. Latents
    remember their features by the instance, which has to be hashable.
    """

    @property
    def name(self) -> str: ...

    @property
    def form(self) -> Literal["features"]: ...

    @property
    def regularizers(self) -> Sequence[str]:
        """What may be penalised, as errors list it: "output", "weights" or "lifted", the weights of the features."""

    @property
    def refusals(self) -> Mapping[str, str]:
        """The penalties among `regularizers` that are not convex, and the repair."""

    def features(self, latent: Latent) -> Moments:
        """The moments of the lifted latents; ValueError for laws of which they are not known."""

    def build(self, weights: Array, latent: Latent) -> FeatureGenerator:
        """The generator with the given (K, d) weights."""

    @staticmethod
    def restore(settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> FeatureGenerator:
        """The generator whose `state` was saved."""


class LawClass(Protocol):
    """Laws on particles, solved as a `MixtureGenerator`; an instance of any class with these attributes is one."""

    @property
    def name(self) -> str: ...

    @property
    def form(self) -> Literal["law"]: ...

    @property
    def support(self) -> str:
        """ "particles", or "continuous" if they may lie anywhere."""

    def points(self, data: Array, columns: tuple[Label, ...] | None = None) -> Array | None:
        """The particles, (m, d), in the order of the data's columns; None if they may lie anywhere."""
