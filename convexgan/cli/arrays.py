"""Arrays and texts read from and written to the files named on the command line."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import read_array
from convexgan._tools.files import DAMAGE, open_npz, unreadable, write_bytes
from convexgan._tools.tables import Table
from convexgan.cli.console import note
from convexgan.cli.tables import read_csv, read_parquet
from convexgan.statistics.moments import Moments

PIPE = Path("-")
NPY = b"\x93NUMPY"  # how such a file begins


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


def read_labels(path: Path) -> NDArray[Any] | list[str]:
    """The labels in a .npy file, strings or integers, or in lines of text, one a line."""
    if path.suffix.lower() == ".npy":
        return read_rows(path)
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8: write one label a line, or numpy.save them.") from None
    if "" in lines:
        raise ValueError(f"{path}, line {lines.index('') + 1} is empty: write one label a line, without a header.")
    return lines


def read_samples(*paths: Path, pictures: bool = False) -> list[NDArray[Any] | Table | Moments]:
    """What `read_sample` reads from each; the pipe can be one of them. With ``pictures`` samples may have any shape."""
    if paths.count(PIPE) > 1:
        raise ValueError("- stands for standard input, which can be read once: name a file for the other sample.")
    found = [read_sample(path, pictures) for path in paths]
    if len({np.asarray(rows).dtype == np.uint8 for rows in found if isinstance(rows, np.ndarray)}) > 1 and pictures:
        note("one sample is bytes, 0 to 255, and another is not: are both on the same scale?")
    return found


def read_sample(path: Path, pictures: bool = False) -> NDArray[Any] | Table | Moments:
    """The rows in a .npy, .csv or .parquet file, or piped in as one of the first two; or `Moments` in an .npz file."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with open_npz(path) as file:
            several = len(file.files) != 1
        if several:
            return Moments.load(path)
    if path == PIPE:
        return _checked(_piped(), "standard input", pictures)
    if suffix == ".csv":
        return _checked(read_csv(path.read_bytes(), str(path)), str(path))
    return _checked(read_parquet(path) if suffix == ".parquet" else read_rows(path), str(path), pictures)


def _piped() -> NDArray[Any] | Table:
    """What is piped in: the bytes of a .npy file, or lines of text."""
    if sys.stdin.isatty():
        raise ValueError("- stands for standard input, where nothing is piped in: pass a file, or `... | convexgan`.")
    content = sys.stdin.buffer.read()
    if not content.startswith(NPY):
        return read_csv(content, "standard input")
    try:
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    except (ValueError, TypeError, *DAMAGE) as error:
        raise ValueError(f"standard input is not a readable .npy file ({unreadable(error)}).") from None


def _checked(found: NDArray[Any] | Table, name: str, pictures: bool = False) -> NDArray[Any] | Table:
    """The sample in two dimensions, all its numbers finite."""
    rows = read_array(found.rows if isinstance(found, Table) else found, name)
    if rows.ndim == 1 and rows.size:
        note(f"{name}: {len(rows)} numbers, taken as samples of one column")
        rows = rows[:, None]
    if rows.ndim > 2 and rows.size and pictures:
        note(f"{name}: samples of shape {rows.shape[1:]}, taken as rows")
        rows = rows.reshape(len(rows), -1)
    if rows.ndim != 2 or not rows.size:
        says = "is empty" if not rows.size else "is no table of samples and features: flatten each sample to a row"
        raise ValueError(f"{name}, of shape {rows.shape}, {says}.")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{name} has NaN or infinite entries in {len(bad)} of {len(rows)} rows, first in row {bad[0] + 1}: "
            "leave those rows out."
        )
    return Table(found.columns, rows) if isinstance(found, Table) else rows


def write_rows(path: Path, rows: NDArray[Any]) -> None:
    """Write a .npy file all or nothing."""
    buffer = io.BytesIO()
    np.save(buffer, rows, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write a text file, ended by a newline, all or nothing."""
    write_bytes(path, (text.rstrip("\n") + "\n").encode())
