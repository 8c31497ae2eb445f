"""Mistyped commands: what they must leave alone, what they must find out before they work, and what they say."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import convexgan as cg
from convexgan.arrangements.search import Search
from convexgan.cli import app, fitting
from convexgan.progressive import ProgressiveConvexGAN
from tests.test_cli import refused, run


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a complete run, the pictures it was fitted to, and other ones."""
    base = tmp_path_factory.mktemp("mistakes")
    rng = np.random.default_rng(0)
    np.save(base / "few.npy", rng.integers(0, 256, (30, 8, 8), dtype=np.uint8))
    np.save(base / "other.npy", rng.integers(0, 128, (30, 8, 8), dtype=np.uint8))
    np.save(base / "X.npy", rng.standard_normal((20, 3)))
    (base / "text.npy").write_text("not an array")
    with contextlib.chdir(base):
        run("fit", "few.npy", "--out", "good", "--ranks", "3,4")
    return base


@pytest.fixture
def good(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run in a working folder of its own."""
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path("good")


def content(folder: Path) -> dict[str, bytes]:
    """What is in a folder, but for pictures decoded into its cache."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parts[1] != "cache")
    return {str(path): path.read_bytes() for path in files}


# -- what must be left alone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["few.npy", "--ranks", "5"], "2 sizes"),
        (["few.npy", "--ranks", "5,600"], "exceeds"),
        (["few.npy", "--betas", "1,-1"], "betas"),
        (["few.npy", "--coupling", "foo"], "coupling"),
        (["few.npy", "--latents", "foo"], "latents"),
        (["few.npy", "--latents", "single", "--ranks", "published"], "rank 29 at size 8 exceeds 16, that of the stage"),
        (["few.npy", "--ranks", "best"], "--ranks must be numbers separated by commas, 20,30,40 say, or published"),
        (["few.npy", "--latents", "single", "--latent-dim", "5", "--ranks", "6,6"], "rank 6 at size 4 exceeds 5"),
        (["few.npy", "--size", "12"], "--size 12 is not 4, 8, 16"),
        (["few.npy", "--count", "0"], "--count must be"),
        (["nowhere", "--size", "8"], "not found"),
        (["text.npy"], "text.npy"),
        (["photos", "--strict"], "12.png"),
        (["photos", "--size", "8", "--ranks", "3,12"], "rank 12 at size 8 exceeds 11"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_fit_that_cannot_begin_leaves_the_earlier_run_alone(good: Path, arguments: list[str], words: str) -> None:
    from PIL import Image

    os.mkdir("photos")  # the twelfth of which is none, which is found where they are decoded
    for i, picture in enumerate(np.load("few.npy")[:12]):
        Image.fromarray(picture).save(f"photos/{i:02}.png")
    Path("photos/12.png").write_bytes(b"none")
    before = content(good)
    assert words in refused("fit", *arguments, "--out", good)
    assert content(good) == before
    run("verify", good, "few.npy")


def test_a_run_that_is_begun_again_holds_nothing_of_the_earlier_one(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    shutil.rmtree(good / "stages")  # by somebody who needed the space
    with monkeypatch.context() as patched:
        patched.setattr(ProgressiveConvexGAN, "fit", interrupt)
        run("fit", "other.npy", "--out", good, code=130)
    assert {path.name for path in good.rglob("*") if path.is_file()} == {"report.json"}
    (good / "model.npz").write_bytes(b"of another one")
    for call in (["sample", good, "--out", "b.png"], ["evaluate", good, "few.npy"], ["verify", good, "few.npy"]):
        assert "good is not finished: the same `convexgan fit` with --resume goes on" in refused(*call)
    run("fit", "other.npy", "--out", good, "--resume")
    run("verify", good, "other.npy")


def test_a_demo_that_begins_again_holds_nothing_of_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    run("demo", "--data", "digits", "--out", "demo")
    assert "demo was made by the demo, which cannot be resumed" in refused("fit", "digits", "--out", "demo", "--resume")
    assert "--size 12" in refused("demo", "--size", 12, "--out", "demo")
    with monkeypatch.context() as patched:
        patched.setattr(ProgressiveConvexGAN, "fit", interrupt)
        run("demo", "--data", "digits", "--out", "demo", code=130)
    assert {path.name for path in Path("demo").rglob("*") if path.is_file()} == {"report.json"}
    assert "demo is not finished: run it again" in refused("sample", "demo", "--out", "b.png")


def test_a_run_started_with_the_memory_of_another_machine_is_resumed(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads((good / "report.json").read_text())["about"]["memory"] is None
    monkeypatch.setattr(fitting, "physical_memory", lambda: 2**33 + 2)
    run("fit", "few.npy", "--out", good, "--ranks", "3,4", "--resume")
    said = refused("fit", "few.npy", "--out", good, "--ranks", "3,4", "--resume", "--memory", "1GB")
    assert "was started with memory = None, and this is 1000000000" in said


def test_training_writes_only_into_its_own_folders(good: Path) -> None:
    call = ["train", "few.npy", "--beta", 0.5, "--steps", 2, "--every", 1, "--out"]
    before = content(good)
    assert "good is not empty and holds no training" in refused(*call, good)
    assert content(good) == before
    os.mkdir("mine")
    Path("mine/x.txt").write_text("mine")
    assert "mine is not empty and holds no training" in refused(*call, "mine")
    assert os.listdir("mine") == ["x.txt"]
    assert "text.npy is a file: pass a folder for --out" in refused(*call, "text.npy")
    os.mkdir("new")
    Path("new/.checkpoint.safetensors.12.part").write_bytes(b"")  # of one that was killed
    run(*call, "new")
    run(*call, "new")  # goes on
    assert "new is not empty and not a RUN folder" in refused("fit", "few.npy", "--out", "new")


# -- what must be found out before the work ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "few.npy", "--out", "r"],
        ["sample", "good", "--out", "a.png"],
        ["evaluate", "good", "few.npy"],
        ["demo", "--data", "digits", "--out", "r"],
        ["solve", "X.npy", "--gaussian", 3, "--beta", 1],
        ["train", "X.npy", "--beta", 1, "--out", "r"],
        ["study", "predict", "--out", "r"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_negative_seeds_are_refused(good: Path, arguments: list[object]) -> None:
    assert "error: --seed must be an integer >= 0, got -1." in refused(*arguments, "--seed", -1)
    assert not Path("r").exists()


@pytest.mark.parametrize("size", [0, 12])
def test_sizes_that_no_stage_has_are_refused_before_pictures_are_decoded(
    good: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    from PIL import Image

    os.mkdir("photos")
    for i, picture in enumerate(np.load("few.npy")[:12]):
        Image.fromarray(picture).save(f"photos/{i:02}.png")
    monkeypatch.setattr("convexgan.cli.pictures.build_cache", lambda *_, **__: pytest.fail("decoded"))
    for command in (["fit", "photos"], ["train", "photos", "--progressive"]):
        said = refused(*command, "--size", size, "--out", f"{command[0]}-run")
        assert f"--size {size} is not 4, 8, 16, ...: pass --size {8 if size else 4} say" in said
    np.save("odd.npy", np.zeros((9, 12, 12), np.uint8))
    for call in (["fit", "odd.npy", "--out", "r"], ["train", "odd.npy", "--progressive", "--out", "grown"]):
        assert "odd: the pictures' size 12 is not 4, 8, 16, ...: pass --size 8" in refused(*call)


@pytest.mark.parametrize(
    "arguments",
    [
        ["solve", "X.npy", "--gaussian", 3, "--beta", 1, "--out"],
        ["solve", "X.npy", "--gaussian", 3, "--beta", 1, "--certificate"],
        ["audit", "X.npy", "X.npy", "--beta", 1, "--certificate"],
        ["sample", "good", "--out"],
        ["export", "good", "--out"],
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-1]}",
)
def test_files_that_could_not_be_written_are_refused_before_the_work(
    good: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object]
) -> None:
    for name in ("solve", "certify"):
        monkeypatch.setattr(cg, name, lambda *_, **__: pytest.fail("worked"))
    monkeypatch.setattr("convexgan.cli.runs.load_model", lambda *_: pytest.fail("worked"))
    suffix = {"sample": ".png", "export": ".onnx"}.get(str(arguments[0]), ".npz")
    assert f"the folder nodir of a{suffix} does not exist" in refused(*arguments, f"nodir/a{suffix}")
    assert "good is a folder: name a file in it" in refused(*arguments, "good")


def test_what_no_file_can_hold_is_refused_before_it_is_drawn(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convexgan.cli.runs.load_model", lambda *_: pytest.fail("drawn"))
    assert "pass --interpolate 16 say" in refused("sample", good, "--out", "a.gif")
    assert "end it in .png, .npy, .npz or .gif" in refused("sample", good, "--out", "a.txt")
    assert "one array goes into a .npy" in refused("sample", good, "--out", "a.npz", "--interpolate", 3)


# -- Ctrl-C --------------------------------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Where tests run in the background, Ctrl-C may be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("command", ["solve", "ipm", "audit"])
def test_an_interrupted_search_prints_its_proof_and_ends_with_130(
    good: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    rng = np.random.default_rng(0)
    np.save("X.npy", rng.standard_normal((40, 6)))
    np.save("Y.npy", rng.standard_normal((40, 6)))
    arguments = {
        "solve": ["X.npy", "--generator", "free", "--beta", 0.3, "--out", "s.npz", "--certificate", "c.json"],
        "ipm": ["X.npy", "Y.npy"],
        "audit": ["Y.npy", "X.npy", "--beta", 0.3, "--certificate", "c.json"],
    }
    expand = Search._expand

    def interrupted(search: Search, *given: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        expand(search, *given)

    with monkeypatch.context() as patched:
        patched.setattr(Search, "_expand", interrupted)
        done = run(command, *arguments[command], "--discriminator", "relu", "--time-limit", 100, "--json", code=130)
    assert "interrupted: the answer is what was found by then" in done.stderr
    printed = json.loads(done.stdout)
    if command == "ipm":
        assert printed["status"] == "stopped" and 0 < printed["value"] < printed["upper_bound"]
    else:
        run("verify", "c.json", "X.npy", "--time-limit", 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if command == "solve":
        assert "it was interrupted" in str(cg.load("s.npz"))


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_training_ends_with_130_and_goes_on(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from convexgan.torch.loop import Loop

    call = ["train", "X.npy", "--beta", 0.5, "--steps", 9, "--every", 2, "--out"]
    run(*call, "whole")
    advance = Loop._advance
    for step in (0, 1, 5):  # before the first checkpoint, and after

        def interrupted(loop: Loop, last: int = step) -> bool:
            if loop.count == last:
                signal.raise_signal(signal.SIGINT)
            return advance(loop)

        with monkeypatch.context() as patched:
            patched.setattr(Loop, "_advance", interrupted)
            assert "interrupted: the same call goes on" in run(*call, "t", code=130).stderr
    with monkeypatch.context() as patched:
        patched.setattr("convexgan.torch.loop.check_fit", lambda *_: signal.raise_signal(signal.SIGINT))
        assert "interrupted: the same call goes on" in run(*call, "early", code=130).stderr
    for folder in ("t", "early"):
        run(*call, folder)
        assert Path(folder, "samples.npy").read_bytes() == Path("whole/samples.npy").read_bytes()


# -- what is said --------------------------------------------------------------------------------------------------


@pytest.fixture
def strange(good: Path) -> None:
    """Files that are not what they are taken for."""
    np.save("words.npy", np.array([["a", "b"], ["c", "d"]]))
    np.save("pickled.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    np.savez("pickled.npz", X=np.array([[{}]], dtype=object))
    Path("outfile").write_text("mine")
    run("solve", "X.npy", "--gaussian", 3, "--beta", 1, "--certificate", "cert.json")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "X.npy", "cert.json"], "X.npy is not a convexgan certificate: pass the .json first, then the data"),
        (["verify", "text.npy", "X.npy"], "text.npy is not a convexgan certificate of version 1"),
        (["train", "words.npy", "--beta", 1, "--out", "t"], "words.npy must hold real numbers"),
        (["fit", "outfile", "--out", "r"], "outfile is a file: pass the folder that holds it, '/"),
        (["ipm", "X.npy", "pickled.npy"], "pickled.npy is not a readable .npy file (it holds pickled objects, not"),
        (["ipm", "X.npy", "pickled.npz"], "pickled.npz cannot be read (it holds pickled objects, not numbers)"),
        (["ipm", "X.npy", "text.npy"], "text.npy is not a readable .npy file (its content is of another kind)"),
        (["fit", "pickled.npy", "--out", "r"], "pickled.npy cannot be read (it holds pickled objects, not numbers)"),
        (["fit", "text.npy", "--out", "r"], "text.npy cannot be read (its content is of another kind)"),
        (["fit", "few.npy", "--out", "r", "--memory", "1KB"], "--memory must be at least 0.42 GB, got 1e-06 GB"),
        (["solve", "X.npy", "--beta", 1], "pass Z.npy, --gaussian K, or --generator free or mixture."),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_errors_name_the_file_and_the_repair(strange: None, arguments: list[object], words: str) -> None:
    said = refused(*arguments)
    assert words in said and "allow_pickle" not in said


def test_a_training_is_not_taken_for_a_model_nor_continued_with_other_options(good: Path) -> None:
    call = ["train", "few.npy", "--beta", 1, "--steps", 1, "--out", "t"]
    run(*call)
    assert "checkpoint t/checkpoint.safetensors is of" in refused(*call, "--latent-dim", 5)
    said = refused(*call, "--width", 5)
    assert "is of another run, whose discriminator was" in said and "64, 64, Quadratic()" in said
    assert "and not" in said and "64, 5, Quadratic()" in said and "layers" not in said
    warm = ["train", "few.npy", "--progressive", "--warm-start", "t", "--out", "r"]
    for use in (["sample", "t", "--out", "a.png"], ["evaluate", "t", "few.npy"], ["verify", "t", "few.npy"], warm):
        said = refused(*use)
        assert "t is a training without --progressive: it holds no model of pictures, but samples.npy." in said


def test_a_folder_that_may_not_be_written_needs_another_cache(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    os.mkdir("photos")
    for i, picture in enumerate(np.load("few.npy")[:12]):
        Image.fromarray(picture).save(f"photos/{i:02}.png")
    make = Path.mkdir

    def mkdir(path: Path, *how: Any, **other: Any) -> None:
        if path.is_relative_to(good):  # root may write anywhere
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        make(path, *how, **other)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    metrics = ["evaluate", good, "few.npy", "--metrics", "frechet", "--extractor", "pixels=4", "--resamples", 2]
    for call in (["evaluate", good, "photos"], ["verify", good, "photos"], metrics):
        assert "good/cache cannot be written: pass another folder with --cache." in refused(*call)
    run(*metrics, "--cache", "kept")


def test_what_is_printed_last_can_be_pasted(good: Path) -> None:
    said = run("fit", "few.npy", "--out", "my run").stdout.splitlines()[-1]
    assert "`convexgan sample 'my run' -n 16 --out new.png` draws more" in said


def test_one_picture_is_one(good: Path) -> None:
    done = run("evaluate", good, "few.npy", "--resamples", 2)
    assert "few: 30 grey pictures of 8 x 8 pixels" in done.stderr
    np.save("one.npy", np.load("few.npy")[:1])
    assert "one: 1 grey picture of 8 x 8 pixels" in run("evaluate", good, "one.npy", "--resamples", 2).stderr


def texts(command: Any) -> Iterator[str]:
    """Every help text of a command, and of those in it."""
    yield command.help or ""
    yield from (getattr(parameter, "help", None) or "" for parameter in command.params)
    for inner in getattr(command, "commands", {}).values():
        yield from texts(inner)


def test_no_help_loses_words_in_brackets_that_rich_takes_for_markup() -> None:
    every = [text for text in texts(typer.main.get_command(app)) if text]
    assert len(every) > 100
    lost = {found for text in every for found in re.findall(r"(?<!\\)\[[a-z#/@][^\[\]]*\]", text)}
    assert lost == {"[bold]", "[/bold]"}
