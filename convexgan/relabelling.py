"""What a discrepancy is after rows have been dealt to two samples anew; many splits at once where that is cheap."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import power_above
from convexgan.arrangements import Maximum, Sampled, SampledOffsets, net_bounds, net_size
from convexgan.discrepancy import IPM, ipm
from convexgan.discriminators import at_most, has_free_offset, separate_all, separate_offsets, separate_rows
from convexgan.discriminators.activation import Activation, is_kinked, needs_rows

Array = NDArray[np.float64]
Split = NDArray[np.bool_]
BATCH = 2**22  # numbers held at a time
MOST = 256  # splits for which a net of cones is gone through once
LEAST = 16  # the same for lines that turn about every row
SEARCHED = 3  # columns up to which each split's ReLU ipm is exact


def all_splits(first: Split, rng: np.random.Generator) -> Iterator[Split]:
    """Every other way to deal as many rows to the first sample, in random order."""
    members = np.array(list(combinations(range(len(first)), int(first.sum()))), dtype=np.int32)
    for i in rng.permutation(len(members)):
        split = np.zeros(len(first), dtype=bool)
        split[members[i]] = True
        if not np.array_equal(split, first):
            yield split


def count_splits(first: int, second: int) -> int:
    """How many ways there are to deal the rows, the one that was found included."""
    return math.comb(first + second, first)


def random_splits(first: Split, rng: np.random.Generator) -> Iterator[Split]:
    """Splits drawn uniformly, without end."""
    signs = np.where(first, 1.0, -1.0)
    while True:
        yield rng.permutation(signs) > 0


@dataclass(frozen=True)
class Statistic:
    """The ipm of weighted rows as a function of which of them are the first sample's.

    Parameters
    ----------
    rows, weights : (N, d) and (N,) arrays
    activation : Activation
    bias : str
    seed : int
        Of the directions, the same for every split, where they are drawn.
    """

    rows: Array
    weights: Array
    activation: Activation
    bias: str
    seed: int

    @cached_property
    def _points(self) -> Array:
        return np.column_stack([self.rows, np.ones((len(self.rows), int(self.bias == "penalized")))])

    @cached_property
    def _scaled(self) -> tuple[Array, float]:
        """The points in units of a power of 2, and that."""
        scale = power_above(self._points)
        return self._points / scale, scale

    @cached_property
    def _draws(self) -> Sampled:
        return Sampled.draw(self._scaled[0], self.seed)

    @cached_property
    def _drawn_offsets(self) -> SampledOffsets:
        return SampledOffsets.draw(self.rows, self.seed)

    @property
    def _free(self) -> bool:
        """Whether neurons have offsets that nothing charges."""
        return needs_rows(self.activation) and has_free_offset(self.activation, self.bias)

    @property
    def sampled(self) -> bool:
        """Whether it is a lower bound from directions that are drawn."""
        return needs_rows(self.activation) and self._points.shape[1] + self._free > SEARCHED

    @property
    def options(self) -> dict[str, Any]:
        """Options with which `ipm` gives the same statistic of one split, or one of other drawn directions."""
        method = "sampled" if self.sampled else "auto"
        return {"discriminator": self.activation, "bias": self.bias, "method": method, "rng": self.seed}

    def values(self, splits: Iterator[Split], least: float, deadline: Deadline) -> Iterator[Array]:
        """A number for each split, some at a time, until they or the time are at an end.

        It is at least ``least`` if the statistic is, and less if that is: the statistic itself or a bound that decides.
        """
        if is_kinked(self.activation) and self._points.shape[1] == SEARCHED and not self._free:
            yield from self._decided(splits, least, deadline)
            return
        if self._free and not self.sampled:
            yield from self._turned(splits, deadline)
            return
        together = self._together
        step = 1 if together is None else max(1, BATCH // together[1])
        while not deadline.over and (some := list(islice(splits, step))):
            if together is not None:
                yield together[0](np.stack([self.shares(split) for split in some]))
            elif (found := self._searched(some[0], least, deadline)) is not None:
                yield np.array([found])
            else:
                return

    def _decided(self, splits: Iterator[Split], least: float, deadline: Deadline) -> Iterator[Array]:
        """The values of ReLU neurons on three columns: what one net of cones for all leaves open is searched."""
        rows, scale = self._scaled
        step = max(1, min(MOST, BATCH // max(len(rows), net_size(len(rows)))))
        while not deadline.over and (some := list(islice(splits, step))):
            weights, slopes = map(np.stack, zip(*(self._sums(self.shares(split)) for split in some), strict=True))
            bounds = net_bounds(rows, weights, slopes, deadline)
            if bounds is None:
                return
            for split, low, high in zip(some, *(scale * bound for bound in bounds), strict=True):
                number = low if low >= least else high if high < least else self._searched(split, least, deadline)
                if number is None:
                    return
                yield np.array([number])

    def _turned(self, splits: Iterator[Split], deadline: Deadline) -> Iterator[Array]:
        """The values of free offsets on one or two columns: lines through each row, sorted once for some splits."""
        count, dim = self.rows.shape
        step = max(LEAST, BATCH // count**dim)
        neuron: Any = self.activation
        rows, scale = self._scaled
        unit = scale if is_kinked(neuron) else 1.0
        while not deadline.over and (some := list(islice(splits, step))):
            found = separate_offsets(neuron, rows, np.stack([self.shares(split) for split in some]), deadline)
            if found is None:
                return
            yield unit * found

    def value(self, split: Split, deadline: Deadline) -> tuple[float, bool]:
        """The statistic of one split, or what a search has found of it by then, and whether it is exact."""
        if needs_rows(self.activation) and self._together is not None:
            return float(self._together[0](self.shares(split)[None])[0]), not self.sampled
        found = self._ipm(split, time_limit=deadline.left)
        return found.value, found.status == "optimal"

    def shares(self, split: Split) -> Array:
        """Weights (N,) that sum to 1 over the first sample and to -1 over the second."""
        first, second = np.where(split, self.weights, 0.0), np.where(split, 0.0, self.weights)
        return np.asarray(first / math.fsum(first) - second / math.fsum(second))

    def rounding(self, split: Split) -> float:
        """By how much statistics may differ that are equal in exact arithmetic."""
        sizes = np.abs(self._points).sum(axis=1)
        if not needs_rows(self.activation):
            a, b, _ = self.activation.coefficients
            sizes = abs(a) * sizes**2 + abs(b) * sizes
        elif not is_kinked(self.activation):
            sizes = at_most(self.activation, sizes)
        return float(64 * np.finfo(float).eps * np.abs(self.shares(split)) @ sizes)

    @property
    def _together(self) -> tuple[Any, int] | None:
        """How many splits are looked at together, and what numbers one of them takes; None if one by one."""
        count, dim = self._points.shape
        if needs_rows(self.activation):
            if self._free:
                return (self._best_offsets, BATCH) if self.sampled else None
            if dim <= 2:
                return self._swept, count
            return (self._drawn, BATCH) if self.sampled and is_kinked(self.activation) else None
        a, b, _ = self.activation.coefficients
        if a == 0:
            return self._shifted, count
        return (self._spectral, max(count, min(count, dim)) * min(count, dim)) if b == 0 else None

    def _swept(self, shares: Array) -> Array:
        """ReLU neurons on one or two columns: the rows are sorted once."""
        neuron: Any = self.activation
        return separate_all(neuron, self._points, shares)

    def _drawn(self, shares: Array) -> Array:
        """ReLU neurons on more columns than are searched: ascents from directions that are drawn once."""
        return np.array([self._draws.value(*self._sums(share)) * self._scaled[1] for share in shares])

    def _best_offsets(self, shares: Array) -> Array:
        """Neurons with free offsets on more columns than are searched: the best offsets of directions drawn once."""
        draws, neuron = self._drawn_offsets, self.activation
        if not needs_rows(neuron) or not is_kinked(neuron):
            return np.array([draws.cut(share) for share in shares])
        return np.array([draws.rectified(share, neuron.slope) for share in shares])

    def _sums(self, share: Array) -> tuple[Array, Array]:
        """Weights (N,) and a slope (p,) with sum_i share_i s(x_i . u) = slope . u + sum_i weights_i max(x_i . u, 0)."""
        neuron: Any = self.activation
        return (1 - neuron.slope) * share, neuron.slope * (share @ self._scaled[0])

    def _shifted(self, shares: Array) -> Array:
        """Linear neurons see the length of the difference of means, with any bias."""
        _, b, _ = self.activation.coefficients  # type: ignore[union-attr]
        centred = self.rows - self.rows.mean(axis=0)  # which cancels
        return np.asarray(abs(b) * np.linalg.norm(shares @ centred, axis=1))

    def _spectral(self, shares: Array) -> Array:
        """Quadratic neurons see the spectral norm of the difference of second moments."""
        a, _, _ = self.activation.coefficients  # type: ignore[union-attr]
        points, scale = self._scaled
        if points.shape[1] > len(points):
            points = np.asarray(np.linalg.qr(points.T, mode="r")).T  # in coordinates of their span
        second = np.matmul(points.T * shares[:, None, :], points)
        return np.asarray(abs(a) * np.abs(np.linalg.eigvalsh(second)).max(axis=1) * scale**2)

    def _searched(self, split: Split, least: float, deadline: Deadline) -> float | None:
        """What a search of its own decides by; None if it has not ended in time."""
        if not is_kinked(self.activation):
            found: Maximum | IPM = self._ipm(split, time_limit=deadline.left)
        else:
            search: dict[str, Any] = {"level": least, "time_limit": deadline.left}
            found = separate_rows(self.activation, self.rows, self.shares(split), self.bias, **search)
        if found.value >= least or found.status == "optimal" or self.sampled:
            return found.value
        return found.upper_bound if found.upper_bound < least else None

    def _ipm(self, split: Split, **how: Any) -> IPM:
        if self.weights.min() < self.weights.max():
            how |= {"weights_x": self.weights[split], "weights_y": self.weights[~split]}
        return ipm(self.rows[split], self.rows[~split], **self.options, **how)
