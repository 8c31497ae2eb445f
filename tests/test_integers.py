"""Moments of integers are exact, whatever multiplies them and in whatever order they come."""

from __future__ import annotations

import numpy as np
import pytest

import convexgan as cg
from benchmarks._pictures import power_law
from convexgan._tools.rounding import gamma
from convexgan.progressive import passes, streaming, sums
from convexgan.progressive.device import DeviceFirstPass
from convexgan.progressive.passes import ArrayPictures
from convexgan.progressive.pyramid import box_sums
from convexgan.progressive.streaming import StageMoments
from convexgan.progressive.sums import FirstPass
from convexgan.statistics import integers
from convexgan.statistics.integers import TILE, add_bytes, int8_is_exact
from convexgan.statistics.moments import Moments

IMAGES = power_law(900, 16)


def saturated(n: int, d: int) -> np.ndarray:
    """Bytes whose products are as large as can be, for two thirds of the columns all of one sign, even and odd."""
    rows = np.random.default_rng(0).choice(np.array([0, 255], dtype=np.uint8), (n, d))
    rows[:, : d // 3], rows[:, d // 3 : -(-2 * d // 3)] = 0, 255
    return rows


def truth(rows: np.ndarray) -> np.ndarray:
    centred = rows.astype(np.int64) - 128
    return np.tril(centred.T @ centred)


@pytest.mark.parametrize("n", [1, 1024, 1025, 140_000])
@pytest.mark.parametrize("d", [1, 30])
@pytest.mark.parametrize("int8", [False, True])
def test_no_partial_sum_of_products_of_bytes_is_too_large(n, d, int8):
    if int8 and not int8_is_exact("cpu"):
        pytest.skip("this processor, or its torch, multiplies no int8")
    gram, rows = np.zeros((d, d)), saturated(n, d)
    add_bytes(gram, rows, int8)
    np.testing.assert_array_equal(np.tril(gram), truth(rows))


@pytest.mark.parametrize("d", [TILE - 1, TILE, TILE + 1, 2 * TILE + 5])
@pytest.mark.parametrize("int8", [False, True])
def test_tiles_of_columns_make_the_whole_lower_triangle(d, int8):
    if int8 and not int8_is_exact("cpu"):
        pytest.skip("this processor, or its torch, multiplies no int8")
    gram, rows = np.zeros((d, d)), np.random.default_rng(1).integers(0, 256, (50, d), dtype=np.uint8)
    add_bytes(gram, rows, int8)
    np.testing.assert_array_equal(np.tril(gram), truth(rows))


@pytest.mark.parametrize("fault", ["saturates", "is missing", "refuses"])
def test_products_of_int8_that_are_wrong_or_missing_are_not_used(monkeypatch, fault):
    torch = pytest.importorskip("torch")

    def saturating(a, b):  # pairs of products in sixteen bits, as of instructions before VNNI
        pairs = a.long()[:, ::2, None] * b.long()[None, ::2] + a.long()[:, 1::2, None] * b.long()[None, 1::2]
        return pairs.clamp(-(2**15), 2**15 - 1).sum(1).int()

    def refusing(a, b):
        raise RuntimeError("not implemented")

    if fault == "is missing":
        monkeypatch.delattr(torch, "_int_mm")
    else:
        monkeypatch.setattr(torch, "_int_mm", saturating if fault == "saturates" else refusing)
    int8_is_exact.cache_clear()
    assert not int8_is_exact("cpu")
    rows = saturated(3000, 40)
    np.testing.assert_array_equal(np.tril(Moments.from_array(rows)._data.sums.gram), truth(rows))
    int8_is_exact.cache_clear()


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 90, 10**6])
def test_integers_of_every_type_are_added_up_without_rounding(kind, offset):
    if offset > 200 and kind in (np.uint8, np.uint16):
        pytest.skip("larger than this type holds")
    rows = (np.random.default_rng(2).integers(0, 120, (5000, 7)) + offset).astype(kind)
    made = Moments.from_chunks(np.array_split(rows, 9))
    assert made._data.sums.moved == made._data.sums.shifted == 0
    centred = rows.astype(np.int64) - made._data.pilot.astype(np.int64)
    np.testing.assert_array_equal(np.tril(made._data.sums.gram), np.tril(centred.T @ centred))
    np.testing.assert_array_equal(made._data.sums.linear, centred.sum(axis=0))


def test_what_is_no_integer_or_too_large_is_not_called_exact():
    rng = np.random.default_rng(3)
    for rows in (rng.integers(0, 9, (50, 3)) + 0.5 * (np.arange(50) == 49)[:, None], rng.integers(0, 2**30, (50, 3))):
        made = Moments.from_array(rows.astype(float))
        assert made._data.sums.moved >= gamma(50) * made._data.sums.gram.trace()  # as of any sums of so many products


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("finest", [16, 8])
def test_every_level_follows_exactly_from_the_finest(monkeypatch, finest, grey):
    images = saturated(900, 768).reshape(900, 16, 16, 3)
    images = images[..., 0] if grey else images
    monkeypatch.setattr(StageMoments, "_is_complete", lambda self, size: size <= finest)
    stages = StageMoments(ArrayPictures(images), [4, 8, 16])
    for size in (s for s in (1, 2, 4, 8, 16) if s <= finest):
        made = stages._sums(size)
        whole = box_sums(images, size).reshape(900, -1).astype(np.int64)
        centred = whole - made._data.pilot.astype(np.int64)
        assert made._data.sums.moved == made._data.sums.shifted == 0
        np.testing.assert_array_equal(np.tril(made._data.sums.gram), np.tril(centred.T @ centred))
        np.testing.assert_array_equal(made._data.sums.linear, centred.sum(axis=0))


@pytest.mark.parametrize("base", [16, 8])
def test_orders_blocks_machines_and_devices_give_the_same_bits(base):
    def passed(parts, made):
        for part in parts:
            made.update(part)
        made.finish()
        return made

    order = np.random.default_rng(4).permutation(len(IMAGES))
    whole = passed([IMAGES], FirstPass(16, base, 3))
    shuffled = passed(np.array_split(IMAGES[order], 7), FirstPass(16, base, 3))
    merged = passed([IMAGES[800:]], FirstPass(16, base, 3))  # few enough that their rows are kept
    merged.add(passed(np.array_split(IMAGES[:800], 2), FirstPass(16, base, 3)))
    found = [whole, shuffled, merged]
    if int8_is_exact("cpu"):
        found.append(passed(np.array_split(IMAGES, 3), DeviceFirstPass(16, base, 3, "cpu")))
    for made in found[1:]:
        for name in ("mean", "second", "mean_error", "second_error"):
            np.testing.assert_array_equal(getattr(made.moments, name), getattr(whole.moments, name))


@pytest.mark.parametrize("complete", [768, 200])
def test_a_model_is_the_same_to_the_last_bit_in_any_order(monkeypatch, tmp_path, complete):
    """Of few enough numbers that passes add up integers only; vectors are multiplied in the order of the pictures."""
    monkeypatch.setattr(streaming, "COMPLETE", complete)
    sizes = [4, 8, 16] if complete == 768 else [4, 8]
    files = []
    for i, (images, block) in enumerate(((IMAGES, 1024), (IMAGES[::-1], 100))):
        monkeypatch.setattr(passes, "BLOCK", block)
        path = tmp_path / f"{i}.npz"
        cg.ProgressiveConvexGAN(sizes=sizes).fit(images).save(path)
        files.append(path.read_bytes())
    assert files[0] == files[1]


def test_torch_is_loaded_only_where_that_is_worth_it(monkeypatch):
    calls = []
    monkeypatch.setattr(integers, "int8_is_exact", lambda device: bool(calls.append(device)))
    monkeypatch.delitem(integers.sys.modules, "torch", raising=False)
    assert not integers.multiplies_int8(integers.WORTH * 0.99) and not calls
    assert not integers.multiplies_int8(integers.WORTH) and calls == ["cpu"]


def test_a_model_tells_what_multiplied_its_pixels(monkeypatch):
    model = cg.ProgressiveConvexGAN(ranks=[8, 20, 30])
    monkeypatch.setattr(sums, "multiplies_int8", lambda products: products == 900 * 768**2)
    assert model.fit(IMAGES).arithmetic_ == "int8"
    assert model.fit(IMAGES[:800]).arithmetic_ == "float32"
    assert model.fit(IMAGES / 127.5 - 1).arithmetic_ == "float64"
    assert model.fit(IMAGES[:70]).arithmetic_ == "none"
