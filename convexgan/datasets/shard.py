"""The record beside a shard of decoded pictures, believed only if it is one."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from convexgan.datasets.listing import Tally


class Shard(NamedTuple):
    """The record beside a shard's pixels: a stamp of the files and their content, and the numbers of a `Tally`."""

    pictures: int
    channels: int
    sha256: str
    stamp: str
    content: str
    tally: tuple[int, int, int]
    changes: tuple[tuple[str, int], ...]
    skipped: tuple[tuple[str, str], ...]
    decoders: tuple[tuple[str, int], ...] = ()  # of version 0.2 and earlier: Pillow, of no known version

    @property
    def counted(self) -> Tally:
        """The tally of a shard's pictures: colours, conversions, decoders."""
        decoders = dict(self.decoders) or {"Pillow": self.pictures}
        return Tally(*self.tally, Counter(dict(self.changes)), Counter(decoders))


def typed(skipped: Any, changes: Any, tally: Any, decoders: Any = (), **fields: Any) -> Shard:
    """The record of these fields; raises TypeError or ValueError if one is of another kind."""
    pairs = tuple((name, why) for name, why in skipped)
    done, read = (tuple((what, files) for what, files in counted) for counted in (changes, decoders))
    shard = Shard(**fields, tally=tuple(tally), changes=done, skipped=pairs, decoders=read)
    texts = [shard.sha256, shard.stamp, shard.content, *(text for pair in pairs for text in pair)]
    numbers = [shard.pictures, *shard.tally, *(files for _, files in done + read)]
    if not all(isinstance(text, str) for text in [*texts, *(what for what, _ in done + read)]):
        raise TypeError
    if not all(type(number) is int and number >= 0 for number in numbers) or shard.channels not in (1, 3):
        raise TypeError
    if len(shard.tally) != 3 or sum(shard.tally) != shard.pictures:
        raise ValueError
    return shard
