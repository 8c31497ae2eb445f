"""All half-planes, exactly: the lines through each point in turn, by their angles; O(N^2 log N)."""

from __future__ import annotations

from functools import cmp_to_key
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.halfspaces import Halfspaces, integers
from convexgan.arrangements.offset_sweep import Fans
from convexgan.arrangements.reduce import lexical

Array = NDArray[np.float64]
ALIKE = 2.0**-49  # relative difference of slopes that rounding may have made, or hidden
NARROW = 1e-12  # sine of half an angle between lines in which no line of floats need lie


def sweep_halfplanes(whole: Halfspaces, deadline: Deadline) -> tuple[float, Array, bool]:
    """The maximum of |F|, the normal u of a line among `Halfspaces.points`, and whether all were pivots in time.

    Every half-plane that cuts the points can be widened until its line passes through just one of those outside. About
    that pivot a point changes sides whenever the line meets it; points that it meets at once, all on one line with the
    pivot, do so together: this alone depends on exact arithmetic.
    """
    best, shown, u, done = 0.0, 0.0, np.array([1.0, 0.0]), 0
    exact, units = integers(whole.rows), 2.0 ** np.frexp(whole.scale)[1]
    for fans in Fans.all(whole.rows / units, deadline):  # nothing is rounded
        last = _last_of_ties(fans, exact)
        sums = _cuts(fans, whole.weights)
        sizes = np.where(last, np.abs(sums), 0.0)
        best, done = max(best, float(sizes.max())), done + len(fans.pivots)
        if sizes.max() <= shown:
            continue
        normals = _between(fans)
        nx, ny = fans.normals
        crossed = normals[..., 0] * ny - normals[..., 1] * nx
        wide = np.where(np.abs(crossed) > NARROW, sizes, 0.0)
        i, k = np.unravel_index(int(np.argmax(wide)), wide.shape)
        if wide[i, k] > shown:
            shown, u = float(wide[i, k]), normals[i, k]
    return best, u * whole.scale / units, done == len(whole.rows)


def sweep_cuts(rows: Array, weights: Array, deadline: Deadline) -> Array | None:
    """The maximum of |F|, (B,), for many weights (B, N), each of sum 0, of the same rows (N, d) of one or two columns.

    None if the time is over before.
    """
    order, fresh = lexical(rows)
    starts = np.flatnonzero(fresh)
    points, weights = rows[order[starts]], np.add.reduceat(weights[:, order], starts, axis=1)
    if points.shape[1] == 1:
        return np.asarray(np.abs(np.cumsum(weights, axis=1)).max(axis=1))
    best, exact = np.zeros(len(weights)), integers(points)
    for fans in Fans.all(points, deadline):
        last = _last_of_ties(fans, exact)
        for k, w in enumerate(weights):
            best[k] = max(best[k], float((np.abs(_cuts(fans, w)) * last).max()))
    return None if deadline.over else best


def _cuts(fans: Fans, weights: Array) -> Array:
    """F behind each line, (P, N), of the open half-plane, without the pivot."""
    w = np.where(fans.order == fans.pivots[:, None], 0.0, weights[fans.order])
    sums = np.where(fans.turned, 0.0, w).sum(axis=1)[:, None] + np.cumsum(np.where(fans.turned, w, -w), axis=1)
    return np.asarray(sums)


def _last_of_ties(fans: Fans, exact: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each line is met before the next one, in exact arithmetic; where it is not their order is put right."""
    steep = np.divide(fans.y, fans.x, out=np.full_like(fans.x, -np.inf), where=fans.x != 0)
    with np.errstate(invalid="ignore"):
        clear = np.diff(steep, axis=1) > ALIKE * np.maximum(np.abs(steep[:, :-1]), np.abs(steep[:, 1:]))
    clear |= np.isneginf(steep[:, :-1]) & ~np.isneginf(steep[:, 1:])
    last = np.column_stack([clear, np.ones(len(steep), dtype=bool)])
    i, k = np.nonzero(~clear)
    turns = _turns(fans, exact, i, k)
    last[i, k] = turns > 0
    for row in np.unique(i[turns < 0]):
        _sort(fans, exact, int(row), clear[row], last[row])
    return last


def _turns(fans: Fans, exact: NDArray[Any], i: Any, k: Any) -> Any:
    """The cross products of the differences k and k + 1 to pivot i, exactly: positive if they are in order."""
    pivots = exact[fans.pivots[i]]
    first, second = exact[fans.order[i, k]] - pivots, exact[fans.order[i, k + 1]] - pivots
    crossed = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return np.sign(crossed) * np.where(fans.turned[i, k] == fans.turned[i, k + 1], 1, -1)


def _sort(fans: Fans, exact: NDArray[Any], i: int, clear: NDArray[np.bool_], last: NDArray[np.bool_]) -> None:
    """Order the lines of pivot i that floats do not tell apart by integers, in place."""
    pivot = exact[fans.pivots[i]]
    ends = np.append(np.flatnonzero(clear), len(clear)) + 1
    for start, end in zip(np.append(0, ends[:-1]), ends, strict=True):
        if end - start > 1:
            moved = {k: (exact[fans.order[i, k]] - pivot) * (-1 if fans.turned[i, k] else 1) for k in range(start, end)}

            def turn(a: int, b: int, moved: dict[int, Any] = moved) -> int:
                return -int(np.sign(moved[a][0] * moved[b][1] - moved[a][1] * moved[b][0]))

            order = sorted(moved, key=cmp_to_key(turn))
            for part in (fans.order, fans.x, fans.y, fans.turned):
                part[i, start:end] = part[i, order]
            last[start : end - 1] = [turn(a, b) < 0 for a, b in pairwise(order)]


def _between(fans: Fans) -> Array:
    """Normals (P, N, 2) half way between each line and the next one in the list."""
    here = np.stack(fans.normals, axis=2)
    middle = here + np.concatenate([here[:, 1:], -here[:, :1]], axis=1)
    middle[np.abs(middle).max(axis=2) < 1e-6] = 0.0  # half a turn apart
    lengths = np.linalg.norm(middle, axis=2, keepdims=True)
    across = np.stack([-here[..., 1], here[..., 0]], axis=2)
    return np.asarray(np.where(lengths > 0, middle / np.where(lengths > 0, lengths, 1.0), across))
