"""Measurements leave modules, and random numbers, as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def measuring(*modules: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; modes, buffers and random numbers are those of before afterwards."""
    flags = [(part, part.training) for module in modules for part in module.modules()]
    buffers = [(buffer, buffer.clone()) for module in modules for buffer in module.buffers()]
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    for module in modules:
        module.eval()
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    finally:
        for part, flag in flags:
            part.training = flag
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
