"""Archives of pictures, zip or tar, read in place: nothing is ever unpacked to the disk."""

from __future__ import annotations

import os
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from convexgan._tools.files import DAMAGE, files_in
from convexgan.datasets.account import Count, Skipped, counts, listed
from convexgan.datasets.formats import COMMON, SUFFIXES
from convexgan.datasets.listing import Entry, Listing
from convexgan.datasets.own import is_own_report
from convexgan.datasets.pictures import MAX_BYTES
from convexgan.datasets.walk import HIDDEN, NO_PICTURE, OWN, is_hidden

ARCHIVE_SUFFIXES = frozenset({".zip", ".tar"})
PACKED_TARS = frozenset({".tgz", ".gz", ".bz2", ".tbz2", ".xz", ".txz", ".zst"})
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of the name and the extra field that follow


@dataclass(frozen=True)
class Archive:
    """An archive whose members are read by their place, so that any process can read any of them."""

    root: Path

    def read(self, entry: Entry) -> bytes:
        """The bytes of a member, checked against the archive's own checksum where it has one."""
        with self.root.open("rb") as file:
            file.seek(entry.offset)
            if entry.crc is not None:  # zip: a header of its own comes before the member
                signature, name, extra = _LOCAL_HEADER.unpack(_exactly(file.read(_LOCAL_HEADER.size), 30))
                if signature != b"PK\3\4":
                    raise ValueError("the archive's index points beside the member")
                file.seek(name + extra, os.SEEK_CUR)
            content = _exactly(file.read(entry.packed), entry.packed)
        if entry.deflated:
            content = _exactly(zlib.decompressobj(-15).decompress(content, entry.size + 1), entry.size)
        if entry.crc is not None and zlib.crc32(content) != entry.crc:
            raise ValueError("its checksum differs from the archive's index")
        return content

    def mark(self, entry: Entry) -> tuple[int, int | None]:
        """Size and checksum of a member."""
        return entry.size, entry.crc

    def stamp(self, entry: Entry) -> tuple[int, int]:
        """Size and time of last change of the archive."""
        status = self.root.stat()
        return status.st_size, status.st_mtime_ns


def _exactly(content: bytes, size: int) -> bytes:
    if len(content) != size:
        raise ValueError("the member is truncated or damaged")
    return content


def is_archive(path: Path) -> bool:
    """Whether the suffix is that of an archive; raises for archives that cannot be read in place."""
    if path.suffix.lower() in PACKED_TARS:
        raise ValueError(
            f"{path} is compressed as a whole, so its pictures cannot be reached one by one: unpack it to a .tar file "
            "(gunzip, bunzip2, unxz), or make a .zip of it."
        )
    return path.suffix.lower() in ARCHIVE_SUFFIXES


def list_archive(path: str | os.PathLike[str]) -> Listing:
    """The pictures in a .zip or .tar file, sorted by name; members that are hidden, no
    pictures, or of a run of convexgan are left out and counted.

    Members whose names lead outside the archive, links, encrypted and absurdly large ones are skipped, each with
    its reason.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is no such archive, or holds no pictures.
    """
    archive = Path(path)
    if not archive.exists():
        raise FileNotFoundError(f"archive {archive} does not exist: check the path (seen from {Path.cwd()}).")
    pictures, others = _told_apart(archive)
    entries: dict[str, Entry] = {}
    skipped = []
    for entry, problem in pictures:
        problem = problem or ("a second member of this name" if entry.name in entries else None)
        if problem:
            skipped.append(Skipped(archive / _shown(entry.name), problem))
        else:
            entries[entry.name] = entry
    if not entries:
        first = f"; the first, {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        left = f"; left out: {listed(others)}" if others else ""
        raise ValueError(f"archive {archive} holds no pictures ({COMMON}) that can be read{first}{left}.")
    ordered = tuple(entries[name] for name in sorted(entries))
    return Listing(archive.stem, Archive(archive), ordered, tuple(skipped), others)


def _told_apart(archive: Path) -> tuple[list[tuple[Entry, str | None]], tuple[Count, ...]]:
    """The members that are pictures, each with what is wrong with it, and how many others there are."""
    pictures, omitted, runs = [], Counter[str](), _own_runs(archive)
    for entry, problem in _members(archive):
        parts = entry.name.replace("\\", "/").split("/")
        suffix = PurePosixPath(parts[-1]).suffix.lower()
        if any(is_hidden(part) for part in parts if part != ".."):
            omitted[HIDDEN] += 1
        elif any(entry.name.startswith(run) for run in runs):
            omitted[OWN] += 1
        elif suffix in SUFFIXES:
            pictures.append((entry, problem or _problem(entry)))
        else:
            omitted[f"{NO_PICTURE} ({suffix or 'without a suffix'})"] += 1
    return pictures, counts(omitted)


def _own_runs(archive: Path) -> tuple[str, ...]:
    """The folders in an archive that are runs of convexgan, by how the names in them begin."""
    found = []
    for entry, problem in _members(archive):
        if PurePosixPath(entry.name).name == "report.json" and not problem and not _problem(entry):
            with suppress(ValueError, OSError, *DAMAGE):
                if is_own_report(Archive(archive).read(entry)):
                    found.append(entry.name.removesuffix("report.json"))
    return tuple(found)


def named_members(archive: Path) -> Iterator[tuple[str, Entry]]:
    """Each sound member that is no picture and not hidden, with its name without folders."""
    for entry, problem in _members(archive):
        parts = entry.name.replace("\\", "/").split("/")
        if not (problem or _problem(entry) or any(is_hidden(part) for part in parts)):
            yield parts[-1], entry


def _members(archive: Path) -> Iterator[tuple[Entry, str | None]]:
    """Each member that is no folder, and what is wrong with it."""
    try:
        yield from (_zip_members if archive.suffix.lower() == ".zip" else _tar_members)(archive)
    except (tarfile.TarError, ValueError, *DAMAGE) as e:
        raise ValueError(f"archive {archive} cannot be read ({e or type(e).__name__}): make it again.") from None


def _zip_members(path: Path) -> Iterator[tuple[Entry, str | None]]:
    """Each member of a zip file, and what is wrong with it."""
    with zipfile.ZipFile(path) as archive:
        for info in files_in(archive):
            problem = None
            if info.flag_bits & 0x1:
                problem = "it is encrypted"
            elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                problem = "its compression is neither stored nor deflate"
            elif info.external_attr >> 28 == 0o12:
                problem = "it is a link"
            place = info.header_offset, info.compress_size, info.file_size
            yield Entry(info.filename, *place, info.compress_type == zipfile.ZIP_DEFLATED, info.CRC), problem


def _tar_members(path: Path) -> Iterator[tuple[Entry, str | None]]:
    """Each member of an uncompressed tar file, and what is wrong with it."""
    with tarfile.open(path, "r:") as archive:
        for info in archive:
            if info.isdir():
                continue
            problem = "it is a link or no plain file" if not info.isreg() or info.issparse() else None
            yield Entry(info.name, info.offset_data, info.size, info.size), problem


def _problem(entry: Entry) -> str | None:
    """Why a member is refused for its name or its size."""
    parts = entry.name.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or parts[0].endswith(":"):
        return "its name leads outside the archive"
    if not entry.name.isprintable():
        return "its name has control characters"
    if max(entry.size, entry.packed) > MAX_BYTES:
        return f"it claims more than {MAX_BYTES:,} bytes"
    return None


def _shown(name: str) -> str:
    """A member's name, harmless to print and to join to a path."""
    return ascii(name)[1:-1].lstrip("/\\")
