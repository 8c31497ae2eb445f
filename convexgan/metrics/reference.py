"""The features of real pictures, kept in a folder so that they are computed once."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.files import read_model, remove_unfinished, write_model
from convexgan.metrics.pictures import Extractor, Features, features_of
from convexgan.progressive.passes import as_pictures

VERSION = 1  # of how extractors are shown pictures
KIND = "reference features"
LARGEST = 512 * 2**20  # bytes of features written


def reference_features(images: Any, extractor: Extractor, folder: str | os.PathLike[str]) -> Features:
    """The features of pictures, from the folder if it has them, else computed and written into it.

    Files are named after the extractor and a hash of its weights and all pixels, so other pictures have other files.
    What is damaged is computed again. Nothing is kept above `LARGEST`, and of extractors without a digest.

    Parameters
    ----------
    images : (n, h, h) or (n, h, h, 3) array, or Pictures
    extractor : Extractor
    folder : path
        Made if it does not exist.
    """
    if isinstance(images, Features) or extractor.digest is None:
        return features_of(images, extractor, "real")
    pictures = as_pictures(images)
    known = VERSION, pictures.fingerprint, len(pictures), pictures.shape, extractor.name, extractor.digest
    key = hashlib.sha256(json.dumps(known).encode()).hexdigest()
    path = Path(folder) / f"{extractor.name.replace(' ', '-')}-{key[:16]}.npz"
    rows = _kept(path, key, len(pictures))
    if rows is not None:
        return Features(rows, extractor.name, pictures.shape)
    found = features_of(pictures, extractor, "real")
    if found.rows.nbytes <= LARGEST:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(path.parent)
        write_model(path, KIND, {"key": key}, {"rows": found.rows})
    return found


def _kept(path: Path, key: str, count: int) -> NDArray[Any] | None:
    """The rows in the file, or None if they are to be computed."""
    try:
        settings, arrays = read_model(path, KIND)
        rows = arrays["rows"]
    except (FileNotFoundError, KeyError, ValueError):
        return None
    whole = settings.get("key") == key and rows.ndim == 2 and len(rows) == count and np.isfinite(rows).all()
    return rows if whole else None
