"""CIFAR-10 in its binary version: 60,000 small colour photographs of ten classes, decoded already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

EDGE = 32
RECORD = 1 + 3 * EDGE * EDGE  # the class, then red, green and blue, row by row
BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
INNER = "cifar-10-batches-bin"


def cifar_home(path: Path) -> Path | None:
    """The folder of the binary batches, if a path is it or holds it."""
    return next((place for place in (path, path / INNER) if (place / BATCHES[0]).is_file()), None)


def read_cifar(home: Path) -> NDArray[np.uint8]:
    """The pictures (n, 32, 32, 3) of all batches that are there, training before test.

    Parameters
    ----------
    home : Path
        A folder ``cifar-10-batches-bin``, as cifar-10-binary.tar.gz unpacks.

    Raises
    ------
    ValueError
        A batch is cut off, or has a class beyond 9: it is something else.

    References
    ----------
    A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    return np.concatenate([_batch(home / name) for name in BATCHES if (home / name).is_file()])


def _batch(path: Path) -> NDArray[np.uint8]:
    """The pictures of a batch; it is mapped, so nothing larger than what is kept is read."""
    size = path.stat().st_size
    if size == 0 or size % RECORD:
        raise ValueError(
            f"{path} has {size:,} bytes, not a multiple of {RECORD:,}: unpack cifar-10-binary.tar.gz again."
        )
    records = np.memmap(path, np.uint8, "r").reshape(-1, RECORD)
    if records[:, 0].max() > 9:
        raise ValueError(f"{path} names classes beyond 9: it is no batch of CIFAR-10's binary version.")
    return np.ascontiguousarray(records[:, 1:].reshape(-1, 3, EDGE, EDGE).transpose(0, 2, 3, 1))
