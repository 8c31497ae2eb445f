"""What commands print: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 160  # columns where no terminal says how many it has

Seed = Annotated[int, typer.Option(help="Seed of everything drawn at random.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def note(text: str) -> None:
    """Print a line to standard error."""
    typer.echo(text, err=True)


def result(text: str) -> None:
    """Print a line to standard output."""
    typer.echo(text)


def print_json(content: Any) -> None:
    """Print JSON to standard output; infinities and NaN are strings."""
    typer.echo(to_json(content))


def to_json(content: Any) -> str:
    """JSON text of plain values, arrays and numpy numbers."""
    return json.dumps(_plain(content), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def render(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> str:
    """A table as plain text, no wider than its content."""
    console = Console(width=PIPE_WIDTH, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(_table(columns, rows, title))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table to standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH)
    console.print(_table(columns, rows, title))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None) -> Table:
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


@dataclass
class Clock:
    """Seconds a phase took, known once it has ended."""

    seconds: float = 0.0


@contextmanager
def phase(name: str) -> Iterator[Clock]:
    """Announce a phase on standard error, with a spinner on a terminal, and say how long it took."""
    clock, start = Clock(), time.perf_counter()
    console = Console(stderr=True, highlight=False)
    with console.status(f"{name} ...") if console.is_terminal else _nothing():
        yield clock
    clock.seconds = time.perf_counter() - start
    note(f"{name}: {clock.seconds:.1f} s")


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def number(value: float, digits: int = 6) -> str:
    """A number with so many significant digits."""
    return f"{value:.{digits}g}"
