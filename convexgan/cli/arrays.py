"""Arrays and texts read from and written to the files named on the command line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._files import DAMAGE, open_npz, unreadable, write_bytes
from convexgan.moments import Moments


def read_rows(path: Path) -> NDArray[Any]:
    """The array in a .npy file, or the only one in an .npz file; pickles are refused."""
    if path.suffix.lower() == ".npz":
        with open_npz(path) as file:
            if len(file.files) != 1:
                raise ValueError(f"{path} holds {len(file.files)} arrays: save the rows alone with numpy.save.")
            try:
                return np.asarray(file[file.files[0]])
            except ValueError as error:
                raise ValueError(f"{path} cannot be read ({unreadable(error)}): save numbers in it.") from None
    try:
        rows = np.load(path, allow_pickle=False)
    except (ValueError, TypeError, *DAMAGE) as error:
        reason = unreadable(error)
        raise ValueError(f"{path} is not a readable .npy file ({reason}): save numbers with numpy.save.") from None
    return np.asarray(rows)


def read_sample(path: Path) -> NDArray[Any] | Moments:
    """The rows in an array file, or the `Moments` written by `Moments.save`."""
    if path.suffix.lower() == ".npz":
        with open_npz(path) as file:
            several = len(file.files) != 1
        if several:
            return Moments.load(path)
    return read_rows(path)


def write_rows(path: Path, rows: NDArray[Any]) -> None:
    """Write a .npy file all or nothing."""
    buffer = io.BytesIO()
    np.save(buffer, rows, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write a text file, ended by a newline, all or nothing."""
    write_bytes(path, (text.rstrip("\n") + "\n").encode())
