"""Folders as people have them: what is read, and that every other file is counted by reason in one line."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from convexgan import datasets, plotting
from convexgan.cli import app
from convexgan.datasets import decoding
from convexgan.datasets.account import Count
from convexgan.datasets.formats import SUFFIXES

Image.init()
WRITTEN = [suffix for suffix, name in SUFFIXES.items() if name in Image.SAVE and name not in ("MSP", "XBM")]  # colours


def noise(seed: int, shape: tuple[int, ...] = (16, 16, 3)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def files_in(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def accounted(found: datasets.ImageSet | datasets.Cache) -> int:
    return len(found) + len(found.skipped) + sum(count.files for count in found.omitted)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six colour pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(6):
        noise(i).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def no_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the extra for photographs were not installed."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(decoding, "find_spec", lambda name: None)


# Everything in a folder is in one of the counts


def strange(root: Path) -> Path:
    """Forty files of all kinds."""
    for name in ("a/b", ".thumbnails", "__MACOSX", "@eaDir", "run/certificates", "64px-0123456789abcdef"):
        (root / name).mkdir(parents=True)
    for i, suffix in enumerate(("jpg", "JPEG", "png", "webp", "bmp", "tif", "gif", "jp2", "tga", "pcx", "ico", "sgi")):
        noise(i).save(root / f"a/{i:02}.{suffix}", format=SUFFIXES[f".{suffix.lower()}"])
    noise(20).save(root / "a/b/without_a_suffix", format="JPEG")
    noise(21).save(root / "really_a_webp.jpg", format="WEBP")
    noise(22, (16, 16, 4)).save(root / "transparent.png")
    noise(23, (4, 4, 3)).save(root / "small.png")
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 257).save(root / "deep.png")
    noise(24).save(root / "moving.gif", save_all=True, append_images=[noise(25), noise(26)])
    noise(27).convert("CMYK").save(root / "inks.jpg")
    for i in range(3):
        content = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50) if i else b"another brand"
        (root / f"a/b/IMG_{i}.HEIC").write_bytes(content)
    (root / "broken.png").write_bytes(b"no picture")
    (root / "empty.jpg").touch()
    for name in (".DS_Store", "Thumbs.db", ".thumbnails/1.png", "__MACOSX/._a.png", "@eaDir/SYNO.jpg", "desktop.ini"):
        noise(30).save(root / name, format="PNG")
    for name in ("labels.csv", "notes.txt", "a/more.txt", "pictures.zip", "LICENSE", "film.mp4"):
        (root / name).write_text("nothing")
    (root / "run/report.json").write_text(json.dumps({"format": "convexgan run", "state": "unfinished"}))
    for name in ("run/samples.png", "run/certificates/8.json"):
        noise(31).save(root / name, format="PNG")
    (root / "64px-0123456789abcdef/00000.json").write_text("{}")
    plotting.save_image(plotting.contact_sheet(np.zeros((4, 8, 8), np.uint8), 2), root / "new.png")
    return root


def test_forty_strange_files_are_told_in_one_line_whose_counts_add_up(tmp_path, no_heif):
    folder = strange(tmp_path / "strange")
    assert files_in(folder) == 41
    found = datasets.load(folder, 8)
    line = str(found)
    assert accounted(found) == 41 and len(found) == 19
    assert "\n" not in line and "19 colour pictures" in line and "5 of 41 files skipped" in line
    assert "3 .heic (install 'convexgan[photos]')" in line
    left = dict(found.omitted)
    assert left["hidden"] == 6 and left["no picture (.txt)"] == 2 and left["of convexgan's own"] == 4
    assert left["a sheet or figure that convexgan made"] == 1
    converted = dict(found.converted)
    assert converted["16 bits scaled to 8"] == converted["first of several frames"] == 1
    assert converted["transparency laid on white"] == converted["grey among colour"] == converted["enlarged"] == 1
    assert "run is convexgan's own" in line
    cache = datasets.build_cache(datasets.find(folder), tmp_path / "cache", 8)
    assert str(cache) == line and np.array_equal(np.concatenate(list(cache.blocks())), found.images)


def test_the_command_line_says_the_same_line_and_strict_stops_with_the_first_few(tmp_path, no_heif):
    folder = strange(tmp_path / "strange")
    done = command("fit", folder, "--size", 8, "--out", tmp_path / "out", "--ranks", "2,2", "--workers", 1)
    assert done.exit_code == 0, done.stderr
    assert str(datasets.load(folder, 8)) in done.stderr
    report = json.loads((tmp_path / "out/report.json").read_text())["data"]
    total = report["pictures"] + len(report["skipped"]) + sum(report["omitted"].values())
    assert total == 41 and report["converted"]["enlarged"] == 1
    strict = command("fit", folder, "--size", 8, "--out", tmp_path / "strict", "--ranks", "2,2", "--strict")
    assert strict.exit_code == 2 and "IMG_0.HEIC: .heic (install" in strict.stderr
    with pytest.raises(ValueError, match=r"IMG_0\.HEIC"):
        datasets.load(folder, 8, strict=True)


def test_strict_stops_every_command_that_reads_pictures(photos, tmp_path):
    out, sizes = tmp_path / "run", ("--size", 8)
    assert command("fit", photos, "--out", out, *sizes, "--ranks", "2,2", "--workers", 1, "--strict").exit_code == 0
    (photos / "5.png").write_bytes(b"no picture")
    for line in (
        ("fit", photos, "--out", tmp_path / "fit", *sizes),
        ("evaluate", out, photos, "--cache", tmp_path / "new"),
        ("verify", out, photos, "--cache", tmp_path / "new"),
        ("demo", "--data", photos, "--out", tmp_path / "demo", *sizes),
        ("train", photos, "--out", tmp_path / "train", *sizes, "--lam", 1, "--steps", 1),
        ("train", photos, "--out", tmp_path / "grown", "--progressive", *sizes, "--steps", 1),
    ):
        done = command(*line, "--strict")
        assert done.exit_code == 2 and "5.png: not a picture" in done.stderr, (line, done.stdout, done.stderr)


def test_strict_does_not_stop_at_what_is_no_picture(photos):
    (photos / "labels.csv").write_text("0")
    (photos / ".DS_Store").write_bytes(b"x")
    plotting.save_image(plotting.contact_sheet(np.zeros((4, 8, 8), np.uint8), 2), photos / "new.png")
    assert len(datasets.load(photos, 8, strict=True)) == 6


def test_the_first_ones_and_a_limit_leave_the_others_counted(photos):
    assert datasets.load(photos, 8, limit=2).omitted == (Count("beyond the first 2", 4),)
    cache = datasets.build_cache(datasets.find(photos).first(4), photos.parent / "cache", 8)
    assert cache.omitted == (Count("beyond the first 4", 2),)
    assert "of 6 files left out: 2 beyond the first 4" in str(cache)


def test_a_folder_without_pictures_says_what_it_holds(tmp_path):
    (tmp_path / "a.npy").touch()
    (tmp_path / ".b.png").touch()
    with pytest.raises(ValueError, match=r"only what is left out: 1 hidden, 1 no picture \(\.npy\): put"):
        datasets.find(tmp_path)


def test_a_hidden_folder_that_is_named_is_read(tmp_path):
    (tmp_path / ".faces").mkdir()
    noise(0).save(tmp_path / ".faces/a.png")
    assert len(datasets.load(tmp_path / ".faces", 8)) == 1


def test_folders_nested_deeper_than_calls_may_be_are_read(photos):
    parts = ["d"] * 1010
    made = list(itertools.accumulate(parts, lambda place, part: place / part, initial=photos / "deep"))
    for place in made:
        place.mkdir()
    (made[-1] / "a.txt").touch()
    assert dict(datasets.find(photos).omitted) == {"no picture (.txt)": 1}
    (made[-1] / "a.txt").unlink()
    for place in reversed(made):  # here: to remove them takes as many calls
        place.rmdir()


def test_a_folder_that_may_not_be_looked_into_is_named(photos, monkeypatch):
    (photos / "locked").mkdir()
    real = os.scandir

    def scandir(place: Any) -> Any:
        if str(place).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    found = datasets.load(photos, 8)
    assert [(s.path.name, s.reason) for s in found.skipped] == [("locked", "Permission denied")]
    with pytest.raises(ValueError, match="locked: Permission denied"):
        datasets.load(photos, 8, strict=True)


# Links


def test_links_to_folders_and_files_are_followed_each_file_once(photos, tmp_path):
    data = tmp_path / "data"
    (data / "own").mkdir(parents=True)
    noise(9).save(data / "own/z.png")
    (data / "a_link").symlink_to(photos)
    (data / "b_link").symlink_to(photos)  # a second way to the same
    (data / "aa").symlink_to(data / "own")  # sorted before what it leads to
    (data / "one.png").symlink_to(photos / "0.png")
    (photos / "round").symlink_to(photos)
    (photos / "up").symlink_to(tmp_path)
    (data / "nowhere.png").symlink_to(tmp_path / "missing.png")
    (data / "self").symlink_to(data / "self")
    names = [path.relative_to(data).as_posix() for path in datasets.find_images(data)]
    assert names == [*(f"a_link/{i}.png" for i in range(6)), "own/z.png"]
    found = datasets.load(data, 8)
    assert [(s.path.name, s.reason) for s in found.skipped] == [("nowhere.png", "a link that leads nowhere")]
    left = dict(found.omitted)
    assert left["a second link to what is read already"] == 4 and left["a link to a folder that it lies in"] == 1
    assert left["a link that leads nowhere"] == 1
    assert accounted(found) == 14


def test_a_folder_of_links_into_a_store_is_read(photos, tmp_path):
    (tmp_path / "snapshot").mkdir()
    for i in range(6):
        (tmp_path / f"snapshot/{i}.png").symlink_to(f"../photos/{i}.png")
    found = datasets.load(tmp_path / "snapshot", 8)
    assert np.array_equal(found.images, datasets.load(photos, 8).images) and not found.omitted


# Colour


def test_colour_behind_many_grey_pictures_is_kept(tmp_path):
    for i in range(50):
        noise(i, (8, 8) if i < 45 else (8, 8, 3)).convert("RGB").save(tmp_path / f"{i:02}.png")
    found = datasets.load(tmp_path, 8)
    assert found.images.shape == (50, 8, 8, 3)
    assert np.array_equal(found.images[47], np.asarray(noise(47, (8, 8, 3))))
    assert np.array_equal(found.images[3], np.asarray(noise(3, (8, 8)).convert("RGB")))
    assert "45 grey among colour" in str(found)


def test_noise_between_channels_is_no_colour_and_its_loss_is_said(tmp_path):
    for i in range(3):
        grey = np.asarray(noise(i, (40, 40))).astype(int)
        tint = np.stack([grey, grey + 2, grey - 1], axis=2).clip(0, 255).astype(np.uint8)
        tint[0, 0] = [200, 0, 0] if i == 1 else tint[0, 0]  # a hot pixel of 1,600
        Image.fromarray(tint).save(tmp_path / f"{i}.png")
    found = datasets.load(tmp_path, 40)
    assert found.images.shape == (3, 40, 40) and dict(found.converted) == {"faint colour made grey": 3}
    assert np.abs(found.images[0].astype(int) - np.asarray(noise(0, (40, 40)))).max() <= 2
    assert datasets.load(tmp_path, 40, color=True).images.shape == (3, 40, 40, 3)


# Formats


@pytest.mark.parametrize("suffix", WRITTEN)
def test_every_format_of_still_pictures_is_read(tmp_path, suffix):
    name = SUFFIXES[suffix]
    picture = noise(0, (16, 16)) if suffix in (".bw", ".pgm") else noise(0)
    picture = picture.convert("1") if suffix == ".pbm" else picture
    picture.save(tmp_path / f"a{suffix}", format=name)
    found = datasets.load(tmp_path, 16, color=True, strict=True)
    if name not in ("JPEG", "JPEG2000", "WEBP", "AVIF", "GIF", "ICNS"):
        assert np.array_equal(found.images[0], np.asarray(picture.convert("RGB")))


def test_an_older_pillow_names_what_it_lacks_and_reads_the_rest(tmp_path, monkeypatch):
    (tmp_path / "a.avif").write_bytes(b"\0\0\0\x1cftypavif" + bytes(40))
    noise(1).save(tmp_path / "b.tga")
    Image.init()
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    found = datasets.load(tmp_path, 8)
    assert [path.name for path in found.paths] == ["b.tga"]
    assert found.skipped[0].reason == ".avif (needs Pillow 11.3: pip install --upgrade pillow)"


def test_photographs_are_read_with_pillow_heif_and_within_limits(tmp_path, monkeypatch):
    class File(list):  # what pillow_heif.open_heif returns
        size = (16, 16)

        def to_pillow(self) -> Image.Image:
            return noise(4)

    made = types.SimpleNamespace(__version__="0", open_heif=lambda stream, convert_hdr_to_8bit: File([1]))
    monkeypatch.setitem(sys.modules, "pillow_heif", made)
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")  # as phones rename them
    assert np.array_equal(datasets.load(tmp_path, 16, strict=True).images[0], np.asarray(noise(4)))
    monkeypatch.setattr(File, "size", (60_000, 60_000))
    with pytest.raises(ValueError, match="claims more than"):
        datasets.load(tmp_path, 16)


def test_a_real_photograph(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(noise(0, (64, 64, 3))).save(tmp_path / "a.heic", quality=90)
    assert datasets.load(tmp_path, 32, strict=True).images.shape == (1, 32, 32, 3)


# What convexgan has written is never data


def test_a_run_inside_the_data_changes_nothing(photos):
    out = photos / "run"
    before = datasets.load(photos, 8)
    assert command("fit", photos, "--size", 8, "--ranks", "2,2", "--out", out, "--workers", 1).exit_code == 0
    found = datasets.load(photos, 8)
    assert np.array_equal(found.images, before.images) and "run is convexgan's own" in str(found)
    assert command("verify", out, photos).exit_code == 0
    assert command("sample", out, "--out", photos / "zz.png").exit_code == 0
    assert command("sample", out, "-n", 2, "--interpolate", 3, "--out", photos / "zz.gif").exit_code == 0
    assert command("sample", out, "--stages", "--out", photos / "zz.jpg").exit_code == 0
    found = datasets.load(photos, 8)
    assert len(found) == 6 and dict(found.omitted)["a sheet or figure that convexgan made"] == 3
    again = command("fit", photos, "--size", 8, "--ranks", "2,2", "--out", out, "--workers", 1, "--resume")
    assert again.exit_code == 0
    with pytest.raises(ValueError, match="of convexgan's own"):
        datasets.find(out)


def test_pictures_of_the_callers_own_that_save_image_wrote_are_data(tmp_path):
    plotting.save_image(noise(0), tmp_path / "a.png")
    assert len(datasets.load(tmp_path, 8)) == 1


def test_a_run_inside_an_archive_is_left_out(photos, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in photos.iterdir():
            archive.write(path, f"photos/{path.name}")
        archive.writestr("photos/run/report.json", json.dumps({"format": "convexgan run"}))
        archive.writestr("photos/run/samples.png", (photos / "0.png").read_bytes())
        archive.writestr("photos/notes.txt", "x")
        archive.writestr("__MACOSX/._0.png", "x")
    found = datasets.load(tmp_path / "a.zip", 8)
    assert len(found) == 6
    assert dict(found.omitted) == {"hidden": 1, "of convexgan's own": 2, "no picture (.txt)": 1}


# The data of a run is its content


@pytest.mark.parametrize("change", ["touch", "move", "other words"])
def test_a_run_goes_on_with_the_same_pictures_wherever_they_lie(photos, tmp_path, monkeypatch, change):
    out, options = tmp_path / "run", ("--size", 8, "--ranks", "2,2", "--workers", 1)
    assert command("fit", photos, "--out", out, *options).exit_code == 0
    report = json.loads((out / "report.json").read_text())
    (out / "report.json").write_text(json.dumps(report | {"state": "unfinished"}))
    if change == "touch":
        os.utime(photos / "3.png", (1, 1))
    elif change == "move":
        photos = Path(shutil.move(photos, tmp_path / "elsewhere"))
    else:
        monkeypatch.chdir(tmp_path)
        photos = Path("photos")
    done = command("fit", photos, "--out", out, *options, "--resume")
    assert done.exit_code == 0, done.stderr
    again = command("fit", photos, "--out", out, *options, "--resume")  # complete by now
    assert again.exit_code == 0, again.stderr


def test_other_pictures_are_refused_by_a_run_that_is_resumed(photos, tmp_path):
    out, options = tmp_path / "run", ("--size", 8, "--ranks", "2,2", "--workers", 1)
    assert command("fit", photos, "--out", out, *options).exit_code == 0
    noise(99).save(photos / "3.png")
    done = command("fit", photos, "--out", out, *options, "--resume")
    assert done.exit_code == 2 and re.search(r"started with other pictures .*another folder", done.stderr)
    two = command("fit", photos, "--out", out, "--size", 8, "--ranks", "2,1", "--latents", "single", "--resume")
    assert two.exit_code == 2 and "settings ranks" in two.stderr and "settings latents" in two.stderr


def test_verify_says_where_the_pictures_are_others(photos, tmp_path):
    out = tmp_path / "run"
    assert command("fit", photos, "--out", out, "--size", 8, "--ranks", "2,2", "--workers", 1).exit_code == 0
    assert "does not hold" not in command("verify", out, photos).stderr
    noise(99).save(photos / "3.png")
    done = command("verify", out, photos)
    assert done.exit_code == 1 and "does not hold the pictures that" in done.stderr


def test_names_cannot_write_to_the_terminal(tmp_path):
    noise(0).save(tmp_path / "a.png")
    for i in range(4):
        noise(i).save(tmp_path / f"{i}.png")
    (tmp_path / "\x1b[2Jred.png").write_bytes(b"no picture")
    done = command("fit", tmp_path, "--size", 4, "--ranks", "1", "--out", tmp_path / "run", "--workers", 1)
    assert done.exit_code == 0 and "\x1b" not in done.stderr and "\\x1b[2Jred.png" in done.stderr


def test_a_sheet_keeps_its_mark_in_every_format_that_has_room_for_one(tmp_path):
    sheet = plotting.contact_sheet(np.zeros((4, 8, 8, 3), np.uint8), 2)
    for suffix in ("png", "jpg", "webp", "tif"):
        plotting.save_image(sheet, tmp_path / f"a.{suffix}")
    with pytest.raises(ValueError, match=r"none of 0 pictures.*4 a sheet or figure that convexgan made"):
        datasets.load(tmp_path, 8)
