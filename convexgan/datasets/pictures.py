"""Pictures of one size: the set of them, what is kept of each, and averaging down."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convexgan.datasets.account import Count, Skipped, describe
from convexgan.datasets.averages import area_averages

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 2**26  # 8192 x 8192, 256 MiB decoded: a header that claims more is taken for a bomb
MAX_BYTES = 2**29  # of one file, or of what a packed one claims to hold
CROPS = ("center", "center178", "face128", "none")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Square pictures of one size.

    Attributes
    ----------
    images : (n, size, size) or (n, size, size, 3) array of uint8
        Grey or colour pictures.
    name : str
        Where they come from, for titles and records.
    paths : tuple of Path
        The file of each picture, in order; empty where pictures are not files.
    skipped : tuple of Skipped
        Files that could not be read, each with its reason.
    omitted : tuple of Count
        Files that are no data: hidden, no pictures, not asked for, convexgan's own.
    converted : tuple of Count
        Pictures that were changed by more than turning, cropping and averaging.
    notes : tuple of str
        What else was found or decided.
    decoders : tuple of Count
        What has read how many of the files.
    """

    images: NDArray[np.uint8] = field(repr=False)
    name: str
    paths: tuple[Path, ...] = field(default=(), repr=False)
    skipped: tuple[Skipped, ...] = ()
    omitted: tuple[Count, ...] = ()
    converted: tuple[Count, ...] = ()
    notes: tuple[str, ...] = ()
    decoders: tuple[Count, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one picture."""
        return self.images.shape[1:]

    def __str__(self) -> str:
        what = self.skipped, self.omitted, self.converted, self.notes
        return describe(self.name, len(self), self.shape, *what)


def crop_box(crop: str, width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of what is kept of a picture.

    "center" is the largest square in the middle, "center178" the 178 x 178 in the middle, "face128" the 128 x 128
    around (89, 121), where the aligned faces of CelebA are, and "none" the whole picture, squeezed to a square.

    Raises
    ------
    ValueError
        The picture is smaller than the crop.
    """
    if crop == "none":
        return 0, 0, width, height
    if crop == "face128":
        left, top, edge = 89 - 64, 121 - 64, 128
    else:
        edge = 178 if crop == "center178" else min(width, height)
        left, top = (width - edge) // 2, (height - edge) // 2
    if min(left, top) < 0 or left + edge > width or top + edge > height:
        raise ValueError(f"{width} x {height} pixels are too few for the crop {crop!r}")
    return left, top, left + edge, top + edge


def fit_square(picture: Image.Image, size: int, crop: str = "center") -> NDArray[np.uint8]:
    """The crop of a picture in ``size`` pixels, averages over the area of each; or enlarged, by interpolation."""
    from PIL import Image

    left, top, right, bottom = box = crop_box(crop, picture.width, picture.height)
    if min(right - left, bottom - top) >= size:
        averages = area_averages(np.asarray(picture)[top:bottom, left:right], size)
        return np.ascontiguousarray(averages[..., :3]) if picture.mode == "RGBX" else averages
    square = picture.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(square.convert("RGB") if square.mode == "RGBX" else square, dtype=np.uint8)


@contextmanager
def pillow_silenced() -> Iterator[None]:
    """Pillow's warnings about odd files are dropped: a file either reads or is reported as skipped."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
