"""How large should the latent space of a linear GAN be?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convexgan.cli.console import Json, Seed, loud, number, print_json, print_table
from convexgan.cli.studies.output import Out, Quick, draw, name_files, write_table

if TYPE_CHECKING:
    from convexgan.linear_gan import Sweep

SAMPLES, FEATURES = 20, 64
WEIGHTS, RIDGES = (1.0, 10.0), (0.1,)
PAIRED = "pseudo-supervised"
STRONG, WEAK = 12, 24  # pairs of weight 1, and of .003
DRAWS = 80
LAST = [45, 50, 56, 64, 75, 90]
NEAR = [1, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 16, 18, 22, 24, 27, 30, 32, 34, 35, 36, 37, 39, 42]
TRIPLE: dict[str, tuple[dict[str, Any], dict[str, float]]] = {  # what is swept, and where peaks are expected
    "two weights of pairs": (
        {"eigenvalues": 1 / np.arange(1, 25), "samples": 36, "pair_weights": np.repeat([1, 0.003], [STRONG, WEAK])},
        {"strong pairs": STRONG, "pairs": STRONG + WEAK},
    ),
    "two scales of latents": (
        {"eigenvalues": 1 / np.arange(1, 25), "samples": 12, "scales": np.repeat([1.0, 10.0], [30, 60])},
        {"pairs = latents": 12, "pairs = strong latents": 42},
    ),
    "random features": (
        {"eigenvalues": 1 / np.arange(1, 13), "samples": 36},
        {"pairs = features": 12, "pairs = latents": 36},
    ),
}
COLUMNS = ("learner", "k = 6", "k = n", "k = 2n + 1", "k = 400", "lowest", "at k")


def run(out: Out = Path("double-descent"), quick: Quick = False, seed: Seed = 0, as_json: Json = False) -> None:
    """How the test error of a linear GAN depends on the latent dimension, with and without fixed pairs.

    A linear GAN fits the law of samples by a linear map of Gaussian latents; fixed pairs tie some samples to latents of
    their own beforehand.

    Example: convexgan study double-descent --quick --out study
    """
    from convexgan.linear_gan import sweep

    out.mkdir(parents=True, exist_ok=True)
    triple = triples(out, quick, seed)
    found = sweep(
        1 / np.arange(1, FEATURES + 1),
        SAMPLES,
        dimensions(quick),
        ridges=RIDGES,
        weights=WEIGHTS,
        draws=10 if quick else 40,
        seed=seed,
        path=out / ("quick.npz" if quick else "sweep.npz"),
        progress=loud(),
    )
    write_table(out / "errors.csv", ["learner", "latent_dimension", "draw", "test_error"], found.rows())
    draw(out / "double_descent.png", partial(plot, found))
    draws = ((name, *row[1:]) for name, each in triple.items() for row in each.rows() if row[0] == PAIRED)
    write_table(out / "triple_errors.csv", ["setting", "latent_dimension", "draw", "test_error"], draws)
    draw(out / "triple_descent.png", partial(plot_triples, triple))
    turns = [
        {"setting": name, "falls": each.falls(PAIRED), "turning points": turning(each, PAIRED)}
        for name, each in triple.items()
    ]
    records = [summary(found, learner) for learner in found.setting.learners]
    if as_json:
        print_json(
            {
                "samples": SAMPLES,
                "features": FEATURES,
                "draws": found.setting.draws,
                "medians": records,
                "triple": turns,
            }
        )
        return
    cells = [[str(row["learner"]), *[number(row[column], 4) for column in COLUMNS[1:]]] for row in records]
    print_table(COLUMNS, cells, f"median test error, n = {SAMPLES}, d = {FEATURES}, {found.setting.draws} draws")
    print_table(
        list(turns[0]),
        [[str(cell) for cell in row.values()] for row in turns],
        "where the error turns: falls, and geometric means",
    )
    files = {"errors.csv": "every draw", "double_descent.png": "the curves, with bands of 80 %"}
    files |= {"triple_errors.csv": "every draw that turns", "triple_descent.png": "the curves that fall three times"}
    name_files(out, files)


def triples(out: Path, quick: bool, seed: int) -> dict[str, Sweep]:
    """The three sweeps whose error falls three times."""
    from convexgan.linear_gan import RandomFeatures, sweep

    found = {}
    for name, (setting, _) in TRIPLE.items():
        found[name] = sweep(
            **setting,
            dimensions=NEAR[::3] + LAST[::2] + [12, 36, 42] if quick else NEAR + LAST,
            features=RandomFeatures() if name == "random features" else None,
            draws=DRAWS,
            seed=seed,
            path=out / f"{name.replace(' ', '-')}{'-quick' if quick else ''}.npz",
            progress=loud(),
        )
    return found


def turning(found: Sweep, learner: str) -> str:
    """The dimensions between which the error rises and falls, and its geometric means there."""
    levels = np.exp(np.log(np.maximum(found.errors[found.setting.learners.index(learner)], 1e-12)).mean(axis=-1))
    return ", ".join(f"{levels[j]:.3g} (k={found.setting.dimensions[j]})" for j in found.turns(learner))


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


def plot_triples(found: dict[str, Sweep], path: Path) -> None:
    """The figure of the curves that fall three times, a panel each."""
    from matplotlib.figure import Figure

    from convexgan.linear_gan import predicted
    from convexgan.plotting import band_plot

    panels = Figure(figsize=(15, 4.5), layout="constrained").subplots(1, len(found))
    for panel, (name, each) in reversed(list(zip(panels, found.items(), strict=True))):
        band_plot(
            each.setting.dimensions,
            {PAIRED: each.bands()[each.setting.learners.index(PAIRED)]},
            path if panel is panels[0] else None,
            dashed={"at the limit of the mean second moment": predicted(each.setting)},
            marks=TRIPLE[name][1],
            labels=("latent dimension k", "squared Wasserstein distance to the law" if panel is panels[0] else ""),
            title=name,
            ax=[panel],
        )
        if panel is not panels[0]:
            panel.get_legend().remove()
