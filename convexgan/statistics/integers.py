"""Sums of products of bytes, exact, by the fastest arithmetic of integers that the processor has.

Bytes less `MIDDLE` are integers of seven bits and a sign, whose products are at most 2^14 in size. Any 131,071 of them
add up in int32, which torch's product of int8 matrices does where the processor has the instructions; any 1,024 of them
in float32, whose partial sums are then integers below 2^24. So every route gives the same bits, in any order, with any
number of threads, on any processor or device.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MIDDLE = 128  # around which bytes are integers of seven bits and a sign
SINGLE_ROWS = 1024  # so many products of two such integers stay below 2^24
INT32_ROWS = 16_384  # and eight times as many below 2^31
TILE = 768  # columns that are multiplied by as many: half of the products are never formed
WORTH = 1e11  # products, from which on loading torch takes less time than it saves


def add_bytes(gram: Any, rows: Any, int8: bool) -> None:
    """Add the lower triangle of the sum of c c' to a matrix (d, d) in place, c = rows - `MIDDLE` of bytes (n, d).

    Parameters
    ----------
    gram : (d, d) array or tensor
        In double precision; what is above the diagonal is left unknown. It is exact as long as its trace is below 2^53.
    rows : (n, d) array or tensor
        uint8, where the gram is.
    int8 : bool
        Whether `multiplies_int8` there, and it is worth it.
    """
    block = INT32_ROWS if int8 else SINGLE_ROWS
    for start in range(0, len(rows), block):
        product = _Int8(gram, rows[start : start + block]) if int8 else _Single(gram, rows[start : start + block])
        for i in range(0, len(gram), TILE):
            for j in range(0, i + 1, TILE):
                product.add(slice(i, i + TILE), slice(j, j + TILE))


class _Single:
    """Products of at most `SINGLE_ROWS` rows in float32."""

    def __init__(self, gram: Array, rows: NDArray[np.uint8]) -> None:
        self.gram, self.centred = gram, np.subtract(rows, np.float32(MIDDLE), dtype=np.float32)

    def add(self, left: slice, right: slice) -> None:
        """Add those of two groups of columns."""
        self.gram[left, right] += self.centred[:, left].T @ self.centred[:, right]


class _Int8:
    """Products of at most `INT32_ROWS` rows by torch, of which each is checked by the sum of its entries.

    There are versions whose product leaves its output as it was for shapes of one row or column (pytorch issue 195066).
    """

    def __init__(self, gram: Any, rows: Any) -> None:
        import torch

        self.gram, self.centred = torch.as_tensor(gram), torch.as_tensor(rows ^ MIDDLE).view(torch.int8)
        self.sums = {
            i: self.centred[:, i : i + TILE].float().sum(1, keepdim=True).double() for i in range(0, len(gram), TILE)
        }

    def add(self, left: slice, right: slice) -> None:
        """Add those of two groups of columns."""
        import torch

        one, other = self.centred[:, left], self.centred[:, right]
        product = torch._int_mm(one.T, other)
        if product.sum(dtype=torch.float64) != (self.sums[left.start] * self.sums[right.start]).sum():
            product = one.double().T @ other.double()
        self.gram[left, right] += product


def multiplies_int8(products: float) -> bool:
    """Whether int8 matrices are multiplied on this processor, and so many products are worth loading torch."""
    return (products >= WORTH or "torch" in sys.modules) and int8_is_exact("cpu")


@cache
def int8_is_exact(device: str) -> bool:
    """Whether torch multiplies int8 matrices on a device, and gets what int64 gets, also for the largest products."""
    try:
        import torch
    except ModuleNotFoundError:
        return False
    rng = np.random.default_rng(0)
    ends = rng.choice(np.array([-128, 127], dtype=np.int8), (INT32_ROWS // 8, 64))
    ends[:, :16] = -128
    ends[:, 16:] = np.where(np.arange(48) < 24, ends[:, 16:], rng.integers(-128, 128, (len(ends), 48), dtype=np.int8))
    there = torch.from_numpy(ends).to(device)
    try:
        product = torch._int_mm(there.T, there).cpu().numpy()
    except (RuntimeError, AttributeError, NotImplementedError, TypeError):
        return False  # without the instructions, or under another name: a private one
    return bool((product == ends.T.astype(np.int64) @ ends).all())
