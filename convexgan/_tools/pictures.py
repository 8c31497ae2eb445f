"""Arrays of pictures: which axis is which, told by their lengths, and what brings them into one order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_kept, is_tensor, plain_array

Shape = tuple[int, ...]
FIRST, LAST = "its channels come first, {} moves them", "its pictures come last, {} moves them"
SMALL = 7  # pixels: pictures of no more may be that narrow
OPACITY = "leaves out the opacity"


def read_pictures(images: Any, name: str, *, square: bool = True) -> NDArray[Any]:
    """The pictures as an array (n, h, w) or (n, h, w, 3), uint8 or floats, not copied where they are one.

    Raises
    ------
    ValueError
        Another order of axes, with what repairs it; or integers that are no bytes, of which nobody knows the range.
    """
    array = plain_array(images, name)
    check_picture_shape(array.shape, name, square=square, tensor=is_tensor(images))
    if array.dtype.kind in "iub" and array.dtype != np.uint8:
        raise ValueError(f"{name} has dtype {array.dtype}: convert to uint8, or to float32 in [-1, 1].")
    return as_kept(array, name)


def check_picture_shape(shape: Shape, name: str, *, square: bool = True, tensor: bool = False) -> None:
    """Raise unless it is the shape (n, h, w) or (n, h, w, 3) of pictures, square ones if that is needed."""
    wanted = "(n, h, h) or (n, h, h, 3)" if square else "(n, h, w) or (n, h, w, 3)"
    if 0 in shape:
        raise ValueError(f"{name} has shape {shape}: pass at least one picture, {wanted}.")
    this = name if name.isidentifier() else "x"
    advice = {2: _on_two, 3: _on_three, 4: _on_four}.get(len(shape), _on_others)(shape, this, square)
    if advice:
        advice = advice.replace(f"np.moveaxis({this}, ", f"{this}.movedim(") if tensor else advice
        raise ValueError(f"{name} has shape {shape}, not {wanted}: {advice}.")
    if square and shape[1] != shape[2]:
        raise ValueError(f"{name} has shape {shape}, not square: crop to {min(shape[1:3])} pixels.")


def _on_others(shape: Shape, this: str, square: bool) -> str:
    return "bring the pictures along the first axis, and their channels along the last"


def _on_two(shape: Shape, this: str, square: bool) -> str:
    """The advice for an array of two axes, one grey picture or flattened ones: its numbers are in order already."""
    grey, colour = math.isqrt(shape[1]), math.isqrt(shape[1] // 3)
    advice = f"one grey picture is {this}[None]"
    if grey**2 == shape[1]:
        return f"{advice}, flattened ones are {this}.reshape(-1, {grey}, {grey})"
    if 3 * colour**2 == shape[1]:
        whole = f"np.moveaxis({this}.reshape(-1, 3, {colour}, {colour}), 1, -1)"
        return f"flattened pixels are {this}.reshape(-1, {colour}, {colour}, 3), flattened channels {whole}"
    return f"{advice}; flattened ones need their height and width back"


def _on_three(shape: Shape, this: str, square: bool) -> str:
    a, b, c = shape
    if b == c:
        return ""
    if c in (1, 3, 4) and (square or (c == 3 and min(a, b) > SMALL)):
        return f"one picture with channels is {this}[None{', ..., 0' if c == 1 else ', ..., :3' if c == 4 else ''}]"
    return LAST.format(f"np.moveaxis({this}, -1, 0)") if square and a == b else ""


def _on_four(shape: Shape, this: str, square: bool) -> str:
    a, b, c, d = shape
    if d == 3:
        return ""
    if a == b and c in (1, 3):
        return LAST.format(f"np.moveaxis({this}{'[:, :, 0]' if c == 1 else ''}, -1, 0)")
    if b <= 4 and b != c and (d > 4 or c == d):
        if b in (1, 2):
            return f"its channels come first, {this}[:, 0] is the grey one"
        moved = f"np.moveaxis({this}, 1, -1)"
        return FIRST.format(moved) if b == 3 else FIRST.format(f"{moved}[..., :3]") + f" and {OPACITY}"
    if d in (1, 2):
        return f"{this}[..., 0] is the grey channel"
    if d == 4:
        return f"{this}[..., :3] {OPACITY}"
    if a == 3 and b == c:
        return f"its channels come first and its pictures last, np.transpose({this}, (3, 1, 2, 0)) moves them"
    return _on_others(shape, this, square)
