"""CelebA in its own layout, crops, and archives that are read in place and trusted with nothing."""

from __future__ import annotations

import gzip
import io
import itertools
import re
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks._celeba import ATTRIBUTES, write_celeba
from convexgan import datasets
from convexgan.datasets.listing import read
from convexgan.datasets.lists import List
from convexgan.datasets.pictures import crop_box

COUNT = 20


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures in CelebA's layout, never changed."""
    return write_celeba(tmp_path_factory.mktemp("celeba"), COUNT)


@pytest.fixture
def celeba(original: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(original, tmp_path / "celeba"))


def names(listing: datasets.Listing) -> list[str]:
    return [entry.name for entry in listing.entries]


def table(root: Path) -> dict[str, dict[str, str]]:
    """The attributes, read by the book."""
    count, header, *rows = (root / "list_attr_celeba.txt").read_text().splitlines()
    assert int(count) == len(rows) == COUNT and header.split() == ATTRIBUTES
    return {row.split()[0]: dict(zip(ATTRIBUTES, row.split()[1:], strict=True)) for row in rows}


def test_the_whole_set_in_order(original):
    listing = datasets.find(original)
    assert names(listing) == [f"{i + 1:06}.jpg" for i in range(COUNT)]
    images = datasets.load(original, 32).images
    assert images.shape == (COUNT, 32, 32, 3)
    assert images.std() > 20


@pytest.mark.parametrize(
    "wanted", [{"Smiling": True}, {"Smiling": True, "Eyeglasses": False}, {"Male": False, "Young": False}]
)
def test_attributes_select_what_the_list_says(original, wanted):
    expected = [
        name for name, row in table(original).items() if all(row[a] == ("1" if v else "-1") for a, v in wanted.items())
    ]
    assert 0 < len(expected) < COUNT
    assert names(datasets.find(original, attributes=wanted)) == expected


def test_splits_partition_the_pictures_in_the_official_proportions(original):
    parts = {split: names(datasets.find(original, split=split)) for split in ("train", "valid", "test")}
    assert sorted(itertools.chain(*parts.values())) == names(datasets.find(original))
    assert len(parts["train"]) == -(-COUNT * 162_770 // 202_599)
    both = datasets.find(original, split="train", attributes={"Young": True})
    assert names(both) == [name for name in parts["train"] if table(original)[name]["Young"] == "1"]


def test_the_subfolders_of_the_distribution_and_archives_are_found(celeba):
    expected = datasets.load(celeba, 16).images
    for part in ("Anno", "Eval", "Img"):
        (celeba / part).mkdir()
    (celeba / "list_attr_celeba.txt").rename(celeba / "Anno/list_attr_celeba.txt")
    (celeba / "list_eval_partition.txt").rename(celeba / "Eval/list_eval_partition.txt")
    shutil.make_archive(str(celeba / "Img/img_align_celeba"), "zip", celeba, "img_align_celeba")
    shutil.rmtree(celeba / "img_align_celeba")
    assert np.array_equal(datasets.load(celeba, 16).images, expected)
    young = datasets.find(celeba, attributes={"Young": True}, split="train")
    assert names(young)[0].startswith("img_align_celeba/") and 0 < len(young) < COUNT


def test_pictures_that_the_lists_name_and_the_folder_lacks_are_reported_once(celeba):
    for i in (3, 7):
        (celeba / f"img_align_celeba/{i:06}.jpg").unlink()
    listing = datasets.find(celeba, split="train")
    assert listing.notes[1:] == ("2 pictures that the lists name are not there",) and not listing.skipped


# The copies that go round


def as_csv(text: str, mark: str = ",", quote: str = "", index: bool = False) -> str:
    """A list as a table with column names, as sites for data distribute it and spreadsheets save it."""
    rows = [line.split() for line in text.splitlines()]
    rows = rows[1:] if len(rows[0]) == 1 else [["partition"], *rows]
    rows[0] = ["image_id", *rows[0]]
    if index:
        rows = [[*([""] if i == 0 else [str(i - 1)]), *row] for i, row in enumerate(rows)]
    return "".join(mark.join(f"{quote}{cell}{quote}" for cell in row) + "\n" for row in rows)


def zeros(text: str) -> str:
    return text.replace(" -1", "  0")


COPIES = {
    "csv": (".csv", as_csv),
    "csv of a spreadsheet": (".csv", lambda text: "\ufeff" + as_csv(text, ";").replace("\n", "\r\n") + ";\r\n"),
    "filled up by a spreadsheet": (
        ".csv",
        lambda text: (f"{COUNT},,,\n" if "Male" in text else "") + as_csv(text).replace("\n", ",,\n"),
    ),
    "quoted": (".csv", lambda text: as_csv(text, quote='"')),
    "with an index": (".csv", lambda text: as_csv(text, index=True)),
    "zeros": (".txt", zeros),
    "csv of zeros": (".csv", lambda text: as_csv(zeros(text))),
    "floats": (".csv", lambda text: as_csv(text.replace(" 1", " 1.0").replace("-1", "-1.0"))),
    "windows": (".txt", lambda text: text.replace("\n", "\r\n")),
    "old mac": (".txt", lambda text: text.replace("\n", "\r")),
    "tabs": (".txt", lambda text: re.sub(" +", "\t", text)),
    "bom": (".txt", lambda text: "\ufeff" + text),
    "blank lines": (".txt", lambda text: "\n" + text.replace("\n", "  \n\n") + "\n  \n\n"),
    "utf-16": (".txt", lambda text: text.encode("utf-16")),
    "utf-16 without a mark": (".txt", lambda text: text.encode("utf-16-le")),
    "zipped": (".csv.zip", lambda text: zipped("x.csv", as_csv(text))),
    "gzipped": (".txt.gz", lambda text: gzip.compress(text.encode())),
    "downloaded twice": (" (1).txt", lambda text: text),
    "upper case": (".TXT", lambda text: text),
    "folders in names": (".txt", lambda text: re.sub(r"^0", "img_align_celeba/0", text, flags=re.M)),
    "other suffixes": (".txt", lambda text: text.replace(".jpg", ".png")),
}


def zipped(name: str, text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"__MACOSX/._{name}", "x")
        archive.writestr(name, text)
    return stream.getvalue()


@pytest.mark.parametrize("copy", COPIES)
def test_every_copy_of_the_lists_selects_the_same(celeba, copy):
    how = {"attributes": {"Smiling": True, "Male": False}, "split": "train"}
    expected = names(datasets.find(celeba, **how))
    suffix, change = COPIES[copy]
    for name in ("list_attr_celeba", "list_eval_partition"):
        text = (celeba / f"{name}.txt").read_text()
        (celeba / f"{name}.txt").unlink()
        content = change(text)
        (celeba / f"{name}{suffix}").write_bytes(content if isinstance(content, bytes) else content.encode())
    found = datasets.find(celeba, **how)
    assert 0 < len(expected) < COUNT and names(found) == expected
    assert f"list_attr_celeba{suffix}" in found.notes[0] and f"list_eval_partition{suffix}" in found.notes[0]


def nest(celeba: Path) -> Path:
    (celeba / "img_align_celeba").rename(celeba / "x")
    (celeba / "img_align_celeba").mkdir()
    (celeba / "x").rename(celeba / "img_align_celeba/img_align_celeba")
    return celeba


def packed_as_one(celeba: Path, top: str = "") -> Path:
    with zipfile.ZipFile(celeba.parent / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (path for path in sorted(celeba.rglob("*")) if path.is_file()):
            archive.write(path, f"{top}{path.relative_to(celeba)}")
            archive.writestr(f"__MACOSX/{top}._{path.name}", "x")
    shutil.rmtree(celeba)
    return celeba.parent / "archive.zip"


def renamed(celeba: Path, suffix: str) -> Path:
    for path in (celeba / "img_align_celeba").iterdir():
        path.rename(path.with_suffix(suffix))
    return celeba


def flattened(celeba: Path) -> Path:
    for path in (celeba / "img_align_celeba").iterdir():
        path.rename(celeba / path.name)
    (celeba / "img_align_celeba").rmdir()
    return celeba


def moved_lists(celeba: Path, place: str) -> Path:
    (celeba / place).mkdir(exist_ok=True)
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        (celeba / name).rename(celeba / place / name)
    return celeba


LAYOUTS = {
    "nested twice": nest,
    "one archive": packed_as_one,
    "one archive with a top folder": lambda celeba: packed_as_one(celeba, "celeba/"),
    "nested in one archive": lambda celeba: packed_as_one(nest(celeba)),
    "upper-case suffixes": lambda celeba: renamed(celeba, ".JPG"),
    "other suffixes": lambda celeba: renamed(celeba, ".png"),
    "the folder that holds it": lambda celeba: celeba.parent,
    "the folder of pictures": lambda celeba: celeba / "img_align_celeba",
    "the inner one of two": lambda celeba: nest(celeba) / "img_align_celeba/img_align_celeba",
    "lists among the pictures": flattened,
    "lists in the folder of pictures": lambda celeba: moved_lists(celeba, "img_align_celeba"),
    "lists in Eval": lambda celeba: moved_lists(celeba, "Eval"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_selects_the_same_and_counts_the_rest(celeba, layout):
    how = {"attributes": {"Smiling": True, "Male": False}, "split": "train"}
    expected = [Path(name).stem for name in names(datasets.find(celeba, **how))]
    found = datasets.find(LAYOUTS[layout](celeba), **how)
    assert 0 < len(expected) < COUNT and [Path(name).stem for name in names(found)] == expected
    left = dict(found.omitted)
    assert left["not asked for"] == COUNT - len(expected) and "not in the lists" not in left
    assert len(read(found, 8)) == len(expected)


def test_pictures_that_no_list_names_are_counted_and_so_is_what_lies_beside(celeba):
    shutil.copy(celeba / "img_align_celeba/000001.jpg", celeba / "img_align_celeba/extra.jpg")
    shutil.copy(celeba / "img_align_celeba/000001.jpg", celeba / "img_align_celeba/000002.png")
    shutil.copy(celeba / "img_align_celeba/000001.jpg", celeba / "poster.jpg")
    found = datasets.find(celeba, split="train")
    assert names(found) == [f"{i + 1:06}.jpg" for i in range(len(found))]  # 000002.jpg, as the list spells it
    left = dict(found.omitted)
    assert left["not in the lists"] == left["beside the pictures"] == 1
    assert left["no picture (.txt)"] == 2
    assert len(found) + sum(left.values()) == sum(path.is_file() for path in celeba.rglob("*"))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("list_attr_celeba.txt", lambda text: text.replace("-1", " 0", 1), "both -1 and 0"),
        ("list_eval_partition.txt", lambda text: text.replace(".jpg 0", ".jpg 7", 1), "line 1: expected a name and"),
        ("list_attr_celeba.txt", lambda text: text.split("\n", 2)[2], "does not begin with a count"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(celeba, file, change, message):
    (celeba / file).write_text(change((celeba / file).read_text()))
    wanted = dict.fromkeys(ATTRIBUTES, False)
    with pytest.raises(ValueError, match=message):
        datasets.find(celeba, attributes=wanted, split="train")


# Damage


@given(data=st.data())
def test_no_list_does_harm(data):
    """Whatever is changed in a list, it is read, or refused in words that name it."""
    text = "4\nSmiling Male \n" + "".join(f"{i:06}.jpg {1 if i % 2 else -1:2d} -1\n" for i in range(1, 5))
    made = [text.encode(), as_csv(text).encode(), text.encode("utf-16"), gzip.compress(text.encode())]
    content = bytearray(data.draw(st.sampled_from(made)))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"", b"\n", b'"', b",", b"\0", b"7;"])
        )
    found = List("the list", bytes(content))
    for read_list in (lambda: found.with_attributes({"Smiling": True}), lambda: found.in_split("train")):
        try:
            listed, wanted = read_list()
            assert set(wanted) <= set(listed)
        except ValueError as error:
            assert "the list" in str(error) or "attribute" in str(error)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("list_attr_celeba.txt", lambda t: t.replace(str(COUNT), "7", 1), "announces 7 pictures and lists 20"),
        ("list_attr_celeba.txt", lambda t: "", "does not begin with a count"),
        ("list_attr_celeba.txt", lambda t: t.replace("000003.jpg", "000003.jpg 1"), "line 5: expected a name and 40"),
        ("list_attr_celeba.txt", lambda t: t.replace(" 1", " 2"), "times 1 or -1"),
        ("list_attr_celeba.txt", lambda t: "\xff" + t, "no plain text"),
        ("list_eval_partition.txt", lambda t: t.replace("000004.jpg 0", "000004.jpg 3"), "line 4: expected a name and"),
    ],
)
def test_damaged_lists_are_refused_by_line(celeba, file, change, message):
    (celeba / file).write_text(change((celeba / file).read_text()), encoding="latin-1")
    with pytest.raises(ValueError, match=message):
        datasets.find(celeba, attributes={"Smiling": True}, split="train")


def test_wrong_questions_are_answered(celeba, tmp_path):
    with pytest.raises(ValueError, match="Did you mean 'Smiling'"):
        datasets.find(celeba, attributes={"smiling": True})
    with pytest.raises(ValueError, match="'valid'"):
        datasets.find(celeba, split="validate")
    with pytest.raises(ValueError, match="ask for less"):
        datasets.find(celeba, attributes=dict.fromkeys(ATTRIBUTES, True))
    (tmp_path / "faces").mkdir()
    shutil.copy(celeba / "img_align_celeba/000001.jpg", tmp_path / "faces/1.jpg")
    with pytest.raises(ValueError, match=r"CelebA's, and .* has not its layout"):
        datasets.find(tmp_path / "faces", attributes={"Smiling": True})
    (celeba / "list_attr_celeba.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"list_attr_celeba\.txt is not in"):
        datasets.find(celeba, attributes={"Smiling": True})
    with pytest.raises(FileNotFoundError, match="img_align_celeba"):
        datasets.list_celeba(tmp_path)


# Crops


def test_crops_keep_what_they_say(tmp_path):
    pixels = np.zeros((218, 178, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(178), np.arange(218)[:, None]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    corners = {"center": (20, 0), "center178": (20, 0), "face128": (57, 25)}
    for crop, (top, left) in corners.items():
        edge = 128 if crop == "face128" else 178
        kept = datasets.load(tmp_path, edge, crop=crop).images[0]
        assert np.array_equal(kept, pixels[top : top + edge, left : left + edge]), crop
    whole = datasets.load(tmp_path, 2, crop="none").images[0, ..., :2].astype(float)
    halves = pixels.reshape(2, 109, 2, 89, 3).mean(axis=(1, 3))[..., :2]
    assert np.abs(whole - halves).max() <= 1
    np.save(tmp_path / "rows.npy", pixels[None])
    for crop in ("center178", "face128"):
        assert np.array_equal(
            datasets.load(tmp_path / "rows.npy", 64, crop=crop).images, datasets.load(tmp_path, 64, crop=crop).images
        )


def test_pictures_smaller_than_their_crop_are_skipped(tmp_path):
    Image.fromarray(np.full((218, 178), 9, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((184, 178), 9, np.uint8)).save(tmp_path / "b.png")
    pictures = datasets.load(tmp_path, 32, crop="face128")
    assert len(pictures) == 1
    assert "178 x 184 pixels are too few" in pictures.skipped[0].reason
    with pytest.raises(ValueError, match="Did you mean 'face128'"):
        datasets.load(tmp_path, 32, crop="face12")


@given(st.sampled_from(("center", "center178", "face128", "none")), st.integers(1, 300), st.integers(1, 300))
def test_a_crop_lies_inside_or_is_refused(crop, width, height):
    try:
        left, top, right, bottom = crop_box(crop, width, height)
    except ValueError:
        assert min(width, height) < 185 and crop in ("center178", "face128")
    else:
        assert 0 <= left < right <= width and 0 <= top < bottom <= height


# Archives


def jpeg(level: int, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(stream, "png", **options)
    return stream.getvalue()


def make_archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "deflated.zip"])
def test_an_archive_reads_like_the_folder_it_was_made_from(original, tmp_path, kind):
    files = {f"faces/{path.name}": path.read_bytes() for path in (original / "img_align_celeba").iterdir()}
    extra = {"faces/notes.txt": b"no picture", "__MACOSX/._1.jpg": b"left behind"}
    compression = zipfile.ZIP_DEFLATED if kind.startswith("deflated") else zipfile.ZIP_STORED
    archive = make_archive(tmp_path / kind, files | extra, compression)
    before = sorted(tmp_path.iterdir())
    pictures = datasets.load(archive, 16)
    assert np.array_equal(pictures.images, datasets.load(original, 16).images)
    assert pictures.paths[0] == archive / "faces/000001.jpg" and not pictures.skipped
    assert sorted(tmp_path.iterdir()) == before


BAD_NAMES = ("../a.png", "faces/../../a.png", "/etc/a.png", "C:\\a.png", "..\\a.png", "a\x1b[2J.png")


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
def test_names_that_lead_outside_are_skipped_and_reported(tmp_path, kind):
    inside = tmp_path / "inside"
    inside.mkdir()
    archive = make_archive(inside / kind, {name: jpeg(1) for name in BAD_NAMES} | {"good.png": jpeg(2)})
    pictures = datasets.load(archive, 4)
    assert (pictures.images == 2).all() and len(pictures) == 1
    assert len(pictures.skipped) == len(BAD_NAMES)
    assert all(s.reason.startswith("its name") and str(s.path).isprintable() for s in pictures.skipped)
    assert all(archive in skipped.path.parents for skipped in pictures.skipped)
    assert sorted(tmp_path.rglob("*")) == [inside, archive]


def test_links_devices_and_duplicates_are_skipped(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (
            ("link.png", tarfile.SYMTYPE),
            ("hard.png", tarfile.LNKTYPE),
            ("pipe.png", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        for level in (5, 6):
            info = tarfile.TarInfo("twice.png")
            info.size = len(jpeg(level))
            archive.addfile(info, io.BytesIO(jpeg(level)))
    listing = datasets.find(tmp_path / "a.tar")
    assert names(listing) == ["twice.png"]
    assert sorted(s.path.name for s in listing.skipped) == ["hard.png", "link.png", "pipe.png", "twice.png"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("good.png", jpeg(3))
    assert [s.reason for s in datasets.find(tmp_path / "a.zip").skipped] == ["it is a link"]


def test_bombs_are_skipped_before_they_go_off(tmp_path, monkeypatch):
    members = {"bomb.png": b"\0" * 10**6, "good.png": jpeg(4)}
    archive = make_archive(tmp_path / "a.zip", members, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr("convexgan.datasets.archive.MAX_BYTES", 10**5)
    assert "claims more than 100,000 bytes" in datasets.load(archive, 4).skipped[0].reason
    # one that lies about its size: 1,000 bytes claimed in the index
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\1\2")
    content[at + 24 : at + 28] = struct.pack("<I", 1000)
    archive.write_bytes(content)
    assert "truncated or damaged" in datasets.load(archive, 4).skipped[0].reason


def test_damaged_members_are_skipped_and_damaged_archives_refused(tmp_path):
    archive = make_archive(tmp_path / "a.zip", {"a.png": jpeg(1), "b.png": jpeg(2)})
    content = bytearray(archive.read_bytes())
    content[45] ^= 1  # inside the first member
    archive.write_bytes(content)
    assert datasets.load(archive, 4).skipped[0].reason.startswith("its checksum differs")
    archive.write_bytes(content[:-30])
    with pytest.raises(ValueError, match=r"archive .*a\.zip cannot be read"):
        datasets.find(archive)
    (tmp_path / "a.tar").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read"):
        datasets.find(tmp_path / "a.tar")
    with pytest.raises(ValueError, match="holds no pictures"):
        datasets.find(make_archive(tmp_path / "b.zip", {"a.txt": b""}))
    (tmp_path / "a.tar.gz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"unpack it to a \.tar"):
        datasets.find(tmp_path / "a.tar.gz")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        datasets.list_archive(tmp_path / "none.zip")


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
@given(data=st.data())
def test_no_archive_does_harm(tmp_path_factory, kind, data):
    """Whatever is changed in an archive, its pictures come out, are skipped, or it is refused in words."""
    folder = tmp_path_factory.mktemp("fuzz")
    members = {f"{i}.png": jpeg(i) for i in range(3)}
    archive = make_archive(folder / kind, members, zipfile.ZIP_DEFLATED)
    content = bytearray(archive.read_bytes())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=8)):
        content[at] = value
    cut = data.draw(st.integers(len(content) // 2, len(content)))
    archive.write_bytes(content[:cut])
    try:
        pictures = read(datasets.find(archive), 4)
    except ValueError as error:
        assert kind in str(error)
    else:
        assert {int(level) for level in pictures.images[:, 0, 0].flat} <= {0, 1, 2} or kind == "a.tar"
        assert all(s.reason for s in pictures.skipped)
    assert list(folder.parent.glob("fuzz*/*")).count(archive) == 1 and len(list(folder.iterdir())) == 1


# Array files


@pytest.mark.parametrize("header", [(2**40, 8, 8), (10**12, 64, 64), (3, 2**16, 2**16)])
def test_giant_headers_are_refused(tmp_path, header):
    for name in ("a.npy", "a.npz"):
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": header})
        content = stream.getvalue() + b"\0" * 100
        if name.endswith("z"):
            content = make_archive(tmp_path / "b.zip", {"images.npy": content}).read_bytes()
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot be read|pixels here"):
            datasets.load(tmp_path / name)


def test_arrays_as_they_are_wanted_are_mapped_and_not_read(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4))
    assert isinstance(datasets.load(tmp_path / "a.npy").images, np.memmap)
    assert not isinstance(datasets.load(tmp_path / "a.npy", 2).images, np.memmap)
