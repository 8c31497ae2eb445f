"""Metrics of pictures against second routes (torchmetrics, scipy, brute force), their floors and their intervals."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

import convexgan as cg
from convexgan._tools.files import read_model, write_model
from convexgan.datasets import Cache, build_cache, find, load, tasks
from convexgan.metrics import (
    Extractor,
    Features,
    Report,
    Result,
    evaluate,
    extractors,
    features,
    frechet_distance,
    kernel_distance,
    nearest_neighbours,
    precision_recall,
    reference,
    sliced_wasserstein,
)
from convexgan.metrics import kernel as kernel_file
from convexgan.metrics.blocks import Bootstrap, measure, split
from convexgan.metrics.frechet import distance, merged
from convexgan.metrics.manifold import covered, reached_by_others
from convexgan.metrics.neighbours import mutual, nearest
from convexgan.metrics.shares import measure_share
from convexgan.metrics.sliced import DIRECTIONS, Slices, laplacian, projections
from convexgan.plotting import save_image

GIVEN = Extractor("given", lambda images: images.reshape(len(images), -1))
FAST: dict[str, Any] = {"resamples": 4}
shapes = st.tuples(st.integers(40, 70), st.integers(40, 70), st.integers(1, 5), st.integers(0, 1000))


def rows_of(*shape: int, seed: int = 0) -> np.ndarray:
    """Correlated rows that are not centred."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) @ rng.standard_normal((shape[1], shape[1])) + rng.standard_normal(shape[1])


def known(rows: np.ndarray) -> Features:
    return Features(rows, "given", (8, 8))


def pictures(n: int, size: int = 8, seed: int = 0, color: bool = False) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, *[3] * color), dtype=np.uint8)


def quiet_frechet(*arguments: Any, **options: Any) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return frechet_distance(*arguments, **options)


class Net:
    """A random-weight torch net from bytes (n, 3, h, w) to 24 features in float64."""

    def __new__(cls, width: int = 24) -> Any:
        import torch

        torch.manual_seed(0)
        layers = (torch.nn.Conv2d(3, width, 4, stride=4), torch.nn.Tanh(), torch.nn.AdaptiveAvgPool2d(1))

        class Random(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.num_features = width
                self.layers = torch.nn.Sequential(*layers, torch.nn.Flatten()).double()

            def forward(self, images: Any) -> Any:
                return 10 * self.layers(images.double() / 128 - 1)

        return Random()


# -- Frechet -------------------------------------------------------------------------------------------------------


@given(shapes)
def test_frechet_distance_is_that_of_the_formula(shape: tuple[int, ...]) -> None:
    n, m, d, seed = shape
    X, Y = rows_of(n, d, seed=seed), rows_of(m, d, seed=seed + 1)
    A, B = (np.atleast_2d(np.cov(rows.T)) for rows in (X, Y))
    shift = X.mean(0) - Y.mean(0)
    expected = shift @ shift + np.trace(A + B) - 2 * np.trace(sqrtm(A @ B)).real
    found = frechet_distance(known(X), known(Y), GIVEN, **FAST)
    assert found.value == pytest.approx(expected, rel=1e-7)
    assert (found.metric, found.real, found.fake, found.extractor, found.note) == ("FD-given", n, m, "given", "")


def test_frechet_and_kernel_distances_agree_with_torchmetrics() -> None:
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    real, fake = pictures(60, 16, 0, color=True), pictures(60, 16, 1, color=True) // 2
    net = Net()
    with pytest.warns(UserWarning, match="save all extracted features"):
        fid, kid = FrechetInceptionDistance(net), KernelInceptionDistance(net, subsets=1, subset_size=60)
    for images, is_real in ((real, True), (fake, False)):
        for metric in (fid, kid):
            metric.update(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), real=is_real)
    look = extractors.torch_module(net, "random")
    assert frechet_distance(real, fake, look, **FAST).value == pytest.approx(float(fid.compute()), rel=1e-7)
    assert kernel_distance(real, fake, look, **FAST).value == pytest.approx(float(kid.compute()[0]), rel=1e-7)


def test_a_net_of_the_shape_of_inception_is_not_called_fid() -> None:
    look = extractors.torch_module(Net(2048), "random-2048")
    real, fake = pictures(30, 16, 0, color=True), pictures(20, 16, 1, color=True)
    found = quiet_frechet(real, fake, look, **FAST)
    assert found.metric == "FD-random-2048" and "2048 features" in found.note
    assert kernel_distance(real, fake, look, **FAST).metric == "KD-random-2048"
    F, G = ((rows - rows.mean(0)) / np.sqrt(len(rows) - 1) for rows in (features(x, look).rows for x in (real, fake)))
    shift = features(real, look).rows.mean(0) - features(fake, look).rows.mean(0)
    nuclear = np.sqrt(np.maximum(np.linalg.eigvals(F @ G.T @ G @ F.T).real, 0)).sum()
    assert found.value == pytest.approx(shift @ shift + np.sum(F**2) + np.sum(G**2) - 2 * nuclear, rel=1e-6)


def test_too_few_pictures_warn_and_say_so_in_the_note() -> None:
    images = pictures(60)
    with pytest.warns(UserWarning, match="30 pictures for 64 features"):
        found = frechet_distance(images[:30], images[30:], **FAST)
    assert "30 pictures for 64 features" in found.note
    assert found.floor > found.value / 2  # the same law: all of it is bias
    report = evaluate(images[:30], images[30:], ["frechet"], **FAST)  # here the note speaks, no warning
    assert found.note in report.notes[0] and report.notes[0] in str(report)


def test_counted_blocks_are_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal((k + 2, 3)) + k for k in range(4)]
    counts = np.array([2, 0, 1, 3])
    repeated = np.concatenate([part for part, c in zip(parts, counts, strict=True) for _ in range(c)])
    blocks = [cg.Moments.from_array(part) for part in parts]
    other = cg.Moments.from_array(rng.standard_normal((9, 3)))
    expected = distance(cg.Moments.from_array(repeated), other)
    assert distance(merged(blocks, counts), other) == pytest.approx(expected, rel=1e-10)


# -- kernel --------------------------------------------------------------------------------------------------------


@given(shapes)
def test_kernel_distance_is_the_mean_over_all_pairs(shape: tuple[int, ...]) -> None:
    n, m, d, seed = shape
    X, Y = rows_of(n, d, seed=seed), rows_of(m, d, seed=seed + 1)

    def k(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        return (A @ B.T / d + 1) ** 3

    own = [(k(A, A).sum() - np.trace(k(A, A))) / (len(A) * (len(A) - 1)) for A in (X, Y)]
    expected = sum(own) - 2 * k(X, Y).mean()
    found = kernel_distance(known(X), known(Y), GIVEN, **FAST)
    assert found.value == pytest.approx(expected, rel=1e-9, abs=1e-9 * sum(own))


def test_kernel_sums_do_not_depend_on_how_rows_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = known(rows_of(50, 3)), known(rows_of(40, 3, seed=1))
    whole = kernel_distance(X, Y, GIVEN, **FAST)
    monkeypatch.setattr(kernel_file, "ENTRIES", 150)
    cut = kernel_distance(X, Y, GIVEN, **FAST)
    assert (cut.value, cut.low, cut.floor) == pytest.approx((whole.value, whole.low, whole.floor), rel=1e-9)


def test_kernel_means_of_counted_blocks_leave_out_pairs_of_copies() -> None:
    X, sizes, counts = rows_of(9, 2), np.array([2, 3, 4]), np.array([2, 0, 3])
    block = np.repeat(np.arange(3), sizes)
    index = np.concatenate([np.flatnonzero(block == b) for b in range(3) for _ in range(counts[b])])
    copy = np.concatenate([np.full(sizes[b], 10 * b + c) for b in range(3) for c in range(counts[b])])
    pairs = [
        (X[index[i]] @ X[index[j]] / 2 + 1) ** 3
        for i in range(len(index))
        for j in range(len(index))
        if (copy[i] == copy[j] and index[i] != index[j]) or block[index[i]] != block[index[j]]
    ]
    sums = kernel_file.kernel_sums(X, sizes, X, sizes)
    assert kernel_file._same(sums, kernel_file._own(X, sizes), sizes, counts) == pytest.approx(np.mean(pairs))


# -- sliced --------------------------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_slices_are_the_one_dimensional_distances(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, Y = rng.integers(-3, 4, (n, 5)).astype(float), rng.standard_normal((m, 5))  # with ties
    u, v = rng.random(n) + 0.01, rng.random(m) + 0.01
    found = Slices(np.concatenate([X, Y])).distance(np.concatenate([u / u.sum(), -v / v.sum()]))
    expected = np.mean([wasserstein_distance(X[:, j], Y[:, j], u, v) for j in range(5)])
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_sliced_distance_at_each_level() -> None:
    real, fake = pictures(40, 16), pictures(30, 16, 1) // 2
    found = sliced_wasserstein(real, fake, **FAST)
    assert [result.metric for result in found] == ["sliced W1 at 4", "sliced W1 at 8", "sliced W1 at 16"]
    left, right = projections(real, "real", 0)[0], projections(fake, "fake", 0)[0]
    for size, result in zip((4, 8, 16), found, strict=True):
        pairs = zip(left[size].T, right[size].T, strict=True)
        assert result.value == pytest.approx(np.mean([wasserstein_distance(p, q) for p, q in pairs]), rel=1e-9)
        assert left[size].shape == (40, DIRECTIONS)


def test_projections_are_along_unit_vectors() -> None:
    black = np.full((8, 4, 4), -1.0)
    lit = black.copy()
    lit[:, 0, 0] = 1.0
    moved = projections(lit, "lit", 0)[0][4] - projections(black, "black", 0)[0][4]
    units = [projections(np.where(np.arange(16).reshape(4, 4) == i, 1.0, -1.0)[None], "", 0)[0][4] for i in range(16)]
    rows = np.concatenate(units) - projections(black[:1], "black", 0)[0][4]
    np.testing.assert_allclose(moved[0], rows[0], atol=1e-12)
    np.testing.assert_allclose(np.sum((rows / 2) ** 2, axis=0), 1, rtol=1e-12)


@pytest.mark.parametrize(("size", "levels"), [(16, [4, 8, 16]), (12, [6, 12]), (9, [9])])
@pytest.mark.parametrize("color", [False, True])
def test_pyramid_levels_add_up_to_the_picture(size: int, levels: list[int], color: bool) -> None:
    images = pictures(3, size, color=color) / 127.5 - 1
    found = laplacian(images)
    assert list(found) == levels if size != 12 else list(found)[-1] == 12
    total: Any = 0.0
    for level, rows in found.items():
        detail = rows.reshape(3, level, level, -1)
        total = detail + (np.kron(total, np.ones((1, 2, 2, 1))) if np.ndim(total) else 0)
    np.testing.assert_allclose(total.reshape(images.shape), images, atol=1e-12)


# -- precision, recall, neighbours ---------------------------------------------------------------------------------


@given(shapes, st.integers(1, 5))
def test_precision_and_recall_by_brute_force(shape: tuple[int, ...], k: int) -> None:
    n, m, d, seed = shape
    X, Y = rows_of(n, d, seed=seed), rows_of(m, d, seed=seed + 1)

    def share(queries: np.ndarray, centres: np.ndarray) -> float:
        radii = np.sort(cdist(centres, centres), axis=1)[:, k]
        return float((cdist(queries, centres) <= radii).any(1).mean())

    found = precision_recall(known(X), known(Y), GIVEN, neighbours=k)
    assert (found.precision.value, found.recall.value) == (share(Y, X), share(X, Y))


def test_precision_and_recall_tell_missing_modes_from_bad_pictures() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.standard_normal((200, 2)), rng.standard_normal((200, 2)) + 100
    both = known(np.concatenate([one, two]))
    half = precision_recall(both, known(rng.standard_normal((400, 2))), GIVEN)
    assert half.precision.value > 0.9 and half.recall.value < 0.55
    doubled = precision_recall(known(one), known(np.concatenate([one + 0.01, two])), GIVEN)
    assert doubled.precision.value == 0.5 and doubled.recall.value > 0.9
    far = precision_recall(known(one), known(two), GIVEN)
    assert (far.precision.value, far.recall.value) == (0, 0) and far.precision.floor > 0.8


@given(shapes)
def test_nearest_neighbours_by_brute_force(shape: tuple[int, ...]) -> None:
    n, m, d, seed = shape
    X, Y = rows_of(n, d, seed=seed), rows_of(m, d, seed=seed + 1)
    found = nearest_neighbours(known(X), known(Y), GIVEN)
    D, own = cdist(Y, X), np.sort(cdist(X, X), axis=1)[:, 1]
    np.testing.assert_array_equal(found.indices, D.argmin(1))
    np.testing.assert_allclose(found.distances, D.min(1), rtol=1e-6)
    assert found.copies.value == np.mean(D.min(1) <= own[D.argmin(1)])


def test_a_memory_of_the_training_set_is_found_out() -> None:
    X, fresh = rows_of(300, 4), rows_of(300, 4)
    fresh = fresh[np.random.default_rng(1).permutation(300)] + 1e-4
    rng = np.random.default_rng(5)
    new = known(rng.standard_normal((300, 4)))
    with pytest.warns(UserWarning, match="100% of the fakes are nearer to a training picture .* copies") as caught:
        assert nearest_neighbours(known(X), known(fresh), GIVEN).copies.value > 0.99
    assert caught[0].filename == __file__
    assert "copies: 100% of the fakes" in str(evaluate(known(X), known(fresh), ["copies"], GIVEN))
    honest = nearest_neighbours(known(rng.standard_normal((300, 4))), new, GIVEN).copies
    assert honest.floor_low <= honest.value <= honest.floor_high and abs(honest.floor - 0.5) < 0.15


# -- floors and intervals ------------------------------------------------------------------------------------------


def test_floor_of_a_metric_is_its_mean_over_real_halves_brought_to_the_sizes_of_the_value() -> None:
    real = pictures(96, 4)
    half = [quiet_frechet(real[i::2], real[1 - i :: 2], **FAST).value for i in (0, 1)]
    found = quiet_frechet(real, pictures(96, 4, 1), **FAST)
    assert found.floor_sizes == (48, 48)
    assert found.floor == pytest.approx(np.mean(half) / 2, rel=0.2)
    few = kernel_distance(real, pictures(12, 4, 1), **FAST)
    assert few.floor_sizes == (84, 12)
    cells = str(evaluate(real, pictures(96, 4, 1), ["kernel", "copies"], **FAST)).splitlines()
    assert [line.split()[-1] for line in cells[:3]] == ["floor-of", "48+48", "95+96"]


def normal(n: int, d: int, seed: int, scale: float = 1.0) -> Features:
    return known(scale * np.random.default_rng(seed).standard_normal((n, d)))


@pytest.mark.parametrize(("n", "m", "d"), [(200, 200, 8), (120, 360, 6), (360, 90, 6)])
def test_a_perfect_generator_lies_within_the_interval_of_the_floor_nine_times_in_ten(n: int, m: int, d: int) -> None:
    """0.95 each; of 30 draws fewer than 24 hits have probability 0.003."""
    inside: dict[str, list[bool]] = {}
    for seed in range(30):
        real, fake = normal(n, d, 2 * seed), normal(m, d, 2 * seed + 1)
        report = evaluate(real, fake, ["frechet", "kernel", "precision-recall", "copies"], GIVEN, resamples=40)
        for r in report.results:
            inside.setdefault(r.metric, []).append(r.floor_low <= r.value <= r.floor_high)
    assert {metric: sum(hits) for metric, hits in inside.items() if sum(hits) < 24} == {}


def test_a_wrong_spread_of_a_twentieth_is_seen_where_the_floor_has_the_sizes_of_the_value() -> None:
    seen, values, floors = 0, [], []
    for seed in range(5):
        real = normal(1000, 64, 3 * seed)
        right, wrong = (
            frechet_distance(real, normal(1000, 64, 3 * seed + i, sd), GIVEN, resamples=40)
            for i, sd in ((1, 1.0), (2, 1.05))
        )
        seen += wrong.value > wrong.floor_high
        values.append(right.value)
        floors.append(right.floor)
    assert seen >= 4
    assert np.mean(floors) == pytest.approx(np.mean(values), rel=0.03)  # and not twice as large


@pytest.mark.parametrize("m", [40, 160, 640])
def test_the_floor_of_a_sliced_distance_falls_like_the_root_of_the_sizes(m: int) -> None:
    found = [
        sliced_wasserstein(pictures(160, 4, seed), pictures(m, 4, seed + 9), resamples=30, rng=seed)[0]
        for seed in range(6)
    ]
    values, floors = np.mean([[r.value, r.floor] for r in found], axis=0)
    assert floors == pytest.approx(values, rel=0.12)


@given(shapes, st.integers(1, 4))
def test_real_pictures_are_judged_as_if_each_were_new(shape: tuple[int, ...], k: int) -> None:
    n, _, d, seed = shape
    X = rows_of(n, d, seed=seed)
    others = [(X[i : i + 1], np.delete(X, i, axis=0)) for i in range(n)]
    assert reached_by_others(X, k).tolist() == [bool(covered(x, rest, k)[0]) for x, rest in others]
    copies = []
    for x, rest in others:
        distance, index, own = nearest(x, rest)
        copies.append(bool(distance[0] <= own[index[0]]))
    assert mutual(X).tolist() == copies


def test_a_floor_of_fewer_balls_than_the_value_says_so() -> None:
    found = precision_recall(normal(50, 3, 0), normal(200, 3, 1), GIVEN)
    assert found.recall.floor_sizes == (49, 50) and "balls of 49 real pictures, the value of 200" in found.recall.note
    assert found.precision.note == "" and precision_recall(normal(50, 3, 0), normal(30, 3, 1), GIVEN).recall.note == ""


@pytest.mark.parametrize(("resamples", "level"), [(5, 4 / 6), (38, 37 / 39), (39, 0.95), (100, 0.95)])
def test_a_few_draws_are_not_called_an_interval_of_95_percent(resamples: int, level: float) -> None:
    """The range of B draws holds one more with probability (B - 1) / (B + 1)."""
    found = kernel_distance(pictures(40, 4), pictures(40, 4, 1), resamples=resamples)
    assert found.level == pytest.approx(level)
    rng, inside = np.random.default_rng(0), 0
    for _ in range(4000):
        *draws, last = rng.standard_normal(resamples + 1)
        low, high = Bootstrap(resamples).ends(draws)
        inside += low <= last <= high
    assert inside / 4000 == pytest.approx(level, abs=0.02)


@pytest.mark.parametrize(("real", "fake", "second"), [(100, 100, 50), (100, 1000, 50), (100, 25, 25), (8, 1, 1)])
def test_the_floor_has_the_sizes_of_the_comparison_as_far_as_it_can(real: int, fake: int, second: int) -> None:
    left, right = split(np.ones(real, dtype=int), fake, np.random.default_rng(0))
    assert (left + right == 1).all() and right.sum() == second


def test_intervals_take_the_bias_of_the_distance_off() -> None:
    """W2^2 of N(0, I) and N(0, 2.25 I) in four dimensions is 1: the interval must hold it, not the biased value."""
    held = []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        X, Y = rng.standard_normal((32, 4)), 1.5 * rng.standard_normal((32, 4))
        found = frechet_distance(known(X), known(Y), GIVEN, resamples=25, rng=seed)
        held.append((found.value, found.low <= 1 <= found.high))
    assert np.mean([value for value, _ in held]) > 1.3
    assert sum(hit for _, hit in held) >= 13


def test_an_interval_is_the_reflected_quantiles_of_its_draws() -> None:
    sizes = np.full(10, 3)
    weights = np.arange(10.0)
    found = measure(
        lambda a, b: float(a @ weights / a.sum() + b @ weights / b.sum()),
        lambda a, b: float(a @ weights / a.sum() - b @ weights / b.sum()),
        sizes,
        sizes,
        Bootstrap(2000, 0.9, 1),
        rate=1.0,
    )
    assert found.value == 9.0
    spread = 1.645 * np.sqrt(2 * weights.var() / 10)
    assert (found.low, found.high) == pytest.approx((9 - spread, 9 + spread), abs=0.3)
    assert found.floor_sizes == (15, 15) and abs(found.floor) < 0.3


@pytest.mark.parametrize("hit", [0, 1, 100, 399, 400])
def test_a_share_has_the_interval_of_wilson(hit: int) -> None:
    """Its ends are the p at which the share lies 1.96 standard deviations from p, also at shares of 0 and 1."""
    n, z = 400, 1.959963984540054
    hits = np.arange(n) < hit
    found = measure_share(hits, hits[:200], 199, 0.95)
    a, b, c = 1 + z**2 / n, -(2 * hit / n + z**2 / n), (hit / n) ** 2
    low, high = np.sort(np.roots([a, b, c]).real)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.value == hit / n and found.floor == hits[:200].mean() and found.floor_sizes == (199, 200)
    assert found.low < found.high and 0 <= found.floor_low <= found.floor <= found.floor_high <= 1
    assert found.floor_low < found.floor_high


def test_the_seed_decides_everything() -> None:
    real, fake = pictures(40, 4), pictures(40, 4, 1)
    metrics = ["frechet", "kernel", "sliced", "precision-recall", "copies"]
    a, b, c = (evaluate(real, fake, metrics, rng=seed, **FAST) for seed in (0, 0, 1))
    assert a == b != c


# -- pictures in, files --------------------------------------------------------------------------------------------


def test_chunks_of_pictures_are_the_same_pictures() -> None:
    import torch

    real, fake = pictures(300, 4), pictures(150, 4, 1)
    whole = frechet_distance(real, fake, **FAST)
    chunks = frechet_distance((real[i : i + 70] for i in range(0, 300, 70)), [fake[:100], fake[100:]], **FAST)
    assert chunks.value == pytest.approx(whole.value, rel=1e-6)
    assert kernel_distance(torch.from_numpy(real), iter([fake]), **FAST) == kernel_distance(real, fake, **FAST)
    assert sliced_wasserstein([real], [fake], **FAST) == sliced_wasserstein(real, fake, **FAST)
    as_floats = frechet_distance(real / 127.5 - 1, fake.astype(np.float32) / np.float32(127.5) - 1, **FAST)
    assert as_floats.value == pytest.approx(whole.value, rel=1e-5)


@pytest.mark.parametrize("form", ["array", "blocks", "tensors"])
def test_floats_between_0_and_1_are_warned_of_at_the_callers_line(form: str) -> None:
    import torch

    real, fake = pictures(300, 4), pictures(200, 4, 1) / 255

    def given(images: np.ndarray) -> Any:
        forms = {"array": lambda: images, "blocks": lambda: iter([images[:150], images[150:]])}
        return (forms | {"tensors": lambda: [torch.from_numpy(images)]})[form]()

    with pytest.warns(UserWarning, match="fake holds floats between 0 and 1, taken as") as caught:
        sliced_wasserstein(real, given(fake), **FAST)
    assert [warning.filename for warning in caught] == [__file__]
    fake[-1, 0, 0] = -0.1  # in the last picture only
    sliced_wasserstein(np.maximum(real, 128), given(fake), **FAST)


def test_streamed_moments_do_not_grow_with_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    from convexgan.metrics import frechet as frechet_file
    from convexgan.metrics import pictures as pictures_file

    monkeypatch.setattr(pictures_file, "PIECE", 256)
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 256, (100, 2, 2), dtype=np.uint8) for _ in range(20)]
    sizes = [len(rows) for rows, _ in pictures_file.pieces(parts, extractors.pixels(), "real")]
    assert sum(sizes) == 2000 and max(sizes) <= 256
    chunks = iter(parts)
    blocks, shape = frechet_file.block_moments(chunks, extractors.pixels(), "real", rng)
    assert shape == (2, 2) and sum(block.count or 0 for block in blocks) == 2000
    assert all(block.factor is None for block in blocks)  # (d, d) matrices, no rows


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """A cache of 40 pictures in blocks of 16."""
    (tmp_path / "photos").mkdir()
    for i, picture in enumerate(pictures(40)):
        save_image(Image.fromarray(picture), tmp_path / "photos" / f"{i:02}.png")
    monkeypatch.setattr(tasks, "SHARD_PICTURES", 16)
    return build_cache(find(tmp_path / "photos"), tmp_path / "cache", 8)


def counted(seen: list[int], name: str = "own", digest: str | None = "1") -> Extractor:
    """Pixels, noting how many pictures were looked at."""

    def look(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return images.reshape(len(images), -1)

    return Extractor(name, look, digest)


def test_a_cache_is_measured_block_by_block_like_its_pictures(cache: Cache) -> None:
    fake = pictures(30, seed=1)
    assert cache.parts == 3
    assert evaluate(cache, fake, **FAST) == evaluate(np.concatenate(list(cache.blocks())), fake, **FAST)


def test_features_of_real_pictures_are_kept_and_read_the_next_time(cache: Cache, tmp_path: Path) -> None:
    seen: list[int] = []
    fake, folder, metrics = pictures(30, seed=1), tmp_path / "kept", ["frechet", "kernel", "sliced"]
    expected = evaluate(cache, fake, metrics, counted([]), **FAST)
    for looked in (70, 30, 30):
        seen.clear()
        assert evaluate(cache, fake, metrics, counted(seen), keep=folder, **FAST) == expected
        assert sum(seen) == looked and len(list(folder.iterdir())) == 1
    images = np.concatenate(list(cache.blocks()))
    others = (images[:39], counted(seen)), (cache, counted(seen, digest="2")), (cache, counted(seen, "b"))
    for other, look in others:
        seen.clear()
        evaluate(other, fake, ["kernel"], look, keep=folder, **FAST)
        assert sum(seen) == len(other) + 30
    assert len(list(folder.iterdir())) == 4
    seen.clear()
    evaluate(cache, fake, ["kernel"], counted(seen, digest=None), keep=folder, **FAST)  # which net it is nobody knows
    assert sum(seen) == 70 and len(list(folder.iterdir())) == 4


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "another", "rows", "nan", "no rows"])
def test_kept_features_that_are_damaged_or_of_others_are_computed_again(tmp_path: Path, damage: str) -> None:
    real, fake, folder = pictures(20), pictures(20, seed=1), tmp_path / "kept"
    expected = evaluate(real, fake, ["kernel"], keep=folder, **FAST)
    (path,) = folder.iterdir()
    settings, arrays = read_model(path, "reference features")
    rows = arrays["rows"].copy()
    assert (rows == features(real).rows).all()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-400])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        cg.Moments.from_array(rows).save(path)
    elif damage == "another":  # a file under a wrong name
        write_model(path, "reference features", {"key": settings["key"][::-1]}, {"rows": rows + 1})
    elif damage == "no rows":
        write_model(path, "reference features", settings, {"numbers": rows + 1})
    else:
        rows[3] = np.nan
        write_model(path, "reference features", settings, {"rows": rows[:10] if damage == "rows" else rows})
    assert evaluate(real, fake, ["kernel"], keep=folder, **FAST) == expected
    assert (read_model(path, "reference features")[1]["rows"] == features(real).rows).all()


def test_features_beyond_half_a_gigabyte_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pictures(20)
    for limit, kept in ((20 * 64 * 4 - 1, 0), (20 * 64 * 4, 1)):
        monkeypatch.setattr(reference, "LARGEST", limit)
        evaluate(real, pictures(20, seed=1), ["kernel"], keep=tmp_path, **FAST)
        assert len(list(tmp_path.iterdir())) == kept


def test_features_stand_for_their_pictures_and_survive_a_file(tmp_path: Path) -> None:
    real, fake = pictures(40), pictures(40, seed=1)
    found = features(real, "pixels=4")
    boxes = (real / 127.5 - 1).reshape(40, 4, 2, 4, 2).mean((2, 4))
    np.testing.assert_allclose(found.rows, boxes.reshape(40, 16), atol=1e-6)
    found.save(tmp_path / "real.npz")
    again = Features.load(tmp_path / "real.npz")
    assert (again.extractor, again.shape) == ("pixels-4", (8, 8)) and (again.rows == found.rows).all()
    metrics = ["frechet", "kernel", "precision-recall", "copies"]
    expected = evaluate(real, fake, metrics, "pixels=4", **FAST)
    assert evaluate(again, fake, metrics, "pixels=4", **FAST) == expected
    with pytest.raises(ValueError, match="real holds features of 'pixels-4', wanted are those of 'pixels'"):
        kernel_distance(again, fake)
    with pytest.raises(ValueError, match="real holds features: this metric needs the pictures"):
        sliced_wasserstein(again, fake)
    (tmp_path / "real.npz").write_bytes((tmp_path / "real.npz").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"real.npz"):
        Features.load(tmp_path / "real.npz")
    cg.Moments.from_array(rows_of(5, 2)).save(tmp_path / "moments.npz")
    with pytest.raises(ValueError, match=r"moments.npz"):
        Features.load(tmp_path / "moments.npz")


@pytest.mark.parametrize(
    ("real", "fake", "says"),
    [
        (pictures(7), pictures(20), "real holds 7 pictures: pass at least 8"),
        (pictures(20), pictures(7), "fake holds 7 pictures"),
        (pictures(20), pictures(20, 16), "real pictures are 8 x 8 pixels, grey, fake ones 16 x 16"),
        (
            pictures(20, color=True),
            pictures(20),
            "8 x 8 pixels, colour, fake ones 8 x 8 pixels, grey",
        ),
        ([pictures(9), pictures(9, 16)], pictures(20), r"real mixes pictures of shapes \(8, 8\) and \(16, 16\)"),
        (pictures(20), pictures(20)[:, :6], "fake: images has shape .* not square"),
        (pictures(20).astype(int), pictures(20), "real: images has dtype int64"),
        (pictures(20), np.full((20, 8, 8), np.nan), "fake: images has floats from nan"),
        (pictures(20), pictures(20)[0], r"fake: images has shape \(8, 8\)"),
        (pictures(20)[:0], pictures(20), r"real: images has shape \(0, 8, 8\)"),
        ([], pictures(20), "real is empty"),
        (7, pictures(20), "real must be pictures"),
        (np.float64(7), pictures(20), r"real: images has shape \(1,\)"),
        ("folder", pictures(20), "real must be pictures"),
    ],
)
def test_pictures_that_cannot_be_compared(real: Any, fake: Any, says: str) -> None:
    for call in (kernel_distance, quiet_frechet, sliced_wasserstein, precision_recall, nearest_neighbours):
        with pytest.raises(ValueError, match=says):
            call(real, fake, **FAST)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda X: kernel_distance(X, X, "pixel"), "unknown extractor 'pixel'.*Did you mean 'pixels'"),
        (lambda X: kernel_distance(X, X, "pixels=x"), "'pixels=16' say"),
        (lambda X: kernel_distance(X, X, "pixels=3"), r"among \[1, 2, 4, 8\]"),
        (lambda X: kernel_distance(X, X, "inception"), "'inception=FILE.pth'"),
        (lambda X: evaluate(X, X, ["fid"]), "unknown metric 'fid'"),
        (lambda X: kernel_distance(X, X, resamples=0), "resamples must be an integer >= 1"),
        (lambda X: kernel_distance(X, X, level=1.0), "level must lie strictly between 0 and 1"),
        (lambda X: kernel_distance(X, X, rng=None), "rng must be an integer"),
        (lambda X: precision_recall(X, X, neighbours=19), "neighbours=19 needs more than 19 pictures"),
        (lambda X: kernel_distance(X, X, Extractor("a", lambda x: x)), "output of extractor 'a' must be a 2-D array"),
        (lambda X: kernel_distance(X, X, Extractor("a", lambda x: x[:2, 0])), "gave 2 rows for 20 pictures"),
        (lambda X: kernel_distance(X, X, Extractor("a", lambda x: x[:, 0] / 0)), "has NaN or infinite entries"),
        (lambda X: frechet_distance(known(X[:, 0]), known(X[:, 0, :4]), GIVEN), "real has 8 features and fake 4"),
        (lambda X: kernel_distance(known(X[:, 0]), known(X[:, 0, :4]), GIVEN), "real has 8 features and fake 4"),
        (lambda X: precision_recall(known(X[:, 0]), known(X[:, 0, :4]), GIVEN), "real has 8 features and fake 4"),
    ],
)
def test_arguments_without_meaning(call: Any, says: str) -> None:
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=says):
        call(pictures(20))


# -- reports -------------------------------------------------------------------------------------------------------


def test_a_report_is_a_table_and_json() -> None:
    report = evaluate(pictures(40, 4), pictures(30, 4, 1), ["kernel", "copies"], "pixels=2", **FAST)
    lines = str(report).splitlines()
    assert lines[0].split() == list(Report.columns) and lines[1].startswith("KD-pixels-2  pixels-2 ")
    assert len({len(line) for line in lines}) == 1
    read = json.loads(report.to_json())
    assert [Result(**entry | {"floor_sizes": tuple(entry["floor_sizes"])}) for entry in read] == list(report.results)
    assert report["copies"].fake == 30
    with pytest.raises(KeyError, match="KD-pixels-2, copies"):
        report["FID"]


def test_every_metric_ranks_real_before_closed_form_before_noise() -> None:
    images = load("digits").images
    train, held = images[::2], images[1::2][:600]
    drawn = cg.ProgressiveConvexGAN(random_state=0).fit(train).sample(600, 1)
    noise = pictures(600)
    reports = [evaluate(train, fake, **FAST) for fake in (held, drawn, noise)]
    for real, model, worst in zip(*(report.results for report in reports), strict=True):
        if real.metric in ("precision", "recall", "copies"):
            assert real.value > model.value >= worst.value, real.metric
        else:
            assert real.value < model.value < worst.value, real.metric
        assert abs(real.value - real.floor) < abs(worst.value - real.floor)
