"""Samples of any source as rows: arrays, tensors, pictures, data sets and loaders of torch, streams of batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from convexgan._tools.arrays import as_rows, is_stream, read_array
from convexgan.statistics.moments import Moments
from convexgan.torch.pictures import PictureSource

BLOCK = 256  # samples read or generated at once


def is_loader(samples: Any) -> bool:
    """Whether they come in batches: a data set or loader of torch, or any iterator."""
    return isinstance(samples, Dataset | DataLoader) or is_stream(samples)


def is_batched(samples: Any) -> bool:
    """Whether they come in batches, those of a `PictureSource` among them."""
    return is_loader(samples) or isinstance(samples, PictureSource)


def batches(samples: Any, name: str = "data") -> Iterator[Any]:
    """The samples batch by batch; of batches that are pairs the first part, as the others are labels."""
    if isinstance(samples, PictureSource):
        yield from samples.rows()
        return
    if not is_loader(samples):
        yield samples
        return
    whole = DataLoader(samples, batch_size=BLOCK) if isinstance(samples, Dataset) else samples
    found: Iterable[Any] = whole
    for batch in found:
        if isinstance(batch, Mapping):
            raise ValueError(
                f"{name} yields dicts with the keys {', '.join(map(repr, batch))}: pass the samples alone, "
                f"(batch[{next(iter(batch), 'image')!r}] for batch in ...)."
            )
        first = batch[0] if isinstance(batch, tuple | list) and len(batch) and np.ndim(batch[0]) > 1 else batch
        if np.ndim(first) < 2:
            raise ValueError(
                f"{name} yields one sample after another, of shape {np.shape(first)}: pass list({name}), or yield "
                "batches (n, ...)."
            )
        yield first


def blocks(samples: Any, name: str = "data", *, bytes_too: bool = False) -> Iterator[NDArray[Any]]:
    """Rows (n_i, d) of samples (n, ...), a batch at a time.

    Parameters
    ----------
    samples : array, tensor, `PictureSource`, data set or loader of torch, or an iterator of batches
    name : str
        What error messages call them.
    bytes_too : bool
        Whether pictures may be bytes, because what they are compared with are bytes too.

    Raises
    ------
    ValueError
        They are pictures in bytes, which generators do not make, or nothing at all.
    """
    for batch in batches(samples, name):
        found = read_array(batch, name)
        if not bytes_too:
            check_scale(found, name)
        yield as_rows(found.reshape(len(found), -1) if found.ndim > 2 else found, name)


def has_bytes(samples: Any) -> bool:
    """Whether they are an array or tensor of bytes."""
    return str(getattr(samples, "dtype", "")) in ("uint8", "torch.uint8")


def check_scale(samples: Any, name: str) -> None:
    """Raise for pictures in bytes."""
    if samples.ndim > 2 and has_bytes(samples):
        raise ValueError(
            f"{name} holds pictures as bytes, 0 to 255, which a generator does not make: pass {name} / 127.5 - 1 if it "
            "makes numbers from -1 to 1, or a PictureSource."
        )


def flat(samples: Any, name: str = "data", *, bytes_too: bool = False) -> NDArray[Any]:
    """All the samples as rows (n, d)."""
    found = list(blocks(samples, name, bytes_too=bytes_too))
    if not found:
        raise ValueError(f"{name} yields nothing: pass at least one batch, and a new iterator if this was read before.")
    return found[0] if len(found) == 1 else np.concatenate(found)


def moments(samples: Any, name: str = "data", *, bytes_too: bool = False) -> Moments:
    """The moments of samples, in memory that does not depend on their number."""
    if isinstance(samples, Moments):
        return samples
    if not is_batched(samples):
        return Moments.from_array(flat(samples, name, bytes_too=bytes_too), name=name)
    return Moments.from_chunks(blocks(samples, name, bytes_too=bytes_too))


def collected(samples: Any, name: str = "data") -> Any:
    """What comes in batches as one tensor (n, ...), all else as it is."""
    if not is_loader(samples):
        return samples
    parts = [torch.as_tensor(np.asarray(read_array(batch, name))) for batch in batches(samples, name)]
    if not parts:
        raise ValueError(f"{name} yields nothing: pass at least one batch, and a new iterator if this was read before.")
    found: Tensor = torch.cat(parts)
    return found
