"""What became of every file of a source: read, skipped, left out, converted; in numbers that add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

NAMED = 5  # reasons, or suffixes, that a line names


class Skipped(NamedTuple):
    """A picture that was left out because it could not be read, and why."""

    path: Path
    reason: str


class Count(NamedTuple):
    """A count of files by what was done to them."""

    what: str
    files: int


def counts(found: Mapping[str, int]) -> tuple[Count, ...]:
    """The counts by reason, the most frequent first."""
    return tuple(Count(what, files) for what, files in sorted(found.items(), key=lambda item: (-item[1], item[0])))


def merged(*parts: Iterable[Count]) -> tuple[Count, ...]:
    """The counts of several parts, added up."""
    total: Counter[str] = Counter()
    for part in parts:
        for count in part:
            total[count.what] += count.files
    return counts(total)


def listed(found: Sequence[Count]) -> str:
    """The counts in words, the first few by name: 3 hidden, 1 no picture (.txt)."""
    text = ", ".join(f"{count.files:,} {count.what}" for count in found[:NAMED])
    more = sum(count.files for count in found[NAMED:])
    return text + (f", {more:,} for other reasons" if more else "")


def describe(
    name: str,
    count: int,
    shape: tuple[int, ...],
    skipped: Sequence[Skipped] = (),
    omitted: Sequence[Count] = (),
    converted: Sequence[Count] = (),
    notes: Sequence[str] = (),
) -> str:
    """One line on pictures of shape (size, size) or (size, size, 3): how many, and what became of the other files."""
    kind = "grey" if len(shape) == 2 else "colour"
    parts = [f"{name}: {count:,} {kind} picture{'s' * (count != 1)} of {shape[0]} x {shape[1]} pixels"]
    files = count + len(skipped) + sum(other.files for other in omitted)
    if skipped:
        why = listed(counts(Counter(one.reason for one in skipped)))
        parts.append(f"{len(skipped):,} of {files:,} file{'s' * (files != 1)} skipped: {why}")
    if omitted:
        parts.append(f"{'' if skipped else f'of {files:,} files '}left out: {listed(omitted)}")
    if converted:
        parts.append(f"converted: {listed(converted)}")
    return "; ".join([*parts, *notes])


def check_strict(strict: bool, skipped: Sequence[Skipped]) -> None:
    """Raise if there are pictures that cannot be read and none may be left out, naming the first few."""
    if strict and skipped:
        first = "; ".join(f"{one.path}: {one.reason}" for one in skipped[:3])
        more = f" (and {len(skipped) - 3:,} more)" if len(skipped) > 3 else ""
        raise ValueError(f"{first}{more}. Remove or mend what is named, or leave strict out to go on without it.")


def check_some(name: str, kept: int, skipped: Sequence[Skipped], omitted: Sequence[Count] = ()) -> None:
    """Raise if no picture could be read."""
    if not kept:
        first = f"the first, {skipped[0].path}: {skipped[0].reason}" if skipped else f"left out: {listed(omitted)}"
        raise ValueError(f"{name}: none of {len(skipped)} pictures can be read; {first}.")
