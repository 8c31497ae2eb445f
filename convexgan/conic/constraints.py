"""One cvxpy constraint builder per discriminator: ipm <= level as convex constraints on mean and second moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Separation:
    """``ipm <= level`` and how to read a discriminator off its multipliers.

    Attributes
    ----------
    constraints : list of cvxpy constraints
    multipliers : dict
        Sign -> the matrix inequality whose multiplier holds the neurons of that sign.
    ease : float
        Its last row and column are divided by sqrt(ease) (`polynomial_separation`).
    """

    constraints: list[Any]
    multipliers: dict[float, Any]
    ease: float = 1.0


def linear_separation(shift: Any, level: Any) -> Separation:
    """|shift| <= level, a second-order cone; ``shift`` is the (d,) difference of means."""
    return Separation([cp.norm(shift, 2) <= level], {})


def quadratic_separation(difference: Any, level: Any) -> Separation:
    """|difference| <= level in the spectral norm of a symmetric (d, d) expression, as two matrix inequalities.

    cp.sigma_max would double the size of the cone; the expression is symmetric.
    """
    eye = np.eye(difference.shape[0])
    cones = {sign: level * eye - sign * difference >> 0 for sign in (1.0, -1.0)}
    return Separation(list(cones.values()), cones)


def polynomial_separation(difference: Any, shift: Any, level: Any, ease: float = 1.0) -> Separation:
    """max over unit u of |u' difference u + shift'u| <= level, as two matrix inequalities of size d + 1.

    Each sign is a trust-region problem on the sphere, whose dual is exact (S-lemma): a multiplier t exists with
    [[t I - Q, -q / 2], [-q' / 2, level - t]] >= 0. Where the shift is small, of size ``ease``, so is level - t = ease
    w; the last row and column are divided by sqrt(ease), after which the corner is w, of order 1 as the rest.
    """
    d, root = difference.shape[0], np.sqrt(ease)
    cones = {}
    for sign in (1.0, -1.0):
        w = cp.Variable()
        side = cp.reshape(-sign * shift / (2 * root), (d, 1), order="C")
        corner = cp.reshape(w, (1, 1), order="C")
        cones[sign] = cp.bmat([[(level - ease * w) * np.eye(d) - sign * difference, side], [side.T, corner]]) >> 0
    return Separation(list(cones.values()), cones, ease)


def read_quadratic(multipliers: dict[float, Any]) -> tuple[Array, Array]:
    """Neurons and outer weights, eigenvectors of the difference of the two multipliers."""
    matrix = sum(sign * _symmetric(cone.dual_value) for sign, cone in multipliers.items())
    values, vectors = np.linalg.eigh(matrix)
    keep = np.abs(values) > 1e-7 * np.abs(values).max(initial=0)
    return vectors.T[keep], values[keep]


def read_polynomial(multipliers: dict[float, Any], unit_neurons: Any, ease: float = 1.0) -> tuple[Array, Array]:
    """Neurons and outer weights, from the rank-one decomposition of each multiplier."""
    blocks = {sign: _symmetric(cone.dual_value) for sign, cone in multipliers.items()}
    for block in blocks.values():
        block[:, -1] /= np.sqrt(ease)
        block[-1, :] /= np.sqrt(ease)
    total = max(float(np.trace(block)) for block in blocks.values())
    neurons, outer = [], []
    for sign, block in blocks.items():
        if np.trace(block) <= 1e-7 * total:
            continue
        weight = float(np.trace(block[:-1, :-1]))  # equals the corner at the optimum
        u, v = unit_neurons(block[:-1, :-1], block[:-1, -1], weight, 1e-8)
        neurons.append(u)
        outer.append(sign * v)
    if not neurons:
        return np.zeros((0, len(next(iter(blocks.values()))) - 1)), np.zeros(0)
    return np.concatenate(neurons), np.concatenate(outer)


def _symmetric(matrix: Array) -> Array:
    return (matrix + matrix.T) / 2
