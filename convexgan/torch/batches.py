"""Batches of real samples and latents, drawn from a generator of random numbers that can be saved."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convexgan._tools.arrays import dense_tensor, read_array
from convexgan._tools.checks import check_count
from convexgan.statistics.latents import GaussianLatent
from convexgan.torch.objective import Batch
from convexgan.torch.pictures import PictureSource
from convexgan.torch.samples import check_scale, collected


@dataclass(frozen=True)
class GaussianArrays(GaussianLatent):
    """Standard Gaussian latents of any shape, such as the (k, 1, 1) of a generator that starts with convolutions."""

    shape: tuple[int, ...] = ()

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Independent draws, (n, *shape)."""
        return super().sample(n, rng).reshape(n, *self.shape)


WATCHED = 2**20  # numbers in the samples that are monitored: a convolution makes many times as many of them


class Batches:
    """Draws of real samples and latents.

    Parameters
    ----------
    data : (n, ...) array or tensor, PictureSource, or what comes in batches
    latents : GaussianLatent, int, tuple of int, (m, ...) array or tensor, or None
        A number k is `GaussianLatent(k)`, a tuple a shape; None asks the generator for its ``latent_dim``.
    size : int or None
        Rows of a batch; None takes all the samples and all the latents (n fresh ones if they are a law).
    generator : nn.Module
        Its first parameter decides precision and device.
    seed : int
    """

    def __init__(self, data: Any, latents: Any, size: int | None, generator: nn.Module, seed: int) -> None:
        like = next(generator.parameters(), None)
        self._like = torch.zeros(()) if like is None else like.detach()
        self.data = data.to(self._like) if isinstance(data, PictureSource) else self._tensor(data, "data")
        self.latents = read_latents(latents, generator)
        self.fixed = None if isinstance(self.latents, GaussianLatent) else self._tensor(self.latents, "latents")
        self.size = None if size is None else check_count(size, "batch")
        self.random = torch.Generator().manual_seed(check_count(seed, "rng", 0))

    def _tensor(self, values: Any, name: str) -> Tensor:
        values = collected(values, name)
        given = isinstance(values, Tensor)
        tensor: Tensor = dense_tensor(values, name) if given else torch.from_numpy(np.array(read_array(values, name)))
        if tensor.dim() < 2 or 0 in tensor.shape:
            raise ValueError(
                f"{name} must hold samples along its first axis, (n, ...), got shape {tuple(tensor.shape)}."
            )
        check_scale(tensor, name)
        tensor = tensor.to(self._like)
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} has NaN or infinite entries: drop those samples.")
        return tensor

    def draw(self, mixed: bool = False) -> Batch:
        """The next batch."""
        real = self._rows(self.data, self.size)
        latents = self._fresh(len(real), self.random) if self.fixed is None else self._rows(self.fixed, self.size)
        if not mixed:
            return Batch(real, latents)
        return Batch(real, latents, torch.rand(min(len(real), len(latents)), generator=self.random).to(self._like))

    def watched(self, most: int) -> Batch:
        """Samples and latents to look at again and again, at most so many of each and fewer if they are large."""
        random, numbers = torch.Generator().manual_seed(1), math.prod(self.data.shape[1:])
        most = min(most, max(WATCHED // numbers, 64))
        real = _some(self.data, most, random)
        if self.fixed is not None:
            return Batch(real, _some(self.fixed, most, random))
        return Batch(real, self._fresh(len(real), random))

    def _fresh(self, n: int, random: torch.Generator) -> Tensor:
        shape = getattr(self.latents, "shape", (self.latents.dim,))
        return torch.randn(n, *shape, generator=random, dtype=self._like.dtype).to(self._like)

    def _rows(self, rows: Tensor | PictureSource, size: int | None) -> Tensor:
        if size is None:
            return rows if isinstance(rows, Tensor) else rows[torch.arange(len(rows))]
        return rows[torch.randint(len(rows), (size,), generator=self.random).to(rows.device)]

    def digest(self) -> str:
        """A hash of the data and the fixed latents."""
        found = hashlib.sha256()
        for part in (self.data, self.fixed):
            if isinstance(part, PictureSource):
                found.update(part.fingerprint.encode())
            elif part is not None:
                found.update(repr(tuple(part.shape)).encode() + part.cpu().contiguous().numpy().tobytes())
        return found.hexdigest()


def _some(rows: Tensor | PictureSource, most: int, random: torch.Generator) -> Tensor:
    order = torch.randperm(len(rows), generator=random) if len(rows) > most else torch.arange(len(rows))
    return rows[order[:most].to(rows.device)]


def read_latents(latents: Any, generator: nn.Module) -> Any:
    """The latent law, or the fixed latents."""
    if latents is None:
        latents = getattr(generator, "latent_dim", None)
        if latents is None:
            raise ValueError(
                "latents is missing: pass an array, a dimension k or a shape (k, 1, 1) of Gaussian ones, or "
                "cg.GaussianLatent(k)."
            )
    if isinstance(latents, tuple) and not all(isinstance(row, tuple | list) and row for row in latents):
        if not latents or not all(isinstance(edge, int) and edge > 0 for edge in latents):
            raise ValueError(
                "latents is a tuple, but not the shape of Gaussian ones, (k, 1, 1) say: pass one array with what the "
                "generator takes in its columns, and Adapted(generator, inputs=...) to take it apart."
            )
        return GaussianArrays(math.prod(latents), latents)
    return GaussianLatent(latents) if isinstance(latents, int) else latents
