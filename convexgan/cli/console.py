"""What commands print: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

import numpy as np
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convexgan._tools.checks import check_count
from convexgan._tools.progress import Clock, counted, say, stage, waited

PIPE_WIDTH, NARROWEST = 160, 40  # columns where neither a terminal nor COLUMNS says how many; the fewest
QUIET: ContextVar[bool] = ContextVar("quiet", default=False)  # during a command


def _check_seed(seed: int) -> int:
    return check_count(seed, "--seed", 0)


Seed = Annotated[int, typer.Option(callback=_check_seed, help="Seed of everything drawn at random.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def printable(text: str) -> str:
    """A text of strangers, a file's name say, on lines of its own, without what a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def note(text: str) -> None:
    """Print a line to standard error, above a progress bar if one is shown there (typer.echo writes into it)."""
    if loud():
        warn(text)


def warn(text: str) -> None:
    """Print a line to standard error, under --quiet too."""
    say(printable(text))


def result(text: str) -> None:
    """Print a line to standard output."""
    typer.echo(printable(text))


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


def render(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as plain text, no wider than its content."""
    console = Console(width=PIPE_WIDTH, no_color=True, highlight=False)
    with console.capture() as capture:
        for table in _tables(columns, list(rows), None, PIPE_WIDTH):
            console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table to standard output, as wide as the terminal or the variable COLUMNS says."""
    console = Console(highlight=False)
    if not console.is_terminal:
        asked = os.environ.get("COLUMNS", "")
        console = Console(highlight=False, width=max(int(asked), NARROWEST) if asked.isdecimal() else PIPE_WIDTH)
    for table in _tables(columns, list(rows), title, console.width):
        console.print(table)


def _tables(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None, width: int) -> Iterator[Table]:
    """The table, or where it is too wide several, each with the first column and as many others as there is room for.

    Texts are shown as they are: nothing in a name or a claim is taken for markup.
    """
    cells = [[printable(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(cell_len(row[i]) for row in cells) + 3 for i in range(len(columns))]  # with blanks and a line
    others = list(range(1, len(columns)))
    while True:
        group, room = [0], width - 1 - widths[0]
        while others and (widths[others[0]] <= room or len(group) == 1):
            room -= widths[others[0]]
            group.append(others.pop(0))
        table = Table(title=None if title is None else Text(printable(title)), title_justify="left")
        for i in group:
            table.add_column(Text(cells[0][i]), justify="right" if i else "left", overflow="fold", no_wrap=room >= 0)
        for row in cells[1:]:
            table.add_row(*(Text(row[i]) for i in group))
        yield table
        if not others:
            return
        title = None


def loud() -> bool:
    """Whether progress is to be shown: not under --quiet."""
    return not QUIET.get()


@contextmanager
def phase(name: str) -> Iterator[Clock]:
    """A phase of unknown length on standard error: a spinner on a terminal, and a line that says how long it took."""
    with waited(name, loud()) as clock:
        yield clock


@contextmanager
def search(name: str) -> Iterator[bool]:
    """Whether a search is to show how far it is, which it does on a terminal; elsewhere it is a phase."""
    if loud() and stage() is not None:
        yield True
        return
    with phase(name):
        yield False


class Phases:
    """Phases over pictures, with rate and time left on standard error; when they began and what they took is kept."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.clocks: list[Clock] = []

    @contextmanager
    def __call__(self, name: str, total: int) -> Iterator[Callable[[int], object]]:
        """A function to call with the number of pictures done since the last call."""
        with counted(name, total, shown=loud()) as (clock, advance):
            self.clocks.append(clock)
            yield advance


def number(value: float, digits: int = 6) -> str:
    """A number with so many significant digits."""
    return f"{value:.{digits}g}"
