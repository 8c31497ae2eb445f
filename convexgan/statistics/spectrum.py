"""Eigenpairs of a second moment, and how far they may be from its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import entries, gamma, length

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues, descending and clipped at 0, with orthonormal eigenvectors; what is missing is zero.

    Attributes
    ----------
    values : (r,) array
    vectors : (d, r) array
        Column i belongs to ``values[i]``. ``r < d`` if fewer rows than columns were seen.
    """

    values: Array
    vectors: Array

    @classmethod
    def of_factor(cls, factor: Array) -> Spectrum:
        """The spectrum of F'F for a factor F (r, d)."""
        _, s, vt = np.linalg.svd(factor, full_matrices=False)
        return cls(np.maximum(s**2, 0.0), vt.T)

    @classmethod
    def of_second(cls, second: Array) -> Spectrum:
        """The spectrum of a symmetric matrix (d, d)."""
        ascending, columns = np.linalg.eigh(second)
        return cls(np.maximum(ascending[::-1], 0.0), columns[:, ::-1])

    def value(self, i: int) -> float:
        """The i-th largest eigenvalue (from 0); 0 beyond the stored ones."""
        return float(self.values[i]) if i < len(self.values) else 0.0

    def skew(self) -> float:
        """A bound on the spectral norm of V'V - I, V the eigenvectors.

        The eigenvalues of V diag(values) V' are the values times those of V'V (Ostrowski).
        """
        dim, count = self.vectors.shape
        return float(entries(self.vectors.T @ self.vectors - np.eye(count)) + gamma(dim + 2) * count)

    def residual(self, second: Array) -> float:
        """A bound on the spectral norm of a symmetric matrix (d, d) less V diag(values) V'."""
        difference = second - (self.vectors * self.values) @ self.vectors.T
        return entries(difference) + gamma(len(self.values) + 4) * float(self.values.sum())

    def factor_residual(self, factor: Array) -> float:
        """A bound on the spectral norm of F'F - V diag(values) V', F (r, d), without a (d, d) matrix."""
        dim, count = self.vectors.shape
        along = factor @ self.vectors
        size, rounded = length(factor), gamma(dim + 4) * length(factor)
        outside = length(factor - along @ self.vectors.T)
        outside += gamma(count + dim + 6) * length(along) * length(self.vectors)
        inner = entries(along.T @ along - np.diag(self.values)) + gamma(len(factor) + 4) * length(along) ** 2
        # F = A V' + O with |V| at most 1.1, so F'F - V D V' = V (A'A - D) V' + V A'O + O'A V' + O'O
        return 1.3 * inner + outside * (2.2 * (size + rounded) + outside)
