"""How far work has come, on stderr: a line that moves on a terminal, elsewhere a line for each phase that has ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convexgan._tools.deadline import Deadline

if TYPE_CHECKING:
    from rich.console import Console

Report = Callable[[float, float, int], None]
Advance = Callable[..., None]
LONG = 60.0  # seconds after which a phase that nobody sees moving says how far it is


@dataclass
class Clock:
    """What a phase did and the seconds it took, known once it has ended."""

    name: str
    total: int | None = None
    unit: str = ""
    seconds: float = 0.0
    text: str = ""  # the last that was said of it

    def record(self) -> dict[str, Any]:
        """The phase for a report."""
        rate = {} if self.total is None else {self.unit: self.total, "per_second": self.total / max(self.seconds, 1e-9)}
        return {"name": self.name, "seconds": self.seconds, **rate}


@contextmanager
def waited(name: str, shown: bool = True) -> Iterator[Clock]:
    """A phase of unknown length: a spinner with the seconds, and a line that says how many they were."""
    console = stage() if shown else None
    with _timed(Clock(name), shown) as clock:
        if console is None:
            yield clock
            return
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = SpinnerColumn(), TextColumn("{task.description} ..."), TimeElapsedColumn()
        with Progress(*columns, console=console, transient=True) as bar:
            bar.add_task(name)
            yield clock


@contextmanager
def counted(name: str, total: int, unit: str = "pictures", shown: bool = True) -> Iterator[tuple[Clock, Advance]]:
    """A phase of so many pieces: a bar with rate and time left, and a line with seconds and rate.

    What is yielded beside its clock is to be called with the number of pieces done since the last call, and a text;
    with ``known=True`` the pieces were done before, and count for no rate.
    """
    console = stage() if shown else None
    with _timed(Clock(name, total, unit), shown) as clock:
        if console is None:
            yield clock, _Lines(clock, shown)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        described = TextColumn("{task.description}"), TextColumn("{task.fields[text]}")
        columns = described[0], BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}")
        with Progress(*columns, TimeRemainingColumn(), described[1], console=console, transient=True) as bar:
            task = bar.add_task(name, total=total, text="", rate="")

            def advance(count: int, text: str = "", known: bool = False) -> None:
                clock.text = text
                bar.advance(task, count)  # rates are those from the first call on
                speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
                bar.update(task, text=text, rate="" if speed is None else f"{speed:,.3g}/s")

            yield clock, advance


@contextmanager
def shown(
    progress: bool | Report, text: str, deadline: Deadline | None = None, total: int = 0
) -> Iterator[Report | None]:
    """What a search reports to: the caller's own; a line with its three numbers filled into ``text``; or nothing.

    The line has the rate of the third number, a count, and the seconds that are left: of a limit, or until the count is
    ``total``. Only a terminal shows it.
    """
    if callable(progress) or not progress or (console := stage()) is None:
        yield progress if callable(progress) else None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=console, transient=True) as bar:
        task, start = bar.add_task(text.split(":")[0]), time.perf_counter()

        def report(value: float, bound: float, count: int) -> None:
            rate = count / max(time.perf_counter() - start, 1e-9)
            left = None if deadline is None else deadline.left
            if total and rate:
                left = min((total - count) / rate, left or float("inf"))
            pace = f"{rate:,.3g}/s" if left is None else f"{rate:,.3g}/s, {left:,.0f} s left"
            bar.update(task, description=f"[{pace}] {text.format(value, bound, count)}")  # narrow windows cut the end

        yield report


def stage() -> Console | None:
    """Where things can move: stderr, if it is a terminal or a notebook."""
    from rich.console import Console  # here: only where somebody looks

    console = Console(stderr=True, highlight=False)
    return console if console.is_terminal or console.is_jupyter else None


def say(line: str) -> None:
    """Print a line to stderr, above a bar if one is shown there."""
    sys.stderr.write(f"{line}\n")


class _Lines:
    """Progress where nothing moves: a line for each minute of a long phase."""

    def __init__(self, clock: Clock, shown: bool) -> None:
        self.clock, self.shown, self.done, self.before = clock, shown, 0, 0
        self.start = self.last = time.perf_counter()

    def __call__(self, count: int, text: str = "", known: bool = False) -> None:
        self.done, self.clock.text = self.done + count, text
        self.before += count if known else 0
        now, total = time.perf_counter(), self.clock.total or 0
        if not self.shown or now - self.last < LONG or self.done == self.before:
            return
        self.last, rate = now, (self.done - self.before) / (now - self.start)
        left = (total - self.done) / rate
        say(f"{self.clock.name}: {self.done:,} of {total:,}, {rate:,.3g}/s, {left:,.0f} s left{text and f', {text}'}")


@contextmanager
def _timed(clock: Clock, shown: bool) -> Iterator[Clock]:
    """Measure a phase, and say how long it took."""
    start = time.perf_counter()
    yield clock
    clock.seconds = time.perf_counter() - start
    if shown:
        rate = f", {clock.total / max(clock.seconds, 1e-9):,.0f} {clock.unit}/s" if clock.total else ""
        say(f"{clock.name}: {clock.seconds:.1f} s{rate}{clock.text and f', {clock.text}'}")
