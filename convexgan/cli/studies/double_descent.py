"""How large should the latent space of a linear GAN be?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convexgan.cli.console import Json, Seed, number, print_json, print_table
from convexgan.cli.studies.output import Out, Quick, draw, name_files, write_table

if TYPE_CHECKING:
    from convexgan.linear_gan import Sweep

SAMPLES, FEATURES = 20, 64
WEIGHTS, RIDGES = (1.0, 10.0), (0.1,)
COLUMNS = ("learner", "k = 6", "k = n", "k = 2n + 1", "k = 400", "lowest", "at k")


def run(out: Out = Path("double-descent"), quick: Quick = False, seed: Seed = 0, as_json: Json = False) -> None:
    """How the test error of a linear GAN depends on the latent dimension, with and without fixed pairs.

    A linear GAN fits the law of samples by a linear map of Gaussian latents; fixed pairs tie some samples to latents of
    their own beforehand.

    Example: convexgan study double-descent --quick --out study
    """
    from convexgan.linear_gan import sweep

    out.mkdir(parents=True, exist_ok=True)
    found = sweep(
        1 / np.arange(1, FEATURES + 1),
        SAMPLES,
        dimensions(quick),
        ridges=RIDGES,
        weights=WEIGHTS,
        draws=10 if quick else 40,
        seed=seed,
        path=out / ("quick.npz" if quick else "sweep.npz"),
        progress=True,
    )
    write_table(out / "errors.csv", ["learner", "latent_dimension", "draw", "test_error"], found.rows())
    draw(out / "double_descent.png", partial(plot, found))
    records = [summary(found, learner) for learner in found.setting.learners]
    if as_json:
        print_json({"samples": SAMPLES, "features": FEATURES, "draws": found.setting.draws, "medians": records})
        return
    cells = [[str(row["learner"]), *[number(row[column], 4) for column in COLUMNS[1:]]] for row in records]
    print_table(COLUMNS, cells, f"median test error, n = {SAMPLES}, d = {FEATURES}, {found.setting.draws} draws")
    name_files(out, {"errors.csv": "every draw", "double_descent.png": "the curves, with bands of 80 %"})


def dimensions(quick: bool) -> list[int]:
    """Latent dimensions: dense around k = n."""
    if quick:
        return [2, 6, 10, 16, 18, 20, 22, 24, 30, 41, 64, 150, 400]
    near = [2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 19, 20, 21, 22, 24, 26, 30, 35]
    return [*near, 41, 48, 56, 64, 80, 100, 150, 200, 280, 400]


def summary(found: Sweep, learner: str) -> dict[str, Any]:
    """The numbers of one learner that the table shows."""
    curve, ks = found.curve(learner), found.setting.dimensions
    at = {"k = 6": 6, "k = n": SAMPLES, "k = 2n + 1": 2 * SAMPLES + 1, "k = 400": 400}
    shown = {name: float(curve[ks.index(k)]) for name, k in at.items()}
    least = int(np.argmin(curve.round(9)))  # a flat curve is lowest where it first becomes flat
    return {"learner": learner, **shown, "lowest": float(curve[least]), "at k": ks[least]}


def plot(found: Sweep, path: Path) -> None:
    """The figure."""
    from convexgan.linear_gan import predicted
    from convexgan.plotting import band_plot

    setting = found.setting
    band_plot(
        setting.dimensions,
        dict(zip(setting.learners, found.bands(), strict=True)),
        path,
        dashed={"pseudo-supervised, formula (mean)": predicted(setting)},
        marks={"k = n": setting.samples},
        labels=("latent dimension k", "squared Wasserstein distance to the law"),
        title=f"n = {setting.samples} samples, d = {len(setting.eigenvalues)}, eigenvalues 1/i",
        closer=6.0,
    )
