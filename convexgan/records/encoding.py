"""Arrays in JSON: few numbers one by one, many in base64, or a hash of what is in a file beside it."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.files import open_npz, unreadable

FEW = 10_000  # numbers that are written one by one
EVIDENCE = "evidence."  # before the names of such arrays in files of models and solutions


class Apart(NamedTuple):
    """The shape and hash of an array that is elsewhere."""

    shape: tuple[int, ...]
    sha256: str

    def found(self, name: str, apart: Callable[[str], NDArray[Any]] | None) -> NDArray[np.float64]:
        """The array of this name; ValueError if it cannot be read, or is another."""
        if apart is None:
            raise ValueError(f"{name} of its evidence is in a file beside it: read both with Certificate.load.")
        try:
            array = apart(name)
        except (ValueError, KeyError) as error:
            reason = unreadable(error).rstrip(".")
            raise ValueError(f"{name} of its evidence cannot be read ({reason}): make the certificate again.") from None
        if array.dtype != np.float64 or array.shape != self.shape or _sha256(array) != self.sha256:
            raise ValueError(f"{name} of its evidence is not the array it was made with: make the certificate again.")
        return array


def is_large(array: NDArray[np.float64]) -> bool:
    """Whether the array has more numbers than are written one by one."""
    return array.size > FEW


def encoded(array: NDArray[np.float64]) -> dict[str, Any]:
    """The array for JSON, as numbers or, if they are many, the bytes of little-endian doubles."""
    if is_large(array):
        return {"shape": list(array.shape), "base64": base64.b64encode(array.astype("<f8").tobytes()).decode()}
    return {"shape": list(array.shape), "data": array.ravel().tolist()}


def hashed(array: NDArray[np.float64]) -> dict[str, Any]:
    """The array for JSON, as numbers or, if they are many, the hash of those bytes."""
    return {"shape": list(array.shape), "sha256": _sha256(array)} if is_large(array) else encoded(array)


def decoded(content: dict[str, Any]) -> NDArray[np.float64] | Apart:
    """The array, or what JSON says of it; TypeError, KeyError or ValueError for what is none."""
    shape = tuple(content["shape"])
    if "sha256" in content:
        return Apart(shape, content["sha256"])
    if "base64" in content:
        flat = np.frombuffer(base64.b64decode(content["base64"], validate=True), dtype="<f8")
    else:
        flat = np.array(content["data"])
    return flat.astype(np.float64).reshape(shape)


def evidence_path(path: str | os.PathLike[str]) -> Path:
    """The file of the arrays that are not in a JSON file."""
    return Path(f"{os.fspath(path)}.npz")


def read_beside(path: str | os.PathLike[str], name: str) -> NDArray[Any]:
    """An array from the file beside a JSON file; FileNotFoundError, ValueError or KeyError if it is not there."""
    beside = evidence_path(path)
    if not beside.exists():
        raise FileNotFoundError(f"{path}: {beside.name}, which holds its evidence, is not beside it: put it there.")
    with open_npz(beside) as file:
        return np.asarray(file[name])


def _sha256(array: NDArray[np.float64]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array, "<f8").data).hexdigest()
