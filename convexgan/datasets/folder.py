"""Folders of pictures: found, decoded, cropped square and averaged down to one size."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_count

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".pgm", ".ppm"})
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM")
MAX_PIXELS = 2**26  # 8192 x 8192, 256 MiB decoded: a header that claims more is taken for a bomb
_PROBES = 32  # pictures looked at to tell grey from colour
_BATCH = 256  # decoded pictures that may wait in memory


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Square pictures of one size.

    Attributes
    ----------
    images : (n, size, size) or (n, size, size, 3) array of uint8
        Grey or colour pictures.
    name : str
        Where they come from, for titles and records.
    paths : tuple of Path
        The file of each picture, in order; empty where pictures are not files.
    skipped : tuple of Skipped
        Files that could not be read, each with its reason.
    """

    images: NDArray[np.uint8] = field(repr=False)
    name: str
    paths: tuple[Path, ...] = field(default=(), repr=False)
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __str__(self) -> str:
        size, kind = self.images.shape[1], "grey" if self.images.ndim == 3 else "colour"
        skipped = f", {len(self.skipped)} files skipped" if self.skipped else ""
        return f"{self.name}: {len(self):,} {kind} pictures of {size} x {size} pixels{skipped}"


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
    if not root.exists():
        raise FileNotFoundError(f"folder {root} does not exist: check the path (seen from {Path.cwd()}).")
    if not root.is_dir():
        raise ValueError(f"folder {root} is a file: pass the folder that holds it, {root.parent}.")
    candidates = (path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    found = sorted(path for path in candidates if not path.name.startswith(".") and path.is_file())
    if not found:
        known = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise ValueError(f"folder {root} holds no pictures: put {known} files there or in subfolders.")
    return found


def read_folder(
    folder: str | os.PathLike[str],
    size: int,
    *,
    color: bool | None = None,
    strict: bool = False,
    limit: int | None = None,
    progress: bool = False,
) -> ImageSet:
    """The pictures of a folder as one uint8 array.

    Each picture is turned upright as its EXIF orientation says, laid on white where transparent, cropped to
    its largest centred square and box-averaged down to ``size`` pixels (bilinearly enlarged if smaller).

    Parameters
    ----------
    folder : path
        Searched with its subfolders, see `find_images`.
    size : int
        Pixels along each edge of the result.
    color : bool, optional
        Three channels or one; by default one if the first readable pictures hold only grey.
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
    name = Path(folder).resolve().name
    paths = find_images(folder)
    return read_pictures(paths, size, name=name, color=color, strict=strict, limit=limit, progress=progress)


def read_pictures(
    paths: Sequence[Path],
    size: int,
    *,
    name: str,
    color: bool | None = None,
    strict: bool = False,
    limit: int | None = None,
    progress: bool = False,
) -> ImageSet:
    """The pictures in the given files, see `read_folder` for the arguments."""
    from PIL import Image

    check_count(size, "size")
    capacity = len(paths) if limit is None else min(check_count(limit, "limit"), len(paths))
    kept: list[Path] = []
    skipped: list[Skipped] = []
    Image.init()  # loads the decoders now: Pillow would do it lazily, from several threads at once
    with _pillow_silenced(), _progress(capacity, progress) as advance, ThreadPoolExecutor() as pool:
        if color is None:
            color = any(_has_color(path, size) for path in paths[:_PROBES])
        images = np.empty((capacity, size, size, 3) if color else (capacity, size, size), dtype=np.uint8)

        def attempt(path: Path) -> NDArray[np.uint8] | Skipped:
            return _decode_or_skip(path, size, color)

        remaining = iter(paths)
        while batch := list(islice(remaining, min(_BATCH, capacity - len(kept)))):
            for path, result in zip(batch, pool.map(attempt, batch), strict=True):
                if not isinstance(result, Skipped):
                    images[len(kept)] = result
                    kept.append(path)
                elif strict:
                    raise ValueError(f"{path}: {result.reason}. Remove it, or pass strict=False.")
                else:
                    skipped.append(result)
                advance()
    if not kept:
        first = f"the first, {skipped[0].path}: {skipped[0].reason}"
        raise ValueError(f"{name}: none of {len(skipped)} pictures can be read; {first}.")
    return ImageSet(images[: len(kept)], name, tuple(kept), tuple(skipped))


def decode(path: Path, size: int, *, color: bool) -> NDArray[np.uint8]:
    """One picture as a (size, size) or (size, size, 3) array."""
    from PIL import Image, ImageOps

    if path.stat().st_size == 0:
        raise ValueError("the file is empty")
    with Image.open(path, formats=FORMATS) as picture:  # reads the header only
        if picture.width * picture.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        upright = ImageOps.exif_transpose(picture)
    return fit_square(_eight_bit(upright).convert("RGB" if color else "L"), size)


def fit_square(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    """The largest centred square of a picture, box-averaged (or bilinearly enlarged) to ``size`` pixels."""
    from PIL import Image

    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    resampling = Image.Resampling.BOX if edge >= size else Image.Resampling.BILINEAR
    square = picture.resize((size, size), resampling, box=(left, top, left + edge, top + edge))
    return np.asarray(square, dtype=np.uint8)


def _eight_bit(picture: Image.Image) -> Image.Image:
    """The picture in an opaque mode of eight bits a sample."""
    from PIL import Image

    if picture.mode == "F":
        raise ValueError("floating-point samples have no fixed range")
    if picture.mode.startswith("I"):  # 16 bits a sample: Pillow's own conversion clips at 255
        levels = np.clip(np.asarray(picture, dtype=np.int64), 0, 65535)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA"))
    return picture


def _has_color(path: Path, size: int) -> bool:
    """Whether a readable picture has a pixel that is not grey."""
    pixels = _decode_or_skip(path, size, color=True)
    return not isinstance(pixels, Skipped) and bool((pixels != pixels[..., :1]).any())


def _decode_or_skip(path: Path, size: int, color: bool) -> NDArray[np.uint8] | Skipped:
    try:
        return decode(path, size, color=color)
    except Exception as error:  # on a broken file Pillow raises almost anything
        return Skipped(path, _reason(error))


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return f"its header claims more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in a known format (JPEG, PNG, WebP, BMP, PGM, PPM)"
    return str(error).rstrip(".") or type(error).__name__


@contextmanager
def _pillow_silenced() -> Iterator[None]:
    """Pillow's warnings about odd files are dropped: a file either reads or is reported as skipped."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@contextmanager
def _progress(total: int, show: bool) -> Iterator[Callable[[], None]]:
    """A function to call after each picture; draws a bar on standard error if wanted."""
    if not show:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("reading pictures", total=total)
        yield lambda: bar.advance(task)
