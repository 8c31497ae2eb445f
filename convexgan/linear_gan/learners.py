"""Linear generators G(z) = W'z of standard Gaussian latents, learnt without pairs and from fixed pairs.

The generated law is N(0, W'W). S is the second moment of the law that the n rows of X come from, Sh = X'X/n theirs;
the test error is W2^2(N(0, S), N(0, W'W)).

References
----------
[DD] Luzi, Dar and Baraniuk, Double Descent and Other Interpolation Phenomena in GANs, arXiv 2106.04003.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import check_columns, check_count, check_finite, check_number
from convexgan.gaussian import aligned
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


def unsupervised(X: Any, k: int) -> Array:
    """The generator nearest to N(0, Sh) among those of k latents, W (k, d): Sh's k leading eigenpairs.

    The training loss is the sum of the other eigenvalues. For k >= rank Sh it is 0, every optimum has W'W = Sh, and
    the test error no longer depends on k: no double descent ([DD], the unsupervised setting).

    Parameters
    ----------
    X : (n, d) array or Moments
    k : int
        Latent dimension.

    Returns
    -------
    W : (k, d) array
        Rows beyond d are zero.
    """
    k = check_count(k, "k")
    moments = Moments.from_array(X)
    spectrum, W = moments.spectrum, np.zeros((k, moments.dim))
    kept = min(k, len(spectrum.values))
    W[:kept] = np.sqrt(spectrum.values[:kept])[:, None] * spectrum.vectors[:, :kept].T
    return W


def half_step(X: Any, W: Any) -> Array:
    """One gradient step of size 1/2 on W2^2(N(0, Sh), N(0, W'W)): the new W (k, d).

    For k >= rank Sh and a generic start the step is exact: W'W = Sh. Otherwise it is a step of orthogonal iteration:
    repeated, it converges to `unsupervised` at the rate of the ratio of eigenvalues k + 1 and k. Derived here from the
    gradient of `convexgan.gaussian.factor_gradient`.

    Parameters
    ----------
    X : (n, d) array or Moments
    W : (k, d) array
    """
    moments, start = Moments.from_array(X), as_float(W, "W")
    check_columns(start, moments.dim, "W", "X")
    return aligned(sample_factor(moments), start)


def pseudo_supervised(X: Any, Z: Any, ridge: float = 0.0) -> Array:
    """Least squares on fixed pairs, W (k, d) = argmin mean |x_i - W'z_i|^2 + ridge |W|^2.

    Without ridge the solution of smallest norm, Z^+ X: it interpolates for k >= n, and its test error has a peak at
    k = n ([DD], the pseudo-supervised setting). Rows of Z are independent of those of X: the pairing is arbitrary.

    Parameters
    ----------
    X : (n, d) array
    Z : (n, k) array
    ridge : float
        Non-negative.
    """
    check_number(ridge, "ridge")
    X, Z = as_pairs(X, Z)
    return least_squares(X, Z, ridge)


def least_squares(X: Array, Z: Array, ridge: float) -> Array:
    """`pseudo_supervised` without checks, broadcast over leading axes."""
    P, s, Qt = np.linalg.svd(Z, full_matrices=False)
    noise = np.finfo(np.float64).eps * max(Z.shape[-2:]) * s.max(axis=-1, keepdims=True, initial=0.0)
    shrink = np.where(s > noise, s, 0.0) / np.where(s > noise, s**2 + Z.shape[-2] * ridge, 1.0)
    return np.asarray(np.swapaxes(Qt, -1, -2) @ (shrink[..., None] * (np.swapaxes(P, -1, -2) @ X)))


def sample_factor(moments: Moments) -> Array:
    """The factor F (rank, d) with F'F = Sh, rows orthogonal and the largest first."""
    rank = moments.rank()
    return np.asarray(np.sqrt(moments.spectrum.values[:rank])[:, None] * moments.spectrum.vectors[:, :rank].T)


def as_pairs(X: Any, Z: Any) -> tuple[Array, Array]:
    """Both sides of the pairs in float64; raises unless there are as many of one as of the other."""
    rows, latents = as_float(X, "X"), as_float(Z, "Z")
    if len(rows) != len(latents):
        raise ValueError(f"X has {len(rows)} rows and Z {len(latents)}: pairs need one latent for each row.")
    return rows, latents


def as_float(X: Any, name: str) -> Array:
    """Finite rows in float64."""
    rows = as_rows(X, name)
    check_finite(rows, name)
    return rows.astype(np.float64)
