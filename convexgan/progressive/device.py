"""Passes with torch, on a GPU: blocks go there as bytes, all else is double precision or exact.

What `streaming` computes with numpy, and with the same meaning; decompositions stay on the processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.files import one_number
from convexgan._tools.rounding import gamma
from convexgan.progressive.pyramid import unit
from convexgan.progressive.sums import FirstPass, Product
from convexgan.statistics.accumulation import DOUBLE
from convexgan.statistics.integers import MIDDLE, add_bytes, int8_is_exact
from convexgan.statistics.moments import Moments
from convexgan.statistics.products import INTEGERS

SUMS = ("sums.count", "sums.pilot", "sums.linear", "sums.gram")  # of a first pass, in its journal


def check_device(name: str) -> str:
    """The name of a device that torch has, with double precision."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("devices need torch: pip install 'convexgan[torch]'.", name=error.name) from None
    try:
        torch.zeros(1, dtype=torch.float64, device=name).cpu()
    except (RuntimeError, AssertionError, TypeError) as error:  # torch asserts where there is no CUDA
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} is not there ({reason}): name another, or leave it out.") from None
    return name


class DeviceFirstPass(FirstPass):
    """The first pass with sums on a device; of bytes they are integers, and the same bits as a processor's."""

    def __init__(self, finest: int, base: int | None, channels: int, device: str) -> None:
        super().__init__(finest, base, channels)
        self.device = device
        self._sums: list[Any] = []  # number of pictures, pilot, sum and products around it

    def update(self, block: NDArray[Any]) -> None:
        """Add pictures."""
        self.count += len(block)
        if self.base is not None:
            self.unit = unit(block.dtype, (block.shape[1] // self.base) ** 2)
            self._add(block)
        if self.base != self.finest:
            scale, offset = unit(block.dtype, (block.shape[1] // self.finest) ** 2)
            total = box_sums_on(block, self.finest, self.device).sum(0).cpu().numpy()
            self.total += total / scale - offset * len(block)

    def _add(self, block: NDArray[Any]) -> None:
        """Add the products of pictures at the size of the moments: of bytes as such, or in double precision."""
        import torch

        size = self.base or 0
        whole = block.dtype == np.uint8 and block.shape[1] == size
        bytes_there = torch.from_numpy(np.array(block)).to(self.device).reshape(len(block), -1) if whole else None
        rows = box_sums_on(block, size, self.device)
        if not self._sums:
            pilot = rows.mean(0)
            if block.dtype == np.uint8:
                pilot = torch.full_like(pilot, MIDDLE * (block.shape[1] // size) ** 2)
            self._sums = [0, pilot, torch.zeros_like(pilot), torch.zeros_like(torch.outer(pilot, pilot))]
        rows -= self._sums[1]
        self._sums[0] += len(block)
        self._sums[2] += rows.sum(0)
        if bytes_there is not None and int8_is_exact(self.device):
            add_bytes(self._sums[3], bytes_there, True)
        else:
            self._sums[3] += rows.T @ rows

    def finish(self) -> None:
        """Bring the moments back."""
        if not self._sums:
            return
        count, pilot, linear, gram = self._sums
        arrays = {"pilot": pilot.cpu().numpy(), "linear": linear.cpu().numpy(), "gram": gram.cpu().numpy()}
        state = {"dim": len(pilot), "count": count, "total": float(count), "eps": DOUBLE, "additions": 0}
        size, scale = float(arrays["gram"].trace()), self.unit[0]
        if self.unit[1] == 1:  # integers
            state |= {"centre": float(arrays["pilot"][0])}
        exact = self.unit[1] == 1 and size < INTEGERS
        size = 0.0 if exact else size + count * len(pilot) * scale**2  # pixels are at most 1 in size, sums the scale
        state |= {"moved": gamma(count + 64) * size, "shifted": gamma(count + 64) * (count * size) ** 0.5}
        moments = Moments.from_state(state | arrays)
        self.moments, self._sums = moments if self.moments is None else self.moments + moments, []

    @property
    def arithmetic(self) -> str:
        """What multiplied the pixels, and where."""
        whole = self.unit == unit(np.dtype(np.uint8), 1) and int8_is_exact(self.device)
        return f"{'int8' if whole else 'float64'} on {self.device}"

    def empty(self) -> FirstPass:
        """Zero sums of the same shape."""
        return DeviceFirstPass(self.finest, self.base, self.channels, self.device)

    def state(self) -> dict[str, Any]:
        """Arrays for a journal: the sums as they are, so that the last bits do not depend on when it is written."""
        sums = [part.cpu().numpy() for part in self._sums[1:]]
        return super().state() | dict(zip(SUMS, [*self._sums[:1], *sums], strict=False))

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Back to a recorded state."""
        import torch

        super().restore(arrays)
        self._sums = []
        if SUMS[0] in arrays:
            kept = (torch.from_numpy(arrays[name]).to(self.device) for name in SUMS[1:])
            self._sums = [int(one_number(arrays[SUMS[0]])), *kept]


class DeviceProduct(Product):
    """S times a block of vectors, on a device."""

    def __init__(self, *given: Any, device: str) -> None:
        super().__init__(*given)
        self.device = device
        self._there: list[Any] = []  # vectors, mean and total on the device

    def update(self, block: NDArray[Any]) -> None:
        """Add pictures."""
        import torch

        vectors, size, mean, coarser, channels = self.given
        scale, offset = unit(block.dtype, (block.shape[1] // size) ** 2)
        rows = box_sums_on(block, size, self.device) / scale - offset
        if not self._there:
            given = vectors, mean, self.total, np.array(self.squares)
            self._there = [torch.from_numpy(array).to(self.device) for array in given]
        rows -= self._there[1]
        if coarser is not None:  # what is left of pictures without the averages over boxes
            boxes = rows.reshape(len(rows), coarser, size // coarser, coarser, size // coarser, channels)
            rows = (boxes - boxes.mean(dim=(2, 4), keepdim=True)).reshape(rows.shape)
        self._there[2] += rows.T @ (rows @ self._there[0])
        self._there[3] += (rows**2).sum()
        self.saw(len(block))

    @property
    def rounded(self) -> float:
        """The bound on rounding as on a processor, where the sum of squares is rounded up."""
        return 1.01 * super().rounded

    def finish(self) -> None:
        """Bring the total back."""
        if self._there:
            self.total, self.squares, self._there = self._there[2].cpu().numpy(), float(self._there[3]), []

    def state(self) -> dict[str, Any]:
        """Arrays for a journal."""
        if not self._there:
            return super().state()
        return super().state() | {"total": self._there[2].cpu().numpy(), "squares": float(self._there[3])}

    def empty(self) -> Product:
        """Zero sums of the same shape."""
        return DeviceProduct(*self.given, device=self.device)


def box_sums_on(block: NDArray[Any], size: int, device: str) -> Any:
    """Sums over the boxes of pixels that become one at a size, as a tensor (n, d) in double precision on a device."""
    import torch

    edge = block.shape[1] // size
    pictures = torch.from_numpy(np.array(block)).to(device).double()
    return pictures.reshape(len(block), size, edge, size, edge, -1).sum(dim=(2, 4)).reshape(len(block), -1)
