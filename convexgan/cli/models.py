"""Progressive models: fit, sample, export."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from convexgan import __version__
from convexgan._checks import check_bytes, check_count
from convexgan._files import check_target, write_npz
from convexgan._tools.memory import physical_memory
from convexgan.cli.arrays import write_rows, write_text
from convexgan.cli.console import Json, Phases, Seed, number, print_json, print_table, result, to_json
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
    locate,
)
from convexgan.datasets import Cache, ImageSet, Listing

if TYPE_CHECKING:
    pass

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="A folder made by `convexgan fit`, `demo` or `train --progressive`.")
]


def fit(
    data: Data,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder to write, new or of an earlier run.")],
    size: Size = None,
    ranks: Annotated[
        str | None,
        typer.Option(help="Rank of each stage, 20,30,40 say; chosen by size and number of pictures otherwise."),
    ] = None,
    betas: Annotated[
        str | None, typer.Option(help="Instead of ranks: beta of each stage, the discrepancy it may keep.")
    ] = None,
    latents: Annotated[str, typer.Option(help="fresh noise at every stage, or a single latent for all.")] = "fresh",
    latent_dim: Annotated[int, typer.Option(help="Dimension of the single latent.")] = 48,
    coupling: Annotated[
        str,
        typer.Option(help="How a stage follows the coarser one: transport (keeps most of it) or sorted (by variance)."),
    ] = "transport",
    histogram: Annotated[
        bool, typer.Option("--histogram", help="Move pixel values to the real pictures' histogram.")
    ] = False,
    skip: Annotated[
        bool, typer.Option("--skip", help="Let a stage add to the enlarged picture of the coarser one.")
    ] = False,
    having: Annotated[
        list[str] | None, typer.Option("--with", help="CelebA: an attribute to have; repeatable.")
    ] = None,
    lacking: Annotated[list[str] | None, typer.Option("--without", help="CelebA: one not to have.")] = None,
    split: Annotated[str, typer.Option(help="CelebA: all, train, valid or test.")] = "all",
    count: Annotated[int | None, typer.Option(help="At most so many pictures, the first ones.")] = None,
    crop: Annotated[
        str, typer.Option(help="center (largest square), center178, face128 (both for CelebA) or none.")
    ] = "center",
    cache: CacheFolder = None,
    workers: Annotated[int | None, typer.Option(help="Processes that decode pictures; one for each core.")] = None,
    memory: Memory = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers read the cache, or local.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Where torch multiplies: cuda, say.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    strict: Strict = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit a generator of pictures, one certified game per resolution.

    Example: convexgan fit faces/ --size 64 --out run

    Example: convexgan fit celeba/ --with Smiling --without Eyeglasses --crop face128 --memory 2GB --out run

    Stages can be checked later: convexgan verify run faces/
    """
    from convexgan.cli.runs import check_pictures, prepare
    from convexgan.progressive.device import check_device
    from convexgan.progressive.streaming import BASE_BYTES

    settings: dict[str, Any] = {
        "ranks": numbers(ranks, "--ranks", int),
        "betas": numbers(betas, "--betas", float),
        "latents": latents,
        "latent_dim": latent_dim,
        "coupling": coupling,
        "histogram": histogram,
        "skip": skip,
        "random_state": seed,
    }
    phases = Phases()
    if device is not None:
        check_device(device)  # before pictures are read, which may take long
    if count is not None:
        check_count(count, "--count")
    chosen = Selection(tuple(having or ()), tuple(lacking or ()), split, count, crop)
    asked = None if memory is None else check_bytes(memory, "--memory")
    limit = physical_memory() // 2 if asked is None else asked
    if limit < BASE_BYTES:  # here, before pictures are decoded
        raise ValueError(f"--memory must be at least {BASE_BYTES / 1e9:.2g} GB, got {limit / 1e9:.2g} GB.")
    about = {"data": data, "size": size, "selection": asdict(chosen), "settings": settings, "memory": asked}
    found = locate(data, check_size(size), chosen)
    _check_plan(found, size, settings)
    new = not out.is_dir() or not any(out.iterdir())
    report = prepare(out, about, resume=resume)
    many = min(os.cpu_count() or 1, max(1, (limit - DECODER) // DECODER)) if workers is None else workers
    place = out / "cache" if cache is None else cache
    pictures = decoded(found, size, crop, place, phases, strict=strict, workers=many)
    if resume and not new:
        check_pictures(out, data, pixels_of(pictures))
    if report is None:
        report = _fitted(out, pictures, about, phases, limit, resume and not new, dask, device)
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
    ranks = [rank for rank, _ in levels]
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
    dask: str | None,
    device: str | None,
) -> dict[str, Any]:
    """Fit, or go on where the folder's journal ends; the complete report."""
    from convexgan.cli.runs import begin, fit_run, peak_memory, write_report
    from convexgan.progressive import ProgressiveConvexGAN
    from convexgan.progressive.cluster import connect
    from convexgan.progressive.passes import Journal

    images = pictures.images if isinstance(pictures, ImageSet) else pictures
    how_added = [dask is not None, device]  # sums in another order end with other bits: none are mixed
    pixels, chosen = pixels_of(pictures), {name: part for name, part in about.items() if name != "data"}
    started = [__version__, chosen, memory, pixels, how_added]
    key = hashlib.sha256(to_json(started).encode()).hexdigest()
    ProgressiveConvexGAN(**about["settings"]).plan(len(pictures), pictures.shape)
    with nullcontext() if dask is None else connect(dask) as client:
        if not resume:
            begin(out, about, pixels=pixels)  # here, where nothing is left that could be refused
        journal = Journal(out / "journal", key)
        how: dict[str, Any] = {"journal": journal, "phases": phases, "client": client, "device": device}
        model, stages = fit_run(out, images, about["settings"], memory=memory, **how)
    save_sheet(model.sample(64, about["settings"]["random_state"]), out / "samples.png")
    content: dict[str, Any] = {"stages": stages, "phases": [clock.record() for clock in phases.clocks]}
    content |= {"seconds": time.perf_counter() - phases.begun, "memory": peak_memory()}
    report = write_report(out, pictures, about, content, pixels)
    journal.clear()
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


def draw_more(out: Path) -> str:
    """What to call next, as a shell takes it."""
    return f"`convexgan sample {quote(str(out))} -n 16 --out new.png` draws more"


PHASES = ("phase", "seconds", "pictures", "pictures/s")
DECODER = 150 * 2**20  # bytes of a process that decodes


def phase_rows(phases: list[dict[str, Any]]) -> list[list[str]]:
    """The cells of the table of phases."""
    return [[str(p["name"]), f"{p['seconds']:.2f}", f"{p['pictures']:,}", f"{p['per_second']:,.0f}"] for p in phases]


def numbers(text: str | None, name: str, kind: type[int] | type[float]) -> list[Any] | None:
    """The numbers in a comma-separated list."""
    if text is None:
        return None
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{name} must be numbers separated by commas, 20,30,40 say, got {text!r}.") from None


def save_sheet(images: NDArray[np.uint8], path: Path) -> None:
    """Write a nearly square contact sheet, small pictures enlarged."""
    from convexgan.plotting import contact_sheet, save_image

    scale = max(1, 64 // images.shape[1])
    save_image(contact_sheet(images, int(np.ceil(np.sqrt(len(images)))), scale=scale), path)


def save_stages(stages: list[NDArray[np.uint8]], path: Path) -> None:
    """Write a sheet whose columns each show one picture sharpening."""
    from convexgan.plotting import save_image, stage_sheet

    scale = max(1, 64 // stages[-1].shape[1])
    save_image(stage_sheet(stages, [f"{stage.shape[1]} px" for stage in stages], scale=scale), path)


def sample(
    run: Run,
    out: Annotated[
        Path,
        typer.Option(help="FILE.png for a sheet; FILE.npy (.npz with --stages) for uint8 arrays; FILE.gif moves."),
    ],
    n: Annotated[int, typer.Option("-n", "--count", help="How many pictures.")] = 16,
    stages: Annotated[bool, typer.Option("--stages", help="The same pictures at every resolution.")] = False,
    interpolate: Annotated[
        int | None, typer.Option(help="So many steps from each to another: rows, or a .gif.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Draw new pictures from a fitted or trained model.

    Example: convexgan sample run -n 64 --out faces.png

    Example: convexgan sample run -n 9 --interpolate 16 --out faces.gif
    """
    from convexgan.cli.runs import load_model, load_trained

    check_count(n, "-n")
    check_target(out)
    _check_suffix(out, stages, interpolate is not None)
    model = load_trained(run) or load_model(run)
    if interpolate is not None:
        if stages:
            raise ValueError("--stages and --interpolate exclude each other: leave one out.")
        _save_strips(np.stack([_strip(model, interpolate, seed + i) for i in range(n)]), out)
    else:
        _save_drawn(model.sample_stages(n, seed), out, stages)
    if as_json:
        print_json({"out": out, "count": n, "stages": stages, "interpolate": interpolate, "seed": seed})
    else:
        result(str(out))


def _check_suffix(out: Path, stages: bool, strips: bool) -> None:
    """Raise if no file of this kind can hold what is drawn."""
    from PIL import Image

    suffix = out.suffix.lower()
    if suffix == ".gif" and not strips:
        raise ValueError(f"{out}: only what --interpolate draws moves: pass --interpolate 16 say, or end it in .png.")
    if suffix == (".npy" if stages else ".npz"):
        raise ValueError(f"{out}: one array goes into a .npy file, the arrays of --stages into an .npz file.")
    if suffix not in (".npy", ".npz") and Image.registered_extensions().get(suffix) not in Image.SAVE:
        raise ValueError(f"{out} has no suffix that is known here: end it in .png, .npy, .npz or .gif, see --help.")


def _save_drawn(drawn: list[NDArray[np.uint8]], out: Path, stages: bool) -> None:
    """Write pictures at every resolution, or the finest."""
    suffix = out.suffix.lower()
    if suffix == ".npz":
        write_npz(out, {str(images.shape[1]): images for images in drawn})
    elif suffix == ".npy":
        write_rows(out, drawn[-1])
    elif stages:
        save_stages(drawn, out)
    else:
        save_sheet(drawn[-1], out)


def _strip(model: Any, steps: int, seed: int) -> NDArray[np.uint8]:
    """Pictures on the way from one random picture to another."""
    if not hasattr(model, "stages_"):
        return np.asarray(model.interpolate(steps, seed))
    ends = np.random.default_rng(seed).standard_normal((2, len(model.stages_[-1].factor)))
    return np.asarray(model.interpolate(*ends, steps))


def _save_strips(strips: NDArray[np.uint8], out: Path) -> None:
    """Write strips (n, steps, h, w[, 3]) as rows of a sheet, as a moving sheet, or as they are."""
    from convexgan.plotting import contact_sheet, save_animation, save_image

    scale, columns = max(1, 64 // strips.shape[2]), int(np.ceil(np.sqrt(len(strips))))
    if out.suffix.lower() == ".npy":
        write_rows(out, strips)
    elif out.suffix.lower() == ".gif":
        save_animation([contact_sheet(strips[:, i], columns, scale=scale) for i in range(strips.shape[1])], out)
    else:
        save_image(contact_sheet(strips.reshape(-1, *strips.shape[2:]), strips.shape[1], scale=scale), out)


def export(
    run: Run,
    out: Annotated[Path, typer.Option(help="FILE.onnx or FILE.safetensors; FILE.json, beside it, says what it takes.")],
    as_json: Json = False,
) -> None:
    """Write the generator of a fitted or trained model for other programs; a closed form without its histogram step.

    Example: convexgan export run --out faces.onnx
    """
    from convexgan.cli.runs import load_model, load_trained
    from convexgan.torch import ProgressiveGenerator
    from convexgan.torch.export import export_onnx

    check_target(out)
    if out.suffix.lower() not in (".onnx", ".safetensors"):
        raise ValueError(f"{out}: end it in .onnx or .safetensors.")
    generator = load_trained(run) or ProgressiveGenerator.from_model(load_model(run))
    if out.suffix.lower() == ".onnx":
        export_onnx(generator, out)
    else:
        generator.save(out)
    size, channels = generator.sizes[-1], generator.channels
    described: dict[str, Any] = {"latents": ["n", generator.latent_dim], "law": "standard normal", "range": [-1, 1]}
    described |= {"pictures": ["n", channels, size, size], "generator": generator.shape()}
    write_text(out.with_suffix(".json"), to_json(described))
    if as_json:
        print_json({"out": out} | described)
    else:
        result(str(out))
