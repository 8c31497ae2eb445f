"""One picture: decoded from bytes within limits, upright, opaque, eight bits, cropped; and what was done to it."""

from __future__ import annotations

import io
from contextlib import suppress
from importlib.util import find_spec
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan.datasets import jpeg
from convexgan.datasets.formats import PHOTOS, SUFFIXES, is_heif, openers
from convexgan.datasets.own import SHEET, is_own_sheet
from convexgan.datasets.pictures import MAX_PIXELS, crop_box, fit_square

if TYPE_CHECKING:
    from PIL import Image

GREY_MODES = ("1", "L", "LA", "La")
FAINT = 4  # levels between the channels of a pixel: up to here it may be the noise of a scanner or of JPEG
SPECKS = 1000  # a picture has colour if one in so many pixels, at least one, is more than faintly coloured
FRAMES, DEEP, CLEAR = "first of several frames", "16 bits scaled to 8", "transparency laid on white"
INKS, SMALL = "other colours turned into RGB", "enlarged"


class Picture(NamedTuple):
    """A decoded picture.

    Attributes
    ----------
    pixels : (size, size) or (size, size, 3) array of uint8
        Without channels where all are equal.
    colored : bool
        Whether there is more colour than noise makes.
    changes : tuple of str
        What was done to it beside turning, cropping and averaging.
    decoder : str
        What has read its file, with the version.
    """

    pixels: NDArray[np.uint8]
    colored: bool = False
    changes: tuple[str, ...] = ()
    decoder: str = ""


def decode(content: bytes, name: str, size: int, *, grey: bool = False, crop: str = "center") -> Picture:
    """The picture in the bytes of a file of this name, as grey only if asked for."""
    if not content:
        raise ValueError("the file is empty")
    read = _open_heif(content) if is_heif(content) else _open(content, PurePath(name).suffix.lower())
    upright, changes, decoder = read
    opaque = _eight_bit(upright, changes)
    plain = grey or opaque.mode in GREY_MODES
    if opaque.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        changes.append(INKS)
    modes = ("L",) if plain else ("RGB", "RGBX")
    pixels = fit_square(opaque if opaque.mode in modes else opaque.convert(modes[0]), size, crop)
    left, top, right, bottom = crop_box(crop, opaque.width, opaque.height)
    if min(right - left, bottom - top) < size:
        changes.append(SMALL)
    if plain:
        return Picture(pixels, False, tuple(changes), decoder)
    r, g, b = np.ascontiguousarray(pixels.transpose(2, 0, 1))  # numpy is slow along short axes
    spread = np.maximum(np.maximum(r, g), b) - np.minimum(np.minimum(r, g), b)
    if not spread.any():
        return Picture(np.ascontiguousarray(pixels[..., 0]), False, tuple(changes), decoder)
    specks = np.count_nonzero(spread > FAINT)
    return Picture(pixels, bool(specks * SPECKS >= spread.size), tuple(changes), decoder)


def _open(content: bytes, suffix: str) -> tuple[Image.Image, list[str], str]:
    """The picture upright, what that has changed, and what has read it."""
    from PIL import Image, ImageOps, UnidentifiedImageError, __version__

    Image.init()
    known = [name for name in openers(suffix) if name in Image.OPEN]  # earlier versions know fewer
    try:
        picture = Image.open(io.BytesIO(content), formats=known)  # reads the header only
    except UnidentifiedImageError:
        if suffix == ".avif" and "AVIF" not in known:
            raise ValueError(".avif (needs Pillow 11.3: pip install --upgrade pillow)") from None
        if SUFFIXES.get(suffix) == "HEIF" and find_spec("pillow_heif") is None:
            raise ValueError(f"{suffix} ({PHOTOS})") from None
        raise
    with picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if is_own_sheet(picture):
            raise ValueError(SHEET)
        several = picture.format != "PSD" and getattr(picture, "is_animated", False)  # its frames are layers
        plain = jpeg.decoded(content, picture)
        if plain is not None:
            return plain, [], f"simplejpeg {jpeg.simplejpeg().__version__}"
        ImageOps.exif_transpose(picture, in_place=True)
        return picture, [FRAMES] * bool(several), f"Pillow {__version__}"


def _open_heif(content: bytes) -> tuple[Image.Image, list[str], str]:
    """The photograph as pillow-heif reads it, upright, what that has changed, and what has read it."""
    from PIL import Image

    try:
        import pillow_heif
    except ImportError:
        raise ValueError(f".heic ({PHOTOS})") from None
    file = pillow_heif.open_heif(io.BytesIO(content), convert_hdr_to_8bit=True)
    if file.size[0] * file.size[1] > MAX_PIXELS:
        raise Image.DecompressionBombError
    return file.to_pillow(), [FRAMES] * (len(file) > 1), f"pillow-heif {pillow_heif.__version__}"


def _eight_bit(picture: Image.Image, changes: list[str]) -> Image.Image:
    """The picture in an opaque mode of eight bits a sample."""
    from PIL import Image

    if picture.mode == "F":
        raise ValueError("floating-point samples have no fixed range")
    if picture.mode.startswith("I"):  # 16 bits a sample: Pillow's own conversion clips at 255
        levels = np.asarray(picture, dtype=np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError("samples of 32 bits have no fixed range")
        changes.append(DEEP)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    if picture.has_transparency_data:
        white, layer = Image.new("RGBA", picture.size, "white"), picture.convert("RGBA")
        opaque = Image.alpha_composite(white, layer)
        lowest, _ = layer.getchannel("A").getextrema()
        if lowest == 255:
            return picture.convert("L" if picture.mode in GREY_MODES else "RGB")
        changes.append(CLEAR)
        return opaque.convert("L") if picture.mode in GREY_MODES else opaque
    return picture


def reason(error: Exception) -> str:
    """Why a picture could not be read, in a few words."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return f"its header claims more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in a known format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    with suppress(ValueError):
        return str(error).rstrip(".") or type(error).__name__
    return type(error).__name__
