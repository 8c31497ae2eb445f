"""What passes over pictures add up: moments at a size, and products of a second moment with vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.files import one_number
from convexgan._tools.rounding import gamma, squares
from convexgan.progressive.pyramid import box_sums, pool, unit, upsample
from convexgan.statistics.integers import MIDDLE, multiplies_int8
from convexgan.statistics.moments import Moments
from convexgan.statistics.products import Space

Array = NDArray[np.float64]


class FirstPass:
    """The mean at the finest size, and moments of sums over boxes at the finest at which they are formed.

    Sums of bytes are integers, and so are their moments around one of them: exact, and the same bits in whatever order
    blocks are added; `unit` tells what they stand for.
    """

    def __init__(self, finest: int, base: int | None, channels: int) -> None:
        self.finest, self.base, self.channels = finest, base, channels
        self.count, self.total = 0, np.zeros(finest * finest * channels)
        self.moments: Moments | None = None  # until there are pictures, or where none are wanted
        self.unit = (1.0, 0.0)  # the moments are of rows that stand for rows / unit[0] - unit[1]

    @property
    def key(self) -> str:
        """The sizes and channels, and what is summed."""
        return f"{self.finest} {self.base} {self.channels} sums"

    @property
    def arithmetic(self) -> str:
        """What multiplied the pixels: the sums are the same bits for int8 and float32, and exact of all integers."""
        if self.moments is None or not self.moments.formed:
            return "none"  # the few rows are kept, or products are formed in later passes
        if self.unit != unit(np.dtype(np.uint8), 1):
            return "float64"
        return "int8" if multiplies_int8(self.moments.products) else "float32"

    @property
    def mean(self) -> Array:
        """(d,) in [-1, 1], where the finest size has no moments."""
        return np.asarray(self.total / self.count)

    def update(self, block: NDArray[Any]) -> None:
        """Add pictures."""
        self.count += len(block)
        if self.base is not None:
            pixels = (block.shape[1] // self.base) ** 2
            self.unit = unit(block.dtype, pixels)
            if self.moments is None:
                middle = MIDDLE * pixels if block.dtype == np.uint8 else None
                self.moments = Moments(self.base * self.base * self.channels, middle)
            self.moments.update(boxes(block, self.base), name="images")
        if self.base != self.finest:
            scale, offset = unit(block.dtype, (block.shape[1] // self.finest) ** 2)
            self.total += boxes(block, self.finest).sum(axis=0, dtype=np.float64) / scale - offset * len(block)

    def finish(self) -> None:
        """Everything is here."""

    def empty(self) -> FirstPass:
        """Zero sums of the same shape."""
        return FirstPass(self.finest, self.base, self.channels)

    def add(self, other: FirstPass) -> None:
        """Add what another has seen."""
        self.count, self.total = self.count + other.count, self.total + other.total
        self.unit = other.unit if other.count else self.unit
        if other.moments is not None:
            self.moments = other.moments if self.moments is None else self.moments + other.moments

    def state(self) -> dict[str, Any]:
        """Arrays for a journal."""
        kept = {} if self.moments is None else {f"moments.{k}": v for k, v in self.moments.state().items()}
        return kept | {"count": self.count, "total": self.total, "unit": np.array(self.unit)}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Back to a recorded state."""
        names = [name for name in arrays if name.startswith("moments.")]
        if names:
            self.moments = Moments.from_state({name.removeprefix("moments."): arrays[name] for name in names})
        self.count, self.total = int(one_number(arrays["count"])), arrays["total"]
        self.unit = float(arrays["unit"][0]), float(arrays["unit"][1])


class Product:
    """sum over pictures of x (x'Q) in double precision, and of |x|^2, by which its rounding is bounded."""

    def __init__(self, vectors: Array, size: int, mean: Array, coarser: int | None, channels: int) -> None:
        self.given = vectors, size, mean, coarser, channels
        self.total, self.squares = np.zeros(vectors.shape), 0.0
        self.count = self.blocks = self.longest = 0
        self._rows = Space()

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
        vectors, size, mean, coarser, channels = self.given
        scale, offset = unit(block.dtype, (block.shape[1] // size) ** 2)
        sums, kind = boxes(block, size), np.dtype(np.float64)
        centred = np.subtract(sums, (mean + offset) * scale, out=self._rows.of(sums.shape, kind), dtype=kind)
        rows = detail(centred, size, coarser, channels)  # not scaled to [-1, 1] yet
        self.total += rows.T @ (rows @ vectors) / scale**2
        self.squares += squares(rows) / scale**2
        self.saw(len(block))

    def saw(self, pictures: int) -> None:
        """Count a block."""
        self.count, self.blocks = self.count + pictures, self.blocks + 1
        self.longest = max(self.longest, pictures)

    @property
    def rounded(self) -> float:
        """A bound on the Frobenius norm of what rounding changed of the total, for vectors of norm 1.

        It is that of the products, and of numbers of at most 2, the rows, that take at most 64 roundings each.
        """
        rows = gamma(64) * 2 * (len(self.given[0]) * self.count * self.squares) ** 0.5
        return float(gamma(len(self.given[0]) + self.longest + self.blocks + 8) * self.squares + 2.1 * rows)

    def finish(self) -> None:
        """Everything is here."""

    def empty(self) -> Product:
        """Zero sums of the same shape."""
        return Product(*self.given)

    def add(self, other: Product) -> None:
        """Add what another has seen."""
        self.total += other.total
        self.squares += other.squares
        self.count, self.blocks = self.count + other.count, self.blocks + other.blocks
        self.longest = max(self.longest, other.longest)

    def state(self) -> dict[str, Any]:
        """Arrays for a journal."""
        return {"total": self.total, "squares": self.squares, "seen": [self.count, self.blocks, self.longest]}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Back to a recorded state."""
        self.total, self.squares = arrays["total"], float(one_number(arrays["squares"]))
        self.count, self.blocks, self.longest = map(int, arrays["seen"])


def boxes(block: NDArray[Any], size: int) -> NDArray[Any]:
    """Sums over the boxes of pixels that become one at a size, flattened; of floats in double precision."""
    exact = block if block.dtype == np.uint8 else np.asarray(block, dtype=np.float64)
    return box_sums(exact, size).reshape(len(block), -1)


def detail(rows: NDArray[Any], size: int, coarser: int | None, channels: int) -> NDArray[Any]:
    """Flattened pictures without what upsampling them from a coarser size gives, if there is one."""
    if coarser is None:
        return rows
    lacking: NDArray[Any] = rows - enlarge(shrink(rows, size, coarser, channels), coarser, size, channels)
    return lacking


def shrink(rows: NDArray[Any], size: int, target: int, channels: int) -> NDArray[Any]:
    """Flattened pictures from one size to a smaller one, by averages over 2 x 2, see `pool`."""
    while size > target:
        rows, size = pool(rows, size, channels), size // 2
    return rows


def enlarge(rows: NDArray[Any], size: int, target: int, channels: int) -> NDArray[Any]:
    """Flattened pictures upsampled from one size to a larger one, see `upsample`."""
    while size < target:
        rows, size = upsample(rows, size, channels), 2 * size
    return rows
