"""Figures without pyplot: nothing is registered, no window system is touched; files are written all or nothing."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convexgan._tools.files import write_bytes
from convexgan.datasets.own import SOFTWARE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def open_panels(
    path: str | os.PathLike[str] | None, ax: Any, count: int, width: float, height: float, **subplots: Any
) -> list[Axes]:
    """So many panels to draw on: the caller's, or beside one another in a figure of its own, in inches.

    Raises if matplotlib is missing, does not write the path's format, or the caller's panels are not as many.
    """
    if ax is None:
        panels = _own_panels(count, width, height, **subplots)
    else:
        panels = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(panels) != count or not all(hasattr(panel, "get_subplotspec") for panel in panels):
            raise ValueError(f"ax must be {count} matplotlib Axes, as plt.subplots(1, {count})[1] is, got {ax!r}.")
    if path is not None and _suffix(path) not in panels[0].figure.canvas.get_supported_filetypes():
        raise ValueError(f"path {path} has no figure suffix: end it in .png, .pdf or .svg.")
    return panels


def _own_panels(count: int, width: float, height: float, **subplots: Any) -> list[Axes]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        repair = "the figure needs matplotlib: pip install 'convexgan[plot]'."
        raise ModuleNotFoundError(repair, name=error.name) from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return list(figure.subplots(1, count, squeeze=False, **subplots)[0])


def write_panels(panels: list[Axes], path: str | os.PathLike[str] | None) -> None:
    """Write the panels' figure to a file in the format the path's suffix names; nothing where there is no path."""
    if path is None:
        return
    buffer = io.BytesIO()
    about = {"Software": SOFTWARE} if _suffix(path) == "png" else None  # so that it is not taken for data
    figure = panels[0].figure.canvas.figure  # of which the panels' may be a part
    figure.savefig(buffer, format=_suffix(path), dpi=150, metadata=about)
    write_bytes(path, buffer.getvalue())


def _suffix(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lstrip(".").lower()
