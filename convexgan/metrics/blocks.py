"""Blocks of pictures: one cut of a sample serves the bootstrap and the real-against-real floor of a distance.

A sample is dealt at random into a few blocks, and a metric is written as a function of how often each block counts. All
ones is the value, multinomial counts are a bootstrap draw, and two sets of real blocks without a common member are
real pictures against other real pictures. So a metric that adds over blocks keeps its blocks only, never the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_count
from convexgan.metrics.result import Result

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
BLOCKS = 32


@dataclass(frozen=True)
class Bootstrap:
    """How to draw intervals: the number of draws, their level, and the seed."""

    resamples: int = 100
    level: float = 0.95
    rng: int = 0

    def __post_init__(self) -> None:
        check_count(self.resamples, "resamples")
        check_count(self.rng, "rng", 0)
        if not 0 < self.level < 1:
            raise ValueError(f"level must lie strictly between 0 and 1, got {self.level!r}.")

    @property
    def reached(self) -> float:
        """The level that intervals between draws have: the range of B of them holds (B - 1) / (B + 1), no more.

        Of B + 1 exchangeable numbers one more lies below all B draws, or above, with probability 1 / (B + 1) each.
        """
        return min(self.level, (self.resamples - 1) / (self.resamples + 1))

    def ends(self, draws: Sequence[float]) -> tuple[float, float]:
        """The quantiles of the draws that leave half of 1 - `reached` outside each."""
        low, high = np.quantile(draws, [(1 - self.reached) / 2, (1 + self.reached) / 2], method="weibull")
        return float(low), float(high)


@dataclass(frozen=True)
class Measured:
    """A value with its interval, and its floor with the interval of what a perfect generator scores."""

    value: float
    low: float
    high: float
    level: float
    floor: float
    floor_low: float
    floor_high: float
    floor_sizes: tuple[int, int]

    def result(self, metric: str, extractor: str, real: int, fake: int, note: str = "") -> Result:
        """The result under a metric's name, with the numbers of pictures."""
        numbers = self.value, self.low, self.high, self.level, self.floor, self.floor_low, self.floor_high
        return Result(metric, *numbers, real, fake, self.floor_sizes, extractor, note)


def deal(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The block of each of n rows, (n,): random, of sizes that differ by at most one."""
    return rng.permutation(n) % BLOCKS


def measure(
    between: Callable[[Counts, Counts], float],
    within: Callable[[Counts, Counts], float],
    real: Counts,
    fake: Counts,
    bootstrap: Bootstrap,
    rate: float,
    least: float = -np.inf,
) -> Measured:
    """The value, its basic bootstrap interval and the mean floor of a metric of blocks.

    Parameters
    ----------
    between : function of two counts
        The metric, real blocks counted so often against fake blocks counted so often.
    within : function of two counts
        The same with real blocks on both sides.
    real, fake : (K,) and (L,) arrays
        Sizes of the blocks.
    bootstrap : Bootstrap
    rate : float
        For two samples of one law the metric falls like (1/n + 1/m)^rate.
    least : float
        The smallest value the metric can have.

    Notes
    -----
    The interval is 2 value - quantiles of the draws: resampling adds the sampling bias of the metric once more, and
    reflecting at the value takes it off. Davison and Hinkley, Bootstrap Methods and their Application, 1997,
    section 5.2.

    The floor is measured on two parts of the real pictures, fewer than the value has, and brought to its sizes by the
    rate. Of two samples of one law means differ by a covariance times 1/n + 1/m, up to higher orders the same for
    all sizes; a squared distance is quadratic in such differences, a distance is its root.
    """
    rng = np.random.default_rng(bootstrap.rng)
    value = between(np.ones_like(real), np.ones_like(fake))
    draws = [between(_resample(len(real), rng), _resample(len(fake), rng)) for _ in range(bootstrap.resamples)]
    high, low = (max(2 * value - end, least) for end in bootstrap.ends(draws))
    floors, sizes = [], (0, 0)
    for _ in range(bootstrap.resamples):
        left, right = split(real, int(fake.sum()), rng)
        sizes = int(left @ real), int(right @ real)
        share = (1 / real.sum() + 1 / fake.sum()) / (1 / sizes[0] + 1 / sizes[1])
        floors.append(within(left, right) * share**rate)
    level, floor = bootstrap.reached, float(np.mean(floors))
    return Measured(value, low, high, level, floor, *bootstrap.ends(floors), sizes)


def split(real: Counts, fake: int, rng: np.random.Generator) -> tuple[Counts, Counts]:
    """Real blocks in two parts, the second as large as the fake sample if that is at most half of the real one."""
    share = min(fake / real.sum(), 0.5)
    second = np.zeros_like(real)
    second[rng.permutation(len(real))[: max(1, round(share * len(real)))]] = 1
    return 1 - second, second


def _resample(blocks: int, rng: np.random.Generator) -> Counts:
    """How often each block is drawn, at least two different ones: from one alone nothing varies."""
    while True:
        counts = rng.multinomial(blocks, np.full(blocks, 1 / blocks))
        if np.count_nonzero(counts) > 1:
            return counts
