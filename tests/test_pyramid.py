"""The pyramid keeps means and ranges, and refuses what it cannot halve."""

from __future__ import annotations

import numpy as np
import pytest

from convexgan.progressive.pyramid import box_pyramid, default_sizes, to_uint8, upsample


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("size", "sizes"), [(4, (4,)), (8, (4, 8)), (64, (4, 8, 16, 32, 64))])
def test_default_sizes_double_from_four(size, sizes):
    assert default_sizes(size) == sizes


@pytest.mark.parametrize("size", [0, 2, 3, 6, 12, 28, 100])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=rf"size {size} is not 4, 8, 16"):
        default_sizes(size)


@pytest.mark.parametrize("shape", [(5, 16, 16), (5, 16, 16, 3)])
def test_levels_come_coarsest_first_and_keep_every_picture_mean(shape):
    images = noise(*shape)
    levels = box_pyramid(images)
    assert list(levels) == [4, 8, 16]
    expected = (images / 127.5 - 1).mean(axis=(1, 2))
    for size, level in levels.items():
        assert level.shape == (5, size, size, *shape[3:])
        assert level.dtype == np.float32
        np.testing.assert_allclose(level.mean(axis=(1, 2)), expected, atol=1e-6)


def test_each_pixel_is_the_mean_of_its_box():
    images = noise(3, 32, 32, 3)
    expected = (images / 127.5 - 1).reshape(3, 4, 8, 4, 8, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(box_pyramid(images)[4], expected, atol=1e-6)


def test_black_and_white_are_minus_one_and_one():
    levels = box_pyramid(np.stack([np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)]))
    for level in levels.values():
        assert (level[0] == -1).all()
        assert (level[1] == 1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_keep_their_type_and_values(dtype):
    images = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8)).astype(dtype)
    before = images.copy()
    levels = box_pyramid(images)
    assert {level.dtype for level in levels.values()} == {np.dtype(dtype)}
    assert (levels[8] == images).all()
    assert (images == before).all()


def test_chosen_sizes():
    levels = box_pyramid(noise(2, 28, 28), sizes=(7, 28))
    assert list(levels) == [7, 28]
    for sizes in [(4, 28), (28, 7), (7, 7), (56,), ()]:
        with pytest.raises(ValueError, match=r"among \[7, 14, 28\]"):
            box_pyramid(noise(2, 28, 28), sizes=sizes)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8)), r"shape \(8, 8\)"),
        (np.zeros((2, 8, 8, 4)), r"shape \(2, 8, 8, 4\)"),
        (np.zeros((0, 8, 8)), r"shape \(0, 8, 8\)"),
        (np.zeros((2, 8, 16)), "not square: crop to 8"),
        (np.zeros((2, 12, 12)), "size 12 is not"),
        (np.zeros((2, 8, 8), dtype=np.int64), "dtype int64"),
        (np.full((2, 8, 8), 1.5), r"scale to \[-1, 1\]"),
        (np.full((2, 8, 8), np.nan), r"scale to \[-1, 1\]"),
    ],
)
def test_what_is_no_picture_is_refused(images, message):
    with pytest.raises(ValueError, match=message):
        box_pyramid(images)


@pytest.mark.parametrize("channels", [1, 3])
def test_upsampling_repeats_pixels_and_halving_undoes_it(channels):
    pictures = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, channels))
    rows = upsample(pictures.reshape(2, -1), 4, channels)
    enlarged = rows.reshape(2, 8, 8, channels)
    assert (enlarged == pictures.repeat(2, axis=1).repeat(2, axis=2)).all()
    images = enlarged if channels == 3 else enlarged[..., 0]
    np.testing.assert_allclose(box_pyramid(images)[4].reshape(2, -1), pictures.reshape(2, -1), atol=1e-15)


def test_upsampling_refuses_another_shape():
    with pytest.raises(ValueError, match=r"expected \(n, 48\)"):
        upsample(np.zeros((2, 16)), 4, 3)


def test_eight_bits_come_back_and_overshoot_is_clipped():
    images = noise(2, 8, 8)
    assert (to_uint8(box_pyramid(images)[8]) == images).all()
    assert to_uint8(np.array([-3.0, -1.0, 0.0, 1.0, 1.7])).tolist() == [0, 0, 128, 255, 255]
    with pytest.raises(ValueError, match="NaN"):
        to_uint8(np.array([np.nan]))
