"""Generator classes and solved generators as callables."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from convexgan._checks import resolve
from convexgan.generators.free import Free, FreeGenerator
from convexgan.generators.linear import Linear, LinearGenerator
from convexgan.generators.mixture import Mixture, MixtureGenerator
from convexgan.generators.polynomial import PolynomialGenerator, TwoLayerPolynomial
from convexgan.generators.relu import ReLUGenerator, TwoLayerReLU
from convexgan.latents import GaussianLatent, Latent, MomentLatent, SampleLatent
from convexgan.moments import Moments

MomentGenerator = Linear | Free | TwoLayerPolynomial | TwoLayerReLU
GeneratorClass = MomentGenerator | Mixture
Generator = LinearGenerator | FreeGenerator | PolynomialGenerator | ReLUGenerator | MixtureGenerator
CLASSES: dict[str, type] = {
    "linear": Linear,
    "free": Free,
    "relu": TwoLayerReLU,
    "polynomial": TwoLayerPolynomial,
    "mixture": Mixture,
}

__all__ = [
    "Free",
    "FreeGenerator",
    "Generator",
    "GeneratorClass",
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
    found: GeneratorClass = resolve(value, "generator", CLASSES)
    return found


def state(generator: Generator) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Settings and arrays from which `restore` makes the generator again."""
    if isinstance(generator, FreeGenerator):
        return {"name": "free"}, {"points": generator.points}
    if isinstance(generator, MixtureGenerator):
        return {"name": "mixture"}, {"particles": generator.particles, "weights": generator.weights}
    latent = generator.latent
    settings: dict[str, Any] = {"latent": type(latent).__name__, "dim": latent.dim}
    arrays: dict[str, NDArray[Any]] = {"latents": latent.rows} if isinstance(latent, SampleLatent) else {}
    if isinstance(generator, ReLUGenerator):
        network = {"neurons": generator.neurons, "biases": generator.biases, "outer": generator.outer}
        return settings | {"name": "relu"}, arrays | network
    arrays["weights"] = generator.weights
    if isinstance(generator, LinearGenerator):
        return settings | {"name": "linear"}, arrays | {"bias": generator.bias}
    spec = generator.spec
    return settings | {"name": "polynomial", "coefficients": [spec.a, spec.b, spec.c]}, arrays


def restore(settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Generator:
    """The generator whose `state` was saved."""
    if settings["name"] == "free":
        return FreeGenerator(arrays["points"])
    if settings["name"] == "mixture":
        return MixtureGenerator(arrays["particles"], arrays["weights"])
    latent: Latent
    if settings["latent"] == "SampleLatent":
        latent = SampleLatent(arrays["latents"])
    elif settings["latent"] == "GaussianLatent":
        latent = GaussianLatent(settings["dim"])
    else:
        latent = MomentLatent(Moments(settings["dim"]))
    if settings["name"] == "relu":
        return ReLUGenerator(arrays["neurons"], arrays["biases"], arrays["outer"], latent)
    if settings["name"] == "linear":
        return LinearGenerator(arrays["weights"], arrays["bias"], latent)
    return PolynomialGenerator(arrays["weights"], TwoLayerPolynomial(*settings["coefficients"]), latent)
