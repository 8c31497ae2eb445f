"""Checkpoints: one safetensors file whose header holds JSON, so that a kill leaves the old one or the new one."""

from __future__ import annotations

import json
import os
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from convexgan._tools.files import DAMAGE, write_bytes
from convexgan.datasets.own import TRAINING_FORMAT
from convexgan.torch.identity import compare

FORMAT = f"{TRAINING_FORMAT} 1"


def write(path: str | os.PathLike[str], settings: dict[str, Any], content: Any) -> None:
    """Write settings (JSON) and a tree of tuples, dicts with string keys, tensors, numbers, strings and None."""
    tensors: dict[str, Tensor] = {}
    header = json.dumps({"settings": settings, "content": _pack(content, tensors)})
    write_bytes(path, safetensors.torch.save(tensors, {"format": FORMAT, "convexgan": header}))


def read(path: str | os.PathLike[str], settings: dict[str, Any]) -> Any:
    """The tree that `write` stored; ValueError if the file is damaged or was written with other settings."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header, names = file.metadata() or {}, file.keys()
            if header.get("format") != FORMAT:
                raise ValueError(f"its format is {header.get('format')!r}")
            stored = json.loads(header["convexgan"])
            known = dict(stored["settings"])
            content = _unpack(stored["content"], {name: file.get_tensor(name) for name in names})
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, AttributeError, *DAMAGE) as error:
        raise ValueError(f"{path} is not a checkpoint of train or is damaged ({error}): remove it.") from None
    compare(path, known, settings)
    return content


def random_states() -> dict[str, Tensor]:
    """The states of torch's own random numbers, which modules such as dropout draw from."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states |= {str(i): state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore_random_states(states: dict[str, Tensor]) -> None:
    """Put the states back that `random_states` returned."""
    for device, state in states.items():
        if device == "cpu":
            torch.set_rng_state(state)
        else:
            torch.cuda.set_rng_state(state, int(device))


def _pack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree as JSON, its tensors put aside under numbers."""
    if isinstance(tree, Tensor):
        name = str(len(tensors))
        tensors[name] = tree.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(tree, dict):
        return {"dict": {name: _pack(part, tensors) for name, part in tree.items()}}
    return [_pack(part, tensors) for part in tree] if isinstance(tree, tuple) else tree


def _unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return tuple(_unpack(part, tensors) for part in tree)
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    return {name: _unpack(part, tensors) for name, part in tree["dict"].items()}
