"""Histogram matching: a monotone map per channel from generated to real pixel values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.progressive.pyramid import box_sums, unit

Array = NDArray[np.float64]
KNOTS = 257


def learn_map(generated: NDArray[np.floating], real: Array) -> Array:
    """Pairs of quantiles, (channels, 2, knots), between which `apply_map` interpolates.

    Parameters
    ----------
    generated : (n, h, w, channels) array
    real : (channels, knots) array
        Quantiles at equal steps from 0 to 1.
    """
    levels = np.linspace(0, 1, KNOTS)
    return np.array([[np.quantile(generated[..., c], levels), quantiles] for c, quantiles in enumerate(real)])


class Quantiles:
    """The quantiles of each channel of the pictures at a size, from one pass that counts their box sums."""

    def __init__(self, size: int, channels: int) -> None:
        self.size, self.channels = size, channels
        self.values = [np.zeros(0)] * channels
        self.counts = [np.zeros(0, dtype=np.int64)] * channels

    @property
    def key(self) -> str:
        """The size and channels."""
        return f"{self.size} {self.channels}"

    def update(self, block: NDArray[Any]) -> None:
        """Add pictures."""
        scale, offset = unit(block.dtype, (block.shape[1] // self.size) ** 2)
        sums = box_sums(block, self.size).reshape(-1, self.channels)
        for c in range(self.channels):
            values, counts = _count(sums[:, c])
            self._merge(c, values / scale - offset, counts)

    def finish(self) -> None:
        """Everything is here."""

    def empty(self) -> Quantiles:
        """An empty histogram of the same shape."""
        return Quantiles(self.size, self.channels)

    def add(self, other: Quantiles) -> None:
        """Add what another has counted."""
        for c in range(self.channels):
            self._merge(c, other.values[c], other.counts[c])

    def _merge(self, c: int, values: Array, counts: NDArray[np.int64]) -> None:
        self.values[c], where = np.unique(np.concatenate([self.values[c], values]), return_inverse=True)
        weights = np.concatenate([self.counts[c], counts])
        self.counts[c] = np.bincount(where, weights).astype(np.int64)

    def at_knots(self) -> Array:
        """(channels, knots), interpolated linearly like those of `numpy.quantile`."""
        return np.array([_quantiles(v, n) for v, n in zip(self.values, self.counts, strict=True)])

    def state(self) -> dict[str, Any]:
        """Arrays for a journal."""
        pairs = enumerate(zip(self.values, self.counts, strict=True))
        return {
            f"{name}{c}": array for c, pair in pairs for name, array in zip(("values", "counts"), pair, strict=True)
        }

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Back to a recorded state."""
        self.values = [arrays[f"values{c}"] for c in range(self.channels)]
        self.counts = [arrays[f"counts{c}"] for c in range(self.channels)]


def _count(column: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The different values, sorted, and how often each occurs."""
    if column.dtype.kind == "f":
        return np.unique(column, return_counts=True)
    counts = np.bincount(column)
    values = np.flatnonzero(counts)
    return values, counts[values]


def _quantiles(values: Array, counts: NDArray[np.int64]) -> Array:
    """Quantiles of sorted values with multiplicities."""
    last = np.cumsum(counts) - 1  # the position of each value's last copy
    place = np.linspace(0, 1, KNOTS) * last[-1]
    below, above = (values[np.searchsorted(last, at(place))] for at in (np.floor, np.ceil))
    return np.asarray(below + (place - np.floor(place)) * (above - below))


def check_map(knots: Array, channels: int) -> None:
    """Raise unless these can be the pairs of quantiles that `learn_map` returns."""
    if knots.shape != (channels, 2, KNOTS) or not np.isfinite(knots).all() or (np.diff(knots) < 0).any():
        raise ValueError(f"its histogram is no array of {channels} pairs of {KNOTS} increasing quantiles")


def apply_map(images: Array, knots: Array) -> Array:
    """The pictures with each channel's values moved to the real quantiles; constant beyond the extremes."""
    out = np.empty_like(images)
    for c, (source, target) in enumerate(knots):
        out[..., c] = np.interp(images[..., c], source, target)
    return out
