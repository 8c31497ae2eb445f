"""Discriminator classes, their exact best response, and solved discriminators as callables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from convexgan._tools.checks import check_choice, resolve
from convexgan.discriminators.absolute import Absolute
from convexgan.discriminators.activation import Activation, MomentActivation, is_kinked, needs_rows
from convexgan.discriminators.best_response import (
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
from convexgan.discriminators.relu import ReLU, enlarging, pieces, separate_relu, signed_sample
from convexgan.discriminators.rows import (
    at_most,
    check_row_bias,
    degree_of,
    has_free_offset,
    rising,
    separate_all,
    separate_offsets,
    separate_rows,
)
from convexgan.discriminators.squared_relu import SquaredReLU
from convexgan.discriminators.threshold import Threshold
from convexgan.discriminators.two_layer import TwoLayerDiscriminator

CLASSES: dict[str, Any] = {
    "linear": Linear,
    "quadratic": Quadratic,
    "polynomial": Polynomial,
    "relu": ReLU,
    "absolute": Absolute,
    "squared_relu": SquaredReLU,
    "threshold": Threshold,
}

__all__ = [
    "Absolute",
    "Linear",
    "Polynomial",
    "Quadratic",
    "ReLU",
    "SquaredReLU",
    "Threshold",
    "TwoLayerDiscriminator",
    "activation_from",
    "as_discriminator",
    "as_game_discriminator",
    "as_moment_discriminator",
    "at_most",
    "check_row_bias",
    "degree_of",
    "difference",
    "distance",
    "enlarging",
    "has_free_offset",
    "maximize_on_sphere",
    "parameters",
    "pieces",
    "rising",
    "separate",
    "separate_all",
    "separate_offsets",
    "separate_relu",
    "separate_rows",
    "separation",
    "separation_bound",
    "signed_sample",
]


def as_discriminator(value: str | Activation) -> Activation:
    """The discriminator class behind a short name, a class or an instance."""
    if getattr(value, "needs", None) in ("moments", "rows") and not isinstance(value, str | type):
        return value  # of a class of the user's own, maybe
    found: Activation = resolve(value, "discriminator", CLASSES)
    return found


def as_game_discriminator(value: str | Activation) -> Activation:
    """The discriminator class behind a name, a class or an instance, for games, certificates and gradients.

    Raises
    ------
    ValueError
        Neurons are steps, which have no slope to follow.
    """
    found = as_discriminator(value)
    if needs_rows(found) and degree_of(found) == 0:
        raise ValueError(
            f"discriminator {found.name!r} is for ipm and two_sample_test: its neurons jump, and tell no generator "
            "which way is nearer; use 'relu' here, with bias='free' for the same half-spaces."
        )
    return found


def as_moment_discriminator(value: str | Activation) -> MomentActivation:
    """The discriminator class behind a name, a class or an instance, for games of moments.

    Raises
    ------
    ValueError
        Neurons need rows, which games of moments do not have.
    """
    found = as_game_discriminator(value)
    if needs_rows(found):
        names = ", ".join(repr(name) for name, spec in CLASSES.items() if spec.needs == "moments")
        raise ValueError(
            f"discriminator {found.name!r} is for ipm, two_sample_test and solve: choose one of {names} here."
        )
    return found


def parameters(activation: Activation) -> tuple[float, ...]:
    """The numbers with which `activation_from` makes the activation again: a, b, c, the slope, or none."""
    if not needs_rows(activation):
        return activation.coefficients
    return (activation.slope,) if is_kinked(activation) else ()


def activation_from(name: str, numbers: Sequence[float]) -> Any:
    """The activation a file describes by its name and its numbers."""
    spec = CLASSES[check_choice(name, "activation", CLASSES)]
    return spec(*numbers) if fields(spec) else spec()
