"""Does what is predicted at a certified saddle point happen?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convexgan.cli.console import Json, Seed, loud, number, print_json, print_table
from convexgan.cli.studies.output import Jobs, Out, Quick, draw, name_files, write_table

if TYPE_CHECKING:
    from convexgan.dynamics import ForecastSweep

SIZES: dict[bool, dict[str, Any]] = {
    True: {"step_sizes": (0.02, 0.06, 0.2), "steps": 600},
    False: {"step_sizes": tuple(float(size) for size in np.linspace(0.01, 0.3, 30)), "steps": 10_000},
}
COLUMNS = ("discriminator", "method", "step_size", "phase", "rate", "rate_across", "measured_rate")


def run(
    out: Out = Path("predict"), quick: Quick = False, seed: Seed = 0, jobs: Jobs = None, as_json: Json = False
) -> None:
    """Rates of four methods at the saddle points of solved games: predicted before, and measured by running them.

    The methods are simultaneous, alternating, extragradient and optimistic gradient steps; a rate is the factor by
    which the distance to the saddle point changes in a step.

    Example: convexgan study predict --quick --out study
    """
    from convexgan.dynamics import forecast_sweep

    out.mkdir(parents=True, exist_ok=True)
    found = forecast_sweep(
        **SIZES[quick],
        seed=seed,
        path=out / ("quick.npz" if quick else "sweep.npz"),
        jobs=jobs,
        progress=loud(),
    )
    write_table(out / "rates.csv", COLUMNS, found.rows())
    draw(out / "rates.png", partial(plot, found))
    rows = list(found.rows())
    if as_json:
        print_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
        return
    cells = [[*row[:2], number(row[2], 3), row[3], *[number(value) for value in row[4:]]] for row in rows]
    print_table([column.replace("_", " ") for column in COLUMNS], cells, "factor per step, equal step sizes")
    name_files(out, {"rates.csv": "this table", "rates.png": "predicted curves and measured points"})


def plot(found: ForecastSweep, path: Path) -> None:
    """Rates against step sizes, a panel for each discriminator."""
    from convexgan.plotting import rate_plot

    setting = found.setting
    panels = {
        discriminator: {method: (found.across[i, j], found.measured[i, j]) for j, method in enumerate(setting.methods)}
        for i, discriminator in enumerate(setting.discriminators)
    }
    rate_plot(setting.step_sizes, panels, path)
