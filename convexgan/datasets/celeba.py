"""CelebA as people have it: aligned faces in a folder or an archive, with attribute and partition lists.

Z. Liu, P. Luo, X. Wang, X. Tang, Deep Learning Face Attributes in the Wild, ICCV 2015. Pictures may lie in folders
nested twice, in ``Img`` or under another suffix; the lists beside them, in ``Anno`` and ``Eval``, one folder up, or in
the same archive. What was found is said in the notes of the listing.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from convexgan._tools.checks import check_choice
from convexgan.datasets.account import Count, counts, merged
from convexgan.datasets.archive import Archive, is_archive, list_archive, named_members
from convexgan.datasets.folder import list_folder
from convexgan.datasets.listing import Entry, Listing
from convexgan.datasets.lists import MOST, SPLITS, List, chosen, stem
from convexgan.datasets.walk import NO_PICTURE, is_hidden, walk

PICTURES = ("img_align_celeba", "img_celeba", "img_align_celeba_png")
ATTRIBUTES, PARTITION = "list_attr_celeba", "list_eval_partition"
_SUFFIXES = r"( ?\(\d+\))?(\.txt|\.csv|\.tsv)?(\.zip|\.gz)?"


def is_celeba(source: Path) -> bool:
    """Whether a folder has the layout of CelebA."""
    return source.is_dir() and _find_pictures(source) is not None


def home(source: Path) -> Path:
    """The only folder in a source that has the layout of CelebA, where the source has it not; else the source."""
    if not source.is_dir() or is_celeba(source) or has_lists(source):
        return source
    with os.scandir(source) as entries:
        inside = [source / entry.name for entry in entries if entry.is_dir() and not is_hidden(entry.name)]
    found = [folder for folder in inside if is_celeba(folder)]
    return found[0] if len(found) == 1 else source


def has_lists(source: Path) -> bool:
    """Whether lists of CelebA are in an archive, in a folder or near it."""
    if _is_packed(source) and any(_is_list(base) for base, _ in named_members(source)):
        return True
    return any(_lists(source, name) for name in (ATTRIBUTES, PARTITION))


def list_celeba(
    root: str | os.PathLike[str], *, attributes: Mapping[str, bool] | None = None, split: str = "all"
) -> Listing:
    """The pictures of CelebA with the wanted attributes, in the order of their names.

    Parameters
    ----------
    root : path
        The folder that holds ``img_align_celeba`` (or ``img_celeba``; a folder, a .zip or a .tar file) and the lists,
        each there or in the subfolders Img, Anno and Eval of the distribution; that folder of pictures with the lists
        in it or one folder up; or an archive of all.
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
    place = Path(root)
    check_choice(split, "split", ("all", *SPLITS))
    asked = bool(attributes) or split != "all"
    found = place if _is_packed(place) else _find_pictures(place)
    if found is None and asked and place.is_dir() and has_lists(place):
        found = place
    if found is None:
        raise FileNotFoundError(
            f"{place} holds no {' or '.join(PICTURES[:2])} (a folder, .zip or .tar): check the path."
        )
    listing = replace(_listed(found), name="celeba")
    if found != place and not _is_packed(place):
        listing = replace(listing, omitted=merged(listing.omitted, _beside(place, found)))
    lists = []
    if attributes:
        one = _find_list(place, found, ATTRIBUTES)
        lists.append((one.label, *one.with_attributes(attributes)))
    if split != "all":
        one = _find_list(place, found, PARTITION)
        lists.append((one.label, *one.in_split(split)))
    return _selected(listing, lists, f"in split {split!r} with {dict(attributes or {})}") if lists else listing


def attribute_labels(root: str | os.PathLike[str], listing: Listing, attributes: Sequence[str]) -> list[str]:
    """A label for each listed picture, "Smiling, not Male" say: which attributes it has.

    Raises
    ------
    FileNotFoundError
        The list of attributes is missing.
    ValueError
        An unknown attribute, a damaged list, or pictures that it does not name.
    """
    place = home(Path(root))
    one = _find_list(place, place if _is_packed(place) else _find_pictures(place) or place, ATTRIBUTES)
    known = {stem(name): has for name, has in one.attributes(attributes)}
    lacking = [entry.name for entry in listing.entries if stem(entry.name) not in known]
    if lacking:
        raise ValueError(f"{one.label} does not name {lacking[0]} and {len(lacking) - 1:,} others: move them away.")
    words = [(attribute, f"not {attribute}") for attribute in attributes]
    return [", ".join(w[not has] for w, has in zip(words, known[stem(e.name)], strict=True)) for e in listing.entries]


def _selected(listing: Listing, lists: list[tuple[str, list[str], list[str]]], asked: str) -> Listing:
    """The pictures that all the lists want, and in numbers what they do not name, do not want, or lack."""
    named = frozenset.intersection(*(chosen(names) for _, names, _ in lists))
    wanted = frozenset.intersection(*(chosen(names) for _, _, names in lists))
    spelled = {name.replace("\\", "/").split("/")[-1] for _, names, _ in lists for name in names}
    kept: dict[str, Entry] = {}
    for entry in listing.entries:
        key, base = stem(entry.name), entry.name.replace("\\", "/").split("/")[-1]
        if key in wanted and (key not in kept or base in spelled):  # of 1.png and 1.jpg that which the list names
            kept[key] = entry
    if not kept:
        raise ValueError(f"no picture of {listing.keeper.root} is {asked}: ask for less.")
    unnamed = sum(stem(entry.name) not in named for entry in listing.entries)
    omitted = {"not in the lists": unnamed, "not asked for": len(listing) - len(kept) - unnamed}
    notes = [f"chosen by {' and '.join(label for label, _, _ in lists)}"]
    if missing := len(wanted) - len(kept):
        notes.append(f"{missing:,} pictures that the lists name are not there")
    return replace(
        listing,
        entries=tuple(entry for entry in listing.entries if kept.get(stem(entry.name)) is entry),
        omitted=merged(listing.omitted, counts({what: n for what, n in omitted.items() if n})),
        notes=(*listing.notes, *notes),
    )


def _is_list(base: str) -> bool:
    return any(re.fullmatch(name + _SUFFIXES, base.lower()) for name in (ATTRIBUTES, PARTITION))


def _is_packed(place: Path) -> bool:
    return place.is_file() and is_archive(place)


def _listed(found: Path) -> Listing:
    return list_folder(found) if found.is_dir() else list_archive(found)


def _find_pictures(root: Path) -> Path | None:
    """The folder or archive of pictures; the folder itself if it is called so."""
    known = {f"{name}{suffix}": i for i, name in enumerate(PICTURES) for suffix in ("", ".zip", ".tar")}
    for place in (root, root / "Img"):
        if place.is_dir():
            with os.scandir(place) as entries:
                there = [entry.name for entry in entries if entry.name.lower() in known]
            if there:
                return place / min(there, key=lambda name: (known[name.lower()], len(name), name))
    return root if root.resolve().name.lower() in PICTURES else None


def _beside(root: Path, found: Path) -> tuple[Count, ...]:
    """The files of a distribution that are not in its folder or archive of pictures, in numbers."""
    others = walk(root, without=found)
    omitted = Counter(dict(others.counts()))
    omitted["beside the pictures"] = len(others.names) + len(others.skipped)
    if found.is_file():
        omitted[f"{NO_PICTURE} ({found.suffix.lower()})"] -= 1  # the archive of pictures itself
    return counts(+omitted)


def _find_list(root: Path, pictures: Path, name: str) -> List:
    """The list of this name: in the archive, beside the pictures, in Anno or Eval, or one folder up."""
    for packed in dict.fromkeys((root, pictures)):
        if _is_packed(packed):
            for base, entry in named_members(packed):
                if re.fullmatch(name + _SUFFIXES, base.lower()):
                    return List(f"{packed}/{entry.name}", Archive(packed).read(entry))
    for path in _lists(root, name):
        if path.stat().st_size > MOST:
            raise ValueError(f"{path} is larger than {MOST:,} bytes: get the list again.")
        return List(str(path), path.read_bytes())
    raise FileNotFoundError(
        f"{name}.txt is not in {root} (nor in its Anno or Eval, nor as .csv): it comes with CelebA, put it there."
    )


def _lists(root: Path, name: str) -> list[Path]:
    """The files that may be this list, the official one first."""
    found: list[Path] = []
    for place in _places(root):
        with os.scandir(place) as entries:
            names = [e.name for e in entries if re.fullmatch(name + _SUFFIXES, e.name.lower())]
        for path in sorted((place / one for one in names), key=lambda path: (path.suffix.lower() != ".txt", path.name)):
            found += [path] if path.is_file() else sorted(one for one in path.iterdir() if one.is_file())
    return [path for path in found if not is_hidden(path.name)]


def _places(root: Path) -> Iterator[Path]:
    """The folders in which lists may be: the nearest first."""
    here = root if root.is_dir() else root.parent
    up = [here.parent] if here.name.lower() in PICTURES or root.is_file() else []
    up += [up[0].parent] if up and up[0].name.lower() in (*PICTURES, "img") else []
    for place in (here, *up):
        for name in ("", "Anno", "Eval", "anno", "eval", "Img"):
            if (place / name).is_dir():
                yield place / name
        for name in PICTURES:
            for folder in (place / name, place / "Img" / name, place / name / name):
                if folder.is_dir():
                    yield folder
