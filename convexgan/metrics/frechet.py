"""The Frechet distance between Gaussians fitted to features: FID with any extractor."""

from __future__ import annotations

import warnings
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.gaussian import factor_distance
from convexgan.metrics.blocks import Bootstrap, Counts, deal, measure
from convexgan.metrics.extractors import INCEPTION, as_extractor
from convexgan.metrics.pictures import Extractor, Features, check_features, check_same, check_sizes, pieces
from convexgan.metrics.result import Result
from convexgan.statistics.moments import Moments


def frechet_distance(
    real: Any,
    fake: Any,
    extractor: str | Extractor = "pixels",
    *,
    resamples: int = 100,
    level: float = 0.95,
    rng: int = 0,
) -> Result:
    """The squared 2-Wasserstein distance between Gaussians with the two samples' means and covariances.

    Pictures are streamed: only moments are kept, of the features' dimension and not of the number of pictures. Biased
    upward by an amount that falls like 1/n: compare with the floor, and only values of equal sample sizes.

    Parameters
    ----------
    real, fake : pictures (n, h, h) or (n, h, h, 3), an iterable of such arrays, or Features
        uint8, or floats in [-1, 1].
    extractor : str or Extractor
        "pixels", "pixels=16", "age256", "efficientnet-lite0", each with "=FILE" for a file not installed;
        "inception=FILE" gives FID.
    resamples : int
        Bootstrap draws, and cuts for the floor, each an eigendecomposition: O(d^3) time.
        Fewer than 39 do not reach a level of 0.95.
    level : float
        Of the interval.
    rng : int
        Seed.

    Warns
    -----
    UserWarning
        A sample has no more pictures than there are features: its covariance is singular and the value mostly bias.

    References
    ----------
    Heusel et al., GANs Trained by a Two Time-Scale Update Rule, NeurIPS 2017. Covariances are divided by n - 1.

    Examples
    --------
    >>> import numpy as np
    >>> from convexgan.metrics import frechet_distance
    >>> images = np.random.default_rng(0).integers(0, 256, (400, 4, 4), dtype=np.uint8)
    >>> found = frechet_distance(images[:200], images[200:])
    >>> found.metric, found.low <= found.value, found.floor > 0
    ('FD-pixels', True, True)
    """
    result = frechet(real, fake, as_extractor(extractor), Bootstrap(resamples, level, rng))
    if result.note:
        warnings.warn(result.note, stacklevel=2)
    return result


def frechet(real: Any, fake: Any, extractor: Extractor, bootstrap: Bootstrap) -> Result:
    """`frechet_distance` without the warning, which is in the result's note."""
    rng = np.random.default_rng(bootstrap.rng)
    fake = fake.in_order_of(real) if isinstance(fake, Features) else fake
    (left, shape), (right, other) = (block_moments(s, extractor, n, rng) for s, n in ((real, "real"), (fake, "fake")))
    check_same(shape, other)
    check_features(left[0].dim, right[0].dim)
    sizes, fakes = (np.array([block.count for block in blocks], dtype=np.int64) for blocks in (left, right))
    n, m = int(sizes.sum()), int(fakes.sum())
    check_sizes(n, m)
    found = measure(
        lambda a, b: distance(merged(left, a), merged(right, b)),
        lambda a, b: distance(merged(left, a), merged(left, b)),
        sizes,
        fakes,
        bootstrap,
        rate=1.0,
        least=0.0,
    )
    name = "FID" if extractor.name == INCEPTION else f"FD-{extractor.name}"
    few = f"{min(n, m)} pictures for {left[0].dim} features: mostly bias, look at the floor and at more pictures."
    return found.result(name, extractor.name, n, m, few if min(n, m) <= left[0].dim else "")


def block_moments(
    images: Any, extractor: Extractor, name: str, rng: np.random.Generator
) -> tuple[list[Moments], tuple[int, ...]]:
    """The moments of each block of the pictures' features, and the shape of a picture."""
    blocks: list[Moments] = []
    shapes = []
    for rows, shape in pieces(images, extractor, name):
        shapes.append(shape)
        labels = deal(len(rows), rng)
        for k in range(int(labels.max()) + 1):
            if k == len(blocks):
                blocks.append(Moments(rows.shape[1]))
            blocks[k].update(rows[labels == k], name=f"features of {name}")
    return blocks, shapes[0]


def merged(blocks: list[Moments], counts: Counts) -> Moments:
    """The moments of the blocks together, each as often as it counts."""
    return reduce(Moments.merge, (blocks[k] for k in np.repeat(np.arange(len(blocks)), counts)))


def distance(a: Moments, b: Moments) -> float:
    """The squared Frechet distance; covariances are divided by count - 1."""
    shift = a.mean - b.mean
    return float(factor_distance(_factor(a), _factor(b)) + shift @ shift)


def _factor(moments: Moments) -> NDArray[np.float64]:
    """F (r, d) with F'F the unbiased covariance."""
    centred, n = moments.centered(), moments.count or 0
    factor = centred.factor
    if factor is None:
        factor = np.sqrt(centred.spectrum.values)[:, None] * centred.spectrum.vectors.T
    return np.asarray(factor * np.sqrt(n / (n - 1)))
