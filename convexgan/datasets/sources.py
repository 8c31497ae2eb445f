"""Pictures by name: a bundled set, a folder, or an array file."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_count
from convexgan.datasets.bundled import digits, orl
from convexgan.datasets.folder import ImageSet, fit_square, read_folder

BUNDLED = {"orl": orl, "digits": digits}
ARRAY_SUFFIXES = frozenset({".npy", ".npz"})


def load(
    source: str | os.PathLike[str],
    size: int | None = None,
    *,
    color: bool | None = None,
    strict: bool = False,
    limit: int | None = None,
    progress: bool = False,
) -> ImageSet:
    """The pictures of a bundled set, a folder or an array file.

    Parameters
    ----------
    source : str or path
        ``"orl"``, ``"digits"``, a folder (``./orl`` for a folder of that name), or a .npy or .npz file of
        pictures (n, h, w[, 1 or 3]): uint8, or floats in [-1, 1] ([0, 1] if none is negative).
        A .npz file holds one array, or several of which one is called ``images``.
    size : int, optional
        Pixels along each edge, needed for a folder. By default 64 for the ORL faces, 8 for the digits, the
        shorter edge for an array file.
    color, strict, progress
        For folders, see `read_folder`.
    limit : int, optional
        At most this many pictures, the first ones.

    Raises
    ------
    FileNotFoundError
        There is no such set, folder or file.
    ValueError
        The source holds no readable pictures, or ``size`` is missing.
    """
    if limit is not None:
        check_count(limit, "limit")
    if source in BUNDLED:
        pictures = BUNDLED[str(source)]() if size is None else BUNDLED[str(source)](size)
        return ImageSet(pictures.images[:limit], pictures.name, pictures.paths[:limit])
    path = Path(source)
    if path.suffix.lower() in ARRAY_SUFFIXES and not path.is_dir():
        return read_array(path, size, limit=limit)
    if not path.exists():
        raise FileNotFoundError(
            f"source {str(source)!r} is not found: pass 'orl', 'digits', a folder, or a .npy or .npz file."
        )
    if size is None:
        raise ValueError(f"size is needed for the folder {path}: pass the pixels of an edge, say size=64.")
    return read_folder(path, size, color=color, strict=strict, limit=limit, progress=progress)


def read_array(path: Path, size: int | None = None, *, limit: int | None = None) -> ImageSet:
    """The pictures in a .npy or .npz file, see `load` for what it may hold."""
    from PIL import Image

    rows = _as_uint8(_as_pictures(_open_array(path), path)[:limit], path)
    edge = min(rows.shape[1:3]) if size is None else check_count(size, "size")
    if rows.shape[1:3] != (edge, edge):
        rows = np.stack([fit_square(Image.fromarray(row), edge) for row in rows])
    return ImageSet(rows, path.stem)


def _open_array(path: Path) -> NDArray[Any]:
    """The array in the file; pickles are refused."""
    if not path.exists():
        raise FileNotFoundError(f"source {path} does not exist: check the path (seen from {Path.cwd()}).")
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            names = content.files
            name = names[0] if len(names) == 1 else "images"
            if name in names:
                return np.asarray(content[name])
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"source {path} cannot be read ({error}): save it with numpy.save.") from None
    raise ValueError(f"source {path} holds the arrays {', '.join(names) or '(none)'}: name the pictures 'images'.")


def _as_pictures(rows: NDArray[Any], path: Path) -> NDArray[Any]:
    """The array as (n, h, w) or (n, h, w, 3)."""
    if rows.ndim == 4 and rows.shape[3] == 1:
        rows = rows[..., 0]
    if rows.ndim not in (3, 4) or rows.shape[3:] not in ((), (3,)) or 0 in rows.shape:
        raise ValueError(f"source {path} has shape {rows.shape}: reshape to (n, h, w) or (n, h, w, 3).")
    return rows


def _as_uint8(rows: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """The pictures in 0..255."""
    if rows.dtype == np.uint8:
        return rows
    if rows.dtype.kind != "f":
        raise ValueError(f"source {path} holds {rows.dtype}: convert to uint8, or to floats in [-1, 1].")
    low, high = float(rows.min()), float(rows.max())
    if not (low >= -1 and high <= 1):  # so written, a NaN is refused too
        raise ValueError(f"source {path} holds floats from {low:g} to {high:g}: scale to [-1, 1] or [0, 1].")
    unit = rows if low >= 0 else (rows + 1) / 2
    return np.rint(unit * 255).astype(np.uint8)
