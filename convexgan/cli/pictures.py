"""Pictures for the command line: where they come from, and how they are split."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from convexgan._checks import check_count
from convexgan.cli.console import note, phase
from convexgan.datasets import ImageSet, load
from convexgan.datasets.sources import ARRAY_SUFFIXES, BUNDLED

DEFAULT_SIZE = 64
Data = Annotated[str, typer.Argument(metavar="DATA", help="orl, digits, a folder, or a .npy or .npz file.")]
Size = Annotated[int | None, typer.Option(help="Pixels of an edge: 4, 8, 16, ... (64 for folders).")]


def read_images(data: str, size: int | None, *, strict: bool = False) -> ImageSet:
    """The pictures, announced on standard error with the files that were skipped."""
    is_folder = data not in BUNDLED and not data.lower().endswith(tuple(ARRAY_SUFFIXES))
    if is_folder and size is None:
        size = DEFAULT_SIZE
    with phase("reading pictures"):
        found = load(data, size, strict=strict)
    note(str(found))
    for skipped in found.skipped[:5]:
        note(f"  skipped {skipped.path}: {skipped.reason}")
    if len(found.skipped) > 5:
        note(f"  and {len(found.skipped) - 5} more; --strict stops at the first")
    return found


def demo_images(data: str | None, size: int) -> ImageSet:
    """The faces if they are installed or asked for, else the digits, saying so."""
    if data in (None, "orl"):
        try:
            return read_images("orl", size)
        except FileNotFoundError as error:
            if data == "orl":
                raise
            note(f"{error} The demo uses the digits instead.")
            data = "digits"
    return read_images("digits", min(size, 8)) if data == "digits" else read_images(str(data), size)


def split(images: NDArray[np.uint8], seed: int, share: float = 0.8) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A random split into pictures to fit and pictures to evaluate on."""
    check_count(len(images), "the number of pictures", 5)
    order = np.random.default_rng(seed).permutation(len(images))
    cut = round(share * len(images))
    return images[order[:cut]], images[order[cut:]]
