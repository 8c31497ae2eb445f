"""Pictures that were found and not yet read: where each one is, and reading them into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_choice, check_count
from convexgan.datasets.pictures import CROPS, ImageSet, Skipped, decode, pillow_silenced, reason

_PROBES = 32  # pictures looked at to tell grey from colour
_BATCH = 256  # decoded pictures that may wait in memory


class Entry(NamedTuple):
    """Where a picture is: its name, and in an archive the place and kind of its bytes."""

    name: str
    offset: int = 0
    packed: int = 0
    size: int = 0
    deflated: bool = False
    crc: int | None = None


class Keeper(Protocol):
    """What holds pictures: a folder or an archive. Small enough to be sent to another process."""

    @property
    def root(self) -> Path: ...

    def read(self, entry: Entry) -> bytes:
        """The bytes of a picture's file; raises OSError or ValueError."""

    def stamp(self, entry: Entry) -> tuple[int, int]:
        """Size and time of last change of the file that holds a picture."""


@dataclass(frozen=True, eq=False)
class Listing:
    """Pictures in order, none of them read yet.

    Attributes
    ----------
    name : str
    keeper : Keeper
    entries : tuple of Entry
    skipped : tuple of Skipped
        What was left out before reading.
    """

    name: str
    keeper: Keeper = field(repr=False)
    entries: tuple[Entry, ...] = field(repr=False)
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    def first(self, count: int | None) -> Listing:
        """At most so many pictures, the first ones."""
        return self if count is None else replace(self, entries=self.entries[: check_count(count, "limit")])


def attempt(keeper: Keeper, entry: Entry, size: int, color: bool, crop: str) -> NDArray[np.uint8] | Skipped:
    """A picture, or why it is left out.

    Raises
    ------
    FileNotFoundError
        Not the picture alone, but all that holds it is gone.
    """
    try:
        return decode(keeper.read(entry), size, color=color, crop=crop)
    except Exception as error:  # on a broken file Pillow raises almost anything
        if isinstance(error, FileNotFoundError) and not keeper.root.exists():
            raise FileNotFoundError(f"{keeper.root} vanished while its pictures were read: bring it back.") from None
        return Skipped(keeper.root / entry.name, reason(error))


def is_colored(listing: Listing, size: int, crop: str) -> bool:
    """Whether one of the first readable pictures has a pixel that is not grey."""
    with pillow_silenced():
        for entry in listing.entries[:_PROBES]:
            pixels = attempt(listing.keeper, entry, size, True, crop)
            if not isinstance(pixels, Skipped) and (pixels != pixels[..., :1]).any():
                return True
    return False


def read(
    listing: Listing,
    size: int,
    *,
    color: bool | None = None,
    crop: str = "center",
    strict: bool = False,
    limit: int | None = None,
    progress: bool = False,
) -> ImageSet:
    """The pictures as one array in memory, see `read_folder` for the arguments."""
    from PIL import Image

    check_count(size, "size")
    check_choice(crop, "crop", CROPS)
    capacity = len(listing) if limit is None else min(check_count(limit, "limit"), len(listing))
    kept: list[Path] = []
    skipped: list[Skipped] = []
    Image.init()  # loads the decoders now: Pillow would do it lazily, from several threads at once
    channels = is_colored(listing, size, crop) if color is None else color
    images = np.empty((capacity, size, size, 3) if channels else (capacity, size, size), dtype=np.uint8)
    with pillow_silenced(), _progress(capacity, progress) as advance, ThreadPoolExecutor() as pool:

        def try_one(entry: Entry) -> NDArray[np.uint8] | Skipped:
            return attempt(listing.keeper, entry, size, channels, crop)

        remaining = iter(listing.entries)
        while batch := list(islice(remaining, min(_BATCH, capacity - len(kept)))):
            for entry, result in zip(batch, pool.map(try_one, batch), strict=True):
                if not isinstance(result, Skipped):
                    images[len(kept)] = result
                    kept.append(listing.keeper.root / entry.name)
                else:
                    skipped.append(result)
                    check_strict(strict, skipped)
                advance()
    check_some(listing.name, len(kept), skipped)
    return ImageSet(images[: len(kept)], listing.name, tuple(kept), listing.skipped + tuple(skipped))


def check_strict(strict: bool, skipped: Sequence[Skipped]) -> None:
    """Raise if there is a picture that cannot be read and none may be left out."""
    if strict and skipped:
        raise ValueError(f"{skipped[0].path}: {skipped[0].reason}. Remove it, or pass strict=False.")


def check_some(name: str, kept: int, skipped: Sequence[Skipped]) -> None:
    """Raise if no picture could be read."""
    if not kept:
        first = f"the first, {skipped[0].path}: {skipped[0].reason}"
        raise ValueError(f"{name}: none of {len(skipped)} pictures can be read; {first}.")


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
