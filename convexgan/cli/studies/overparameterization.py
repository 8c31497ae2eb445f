"""Does a wider generator train more reliably, and faster?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convexgan.cli.console import Json, Seed, loud, number, print_json, print_table
from convexgan.cli.studies.output import Jobs, Out, Quick, draw, name_files, write_table

if TYPE_CHECKING:
    from convexgan.dynamics import WidthSweep

SIZES: dict[bool, dict[str, Any]] = {
    True: {"widths": (5, 10, 20, 40), "seeds": 10, "steps": 200},
    False: {"widths": (5, 7, 10, 14, 20, 28, 40, 56, 80, 113, 160), "seeds": 100, "steps": 1000},
}
COLUMNS = ("variant", "width", "seed", "residual_ratio", "steps_to_thousandth", "predicted_rate")


def run(
    out: Out = Path("overparameterization"),
    quick: Quick = False,
    seed: Seed = 0,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """How the width of a generator decides whether descent-ascent finds the optimum, and after how many steps.

    Descent-ascent takes gradient steps, down for the generator and up for the discriminator; width counts the
    generator's hidden neurons.

    Example: convexgan study overparameterization --quick --out study
    """
    from convexgan.dynamics import width_sweep

    out.mkdir(parents=True, exist_ok=True)
    found = width_sweep(
        **SIZES[quick],
        seed=seed,
        path=out / ("quick.npz" if quick else "sweep.npz"),
        jobs=jobs,
        progress=loud(),
    )
    write_table(out / "runs.csv", COLUMNS, found.rows())
    draw(out / "residuals.png", partial(plot_residuals, found))
    draw(out / "steps.png", partial(plot_steps, found))
    setting, failures = found.setting, found.failures
    if as_json:
        print_json({"widths": setting.widths, "failures": dict(zip(setting.variants, failures, strict=True))})
        return
    rows = [[name, *[number(share, 3) for share in row]] for name, row in zip(setting.variants, failures, strict=True)]
    title = f"share of {setting.seeds} runs whose residual stayed above a thousandth, {setting.steps} steps"
    print_table(["discriminator or generator", *[f"k = {width}" for width in setting.widths]], rows, title)
    name_files(
        out,
        {
            "runs.csv": "every run",
            "residuals.png": "residuals after training, with bands of 80 %",
            "steps.png": "steps until the residual is a thousandth, and those predicted at the first weights",
        },
    )


def plot_residuals(found: WidthSweep, path: Path) -> None:
    """Final over initial residual against the width; rounding is the floor, 10 the ceiling."""
    from convexgan.plotting import band_plot

    bands = quantiles(np.clip(found.ratios, 1e-16, 10))
    band_plot(
        found.setting.widths,
        dict(zip(found.setting.variants, bands, strict=True)),
        path,
        labels=("width k (neurons)", "final / initial residual"),
        title=f"{found.setting.steps} steps of descent-ascent, {found.setting.seeds} seeds",
    )


def plot_steps(found: WidthSweep, path: Path) -> None:
    """Steps to a thousandth against the width; what never came there is drawn at the last step."""
    from convexgan.dynamics.width_sweep import SUCCESS
    from convexgan.plotting import band_plot

    setting = found.setting
    bands = quantiles(np.minimum(np.maximum(found.reached, 1), setting.steps))
    dashed = {}
    if "linear" in setting.variants:
        with np.errstate(divide="ignore"):
            told = np.log(SUCCESS) / np.log(np.median(found.rates[setting.variants.index("linear")], axis=-1))
        dashed = {"linear, predicted at the first weights": np.where(told < setting.steps, told, np.nan)}
    band_plot(
        setting.widths,
        dict(zip(setting.variants, bands, strict=True)),
        path,
        dashed=dashed,
        labels=("width k (neurons)", f"steps to a thousandth ({setting.steps}: not reached)"),
        title=f"{setting.seeds} seeds, each variant at {setting.share:g} of its largest stable step",
    )


def quantiles(values: np.ndarray) -> np.ndarray:
    """(..., 3) median and band of 80 % over the last axis."""
    return np.moveaxis(np.quantile(values, [0.5, 0.1, 0.9], axis=-1), 0, -1)
