"""Labels of rows: strings or integers, one a row."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Label = str | int


def as_labels(labels: Any, rows: int, other: str) -> list[Label]:
    """The labels of so many rows, each a str or an int; raises unless there is one for each, and none is missing."""
    found = np.asarray(labels, dtype=object)
    if found.shape != (rows,):
        raise ValueError(
            f"labels has shape {found.shape}, not ({rows},): pass one label for each of the {rows} rows of {other}."
        )
    return [_label(value) for value in found]


def _label(value: Any) -> Label:
    """One of them, as Python has it."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_ | int | np.integer) or (
        isinstance(value, float | np.floating) and float(value).is_integer()
    ):
        return int(value)
    missing = value is None or value != value
    repair = "drop such rows, or give them a class of their own" if missing else "cut numbers into classes beforehand"
    raise ValueError(f"labels has {'missing entries' if missing else f'an entry {value!r}'}: {repair}.")


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
            near = difflib.get_close_matches(str(label), [str(known) for known in classes], n=1, cutoff=0.4)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known = ", ".join(map(repr, classes[:10])) + (", ..." if len(classes) > 10 else "")
            raise ValueError(f"{name}: {label!r} is none of the classes {known}.{hint}")
    return np.array([places[label] for label in labels], dtype=np.int64)
