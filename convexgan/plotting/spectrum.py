"""Spectra of the stages with the threshold that decides what is generated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convexgan._tools.arrays import as_floats
from convexgan.plotting._figures import open_panels, write_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROUNDING = 1e-12  # of the largest eigenvalue: below it there are only rounding errors


def spectrum_plot(
    eigenvalues_per_stage: Sequence[ArrayLike],
    betas: Sequence[float],
    labels: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    ax: Any = None,
) -> list[Axes]:
    """A figure of each stage's eigenvalues against their index, with beta as a line.

    Eigenvalues above beta are generated, each lowered by beta; the others are not ([HC], equation 15).

    Parameters
    ----------
    eigenvalues_per_stage : sequence of (d_i,) arrays
        Eigenvalues of the second moment at each stage, in any order; rounding is not drawn.
    betas : sequence of float
        The discriminator's penalty at each stage.
    labels : sequence of str
        A title for each stage.
    path : path, optional
        Where to write the figure; its suffix names the format: .png, .pdf or .svg.
    ax : sequence of matplotlib Axes, optional
        Where to draw, one for each stage; by default on a figure of its own.

    Returns
    -------
    list of Axes
        Which others may draw on; ``.figure`` of each is the figure.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        The sequences differ in length, a stage has no positive eigenvalue, or the format is unknown.

    References
    ----------
    [HC] Sahiner et al., Hidden Convexity of Wasserstein GANs, ICLR 2022, arXiv 2107.05680.
    """
    stages = len(eigenvalues_per_stage)
    if not stages or not stages == len(betas) == len(labels):
        raise ValueError(
            f"betas ({len(betas)}) and labels ({len(labels)}) must match the {stages} stages, at least one."
        )
    shown = [_shown(values, label) for values, label in zip(eigenvalues_per_stage, labels, strict=True)]
    panels = open_panels(path, ax, stages, 1 + 2.6 * stages, 3.2, sharey=True)
    for panel, values, beta, label in zip(panels, shown, betas, labels, strict=True):
        panel.loglog(np.arange(1, len(values) + 1), values, marker=".", markersize=3, linewidth=1)
        if beta > 0:  # a logarithmic axis has no zero
            panel.axhline(beta, color="black", linestyle="--", linewidth=1, label=f"beta = {beta:.3g}")
            panel.legend(loc="lower left", fontsize="small")
        panel.set_title(f"{label}: {np.count_nonzero(values > beta)} above beta", fontsize="medium")
        panel.set_xlabel("index")
    panels[0].set_ylabel("eigenvalue")
    write_panels(panels, path)
    return panels


def _shown(eigenvalues: ArrayLike, label: str) -> NDArray[np.float64]:
    """The eigenvalues above rounding, largest first."""
    values = np.sort(as_floats(eigenvalues, f"eigenvalues_per_stage {label!r}"))[::-1]
    values = values[values > ROUNDING * values.max(initial=0.0)]
    if not len(values):
        raise ValueError(f"eigenvalues_per_stage has no positive eigenvalue at stage {label!r}: leave it out.")
    return np.asarray(values)
