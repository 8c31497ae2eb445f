"""Ranks that are chosen: how much of the pictures' variance they cut, by every route to the eigenvalues."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convexgan as cg
from convexgan._tools.files import read_model, write_model
from convexgan.progressive import streaming
from convexgan.progressive.pyramid import box_pyramid, upsample
from convexgan.progressive.ranks import CUT, Level, Variance, published_ranks
from convexgan.progressive.stages import Stage
from convexgan.statistics import partial
from tests.test_progressive import power_law

SIZES = [4, 8, 16]
IMAGES = np.round(127.5 + 127.5 * power_law(900, 16, channels=3)).astype(np.uint8)
ROUTES = {"complete": (4096, 1024), "iterated in memory": (4096, 40), "by passes": (60, 1024), "no level": (5, 1024)}


def games(images: np.ndarray, skip: bool) -> list[tuple[np.ndarray, float]]:
    """The rows of each stage's game, centred, and the variance of the pictures at its size."""
    found, before = [], None
    for level in box_pyramid(images, SIZES).values():
        pictures = level.reshape(len(level), -1).astype(np.float64)
        pictures -= pictures.mean(axis=0)
        rows = pictures
        if skip and before is not None:
            rows = pictures - upsample(before, int((before.shape[1] // 3) ** 0.5), 3)
        found.append((rows, float(np.sum(pictures**2)) / len(pictures)))
        before = pictures
    return found


def smallest_rank(rows: np.ndarray, variance: float) -> int:
    """By definition."""
    values, n = np.linalg.eigvalsh(rows.T @ rows / len(rows))[::-1], len(rows)
    return min(k for k in range(1, len(values) + 1) if values[k:].sum() * (1 - k / n) ** 2 <= CUT * variance)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("options", [{}, {"skip": True}], ids=str)
def test_the_smallest_rank_that_cuts_little_by_every_route(
    monkeypatch: pytest.MonkeyPatch, route: str, options: dict[str, Any]
) -> None:
    complete, few = ROUTES[route]
    monkeypatch.setattr(streaming, "COMPLETE", complete)
    monkeypatch.setattr(partial, "PARTIAL", few)
    monkeypatch.setattr(partial, "FEW", 0)
    model = cg.ProgressiveConvexGAN(**options).fit(IMAGES)
    for stage, (rows, variance) in zip(model.stages_, games(IMAGES, "skip" in options), strict=True):
        assert stage.rank == smallest_rank(rows, variance) < rows.shape[1]
        assert stage.certificate.kind == "saddle" and stage.beta > 0
        agrees_with_the_laws(stage, rows, variance)


def agrees_with_the_laws(stage: Stage, rows: np.ndarray, variance: float) -> None:
    """The second route to what is lost: the trace of what is generated, and the projection of the data."""
    cut, shrunk = stage.lost
    axes = np.linalg.qr(stage.detail.T)[0]
    assert cut == pytest.approx(np.sum((rows - rows @ axes @ axes.T) ** 2) / len(rows) / variance, abs=1e-6)
    kept = np.sum(stage.detail**2)
    assert cut + shrunk == pytest.approx((np.sum(rows**2) / len(rows) - kept) / variance, abs=1e-6)
    assert cut * (1 - stage.rank / len(rows)) ** 2 <= CUT + 1e-9 and shrunk > 0


def test_a_single_latent_limits_chosen_ranks() -> None:
    model = cg.ProgressiveConvexGAN(latents="single", latent_dim=7).fit(IMAGES)
    ranks = [stage.rank for stage in model.stages_]
    assert ranks[0] <= 7 and ranks == sorted(ranks, reverse=True)
    assert [stage.certificate.kind for stage in model.stages_] == ["saddle"] * 3


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_few_pictures_leave_a_direction_to_beta(n: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (n, 8, 8), dtype=np.uint8)
    fit = cg.ProgressiveConvexGAN(sizes=[8]).fit
    if n == 2:  # one direction: it is kept, and that is said
        with pytest.warns(UserWarning, match="2 pictures have 1 directions"):
            fit(images)
        return
    (stage,) = fit(images).stages_
    rows = images.reshape(n, -1) / 127.5 - 1
    rows -= rows.mean(axis=0)
    assert (
        stage.rank == min(n - 2, smallest_rank(rows, np.sum(rows**2) / n)) and stage.beta > 1e-3 * stage.eigenvalues[0]
    )
    with pytest.warns(UserWarning, match="beta is 0 up to rounding"):  # the fewer are repeated, the less is left
        fit(np.repeat(images[:2], 5, axis=0))


def test_published_ranks_are_kept_and_named() -> None:
    model = cg.ProgressiveConvexGAN(ranks="published").fit(IMAGES)
    assert [stage.rank for stage in model.stages_] == published_ranks(SIZES, 3, 900) == [20, 30, 40]
    with pytest.raises(ValueError, match="ranks must be a list, one entry for each stage, or 'published', got 'best'"):
        cg.ProgressiveConvexGAN(ranks="best").fit(IMAGES)
    with pytest.raises(ValueError, match="not both"):
        cg.ProgressiveConvexGAN(ranks="published", betas=[0.1] * 3).fit(IMAGES)


def test_what_is_lost_survives_the_file_and_is_unknown_of_older_ones(tmp_path: Any) -> None:
    model = cg.ProgressiveConvexGAN().fit(IMAGES)
    model.save(tmp_path / "model.npz")
    again = cg.ProgressiveConvexGAN.load(tmp_path / "model.npz")
    assert [stage.lost for stage in again.stages_] == [stage.lost for stage in model.stages_]
    settings, arrays = read_model(tmp_path / "model.npz", "progressive")
    settings["stages"] = [{name: part for name, part in s.items() if name != "variance"} for s in settings["stages"]]
    write_model(tmp_path / "older.npz", "progressive", settings, arrays)
    older = cg.ProgressiveConvexGAN.load(tmp_path / "older.npz")
    assert np.isnan([stage.lost for stage in older.stages_]).all()
    np.testing.assert_array_equal(older.sample(2, 0), model.sample(2, 0))


def test_a_level_waits_for_the_eigenvalues_it_needs() -> None:
    values, variance = np.array([5.0, 3.0, 1.0, 0.1, 0.05]), Variance(9.15, 9.15)
    chosen = Level()
    assert [chosen.is_reached(values[:k], variance) for k in range(1, 6)] == [False, False, False, True, True]
    assert chosen.of(values, variance) == (3, 0.1) and Level(pictures=3).of(values, variance) == (2, 1.0)
    assert Level(most=1).of(values, variance) == (1, 3.0) and Level(most=1).is_reached(values[:2], variance)
    assert Level(beta=0.5).of(values, variance) == (3, 0.5)
    assert not Level(2).is_reached(values[:2], variance) and Level(2).of(values, variance) == (2, 1.0)
    assert Level().of(np.zeros(3), Variance(0.0, 0.0)) == (1, 0.0)


@pytest.mark.parametrize("labels", [None, [0, 1] * 450], ids=["one", "classes"])
def test_chosen_ranks_do_not_grow_where_pictures_are_fine(monkeypatch: pytest.MonkeyPatch, labels: Any) -> None:
    free = [stage.rank for stage in cg.ProgressiveConvexGAN().fit(IMAGES, labels).stages_]
    assert free[0] < free[1] < free[2]
    monkeypatch.setattr("convexgan.progressive.fitting.SETTLED", 8)
    ranks = [stage.rank for stage in cg.ProgressiveConvexGAN().fit(IMAGES, labels).stages_]
    assert ranks == [free[0], free[1], free[1]]
    apart = [stage.rank for stage in cg.ProgressiveConvexGAN(sizes=[4, 16]).fit(IMAGES, labels).stages_]
    assert apart == [free[0], free[2]]  # 4 pixels say nothing of 16
