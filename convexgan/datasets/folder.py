"""Folders of pictures: found in subfolders too, in order."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convexgan.datasets.account import counts, listed
from convexgan.datasets.formats import COMMON
from convexgan.datasets.listing import Entry, Listing, read
from convexgan.datasets.pictures import MAX_BYTES, ImageSet
from convexgan.datasets.walk import Walk, walk


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

    def mark(self, entry: Entry) -> int:
        """The size of a picture's file."""
        return os.stat(self.root / entry.name).st_size

    def stamp(self, entry: Entry) -> tuple[int, int]:
        """Size and time of last change of a picture's file."""
        status = os.stat(self.root / entry.name)
        return status.st_size, status.st_mtime_ns


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The picture files in a folder and its subfolders, sorted by path.

    Links to folders are followed, each file is found once. Hidden files and folders, what operating systems add to
    folders, and runs of convexgan are left out. Suffixes, in either case, are those of the formats that Pillow reads,
    and heic; files without a suffix are looked into.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    ValueError
        It is a file, or holds no pictures.
    """
    root = Path(folder)
    return [root.joinpath(*parts) for parts in _walked(root).names]


def _walked(root: Path) -> Walk:
    """All entries of a folder, pictures and others."""
    if not root.exists():
        raise FileNotFoundError(f"folder {root} does not exist: check the path (seen from {Path.cwd()}).")
    if not root.is_dir():
        raise ValueError(
            f"folder {root} is a file: pass the folder that holds it, '{root.resolve().parent}', or a .zip, .tar, .npy "
            "or .npz file of pictures."
        )
    found = walk(root)
    if not found.names:
        there = [*counts(Counter(one.reason for one in found.skipped)), *found.counts()]
        left = f", only what is left out: {listed(there)}" if there else ""
        raise ValueError(f"folder {root} holds no pictures{left}: put {COMMON} files there or in subfolders.")
    return found


def list_folder(folder: str | os.PathLike[str]) -> Listing:
    """The pictures of a folder and its subfolders, see `find_images`."""
    root = Path(folder)
    found = _walked(root)
    entries = tuple(Entry("/".join(parts)) for parts in found.names)
    notes = tuple(f"{name} is convexgan's own and no data" for name in found.own[:3])
    return Listing(root.resolve().name, Folder(root), entries, tuple(found.skipped), found.counts(), notes)


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

    Each picture is turned upright as its EXIF orientation says, laid on white where transparent, cropped and brought to
    ``size`` pixels, each of them the average over its area (smaller pictures are enlarged bilinearly).

    Parameters
    ----------
    folder : path
        Searched with its subfolders, see `find_images`.
    size : int
        Pixels along each edge of the result.
    color : bool, optional
        Three channels or one; by default one if no picture has more colour than noise makes.
    crop : "center", "center178", "face128" or "none"
        The largest square in the middle, 178 x 178 in the middle, 128 x 128 around (89, 121), or the whole
        picture squeezed to a square.
    strict : bool
        Raise if a picture cannot be read, rather than skip it.
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
