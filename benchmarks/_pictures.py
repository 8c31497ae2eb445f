"""Synthetic colour pictures whose covariance falls off with frequency, as that of photographs does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def power_law(n: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """(n, size, size, 3) smooth random pictures; channels are correlated."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    weight = np.maximum(frequency, 1 / size) ** -1.5
    layers = np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, 3, size, size))) * weight).real
    mixed = np.einsum("ck,nkhw->nhwc", np.array([[1, 0.3, 0], [1, 0, 0.2], [1, -0.3, -0.2]]), layers)
    scaled = np.clip(mixed / (3 * mixed.std()), -1, 1)
    return np.rint((scaled + 1) * 127.5).astype(np.uint8)
