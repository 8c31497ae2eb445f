"""How a stage's code follows from the one before: code' = code @ carry + noise @ fresh, with identity covariance.

Every choice with carry'carry + fresh'fresh = I generates the same law at the new stage, so all of them are
optimal; they differ in how much of the coarser picture survives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def transport(previous: Array, target: Array, noise: int) -> tuple[Array, Array]:
    """(carry, fresh) of the coupling with the smallest expected squared distance to the upsampled picture.

    Up = code @ previous and y = code' @ target; E|y - up|^2 is smallest for carry = (P Q')', where
    target @ previous' = P s Q' is a singular value decomposition without its zero part, and fresh the root of
    what is missing to the identity.

    Parameters
    ----------
    previous : (q, d) array
        Factor of the upsampled picture.
    target : (k, d) array
        Factor of the new stage.
    noise : int
        Fresh noise dimensions, k or 0.

    Returns
    -------
    carry : (q, k) array
    fresh : (noise, k) array

    Raises
    ------
    ValueError
        Without noise, where the previous picture has too little rank to determine the new one.

    References
    ----------
    Gelbrich, On a formula for the L2 Wasserstein metric between measures, 1990 (the Gaussian case).
    """
    left, sizes, right = np.linalg.svd(target @ previous.T, full_matrices=False)
    kept = sizes > 1e-10 * sizes.max(initial=0.0)
    carry = right[kept].T @ left[:, kept].T
    if noise == 0:
        return complete(carry, len(target), previous), np.zeros((0, len(target)))
    missing, axes = np.linalg.eigh(np.eye(len(target)) - carry.T @ carry)
    return carry, (axes * np.sqrt(np.clip(missing, 0, 1))) @ axes.T


def complete(carry: Array, rank: int, previous: Array) -> Array:
    """The carry with directions that the new stage needs and overlap does not fix taken from the unused ones."""
    used = round(float(np.sum(carry**2)))
    if used == rank:
        return carry
    basis, sizes, _ = np.linalg.svd(previous, full_matrices=False)
    alive = basis[:, sizes > 1e-10 * sizes.max(initial=0.0)]
    unused = _orthonormal(alive - carry @ (carry.T @ alive))
    open_targets = _orthonormal(np.eye(rank) - carry.T @ carry)
    short = rank - used
    if unused.shape[1] < short:
        raise ValueError(f"a picture of rank {alive.shape[1]} cannot determine one of rank {rank}: use fresh latents.")
    return np.asarray(carry + unused[:, :short] @ open_targets[:, :short].T)


def in_order(previous: Array, rank: int, noise: int) -> tuple[Array, Array]:
    """(carry, fresh) that pairs the largest variances of [upsampled picture, noise] with the largest new ones.

    This is the published pairing; it forgets which picture was upsampled.

    Parameters
    ----------
    previous : (q, d) array
    rank : int
        The new stage's rank k; its factor's rows are sorted, largest first.
    noise : int
        Fresh noise dimensions, each of variance 1.
    """
    basis, sizes, _ = np.linalg.svd(previous, full_matrices=False)
    variances = np.concatenate([sizes**2, np.ones(noise)])
    chosen = np.argsort(-variances, kind="stable")[:rank]
    sources = np.hstack(
        [np.vstack([basis, np.zeros((noise, len(sizes)))]), np.eye(len(basis) + noise)[:, len(basis) :]]
    )
    picked = sources[:, chosen]
    return picked[: len(basis)], picked[len(basis) :]


def _orthonormal(columns: Array) -> Array:
    """An orthonormal basis of the columns' span."""
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(basis[:, sizes > 1e-8])
