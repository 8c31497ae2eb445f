"""The cells of an arrangement: where a ReLU neuron of each direction changes which rows it sees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convexgan.arrangements import activation_patterns
from convexgan.discrepancy import ipm
from convexgan.discriminators import signed_sample
from convexgan.plotting._figures import open_panels, write_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
ANGLES = 1441  # a direction each quarter of a degree
COLOURS = {1.0: "tab:blue", -1.0: "tab:red"}  # of real and generated rows


def arrangement_plot(X: Any, Y: Any, path: str | os.PathLike[str] | None = None, *, ax: Any = None) -> Axes:
    """A figure of m(u) = mean max(Xu, 0) - mean max(Yu, 0) over all unit u, with its cells.

    A row bends m where it is orthogonal to u; between these borders m is linear in u. Two columns: a curve over the
    angle of u, the borders vertical lines. Three: the sphere in Mollweide's projection, the borders great circles. The
    star is the direction of `ipm`.

    Parameters
    ----------
    X, Y : (n, d) and (m, d) arrays
        Real (blue borders) and generated rows (red); d = 2 or 3, some dozens of rows.
    path : path, optional
        Where to write the figure; its suffix names the format: .png, .pdf or .svg.
    ax : matplotlib Axes, optional
        Where to draw; by default on a figure of its own. Three columns want
        ``projection="mollweide"``.

    Returns
    -------
    Axes
        Which others may draw on; ``.figure`` is the figure.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        Not two or three columns, too many cells, or the format is unknown.

    References
    ----------
    The cells: Cover, Geometrical and statistical properties of systems of linear inequalities, 1965.
    """
    rows, weights = signed_sample(X, Y, None, None)
    if rows.shape[1] not in (2, 3):
        raise ValueError(f"X and Y have {rows.shape[1]} columns: the figure shows directions of two or three.")
    cells, best = len(activation_patterns(rows)), ipm(X, Y)
    flat = rows.shape[1] == 2
    projection = "rectilinear" if flat else "mollweide"
    (panel,) = open_panels(path, ax, 1, 7.0, 4.2, subplot_kw={"projection": projection})
    if panel.name != projection:
        raise ValueError(f"ax has projection {panel.name!r}: {rows.shape[1]} columns need {projection!r}.")
    (_draw_circle if flat else _draw_sphere)(panel, rows, weights, best.direction)
    for sign, name in ((1.0, "border of a real row"), (-1.0, "border of a generated row")):
        panel.plot([], [], color=COLOURS[sign], linewidth=1, label=name)
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize="small", frameon=False)
    panel.set_title(f"{cells} cells, largest |m| = {best.value:.4g}", fontsize="medium")
    write_panels([panel], path)
    return panel


def _draw_circle(panel: Any, rows: Array, weights: Array, best: Array) -> None:
    angles = np.linspace(-180, 180, ANGLES)
    U = np.column_stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))])
    for row, weight in zip(rows, weights, strict=True):
        turn = np.degrees(np.arctan2(row[1], row[0]))
        for border in (turn + 90, turn - 90) if row.any() else ():
            panel.axvline((border + 180) % 360 - 180, color=COLOURS[np.sign(weight)], linewidth=0.6)
    panel.plot(angles, _values(U, rows, weights), color="black", label="m(u)")
    panel.plot(np.degrees(np.arctan2(best[1], best[0])), _values(best[None], rows, weights), "k*", markersize=12)
    panel.axhline(0, color="gray", linewidth=0.8)
    panel.set(xlim=(-180, 180), xticks=range(-180, 181, 60), xlabel="angle of u, degrees", ylabel="m(u)")


def _draw_sphere(panel: Any, rows: Array, weights: Array, best: Array) -> None:
    longitude, latitude = np.linspace(-np.pi, np.pi, ANGLES // 4), np.linspace(-np.pi / 2, np.pi / 2, ANGLES // 8)
    flat = np.cos(latitude)[:, None]
    U = np.stack(
        [flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)[:, None] + 0 * longitude], axis=-1
    )
    m = _values(U, rows, weights)
    reach = float(np.abs(m).max()) or 1.0
    options = {"cmap": "PuOr_r", "vmin": -reach, "vmax": reach, "shading": "gouraud", "rasterized": True}
    panel.figure.colorbar(panel.pcolormesh(longitude, latitude, m, **options), ax=panel, label="m(u)", shrink=0.7)
    for row, weight in zip(rows, weights, strict=True):
        if row.any():
            panel.contour(longitude, latitude, U @ row, levels=[0.0], colors=COLOURS[np.sign(weight)], linewidths=0.6)
    panel.plot(np.arctan2(best[1], best[0]), np.arcsin(np.clip(best[2], -1, 1)), "k*", markersize=12)
    panel.set(xticks=[], yticks=[])


def _values(U: Array, rows: Array, weights: Array) -> Array:
    """m at each u along the last axis of U."""
    return np.asarray(np.maximum(U @ rows.T, 0) @ weights)
