"""ConvexWGAN keeps the scikit-learn contract and the game's promises."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import convexgan as cg
from tests.generators import assert_alike

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 4)) * [4, 3, 2, 1] + [10, -5, 0, 1]


NOT_OURS = {"check_sample_weight_equivalence_on_sparse_data": "1.6.0 runs it for estimators that take no sparse data"}


def test_scikit_learn_contract():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # the array API needs an environment variable
        results = check_estimator(cg.ConvexWGAN(), on_fail=None, expected_failed_checks=NOT_OURS)
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


# -- what the ecosystem expects --------------------------------------------------------------------------------------


def test_transform_whitens_the_generators_law_and_goes_back():
    model = cg.ConvexWGAN(n_components=3, beta=None).fit(X)
    drawn = model.sample(100_000, random_state=0)
    codes = model.transform(drawn)
    assert codes.shape == (100_000, 3)
    assert np.allclose(codes.mean(0), 0, atol=0.02) and np.allclose(np.cov(codes.T), np.eye(3), atol=0.02)
    assert np.allclose(model.inverse_transform(codes), drawn)
    assert np.allclose(np.abs(codes), np.abs(model.encode(drawn)))
    values, vectors = np.linalg.eigh(np.cov(X.T, bias=True))  # second route: scaled principal components
    axes, sizes = vectors[:, :0:-1], np.sqrt(values[:0:-1] - values[0])
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), range(3)])
    assert np.allclose(model.transform(X), (X - X.mean(0)) @ axes / sizes)


def test_signs_of_latents_hang_on_the_rows_alone():
    shuffled = X[np.random.default_rng(1).permutation(len(X))]
    assert np.allclose(cg.ConvexWGAN().fit(X).transform(X[:5]), cg.ConvexWGAN().fit(shuffled).transform(X[:5]))
    with pytest.raises(ValueError, match=r"Z has shape .* 4 columns"):
        cg.ConvexWGAN().fit(X).inverse_transform(np.ones((2, 3)))


def test_latents_have_names_in_frames():
    pandas = pytest.importorskip("pandas")
    model = cg.ConvexWGAN(n_components=2).set_output(transform="pandas")
    found = model.fit_transform(pandas.DataFrame(X, columns=list("abcd")))
    assert list(found.columns) == ["convexwgan0", "convexwgan1"] == list(model.get_feature_names_out())
    assert np.allclose(found, cg.ConvexWGAN(n_components=2).fit(X).transform(X))


def test_a_pipeline_goes_there_and_back():
    steps = make_pipeline(StandardScaler(), cg.ConvexWGAN(n_components=4))
    assert np.allclose(steps.inverse_transform(steps.fit_transform(X)), X)


@pytest.mark.parametrize("options", [{}, {"beta": 0.5}, {"n_components": 2}, {"center": False, "n_components": 3}])
def test_score_samples_is_the_log_density_of_the_generators_law(options):
    model = cg.ConvexWGAN(**options).fit(X)
    W, bias = model.solution_.generator.weights, model.solution_.generator.bias
    law = multivariate_normal(model.mean_ + bias, W.T @ W, allow_singular=True)
    rows = np.concatenate([model.sample(50, random_state=0), X[:20]])
    assert np.allclose(model.score_samples(rows), law.logpdf(rows))
    flat = np.linalg.matrix_rank(W) < 4
    assert np.isfinite(model.score_samples(rows[:50])).all() and (model.score_samples(X[:20]) == -np.inf).all() == flat


def test_a_law_of_one_point_has_a_density_there_only():
    model = cg.ConvexWGAN(beta=1e3).fit(X)
    assert model.score_samples(np.stack([X.mean(0), X[0]])).tolist() == [0.0, -np.inf]


@pytest.mark.parametrize("center", [True, False])
def test_whole_weights_are_repeated_rows(center):
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    options = {"discriminator": "polynomial" if center else "quadratic", "beta": 0.4, "center": center}
    one = cg.ConvexWGAN(**options).fit(X, sample_weight=counts)
    other = cg.ConvexWGAN(**options).fit(np.repeat(X, counts, axis=0))
    assert one.solution_.value == pytest.approx(other.solution_.value, rel=1e-9)
    assert np.allclose(one.mean_, other.mean_) and np.allclose(one.transform(X), other.transform(X), atol=1e-6)
    assert one.score(X, sample_weight=counts) == pytest.approx(other.score(np.repeat(X, counts, axis=0)), rel=1e-7)
    with pytest.raises(ValueError, match="sample_weight is zero for all rows"):
        cg.ConvexWGAN().fit(X, sample_weight=np.zeros(len(X)))


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 301)])
@pytest.mark.parametrize("parts", [[300], [2, 298], [150, 1, 149]])
def test_parts_of_the_rows_make_the_model_of_all(parts, weights):
    model, start = cg.ConvexWGAN(beta=0.5), 0
    for n in parts:
        part = slice(start, start + n)
        model.partial_fit(X[part], sample_weight=None if weights is None else weights[part])
        start += n
    whole = cg.ConvexWGAN(beta=0.5).fit(X, sample_weight=weights)
    assert model.solution_.value == pytest.approx(whole.solution_.value, rel=1e-9)
    assert np.allclose(model.transform(X), whole.transform(X)) and model.moments_.count == 300
    assert np.allclose(model.fit(X[:50]).mean_, X[:50].mean(0))  # fit begins anew
    assert np.allclose(model.partial_fit(X[50:]).mean_, X.mean(0))


def test_parts_that_cannot_be_added(tmp_path):
    model = cg.ConvexWGAN().partial_fit(X)
    before = model.solution_
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :2])
    with pytest.raises(cg.InfeasibleError):
        model.set_params(n_components=1, beta=1e-6).partial_fit(X)
    assert model.solution_ is before and model.moments_.count == 300
    model.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="no moments of its rows: call fit"):
        cg.ConvexWGAN.load(tmp_path / "model.npz").partial_fit(X)
