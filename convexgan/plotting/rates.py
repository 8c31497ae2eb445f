"""Predicted rates as curves, measured ones as points."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from convexgan._tools.arrays import as_floats
from convexgan.plotting._figures import open_figure, write_figure


def rate_plot(
    step_sizes: ArrayLike,
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    path: str | os.PathLike[str],
) -> None:
    """Write a figure to ``path``: predicted (lines) and measured (points) factors per step against step sizes.

    Parameters
    ----------
    step_sizes : (K,) array
    panels : mapping of title to mapping of name to pair of (K,) arrays
        Predicted and measured rates.
    path : path
        Its suffix names the format: .png, .pdf or .svg.

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
    figure = open_figure(path, 1 + 3.4 * len(panels), 3.8)
    for panel, (title, curves) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, (told, seen) in curves.items():
            if np.shape(told) != sizes.shape or np.shape(seen) != sizes.shape:
                raise ValueError(f"curves of {name!r} must have shape {sizes.shape}, one rate for each step size.")
            (line,) = panel.plot(sizes, told, linewidth=1.2, label=name)
            panel.plot(sizes, seen, "o", markersize=4, fillstyle="none", color=line.get_color())
        panel.axhline(1.0, color="gray", linestyle=":", linewidth=1)
        lowest = min(float(np.nanmin(told)) for told, _ in curves.values())
        panel.set(title=title, xlabel="step size", ylim=(lowest - 0.01, min(1.06, 1 + 4 * (1.01 - lowest))))
    first = figure.axes[0]
    first.set_ylabel("factor per step (lines predicted, points measured)")
    first.legend(fontsize="small")
    write_figure(figure, path)
