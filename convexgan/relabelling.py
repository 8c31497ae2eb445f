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
from convexgan.discrepancy import IPM, ipm
from convexgan.discriminators import at_most, separate_all
from convexgan.discriminators.activation import Activation, is_kinked, needs_rows

Array = NDArray[np.float64]
Split = NDArray[np.bool_]
BATCH = 2**22  # numbers held at a time
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

    @property
    def options(self) -> dict[str, Any]:
        """Of `ipm`, which gives the same statistic for one split."""
        many = self._points.shape[1] > SEARCHED and self.bias != "free"
        method = "sampled" if needs_rows(self.activation) and many else "auto"
        return {"discriminator": self.activation, "bias": self.bias, "method": method, "rng": self.seed}

    def values(self, splits: Iterator[Split], deadline: Deadline) -> Iterator[Array]:
        """The statistic of all splits, some at a time, until they or the time are at an end."""
        together = self._together
        step = 1 if together is None else max(1, BATCH // together[1])
        while not deadline.over and (some := list(islice(splits, step))):
            if together is not None:
                yield together[0](np.stack([self.shares(split) for split in some]))
                continue
            found = self._searched(some[0], deadline)
            if found is None:
                return
            yield np.array([found])

    def value(self, split: Split) -> float:
        """The statistic of one split as `ipm` has it, whatever time it takes."""
        if needs_rows(self.activation) and self._together is not None:
            return float(self._swept(self.shares(split)[None])[0])
        return self._ipm(split).value

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
            return (self._swept, count) if dim <= 2 and self.bias != "free" else None
        a, b, _ = self.activation.coefficients
        if a == 0:
            return self._shifted, count
        return (self._spectral, max(count, min(count, dim)) * min(count, dim)) if b == 0 else None

    def _swept(self, shares: Array) -> Array:
        """ReLU neurons on one or two columns: the rows are sorted once."""
        neuron: Any = self.activation
        return separate_all(neuron, self._points, shares)

    def _shifted(self, shares: Array) -> Array:
        """Linear neurons see the length of the difference of means, with any bias."""
        _, b, _ = self.activation.coefficients  # type: ignore[union-attr]
        centred = self.rows - self.rows.mean(axis=0)  # which cancels
        return np.asarray(abs(b) * np.linalg.norm(shares @ centred, axis=1))

    def _spectral(self, shares: Array) -> Array:
        """Quadratic neurons see the spectral norm of the difference of second moments."""
        a, _, _ = self.activation.coefficients  # type: ignore[union-attr]
        scale = 2.0 ** int(np.frexp(np.abs(self._points).max(initial=0.0))[1])
        points = self._points / scale
        if points.shape[1] > len(points):
            points = np.asarray(np.linalg.qr(points.T, mode="r")).T  # in coordinates of their span
        second = np.matmul(points.T * shares[:, None, :], points)
        return np.asarray(abs(a) * np.abs(np.linalg.eigvalsh(second)).max(axis=1) * scale**2)

    def _searched(self, split: Split, deadline: Deadline) -> float | None:
        """A search of its own; None if it has not ended in time."""
        sampled = self.options["method"] == "sampled"
        found = self._ipm(split, None if sampled else deadline.left)
        return found.value if sampled or found.status == "optimal" else None

    def _ipm(self, split: Split, time_limit: float | None = None) -> IPM:
        how: dict[str, Any] = {"time_limit": time_limit}
        if self.weights.min() < self.weights.max():
            how |= {"weights_x": self.weights[split], "weights_y": self.weights[~split]}
        return ipm(self.rows[split], self.rows[~split], **self.options, **how)
