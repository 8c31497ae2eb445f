"""Tables of numbers: comma-separated text and Parquet files, with the names of their columns."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import read_array
from convexgan._tools.tables import Table, column_names

INDEX = "__index_level_"  # how the nameless index of a frame is called in a Parquet file


def read_csv(content: bytes, name: str) -> NDArray[np.float64] | Table:
    """The numbers of lines of text, with names where the first line holds any word that is no number.

    Cells are separated by commas, semicolons or tabs, whichever the first line has; decimals are written with a point.
    A first line 0, 1, 2, ... above fractions only is what pandas writes where columns have no names.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not text in UTF-8: save it as CSV UTF-8, or with numpy.save.") from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    mark = next((mark for mark in "\t;," if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num}: {error}. Save it as plain CSV.") from None
    head = [cell.strip() for cell in lines[0][1]] if lines else []
    counted = head == [str(i) for i in range(len(head))] and _has_fractions(lines[1:], len(head))
    labels = None if all(map(_is_number, head)) and not counted else head
    body = lines if labels is None else lines[1:]
    if not body:
        raise ValueError(f"{name} holds no numbers: write one sample a line, cells separated by commas.")
    rows = np.array([_numbers(cells, head, labels, f"{name}, line {at}") for at, cells in body])
    return rows if labels is None else named(rows, labels, name)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which Python takes within numbers


def _has_fractions(lines: list[tuple[int, list[str]]], count: int) -> bool:
    """Whether there are lines, and a decimal point in all cells of each."""
    return bool(lines) and all(len(cells) == count and all("." in cell for cell in cells) for _, cells in lines)


def _numbers(cells: list[str], head: list[str], labels: list[str] | None, place: str) -> list[float]:
    if len(cells) != len(head):
        raise ValueError(f"{place}: {len(cells)} cells where the first line has {len(head)}. Write as many in each.")
    for i, cell in enumerate(cells):
        if not _is_number(cell.strip()):
            column = i + 1 if labels is None else repr(labels[i])
            says = f"holds {cell.strip()!r:.60}, no number" if cell.strip() else "is empty"
            repair = "leave the column out, or the line; decimals have a point"
            raise ValueError(f"{place}: column {column} {says}: {repair}.")
    return [float(cell) for cell in cells]


def named(rows: NDArray[Any], labels: list[Any], name: str) -> Table:
    """The table; raises where a column has no name of its own."""
    for i, label in enumerate(labels):
        if label == "" or str(label).startswith(INDEX):
            raise ValueError(
                f"{name}: column {i + 1} has no name, as pandas writes the index of a frame: save it with index=False, "
                "or name the column."
            )
    counted = labels == [str(i) for i in range(len(labels))]
    table = Table(tuple(range(len(labels)) if counted else labels), rows)
    column_names(table, name)
    return table


def read_parquet(path: Path) -> Table:
    """The columns of a Parquet file; raises where they are no numbers, or some are missing."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table
    except ModuleNotFoundError as error:
        repair = f"{path} needs pyarrow: pip install 'convexgan[tables]'."
        raise ModuleNotFoundError(repair, name=error.name) from None
    with path.open("rb") as file:
        try:
            table = read_table(file)
        except (ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{path} is not a readable .parquet file ({reason}): save a frame of numbers.") from None
    column_names(table, str(path))
    return named(read_array(table, str(path)), table.column_names, str(path))
