"""All metrics in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from convexgan._tools.checks import check_choice
from convexgan.metrics.blocks import Bootstrap
from convexgan.metrics.extractors import as_extractor
from convexgan.metrics.faces import detector, faces
from convexgan.metrics.frechet import frechet
from convexgan.metrics.kernel import kernel
from convexgan.metrics.manifold import manifold
from convexgan.metrics.neighbours import neighbours
from convexgan.metrics.pictures import Extractor, Features, features_of
from convexgan.metrics.reference import reference_features
from convexgan.metrics.result import Report, Result
from convexgan.metrics.sliced import sliced

Measure = Callable[[Any, Any, Extractor, Bootstrap], list[Result]]


@dataclass(frozen=True)
class Metric:
    """A metric of pictures.

    Attributes
    ----------
    prepare : callable
        From what stands behind "=" in its name ("" if nothing does) to the measuring function: real, fake, extractor
        and bootstrap to results.
    of_features : bool
        Whether it is given features in place of the pictures.
    """

    prepare: Callable[[str], Measure]
    of_features: bool = True


def _distance(measure: Callable[[Features, Features, Extractor, Bootstrap], Result]) -> Metric:
    """The metric of one number."""
    return Metric(_plain(lambda real, fake, look, bootstrap: [measure(real, fake, look, bootstrap)]))


def _plain(measure: Measure) -> Callable[[str], Measure]:
    """The `prepare` of a metric that takes no argument."""
    return lambda _: measure


def _faces(file: str) -> Measure:
    score = detector(file or None)  # here: a missing file is missed at once
    return lambda real, fake, _, bootstrap: [faces(real, fake, score, bootstrap)]


METRICS: dict[str, Metric] = {
    "frechet": _distance(frechet),
    "kernel": _distance(kernel),
    "precision-recall": Metric(_plain(lambda real, fake, look, bootstrap: list(manifold(real, fake, look, bootstrap)))),
    "copies": _distance(lambda real, fake, look, bootstrap: neighbours(real, fake, look, bootstrap).copies),
    "sliced": Metric(_plain(lambda real, fake, _, bootstrap: sliced(real, fake, bootstrap)), of_features=False),
    "faces": Metric(_faces, of_features=False),
}
WITHOUT_FILES = tuple(name for name in METRICS if name != "faces")


def features(images: Any, extractor: str | Extractor = "pixels") -> Features:
    """The features of pictures, to be used again or saved: every metric of features takes them instead.

    Parameters
    ----------
    images : pictures (n, h, h) or (n, h, h, 3), an iterable of such arrays, or Cache
        uint8, or floats in [-1, 1].
    extractor : str or Extractor
        See `frechet_distance`.
    """
    return features_of(images, as_extractor(extractor), "images")


def evaluate(
    real: Any,
    fake: Any,
    metrics: Sequence[str] = WITHOUT_FILES,
    extractor: str | Extractor = "pixels",
    *,
    resamples: int = 100,
    level: float = 0.95,
    rng: int = 0,
    keep: str | os.PathLike[str] | None = None,
) -> Report:
    """Several metrics of generated pictures; each picture is looked at once.

    Parameters
    ----------
    real, fake : pictures (n, h, h) or (n, h, h, 3), or Cache
        uint8, or floats in [-1, 1]; Features if no metric needs the pictures. What has ``blocks()``, as a `Cache` has,
        is read block by block.
    metrics : sequence of str
        "frechet", "kernel", "sliced", "precision-recall", "copies", and "faces" ("faces=FILE" for a detector that is
        not installed).
    extractor, resamples, level, rng
        As for `frechet_distance`.
    keep : path, optional
        Folder that keeps the features of the real pictures, up to 512 MiB; the next call with the same pixels and
        extractor reads them. Own extractors need a digest for that.

    Examples
    --------
    >>> import numpy as np
    >>> from convexgan.metrics import evaluate
    >>> images = np.random.default_rng(0).integers(0, 256, (100, 4, 4), dtype=np.uint8)
    >>> report = evaluate(images[:50], images[50:], metrics=["kernel", "copies"])
    >>> [result.metric for result in report.results]
    ['KD-pixels', 'copies']
    """
    parts = [metric.partition("=") for metric in ([metrics] if isinstance(metrics, str) else metrics)]
    chosen = {check_choice(name, "metric", METRICS): argument for name, _, argument in parts}
    bootstrap, look = Bootstrap(resamples, level, rng), as_extractor(extractor)
    ready = [(METRICS[name], METRICS[name].prepare(chosen[name])) for name in METRICS if name in chosen]
    seen: tuple[Any, Any] = (None, None)
    if any(metric.of_features for metric, _ in ready):
        known = features_of(real, look, "real") if keep is None else reference_features(real, look, keep)
        seen = known, features_of(fake, look, "fake")
    results = [measure(*(seen if metric.of_features else (real, fake)), look, bootstrap) for metric, measure in ready]
    return Report(tuple(chain.from_iterable(results)))
