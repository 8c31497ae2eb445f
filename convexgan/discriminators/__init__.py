"""Discriminator classes, their exact best response, and solved discriminators as callables."""

from __future__ import annotations

from collections.abc import Sequence

from convexgan._checks import resolve
from convexgan.discriminators.best_response import BestResponse, maximize_on_sphere, separate, separation
from convexgan.discriminators.linear import Linear
from convexgan.discriminators.polynomial import Polynomial
from convexgan.discriminators.quadratic import Quadratic
from convexgan.discriminators.two_layer import TwoLayerDiscriminator
from convexgan.problem import Activation

CLASSES: dict[str, type] = {"linear": Linear, "quadratic": Quadratic, "polynomial": Polynomial}

__all__ = [
    "BestResponse",
    "Linear",
    "Polynomial",
    "Quadratic",
    "TwoLayerDiscriminator",
    "activation_from",
    "as_discriminator",
    "maximize_on_sphere",
    "separate",
    "separation",
]


def as_discriminator(value: str | Activation) -> Activation:
    """The discriminator class behind a short name, a class or an instance."""
    found: Activation = resolve(value, "discriminator", CLASSES)
    return found


def activation_from(name: str, coefficients: Sequence[float]) -> Activation:
    """The activation a file describes by its name and its a, b, c."""
    spec = CLASSES[name]
    made: Activation = spec(*coefficients) if spec is Polynomial else spec()
    return made
