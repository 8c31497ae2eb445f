"""Latent laws: what generators are fed with, and the moments that decide what they can reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import check_count
from convexgan.statistics.moments import Moments
from convexgan.statistics.products import check_size
from convexgan.statistics.spectrum import Spectrum

Array = NDArray[np.float64]
CHUNK = 4096  # rows that are decomposed at a time


@dataclass(frozen=True)
class GaussianLatent:
    """Standard Gaussian latents of dimension k, with exact moments: mean 0 and second moment I.

    Parameters
    ----------
    dim : int
        The dimension k.
    """

    dim: int

    def __post_init__(self) -> None:
        check_count(self.dim, "dim of GaussianLatent")

    @property
    def rows(self) -> None:
        """None, for a law has no rows."""
        return None

    def moments(self) -> Moments:
        """The exact first and second moment."""
        k = self.dim
        return Moments.of_law(np.zeros(k), spectrum=Spectrum(np.ones(k), np.eye(k)))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Independent draws, (n, k)."""
        return rng.standard_normal((n, self.dim))

    def quadratic_moments(self) -> Moments:
        """The exact moments of `quadratic_features`, from the Gaussian's fourth moments (Isserlis' theorem)."""
        k = self.dim
        pairs = k * (k + 1) // 2
        square = np.flatnonzero(np.equal(*np.triu_indices(k)))
        mean = np.zeros(pairs + k + 1)
        mean[square], mean[-1] = 1.0, 1.0
        # E z_i^2 z_j^2 = 1 + 2 [i = j]; E (sqrt2 z_i z_j)^2 = 2; odd moments vanish
        second = np.diag(np.concatenate([np.full(pairs, 2.0), np.ones(k + 1)]))
        second += np.outer(mean, mean)
        second[-1, -1] = 1.0
        return Moments.of_second(mean, second)


class Lifting(Protocol):
    """A class of generators that are linear in features of the latents."""

    def __hash__(self) -> int: ...

    def lift(self, rows: NDArray[Any]) -> NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class Decomposed:
    """Features A (n, K) of a sample as A / sqrt(n) = Q T with orthonormal Q, T = left diag(sizes) right.

    The features themselves are decomposed, not their second moment, which has half the digits.

    Attributes
    ----------
    triangle : (m, K) array
        T, m <= K + 1.
    ones : (m,) array
        Q' 1 / sqrt(n), so that the features' mean is T' ones, and |ones| <= 1.
    left, sizes, right : (m, q), (q,) and (q, K) arrays
    """

    triangle: Array
    ones: Array
    left: Array
    sizes: Array
    right: Array


def decompose(features: NDArray[Any]) -> Decomposed:
    """The decomposition of the rows (n, K), by QR of some rows after others, then SVD of the triangle."""
    n, K = features.shape
    R = np.zeros((0, K + 1))
    for part in np.array_split(features, -(-n // max(CHUNK, 4 * K))):
        R = np.asarray(np.linalg.qr(np.vstack([R, np.column_stack([part, np.ones(len(part))])]), mode="r"))
    R = R / np.sqrt(n)
    return Decomposed(R[:, :-1], R[:, -1], *np.linalg.svd(R[:, :-1], full_matrices=False))


@dataclass(frozen=True, eq=False)
class SampleLatent:
    """A fixed sample of latents, (n, k): its empirical law is the latent law."""

    rows: NDArray[Any]
    _decomposed: dict[Lifting, Decomposed] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", as_rows(self.rows, "rows of SampleLatent"))

    @property
    def dim(self) -> int:
        """The dimension k."""
        return int(self.rows.shape[1])

    def lifted(self, spec: Lifting) -> Iterator[NDArray[Any]]:
        """The features ``spec.lift(rows)``, some rows after others."""
        for part in np.array_split(self.rows, -(-len(self.rows) // CHUNK)):
            yield spec.lift(part)

    def decomposed(self, spec: Lifting) -> Decomposed:
        """The features ``spec.lift(rows)``, decomposed once for each class of generators."""
        if spec not in self._decomposed:
            lifted = spec.lift(self.rows)
            check_size(lifted, "lifted Z")
            self._decomposed[spec] = decompose(lifted)
        return self._decomposed[spec]

    @cached_property
    def _moments(self) -> Moments:
        return Moments.from_array(self.rows, name="Z")

    def moments(self) -> Moments:
        """The sample's moments, computed once."""
        return self._moments

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Rows drawn with replacement, (n, k)."""
        return self.rows[rng.integers(len(self.rows), size=n)]


@dataclass(frozen=True, eq=False)
class MomentLatent:
    """Latents of which only the moments are known; generators for them are applied, not sampled from."""

    known: Moments

    @property
    def dim(self) -> int:
        """The dimension k."""
        return self.known.dim

    @property
    def rows(self) -> None:
        """None, for the rows were not kept."""
        return None

    def moments(self) -> Moments:
        """The given moments."""
        return self.known

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Refused: moments do not determine a law."""
        raise ValueError(
            "cannot sample: only the moments of Z are known. Pass latents to the generator, sol.generator(Z), "
            "or solve with Z as an array or GaussianLatent(k)."
        )


Latent = GaussianLatent | SampleLatent | MomentLatent


def as_latent(Z: Any) -> Latent:
    """The latent law behind what the user passed as ``Z``."""
    if isinstance(Z, GaussianLatent | SampleLatent | MomentLatent):
        return Z
    if isinstance(Z, Moments):
        return MomentLatent(Z)
    if Z is None:
        raise ValueError("Z is missing: pass latents of shape (n_f, k), cg.Moments or cg.GaussianLatent(k).")
    if isinstance(Z, int | np.integer):
        raise ValueError(f"Z is {Z}, not latents: pass cg.GaussianLatent({Z}) for Gaussian ones of that dimension.")
    rows = as_rows(Z, "Z").astype(np.float64, copy=True)
    check_size(rows, "Z")
    return SampleLatent(rows)


def latent_state(latent: Latent) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Settings and arrays from which `restore_latent` makes the latents again, of moments their dimension only."""
    arrays = {"latents": latent.rows} if isinstance(latent, SampleLatent) else {}
    return {"latent": type(latent).__name__, "dim": latent.dim}, arrays


def restore_latent(settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Latent:
    """The latents whose `latent_state` is among the settings and arrays."""
    if settings["latent"] == "SampleLatent":
        return SampleLatent(arrays["latents"])
    if settings["latent"] == "GaussianLatent":
        return GaussianLatent(settings["dim"])
    return MomentLatent(Moments(settings["dim"]))


def quadratic_features(rows: NDArray[Any]) -> Array:
    """The lifted rows [z_i^2, sqrt2 z_i z_j, z, 1], shape (n, k(k+1)/2 + k + 1).

    The Frobenius norm of a symmetric matrix is the norm of its coefficients in the first block.
    """
    z = np.asarray(rows, dtype=np.float64)
    i, j = np.triu_indices(z.shape[1])
    return np.column_stack([z[:, i] * z[:, j] * np.where(i == j, 1.0, np.sqrt(2.0)), z, np.ones(len(z))])
