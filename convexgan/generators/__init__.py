"""Generator classes and solved generators as callables."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, resolve
from convexgan.generators.free import Free, FreeGenerator
from convexgan.generators.generator import FeatureClass, FeatureGenerator, LawClass, State
from convexgan.generators.linear import Linear, LinearGenerator
from convexgan.generators.mixture import Mixture, MixtureGenerator
from convexgan.generators.polynomial import PolynomialGenerator, TwoLayerPolynomial
from convexgan.generators.relu import ReLUGenerator, TwoLayerReLU

LatentClass = Linear | TwoLayerReLU | FeatureClass
MomentGenerator = Free | LatentClass
GeneratorClass = MomentGenerator | LawClass
Generator = LinearGenerator | FreeGenerator | ReLUGenerator | MixtureGenerator | FeatureGenerator
CLASSES: dict[str, Any] = {
    "linear": Linear,
    "free": Free,
    "relu": TwoLayerReLU,
    "polynomial": TwoLayerPolynomial,
    "mixture": Mixture,
}

__all__ = [
    "FeatureClass",
    "FeatureGenerator",
    "Free",
    "FreeGenerator",
    "Generator",
    "GeneratorClass",
    "LatentClass",
    "LawClass",
    "Linear",
    "LinearGenerator",
    "Mixture",
    "MixtureGenerator",
    "MomentGenerator",
    "PolynomialGenerator",
    "ReLUGenerator",
    "TwoLayerPolynomial",
    "TwoLayerReLU",
    "as_generator",
    "restore",
    "state",
]


def as_generator(value: str | GeneratorClass) -> GeneratorClass:
    """The generator class behind a short name, a class or an instance."""
    if getattr(value, "form", None) in ("features", "law") and not isinstance(value, str | type):
        return value  # of a class of the user's own, maybe
    found: GeneratorClass = resolve(value, "generator", CLASSES)
    return found


def state(generator: Generator) -> State:
    """Settings and arrays from which `restore` makes the generator again."""
    return generator.state()


def restore(settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Generator:
    """The generator whose `state` was saved, by the class of its name."""
    spec = CLASSES[check_choice(settings["name"], "generator", CLASSES)]
    made: Generator = spec.restore(settings, arrays)
    return made
