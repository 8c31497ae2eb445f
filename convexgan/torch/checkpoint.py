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
from convexgan.torch.memory import UndeclaredError, pack_tree, unpack_tree

FORMAT = f"{TRAINING_FORMAT} 1"


def write(path: str | os.PathLike[str], settings: dict[str, Any], content: Any) -> None:
    """Write settings (JSON) and a tree of what `pack_tree` keeps."""
    tensors: dict[str, Tensor] = {}
    header = json.dumps({"settings": settings, "content": pack_tree(content, tensors)})
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
            content = unpack_tree(stored["content"], {name: file.get_tensor(name) for name in names})
    except UndeclaredError as error:
        raise ValueError(f"the checkpoint {path} cannot be read, {error}, then call again.") from None
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
