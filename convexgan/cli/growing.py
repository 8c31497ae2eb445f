"""Folders of progressive training: checkpoints, sheets of the same latents over time, a curve of quality.

report.json marks the folder and is complete last, as in RUN folders of `convexgan fit`. A share of the pictures is held
out; generator.safetensors is the result, the generator that came nearest to them at the finest resolution, the start
among them; last.safetensors is what became of it. history.csv and curve.png are the quality over time, samples/ holds
the sheets, checkpoints/ what a killed run needs to go on.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice
from convexgan._tools.files import write_bytes
from convexgan.cli.console import Phases, note
from convexgan.cli.fitting import pixels_of
from convexgan.cli.models import save_sheet
from convexgan.cli.pictures import Selection, check_size, decoded, locate
from convexgan.cli.runs import (
    begin,
    check_pictures,
    is_training,
    load_model,
    prepare,
    read_report,
    selection_of,
    write_report,
)
from convexgan.datasets import Cache, ImageSet
from convexgan.metrics import Extractor, Features, features
from convexgan.metrics.blocks import Bootstrap
from convexgan.metrics.extractors import as_extractor
from convexgan.metrics.frechet import frechet
from convexgan.progressive import ProgressiveConvexGAN
from convexgan.progressive.passes import Pictures, SomePictures, as_pictures
from convexgan.progressive.pyramid import default_sizes
from convexgan.progressive.ranks import published_ranks
from convexgan.torch import (
    ConvolutionalDiscriminator,
    GrowingStage,
    Objective,
    Outcome,
    ProgressiveGenerator,
    Training,
    grow,
)
from convexgan.torch.growing import R3GAN
from convexgan.torch.pictures import LEAST, as_bytes

MEASURED = 1000  # pictures held out, and generated ones that are compared with them, at most
HELD = 5  # one picture in so many is held out
SHOWN = 36
DRAWS = 39  # the fewest whose range is an interval of 95 %
PARTS = ("checkpoints", "samples")  # folders of a training
STEEPNESS = 10.0  # the weight of the gradient penalty: Gulrajani et al., 2017, arXiv 1704.00028, section 4
LOSSES = ("relativistic", "wasserstein")
SETTINGS = ("steps", "fade", "old_rate", "head_start", "flip", "mixed_precision")
COLUMNS = ("size", "step", "steps", "frechet", "low", "high", "floor")


class Watch:
    """Looks at a growing generator: a sheet of the same latents, and a Frechet distance in a CSV file; keeps the best.

    Parameters
    ----------
    folder : Path
    held : Pictures
        Real pictures that are not trained on.
    drawn : int
        How many generated ones they are compared with.
    extractor : str or Extractor
        See `frechet_distance`; coarse pictures are enlarged for it.
    seed : int
        Of the pictures and latents drawn.
    sizes, steps : tuple of int and int
        The resolutions, and the steps at each.
    """

    def __init__(
        self,
        folder: Path,
        held: Pictures,
        drawn: int,
        extractor: str | Extractor,
        seed: int,
        sizes: tuple[int, ...],
        steps: int,
    ) -> None:
        self.folder, self.seed, self.sizes, self.steps = folder, seed, sizes, steps
        self.drawn, self.extractor = max(drawn, SHOWN), as_extractor(extractor)
        self.real: Features = features(held.take(np.arange(len(held))), self.extractor)
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        if self.file.exists():  # of the part of the run that was interrupted
            with self.file.open(newline="", encoding="utf-8") as file:
                self.rows = {(row["size"], row["step"]): row for row in csv.DictReader(file)}

    @property
    def file(self) -> Path:
        """The file of the curve."""
        return self.folder / "history.csv"

    def __call__(self, step: int, stage: Any, discriminator: Any) -> dict[str, float]:
        """The numbers that the training's history keeps."""
        drawn = self._draw(stage)
        total = self.sizes.index(stage.size) * self.steps + step
        save_sheet(drawn[:SHOWN], self.folder / "samples" / f"{total:07}-{stage.size}px.png")
        large = drawn.repeat(self.sizes[-1] // stage.size, axis=1).repeat(self.sizes[-1] // stage.size, axis=2)
        found = frechet(self.real, features(large, self.extractor), self.extractor, Bootstrap(DRAWS))
        numbers = found.value, found.low, found.high, found.floor
        row = dict(zip(COLUMNS, (stage.size, step, total, *(f"{x:.6g}" for x in numbers)), strict=True))
        self.rows[str(stage.size), str(step)] = row
        if self.best() is row:
            stage.generator.save(self.folder / "generator.safetensors")
        self._write()
        note(f"  {stage.size} x {stage.size}, step {step}: {found.metric} {found.value:.4g} (floor {found.floor:.4g})")
        return {"frechet": found.value}

    def best(self) -> dict[str, Any] | None:
        """The row of the least distance at the finest resolution, the first of equals; None before there is any."""
        finest = [row for row in self._sorted() if int(row["size"]) == self.sizes[-1]]
        return min(finest, key=lambda row: float(row["frechet"]), default=None)

    def _sorted(self) -> list[dict[str, Any]]:
        return sorted(self.rows.values(), key=lambda row: int(row["steps"]))

    def _draw(self, stage: GrowingStage) -> NDArray[np.uint8]:
        random, like = torch.Generator().manual_seed(self.seed), next(stage.parameters())
        Z = torch.randn(self.drawn, stage.latent_dim, generator=random).to(like)
        return np.concatenate([as_bytes(stage(part)) for part in torch.split(Z, 256)])

    def _write(self) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(self._sorted())
        write_bytes(self.file, text.getvalue().encode())

    def plot(self) -> None:
        """Draw the curve."""
        from convexgan.plotting import band_plot

        rows = self._sorted()
        bands = [[float(row[name]) for name in ("frechet", "low", "high")] for row in rows]
        floor = {"real against real": [float(row["floor"]) for row in rows]}
        marks = {f"{size} px": i * self.steps + 1.0 for i, size in enumerate(self.sizes)}
        x, labels = [1 + int(row["steps"]) for row in rows], ("1 + steps", f"FD-{self.extractor.name}")
        about: dict[str, Any] = {"dashed": floor, "marks": marks, "labels": labels}
        about["title"] = "band: 95 %, for infinitely many pictures"
        band_plot(x, {"generated": bands}, self.folder / "curve.png", **about)


def grow_run(
    out: Path, about: dict[str, Any], batch: int, every: int, *, strict: bool, progress: bool
) -> dict[str, Any]:
    """Train, or go on with, what ``about`` says, and return the complete report.

    Parameters
    ----------
    out : Path
    about : dict
        data, size, warm_start and settings: `SETTINGS`, loss, rate, width, decay, r1, extractor, seed.
    batch, every : int
    strict : bool
        Whether a picture that cannot be read is an error.
    progress : bool
    """
    use, start = about["settings"], about["warm_start"]
    objective, judge = _objective(use), use["extractor"] or _face_network()
    use["extractor"] = judge.name if isinstance(judge, Extractor) else judge
    if start is None:
        check_size(about["size"])
    model = None if start is None else _closed_form(Path(start), about["size"])
    chosen = Selection() if start is None else selection_of(Path(start))
    about |= {"selection": asdict(chosen), "every": every, "closed form": None if model is None else _digest(model)}
    anew = _barely_begun(out)
    report = prepare(out, about, resume=not anew, parts=PARTS)
    if anew:
        begin(out, about, PARTS)
    torch.manual_seed(use["seed"])
    size = about["size"] if model is None else model.stages_[-1].size
    found, phases = locate(about["data"], size, chosen), Phases()
    pictures = decoded(found, size, chosen.crop, out / "cache", phases, strict=strict, workers=os.cpu_count() or 1)
    if report is not None:
        check_pictures(out, about["data"], pixels_of(pictures))
        note(f"{out} is complete already; for more steps, take another folder")
        return report
    images = pictures.images if isinstance(pictures, ImageSet) else pictures
    if model is None:
        check_size(pictures.shape[0], f"{pictures.name}: the pictures' size")
    generator = _generator(model, pictures, use["width"])
    train, held = parted(images, use["seed"])
    judge = judge or f"pixels={min(16, generator.sizes[-1])}"
    sizes = generator.sizes if model is None else generator.sizes[-1:]  # docs/faces.md tells why
    watch = Watch(out, held, min(MEASURED, len(train)), judge, use["seed"], sizes, use["steps"])
    runs = grow(
        generator,
        train,
        objective,
        warm=model is not None,
        sizes=sizes,
        discriminator=lambda size: ConvolutionalDiscriminator(size, generator.channels, width=use["width"]),
        **{name: use[name] for name in SETTINGS},
        rates=(use["rate"], use["rate"]),
        folder=out / "checkpoints",
        averaged=use["decay"],
        batch=batch,
        every=every,
        callbacks=[watch],
        rng=use["seed"],
        progress=progress,
    )
    if runs[-1].outcome is Outcome.INTERRUPTED:
        raise KeyboardInterrupt
    best = _finish(watch, generator, model is not None)
    content = {"stages": _stages(sizes, runs), "best": best, "generator": generator.shape()}
    return write_report(out, pictures, about, content, pixels_of(pictures))


def _finish(watch: Watch, generator: ProgressiveGenerator, warm: bool) -> dict[str, Any] | None:
    """Write the last generator, the result, its sheet and the curve; the step and distance of the result, if any."""
    generator.cpu().save(watch.folder / "last.safetensors")
    result, best = watch.folder / "generator.safetensors", watch.best()
    if best is None:  # it diverged at a coarser resolution
        generator.save(result)
    elif warm and int(best["step"]) == 0:
        note("no look came nearer to the held-out pictures than the start: generator.safetensors is the closed form")
        if watch.extractor.name.startswith("pixels"):
            note("pixels judge a closed form kindly: look at samples/, and at last.safetensors, the trained generator")
    else:
        note(f"generator.safetensors is the best of the looks at {best['size']} x {best['size']}, step {best['step']}")
    save_sheet(ProgressiveGenerator.load(result).sample(64, watch.seed), watch.folder / "samples.png")
    try:
        watch.plot()
    except ModuleNotFoundError as error:
        note(f"no curve.png: {error}")
    return None if best is None else {"step": int(best["step"]), "frechet": float(best["frechet"])}


def parted(images: Any, seed: int) -> tuple[SomePictures, SomePictures]:
    """Pictures to train on, and those held out: one in `HELD`, `LEAST` to `MEASURED`, drawn at random."""
    source = as_pictures(images)
    n = len(source)
    if n < 2 * LEAST:
        raise ValueError(f"there are {n} pictures: pass at least {2 * LEAST}, of which {LEAST} are held out to judge.")
    order, held = np.random.default_rng(seed).permutation(n), min(MEASURED, max(LEAST, n // HELD))
    return SomePictures(source, np.sort(order[held:])), SomePictures(source, np.sort(order[:held]))


def _face_network() -> Extractor | None:
    """The extractor that was trained on faces, where it is at hand; otherwise None, for pixels."""
    try:
        network = as_extractor("age256")
    except (FileNotFoundError, ModuleNotFoundError) as error:
        note(f"the judge is pixels; for faces the judge is age256 where it is installed: {error}")
        return None
    note("the judge is age256, which knows faces: pass another --extractor for other pictures")
    return network


def _objective(use: dict[str, Any]) -> Objective:
    """The objective of both players."""
    if check_choice(use["loss"], "--loss", LOSSES) == "relativistic":
        return replace(R3GAN, r1=use["r1"], r2=use["r1"])
    return Objective(generator_penalty=0.0, gradient_penalty=STEEPNESS)


def _digest(model: ProgressiveConvexGAN) -> str:
    """A hash of a closed form: what it is, wherever it lies."""
    found = hashlib.sha256()
    for stage in model.chain():
        for part in (stage.mean, stage.factor, stage.carry, stage.fresh):
            found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:16]


def _closed_form(run: Path, size: int | None) -> ProgressiveConvexGAN:
    """The model to start at, of the size asked for if one is."""
    if is_training(run):
        raise ValueError(f"--warm-start {run} is a training: pass the RUN of `convexgan fit` that it started from.")
    model = load_model(run)
    if size not in (None, model.stages_[-1].size):
        raise ValueError(
            f"--size {size} is not that of --warm-start {run}, {model.stages_[-1].size}: leave --size out, or pass "
            f"what `convexgan fit --size {size}` makes."
        )
    return model


def _stages(sizes: tuple[int, ...], runs: list[Training]) -> list[dict[str, Any]]:
    """The outcome of each resolution; a divergence is announced."""
    found = []
    for size, run in zip(sizes, runs, strict=False):  # fewer runs if one exploded
        found.append({"size": size, "outcome": run.outcome.value, "steps": run.steps, **run.history[-1]})
        if run.outcome is Outcome.DIVERGED:
            note(f"{size} x {size}: {run.outcome.sentence}")
    return found


def _barely_begun(out: Path) -> bool:
    """Whether a run in the folder ended before it left anything to go on with: then it may be another one's."""
    checkpoints = out / "checkpoints"
    return checkpoints.is_dir() and not any(checkpoints.iterdir()) and read_report(out).get("state") != "complete"


def _generator(model: Any, pictures: ImageSet | Cache, width: int) -> ProgressiveGenerator:
    """The generator of a closed form, or one of the default shape with random weights; on a GPU if there is one."""
    if model is not None:
        made = ProgressiveGenerator.from_model(model, width=width)
    else:
        sizes, channels = default_sizes(pictures.shape[0]), 3 if len(pictures.shape) == 3 else 1
        ranks = published_ranks(sizes, channels, len(pictures))
        made = ProgressiveGenerator(sizes, channels, ranks, ranks, width=width)
    return made.to("cuda" if torch.cuda.is_available() else "cpu")
