"""Pictures at every resolution: box averages going down, nearest neighbours going up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_count, warn_user
from convexgan._tools.pictures import check_picture_shape, read_pictures

Real = TypeVar("Real", np.float32, np.float64)
COARSEST = 4
SLACK = 1e-6  # beyond [-1, 1]: what a float32 round trip may add
NEARLY = 0.01  # below 0: what rounding, filters and compression leave of pictures in [0, 1]


def default_sizes(size: int) -> tuple[int, ...]:
    """The resolutions 4, 8, 16, ..., ``size``; raises unless ``size`` is 4 times a power of two."""
    doublings = size // COARSEST
    if size < COARSEST or size % COARSEST or doublings & (doublings - 1):
        raise ValueError(f"size {size} is not 4, 8, 16, ...: read the pictures at such a size, or pass sizes=.")
    return tuple(COARSEST << k for k in range(doublings.bit_length()))


def box_pyramid(
    images: NDArray[Any], sizes: Sequence[int] | None = None
) -> dict[int, NDArray[np.float32] | NDArray[np.float64]]:
    """The pictures at each size, coarsest first, each level the 2 x 2 box averages of the next finer.

    Parameters
    ----------
    images : (n, h, h) or (n, h, h, 3) array
        uint8 (x becomes x / 127.5 - 1 in float32), or float32 or float64 in [-1, 1] (the type is kept).
    sizes : sequence of int, optional
        Increasing resolutions, each ``h`` halved a whole number of times; by default 4, 8, 16, ..., h.

    Returns
    -------
    dict
        From each size to its (n, size, size) or (n, size, size, 3) array.

    Raises
    ------
    ValueError
        A wrong shape, type or range, or a size that halving cannot reach.
    """
    images = check_pictures(read_pictures(images, "images"))
    size = images.shape[1]
    wanted = default_sizes(size) if sizes is None else check_sizes(sizes, size)
    levels, sums = {}, images
    for level in wanted[::-1]:
        sums = box_sums(sums, level)
        levels[level] = _unit_range(sums, (size // level) ** 2, images.dtype)
    return {level: levels[level] for level in wanted}


def box_sums(images: NDArray[Any], size: int) -> NDArray[Any]:
    """Sums over the boxes of pixels that become one at a coarser size; exact integers if the pictures are.

    Parameters
    ----------
    images : (n, h, h) or (n, h, h, 3) array
        Integers up to 255 times the square of at most 256, or floats.
    size : int
        h halved a whole number of times.
    """
    while images.shape[1] > size:
        images = _pair_sums(_pair_sums(images, 1), 2)
    return images


def pool(rows: NDArray[Real], size: int, channels: int) -> NDArray[Real]:
    """Flattened pictures halved by box averages, a linear map; see `upsample` for the arguments."""
    pictures = rows.reshape(-1, size // 2, 2, size // 2, 2, channels)
    return np.asarray(pictures.mean(axis=(2, 4), dtype=rows.dtype).reshape(len(rows), -1))


def upsample(rows: NDArray[Real], size: int, channels: int) -> NDArray[Real]:
    """Flattened pictures enlarged twice by nearest neighbours, a linear map.

    Parameters
    ----------
    rows : (n, size * size * channels) array
        One flattened (size, size, channels) picture a row.
    size, channels : int
        Shape of the pictures.

    Returns
    -------
    (n, 4 * size * size * channels) array
    """
    if rows.ndim != 2 or rows.shape[1] != size * size * channels:
        raise ValueError(f"rows has shape {rows.shape}: expected (n, {size * size * channels}), flattened pictures.")
    pictures = rows.reshape(-1, size, 1, size, 1, channels)
    doubled = np.broadcast_to(pictures, (len(rows), size, 2, size, 2, channels))
    return doubled.reshape(len(rows), 4 * rows.shape[1])


def interpolate(rows: NDArray[Real], size: int, channels: int) -> NDArray[np.float64]:
    """Flattened pictures enlarged twice by cosines, a linear map that `pool` undoes; see `upsample` for the arguments.

    Averaging pairs of pixels dampens the k-th cosine on 2 * size pixels by cos(pi k / (4 size)), and makes it the k-th
    on size pixels. So smooth pictures come back nearly as they were, where `upsample` makes steps.
    """
    from scipy import fft  # here: it takes long to import

    waves = np.zeros((len(rows), 2 * size, 2 * size, channels))
    gain = 1 / np.cos(np.pi * np.arange(size) / (4 * size))
    coarse = fft.dctn(rows.reshape(-1, size, size, channels), axes=(1, 2), norm="ortho")
    waves[:, :size, :size] = 2 * coarse * gain[:, None, None] * gain[:, None]
    return np.asarray(fft.idctn(waves, axes=(1, 2), norm="ortho", overwrite_x=True).reshape(len(rows), -1))


def to_uint8(images: NDArray[Any]) -> NDArray[np.uint8]:
    """The pictures in 0..255, from floats in [-1, 1] of any shape; values outside are clipped."""
    if not np.isfinite(images).all():
        raise ValueError("images has NaN or infinite entries: there is no picture to show.")
    levels: NDArray[np.uint8] = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)
    return levels


def check_pictures(images: NDArray[Any], *, complete: bool = False) -> NDArray[Any]:
    """The pictures, square and of a type and range that are understood; raises ValueError for any others.

    If they are complete, not some of many, floats that seem to be in [0, 1] are warned of.
    """
    check_picture_shape(images.shape, "images")
    if images.dtype == np.uint8:
        return images
    if images.dtype not in (np.float32, np.float64):
        raise ValueError(f"images has dtype {images.dtype}: convert to uint8, or to float32 in [-1, 1].")
    low, high = float(images.min()), float(images.max())
    if not (low >= -1 - SLACK and high <= 1 + SLACK):  # so written, a NaN is refused too
        raise ValueError(f"images has floats from {low:g} to {high:g}: scale to [-1, 1], or pass uint8.")
    if complete:
        warn_of_unit_interval(low, high, "images")
    return images


def warn_of_unit_interval(low: float, high: float, name: str) -> None:
    """Warn if floats from low to high, those of all pictures of a set, are rather in [0, 1] than in [-1, 1]."""
    if -NEARLY <= low < high and high > 0.5:  # one value a little below 0 decides nothing
        warn_user(f"{name} holds floats between 0 and 1, taken as [-1, 1]: pass uint8, or 2 * {name} - 1.")


def unit(kind: np.dtype[Any], pixels: int) -> tuple[float, float]:
    """(scale, offset) with which box sums / scale - offset are averages in [-1, 1]."""
    return (127.5 * pixels, 1.0) if kind == np.uint8 else (float(pixels), 0.0)


def _unit_range(sums: NDArray[Any], pixels: int, kind: np.dtype[Any]) -> NDArray[np.float32] | NDArray[np.float64]:
    """Box sums as averages in [-1, 1]."""
    scale, offset = unit(kind, pixels)
    scaled: NDArray[np.float32] | NDArray[np.float64] = np.divide(
        sums, scale, dtype=np.float32 if kind == np.uint8 else kind
    )
    if offset:
        scaled -= offset
    return scaled


def halvings(size: int) -> list[int]:
    """The size, halved as often as it is even: increasing."""
    sizes = [size]
    while sizes[0] % 2 == 0:
        sizes.insert(0, sizes[0] // 2)
    return sizes


def check_sizes(sizes: Sequence[int], finest: int) -> tuple[int, ...]:
    """The sizes, increasing and each reached by halving the finest."""
    if not isinstance(sizes, Iterable):
        raise ValueError(f"sizes must be a list of some of {halvings(finest)}, the halvings, got {sizes!r}.")
    wanted = tuple(check_count(size, "sizes") for size in sizes)
    if not wanted or list(wanted) != sorted(set(wanted)) or not set(wanted) <= set(halvings(finest)):
        raise ValueError(f"sizes {wanted} must increase and be among {halvings(finest)}, the halvings.")
    return wanted


def _pair_sums(images: NDArray[Any], axis: int) -> NDArray[Any]:
    """Sums of neighbours along an axis (1 or 2), channel by channel: numpy is slow where inner loops are short."""
    kind = images.dtype
    if kind.kind == "u":
        narrow = kind == np.uint8 or images.max(initial=0) < 2**15
        kind = np.dtype(np.uint16 if narrow else np.uint32)
    n, h, w = images.shape[:3]
    out: NDArray[Any] = np.empty((n, h // (3 - axis), w // axis, *images.shape[3:]), kind)
    pairs = images.reshape(*images.shape[:axis], -1, 2, *images.shape[axis + 1 :])
    first, second = np.moveaxis(pairs, axis + 1, 0)
    if axis == 1 or images.ndim == 3:
        np.add(first, second, out=out, dtype=kind)
        return out
    for c in range(images.shape[3]):
        np.add(first[..., c], second[..., c], out=out[..., c], dtype=kind)
    return out
