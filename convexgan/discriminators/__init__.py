"""Discriminator classes, their exact best response, and solved discriminators as callables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convexgan._checks import check_choice, resolve
from convexgan.discriminators.best_response import (
    BestResponse,
    difference,
    distance,
    maximize_on_sphere,
    separate,
    separation,
    separation_bound,
)
from convexgan.discriminators.linear import Linear
from convexgan.discriminators.polynomial import Polynomial
from convexgan.discriminators.quadratic import Quadratic
from convexgan.discriminators.relu import ReLU, separate_relu, signed_sample
from convexgan.discriminators.two_layer import TwoLayerDiscriminator
from convexgan.problem import Activation

MOMENTS: dict[str, type] = {"linear": Linear, "quadratic": Quadratic, "polynomial": Polynomial}
CLASSES: dict[str, type] = {**MOMENTS, "relu": ReLU}

__all__ = [
    "BestResponse",
    "Linear",
    "Polynomial",
    "Quadratic",
    "ReLU",
    "TwoLayerDiscriminator",
    "activation_from",
    "as_discriminator",
    "as_moment_discriminator",
    "difference",
    "distance",
    "maximize_on_sphere",
    "parameters",
    "separate",
    "separate_relu",
    "separation",
    "separation_bound",
    "signed_sample",
]


def as_discriminator(value: str | Activation | ReLU) -> Activation | ReLU:
    """The discriminator class behind a short name, a class or an instance."""
    found: Activation | ReLU = resolve(value, "discriminator", CLASSES)
    return found


def as_moment_discriminator(value: str | Activation | ReLU) -> Activation:
    """The same where only moments are matched."""
    found = as_discriminator(value)
    if isinstance(found, ReLU):
        names = ", ".join(map(repr, MOMENTS))
        raise ValueError(f"discriminator 'relu' is for ipm, two_sample_test and solve: choose one of {names} here.")
    return found


def parameters(activation: Activation | ReLU) -> tuple[float, ...]:
    """The numbers with which `activation_from` makes the activation again: a, b, c or the slope."""
    return (activation.slope,) if isinstance(activation, ReLU) else activation.coefficients


def activation_from(name: str, numbers: Sequence[float]) -> Any:
    """The activation a file describes by its name and its numbers."""
    spec = CLASSES[check_choice(name, "activation", CLASSES)]
    return spec(*numbers) if spec in (Polynomial, ReLU) else spec()
