"""Generators of others, as ONNX: what they make of standard normal latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 256  # latents at a time


def made_by(path: Path, count: int, seed: int) -> NDArray[Any]:
    """Samples (count, ...) of the generator in an ONNX file, whose one input takes latents (n, ...), n free.

    Raises
    ------
    ValueError
        The model has several inputs, or one whose size is not known but for the first axis, or fails.
    """
    from convexgan.metrics._nets import onnx_session

    session = onnx_session(path.read_bytes(), path)
    inputs = session.get_inputs()
    shape = inputs[0].shape[1:] if inputs else []
    if len(inputs) != 1 or not shape or not all(isinstance(size, int) for size in shape):
        said = ", ".join(f"{one.name} {one.shape}" for one in inputs) or "none"
        raise ValueError(
            f"{path} takes {said}: export a generator of one input, latents (n, k), with n alone left open."
        )
    rng, made = np.random.default_rng(seed), []
    for start in range(0, count, BATCH):
        latents = rng.standard_normal((min(BATCH, count - start), *shape)).astype(np.float32)
        try:
            made.append(np.asarray(session.run(None, {inputs[0].name: latents})[0]))
        except Exception as error:  # onnxruntime has no public exception of its own
            raise ValueError(f"{path} fails on latents {latents.shape} ({str(error).splitlines()[0]}).") from None
        if len(made[-1]) != len(latents):
            raise ValueError(f"{path} makes {made[-1].shape} of latents {latents.shape}: leave the first axis open.")
    return np.concatenate(made)
