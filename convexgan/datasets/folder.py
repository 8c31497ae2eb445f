"""Folders of pictures: found in subfolders too, in order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convexgan.datasets.listing import Entry, Listing, read
from convexgan.datasets.pictures import MAX_BYTES, SUFFIXES, ImageSet


@dataclass(frozen=True)
class Folder:
    """A folder that holds picture files."""

    root: Path

    def read(self, entry: Entry) -> bytes:
        """The bytes of a picture's file."""
        path = self.root / entry.name
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"the file is larger than {MAX_BYTES:,} bytes")
        return path.read_bytes()

    def stamp(self, entry: Entry) -> tuple[int, int]:
        """Size and time of last change of a picture's file."""
        status = os.stat(self.root / entry.name)
        return status.st_size, status.st_mtime_ns


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The picture files in a folder and its subfolders, sorted by path; hidden files are left out.

    Suffixes, in either case: jpg, jpeg, png, webp, bmp, pgm, ppm.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    ValueError
        It is a file, or holds no pictures.
    """
    root = Path(folder)
    return [root / name for name in _names(root)]


def _names(root: Path) -> list[str]:
    """What `find_images` finds, relative and with slashes; a Path for each would take longer than finding it."""
    if not root.exists():
        raise FileNotFoundError(f"folder {root} does not exist: check the path (seen from {Path.cwd()}).")
    if not root.is_dir():
        raise ValueError(
            f"folder {root} is a file: pass the folder that holds it, '{root.resolve().parent}', or a .zip, .tar, .npy "
            "or .npz file of pictures."
        )
    found: list[tuple[str, ...]] = []
    for place, _, files in os.walk(root):
        parts = Path(place).relative_to(root).parts
        seen = (file for file in files if os.path.splitext(file)[1].lower() in SUFFIXES and not file.startswith("."))
        found += [(*parts, file) for file in seen if os.path.isfile(os.path.join(place, file))]
    if not found:
        raise ValueError(f"folder {root} holds no pictures: put {known_suffixes()} files there or in subfolders.")
    return ["/".join(parts) for parts in sorted(found)]


def known_suffixes() -> str:
    """The suffixes of pictures, for messages."""
    return ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))


def list_folder(folder: str | os.PathLike[str]) -> Listing:
    """The pictures of a folder and its subfolders, see `find_images`."""
    root = Path(folder)
    return Listing(root.resolve().name, Folder(root), tuple(map(Entry, _names(root))))


def list_files(root: Path, paths: Sequence[Path], name: str) -> Listing:
    """The given files below a folder."""
    return Listing(name, Folder(root), tuple(Entry(path.relative_to(root).as_posix()) for path in paths))


def read_folder(
    folder: str | os.PathLike[str],
    size: int,
    *,
    color: bool | None = None,
    crop: str = "center",
    strict: bool = False,
    limit: int | None = None,
    progress: bool = False,
) -> ImageSet:
    """The pictures of a folder as one uint8 array.

    Each picture is turned upright as its EXIF orientation says, laid on white where transparent, cropped and
    box-averaged down to ``size`` pixels (bilinearly enlarged if smaller).

    Parameters
    ----------
    folder : path
        Searched with its subfolders, see `find_images`.
    size : int
        Pixels along each edge of the result.
    color : bool, optional
        Three channels or one; by default one if the first readable pictures hold only grey.
    crop : "center", "center178", "face128" or "none"
        The largest square in the middle, 178 x 178 in the middle, 128 x 128 around (89, 121), or the whole
        picture squeezed to a square.
    strict : bool
        Raise on the first file that cannot be read, rather than skip it.
    limit : int, optional
        Stop after this many pictures.
    progress : bool
        Show a bar on standard error.

    Raises
    ------
    FileNotFoundError, ValueError
        As `find_images`; also if no file can be read, or if ``strict`` and one cannot.
    """
    return read(list_folder(folder), size, color=color, crop=crop, strict=strict, limit=limit, progress=progress)
