"""Gaussians under optimal transport: Bures / Frechet distance, its gradient, the transport map.

Everything is computed from factors: covariances A = F'F and B = G'G have tr (A^{1/2} B A^{1/2})^{1/2} = |F G'|_*,
the nuclear norm, so no square root of a nearly singular matrix is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convexgan._tools.arrays import as_floats, as_rows
from convexgan._tools.checks import check_finite
from convexgan._tools.tables import column_names, new_places

Array = NDArray[np.float64]
ROUNDING = 1e-12  # of the largest eigenvalue: asymmetry and negative eigenvalues up to here are rounding


def covariance_factor(A: ArrayLike, name: str = "A") -> Array:
    """The factor F (r, d) of a covariance of rank r, A = F'F, its rows orthogonal and the largest first.

    By definition sqrt(values) times the eigenvectors; values below rounding are left out.

    Parameters
    ----------
    A : (d, d) array
        Symmetric and positive semidefinite; it may be singular.
    name : str
        What error messages call it.

    Raises
    ------
    ValueError
        A is not square, symmetric, finite or positive semidefinite.
    """
    matrix = as_rows(A, name).astype(np.float64)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must be a square covariance matrix, got shape {matrix.shape}.")
    size = check_finite(matrix, name)
    if np.abs(matrix - matrix.T).max() > ROUNDING * size:
        raise ValueError(f"{name} is not symmetric: pass ({name} + {name}.T) / 2 if that is what is meant.")
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if values[0] < -ROUNDING * max(values[-1], size) * len(values):
        raise ValueError(f"{name} is not positive semidefinite: its smallest eigenvalue is {values[0]:.3g}.")
    keep = values > np.finfo(np.float64).eps * len(values) * values[-1]
    return np.asarray((np.sqrt(values[keep]) * vectors[:, keep]).T[::-1])


def factor_distance(F: Array, G: Array) -> Array:
    """W2^2(N(0, F'F), N(0, G'G)) for factors, broadcast over leading axes.

    It equals |F - O G|^2 for the orthogonal O that aligns the factors, which loses no digits to cancellation
    when the two covariances are nearly equal.

    Parameters
    ----------
    F : (..., p, d) array
    G : (..., q, d) array

    Returns
    -------
    squared distances : (...) array

    References
    ----------
    Gelbrich, On a formula for the L2 Wasserstein metric between measures on Euclidean and Hilbert spaces, 1990.
    """
    F, G = _without_spare_rows(F), _without_spare_rows(G)
    rows = max(F.shape[-2], G.shape[-2])
    F, G = _with_rows(F, rows), _with_rows(G, rows)
    P, _, Qt = np.linalg.svd(F @ np.swapaxes(G, -1, -2))
    return np.asarray(np.sum((F - P @ Qt @ G) ** 2, axis=(-1, -2)))


def squared_wasserstein(
    A: ArrayLike, B: ArrayLike, mean_a: ArrayLike | None = None, mean_b: ArrayLike | None = None
) -> float:
    """The squared 2-Wasserstein distance between N(mean_a, A) and N(mean_b, B): the Frechet distance of FID.

    |mean_a - mean_b|^2 + tr A + tr B - 2 tr (A^{1/2} B A^{1/2})^{1/2}; without means, the squared Bures distance.

    Parameters
    ----------
    A, B : (d, d) array
        Covariances, singular ones included.
    mean_a, mean_b : (d,) array, optional
        0 unless given.

    References
    ----------
    Dowson and Landau, The Frechet distance between multivariate normal distributions, 1982.
    """
    F, G = _factors(A, B)
    shift = _mean(mean_a, F.shape[1], "mean_a") - _mean(mean_b, F.shape[1], "mean_b")
    return float(factor_distance(F, G) + shift @ shift)


def transport_map(A: ArrayLike, B: ArrayLike) -> Array:
    """The symmetric T >= 0 with T A T = B: y = T x is the optimal map from N(0, A) to N(0, B).

    T = B^{1/2} (B^{1/2} A B^{1/2})^{+1/2} B^{1/2}. It exists iff no direction of B is lost on A, that is, iff the
    kernel of A meets the range of B in 0 only; A may be singular.

    Returns
    -------
    T : (d, d) array

    Raises
    ------
    ValueError
        No map exists: N(0, A) is concentrated on too few dimensions, mass would have to be split.

    References
    ----------
    Gelbrich 1990; for singular covariances Masarotto, Panaretos and Zemel, Procrustes metrics on covariance operators
    and optimal transportation of Gaussian processes, 2019.
    """
    F, G = _factors(A, B)
    _, sizes, Qt = np.linalg.svd(F @ G.T, full_matrices=False)
    rank = int(np.count_nonzero(sizes > ROUNDING * sizes.max(initial=0.0)))
    if rank < len(G):
        raise ValueError(
            f"no linear map takes N(0, A) to N(0, B): A reaches {rank} of the {len(G)} dimensions of B. "
            "Transport from the other side, or add a little isotropic noise to A."
        )
    half = (Qt @ G) / np.sqrt(sizes)[:, None]
    return np.asarray(half.T @ half)


def wasserstein_gradient(A: ArrayLike, B: ArrayLike) -> Array:
    """The gradient of W2^2(N(0, A), N(0, B)) with respect to B: I - T, T the transport map from B to A.

    Derived from Gelbrich's formula, see `squared_wasserstein`; T is that of `transport_map`.

    Returns
    -------
    gradient : (d, d) array
        Symmetric: a change dB changes the squared distance by the sum of gradient * dB.

    Raises
    ------
    ValueError
        B is singular where A is not: the derivative is infinite there.
    """
    try:
        return np.asarray(np.eye(len(as_rows(A, "A"))) - transport_map(B, A))
    except ValueError as error:
        if "no linear map" not in str(error):
            raise
        raise ValueError(
            "no gradient: B is singular in a direction where A is not, and the squared distance falls infinitely "
            "fast there. Differentiate with respect to a factor of B (factor_gradient)."
        ) from None


def factor_gradient(F: Array, G: Array) -> Array:
    """The gradient of W2^2(N(0, F'F), N(0, G'G)) with respect to the factor G: 2 (G - C'F), broadcast.

    C = P Q' from the singular value decomposition F G' = P s Q' is the correlation of the optimal coupling. Where
    F G' has deficient rank the distance has a kink; then this is one of its limits. Derived from Gelbrich's formula.

    Parameters
    ----------
    F : (..., p, d) array
    G : (..., q, d) array

    Returns
    -------
    gradient : (..., q, d) array
    """
    return np.asarray(2 * (G - aligned(F, G)))


def aligned(F: Array, G: Array) -> Array:
    """Q P' F (..., q, d): the factor F in the coordinates of G that the optimal coupling chooses."""
    P, _, Qt = np.linalg.svd(F @ np.swapaxes(G, -1, -2), full_matrices=False)
    return np.asarray(np.swapaxes(Qt, -1, -2) @ (np.swapaxes(P, -1, -2) @ F))


def _factors(A: ArrayLike, B: ArrayLike) -> tuple[Array, Array]:
    places = new_places(column_names(B, "B"), column_names(A, "A"), "B", "A")
    if places is not None:
        B = as_rows(B, "B")[np.ix_(places, places)]
    F, G = covariance_factor(A, "A"), covariance_factor(B, "B")
    if F.shape[1] != G.shape[1]:
        raise ValueError(f"A is {F.shape[1]} x {F.shape[1]} and B {G.shape[1]} x {G.shape[1]}: dimensions must agree.")
    return F, G


def _mean(mean: Any, d: int, name: str) -> Array:
    if mean is None:
        return np.zeros(d)
    vector = as_floats(mean, name)
    if vector.shape != (d,) or not np.isfinite(vector).all():
        raise ValueError(f"{name} must be {d} finite numbers, got shape {vector.shape}.")
    return vector


def _without_spare_rows(F: Array) -> Array:
    """A factor of the same covariance with at most d rows."""
    return np.asarray(np.linalg.qr(F, mode="r")) if F.shape[-2] > F.shape[-1] else F


def _with_rows(F: Array, rows: int) -> Array:
    """F with zero rows appended."""
    missing = rows - F.shape[-2]
    return np.pad(F, [(0, 0)] * (F.ndim - 2) + [(0, missing), (0, 0)]) if missing else F
