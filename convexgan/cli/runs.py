"""RUN folders: a fitted model with everything needed to look at it and to check it.

model.npz, report.json, certificates.txt, certificates/SIZE.json, stages/SIZE.npz (the moments each certificate was
computed from) and contact sheets. report.json marks the folder as ours and is complete last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan import __version__
from convexgan.cli.arrays import write_text
from convexgan.cli.console import note, number, render, to_json
from convexgan.cli.games import numbers_of
from convexgan.datasets import ImageSet
from convexgan.moments import Moments
from convexgan.progressive import ProgressiveConvexGAN, Stage
from convexgan.progressive.pyramid import box_pyramid, upsample

FORMAT = "convexgan run"
LARGEST = 512 * 2**20  # bytes of moments written for one stage
COLUMNS = ("size", "rank", "beta", "value", "bound", "gap", "violation", "kind", "seconds")


def prepare(folder: Path) -> None:
    """Make the folder, or refuse one that holds something else; certificates of an earlier run are removed."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: pass a folder for --out.")
    if folder.is_dir() and any(folder.iterdir()):
        read_report(folder)
        for part, suffix in (("certificates", ".json"), ("stages", ".npz")):
            for old in (folder / part).glob(f"*{suffix}"):
                if old.stem.isdecimal():
                    old.unlink()
    for part in ("certificates", "stages"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    # until the run is complete; an interrupted one can so be written again
    write_text(folder / "report.json", to_json({"format": FORMAT, "version": 1, "state": "unfinished"}))


def read_report(folder: Path) -> dict[str, Any]:
    """The folder's report; raises if it is not a RUN folder."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        if report["format"] != FORMAT:
            raise KeyError("format")
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{folder} is not empty and not a RUN folder of convexgan (no report.json of ours): choose another."
        ) from None
    return dict(report)


def load_model(run: Path) -> ProgressiveConvexGAN:
    """The model in a RUN folder."""
    path = run / "model.npz" if run.is_dir() else run
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: make it with `convexgan fit DATA --out {run}`.")
    return ProgressiveConvexGAN.load(path)


def write_model(
    folder: Path, model: ProgressiveConvexGAN, images: NDArray[np.uint8], seconds: list[float]
) -> list[dict[str, Any]]:
    """Write the model, its certificates and what they were computed from; the rows of the stage table."""
    model.save(folder / "model.npz")
    stages = describe(model, seconds)
    write_text(folder / "certificates.txt", render(COLUMNS, stage_rows(stages)))
    for stage, data in stage_moments(model, images):
        write_text(folder / "certificates" / f"{stage.size}.json", stage.certificate.to_json())
        if stored_bytes(data) <= LARGEST:
            data.save(folder / "stages" / f"{stage.size}.npz")
        else:
            note(f"stage {stage.size}: its moments are too large to keep; `convexgan verify RUN DATA` needs none")
    return stages


def write_report(folder: Path, data: ImageSet, settings: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """Write the complete report.json, the last file of a run, and return its content."""
    pictures = {
        "name": data.name,
        "pictures": len(data),
        "shape": list(data.images.shape[1:]),
        "skipped": [{"path": str(skipped.path), "reason": skipped.reason} for skipped in data.skipped],
    }
    report = {
        "format": FORMAT,
        "version": 1,
        "state": "complete",
        "convexgan": __version__,
        "data": pictures,
        "settings": settings,
    }
    report |= content
    write_text(folder / "report.json", to_json(report))
    return report


def stage_moments(model: ProgressiveConvexGAN, images: NDArray[np.uint8]) -> Iterator[tuple[Stage, Moments]]:
    """Each stage with the moments its certificate speaks of: centred pictures, or their detail under ``skip``."""
    pyramid = box_pyramid(images, [stage.size for stage in model.stages_])
    last: Stage | None = None
    for stage in model.stages_:
        rows: Any = pyramid[stage.size].reshape(len(images), -1)
        if model.skip and last is not None:
            coarse: Any = pyramid[last.size].reshape(len(images), -1)
            size = last.size
            while size < stage.size:
                coarse, size = upsample(coarse, size, stage.channels), 2 * size
            rows = rows - coarse
        yield stage, Moments.from_array(rows, name="images").centered()
        last = stage


def stored_bytes(moments: Moments) -> int:
    """About how large the file of the moments is."""
    return 8 * moments.dim * min(moments.dim, moments.count or moments.dim)


def describe(model: ProgressiveConvexGAN, seconds: list[float]) -> list[dict[str, Any]]:
    """One record for each stage: what it is and what its certificate says."""
    return [
        {"size": stage.size, "rank": stage.rank, "beta": stage.beta, "seconds": took, **numbers_of(stage.certificate)}
        for stage, took in zip(model.stages_, seconds, strict=True)
    ]


def stage_rows(stages: list[dict[str, Any]]) -> list[list[str]]:
    """The cells of the stage table."""
    digits = {"value": 8, "bound": 8, "gap": 2, "violation": 2, "beta": 5, "seconds": 2}
    return [[number(s[name], digits[name]) if name in digits else str(s[name]) for name in COLUMNS] for s in stages]
