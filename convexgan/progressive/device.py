"""Passes with torch, on a GPU: blocks go there as bytes, products are single precision, sums double precision.

What `streaming` computes with numpy, and with the same meaning; decompositions stay on the processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._files import one_number
from convexgan.moments import SINGLE, Moments
from convexgan.progressive.pyramid import unit
from convexgan.progressive.sums import FirstPass, Product

SUMS = ("sums.count", "sums.pilot", "sums.linear", "sums.gram")  # of a first pass, in its journal


def check_device(name: str) -> str:
    """The name of a device that torch has, on which it multiplies single precision as such."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("devices need torch: pip install 'convexgan[torch]'.", name=error.name) from None
    try:
        torch.zeros(1, dtype=torch.float64, device=name).cpu()
    except (RuntimeError, AssertionError, TypeError) as error:  # torch asserts where there is no CUDA
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} is not there ({reason}): name another, or leave it out.") from None
    matmul = torch.backends.cuda.matmul
    try:
        coarse = matmul.allow_tf32
    except RuntimeError:  # it refuses to say where the newer setting was used
        coarse = matmul.fp32_precision == "tf32"
    if coarse:
        raise ValueError(
            "torch multiplies in TF32, to three digits: call torch.set_float32_matmul_precision('highest')."
        )
    return name


class DeviceFirstPass(FirstPass):
    """The first pass with sums on a device."""

    def __init__(self, finest: int, base: int | None, channels: int, device: str) -> None:
        super().__init__(finest, base, channels)
        self.device = device
        self._sums: list[Any] = []  # number of pictures, pilot, sum and products around it

    def update(self, block: NDArray[Any]) -> None:
        """Add pictures."""
        import torch

        self.count += len(block)
        if self.base is not None:
            rows = _averages(block, self.base, self.device)
            if not self._sums:
                pilot = rows.mean(0)
                zeros = (torch.zeros_like(like, dtype=torch.float64) for like in (pilot, torch.outer(pilot, pilot)))
                self._sums = [0, pilot, *zeros]
            rows -= self._sums[1]
            self._sums[0] += len(block)
            self._sums[2] += rows.double().sum(0)
            self._sums[3] += (rows.T @ rows).double()
        if self.base != self.finest:
            self.total += _averages(block, self.finest, self.device).double().sum(0).cpu().numpy()

    def finish(self) -> None:
        """Bring the moments back."""
        if not self._sums or self.moments is None:
            return
        count, pilot, linear, gram = self._sums
        arrays = {"pilot": pilot.double().cpu().numpy(), "linear": linear.cpu().numpy(), "gram": gram.cpu().numpy()}
        known = {"dim": len(pilot), "count": count, "total": float(count), "eps": SINGLE}
        self.moments, self._sums = self.moments + Moments.from_state(known | arrays), []

    def empty(self) -> FirstPass:
        """The same before any picture."""
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
        rows = _averages(block, size, self.device)
        if not self._there:
            self._there = [torch.from_numpy(array).to(self.device, rows.dtype) for array in (vectors, mean)]
            self._there.append(torch.from_numpy(self.total).to(self.device))
        rows -= self._there[1]
        if coarser is not None:  # what is left of pictures without the averages over boxes
            boxes = rows.reshape(len(rows), coarser, size // coarser, coarser, size // coarser, channels)
            rows = (boxes - boxes.mean(dim=(2, 4), keepdim=True)).reshape(rows.shape)
        self._there[2] += (rows.T @ (rows @ self._there[0])).double()

    def finish(self) -> None:
        """Bring the total back."""
        if self._there:
            self.total, self._there = self._there[2].cpu().numpy(), []

    def state(self) -> dict[str, Any]:
        """Arrays for a journal."""
        return {"total": self._there[2].cpu().numpy()} if self._there else super().state()

    def empty(self) -> Product:
        """The same before any picture."""
        return DeviceProduct(*self.given, device=self.device)


def _averages(block: NDArray[Any], size: int, device: str) -> Any:
    """Pictures at a size, in [-1, 1], as a tensor (n, d), float64 where they are and else float32."""
    import torch

    pictures = torch.from_numpy(np.array(block)).to(device)
    edge = block.shape[1] // size
    scale, offset = unit(block.dtype, edge**2)
    boxes = pictures.to(torch.float64 if block.dtype == np.float64 else torch.float32)
    sums = boxes.reshape(len(block), size, edge, size, edge, -1).sum(dim=(2, 4)).reshape(len(block), -1)
    return sums / scale - offset
