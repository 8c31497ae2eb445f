"""The demo: faces, or digits, from nothing to certified pictures in seconds."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from convexgan.cli.classes import clustered
from convexgan.cli.console import Json, Seed, note, phase, print_json, print_table, result
from convexgan.cli.evaluation import evaluation, print_evaluation
from convexgan.cli.models import save_sheet, save_stages
from convexgan.cli.pictures import Strict, check_size, demo_images, split

CLUSTERS, LARGE = 10, 20  # at most, and pictures that each is to have on average
FILES = {
    "real.png": "pictures it was fitted to",
    "generated.png": "new pictures",
    "clusters.png": "new pictures of a generator for each cluster of those, one certificate for all: fewer blends",
    "stages.png": "each column: one new picture at every resolution",
    "spectrum.png": "eigenvalues and beta at each stage",
    "certificates.txt": "the table of its stages",
    "certificates": "each certificate, with the evidence to recompute it",
    "model.npz": "the model: convexgan sample, convexgan evaluate",
    "report.json": "all numbers",
}


def demo(
    data: Annotated[str | None, typer.Option(help="orl (default), digits, a folder or an array file.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write, new or of an earlier run.")] = Path("convexgan-demo"),
    size: Annotated[int, typer.Option(help="Pixels of an edge: 4, 8, 16, ... (digits: 8).")] = 64,
    strict: Strict = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit a generator of pictures, certify it, and measure it on pictures it has not seen.

    Example: convexgan demo --data digits --out digits-demo
    """
    from convexgan.cli.runs import COLUMNS, begin, fit_run, prepare, stage_rows, write_report

    check_size(size)
    pictures = demo_images(data, size, strict)
    check_size(pictures.shape[0], f"{pictures.name}: the pictures' size")
    fitted, unseen = split(pictures.images, seed)
    note(f"{len(fitted)} pictures to fit, {len(unseen)} held out, split at random")
    about = {"data": pictures.name, "settings": {"random_state": seed}}
    prepare(out, about)
    begin(out, about)
    model, stages = fit_run(out, fitted, {"random_state": seed})
    clusters = draw_clusters(out, fitted, seed)
    with phase("evaluating on held-out pictures"):
        held_out = evaluation(model, model.held_out(unseen, rng=seed))
    with phase("writing"):
        draw(out, model, fitted, seed)
        parts = {"fitted": len(fitted), "unseen": len(unseen), "seed": seed}
        content = {"split": parts, "stages": stages, "held_out": held_out, "clusters": clusters}
        report = write_report(out, pictures, about, content)
    if as_json:
        print_json(report)
        return
    print_table(COLUMNS, stage_rows(stages), f"fitted: {pictures.name}, {len(fitted)} pictures")
    print_evaluation(held_out, len(unseen), "held out")
    for name, what in FILES.items():
        if (out / name).exists():
            result(f"{out / name}: {what}")
    result(f"better in minutes, with torch: {trained_from(data or pictures.name, out)}")


def draw_clusters(out: Path, fitted: NDArray[np.uint8], seed: int) -> list[str]:
    """Write new pictures of a generator for each cluster, and return the kinds of its certificates, a size each."""
    from convexgan.progressive import ProgressiveConvexGAN

    count = min(CLUSTERS, len(fitted) // LARGE)
    if count < 2:
        note(f"no clusters.png: {len(fitted)} pictures are too few for clusters of {LARGE}")
        return []
    try:
        labels = clustered(fitted, count, seed)
    except ValueError:
        note(f"no clusters.png: the pictures do not fall into {count} clusters of two and more")
        return []
    with phase(f"{count} clusters"):
        model = ProgressiveConvexGAN(random_state=seed).fit(fitted, labels)
        save_sheet(model.sample(64, seed), out / "clusters.png")
    return [stage.certificate.kind for stage in model.stages_]


def trained_from(name: str, out: Path) -> str:
    """The command that trains a generator from the demo's."""
    data, run = quote(name), quote(str(out))
    return f"`convexgan train {data} --progressive --warm-start {run} --out {quote(str(out) + '-trained')}`"


def draw(out: Path, model: Any, real: NDArray[np.uint8], seed: int) -> None:
    """Write the sheets and the spectra."""
    from convexgan.plotting import spectrum_plot

    new = model.sample_stages(64, seed)
    save_sheet(real[:64], out / "real.png")
    save_sheet(new[-1], out / "generated.png")
    save_stages([stage[:10] for stage in new], out / "stages.png")
    stages = [stage for stage in model.stages_ if stage.eigenvalues.max(initial=0.0) > 0]
    if not stages:
        note("no spectrum.png: all pictures are the same")
        return
    labels = [f"{stage.size} px" for stage in stages]
    try:
        spectrum_plot([s.eigenvalues for s in stages], [s.beta for s in stages], labels, out / "spectrum.png")
    except ModuleNotFoundError as error:
        note(f"no spectrum.png: {error}")
