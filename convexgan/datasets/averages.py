"""Averages over the parts of a picture that become one pixel, exact before they are rounded.

A pixel that lies in several parts counts in each by the area that it has there. The areas are integers in a fine enough
unit, and so are the sums, of which each step holds every one: the same pixels on every processor.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SINGLE = 2**22  # up to which float32 holds integers and their halves, and divides them well enough to round down
COPIED = 2**24  # samples that are turned into floats at once


def area_averages(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The averages over the size x size equal parts of a picture, rounded to the nearest level, halves up.

    Parameters
    ----------
    pixels : (h, w) or (h, w, channels) array of uint8
    size : int
        At most h and w.

    Returns
    -------
    (size, size) or (size, size, channels) array of uint8
    """
    height, width = pixels.shape[:2]
    whole = math.prod(length // math.gcd(length, size) for length in (height, width))  # the area of a part
    kind = np.dtype(np.float32 if 255 * whole <= SINGLE else np.float64)
    samples = pixels.reshape(height, width, -1)
    bands = _summed(samples, size, kind).reshape(size, width, -1)
    sums = _overlaps(width, size, kind) @ _swapped(bands).reshape(width, -1)
    levels = ((sums + whole / 2) / whole).astype(np.uint8)
    return _swapped(levels.reshape(size, size, -1)).reshape(size, size, *pixels.shape[2:])


def _summed(samples: NDArray[np.uint8], size: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """Sums over bands of rows, (size, w * channels), of a large picture some bands at a time."""
    height, rows = len(samples), samples.reshape(len(samples), -1)
    overlaps, at_once, sums = _overlaps(height, size, kind), max(1, COPIED * size // rows.size), []
    if at_once >= size:
        return np.asarray(overlaps @ rows.astype(kind))
    for first in range(0, size, at_once):
        last = min(first + at_once, size)
        within = slice(first * height // size, -(-last * height // size))
        sums.append(overlaps[first:last, within] @ rows[within].astype(kind))
    return np.concatenate(sums)


@lru_cache(maxsize=64)
def _overlaps(length: int, parts: int, kind: np.dtype[Any]) -> csr_array:
    """How much of each pixel of a line lies in each of its equal parts, (parts, length), in a unit of which all are."""
    from scipy.sparse import csr_array

    common = math.gcd(length, parts)
    part, pixel = length // common, parts // common
    cuts = np.union1d(np.arange(parts + 1) * part, np.arange(length + 1) * pixel)
    places = cuts[:-1] // part, cuts[:-1] // pixel
    return csr_array((np.diff(cuts).astype(kind), places), shape=(parts, length))


def _swapped(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows and columns of an array (n, m, channels) changed, (m, n, channels); pixel by pixel, which is faster."""
    n, m, channels = rows.shape
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, channels * rows.itemsize)))[..., 0]
    return np.ascontiguousarray(whole.T).view(rows.dtype).reshape(m, n, channels)
