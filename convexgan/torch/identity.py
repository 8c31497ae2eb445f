"""What a training run is: its players by structure and by what they compute, and its settings, compared by name."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convexgan._tools.checks import warn_user
from convexgan.torch.exact import ExactDiscriminatorLoss
from convexgan.torch.measuring import measuring
from convexgan.torch.objective import Batch
from convexgan.torch.players import unwrapped

SHOWN = 8  # samples and latents that are looked at
KEPT = 64  # numbers of the outputs that are kept
SAME, OTHER = 1e-4, 1e-2  # relative tolerance on devices of the same kind, and of another
_COMPILED = "_orig_mod"


def structure(player: nn.Module) -> list[str]:
    """The modules of a player with what they print of themselves, and the shapes of its parameters; no values."""
    modules = [
        f"{_plain(name) or 'itself'}: {type(module).__name__}({module.extra_repr()})"
        for name, module in player.named_modules()
        if not hasattr(module, _COMPILED)
    ]
    shapes = [f"{_plain(name)}: {tuple(p.shape)} {p.dtype}" for name, p in player.named_parameters()]
    return [*modules, *shapes]


def _plain(name: str) -> str:
    """A module's name without what `torch.compile` adds."""
    return ".".join(part for part in name.split(".") if part != _COMPILED)


def players(generator: nn.Module, discriminator: nn.Module) -> dict[str, Any]:
    """What tells these players from others, by name; not their weights, which a run changes."""
    whole = unwrapped(generator)
    return {
        "generator": f"{type(whole).__name__}({whole.extra_repr()})",
        "discriminator": f"{type(unwrapped(discriminator)).__name__}({unwrapped(discriminator).extra_repr()})",
        "layers of the generator": structure(generator),
        "layers of the discriminator": structure(discriminator),
        "warm start": getattr(whole, "origin", None),
    }


def described(value: Any, above: tuple[int, ...] = ()) -> str:
    """A text for a method, or what it is made of, that is the same in the next process and another for another content.

    Functions are named; of those that are not the package's the closure and the defaults are told, of a lambda the
    code too. Objects are told by their class and attributes, arrays and tensors by a hash.

    Parameters
    ----------
    value : function, object, number, ...
    above : tuple of int
        The objects that hold it, by id, which are not told again.
    """

    def told(part: Any) -> str:
        return described(part, (*above, id(value)))

    if id(value) in above:
        return "itself"
    if isinstance(value, partial):
        fixed = f" {told(value.args)}" if value.args else ""
        return f"{told(value.func)}{fixed} {sorted((k, told(v)) for k, v in value.keywords.items())}"
    if isinstance(value, MethodType):
        return f"{value.__qualname__} of {told(value.__self__)}"
    if isinstance(value, FunctionType):
        return _of_function(value, told)
    if isinstance(value, Tensor | np.ndarray):
        array = value.detach().cpu().double().numpy() if isinstance(value, Tensor) else value
        return f"{value.dtype} {tuple(value.shape)} {_hash(np.ascontiguousarray(array).tobytes())}"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(told, value))})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(told, value)))}}}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(sorted(f'{told(name)}: {told(part)}' for name, part in value.items()))}}}"
    if hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    if hasattr(value, "__dict__"):
        return f"{type(value).__qualname__} {told(vars(value))}"
    return str(value) if _has_text(value) else type(value).__qualname__


def _has_text(value: object) -> bool:
    """Whether it prints as more than its place in memory."""
    return type(value).__repr__ != object.__repr__


def _of_function(function: FunctionType, told: Any) -> str:
    """The name of a function, and what else it is made of if it is not the package's."""
    if function.__module__.split(".")[0] == __name__.split(".")[0]:
        return function.__qualname__
    parts: dict[str, Any] = {"defaults": function.__defaults__, "keywords": function.__kwdefaults__}
    parts["closure"] = inspect.getclosurevars(function).nonlocals
    if function.__name__ == "<lambda>":
        parts["code"] = _of_code(function.__code__)
    return " ".join([function.__qualname__, *(f"{name} {told(part)}" for name, part in parts.items() if part)])


def _of_code(code: CodeType) -> str:
    inner = [_of_code(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return _hash(repr((code.co_code, code.co_names, inner)).encode())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def compare(path: Any, known: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise if a checkpoint was made with other settings, naming each; what it does not know is not compared.

    Smaller batches than those of then, which want of memory may force, are warned of.
    """
    found: list[str] = []
    for name in asked:
        whole = name.removeprefix("layers of the ")  # of which more need not be said
        if name not in known or known[name] == asked[name] or (whole != name and known.get(whole) != asked[whole]):
            continue
        if name == "batch" and asked[name] is not None and (known[name] is None or asked[name] < known[name]):
            warn_user(f"the run in {path} was made with batch={known[name]} and goes on with batch={asked[name]}.")
        elif name != "warm start" or None not in (known[name], asked[name]):
            found += list(_differences(name, known[name], asked[name]))
    if found:
        raise ValueError(
            f"the checkpoint {path} is of another run, whose {'; whose '.join(found)}: pass the same arguments to "
            "continue it, or another place to write."
        )


def _differences(name: str, then: Any, now: Any) -> Iterator[str]:
    """The differences between two settings, in words."""
    if isinstance(then, dict) and isinstance(now, dict):
        for part in now:
            if then.get(part) != now[part]:
                yield f"{name} {part} was {then.get(part)!r} and not {now[part]!r}"
    elif isinstance(then, list) and isinstance(now, list) and name.startswith("layers"):
        there, here = [line for line in then if line not in now], [line for line in now if line not in then]
        yield f"{name} were {_first(there)} and not {_first(here)}"
    elif name in ("data", "warm start"):
        yield f"{name} was another (hash {str(then)[:12]} and not {str(now)[:12]})"
    else:
        yield f"{name} was {then!r} and not {now!r}"


def _first(lines: list[str]) -> str:
    more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    return f"'{lines[0]}'{more}" if lines else "the others alone"


def outputs(generator: nn.Module, discriminator: nn.Module, batch: Batch) -> dict[str, Tensor | None]:
    """Some numbers of what the players, as they are, compute on a few samples and latents; None where it is random.

    Nothing is changed: no random number is drawn of those that follow, and modules and buffers stay what they were.
    """
    found: dict[str, Tensor | None] = {"generator": _output(unwrapped(generator), batch.latents)}
    exact = isinstance(unwrapped(discriminator), ExactDiscriminatorLoss)  # its settings say all
    found["discriminator"] = None if exact else _output(unwrapped(discriminator), batch.real)
    return found


def _output(player: nn.Module, given: Tensor) -> Tensor | None:
    with measuring(player):
        drawn: list[Tensor] = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            drawn.append(player(given[:SHOWN]).detach().flatten().double().cpu())
    if not torch.equal(*drawn):
        return None
    return drawn[0][:: max(1, len(drawn[0]) // KEPT)][:KEPT].clone()


def compare_outputs(path: Any, then: Mapping[str, Any], now: Mapping[str, Any], same_device: bool) -> None:
    """Raise if a player computes something else than then with the same weights, naming it."""
    tol = SAME if same_device else OTHER
    for name, found in now.items():
        known = then.get(name)
        if known is None or found is None:
            continue
        size = float(known.abs().nan_to_num(0.0, 0.0, 0.0).max()) if len(known) else 0.0
        if known.shape != found.shape or not torch.allclose(known, found, rtol=tol, atol=tol * size, equal_nan=True):
            raise ValueError(
                f"the checkpoint {path} is of another run, whose {name} computed something else with the same weights: "
                f"pass the {name} of then (the same activations and constants) to continue it, or another place to "
                "write."
            )
