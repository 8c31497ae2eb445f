"""From target moments to a generator, and from critic moments to unit neurons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan.records.moment_game import Whitened

Array = NDArray[np.float64]


def realize(latent: Whitened, second: Array, mean: Array) -> Array:
    """A factor (r, d) whose law has the given mean and second moment, as far as the latents' rank allows.

    F = zbar m' / kappa + N B, with N an orthonormal basis of the complement of the latent mean and
    B'B = S - m m' / kappa, its eigenvalues paired in order with those of the latents. Without a latent mean the
    generated mean is 0 and F'F = S.
    """
    kappa = latent.kappa
    if kappa == 0:
        return _root(second, latent.rank)
    line = np.outer(latent.mean / kappa, mean)
    # orthonormal complement of the latent mean, sorted so that cheap directions (large k) come first
    complement = np.linalg.qr(latent.mean[:, None], mode="complete")[0][:, 1:]
    price, turn = np.linalg.eigh(complement.T @ (complement / latent.values[:, None]))
    rest = second - np.outer(mean, mean) / kappa
    return np.asarray(line + complement @ turn @ _root(rest, len(price)))


def _root(second: Array, rank: int) -> Array:
    """(rank, d) array B with B'B the best approximation of a positive semidefinite matrix, largest rows first."""
    values, vectors = np.linalg.eigh(second)
    kept = min(rank, len(values))
    root = np.zeros((rank, len(values)))
    root[:kept] = (np.sqrt(np.maximum(values, 0.0)) * vectors).T[::-1][:kept]
    return root


def unit_neurons(second: Array, mean: Array, weight: float, tol: float = 1e-9) -> tuple[Array, Array]:
    """Unit vectors u_j and weights v_j > 0 with sum v_j [u_j; 1][u_j; 1]' = [[second, mean], [mean', weight]].

    Needs trace(second) = weight. The number of neurons is the rank of the block matrix. Source: the rank-one
    decomposition of Sturm and Zhang, On cones of nonnegative quadratic functions, 2003, procedure 1.

    Returns
    -------
    neurons : (m, d) array
    weights : (m,) array
    """
    d = len(mean)
    block = np.block([[second, mean[:, None]], [mean, np.array([weight])]])
    values, vectors = np.linalg.eigh(block)
    keep = values > tol * max(values[-1], 0.0)
    rows = (vectors[:, keep] * np.sqrt(values[keep])).T if weight > 0 else np.zeros((0, d + 1))
    form = np.append(np.ones(d), -1.0)
    for _ in range(len(rows)):
        level = (rows**2) @ form
        i, j = int(np.argmax(level)), int(np.argmin(level))
        if level[i] <= 1e-15 * weight or level[j] >= -1e-15 * weight:
            break
        cross = (rows[i] * form) @ rows[j]
        # root of level_j t^2 + 2 cross t + level_i = 0, of opposite signs: always real
        t = (cross + np.sqrt(cross**2 - level[i] * level[j])) / -level[j]
        norm = np.sqrt(1 + t * t)
        rows[i], rows[j] = (rows[i] + t * rows[j]) / norm, (rows[j] - t * rows[i]) / norm
    height = np.abs(rows[:, -1])
    rows, height = rows[height > 0], height[height > 0]
    neurons = rows[:, :-1] / rows[:, -1:]
    lengths = np.linalg.norm(neurons, axis=1)
    return neurons / lengths[:, None], height**2 * lengths**2
