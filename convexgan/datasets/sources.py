"""Pictures by name: a bundled set, CelebA, a folder, an archive, or an array file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count, warn_user
from convexgan._tools.files import DAMAGE, open_npz, unreadable
from convexgan._tools.pictures import check_picture_shape
from convexgan.datasets.archive import is_archive, list_archive
from convexgan.datasets.bundled import digits, orl
from convexgan.datasets.celeba import has_lists, home, is_celeba, list_celeba
from convexgan.datasets.cifar import cifar_home, read_cifar
from convexgan.datasets.folder import list_folder
from convexgan.datasets.listing import Listing, read
from convexgan.datasets.pictures import CROPS, MAX_PIXELS, ImageSet, fit_square

BUNDLED = {"orl": orl, "digits": digits}
ARRAY_SUFFIXES = frozenset({".npy", ".npz"})
_BLOCK = 1024  # pictures converted at a time
NEARLY = 0.01  # outside of a range of floats: what rounding, filters and compression leave


def is_decoded(source: str | os.PathLike[str]) -> bool:
    """Whether the source is a bundled set, CIFAR-10 or an array file: pixels already, nothing to decode."""
    path = Path(source)
    return source in BUNDLED or cifar_home(path) is not None or _is_array_file(path)


def _is_array_file(path: Path) -> bool:
    return path.suffix.lower() in ARRAY_SUFFIXES and not path.is_dir()


def find(
    source: str | os.PathLike[str], *, attributes: Mapping[str, bool] | None = None, split: str = "all"
) -> Listing:
    """The pictures of CelebA, a folder or an archive, not read yet.

    Parameters
    ----------
    source : str or path
        A folder with the layout of CelebA (see `list_celeba`), any other folder, or a .zip or .tar file.
    attributes, split
        For CelebA, or any pictures that its lists name, see `list_celeba`.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no such source, or no picture in it.
    """
    _check_source(source)
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(
            f"source {str(source)!r} is not found: pass 'orl', 'digits', a folder, a .zip or .tar archive, or a .npy "
            "or .npz file."
        )
    if attributes or split != "all":
        path = home(path)
    if is_celeba(path):
        return list_celeba(path, attributes=attributes, split=split)
    if attributes or split != "all":
        if has_lists(path):
            return list_celeba(path, attributes=attributes, split=split)
        raise ValueError(f"attributes and splits are CelebA's, and {path} has not its layout: leave them out.")
    return list_archive(path) if path.is_file() and is_archive(path) else list_folder(path)


def load(
    source: str | os.PathLike[str],
    size: int | None = None,
    *,
    color: bool | None = None,
    crop: str = "center",
    strict: bool = False,
    limit: int | None = None,
    progress: bool = False,
) -> ImageSet:
    """The pictures of a bundled set, a folder, an archive or an array file, in memory.

    Parameters
    ----------
    source : str or path
        ``"orl"``, ``"digits"``, what `find` finds (``./orl`` for a folder of that name), a folder with the binary
        version of CIFAR-10, or a .npy or .npz file of pictures (n, h, w[, 1 or 3]): uint8, or floats in [-1, 1], or in
        [0, 1] if none is below -0.01. A .npz file holds one array, or several of which one is called ``images``.
    size : int, optional
        Pixels along each edge, needed for files that must be decoded. By default 64 for the ORL faces, 8 for the
        digits, 32 for CIFAR-10, the shorter edge for an array file.
    color, strict, progress
        For pictures that must be decoded, see `read_folder`.
    crop : str
        See `read_folder`; bundled sets have none.
    limit : int, optional
        At most this many pictures, the first ones.

    Raises
    ------
    FileNotFoundError
        There is no such set, folder or file.
    ValueError
        The source holds no readable pictures, or ``size`` is missing.
    """
    _check_source(source)
    if limit is not None:
        check_count(limit, "limit")
    if source in BUNDLED:
        pictures = BUNDLED[str(source)]() if size is None else BUNDLED[str(source)](size)
        return ImageSet(pictures.images[:limit], pictures.name, pictures.paths[:limit])
    if is_decoded(source):
        return read_array(Path(source), size, crop=crop, limit=limit)
    listing = find(source)
    if size is None:
        raise ValueError(f"size is needed for {source}: pass the pixels of an edge, say size=64.")
    return read(listing, size, color=color, crop=crop, strict=strict, limit=limit, progress=progress)


def _check_source(source: Any) -> None:
    if not isinstance(source, str | os.PathLike):
        kind = type(source).__name__
        raise ValueError(f"source must be a name or a path, got {kind}: an array of pictures need not be loaded.")


def read_array(path: Path, size: int | None = None, *, crop: str = "center", limit: int | None = None) -> ImageSet:
    """The pictures in CIFAR-10's folder or an array file, see `load`; uint8 of the right size in .npy is mapped."""
    from PIL import Image

    home = cifar_home(path)
    rows = _as_pictures(_open_array(path) if home is None else read_cifar(home), path)[:limit]
    check_choice(crop, "crop", CROPS)
    edge = min(rows.shape[1:3]) if size is None else check_count(size, "size")
    warn_of_two_levels(rows, str(path))
    if rows.dtype == np.uint8 and rows.shape[1:3] == (edge, edge) and crop in ("center", "none"):
        return ImageSet(rows, path.stem)
    to_uint8, said = _converter(rows, path)
    images = np.empty((len(rows), edge, edge, *rows.shape[3:]), dtype=np.uint8)
    try:
        for i in range(0, len(rows), _BLOCK):
            block = to_uint8(rows[i : i + _BLOCK])
            images[i : i + _BLOCK] = [fit_square(Image.fromarray(picture), edge, crop) for picture in block]
    except ValueError as error:  # one shape, so all are too small or none
        raise ValueError(f"source {path}: {error}.") from None
    return ImageSet(images, path.stem, notes=said)


def warn_of_two_levels(rows: NDArray[Any], name: str) -> None:
    """Warn if bytes are 0 and 1 only, over all of them: white is 255, and such pictures are black."""
    if rows.dtype != np.uint8:
        return
    lit = False
    for i in range(0, len(rows), _BLOCK):  # one block is enough, for nearly all sets
        highest = int(rows[i : i + _BLOCK].max())
        lit |= highest == 1
        if highest > 1:
            return
    if lit:
        warn_user(f"{name} holds the levels 0 and 1 only, of 255, which is black: multiply by 255 if 1 is white.")


def _open_array(path: Path) -> NDArray[Any]:
    """The array in the file, mapped where it can be; pickles are refused."""
    if not path.exists():
        raise FileNotFoundError(f"source {path} does not exist: check the path (seen from {Path.cwd()}).")
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
        if not zipped:
            return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
        with open_npz(path) as content:
            names = content.files
            name = names[0] if len(names) == 1 else "images"
            if name in names:
                return np.asarray(content[name])
    except (ValueError, TypeError, OSError, *DAMAGE) as error:
        raise ValueError(f"source {path} cannot be read ({unreadable(error)}): save pixels with numpy.save.") from None
    raise ValueError(f"source {path} holds the arrays {', '.join(names) or '(none)'}: name the pictures 'images'.")


def _as_pictures(rows: NDArray[Any], path: Path) -> NDArray[Any]:
    """The array as (n, h, w) or (n, h, w, 3)."""
    if rows.ndim == 4 and rows.shape[3] == 1:
        rows = rows[..., 0]
    check_picture_shape(rows.shape, f"source {path}", square=False)
    if max(rows.shape[1:3]) ** 2 > MAX_PIXELS:
        raise ValueError(f"source {path} has shape {rows.shape}: pictures have at most {MAX_PIXELS:,} pixels here.")
    return rows


def _converter(rows: NDArray[Any], path: Path) -> tuple[Any, tuple[str, ...]]:
    """The function from a block of rows to pictures in 0..255, and what is said of it.

    The range of floats is that of all rows, in which a few values a little outside decide nothing: they are clipped.
    """
    if rows.dtype == np.uint8:
        return np.asarray, ()
    if rows.dtype.kind != "f":
        raise ValueError(f"source {path} holds {rows.dtype}: convert to uint8, or to floats in [-1, 1].")
    low, high = float(rows.min()), float(rows.max())
    if not (low >= -1 - NEARLY and high <= 1 + NEARLY):  # so written, a NaN is refused too
        raise ValueError(f"source {path} holds floats from {low:g} to {high:g}: scale to [-1, 1] or [0, 1].")
    floor, shift, factor = (0.0, 0.0, 255.0) if low >= -NEARLY else (-1.0, 1.0, 127.5)
    said = [f"floats taken as [{floor:g}, 1]"]
    if low < floor or high > 1:
        said.append(f"values from {low:.9g} to {high:.9g} clipped to it")
    return lambda block: np.rint((np.clip(block, floor, 1) + shift) * factor).astype(np.uint8), tuple(said)
