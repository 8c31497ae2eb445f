"""Training with torch from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from convexgan._checks import check_choice, check_count
from convexgan.canonical import check_budget
from convexgan.cli.arrays import read_rows, write_rows, write_text
from convexgan.cli.console import Json, Seed, note, phase, print_json, result, to_json
from convexgan.cli.models import save_sheet
from convexgan.cli.pictures import Data, Size, read_images

SHOWN = 64  # samples written


def train(
    data: Data,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write; a run found there is continued.")],
    method: Annotated[
        str,
        typer.Option(
            help="simultaneous, alternating, extragradient, optimistic, unrolled, consensus, generative_minimization; "
            "or exact: against the exact discriminator."
        ),
    ] = "alternating",
    discriminator: Annotated[str, typer.Option(help="linear, quadratic, polynomial or relu.")] = "quadratic",
    generator: Annotated[str, typer.Option(help="linear, or relu: two layers.")] = "linear",
    beta: Annotated[float | None, typer.Option(help="Penalty on the discriminator's norm.")] = None,
    lam: Annotated[float | None, typer.Option(help="Instead of beta: a bound on it; needed by --method exact.")] = None,
    generator_penalty: Annotated[float, typer.Option(help="What multiplies E|G|^2.")] = 1.0,
    size: Size = None,
    latent_dim: Annotated[int, typer.Option(help="Dimension of the Gaussian latents.")] = 16,
    width: Annotated[int, typer.Option(help="Hidden neurons of the discriminator, and of a relu generator.")] = 64,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd or adam; adam where the method takes it, unless given.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Step size of both players.")] = 1e-3,
    steps: Annotated[int, typer.Option(help="In all.")] = 2000,
    batch: Annotated[int, typer.Option(help="Rows of a step.")] = 256,
    gap: Annotated[float, typer.Option(help="Stop at this certified gap and violation; 0 only watches.")] = 0.0,
    every: Annotated[int, typer.Option(help="Steps between certificates and checkpoints.")] = 200,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train by descent-ascent, and see at every checkpoint how far it is from the certified optimum.

    FOLDER gets the checkpoint, history.json and samples. DATA may also be a .npy file of rows (n, d).

    Example: convexgan train digits --method optimistic --rate 0.01 --lam 1.5 --out run --gap 0.01
    """
    import torch

    from convexgan import torch as gan
    from convexgan.torch.training import TRANSFORMED

    check_budget(beta, lam)
    rows, shape = _rows(data, size)
    exact = check_choice(generator, "generator", ("linear", "relu")) and method == "exact"
    if exact and lam is None:
        raise ValueError("--method exact needs --lam, the norm of the discriminator.")
    method = "simultaneous" if exact else method
    centre = rows.mean(axis=0) if shape else np.zeros(rows.shape[1], rows.dtype)
    torch.manual_seed(seed)
    G = (
        gan.LinearGenerator(latent_dim, rows.shape[1], bias=True)
        if generator == "linear"
        else gan.TwoLayerGenerator(latent_dim, rows.shape[1], width)
    )
    D: Any = gan.TwoLayerDiscriminator(rows.shape[1], check_count(width, "--width"), discriminator)
    if exact:
        D = gan.ExactDiscriminatorLoss(rows - centre, discriminator, lam or 0.0)
    objective = gan.Objective(None if exact else beta, None if exact else lam, generator_penalty)
    out.mkdir(parents=True, exist_ok=True)
    done = gan.train(
        G,
        D,
        rows - centre,
        objective=objective,
        method=method,
        optimizer=optimizer or ("adam" if method in TRANSFORMED else "sgd"),
        rates=rate,
        steps=steps,
        batch=batch,
        gap=gap,
        every=every,
        checkpoint=out / "checkpoint.safetensors",
        rng=seed,
        progress=sys.stderr.isatty(),
    )
    with torch.no_grad():
        drawn = G(torch.randn(SHOWN, latent_dim, generator=torch.Generator().manual_seed(seed))).numpy() + centre
    _write(out, drawn, shape, done.history)
    if as_json:
        print_json({"outcome": done.outcome.value, "steps": done.steps, **done.history[-1]})
    else:
        result(str(done))
        if done.audit is not None:
            result(str(done.audit))


def _rows(data: str, size: int | None) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Samples as rows, and the shape of a picture, empty for plain rows; pictures are in [-1, 1]."""
    path = Path(data)
    if path.suffix.lower() == ".npy" and path.is_file():
        found = read_rows(path)
        if found.ndim == 2:
            return found.astype(np.float32), ()
    images = read_images(data, size).images
    return images.reshape(len(images), -1).astype(np.float32) / 127.5 - 1, images.shape[1:]


def _write(out: Path, drawn: NDArray[Any], shape: tuple[int, ...], history: list[dict[str, float]]) -> None:
    """History and samples."""
    with phase("writing"):
        write_text(out / "history.json", to_json(history))
        if shape:
            pictures = np.clip((drawn + 1) * 127.5, 0, 255).round().astype(np.uint8).reshape(-1, *shape)
            write_rows(out / "samples.npy", pictures)
            save_sheet(pictures, out / "samples.png")
        else:
            write_rows(out / "samples.npy", drawn)
    note(f"everything is in {out}")
