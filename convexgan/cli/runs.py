"""RUN folders: a fitted model with everything needed to look at it and to check it.

model.npz, report.json, certificates.txt, certificates/SIZE.json (and SIZE.json.npz, if its arrays are large),
stages/SIZE.npz (the moments each certificate was computed from) and contact sheets. report.json marks the folder as
ours and is complete last. cache/ holds decoded pictures, journal/ what an interrupted run needs to go on.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from convexgan import __version__
from convexgan.cli.arrays import write_text
from convexgan.cli.classes import LABELS
from convexgan.cli.console import Phases, note, number, render, to_json, warn
from convexgan.cli.games import numbers_of
from convexgan.cli.pictures import Selection
from convexgan.datasets import Cache, ImageSet
from convexgan.datasets.own import RUN_FORMAT
from convexgan.games.conditional import LabelledMoments
from convexgan.progressive import ProgressiveConvexGAN, Stage
from convexgan.progressive.conditional import ClassMoments, JointStage, members
from convexgan.progressive.passes import Journal, as_pictures
from convexgan.progressive.ranks import Level
from convexgan.progressive.streaming import StageMoments
from convexgan.statistics.moments import Moments

if TYPE_CHECKING:
    from convexgan.torch import ProgressiveGenerator

FORMAT = RUN_FORMAT
LARGEST = 512 * 2**20  # bytes of moments written for one stage
PARTS = ("certificates", "stages")  # folders of a closed form
CHECKPOINT, HISTORY = "checkpoint.safetensors", "history.json"  # of `convexgan train` without --progressive
SHEETS = ("samples.png", "real.png", "generated.png", "clusters.png", "stages.png", "spectrum.png")
RESULTS = ("model.npz", LABELS, "certificates.txt", *SHEETS, "history.csv", "generator.safetensors")
COLUMNS = ("size", "rank", "beta", "cut", "shrunk", "value", "bound", "gap", "violation", "kind", "seconds")


def prepare(
    folder: Path, about: dict[str, Any], *, resume: bool = False, parts: tuple[str, ...] = PARTS
) -> dict[str, Any] | None:
    """Make the folder ready for a run; the report of a complete one that need not be done again.

    A folder that holds something else is refused, and what an earlier run left stays until `begin`. With ``resume``
    the run must have been started with the same settings; whether with the same pictures, `check_pictures` tells.

    Parameters
    ----------
    folder : Path
    about : dict
        Data and settings, as JSON has them.
    resume : bool
    parts : tuple of str
        Folders to make in it.
    """
    _check_folder(folder)
    about = json.loads(to_json(about))
    if folder.is_dir() and any(folder.iterdir()):
        earlier = read_report(folder)
        if is_training(folder) != ("checkpoints" in parts):
            kind = "a training" if is_training(folder) else "a closed form"
            raise ValueError(f"{folder} holds {kind}, which would be lost: choose another folder for --out.")
        return _resumed(folder, about, earlier) if resume else None
    begin(folder, about, parts)
    return None


def begin(folder: Path, about: dict[str, Any], parts: tuple[str, ...] = PARTS, pixels: str | None = None) -> None:
    """Mark the prepared folder as an unfinished run, and remove what an earlier one left but for cached pictures."""
    for part in parts:
        (folder / part).mkdir(parents=True, exist_ok=True)
    # until the run is complete; an interrupted one can so be resumed, or written again
    started = {"format": FORMAT, "version": 1, "state": "unfinished", "about": about, "pixels": pixels}
    write_text(folder / "report.json", to_json(started))
    for name in RESULTS:
        (folder / name).unlink(missing_ok=True)
    for part, suffix in (("certificates", ".json"), ("certificates", ".json.npz"), ("stages", ".npz")):
        for old in (folder / part).glob(f"*{suffix}"):
            if old.name.removesuffix(suffix).isdecimal():
                old.unlink()
    for old in (folder / "journal").glob("pass-*.npz"):
        old.unlink()


def is_training(folder: Path) -> bool:
    """Whether the folder was made by `convexgan train --progressive`, complete or not."""
    return (folder / "checkpoints").is_dir()


def is_demo(report: dict[str, Any]) -> bool:
    """Whether the run was made by `convexgan demo`, which selects no pictures but holds some out."""
    about = report.get("about")
    return isinstance(about, dict) and "selection" not in about


def check_flat(folder: Path) -> None:
    """Raise unless a training without ``--progressive`` can begin in the folder, or was begun there."""
    _check_folder(folder)
    begun = not (folder / "report.json").exists() and any((folder / name).exists() for name in (CHECKPOINT, HISTORY))
    if folder.is_dir() and not begun and any(not path.name.endswith(".part") for path in folder.iterdir()):
        raise ValueError(f"{folder} is not empty and holds no training of this kind: choose another folder for --out.")


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: pass a folder for --out.")


def _resumed(folder: Path, about: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any] | None:
    """The report if the run is complete; raises if it is another run."""
    started = earlier.get("about")
    if not isinstance(started, dict):
        raise ValueError(f"{folder / 'report.json'} is damaged (it does not say what was run): leave --resume out.")
    if is_demo(earlier):
        raise ValueError(f"{folder} was made by the demo, which cannot be resumed: leave --resume out.")
    about, started = _entries(about), _entries(started)
    known = {name for name in about if name in started or name.startswith("classes ")}  # unknown to version 0.1
    differing = [name for name in sorted(known) if about[name] != started.get(name)]
    differing = [name for name in differing if name not in ("data", "warm_start")]  # they are compared by content
    if differing:
        each = [f"{name} = {started.get(name)!r}, and this is {about.get(name)!r}" for name in differing]
        raise ValueError(
            f"{folder} was started with {'; with '.join(each)}: pass the same options, or another folder for --out."
        )
    return earlier if earlier.get("state") == "complete" else None


def check_pictures(folder: Path, data: str, pixels: str) -> None:
    """Raise unless the run in the folder was started with these pictures, wherever they lay and whenever written."""
    report = read_report(folder)
    about = report.get("about")
    then = about.get("data") if isinstance(about, dict) else None
    same = then == data if report.get("pixels") is None else report["pixels"] == pixels
    if not same:
        raise ValueError(
            f"{folder} was started with other pictures (data = {then!r}) than {data!r} holds now: pass those of then, "
            "or another folder for --out."
        )
    if report.get("pixels") is None and report.get("state") == "unfinished":  # killed before they were decoded
        write_text(folder / "report.json", to_json(report | {"pixels": pixels}))


def _entries(about: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run, one by one."""
    found: dict[str, Any] = {}
    for name, value in about.items():
        found |= {f"{name} {part}": own for part, own in value.items()} if isinstance(value, dict) else {name: value}
    return found


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


def selection_of(run: Path) -> Selection:
    """Which pictures of its data a run was fitted to; all of them where there is no report."""
    if not run.is_dir():
        return Selection()
    try:
        return Selection.of_report(read_report(run))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{run / 'report.json'} is damaged ({error}).") from None


def load_trained(run: Path) -> ProgressiveGenerator | None:
    """The generator in a folder made by `convexgan train --progressive`; None for any other."""
    path = run / "generator.safetensors"
    if not path.exists():
        return None
    if (run / "report.json").exists() and read_report(run).get("state") != "complete":
        note(f"{run} is not finished: this is its best generator so far; the same `convexgan train` goes on with it")
    from convexgan.torch import ProgressiveGenerator

    return ProgressiveGenerator.load(path)


def load_model(run: Path) -> ProgressiveConvexGAN:
    """The model in a RUN folder made by `convexgan fit`."""
    path = run / "model.npz" if run.is_dir() else run
    report = read_report(run) if (run / "report.json").exists() else {}
    if is_training(run):
        if report.get("state") == "complete":
            raise ValueError(f"{run} is a training, which has no certificates: pass a RUN of `convexgan fit`.")
        raise ValueError(f"{run} is a training that has not ended: the same `convexgan train` again goes on with it.")
    if (run / CHECKPOINT).exists() and not path.exists():
        raise ValueError(f"{run} is a training without --progressive: it holds no model of pictures, but samples.npy.")
    if report.get("state") == "unfinished":
        again = "run it again" if is_demo(report) else "the same `convexgan fit` with --resume goes on with it"
        raise ValueError(f"{run} is not finished: {again}.")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: make it with `convexgan fit DATA --out {quote(str(run))}`.")
    return ProgressiveConvexGAN.load(path)


def fit_run(
    folder: Path,
    images: Any,
    settings: dict[str, Any],
    *,
    memory: int | None = None,
    journal: Journal | None = None,
    phases: Phases | None = None,
    client: Any = None,
    device: str | None = None,
    labels: list[str] | None = None,
) -> tuple[ProgressiveConvexGAN, list[dict[str, Any]]]:
    """The fitted model and the rows of its stage table; each stage is announced and written as it is solved."""
    rows: list[dict[str, Any]] = []
    last = time.perf_counter()

    def record(stage: Stage | JointStage, data: Moments | None) -> None:
        nonlocal last
        stage.certificate.save(folder / "certificates" / f"{stage.size}.json")
        if data is not None and data.count is not None and stored_bytes(data) <= LARGEST:
            data.save(folder / "stages" / f"{stage.size}.npz")
        elif labels is None:
            note(f"  stage {stage.size}: its moments are not kept; `convexgan verify RUN DATA` needs none")
        now = time.perf_counter()
        rows.append(describe(stage, now - last))
        note(f"  {stage.size} x {stage.size}: rank {stage.rank}, {stage.certificate.kind}, {now - last:.2f} s")
        last = now

    model = ProgressiveConvexGAN(**settings)
    how: dict[str, Any] = {"memory": memory, "journal": journal, "client": client, "device": device}
    with warnings.catch_warnings(record=True) as said:
        warnings.filterwarnings("always", message=r".* directions of variation")
        model.fit(images, labels, progress=record, phase=phases or Phases(), **how)
    for warning in said:
        warn(f"warning: {warning.message}")
    if labels is not None:
        write_text(folder / LABELS, "".join(f"{label}\n" for label in labels))
    model.save(folder / "model.npz")
    write_text(folder / "certificates.txt", render(COLUMNS, stage_rows(rows)))
    return model, rows


def write_report(
    folder: Path, data: ImageSet | Cache, about: dict[str, Any], content: dict[str, Any], pixels: str | None = None
) -> dict[str, Any]:
    """Write the complete report.json, the last file of a run, and return its content."""
    pictures = {
        "name": data.name,
        "pictures": len(data),
        "shape": list(data.shape),
        "skipped": [{"path": str(skipped.path), "reason": skipped.reason} for skipped in data.skipped],
        "omitted": dict(data.omitted),
        "converted": dict(data.converted),
        "notes": list(data.notes),
        "decoders": dict(data.decoders),
    }
    report = {
        "format": FORMAT,
        "version": 1,
        "state": "complete",
        "convexgan": __version__,
        "data": pictures,
        "about": about,
        "pixels": pixels,
    }
    report |= content
    write_text(folder / "report.json", to_json(report))
    return report


def stage_moments(
    model: ProgressiveConvexGAN,
    images: Any,
    memory: int | None = None,
    phases: Phases | None = None,
    labels: Any = None,
) -> Iterator[tuple[Stage | JointStage, Moments | LabelledMoments]]:
    """Each stage with the moments its certificate speaks of: centred pictures, or their detail under ``skip``."""
    sizes, pictures = [stage.size for stage in model.stages_], as_pictures(images)
    how: dict[str, Any] = {"skip": model.skip, "memory": memory, "phase": phases or Phases()}
    if labels is not None:
        parts = members(pictures, labels)
        classes, every = tuple(part.label for part in parts), ClassMoments(parts, sizes, **how)
        for joint in model.stages_:
            each = zip(every.moments, joint.parts, strict=True)
            found = tuple(one.at(part.size, Level(part.rank), part.detail).moments for one, part in each)
            yield joint, LabelledMoments(classes, every.counts, found)
        return
    moments = StageMoments(pictures, sizes, **how)
    for stage in model.stages_:
        yield stage, moments.at(stage.size, Level(stage.rank), stage.detail).moments


def peak_memory() -> dict[str, int]:
    """The most bytes of memory that this process, and the largest of those that decoded pictures, have used."""
    try:
        import resource
    except ModuleNotFoundError:  # on Windows
        from psutil import Process

        return {"own": int(getattr(Process().memory_info(), "peak_wset", 0)), "largest_decoder": 0}
    used = {"own": resource.RUSAGE_SELF, "largest_decoder": resource.RUSAGE_CHILDREN}
    return {name: resource.getrusage(who).ru_maxrss * 1024 for name, who in used.items()}


def stored_bytes(moments: Moments) -> int:
    """About how large the file of the moments is."""
    return 8 * moments.dim * min(moments.dim, moments.count or moments.dim)


def describe(stage: Stage | JointStage, seconds: float) -> dict[str, Any]:
    """A stage's size, rank and beta, with its certificate's numbers."""
    cut, shrunk = stage.lost
    facts = {"size": stage.size, "rank": stage.rank, "beta": stage.beta, "seconds": seconds}
    return {**facts, "cut": cut, "shrunk": shrunk, **numbers_of(stage.certificate)}


def stage_rows(stages: list[dict[str, Any]]) -> list[list[str]]:
    """The cells of the stage table."""
    digits = {"value": 8, "bound": 8, "gap": 2, "violation": 2, "beta": 5, "seconds": 2}
    shares = ("cut", "shrunk")  # which version 0.1 did not write
    rows = []
    for stage in stages:
        cells = {name: f"{100 * stage[name]:.1f} %" if name in stage else "" for name in shares}
        cells |= {name: number(stage[name], digits[name]) for name in digits}
        rows.append([cells[name] if name in cells else str(stage[name]) for name in COLUMNS])
    return rows
