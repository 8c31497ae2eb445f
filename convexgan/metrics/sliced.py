"""The sliced Wasserstein distance at each level of a Laplacian pyramid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.metrics.blocks import Bootstrap, Counts, deal, measure
from convexgan.metrics.pictures import check_same, check_sizes, picture_chunks
from convexgan.metrics.result import Result
from convexgan.progressive.pyramid import COARSEST, box_pyramid, upsample

Array = NDArray[np.float64]
DIRECTIONS = 64


def sliced_wasserstein(
    real: Any, fake: Any, *, resamples: int = 100, level: float = 0.95, rng: int = 0
) -> list[Result]:
    """The mean 1-Wasserstein distance along random directions, for each level of detail, coarsest first.

    The coarsest level holds the box averages at 4 pixels (or as few as halving reaches), each next one what the doubled
    pictures add to those of the level before: wrong colours show at the first levels, wrong texture at the last.
    Whole levels are projected, not patches, along 64 unit directions; units are those of pixels in [-1, 1].

    Parameters
    ----------
    real, fake : pictures (n, h, h) or (n, h, h, 3), or an iterable of such arrays
        uint8, or floats in [-1, 1]; streamed, only the projections are kept.
    resamples, level, rng
        As for `frechet_distance`. The directions are fixed by the seed and not resampled.

    References
    ----------
    Rabin et al., Wasserstein Barycenter and its Application to Texture Mixing, 2011; levels after Karras et al.,
    Progressive Growing of GANs, ICLR 2018, who project patches.
    """
    return sliced(real, fake, Bootstrap(resamples, level, rng))


def sliced(real: Any, fake: Any, bootstrap: Bootstrap) -> list[Result]:
    """The sliced distances for a given bootstrap."""
    left, shape = projections(real, "real", bootstrap.rng)
    right, other = projections(fake, "fake", bootstrap.rng)
    check_same(shape, other)
    check_sizes(len(next(iter(left.values()))), len(next(iter(right.values()))))
    rng = np.random.default_rng(bootstrap.rng)
    return [_result(size, left[size], right[size], bootstrap, rng) for size in left]


def _result(size: int, x: Array, y: Array, bootstrap: Bootstrap, rng: np.random.Generator) -> Result:
    labels, others = deal(len(x), rng), deal(len(y), rng)
    both, own = Slices(np.concatenate([x, y])), Slices(x)
    found = measure(
        lambda a, b: both.distance(np.concatenate([_shares(a, labels), -_shares(b, others)])),
        lambda a, b: own.distance(_shares(a, labels) - _shares(b, labels)),
        np.bincount(labels),
        np.bincount(others),
        bootstrap,
        rate=0.5,
        least=0.0,
    )
    return found.result(f"sliced W1 at {size}", "Laplacian pyramid", len(x), len(y))


def _shares(counts: Counts, labels: Counts) -> Array:
    """Row weights that sum to 1."""
    weights = counts[labels]
    return np.asarray(weights / weights.sum())


class Slices:
    """Projections sorted once, for distances under many weights.

    Parameters
    ----------
    values : (n, directions) array
        All rows of both samples.
    """

    def __init__(self, values: Array) -> None:
        self.order = np.argsort(values, axis=0)
        self.gaps = np.diff(np.take_along_axis(values, self.order, axis=0), axis=0)

    def distance(self, weights: Array) -> float:
        """The mean over directions of the integral of |F - G|, where ``weights`` are those of F minus those of G."""
        difference = np.cumsum(weights[self.order], axis=0)[:-1]
        return float(np.einsum("ij,ij->", np.abs(difference), self.gaps) / self.order.shape[1])


def projections(images: Any, name: str, seed: int) -> tuple[dict[int, Array], tuple[int, ...]]:
    """For each level's size its (n, directions) projections, and the shape of a picture."""
    found: dict[int, list[Array]] = {}
    directions: dict[int, Array] = {}
    shape: tuple[int, ...] = ()
    for chunk in picture_chunks(images, name):
        shape = chunk.shape[1:]
        for size, rows in laplacian(chunk).items():
            if size not in directions:
                normal = np.random.default_rng([seed, size]).standard_normal((rows.shape[1], DIRECTIONS))
                directions[size] = normal / np.linalg.norm(normal, axis=0)
            found.setdefault(size, []).append(rows @ directions[size])
    if not found:
        raise ValueError(f"{name} is empty: pass at least one array of pictures.")
    return {size: np.concatenate(parts) for size, parts in found.items()}, shape


def laplacian(images: NDArray[Any]) -> dict[int, NDArray[Any]]:
    """For each size, coarsest first, what it adds to the doubled pictures of the size before; flattened."""
    sizes = [images.shape[1]]
    while sizes[-1] % 2 == 0 and sizes[-1] > COARSEST:
        sizes.append(sizes[-1] // 2)
    channels = 1 if images.ndim == 3 else images.shape[3]
    levels: dict[int, Any] = {s: v.reshape(len(images), -1) for s, v in box_pyramid(images, sizes[::-1]).items()}
    details = {s: levels[s] - upsample(levels[s // 2], s // 2, channels) for s in sizes[:-1]}
    return {s: details.get(s, levels[s]) for s in levels}
