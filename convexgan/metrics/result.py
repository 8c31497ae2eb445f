"""What a metric returns: a number never comes without its sample sizes, its floor and its interval."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Result:
    """One measurement of generated pictures against real ones.

    Attributes
    ----------
    metric : str
    value : float
    low, high : float
        Bootstrap interval for what infinitely many pictures would give.
    level : float
        Of the interval.
    floor : float
        The same metric of real pictures against other real ones: what a perfect generator scores. For shares
        (precision, recall, faces) it is a ceiling.
    real, fake : int
        Numbers of pictures.
    floor_sizes : (int, int)
        Numbers of real pictures on either side of the floor; 0 where pictures are judged one by one.
    extractor : str
        What the pictures were looked at with.
    note : str
        What to beware of, or empty.
    """

    metric: str
    value: float
    low: float
    high: float
    level: float
    floor: float
    real: int
    fake: int
    floor_sizes: tuple[int, int]
    extractor: str
    note: str = ""

    def cells(self) -> list[str]:
        """The table cells under `Report.columns`."""
        numbers = [f"{number:.4g}" for number in (self.value, self.low, self.high, self.floor)]
        return [self.metric, self.extractor, *numbers, str(self.real), str(self.fake)]


@dataclass(frozen=True)
class Report:
    """Several results; printed as a table, with notes below it.

    Attributes
    ----------
    results : tuple of Result
    """

    columns = ("metric", "extractor", "value", "low", "high", "floor", "real", "fake")
    results: tuple[Result, ...]

    def __getitem__(self, metric: str) -> Result:
        found = {result.metric: result for result in self.results}
        if metric not in found:
            raise KeyError(f"{metric!r} is not among {', '.join(found)}")
        return found[metric]

    @property
    def notes(self) -> list[str]:
        """Each result's note, with its name."""
        return [f"{result.metric}: {result.note}" for result in self.results if result.note]

    def __str__(self) -> str:
        rows = [list(self.columns), *(result.cells() for result in self.results)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join([_line(row, widths) for row in rows] + self.notes)

    def to_json(self) -> str:
        """The results as a JSON list."""
        return json.dumps([asdict(result) for result in self.results], indent=2, allow_nan=False)


def _line(cells: Iterable[str], widths: list[int]) -> str:
    """Names to the left, numbers to the right."""
    padded = [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(padded).rstrip()
