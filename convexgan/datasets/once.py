"""Pictures that are decoded as they are read, for a single pass over them, and not kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from convexgan.datasets.account import Skipped
from convexgan.datasets.cache import Cache, opened
from convexgan.datasets.listing import Listing, attempt, channelled
from convexgan.datasets.pictures import pillow_silenced
from convexgan.datasets.shard import Shard
from convexgan.datasets.tasks import Task, decode_shard, in_order, plan, read_record, recorded, write_record


class OtherColor(Exception):
    """A picture with colour is among those that were taken to be grey, or none among others: read all again."""


class Once:
    """The pictures of a listing, block by block, decoded meanwhile.

    Only the records of the shards are written, so that a pass that was interrupted goes on: they tell whether the files
    behind are still those that it has seen.

    Parameters
    ----------
    listing, folder, size, crop, strict, workers
        As of `build_cache`; the records are kept where it would keep the pixels.

    Attributes
    ----------
    is_known : bool
        Whether all had been read before.
    color : bool
        Whether there are three channels: as the first picture has, or one with colour that was met since.
    """

    def __init__(
        self,
        listing: Listing,
        folder: str | os.PathLike[str],
        size: int,
        *,
        crop: str = "center",
        strict: bool = False,
        workers: int = 1,
    ) -> None:
        self.listing, self.size, self.strict, self.workers = listing, size, strict, workers
        self.folder, self.tasks = plan(listing, folder, size, crop=crop, strict=strict, workers=workers)
        found = [shard for task in self.tasks if (shard := read_record(task, kept=False)) is not None]
        self.is_known = len(found) == self.parts  # every picture has been read before, if it is still the same
        self.color = any(shard.counted.colored for shard in found) or self._starts_colored()
        self._shards: dict[int, Shard] = {}

    def _starts_colored(self) -> bool:
        """Whether the first picture that can be read has colour."""
        with pillow_silenced():
            for task in self.tasks:
                for entry in task.entries:
                    found = attempt(task.keeper, entry, task.size, task.grey, task.crop)
                    if not isinstance(found, Skipped):
                        return found.colored
        return False

    def __len__(self) -> int:
        return len(self.listing)

    @property
    def parts(self) -> int:
        """The number of blocks that `blocks` yields."""
        return len(self.tasks)

    @property
    def known(self) -> Cache:
        """What is known of the pictures once they have been read: a cache without their pixels.

        Raises
        ------
        ValueError
            None could be read; with ``strict``, one could not; or some have not been, or have changed since.
        """
        return opened(self.listing, self.folder, self.size, self._known(self.parts), None, self.strict)

    def _known(self, stop: int) -> list[Shard]:
        """The records of the first shards, from before if need be."""
        for i, task in enumerate(self.tasks[:stop]):
            shard = self._shards.get(i) or recorded(task, kept=False)
            if shard is None:
                lost = f"{self.folder} has lost what was known of its pictures"
                raise ValueError(f"{lost}: delete it to read them again.")
            self._shards[i] = shard
        return [self._shards[i] for i in range(stop)]

    def blocks(self, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """The pictures shard by shard, (n, size, size[, 3]), from the given one on.

        Raises
        ------
        OtherColor
            The blocks so far had no channels, and this one has, or the other way round.
        ValueError
            Nothing is known any more of what was read before; or as of `build_cache`.
        """
        self._known(start)
        for i, (shard, pixels) in enumerate(in_order(self.tasks[start:], _read, self.workers), start):
            self._shards[i] = shard
            if shard.counted.colored and not self.color:
                self.color = True
                raise OtherColor
            yield channelled(pixels, self.color)
        if self.color and not any(shard.counted.colored for shard in self._shards.values()):
            self.color = False  # what told of colour was a record of pictures that have changed since
            raise OtherColor


def _read(task: Task, over: threading.Event) -> tuple[Shard, NDArray[np.uint8]]:
    """A shard, of which only the record is written."""
    shard, pixels = decode_shard(task, over)
    write_record(task, shard)
    return shard, pixels
