"""What a checkpoint holds: trees of numbers, arrays and tensors, and objects of classes that were declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

Kind = TypeVar("Kind", bound=type)
PLAIN = (bool, int, float, str, type(None))


class UndeclaredError(ValueError):
    """A file holds an object of a class that nobody has declared."""


class _Declared(NamedTuple):
    kind: type
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]


_DECLARED: dict[str, _Declared] = {}


def register_memory(
    kind: Kind, pack: Callable[[Any], Any] | None = None, unpack: Callable[[Any], Any] | None = None
) -> Kind:
    """The class itself, which checkpoints of `train` hold and read back from now on; a decorator.

    Parameters
    ----------
    kind : class
        Of what a method remembers. Of named tuples and dataclasses the fields are kept.
    pack, unpack : functions, for other classes
        To a tree of numbers, texts, arrays, tensors, tuples, lists, dicts and declared classes, and back.

    Raises
    ------
    ValueError
        The class is neither a named tuple nor a dataclass, and one of the functions is missing.

    Examples
    --------
    >>> from typing import Any, NamedTuple
    >>> from convexgan.torch import register_memory
    >>> @register_memory
    ... class Momentum(NamedTuple):
    ...     velocity: Any
    ...     count: int
    """
    if pack is None and unpack is None and (names := _fields(kind)) is not None:
        pack, unpack = (lambda held: {name: getattr(held, name) for name in names}), (lambda tree: kind(**tree))
    if pack is None or unpack is None:
        raise ValueError(
            f"{kind.__name__} is no named tuple or dataclass: pass pack, a function from it to a tree of tensors and "
            "numbers, and unpack, which leads back."
        )
    _DECLARED[_name(kind)] = _Declared(kind, pack, unpack)
    return kind


def pack_tree(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree as JSON, its tensors and arrays put aside under numbers; ValueError if something cannot be kept."""
    kind = type(tree)
    if kind in PLAIN:
        return tree
    if isinstance(tree, Tensor):
        return {"tensor": _aside(tree.detach().cpu().contiguous().clone(), tensors)}
    if isinstance(tree, np.ndarray | np.generic) and tree.dtype.kind in "biuf" and tree.dtype.itemsize <= 8:
        return {"array": _aside(torch.from_numpy(np.array(tree, order="C")), tensors), "number": tree.ndim == 0}
    if kind is tuple:
        return [pack_tree(part, tensors) for part in tree]
    if kind is list:
        return {"list": [pack_tree(part, tensors) for part in tree]}
    if kind is dict and all(type(name) is str for name in tree):
        return {"dict": {name: pack_tree(part, tensors) for name, part in tree.items()}}
    if kind is dict:
        return {"items": [[pack_tree(name, tensors), pack_tree(part, tensors)] for name, part in tree.items()]}
    if _name(kind) in _DECLARED:
        return {"declared": _name(kind), "tree": pack_tree(_DECLARED[_name(kind)].pack(tree), tensors)}
    raise ValueError(
        f"the run remembers a {kind.__name__}, which no checkpoint can hold: declare it by "
        f"convexgan.torch.register_memory({kind.__name__}), remember numbers, arrays and tensors in tuples, lists and "
        "dicts, or leave checkpoint out."
    )


def unpack_tree(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree that was packed."""
    if isinstance(tree, list):
        return tuple(unpack_tree(part, tensors) for part in tree)
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "array" in tree:
        found = tensors[tree["array"]].numpy()
        return found[()] if tree["number"] else found
    if "list" in tree:
        return [unpack_tree(part, tensors) for part in tree["list"]]
    if "items" in tree:
        return {unpack_tree(name, tensors): unpack_tree(part, tensors) for name, part in tree["items"]}
    if "declared" in tree:
        if tree["declared"] not in _DECLARED:
            raise UndeclaredError(f"it holds a {tree['declared']}: declare it by convexgan.torch.register_memory")
        return _DECLARED[tree["declared"]].unpack(unpack_tree(tree["tree"], tensors))
    return {name: unpack_tree(part, tensors) for name, part in tree["dict"].items()}


def moved(tree: Any, device: torch.device) -> Any:
    """The tree with its tensors on a device."""
    tensors: dict[str, Tensor] = {}
    packed = pack_tree(tree, tensors)
    return unpack_tree(packed, {name: tensor.to(device) for name, tensor in tensors.items()})


def _aside(tensor: Tensor, tensors: dict[str, Tensor]) -> str:
    name = str(len(tensors))
    tensors[name] = tensor
    return name


def _fields(kind: type) -> list[str] | None:
    """The names of the fields of a named tuple or dataclass."""
    if is_dataclass(kind):
        return [field.name for field in fields(kind)]
    return list(kind._fields) if issubclass(kind, tuple) and hasattr(kind, "_fields") else None


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
