"""Progressive models: fit."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from convexgan import __version__
from convexgan._tools.checks import check_bytes, check_count
from convexgan._tools.memory import physical_memory
from convexgan.cli.classes import Classes
from convexgan.cli.console import Json, Phases, Seed, number, print_json, print_table, result, to_json
from convexgan.cli.models import draw_more, save_sheet
from convexgan.cli.options import grouped
from convexgan.cli.pictures import (
    DEFAULT_SIZE,
    CacheFolder,
    Data,
    Memory,
    Selection,
    Size,
    Strict,
    check_size,
    decoded,
    decoded_once,
    locate,
    writable,
)
from convexgan.datasets import Cache, ImageSet, Listing
from convexgan.datasets.once import Once

PHASES = ("phase", "seconds", "pictures", "pictures/s")
DECODER = 150 * 2**20  # bytes of a thread that decodes large photographs


@dataclass(frozen=True)
class Stages:
    """Options that describe the stages of a model."""

    ranks: Annotated[
        str | None,
        typer.Option(
            help="Rank of each stage, 20,30,40 say, or published; by default about 2 % of the variance is cut off."
        ),
    ] = None
    betas: Annotated[
        str | None, typer.Option(help="Instead of ranks: beta of each stage, the discrepancy it may keep.")
    ] = None
    latents: Annotated[str, typer.Option(help="fresh noise at every stage, or a single latent for all.")] = "fresh"
    latent_dim: Annotated[int, typer.Option(help="Dimension of the single latent.")] = 48
    coupling: Annotated[
        str,
        typer.Option(help="How a stage follows the coarser one: transport (keeps most of it) or sorted (by variance)."),
    ] = "transport"
    histogram: Annotated[
        bool, typer.Option("--histogram", help="Move pixel values to the real pictures' histogram.")
    ] = False
    skip: Annotated[
        bool, typer.Option("--skip", help="Let a stage add to the enlarged picture of the coarser one.")
    ] = False


@dataclass(frozen=True)
class Chosen:
    """Which pictures of DATA."""

    having: Annotated[list[str] | None, typer.Option("--with", help="CelebA: an attribute to have; repeatable.")] = None
    lacking: Annotated[list[str] | None, typer.Option("--without", help="CelebA: one not to have.")] = None
    split: Annotated[str, typer.Option(help="CelebA: all, train, valid or test.")] = "all"
    count: Annotated[int | None, typer.Option(help="At most so many pictures, the first ones.")] = None
    crop: Annotated[
        str, typer.Option(help="center (largest square), center178, face128 (both for CelebA) or none.")
    ] = "center"

    def selection(self) -> Selection:
        """The selection of pictures, with its numbers checked."""
        if self.count is not None:
            check_count(self.count, "--count")
        return Selection(tuple(self.having or ()), tuple(self.lacking or ()), self.split, self.count, self.crop)


@dataclass(frozen=True)
class Means:
    """Options for the resources of a fit: cache, threads, memory, cluster, device."""

    cache: CacheFolder = None
    workers: Annotated[int | None, typer.Option(help="Threads that decode pictures; one for each core.")] = None
    memory: Memory = None
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers read the cache, or local.")
    ] = None
    device: Annotated[str | None, typer.Option(help="Where torch multiplies: cuda, say.")] = None

    def limit(self) -> int:
        """Bytes of memory; checked before pictures are decoded."""
        from convexgan.progressive.streaming import BASE_BYTES

        limit = physical_memory() // 2 if self.memory is None else check_bytes(self.memory, "--memory")
        if limit < BASE_BYTES:
            raise ValueError(f"--memory must be at least {BASE_BYTES / 1e9:.2g} GB, got {limit / 1e9:.2g} GB.")
        return limit

    def passes(self, size: int, count: int, limit: int) -> bool:
        """Whether so many pictures are to be kept: because that is asked for, or for further passes over them."""
        from convexgan.progressive.streaming import one_pass_is_enough

        asked = (self.cache, self.dask, self.device) != (None, None, None)
        return asked or not one_pass_is_enough(size, count, limit)

    def threads(self, limit: int) -> int:
        """The number of threads that decode pictures within a memory limit."""
        fitting = min(os.cpu_count() or 1, max(1, (limit - DECODER) // DECODER))
        return fitting if self.workers is None else self.workers


@grouped
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder to write, new or of an earlier run.")],
    *,
    size: Size = None,
    stages: Stages,
    chosen: Chosen,
    classes: Classes,
    means: Means,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    strict: Strict = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit a generator of pictures, one certified game per resolution.

    Example: convexgan fit faces/ --size 64 --out run

    Example: convexgan fit celeba/ --with Smiling --without Eyeglasses --crop face128 --memory 2GB --out run

    A generator for each class: convexgan fit celeba/ --condition Smiling --condition Male --out run

    Stages can be checked later: convexgan verify run faces/
    """
    from convexgan.cli.runs import check_pictures, prepare
    from convexgan.progressive.device import check_device

    settings: dict[str, Any] = asdict(stages) | {"random_state": seed}
    ranks = stages.ranks if stages.ranks == "published" else numbers(stages.ranks, "--ranks", int, ", or published")
    settings |= {"ranks": ranks, "betas": numbers(stages.betas, "--betas", float)}
    phases = Phases()
    if means.device is not None:
        check_device(means.device)  # before pictures are read, which may take long
    selection, limit = chosen.selection(), means.limit()
    about = {"data": data, "size": size, "selection": asdict(selection), "settings": settings}
    about["memory"] = None if means.memory is None else limit
    about["classes"] = classes.settings()
    found = locate(data, check_size(size), selection)
    early = classes.before(data, found)
    _check_plan(found, size, settings)
    new = not out.is_dir() or not any(out.iterdir())
    report = prepare(out, about, resume=resume)
    place, edge = out / "cache" if means.cache is None else means.cache, DEFAULT_SIZE if size is None else size
    how: dict[str, Any] = {"strict": strict, "workers": means.threads(limit)}
    pictures: ImageSet | Cache
    once = None
    if isinstance(found, Listing) and not (stages.histogram or classes.given or means.passes(edge, len(found), limit)):
        with writable(place):
            once = Once(found, place, edge, crop=chosen.crop, **how)
            pictures = decoded_once(once, phases, complete=report is not None)
    else:
        pictures = decoded(found, size, chosen.crop, place, phases, **how)
    if resume and not new:
        check_pictures(out, data, pixels_of(pictures))
    labels = classes.after(early, found, pictures, seed)
    if report is None:
        report = _fitted(out, pictures, about, phases, limit, resume and not new, means, labels, once)
    if as_json:
        print_json(report)
    else:
        _print_fit(out, report)


def _check_plan(found: ImageSet | Listing, size: int | None, settings: dict[str, Any]) -> None:
    """Raise if the settings do not suit the pictures; those to be decoded are as many, in colour, at most."""
    from convexgan.progressive import ProgressiveConvexGAN

    edge = DEFAULT_SIZE if size is None else size
    shape = found.shape if isinstance(found, ImageSet) else (edge, edge, 3)
    check_size(shape[0], f"{found.name}: the pictures' size")
    sizes, levels = ProgressiveConvexGAN(**settings).plan(len(found), shape)
    if settings["latents"] != "single":
        return
    ranks = [level.rank for level in levels]
    for size, rank, before in zip(sizes, ranks, [settings["latent_dim"], *ranks[:-1]], strict=True):
        if rank is not None and before is not None and rank > before:
            raise ValueError(
                f"--latents single: rank {rank} at size {size} exceeds {before}, that of the stage before (first, of "
                "--latent-dim): pass --ranks that do not grow."
            )


def _fitted(
    out: Path,
    pictures: ImageSet | Cache,
    about: dict[str, Any],
    phases: Phases,
    memory: int,
    resume: bool,
    means: Means,
    labels: list[str] | None,
    once: Once | None,
) -> dict[str, Any]:
    """Fit, or go on where the folder's journal ends; the complete report."""
    from convexgan.cli.runs import begin, fit_run, peak_memory, write_report
    from convexgan.progressive import ProgressiveConvexGAN
    from convexgan.progressive.cluster import connect
    from convexgan.progressive.decoding import clear, decode_moments
    from convexgan.progressive.passes import Journal

    images = pictures.images if isinstance(pictures, ImageSet) else pictures
    how_added = [means.dask is not None, means.device]  # sums in another order end with other bits: none are mixed
    pixels, chosen = pixels_of(pictures), {name: part for name, part in about.items() if name != "data"}
    started = [__version__, chosen, memory, pixels, how_added, labels]
    key = hashlib.sha256(to_json(started).encode()).hexdigest()
    ProgressiveConvexGAN(**about["settings"]).plan(len(pictures), pictures.shape)
    with nullcontext() if means.dask is None else connect(means.dask) as client:
        if not resume:
            begin(out, about, pixels=pixels)  # here, where nothing is left that could be refused
        journal = Journal(out / "journal", key)
        if once is not None:
            journal.write("moments", decode_moments(once), once.parts)  # recorded, and pictures are not looked at
        how: dict[str, Any] = {"journal": journal, "phases": phases, "client": client, "labels": labels}
        how["device"] = means.device
        model, stages = fit_run(out, images, about["settings"], memory=memory, **how)
    save_sheet(model.sample(64, about["settings"]["random_state"]), out / "samples.png")
    content: dict[str, Any] = {"stages": stages, "phases": [clock.record() for clock in phases.clocks]}
    content |= {"arithmetic": model.arithmetic_, "seconds": time.perf_counter() - phases.begun, "memory": peak_memory()}
    report = write_report(out, pictures, about, content, pixels)
    journal.clear()
    if once is not None:
        clear(once)
    return report


def pixels_of(pictures: ImageSet | Cache) -> str:
    """A hash of the pictures: what they are, wherever they lie."""
    from convexgan.progressive.passes import as_pictures

    return as_pictures(pictures).fingerprint


def _print_fit(out: Path, report: dict[str, Any]) -> None:
    """The tables of stages and phases."""
    from convexgan.cli.runs import COLUMNS, stage_rows

    try:
        tables = stage_rows(report["stages"]), phase_rows(report["phases"])
        peak = number(report["memory"]["own"] / 1e9, 3)
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # of a complete run that somebody has edited
        raise ValueError(f"{out / 'report.json'} is damaged ({error}): run again without --resume.") from None
    print_table(COLUMNS, tables[0])
    print_table(PHASES, tables[1])
    result(f"everything is in {out}, peak memory {peak} GB; {draw_more(out)}")


def phase_rows(phases: list[dict[str, Any]]) -> list[list[str]]:
    """The cells of the table of phases."""
    return [[str(p["name"]), f"{p['seconds']:.2f}", f"{p['pictures']:,}", f"{p['per_second']:,.0f}"] for p in phases]


def numbers(text: str | None, name: str, kind: type[int] | type[float], other: str = "") -> list[Any] | None:
    """The numbers in a comma-separated list."""
    if text is None:
        return None
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{name} must be numbers separated by commas, 20,30,40 say{other}, got {text!r}.") from None
