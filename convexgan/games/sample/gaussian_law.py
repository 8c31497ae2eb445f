"""What ReLU neurons without bias see of data and of Gaussian laws: convex, positively homogeneous functions of u."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan.arrangements.reduce import positive_sums

Array = NDArray[np.float64]
ROOT = float(np.sqrt(2 * np.pi))
NEWTON = 60
FAR = 38.0  # deviations beyond which the normal density is zero


@dataclass(frozen=True, eq=False)
class Sample:
    """mean max(x . u, 0) over the rows, (n, p)."""

    rows: Array

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.rows)

    @property
    def metric(self) -> Array:
        """The second moment, (p, p)."""
        return self.rows.T @ self.rows / len(self.rows)

    def values(self, U: Array) -> Array:
        """At each row of U, (k,)."""
        return np.asarray(positive_sums(U, self.rows) / len(self.rows))

    def gradients(self, U: Array) -> Array:
        """Subgradients, (k, p)."""
        return np.asarray((U @ self.rows.T > 0) @ self.rows / len(self.rows))


@dataclass(frozen=True, eq=False)
class Gaussian:
    """E max(y . u, 0) for y = factor' z + mean with standard normal z: mu Phi(mu / s) + s phi(mu / s).

    Attributes
    ----------
    factor : (r, p) array
    mean : (p,) array
    """

    factor: Array
    mean: Array

    @property
    def count(self) -> int:
        """The number of rows of both."""
        return len(self.factor) + 1

    @property
    def metric(self) -> Array:
        """The second moment, (p, p)."""
        return self.factor.T @ self.factor + np.outer(self.mean, self.mean)

    def _spread(self, U: Array) -> tuple[Array, Array, Array, Array]:
        """The mean and deviation of y . u, and Phi and phi of their quotient."""
        from scipy.special import ndtr  # here: `import convexgan` stays light

        mu, s = U @ self.mean, np.linalg.norm(U @ self.factor.T, axis=1)
        t = np.clip(np.divide(mu, s, out=np.copysign(FAR, mu), where=s > 0), -FAR, FAR)
        return mu, s, ndtr(t), np.exp(-(t**2) / 2) / ROOT

    def values(self, U: Array) -> Array:
        """At each row of U, (k,)."""
        mu, s, below, density = self._spread(U)
        return np.asarray(mu * below + s * density)

    def gradients(self, U: Array) -> Array:
        """Subgradients, (k, p)."""
        _, s, below, density = self._spread(U)
        turned = U @ self.factor.T @ self.factor
        return below[:, None] * self.mean + (density / np.maximum(s, 1e-300))[:, None] * turned


def variance_at(level: Array, mu: Array) -> Array:
    """The variance of the normal law of mean mu with E max(y, 0) = level; 0 where the level is at most max(mu, 0).

    In the deviation s the expectation is max(mu, 0) plus the convex increasing E max(y - |mu|, 0) of mean -|mu|, at
    least s / sqrt(2 pi) - |mu| / 2: Newton's method from there descends to the root.
    """
    rest, size = np.maximum(level - np.maximum(mu, 0), 0.0), np.abs(mu)
    s = ROOT * (rest + size / 2)
    for _ in range(NEWTON):
        beyond, density = _excess(s, size)
        s = s - (beyond - rest) / np.maximum(density, 1e-300)
        s = np.maximum(s, 0.0)
    return np.asarray(np.where(rest > 0, s**2, 0.0))


def _excess(s: Array, size: Array) -> tuple[Array, Array]:
    """E max(y, 0) of normal laws of mean -size and deviation s, and its derivative in s."""
    from scipy.special import ndtr

    t = np.minimum(np.divide(size, s, out=np.full_like(s, FAR), where=s > 0), FAR)
    density = np.exp(-(t**2) / 2) / ROOT
    return s * density - size * ndtr(-t), density
