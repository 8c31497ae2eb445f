"""Histogram matching: a monotone map per channel from generated to real pixel values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
KNOTS = 257


def learn_map(generated: NDArray[np.floating], real: NDArray[np.floating]) -> Array:
    """The quantiles of both, (channels, 2, knots), between which `apply_map` interpolates.

    Parameters
    ----------
    generated, real : (n, h, w, channels) arrays
    """
    levels = np.linspace(0, 1, KNOTS)
    channels = range(real.shape[-1])
    return np.array([[np.quantile(images[..., c], levels) for images in (generated, real)] for c in channels])


def apply_map(images: Array, knots: Array) -> Array:
    """The pictures with each channel's values moved to the real quantiles; constant beyond the extremes."""
    out = np.empty_like(images)
    for c, (source, target) in enumerate(knots):
        out[..., c] = np.interp(images[..., c], source, target)
    return out
