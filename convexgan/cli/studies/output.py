"""What studies share: their options, tidy tables, and figures where matplotlib is."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from convexgan._tools.files import write_bytes
from convexgan.cli.console import note, result

Out = Annotated[Path, typer.Option(help="Folder to write; an interrupted study goes on there.")]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer runs and settings: less than a minute.")]
Jobs = Annotated[int | None, typer.Option(help="Processes; all cores unless given.")]


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with one row for each observation."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def draw(path: Path, figure: Callable[[Path], None]) -> None:
    """Write a figure, or say why not."""
    try:
        figure(path)
    except ModuleNotFoundError as error:
        note(f"no {path.name}: {error}")


def name_files(out: Path, files: dict[str, str]) -> None:
    """Print the files that were written, and what is in them."""
    for name, what in files.items():
        if (out / name).exists():
            result(f"{out / name}: {what}")
