"""Shards of pictures to be decoded: what is needed to make one, the record that tells which it is, several at once."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count
from convexgan._tools.files import remove_unfinished, write_bytes
from convexgan.datasets.account import Skipped, check_strict
from convexgan.datasets.listing import Entry, Keeper, Listing, Stack, Tally, attempt, fetch, without_own
from convexgan.datasets.pictures import CROPS, pillow_silenced
from convexgan.datasets.shard import Shard, typed

VERSION = 3
SAMPLED = 8  # pictures whose bytes tell two sets apart whose names and sizes do not
SHARD_BYTES, SHARD_PICTURES = 16 * 2**20, 1024
RECORD_BYTES = 2**24  # a record is a few hundred bytes, and more only if every file is broken
Made = TypeVar("Made")


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


def shard_path(folder: Path, i: int) -> Path:
    """The file of a shard's pixels."""
    return folder / f"{i:05}.bin"


def plan(
    listing: Listing,
    folder: str | os.PathLike[str],
    size: int,
    *,
    color: bool | None = None,
    crop: str = "center",
    strict: bool = False,
    workers: int = 1,
) -> tuple[Path, list[Task]]:
    """The subfolder of these pictures in this form, made if it is not there, and the shards to make, see `build_cache`.

    Raises
    ------
    ValueError
        An argument is senseless, or with ``strict`` a picture is known to be unreadable.
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
    return place, [Task(listing.keeper, part, size, grey, crop, strict, str(place), i) for i, part in enumerate(parts)]


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


def decode_shard(task: Task, over: threading.Event) -> tuple[Shard, NDArray[np.uint8]]:
    """A shard's pictures (n, size, size[, 3]) and what is known of them; an error once it is all over."""
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
    return Shard(len(pixels), channels, sha256, stamp, content.hexdigest(), *counted, tuple(skipped), decoders), pixels


def write_record(task: Task, shard: Shard) -> None:
    """Write what is known of a shard beside its pixels."""
    write_bytes(task.path.with_suffix(".json"), json.dumps(shard._asdict()).encode())


def _digest(found: bytes | Skipped) -> bytes:
    """A hash of a file's bytes, or of why there are none."""
    return hashlib.sha256(found.reason.encode() if isinstance(found, Skipped) else found).digest()


def in_order(tasks: Sequence[Task], make: Callable[[Task, threading.Event], Made], workers: int) -> Iterator[Made]:
    """What is made of each task, by one thread or by several that are one shard ahead: decoders free Python's lock."""
    from PIL import Image

    Image.init()  # loads the decoders now: Pillow would do it lazily, from several threads at once
    over, causes = threading.Event(), list[BaseException]()

    def made(task: Task) -> Made:
        try:
            return make(task, over)
        except BaseException as error:
            causes.append(error)
            over.set()
            raise

    with pillow_silenced():
        if workers == 1 or len(tasks) < 2:
            yield from map(made, tasks)
            return
        waiting = deque[Future[Made]]()
        with ThreadPoolExecutor(min(workers, len(tasks))) as pool:
            try:
                for task in tasks:
                    waiting.append(pool.submit(made, task))
                    if len(waiting) > workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            except InterruptedError:
                raise causes[0] from None
            finally:
                over.set()
                pool.shutdown(cancel_futures=True)


def recorded(task: Task, *, kept: bool = True) -> Shard | None:
    """The record of a shard, whose pixels are whole too if they were ``kept``, or None if it must be made.

    Raises
    ------
    ValueError
        It was made from other files than are there now.
    """
    shard = read_record(task, kept=kept)
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
    write_record(task, shard)
    return shard


def read_record(task: Task, *, kept: bool) -> Shard | None:
    """The record of a shard if it is one and fits, of files that may have changed since; else it must be made."""
    record = task.path.with_suffix(".json")
    try:
        if record.stat().st_size > RECORD_BYTES:
            return None
        shard = typed(**json.loads(record.read_bytes()))
        if not 0 <= shard.pictures <= len(task.entries) or shard.pictures + len(shard.skipped) != len(task.entries):
            return None
        whole = not kept or task.path.stat().st_size == shard.pictures * task.size**2 * shard.channels
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return shard if whole else None
