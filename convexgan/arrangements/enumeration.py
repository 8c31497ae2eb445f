"""All activation patterns of a matrix, and the maximum from them: the second route, for few rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats
from convexgan.arrangements.reduce import Arrangement, lines, row_space

Array = NDArray[np.float64]
Patterns = NDArray[np.bool_]
MAX_CELLS = 1_000_000


def cover_bound(N: int, p: int) -> int:
    """2 sum_{k<p} C(N - 1, k): the number of cells of N hyperplanes through 0 in general position in R^p.

    Cover, Geometrical and statistical properties of systems of linear inequalities, 1965.
    """
    return 2 * sum(math.comb(N - 1, k) for k in range(p)) if N > 0 and p > 0 else 1


def activation_patterns(rows: Array, max_cells: int = MAX_CELLS) -> Patterns:
    """Every pattern (rows @ u > 0) that u in general position takes.

    Parameters
    ----------
    rows : (N, d) array
        Zero and parallel rows allowed.
    max_cells : int
        More patterns than this are refused, by Cover's bound, before anything is allocated.

    Returns
    -------
    (cells, N) boolean array, all rows different
    """
    rows = as_floats(rows, "rows")
    lengths = np.linalg.norm(rows, axis=1)
    nonzero = lengths > 0
    units = rows[nonzero] / lengths[nonzero, None]
    units = units @ row_space(units, rows.shape[1])
    first, line, turned = lines(units)
    check_cells(len(first), units.shape[1], max_cells)
    found = _explore(units[first], np.zeros(len(first)), np.zeros(units.shape[1]))[0]
    patterns = np.zeros((len(found), len(rows)), dtype=bool)
    patterns[:, nonzero] = found[:, line] ^ (turned != turned[first][line])
    return patterns


def check_cells(N: int, p: int, max_cells: int = MAX_CELLS) -> None:
    """Refuse arrangements that may have more cells than allowed."""
    count = cover_bound(N, p)
    if count > max_cells:
        raise ValueError(
            f"{N} different hyperplanes in dimension {p} have up to {count} activation patterns, more than "
            f"{max_cells}: raise max_cells, use fewer rows or sample them."
        )


def enumerated_maximum(arrangement: Arrangement) -> Array:
    """A unit vector at which |m| is largest, (p,).

    The maximiser is the normalised gradient of its cell, or it lies on a hyperplane and the same holds there.
    Hence the normalised gradients of all cells of all flats are tried.
    """
    check_cells(len(arrangement.rows), arrangement.dim)
    signs = arrangement.signs
    sizes = np.linalg.norm(arrangement.rows, axis=1)
    return _explore(arrangement.rows / sizes[:, None], signs * sizes, arrangement.linear)[1]


def _explore(units: Array, mass: Array, linear: Array) -> tuple[Patterns, Array]:
    """All patterns of unit rows (N, p), no two parallel, and the best u for |linear . u + sum mass max(units . u, 0)|.

    Every cell has a facet, a cell of the arrangement that the others leave on one hyperplane: the recursion.
    """
    N, p = units.shape
    candidates: list[Array]
    if p == 1 or N == 0:
        found, candidates = _on_line(N), [np.eye(1, p)]
    elif p == 2:
        found, candidates = _on_circle(units)
    else:
        found, candidates = _on_facets(units, mass, linear)
    gradients = linear + (found * mass) @ units
    U = np.vstack([*candidates, *_normalised(gradients)])
    values = np.abs(U @ linear + np.maximum(U @ units.T, 0) @ mass)
    return found, U[int(np.argmax(values))]


def _on_line(N: int) -> Patterns:
    """The patterns of 0 or 1 rows."""
    return np.array([[True], [False]]) if N else np.zeros((1, 0), dtype=bool)


def _on_circle(units: Array) -> tuple[Patterns, list[Array]]:
    """The patterns of the arcs' midpoints; the arcs' ends as further candidates."""
    turns = np.arctan2(units[:, 1], units[:, 0])
    angles = np.sort(np.concatenate([turns - np.pi / 2, turns + np.pi / 2]) % (2 * np.pi))
    middles = (angles + np.append(angles[1:], angles[0] + 2 * np.pi)) / 2
    ends, inside = (np.column_stack([np.cos(a), np.sin(a)]) for a in (angles, middles))
    return inside @ units.T > 0, [ends]


def _on_facets(units: Array, mass: Array, linear: Array) -> tuple[Patterns, list[Array]]:
    """The patterns next to each hyperplane, and the best direction on each."""
    found: set[bytes] = set()
    best = []
    for i, normal in enumerate(units):
        basis = np.linalg.svd(normal[None, :])[2][1:]  # (p - 1, p)
        others = np.delete(units, i, axis=0) @ basis.T
        weights = np.delete(mass, i) * np.linalg.norm(others, axis=1)
        others /= np.linalg.norm(others, axis=1)[:, None]
        first, line, turned = lines(others)
        opposite = turned != turned[first][line]
        slope = basis @ linear + weights[opposite] @ others[opposite]
        total = np.asarray(np.bincount(line, weights, len(first)), dtype=np.float64)
        patterns, u = _explore(others[first], total, slope)
        best.append((u @ basis)[None, :])
        spread = patterns[:, line] ^ opposite
        for side in (True, False):
            found.update(row.tobytes() for row in np.insert(spread, i, side, axis=1))
    flat = np.frombuffer(b"".join(sorted(found)), dtype=np.bool_)
    return flat.reshape(len(found), len(units)), best


def _normalised(gradients: Array) -> list[Array]:
    """The unit vectors along every non-zero gradient, and their negatives."""
    lengths = np.linalg.norm(gradients, axis=1)
    u = gradients[lengths > 0] / lengths[lengths > 0, None]
    return [u, -u]
