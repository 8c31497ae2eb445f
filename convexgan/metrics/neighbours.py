"""The nearest training picture of each generated one: does the generator remember instead of inventing?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.metrics.blocks import Bootstrap, measure_share
from convexgan.metrics.extractors import as_extractor
from convexgan.metrics.manifold import halves
from convexgan.metrics.pictures import Extractor, both_features
from convexgan.metrics.result import Result


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Nearest training pictures.

    Attributes
    ----------
    copies : Result
        The share of fakes that are nearer to their nearest training picture than it is to any other training picture.
        New pictures of the same law score the floor, a memory of the training set 1.
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

    References
    ----------
    Alaa et al., How Faithful is your Synthetic Data?, ICML 2022, section 4.3: one minus their authenticity.
    """
    return neighbours(real, fake, as_extractor(extractor), Bootstrap(resamples, level, rng))


def neighbours(real: Any, fake: Any, extractor: Extractor, bootstrap: Bootstrap) -> Neighbours:
    """The same for an extractor and a bootstrap."""
    x, y = both_features(real, fake, extractor)
    left, right = halves(x, len(y), bootstrap)
    distances, indices, own = nearest(y, x)
    others, places, theirs = nearest(right, left)
    found = measure_share(distances <= own[indices], others <= theirs[places], len(left), bootstrap)
    return Neighbours(found.result("copies", extractor.name, len(x), len(y)), indices, distances)


def nearest(
    queries: NDArray[Any], rows: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Distance and index of each query's nearest row, and each row's distance to its nearest other row."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(rows)
    distances, indices = found.kneighbors(queries)
    return distances[:, 0], indices[:, 0], found.kneighbors()[0][:, 0]
