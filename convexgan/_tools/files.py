"""Files: written all or nothing, read without pickles."""

from __future__ import annotations

import errno
import json
import os
import struct
import time
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from convexgan._tools.memory import physical_memory

# what numpy and zipfile raise on files that somebody has tampered with, besides ValueError
DAMAGE = (
    EOFError,
    MemoryError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
PathLike = str | os.PathLike[str]


def write_bytes(path: PathLike, content: bytes) -> None:
    """Write a file all or nothing."""
    with _writing(path) as file:
        file.write(content)


def write_npz(path: PathLike, arrays: dict[str, Any]) -> None:
    """Write arrays to exactly ``path`` (no suffix is added), all or nothing."""
    with _writing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


@contextmanager
def _writing(path: PathLike) -> Iterator[IO[bytes]]:
    """A hidden neighbour, opened, that is renamed over the target when it has been written.

    A full disk or the like raises an OSError that names the target.
    """
    target = Path(path)
    check_target(target)
    neighbour = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with neighbour.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, target)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(target)) from None  # a failed write names no file
    finally:
        neighbour.unlink(missing_ok=True)


def check_target(*paths: Path | None) -> None:
    """Raise unless files can be made at the paths: before the work whose results are written there."""
    for path in paths:
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(f"the folder {path.parent} of {path.name} does not exist: create it first.")
        if path is not None and path.is_dir():
            raise IsADirectoryError(f"{path} is a folder: name a file in it.")


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left half written: unfinished files that nobody has touched for an hour."""
    for part in folder.glob(".*.part"):
        with suppress(FileNotFoundError):  # its process has just finished it
            if time.time() - part.stat().st_mtime > 3600:
                part.unlink()


def files_in(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members that are no folders; a name may be empty, for which ``is_dir`` fails."""
    return [member for member in archive.infolist() if not member.filename.endswith("/")]


def unreadable(error: BaseException) -> str:
    """Why numpy does not read a file, without its advice to trust pickles."""
    if "Object arrays" in str(error) or "Python objects" in str(error):
        return "it holds pickled objects, not numbers"
    return "its content is of another kind" if "pickle" in str(error) else str(error)


@contextmanager
def open_npz(path: PathLike) -> Iterator[NpzFile]:
    """The opened .npz file, pickles refused; a clear error if it is something else, or damaged where it is read."""
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder: pass the .npz file in it, of a RUN its model.npz.")
    with open(path, "rb") as stream:
        try:
            file = np.load(stream, allow_pickle=False)
        except (ValueError, OSError, *DAMAGE) as error:
            raise ValueError(f"{path} is not a readable .npz file ({unreadable(error)}).") from None
        if not isinstance(file, NpzFile):
            raise ValueError(f"{path} is a single array, an .npz file was expected.")
        claimed = sum(info.file_size for info in file.zip.infolist()) if file.zip else 0
        if claimed > physical_memory():
            raise ValueError(
                f"{path} claims to hold {claimed / 1e9:.3g} GB, more than this machine has: it is refused."
            )
        try:
            yield file
        except DAMAGE as error:
            raise ValueError(f"{path} is damaged ({error or type(error).__name__}).") from None
        except OSError as error:
            if error.errno != errno.EINVAL:  # a place before the beginning of the file
                raise
            raise ValueError(f"{path} is damaged (its index points outside of it).") from None


def one_number(array: Any) -> Any:
    """The number that an array of a file holds; raises ValueError if it holds several."""
    return np.asarray(array).item()


def write_model(path: PathLike, kind: str, settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays and JSON settings to one .npz file."""
    text = json.dumps({"format": "convexgan", "version": 1, "kind": kind, **settings})
    write_npz(path, {"settings.json": np.frombuffer(text.encode(), dtype=np.uint8), **arrays})


def read_model(path: PathLike, *kinds: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The settings and arrays written by `write_model`; raises if the file holds none of these kinds."""
    with open_npz(path) as file:
        try:
            settings = json.loads(bytes(file["settings.json"]).decode())
            arrays = {name: file[name] for name in file.files if name != "settings.json"}
        except (KeyError, ValueError, zipfile.BadZipFile, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a convexgan file or is damaged ({error}).") from None
    strange = [f"{name} of {array.dtype}" for name, array in arrays.items() if array.dtype.kind not in "biuf"]
    if strange:
        raise ValueError(f"{path} is damaged (it holds {strange[0]}, not numbers).")
    if not isinstance(settings, dict) or settings.get("kind") not in kinds or settings.get("version") != 1:
        found = settings.get("kind") if isinstance(settings, dict) else type(settings).__name__
        raise ValueError(f"{path} holds {found!r}, not {' or '.join(map(repr, kinds))} (format version 1).")
    return settings, arrays
