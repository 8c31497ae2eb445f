"""Real pictures for training: bytes in memory, mapped or in a cache, decoded where they are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from convexgan.progressive.passes import as_pictures
from convexgan.progressive.pyramid import check_sizes, to_uint8

LEAST = 8  # pictures: fewer are no sample of anything


class PictureSource:
    """Samples (channels, size, size) in [-1, 1] for `train`, of which only those that are drawn become floats.

    Parameters
    ----------
    images : (n, h, h) or (n, h, h, 3) array, ImageSet or Cache
        uint8, or floats in [-1, 1]; or what `convexgan.datasets.load` or `convexgan.datasets.build_cache` returns.
    size : int, optional
        h, or h halved some times: box averages are drawn.
    flip : bool
        Draw each picture's mirror image as often as the picture.

    Attributes
    ----------
    blend : float
        Below 1 the detail that the next coarser size has not is scaled down by it.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from convexgan.torch import PictureSource
    >>> images = np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8)
    >>> source = PictureSource(images, size=4, flip=True)
    >>> len(source), source[torch.tensor([3, 53])].shape
    (100, torch.Size([2, 1, 4, 4]))
    """

    device = torch.device("cpu")  # of the places to look at; samples go where they are used

    def __init__(self, images: Any, size: int | None = None, *, flip: bool = False) -> None:
        self.pictures, self.flip, self.blend = as_pictures(images), flip, 1.0
        if len(self.pictures) < LEAST:
            raise ValueError(f"images holds {len(self.pictures)} pictures: pass at least {LEAST}, better thousands.")
        edge, _, *channels = self.pictures.shape
        (self.size,) = check_sizes([edge if size is None else size], edge)
        self.halved, self.channels = edge // self.size, channels[0] if channels else 1
        self._like = torch.zeros(())

    def __len__(self) -> int:
        return len(self.pictures) * (2 if self.flip else 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels, size, size)."""
        return len(self), self.channels, self.size, self.size

    def to(self, like: Tensor) -> PictureSource:
        """Itself, with samples of the tensor's precision and on its device from now on."""
        self._like = like
        return self

    def __getitem__(self, places: Tensor) -> Tensor:
        """The samples at these places, (m, channels, size, size); mirror images are behind all the pictures."""
        n, where = len(self.pictures), places.to(self.device)
        found = self._decoded(self.pictures.take((where % n).numpy()))
        if self.flip:
            found = torch.where((where >= n).to(found.device)[:, None, None, None], found.flip(-1), found)
        if self.blend < 1:
            coarse = interpolate(avg_pool2d(found, 2), scale_factor=2, mode="nearest")
            found = self.blend * found + (1 - self.blend) * coarse
        return found

    def rows(self) -> Iterator[NDArray[Any]]:
        """All samples as flattened rows, block by block, as `Moments.from_chunks` takes them."""
        for places in torch.split(torch.arange(len(self)), 1024):
            yield self[places].flatten(1).cpu().numpy()

    def _decoded(self, taken: NDArray[Any]) -> Tensor:
        levels = torch.from_numpy(np.ascontiguousarray(taken)).to(self._like.device).to(self._like.dtype)
        pictures = levels / 127.5 - 1 if taken.dtype == np.uint8 else levels
        pictures = pictures.reshape(len(taken), *taken.shape[1:3], self.channels).permute(0, 3, 1, 2)
        return avg_pool2d(pictures, self.halved) if self.halved > 1 else pictures.contiguous()

    @property
    def fingerprint(self) -> str:
        """A digest of the samples, as text."""
        return f"{self.pictures.fingerprint} {self.shape}"


def as_bytes(pictures: Tensor) -> NDArray[np.uint8]:
    """Pictures (n, channels, h, h) in [-1, 1] as (n, h, h) or (n, h, h, 3) uint8; what lies outside is clipped."""
    found = pictures.detach().permute(0, 2, 3, 1).double().cpu().numpy()
    return to_uint8(found if found.shape[3] == 3 else found[..., 0])
