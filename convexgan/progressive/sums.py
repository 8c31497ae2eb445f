"""What passes over pictures add up: moments at a size, and products of a second moment with vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._files import one_number
from convexgan._products import Space
from convexgan.moments import Moments
from convexgan.progressive.pyramid import box_pyramid, box_sums, pool, unit, upsample

Array = NDArray[np.float64]


class FirstPass:
    """The mean at the finest size, and moments at the finest at which they are formed."""

    def __init__(self, finest: int, base: int | None, channels: int) -> None:
        self.finest, self.base, self.channels = finest, base, channels
        self.count, self.total = 0, np.zeros(finest * finest * channels)
        self.moments = None if base is None else Moments(base * base * channels)

    @property
    def key(self) -> str:
        """The sizes and channels."""
        return f"{self.finest} {self.base} {self.channels}"

    @property
    def mean(self) -> Array:
        """(d,) in [-1, 1], where the finest size has no moments."""
        return np.asarray(self.total / self.count)

    def update(self, block: NDArray[Any]) -> None:
        """Add pictures."""
        self.count += len(block)
        if self.moments is not None and self.base is not None:
            self.moments.update(box_pyramid(block, [self.base])[self.base].reshape(len(block), -1), name="images")
        if self.base != self.finest:
            scale, offset = unit(block.dtype, (block.shape[1] // self.finest) ** 2)
            sums = box_sums(block, self.finest).reshape(len(block), -1).sum(axis=0, dtype=np.float64)
            self.total += sums / scale - offset * len(block)

    def finish(self) -> None:
        """Everything is here."""

    def empty(self) -> FirstPass:
        """The same before any picture."""
        return FirstPass(self.finest, self.base, self.channels)

    def add(self, other: FirstPass) -> None:
        """Add what another has seen."""
        self.count, self.total = self.count + other.count, self.total + other.total
        if self.moments is not None and other.moments is not None:
            self.moments = self.moments + other.moments

    def state(self) -> dict[str, Any]:
        """Arrays for a journal."""
        kept = {} if self.moments is None else {f"moments.{k}": v for k, v in self.moments.state().items()}
        return kept | {"count": self.count, "total": self.total}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Back to a recorded state."""
        if self.moments is not None:
            names = (name for name in arrays if name.startswith("moments."))
            self.moments = Moments.from_state({name.removeprefix("moments."): arrays[name] for name in names})
        self.count, self.total = int(one_number(arrays["count"])), arrays["total"]


class Product:
    """sum over pictures of x (x'Q): single precision where the pictures are, summed in double."""

    def __init__(self, vectors: Array, size: int, mean: Array, coarser: int | None, channels: int) -> None:
        self.given = vectors, size, mean, coarser, channels
        self.total = np.zeros(vectors.shape)
        self._rows, self._vectors = Space(), vectors

    @cached_property
    def key(self) -> str:
        """A hash of the vectors and the mean, to the last bit."""
        vectors, size, mean, coarser, channels = self.given
        digest = hashlib.sha256(repr((vectors.shape, size, coarser, channels)).encode())
        for array in (vectors, mean):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def update(self, block: NDArray[Any]) -> None:
        """Add pictures."""
        _, size, mean, coarser, channels = self.given
        kind = np.dtype(np.float64 if block.dtype == np.float64 else np.float32)
        scale, offset = unit(block.dtype, (block.shape[1] // size) ** 2)
        sums = box_sums(block, size).reshape(len(block), -1)
        shift = ((mean + offset) * scale).astype(kind)
        centred = np.subtract(sums, shift, out=self._rows.of(sums.shape, kind), dtype=kind)  # not scaled to [-1, 1] yet
        rows = detail(centred, size, coarser, channels)
        self._vectors = self._vectors.astype(kind, copy=False)
        products = rows.T @ (rows @ self._vectors)
        self.total += products / kind.type(scale**2)

    def finish(self) -> None:
        """Everything is here."""

    def empty(self) -> Product:
        """The same before any picture."""
        return Product(*self.given)

    def add(self, other: Product) -> None:
        """Add what another has seen."""
        self.total += other.total

    def state(self) -> dict[str, Any]:
        """Arrays for a journal."""
        return {"total": self.total}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Back to a recorded state."""
        self.total = arrays["total"]


def detail(rows: NDArray[Any], size: int, coarser: int | None, channels: int) -> NDArray[Any]:
    """Flattened pictures without what upsampling them from a coarser size gives, if there is one."""
    if coarser is None:
        return rows
    lacking: NDArray[Any] = rows - enlarge(shrink(rows, size, coarser, channels), coarser, size, channels)
    return lacking


def shrink(rows: NDArray[Any], size: int, target: int, channels: int) -> NDArray[Any]:
    """Flattened pictures box-averaged from one size to a smaller one, see `pool`."""
    while size > target:
        rows, size = pool(rows, size, channels), size // 2
    return rows


def enlarge(rows: NDArray[Any], size: int, target: int, channels: int) -> NDArray[Any]:
    """Flattened pictures upsampled from one size to a larger one, see `upsample`."""
    while size < target:
        rows, size = upsample(rows, size, channels), 2 * size
    return rows
