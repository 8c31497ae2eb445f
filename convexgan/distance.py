"""How far generated samples are from the data, where no optimum is known, and what a certificate says, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from convexgan._tools.arrays import as_rows, paired
from convexgan._tools.checks import as_rng
from convexgan.discrepancy import held_out, ipm
from convexgan.discriminators import as_discriminator
from convexgan.discriminators.activation import Activation, needs_rows
from convexgan.records.certificate import Certificate
from convexgan.statistics.moments import Moments

DRAWS = 39  # of a perfect generator: another lies between the least and the largest with probability 38 / 40
LEVEL = 0.95
COMPLETE = 1024  # rows or columns, whichever are fewer, up to which perfect generators are drawn


@dataclass(frozen=True)
class Distance:
    """How far generated samples are from data, by the best discriminator of norm 1.

    Attributes
    ----------
    ipm : float
        What the best discriminator found sees.
    upper_bound : float
        A proved upper bound on what any of them sees.
    low, high : float
        A bootstrap interval for the law behind the data, see `held_out`; NaN of moments and of neurons that need rows.
    floor_low, floor_high : float
        Between what a perfect generator scores, samples as many as these drawn from the data; NaN as above, and where
        there are more than 1,024 rows and columns.
    level : float
        Of both intervals.
    discriminator : str
        The class of the discriminators.
    """

    ipm: float
    upper_bound: float
    low: float
    high: float
    floor_low: float
    floor_high: float
    level: float
    discriminator: str

    def __str__(self) -> str:
        lines = [
            "no certificate: without a generator penalty nothing is known of the optimum",
            f"  ipm                 {self.ipm:.10g}, at most {self.upper_bound:.10g}",
        ]
        if not math.isnan(self.low):
            lines.append(f"  of the law          {self.low:.6g} to {self.high:.6g}   ({self.level:.0%} interval)")
        if not math.isnan(self.floor_low):
            lines.append(f"  a perfect one       {self.floor_low:.6g} to {self.floor_high:.6g}   ({self.level:.0%})")
        return "\n".join(lines)

    @property
    def verdict(self) -> str:
        """How far the samples are from the data, and whether a better generator is possible, in words."""
        seen = f"The best {self.discriminator} discriminator of norm 1 tells samples and data apart by {self.ipm:.3g}"
        if math.isnan(self.floor_low):
            return f"{seen}. A perfect generator would be at 0, but for the chance in samples."
        if self.ipm > self.floor_high:
            return f"{seen}, a perfect generator by at most {self.floor_high:.3g}: a better one is possible."
        return f"{seen}, which is what chance does to a perfect generator: these discriminators see none better."


def distance(
    X: Any,
    Y: Any,
    discriminator: str | Activation = "quadratic",
    *,
    bias: str = "none",
    time_limit: float | None = None,
    rng: int | np.random.Generator | None = 0,
) -> Distance:
    """How far generated samples are from data: ipm, an interval, and what a perfect generator scores.

    Parameters
    ----------
    X : (n, d) array or Moments
        Real rows, best such as the generator was not trained on.
    Y : (m, d) array or Moments
        Generated rows.
    discriminator, bias, time_limit : as in `ipm`
    rng : seed or Generator
        Of the bootstrap.
    """
    X, Y = paired(X, Y)
    activation, draw = as_discriminator(discriminator), as_rng(rng)
    found = ipm(X, Y, activation, bias=bias, time_limit=time_limit)
    interval = floor = (math.nan, math.nan)
    if not isinstance(X, Moments) and not needs_rows(activation) and bias == "none":
        kept = held_out(X, Y, activation, level=LEVEL, rng=draw)
        interval = kept.low, kept.high
        floor = _perfect(as_rows(X, "X"), Y, activation, draw)
    return Distance(found.value, found.upper_bound, *interval, *floor, LEVEL, activation.name)


def _perfect(X: Any, Y: Any, activation: Activation, rng: np.random.Generator) -> tuple[float, float]:
    """The least and the largest ipm of samples drawn from the data, as many as the generated ones, and of others."""
    n, m = len(X), Y.count or len(X) if isinstance(Y, Moments) else len(Y)
    if min(X.shape) > COMPLETE:
        return math.nan, math.nan
    draws = [[X[rng.integers(n, size=size)] for size in (n, m)] for _ in range(DRAWS)]
    found = [ipm(real, fake, activation).value for real, fake in draws]
    return min(found), max(found)


def verdict(certificate: Certificate, discriminator: str) -> str:
    """How far a generator is from the data, and whether a better one is possible, in words."""
    found = certificate
    seen = f"The best {discriminator} discriminator of norm 1 tells samples and data apart by at most {found.ipm:.3g}"
    if found.relative_violation > found.tol:
        return (
            f"{seen}, which is {found.violation:.3g} more than beta allows: the samples are no solution of this game, "
            f"whose solutions cost at least {found.bound:.6g}."
        )
    if found.value - found.bound <= found.tol * max(abs(found.value), abs(found.bound)) + found.rounding:
        return f"{seen}. No better generator is possible: the value {found.value:.6g} is the optimum."
    if found.kind in ("saddle", "minimax", "bounded"):
        share = (found.value - found.bound) / max(abs(found.value), abs(found.bound))
        return (
            f"{seen}. A better generator may be possible: the value is {found.value:.6g}, and none is below "
            f"{found.bound:.6g}, so that at most {share:.1%} can be gained."
        )
    return f"{seen}. The value is {found.value:.6g}, and no generator is below {found.bound:.6g}."
