"""Products of rows around a pilot mean, in single precision where the rows allow it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_finite

Array = NDArray[np.float64]
LARGEST = 1e150
SMALLEST = 1e-140  # of the largest entry: eigenvalues of 1e-20 of its square are still normal numbers
NARROW = 64  # columns up to which double precision costs no more than looking at the rows
SHORT = 4096  # rows whose products are added up in single precision


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


def centred_products(
    rows: NDArray[Any], w: Array | None, pilot: Array, space: NDArray[np.float32], name: str
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """The lower triangle of (d, d) products and (d,) sums of rows minus the pilot.

    Products of wide rows that are not float64 are float32, of at most `SHORT` rows; their sums are float64.
    """
    if rows.dtype != np.float64 and w is None and rows.shape[1] > NARROW:
        with np.errstate(all="ignore"):
            centred = np.subtract(rows, pilot.astype(np.float32), out=space, dtype=np.float32)
            product, total = _gram(centred), np.add.reduce(centred, axis=0, dtype=np.float64)
        squares = product.diagonal()
        # NaN, infinite and overflowing rows show in the squares, and so do rows small enough to underflow
        if np.isfinite(squares).all() and (squares.max() > 1e-28 * len(rows) or not centred.any()):
            return product, total
    check_size(rows, name)
    centred = np.subtract(rows, pilot, dtype=np.float64)
    if w is None:
        return _gram(centred), centred.sum(axis=0)
    root = np.sqrt(w)
    centred *= root[:, None]
    return _gram(centred), root @ centred


def _gram(rows: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
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


def check_size(rows: NDArray[Any], name: str) -> None:
    """Raise if an entry is not finite, or its square would not be, or if the squares of all would vanish."""
    size = check_finite(rows, name)
    if size > LARGEST:
        raise ValueError(f"{name} has entries up to {size:.2g}, whose squares overflow: rescale it.")
    if 0 < size < SMALLEST:
        raise ValueError(f"{name} has entries up to {size:.2g}, whose squares underflow: rescale it.")
