"""Radial kernels K(x, y) = k(|x - y|^2), with the two derivatives the dynamics need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats

Array = NDArray[np.float64]


class Kernel(Protocol):
    """k, k' and k'' as functions of the squared distance r2, (..., m, n); widths broadcast against (...)."""

    def value(self, r2: Array) -> Array:
        """k(r2)."""

    def slope(self, r2: Array) -> Array:
        """k'(r2)."""

    def bend(self, r2: Array) -> Array:
        """k''(r2)."""


@dataclass(frozen=True, eq=False)
class GaussianKernel:
    """exp(-r2 / (2 width^2)).

    Parameters
    ----------
    width : float or (...) array
        The standard deviation, in the units of the data; an array makes a batch of games.
    """

    width: Any = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", _positive(self.width, "width"))

    def value(self, r2: Array) -> Array:
        """k(r2)."""
        return np.exp(r2 * (-0.5 / _square(self.width)))

    def slope(self, r2: Array) -> Array:
        """k'(r2)."""
        return self.value(r2) * (-0.5 / _square(self.width))

    def bend(self, r2: Array) -> Array:
        """k''(r2)."""
        return self.value(r2) * (0.25 / _square(self.width) ** 2)


@dataclass(frozen=True, eq=False)
class RationalQuadratic:
    """(1 + r2 / (2 alpha width^2))^-alpha: a mixture of Gaussians of many widths, with a heavy tail.

    Parameters
    ----------
    width : float or (...) array
        The length scale; near 0 the kernel is that of a Gaussian of this width.
    alpha : float
        The tail's power; towards infinity the kernel is the Gaussian.
    """

    width: Any = 1.0
    alpha: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", _positive(self.width, "width"))
        object.__setattr__(self, "alpha", float(_positive(self.alpha, "alpha")))

    def value(self, r2: Array) -> Array:
        """k(r2)."""
        return self._power(r2, 0)

    def slope(self, r2: Array) -> Array:
        """k'(r2)."""
        return self._power(r2, 1) * (-0.5 / _square(self.width))

    def bend(self, r2: Array) -> Array:
        """k''(r2)."""
        return self._power(r2, 2) * (0.25 * (1 + 1 / self.alpha) / _square(self.width) ** 2)

    def _power(self, r2: Array, more: int) -> Array:
        power: Array = (1 + r2 / (2 * self.alpha * _square(self.width))) ** (-self.alpha - more)
        return power


@dataclass(frozen=True, eq=False)
class KernelSum:
    """The sum of kernels.

    Parameters
    ----------
    parts : sequence of Kernel
        At least one.
    """

    parts: Sequence[Kernel]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("parts of KernelSum is empty: pass at least one kernel.")

    def value(self, r2: Array) -> Array:
        """k(r2), (...)."""
        return _total(part.value(r2) for part in self.parts)

    def slope(self, r2: Array) -> Array:
        """k'(r2), (...)."""
        return _total(part.slope(r2) for part in self.parts)

    def bend(self, r2: Array) -> Array:
        """k''(r2), (...)."""
        return _total(part.bend(r2) for part in self.parts)


def curvature(kernel: Kernel) -> Array:
    """gamma = -2 k'(0), (...): 1 / width^2 for the kernels of this file, by definition.

    Raises
    ------
    ValueError
        The kernel has a kink at 0 (Laplacian, Matern 1/2): gradient descent-ascent has no linearisation there.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gamma = -2 * np.asarray(kernel.slope(np.zeros((1, 1))))[..., 0, 0]
    if not (np.isfinite(gamma).all() and (gamma > 0).all()):
        raise ValueError(f"kernel has k'(0) = {-gamma / 2}: it must be finite and negative; smooth kernels only.")
    return gamma


def _positive(value: Any, name: str) -> Array:
    number = as_floats(value, f"{name} of a kernel")
    if not np.isfinite(number).all() or (number <= 0).any():
        raise ValueError(f"{name} of a kernel must be finite and positive, got {value!r}.")
    return number


def _total(arrays: Iterable[Array]) -> Array:
    return reduce(np.add, arrays)


def _square(width: Array) -> Array:
    """width^2 with the two axes of distances."""
    return width[..., None, None] ** 2
