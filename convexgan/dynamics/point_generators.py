"""Generators of points under a kernel discriminator: free, linear in latents, a network of one hidden layer."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan.updates import Player

Array = NDArray[np.float64]


class PointGenerator(Protocol):
    """Points as a function of weights: an array, or a tuple of arrays, of two axes and a batch before them."""

    def points(self, weights: Player) -> Array:
        """(..., n, dim) generated points."""

    def pull(self, weights: Player, slopes: Array) -> Player:
        """The gradient in the weights of what has these slopes (..., n, dim) in the points."""


class FreePoints:
    """The weights are the points."""

    def points(self, weights: Array) -> Array:
        """The weights, which are points (..., n, dim)."""
        return weights

    def pull(self, weights: Array, slopes: Array) -> Array:
        """The slopes, at points (..., n, dim)."""
        return slopes


class LinearPoints:
    """Points y_j = W'z_j, W (..., k, dim).

    Parameters
    ----------
    latents : (n, k) array
        Fixed; a column of ones makes a bias.
    """

    def __init__(self, latents: Any) -> None:
        self.latents = as_rows(latents, "latents").astype(np.float64)

    def points(self, weights: Array) -> Array:
        """ZW."""
        return np.asarray(self.latents @ weights)

    def pull(self, weights: Array, slopes: Array) -> Array:
        """Z'slopes."""
        return np.asarray(self.latents.T @ slopes)


class NetworkPoints:
    """Points y_j = V'tanh(U'z_j), the weights being U (..., k, width) and V (..., width, dim).

    Smooth, so that it can be linearised wherever its points are.

    Parameters
    ----------
    latents : (n, k) array
        Fixed; a column of ones makes a bias.
    """

    def __init__(self, latents: Any) -> None:
        self.latents = as_rows(latents, "latents").astype(np.float64)

    def points(self, weights: tuple[Array, Array]) -> Array:
        """tanh(ZU)V."""
        U, V = weights
        return np.asarray(np.tanh(self.latents @ U) @ V)

    def pull(self, weights: tuple[Array, Array], slopes: Array) -> tuple[Array, Array]:
        """By back-propagation."""
        U, V = weights
        hidden = np.tanh(self.latents @ U)
        back = (slopes @ np.swapaxes(V, -1, -2)) * (1 - hidden**2)
        return self.latents.T @ back, np.swapaxes(hidden, -1, -2) @ slopes
