"""The lists of CelebA in every spelling that goes round: plain text or csv, re-saved, packed, with 1 and -1 or 1 and 0.

The official lists are plain text. ``list_attr_celeba.txt`` holds the number of pictures, then the attributes' names,
then a line for each picture with its name and 1 or -1 for each attribute; ``list_eval_partition.txt`` a name and 0, 1
or 2 (train, valid, test) a line. Tables of the same content have a line of column names.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from convexgan._tools.checks import check_choice
from convexgan._tools.files import DAMAGE, files_in
from convexgan.datasets.formats import SUFFIXES

MOST = 2**28  # bytes of a list, those of CelebA have 25 million
SPLITS = {"train": "0", "valid": "1", "test": "2"}
_PARTS = {word: SPLITS[word] for word in SPLITS} | {"training": "0", "val": "1", "validation": "1", "testing": "2"}
_HAS, _LACKS = frozenset({"1", "true"}), {"-1": "-1", "0": "0", "false": "0"}
_NAMES = ("image_id", "image", "filename", "file_name", "file", "name", "img", "image_name", "path")


@dataclass(frozen=True)
class Rows:
    """Numbered lines of a list, each taken apart only when it is looked at: CelebA has eight million cells."""

    label: str
    lines: list[tuple[int, str]]
    separator: str | None

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        return ((number, self._cells(line)) for number, line in self.lines)

    @property
    def first(self) -> list[str]:
        """The cells of the first line."""
        return self._cells(self.lines[0][1])

    @property
    def behind(self) -> Rows:
        """The lines behind the first."""
        return replace(self, lines=self.lines[1:])

    def counted(self) -> tuple[int | None, Rows]:
        """The number of pictures that the first line announces, if it does, and the lines behind it."""
        cells = self.first if self.lines else []
        if len(cells) == 1 and cells[0].isdecimal():
            return int(cells[0]), self.behind
        return None, self

    def _cells(self, line: str) -> list[str]:
        """The cells of a line, each line on its own: a quote that is not closed reaches no further."""
        if self.separator is None:
            return [cell.strip("\"'") for cell in line.split()] if '"' in line or "'" in line else line.split()
        line = line.rstrip(f"{self.separator} \t")  # spreadsheets fill up short lines
        if '"' not in line:
            return [cell.strip() for cell in line.split(self.separator)]
        try:
            return [cell.strip() for cell in next(csv.reader([line], delimiter=self.separator, skipinitialspace=True))]
        except csv.Error as error:
            raise ValueError(f"{self.label} cannot be read ({error}): get the list again.") from None


@dataclass(frozen=True)
class List:
    """A list of CelebA as it was found: where, and its bytes."""

    label: str
    content: bytes

    def rows(self) -> Rows:
        """The lines that hold anything, with their numbers."""
        lines = re.split(r"\r\n|\n|\r", _text(self.label, _unpacked(self.label, self.content)))
        filled = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip(" \t\0\x1a,;")]
        separator = _separator([line for _, line in filled[:3]])
        return Rows(self.label, filled, separator)

    def table(self) -> tuple[list[str], int, Rows]:
        """The column names, in front of them the place of the pictures' names, and the rows.

        Raises
        ------
        ValueError
            The list is damaged.
        """
        announced, rows = self.rows().counted()
        if len(rows) < 1 or (announced is not None and len(rows) < 2 and announced > 0):
            raise ValueError(f"{self.label} does not begin with a count and a line of attributes: get the list again.")
        header, found = rows.first, rows.behind
        if announced is not None and announced != len(found):
            raise ValueError(f"{self.label} announces {announced} pictures and lists {len(found)}: get the list again.")
        width = len(found.first) if len(found) else len(header)
        names = header if len(header) == width else ["", *header]
        return names, _name_column(names, found), found

    def with_attributes(self, attributes: Mapping[str, bool]) -> tuple[list[str], list[str]]:
        """The pictures that the list names, and those whose attributes are as wanted."""
        found, values = self.attributes(list(attributes)), list(attributes.values())
        return [name for name, _ in found], [name for name, has in found if has == values]

    def attributes(self, asked: Sequence[str]) -> list[tuple[str, list[bool]]]:
        """Each picture's name, and whether it has each of the attributes."""
        names, place, rows = self.table()
        known = [name for i, name in enumerate(names) if i != place and name]
        if not len(rows) or any(_is_sign(name) for name in known):
            raise ValueError(f"{self.label} does not begin with a count and a line of attributes: get the list again.")
        columns = [names.index(check_choice(name, "attribute", known)) for name in asked]
        found, lacks = [], set()
        for number, cells in rows:
            signs = [_sign(cells[column]) if column < len(cells) else None for column in columns]
            if len(cells) != len(names) or None in signs:
                raise ValueError(
                    f"{self.label}, line {number}: expected a name and {len(known)} times 1 or -1 (or 1 and 0)."
                )
            found.append((cells[place], [sign == "1" for sign in signs]))
            lacks |= {sign for sign in signs if sign != "1"}
        if len(lacks) > 1:
            raise ValueError(f"{self.label} has both -1 and 0 under {', '.join(asked)}: write one of them.")
        return found

    def in_split(self, split: str) -> tuple[list[str], list[str]]:
        """The pictures that the list names, and those in a part of the partition."""
        _, rows = self.rows().counted()
        headed = len(rows) > 0 and not any(_part(cell) or _is_file(cell) for cell in rows.first)
        header = [cell.lower() for cell in rows.first] if headed else []
        rows = rows.behind if headed else rows
        place = _name_column(header, rows)
        column = next((header.index(name) for name in ("partition", "split") if name in header), place + 1)
        listed, wanted = [], []
        for number, cells in rows:
            part = _part(cells[column]) if column < len(cells) else None
            if part is None or len(cells) < 2 or (not headed and len(cells) != 2):
                raise ValueError(f"{self.label}, line {number}: expected a name and 0, 1 or 2.")
            listed.append(cells[place])
            if part == SPLITS[split]:
                wanted.append(cells[place])
        return listed, wanted


def _unpacked(label: str, content: bytes) -> bytes:
    """The bytes of a list, also out of a .zip or .gz file of its own."""
    try:
        if content[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(content)) as stream:
                found = stream.read(MOST + 1)
        elif content[:4] == b"PK\3\4":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [m for m in files_in(archive) if "__MACOSX" not in m.filename]
                if len(members) != 1:
                    raise ValueError(f"{label} holds {len(members)} files: unpack it, a list alone is one.")
                with archive.open(members[0]) as member:
                    found = member.read(MOST + 1)
        else:
            return content
    except (OSError, zlib.error, *DAMAGE) as error:
        raise ValueError(f"{label} cannot be unpacked ({error}): get the list again.") from None
    if len(found) > MOST:
        raise ValueError(f"{label} claims more than {MOST:,} bytes: get the list again.")
    return found


def _text(label: str, content: bytes) -> str:
    """The text in whatever an editor saved it: UTF-8 or UTF-16, with a mark at its beginning or without."""
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    guess = "utf-16" if wide else "utf-8-sig"
    if not wide and b"\0" in content[:2]:
        guess = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    try:
        return content.decode(guess)
    except UnicodeDecodeError:
        raise ValueError(f"{label} is no plain text: get the list again.") from None


def _separator(lines: list[str]) -> str | None:
    """What stands between the cells of every one of these lines (but a count); None for blanks."""
    lines = [line for line in lines if not line.strip(",;|\t\"'").isdecimal()]
    return next((mark for mark in ",;|" if lines and all(mark in line for line in lines)), None)


def _name_column(names: list[str], rows: Rows) -> int:
    """Where the pictures' names are: in the column called so, in the first of file names, in the first."""
    lower = [name.lower() for name in names]
    for name in _NAMES:
        if name in lower:
            return lower.index(name)
    first = rows.first if len(rows) else []
    return next((i for i, cell in enumerate(first) if _is_file(cell)), 0)


def _is_file(cell: str) -> bool:
    return PurePosixPath(cell).suffix.lower() in SUFFIXES


def _sign(cell: str) -> str | None:
    """1 for an attribute that is there, -1 or 0 for one that is not; None for anything else."""
    plain = cell.lower().removeprefix("+").removesuffix(".0")
    return "1" if plain in _HAS else _LACKS.get(plain)


def _is_sign(cell: str) -> bool:
    return _sign(cell) is not None


def _part(cell: str) -> str | None:
    """0, 1 or 2 for train, valid or test; None for anything else."""
    plain = cell.lower().removesuffix(".0")
    return plain if plain in SPLITS.values() else _PARTS.get(plain)


def stem(name: str) -> str:
    """What a picture is called, whatever its folder, its suffix, or the case of both."""
    return PurePosixPath(name.replace("\\", "/")).stem.lower()


def chosen(names: Iterator[str] | list[str]) -> frozenset[str]:
    """The stems of names."""
    return frozenset(map(stem, names))
