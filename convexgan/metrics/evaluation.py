"""All metrics in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from convexgan._checks import check_choice
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

METRICS = ("frechet", "kernel", "sliced", "precision-recall", "copies", "faces")
WITHOUT_FILES = METRICS[:-1]


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
    score = detector(chosen["faces"] or None) if "faces" in chosen else None  # a missing file is missed at once
    results: list[Result] = []
    if chosen.keys() - {"sliced", "faces"}:
        known = features_of(real, look, "real") if keep is None else reference_features(real, look, keep)
        results += _of_features(chosen, known, features_of(fake, look, "fake"), look, bootstrap)
    if "sliced" in chosen:
        results += sliced(real, fake, bootstrap)
    if score is not None:
        results.append(faces(real, fake, score, bootstrap))
    return Report(tuple(results))


def _of_features(
    chosen: dict[str, str], real: Features, fake: Features, look: Extractor, bootstrap: Bootstrap
) -> list[Result]:
    results: list[Result] = []
    if "frechet" in chosen:
        results.append(frechet(real, fake, look, bootstrap))
    if "kernel" in chosen:
        results.append(kernel(real, fake, look, bootstrap))
    if "precision-recall" in chosen:
        results += manifold(real, fake, look, bootstrap)
    if "copies" in chosen:
        results.append(neighbours(real, fake, look, bootstrap).copies)
    return results
