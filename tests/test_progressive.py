"""Every stage is the optimum it claims to be, for the law that is sampled, and the pictures stay coherent."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

import convexgan as cg
from convexgan import discrepancy
from convexgan._tools.files import read_model, write_model
from convexgan.datasets import digits
from convexgan.progressive.coupling import in_order, transport
from convexgan.progressive.histogram import apply_map, learn_map
from convexgan.progressive.pyramid import box_pyramid, upsample

DIGITS = digits(8).images[:400]


def power_law(n: int, size: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth random pictures with covariances that fall off with frequency, in [-1, 1]."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    weight = 1 / np.maximum(frequency, 1 / size) ** 1.5
    noise = np.fft.fft2(rng.standard_normal((n, channels, size, size)))
    images = np.fft.ifft2(noise * weight).real
    return np.moveaxis(np.clip(images / (3.5 * images.std()), -1, 1), 1, 3)


def covariance(images: np.ndarray) -> np.ndarray:
    rows = images.reshape(len(images), -1).astype(np.float64)
    return np.cov(rows.T, bias=True)


def soft(matrix: np.ndarray, level: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values - level, 0)) @ vectors.T


@pytest.mark.parametrize("coupling", ["transport", "sorted"])
@pytest.mark.parametrize("options", [{"ranks": [8, 20]}, {"betas": [0.01, 0.05]}, {"betas": [0.0, 0.0]}, {}])
def test_stages_are_saddle_points_of_their_games(coupling, options):
    model = cg.ProgressiveConvexGAN(coupling=coupling, **options).fit(DIGITS)
    for stage, (size, images) in zip(model.stages_, box_pyramid(DIGITS).items(), strict=True):
        assert stage.size == size
        assert stage.certificate.kind == "saddle"
        assert stage.certificate.gap < 1e-9 and stage.certificate.relative_violation < 1e-9
        # the second route: soft-thresholded covariance, and the law propagated by hand
        expected = soft(covariance(images), stage.beta)
        assert np.allclose(stage.factor.T @ stage.factor, expected, atol=1e-6)
    if "ranks" in options:
        assert [stage.rank for stage in model.stages_] == options["ranks"]


@pytest.mark.parametrize(
    "options", [{}, {"coupling": "sorted"}, {"skip": True}, {"latents": "single", "ranks": [9, 9]}]
)
def test_samples_have_the_certified_covariance(options):
    model = cg.ProgressiveConvexGAN(**({"ranks": [10, 25]} | options)).fit(power_law(500, 8))
    drawn = model._draw(60_000, np.random.default_rng(0))
    for stage, pictures in zip(model.stages_, drawn, strict=True):
        error = np.linalg.norm(covariance(pictures) - stage.factor.T @ stage.factor, 2)
        assert error < 0.03 * np.linalg.norm(stage.factor, 2) ** 2
        assert np.allclose(pictures.reshape(len(pictures), -1).mean(0), stage.mean, atol=0.02)


def test_codes_are_standard_normal_by_construction():
    for options in ({}, {"coupling": "sorted"}, {"skip": True}, {"latents": "single", "ranks": [9, 9]}):
        for stage in cg.ProgressiveConvexGAN(**({"ranks": [9, 20]} | options)).fit(DIGITS).stages_:
            identity = stage.carry.T @ stage.carry + stage.fresh.T @ stage.fresh
            assert np.allclose(identity, np.eye(len(identity)), atol=1e-10)


def expected_distance(previous, target, carry):
    """E |y - up|^2 for unit codes."""
    return np.sum(previous**2) + np.sum(target**2) - 2 * np.trace(previous.T @ carry @ target)


@pytest.mark.parametrize(("q", "k"), [(3, 5), (5, 3), (4, 4)])
def test_transport_is_the_closest_optimal_coupling(q, k):
    rng = np.random.default_rng(q * 10 + k)
    previous, target = rng.standard_normal((q, 9)), rng.standard_normal((k, 9))
    best = expected_distance(previous, target, transport(previous, target, k)[0])
    # the Bures distance of the two Gaussians is a lower bound for every coupling: it is reached
    left, right = previous.T @ previous, target.T @ target
    values = np.linalg.eigvals(left @ right).real
    bures = np.trace(left) + np.trace(right) - 2 * np.sqrt(np.maximum(values, 0)).sum()
    assert best == pytest.approx(bures, abs=1e-5)
    for _ in range(200):
        u, _, v = np.linalg.svd(rng.standard_normal((q, k)), full_matrices=False)
        assert expected_distance(previous, target, u @ v) >= best - 1e-9
    assert expected_distance(previous, target, in_order(previous, k, k)[0]) >= best - 1e-9


def test_coherent_stages_show_one_picture_sharpening():
    images = power_law(600, 16)
    jump = {}
    for coupling in ("transport", "sorted"):
        model = cg.ProgressiveConvexGAN(ranks=[15, 30, 40], coupling=coupling).fit(images)
        coarse, fine = model._draw(500, np.random.default_rng(0))[1:]
        enlarged = upsample(coarse.reshape(500, -1), 8, 3).reshape(fine.shape)
        jump[coupling] = np.mean((enlarged - fine) ** 2)
    assert jump["transport"] < 0.3 * jump["sorted"]


def test_single_latents_refuse_an_impossible_schedule_and_name_the_repair():
    images = power_law(400, 8)
    with pytest.raises(cg.InfeasibleError, match="rank 20") as error:
        cg.ProgressiveConvexGAN(latents="single", latent_dim=48, ranks=[20, 30]).fit(images)
    eigenvalues = np.linalg.eigvalsh(covariance(box_pyramid(images)[8]))[::-1]
    assert error.value.smallest_beta == pytest.approx(eigenvalues[20], rel=1e-6)
    first = cg.ProgressiveConvexGAN(ranks=[20, 20]).fit(images).stages_[0].beta
    repaired = [first, error.value.smallest_beta]
    model = cg.ProgressiveConvexGAN(latents="single", latent_dim=48, betas=repaired).fit(images)
    assert [stage.certificate.kind for stage in model.stages_] == ["saddle", "saddle"]
    with pytest.raises(cg.InfeasibleError):
        cg.ProgressiveConvexGAN(latents="single", betas=[first, 0.9 * repaired[1]]).fit(images)
    with pytest.raises(cg.InfeasibleError):
        cg.ProgressiveConvexGAN(latents="single", latent_dim=5, ranks=[20, 20]).fit(images)


def test_a_held_out_draw_satisfies_the_constraint_with_exact_moments():
    """Latent moments are exact, so a fresh draw violates the constraint by its sampling error only."""
    images = power_law(2000, 8, seed=1)
    model = cg.ProgressiveConvexGAN(ranks=[10, 15]).fit(images)
    drawn = model._draw(100_000, np.random.default_rng(5))
    for stage, pictures, (_, real) in zip(model.stages_, drawn, box_pyramid(images).items(), strict=True):
        S = covariance(real)
        error = np.linalg.norm(S - covariance(pictures), 2) - stage.beta
        assert error < 4 * np.linalg.norm(S, 2) * np.sqrt(15 / 100_000)


class Blocks:
    """Pictures in blocks of 70, drawn anew each time they are read."""

    shape = (8, 8)

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def blocks(self):
        for start in range(0, self.n, 70):
            rng = np.random.default_rng(start)
            yield rng.integers(0, 256, (min(70, self.n - start), 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("n", [40, 72, 500])  # less than the dimension; a last block of two, mostly not drawn
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("together", [1, 20_000, 2**28])
def test_held_out_pictures_are_read_block_by_block(n, skip, together, monkeypatch):
    monkeypatch.setattr(discrepancy, "DRAWS_BYTES", together)
    model = cg.ProgressiveConvexGAN(ranks=[5, 12], skip=skip).fit(DIGITS)
    blocks, rows = Blocks(n), []
    for size, level in box_pyramid(np.concatenate(list(blocks.blocks()))).items():
        rows.append(level.reshape(n, -1).astype(np.float64))
        if skip and size == 8:
            rows[-1] -= upsample(rows[0], 4, 1)
    for stage, X, found in zip(model.stages_, rows, model.held_out(blocks, resamples=9), strict=True):
        law = cg.Moments.of_law(np.zeros(stage.size**2), stage.detail)
        expected = cg.held_out(X - stage.detail_mean, law, resamples=9)
        assert (found.value, found.low, found.high) == pytest.approx(
            (expected.value, expected.low, expected.high), rel=1e-10
        )
        draw, uniform, S = np.random.default_rng(0), np.full(n, 1 / n), stage.detail.T @ stage.detail
        centred = X - stage.detail_mean
        weights = [uniform, *(draw.multinomial(n, uniform) / n for _ in range(9))]
        whole, *moved = ((centred.T * w) @ centred for w in weights)
        value = np.linalg.norm(whole - S, 2)
        reach = np.quantile([np.linalg.norm(other - whole, 2) for other in moved], 0.95)
        assert (found.value, found.high) == pytest.approx((value, value + reach), rel=1e-9)


@pytest.mark.parametrize("n", [40, 500])
@pytest.mark.parametrize("together", [1, 2**28])
def test_large_held_out_games_are_iterated(n, together, monkeypatch):
    model = cg.ProgressiveConvexGAN(ranks=[5, 12]).fit(DIGITS)
    complete = model.held_out(Blocks(n), resamples=9)
    monkeypatch.setattr(discrepancy, "COMPLETE", 0)
    monkeypatch.setattr(discrepancy, "DRAWS_BYTES", together)
    monkeypatch.setattr(cg.Moments, "update", None)  # no second moment is formed
    for one, other in zip(complete, model.held_out(Blocks(n), resamples=9), strict=True):
        assert -1e-12 < other.value / one.value - 1 < 1e-6
        assert other.high - other.value == pytest.approx(one.high - one.value, rel=5e-3)


def test_held_out_memory_does_not_grow_with_the_pictures():
    model = cg.ProgressiveConvexGAN(ranks=[5, 12]).fit(DIGITS)
    tracemalloc.start()
    try:
        model.held_out(Blocks(20_000), resamples=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000 * 64 * 8 / 4  # a quarter of the rows


def test_held_out_pictures_of_the_same_law_are_close():
    images = power_law(3000, 8, seed=2)
    model = cg.ProgressiveConvexGAN(ranks=[10, 15]).fit(images[:1500])
    halves = [box_pyramid(part) for part in (images[:1500], images[1500:])]
    for stage, found in zip(model.stages_, model.held_out(images[1500:], resamples=20), strict=True):
        assert found.low <= found.high
        rows = [part[stage.size].reshape(1500, -1) - stage.mean for part in halves]
        drift = np.linalg.norm(rows[0].T @ rows[0] - rows[1].T @ rows[1], 2) / 1500
        assert abs(found.value - stage.beta) <= drift + 1e-6  # the triangle inequality


def test_skip_plays_on_the_detail():
    images = power_law(300, 8)
    model = cg.ProgressiveConvexGAN(ranks=[10, 25], skip=True).fit(images)
    coarse, fine = box_pyramid(images).values()
    detail = fine.reshape(300, -1) - upsample(coarse.reshape(300, -1), 4, 3)
    assert np.allclose(
        model.stages_[1].detail.T @ model.stages_[1].detail, soft(covariance(detail), model.stages_[1].beta)
    )
    first, second = model._draw(4, np.random.default_rng(0))
    pooled = second.reshape(4, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    assert np.allclose(pooled, first, atol=1e-10)  # detail has no coarse part: the picture is kept exactly


def test_histogram_matching_gives_the_real_quantiles():
    rng = np.random.default_rng(0)
    generated, real = rng.standard_normal((400, 4, 4, 2)), rng.uniform(-1, 1, (400, 4, 4, 2)) ** 3
    knots = np.quantile(real, np.linspace(0, 1, 257), axis=(0, 1, 2)).T
    moved = apply_map(generated, learn_map(generated, knots))
    levels = np.linspace(0.01, 0.99, 9)
    for c in range(2):
        assert np.allclose(np.quantile(moved[..., c], levels), np.quantile(real[..., c], levels), atol=0.01)
    model = cg.ProgressiveConvexGAN(ranks="published", histogram=True, random_state=0).fit(DIGITS)
    plain = cg.ProgressiveConvexGAN(ranks="published", random_state=0).fit(DIGITS)
    ink = [abs(m.sample(500, random_state=1).mean() - DIGITS.mean()) for m in (model, plain)]
    assert ink[0] < 3 and ink[0] < ink[1]


def test_codes_round_trip_and_interpolate():
    model = cg.ProgressiveConvexGAN(ranks=[10, 20]).fit(DIGITS)
    codes = model.encode(DIGITS[:6])
    assert codes.shape == (6, 20)
    shown = model.interpolate(codes[0], codes[1], steps=5)
    assert shown.shape == (5, 8, 8) and shown.dtype == np.uint8
    for k, end in ((0, 0), (-1, 1)):  # products of five rows and of one need not round to the same grey level
        assert np.abs(shown[k].astype(int) - model.decode(codes[end : end + 1])[0]).max() <= 1
    stage = model.stages_[-1]
    rows = box_pyramid(DIGITS[:6])[8].reshape(6, -1) - stage.mean
    assert np.allclose((rows - codes @ stage.factor) @ stage.factor.T, 0, atol=1e-8)  # least squares
    with pytest.raises(ValueError, match="codes"):
        model.decode(codes[:, :3])


def test_more_rank_scores_better():
    scores = [cg.ProgressiveConvexGAN(ranks=[5, k]).fit(DIGITS).score(DIGITS) for k in (2, 8, 30)]
    assert scores[0] < scores[1] < scores[2] < 0


@pytest.mark.parametrize("options", [{}, {"histogram": True}, {"skip": True}, {"latents": "single", "ranks": [9, 9]}])
def test_save_and_load(tmp_path, options):
    model = cg.ProgressiveConvexGAN(random_state=1, **options).fit(DIGITS)
    model.save(tmp_path / "model.npz")
    again = cg.ProgressiveConvexGAN.load(tmp_path / "model.npz")
    assert again.get_params() == model.get_params()
    for one, other in zip(again.sample_stages(4, 7), model.sample_stages(4, 7), strict=True):
        assert np.array_equal(one, other)
    assert [s.certificate for s in again.stages_] == [s.certificate for s in model.stages_]
    assert again.score(DIGITS) == model.score(DIGITS)


@pytest.mark.parametrize("skip", [False, True])
def test_models_of_earlier_versions_are_read(tmp_path, monkeypatch, skip):
    """All evidence was in arrays of the model, and what equals another array was there twice."""
    monkeypatch.setattr("convexgan.records.encoding.FEW", 100)
    model = cg.ProgressiveConvexGAN(ranks=[5, 10], skip=skip).fit(DIGITS)
    path = tmp_path / "m.npz"
    model.save(path)
    settings, arrays = read_model(path, "progressive")
    assert ("1.detail" in arrays) == skip and "1.evidence.factor" in arrays and "1.evidence.outer" not in arrays
    for i, (stage, facts) in enumerate(zip(model.stages_, settings["stages"], strict=True)):
        proof = json.loads(facts["certificate"]) | {"version": 2}
        facts["evidence"], facts["certificate"] = proof.pop("evidence")["settings"], json.dumps(proof)
        arrays |= {f"{i}.detail": stage.detail, f"{i}.detail_mean": stage.detail_mean}
        arrays |= {f"{i}.evidence.{name}": array for name, array in stage.certificate.evidence.arrays.items()}
    del settings["format"], settings["version"], settings["kind"]
    write_model(tmp_path / "old.npz", "progressive", settings, arrays)
    for again in (cg.ProgressiveConvexGAN.load(path), cg.ProgressiveConvexGAN.load(tmp_path / "old.npz")):
        np.testing.assert_array_equal(again.sample(3, 0), model.sample(3, 0))
        for read, stage in zip(again.stages_, model.stages_, strict=True):
            assert json.loads(read.certificate.to_json()) == json.loads(stage.certificate.to_json())
            assert read.detail.tobytes() == stage.detail.tobytes()
            assert read.detail_mean.tobytes() == stage.detail_mean.tobytes()


def test_certificates_are_verified_from_the_pictures():
    model = cg.ProgressiveConvexGAN(ranks=[10, 20]).fit(DIGITS)
    for stage, images in zip(model.stages_, box_pyramid(DIGITS).values(), strict=True):
        rows = images.reshape(len(images), -1).astype(np.float64) - stage.mean
        again = cg.verify(cg.Certificate.from_json(stage.certificate.to_json()), rows)
        assert again.kind == "saddle" and again.value == pytest.approx(stage.certificate.value, rel=1e-9)
        assert again.ipm == pytest.approx(stage.beta, rel=1e-5)


@pytest.mark.parametrize("change", ["factor", "carry", "nan", "kind"])
def test_damaged_models_are_refused(tmp_path, change):
    path = tmp_path / "model.npz"
    cg.ProgressiveConvexGAN().fit(DIGITS).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    if change == "kind":
        arrays["settings.json"] = np.frombuffer(b'{"kind": "solution", "version": 1}', dtype=np.uint8)
    elif change == "nan":
        arrays["0.mean"] = np.full_like(arrays["0.mean"], np.nan)
    else:
        arrays[f"1.{change}"] = arrays[f"1.{change}"][:-1]
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="model"):
        cg.ProgressiveConvexGAN.load(path)


@pytest.mark.parametrize(
    ("options", "images", "word"),
    [
        ({"ranks": [3, 3], "betas": [0.1, 0.1]}, DIGITS, "not both"),
        ({"ranks": [3]}, DIGITS, "ranks has 1"),
        ({"betas": [3.0]}, DIGITS, "betas has 1"),
        ({"betas": [-1.0, 1.0]}, DIGITS, "betas"),
        ({"ranks": [0, 3]}, DIGITS, "ranks"),
        ({"ranks": [17, 3]}, DIGITS, "exceeds 16"),
        ({"latents": "singel"}, DIGITS, "Did you mean 'single'"),
        ({"coupling": "ot"}, DIGITS, "coupling"),
        ({"latent_dim": 0}, DIGITS, "latent_dim"),
        ({"skip": True, "latents": "single"}, DIGITS, "fresh"),
        ({"sizes": [5, 8]}, DIGITS, "sizes"),
        ({}, DIGITS[:1], "at least two"),
        ({}, DIGITS[:, :, :6], "square"),
        ({}, np.zeros((3, 12, 12)), "size 12"),
        ({}, np.full((3, 8, 8), np.nan), "scale to"),
        ({}, DIGITS.reshape(-1, 64), "reshape"),
    ],
)
def test_bad_input(options, images, word):
    with pytest.raises(ValueError, match=word):
        cg.ProgressiveConvexGAN(**options).fit(images)


@pytest.mark.parametrize("use", ["fit", "held_out", "score"])
def test_floats_between_0_and_1_are_warned_of_at_the_callers_line(use):
    model = cg.ProgressiveConvexGAN(ranks=[2, 2]).fit(DIGITS[:40])
    with pytest.warns(UserWarning, match=r"images holds floats between 0 and 1, taken as \[-1, 1\]") as caught:
        getattr(model, use)(DIGITS[:40] / 255)
    assert [warning.filename for warning in caught] == [__file__]
    bright = np.maximum(DIGITS[:40] / 127.5 - 1, 0)
    bright[-1, 0, 0] = -0.1  # in the last picture only
    getattr(model, use)(bright)
    getattr(model, use)(np.maximum(DIGITS[:40], 128))
    getattr(model, use)(DIGITS[:40] / 600)


def test_one_value_below_zero_does_not_silence_the_warning():
    unit = np.random.default_rng(0).random((20, 8, 8))
    unit[3, 0, 0] = -1e-7
    with pytest.warns(UserWarning, match="images holds floats between 0 and 1"):
        cg.ProgressiveConvexGAN(ranks=[2, 2]).fit(unit)


def test_constant_pictures_are_generated_as_they_are():
    images = np.full((5, 8, 8), 77, dtype=np.uint8)
    model = cg.ProgressiveConvexGAN().fit(images)
    assert np.all(model.sample(3, random_state=0) == 77)
    assert [stage.certificate.kind for stage in model.stages_] == ["saddle", "saddle"]


def test_unfitted_and_other_pictures():
    with pytest.raises(ValueError, match="not fitted"):
        cg.ProgressiveConvexGAN().sample(1)
    model = cg.ProgressiveConvexGAN().fit(DIGITS)
    with pytest.raises(ValueError, match="8 x 8"):
        model.encode(np.zeros((2, 4, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match="n must"):
        model.sample(0)


def test_a_published_rank_that_leaves_nothing_to_beta_is_warned_of():
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    with pytest.warns(UserWarning, match="30 pictures have 29 directions .* at size 8, .* ranks below 29") as caught:
        model = cg.ProgressiveConvexGAN(ranks="published").fit(images)
    assert [warning.filename for warning in caught] == [__file__]
    law = model.stages_[-1].factor
    rows = images.reshape(30, -1) / 127.5 - 1  # the model is their covariance
    np.testing.assert_allclose(law.T @ law, np.cov(rows.T, bias=True), atol=1e-9)
    asked = cg.ProgressiveConvexGAN(ranks=[9, 29]).fit(images)  # asked for: no word
    assert asked.stages_[-1].beta < 1e-9
    cg.ProgressiveConvexGAN(ranks="published").fit(np.repeat(images, 3, axis=0)[:, :4, :4])  # more than pixels
