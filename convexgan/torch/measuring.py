"""Measurements leave modules, and random numbers, as they are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

Kept = list[tuple[nn.Module, str, Tensor, Tensor]]


@contextmanager
def measuring(*modules: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; modes, tensors and random numbers (of torch, numpy, Python) are kept."""
    for module in modules:
        check_ready(module)
    parts = [part for module in modules for part in module.modules()]
    flags, kept = [(part, part.training) for part in parts], _tensors(parts)
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    drawn = np.random.get_state(), random.getstate()
    for module in modules:
        module.eval()
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    finally:
        np.random.set_state(drawn[0])
        random.setstate(drawn[1])
        for part, flag in flags:
            part.training = flag
        _restore(parts, kept)


def check_ready(module: nn.Module) -> None:
    """Raise if a lazy module has not seen its first batch, which would give it weights."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            raise ValueError(
                f"{type(module).__name__} is lazy, its {name} has no shape yet: call it once on a batch of its own."
            )


def _tensors(parts: list[nn.Module]) -> Kept:
    """Each module's own parameters and buffers, and copies of them."""
    found: Kept = []
    for part in parts:
        own = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        found += [(part, name, tensor, tensor.detach().clone()) for name, tensor in own]
    return found


@torch.no_grad()
def _restore(parts: list[nn.Module], kept: Kept) -> None:
    """Put back what was replaced or changed; what was not is not touched, a graph of the caller's may hold it."""
    known = {(part, name) for part, name, _, _ in kept}
    for part in parts:
        for name, _ in list(part.named_buffers(recurse=False)):
            if (part, name) not in known:
                setattr(part, name, None)
    for part, name, tensor, before in kept:
        if getattr(part, name) is not tensor:
            setattr(part, name, tensor)
        if not torch.equal(tensor, before):
            tensor.copy_(before)
