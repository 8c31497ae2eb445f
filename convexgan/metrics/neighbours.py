"""The nearest training picture of each generated one: does the generator remember instead of inventing?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.metrics.blocks import Bootstrap
from convexgan.metrics.extractors import as_extractor
from convexgan.metrics.pictures import Extractor, both_features
from convexgan.metrics.result import Result
from convexgan.metrics.shares import measure_share

SURE = 0.999  # the level at which copies are warned of


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Nearest training pictures.

    Attributes
    ----------
    copies : Result
        The share of fakes that are nearer to their nearest training picture than it is to any other training picture.
        New pictures of the same law score the floor, which is measured on each real picture beside the others; a
        memory of the training set scores 1.
    indices : (m,) array
        Of each fake's nearest training picture.
    distances : (m,) array
        Euclidean, in feature space.
    """

    copies: Result
    indices: NDArray[np.int64] = field(repr=False)
    distances: NDArray[np.float64] = field(repr=False)


def nearest_neighbours(
    real: Any,
    fake: Any,
    extractor: str | Extractor = "pixels",
    *,
    resamples: int = 100,
    level: float = 0.95,
    rng: int = 0,
) -> Neighbours:
    """The nearest training picture of each fake, and the share of fakes that look like copies of one.

    Parameters
    ----------
    real : pictures or Features
        The pictures that the generator was trained on.
    fake, extractor, resamples, level, rng
        As for `frechet_distance`.

    Warns
    -----
    UserWarning
        More fakes look like copies than new pictures of the same law would.

    References
    ----------
    Alaa et al., How Faithful is your Synthetic Data?, ICML 2022, section 4.3: one minus their authenticity.
    """
    found = neighbours(real, fake, as_extractor(extractor), Bootstrap(resamples, level, rng))
    if found.copies.note:
        warnings.warn(found.copies.note, stacklevel=2)
    return found


def neighbours(real: Any, fake: Any, extractor: Extractor, bootstrap: Bootstrap) -> Neighbours:
    """Nearest neighbours and copies for a given extractor and bootstrap."""
    x, y = both_features(real, fake, extractor)
    distances, indices, own = nearest(y, x)
    shares = distances <= own[indices], mutual(x), len(x) - 1
    found, sure = measure_share(*shares, bootstrap.level), measure_share(*shares, SURE)
    many = f"{found.value:.0%} of the fakes are nearer to a training picture than any other is: the generator copies."
    note = many if sure.low > sure.floor_high else ""
    return Neighbours(found.result("copies", extractor.name, len(x), len(y), note), indices, distances)


def mutual(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each row would count as a copy of one of the others, (n,): its nearest one has itself as nearest."""
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(rows).kneighbors(return_distance=False)[:, 0]
    return np.asarray(near[near] == np.arange(len(rows)))


def nearest(
    queries: NDArray[Any], rows: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Distance and index of each query's nearest row, and each row's distance to its nearest other row."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(rows)
    distances, indices = found.kneighbors(queries)
    return distances[:, 0], indices[:, 0], found.kneighbors()[0][:, 0]
