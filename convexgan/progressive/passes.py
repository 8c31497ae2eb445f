"""Passes over pictures that need not fit in memory, and a journal that lets an interrupted one go on."""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.files import one_number, open_npz, remove_unfinished, write_npz
from convexgan._tools.pictures import read_pictures
from convexgan.datasets import ImageSet, Listing
from convexgan.progressive.cluster import accumulate
from convexgan.progressive.pyramid import check_pictures

Phase = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
BLOCK = 1024  # pictures of an array at a time


class Blocks(Protocol):
    """Square pictures of one size that are read block by block, once at least."""

    @property
    def parts(self) -> int:
        """The number of blocks that `blocks` yields."""

    def __len__(self) -> int: ...

    def blocks(self, start: int = 0) -> Iterator[NDArray[Any]]: ...


class Pictures(Blocks, Protocol):
    """Those that can be read again and again: `convexgan.datasets.Cache`, or an array."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def fingerprint(self) -> str: ...

    def take(self, places: NDArray[np.int64]) -> NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class ArrayPictures:
    """Pictures in an array, which may be mapped from a file: (n, h, h) or (n, h, h, 3), uint8 or floats in [-1, 1]."""

    images: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one picture."""
        return self.images.shape[1:]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all pixels, in order."""
        digest = hashlib.sha256(str(self.images.dtype).encode())
        for block in self.blocks():
            digest.update(np.ascontiguousarray(block).data)
        return digest.hexdigest()

    @property
    def parts(self) -> int:
        """The number of blocks that `blocks` yields."""
        return -(-len(self.images) // BLOCK)

    def __len__(self) -> int:
        return len(self.images)

    def blocks(self, start: int = 0) -> Iterator[NDArray[Any]]:
        """Slices, from the given one on."""
        for i in range(start * BLOCK, len(self.images), BLOCK):
            yield self.images[i : i + BLOCK]

    def take(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """The pictures at these places."""
        return np.asarray(self.images[places])


@dataclass(frozen=True, eq=False)
class SomePictures:
    """Some of the pictures, read where they are."""

    whole: Pictures
    places: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one picture."""
        return self.whole.shape

    @property
    def fingerprint(self) -> str:
        """A hash of all pictures, and of which of them these are."""
        return f"{self.whole.fingerprint} {hashlib.sha256(self.places.tobytes()).hexdigest()}"

    @property
    def parts(self) -> int:
        """The number of blocks that `blocks` yields."""
        return -(-len(self.places) // BLOCK)

    def __len__(self) -> int:
        return len(self.places)

    def blocks(self, start: int = 0) -> Iterator[NDArray[Any]]:
        """Slices, from the given one on."""
        for i in range(start * BLOCK, len(self.places), BLOCK):
            yield self.whole.take(self.places[i : i + BLOCK])

    def take(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """The pictures at these places among them."""
        return self.whole.take(self.places[places])


def as_pictures(images: Any) -> Pictures:
    """What is read block by block already, or an array or ImageSet, checked."""
    if hasattr(images, "blocks"):
        return images  # type: ignore[no-any-return]
    if isinstance(images, str | os.PathLike | Listing):
        kind = type(images).__name__
        raise ValueError(f"images is a {kind}, not pictures: read them with convexgan.datasets.load or build_cache.")
    images = images.images if isinstance(images, ImageSet) else images
    return ArrayPictures(check_pictures(read_pictures(images, "images"), complete=True))


class Accumulator(Protocol):
    """What a pass computes: grown by blocks, added to others, and turned into arrays and back."""

    @property
    def key(self) -> str:
        """A text for what it was given: the state of one with another key is none of its own."""

    def update(self, block: NDArray[Any]) -> None: ...

    def empty(self) -> Any:
        """An accumulator of the same kind, before any block."""

    def add(self, other: Any) -> None:
        """Add what another of the same kind has seen."""

    def finish(self) -> None:
        """There are no more blocks; bring here what is elsewhere."""

    def state(self) -> dict[str, Any]: ...

    def restore(self, arrays: Mapping[str, Any]) -> None: ...


class Journal:
    """Results of passes, and of the unfinished one from time to time, in a folder.

    What is read back is what was written, to the last bit, so an interrupted computation that goes on ends the same.

    Parameters
    ----------
    folder : path
        Made if it does not exist.
    key : str
        Of pictures and settings; what was written under another key is ignored, and so is a product with other vectors
        (on another machine, or with more threads, the last bits of eigenvectors differ, and a pair may be turned).
    seconds : float
        Between two records of an unfinished pass.
    """

    def __init__(self, folder: str | os.PathLike[str], key: str, seconds: float = 60.0) -> None:
        self.folder, self.key, self.seconds = Path(folder), key, seconds
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(self.folder)

    def read(self, name: str, accumulator: Accumulator) -> int:
        """Bring the accumulator to where the pass of this name was, and return how many blocks it has seen."""
        path = self._path(name)
        try:
            with open_npz(path) as file:
                if str(file["key"]) != self._key(accumulator):
                    return 0
                accumulator.restore(file)
                return int(one_number(file["blocks"]))
        except FileNotFoundError:
            return 0
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is damaged ({error}): delete it, and this pass is done again.") from None

    def write(self, name: str, accumulator: Accumulator, blocks: int) -> None:
        """Record the state of a pass after so many blocks."""
        write_npz(self._path(name), accumulator.state() | {"key": np.array(self._key(accumulator)), "blocks": blocks})

    def within(self, name: str) -> Journal:
        """One of its own in a subfolder, for passes that have the same names."""
        return Journal(self.folder / name, self.key, self.seconds)

    def clear(self) -> None:
        """Remove everything that was recorded, and the folder if nothing else is in it."""
        for path in self.folder.rglob("pass-*.npz"):
            path.unlink()
        for folder in self.folder.glob("class-*/"):
            folder.rmdir()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _key(self, accumulator: Accumulator) -> str:
        return f"{self.key} {accumulator.key}"

    def _path(self, name: str) -> Path:
        return self.folder / f"pass-{name}.npz"


@contextmanager
def silent(name: str, total: int) -> Iterator[Callable[[int], object]]:
    """The phase that nobody looks at."""
    yield lambda count: None


def run_pass(
    pictures: Blocks,
    name: str,
    accumulator: Accumulator,
    journal: Journal | None = None,
    phase: Phase = silent,
    client: Any = None,
) -> None:
    """Feed every block to the accumulator, from where the journal knows the pass to have been.

    With a `distributed.Client` its workers do that, and the journal knows of whole passes only.
    """
    done = journal.read(name, accumulator) if journal else 0
    if done and done == pictures.parts:
        accumulator.finish()
        return
    last = time.monotonic()
    with phase(name, len(pictures)) as advance:
        seen = 0
        if client is not None and done < pictures.parts:
            seen = accumulate(client, pictures, accumulator, done, advance)
            done = pictures.parts
        for block in pictures.blocks(done):
            if len(block):
                accumulator.update(block)
            advance(len(block))
            done, seen = done + 1, seen + len(block)
            if journal and time.monotonic() - last > journal.seconds:
                journal.write(name, accumulator, done)
                last = time.monotonic()
        accumulator.finish()
        advance(len(pictures) - seen)  # what an earlier run did
    if journal and seen:
        journal.write(name, accumulator, done)
