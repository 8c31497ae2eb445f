"""How a search closes in: its value and its bound against time and against the cones looked at."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from convexgan.plotting._figures import open_panels, write_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class SearchTrace:
    """What a search reports, and when: pass it as ``progress`` to `ipm` or `arrangements.maximize`.

    Attributes
    ----------
    seconds, values, bounds : list of float
        ``seconds`` since the trace was made.
    cones : list of int
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.seconds: list[float] = []
        self.values: list[float] = []
        self.bounds: list[float] = []
        self.cones: list[int] = []

    def __call__(self, value: float, bound: float, cones: int) -> None:
        """Record one report."""
        self.seconds.append(time.perf_counter() - self._start)
        self.values.append(value)
        self.bounds.append(bound)
        self.cones.append(cones)


def search_plot(
    traces: Mapping[str, SearchTrace], path: str | os.PathLike[str] | None = None, *, ax: Any = None
) -> list[Axes]:
    """A figure of value and bound against seconds and against cones; the maximum lies in the band.

    Parameters
    ----------
    traces : mapping of name to SearchTrace
    path : path, optional
        Where to write the figure; its suffix names the format: .png, .pdf or .svg.
    ax : sequence of matplotlib Axes, optional
        Where to draw, two; by default on a figure of its own.

    Returns
    -------
    list of Axes
        Which others may draw on; ``.figure`` of each is the figure.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        A trace is empty, or the format is unknown.
    """
    if not traces:
        raise ValueError("traces is empty: pass at least one.")
    for name, trace in traces.items():
        if not trace.seconds:
            raise ValueError(f"trace {name!r} is empty: pass it as progress to a search over cones (rank 3 or more).")
    panels = open_panels(path, ax, 2, 9.0, 4.0, sharey=True)
    for name, trace in traces.items():
        for panel, x in zip(panels, (trace.seconds, np.maximum(trace.cones, 1)), strict=True):
            (line,) = panel.step(x, trace.bounds, where="post", linewidth=1.2, label=name)
            panel.step(x, trace.values, where="post", linewidth=1.2, color=line.get_color(), linestyle="--")
            panel.fill_between(x, trace.values, trace.bounds, step="post", color=line.get_color(), alpha=0.12)
    panels[0].set(xlabel="seconds", ylabel="proved bound (solid), value found (dashed)")
    panels[1].set(xlabel="cones")
    for panel in panels:
        panel.set_xscale("log")
    panels[0].legend(fontsize="small")
    write_panels(panels, path)
    return panels
