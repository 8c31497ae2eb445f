"""Files from strangers: whatever is changed inside a well-formed file, it is used or refused in words."""

from __future__ import annotations

import io
import json
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import convexgan as cg
from benchmarks._pictures import power_law
from convexgan import datasets
from convexgan.cli import app
from convexgan.cli.arrays import read_sample
from convexgan.datasets.lists import List
from convexgan.torch import ProgressiveGenerator, checkpoint

PHOTOS = power_law(30, 8)
ROWS = np.random.default_rng(0).standard_normal((30, 4)) * [3, 2, 1, 0.5]
LATENTS = np.random.default_rng(1).standard_normal((30, 5))
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numbers that somebody made enormous

JUNK = st.one_of(
    st.sampled_from([None, True, -1, 0, 2**31, 10**30, 1e308, [], [1], [[1]], {}, {"shape": [1], "data": [1]}]),
    st.sampled_from(["", "x", "../../x", "/x", "quadratic"]),
    st.floats(),
)


@st.composite
def altered(draw: st.DrawFn, tree: Any) -> Any:
    """JSON in which something, also in JSON texts inside it, was left out or replaced."""
    if isinstance(tree, str) and tree[:1] == "{" and draw(st.booleans()):
        return json.dumps(draw(altered(json.loads(tree))))
    if not isinstance(tree, dict | list) or not tree or draw(st.integers(0, 5)) == 0:
        return draw(JUNK)
    changed: Any = tree.copy()
    key = draw(st.sampled_from(sorted(tree) if isinstance(tree, dict) else range(len(tree))))
    if isinstance(tree, dict) and draw(st.integers(0, 6)) == 0:
        del changed[key]
    else:
        changed[key] = draw(altered(tree[key]))
    return changed


CHANGES: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda a: a.astype(complex),
    lambda a: a.astype(str),
    lambda a: np.zeros(a.shape, np.uint8),
    lambda a: np.zeros(a.shape, "<M8[s]"),
    lambda a: np.zeros(a.shape, [("x", "<f8")]),
    lambda a: a.ravel()[:-1],
    lambda a: a[..., None],
    lambda a: np.zeros(0),
    lambda a: np.array(3.0),
    lambda a: np.full(a.shape, np.nan),
    lambda a: np.full(a.shape, 1e200),
    lambda a: -np.ones(a.shape),
]


def unpacked(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as file:
        return {name: file[name] for name in file.files}


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


@st.composite
def altered_npz(draw: st.DrawFn, content: bytes) -> bytes:
    """An .npz file with another array or other settings in it, or with one left out."""
    arrays = unpacked(content)
    name = draw(st.sampled_from(sorted(arrays)))
    if name == "settings.json":
        text = json.dumps(draw(altered(json.loads(bytes(arrays[name])))))
        return packed(arrays | {name: np.frombuffer(text.encode(), np.uint8)})
    if draw(st.integers(0, 6)) == 0:
        return packed({other: array for other, array in arrays.items() if other != name})
    return packed(arrays | {name: draw(st.sampled_from(CHANGES))(arrays[name])})


def saved(thing: Any, path: Path) -> bytes:
    thing.save(path)
    return path.read_bytes()


def use_pictures(path: Path) -> None:
    model = cg.ProgressiveConvexGAN.load(path)
    model.sample(2, random_state=0)
    model.encode(PHOTOS[:2])
    str(model.stages_[-1].certificate)


def use_solution(path: Path) -> None:
    solution = cg.load(path)
    str(solution)
    solution.generator.sample(2, 0)
    solution.discriminator(ROWS)
    cg.verify(solution.certificate, ROWS)


def use_moments(path: Path) -> None:
    moments = cg.Moments.load(path).centered()
    moments.second, moments.spectrum  # noqa: B018
    moments + moments


def use_estimator(path: Path) -> None:
    cg.ConvexWGAN.load(path).sample(2, random_state=0)


MADE: dict[str, tuple[Callable[[], Any], Callable[[Path], object]]] = {
    "pictures": (lambda: cg.ProgressiveConvexGAN(ranks=[3, 4], histogram=True).fit(PHOTOS), use_pictures),
    "linear": (lambda: cg.solve(ROWS, LATENTS, beta=0.1), use_solution),
    "free": (lambda: cg.solve(ROWS, None, generator=cg.generators.Free(9), beta=0.1), use_solution),
    "moments": (lambda: cg.Moments.from_array(ROWS), use_moments),
    "rows": (lambda: cg.Moments.from_array(ROWS[:3], weights=[1.0, 2.0, 3.0]), use_moments),
    "estimator": (lambda: cg.ConvexWGAN(beta=0.1).fit(ROWS), use_estimator),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("made") / "x.npz"
    return {kind: saved(make(), path) for kind, (make, _) in MADE.items()}


def try_to_use(path: Path, content: bytes, use: Callable[[Path], object]) -> None:
    """Nothing but a ValueError may come of it, and no other file."""
    path.write_bytes(content)
    try:
        use(path)
    except ValueError as error:
        assert str(error)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", MADE)
@given(data=st.data())
@settings(max_examples=40)
def test_no_altered_model_does_harm(files, tmp_path_factory, kind, data):
    try_to_use(tmp_path_factory.mktemp("fuzz") / "a.npz", data.draw(altered_npz(files[kind])), MADE[kind][1])


@pytest.mark.parametrize("change", range(len(CHANGES)))
@pytest.mark.parametrize("kind", MADE)
def test_no_array_of_another_kind_does_harm(files, tmp_path, kind, change):
    arrays = unpacked(files[kind])
    for name in arrays:
        if name != "settings.json":
            content = packed(arrays | {name: CHANGES[change](arrays[name])})
            try_to_use(tmp_path / "a.npz", content, MADE[kind][1])


# Pictures


def archive_bytes(kind: str) -> bytes:
    stream, pictures = io.BytesIO(), []
    for picture in PHOTOS[:4]:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        pictures.append(file.getvalue())
    if kind == "zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for i, content in enumerate(pictures):
                archive.writestr(f"{i}.png", content)
    elif kind == "tar":
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for i, content in enumerate(pictures):
                info = tarfile.TarInfo(f"{i}.png")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    elif kind == "npz":
        np.savez_compressed(stream, images=PHOTOS)
    else:
        np.save(stream, PHOTOS)
    return stream.getvalue()


HEADS = {"zip": b"PK\1\2", "tar": b"0.png", "npz": b"PK\1\2", "npy": b"\x93NUMPY"}  # where altering does most


@pytest.mark.parametrize("kind", HEADS)
@given(data=st.data())
@settings(max_examples=60)
def test_no_altered_file_of_pictures_does_harm(tmp_path_factory, kind, data):
    content = bytearray(archive_bytes(kind))
    head = content.index(HEADS[kind])
    where = st.one_of(st.integers(head, min(head + 300, len(content) - 1)), st.integers(0, len(content) - 1))
    for at in data.draw(st.lists(where, min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / f"a.{kind}"
    try_to_use(path, bytes(content), lambda path: datasets.load(path, 8))
    if kind[:2] == "np":
        try_to_use(path, bytes(content), read_sample)


def test_members_without_a_name_do_no_harm(tmp_path):
    content = bytearray(archive_bytes("zip"))
    content[content.index(b"PK\1\2") + 46] = 0  # the first name of the index: what follows a 0 is dropped
    (tmp_path / "a.zip").write_bytes(content)
    found = datasets.load(tmp_path / "a.zip", 8)
    assert len(found) == len(datasets.load(_whole(tmp_path), 8)) - 1
    assert any("no picture" in count.what for count in found.omitted)
    with zipfile.ZipFile(tmp_path / "list.zip", "w") as archive:
        archive.writestr("list_attr_celeba.txt", "1\nSmiling\n000001.jpg 1\n")
        archive.writestr("x", "more")
    content = bytearray((tmp_path / "list.zip").read_bytes())
    content[content.rindex(b"PK\1\2") + 46] = 0
    with pytest.raises(ValueError, match="holds 2 files"):
        List("list.zip", bytes(content)).rows()


def _whole(folder):
    (folder / "whole.zip").write_bytes(archive_bytes("zip"))
    return folder / "whole.zip"


def test_versions_and_places_that_cannot_be_are_refused(tmp_path):
    content = bytearray(archive_bytes("zip"))
    content[content.index(b"PK\1\2") + 6] = 200  # the version needed to read it
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.zip cannot be read"):
        datasets.load(tmp_path / "a.zip", 8)
    content = bytearray(archive_bytes("npz"))
    end = content.index(b"PK\5\6")
    content[end + 16 : end + 20] = struct.pack("<I", struct.unpack("<I", content[end + 16 : end + 20])[0] + 99)
    (tmp_path / "a.npz").write_bytes(content)  # the index begins before the file does
    for read in (datasets.load, read_sample):
        with pytest.raises(ValueError, match=r"a\.npz"):
            read(tmp_path / "a.npz")


# Safetensors


def safetensors(content: bytes) -> tuple[dict[str, Any], bytes]:
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header: Any, rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


def use_generator(path: Path) -> None:
    ProgressiveGenerator.load(path).sample(2)


def use_checkpoint(path: Path) -> None:
    checkpoint.read(path, {"a": 1})


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("made") / "x"
    generator = ProgressiveGenerator.from_model(cg.ProgressiveConvexGAN(ranks=[3, 4]).fit(PHOTOS), width=2)
    checkpoint.write(path, {"a": 1}, {"state": ({"w": torch.ones(3)}, 2), "n": None})
    return {"checkpoint": path.read_bytes(), "generator": saved(generator, path)}


@pytest.mark.parametrize(("kind", "use"), [("generator", use_generator), ("checkpoint", use_checkpoint)])
@given(data=st.data())
@settings(max_examples=40)
def test_no_altered_safetensors_do_harm(tensors, tmp_path_factory, kind, use, data):
    header, rest = safetensors(tensors[kind])
    content = joined(data.draw(altered(header)), rest)
    try_to_use(tmp_path_factory.mktemp("fuzz") / "a.safetensors", content, use)


def test_a_generator_that_claims_a_giant_shape_allocates_nothing(tensors, tmp_path, monkeypatch):
    devices, real = set(), torch.nn.init.kaiming_uniform_
    monkeypatch.setattr(
        torch.nn.init, "kaiming_uniform_", lambda x, *a, **kw: devices.add(str(x.device)) or real(x, *a, **kw)
    )
    header, rest = safetensors(tensors["generator"])
    shape = json.loads(header["__metadata__"]["generator"])
    for change in ({"width": 10**6}, {"ranks": [3, 10**9]}, {"sizes": [2**20, 2**21]}):
        header["__metadata__"]["generator"] = json.dumps(shape | change)
        (tmp_path / "a").write_bytes(joined(header, rest))
        with pytest.raises(ValueError, match="holds no progressive generator"):
            ProgressiveGenerator.load(tmp_path / "a")
    assert devices == {"meta"}


@pytest.mark.parametrize("stored", [{}, {"settings": 3, "content": 1}, {"settings": {"a": 1}, "content": {"dict": 5}}])
def test_checkpoints_without_their_parts_are_refused(tensors, tmp_path, stored):
    header, rest = safetensors(tensors["checkpoint"])
    header["__metadata__"]["convexgan"] = json.dumps(stored)
    (tmp_path / "a").write_bytes(joined(header, rest))
    with pytest.raises(ValueError, match="is not a checkpoint of train or is damaged"):
        checkpoint.read(tmp_path / "a", {"a": 1})


# RUN folders


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i, picture in enumerate(PHOTOS):
        Image.fromarray(picture).save(folder / f"{i:02}.png")
    return folder


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run(photos: Path) -> Path:
    out = photos.parent / f"{photos.name}-run"
    assert command("fit", photos, "--out", out, *OPTIONS).exit_code == 0
    return out


OPTIONS = ("--size", 8, "--ranks", "3,4", "--workers", 1)
REPORTS = [
    {"about": 3},
    {"about": None},
    {"memory": None},
    {"memory": {}},
    {"stages": [{}]},
    {"stages": 3},
    {"phases": [[1]]},
    {"phases": None},
]


@pytest.mark.parametrize("change", REPORTS, ids=str)
def test_an_edited_report_is_an_error_in_words(run, photos, tmp_path, change):
    shutil.copytree(run, tmp_path / "run")
    report = json.loads((run / "report.json").read_text()) | change
    (tmp_path / "run/report.json").write_text(json.dumps(report))
    done = command("fit", photos, "--out", tmp_path / "run", *OPTIONS, "--resume")
    assert done.exit_code == 2 and "report.json is damaged" in done.stderr


@given(data=st.data())
@settings(max_examples=15)
def test_no_altered_run_does_harm(run, photos, tmp_path_factory, data):
    out = tmp_path_factory.mktemp("fuzz") / "run"
    shutil.copytree(run, out)
    name = data.draw(st.sampled_from(["report.json", "certificates/8.json", "stages/8.npz", "model.npz"]))
    content = (run / name).read_bytes()
    changed = data.draw(altered_npz(content) if name.endswith("npz") else altered(json.loads(content)))
    (out / name).write_bytes(changed if isinstance(changed, bytes) else json.dumps(changed).encode())
    commands = {
        "report.json": ("evaluate", out, photos, "--resamples", 2),
        "model.npz": ("sample", out, "--out", out / "new.png"),
    }
    done = command(*commands.get(name, ("verify", out)))
    assert done.exit_code in (0, 1, 2) and (done.exception is None or isinstance(done.exception, SystemExit))
    assert [p.name for p in out.parent.iterdir()] == ["run"]
