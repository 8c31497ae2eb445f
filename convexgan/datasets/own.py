"""What convexgan has written itself: runs, decoded pictures, sheets and figures are never data."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

RUN_FORMAT, TRAINING_FORMAT = "convexgan run", "convexgan training"
SHEET = "a sheet or figure that convexgan made"
SOFTWARE = "convexgan sheet"  # in the metadata of what is drawn: the tag Software of EXIF, or a comment
SOFTWARE_TAG = 0x131
_CACHE = re.compile(r"\d+px-[0-9a-f]{16}")
_MOST = 2**24  # bytes of a report or a header that are looked at


def is_own_folder(folder: Path, names: Collection[str]) -> bool:
    """Whether a folder with these names in it is a run, complete or not, or a cache of decoded pictures."""
    if "report.json" in names and is_own_report(_head(folder / "report.json")):
        return True
    if "checkpoint.safetensors" in names and TRAINING_FORMAT.encode() in _head(folder / "checkpoint.safetensors"):
        return True
    return bool(_CACHE.fullmatch(folder.name)) and "00000.json" in names


def is_own_report(content: bytes) -> bool:
    """Whether the bytes are those of the report that marks a run."""
    try:
        report = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(report, dict) and report.get("format") == RUN_FORMAT


def is_own_sheet(picture: Image.Image) -> bool:
    """Whether the metadata of an opened picture, of which no pixel is read, say that it is one of ours."""
    said: list[Any] = [picture.info.get("Software"), picture.info.get("comment")]
    said.append(picture.getexif().get(SOFTWARE_TAG))
    texts = (one.decode("latin-1") if isinstance(one, bytes) else one for one in said)
    return any(isinstance(text, str) and text.startswith(SOFTWARE) for text in texts)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError:
        return b""
