"""ConvexWGAN keeps the scikit-learn contract and the game's promises."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.utils.estimator_checks import check_estimator

import convexgan as cg
from tests.generators import assert_alike

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 4)) * [4, 3, 2, 1] + [10, -5, 0, 1]


def test_scikit_learn_contract():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # the array API needs an environment variable
        results = check_estimator(cg.ConvexWGAN(), on_fail=None)
    assert len(results) > 30
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []


@pytest.mark.parametrize("discriminator", ["linear", "quadratic", "polynomial"])
@pytest.mark.parametrize("center", [True, False])
def test_every_discriminator_is_certified(discriminator, center):
    model = cg.ConvexWGAN(discriminator=discriminator, center=center, beta=0.3).fit(X)
    assert model.solution_.certificate.kind == "saddle"
    level = min(0.3, model.solution_.certificate.ipm)
    assert model.score(X) == pytest.approx(-level, abs=1e-6)  # the constraint, on the training rows


def test_default_beta_matches_what_the_latents_can_reach():
    model = cg.ConvexWGAN(n_components=2).fit(X)
    eigenvalues = np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1]
    assert model.solution_.certificate.ipm == pytest.approx(eigenvalues[2])
    drawn = model.sample(200_000, random_state=0)
    assert np.allclose(drawn.mean(0), X.mean(0), atol=0.05)
    kept = np.linalg.eigvalsh(np.cov(drawn.T))[::-1]
    assert np.allclose(kept[:2], eigenvalues[:2] - eigenvalues[2], rtol=0.03)
    assert np.allclose(kept[2:], 0, atol=1e-9)


def test_grid_search_over_beta():
    """Scores recomputed with numpy: minus the spectral norm between held-out and soft-thresholded covariance."""
    betas = [0.0, 0.5, 2.0, 30.0]
    folds = KFold(3)
    search = GridSearchCV(cg.ConvexWGAN(), {"beta": betas}, cv=folds).fit(X)
    scores = np.zeros(len(betas))
    for train, test in folds.split(X):
        mean = X[train].mean(0)
        values, vectors = np.linalg.eigh(np.cov(X[train].T, bias=True))
        held = (X[test] - mean).T @ (X[test] - mean) / len(test)
        for i, beta in enumerate(betas):
            generated = (vectors * np.maximum(values - beta, 0)) @ vectors.T
            scores[i] -= np.linalg.norm(held - generated, 2) / 3
    assert np.allclose(search.cv_results_["mean_test_score"], scores)
    assert search.best_params_["beta"] == betas[int(np.argmax(scores))]


def test_codes_round_trip():
    model = cg.ConvexWGAN(n_components=3).fit(X)
    codes = RNG.standard_normal((5, 3))
    assert np.allclose(model.encode(model.decode(codes)), codes)
    projected = model.decode(model.encode(X))
    assert np.allclose(model.decode(model.encode(projected)), projected)


def test_save_and_load(tmp_path):
    model = cg.ConvexWGAN(discriminator=cg.discriminators.Polynomial(-0.2, 0.4, 0.1), n_components=4, lam=2.0).fit(X)
    model.save(tmp_path / "model")
    again = cg.ConvexWGAN.load(tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert_alike(again.sample(3, random_state=1), model.sample(3, random_state=1))
    assert again.score(X) == pytest.approx(model.score(X), rel=1e-12)
    assert again.get_params() == model.get_params()
    assert again.solution_.certificate == model.solution_.certificate
    (tmp_path / "model").write_bytes((tmp_path / "model").read_bytes()[:-200])
    with pytest.raises(ValueError, match="model"):
        cg.ConvexWGAN.load(tmp_path / "model")


def test_feature_names_survive_saving(tmp_path):
    """A stand-in for a data frame: scikit-learn takes names from __dataframe__ or pandas only, so they are set here."""
    model = cg.ConvexWGAN().fit(X)
    model.feature_names_in_ = np.array([f"column {i}" for i in range(X.shape[1])], dtype=object)
    model.save(tmp_path / "model")
    again = cg.ConvexWGAN.load(tmp_path / "model")
    assert again.feature_names_in_.tolist() == model.feature_names_in_.tolist()
    model.feature_names_in_ = np.array(["one"], dtype=object)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="name"):
        cg.ConvexWGAN.load(tmp_path / "model")


def test_seeds():
    model = cg.ConvexWGAN(random_state=3).fit(X)
    assert np.array_equal(model.sample(2), model.sample(2))
    assert not np.array_equal(model.sample(2), model.sample(2, random_state=4))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"beta": 1.0, "lam": 1.0}, "both"),
        ({"beta": -1.0}, "beta"),
        ({"n_components": 0}, "n_components"),
        ({"discriminator": "cubic"}, "discriminator"),
        ({"n_components": 1, "beta": 0.0}, "beta >="),
    ],
)
def test_bad_parameters(options, word):
    with pytest.raises((ValueError, cg.InfeasibleError), match=word):
        cg.ConvexWGAN(**options).fit(X)


def test_unfitted():
    with pytest.raises(NotFittedError):
        cg.ConvexWGAN().sample(2)
