"""One picture: decoded from bytes within limits, cropped, averaged down to one size."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".pgm", ".ppm"})
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM")
MAX_PIXELS = 2**26  # 8192 x 8192, 256 MiB decoded: a header that claims more is taken for a bomb
MAX_BYTES = 2**29  # of one file, or of what a packed one claims to hold
CROPS = ("center", "center178", "face128", "none")


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: Path
    reason: str


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
    """

    images: NDArray[np.uint8] = field(repr=False)
    name: str
    paths: tuple[Path, ...] = field(default=(), repr=False)
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one picture."""
        return self.images.shape[1:]

    def __str__(self) -> str:
        return describe(self.name, len(self), self.shape, len(self.skipped))


def describe(name: str, count: int, shape: tuple[int, ...], skipped: int) -> str:
    """One line on a set of pictures of shape (size, size) or (size, size, 3)."""
    left_out = f", {skipped:,} file{'s' * (skipped != 1)} skipped" if skipped else ""
    kind = "grey" if len(shape) == 2 else "colour"
    return f"{name}: {count:,} {kind} picture{'s' * (count != 1)} of {shape[0]} x {shape[1]} pixels{left_out}"


def decode(content: bytes, size: int, *, color: bool, crop: str = "center") -> NDArray[np.uint8]:
    """The picture in a file's bytes as a (size, size) or (size, size, 3) array."""
    from PIL import Image, ImageOps

    if not content:
        raise ValueError("the file is empty")
    with Image.open(io.BytesIO(content), formats=FORMATS) as picture:  # reads the header only
        if picture.width * picture.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        upright = ImageOps.exif_transpose(picture)
    return fit_square(_eight_bit(upright).convert("RGB" if color else "L"), size, crop)


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
    """The crop of a picture, box-averaged (or bilinearly enlarged) to ``size`` pixels."""
    from PIL import Image

    box = crop_box(crop, picture.width, picture.height)
    shrinks = min(box[2] - box[0], box[3] - box[1]) >= size
    square = picture.resize((size, size), Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR, box=box)
    return np.asarray(square, dtype=np.uint8)


def _eight_bit(picture: Image.Image) -> Image.Image:
    """The picture in an opaque mode of eight bits a sample."""
    from PIL import Image

    if picture.mode == "F":
        raise ValueError("floating-point samples have no fixed range")
    if picture.mode.startswith("I"):  # 16 bits a sample: Pillow's own conversion clips at 255
        levels = np.clip(np.asarray(picture, dtype=np.int64), 0, 65535)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA"))
    return picture


def reason(error: Exception) -> str:
    """Why a picture could not be read, in a few words."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return f"its header claims more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in a known format (JPEG, PNG, WebP, BMP, PGM, PPM)"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".") or type(error).__name__


@contextmanager
def pillow_silenced() -> Iterator[None]:
    """Pillow's warnings about odd files are dropped: a file either reads or is reported as skipped."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
