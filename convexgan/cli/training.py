"""Training with torch from the command line."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import check_choice, check_count
from convexgan.cli.arrays import read_rows, write_rows, write_text
from convexgan.cli.console import Json, Seed, loud, note, number, phase, print_json, print_table, result, to_json
from convexgan.cli.models import draw_more, save_sheet
from convexgan.cli.options import Discriminator, grouped
from convexgan.cli.pictures import Data, Size, Strict, read_images
from convexgan.games.game import check_budget

SHOWN = 64  # samples written
GROWN = "With --progressive"


@dataclass(frozen=True)
class Flat:
    """Options of a training without --progressive."""

    method: Annotated[
        str,
        typer.Option(
            help="simultaneous, alternating, extragradient, optimistic, unrolled, consensus, generative_minimization; "
            "or exact: against the exact discriminator."
        ),
    ] = "alternating"
    discriminator: Discriminator = "quadratic"
    generator: Annotated[str, typer.Option(help="linear, or relu: two layers.")] = "linear"
    beta: Annotated[float | None, typer.Option(help="Penalty on the discriminator's norm.")] = None
    lam: Annotated[float | None, typer.Option(help="Instead of beta: a bound on it; needed by --method exact.")] = None
    generator_penalty: Annotated[float, typer.Option(help="What multiplies E|G|^2.")] = 1.0
    latent_dim: Annotated[int, typer.Option(help="Dimension of the Gaussian latents.")] = 16
    optimizer: Annotated[
        str | None, typer.Option(help="sgd or adam; adam where the method takes it, unless given.")
    ] = None
    gap: Annotated[float, typer.Option(help="Stop at this certified gap and violation; 0 only watches.")] = 0.0


@dataclass(frozen=True)
class Grown:
    """Options of a training with it."""

    warm_start: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Start at the closed form of `convexgan fit`.", rich_help_panel=GROWN),
    ] = None
    loss: Annotated[
        str,
        typer.Option(
            help="relativistic with the penalties --r1 (R3GAN), or wasserstein with gradient penalty 10 (WGAN-GP).",
            rich_help_panel=GROWN,
        ),
    ] = "relativistic"
    fade: Annotated[
        float, typer.Option(help="Share of the steps in which a resolution fades in.", rich_help_panel=GROWN)
    ] = 0.0
    old_rate: Annotated[
        float | None,
        typer.Option(
            help="Relative rate of layers trained (1) or solved (0) before; 0 freezes.", rich_help_panel=GROWN
        ),
    ] = None
    head_start: Annotated[
        int, typer.Option(help="Steps of a warm start's discriminator alone.", rich_help_panel=GROWN)
    ] = 100
    r1: Annotated[
        float,
        typer.Option(
            help="Penalty on the discriminator's slopes at real and generated pictures.", rich_help_panel=GROWN
        ),
    ] = 0.1
    decay: Annotated[
        float, typer.Option(help="Of the running average of the generator's weights.", rich_help_panel=GROWN)
    ] = 0.999
    flip: Annotated[bool, typer.Option("--flip", help="Mirror pictures at random.", rich_help_panel=GROWN)] = False
    mixed_precision: Annotated[
        bool, typer.Option("--mixed-precision", help="Multiply in bfloat16 where it is safe.", rich_help_panel=GROWN)
    ] = False
    extractor: Annotated[
        str | None,
        typer.Option(
            help="What the judge looks with, as for evaluate; age256 where it is installed, or pixels=16.",
            rich_help_panel=GROWN,
        ),
    ] = None


@grouped
def train(
    context: typer.Context,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write; a run found there is continued.")],
    *,
    flat: Flat,
    size: Size = None,
    width: Annotated[
        int | None,
        typer.Option(
            help="Hidden neurons of the discriminator and a relu generator (64); features, of both nets (16)."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(help="Step size (learning rate) of both players.")] = 1e-3,
    steps: Annotated[int, typer.Option(help="In all; with --progressive at each resolution that is trained.")] = 2000,
    batch: Annotated[int | None, typer.Option(help="Samples of a step (256, pictures 16).")] = None,
    every: Annotated[int, typer.Option(help="Steps between certificates or sheets, and checkpoints.")] = 200,
    progressive: Annotated[
        bool, typer.Option("--progressive", help="A deep generator, resolution by resolution.", rich_help_panel=GROWN)
    ] = False,
    grown: Grown,
    strict: Strict = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train by descent-ascent, and see at every checkpoint how far it is from the certified optimum.

    FOLDER gets the checkpoint, history.json and samples. DATA may also be a .npy file of rows (n, d).

    Example: convexgan train digits --method optimistic --rate 0.01 --lam 1.5 --out run --gap 0.01

    With --progressive a deep generator of pictures is trained by the loss of R3GAN, from the closed form at the finest
    resolution, or from noise at one after the other. One picture in five, at most 1,000, is held out. FOLDER gets
    sheets of the same latents over time, a curve of the Frechet distance to those pictures, and the generator that was
    best by it, the start if nothing was better, which `convexgan sample`, `evaluate` and `export` take.

    Example: convexgan train faces/ --progressive --warm-start run --out run2
    """
    _check_options(context, progressive)
    if progressive:
        settings = asdict(grown) | {"rate": rate, "steps": steps, "width": 16 if width is None else width, "seed": seed}
        about = {"data": data, "size": size, "warm_start": settings.pop("warm_start"), "settings": settings}
        _grow(out, about, batch, every, strict, as_json)
        return
    check_budget(flat.beta, flat.lam)
    from convexgan.cli.runs import check_flat  # here, as fit does: it imports what the models need

    check_flat(out)
    game = asdict(flat) | {"width": check_count(64 if width is None else width, "--width")}
    how: dict[str, Any] = {name: game.pop(name) for name in ("method", "optimizer", "gap")}
    how |= {"rates": rate, "steps": steps, "every": every, "batch": 256 if batch is None else batch, "rng": seed}
    _descend(out, _rows(data, size, strict), game, how, as_json)


def _descend(
    out: Path,
    found: tuple[NDArray[np.float32], tuple[int, ...]],
    game: dict[str, Any],
    how: dict[str, Any],
    as_json: bool,
) -> None:
    """Train on rows and say what became of it; pictures are centred first."""
    from convexgan.cli.runs import CHECKPOINT
    from convexgan.torch import train  # before torch itself: it says which extra brings that
    from convexgan.torch.training import TRANSFORMED

    import torch  # isort: skip

    rows, shape = found
    centre = rows.mean(axis=0) if shape else np.zeros(rows.shape[1], rows.dtype)
    torch.manual_seed(how["rng"])
    G, D, objective = _players(rows - centre, exact=how["method"] == "exact", **game)
    if how["method"] == "exact":
        how["method"] = "simultaneous"
    if how["optimizer"] is None:
        how["optimizer"] = "adam" if how["method"] in TRANSFORMED else "sgd"
    out.mkdir(parents=True, exist_ok=True)
    path, progress = out / CHECKPOINT, loud()
    done = train(G, D, rows - centre, objective=objective, checkpoint=path, progress=progress, **how)
    if not done.history:
        raise KeyboardInterrupt  # before there was anything to show
    with torch.no_grad():
        latents = torch.randn(SHOWN, G.latent_dim, generator=torch.Generator().manual_seed(how["rng"]))
        drawn = G(latents).numpy() + centre
    _write(out, drawn, shape, done.history)
    if as_json:
        print_json({"outcome": done.outcome.value, "steps": done.steps, **done.history[-1]})
    else:
        result(str(done))
        if done.audit is not None:
            result(str(done.audit))


def _players(
    rows: NDArray[np.float32],
    *,
    exact: bool,
    generator: str,
    discriminator: str,
    beta: float | None,
    lam: float | None,
    generator_penalty: float,
    latent_dim: int,
    width: int,
) -> tuple[Any, Any, Any]:
    """The generator, the discriminator and what they play for."""
    from convexgan import torch as gan

    dim = rows.shape[1]
    if check_choice(generator, "generator", ("linear", "relu")) == "linear":
        G: Any = gan.LinearGenerator(latent_dim, dim, bias=True)
    else:
        G = gan.TwoLayerGenerator(latent_dim, dim, width)
    if not exact:
        D = gan.TwoLayerDiscriminator(dim, width, discriminator)
        return G, D, gan.Objective(beta, lam, generator_penalty)
    if lam is None:
        raise ValueError("--method exact needs --lam, the norm of the discriminator.")
    return G, gan.ExactDiscriminatorLoss(rows, discriminator, lam), gan.Objective(generator_penalty=generator_penalty)


def _check_options(context: typer.Context, progressive: bool) -> None:
    """Raise if an option was given that the kind of training, or its loss, does not have."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    for name in given:
        if name in {field.name for field in fields(Flat if progressive else Grown)}:
            kind = "without" if progressive else "with"
            raise ValueError(f"--{name.replace('_', '-')} is for training {kind} --progressive: change one of both.")
    if "r1" in given and context.params["loss"] != "relativistic":
        raise ValueError("--r1 is the penalty of --loss relativistic: leave one of both out.")
    if progressive and "head_start" in given and "warm_start" not in given:
        raise ValueError("--head-start is for a warm start: pass --warm-start too, or leave it out.")
    if {"fade", "warm_start"} <= set(given):
        raise ValueError(
            "--fade is for growing: a warm start trains the finest resolution alone; leave one of both out."
        )


def _grow(out: Path, about: dict[str, Any], batch: int | None, every: int, strict: bool, as_json: bool) -> None:
    """Train a progressive generator and say what became of it."""
    from convexgan.cli.growing import grow_run

    report = grow_run(out, about, 16 if batch is None else batch, every, strict=strict, progress=loud())
    if as_json:
        print_json(report)
        return
    columns = ("size", "steps", "outcome", "payoff", "frechet", "seconds")
    cells = [[number(s[c], 4) if isinstance(s[c], float) else str(s[c]) for c in columns] for s in report["stages"]]
    print_table(columns, cells)
    result(f"everything is in {out}; {draw_more(out)}")


def _rows(data: str, size: int | None, strict: bool) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Samples as rows, and the shape of a picture, empty for plain rows; pictures are in [-1, 1]."""
    path = Path(data)
    if path.suffix.lower() == ".npy" and path.is_file():
        found = read_rows(path)
        if found.ndim == 2:
            return as_rows(found, str(path)).astype(np.float32), ()
    images = read_images(data, size, strict=strict).images
    return images.reshape(len(images), -1).astype(np.float32) / 127.5 - 1, images.shape[1:]


def _write(out: Path, drawn: NDArray[Any], shape: tuple[int, ...], history: list[dict[str, float]]) -> None:
    """History and samples."""
    from convexgan.cli.runs import HISTORY

    with phase("writing"):
        write_text(out / HISTORY, to_json(history))
        if shape:
            pictures = np.clip((drawn + 1) * 127.5, 0, 255).round().astype(np.uint8).reshape(-1, *shape)
            write_rows(out / "samples.npy", pictures)
            save_sheet(pictures, out / "samples.png")
        else:
            write_rows(out / "samples.npy", drawn)
    note(f"everything is in {out}")
