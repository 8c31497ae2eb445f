"""The generator for programs that know nothing of torch."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

from convexgan._tools.files import write_bytes
from convexgan.torch.progressive import ProgressiveGenerator


def export_onnx(generator: ProgressiveGenerator, path: str | os.PathLike[str]) -> None:
    """Write the generator as an ONNX model from ``latents`` (n, latent_dim) to ``pictures`` (n, channels, h, h).

    The pictures are floats, [-1, 1] from black to white, not clipped; n is free.

    Raises
    ------
    ModuleNotFoundError
        Without the packages onnx and onnxscript (extra ``onnx``).
    """
    for name in ("onnx", "onnxscript"):
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"writing ONNX needs {name}: pip install 'convexgan[onnx]'.", name=name)
    like = next(generator.parameters())
    latents = torch.zeros(2, generator.latent_dim, dtype=like.dtype, device=like.device)
    with warnings.catch_warnings(), _errors_only():
        warnings.simplefilter("ignore")  # torch warns of its own deprecated functions
        program = torch.onnx.export(
            generator,
            (latents,),
            input_names=["latents"],
            output_names=["pictures"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            verbose=False,
            dynamo=True,
        )
    write_bytes(path, program.model_proto.SerializeToString())  # type: ignore[union-attr]


@contextmanager
def _errors_only() -> Iterator[None]:
    """Let torch.onnx speak of errors only, and of what it spoke before afterwards."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
