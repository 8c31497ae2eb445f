"""Pictures of several classes: a stage for each at every size, under one beta, with one certificate.

Class c of share pi_c plays the quadratic game with beta / pi_c (`convexgan.games.conditional`), so the eigenvalues of
all classes, each times its share, are those of the whole game: its rank is how many of them exceed beta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.classes import as_labels, grouped
from convexgan._tools.memory import physical_memory
from convexgan._tools.tables import Label
from convexgan.games.conditional import class_beta, joint_certificate
from convexgan.progressive.passes import Journal, Phase, Pictures, SomePictures, silent
from convexgan.progressive.ranks import Level, Variance, largest_chosen_rank
from convexgan.progressive.stages import TOLERANCE, Stage
from convexgan.progressive.streaming import BASE_BYTES, StageData, StageMoments
from convexgan.records.certificate import Certificate

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Members(SomePictures):
    """The pictures of one class."""

    label: Label


def members(pictures: Pictures, labels: Any) -> list[Members]:
    """The pictures of each class, classes sorted.

    Raises
    ------
    ValueError
        Labels of another length or missing; a class of one picture, which has no covariance.
    """
    classes, of = grouped(as_labels(labels, len(pictures), "images"))
    classed = [Members(pictures, np.flatnonzero(of == i), label) for i, label in enumerate(classes)]
    few = [member.label for member in classed if len(member) < 2]
    if few:
        raise ValueError(
            f"labels: class {few[0]!r} has one picture, and at least two are needed to have a covariance: add pictures "
            "to it, or join it to another."
        )
    return classed


@dataclass(frozen=True, eq=False)
class JointStage:
    """The stages of all classes at one size.

    Attributes
    ----------
    parts : tuple of Stage
        One for each class.
    counts : tuple of int
        Pictures of each class.
    classes : tuple of str or int
    beta : float
        Of all; each class's own is that over its share.
    """

    parts: tuple[Stage, ...]
    counts: tuple[int, ...]
    classes: tuple[Label, ...]
    beta: float

    @property
    def size(self) -> int:
        """Pixels along each edge."""
        return self.parts[0].size

    @property
    def rank(self) -> int:
        """The rank of all classes together."""
        return sum(part.rank for part in self.parts)

    @property
    def lost(self) -> tuple[float, float]:
        """The shares of the variance within classes that ranks cut off, and that beta takes off what is within them."""
        weights = [n * part.variance.pictures for n, part in zip(self.counts, self.parts, strict=True)]
        lost = np.array([part.lost for part in self.parts])
        whole = np.array(weights) / (sum(weights) or 1.0)
        return float(whole @ lost[:, 0]), float(whole @ lost[:, 1])

    @cached_property
    def certificate(self) -> Certificate:
        """The certificate of the game of all classes."""
        proofs = [part.certificate for part in self.parts]
        return joint_certificate(proofs, self.classes, self.counts, self.beta, TOLERANCE)


class ClassMoments:
    """What the stages of all classes play on, see `StageMoments`, whose parameters these are."""

    def __init__(
        self,
        parts: Sequence[Members],
        sizes: list[int],
        *,
        memory: int | None = None,
        journal: Journal | None = None,
        phase: Phase = silent,
        **how: Any,
    ) -> None:
        whole = physical_memory() // 2 if memory is None else memory
        how["memory"] = BASE_BYTES + (whole - BASE_BYTES) // len(parts)  # all are kept at once
        self.counts, self.shape = tuple(len(part) for part in parts), parts[0].shape
        self.classes = tuple(part.label for part in parts)
        self.moments = [
            StageMoments(
                part,
                sizes,
                journal=None if journal is None else journal.within(f"class-{i}"),
                phase=partial(_named, phase, part.label),
                **how,
            )
            for i, part in enumerate(parts)
        ]
        self.arithmetic = ", ".join(sorted({moments.arithmetic for moments in self.moments}))

    def at(self, size: int, level: Level) -> tuple[list[StageData], float]:
        """What each class plays on at a size, with the rank and beta of its own; and the beta of all."""
        total = sum(self.counts)
        shares = np.array(self.counts) / total
        data = [one.at(size, self._own(size, level, n)) for one, n in zip(self.moments, self.counts, strict=True)]
        while True:
            spectra = [share * _leading(one) for share, one in zip(shares, data, strict=True)]
            variance = Variance(*(shares @ [one.variance for one in data]))
            values = np.sort(np.concatenate(spectra))[::-1]
            partly = [  # of the others all are known
                i for i, d in enumerate(data) if d.moments.subspace is not None and len(spectra[i]) < d.moments.dim
            ]
            if partly and not level.is_reached(values, variance):
                more = {i: Level(2 * len(spectra[i])) for i in partly}
            else:
                beta = level.of(values, variance)[1]
                more = {i: Level(beta=beta / float(shares[i])) for i in partly if spectra[i][-1] > beta}
            if not more:
                break
            for i, own in more.items():
                data[i] = self.moments[i].at(size, own)
        betas = [class_beta(beta, n, total) for n in self.counts]
        return [
            one._replace(rank=int(np.count_nonzero(_leading(one) > b)), beta=b)
            for one, b in zip(data, betas, strict=True)
        ], beta

    def _own(self, size: int, level: Level, count: int) -> Level:
        """Where to begin in a class of so many pictures."""
        channels, share = 3 if len(self.shape) == 3 else 1, count / sum(self.counts)
        if level.beta is not None:
            return Level(beta=level.beta / share)
        limit = min(largest_chosen_rank(size, channels, count), level.most or size * size * channels)
        if level.rank is None:
            return Level(pictures=count, most=limit)
        return Level(min(1 + int(share * level.rank), limit))


def _named(phase: Phase, label: Label, name: str, total: int) -> AbstractContextManager[Callable[[int], object]]:
    """A pass over one class."""
    return phase(f"{label}: {name}", total)


def _leading(data: StageData) -> Array:
    """The leading eigenvalues of a class that are known: all, or as many as were asked for."""
    values = data.moments.spectrum.values
    return values if data.moments.subspace is None else values[: data.rank + 1]


def with_levels(levels: Sequence[Level], counts: Sequence[int], sizes: Sequence[int], channels: int) -> list[Level]:
    """Levels of all classes together: ranks count directions of every class, and each leaves one of few pictures."""
    limited = []
    for level, size in zip(levels, sizes, strict=True):
        limit = sum(largest_chosen_rank(size, channels, n) for n in counts)
        if level.rank is not None and level.rank > limit:
            raise ValueError(f"rank {level.rank} at size {size} exceeds {limit}, the most that so many classes have.")
        limited.append(level if level.most is None else replace(level, most=limit))
    return limited
