"""Phase diagrams: measured rates as colours, the predicted borders as lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from convexgan._tools.arrays import as_floats
from convexgan.dynamics import PHASES, PhaseDiagram
from convexgan.plotting._figures import open_panels, write_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPREAD = 0.25  # rates further from 1 have the colour of 1 -+ this


def phase_plot(
    diagram: PhaseDiagram,
    x: object,
    y: object,
    path: str | os.PathLike[str] | None = None,
    *,
    xlabel: str = "step size of the points",
    ylabel: str = "regularisation",
    ax: Any = None,
) -> Axes:
    """A figure of the measured rates (colours) and the predicted phases (lines).

    Parameters
    ----------
    diagram : PhaseDiagram
        On a grid of shape (len(y), len(x)).
    x, y : sequence of float
        The parameters along the columns and the rows.
    path : path, optional
        Where to write the figure; its suffix names the format: .png, .pdf or .svg.
    ax : matplotlib Axes, optional
        Where to draw; by default on a figure of its own.
    xlabel, ylabel : str
        Their names, with units.

    Returns
    -------
    Axes
        Which others may draw on; ``.figure`` is the figure.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        The axes do not fit the grid, or the format is unknown.
    """
    columns, rows = as_floats(x, "x"), as_floats(y, "y")
    if diagram.measured.shape != (*rows.shape, *columns.shape):
        raise ValueError(
            f"x ({columns.shape}) and y ({rows.shape}) do not fit the diagram's grid {diagram.measured.shape}: "
            "y runs along its first axis."
        )
    (panel,) = open_panels(path, ax, 1, 5.6, 4.2)
    colours = panel.pcolormesh(
        columns, rows, diagram.measured, cmap="RdBu_r", shading="nearest", vmin=1 - SPREAD, vmax=1 + SPREAD
    )
    panel.figure.colorbar(colours, ax=panel, label="measured factor per step", extend="both")
    phases = np.asarray(diagram.predicted.phase)
    for phase, line in ((PHASES[1], "--"), (PHASES[3], "-")):
        inside = (phases == phase).astype(np.float64)
        if 0 < inside.mean() < 1:
            panel.contour(columns, rows, inside, levels=[0.5], colors="black", linestyles=line, linewidths=1)
            panel.plot([], [], "k" + line, linewidth=1, label=f"border of: {phase}")
    if panel.get_legend_handles_labels()[1]:
        panel.legend(loc="upper right", fontsize="small")
    panel.set_xlabel(xlabel)
    panel.set_ylabel(ylabel)
    write_panels([panel], path)
    return panel
