"""`fit` where moments are formed in one pass: pictures are summed as they are decoded, and none are kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks._pictures import power_law
from convexgan.cli import app
from convexgan.datasets import build_cache, find, tasks
from convexgan.datasets.once import Once, OtherColor
from convexgan.progressive import streaming
from convexgan.progressive.decoding import clear, decode_moments
from convexgan.progressive.streaming import StageMoments, is_formed, one_pass_is_enough
from tests.waiting import wait_for

ROOT = Path(__file__).parents[1]
BASE = streaming.BASE_BYTES


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "SHARD_PICTURES", 8)


def pictures(kind: str) -> list[np.ndarray]:
    """Sixty of 8 pixels: grey, in colour, of little colour, or grey before others."""
    grey = power_law(60, 8)[..., :1].repeat(3, axis=3)
    color = np.clip(np.add(grey.astype(int), [30, 0, -30]), 0, 255).astype(np.uint8)
    tinted = np.clip(np.add(grey.astype(int), [2, 0, -2]), 0, 255).astype(np.uint8)
    return {
        "grey": [*grey[..., 0]],
        "colour": [*color],
        "tinted": [*tinted],
        "early colour": [*color[:3], *grey[3:, ..., 0]],
        "late colour": [*grey[:30, ..., 0], *tinted[30:40], *color[40:]],
    }[kind]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    """A folder of such pictures, one of which is broken."""

    def make(kind: str) -> Path:
        place = tmp_path / kind.replace(" ", "_")
        place.mkdir()
        for i, picture in enumerate(pictures(kind)):
            Image.fromarray(picture).save(place / f"{i:02}.png")
        (place / "20.png").write_bytes(b"no picture")
        return place

    return make


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def contents(out: Path) -> dict[str, Any]:
    """Every array of a run's model, its certificates, and what is said of its pictures."""
    with np.load(out / "model.npz") as file:
        arrays = {name: file[name].tobytes() for name in file.files}
    certificates = {path.name: path.read_bytes() for path in (out / "certificates").iterdir()}
    report = json.loads((out / "report.json").read_text())
    return arrays | certificates | {name: report[name] for name in ("data", "pixels", "arithmetic")}


def kept(out: Path) -> list[str]:
    """The files in a cache that hold pixels or sums of them."""
    return [path.name for path in (out / "cache").rglob("*") if path.suffix in (".bin", ".npz")]


@pytest.mark.parametrize(
    ("kind", "size", "workers"),
    [("grey", 4, 2), ("colour", 4, 1), ("tinted", 8, 2), ("late colour", 4, 2), ("late colour", 8, 1)],
)
def test_the_model_is_that_of_cached_pictures_to_the_last_bit(folder, tmp_path, kind, size, workers):
    """At 4 pixels second moments are formed, at 8 there are fewer pictures than numbers, and rows are kept."""
    options = (folder(kind), "--size", size, "--workers", workers)
    run("fit", *options, "--out", tmp_path / "once")
    run("fit", *options, "--out", tmp_path / "cached", "--cache", tmp_path / "asked")
    assert contents(tmp_path / "once") == contents(tmp_path / "cached")
    assert kept(tmp_path / "once") == [] and list((tmp_path / "asked").rglob("*.bin"))
    shape = [size, size] if kind in ("grey", "tinted") else [size, size, 3]
    assert contents(tmp_path / "once")["data"]["shape"] == shape
    phases = json.loads((tmp_path / "once" / "report.json").read_text())["phases"]
    assert {phase["name"] for phase in phases} == {"reading pictures"} and phases[-1]["pictures"] == 60


@pytest.mark.parametrize("how", [("--histogram",), ("--clusters", 2), ("--cache", "other"), ("--memory", "420MB")])
def test_pictures_that_are_read_again_are_kept(folder, tmp_path, how, monkeypatch):
    if "--memory" in how:
        monkeypatch.setattr(streaming, "COMPLETE", 20)
    monkeypatch.chdir(tmp_path)
    run("fit", folder("grey"), "--size", 4, "--out", "run", *how)
    assert list((tmp_path / ("other" if "other" in how else "run/cache")).rglob("*.bin"))


def test_it_is_done_where_any_number_of_pictures_up_to_all_can_be_summed(monkeypatch):
    """Of fewer pictures than numbers rows are kept, which can take more memory than the second moment of more."""
    dim = 3 * 8 * 8
    for memory in (BASE + 8 * 8 * dim * dim, BASE + 11 * 8 * (dim - 1) * dim - 1, BASE + 11 * 8 * (dim - 1) * dim):
        formed = all(is_formed(8, channels, n, memory) for channels in (1, 3) for n in range(1, 2 * dim))
        assert one_pass_is_enough(8, 2 * dim, memory) == formed
    assert one_pass_is_enough(8, 100, BASE + 11 * 8 * 100 * dim)
    assert not one_pass_is_enough(8, 100, BASE + 11 * 8 * 100 * dim - 1)


KILLED = """
import sys, time
from convexgan.cli import main
from convexgan.datasets import tasks
from convexgan.progressive import passes

tasks.SHARD_PICTURES, real = 8, tasks.attempt

def slow(*arguments):
    time.sleep(0.01)
    return real(*arguments)

tasks.attempt = slow
passes.Journal.__init__.__defaults__ = (0.0,)
if __name__ == "__main__":
    main()
"""


def has_seen(out: Path, count: int) -> bool:
    """Whether a run has recorded its pass, after more than so many shards."""
    return bool(list(out.glob("cache/*/pass-moments.npz"))) and len(list(out.glob("cache/*/*.json"))) > count


def test_killed_in_its_pass_a_run_goes_on_where_it_was(folder, tmp_path):
    photos, whole, out = folder("late colour"), tmp_path / "whole", tmp_path / "run"
    run("fit", photos, "--size", 4, "--out", whole, "--workers", 1)
    (tmp_path / "slow.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "slow.py"), "fit", str(photos), "--size", "4", "--out", str(out)]
    command += ["--workers", "1", "--resume"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for count in (2, 5):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for(lambda: has_seen(out, count), process)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
        assert json.loads((out / "report.json").read_text())["state"] == "unfinished"
    looked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert looked.returncode == 0, looked.stderr
    ours, theirs = contents(out), contents(whole)  # torch multiplies where it has been imported
    assert {name for name in ours if ours[name] != theirs[name]} <= {"arithmetic"} and kept(out) == []


@pytest.fixture
def interrupted(folder, tmp_path, monkeypatch) -> tuple[Path, Path]:
    """Pictures, and a run that has seen four shards of them and recorded that."""
    photos = folder("colour")
    monkeypatch.setattr("convexgan.progressive.passes.Journal.__init__.__defaults__", (0.0,))
    real, calls = tasks.decode_shard, []

    def some(task, over):
        calls.append(task.number)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return real(task, over)

    with monkeypatch.context() as patch:
        patch.setattr("convexgan.datasets.once.decode_shard", some)
        run("fit", photos, "--size", 4, "--out", tmp_path / "run", "--workers", 1, code=130)
    assert kept(tmp_path / "run") == ["pass-moments.npz"]
    return photos, tmp_path / "run"


def resumed(photos: Path, out: Path, code: int = 0) -> Any:
    return run("fit", photos, "--size", 4, "--out", out, "--workers", 1, "--resume", code=code)


def test_what_was_summed_is_not_decoded_again(interrupted, tmp_path, monkeypatch):
    photos, out = interrupted
    seen, real = [], tasks.decode_shard
    monkeypatch.setattr("convexgan.datasets.once.decode_shard", lambda t, over: seen.append(t.number) or real(t, over))
    resumed(photos, out)
    assert seen == [4, 5, 6, 7]
    run("fit", photos, "--size", 4, "--out", tmp_path / "whole", "--workers", 1)
    assert contents(out) == contents(tmp_path / "whole")


def test_pictures_that_changed_since_they_were_summed_are_an_error(interrupted):
    photos, out = interrupted
    other = np.array(Image.open(photos / "03.png"))[::-1]
    size = (photos / "03.png").stat().st_size
    Image.fromarray(other).save(photos / "03.png")
    (photos / "03.png").write_bytes((photos / "03.png").read_bytes()[:size].ljust(size, b"\0"))
    assert "have changed since they were decoded" in resumed(photos, out, code=2).stderr


def test_sums_without_records_of_their_pictures_are_an_error_and_neither_means_a_new_start(interrupted, tmp_path):
    photos, out = interrupted
    (place,) = (out / "cache").iterdir()
    (place / "00001.json").unlink()
    assert "has lost what was known of its pictures: delete it" in resumed(photos, out, code=2).stderr
    for path in place.iterdir():
        path.unlink()
    resumed(photos, out)
    run("fit", photos, "--size", 4, "--out", tmp_path / "whole", "--workers", 1)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_complete_run_is_known_by_its_records(folder, tmp_path, monkeypatch):
    photos, out = folder("colour"), tmp_path / "run"
    run("fit", photos, "--size", 4, "--out", out)
    first = contents(out)
    with monkeypatch.context() as patch:
        patch.setattr("convexgan.datasets.once.decode_shard", None)
        assert "saddle" in resumed(photos, out).stdout
    for record in (out / "cache").rglob("*.json"):
        record.unlink()
    assert "saddle" in resumed(photos, out).stdout
    assert kept(out) == [] and contents(out) == first
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(photos / "99.png")
    assert "was started with other pictures" in resumed(photos, out, code=2).stderr


def test_pictures_are_decoded_into_the_runs_cache_when_they_are_wanted_later(folder, tmp_path):
    photos, out = folder("colour"), tmp_path / "run"
    run("fit", photos, "--size", 4, "--out", out)
    run("evaluate", out, photos)
    assert "00000.bin" in kept(out)


def test_nothing_is_lost_of_an_earlier_run_if_no_picture_can_be_read(folder, tmp_path):
    out, broken = tmp_path / "run", tmp_path / "broken"
    run("fit", folder("grey"), "--size", 4, "--out", out)
    first = contents(out)
    broken.mkdir()
    for i in range(3):
        (broken / f"{i}.png").write_bytes(b"no picture")
    assert "none of 3 pictures can be read" in run("fit", broken, "--size", 4, "--out", out, code=2).stderr
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(broken / "3.png")
    assert "at least two" in run("fit", broken, "--size", 4, "--out", out, code=2).stderr
    assert contents(out) == first
    assert "leave strict out" in run("fit", broken, "--size", 4, "--out", out, "--strict", code=2).stderr


def test_a_picture_with_colour_ends_a_pass_without_channels(folder, tmp_path):
    once = Once(find(folder("late colour")), tmp_path / "cache", 4)
    assert not once.color and not once.is_known
    with pytest.raises(OtherColor):
        list(once.blocks())
    blocks = np.concatenate(list(once.blocks()))
    assert once.color and once.known.shape == (4, 4, 3)
    cache = build_cache(find(folder("colour").parent / "late_colour"), tmp_path / "cache", 4)
    assert np.array_equal(blocks, np.concatenate(list(cache.blocks()))) and cache.fingerprint == once.known.fingerprint


def test_records_of_a_run_that_is_over_do_not_stop_a_new_one(folder, tmp_path):
    photos, out = folder("colour"), tmp_path / "run"
    run("fit", photos, "--size", 4, "--out", out)
    first = contents(out)
    picture = np.asarray(Image.open(photos / "03.png"))
    for changed in (picture[::-1], picture[:, ::-1]):
        Image.fromarray(changed).save(photos / "03.png")
        (photos / "03.png").write_bytes((photos / "03.png").read_bytes().ljust(1000, b"\0"))
        run("fit", photos, "--size", 4, "--out", out)
        assert contents(out)["pixels"] != first["pixels"]
        first = contents(out)


def test_colour_that_was_seen_before_an_interruption_counts(folder, tmp_path):
    photos = folder("early colour")
    list(Once(find(photos), tmp_path / "cache", 4).blocks())
    again = Once(find(photos), tmp_path / "cache", 4)
    assert {block.shape[1:] for block in again.blocks(2)} == {(4, 4, 3)} and again.known.shape == (4, 4, 3)


def test_a_record_of_colour_that_is_gone_is_not_believed(tmp_path):
    """Of the same name and size, and not among the pictures whose bytes are part of the cache's name."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, picture in enumerate(pictures("grey")):
        Image.fromarray(picture).save(photos / f"{i:02}.png")
    hidden, grey = photos / "03.png", (photos / "03.png").read_bytes()
    for picture, shape in ((pictures("colour")[3], (4, 4, 3)), (None, (4, 4))):
        if picture is not None:
            Image.fromarray(picture).save(hidden)
        hidden.write_bytes((grey if picture is None else hidden.read_bytes()).ljust(1000, b"\0"))
        once = Once(find(photos), tmp_path / "cache", 4)
        first = decode_moments(once)
        assert once.known.shape == shape and first.channels == (3 if len(shape) == 3 else 1)
        clear(once)


def test_sums_are_those_of_the_first_pass_over_a_cache(folder, tmp_path):
    photos = folder("late colour")
    first = decode_moments(Once(find(photos), tmp_path / "once", 4))
    cached = StageMoments(build_cache(find(photos), tmp_path / "cache", 4), [4])._first
    assert first.key == cached.key and first.count == cached.count == 59
    for name, array in cached.state().items():
        assert np.array_equal(first.state()[name], array), name


@pytest.mark.parametrize("how", [(), ("--clusters", 2)])
def test_a_whole_shard_of_broken_files_is_skipped_like_any_other(folder, tmp_path, how, monkeypatch):
    """HEIC files without the package that reads them, say: a block without pictures once ended fits and metrics."""
    monkeypatch.chdir(tmp_path)
    photos = folder("grey")
    run("fit", photos, "--size", 4, "--out", "whole", *how)
    for name in ("00", "2z", "zz"):  # at the beginning, in the middle and at the end
        for i in range(24):
            (photos / f"{name}{i:02}.png").write_bytes(b"no picture")
    assert "73 of 132 files skipped" in run("fit", photos, "--size", 4, "--out", "run", *how).stderr
    ours, theirs = (contents(tmp_path / out) for out in ("run", "whole"))
    assert {name for name in ours if ours[name] != theirs[name]} == {"data", "pixels"}
    one = ("--class", 0) if "--clusters" in how else ()
    quick = ("--metrics", "kernel,sliced", "--extractor", "pixels=4", "--resamples", 2)
    run("evaluate", "run", photos, *quick, *one)
    cache = build_cache(find(photos), "cache", 4)
    assert cache.parts == len(list(cache.blocks())) < len(cache.shards) and all(len(b) for b in cache.blocks())
    assert all(np.array_equal(a, b) for a, b in zip(cache.blocks(3), list(cache.blocks())[3:], strict=True))
