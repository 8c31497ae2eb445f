"""What a training run shows of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from convexgan._tools.progress import counted

SHOWN = ("payoff", "value", "gap", "violation", "duality_gap")


@contextmanager
def shown(progress: bool, steps: int) -> Iterator[Callable[[dict[str, float]], None]]:
    """What a run reports its rows to: steps, their rate, payoff, value, gap and violation on stderr, or nothing."""
    done: list[int] = []  # the first row is of the steps of an earlier run

    with counted("training", steps, "steps", progress) as (_, advance):

        def report(row: dict[str, float]) -> None:
            text = ", ".join(f"{name} {row[name]:.4g}" for name in SHOWN if name in row)
            step = int(row["step"])
            advance(step - (done[-1] if done else 0), text, known=not done)
            done.append(step)

        yield report
