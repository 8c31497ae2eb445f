"""Decoded pictures on disk: shards of uint8 pixels, made once by several processes and read again in every pass.

A cache is a folder named after what is in it. ``NNNNN.bin`` holds the pixels of consecutive pictures and
``NNNNN.json``, written after it, their number, checksum, the state of the files they came from, and what was skipped.
So a shard is whole or absent, and whoever was interrupted goes on with the first one missing.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_choice, check_count
from convexgan._files import remove_unfinished, write_bytes
from convexgan.datasets.listing import Entry, Keeper, Listing, attempt, check_some, check_strict, is_colored
from convexgan.datasets.pictures import CROPS, Skipped, describe, pillow_silenced

VERSION = 1
SHARD_BYTES, SHARD_PICTURES = 16 * 2**20, 1024
RECORD_BYTES = 2**24  # a record is a few hundred bytes, and more only if every file is broken


class Shard(NamedTuple):
    """The record beside a shard's pixels."""

    pictures: int
    sha256: str
    stamp: str
    skipped: tuple[tuple[str, str], ...]


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
    _maps: dict[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return sum(shard.pictures for shard in self.shards)

    def __str__(self) -> str:
        return describe(self.name, len(self), self.shape, len(self.skipped))

    @property
    def fingerprint(self) -> str:
        """A hash of all pixels, in order."""
        return hashlib.sha256("".join(shard.sha256 for shard in self.shards).encode()).hexdigest()

    @property
    def parts(self) -> int:
        """How many blocks there are."""
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
            found[here] = self._mapped(int(i))[places[here] - ends[i] + self.shards[i].pictures]
        return found

    def _mapped(self, i: int) -> NDArray[np.uint8]:
        if i not in self._maps:
            path, shape = shard_path(self.folder, i), (self.shards[i].pictures, *self.shape)
            if path.stat().st_size != np.prod(shape):
                raise ValueError(f"{path} was damaged after it was written: delete it, it will be made again.")
            self._maps[i] = np.memmap(path, np.uint8, "r", shape=shape)
        return self._maps[i]

    def _read(self, i: int) -> NDArray[np.uint8]:
        path, shard = shard_path(self.folder, i), self.shards[i]
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != shard.sha256:
            raise ValueError(f"{path} was damaged or changed after it was written: delete it, it will be made again.")
        return np.frombuffer(content, dtype=np.uint8).reshape(shard.pictures, *self.shape)


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
        Processes that decode. More than one are started afresh ("spawn"), so a script that asks for them must guard
        its own start with ``if __name__ == "__main__":``.
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
    channels = is_colored(listing, size, crop) if color is None else color
    shape = (size, size, 3) if channels else (size, size)
    place = Path(folder) / _key(listing, shape, crop)
    place.mkdir(parents=True, exist_ok=True)
    remove_unfinished(place)
    step = max(1, min(SHARD_PICTURES, SHARD_BYTES // (size * size * (3 if channels else 1))))
    parts = [listing.entries[i : i + step] for i in range(0, len(listing), step)]
    tasks = [Task(listing.keeper, part, shape, crop, strict, str(place), i) for i, part in enumerate(parts)]
    shards: dict[int, Shard] = {}
    for task in tasks:
        if (known := _finished(task)) is not None:
            shards[task.number] = known
    report = advance or (lambda count: None)
    report(sum(len(parts[i]) for i in shards))
    for i, shard in _decode([task for task in tasks if task.number not in shards], workers):
        shards[i] = shard
        report(len(parts[i]))
    ordered = tuple(shards[i] for i in range(len(tasks)))
    skipped = tuple(Skipped(listing.keeper.root / name, why) for shard in ordered for name, why in shard.skipped)
    check_strict(strict, skipped)
    check_some(listing.name, sum(shard.pictures for shard in ordered), skipped)
    return Cache(place, listing.name, shape, ordered, listing.skipped + skipped)


class Task(NamedTuple):
    """All that another process needs to make a shard."""

    keeper: Keeper
    entries: Sequence[Entry]
    shape: tuple[int, ...]
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


def make_shard(task: Task) -> Shard:
    """Decode a shard's pictures and write them, pixels first."""
    stamp = task.stamp  # before reading: a file that changes meanwhile is noticed the next time
    pixels = np.empty((len(task.entries), *task.shape), dtype=np.uint8)
    kept, skipped = 0, []
    with pillow_silenced():
        for entry in task.entries:
            result = attempt(task.keeper, entry, task.shape[0], len(task.shape) == 3, task.crop)
            if isinstance(result, Skipped):
                skipped.append((entry.name, result.reason))
                check_strict(task.strict, [result])
            else:
                pixels[kept] = result
                kept += 1
    content = pixels[:kept].tobytes()
    shard = Shard(kept, hashlib.sha256(content).hexdigest(), stamp, tuple(skipped))
    write_bytes(task.path, content)
    write_bytes(task.path.with_suffix(".json"), json.dumps(shard._asdict()).encode())
    return shard


def _decode(tasks: Sequence[Task], workers: int) -> Iterator[tuple[int, Shard]]:
    """The shards of the tasks as they are made, in this process or in several."""
    if workers == 1 or len(tasks) < 2:
        for task in tasks:
            yield task.number, make_shard(task)
        return
    count = min(workers, len(tasks))
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_leave_with_parent)
    try:
        waiting = {pool.submit(make_shard, task): task.number for task in tasks}
        for done in as_completed(waiting):
            yield waiting.pop(done), done.result()
    except BrokenProcessPool:
        raise OSError(
            "a process that decodes pictures was killed, for want of memory perhaps: run again with fewer workers; "
            "what is decoded is kept."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however it ended."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _key(listing: Listing, shape: tuple[int, ...], crop: str) -> str:
    """The name of the subfolder: a hash of which pictures, in what form."""
    digest = hashlib.sha256(repr((VERSION, str(listing.keeper.root.resolve()), shape, crop)).encode())
    for entry in listing.entries:
        digest.update(entry.name.encode("utf-8", "surrogateescape") + b"\0")
    return f"{shape[0]}px-{digest.hexdigest()[:16]}"


def _finished(task: Task) -> Shard | None:
    """The record of a whole shard, or None if it must be made.

    Raises
    ------
    ValueError
        It was made from other files than are there now.
    """
    shard = _read_record(task)
    if shard is None:
        return None
    if shard.stamp != task.stamp:
        raise ValueError(
            f"pictures of {task.keeper.root} between {task.entries[0].name} and {task.entries[-1].name} have changed "
            f"since they were decoded into {task.folder}: delete that folder to decode all of them again."
        )
    return shard


def _read_record(task: Task) -> Shard | None:
    """The record beside a shard if it is one and fits; anything else is made again."""
    record = task.path.with_suffix(".json")
    try:
        if record.stat().st_size > RECORD_BYTES:
            return None
        shard = _typed(**json.loads(record.read_bytes()))
        if not 0 <= shard.pictures <= len(task.entries) or shard.pictures + len(shard.skipped) != len(task.entries):
            return None
        whole = task.path.stat().st_size == shard.pictures * int(np.prod(task.shape))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return shard if whole else None


def _typed(pictures: Any, sha256: Any, stamp: Any, skipped: Any) -> Shard:
    """The record of these fields; raises TypeError or ValueError if one is of another kind."""
    pairs = tuple((name, why) for name, why in skipped)
    texts = [sha256, stamp, *(text for pair in pairs for text in pair)]
    if type(pictures) is not int or not all(isinstance(text, str) for text in texts):
        raise TypeError
    return Shard(pictures, sha256, stamp, pairs)
