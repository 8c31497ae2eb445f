"""`convexgan train --progressive`: its folder, what other commands make of it, kills, and bad input."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import safetensors
import torch
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

from convexgan._tools.checks import is_exhausted
from convexgan.cli import app
from convexgan.cli.console import note
from convexgan.cli.growing import Watch, parted
from convexgan.torch import GrowingStage, Objective, PictureSource, ProgressiveGenerator, Training
from convexgan.torch.growing import R3GAN
from convexgan.torch.progressive import LinearStage
from tests.documents import ROOT
from tests.test_cli import refused, run

QUICK = ["--steps", 4, "--every", 2, "--batch", 8, "--width", 4]


def warm(base: Path) -> list[Any]:
    """The options of a short warm start."""
    return ["--warm-start", base / "run", "--head-start", 2]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures.npy, a closed form in run/ and what was trained from it in warm/."""
    torch.set_num_threads(1)  # as in killed processes: the last bits of a sum depend on the number of threads
    base = tmp_path_factory.mktemp("growing")
    rng = np.random.default_rng(0)
    np.save(base / "pictures.npy", rng.integers(0, 256, (60, 8, 8), dtype=np.uint8))
    np.save(base / "colour.npy", rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8))
    np.save(base / "large.npy", rng.integers(0, 256, (60, 16, 16), dtype=np.uint8))
    np.save(base / "few.npy", rng.integers(0, 256, (7, 8, 8), dtype=np.uint8))
    run("fit", base / "pictures.npy", "--out", base / "run", "--ranks", "4,9")
    run("train", base / "pictures.npy", "--progressive", *warm(base), "--out", base / "warm", *QUICK)
    return base


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_warm_start_leaves_a_generator_sheets_and_a_curve(base: Path) -> None:
    report = json.loads((base / "warm" / "report.json").read_text())
    assert report["state"] == "complete" and [stage["size"] for stage in report["stages"]] == [8]
    assert [stage["outcome"] for stage in report["stages"]] == ["finished"]
    assert report["generator"] == {"sizes": [4, 8], "channels": 1, "ranks": [4, 9], "noises": [4, 9], "width": 4}
    curve = rows(base / "warm")
    assert [(row["size"], row["steps"]) for row in curve] == [("8", "0"), ("8", "2"), ("8", "4")]
    assert float(curve[-1]["frechet"]) == pytest.approx(report["stages"][-1]["frechet"], rel=1e-5)
    sheets = sorted(path.name for path in (base / "warm" / "samples").iterdir())
    assert len(sheets) == 3 and sheets[0] == "0000000-8px.png" and sheets[-1] == "0000004-8px.png"
    for name in ("curve.png", "samples.png"):
        with Image.open(base / "warm" / name) as picture:
            assert min(picture.size) > 100


def test_the_same_call_again_does_nothing_and_another_one_is_refused(base: Path) -> None:
    call = ["train", base / "pictures.npy", "--progressive", *warm(base), "--out", base / "warm"]
    before = (base / "warm" / "generator.safetensors").stat().st_mtime_ns
    assert "complete already" in run(*call, *QUICK).stderr
    assert (base / "warm" / "generator.safetensors").stat().st_mtime_ns == before
    assert "was started with settings rate = 0.001, and this is 0.1:" in refused(*call, *QUICK, "--rate", 0.1)


def test_what_was_refused_before_the_first_checkpoint_does_not_stand_in_the_way(base: Path, tmp_path: Path) -> None:
    call = ["train", base / "pictures.npy", "--progressive", "--out", tmp_path / "cold", *QUICK]
    assert "decay" in refused(*call, "--decay", 2)
    (tmp_path / "cold" / "history.csv").write_text("size,step,steps,frechet,low,high,floor\n2,0,0,1,1,1,1\n")
    run(*call, "--steps", 0)
    assert [row["size"] for row in rows(tmp_path / "cold")] == ["4", "8"]
    assert json.loads((tmp_path / "cold" / "report.json").read_text())["state"] == "complete"
    assert "was started with settings steps = 0" in refused(*call)


def test_a_training_that_has_not_ended_is_told_and_not_overwritten(base: Path, tmp_path: Path) -> None:
    (tmp_path / "begun" / "checkpoints").mkdir(parents=True)
    unfinished = json.loads((base / "warm" / "report.json").read_text()) | {"state": "unfinished"}
    (tmp_path / "begun" / "report.json").write_text(json.dumps(unfinished))
    for call in (["sample", "--out", tmp_path / "a.png"], ["evaluate", base / "pictures.npy"]):
        said = refused(call[0], tmp_path / "begun", *call[1:])
        assert "begun is a training that has not ended: the same `convexgan train` again" in said
    for folder in (tmp_path / "begun", base / "warm"):
        assert "holds a training, which would be lost" in refused("fit", base / "pictures.npy", "--out", folder)
        assert json.loads((folder / "report.json").read_text())["about"] == unfinished["about"]


def test_divergence_is_told(base: Path, tmp_path: Path) -> None:
    call = ["train", base / "pictures.npy", "--progressive", "--out", tmp_path / "cold", *QUICK]
    done = run(*call, "--rate", 1e9)
    assert "4 x 4: The players exploded: lower the rates" in done.stderr and "diverged" in done.stdout


def test_samples_metrics_and_interpolations_of_it(base: Path, tmp_path: Path) -> None:
    G = ProgressiveGenerator.load(base / "warm" / "generator.safetensors")
    run("sample", base / "warm", "-n", 5, "--seed", 3, "--out", tmp_path / "new.npy")
    assert np.array_equal(np.load(tmp_path / "new.npy"), G.sample(5, rng=3))
    run("sample", base / "warm", "-n", 5, "--seed", 3, "--stages", "--out", tmp_path / "stages.npz")
    with np.load(tmp_path / "stages.npz") as stages:
        assert stages["4"].shape == (5, 4, 4) and np.array_equal(stages["8"], G.sample(5, rng=3))
    for model in ("run", "warm"):
        run("sample", base / model, "-n", 2, "--interpolate", 6, "--out", tmp_path / f"{model}.npy")
        strips = np.load(tmp_path / f"{model}.npy")
        assert strips.shape == (2, 6, 8, 8) and (strips[:, 0] != strips[:, -1]).any()
        run("sample", base / model, "-n", 2, "--interpolate", 6, "--out", tmp_path / f"{model}.gif")
        with Image.open(tmp_path / f"{model}.gif") as moving:
            assert moving.n_frames == 10
    assert np.array_equal(strips[1], G.interpolate(6, rng=1))
    run("sample", base / "warm", "--interpolate", 6, "--out", tmp_path / "strips.png")
    printed = json.loads(run("evaluate", base / "warm", base / "pictures.npy", "--resamples", 2, "--json").stdout)
    assert printed["pictures"] == 60 and printed["metrics"][0]["metric"] == "FD-pixels"
    assert "exclude each other" in refused("sample", base / "run", "--stages", "--interpolate", 3, "--out", "a.png")


@pytest.mark.parametrize("model", ["run", "warm"])
def test_exports_are_the_generator(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    run("export", base / model, "--out", tmp_path / "g.safetensors")
    G = ProgressiveGenerator.load(tmp_path / "g.safetensors")
    described = json.loads((tmp_path / "g.json").read_text())
    assert described["latents"] == ["n", G.latent_dim] and described["pictures"] == ["n", 1, 8, 8]
    assert ProgressiveGenerator(**described["generator"]).latent_dim == G.latent_dim
    assert "end it in .onnx" in refused("export", base / model, "--out", tmp_path / "g.pt")
    if model == "run":
        return  # the way to ONNX is the same, and takes seconds
    told: list[str] = []
    logger, listener = logging.getLogger("torch.onnx"), logging.Handler()
    monkeypatch.setattr(listener, "emit", lambda record: told.append(record.getMessage()))
    logger.addHandler(listener)
    run("export", base / model, "--out", tmp_path / "g.onnx")
    logger.removeHandler(listener)
    assert not told and logger.level == logging.NOTSET
    session = onnxruntime.InferenceSession(tmp_path / "g.onnx", providers=["CPUExecutionProvider"])
    for n in (1, 7):
        Z = torch.randn(n, G.latent_dim)
        with torch.no_grad():
            assert np.allclose(session.run(["pictures"], {"latents": Z.numpy()})[0], G(Z).numpy(), atol=1e-5)


def test_exporting_without_onnx_names_the_extra(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convexgan.torch.export.find_spec", lambda name: None)
    assert "convexgan[onnx]" in refused("export", base / "warm", "--out", tmp_path / "g.onnx")


def test_a_cold_start_has_the_default_shape(base: Path, tmp_path: Path) -> None:
    done = run(
        "train", base / "pictures.npy", "--progressive", "--fade", 0.5, "--flip", "--out", tmp_path / "cold", *QUICK
    )
    assert "finished" in done.stdout
    G = ProgressiveGenerator.load(tmp_path / "cold" / "generator.safetensors")
    assert G.shape() == {"sizes": (4, 8), "channels": 1, "ranks": [16, 30], "noises": [16, 30], "width": 4}


def test_a_folder_of_pictures_is_read_through_its_cache(base: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i, picture in enumerate(np.load(base / "colour.npy")[:20]):
        Image.fromarray(picture).save(tmp_path / "photos" / f"{i:02}.png")
    run("train", tmp_path / "photos", "--progressive", "--size", 8, "--out", tmp_path / "grown", *QUICK)
    assert len(list((tmp_path / "grown" / "cache").glob("*/*.bin"))) == 1
    report = json.loads((tmp_path / "grown" / "report.json").read_text())
    assert report["data"]["pictures"] == 20 and report["generator"]["ranks"] == [19, 19]


def test_every_option_reaches_the_training(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def grow(generator: ProgressiveGenerator, images: object, objective: Objective, **given: object) -> list[Training]:
        seen.update(
            given,
            widths=(generator.width, given["discriminator"](8).halve[0].out_channels),
            r1=objective.r1,
            r2=objective.r2,
        )
        raise KeyboardInterrupt

    seen: dict[str, object] = {}
    monkeypatch.setattr("convexgan.cli.growing.grow", grow)
    options = {"steps": 7, "every": 3, "batch": 5, "width": 6, "fade": 0.25, "old-rate": 0.5, "rate": 0.03, "r1": 2.5}
    options |= {"decay": 0.9, "seed": 4}
    pairs = [part for name, value in options.items() for part in (f"--{name}", value)]
    call = [
        "train",
        base / "pictures.npy",
        "--progressive",
        *pairs,
        "--flip",
        "--mixed-precision",
        "--out",
        tmp_path / "t",
    ]
    run(*call, code=130)
    wanted = {
        "steps": 7,
        "every": 3,
        "batch": 5,
        "widths": (6, 6),
        "fade": 0.25,
        "old_rate": 0.5,
        "rates": (0.03, 0.03),
        "r1": 2.5,
    }
    wanted |= {
        "r2": 2.5,
        "averaged": 0.9,
        "rng": 4,
        "flip": True,
        "mixed_precision": True,
        "warm": False,
    }
    assert wanted.items() <= seen.items() and seen["sizes"] == (4, 8)
    call = ["train", base / "pictures.npy", "--progressive", "--warm-start", base / "run", "--out", tmp_path / "w"]
    run(*call, "--head-start", 9, code=130)
    assert (seen["warm"], seen["head_start"], seen["sizes"]) == (True, 9, (8,))


def test_the_loss_of_wgan_gp(base: Path, tmp_path: Path) -> None:
    call = ["train", base / "pictures.npy", "--progressive", *QUICK]
    run(*call, "--loss", "wasserstein", "--out", tmp_path / "t")
    run(*call, "--out", tmp_path / "relativistic")
    objectives = []
    for folder in (tmp_path / "t", tmp_path / "relativistic"):
        with safetensors.safe_open(folder / "checkpoints" / "8.safetensors", framework="np") as file:
            objectives.append(Objective(**json.loads(file.metadata()["convexgan"])["settings"]["objective"]))
    assert objectives == [Objective(generator_penalty=0.0, gradient_penalty=10.0), R3GAN]
    curves = [[row["frechet"] for row in rows(folder)] for folder in (tmp_path / "t", tmp_path / "relativistic")]
    assert curves[0][0] == curves[1][0] and curves[0][-1] != curves[1][-1]


def test_the_judge_looks_at_pictures_from_all_of_a_sorted_folder_that_are_not_trained_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from convexgan.cli import growing

    monkeypatch.setattr(growing, "MEASURED", 40)
    levels = np.arange(250, dtype=np.uint8)
    images = levels[:, None, None].repeat(4, axis=1).repeat(4, axis=2)
    parts = [growing.parted(images, seed) for seed in (0, 0, 1)]
    train, held = ([part.take(np.arange(len(part)))[:, 0, 0] for part in some] for some in zip(*parts, strict=True))
    assert len(held[0]) == 40 and held[0].min() < 20 and held[0].max() > 230
    assert np.array_equal(np.sort(np.concatenate([train[0], held[0]])), levels)
    assert np.array_equal(held[0], held[1]) and not np.array_equal(held[0], held[2])
    assert [len(growing.parted(images[:n], 0)[1]) for n in (16, 39, 60, 100)] == [8, 8, 12, 20]


def test_the_face_network_judges_where_it_is_installed(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convexgan.cli import growing
    from convexgan.metrics.extractors import as_extractor, pixels

    call = ["train", base / "pictures.npy", "--progressive", *warm(base), *QUICK]
    told = run(*call, "--out", tmp_path / "without").stderr
    assert "the judge is pixels; for faces the judge is age256 where it is installed: age-v1.onnx comes with" in told
    opened: list[str] = []

    def opening(extractor: Any) -> Any:
        if extractor != "age256":
            return as_extractor(extractor)
        opened.append(extractor)
        return replace(pixels(4), name="age256")

    monkeypatch.setattr(growing, "as_extractor", opening)
    told = run(*call, "--out", tmp_path / "with").stderr
    assert "the judge is age256, which knows faces: pass another --extractor" in told and "FD-age256" in told
    assert len(opened) == 1
    assert "settings extractor = None, and this is 'age256'" in refused(*call, "--out", tmp_path / "without")
    assert "FD-pixels-8" in run(*call, "--extractor", "pixels=8", "--out", tmp_path / "other").stderr


def test_the_best_generator_is_the_result_and_the_last_one_is_beside_it(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "t"
    told = run(
        "train",
        base / "pictures.npy",
        "--progressive",
        *warm(base),
        "--out",
        out,
        "--rate",
        0.3,
        *QUICK,
    ).stderr
    curve = {int(row["step"]): float(row["frechet"]) for row in rows(out) if row["size"] == "8"}
    best = min(curve, key=lambda step: curve[step])
    assert list(curve) == [0, 2, 4] and best == 0
    assert "no look came nearer to the held-out pictures than the start: generator.safetensors is the closed" in told
    assert "pixels judge a closed form kindly: look at samples/, and at last.safetensors" in told
    assert json.loads((out / "report.json").read_text())["best"] == {"step": best, "frechet": curve[best]}
    (tmp_path / "samples").mkdir()
    train, held = parted(np.load(base / "pictures.npy"), 0)
    watch = Watch(tmp_path, held, len(train), "pixels=8", 0, (8,), 4)
    for name, step in (("generator", best), ("last", 4)):
        G = ProgressiveGenerator.load(out / f"{name}.safetensors")
        stage = GrowingStage(G, 8, PictureSource(np.load(base / "pictures.npy")), 0, True)
        assert watch(0, stage, None)["frechet"] == pytest.approx(curve[step], rel=1e-4)


@pytest.mark.parametrize("stage", ["8-alone", "8"])
def test_a_killed_run_continues_bit_for_bit(base: Path, tmp_path: Path, stage: str) -> None:
    call = [str(x) for x in ("train", base / "pictures.npy", "--progressive", *warm(base), *QUICK[2:])]
    call += ["--steps", "10", "--out"]
    killed = tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "convexgan", *call, killed], env=environment)
    while not (killed / "checkpoints" / f"{stage}.safetensors").exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert json.loads((killed / "report.json").read_text())["state"] == "unfinished"
    run(*call, killed)
    run(*call, tmp_path / "whole")
    for name in ("generator.safetensors", "last.safetensors", "history.csv"):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    folders = killed / "samples", tmp_path / "whole" / "samples"  # but for what the kill may have left half written
    sheets = [sorted(path.name for path in folder.iterdir() if path.suffix != ".part") for folder in folders]
    assert sheets[0] == sheets[1]


def test_what_is_told_stands_above_a_progress_bar() -> None:
    screen = io.StringIO()
    with Progress(console=Console(file=screen, force_terminal=True, width=80)) as bar:
        bar.add_task("steps")
        note("seen")
    assert "seen\n" in screen.getvalue()


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ("few.npy", [], "7 pictures: pass at least 16, of which 8 are held out"),
        ("large.npy", ["--warm-start", "run", "--size", 16], "--size 16 is not that of --warm-start run, 8: leave"),
        ("pictures.npy", ["--warm-start", "run", "--size", 4], "--size 4 is not that of --warm-start run, 8: leave"),
        ("colour.npy", ["--warm-start", "run"], "8 x 8 pixels, colour, the generator makes 8 x 8 pixels, grey"),
        ("pictures.npy", ["--warm-start", "warm"], "--warm-start warm is a training: pass the RUN of `convexgan fit`"),
        ("pictures.npy", ["--warm-start", "nowhere"], "convexgan fit"),
        ("pictures.npy", ["--beta", 1], "--beta is for training without --progressive"),
        ("pictures.npy", ["--batch", 10**13], "pass a smaller one, batch=5000000000000 say; the same call"),
        ("pictures.npy", ["--batch", 0], "batch must be an integer >= 1"),
        ("pictures.npy", ["--width", 0], "width must be an integer >= 1"),
        ("pictures.npy", ["--loss", "classic"], "unknown --loss 'classic': choose one of 'relativistic', 'wass"),
        ("pictures.npy", ["--loss", "wasserstein", "--r1", 1], "--r1 is the penalty of --loss relativistic"),
        ("pictures.npy", ["--fade", -1], "fade"),
        ("pictures.npy", ["--fade", 2], "fade must be a share of the steps, at most 1, got 2"),
        ("pictures.npy", ["--fade", 0.5, "--warm-start", "run"], "--fade is for growing: a warm start trains the"),
        ("pictures.npy", ["--head-start", 9], "--head-start is for a warm start: pass --warm-start too"),
        ("pictures.npy", ["--extractor", "pixles"], "Did you mean 'pixels'"),
        ("pictures.npy", ["--extractor", "pixels=16"], "'pixels=16' for pictures of 8 pixels: choose among"),
        ("pictures.npy", ["--out", "."], "not a RUN folder"),
        ("pictures.npy", ["--out", "run"], "run holds a closed form, which would be lost: choose another folder"),
    ],
    ids=lambda value: str(value),
)
def test_bad_input(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, options: list[object], words: str
) -> None:
    monkeypatch.chdir(base)
    assert words in refused("train", data, "--progressive", "--out", tmp_path / "t", *options)


def test_options_of_the_other_kind_of_training_are_refused(base: Path) -> None:
    for option in (["--warm-start", base / "run"], ["--fade", 0.5], ["--flip"]):
        words = f"{option[0]} is for training with --progressive"
        assert words in refused("train", base / "pictures.npy", "--beta", 1, "--out", base / "flat", *option)


# -- without memory ------------------------------------------------------------------------------------------------


def exhausted(kind: str) -> None:
    """Raise what torch does where memory is not enough: on the CPU, on a GPU, and on one that is full already."""
    if kind == "full":
        raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported")
    if kind == "gpu":
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 9 GiB."
        )
    raise NOT_ENOUGH.value


with pytest.raises(RuntimeError) as NOT_ENOUGH:
    torch.empty(10**15)
AMOUNTS = {"cpu": " for 4000000000000000 bytes more", "gpu": " for 20.00 MiB more", "full": ""}


@pytest.mark.parametrize("kind", AMOUNTS)
def test_without_memory_every_command_says_what_to_do(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    calls = {
        "draw fewer with -n": ["sample", base / "warm", "--out", tmp_path / "a.png"],
        "pass fewer pictures": ["evaluate", base / "warm", base / "pictures.npy", "--cache", tmp_path],
        "pass less data": ["export", base / "warm", "--out", tmp_path / "a.onnx"],
    }
    with monkeypatch.context() as patched:
        patched.setattr(LinearStage, "forward", lambda *_: exhausted(kind))
        for repair, call in calls.items():
            assert f"error: memory is not enough{AMOUNTS[kind]}: {repair}" in refused(*call)
    call = ["train", base / "pictures.npy", "--progressive", "--out", tmp_path / "cold", *QUICK]
    with monkeypatch.context() as patched:
        patched.setattr(ProgressiveGenerator, "to", lambda *_: exhausted(kind))
        assert f"error: memory is not enough{AMOUNTS[kind]}: pass a smaller --batch" in refused(*call)
    with monkeypatch.context() as patched:
        patched.setattr(ProgressiveGenerator, "stages", lambda *_: exhausted(kind))
        assert "memory is not enough for batches of 8: pass a smaller one, batch=4 say; the same call" in refused(*call)
    run(*call, "--batch", 4)


@pytest.mark.parametrize(
    ("error", "exhausted"),
    [
        (MemoryError(), True),
        (MemoryError("batches of 8: pass a smaller one"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("the players do not fit: CUDA error: out of memory"), False),
    ],
    ids=str,
)
def test_what_says_that_memory_is_not_enough(error: Exception, exhausted: bool) -> None:
    assert is_exhausted(error) is exhausted


def test_an_error_that_nobody_foresaw_is_shown_as_it_is(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(LinearStage, "forward", fail)
    with pytest.raises(RuntimeError, match="out of luck"):
        CliRunner().invoke(app, ["sample", str(base / "warm"), "--out", "a.png"], catch_exceptions=False)


def test_what_is_too_much_for_numpy_is_told_too(base: Path) -> None:
    said = refused("sample", base / "run", "-n", 10**14, "--out", "a.png")
    assert "error: memory is not enough for 2.84 PiB more: draw fewer with -n" in said
