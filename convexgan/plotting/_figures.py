"""Figures without pyplot: nothing is registered, no window system is touched; files are written all or nothing."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from convexgan._files import write_bytes
from convexgan.datasets.own import SOFTWARE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def open_figure(path: str | os.PathLike[str], width: float, height: float) -> Figure:
    """An empty figure, in inches; raises if matplotlib is missing or does not write the path's format."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        repair = "the figure needs matplotlib: pip install 'convexgan[plot]'."
        raise ModuleNotFoundError(repair, name=error.name) from None
    figure = Figure(figsize=(width, height), layout="constrained")
    if _suffix(path) not in FigureCanvasAgg(figure).get_supported_filetypes():
        raise ValueError(f"path {path} has no figure suffix: end it in .png, .pdf or .svg.")
    return figure


def write_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """The figure as a file in the format the path's suffix names."""
    buffer = io.BytesIO()
    about = {"Software": SOFTWARE} if _suffix(path) == "png" else None  # so that it is not taken for data
    figure.savefig(buffer, format=_suffix(path), dpi=150, metadata=about)
    write_bytes(path, buffer.getvalue())


def _suffix(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lstrip(".").lower()
