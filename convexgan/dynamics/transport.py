"""Exact distances between laws on finitely many points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats, as_rows
from convexgan._tools.checks import check_columns, check_finite
from convexgan.dynamics.kernel_games import as_masses

Array = NDArray[np.float64]


def wasserstein(points: Any, data: Any, q: Any = None, p: Any = None) -> Any:
    """The Wasserstein distance W2 between generated points and true ones, by exact optimal transport.

    Parameters
    ----------
    points : (..., n, dim) array
        A cloud, or a batch of clouds such as the path of `simulate_points`.
    data : (N, dim) array
        True points.
    q, p : (n,) and (N,) arrays, optional
        Masses with sum 1; equal by default.

    Returns
    -------
    float, or (...) array, in the units of the data. NaN for points that have overflowed.

    Raises
    ------
    ValueError
        The points are no (..., n, dim) array.
    ModuleNotFoundError
        POT is not installed.

    References
    ----------
    The network simplex of Flamary et al., POT: Python Optimal Transport, JMLR 2021.
    """
    try:
        import ot
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "optimal transport needs POT: pip install 'convexgan[ot]'.", name=error.name
        ) from None
    clouds, rows = as_floats(points, "points"), as_rows(data, "data").astype(np.float64)
    check_finite(rows, "data")
    if clouds.ndim < 2:
        raise ValueError(f"points must have shape (..., n, dim), got {clouds.shape}.")
    check_columns(clouds.reshape(-1, clouds.shape[-1]), rows.shape[1], "points", "data")
    q, p = as_masses(q, "q", clouds.shape[-2]), as_masses(p, "p", len(rows))

    def distance(cloud: Array) -> float:
        if not np.isfinite(cloud).all():
            return float("nan")
        costs = ((cloud[:, None] - rows[None]) ** 2).sum(axis=-1)
        return float(np.sqrt(ot.emd2(q, p, costs, numItermax=10_000_000)))

    found = np.array([distance(cloud) for cloud in clouds.reshape(-1, *clouds.shape[-2:])])
    return found.reshape(clouds.shape[:-2]) if clouds.ndim > 2 else float(found[0])
