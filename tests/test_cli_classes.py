"""Classes of pictures on the command line: attributes, folders, labels, clusters; what is made and verified of each."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convexgan as cg
from benchmarks._celeba import write_celeba
from convexgan.datasets import load
from tests.test_cli import run

COUNT = 60


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CelebA, a folder of two subfolders one of whose pictures is broken, labels of the digits, a run of each kind."""
    base = tmp_path_factory.mktemp("classes")
    write_celeba(base / "celeba", COUNT)
    digits = load("digits")
    for name, pictures in (("a", digits.images[:20]), ("b", digits.images[20:35])):
        (base / "photos" / name).mkdir(parents=True)
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(base / "photos" / name / f"{i:02}.png")
    (base / "photos" / "a" / "03.png").write_bytes(b"broken")
    (base / "labels.txt").write_text("".join(f"{'even' if i % 2 else 'odd'}\n" for i in range(1797)))
    run("fit", base / "celeba", "--size", 8, "--condition", "Smiling", "--condition", "Male", "--out", base / "crossed")
    run("fit", base / "photos", "--size", 8, "--condition", "folders", "--out", base / "folders")
    run("fit", "digits", "--labels", base / "labels.txt", "--out", base / "labelled")
    run("fit", "digits", "--clusters", 3, "--out", base / "clusters")
    return base


def classes_of(folder: Path) -> dict[str, int]:
    model = cg.ProgressiveConvexGAN.load(folder / "model.npz")
    return dict(zip(model.classes_, model.counts_, strict=True))


def test_attributes_are_crossed(base: Path) -> None:
    count, header, *lines = (base / "celeba" / "list_attr_celeba.txt").read_text().splitlines()
    signs = [dict(zip(header.split(), line.split()[1:], strict=True)) for line in lines]
    expected: dict[str, int] = {}
    for row in signs:
        label = ", ".join(name if row[name] == "1" else f"not {name}" for name in ("Smiling", "Male"))
        expected[label] = expected.get(label, 0) + 1
    assert int(count) == COUNT and classes_of(base / "crossed") == expected


def test_folders_are_classes_without_what_cannot_be_read(base: Path) -> None:
    assert classes_of(base / "folders") == {"a": 19, "b": 15}
    assert (base / "folders" / "labels.txt").read_text().split() == ["a"] * 19 + ["b"] * 15
    own = cg.ProgressiveConvexGAN.load(base / "folders" / "model.npz").of("b")
    np.testing.assert_allclose(
        own.stages_[-1].mean, load("digits").images[20:35].reshape(15, -1).mean(0) / 127.5 - 1, atol=1e-6
    )


def test_a_folder_around_all_classes_is_none(base: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted((base / "photos").rglob("*.png")):
            archive.write(path, f"photos/{path.relative_to(base / 'photos')}")
    run("fit", tmp_path / "photos.zip", "--size", 8, "--condition", "folders", "--out", tmp_path / "run")
    assert classes_of(tmp_path / "run") == {"a": 19, "b": 15}


def test_labels_and_clusters_are_classes(base: Path) -> None:
    assert classes_of(base / "labelled") == {"even": 898, "odd": 899}
    counts = classes_of(base / "clusters")
    assert list(counts) == ["0", "1", "2"] and list(counts.values()) == sorted(counts.values(), reverse=True)
    assert sum(counts.values()) == 1797


@pytest.mark.parametrize(
    ("name", "data"),
    [("crossed", "celeba"), ("folders", "photos"), ("labelled", "digits"), ("clusters", "digits")],
)
def test_every_stage_is_verified_from_the_pictures(base: Path, name: str, data: str) -> None:
    source = data if data == "digits" else base / data
    reports = json.loads(run("verify", base / name, source, "--json").stdout)
    assert [report["certificate"] for report in reports] == ["4 x 4", "8 x 8"]
    assert all(report["agrees"] for report in reports)
    labels = base / name / "labels.txt"
    original = labels.read_text()
    try:  # another partition is another game
        lines = original.split("\n")[:-1]
        labels.write_text("\n".join([lines[-1], *lines[:-1]]) + "\n")
        assert not all(r["agrees"] for r in json.loads(run("verify", base / name, source, "--json", code=1).stdout))
    finally:
        labels.write_text(original)


def test_samples_of_a_class_and_ways_between(base: Path, tmp_path: Path) -> None:
    run("sample", base / "labelled", "-n", 5, "--class", "odd", "--out", tmp_path / "odd.npy")
    model = cg.ProgressiveConvexGAN.load(base / "labelled" / "model.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "odd.npy"), model.sample(5, 0, label="odd"))
    way = ("--class", "odd", "--to", "even", "--interpolate", 4)
    run("sample", base / "labelled", "-n", 2, *way, "--out", tmp_path / "way.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "way.npy")[1], model.between("odd", "even", 4, 1))
    run("evaluate", base / "labelled", "digits", "--class", "odd", "--resamples", 5)


def test_resume_knows_the_classes(base: Path) -> None:
    run("fit", "digits", "--labels", base / "labels.txt", "--out", base / "labelled", "--resume")
    said = run("fit", "digits", "--clusters", 3, "--out", base / "labelled", "--resume", code=2).stderr
    assert "was started with" in said and "classes" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["celeba", "--size", 8, "--condition", "Smilling"], "unknown attribute 'Smilling'"),
        (["digits", "--condition", "Smiling"], "--condition is for folders and CelebA"),
        (["celeba", "--size", 8, "--condition", "folders"], "lies in no subfolder"),
        (["digits", "--labels", "labels.txt", "--clusters", 3], "pass one of them"),
        (["digits", "--labels", "short.txt"], "has 2 labels for 1,797 pictures"),
        (["digits", "--labels", "alone.txt"], "class 'x' has one picture"),
        (["digits", "--clusters", 1000], "--clusters 1000 is too many for 1,797 pictures: pass 898 at most"),
    ],
)
def test_what_is_no_partition_is_refused_before_anything_is_decoded(
    base: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object], words: str
) -> None:
    monkeypatch.chdir(base)
    Path("short.txt").write_text("a\nb\n")
    Path("alone.txt").write_text("x\n" + "y\n" * 1796)
    result = run("fit", *arguments, "--out", "new", code=2)
    assert words in " ".join(result.stderr.split()) and not Path("new").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sample", "labelled", "--class", "prime", "--out", "x.png"], "'prime' is none of the classes"),
        (
            ["sample", "labelled", "--interpolate", 3, "--out", "x.png"],
            "has the classes 'even', 'odd': pass one of them",
        ),
        (["sample", "labelled", "--to", "odd", "--out", "x.png"], "--to goes with --class"),
        (["evaluate", "labelled", "digits"], "has the classes 'even', 'odd': pass one of them, --class even"),
    ],
)
def test_a_class_that_is_needed_is_asked_for(
    base: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object], words: str
) -> None:
    monkeypatch.chdir(base)
    assert words in " ".join(run(*arguments, code=2).stderr.split())
