"""Every file below a folder, each once: pictures by name, and the others counted by reason."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from convexgan.datasets.account import Count, Skipped, counts
from convexgan.datasets.formats import SUFFIXES, looks_like_a_picture
from convexgan.datasets.own import is_own_folder

SYSTEM = frozenset(  # written by operating systems beside what people keep; in lower case
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found", "icon\r"}
    | {"system volume information", "#recycle"}
)
HIDDEN, OWN, NO_PICTURE, NO_FILE = "hidden", "of convexgan's own", "no picture", "no plain file"
LINK_AGAIN, LINK_ROUND = "a second link to what is read already", "a link to a folder that it lies in"
NOWHERE = "a link that leads nowhere"


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or an operating system's."""
    return name.startswith(".") or name.lower() in SYSTEM


@dataclass
class Walk:
    """The files and folders below a folder.

    Attributes
    ----------
    without : str
        The real path of a folder that is passed over.
    names : list of tuple of str
        The pictures, by the parts of their paths below the folder.
    skipped : list of Skipped
        Pictures that cannot be there, and folders that cannot be looked into.
    omitted : Counter
        Files that are no pictures, by reason.
    """

    root: Path
    without: str = ""
    names: list[tuple[str, ...]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    omitted: Counter[str] = field(default_factory=Counter)
    own: list[str] = field(default_factory=list)
    _waiting: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _folders: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    _files: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def counts(self) -> tuple[Count, ...]:
        """The files left out, by reason."""
        return counts(self.omitted)

    def descend(self, place: str, parts: tuple[str, ...]) -> None:
        """Look into a folder and those in it; links are put aside, so that what lies here comes first."""
        self._waiting.append((place, parts, os.path.realpath(place)))
        while self._waiting:  # no recursion: folders may be nested deeper than calls
            self._look(*self._waiting.pop())

    def _look(self, place: str, parts: tuple[str, ...], real: str) -> None:
        if real == self.without:
            return
        self._seen.add(real)
        try:
            with os.scandir(place) as entries:
                content = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.skipped.append(Skipped(Path(place), error.strerror or "cannot be looked into"))
            return
        if is_own_folder(Path(place), {entry.name for entry in content}):
            self.own.append("/".join(parts) or place)
            self.omitted[OWN] += _files_below(place)
            return
        for entry in content:
            self._take(entry, (*parts, entry.name), real)

    def _take(self, entry: os.DirEntry[str], parts: tuple[str, ...], real: str) -> None:
        if is_hidden(entry.name):
            folder = entry.is_dir(follow_symlinks=False)
            self.omitted[HIDDEN] += _files_below(entry.path) if folder else 1
        elif entry.is_symlink():
            target = os.path.realpath(entry.path)
            if os.path.isdir(target):
                self._folders.append((parts, target))
            elif os.path.isfile(target):
                self._files.append((parts, target))
            else:
                self._nowhere(parts)
        elif entry.is_dir():
            self._waiting.append((entry.path, parts, os.path.join(real, entry.name)))
        elif entry.is_file():
            self._file(parts, os.path.join(real, entry.name))
        else:
            self.omitted[NO_FILE] += 1

    def _file(self, parts: tuple[str, ...], real: str) -> None:
        suffix = os.path.splitext(parts[-1])[1].lower()
        if suffix in SUFFIXES or (not suffix and _begins_well(real)):
            self.names.append(parts)
            self._seen.add(real)
        else:
            self.omitted[f"{NO_PICTURE} ({suffix or 'without a suffix'})"] += 1

    def _nowhere(self, parts: tuple[str, ...]) -> None:
        if os.path.splitext(parts[-1])[1].lower() in SUFFIXES:
            self.skipped.append(Skipped(self.root.joinpath(*parts), NOWHERE))
        else:
            self.omitted[NOWHERE] += 1

    def follow(self) -> None:
        """Look where links lead, in order, those to folders first; what was seen already is not seen again."""
        while self._folders:
            parts, target = self._folders.pop(0)
            here = os.path.realpath(self.root.joinpath(*parts[:-1]))
            if target in self._seen:
                self.omitted[LINK_AGAIN] += 1
            elif os.path.commonpath([target, here]) == target or _holds(target, self.root):
                self.omitted[LINK_ROUND] += 1
            else:
                self.descend(target, parts)
        for parts, target in self._files:
            if target in self._seen:
                self.omitted[LINK_AGAIN] += 1
            else:
                self._file(parts, target)


def walk(root: Path, without: Path | None = None) -> Walk:
    """Everything below a folder, but for one in it, links to folders followed, each file and folder once."""
    found = Walk(root, "" if without is None else os.path.realpath(without))
    found.descend(str(root), ())
    found.follow()
    found.names.sort()
    return found


def _holds(target: str, root: Path) -> bool:
    real = os.path.realpath(root)
    return os.path.commonpath([target, real]) == target


def _files_below(place: str) -> int:
    """How many files there are in a folder and its subfolders, links counted and not followed."""
    found, waiting = 0, [place]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    found += 1
    return found


def _begins_well(path: str) -> bool:
    """Whether a file without a suffix is a picture by its first bytes."""
    try:
        with open(path, "rb") as file:
            return looks_like_a_picture(file.read(32))
    except OSError:
        return False
