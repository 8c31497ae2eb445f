"""Discriminators of two columns over the plane: between two samples, and at an equilibrium."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows, paired
from convexgan._tools.checks import check_finite
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.discriminators.activation import needs_rows
from convexgan.plotting._figures import open_panels, write_panels
from convexgan.records.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
PIXELS = 300  # along each side of the background
MARGIN = 0.08  # of the points' extent
LARGEST = 300.0  # area of the heaviest particle, in square points


def witness_plot(
    critic: TwoLayerDiscriminator, X: Any, Y: Any, path: str | os.PathLike[str] | None = None, *, ax: Any = None
) -> Axes:
    """A figure of a discriminator's scores, with both samples.

    Scores are colours, white where they are 0. ReLU neurons bend along the dotted lines.

    Parameters
    ----------
    critic : TwoLayerDiscriminator
        Such as ``ipm(X, Y).critic``, ``two_sample_test(X, Y).witness`` or a solution's discriminator.
    X, Y : (n, 2) and (m, 2) arrays
        Real and generated rows.
    path : path, optional
        Where to write the figure; its suffix names the format: .png, .pdf or .svg.
    ax : matplotlib Axes, optional
        Where to draw; by default on a figure of its own.

    Returns
    -------
    Axes
        Which others may draw on; ``.figure`` is the figure.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        The samples or the discriminator do not have two columns, or the format is unknown.
    """
    X, Y = paired(X, Y)
    real, fake = _plane(X, "X"), _plane(Y, "Y")
    (panel,) = open_panels(path, ax, 1, 6.0, 5.0)
    _draw_scores(panel, critic, np.concatenate([real, fake]))
    panel.scatter(real[:, 0], real[:, 1], s=12, color="black", label="real")
    panel.scatter(fake[:, 0], fake[:, 1], s=18, color="black", marker="x", linewidths=0.8, label="generated")
    panel.legend(loc="upper right", fontsize="small")
    difference = critic(real).mean() - critic(fake).mean()
    panel.set_title(f"difference of mean scores {difference:.4g}", fontsize="medium")
    write_panels([panel], path)
    return panel


def equilibrium_plot(sol: Solution, X: Any, path: str | os.PathLike[str] | None = None, *, ax: Any = None) -> Axes:
    """A figure of a mixture and the discriminator it answers.

    A particle's area is proportional to its weight; colours and lines are those of `witness_plot`.

    Parameters
    ----------
    sol : Solution
        Solved with ``generator="mixture"`` on two columns.
    X : (n, 2) array
        The real rows.
    path : path, optional
        Where to write the figure; its suffix names the format: .png, .pdf or .svg.
    ax : matplotlib Axes, optional
        Where to draw; by default on a figure of its own.

    Returns
    -------
    Axes
        Which others may draw on; ``.figure`` is the figure.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        The generator is no mixture, there are not two columns, or the format is unknown.
    """
    law, critic, certificate = sol.generator, sol.discriminator, sol.certificate
    if law is None or law.form != "law" or critic is None or certificate is None:
        raise ValueError("sol holds no mixture: solve with generator='mixture'.")
    real, particles = _plane(X, "X"), _plane(law.particles, "the mixture")
    (panel,) = open_panels(path, ax, 1, 6.0, 5.0)
    _draw_scores(panel, critic, np.concatenate([real, particles]))
    panel.scatter(real[:, 0], real[:, 1], s=6, color="black", label="real")
    areas = LARGEST * law.weights / law.weights.max()
    hollow: dict[str, Any] = {"facecolors": "none", "edgecolors": "darkgreen"}
    panel.scatter(particles[:, 0], particles[:, 1], s=areas, **hollow)
    panel.scatter([], [], s=20, label="generated, area: weight", **hollow)
    panel.legend(loc="upper right", fontsize="small")
    count, neurons = len(particles), len(critic.outer)
    title = f"{certificate.kind}: {count} particles, {neurons} neurons, gap {certificate.gap:.1g}"
    panel.set_title(title, fontsize="medium")
    write_panels([panel], path)
    return panel


def _plane(rows: Any, name: str) -> Array:
    rows = as_rows(rows, name)
    check_finite(rows, name)
    if rows.shape[1] != 2:
        raise ValueError(f"{name} has {rows.shape[1]} columns: the figure shows the plane, pass two.")
    return np.asarray(rows, dtype=np.float64)


def _draw_scores(panel: Any, critic: TwoLayerDiscriminator, points: Array) -> None:
    """Draw the scores around the points and the lines where ReLU neurons bend."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = MARGIN * float((high - low).max()) or 1.0
    low, high = low - margin, high + margin
    x, y = (np.linspace(a, b, PIXELS) for a, b in zip(low, high, strict=True))
    scores = critic(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)).reshape(PIXELS, PIXELS)
    reach = float(np.abs(scores).max()) or 1.0
    extent = (low[0], high[0], low[1], high[1])
    colours = panel.imshow(scores, extent=extent, origin="lower", cmap="RdBu_r", vmin=-reach, vmax=reach, alpha=0.8)
    panel.figure.colorbar(colours, ax=panel, label="discriminator's score")
    if needs_rows(critic.activation):
        for u, b in zip(critic.neurons, critic.biases, strict=True):
            if u.any():
                foot = -b * u / (u @ u)
                panel.axline(
                    foot, (foot[0] - u[1], foot[1] + u[0]), color="black", linestyle=":", linewidth=0.8, alpha=0.6
                )
    # a bend may lie far outside
    panel.set(xlabel="first column", ylabel="second column", xlim=extent[:2], ylim=extent[2:])
