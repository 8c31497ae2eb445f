"""The progress bar of a training run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHOWN = ("payoff", "value", "gap", "violation", "duality_gap")


@contextmanager
def shown(progress: bool, steps: int) -> Iterator[Callable[[dict[str, float]], None]]:
    """What a run reports its rows to: a bar on stderr with payoff, value, gap and violation, or nothing."""
    if not progress:
        yield lambda row: None
        return
    from rich.console import Console  # here: only where somebody looks
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=steps)

        def report(row: dict[str, float]) -> None:
            text = ", ".join(f"{name} {row[name]:.4g}" for name in SHOWN if name in row)
            bar.update(task, completed=int(row["step"]), description=text)

        yield report
