"""Labels of rows: strings or integers, one a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import nearest_of
from convexgan._tools.tables import Label

MISSING = ("NAType", "NaTType")  # of pandas and numpy, told by name: neither is imported for this


def as_labels(labels: Any, rows: int, other: str) -> list[Label]:
    """The labels of so many rows, each a str or an int; raises unless there is one for each, and none is missing."""
    if isinstance(labels, str | bytes | Set | Mapping) or not hasattr(labels, "__len__"):
        raise ValueError(
            f"labels is a {type(labels).__name__}: pass a list or an array, one label for each row of {other}."
        )
    found = np.asarray(labels, dtype=object)
    if found.shape != (rows,):
        raise ValueError(
            f"labels has shape {found.shape}, not ({rows},): pass one label for each of the {rows} rows of {other}."
        )
    return [_label(value) for value in found]


def _label(value: Any) -> Label:
    """A label as Python has it, a str or an int."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    if value is None or type(value).__name__ in MISSING or (isinstance(value, float | np.floating) and value != value):
        raise ValueError("labels has missing entries: drop such rows, or give them a class of their own.")
    cut = ", cut into classes if they are numbers" if isinstance(value, float | np.floating) else ""
    raise ValueError(f"labels has an entry {value!r}: pass strings or integers{cut}.")


def grouped(labels: Sequence[Label]) -> tuple[tuple[Label, ...], NDArray[np.int64]]:
    """The classes, sorted, and each row's place among them; ValueError where strings and integers are mixed."""
    if len({type(label) for label in labels}) > 1:
        raise ValueError("labels has strings and integers: pass one kind, list(map(str, labels)) say.")
    classes = tuple(sorted(set(labels)))
    return classes, check_known(labels, classes, "labels")


def check_known(labels: Sequence[Label], classes: Sequence[Label], name: str) -> NDArray[np.int64]:
    """Each label's place among the classes, (n,); ValueError with the nearest for one that is none of them."""
    places = {label: i for i, label in enumerate(classes)}
    for label in labels:
        if label not in places:
            known = ", ".join(map(repr, classes[:10])) + (", ..." if len(classes) > 10 else "")
            raise ValueError(f"{name}: {label!r} is none of the classes {known}.{nearest_of(label, classes)}")
    return np.array([places[label] for label in labels], dtype=np.int64)
