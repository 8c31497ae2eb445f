"""The unbiased squared kernel distance with the cubic polynomial kernel: KID with any extractor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.metrics.blocks import Bootstrap, Counts, deal, measure
from convexgan.metrics.extractors import INCEPTION, as_extractor
from convexgan.metrics.pictures import Extractor, both_features
from convexgan.metrics.result import Result

Array = NDArray[np.float64]
ENTRIES = 2**23  # of the kernel matrix in memory at a time


def kernel_distance(
    real: Any,
    fake: Any,
    extractor: str | Extractor = "pixels",
    *,
    resamples: int = 100,
    level: float = 0.95,
    rng: int = 0,
) -> Result:
    """The unbiased estimate of the squared maximum mean discrepancy with kernel k(x, y) = (x . y / d + 1)^3.

    All pairs are used, in O(n^2 d) time and memory of the features only. As it is unbiased it can be negative, and its
    floor is near 0 at any sample size.

    Parameters
    ----------
    real, fake, extractor, resamples, level, rng
        As for `frechet_distance`; the draws cost nothing here.

    References
    ----------
    Binkowski et al., Demystifying MMD GANs, ICLR 2018, equation 4. There averaged over random subsets; here all pairs.
    """
    return kernel(real, fake, as_extractor(extractor), Bootstrap(resamples, level, rng))


def kernel(real: Any, fake: Any, extractor: Extractor, bootstrap: Bootstrap) -> Result:
    """The kernel distance for a given extractor and bootstrap."""
    rng = np.random.default_rng(bootstrap.rng)
    (x, sizes), (y, fakes) = (_sorted(rows, rng) for rows in both_features(real, fake, extractor))
    xx, yy, xy = kernel_sums(x, sizes, x, sizes), kernel_sums(y, fakes, y, fakes), kernel_sums(x, sizes, y, fakes)
    own_x, own_y = _own(x, sizes), _own(y, fakes)
    found = measure(
        lambda a, b: _same(xx, own_x, sizes, a) + _same(yy, own_y, fakes, b) - 2 * _cross(xy, sizes, fakes, a, b),
        lambda a, b: _same(xx, own_x, sizes, a) + _same(xx, own_x, sizes, b) - 2 * _cross(xx, sizes, sizes, a, b),
        sizes,
        fakes,
        bootstrap,
        rate=1.0,
    )
    name = "KID" if extractor.name == INCEPTION else f"KD-{extractor.name}"
    return found.result(name, extractor.name, len(x), len(y))


def _sorted(rows: NDArray[Any], rng: np.random.Generator) -> tuple[Array, Counts]:
    """The rows sorted by block, and the sizes of the blocks."""
    labels = deal(len(rows), rng)
    return rows[np.argsort(labels, kind="stable")].astype(np.float64), np.bincount(labels)


def kernel_sums(x: Array, sizes: Counts, y: Array, others: Counts) -> Array:
    """(K, L) sums of the kernel over the pairs of each two blocks; rows are sorted by block."""
    sums = np.zeros((len(sizes), len(others)))
    labels, starts = np.repeat(np.arange(len(sizes)), sizes), np.cumsum(others) - others
    step = max(1, ENTRIES // len(y))
    for i in range(0, len(x), step):
        k = (x[i : i + step] @ y.T / x.shape[1] + 1) ** 3
        np.add.at(sums, labels[i : i + step], np.add.reduceat(k, starts, axis=1))
    return sums


def _own(x: Array, sizes: Counts) -> Array:
    """(K,) sums of k(x, x) over the rows of each block."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(np.bincount(labels, (np.sum(x**2, axis=1) / x.shape[1] + 1) ** 3))


def _same(sums: Array, own: Array, sizes: Counts, counts: Counts) -> float:
    """The mean kernel over pairs of different rows of one sample.

    Copies of a block are not paired with each other: such pairs hold a row and itself, and would bias the bootstrap.
    """
    inside = np.diag(sums)
    total = counts @ sums @ counts - counts**2 @ inside + counts @ (inside - own)
    pairs = (counts @ sizes) ** 2 - counts**2 @ sizes**2 + counts @ (sizes * (sizes - 1))
    return float(total / pairs)


def _cross(sums: Array, sizes: Counts, others: Counts, a: Counts, b: Counts) -> float:
    """The mean kernel over pairs of rows of two samples."""
    return float(a @ sums @ b / ((a @ sizes) * (b @ others)))
