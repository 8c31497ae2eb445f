"""Stages solved from passes over blocks of pictures are those of the complete decompositions in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convexgan as cg
from benchmarks._pictures import power_law
from convexgan._tools.checks import check_bytes
from convexgan.progressive import passes, streaming
from convexgan.progressive.device import DeviceFirstPass, DeviceProduct
from convexgan.progressive.histogram import Quantiles
from convexgan.progressive.passes import ArrayPictures, Journal, run_pass
from convexgan.progressive.pyramid import box_pyramid, box_sums, interpolate, pool, upsample
from convexgan.progressive.ranks import Level
from convexgan.progressive.streaming import StageMoments
from convexgan.progressive.sums import Product
from convexgan.statistics import krylov, partial
from convexgan.statistics.krylov import CLOSELY
from convexgan.statistics.moments import Moments

IMAGES = power_law(500, 16)
RANKS = [8, 20, 30]


@pytest.fixture
def iterating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the 4 x 4 level is decomposed completely, and pictures come in blocks of 64."""
    monkeypatch.setattr(streaming, "COMPLETE", 60)
    monkeypatch.setattr(passes, "BLOCK", 64)


def games(images: np.ndarray, sizes: list[int], skip: bool) -> Iterator[np.ndarray]:
    """The centred rows of every stage, straight from the definition, in double precision."""
    floats = images / 127.5 - 1 if images.dtype == np.uint8 else images.astype(float)
    levels = box_pyramid(floats, sizes)
    channels = 3 if images.ndim == 4 else 1
    for i, size in enumerate(sizes):
        rows = levels[size].reshape(len(images), -1)
        if skip and i:
            coarse, at = levels[sizes[i - 1]].reshape(len(images), -1), sizes[i - 1]
            while at < size:
                coarse, at = upsample(coarse, at, channels), 2 * at
            rows = rows - coarse
        yield rows - rows.mean(0)


CASES: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "ranks": (IMAGES, {"ranks": RANKS}),
    "betas": (IMAGES, {"betas": [0.1, 0.1, 0.2]}),
    "detail": (IMAGES, {"ranks": RANKS, "skip": True}),
    "sorted": (IMAGES, {"ranks": RANKS, "coupling": "sorted"}),
    "single": (IMAGES, {"ranks": [20, 20, 20], "latents": "single"}),
    "grey": (IMAGES[..., 0], {"ranks": [8, 20, 30]}),
    "double": (IMAGES / 127.5 - 1, {"ranks": RANKS}),
    "gap": (IMAGES, {"sizes": [4, 16], "ranks": [8, 30]}),
    "gap, detail": (IMAGES, {"sizes": [4, 16], "ranks": [8, 30], "skip": True}),
    "finest only": (IMAGES, {"sizes": [16], "ranks": [30]}),
    "coarse only": (IMAGES, {"sizes": [8], "ranks": [20]}),
    "few pictures": (IMAGES[:70], {"ranks": [8, 12, 15]}),
}


@pytest.mark.parametrize("where", ["in passes", "in memory"])
@pytest.mark.parametrize("case", CASES)
def test_every_stage_is_that_of_the_complete_decomposition(monkeypatch, case, where):
    module, limit = (streaming, "COMPLETE") if where == "in passes" else (partial, "PARTIAL")
    monkeypatch.setattr(module, limit, 60)
    monkeypatch.setattr(partial, "FEW", 0)
    monkeypatch.setattr(passes, "BLOCK", 64)
    monkeypatch.setattr(partial, "ROOM", 1.0)
    tol = 1e-7 if where == "in passes" else CLOSELY
    images, options = CASES[case]
    model = cg.ProgressiveConvexGAN(**options).fit(images)
    iterated = 0
    sizes = [stage.size for stage in model.stages_]
    for stage, rows in zip(model.stages_, games(images, sizes, model.skip), strict=True):
        S = rows.T @ rows / len(rows)
        truth = np.linalg.eigvalsh(S)[::-1]
        law, certificate = stage.detail.T @ stage.detail, stage.certificate
        iterated += certificate.eigenvalue_error > 0
        assert (certificate.failure > 0) == (where == "in passes" and certificate.eigenvalue_error > 0)
        assert certificate.kind == "saddle" and certificate.gap < 1e-9
        # float32 pixels and products: 1e-7 of the largest eigenvalue; what the iteration leaves is bounded and no more
        noise = 1e-7 * truth[0]
        assert 0 <= certificate.eigenvalue_error <= tol * truth[0] * (1 + 1e-6)
        if model.betas is None:
            assert abs(truth[stage.rank] - stage.beta) <= certificate.eigenvalue_error + noise
        assert stage.rank == np.count_nonzero(truth > stage.beta + 2 * noise)
        distance = np.linalg.norm(S - law, 2)
        assert distance <= certificate.ipm + noise
        assert distance == pytest.approx(stage.beta, abs=2 * noise)
        # the law: soft-thresholded, to what the gap between eigenvalues makes of those errors
        values, vectors = np.linalg.eigh(S)
        expected = (vectors * np.maximum(values - stage.beta, 0)) @ vectors.T
        assert np.linalg.norm(law - expected, 2) < 1e-4 * truth[0]
        assert certificate.value == pytest.approx(np.trace(expected), rel=1e-5)
    assert iterated == {"gap": 1, "gap, detail": 1, "finest only": 1, "coarse only": 1}.get(case, 2)


def test_with_no_complete_level_the_start_is_random(monkeypatch):
    monkeypatch.setattr(streaming, "COMPLETE", 5)
    model = cg.ProgressiveConvexGAN(ranks=RANKS).fit(IMAGES)
    assert [stage.certificate.kind for stage in model.stages_] == ["saddle"] * 3
    assert all(stage.certificate.failure > 0 for stage in model.stages_)


def test_a_warm_start_saves_work(iterating, monkeypatch):
    def multiplied() -> int:
        widths: list[int] = []
        with monkeypatch.context() as patched:
            real = streaming._Passes.__call__
            call = lambda self, vectors: widths.append(vectors.shape[1]) or real(self, vectors)  # noqa: E731
            patched.setattr(streaming._Passes, "__call__", call)
            cg.ProgressiveConvexGAN(ranks=RANKS).fit(IMAGES)
        return sum(widths)

    warm = multiplied()
    monkeypatch.setattr(StageMoments, "_start", lambda self, size, dim, width: np.zeros((0, dim)))
    assert warm < multiplied()


def test_one_pass_serves_all_levels_that_fit(monkeypatch):
    blocks = []
    real = ArrayPictures.blocks
    monkeypatch.setattr(ArrayPictures, "blocks", lambda self, start=0: blocks.append(start) or real(self, start))
    cg.ProgressiveConvexGAN(ranks=RANKS).fit(power_law(900, 16))
    assert blocks == [0]


@pytest.mark.parametrize("decomposed", [60, 1024])
@pytest.mark.parametrize("skip", [False, True])
def test_coarse_moments_are_those_of_coarse_pictures(monkeypatch, skip, decomposed):
    monkeypatch.setattr(partial, "PARTIAL", decomposed)
    monkeypatch.setattr(partial, "FEW", 0)
    pictures = ArrayPictures(IMAGES)
    moments = StageMoments(pictures, [4, 8, 16], skip=skip)
    assert moments.complete[-1] == 16
    for size, rows in zip([4, 8, 16], games(IMAGES, [4, 8, 16], skip), strict=True):
        mean, data, *_ = moments.at(size, Level(5))
        assert data.count == len(IMAGES)
        scale = np.linalg.norm(rows, 2) ** 2 / len(rows)
        np.testing.assert_allclose(data.second, rows.T @ rows / len(rows), rtol=0, atol=1e-7 * scale)
        assert mean.shape == (size * size * 3,)
        assert (data.subspace is None) == (min(size * size * 3, len(IMAGES)) <= decomposed)
        grown = data.update(rows[:1])  # of which nothing is known on a subspace
        assert grown.subspace is None and len(grown.spectrum.values) == min(size * size * 3, len(IMAGES) + 1)


def test_every_attempt_draws_anew_and_has_passes_of_its_own(iterating, monkeypatch, tmp_path):
    """The next start depends on the vectors of the last attempt, which so prove nothing about what it lacks."""
    states: list[str] = []

    def spied(*args: Any, **options: Any) -> Any:
        states.append(str(options["rng"].bit_generator.state))
        return krylov.leading_pairs(*args, **options)

    monkeypatch.setattr(streaming, "leading_pairs", spied)
    monkeypatch.setattr(StageMoments, "_expected", lambda self, size, level: 0)
    model = cg.ProgressiveConvexGAN(sizes=[16], betas=[0.2])
    whole = saved(model.fit(IMAGES), tmp_path / "whole.npz")
    assert len(set(states)) == len(states) >= 4
    assert model.stages_[0].certificate.failure >= len(states) * krylov.FAILURE
    model.fit(IMAGES, journal=Journal(tmp_path / "journal", "key"))
    assert saved(model, tmp_path / "recorded.npz") == whole


@pytest.mark.parametrize("module, limit", [(streaming, "COMPLETE"), (partial, "PARTIAL")])
def test_no_guess_hides_an_eigenvector_behind_vectors_that_its_author_foresaw(monkeypatch, module, limit):
    monkeypatch.setattr(module, limit, 5)
    monkeypatch.setattr(partial, "FEW", 0)
    rng = np.random.default_rng(0)
    images = (0.02 * rng.standard_normal((1000, 60)) @ rng.standard_normal((60, 768))).reshape(-1, 16, 16, 3)
    images /= np.abs(images).max()
    (rows,) = games(images, [16], False)
    truth, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    foreseen = np.random.default_rng(16).standard_normal((768, krylov.PROBES))
    guess = np.hstack([vectors[:, -60:-1], foreseen]).T  # all but the largest
    data = StageMoments(ArrayPictures(images), [16]).at(16, Level(20), guess).moments
    np.testing.assert_allclose(data.spectrum.values[:21], truth[:-22:-1], rtol=0, atol=2e-7 * truth[-1])


def test_a_cache_and_an_array_give_the_same_model(tmp_path, monkeypatch):
    from PIL import Image

    from convexgan.datasets import build_cache, find
    from convexgan.datasets import tasks as module

    monkeypatch.setattr(streaming, "COMPLETE", 60)
    monkeypatch.setattr(passes, "BLOCK", 32)
    monkeypatch.setattr(module, "SHARD_PICTURES", 32)
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, picture in enumerate(IMAGES[:200]):
        Image.fromarray(picture).save(folder / f"{i:03}.png")
    cache = build_cache(find(folder), tmp_path / "cache", 16)
    options: dict[str, Any] = {"ranks": RANKS, "histogram": True, "random_state": 0}
    one, other = (cg.ProgressiveConvexGAN(**options).fit(images) for images in (cache, IMAGES[:200]))
    assert saved(one, tmp_path / "one.npz") == saved(other, tmp_path / "other.npz")


def test_memory_decides_the_route_and_too_little_is_refused_with_a_number(monkeypatch):
    monkeypatch.setattr(streaming, "BASE_BYTES", 0)
    images = power_law(1000, 16)
    dense = 8 * 8 * 768**2
    for memory, complete in ((dense, 16), (dense - 1, 8)):
        assert StageMoments(ArrayPictures(images), [16], memory=memory).complete[-1] == complete
    model = cg.ProgressiveConvexGAN(sizes=[16], ranks=[30])
    with pytest.raises(ValueError, match=r"too little for 30 components of 16 x 16 pixels: allow 0\.0\d+ GB") as error:
        model.fit(images, memory=10**5)
    need = float(str(error.value).split("allow ")[1].split(" GB")[0]) * 1.05e9
    assert model.fit(images, memory=int(need)).stages_[0].certificate.failure > 0


def test_the_next_size_starts_from_more_directions_than_were_asked_for(monkeypatch):
    monkeypatch.setattr(streaming, "COMPLETE", 768)
    monkeypatch.setattr(partial, "PARTIAL", 700)
    stages = StageMoments(ArrayPictures(power_law(1000, 32)), [4, 8, 16, 32], memory=10**9)
    subspaces = [stages.at(size, Level(10)).moments.subspace for size in (4, 8, 16)]
    assert subspaces[-1] is not None and stages._leading is not None
    assert stages._leading[1].vectors.shape[1] >= 2 * (11 + 10)


def test_what_coarser_sizes_keep_and_small_products_are_counted_as_memory(monkeypatch):
    monkeypatch.setattr(streaming, "COMPLETE", 192)  # 8 pixels are formed, 16 multiplied
    dim, width = 768, 51
    stages = StageMoments(ArrayPictures(power_law(1000, 16)), [8, 16], memory=10**9)
    stages.at(8, Level(30))
    kept = 8 * 192**2 * 2  # a moment, and its eigenvectors
    others = streaming.BASE_BYTES + kept + 8 * dim * (8 * width + 2 * krylov.PROBES)
    for columns in (160, 250, 400):
        for spare, fit in ((9, columns), (-9, columns - 1)):
            stages.memory = int((others + 16 * dim * columns + 64 * columns**2 + spare) / streaming.MOST)
            assert stages._widths(16, dim, 31) == (width, fit)


def test_memory_in_words():
    for text, number in (
        ("2GB", 2e9),
        ("1.5 GiB", 1.5 * 2**30),
        ("300MB", 3e8),
        (4096, 4096),
        ("70kB", 7e4),
        ("12", 12),
    ):
        assert check_bytes(text, "memory") == number
    for text in ("two", "2XB", -3, 1.5, True, "", "GB", None, "nan"):
        with pytest.raises(ValueError, match="memory must be a number of bytes"):
            check_bytes(text, "memory")


# Interruptions


class Interruption(Exception):
    pass


class Interrupted(ArrayPictures):
    """Pictures of which only so many blocks can be read."""

    left = 9

    def blocks(self, start: int = 0) -> Iterator[np.ndarray]:
        for block in super().blocks(start):
            object.__setattr__(self, "left", self.left - 1)
            if self.left < 0:
                raise Interruption
            yield block


def saved(model: cg.ProgressiveConvexGAN, path: Path) -> dict[str, bytes]:
    """The bytes of every array in a model's file, whose own bytes hold the time of writing."""
    model.save(path)
    with np.load(path) as file:
        return {name: file[name].tobytes() for name in file.files}


def test_an_interrupted_fit_goes_on_and_ends_the_same_to_the_last_bit(iterating, tmp_path):
    images = IMAGES[:200]
    model = cg.ProgressiveConvexGAN(ranks=RANKS, histogram=True, random_state=0)
    expected = saved(model.fit(images), tmp_path / "whole.npz")
    journal = Journal(tmp_path / "journal", "key", seconds=0)
    for times in range(50):  # noqa: B007
        with suppress(Interruption):
            model.fit(Interrupted(images), journal=journal)  # a little more than two passes of four blocks
            break
    assert 3 < times < 49
    assert saved(model, tmp_path / "resumed.npz") == expected
    blocks: list[int] = []

    @contextmanager
    def phase(name: str, total: int) -> Iterator[Any]:
        blocks.append(total)
        yield int

    model.fit(images, journal=journal, phase=phase)
    assert blocks == []  # nothing is read again
    journal.clear()
    assert not (tmp_path / "journal").exists()


def test_journals_of_other_pictures_or_settings_are_not_read(tmp_path):
    one = Quantiles(16, 3)
    run_pass(ArrayPictures(IMAGES), "count", one, Journal(tmp_path, "one"))
    for key, blocks in (("one", 1), ("two", 0)):
        assert Journal(tmp_path, key).read("count", Quantiles(16, 3)) == blocks
    (tmp_path / "pass-count.npz").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"pass-count\.npz is damaged .* delete it"):
        Journal(tmp_path, "one").read("count", Quantiles(16, 3))


def test_a_recorded_product_with_other_vectors_is_not_read(tmp_path):
    pictures, rng = ArrayPictures(IMAGES), np.random.default_rng(0)
    mean, vectors = np.zeros(768), rng.standard_normal((768, 2))
    for turned in (vectors, vectors[:, ::-1]):  # as eigenvectors of a double eigenvalue may come out the next time
        total = Product(turned, 16, mean, None, 3)
        run_pass(pictures, "16 px, pass 1", total, Journal(tmp_path, "key"))
        rows = IMAGES.reshape(len(IMAGES), -1) / 127.5 - 1
        np.testing.assert_allclose(total.total, rows.T @ (rows @ turned), rtol=1e-4, atol=1e-3)
    again = Product(vectors[:, ::-1], 16, mean, None, 3)
    assert Journal(tmp_path, "key").read("16 px, pass 1", again) == pictures.parts


# Pieces


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("size", [4, 16])
def test_counted_quantiles_are_those_of_the_pixels(kind, size):
    images = IMAGES[:100] if kind == np.uint8 else (IMAGES[:100] / 127.5 - 1).astype(kind)
    counted = Quantiles(size, 3)
    for block in np.array_split(images, 3):
        counted.update(block)
    levels = np.linspace(0, 1, 257)
    expected = np.quantile(box_pyramid(images, [size])[size], levels, axis=(0, 1, 2)).T
    np.testing.assert_allclose(counted.at_knots(), expected, atol=1e-6)
    again = Quantiles(size, 3)
    again.restore(counted.state())
    assert np.array_equal(again.at_knots(), counted.at_knots())


def test_box_sums_are_exact_even_where_sixteen_bits_overflow():
    white = np.full((1, 64, 64, 3), 255, np.uint8)
    for size in (32, 4, 2, 1):
        assert (box_sums(white, size) == 255 * (64 // size) ** 2).all()
    images = IMAGES[:3]
    expected = images.astype(int).reshape(3, 4, 4, 4, 4, 3).sum(axis=(2, 4))
    assert np.array_equal(box_sums(images, 4), expected)


@pytest.mark.parametrize("enlarged", [upsample, interpolate])
def test_pooling_rows_undoes_enlarging(enlarged):
    rows = np.random.default_rng(0).standard_normal((3, 48))
    np.testing.assert_allclose(pool(enlarged(rows, 4, 3), 8, 3), rows, atol=1e-14)


@pytest.mark.parametrize("waves", [(0, 0), (1, 0), (2, 3), (7, 7)])
def test_interpolation_brings_waves_back(waves):
    row, column = (np.cos(np.pi * k * (np.arange(16) + 0.5) / 16) for k in waves)
    fine = np.outer(row, column).reshape(1, -1)
    np.testing.assert_allclose(interpolate(pool(fine, 16, 1), 8, 1), fine, atol=1e-13)


def test_moments_come_back_from_their_state_to_the_last_bit():
    for n in (5, 100):
        moments = Moments.from_array(np.random.default_rng(0).standard_normal((n, 20)).astype(np.float32))
        again = Moments.from_state(moments.state())
        assert np.array_equal(again.second, moments.second) and again.count == n


# Devices


@pytest.mark.parametrize("case", ["ranks", "detail", "grey", "double", "finest only"])
def test_torch_gives_the_same_stages(iterating, tmp_path, case):
    images, options = CASES[case]
    journal = Journal(tmp_path / "journal", "key", seconds=0)
    one = cg.ProgressiveConvexGAN(**options).fit(images)
    other = cg.ProgressiveConvexGAN(**options).fit(images, device="cpu", journal=journal)
    for mine, theirs in zip(one.stages_, other.stages_, strict=True):
        assert theirs.certificate.kind == "saddle"
        assert theirs.beta == pytest.approx(mine.beta, abs=1e-7 * mine.eigenvalues[0])
        assert theirs.certificate.value == pytest.approx(mine.certificate.value, rel=1e-5)
        np.testing.assert_allclose(theirs.mean, mine.mean, atol=1e-6)


def test_devices_that_are_not_there_are_refused():
    model = cg.ProgressiveConvexGAN(ranks=RANKS)
    with pytest.raises(ValueError, match="device 'nowhere' is not there"):
        model.fit(IMAGES, device="nowhere")
    with pytest.raises(ValueError, match="device 'meta' is not there"):  # it has shapes and no numbers
        model.fit(IMAGES, device="meta")


@pytest.mark.parametrize("kind", ["first", "product"])
def test_a_pass_on_a_device_ends_with_the_same_bits_wherever_it_was_recorded(kind):
    vectors = np.random.default_rng(0).standard_normal((768, 4))
    given = (vectors, 16, np.zeros(768), None, 3)
    whole, broken = (
        DeviceFirstPass(16, 8, 3, "cpu") if kind == "first" else DeviceProduct(*given, device="cpu") for _ in range(2)
    )
    for block in np.array_split(IMAGES, 5):
        whole.update(block)
        broken.update(block)
        state = {name: np.array(value) for name, value in broken.state().items()}
        broken.update(block)  # what is seen after a record is not part of it
        broken = broken.empty()
        broken.restore(state)
    for sums in (whole, broken):
        sums.finish()
    if kind == "product":
        rows = IMAGES.reshape(len(IMAGES), -1) / 127.5 - 1
        np.testing.assert_allclose(whole.total, rows.T @ (rows @ vectors), rtol=1e-4, atol=1e-2)
        assert np.array_equal(broken.total, whole.total)
        return
    assert broken.count == whole.count == len(IMAGES)
    assert np.array_equal(broken.mean, whole.mean)
    assert np.array_equal(broken.moments.second, whole.moments.second)
