"""Decoded pictures on disk: shards of uint8 pixels, made once by several threads and read again in every pass.

A cache is a folder named after what is in it. ``NNNNN.bin`` holds the pixels of consecutive pictures and
``NNNNN.json``, written after it, their number, checksum, the state and the content of the files they came from, what
was done to them, and what was skipped. So a shard is whole or absent, and whoever was interrupted goes on with the
first one missing. What a picture is, is its content, wherever it lies and whenever it was written: sizes and times only
spare the reading.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.files import write_bytes
from convexgan.datasets.account import Count, Skipped, check_some, check_strict, counts, describe, merged
from convexgan.datasets.listing import Listing, Tally, channelled, own, without_own
from convexgan.datasets.shard import Shard
from convexgan.datasets.tasks import Task, decode_shard, in_order, plan, recorded, shard_path, write_record


@dataclass(frozen=True, eq=False)
class Cache:
    """Decoded square pictures in files, read block by block.

    Attributes
    ----------
    folder : Path
    name : str
        Where the pictures come from.
    shape : (size, size) or (size, size, 3)
        Of one picture.
    shards : tuple of Shard
    skipped : tuple of Skipped
        Files that could not be read, each with its reason.
    omitted, converted : tuple of Count
    notes : tuple of str
    decoders : tuple of Count
        As of an `ImageSet`.

    Examples
    --------
    >>> from convexgan.datasets import build_cache, find
    >>> cache = build_cache(find("photos"), "cache", 64)  # doctest: +SKIP
    >>> sum(len(block) for block in cache.blocks()) == len(cache)  # doctest: +SKIP
    True
    """

    folder: Path
    name: str
    shape: tuple[int, ...]
    shards: tuple[Shard, ...] = field(repr=False)
    skipped: tuple[Skipped, ...] = ()
    omitted: tuple[Count, ...] = ()
    converted: tuple[Count, ...] = ()
    notes: tuple[str, ...] = ()
    decoders: tuple[Count, ...] = ()
    _maps: dict[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return sum(shard.pictures for shard in self.shards)

    def __str__(self) -> str:
        what = self.skipped, self.omitted, self.converted, self.notes
        return describe(self.name, len(self), self.shape, *what)

    @property
    def fingerprint(self) -> str:
        """A hash of all pixels, in order."""
        shape = "" if any(shard.channels == 3 for shard in self.shards) == (len(self.shape) == 3) else str(self.shape)
        return hashlib.sha256("".join([shape, *(shard.sha256 for shard in self.shards)]).encode()).hexdigest()

    @property
    def parts(self) -> int:
        """The number of blocks that `blocks` yields."""
        return len(self._filled)

    @property
    def _filled(self) -> list[int]:
        """The shards with pictures: there are none in one whose files all were skipped."""
        return [i for i, shard in enumerate(self.shards) if shard.pictures]

    def blocks(self, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """The pictures shard by shard, (n, size, size[, 3]), from the given block on; checksums are verified.

        Raises
        ------
        ValueError, FileNotFoundError
            A shard was damaged or removed after the cache was opened.
        """
        for i in self._filled[start:]:
            yield self._read(i)

    def take(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The pictures at these places, (n, size, size[, 3]), read from mapped files without a look at checksums."""
        ends = np.cumsum([shard.pictures for shard in self.shards])
        shards = np.searchsorted(ends, places, side="right")
        found = np.empty((len(places), *self.shape), np.uint8)
        for i in np.unique(shards):
            here = shards == i
            taken = self._mapped(int(i))[places[here] - ends[i] + self.shards[i].pictures]
            found[here] = channelled(taken, len(self.shape) == 3)
        return found

    def _mapped(self, i: int) -> NDArray[np.uint8]:
        if i not in self._maps:
            path, shape = shard_path(self.folder, i), self._stored(i)
            if path.stat().st_size != np.prod(shape):
                raise ValueError(f"{path} was damaged after it was written: delete it, it will be made again.")
            self._maps[i] = np.memmap(path, np.uint8, "r", shape=shape)
        return self._maps[i]

    def _read(self, i: int) -> NDArray[np.uint8]:
        path, shard = shard_path(self.folder, i), self.shards[i]
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != shard.sha256:
            raise ValueError(f"{path} was damaged or changed after it was written: delete it, it will be made again.")
        return channelled(np.frombuffer(content, dtype=np.uint8).reshape(self._stored(i)), len(self.shape) == 3)

    def _stored(self, i: int) -> tuple[int, ...]:
        """The shape of the pixels in a shard's file."""
        shard = self.shards[i]
        return (shard.pictures, *self.shape[:2], *((3,) if shard.channels == 3 else ()))


def build_cache(
    listing: Listing,
    folder: str | os.PathLike[str],
    size: int,
    *,
    color: bool | None = None,
    crop: str = "center",
    strict: bool = False,
    workers: int = 1,
    advance: Callable[[int], object] | None = None,
) -> Cache:
    """The decoded pictures of a listing, from the cache as far as it has them, the rest decoded into it.

    Parameters
    ----------
    listing : Listing
        See `find`.
    folder : path
        Where caches are kept; each listing, size and crop has a subfolder of its own.
    size, color, crop, strict
        As in `read_folder`.
    workers : int
        Threads that decode.
    advance : callable, optional
        Called with the number of files done, shard by shard.

    Raises
    ------
    ValueError
        No picture can be read; with ``strict``, one cannot; or files have changed since they were decoded.
    OSError
        The disk is full, or the pictures have vanished.
    """
    place, tasks = plan(listing, folder, size, color=color, crop=crop, strict=strict, workers=workers)
    shards = {task.number: known for task in tasks if (known := recorded(task)) is not None}
    report = advance or (lambda count: None)
    report(sum(len(tasks[i].entries) for i in shards))
    missing = [task for task in tasks if task.number not in shards]
    for task, shard in zip(missing, in_order(missing, make_shard, workers), strict=True):
        shards[task.number] = shard
        report(len(task.entries))
    return opened(listing, place, size, [shards[i] for i in range(len(tasks))], color, strict)


def make_shard(task: Task, over: threading.Event) -> Shard:
    """Decode a shard's pictures and write them, pixels first; nothing is written once it is all over."""
    shard, pixels = decode_shard(task, over)
    write_bytes(task.path, pixels.tobytes())
    write_record(task, shard)
    return shard


def opened(
    listing: Listing, place: Path, size: int, shards: Sequence[Shard], color: bool | None = None, strict: bool = False
) -> Cache:
    """The cache of these shards, in colour if asked for or if any picture has it.

    Raises
    ------
    ValueError
        No picture could be read; with ``strict``, one could not.
    """
    found = [Skipped(listing.keeper.root / name, why) for shard in shards for name, why in shard.skipped]
    skipped, omitted = (*listing.skipped, *without_own(found)), merged(listing.omitted, own(found))
    check_strict(strict, skipped)
    check_some(listing.name, sum(shard.pictures for shard in shards), skipped, omitted)
    tally = sum((shard.counted for shard in shards), Tally())
    shape = (size, size, 3) if tally.in_color(color) else (size, size)
    what: Any = skipped, omitted, tally.converted(color), listing.notes, counts(tally.decoders)
    return Cache(place, listing.name, shape, tuple(shards), *what)
