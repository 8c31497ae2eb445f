"""Precision and recall: which share of each sample lies in the other's estimated support."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_count
from convexgan.metrics.blocks import Bootstrap
from convexgan.metrics.extractors import as_extractor
from convexgan.metrics.pictures import Extractor, both_features
from convexgan.metrics.result import Result
from convexgan.metrics.shares import measure_share


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
    ceiling: each is judged by the balls of the others. The intervals are Wilson's and speak of the sample that is
    counted, the other one's balls being as they are.

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
    """Precision and recall for a given extractor and bootstrap."""
    x, y = both_features(real, fake, extractor)
    if k >= min(len(x) - 1, len(y)):
        raise ValueError(f"neighbours={k} needs more than {k} pictures beside each: pass more pictures.")
    order = np.random.default_rng(bootstrap.rng).permutation(len(x))
    centres, rest = x[order[: len(y)]], x[order[len(y) :]]  # as many as there are fakes, if there are
    others = len(centres) if len(rest) else len(x) - 1
    reached = np.concatenate([reached_by_others(centres, k), covered(rest, centres, k)])
    precision = measure_share(covered(y, x, k), reached_by_others(x, k), len(x) - 1, bootstrap.level)
    recall = measure_share(covered(x, y, k), reached, others, bootstrap.level)
    sizes = extractor.name, len(x), len(y)
    fewer = f"the floor has balls of {others} real pictures, the value of {len(y)} fakes, so it is not at their size."
    return PrecisionRecall(
        precision.result("precision", *sizes), recall.result("recall", *sizes, fewer if others < len(y) - 1 else "")
    )


def reached_by_others(rows: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Whether each row is covered by the balls of all other rows, (n,), as if it were a new one.

    Without the row a ball whose k nearest it was among reaches to the next one, so it holds it; no other ball does.
    """
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(rows).kneighbors(return_distance=False)
    return np.isin(np.arange(len(rows)), near)


def covered(queries: NDArray[Any], centres: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Whether each query lies in a ball around a centre that reaches the centre's k-th nearest other centre, (n,)."""
    if not len(queries):
        return np.zeros(0, dtype=bool)
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(centres)
    radii = near.kneighbors()[0][:, -1]
    parts = pairwise_distances_chunked(queries, centres, reduce_func=lambda D, _: (radii >= D).any(axis=1))
    return np.concatenate(list(parts))
