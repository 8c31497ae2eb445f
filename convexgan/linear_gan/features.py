"""Random features of latents, and the second moment of what a feature map makes of standard Gaussian latents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_number

Array = NDArray[np.float64]
NODES = np.linspace(-12, 12, 2401)  # the trapezoidal rule, whose error falls exponentially with their distance
TERMS, TAIL = 400, 1e-13  # the most terms of a series, and what it may leave out of a variance of 1


@dataclass(frozen=True)
class RandomFeatures:
    """A layer of random neurons between latents and generator: G(z) = W' tanh(gain A z / sqrt k), A (q, k) Gaussian.

    Attributes
    ----------
    ratio : float
        The width q = ratio * k, rounded.
    gain : float
        The size of what tanh sees. Small: q features that are nearly linear, so that k directions hold almost all of
        their variance.
    """

    ratio: float = 3.0
    gain: float = 0.3

    def __post_init__(self) -> None:
        check_number(self.ratio, "ratio", positive=True)
        check_number(self.gain, "gain", positive=True)

    def weights(self, k: int, rng: np.random.Generator) -> Array:
        """gain A' / sqrt k, (k, q)."""
        width = max(round(self.ratio * k), 1)
        return np.asarray(self.gain / np.sqrt(k) * rng.standard_normal((width, k)).T)


def tanh_moment(weights: Array) -> Array:
    """E tanh(z'a_i) tanh(z'a_j), (q, q), for standard Gaussian z and the columns a_i of weights (k, q).

    In normalised Hermite polynomials tanh(|a| t) = sum c_n(|a|) h_n(t), and E h_n(s) h_n(t) = r^n at correlation r: the
    sum over n of c_n(|a_i|) c_n(|a_j|) r_ij^n, up to rounding.

    Raises
    ------
    ValueError
        The weights are so large that tanh is nearly a sign, and the series too long.
    """
    sizes = np.linalg.norm(weights, axis=0)
    directions = weights / np.where(sizes > 0, sizes, 1)
    power = np.clip(directions.T @ directions, -1, 1)
    square = power**2
    mass = np.exp(-(NODES**2) / 2) / np.sqrt(2 * np.pi) * (NODES[1] - NODES[0])
    values = np.tanh(sizes[:, None] * NODES)
    left, found = values**2 @ mass, np.zeros_like(power)
    previous, polynomial = np.zeros_like(NODES), np.ones_like(NODES)
    for n in range(1, TERMS):
        previous, polynomial = polynomial, (NODES * polynomial - np.sqrt(n - 1) * previous) / np.sqrt(n)
        if n % 2 == 0:
            continue
        c = values @ (mass * polynomial)
        found += c[:, None] * c * power
        power, left = power * square, left - c**2
        if left.max() <= TAIL:
            return found
    raise ValueError("gain of RandomFeatures is too large for the series of the features' second moment: at most .5.")
