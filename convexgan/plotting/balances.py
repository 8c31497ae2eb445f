"""How weights balance two samples, along the neurons that saw most before and that see most now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows, paired
from convexgan._tools.checks import check_columns, check_finite
from convexgan.balance import Balance
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.plotting._figures import open_panels, write_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def balance_plot(
    found: Balance, X: Any, Y: Any, path: str | os.PathLike[str] | None = None, *, ax: Any = None
) -> list[Axes]:
    """A figure of both samples along two directions: of the witness before weighting, and of the one after it.

    Each panel has the shares of rows below u . x: of X, of Y, and of Y with its weights. A ReLU neuron sees the areas
    between the curves on one side of its bend, which is dotted.

    Parameters
    ----------
    found : Balance
    X, Y : (n, d) and (m, d) arrays or frames
        Those that were balanced.
    path : path, optional
        Where to write the figure; its suffix names the format: .png, .pdf or .svg.
    ax : sequence of two matplotlib Axes, optional
        Where to draw; by default on a figure of its own.

    Returns
    -------
    list of Axes
        Which others may draw on; ``.figure`` of each is the figure.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        The samples are not those that were balanced, or the format is unknown.
    """
    X, Y = paired(X, Y)
    real, rows = as_rows(X, "X"), as_rows(Y, "Y")
    dim = found.witness.neurons.shape[1]
    for sample, name in ((real, "X"), (rows, "Y")):
        check_finite(sample, name)
        check_columns(sample, dim, name, "found")
    if len(rows) != len(found.weights):
        raise ValueError(f"Y has {len(rows)} rows but found has {len(found.weights)} weights: pass the Y of `balance`.")
    panels = open_panels(path, ax, 2, 11.0, 4.5)
    for panel, seen, when in zip(panels, (found.before, found.imbalance), ("before", "after"), strict=True):
        _draw(panel, seen.critic, real, rows, found.weights)
        panel.set_title(f"seen most {when} weighting: {seen.value:.3g}", fontsize="medium")
    panels[0].legend(loc="lower right", fontsize="small")
    panels[0].set_ylabel("share of rows below")
    panels[1].set_xlabel(f"u . x    (effective size {found.effective_size:.4g} of {len(rows)} rows)")
    write_panels(panels, path)
    return panels


def _draw(panel: Any, critic: TwoLayerDiscriminator, real: Array, rows: Array, weights: Array) -> None:
    """The three curves along a neuron's direction, and its bend."""
    u, bias = critic.neurons[0], float(critic.biases[0])
    even = (np.full(len(sample), 1 / len(sample)) for sample in (real, rows))
    curves: list[tuple[str, Array, Array, dict[str, Any]]] = [
        ("X", real, next(even), {"color": "black", "linewidth": 2}),
        ("Y, equal weights", rows, next(even), {"color": "gray", "linestyle": "--"}),
        ("Y, weighted", rows, weights, {"color": "C0"}),
    ]
    for label, sample, shares, style in curves:
        along = sample @ u
        order = np.argsort(along)
        panel.step(along[order], np.cumsum(shares[order]), where="post", label=label, **style)
    panel.axvline(-bias, color="black", linestyle=":", linewidth=0.8)
    panel.set_xlabel("u . x")
