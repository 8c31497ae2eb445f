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
        Interval for what infinitely many pictures would give: bootstrap for distances, Wilson's for shares.
    level : float
        Of both intervals: of distances as asked for, or what the range of B draws reaches, (B - 1) / (B + 1).
    floor : float
        The same metric of real pictures against other real ones, brought to the sizes of the value: what a perfect
        generator scores. For shares (precision, recall, faces) it is a ceiling.
    floor_low, floor_high : float
        Between these a perfect generator scores, with probability ``level``.
    real, fake : int
        Numbers of pictures.
    floor_sizes : (int, int)
        Numbers of real pictures on either side of the floor as it was measured; 0 where they are judged one by one.
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
    floor_low: float
    floor_high: float
    real: int
    fake: int
    floor_sizes: tuple[int, int]
    extractor: str
    note: str = ""

    def cells(self) -> list[str]:
        """The table cells under `Report.columns`."""
        found, floors = (self.value, self.low, self.high), (self.floor, self.floor_low, self.floor_high)
        numbers = [f"{number:.4g}" for number in found], [f"{number:.4g}" for number in floors]
        sizes = str(self.real), str(self.fake), "+".join(str(size) for size in self.floor_sizes if size)
        return [self.metric, self.extractor, *numbers[0], f"{self.level:.3g}", *numbers[1], *sizes]


@dataclass(frozen=True)
class Report:
    """Several results; printed as a table, with notes below it.

    Attributes
    ----------
    results : tuple of Result
    """

    columns = (
        "metric",
        "extractor",
        "value",
        "low",
        "high",
        "level",
        "floor",
        "floor-low",
        "floor-high",
        "real",
        "fake",
        "floor-of",
    )
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
