"""How many directions a stage generates: as published, or so many that little of the pictures' variance is cut.

The rule is empirical, measured in benchmarks/ranks.py; no second moment tells where more directions look worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_count, check_number

Array = NDArray[np.float64]
PUBLISHED = {4: 20, 8: 30, 16: 40, 32: 100, 64: 175}
FINEST = 300  # above 64 pixels, where nothing is published
SETTLED = 32  # pixels from which on chosen ranks do not grow: what is finer is texture, which no Gaussian has
CUT = 0.02  # share of the pictures' variance beyond a chosen rank, at most, where pictures are many


@dataclass(frozen=True)
class Level:
    """Where the eigenvalues of a stage are cut.

    Attributes
    ----------
    rank : int, optional
        Of the stage; beta is the next eigenvalue.
    beta : float, optional
        Instead of a rank. Of neither, the rank is the smallest k with cut (1 - k / n)^2 <= `CUT`, cut the share of the
        variance beyond k.
    pictures : int, optional
        Their number n, without which they are many.
    most : int, optional
        A limit on the rank that is chosen.
    """

    rank: int | None = None
    beta: float | None = None
    pictures: int | None = None
    most: int | None = None

    def is_reached(self, values: Array, variance: Variance) -> bool:
        """Whether leading eigenvalues, descending, are enough of them to know the rank and beta."""
        if self.rank is not None:
            return len(values) > self.rank
        if self.beta is not None:
            return bool(values[-1] <= self.beta)
        return len(values) > self.of(values, variance)[0]

    def of(self, values: Array, variance: Variance) -> tuple[int, float]:
        """The rank and beta, for leading eigenvalues that are enough, or all."""
        rank = self.rank
        if self.beta is not None:
            return int(np.count_nonzero(values > self.beta)), float(self.beta)
        if rank is None:
            left = variance.game - np.cumsum(values)
            if self.pictures is not None:
                left = left * (1 - np.arange(1, len(values) + 1) / self.pictures) ** 2
            rank = 1 + int(np.count_nonzero(left > CUT * variance.pictures))
            rank = rank if self.most is None else min(rank, self.most)
        return rank, float(values[rank]) if rank < len(values) else 0.0


class Variance(NamedTuple):
    """The variance of what a stage's game is played on, and of the pictures at its size, in squared pixels in [-1, 1].

    They differ with skip connections, where the game is played on what upsampling coarser pictures lacks.
    """

    game: float
    pictures: float

    def lost(self, values: Array, kept: Array) -> tuple[float, float]:
        """The shares of the pictures' variance that lie beyond the rank, and that beta takes off what lies within.

        Parameters
        ----------
        values : (k,) array
            The data's leading eigenvalues.
        kept : (k,) array
            The generator's.
        """
        whole = self.pictures or 1.0
        within = float(np.sum(values))
        return max(self.game - within, 0.0) / whole, max(within - float(np.sum(kept)), 0.0) / whole


def published_ranks(sizes: Sequence[int], channels: int, n: int) -> list[int]:
    """The ranks that were published, for n pictures."""
    wanted = [PUBLISHED.get(size, 20 if size < 4 else FINEST) for size in sizes]
    return [min(rank, largest_rank(size, channels, n)) for rank, size in zip(wanted, sizes, strict=True)]


def largest_rank(size: int, channels: int, n: int) -> int:
    """The largest rank that n centred pictures can have."""
    return min(size * size * channels, n - 1)


def largest_chosen_rank(size: int, channels: int, n: int) -> int:
    """The largest rank that is chosen for n pictures: where they are few, one direction is left for beta to be its
    variance, which would be 0 otherwise, and the model the mean and covariance of these pictures and nothing more."""
    return max(min(size * size * channels, n - 2), 1)


def cut_levels(
    ranks: Sequence[int] | str | None, betas: Sequence[float] | None, sizes: list[int], channels: int, n: int
) -> list[Level]:
    """Where the eigenvalues of each stage are cut, from ranks or betas that a user gives for n pictures.

    Raises
    ------
    ValueError
        They are no list with one entry for each size, or a rank is larger than that of the pictures.
    """
    if isinstance(ranks, str):
        if ranks != "published":
            raise ValueError(f"ranks must be a list, one entry for each stage, or 'published', got {ranks!r}.")
        return [Level(rank) for rank in published_ranks(sizes, channels, n)]
    given = ranks if betas is None else betas
    name = "ranks" if betas is None else "betas"
    if given is not None and not hasattr(given, "__len__"):
        raise ValueError(f"{name} must be a list, one entry for each of the sizes {sizes}, got {given!r}.")
    if given is not None and len(given) != len(sizes):
        raise ValueError(f"{name} has {len(given)} entries for the {len(sizes)} sizes {sizes}: pass one each.")
    if betas is not None:
        return [Level(beta=check_number(beta, "betas")) for beta in betas]
    if ranks is None:
        return [Level(pictures=n, most=largest_chosen_rank(size, channels, n)) for size in sizes]
    for rank, size in zip(ranks, sizes, strict=True):
        limit = largest_rank(size, channels, n)
        if check_count(rank, "ranks") > limit:
            raise ValueError(f"rank {rank} at size {size} exceeds {limit}, the most {n} such pictures have.")
    return [Level(rank) for rank in ranks]
