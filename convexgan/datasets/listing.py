"""Pictures that were found and not yet read: where each one is, and reading them into memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count
from convexgan._tools.progress import counted
from convexgan.datasets.account import Count, Skipped, check_some, check_strict, counts, merged
from convexgan.datasets.decoding import Picture, decode, reason
from convexgan.datasets.own import SHEET
from convexgan.datasets.pictures import CROPS, ImageSet, pillow_silenced

_BATCH = 256  # decoded pictures that may wait in memory
GREY_AMONG, TINT_DROPPED = "grey among colour", "faint colour made grey"


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

    def mark(self, entry: Entry) -> object:
        """What can be told of a picture's content without reading it, wherever it lies; raises OSError."""


@dataclass(frozen=True, eq=False)
class Listing:
    """Pictures in order, none of them read yet.

    Attributes
    ----------
    name : str
    keeper : Keeper
    entries : tuple of Entry
    skipped : tuple of Skipped
        Pictures that cannot be read, as far as that is known.
    omitted : tuple of Count
        Files that are no data.
    notes : tuple of str
        What else was found.
    """

    name: str
    keeper: Keeper = field(repr=False)
    entries: tuple[Entry, ...] = field(repr=False)
    skipped: tuple[Skipped, ...] = ()
    omitted: tuple[Count, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    def first(self, count: int | None) -> Listing:
        """At most so many pictures, the first ones."""
        if count is None:
            return self
        kept = self.entries[: check_count(count, "limit")]
        return replace(self, entries=kept, omitted=merged(self.omitted, beyond(count, len(self) - len(kept))))


def fetch(keeper: Keeper, entry: Entry) -> bytes | Skipped:
    """The bytes of a picture's file, or why it is left out.

    Raises
    ------
    FileNotFoundError
        Not the picture alone, but all that holds it is gone.
    """
    try:
        return keeper.read(entry)
    except Exception as error:  # a damaged archive makes zlib raise its own kinds
        if isinstance(error, FileNotFoundError) and not keeper.root.exists():
            raise FileNotFoundError(f"{keeper.root} vanished while its pictures were read: bring it back.") from None
        return Skipped(keeper.root / entry.name, reason(error))


def attempt(
    keeper: Keeper, entry: Entry, size: int, grey: bool, crop: str, content: bytes | Skipped | None = None
) -> Picture | Skipped:
    """A picture, or why it is left out; of its file's bytes if they are there already."""
    found = fetch(keeper, entry) if content is None else content
    if isinstance(found, Skipped):
        return found
    try:
        return decode(found, entry.name, size, grey=grey, crop=crop)
    except Exception as error:  # on a broken file Pillow raises almost anything
        return Skipped(keeper.root / entry.name, reason(error))


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
    check_strict(strict, listing.skipped)
    capacity = len(listing) if limit is None else min(check_count(limit, "limit"), len(listing))
    kept: list[Path] = []
    skipped: list[Skipped] = []
    Image.init()  # loads the decoders now: Pillow would do it lazily, from several threads at once
    stack, tally, looked = Stack(capacity, size), Tally(), 0
    with (
        pillow_silenced(),
        counted("reading pictures", capacity, shown=progress) as (_, advance),
        ThreadPoolExecutor() as pool,
    ):

        def try_one(entry: Entry) -> Picture | Skipped:
            return attempt(listing.keeper, entry, size, color is False, crop)

        remaining = iter(listing.entries)
        while batch := list(islice(remaining, min(_BATCH, capacity - len(kept)))):
            looked += len(batch)
            for entry, result in zip(batch, pool.map(try_one, batch), strict=True):
                if isinstance(result, Skipped):
                    skipped.append(result)
                    check_strict(strict, without_own([result]))
                else:
                    stack.add(result.pixels)
                    tally.add(result)
                    kept.append(listing.keeper.root / entry.name)
                advance(1)
    omitted = merged(listing.omitted, own(skipped), beyond(limit, len(listing) - looked))
    skipped = [*listing.skipped, *without_own(skipped)]
    check_some(listing.name, len(kept), skipped, omitted)
    images = stack.pictures(tally.in_color(color))
    what: Any = omitted, tally.converted(color), listing.notes, counts(tally.decoders)
    return ImageSet(images, listing.name, tuple(kept), tuple(skipped), *what)


class Stack:
    """Pictures in one array, which gets channels when the first one with colour is added."""

    def __init__(self, capacity: int, size: int) -> None:
        self.images = np.empty((capacity, size, size), np.uint8)
        self.count = 0

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Put a picture behind the others."""
        if pixels.ndim == 3 and self.images.ndim == 3:
            grey = self.images[: self.count]
            self.images = np.empty((*self.images.shape, 3), np.uint8)
            self.images[: self.count] = grey[..., None]
        self.images[self.count] = pixels if pixels.ndim == self.images.ndim - 1 else pixels[..., None]
        self.count += 1

    def pictures(self, color: bool | None = None) -> NDArray[np.uint8]:
        """The pictures, with or without channels; by default as they are."""
        return self.images[: self.count] if color is None else channelled(self.images[: self.count], color)


def channelled(images: NDArray[np.uint8], color: bool) -> NDArray[np.uint8]:
    """Pictures (n, s, s) or (n, s, s, 3) with three channels or none; grey is the luma of ITU-R BT.601."""
    if color:
        return images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=3)
    if images.ndim == 3:
        return images
    weights = np.array([19595, 38470, 7471], np.uint32)  # of 65536, as in Pillow
    return ((images @ weights + 32768) >> 16).astype(np.uint8)


@dataclass
class Tally:
    """How many pictures have colour, and what was done to how many."""

    colored: int = 0
    tinted: int = 0
    grey: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    decoders: Counter[str] = field(default_factory=Counter)

    def add(self, picture: Picture) -> None:
        """Count a picture."""
        self.colored += picture.colored
        self.tinted += picture.pixels.ndim == 3 and not picture.colored
        self.grey += picture.pixels.ndim == 2
        self.changes.update(picture.changes)
        self.decoders[picture.decoder] += 1

    def __add__(self, other: Tally) -> Tally:
        sums = self.colored + other.colored, self.tinted + other.tinted, self.grey + other.grey
        return Tally(*sums, self.changes + other.changes, self.decoders + other.decoders)

    def in_color(self, asked: bool | None) -> bool:
        """Whether the pictures have channels: as asked for, or because one of them has colour."""
        return self.colored > 0 if asked is None else asked

    def converted(self, asked: bool | None) -> tuple[Count, ...]:
        """What was done to how many pictures, those that were brought to the colours of the others among them."""
        if self.in_color(asked):
            return counts(self.changes + Counter({GREY_AMONG: self.grey}))
        return counts(self.changes + Counter({TINT_DROPPED: self.tinted}))


def own(skipped: Sequence[Skipped]) -> tuple[Count, ...]:
    """The number of skipped files that are sheets and figures of convexgan."""
    return counts(Counter(one.reason for one in skipped if one.reason == SHEET))


def without_own(skipped: Sequence[Skipped]) -> list[Skipped]:
    """The files that are pictures of somebody's and could not be read."""
    return [one for one in skipped if one.reason != SHEET]


def beyond(limit: int | None, files: int) -> tuple[Count, ...]:
    """The pictures behind the first ones."""
    return (Count(f"beyond the first {limit:,}", files),) if limit and files else ()
