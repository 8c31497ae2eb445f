"""Data frames and their columns, told by what they can do: no library of them is imported."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Label = str | int


@dataclass(frozen=True, eq=False)
class Table:
    """Rows whose columns have names, read like a frame."""

    columns: tuple[Label, ...]
    rows: NDArray[Any]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.rows, dtype=dtype, copy=copy)


def is_table(values: Any) -> bool:
    """Whether it has named columns: a frame of pandas, polars or dask, a table of pyarrow, or what acts like one."""
    readable = hasattr(values, "__array__") or hasattr(values, "to_numpy")
    named = hasattr(values, "column_names") or hasattr(values, "columns")
    return named and readable and not isinstance(values, np.ndarray)


def is_column(values: Any) -> bool:
    """Whether an object is a single column of a data frame."""
    return hasattr(values, "to_numpy") and not isinstance(values, np.ndarray)


def column_names(values: Any, name: str) -> tuple[Label, ...] | None:
    """The names of the columns of a frame, an xarray or `Moments` of one; None for what has none.

    Raises
    ------
    ValueError
        A name occurs twice.
    """
    found = _labels(values)
    if found is None:
        return None
    labels = tuple(_plain(label) for label in found)
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"{name} has the column {twice!r} more than once: rename or drop it.")
    return labels


def read_names(found: Any, dim: int | None = None) -> tuple[Label, ...] | None:
    """The names of columns that a file has in JSON; raises unless they are names, all different, of ``dim`` columns."""
    if found is None:
        return None
    if not isinstance(found, list) or not all(type(label) in (str, int) for label in found):
        raise ValueError("its names of columns are none")
    if len(set(found)) < len(found) or len(found) != (len(found) if dim is None else dim):
        raise ValueError(f"its {len(found)} names of columns are not those of {dim or 'different'} columns")
    return tuple(found)


def naming(columns: tuple[Label, ...] | None) -> dict[str, list[Label]]:
    """What the settings of a file say of them: nothing where there are no names."""
    return {} if columns is None else {"columns": list(columns)}


def new_places(
    own: tuple[Label, ...] | None, columns: tuple[Label, ...] | None, name: str, other: str
) -> list[int] | None:
    """Where the columns of ``name`` are in the order of those of ``other``; None if they stay as they are.

    They do where one of both has no names, or 0, 1, 2, ..., as frames call the columns of those who name none.

    Raises
    ------
    ValueError
        The names are not the same.
    """
    if own is None or columns is None or own == columns:
        return None
    if set(own) == set(columns):
        return [own.index(label) for label in columns]
    if any(labels == tuple(range(len(labels))) for labels in (own, columns)):
        return None
    missing, extra = ([c for c in a if c not in b] for a, b in ((columns, own), (own, columns)))
    says = [f"{what} {', '.join(map(repr, few[:5]))}" for what, few in (("lacks", missing), ("also has", extra)) if few]
    raise ValueError(
        f"the columns of {name} are not those of {other}: {name} {' and '.join(says)}. Select the same columns of "
        "both, or pass arrays without names."
    )


def check_labels(weights: Any, rows: Any, name: str, other: str) -> None:
    """Raise if a column of weights has the labels of the rows of a frame in another order."""
    own: Any = getattr(weights, "index", None)
    labels: Any = getattr(rows, "index", None)
    if not (hasattr(own, "equals") and hasattr(labels, "equals")) or own.equals(labels):
        return
    if len(own) == len(labels) and set(own) == set(labels):
        raise ValueError(
            f"{name} have the labels of {other} in another order: bring them into one, .loc[{other}.index], or pass "
            ".to_numpy() if they belong together by position."
        )


def table_columns(values: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Each column of a frame with what messages call it."""
    column_names(values, name)
    for label in _labels(values) or ():
        yield f"{name}[{label!r}]", values[label]


def is_one_block(values: Any) -> bool:
    """Whether all columns of a frame have one dtype of numpy, so that no number changes when they are put together."""
    kinds = list(getattr(values, "dtypes", ()))
    return bool(kinds) and isinstance(kinds[0], np.dtype) and all(kind == kinds[0] for kind in kinds)


def column_values(column: Any, name: str) -> Any:
    """The entries of a column as an array; raises where some are missing, or are categories."""
    kind = getattr(column, "dtype", None)
    if str(kind).lower().startswith(("category", "categorical", "enum", "dictionary")):
        raise ValueError(
            f"{name} holds categories, whose codes are no quantities: make columns of 0 and 1 of them, "
            "pandas.get_dummies(...) or .to_dummies()."
        )
    missing = _missing(column, kind)
    if missing:
        raise ValueError(f"{name} has {missing} missing entries: leave those rows out, .dropna() or .drop_nulls().")
    plain = getattr(kind, "numpy_dtype", None)  # of columns of pandas that may have missing entries
    return column.to_numpy() if plain is None else column.to_numpy(dtype=plain)


def _missing(column: Any, kind: Any) -> int:
    """How many entries are marked as missing; a NaN among floats of numpy is none, it is found as what it is."""
    counted = getattr(column, "null_count", None)
    if counted is not None:
        return int(counted() if callable(counted) else counted)
    if hasattr(column, "isna") and not (isinstance(kind, np.dtype) and kind.kind != "O"):
        return int(column.isna().sum())
    return 0


def _labels(values: Any) -> list[Any] | None:
    """The names of the columns as they are."""
    if isinstance(values, np.ndarray) or hasattr(values, "collect"):  # to look at a lazy frame costs
        return None
    if hasattr(values, "column_names"):  # of pyarrow, whose columns are the columns themselves
        return list(values.column_names)
    found = getattr(values, "columns", None)
    if found is None and hasattr(values, "coords") and len(getattr(values, "dims", ())) == 2:
        coordinate = values.coords.get(values.dims[1])  # of xarray
        found = None if coordinate is None else np.asarray(coordinate)
    return None if found is None or callable(found) else list(found)


def _plain(label: Hashable) -> Label:
    """A name that a file can hold."""
    if isinstance(label, int | np.integer) and not isinstance(label, bool):
        return int(label)
    return str(label)
