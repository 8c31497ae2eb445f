"""Pictures as rows of features: read chunk by chunk, looked at by an extractor, kept in a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import SEQUENCES, as_rows, is_stream, plain_array
from convexgan._tools.checks import check_finite
from convexgan._tools.files import read_model, write_model
from convexgan._tools.pictures import read_pictures
from convexgan._tools.tables import Label, column_names, new_places
from convexgan.datasets import ImageSet
from convexgan.progressive.pyramid import box_pyramid, warn_of_unit_interval

BATCH = 128  # pictures shown to an extractor at a time
PIECE = 8192  # rows handed on at a time
LEAST = 8  # pictures with which an interval begins to mean something


@dataclass(frozen=True)
class Extractor:
    """A named way to look at pictures.

    Attributes
    ----------
    name : str
        What it is, in every result computed with it.
    function : callable
        From pictures (n, h, h) or (n, h, h, 3), floats in [-1, 1], to features (n, d).
    digest : str, optional
        Tells it from others of its name, the hash of its weights say; without it no features are kept on disk.
    """

    name: str
    function: Callable[[NDArray[Any]], NDArray[Any]]
    digest: str | None = None


@dataclass(frozen=True, eq=False)
class Features:
    """The features of some pictures; every metric takes them in the place of the pictures.

    Attributes
    ----------
    rows : (n, d) array or frame
    extractor : str
        The name of what made them.
    shape : tuple of int
        (h, h) or (h, h, 3), the shape of a picture.
    columns : tuple, optional
        The names of the features, if the rows came in a frame.
    """

    rows: NDArray[Any]
    extractor: str
    shape: tuple[int, ...]
    columns: tuple[Label, ...] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", column_names(self.rows, "rows"))
        object.__setattr__(self, "rows", as_rows(self.rows, "rows"))

    def in_order_of(self, other: Any) -> Features:
        """These, with the columns in the order of those of other features, if both came in frames that name them."""
        columns = other.columns if isinstance(other, Features) else None
        places = new_places(self.columns, columns, "fake", "real")
        return self if places is None else replace(self, rows=self.rows[:, places])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the features to an .npz file, atomically and without pickles."""
        write_model(path, "features", {"extractor": self.extractor, "shape": self.shape}, {"rows": self.rows})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Features:
        """The features written by `save`.

        Raises
        ------
        ValueError
            The file holds no features, or is damaged.
        """
        settings, arrays = read_model(path, "features")
        try:
            rows = as_rows(arrays["rows"], "rows")
            check_finite(rows, "rows")
            return cls(rows, str(settings["extractor"]), tuple(int(edge) for edge in settings["shape"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a complete file of features ({error}).") from None


def picture_chunks(images: Any, name: str) -> Iterator[NDArray[Any]]:
    """The pictures as floats in [-1, 1], at most `BATCH` at a time, all of one shape.

    Parameters
    ----------
    images : (n, h, h) or (n, h, h, 3) array or tensor, an iterable of such arrays, or Pictures
        uint8, or floats in [-1, 1]. Of an iterable or Pictures, one array at a time is in memory.
    name : str
        What error messages call them.
    """
    shape, low, high = None, np.inf, -np.inf
    for part in _iterated(images, name):
        pictures = _named(read_pictures, part, name)
        shape = shape or pictures.shape[1:]
        if pictures.shape[1:] != shape:
            raise ValueError(f"{name} mixes pictures of shapes {shape} and {pictures.shape[1:]}: bring them to one.")
        for start in range(0, len(pictures), BATCH):
            yield _in_range(pictures[start : start + BATCH], name)
        if pictures.dtype.kind == "f":
            low, high = min(low, float(pictures.min())), max(high, float(pictures.max()))
    warn_of_unit_interval(low, high, name)  # decided over all of them


def _iterated(images: Any, name: str) -> Iterable[Any]:
    if isinstance(images, Features):
        raise ValueError(f"{name} holds features: this metric needs the pictures themselves.")
    if isinstance(images, ImageSet):
        return [images.images]
    if hasattr(images, "blocks"):
        return images.blocks()  # type: ignore[no-any-return]
    if isinstance(images, str | bytes | os.PathLike | int | float) and not isinstance(images, np.generic):
        kind = type(images).__name__
        raise ValueError(f"{name} must be pictures, an array (n, h, h[, 3]), got {kind}: datasets.load reads files.")
    if isinstance(images, np.generic):
        return [[images]]
    if isinstance(images, SEQUENCES):
        return [images] if _are_pictures([plain_array(part, name).shape for part in images]) else images
    return images if is_stream(images) else [images]


def _are_pictures(shapes: list[tuple[int, ...]]) -> bool:
    """Whether each of the things of these shapes is one picture, also with its channels first, no array of some."""
    if not shapes:
        return False
    first = shapes[0]
    one = len(first) == 2 or (len(first) == 3 and first[2] == 3 != first[1])
    return one or (len(shapes) > 1 and all(len(shape) == 3 and shape[0] == 3 for shape in shapes))


def _named(read: Callable[[Any, str], Any], images: Any, name: str) -> Any:
    """What is read of the images; errors say whose they are."""
    try:
        return read(images, "images")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _in_range(pictures: NDArray[Any], name: str) -> NDArray[Any]:
    return next(iter(_named(lambda found, _: box_pyramid(found, [found.shape[1]]), pictures, name).values()))


def pieces(images: Any, extractor: Extractor, name: str) -> Iterator[tuple[NDArray[Any], tuple[int, ...]]]:
    """Rows of features, at most `PIECE` at a time, with the shape of the pictures."""
    if isinstance(images, Features):
        if images.extractor != extractor.name:
            raise ValueError(f"{name} holds features of {images.extractor!r}, wanted are those of {extractor.name!r}.")
        for start in range(0, len(images.rows), PIECE):
            yield images.rows[start : start + PIECE], images.shape
        return
    kept: list[NDArray[Any]] = []
    shape: tuple[int, ...] = ()
    for chunk in picture_chunks(images, name):
        rows, shape = _extract(chunk, extractor), chunk.shape[1:]
        kept.append(rows)
        if sum(map(len, kept)) > PIECE - BATCH:
            yield np.concatenate(kept), shape
            kept = []
    if kept:
        yield np.concatenate(kept), shape
    elif not shape:
        raise ValueError(f"{name} is empty: pass at least one array of pictures.")


def _extract(chunk: NDArray[Any], extractor: Extractor) -> NDArray[Any]:
    rows = as_rows(extractor.function(chunk), f"the output of extractor {extractor.name!r}")
    if len(rows) != len(chunk):
        raise ValueError(f"extractor {extractor.name!r} gave {len(rows)} rows for {len(chunk)} pictures.")
    check_finite(rows, f"the output of extractor {extractor.name!r}")
    return rows


def features_of(images: Any, extractor: Extractor, name: str) -> Features:
    """The features of all pictures in memory; features given are returned as they are."""
    found = list(pieces(images, extractor, name))
    if isinstance(images, Features):
        return images
    return Features(np.concatenate([rows for rows, _ in found]), extractor.name, found[0][1])


def both_features(real: Any, fake: Any, extractor: Extractor) -> tuple[NDArray[Any], NDArray[Any]]:
    """The rows of real and fake features, checked to be comparable."""
    x, y = features_of(real, extractor, "real"), features_of(fake, extractor, "fake").in_order_of(real)
    check_same(x.shape, y.shape)
    check_features(x.rows.shape[1], y.rows.shape[1])
    check_sizes(len(x.rows), len(y.rows))
    return x.rows, y.rows


def check_sizes(real: int, fake: int) -> None:
    """Raise if a sample has too few pictures."""
    for n, name in ((real, "real"), (fake, "fake")):
        if n < LEAST:
            raise ValueError(f"{name} holds {n} pictures: pass at least {LEAST}, better thousands.")


def check_features(real: int, fake: int) -> None:
    """Raise unless real and fake pictures have as many features."""
    if real != fake:
        raise ValueError(f"real has {real} features and fake {fake}: both must come from one extractor.")


def check_same(real: tuple[int, ...], fake: tuple[int, ...]) -> None:
    """Raise unless real and fake pictures have one shape."""
    if real != fake:
        says = [f"{shape[0]} x {shape[1]} pixels, {'colour' if len(shape) == 3 else 'grey'}" for shape in (real, fake)]
        raise ValueError(
            f"real pictures are {says[0]}, fake ones {says[1]}: bring them to one size, and repeat a grey channel "
            "three times (np.repeat(images[..., None], 3, axis=3)) to compare with colour."
        )
