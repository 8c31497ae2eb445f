"""Clouds of generated points around a true one: their second moments, without the points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count
from convexgan.dynamics.kernel_games import as_positive
from convexgan.dynamics.kernels import Kernel, curvature
from convexgan.dynamics.linear_games import as_matrix
from convexgan.updates import Rates
from convexgan.updates.game import pair

Array = NDArray[np.float64]


def simulate_spread(
    kernel: Kernel,
    lam: Any,
    spread: Any,
    rates: Rates,
    *,
    points: int,
    p: Any = 1.0,
    q: Any = 1.0,
    steps: int = 1000,
    method: str = "alternating",
) -> Array:
    """(steps + 1, ..., dim) second moments rho of a small cloud about a true point, along its principal axes.

    With D = p - q and -c_i the critic's second derivative along axis i,
    c_i <- (1 - eta_d lam) c_i + eta_d (gamma D + 2 k''(0) q (2 rho_i + sum rho)), rho_i <- rho_i (1 - eta_g c_i q/n)^2.
    Valid for clouds symmetric about the point, to first order in D and rho / width^2. Where masses match, the
    linearisation is silent about the shape of a cloud; this tells that it shrinks like 1 / steps.

    Parameters
    ----------
    kernel : Kernel
        4 k''(0) is gamma^2 for a Gaussian.
    lam : float or (...) array
        Regularisation.
    spread : (..., dim) array
        The second moments at the start, in squared units of the data; the critic starts at 0.
    rates : number, array or pair
        Step sizes eta_g and eta_d.
    points : int
        How many points n share the cloud's mass.
    p, q : float or (...) array
        The masses of the true point and of the cloud.
    steps : int
        The number of steps.
    method : "simultaneous" or "alternating"
        Whether the points feel the critic before or after its step.

    References
    ----------
    [IP] Becker et al., Instability and Local Minima in GAN Training with Kernel Discriminators, arXiv 2208.09938,
    has the isolated points; the moments are ours.
    """
    late = check_choice(method, "method", ("simultaneous", "alternating")) == "alternating"
    lam, p, q = (as_positive(value, name)[..., None] for value, name in ((lam, "lam"), (p, "p"), (q, "q")))
    eta_g, eta_d = (as_matrix(rate)[..., 0] for rate in pair(rates))
    share, rho = q / check_count(points, "points"), as_positive(spread, "spread")
    source, response = curvature(kernel)[..., None] * (p - q), 2 * bend_at_zero(kernel)[..., None] * q
    shape = np.broadcast_shapes(*(np.shape(array) for array in (rho, lam, eta_g, eta_d, share, source, response)))
    path = np.empty((check_count(steps, "steps") + 1, *shape))
    path[0], bending = rho, np.zeros(shape)
    for index in range(steps):
        rho = path[index]
        push = source + response * (2 * rho + rho.sum(axis=-1, keepdims=True))
        ahead = (1 - eta_d * lam) * bending + eta_d * push
        path[index + 1] = rho * (1 - eta_g * share * (ahead if late else bending)) ** 2
        bending = ahead
    return path


def steady_spread(kernel: Kernel, dim: int, p: Any, q: Any) -> Any:
    """The second moment, along each axis, at which a cloud heavier than its true point stands still.

    gamma (q - p) / (2 k''(0) q (dim + 2)), in squared units of the data; 0 for p >= q. For a Gaussian it is
    2 width^2 (1 - p/q) / (dim + 2). To first order in 1 - p/q, as `simulate_spread`, from which it is derived.

    Parameters
    ----------
    kernel : Kernel
        An array of widths makes a batch.
    dim : int
        The dimension of the data.
    p, q : float or (...) array
        The masses of the true point and of the cloud.
    """
    p, q = as_positive(p, "p"), as_positive(q, "q")
    rho = curvature(kernel) * (q - p) / (2 * bend_at_zero(kernel) * q * (check_count(dim, "dim") + 2))
    return np.maximum(rho, 0.0)


def bend_at_zero(kernel: Kernel) -> Array:
    """k''(0), (...)."""
    return np.asarray(kernel.bend(np.zeros((1, 1))))[..., 0, 0]
