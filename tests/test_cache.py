"""The cache of decoded pictures: the same pixels, made once, whole or absent, whatever happens meanwhile."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convexgan import datasets
from convexgan.datasets import cache as cache_module
from convexgan.datasets import tasks as module
from convexgan.datasets.cache import build_cache
from tests.waiting import wait_for

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD_PICTURES", 4)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eleven colour pictures and a broken one, 0.png to b.png."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, picture in enumerate(np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)):
        Image.fromarray(picture).save(folder / f"{i:x}.png")
    (folder / "3.png").write_bytes(b"no picture")
    return folder


def build(photos: Path, **options: object) -> datasets.Cache:
    return build_cache(datasets.find(photos), photos.parent / "cache", 8, **options)


def pixels(cache: datasets.Cache) -> np.ndarray:
    return np.concatenate(list(cache.blocks()))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_cache_holds_what_is_read_into_memory(photos, workers):
    counted: list[int] = []
    cache, memory = build(photos, workers=workers, advance=counted.append), datasets.load(photos, 8)
    assert np.array_equal(pixels(cache), memory.images)
    assert cache.shape == (8, 8, 3) and len(cache) == 11 and sum(counted) == 12
    assert cache.skipped == memory.skipped and len(cache.skipped) == 1
    assert [len(block) for block in cache.blocks()] == [3, 4, 4]
    assert [len(block) for block in cache.blocks(start=2)] == [4]
    assert str(cache) == str(memory)


def test_it_is_made_once(photos, monkeypatch):
    first = build(photos)
    monkeypatch.setattr(module, "attempt", None)  # decoding would fail now
    again = build(photos)
    assert np.array_equal(pixels(again), pixels(first)) and again.fingerprint == first.fingerprint
    assert again.skipped == first.skipped


def test_each_size_crop_and_choice_of_pictures_has_a_cache_of_its_own(photos):
    listing = datasets.find(photos)
    made = [build(photos).folder]
    made.append(build_cache(listing, photos.parent / "cache", 4).folder)
    made.append(build_cache(listing, photos.parent / "cache", 8, crop="none").folder)
    made.append(build_cache(listing, photos.parent / "cache", 8, color=False).folder)
    made.append(build_cache(listing.first(5), photos.parent / "cache", 8).folder)
    assert len(set(made)) == 5


def test_only_what_is_missing_or_half_there_is_made_again(photos, monkeypatch):
    whole = pixels(build(photos))
    folder = build(photos).folder
    (folder / "00000.json").unlink()  # killed between pixels and record
    (folder / "00001.bin").write_bytes(b"short")
    made = []
    real = cache_module.make_shard
    monkeypatch.setattr(cache_module, "make_shard", lambda task, over: made.append(task.number) or real(task, over))
    assert np.array_equal(pixels(build(photos)), whole)
    assert made == [0, 1]


def test_damage_is_found_when_a_shard_is_read(photos):
    cache = build(photos)
    path = cache.folder / "00001.bin"
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    blocks = cache.blocks()
    next(blocks)
    with pytest.raises(ValueError, match=r"00001\.bin was damaged .* delete it"):
        next(blocks)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"00001\.bin"):
        next(cache.blocks(start=1))
    assert len(pixels(build(photos))) == 11


def test_pictures_that_changed_are_other_pictures_with_a_cache_of_their_own(photos):
    first = build(photos)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(photos / "5.png")
    second = build(photos)
    assert second.folder != first.folder and not pixels(second)[4].any()
    (photos / "9.png").unlink()  # another choice of pictures: another cache
    assert len(build(photos)) == 10


def test_a_change_that_no_size_shows_is_an_error_that_names_the_repair(photos):
    for path in photos.iterdir():
        path.rename(path.with_suffix(".bmp"))
    for i in range(12):
        Image.fromarray(np.full((8, 8, 3), [i, 0, 99], np.uint8)).save(photos / f"{i:x}.bmp")
    folder = build(photos).folder
    changed = next(p for p in sorted(photos.iterdir()) if p.name == "9.bmp")
    Image.fromarray(np.full((8, 8, 3), [0, 200, 99], np.uint8)).save(changed)
    with pytest.raises(ValueError, match=r"between 8\.bmp and b\.bmp have changed .* delete that folder"):
        build(photos)
    shutil.rmtree(folder)
    assert (pixels(build(photos))[9] == [0, 200, 99]).all()


def test_pictures_that_were_touched_moved_or_copied_are_the_same_and_not_decoded_again(photos, monkeypatch):
    first = build(photos)
    (photos / "5.png").touch()
    os.utime(photos / "a.png", (1, 1))
    monkeypatch.setattr(module, "attempt", None)  # decoding would fail now
    assert build(photos).folder == first.folder
    reads = []
    monkeypatch.setattr(module, "fetch", lambda *a: reads.append(a) or datasets.listing.fetch(*a))
    build(photos)
    assert len(reads) <= module.SAMPLED  # the new times are known by now: no shard is read again
    shutil.copytree(photos, photos.parent / "copy")
    shutil.rmtree(photos)
    again = build(photos.parent / "copy")
    assert again.fingerprint == first.fingerprint and again.folder == first.folder
    assert [skipped.path for skipped in again.skipped] == [photos.parent / "copy" / "3.png"]


def test_folders_with_the_same_names_share_a_cache_without_being_mixed_up(photos):
    build(photos)
    other = photos.parent / "other"
    other.mkdir()
    for path in photos.iterdir():
        Image.fromarray(np.full((8, 8, 3), [7, 0, 99], np.uint8)).save(other / path.name)
    assert (pixels(build(other)) == [7, 0, 99]).all()


def test_colour_is_decided_from_all_pictures_and_shards_without_it_are_stored_without(photos):
    for i, path in enumerate(sorted(photos.iterdir())):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(path)
    grey = build(photos)
    assert grey.shape == (8, 8) and not grey.converted
    Image.fromarray(np.full((8, 8, 3), [9, 9, 200], np.uint8)).save(photos / "b.png")
    mixed = build(photos)
    assert mixed.shape == (8, 8, 3) and (pixels(mixed)[11] == [9, 9, 200]).all() and (pixels(mixed)[3] == 3).all()
    assert np.array_equal(mixed.take(np.array([11, 0])), pixels(mixed)[[11, 0]])
    assert dict(mixed.converted) == {"grey among colour": 11}
    assert np.array_equal(pixels(mixed), datasets.load(photos, 8).images)
    sizes = [path.stat().st_size for path in sorted(mixed.folder.glob("*.bin"))]
    assert sizes == [4 * 64, 4 * 64, 4 * 64 * 3]
    assert build(photos, color=True).folder == mixed.folder
    assert build(photos, color=False).shape == (8, 8)


def test_a_picture_removed_after_listing_is_skipped_and_a_folder_removed_is_an_error(photos):
    listing = datasets.find(photos)
    (photos / "9.png").unlink()
    cache = build_cache(listing, photos.parent / "cache", 8)
    assert [(s.path.name, s.reason) for s in cache.skipped][1:] == [("9.png", "No such file or directory")]
    shutil.rmtree(cache.folder)
    shutil.rmtree(photos)
    for workers in (1, 2):
        with pytest.raises(FileNotFoundError, match="photos vanished"):
            build_cache(listing, photos.parent / "cache", 8, color=True, workers=workers)


def test_unreadable_files_are_skipped_with_the_systems_reason(photos, monkeypatch):
    real = Path.read_bytes

    def read(path: Path) -> bytes:
        if path.name == "6.png":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    assert [s.reason for s in build(photos).skipped][1:] == ["Permission denied"]


def test_strict_and_hopeless(photos):
    with pytest.raises(ValueError, match=r"3\.png: not a picture"):
        build(photos, strict=True)
    build(photos)
    with pytest.raises(ValueError, match=r"3\.png: not a picture"):  # known from the cache
        build(photos, strict=True)
    for path in photos.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="none of 12 pictures can be read"):
        build_cache(datasets.find(photos), photos.parent / "other", 8)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_an_error_and_leaves_nothing_half_written(photos, monkeypatch, workers):
    """The limit on a file's size stands for the disk's: writing beyond it fails in the same call."""
    import resource

    listing, cache = datasets.find(photos), photos.parent / "cache"
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that it is an error and no signal
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, old[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*0000\d\.bin"):
            build_cache(listing, cache, 8, workers=workers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert not [path for path in cache.rglob("*") if path.is_file()]
    assert len(build_cache(listing, cache, 8)) == 11


SCRIPT = """
import sys, time
from convexgan.datasets import build_cache, find, tasks

tasks.SHARD_PICTURES, real = 1, tasks.attempt

def slow(*arguments):
    time.sleep(0.03)
    return real(*arguments)

tasks.attempt = slow
print(len(build_cache(find(sys.argv[1]), sys.argv[2], 8, workers=2)))
"""


def script(photos: Path) -> tuple[Path, dict[str, str]]:
    """A script that decodes slowly, and its environment."""
    (photos.parent / "run.py").write_text(SCRIPT)
    return photos.parent / "run.py", os.environ | {"PYTHONPATH": str(ROOT)}


def test_killed_again_and_again_it_goes_on_and_ends_the_same(photos, monkeypatch):
    """Real kills of a process that decodes in two threads."""
    (path, environment), killed = script(photos), photos.parent / "killed"
    command = [sys.executable, str(path), str(photos), str(killed)]
    for count in (1, 6):
        process = subprocess.Popen(command, env=environment)
        wait_for(lambda: len(list(killed.rglob("*.json"))) >= count)  # noqa: B023
        process.kill()
        process.wait(timeout=20)
        assert len(list(killed.rglob("*.json"))) < 12
    subprocess.run(command, env=environment, check=True, timeout=60)
    monkeypatch.setattr(module, "SHARD_PICTURES", 1)
    whole = build_cache(datasets.find(photos), photos.parent / "whole", 8).folder
    parts = next(killed.iterdir())
    kept = [path for path in parts.iterdir() if path.suffix != ".part"]
    assert {path.name: path.read_bytes() for path in kept} == {p.name: p.read_bytes() for p in whole.iterdir()}


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_scripts_that_ask_for_several_workers_need_no_guard(photos, how):
    path, environment = script(photos)
    options = [str(photos), str(photos.parent / "cache")]
    command = [sys.executable, *(["-"] if how == "pipe" else [str(path)]), *options]
    text = SCRIPT if how == "pipe" else None
    done = subprocess.run(command, env=environment, input=text, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("11\n", "")
    assert len(list((photos.parent / "cache").rglob("*.json"))) == 12


def test_an_error_in_one_thread_ends_the_others_at_their_next_picture(photos, monkeypatch):
    seen, real = [], module.attempt

    def slow(keeper, entry, *rest):
        seen.append(entry.name)
        time.sleep(0.0 if entry.name == "3.png" else 0.2)
        return real(keeper, entry, *rest)

    monkeypatch.setattr(module, "attempt", slow)
    monkeypatch.setattr(module, "SHARD_PICTURES", 3)  # 3.png, which is broken, begins the second shard
    with pytest.raises(ValueError, match=r"3\.png: not a picture"):
        build(photos, strict=True, workers=2)
    assert len(seen) < 12 and not list((photos.parent / "cache").rglob("*.bin"))


def test_unfinished_files_are_removed_once_they_are_old(photos):
    folder = build(photos).folder
    old, new = folder / ".00000.bin.1.part", folder / ".00000.bin.2.part"
    for path in (old, new):
        path.touch()
    os.utime(old, (time.time() - 4000,) * 2)
    build(photos)
    assert list(folder.glob(".*")) == [new]


@given(data=st.data())
def test_no_record_does_harm(tmp_path_factory, data):
    """Whatever somebody wrote into a record, the pixels are right or the shard is refused in words."""
    base = tmp_path_factory.mktemp("fuzz")
    folder = base / "photos"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(folder / f"{i}.png")
    cache = build_cache(datasets.find(folder), base / "cache", 4)
    record = cache.folder / "00000.json"
    content = json.loads(record.read_text())
    junk = st.one_of(
        st.none(), st.integers(), st.text(max_size=5), st.lists(st.text(max_size=3), max_size=3), st.floats()
    )
    field = data.draw(st.sampled_from([*content, "new", "../../escape"]))
    content[field] = data.draw(junk)
    text = json.dumps(content)
    record.write_text(data.draw(st.sampled_from([text, text[:-3], "[" * 50_000, "", "null", "[]"])))
    try:
        again = build_cache(datasets.find(folder), base / "cache", 4)
        assert pixels(again)[:, 0, 0].tolist() == [0, 1, 2]
    except ValueError as error:
        assert "delete" in str(error)
    assert sorted(p.name for p in base.iterdir()) == ["cache", "photos"]


@pytest.mark.parametrize("option", [{"size": 0}, {"workers": 0}, {"crop": "middle"}])
def test_senseless_options_are_refused(photos, option):
    arguments = {"size": 8} | option
    with pytest.raises(ValueError, match=next(iter(option))):
        build_cache(datasets.find(photos), photos.parent / "cache", **arguments)
