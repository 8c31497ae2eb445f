"""When does a kernel discriminator train its generator: phases near a mode, and the way there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convexgan.cli.console import Json, Seed, loud, note, number, phase, print_json, print_table
from convexgan.cli.studies.output import Jobs, Out, Quick, draw, name_files, write_table

if TYPE_CHECKING:
    from convexgan.dynamics import CollapseSweep, PhaseDiagram

WIDTH, CRITIC_STEP = 0.8, 0.4
GRID = {True: 16, False: 60}
SIZES: dict[bool, dict[str, Any]] = {
    True: {"widths": (0.1, 0.2, 0.4, 0.8, 1.5, 3.0), "seeds": 3, "steps": 400},
    False: {"widths": tuple(float(width) for width in np.geomspace(0.1, 3, 24)), "seeds": 40, "steps": 3000},
}
PHASE_COLUMNS = ("order", "regularisation", "point_step", "critic_step", "bandwidth", "phase", "predicted_rate", "rate")
COLUMNS = ("regularisation", "bandwidth", "seed", "wasserstein_distance", "predicted_rate")


def run(
    out: Out = Path("kernel"), quick: Quick = False, seed: Seed = 0, jobs: Jobs = None, as_json: Json = False
) -> None:
    """Phase diagrams of descent-ascent near a mode, and distances to four modes after training from their middle.

    The discriminator is any function that a Gaussian kernel makes, the generator free points. Gradient steps, down for
    one and up for the other, arrive at a mode, oscillate or leave: these are the phases, over step size and penalty.
    The distances need POT: pip install 'convexgan\\[ot]'.

    Example: convexgan study kernel --quick --out study
    """
    from convexgan.dynamics import GaussianKernel, phase_diagram

    out.mkdir(parents=True, exist_ok=True)
    size = GRID[quick]
    lam, eta = np.linspace(0.05, 4.8, size), np.linspace(0.02, 2.0, size)
    with phase("phase diagrams"):
        diagrams = {
            order: phase_diagram(GaussianKernel(WIDTH), lam[:, None], (eta, CRITIC_STEP), method=order)
            for order in ("simultaneous", "alternating")
        }
    write_table(
        out / "phases.csv", PHASE_COLUMNS, [row for each in diagrams.items() for row in phase_rows(*each, lam, eta)]
    )
    for order, diagram in diagrams.items():
        draw(out / f"phases_{order}.png", partial(plot_phases, diagram, eta, lam))
    errors = {order: diagram.boundary_error for order, diagram in diagrams.items()}
    found = distances(out, quick, seed, jobs)
    if as_json:
        medians = None if found is None else np.median(found.distances, axis=-1)
        print_json({"boundary_error_cells": errors, "median_distances": medians})
        return
    print_table(
        ["order", "cells on the wrong side of the predicted border"],
        [[order, str(error)] for order, error in errors.items()],
        f"phase diagrams, {size} x {size}",
    )
    if found is not None:
        print_distances(found)
    name_files(
        out,
        {
            "phases.csv": "every setting of the phase diagrams",
            "phases_simultaneous.png": "measured rates and predicted borders",
            "phases_alternating.png": "the same, the critic moving first",
            "distances.csv": "every training from the middle of four modes",
            "distances.png": "their distances, with bands of 80 %",
        },
    )


def distances(out: Path, quick: bool, seed: int, jobs: int | None) -> CollapseSweep | None:
    """The sweep over bandwidths with its table and figure; None where POT is missing."""
    from convexgan.dynamics import collapse_sweep

    try:
        found = collapse_sweep(
            **SIZES[quick],
            seed=seed,
            path=out / ("quick.npz" if quick else "sweep.npz"),
            jobs=jobs,
            progress=loud(),
        )
    except ModuleNotFoundError as error:
        note(f"no distances.csv: {error}")
        return None
    write_table(out / "distances.csv", COLUMNS, found.rows())
    draw(out / "distances.png", partial(plot_distances, found))
    return found


def phase_rows(
    order: str, diagram: PhaseDiagram, lam: np.ndarray, eta: np.ndarray
) -> Iterator[tuple[str, float, float, float, float, str, float, float]]:
    """A tidy table."""
    told, seen = diagram.predicted, diagram.measured
    for (i, a), (j, b) in product(enumerate(lam), enumerate(eta)):
        place = (float(a), float(b), CRITIC_STEP, WIDTH)
        yield order, *place, str(told.phase[i, j]), float(told.rate[i, j]), float(seen[i, j])


def print_distances(found: CollapseSweep) -> None:
    """Median distances at some eight bandwidths, and whether lone points freeze or run."""
    shown = range(0, len(found.setting.widths), max(1, len(found.setting.widths) // 8))
    medians = np.median(found.distances, axis=-1)
    rows = [
        [f"{lam:g} ({'freeze' if frozen else 'run'})", *[number(row[i], 3) for i in shown]]
        for lam, frozen, row in zip(found.setting.lams, found.frozen, medians, strict=True)
    ]
    columns = ["regularisation (lone points)", *[f"width {found.setting.widths[i]:.3g}" for i in shown]]
    print_table(columns, rows, "median W2 to the four modes after training")


def plot_phases(diagram: PhaseDiagram, eta: np.ndarray, lam: np.ndarray, path: Path) -> None:
    """Measured rates as colours, predicted borders as lines."""
    from convexgan.plotting import phase_plot

    phase_plot(diagram, eta, lam, path, xlabel="step size of the points", ylabel="regularisation")


def plot_distances(found: CollapseSweep, path: Path) -> None:
    """Distances after training against the bandwidth."""
    from convexgan.plotting import band_plot

    bands = np.moveaxis(np.quantile(np.clip(found.distances, 1e-6, None), [0.5, 0.1, 0.9], axis=-1), 0, -1)
    names = [
        f"regularisation {lam:g}: lone points {'freeze' if frozen else 'run'}"
        for lam, frozen in zip(found.setting.lams, found.frozen, strict=True)
    ]
    band_plot(
        found.setting.widths,
        dict(zip(names, bands, strict=True)),
        path,
        labels=("bandwidth (units of the data)", "W2 to the modes after training"),
        title=f"{found.setting.seeds} starts in the middle of four modes (+-1, +-1), {found.setting.steps} steps",
    )
