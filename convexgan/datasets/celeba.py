"""CelebA as it is distributed: aligned faces in a folder or an archive, with attribute and partition lists.

Z. Liu, P. Luo, X. Wang, X. Tang, Deep Learning Face Attributes in the Wild, ICCV 2015. The lists are plain text:
``list_attr_celeba.txt`` holds the number of pictures, then the attributes' names, then a line for each picture with its
name and 1 or -1 for each attribute; ``list_eval_partition.txt`` a name and 0, 1 or 2 (train, valid, test) a line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from convexgan._checks import check_choice
from convexgan.datasets.account import Skipped
from convexgan.datasets.archive import list_archive
from convexgan.datasets.folder import list_folder
from convexgan.datasets.listing import Listing

PICTURES = ("img_align_celeba", "img_celeba")
ATTRIBUTES, PARTITION = "list_attr_celeba.txt", "list_eval_partition.txt"
SPLITS = {"train": "0", "valid": "1", "test": "2"}


def is_celeba(folder: Path) -> bool:
    """Whether a folder has the layout of CelebA."""
    return folder.is_dir() and _find_pictures(folder) is not None


def list_celeba(
    root: str | os.PathLike[str], *, attributes: Mapping[str, bool] | None = None, split: str = "all"
) -> Listing:
    """The pictures of CelebA with the wanted attributes, in the order of their names.

    Parameters
    ----------
    root : path
        The folder that holds ``img_align_celeba`` (or ``img_celeba``; a folder, a .zip or a .tar file) and the lists,
        each there or in the subfolders Img, Anno and Eval of the distribution.
    attributes : mapping from str to bool, optional
        Attributes a picture must have (True) or lack (False), ``{"Smiling": True, "Eyeglasses": False}``.
    split : "all", "train", "valid" or "test"

    Raises
    ------
    FileNotFoundError
        A list that is needed, or the pictures, are missing.
    ValueError
        An unknown attribute, a damaged list, or no picture fits.
    """
    folder = Path(root)
    found = _find_pictures(folder)
    if found is None:
        raise FileNotFoundError(f"{folder} holds no {' or '.join(PICTURES)} (a folder, .zip or .tar): check the path.")
    listing = replace(list_folder(found) if found.is_dir() else list_archive(found), name="celeba")
    wanted: set[str] | None = None
    if attributes:
        wanted = set(_with_attributes(_find_list(folder, ATTRIBUTES), attributes))
    if check_choice(split, "split", ("all", *SPLITS)) != "all":
        part = set(_in_split(_find_list(folder, PARTITION), split))
        wanted = part if wanted is None else wanted & part
    if wanted is None:
        return listing
    kept = tuple(entry for entry in listing.entries if PurePosixPath(entry.name).name in wanted)
    if not kept:
        raise ValueError(f"no picture of {found} is in split {split!r} with {dict(attributes or {})}: ask for less.")
    missing, skipped = len(wanted) - len(kept), listing.skipped
    if missing:
        skipped += (Skipped(found, f"{missing:,} pictures that the lists name are not there"),)
    return replace(listing, entries=kept, skipped=skipped)


def _find_pictures(root: Path) -> Path | None:
    """The folder or archive of pictures."""
    for place in (root, root / "Img"):
        for name in PICTURES:
            for suffix in ("", ".zip", ".tar"):
                if (path := place / f"{name}{suffix}").exists():
                    return path
    return None


def _find_list(root: Path, name: str) -> Path:
    for place in (root, root / "Anno", root / "Eval"):
        if (place / name).is_file():
            return place / name
    raise FileNotFoundError(f"{name} is not in {root} (nor in its Anno or Eval): it comes with CelebA, put it there.")


def _with_attributes(path: Path, attributes: Mapping[str, bool]) -> Iterator[str]:
    """The names of the pictures whose attributes are as wanted."""
    lines = _lines(path)
    try:
        count, names = int(lines[0]), lines[1].split()
    except (IndexError, ValueError):
        raise ValueError(f"{path} does not begin with a count and a line of attributes: get the list again.") from None
    if count != len(lines) - 2:
        raise ValueError(f"{path} announces {count} pictures and lists {len(lines) - 2}: get the list again.")
    columns = {1 + names.index(check_choice(name, "attribute", names)): value for name, value in attributes.items()}
    signs = {column: "1" if value else "-1" for column, value in columns.items()}
    for number, line in enumerate(lines[2:], 3):
        cells = line.split()
        if len(cells) != len(names) + 1 or any(cells[column] not in ("1", "-1") for column in signs):
            raise ValueError(f"{path}, line {number}: expected a name and {len(names)} times 1 or -1.")
        if all(cells[column] == sign for column, sign in signs.items()):
            yield cells[0]


def _in_split(path: Path, split: str) -> Iterator[str]:
    """The names of the pictures in a part of the partition."""
    for number, line in enumerate(_lines(path), 1):
        cells = line.split()
        if len(cells) != 2 or cells[1] not in SPLITS.values():
            raise ValueError(f"{path}, line {number}: expected a name and 0, 1 or 2.")
        if cells[1] == SPLITS[split]:
            yield cells[0]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").rstrip("\n").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no plain text: get the list again.") from None
