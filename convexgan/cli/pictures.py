"""Pictures for the command line: where they come from, and how they are split."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray

from convexgan._tools.checks import check_count
from convexgan.cli.console import Phases, note, phase
from convexgan.datasets import Cache, ImageSet, Listing, build_cache, find, load
from convexgan.datasets.once import Once
from convexgan.datasets.sources import is_decoded

DEFAULT_SIZE = 64
Data = Annotated[
    str, typer.Argument(metavar="DATA", help="orl, digits, a folder, CelebA, a .zip, .tar, .npy or .npz file.")
]
Size = Annotated[int | None, typer.Option(help="Pixels of an edge: 4, 8, 16, ... (64 for folders and archives).")]
CacheFolder = Annotated[
    Path | None, typer.Option(help="Folder to keep decoded pictures in; RUN/cache where they are read again.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop if a picture cannot be read.")]
Memory = Annotated[str | None, typer.Option(help="How much to use, 2GB say; half of the machine's by default.")]


@dataclass(frozen=True)
class Selection:
    """Which pictures of a source, and what is kept of each."""

    having: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    split: str = "all"
    count: int | None = None
    crop: str = "center"

    @classmethod
    def of_report(cls, report: dict[str, Any]) -> Selection:
        """The selection that a RUN was fitted with."""
        fields: dict[str, Any] = report.get("about", {}).get("selection", {})
        known: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in fields.items()}
        return cls(**known)


def check_size(size: int | None, name: str = "--size") -> int | None:
    """The size, if halving it comes to 4."""
    if size is not None and (size < 4 or size & (size - 1)):
        raise ValueError(f"{name} {size} is not 4, 8, 16, ...: pass --size {1 << max(size, 4).bit_length() - 1} say.")
    return size


def locate(data: str, size: int | None, chosen: Selection) -> ImageSet | Listing:
    """Pixels that are there already, in memory or mapped; of anything else a list."""
    if not is_decoded(data):
        attributes = dict.fromkeys(chosen.having, True) | dict.fromkeys(chosen.lacking, False)
        return find(data, attributes=attributes, split=chosen.split).first(chosen.count)
    if chosen.having or chosen.lacking or chosen.split != "all":
        raise ValueError(f"--with, --without and --split are for CelebA, not for {data}: leave them out.")
    return load(data, size, crop=chosen.crop, limit=chosen.count)


def decoded(
    found: ImageSet | Listing,
    size: int | None,
    crop: str,
    cache: Path,
    phases: Phases,
    *,
    strict: bool = False,
    workers: int = 1,
    color: bool | None = None,
) -> ImageSet | Cache:
    """The pictures, decoded into the cache where that has not been done."""
    if isinstance(found, Listing):
        with phases("reading pictures", len(found)) as advance:
            options: dict[str, Any] = {"color": color, "crop": crop, "strict": strict, "workers": workers}
            edge = DEFAULT_SIZE if size is None else size
            with writable(cache):
                return announce(build_cache(found, cache, edge, advance=advance, **options))
    return announce(found)


def decoded_once(once: Once, phases: Phases, *, complete: bool) -> Cache:
    """What is known of pictures that are not kept; their moments are recorded, unless the run is complete."""
    from convexgan.progressive.decoding import clear, decode_moments

    if not (complete and once.is_known):
        decode_moments(once, phases)
    if complete:
        clear(once)
    return announce(once.known)


@contextmanager
def writable(cache: Path) -> Iterator[None]:
    """Name the option where the cache is in a folder that may not be written."""
    try:
        yield
    except OSError as error:
        inside = error.filename is not None and Path(error.filename).is_relative_to(cache)
        if not inside or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(f"{cache} cannot be written: pass another folder with --cache.") from None


def read_images(data: str, size: int | None, *, strict: bool = False) -> ImageSet:
    """The pictures in memory, announced on standard error with the files that were skipped."""
    if not is_decoded(data) and size is None:
        size = DEFAULT_SIZE
    with phase("reading pictures"):
        found = load(data, size, strict=strict)
    announce(found)
    return found


Found = TypeVar("Found", ImageSet, Cache)


def announce(found: Found) -> Found:
    """Say what was found, what became of every other file, and which the first ones are that were skipped."""
    note(str(found))
    for skipped in found.skipped[:5]:
        note(" ".join(f"  skipped {skipped.path}: {skipped.reason}".split("\n")))
    if len(found.skipped) > 5:
        note(f"  and {len(found.skipped) - 5:,} more, --strict stops instead")
    return found


def demo_images(data: str | None, size: int, strict: bool) -> ImageSet:
    """The faces if they are installed or asked for, else the digits, saying so."""
    if data in (None, "orl"):
        try:
            return read_images("orl", size)
        except FileNotFoundError as error:
            if data == "orl":
                raise
            note(f"{error} The demo uses the digits instead.")
            data = "digits"
    return read_images("digits", min(size, 8)) if data == "digits" else read_images(str(data), size, strict=strict)


def split(images: Any, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Four fifths of the pictures at random, to fit, and the others, to evaluate on."""
    from convexgan.progressive.passes import as_pictures

    pictures = as_pictures(images)
    check_count(len(pictures), "the number of pictures", 5)
    order = np.random.default_rng(seed).permutation(len(pictures))
    cut = round(0.8 * len(pictures))
    return pictures.take(order[:cut]), pictures.take(order[cut:])
