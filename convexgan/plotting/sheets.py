"""Sheets of small pictures: many faces at once, or each face at every resolution."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_count
from convexgan._tools.files import write_bytes
from convexgan._tools.pictures import read_pictures
from convexgan.datasets.own import SOFTWARE, SOFTWARE_TAG

if TYPE_CHECKING:
    from PIL import Image

GAP = 2  # pixels between and around the pictures
PAPER = 255


def contact_sheet(
    images: NDArray[np.uint8], columns: int, labels: Sequence[str] | None = None, *, scale: int = 1
) -> Image.Image:
    """A sheet of pictures in reading order.

    Parameters
    ----------
    images : (n, h, w) or (n, h, w, 3) array of uint8
        Grey or colour pictures.
    columns : int
        Pictures in a row; the last row may be shorter.
    labels : sequence of str, optional
        One for each row of the sheet, written at its left.
    scale : int
        Each pixel becomes a square of this many pixels.
    """
    check_count(columns, "columns")
    tiles = _enlarge(_checked(images, "images"), check_count(scale, "scale"))
    return _sheet([tiles[start : start + columns] for start in range(0, len(tiles), columns)], labels)


def stage_sheet(
    stages: Sequence[NDArray[np.uint8]], labels: Sequence[str] | None = None, *, scale: int = 1
) -> Image.Image:
    """A sheet with one row for each resolution, in which each column shows one picture sharpening.

    Parameters
    ----------
    stages : sequence of (n, h_i, w_i) or (n, h_i, w_i, 3) arrays of uint8
        The same n pictures at each resolution, enlarged by nearest neighbours to the finest size, of which
        each size must be a whole fraction.
    labels : sequence of str, optional
        One for each stage, written at its left.
    scale : int
        Each pixel of the finest stage becomes a square of this many pixels.

    Raises
    ------
    ValueError
        There is no stage, stages hold different numbers of pictures, or a size does not divide the finest.
    """
    if not stages:
        raise ValueError("stages is empty: pass at least one array of pictures.")
    checked = [_checked(stage, f"stages[{index}]") for index, stage in enumerate(stages)]
    counts = [len(stage) for stage in checked]
    if len(set(counts)) > 1:
        raise ValueError(f"stages hold {counts} pictures: show the same number at each.")
    sizes = [stage.shape[1:3] for stage in checked]
    height, width = max(sizes)
    factors = [height // h for h, _ in sizes]
    if any((f * h, f * w) != (height, width) for f, (h, w) in zip(factors, sizes, strict=True)):
        raise ValueError(f"stages have sizes {sizes}: each must divide the finest, {height} x {width}.")
    check_count(scale, "scale")
    return _sheet([_enlarge(stage, f * scale) for stage, f in zip(checked, factors, strict=True)], labels)


def save_image(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """Write a picture to ``path`` all or nothing, in the format its suffix names.

    Raises
    ------
    ValueError
        The suffix is none of a picture format.
    """
    from PIL import Image

    _check_image(image, "image")
    suffix = Path(path).suffix.lower()
    picture_format = Image.registered_extensions().get(suffix)
    if picture_format not in Image.SAVE:
        raise ValueError(f"path {path} has no picture suffix: end it in .png, .jpg or .webp.")
    buffer = io.BytesIO()
    image.save(buffer, format=picture_format, **_marked(image))
    write_bytes(path, buffer.getvalue())


def save_animation(frames: Sequence[Image.Image], path: str | os.PathLike[str], milliseconds: int = 80) -> None:
    """Write a .gif all or nothing that shows the frames forward and backward, over and over.

    Raises
    ------
    ValueError
        The suffix is not .gif, or there is no frame.
    """
    if Path(path).suffix.lower() != ".gif":
        raise ValueError(f"path {path} is not a .gif.")
    if not len(frames):
        raise ValueError("frames is empty: pass at least one picture.")
    for i, frame in enumerate(frames):
        _check_image(frame, f"frames[{i}]")
    buffer = io.BytesIO()
    rest = [*frames[1:], *frames[-2:0:-1]]
    frames[0].save(
        buffer, format="GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0, comment=SOFTWARE
    )
    write_bytes(path, buffer.getvalue())


def _marked(image: Image.Image) -> dict[str, Any]:
    """What a sheet's file says, so that it is not taken for data; nothing for pictures of the caller's."""
    if image.info.get("Software") != SOFTWARE:
        return {}
    from PIL import Image

    about = Image.Exif()
    about[SOFTWARE_TAG] = SOFTWARE
    return {"exif": about, "comment": SOFTWARE}


def _check_image(image: Any, name: str) -> None:
    """Raise unless it is a picture of Pillow."""
    from PIL import Image

    if not isinstance(image, Image.Image):
        kind = type(image).__name__
        raise ValueError(f"{name} must be a PIL image, got {kind}: contact_sheet(images, columns) makes one of arrays.")


def _checked(images: NDArray[Any], name: str) -> NDArray[np.uint8]:
    images = read_pictures(images, name, square=False)
    if images.dtype != np.uint8:
        raise ValueError(f"{name} has dtype {images.dtype}: convert with progressive.pyramid.to_uint8.")
    return images


def _enlarge(images: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def _sheet(rows: Sequence[NDArray[np.uint8]], labels: Sequence[str] | None) -> Image.Image:
    """The rows of equally large pictures laid out with gaps, and the labels in a margin at their left."""
    from PIL import Image, ImageDraw, ImageFont

    if labels is not None and len(labels) != len(rows):
        raise ValueError(f"labels has {len(labels)} entries for {len(rows)} rows: pass one a row.")
    channels = (3,) if any(row.ndim == 4 for row in rows) else ()
    height, width = rows[0].shape[1] + GAP, rows[0].shape[2] + GAP
    font = ImageFont.load_default()
    margin = max((int(font.getlength(label)) + 3 * GAP for label in labels or ()), default=0)
    shape = (GAP + len(rows) * height, margin + GAP + max(map(len, rows)) * width)
    canvas = np.full((*shape, *channels), PAPER, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            top, left = GAP + i * height, margin + GAP + j * width
            pixels = tile[..., None] if channels and tile.ndim == 2 else tile
            canvas[top : top + height - GAP, left : left + width - GAP] = pixels
    sheet = Image.fromarray(canvas)
    sheet.info["Software"] = SOFTWARE
    pen = ImageDraw.Draw(sheet)
    for i, label in enumerate(labels or ()):
        middle = GAP + i * height + (height - GAP) // 2
        pen.text((GAP, middle), label, fill="black", font=font, anchor="lm")
    return sheet
