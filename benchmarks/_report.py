"""Tables with the machine they were measured on, and timing of two sides of a comparison in turn."""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"


def parse(description: str | None) -> argparse.Namespace:
    """The options that all benchmarks share."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="tables: benchmarks/results",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        default=bool(os.environ.get("QUICK")),
        help="small sizes only: a check that it runs, not written down (also QUICK=1)",
    )
    return parser.parse_args()


def write(
    name: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    text: str,
    quick: bool,
    figure: Figure | None = None,
) -> None:
    """Print the table, and unless quick write NAME.csv, with a figure NAME.png, and NAME.md, which shows the latter."""
    cells = [[f"{value:.4g}" if isinstance(value, float) else str(value) for value in row] for row in rows]
    table = [columns, ["---"] * len(columns), *cells]
    body = "\n".join("| " + " | ".join(row) + " |" for row in table)
    print(body)
    if quick:
        return
    RESULTS.mkdir(exist_ok=True)
    machine = (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    )
    drawn = RESULTS / f"{name}.png"
    if figure:
        figure.savefig(drawn, dpi=120)
    picture = f"![{name}]({name}.png)\n\n" if drawn.exists() else ""
    (RESULTS / f"{name}.md").write_text(f"# {name}\n\n{text.strip()}\n\n{picture}{body}\n\nMachine: {machine}.\n")
    with (RESULTS / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def spread(values: Sequence[float], form: str = ".3g") -> str:
    """Median (least to greatest), or the only value."""
    middle = f"{statistics.median(values):{form}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}} to {max(values):{form}})"


def fastest(repeats: int, *sides: Callable[[], Any]) -> list[float]:
    """The shortest time in seconds of each side, measured in turn so that a busy machine slows all alike."""
    times = [[] for _ in sides]  # type: list[list[float]]
    for _ in range(repeats):
        for side, seconds in zip(sides, times, strict=True):
            time.sleep(0.2)  # the other side's BLAS threads spin for a while before they sleep
            start = time.perf_counter()
            side()
            seconds.append(time.perf_counter() - start)
    return [min(seconds) for seconds in times]
