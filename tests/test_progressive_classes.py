"""Pictures of several classes: a chain for each under one beta a size, one certificate, files, sampling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convexgan as cg
from convexgan.datasets import load
from convexgan.progressive import streaming
from convexgan.progressive.passes import Journal
from convexgan.progressive.pyramid import box_pyramid
from convexgan.progressive.ranks import CUT
from convexgan.statistics import partial
from tests.test_progressive import power_law

DIGITS = load("digits").images[:600]
LABELS = np.random.default_rng(0).choice(["few", "many"], 600, p=[0.2, 0.8])
COLOUR = np.round(127.5 + 127.5 * power_law(500, 16, channels=3)).astype(np.uint8)
KINDS = np.where(np.arange(500) % 5 == 0, 1, 0)
ROUTES = {"complete": (4096, 1024), "iterated in memory": (4096, 40), "by passes": (60, 1024), "no level": (5, 1024)}


def centred(images: np.ndarray, size: int) -> np.ndarray:
    rows = box_pyramid(images, [size])[size].reshape(len(images), -1).astype(np.float64)
    return rows - rows.mean(axis=0)


def scaled(images: np.ndarray, labels: np.ndarray, size: int) -> np.ndarray:
    """The eigenvalues of all classes times their shares, descending: those of the whole game."""
    found = []
    for label in np.unique(labels):
        rows = centred(images[labels == label], size)
        found.append(np.linalg.eigvalsh(rows.T @ rows / len(images)))
    return np.sort(np.concatenate(found))[::-1]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "options", [{}, {"ranks": [20, 60, 90]}, {"betas": [0.05, 0.1, 0.2]}], ids=["chosen", "ranks", "betas"]
)
def test_one_beta_cuts_the_eigenvalues_of_all_classes(monkeypatch: Any, route: str, options: dict[str, Any]) -> None:
    complete, few = ROUTES[route]
    monkeypatch.setattr(streaming, "COMPLETE", complete)
    monkeypatch.setattr(partial, "PARTIAL", few)
    monkeypatch.setattr(partial, "FEW", 0)
    model = cg.ProgressiveConvexGAN(**options).fit(COLOUR, KINDS)
    for i, (stage, size) in enumerate(zip(model.stages_, [4, 8, 16], strict=True)):
        values = scaled(COLOUR, KINDS, size)
        assert stage.beta == pytest.approx(options["betas"][i] if "betas" in options else values[stage.rank], rel=1e-5)
        assert stage.rank == np.count_nonzero(values > stage.beta * (1 + 1e-6))
        if not options:
            left = values.sum() - np.cumsum(values)
            weight = (1 - np.arange(1, len(values) + 1) / len(COLOUR)) ** 2
            assert stage.rank == 1 + np.count_nonzero(left * weight > CUT * values.sum())
        assert stage.lost[0] == pytest.approx(values[stage.rank :].sum() / values.sum(), abs=1e-5)
        assert stage.certificate.kind == "saddle" and stage.certificate.gap < 1e-6
        # the second route: the game on the rows themselves
        assert stage.certificate.value == pytest.approx(np.maximum(values - stage.beta, 0).sum(), rel=1e-5)


def test_the_certificate_is_that_of_the_game_on_labelled_rows() -> None:
    model = cg.ProgressiveConvexGAN(ranks=[8, 20]).fit(DIGITS, LABELS)
    stage = model.stages_[-1]
    rows = np.empty((600, 64))
    for label in ("few", "many"):
        own = DIGITS[label == LABELS].reshape(-1, 64) / 127.5 - 1
        rows[label == LABELS] = own - own.mean(axis=0)
    solved = cg.solve(rows, cg.GaussianLatent(64), labels=LABELS, discriminator="quadratic", beta=stage.beta)
    assert solved.certificate is not None
    assert stage.certificate.value == pytest.approx(solved.certificate.value, rel=1e-9)
    found = cg.verify(stage.certificate, rows, labels=LABELS, tol=1e-6)
    assert found.agreement.agrees and found.kind == "saddle"


def test_samples_are_of_the_class_that_is_asked_for_and_of_all_by_their_shares() -> None:
    model = cg.ProgressiveConvexGAN().fit(DIGITS, LABELS)
    for label in ("few", "many"):
        own = model.of(label)
        drawn = own._draw(20_000, np.random.default_rng(0))[-1].reshape(20_000, -1)
        np.testing.assert_allclose(drawn, model._draw(20_000, np.random.default_rng(0), label)[-1].reshape(20_000, -1))
        law = own.stages_[-1].factor
        assert np.linalg.norm(np.cov(drawn.T) - law.T @ law, 2) < 0.05 * np.linalg.norm(law, 2) ** 2
        np.testing.assert_allclose(
            drawn.mean(0), DIGITS[label == LABELS].reshape(-1, 64).mean(0) / 127.5 - 1, atol=0.03
        )
    both = model._draw(20_000, np.random.default_rng(0))[-1].reshape(20_000, -1)
    np.testing.assert_allclose(both.mean(0), DIGITS.reshape(-1, 64).mean(0) / 127.5 - 1, atol=0.03)
    assert model.sample(3, 0, label="few").shape == (3, 8, 8)
    assert [s.shape for s in model.sample_stages(3, 0)] == [(3, 4, 4), (3, 8, 8)]


def test_the_way_between_classes_has_the_laws_of_the_shortest_path() -> None:
    model = cg.ProgressiveConvexGAN(ranks=[8, 30]).fit(DIGITS, LABELS)
    strip = model.between("few", "many", 5, random_state=0)
    assert strip.shape == (5, 8, 8)
    a, b = (model.of(label).stages_[-1] for label in ("few", "many"))
    halfway = np.array([_middle(model, a, b, seed) for seed in range(4000)])
    A, B = (stage.factor.T @ stage.factor for stage in (a, b))
    expected = (A + B + _cross(A, B) + _cross(A, B).T) / 4  # of (x + T x) / 2
    assert np.linalg.norm(np.cov(halfway.T, bias=True) - expected, 2) < 0.1 * np.linalg.norm(expected, 2)


def _middle(model: Any, a: Any, b: Any, seed: int) -> np.ndarray:
    """What `between` draws halfway, before it is made bytes."""
    kept: list[np.ndarray] = []
    original = model._finish
    model._finish = lambda images, finest: kept.append(images) or original(images, finest)
    try:
        model.between("few", "many", 3, random_state=seed)
    finally:
        del model._finish
    return kept[0][1].ravel()


def _cross(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """E x (Tx)' of the optimal coupling: A^{1/2} (A^{1/2} B A^{1/2})^{1/2} A^{-1/2} on the range of A."""
    values, vectors = np.linalg.eigh(A)
    kept = values > 1e-9 * values[-1]
    root = (vectors[:, kept] * np.sqrt(values[kept])) @ vectors[:, kept].T
    inverse = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    inner = root @ B @ root
    w, U = np.linalg.eigh((inner + inner.T) / 2)
    return np.asarray(root @ (U * np.sqrt(np.maximum(w, 0))) @ U.T @ inverse)


def test_it_is_saved_and_resumed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(streaming, "COMPLETE", 60)
    options: dict[str, Any] = {"ranks": [10, 30, 40], "histogram": True, "random_state": 0}
    model = cg.ProgressiveConvexGAN(**options).fit(COLOUR, KINDS)
    model.save(tmp_path / "model.npz")
    again = cg.ProgressiveConvexGAN.load(tmp_path / "model.npz")
    assert (again.classes_, again.counts_) == ((0, 1), (400, 100))
    np.testing.assert_array_equal(again.sample(5, 0), model.sample(5, 0))
    assert [s.certificate.to_json() for s in again.stages_] == [s.certificate.to_json() for s in model.stages_]

    class Killed(Exception):
        pass

    def stop(stage: Any, moments: Any) -> None:
        if stage.size == 8:
            raise Killed

    journal = Journal(tmp_path / "journal", "key")
    with pytest.raises(Killed):
        cg.ProgressiveConvexGAN(**options).fit(COLOUR, KINDS, journal=journal, progress=stop)
    assert list((tmp_path / "journal").rglob("pass-moments.npz"))
    resumed = cg.ProgressiveConvexGAN(**options).fit(COLOUR, KINDS, journal=Journal(tmp_path / "journal", "key"))
    resumed.save(tmp_path / "resumed.npz")
    assert (tmp_path / "resumed.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()
    journal.clear()
    assert not (tmp_path / "journal").exists()


def test_what_belongs_to_one_class_is_asked_of_its_model() -> None:
    model = cg.ProgressiveConvexGAN(ranks=[8, 20]).fit(DIGITS, LABELS)
    for call in (model.encode, model.score, model.held_out):
        with pytest.raises(ValueError, match=r"has the classes 'few', 'many': take that of one, model\.of\('few'\)"):
            call(DIGITS[:5])
    assert model.of("many").encode(DIGITS[:5]).shape[0] == 5
    with pytest.raises(ValueError, match=r"label: 'meny' is none of the classes.*'many'"):
        model.of("meny")
    plain = cg.ProgressiveConvexGAN(ranks=[8, 20]).fit(DIGITS)
    with pytest.raises(ValueError, match="has no classes"):
        plain.of("few")
    with pytest.raises(ValueError, match="label is for a model with classes"):
        plain.sample(2, label="few")


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (LABELS[:-1], {}, r"labels has shape \(599,\), not \(600,\)"),
        (["only", *["others"] * 599], {}, "class 'only' has one picture, and at least two"),
        ([None, *LABELS[1:]], {}, "missing entries"),
        (LABELS, {"latents": "single"}, "latents='fresh' with labels"),
        (LABELS, {"ranks": [40, 20]}, "rank 40 at size 4 exceeds"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        cg.ProgressiveConvexGAN(**options).fit(DIGITS, labels)
