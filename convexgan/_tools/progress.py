"""A line on stderr that tells how far a search has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[float, float, int], None]


@contextmanager
def shown(progress: bool | Report, text: str) -> Iterator[Report | None]:
    """What a search reports to: the caller's own, a line with its three numbers filled into ``text``, or nothing."""
    if callable(progress) or not progress:
        yield progress or None
        return
    from rich.console import Console  # here: only where somebody looks
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text.split(":")[0])

        def report(value: float, bound: float, count: int) -> None:
            bar.update(task, description=text.format(value, bound, count))

        yield report
