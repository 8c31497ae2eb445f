"""Curves with bands: a median and two quantiles against a positive number, on logarithmic axes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convexgan._tools.arrays import as_floats
from convexgan.plotting._figures import open_panels, write_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
STYLES: tuple[Any, ...] = ("--", ":", "-.", (0, (8, 3)))  # of black lines


def band_plot(
    x: ArrayLike,
    bands: Mapping[str, ArrayLike],
    path: str | os.PathLike[str] | None = None,
    *,
    dashed: Mapping[str, ArrayLike] | None = None,
    marks: Mapping[str, float] | None = None,
    labels: tuple[str, str] = ("", ""),
    title: str = "",
    closer: float | None = None,
    ax: Any = None,
) -> list[Axes]:
    """A figure of each curve's median with its band, further curves in black, and vertical lines at marks.

    Parameters
    ----------
    x : (K,) array
    bands : mapping of name to (K, 3) array
        Median, lower and upper quantile.
    path : path, optional
        Where to write the figure; its suffix names the format: .png, .pdf or .svg.
    ax : sequence of matplotlib Axes, optional
        Where to draw, two with ``closer``, else one; by default on a figure of its own.
    dashed : mapping of name to (K,) array, optional
        What is not finite is not drawn.
    marks : mapping of name to float, optional
    labels : (str, str)
        Of the axes.
    title : str
    closer : float, optional
        Add a panel of what lies below this, on a linear scale.

    Returns
    -------
    list of Axes
        Which others may draw on; ``.figure`` of each is the figure.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        A band has another length than x, or the format is unknown.
    """
    x = as_floats(x, "x")
    order = np.argsort(x)
    drawn = {name: _checked(band, name, len(x))[order] for name, band in bands.items()}
    lines = {name: as_floats(curve, f"dashed {name!r}")[order] for name, curve in (dashed or {}).items()}
    panels = open_panels(path, ax, 1 if closer is None else 2, 7.0 if closer is None else 11.0, 4.5)
    for panel in panels:
        _draw(panel, x[order], drawn, lines)
        panel.set(xlabel=labels[0], ylabel=labels[1], yscale="log")
        for name, place in (marks or {}).items():
            panel.axvline(place, color="gray", linestyle=":", linewidth=1)
            panel.annotate(name, (place, 0.98), xycoords=("data", "axes fraction"), rotation=90, va="top", ha="right")
    if closer is not None:
        least = min(float(band.min()) for band in drawn.values())
        panels[1].set(yscale="linear", ylim=(least - 0.05 * (closer - least), closer))
    panels[0].legend(fontsize="small")
    panels[0].set_title(title, loc="left")
    write_panels(panels, path)
    return panels


def _draw(panel: Any, x: Array, bands: Mapping[str, Array], lines: Mapping[str, Array]) -> None:
    """The curves, their bands and the black lines; infinities are gaps."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for name, band in bands.items():
        (line,) = panel.semilogx(x, band[:, 0], linewidth=1.5, label=name)
        panel.fill_between(x, band[:, 1], band[:, 2], color=line.get_color(), alpha=0.15, linewidth=0)
    for (name, values), style in zip(lines.items(), cycle(STYLES), strict=False):
        finite = np.where(np.isfinite(values), values, np.nan)
        panel.semilogx(x, finite, color="black", linestyle=style, linewidth=1, label=name)
    if x[-1] < 100 * x[0]:  # one labelled tick a decade tells too little, and the default labels overprint
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())


def _checked(band: ArrayLike, name: str, length: int) -> Array:
    values = as_floats(band, f"band {name!r}")
    if values.shape != (length, 3):
        raise ValueError(f"band {name!r} must have shape ({length}, 3), got {values.shape}.")
    return values
