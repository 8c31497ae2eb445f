"""The only place where a certificate is built: what numbers that are proved, each by itself, prove together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from convexgan._tools.rounding import down, gamma, scaled_down, scaled_up, up
from convexgan.records.certificate import Certificate, Evidence, Kind, relative_gap

Bound = tuple[float, str]
ORIGIN = "the generator's best response to the discriminator"
NOTHING = "costs are non-negative"
WEYL = "eigenvalue inequalities (Weyl, von Neumann)"
JENSEN = "partial means of the data along orthogonal directions (Jensen)"
LINEAR = "partial means of the data, and of rows that are linear in the features"
EVEN = "squares of weights whose sum is 1"
DUAL = "the dual of the semi-infinite program"
RISING = "the generator's best response to the rising neurons"
WORST: tuple[Kind, ...] = ("infeasible", "stationary", "restricted", "bounded", "minimax")
TIE = 1e-9  # relative: which of two bounds is better is then rounding


def none_further(_: float) -> list[Bound]:
    """No further bounds."""
    return []


@dataclass(frozen=True, eq=False)
class Proved:
    """What was computed from the data in a game's canonical units; every number is a bound that includes rounding.

    Attributes
    ----------
    value, ipm : float
        At least those of the generator.
    max_min : float
        At most what the discriminator guarantees.
    beta : float or None
    size : float
        Of the ipm of a generator of zeros, to which, or to beta, violations are relative.
    rows, value_scale : int and float
        As in `MomentGame`.
    noise, unseen : float
        The sizes below which a value, and an ipm, are rounding.
    further : callable
        From the violation that counts as none to further lower bounds on the optimum, and where each comes from.
    """

    value: float
    ipm: float
    max_min: float
    beta: float | None
    size: float
    rows: int = 1
    value_scale: float = 1.0
    noise: float = 0.0
    unseen: float = 0.0
    further: Callable[[float], list[Bound]] = none_further


def judge(
    proved: Proved,
    evidence: Evidence,
    tol: float,
    *,
    unproved: Kind = "bounded",
    min_neurons: int | None = None,
    max_neurons: int | None = None,
) -> Certificate:
    """The certificate, in the user's units.

    Parameters
    ----------
    evidence : Evidence
        Whose discriminator is that of ``max_min``.
    tol : float
        Relative tolerance on gap and violation.
    unproved : str
        The kind if optimality is not proved.
    min_neurons, max_neurons : int, optional
        The smallest width with a saddle point, where it is known; and the width that is allowed.
    """
    value, ipm = _numbered(proved.value, math.inf), _numbered(proved.ipm, math.inf)
    max_min, beta = _numbered(proved.max_min, -math.inf), proved.beta
    violation = 0.0 if beta is None else max(ipm - (down(beta) if proved.rows > 1 else beta), 0.0)
    scale = max(beta or 0.0, proved.size)
    relative = relative_violation(violation, scale, proved.unseen)
    # what a violation is worth at most: the discriminator's norm times that
    bought = float(np.abs(evidence.arrays["outer"]).sum()) * min(violation, proved.unseen)

    def cheap(bound: float) -> bool:
        """Whether the value is below a bound by more than tolerance, rounding and violation account for."""
        below = relative_gap(value, bound, proved.noise) < -tol
        return below and bound - value > proved.noise + bought

    saddle = relative_gap(value, max_min, proved.noise) <= tol and not cheap(max_min)
    bound, origin = (max_min, ORIGIN) if saddle else _best(max_min, proved.further(tol * scale))
    kind = unproved
    if relative > tol or cheap(bound):
        kind = "infeasible"
    elif saddle:
        kind = "saddle"
    elif relative_gap(value, bound, proved.noise) <= tol:
        kind = "minimax"
        if max_neurons is not None and min_neurons is not None and max_neurons < min_neurons:
            bound, origin = max_min, f"max-min over discriminators of {max_neurons} neurons"
    return Certificate(
        scaled_up(value, proved.value_scale),
        scaled_down(bound, proved.value_scale),
        scaled_up(ipm, proved.rows),
        scaled_up(violation, proved.rows),
        relative,
        kind,
        scaled_down(max_min, proved.value_scale),
        min_neurons,
        origin,
        proved.noise * proved.value_scale,
        tol,
        evidence,
    )


def combined(
    parts: Sequence[Certificate], counts: Sequence[int], beta: float, evidence: Evidence, tol: float
) -> Certificate:
    """The certificate of a game that is the mean of others, in shares, with the largest of their ipms times its share.

    Parameters
    ----------
    parts : sequence of Certificate
        In the units of their own games, of beta over the share.
    counts : sequence of int
        Rows of each.
    beta : float
        Of all.
    evidence : Evidence
    tol : float
        As of `judge`.
    """
    total, kinds, widths = sum(counts), {part.kind for part in parts}, [part.min_neurons for part in parts]

    def mean(numbers: list[float], side: int) -> float:
        """At least (1) or at most (-1) the mean of the numbers in shares."""
        if not all(map(math.isfinite, numbers)):
            return max(numbers) if side > 0 else min(numbers)
        sums = [math.fsum(c * f(x) for c, x in zip(counts, numbers, strict=True)) / total for f in (float, abs)]
        return sums[0] + side * gamma(8) * sums[1]

    ipm = up(max(count * part.ipm for count, part in zip(counts, parts, strict=True)) / total)
    error = up(max(count * part.eigenvalue_error for count, part in zip(counts, parts, strict=True)) / total)
    worst = max(part.relative_violation for part in parts)
    kind: Kind = next((kind for kind in WORST if kind in kinds), "saddle")
    return Certificate(
        mean([part.value for part in parts], 1),
        mean([part.bound for part in parts], -1),
        ipm,
        max(ipm - beta, 0.0),
        worst,
        "infeasible" if worst > tol else kind,
        mean([part.max_min for part in parts], -1),
        None if None in widths else sum(width for width in widths if width is not None),
        "; ".join(sorted({part.origin for part in parts})),
        mean([part.rounding for part in parts], 1),
        tol,
        evidence,
        error,
        sum(part.failure for part in parts),
    )


def relative_violation(violation: float, scale: float, rounding: float = 0.0) -> float:
    """violation / scale, 0 if both are at most ``rounding``; infinite where the violation is, or none is known."""
    if not math.isfinite(violation):
        return math.inf
    return 0.0 if max(violation, scale) <= rounding else violation / scale if scale > 0 else math.inf


def _best(max_min: float, further: list[Bound]) -> Bound:
    """The largest lower bound; what the discriminator guarantees if that is as large."""
    candidates = [(max_min, ORIGIN), (0.0, NOTHING), *further]
    best = max(candidates, key=lambda pair: _numbered(pair[0], -math.inf))
    return candidates[0] if max_min >= best[0] * (1 - TIE) else best


def _numbered(number: float, unknown: float) -> float:
    """The number, or what stands for one that overflow has made none."""
    return unknown if math.isnan(number) else number
