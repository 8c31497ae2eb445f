"""Decoded pictures on disk: shards of uint8 pixels, made once by several threads and read again in every pass.

A cache is a folder named after what is in it. ``NNNNN.bin`` holds the pixels of consecutive pictures and
``NNNNN.json``, written after it, their number, checksum, the state and the content of the files they came from, what
was done to them, and what was skipped. So a shard is whole or absent, and whoever was interrupted goes on with the
first one missing. What a picture is, is its content, wherever it lies and whenever it was written: sizes and times only
spare the reading.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count
from convexgan._tools.files import remove_unfinished, write_bytes
from convexgan.datasets.account import Count, Skipped, check_some, check_strict, counts, describe, merged
from convexgan.datasets.listing import (
    Entry,
    Keeper,
    Listing,
    Stack,
    Tally,
    attempt,
    channelled,
    fetch,
    own,
    without_own,
)
from convexgan.datasets.pictures import CROPS, pillow_silenced
from convexgan.datasets.shard import Shard, typed

VERSION = 3
SAMPLED = 8  # pictures whose bytes tell two sets apart whose names and sizes do not
SHARD_BYTES, SHARD_PICTURES = 16 * 2**20, 1024
RECORD_BYTES = 2**24  # a record is a few hundred bytes, and more only if every file is broken


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
        return len(self.shards)

    def blocks(self, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """The pictures shard by shard, (n, size, size[, 3]), from the given shard on; checksums are verified.

        Raises
        ------
        ValueError, FileNotFoundError
            A shard was damaged or removed after the cache was opened.
        """
        for i in range(start, len(self.shards)):
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


def shard_path(folder: Path, i: int) -> Path:
    """The file of a shard's pixels."""
    return folder / f"{i:05}.bin"


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
    if not isinstance(listing, Listing):
        raise ValueError(f"listing must be a Listing, got {type(listing).__name__}: pass find(source).")
    check_count(size, "size")
    check_count(workers, "workers")
    check_choice(crop, "crop", CROPS)
    check_strict(strict, listing.skipped)
    grey = color is False
    place = Path(folder) / _key(listing, size, crop, grey)
    place.mkdir(parents=True, exist_ok=True)
    remove_unfinished(place)
    step = max(1, min(SHARD_PICTURES, SHARD_BYTES // (size * size * (1 if grey else 3))))
    parts = [listing.entries[i : i + step] for i in range(0, len(listing), step)]
    tasks = [Task(listing.keeper, part, size, grey, crop, strict, str(place), i) for i, part in enumerate(parts)]
    shards: dict[int, Shard] = {}
    for task in tasks:
        if (known := _finished(task)) is not None:
            shards[task.number] = known
    report = advance or (lambda count: None)
    report(sum(len(parts[i]) for i in shards))
    for i, shard in _decode([task for task in tasks if task.number not in shards], workers):
        shards[i] = shard
        report(len(parts[i]))
    return _opened(listing, place, size, tuple(shards[i] for i in range(len(tasks))), color, strict)


def _opened(
    listing: Listing, place: Path, size: int, shards: tuple[Shard, ...], color: bool | None, strict: bool
) -> Cache:
    """The cache of these shards, in colour if asked for or if any picture has it."""
    found = [Skipped(listing.keeper.root / name, why) for shard in shards for name, why in shard.skipped]
    skipped, omitted = (*listing.skipped, *without_own(found)), merged(listing.omitted, own(found))
    check_strict(strict, skipped)
    check_some(listing.name, sum(shard.pictures for shard in shards), skipped, omitted)
    tally = sum((shard.counted for shard in shards), Tally())
    shape = (size, size, 3) if tally.in_color(color) else (size, size)
    what: Any = skipped, omitted, tally.converted(color), listing.notes, counts(tally.decoders)
    return Cache(place, listing.name, shape, shards, *what)


class Task(NamedTuple):
    """All that is needed to make a shard."""

    keeper: Keeper
    entries: Sequence[Entry]
    size: int
    grey: bool
    crop: str
    strict: bool
    folder: str
    number: int

    @property
    def path(self) -> Path:
        """The file of the shard's pixels."""
        return shard_path(Path(self.folder), self.number)

    @property
    def stamp(self) -> str:
        """A hash of size and time of all the files, those that are not there included."""
        digest = hashlib.sha256()
        for entry in self.entries:
            try:
                digest.update(repr(self.keeper.stamp(entry)).encode())
            except OSError as error:
                digest.update(repr(error.errno).encode())
        return digest.hexdigest()


def make_shard(task: Task, over: threading.Event) -> Shard:
    """Decode a shard's pictures and write them, pixels first; nothing is written once it is all over."""
    stamp = task.stamp  # before reading: a file that changes meanwhile is noticed the next time
    stack, tally, content = Stack(len(task.entries), task.size), Tally(), hashlib.sha256()
    skipped = []
    for entry in task.entries:
        if over.is_set():
            raise InterruptedError("another picture's error, or Ctrl-C, has ended the decoding.")
        found = fetch(task.keeper, entry)
        content.update(_digest(found))
        result = attempt(task.keeper, entry, task.size, task.grey, task.crop, found)
        if isinstance(result, Skipped):
            skipped.append((entry.name, result.reason))
            check_strict(task.strict, without_own([result]))
        else:
            stack.add(result.pixels)
            tally.add(result)
    pixels = stack.pictures()
    counted = (tally.colored, tally.tinted, tally.grey), tuple(tally.changes.items())
    decoders = tuple(tally.decoders.items())
    channels = 3 if pixels.ndim == 4 else 1
    sha256 = hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
    shard = Shard(len(pixels), channels, sha256, stamp, content.hexdigest(), *counted, tuple(skipped), decoders)
    write_bytes(task.path, pixels.tobytes())
    _write_record(task, shard)
    return shard


def _write_record(task: Task, shard: Shard) -> None:
    write_bytes(task.path.with_suffix(".json"), json.dumps(shard._asdict()).encode())


def _digest(found: bytes | Skipped) -> bytes:
    """A hash of a file's bytes, or of why there are none."""
    return hashlib.sha256(found.reason.encode() if isinstance(found, Skipped) else found).digest()


def _decode(tasks: Sequence[Task], workers: int) -> Iterator[tuple[int, Shard]]:
    """The shards of the tasks as they are made, by one thread or by several: Pillow decodes without Python's lock."""
    from PIL import Image

    Image.init()  # loads the decoders now: Pillow would do it lazily, from several threads at once
    over = threading.Event()
    with pillow_silenced():
        if workers == 1 or len(tasks) < 2:
            yield from ((task.number, make_shard(task, over)) for task in tasks)
            return
        with ThreadPoolExecutor(min(workers, len(tasks))) as pool:
            waiting = {pool.submit(make_shard, task, over): task.number for task in tasks}
            try:
                for done in as_completed(waiting):
                    yield waiting.pop(done), done.result()
            finally:
                over.set()
                pool.shutdown(cancel_futures=True)


def _key(listing: Listing, size: int, crop: str, grey: bool) -> str:
    """The name of the subfolder: a hash of which pictures, in what form; not of the place where they lie."""
    digest = hashlib.sha256(repr((VERSION, size, crop, grey)).encode())
    for entry in listing.entries:
        try:
            mark = repr(listing.keeper.mark(entry))
        except OSError as error:
            mark = repr(error.errno)
        digest.update(entry.name.encode("utf-8", "surrogateescape") + f"\0{mark}\0".encode())
    for entry in listing.entries[:: max(1, len(listing) // SAMPLED)][:SAMPLED]:
        digest.update(_digest(fetch(listing.keeper, entry)))
    return f"{size}px-{digest.hexdigest()[:16]}"


def _finished(task: Task) -> Shard | None:
    """The record of a whole shard, or None if it must be made.

    Raises
    ------
    ValueError
        It was made from other files than are there now.
    """
    shard = _read_record(task)
    if shard is None or shard.stamp == (stamp := task.stamp):
        return shard
    content = hashlib.sha256()
    for entry in task.entries:  # moved, copied or touched: whether they are the same pictures, only their bytes tell
        content.update(_digest(fetch(task.keeper, entry)))
    if shard.content != content.hexdigest():
        raise ValueError(
            f"pictures of {task.keeper.root} between {task.entries[0].name} and {task.entries[-1].name} have changed "
            f"since they were decoded into {task.folder}: delete that folder to decode all of them again."
        )
    shard = shard._replace(stamp=stamp)
    _write_record(task, shard)
    return shard


def _read_record(task: Task) -> Shard | None:
    """The record beside a shard if it is one and fits; anything else is made again."""
    record = task.path.with_suffix(".json")
    try:
        if record.stat().st_size > RECORD_BYTES:
            return None
        shard = typed(**json.loads(record.read_bytes()))
        if not 0 <= shard.pictures <= len(task.entries) or shard.pictures + len(shard.skipped) != len(task.entries):
            return None
        whole = task.path.stat().st_size == shard.pictures * task.size**2 * shard.channels
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return shard if whole else None
