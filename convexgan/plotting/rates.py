"""Predicted rates as curves, measured ones as points."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from convexgan._tools.arrays import as_floats
from convexgan.plotting._figures import open_panels, write_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def rate_plot(
    step_sizes: ArrayLike,
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    path: str | os.PathLike[str] | None = None,
    *,
    ax: Any = None,
) -> list[Axes]:
    """A figure of predicted (lines) and measured (points) factors per step against step sizes.

    Parameters
    ----------
    step_sizes : (K,) array
    panels : mapping of title to mapping of name to pair of (K,) arrays
        Predicted and measured rates.
    path : path, optional
        Where to write the figure; its suffix names the format: .png, .pdf or .svg.
    ax : sequence of matplotlib Axes, optional
        Where to draw, one for each game; by default on a figure of its own.

    Returns
    -------
    list of Axes
        Which others may draw on; ``.figure`` of each is the figure.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        A curve has another length than step_sizes, there is no panel, or the format is unknown.
    """
    sizes = as_floats(step_sizes, "step_sizes")
    if not panels:
        raise ValueError("panels is empty: pass at least one.")
    for name, pair in ((name, pair) for curves in panels.values() for name, pair in curves.items()):
        if any(np.shape(rates) != sizes.shape for rates in pair):
            raise ValueError(f"curves of {name!r} must have shape {sizes.shape}, one rate for each step size.")
    axes = open_panels(path, ax, len(panels), 1 + 3.4 * len(panels), 3.8)
    for panel, (title, curves) in zip(axes, panels.items(), strict=True):
        for name, (told, seen) in curves.items():
            (line,) = panel.plot(sizes, told, linewidth=1.2, label=name)
            panel.plot(sizes, seen, "o", markersize=4, fillstyle="none", color=line.get_color())
        panel.axhline(1.0, color="gray", linestyle=":", linewidth=1)
        lowest = min(float(np.nanmin(told)) for told, _ in curves.values())
        panel.set(title=title, xlabel="step size", ylim=(lowest - 0.01, min(1.06, 1 + 4 * (1.01 - lowest))))
    axes[0].set_ylabel("factor per step (lines predicted, points measured)")
    axes[0].legend(fontsize="small")
    write_panels(axes, path)
    return axes
