"""Runs that are killed, disks that fill, pictures that vanish, files from strangers: clear errors, nothing is lost."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import convexgan as cg
from benchmarks._celeba import write_celeba
from benchmarks._pictures import power_law
from convexgan.cli import app
from convexgan.datasets import tasks as shards
from convexgan.progressive import passes, streaming, sums
from tests.waiting import wait_for

ROOT = Path(__file__).parents[1]
OPTIONS = ("--size", "16", "--ranks", "8,20,30", "--histogram")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ninety pictures and a broken one, in shards of eight; all but the coarsest stage are iterated."""
    monkeypatch.setattr(shards, "SHARD_PICTURES", 8)
    monkeypatch.setattr(streaming, "COMPLETE", 60)
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, picture in enumerate(power_law(90, 16)):
        Image.fromarray(picture).save(folder / f"{i:02}.png")
    (folder / "50.png").write_bytes(b"no picture")
    return folder


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def error(*arguments: object) -> str:
    """The one line that a command which must fail prints."""
    last = run(*arguments, code=2).stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    return str(last)


def contents(out: Path) -> dict[str, Any]:
    """What a run is judged by: every array of its model, its certificates and its pictures."""
    with np.load(out / "model.npz") as file:
        arrays = {name: file[name].tobytes() for name in file.files}
    certificates = {path.name: path.read_bytes() for path in (out / "certificates").iterdir()}
    report = json.loads((out / "report.json").read_text())
    return arrays | certificates | {"samples": (out / "samples.png").read_bytes(), "skipped": report["data"]["skipped"]}


SLOW = """
import sys, time
from convexgan.cli import main
from convexgan.datasets import cache, tasks
from convexgan.progressive import passes, streaming, sums

def slowly(real):
    def slow(*arguments):
        time.sleep(0.02)
        return real(*arguments)
    return slow

tasks.SHARD_PICTURES, streaming.COMPLETE = 8, 60
cache.make_shard, cache.Cache._read = slowly(cache.make_shard), slowly(cache.Cache._read)
passes.Journal.__init__.__defaults__ = (0.0,)
if __name__ == "__main__":
    main()
"""


def test_killed_at_every_stage_a_run_goes_on_and_ends_the_same(photos, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "run"
    run("fit", photos, "--out", whole, *OPTIONS, "--workers", 1)
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, str(tmp_path / "slow.py"), "fit", str(photos), "--out", str(out), *OPTIONS]
    command += ["--workers", "1", "--resume"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    moments: list[Callable[[], bool]] = [
        lambda: len(list(out.glob("cache/*/*.json"))) >= 3,  # decoding
        lambda: (out / "journal/pass-moments.npz").exists(),  # in the first pass
        lambda: (out / "journal/pass-16 px, pass 2.npz").exists(),  # in the middle of an iteration
    ]
    for moment in moments:
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for(moment, process)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
        assert json.loads((out / "report.json").read_text())["state"] == "unfinished"
        assert not (out / "model.npz").exists()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    same = contents(out) == contents(whole)  # with as many threads; pytest would compare arrays character by character
    assert same
    assert not (out / "journal").exists()
    assert [s["path"] for s in contents(out)["skipped"]] == [str(photos / "50.png")]
    assert "saddle" in run("fit", photos, "--out", out, *OPTIONS, "--workers", 1, "--resume").stdout  # only printed
    run("verify", out, photos)


def test_resuming_another_run_is_refused_and_none_is_started(photos, tmp_path):
    out = tmp_path / "run"
    run("fit", photos, "--out", out, *OPTIONS, "--resume")
    before = (out / "report.json").read_text()
    assert "was started with settings" in error(
        "fit", photos, "--out", out, "--size", 16, "--ranks", "8,9,9", "--resume"
    )
    assert "was started with memory" in error("fit", photos, "--out", out, *OPTIONS, "--memory", "3GB", "--resume")
    assert "was started with selection" in error("fit", photos, "--out", out, *OPTIONS, "--count", 40, "--resume")
    assert (out / "report.json").read_text() == before


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file may grow beyond a size: writing fails in the same call and the same way as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that it is an error and no signal
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(
    ("size", "file"), [(2_000, ".bin"), (40_000, "pass-8 px, pass 1.npz"), (650_000, "model.npz")], ids=str
)
def test_a_full_disk_is_an_error_that_names_the_file_and_the_run_can_go_on(photos, tmp_path, size, file):
    whole, out = tmp_path / "whole", tmp_path / "run"
    run("fit", photos, "--out", whole, *OPTIONS)
    with small_files(size):  # of this process
        assert f"{file}: File too large" in error("fit", photos, "--out", out, *OPTIONS, "--workers", 1)
    assert not list(out.rglob("*.part"))
    run("fit", photos, "--out", out, *OPTIONS, "--resume")
    same = contents(out) == contents(whole)
    assert same


def test_pictures_that_vanish_change_or_decay_are_errors_that_name_the_repair(photos, tmp_path):
    out = tmp_path / "run"
    run("fit", photos, "--out", out, *OPTIONS)
    again = ("fit", photos, "--out", out, *OPTIONS)
    shard = next(out.glob("cache/*/00002.bin"))
    original = shard.read_bytes()
    shard.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    assert "00002.bin was damaged or changed" in error(*again)
    shard.unlink()
    run(*again)
    Image.new("RGB", (16, 16)).save(photos / "07.png")
    assert "was started with other pictures" in error(*again, "--resume")
    run(*again)  # another run, of the pictures as they are now
    (photos / "07.png").touch()
    run(*again, "--resume")
    photos.rename(tmp_path / "elsewhere")
    assert "is not found" in error(*again)
    assert "is not found" in error(*again, "--resume")


def test_passes_of_a_processor_and_of_a_device_are_not_mixed(photos, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "run"
    run("fit", photos, "--out", whole, *OPTIONS, "--workers", 1, "--device", "cpu")
    with monkeypatch.context() as patched:
        patched.setattr(cg.ProgressiveConvexGAN, "save", mock.Mock(side_effect=OSError("killed")))
        run("fit", photos, "--out", out, *OPTIONS, "--workers", 1, code=2)
    assert (out / "journal/pass-16 px, pass 2.npz").exists()
    run("fit", photos, "--out", out, *OPTIONS, "--workers", 1, "--device", "cpu", "--resume")
    same = contents(out) == contents(whole)
    assert same


def test_all_options_at_once_on_celeba_from_an_archive(tmp_path):
    celeba, out = write_celeba(tmp_path / "celeba", 40), tmp_path / "run"
    shutil.make_archive(str(celeba / "img_align_celeba"), "zip", celeba, "img_align_celeba")
    shutil.rmtree(celeba / "img_align_celeba")
    options = ("--with", "Young", "--without", "Bald", "--split", "train", "--crop", "face128", "--count", 6)
    printed = run("fit", celeba, "--out", out, "--size", 8, *options, "--memory", "2GB", "--json", "--workers", 1)
    report = json.loads(printed.stdout)
    assert report["data"]["pictures"] == 6 and report["data"]["shape"] == [8, 8, 3]
    assert report["about"]["selection"]["having"] == ["Young"] and report["about"]["memory"] == 2 * 10**9
    assert [phase["name"] for phase in report["phases"]] == ["reading pictures"]
    assert all(phase["seconds"] > 0 and phase["per_second"] > 0 for phase in report["phases"])
    assert 10**7 < report["memory"]["own"] < 10**11
    assert sum(phase["seconds"] for phase in report["phases"]) < report["seconds"] < 600
    run("verify", out, celeba)  # the same pictures, chosen again from the report
    run("evaluate", out, celeba, "--resamples", 2)
    attributes = (celeba / "list_attr_celeba.txt").read_text()
    (celeba / "list_attr_celeba.txt").write_text(attributes.replace("000001.jpg", "000001.jpg 1"))
    assert "line 3" in error("verify", out, celeba)
    assert "Did you mean 'Young'" in error("fit", celeba, "--out", tmp_path / "other", "--with", "Yung")
    assert not (tmp_path / "other").exists()
    np.save(tmp_path / "a.npy", np.zeros((9, 8, 8), np.uint8))
    assert "are for CelebA" in error("fit", tmp_path / "a.npy", "--out", tmp_path / "other", "--with", "Young")
    assert "--memory must be" in error("fit", celeba, "--out", tmp_path / "other", "--memory", "much")
    assert "must be at least 0.42 GB, got 0.1 GB" in error("fit", celeba, "--out", tmp_path / "o", "--memory", "100MB")


def test_killed_between_the_two_files_of_a_certificate_a_run_goes_on(photos, tmp_path, monkeypatch):
    from convexgan.records import certificate

    monkeypatch.setattr("convexgan.records.encoding.FEW", 100)
    whole, out = tmp_path / "whole", tmp_path / "run"
    run("fit", photos, "--out", whole, *OPTIONS)
    real = certificate.write_bytes

    def dies(path, content):
        if path.name == "16.json":
            raise KeyboardInterrupt
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(certificate, "write_bytes", dies)
        run("fit", photos, "--out", out, *OPTIONS, code=130)
    assert (out / "certificates/16.json.npz").exists() and not (out / "certificates/16.json").exists()
    run("fit", photos, "--out", out, *OPTIONS, "--resume")
    same = contents(out) == contents(whole)
    assert same and len(list((out / "certificates").iterdir())) == 6
    run("verify", out, photos)
    shutil.copy(whole / "certificates/8.json.npz", out / "certificates/16.json.npz")
    shown = error("verify", out, photos)
    assert "16.json: factor of its evidence is not the array it was made with" in shown
    run("fit", photos, "--out", out, "--size", 16, "--ranks", "1,1,1")  # over an earlier run: nothing of that one stays
    assert not (out / "certificates/4.json.npz").exists()


def test_a_claim_may_not_promise_more_than_a_referee_finds(photos, tmp_path):
    from convexgan.games.agreement import agreement

    run("fit", photos, "--out", tmp_path / "run", *OPTIONS)
    claim = cg.Certificate.load(tmp_path / "run/certificates/16.json")
    assert claim.failure > 0

    def with_ipm(ipm: float, slack: float) -> cg.Certificate:
        return replace(claim, ipm=ipm, eigenvalue_error=slack)

    assert agreement(with_ipm(claim.ipm * 1.01, claim.ipm), claim).agrees  # too pessimistic, and says so
    assert agreement(with_ipm(claim.ipm * 1.01, 0.0), claim).differing == ("ipm",)
    assert agreement(with_ipm(claim.ipm * 0.99, claim.ipm), claim).differing == ("ipm",)
    shown = run("verify", tmp_path / "run", photos).stdout
    assert "probability that these are wrong" in shown and "e-10" in shown


# Files from strangers


@pytest.fixture(scope="module")
def model_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "model.npz"
    cg.ProgressiveConvexGAN(ranks=[3, 4]).fit(power_law(30, 8)).save(path)
    return path.read_bytes()


@given(data=st.data())
def test_no_model_file_does_harm(tmp_path_factory, model_bytes, data):
    """Whatever bytes are changed or cut, the file is read as a model or refused in words."""
    path = tmp_path_factory.mktemp("fuzz") / "model.npz"
    content = bytearray(model_bytes)
    directory = content.rindex(b"PK\1\2") - 1500
    where = st.one_of(st.integers(0, 400), st.integers(directory, len(content) - 1), st.integers(0, len(content) - 1))
    for at in data.draw(st.lists(where, max_size=6)):
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    try:
        drawn = cg.ProgressiveConvexGAN.load(path).sample(2, random_state=0)
    except (ValueError, FileNotFoundError) as failure:
        assert "model.npz" in str(failure) or "NaN" in str(failure)
    else:
        assert drawn.dtype == np.uint8
    assert [p.name for p in path.parent.iterdir()] == ["model.npz"]


def npz_with(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def array_bytes(header: dict[str, Any], content: bytes = b"\0" * 64) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + content


HEADER = {"descr": "<f8", "fortran_order": False, "shape": (4,)}
STRANGE = {
    "giant array": npz_with({"gram.npy": array_bytes(HEADER | {"shape": (2**45,)})}),
    "objects": npz_with({"gram.npy": array_bytes(HEADER | {"descr": "|O"})}),
    "negative shape": npz_with({"gram.npy": array_bytes(HEADER | {"shape": (-4, 2)})}),
    "no header": npz_with({"gram.npy": b"\x93NUMPY\x01\x00"}),
    "code in the header": npz_with(
        {"gram.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", 24) + b"__import__('os').abort()"}
    ),
    "path outside": npz_with({"../../gram.npy": array_bytes(HEADER)}),
    "deep json": npz_with(
        {"settings.json.npy": array_bytes(HEADER | {"descr": "|u1", "shape": (99999,)}, b"[" * 99999)}
    ),
    "pickle": b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x05abort\x94\x93\x94)R\x94.",
    "empty": b"",
}


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_files_are_refused_everywhere(tmp_path, kind):
    path = tmp_path / "a.npz"
    path.write_bytes(STRANGE[kind])
    journal = passes.Journal(tmp_path / "journal", "key")
    shutil.copy(path, tmp_path / "journal/pass-a.npz")
    readers: list[Callable[[], Any]] = [
        lambda: cg.ProgressiveConvexGAN.load(path),
        lambda: cg.load(path),
        lambda: cg.Moments.load(path),
        lambda: journal.read("a", sums.FirstPass(8, 8, 1)),
    ]
    for read in readers:
        with pytest.raises(ValueError, match=r"a\.npz"):
            read()


def test_a_bomb_is_refused_by_what_it_claims(tmp_path, monkeypatch):
    from convexgan._tools import files as _files

    monkeypatch.setattr(_files, "physical_memory", lambda: 10**6)
    path = tmp_path / "a.npz"
    path.write_bytes(npz_with({"gram.npy": array_bytes(HEADER, b"\0" * 10**7)}, zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < 10**5
    with pytest.raises(ValueError, match=r"claims to hold 0\.01 GB"):
        cg.Moments.load(path)


@given(
    st.dictionaries(
        st.sampled_from(["value", "kind", "evidence", "version", "tol", "failure"]), st.none() | st.text() | st.floats()
    )
)
def test_no_certificate_does_harm(model_bytes, changes):
    model_path = io.BytesIO(model_bytes)
    with np.load(model_path) as file:
        settings = json.loads(bytes(file["settings.json"]))
    content = json.loads(settings["stages"][1]["certificate"]) | changes
    try:
        again = cg.Certificate.from_json(json.dumps(content))
    except ValueError as failure:
        assert "not a convexgan certificate" in str(failure)
    else:
        assert isinstance(again.gap, float)


@pytest.mark.parametrize("shape", [[3], [10**12], [-1, 7], ["a"], None, [1.5]])
def test_evidence_of_another_shape_is_refused(shape):
    data = np.random.default_rng(0).standard_normal((300, 120)) * 3
    text = cg.solve(data, cg.GaussianLatent(120), beta=0.0).certificate.to_json()
    content = json.loads(text)
    arrays = content["evidence"]["arrays"]
    assert "base64" in arrays["factor"] or "base64" in arrays["neurons"]
    assert json.loads(cg.Certificate.from_json(text).to_json()) == content
    arrays["factor"]["shape"] = shape
    with pytest.raises(ValueError, match="not a convexgan certificate"):
        cg.Certificate.from_json(json.dumps(content))
