"""Accumulated rows after an affine map, from their sums alone, with bounds on what that rounds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.rounding import gamma, length
from convexgan.statistics.accumulation import Accumulation
from convexgan.statistics.products import Sums, mirror_lower

Array = NDArray[np.float64]


def centred(given: Accumulation, mean: Array, mean_error: float) -> Accumulation:
    """The sums of the rows minus their mean (d,), which is known up to an error."""
    out, total, sums = given.copy(), given.total, given.sums
    if given.rows is not None:
        out.rows = [(rows - mean, w) for rows, w in given.rows]
        factor = out.factor()
        trace = 0.0 if factor is None else float(np.sum(factor**2))
        out.sums.moved += total * (mean_error * mean_error + gamma(4) * trace)
        out.sums.shifted += total * mean_error
        return out
    shift, size = sums.linear / total, length(sums.linear)
    moved = sums.moved + gamma(8) * (size * size / total + given.scatter)
    moved += 2.01 * size * sums.shifted / total
    out.sums = Sums(sums.gram - total * np.outer(shift, shift), np.zeros(given.dim), moved)
    out.pilot = np.zeros(given.dim)
    return out


def mapped(
    given: Accumulation, linear: Callable[[Array], Array], size: float, roundings: int, trace: float
) -> Accumulation:
    """The sums of the rows after a linear map.

    Parameters
    ----------
    given : Accumulation
    linear : callable
        From (n, d) rows to (n, e) rows.
    size : float
        A bound on the spectral norm of the map's matrix with absolute entries.
    roundings : int
        How many of them each entry takes at most.
    trace : float
        Of the second moment.
    """
    rounded, mean, sums = size * gamma(roundings), math.sqrt(max(trace, 0.0)), given.sums
    if given.rows is not None:
        parts = [(as_rows(linear(rows.astype(np.float64)), "rows"), w) for rows, w in given.rows]
        out = Accumulation(parts[0][0].shape[1])
        for rows, w in parts:
            out.add(rows, w, "rows")
        out.sums.moved = size * (size * sums.moved + 3 * rounded * given.total * mean * mean)
        out.sums.shifted = size * sums.shifted + rounded * given.total * mean
    else:
        half = linear(mirror_lower(sums.gram.copy()))
        out = Accumulation(half.shape[1])
        out.count, out.total, out.additions, out.rows = given.count, given.total, given.additions, None
        inner, far = length(sums.linear), rounded * length(given.pilot)
        moved = size * (size * sums.moved + 3 * rounded * given.scatter + 2 * far * inner) + given.total * far * far
        shifted = size * sums.shifted + rounded * inner + given.total * far
        out.pilot, along = linear(np.stack([given.pilot, sums.linear]))
        out.sums = Sums(linear(np.ascontiguousarray(half.T)), along, moved, shifted)
    out.eps = given.eps
    return out


def with_ones(given: Accumulation) -> Accumulation:
    """The sums of the rows [x, 1], of rows that are kept."""
    out = Accumulation(given.dim + 1)
    for rows, w in given.rows or []:
        out.add(np.column_stack([rows, np.ones(len(rows), rows.dtype)]), w, "rows")
    out.eps = given.eps
    out.sums.moved, out.sums.shifted = given.sums.moved + 2 * given.sums.shifted, given.sums.shifted
    return out
