"""Products of rows around a pilot mean, and what rounding may have changed of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_finite
from convexgan._tools.rounding import gamma, length
from convexgan.statistics.integers import MIDDLE, add_bytes

Array = NDArray[np.float64]
LARGEST = 1e150
SMALLEST = 1e-140  # of the largest entry: eigenvalues of 1e-20 of its square are still normal numbers
INTEGERS = 2.0**53  # up to which float64 holds all of them


class Space:
    """Memory for an array that is made again and again: fresh pages cost several times as much as filling them."""

    def __init__(self) -> None:
        self._kept: NDArray[Any] = np.empty(0)

    def __reduce__(self) -> tuple[type[Space], tuple[()]]:
        return Space, ()  # nobody needs what is in it

    def of(self, shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
        """An array of this shape and type, whose entries are left to the caller."""
        size = int(np.prod(shape))
        if self._kept.size < size or self._kept.dtype != kind:
            self._kept = np.empty(size, kind)
        return self._kept[:size].reshape(shape)


@dataclass
class Sums:
    """Sums over rows around a pilot, and how far they may be from those in exact arithmetic.

    Attributes
    ----------
    gram : (d, d) array
        The lower triangle of the sum of c c'; added to in place.
    linear : (d,) array
        The sum of c.
    moved, shifted : float
        Bounds on the errors of both, in the spectral and the Euclidean norm; 0 while all are integers that are exact.
    """

    gram: Array
    linear: Array
    moved: float = 0.0
    shifted: float = 0.0

    def add(self, other: Sums) -> None:
        """Add what another has summed."""
        self.gram += other.gram
        self.linear = self.linear + other.linear
        self.moved, self.shifted = self.moved + other.moved, self.shifted + other.shifted
        self._round()

    def add_bytes(self, rows: NDArray[np.uint8], int8: bool) -> None:
        """Add rows (n, d) of bytes less `MIDDLE`, exactly as long as all sums are below 2^53."""
        add_bytes(self.gram, rows, int8)
        self.linear = self.linear + (rows.sum(axis=0, dtype=np.int64) - MIDDLE * len(rows))
        self._round()

    def _round(self) -> None:
        """Count what an addition may have rounded."""
        trace = max(float(self.gram.trace()), 0.0)
        if self.moved > 0 or trace >= INTEGERS:  # else sums of integers, all of them exact
            self.moved += gamma(2) * trace
        if self.shifted > 0 or trace >= INTEGERS:
            self.shifted += gamma(2) * length(self.linear)

    def around(self, shift: Array, total: float) -> Sums:
        """The sums of c + shift, a new object; ``total`` is the sum of the weights."""
        if not shift.any():
            return Sums(self.gram.copy(), self.linear, self.moved, self.shifted)
        size, far, cross = length(self.linear), length(shift), np.outer(self.linear, shift)
        gram = self.gram + cross + cross.T + total * np.outer(shift, shift)
        rounded = gamma(12) * (max(float(self.gram.trace()), 0.0) + 2 * far * size + total * far * far)
        moved = self.moved + 2 * far * self.shifted + rounded
        return Sums(gram, self.linear + total * shift, moved, self.shifted + gamma(4) * (size + total * far))


def centred_sums(rows: NDArray[Any], w: Array | None, pilot: Array, name: str) -> Sums:
    """The sums over rows (n, d), with weights (n,) or without, of the rows minus the pilot; of integers they are exact.

    All partial sums of products of integers, in any order, are integers of at most the size of the trace.
    """
    check_products(rows, w, name)
    centred = np.subtract(rows, pilot, dtype=np.float64)
    n = len(rows) + 8
    if w is None:
        gram, linear = _gram(centred), centred.sum(axis=0)
        mass = float(n)
    else:
        root = np.sqrt(w)
        centred *= root[:, None]
        gram, linear = _gram(centred), root @ centred
        mass = float(w.sum())
    trace = float(gram.trace())
    if w is None and trace < INTEGERS and are_integers(centred):
        return Sums(gram, linear)
    return Sums(gram, linear, gamma(n) * trace, gamma(n) * (1.01 * mass * max(trace, 0.0)) ** 0.5)


def are_integers(rows: NDArray[Any]) -> bool:
    """Whether all entries are; usually the first row tells."""
    return all(np.array_equal(part, np.rint(part)) for part in (rows[:1], rows))


def _gram(rows: Array) -> Array:
    """The lower triangle of ``rows.T @ rows``: numpy would mirror it, element by element."""
    from scipy.linalg import get_blas_funcs

    return np.asarray(get_blas_funcs("syrk", (rows,))(1.0, rows.T).T)


def mirror_lower(matrix: Array, block: int = 256) -> Array:
    """The symmetric matrix with this lower triangle, in place, block by block."""
    for i in range(0, len(matrix), block):
        j = i + block
        corner = np.tril(matrix[i:j, i:j])
        matrix[i:j, i:j] = corner + np.tril(corner, -1).T
        matrix[i:j, j:] = matrix[j:, i:j].T
    return matrix


def check_products(rows: NDArray[Any], w: Array | None, name: str) -> None:
    """Raise if an entry is not finite, or its square, times its weight, would not be a normal number."""
    check_size(rows, name)
    if w is not None:
        with np.errstate(over="ignore"):
            largest = float((w * np.abs(rows).max(axis=1).astype(np.float64) ** 2).max())
        if largest > LARGEST**2 or 0 < largest < SMALLEST**2:
            raise ValueError(f"weights of {name} times squared entries are up to {largest:.2g}: rescale the weights.")


def check_size(rows: NDArray[Any], name: str) -> None:
    """Raise if an entry is not finite, or its square would not be, or if the squares of all would vanish."""
    size = check_finite(rows, name)
    if size > LARGEST:
        raise ValueError(f"{name} has entries up to {size:.2g}, whose squares overflow: rescale it.")
    if 0 < size < SMALLEST:
        raise ValueError(f"{name} has entries up to {size:.2g}, whose squares underflow: rescale it.")
