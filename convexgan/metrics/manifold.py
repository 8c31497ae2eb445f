"""Precision and recall: which share of each sample lies in the other's estimated support."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import check_count
from convexgan.metrics.blocks import Bootstrap, measure_share, split
from convexgan.metrics.extractors import as_extractor
from convexgan.metrics.pictures import Extractor, both_features
from convexgan.metrics.result import Result


class PrecisionRecall(NamedTuple):
    """Precision: the share of fakes that look real. Recall: the share of real pictures that the fakes reach."""

    precision: Result
    recall: Result


def precision_recall(
    real: Any,
    fake: Any,
    extractor: str | Extractor = "pixels",
    *,
    neighbours: int = 3,
    resamples: int = 100,
    level: float = 0.95,
    rng: int = 0,
) -> PrecisionRecall:
    """Improved precision and recall: a sample's support is the balls around its points that reach the k-th neighbour.

    Both depend on the sample sizes and on k: compare with the floor, which real pictures score and which here is a
    ceiling. The intervals speak of the sample that is counted, the other one's balls being as they are.

    Parameters
    ----------
    real, fake, extractor, resamples, level, rng
        As for `frechet_distance`.
    neighbours : int
        The k of the ball's radius.

    References
    ----------
    Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, NeurIPS 2019.
    """
    found = as_extractor(extractor)
    return manifold(real, fake, found, Bootstrap(resamples, level, rng), check_count(neighbours, "neighbours"))


def manifold(real: Any, fake: Any, extractor: Extractor, bootstrap: Bootstrap, k: int = 3) -> PrecisionRecall:
    """The same for an extractor and a bootstrap."""
    x, y = both_features(real, fake, extractor)
    left, right = halves(x, len(y), bootstrap)
    if k >= min(len(right), len(y)):
        raise ValueError(f"neighbours={k} needs more than {k} pictures on each side of the floor: pass more pictures.")
    precision = measure_share(covered(y, x, k), covered(right, left, k), len(left), bootstrap)
    recall = measure_share(covered(x, y, k), covered(left, right, k), len(right), bootstrap)
    sizes = extractor.name, len(x), len(y)
    return PrecisionRecall(precision.result("precision", *sizes), recall.result("recall", *sizes))


def halves(rows: NDArray[Any], fake: int, bootstrap: Bootstrap) -> tuple[NDArray[Any], NDArray[Any]]:
    """Real rows in two random parts, the second as large as the fake sample if that is at most half of the real one."""
    second = split(np.ones(len(rows), dtype=np.int64), fake, np.random.default_rng(bootstrap.rng))[1].astype(bool)
    return rows[~second], rows[second]


def covered(queries: NDArray[Any], centres: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Whether each query lies in a ball around a centre that reaches the centre's k-th nearest other centre, (n,)."""
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(centres)
    radii = near.kneighbors()[0][:, -1]
    parts = pairwise_distances_chunked(queries, centres, reduce_func=lambda D, _: (radii >= D).any(axis=1))
    return np.concatenate(list(parts))
