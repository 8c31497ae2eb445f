"""Weighted points and the half-spaces that cut them, in normal form; which cuts there are is decided in integers.

A sum over {x : u . x + b > 0} jumps where a point changes sides, so that rounding may not decide on which side of
another line it lies. As every column may be moved and scaled by itself, points of floats are points of integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import gamma, prefix_sums
from convexgan.arrangements.offsets import check_balanced
from convexgan.arrangements.reduce import merge_equal

Array = NDArray[np.float64]
BITS = 29  # of integers whose products of differences are computed in 64


@dataclass(frozen=True, eq=False)
class Halfspaces:
    """The function F(u, b) = sum of the weights of the points with u . x + b > 0, for weights of sum 0.

    F(-u, -b) = -F(u, b) wherever no point lies on the hyperplane.

    Attributes
    ----------
    points : (N, d) array
        The different points, moved and scaled into the unit ball, rounded.
    weights : (N,) array
        None is 0.
    rows : (N, q) array
        The same points as they were given, without columns that are affine functions of others.
    columns : (q,) array
        Which are left of d.
    centre, scale : (q,) arrays
        With which rows are ``points * scale + centre``.
    slack : float
        What the rounding of merged weights may have changed of sums.
    """

    points: Array
    weights: Array
    rows: Array
    columns: NDArray[np.intp]
    centre: Array
    scale: Array
    slack: float

    @property
    def dim(self) -> int:
        """Columns of (u, b)."""
        return int(self.points.shape[1]) + 1

    @property
    def lifted(self) -> Array:
        """Rows (x, 1)."""
        return np.column_stack([self.points, np.ones(len(self.points))])

    def negated(self) -> Halfspaces:
        """The half-spaces of -F."""
        return replace(self, weights=-self.weights)

    def bound(self) -> float:
        """An upper bound on F."""
        return float(np.maximum(self.weights, 0).sum())

    def best_cut(self, u: Array) -> tuple[float, Array]:
        """|F| for the best b, as far as sums of floats tell, and (u, b) with b half way between the nearest points."""
        along = self.points @ u
        order = np.argsort(-along, kind="stable")
        t = along[order]
        apart = np.append(t[:-1] - t[1:], 1.0) > 1e-13
        sums = np.where(apart, np.abs(prefix_sums(self.weights[order])[0][1:]), -1.0)
        k = int(np.argmax(sums))
        return float(sums[k]), np.append(u, -(t[k] + (t[k + 1] if k + 1 < len(t) else t[k] - 1.0)) / 2)

    def in_units_of_rows(self, z: Array, d: int) -> Array:
        """(u, b) of the points for rows of d columns as they were given, with |u| = 1."""
        u = z[:-1] / self.scale
        length = float(np.linalg.norm(u))
        u, b = (u / length, z[-1] / length) if length > 0 else (np.eye(1, len(u))[0], 0.0)
        whole = np.zeros(d)
        whole[self.columns] = u
        return np.append(whole, b - u @ self.centre)


def reduce_halfspaces(rows: Array, weights: Array) -> Halfspaces:
    """The normal form of weighted rows (N, d); ValueError unless the weights (N,) add up to 0."""
    check_balanced(weights)
    rows, weights, error = merge_equal(rows, weights)
    slack = float(error.sum()) + gamma(8) * float(np.abs(weights).sum())
    rows, weights = rows[weights != 0], weights[weights != 0]
    columns = independent_columns(rows)
    rows = rows[:, columns]
    if not len(rows):
        zeros = np.zeros(len(columns))
        return Halfspaces(rows, weights, rows, columns, zeros, zeros + 1, 0.0)
    low, high = rows.min(axis=0), rows.max(axis=0)
    centre, wide = low / 2 + high / 2, high / 2 - low / 2
    scale = np.where(wide > 0, wide, 1.0) * 1.01 * math.sqrt(rows.shape[1])
    return Halfspaces((rows - centre) / scale, weights, rows, columns, centre, scale, slack)


def integers(rows: Array) -> NDArray[Any]:
    """The rows (N, d) moved and scaled column by column to integers, exactly; as Python's where 64 bits may not do."""
    mantissas, exponents = np.frexp(rows)
    whole = (mantissas * 2.0**53).astype(np.int64)
    lowest = np.where(whole != 0, whole & -whole, 1)
    trailing = np.log2(lowest.astype(np.float64)).astype(np.int64)
    powers = np.where(whole != 0, exponents + trailing, np.iinfo(np.int32).max)
    shifts = np.where(whole != 0, powers - powers.min(axis=0), 0)
    odd = whole >> trailing
    if (np.log2(np.maximum(np.abs(odd), 1).astype(np.float64)) + shifts < BITS).all():
        return np.asarray(odd << shifts)
    columns = [[int(m) << int(s) for m, s in zip(*part, strict=True)] for part in zip(odd.T, shifts.T, strict=True)]
    lows = [min(column) for column in columns]
    moved = [[value - low for value in column] for column, low in zip(columns, lows, strict=True)]
    return np.array(moved, dtype=object).T


def independent_columns(rows: Array) -> NDArray[np.intp]:
    """Columns of which the others are affine functions, on the rows (N, d), in exact arithmetic; at least one."""
    every = np.arange(rows.shape[1])
    moved = rows - rows.mean(axis=0) if len(rows) else rows
    sizes = np.abs(moved).max(axis=0, initial=0.0)
    values = np.linalg.svd(moved / np.where(sizes > 0, sizes, 1.0), compute_uv=False)
    if len(values) == len(every) and values[-1] > 1e-9 * values[0]:
        return every
    left, kept = [[Fraction(float(x)) for x in row] for row in rows], []
    left = [[x - y for x, y in zip(row, left[0], strict=True)] for row in left]
    for c in every:
        pivot = next((row for row in left if row[c]), None)
        if pivot is not None:
            kept.append(int(c))
            shares = [row[c] / pivot[c] for row in left]
            left = [
                [x - s * y for x, y in zip(row, pivot, strict=True)] if s else row
                for row, s in zip(left, shares, strict=True)
            ]
    return np.array(kept or [0])


def beyond(rows: Array, z: Array) -> NDArray[np.bool_]:
    """Which rows (N, d) have u . x + b > 0 in exact arithmetic, (N,)."""
    u, b = z[:-1], z[-1]
    t = rows @ u + b
    unsure = np.abs(t) <= gamma(2 * len(u) + 8) * (np.abs(rows) @ np.abs(u) + abs(b)) + 1e-290
    seen = t > 0
    exact = [Fraction(float(v)) for v in u]
    for i in np.flatnonzero(unsure):
        seen[i] = sum((v * Fraction(float(x)) for v, x in zip(exact, rows[i], strict=True)), Fraction(float(b))) > 0
    return np.asarray(seen)


def best_cell(rows: list[list[int]], weights: list[float]) -> tuple[float, list[bool]]:
    """The largest sum of the weights of rows with r . z > 0 over the cells of their hyperplanes, and who they are.

    Exact, in integers: every cell has a facet, a cell of what the others leave on one hyperplane, where a coordinate is
    eliminated. Ends as soon as all positive weights, and no others, are seen.

    Parameters
    ----------
    rows : k lists of p integers, none of them all 0
    weights : k numbers
    """
    if not rows:
        return 0.0, []
    if len(rows[0]) == 1:
        sides = [[row[0] > 0 for row in rows], [row[0] < 0 for row in rows]]
        return max((sum(w for w, on in zip(weights, side, strict=True) if on), side) for side in sides)
    top, best = sum(w for w in weights if w > 0), (-math.inf, [False] * len(rows))
    for normal in rows:
        c = next(j for j, value in enumerate(normal) if value)
        turn = 1 if normal[c] > 0 else -1
        left = [
            [turn * (normal[c] * value - row[c] * other) for value, other in zip(row, normal, strict=True)]
            for row in rows
        ]
        others = [i for i, row in enumerate(left) if any(row)]
        rest = [left[i][:c] + left[i][c + 1 :] for i in others]
        found, seen = best_cell(rest, [weights[i] for i in others])
        signs = dict(zip(others, seen, strict=True))
        on = [i for i in range(len(rows)) if i not in signs]
        for side in (1, -1):
            facing = {i: side * rows[i][c] * normal[c] > 0 for i in on}
            value = found + sum(weights[i] for i in on if facing[i])
            if value > best[0]:
                best = value, [signs[i] if i in signs else facing[i] for i in range(len(rows))]
        if best[0] >= top:
            break
    return best
