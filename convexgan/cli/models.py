"""Progressive models: sample, export."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from convexgan._tools.checks import check_count
from convexgan._tools.files import check_target, write_npz
from convexgan.cli.arrays import write_rows, write_text
from convexgan.cli.console import Json, Seed, phase, print_json, result, to_json

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="A folder made by `convexgan fit`, `demo` or `train --progressive`.")
]


Class = Annotated[str | None, typer.Option("--class", help="One of the classes, where there are any.")]


def draw_more(out: Path) -> str:
    """The next command to call, quoted for a shell."""
    return f"`convexgan sample {quote(str(out))} -n 16 --out new.png` draws more"


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
    label: Class = None,
    to: Annotated[str | None, typer.Option(help="With --class and --interpolate: to pictures of this class.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Draw new pictures from a fitted or trained model.

    Example: convexgan sample run -n 64 --out faces.png

    Example: convexgan sample run -n 9 --interpolate 16 --out faces.gif

    Example: convexgan sample run --class "not Smiling" --to Smiling --interpolate 8 --out smiles.png
    """
    from convexgan.cli.runs import load_model, load_trained

    check_count(n, "-n")
    check_target(out)
    _check_suffix(out, stages, interpolate is not None)
    model = load_trained(run) or load_model(run)
    if stages and interpolate is not None:
        raise ValueError("--stages and --interpolate exclude each other: leave one out.")
    if to is not None and (label is None or interpolate is None):
        raise ValueError("--to goes with --class, from which, and --interpolate, in how many steps: pass both.")
    if label is not None or (interpolate is not None and to is None):
        of_class(model, label, run)
    with phase("drawing"):
        if interpolate is not None:
            _save_strips(np.stack([_strip(model, interpolate, seed + i, label, to) for i in range(n)]), out)
        else:
            _save_drawn(_drawn(model, n, seed, label), out, stages)
    if as_json:
        print_json({"out": out, "count": n, "stages": stages, "interpolate": interpolate, "seed": seed})
    else:
        result(str(out))


def _drawn(model: Any, n: int, seed: int, label: str | None) -> list[NDArray[np.uint8]]:
    """New pictures at every resolution, of one class if there are classes."""
    return list(model.sample_stages(n, seed) if label is None else model.sample_stages(n, seed, label=label))


def of_class(model: Any, label: str | None, run: Path) -> Any:
    """The model of one class, where there are classes; ValueError where none is named, or needlessly one."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        if label is not None:
            raise ValueError(f"--class: {run} has no classes: leave it out.")
        return model
    if label is None:
        known = ", ".join(map(repr, classes[:10]))
        raise ValueError(f"{run} has the classes {known}: pass one of them, --class {quote(classes[0])}.")
    return model.of(label)


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


def _strip(model: Any, steps: int, seed: int, label: str | None, to: str | None) -> NDArray[np.uint8]:
    """Pictures on the way from one random picture to another, of one class or to another."""
    if to is not None:
        return np.asarray(model.between(label, to, steps, seed))
    if label is not None:
        model = model.of(label)
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
    label: Class = None,
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
    generator = load_trained(run) or ProgressiveGenerator.from_model(of_class(load_model(run), label, run))
    with phase("writing"):
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
