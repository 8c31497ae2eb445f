"""Accumulated rows as arrays, for files without pickles, and back to the last bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import check_count, check_weights
from convexgan._tools.files import one_number
from convexgan.statistics.accumulation import SINGLE, Accumulation
from convexgan.statistics.products import Sums

Array = NDArray[np.float64]


def state(given: Accumulation) -> dict[str, Any]:
    """Arrays from which `restored` makes it again."""
    arrays: dict[str, Any] = {name: getattr(given, name) for name in ("dim", "count", "total", "eps")}
    arrays |= {"moved": given.sums.moved, "shifted": given.sums.shifted, "additions": given.additions}
    if given.centre is not None:
        arrays["centre"] = given.centre
    if given.rows is None:
        return arrays | {"pilot": given.pilot, "linear": given.sums.linear, "gram": given.sums.gram}
    arrays["sizes"] = np.array([len(rows) for rows, _ in given.rows], dtype=np.int64)
    for i, (rows, w) in enumerate(given.rows):
        arrays[f"rows{i}"] = rows
        if w is not None:
            arrays[f"weights{i}"] = w
    return arrays


def restored(arrays: Mapping[str, Any]) -> Accumulation:
    """The sums whose `state` this is; KeyError, TypeError or ValueError if it is damaged."""
    centre = float(one_number(arrays["centre"])) if "centre" in arrays else None
    out = Accumulation(check_count(int(one_number(arrays["dim"])), "dim"), centre)
    out.count = int(one_number(arrays["count"]))
    out.total, out.eps = (float(one_number(arrays[name])) for name in ("total", "eps"))
    if "gram" in arrays:
        out.rows = None
        out.pilot, linear, gram = (_doubles(arrays[name]) for name in ("pilot", "linear", "gram"))
        out.sums = Sums(gram, linear)
    else:
        parts = range(len(arrays["sizes"]))
        kept = ((as_rows(arrays[f"rows{i}"], f"rows{i}"), arrays.get(f"weights{i}")) for i in parts)
        out.rows = [(rows, None if w is None else _doubles(w)) for rows, w in kept]
    if "moved" in arrays:
        out.sums.moved, out.sums.shifted = (float(one_number(arrays[name])) for name in ("moved", "shifted"))
        out.additions = check_count(int(one_number(arrays["additions"])), "additions", 0)
    else:  # of version 0.1, whose products of up to 4,096 rows were as precise as eps says
        out.additions, rows = out.count, 4096 if out.eps == SINGLE else out.count
        out.sums.moved = 2 * rows * out.eps * out.scatter
        out.sums.shifted = 2 * rows * out.eps * math.sqrt(out.total * out.scatter)
    _check(out)
    return out


def _check(given: Accumulation) -> None:
    """Raise if what a file holds cannot be sums over samples."""
    d, count, kept, sums = given.dim, given.count or 0, given.rows or [], given.sums
    arrays = [rows for rows, _ in kept] + [given.pilot, sums.linear, sums.gram]
    shapes = [(len(rows), d) for rows, _ in kept] + [(d,), (d,), (d, d) if given.rows is None else (0, 0)]
    if [array.shape for array in arrays] != shapes or not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("its arrays have wrong shapes or entries that are not finite")
    weights = [np.ones(len(rows)) if w is None else check_weights(w, len(rows), "weights") for rows, w in kept]
    total = sum(float(w.sum()) for w in weights) if given.rows is not None else given.total
    stored = count if given.rows is None else sum(map(len, weights))
    consistent = stored == count >= 0 and abs(total - given.total) <= 1e-9 * total and (total > 0) == (count > 0)
    sane = 0 < given.eps < 1 and 0 <= sums.moved < math.inf and 0 <= sums.shifted < math.inf
    if not (consistent and np.isfinite(total) and sane):
        raise ValueError("its counts contradict each other")


def _doubles(array: NDArray[Any]) -> Array:
    """The array of a file, of which nothing is believed; raises TypeError if it does not hold numbers."""
    return array.astype(np.float64, casting="safe", copy=False)
