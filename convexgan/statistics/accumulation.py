"""Weighted rows added up around a pilot mean, chunk by chunk and machine by machine, and what rounding may change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_memory
from convexgan._tools.rounding import gamma, length
from convexgan.statistics.integers import MIDDLE, multiplies_int8
from convexgan.statistics.products import Sums, are_integers, centred_sums, check_products, mirror_lower

Array = NDArray[np.float64]
SINGLE, DOUBLE = (float(np.finfo(kind).eps) for kind in (np.float32, np.float64))
CHUNK_BYTES = 32 * 2**20
LONGEST = 16_384  # rows whose products are added up at once: what rounding may change grows with them


class Accumulation:
    """Rows that are kept as long as they are no more than columns, and then their products, additive.

    Attributes
    ----------
    dim : int
        Number of columns d.
    centre : float or None
        Around which all columns are multiplied, by default the mean of the first rows.
    count : int or None
        Of rows; None where they are a factor of a law's second moment.
    total : float
        The sum of the weights.
    eps : float
        The precision of the rows as they came.
    rows : list of ((n, d) array, (n,) array or None), or None
        The rows that are kept with their weights; None once their products are summed instead.
    pilot : (d,) array
        Around which they are multiplied.
    sums : Sums
        Of products and rows less the pilot; also where rows are kept, its errors are those of the sums over them.
    additions : int
        Of weights to the total, each of which rounds.
    """

    def __init__(self, dim: int, centre: float | None = None) -> None:
        self.dim, self.centre = dim, centre
        self.count: int | None = 0
        self.total, self.eps = 0.0, DOUBLE
        self.rows: list[tuple[NDArray[Any], Array | None]] | None = []
        self.pilot: Array = np.zeros(dim)
        self.sums = Sums(np.zeros((0, 0)), np.zeros(dim))
        self.additions = 0

    @classmethod
    def of_factor(cls, dim: int, factor: Array) -> Accumulation:
        """What stands for a law whose second moment is ``factor.T @ factor``, for a factor (r, d)."""
        out = cls(dim)
        out.count, out.total, out.rows = None, 1.0, [(factor, None)]
        return out

    @property
    def sampled(self) -> bool:
        """Whether there are rows, and not a law's factor."""
        return self.count is not None and self.total != 0

    @property
    def products(self) -> float:
        """How many the rows take that were seen so far."""
        return float(self.count or 0) * self.dim**2

    def copy(self) -> Accumulation:
        """A copy that may be added to."""
        out = Accumulation(self.dim, self.centre)
        out.count, out.total, out.eps, out.additions = self.count, self.total, self.eps, self.additions
        out.rows, out.pilot = None if self.rows is None else list(self.rows), self.pilot.copy()
        out.sums = Sums(self.sums.gram.copy(), self.sums.linear.copy(), self.sums.moved, self.sums.shifted)
        return out

    def reordered(self, places: Sequence[int]) -> Accumulation:
        """The sums of the same rows with column ``places[i]`` as the i-th."""
        out = self.copy()
        out.pilot, out.sums.linear = self.pilot[places], self.sums.linear[places]
        if self.rows is None:
            out.sums.gram = mirror_lower(out.sums.gram)[np.ix_(places, places)]
        else:
            out.rows = [(rows[:, places], w) for rows, w in self.rows]
        return out

    # -- adding --------------------------------------------------------------------------------------------

    def add(self, rows: NDArray[Any], w: Array | None, name: str) -> None:
        """Add rows (n, d) in place, with weights (n,) or without; nothing is added if they are refused."""
        seen = self.count or 0
        if self.rows is not None and seen + len(rows) <= self.dim:
            check_products(rows, w, name)
            self.rows.append((rows.copy(), w))
        else:
            self._densify(rows)
            self._multiply(rows, w, name)
        if rows.dtype == np.float32:
            self.eps = SINGLE
        self.count = seen + len(rows)
        self.total += float(len(rows)) if w is None else math.fsum(w)
        self.additions += w is not None

    def _densify(self, first: NDArray[Any]) -> None:
        """Go over from kept rows to the (d, d) Gram matrix, around the mean of the first chunk."""
        if self.rows is None:
            return
        check_memory(self.dim)
        kept, self.rows = self.rows, None
        first = kept[0][0] if kept else first[:1024]
        self.pilot = _pilot(first) if self.centre is None else np.full(self.dim, self.centre)
        self.sums.gram = np.zeros((self.dim, self.dim))
        for rows, w in kept:
            self._multiply(rows, w, "rows")

    def _multiply(self, rows: NDArray[Any], w: Array | None, name: str) -> None:
        """Add the products of rows around the pilot, chunk by chunk; nothing is added if a chunk is refused."""
        if rows.dtype == np.uint8 and w is None and (self.pilot == MIDDLE).all():
            self.sums.add_bytes(rows, multiplies_int8(self.products + len(rows) * float(self.dim) ** 2))
            return
        pieces = -(-len(rows) // min(max(CHUNK_BYTES // (8 * self.dim), self.dim), LONGEST))
        weights = [None] * pieces if w is None else np.array_split(w, pieces)
        chunks = Sums(np.zeros((self.dim, self.dim)), np.zeros(self.dim))
        for part, u in zip(np.array_split(rows, pieces), weights, strict=True):
            chunks.add(centred_sums(part, u, self.pilot, name))
        chunks.add(self.sums)
        self.sums = chunks

    def merge(self, other: Accumulation) -> Accumulation:
        """The sums of the rows of both; neither changes."""
        if self.rows is None and other.rows is not None:
            return other.merge(self)
        out = other.copy()
        if self.rows is not None:
            for rows, w in self.rows:
                out.add(rows, w, "rows")
            out.sums.moved += self.sums.moved
            out.sums.shifted += self.sums.shifted
            return out
        around = self.sums.around(self.pilot - out.pilot, self.total)
        around.add(out.sums)
        out.sums = around
        out.count, out.total = (self.count or 0) + (other.count or 0), out.total + self.total
        out.eps, out.additions = max(out.eps, self.eps), out.additions + self.additions
        return out

    # -- reading -------------------------------------------------------------------------------------------

    def factor(self) -> Array | None:
        """F (r, d) with the second moment F'F, r <= d, or None once products are summed."""
        if self.rows is None:
            return None
        self._check_some()
        parts = [rows.astype(np.float64, copy=False) for rows, _ in self.rows]
        parts = [x if w is None else np.sqrt(w)[:, None] * x for x, (_, w) in zip(parts, self.rows, strict=True)]
        rows = np.concatenate(parts) if len(parts) > 1 else parts[0]
        return rows if self.total == 1 else np.asarray(rows / np.sqrt(self.total))

    def mean(self) -> Array:
        """(d,) array."""
        self._check_some()
        if self.rows is None:
            return np.asarray(self.pilot + self.sums.linear / self.total)
        sums = [(np.ones(len(rows)) if w is None else w) @ rows.astype(np.float64) for rows, w in self.rows]
        return np.asarray(np.sum(sums, axis=0) / self.total)

    def second(self, mean: Array) -> Array:
        """The second moment (d, d) of rows whose products are summed."""
        # mean(x x') = mean(c c') + pilot mean' + mean pilot' - pilot pilot', with c = x - pilot
        shifts = np.stack([self.pilot, mean - self.pilot / 2])
        second = self.sums.gram / self.total
        second += shifts.T @ shifts[::-1]
        return mirror_lower(second)

    def _check_some(self) -> None:
        if self.total == 0:
            raise ValueError("these moments hold no samples: update them with rows first.")

    # -- what rounding may have changed --------------------------------------------------------------------

    @property
    def scatter(self) -> float:
        """The trace of the sum of c c', c = x - pilot."""
        return max(float(self.sums.gram.trace()), 0.0)

    def mean_error(self, trace: float) -> float:
        """A bound on the distance of `mean` from that in exact arithmetic, for the trace of the second moment."""
        size = math.sqrt(max(trace, 0.0))
        if self.rows is not None:
            own = gamma(2 * (self.count or 0) + self.additions + 4) * size
        else:
            own = gamma(self.additions + 4) * (size + length(self.pilot))
        return own + 1.01 * self.sums.shifted / self.total

    def factor_error(self, trace: float) -> float:
        """A bound on the spectral norm of F'F less the second moment, F of `factor`."""
        return gamma(2 * self.additions + 20) * trace + 1.01 * self.sums.moved / self.total

    def second_error(self, mean: float, mean_error: float) -> float:
        """A bound on the spectral norm of what is wrong in `second`, for a mean of such a norm and error."""
        pilot, inner = length(self.pilot), self.scatter / self.total
        own = gamma(self.additions + 12) * (inner + 4 * pilot * (mean + pilot)) + 2 * pilot * mean_error
        return own + 1.01 * self.sums.moved / self.total


def _pilot(rows: NDArray[Any]) -> Array:
    """A centre around which rows are multiplied: their mean, for bytes an integer."""
    if rows.dtype == np.uint8:
        return np.full(rows.shape[1], float(MIDDLE))
    with np.errstate(all="ignore"):  # what is not finite is found with the products
        pilot = rows.mean(axis=0, dtype=np.float64)
        # representable in float32, so that float32 and float64 chunks subtract exactly the same number
        pilot = pilot.astype(np.float32).astype(np.float64)
        pilot = np.rint(pilot) if are_integers(rows) else pilot
    return np.where(np.isfinite(pilot), pilot, 0.0)
