"""Linear GANs: each optimum by two routes, each formula against simulation, the curves, and bad input."""

from __future__ import annotations

import json

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad, quad
from scipy.optimize import minimize
from scipy.stats import chi2
from typer.testing import CliRunner

from benchmarks.triple_descent import BETWEEN, moments
from convexgan.cli import app
from convexgan.cli.studies.double_descent import TRIPLE
from convexgan.gaussian import squared_wasserstein
from convexgan.linear_gan import (
    RandomFeatures,
    Sweep,
    amplification,
    best_dimension,
    expected_error,
    fluctuation,
    half_step,
    mixed,
    mixed_path,
    predicted,
    pseudo_supervised,
    shrinkage,
    sweep,
    unsupervised,
)
from convexgan.linear_gan.features import tanh_moment
from convexgan.linear_gan.mixed import compress

LAW = 1 / np.arange(1, 65)
seeds = st.integers(0, 2**16)


def draw(n: int, d: int, seed: int = 0) -> np.ndarray:
    """(n, d) samples of a law with eigenvalues 1/i."""
    return np.random.default_rng(seed).standard_normal((n, d)) / np.sqrt(np.arange(1, d + 1))


def latents(m: int, k: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((m, k))


def second(X: np.ndarray) -> np.ndarray:
    return X.T @ X / len(X)


def objective(X: np.ndarray, Z: np.ndarray, weight: float, W: np.ndarray) -> float:
    """The mixed objective, from covariances."""
    B = W.T @ W
    return squared_wasserstein(second(X), (B + B.T) / 2) + weight * np.mean(np.sum((X[: len(Z)] - Z @ W) ** 2, axis=1))


# -- without pairs -------------------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.integers(2, 6), st.integers(1, 8), seeds)
def test_unsupervised_loss_is_the_tail_of_the_spectrum(n, d, k, seed):
    X = draw(n, d, seed)
    W = unsupervised(X, k)
    assert W.shape == (k, d)
    values = np.linalg.eigvalsh(second(X))[::-1]
    assert squared_wasserstein(second(X), W.T @ W) == pytest.approx(np.maximum(values, 0)[k:].sum(), abs=1e-9)


def test_unsupervised_is_what_a_general_optimiser_finds():
    X = draw(9, 4)
    starts = [latents(2, 4, seed).ravel() for seed in range(5)]
    found = min(minimize(lambda w: objective(X, latents(1, 2), 0.0, w.reshape(2, 4)), s).fun for s in starts)
    W = unsupervised(X, 2)
    assert squared_wasserstein(second(X), W.T @ W) == pytest.approx(found, rel=1e-6)


@given(st.integers(1, 5), st.integers(0, 4), seeds)
def test_half_a_step_is_exact_from_the_rank_on(n, more, seed):
    X = draw(n, 6, seed)
    W = half_step(X, latents(n + more, 6, seed))
    np.testing.assert_allclose(W.T @ W, second(X), atol=1e-9)


def test_below_the_rank_half_steps_converge_to_the_optimum():
    X, W = draw(20, 6), latents(2, 6)
    once = half_step(X, W)
    assert np.linalg.norm(once.T @ once - unsupervised(X, 2).T @ unsupervised(X, 2)) > 0.1  # one is not enough
    for _ in range(400):
        W = half_step(X, W)
    np.testing.assert_allclose(W.T @ W, unsupervised(X, 2).T @ unsupervised(X, 2), atol=1e-8)


# -- fixed pairs ---------------------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.integers(1, 8), st.sampled_from([0.0, 1e-3, 0.5]), seeds)
def test_least_squares_solve_the_normal_equations_with_the_smallest_norm(n, k, ridge, seed):
    X, Z = draw(n, 3, seed), latents(n, k, seed + 1)
    W = pseudo_supervised(X, Z, ridge)
    gram = Z.T @ Z / n + ridge * np.eye(k)
    np.testing.assert_allclose(gram @ W, Z.T @ X / n, atol=1e-8)
    if ridge == 0:
        np.testing.assert_allclose(W, np.linalg.lstsq(Z, X)[0], atol=1e-6 * np.linalg.norm(W))


def test_least_squares_with_repeated_latents():
    X, z = draw(6, 3), latents(3, 8)
    Z = np.vstack([z, z])
    np.testing.assert_allclose(Z @ pseudo_supervised(X, Z), np.tile((X[:3] + X[3:]) / 2, (2, 1)), atol=1e-10)


# -- both ----------------------------------------------------------------------------------------------------------


def relaxation(X: np.ndarray, Z: np.ndarray, weight: float) -> float:
    """The semidefinite program with B >= W'W."""
    d, k, m = X.shape[1], Z.shape[1], len(Z)
    W, B, C = cp.Variable((k, d)), cp.Variable((d, d), symmetric=True), cp.Variable((d, d))
    S = second(X)
    blocks = [cp.bmat([[S, C], [C.T, B]]) >> 0, cp.bmat([[B, W.T], [W, np.eye(k)]]) >> 0]
    cost = np.trace(S) + cp.trace(B) - 2 * cp.trace(C) + weight / m * cp.sum_squares(X[:m] - Z @ W)
    problem = cp.Problem(cp.Minimize(cost), blocks)
    problem.solve(solver="CLARABEL")
    return float(problem.value)


@pytest.mark.parametrize(("n", "m", "k"), [(6, 2, 7), (8, 3, 7), (3, 3, 6), (6, 6, 10)])
@pytest.mark.parametrize("weight", [0.3, 5.0])
def test_many_latents_make_the_mixed_problem_convex_and_its_optimum_is_proved(n, m, k, weight):
    X, Z = draw(n, 4), latents(m, k)
    found = mixed(X, Z, weight)
    assert found.value == pytest.approx(objective(X, Z, weight, found.W), rel=1e-9, abs=1e-12)
    assert 0 <= found.gap + 1e-12 < 1e-6 * np.trace(second(X))
    assert found.value == pytest.approx(relaxation(X, Z, weight), abs=1e-6)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.sampled_from([0.05, 1.0, 30.0]), seeds)
@settings(max_examples=15)
def test_bound_is_below_every_generator(m, d, k, weight, seed):
    X, Z = draw(6, d, seed), latents(m, k, seed + 1)
    found = mixed(X, Z, weight, max_iterations=500)
    others = [found.W, unsupervised(X, k), pseudo_supervised(X[:m], Z), latents(k, d, seed)]
    values = [objective(X, Z, weight, W) for W in others]
    assert found.bound <= min(values) + 1e-8
    assert found.value <= min(values) + 1e-4 or k < np.linalg.matrix_rank(X)


def test_few_latents_a_general_optimiser_finds_nothing_better():
    X, Z = draw(10, 4), latents(6, 2)
    starts = [latents(2, 4, seed).ravel() for seed in range(8)]
    best = min(minimize(lambda w: objective(X, Z, 0.5, w.reshape(2, 4)), start).fun for start in starts)
    found = mixed(X, Z, 0.5)
    assert found.value == pytest.approx(best, rel=1e-6)
    assert found.bound < found.value
    assert found.stationarity <= 1e-7


def test_gradient_of_the_mixed_objective_is_its_slope():
    pairs, _, _ = compress(draw(6, 4), latents(4, 3))
    W, way = latents(*(pairs.Z.shape[1], 4), 5), latents(*(pairs.Z.shape[1], 4), 6)
    slope = (pairs.value(W + 1e-6 * way, 0.7) - pairs.value(W - 1e-6 * way, 0.7)) / 2e-6
    assert np.sum(pairs.gradient(W, 0.7) * way) == pytest.approx(float(slope), rel=1e-6)


def test_path_goes_from_the_unsupervised_to_the_supervised_problem():
    X, Z = draw(8, 5), latents(5, 4)
    path = mixed_path(X, Z, [1e4, 0.0, 1.0])
    assert [found.weight for found in path] == [1e4, 0, 1]
    np.testing.assert_allclose(path[0].W, pseudo_supervised(X[:5], Z), atol=1e-3)
    W = unsupervised(X, 4)
    assert path[1].value == pytest.approx(squared_wasserstein(second(X), W.T @ W), abs=1e-9)
    assert path[1].gap == pytest.approx(0, abs=1e-9)
    assert path[1].bound > 0.01
    assert path[2].value <= mixed(X, Z, 1.0).value + 1e-9
    misfits = [np.sum((X[:5] - Z @ found.W) ** 2) for found in path]
    assert misfits[0] < misfits[2] < misfits[1]


# -- formulas ------------------------------------------------------------------------------------------------------


def simulated(X: np.ndarray, k: int, draws: int) -> np.ndarray:
    """(draws, d, d) covariances W'W of least squares on random latents."""
    Z = np.random.default_rng(7).standard_normal((draws, len(X), k))
    W = np.linalg.pinv(Z) @ X
    return np.swapaxes(W, 1, 2) @ W


@pytest.mark.parametrize(("n", "k"), [(6, 14), (6, 11), (14, 5), (12, 6), (4, 30)])
def test_mean_and_variance_against_simulation(n, k):
    X = np.eye(n) * np.sqrt(n)  # then W'W is M itself, and Sh = I
    M = simulated(X, k, 20_000) / shrinkage(n, k)
    within = 4.5 / np.sqrt(len(M))
    off = M[:, 0, 1]
    assert abs(M[:, 0, 0].mean() - 1) < within * M[:, 0, 0].std()
    assert abs(off.mean()) < within * off.std()
    for entries, variance in zip((M[:, 0, 0] - 1, off), fluctuation(n, k), strict=True):
        assert abs(np.mean(entries**2) - variance) < within * np.std(entries**2)


def test_mean_is_an_integral_over_chi_squared_and_infinite_with_it():
    """tr (ZZ')^{-1} is a sum of inverse chi-squared variables of |k - n| + 1 degrees, infinite up to 2 of them."""
    for n, k in ((10, 12), (10, 13), (10, 40), (12, 10), (40, 3)):
        inverse = chi2(abs(k - n) + 1).expect(lambda x: 1 / x, epsrel=1e-10)
        assert shrinkage(n, k) == pytest.approx(n * inverse * min(n, k) / n, rel=1e-6)
    for k in (9, 10, 11):
        density = chi2(abs(k - 10) + 1).pdf
        parts = [quad(lambda u, pdf=density: pdf(np.exp(u)), low, low + 10)[0] for low in (-20, -10)]  # x = exp(u)
        assert parts[0] > 0.99 * parts[1] > 1  # every step towards x = 0 adds as much again
        assert shrinkage(10, k) == np.inf


@pytest.mark.parametrize(("n", "k"), [(20, 6), (20, 10), (20, 30), (20, 45), (20, 64), (20, 100), (20, 400)])
def test_expected_error_against_simulation(n, k):
    X, S = draw(n, 24), np.diag(1 / np.arange(1, 25))
    root = np.sqrt(S)
    B = simulated(X, k, 400)
    fidelity = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ B @ root), 0)).sum(-1)
    errors = np.trace(S) + np.trace(B, axis1=1, axis2=2) - 2 * fidelity
    mean, deviation = errors.mean(), errors.std() / 20
    found = expected_error(S, second(X), n, k)
    assert found.lower - 3 * deviation < mean < found.upper + 3 * deviation
    assert found.lower <= found.estimate <= found.upper
    if k > 2 * n:
        assert mean == pytest.approx(found.estimate, rel=0.08 if k < 3 * n else 0.04, abs=3 * deviation)


@pytest.mark.parametrize(("n", "k"), [(6, 14), (1, 9), (30, 40)])
def test_beyond_n_the_variances_are_those_of_an_inverse_wishart_matrix(n, k):
    a = k - n  # von Rosen 1988, in units of the mean
    assert fluctuation(n, k) == pytest.approx((2 / (a - 3), (a - 1) / (a * (a - 3)) if n > 1 else 0.0), rel=1e-9)


def test_formulas_are_infinite_at_the_peak_and_say_so():
    assert shrinkage(10, 4) == pytest.approx(4 / 5)
    assert shrinkage(10, 21) == pytest.approx(1)
    assert [shrinkage(10, k) for k in (9, 10, 11)] == [np.inf] * 3
    assert fluctuation(10, 13) == (np.inf, np.inf)
    peak = expected_error(np.eye(3), np.eye(3), 10, 10)
    assert (peak.lower, peak.estimate, peak.upper) == (np.inf, np.inf, np.inf)
    near = expected_error(np.eye(3), np.eye(3), 10, 12)
    assert np.isfinite([near.lower, near.upper]).all()


def test_advice_is_near_the_best_simulated_dimension():
    found = sweep(LAW, 20, [24, 30, 36, 44, 52, 60, 68, 80, 100, 140], draws=60, jobs=1)
    best = found.setting.dimensions[int(np.argmin(found.curve("pseudo-supervised")))]
    advice = [best_dimension(np.diag(LAW), second(draw(20, 64, seed)), 20) for seed in range(20)]
    assert abs(np.log(np.median(advice) / best)) < np.log(1.3)


def test_advice_without_fluctuations_is_the_plain_formula():
    n, d = 4000, 3  # c* = 1: k = 2n + 1
    assert best_dimension(np.eye(d), np.eye(d), n) == pytest.approx(2 * n + 1, rel=0.01)


# -- sweeps --------------------------------------------------------------------------------------------------------


def test_curves_of_the_paper():
    ks = [6, 20, 41, 64, 400]
    found = sweep(LAW, 20, ks, weights=[10.0], jobs=1)
    flat = found.errors[0]
    np.testing.assert_allclose(flat[1:], np.broadcast_to(flat[1], (4, 40)), rtol=1e-9)  # every draw, not the median
    six, peak, second_descent, low, shrunk = found.curve("pseudo-supervised")
    assert six == pytest.approx(3.8, abs=0.15)
    assert 150 < peak < 1500
    assert second_descent == pytest.approx(2.95, abs=0.2)
    assert low == pytest.approx(2.38, abs=0.08)
    assert shrunk == pytest.approx(3.4, abs=0.08)
    assert found.curve("unsupervised")[-1] == pytest.approx(2.533, abs=0.05)
    mix = found.curve("mixed 10")
    assert mix[1] > mix[0] and mix[1] > mix[2] > mix[4]
    formula = predicted(found.setting)
    np.testing.assert_allclose(formula[[3, 4]], [low, shrunk], rtol=0.04)
    assert formula[1] == np.inf


def test_sweep_agrees_with_the_single_learners():
    d, n, m = 5, 6, 4
    for k in (2, 4, 9):
        found = sweep(
            1 / np.arange(1, d + 1), n, [k], pairs=m, ridges=[0.2], weights=[0.5, 4.0], draws=2, jobs=1, seed=3
        )
        X = np.random.default_rng([3, 1, 0]).standard_normal((n, d)) / np.sqrt(np.arange(1, d + 1))
        Z = np.random.default_rng([3, 1, 1]).standard_normal((k, m)).T
        path = mixed_path(X, Z, [0.5, 4.0])
        learnt = [unsupervised(X, k), pseudo_supervised(X[:m], Z), pseudo_supervised(X[:m], Z, 0.2)]
        learnt += [each.W for each in path]
        law = np.diag(1 / np.arange(1, d + 1))
        errors = [squared_wasserstein(law, W.T @ W) for W in learnt]
        np.testing.assert_allclose(found.errors[:, 0, 1], errors, rtol=2e-3)


def test_interrupted_sweep_goes_on_where_it_stopped(tmp_path, monkeypatch):
    from convexgan.linear_gan import sweep as function
    from convexgan.linear_gan.sweeps import errors_at

    path, calls = tmp_path / "sweep.npz", []

    def counted(setting, k):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(k)
        return errors_at(setting, k)

    whole = function(LAW, 5, [2, 4, 8, 12], draws=3, jobs=1)
    monkeypatch.setattr("convexgan.linear_gan.sweeps.errors_at", counted)
    with pytest.raises(KeyboardInterrupt):
        function(LAW, 5, [2, 4, 8, 12], draws=3, jobs=1, path=path)
    assert path.exists() and calls == [12, 8]
    done, calls[:] = list(calls), []
    monkeypatch.setattr("convexgan.linear_gan.sweeps.errors_at", lambda s, k: (calls.append(k), errors_at(s, k))[1])
    again = function(LAW, 5, [2, 4, 8, 12], draws=3, jobs=1, path=path)
    assert sorted(calls + done) == [2, 4, 8, 12]
    np.testing.assert_array_equal(again.errors, whole.errors)
    with pytest.raises(ValueError, match="holds a sweep of another setting"):
        function(LAW, 5, [2, 4, 8, 12], draws=4, jobs=1, path=path)


def test_a_file_knows_weights_scales_and_features(tmp_path):
    from convexgan._tools.files import read_model

    path, options = tmp_path / "sweep.npz", {"draws": 2, "jobs": 1, "path": tmp_path / "sweep.npz"}
    first = sweep(LAW[:3], 4, [2, 3], features=RandomFeatures(), **options)
    again = sweep(LAW[:3], 4, [2, 3], features=RandomFeatures(3.0, 0.3), **options)
    np.testing.assert_array_equal(first.errors, again.errors)
    for other in ({}, {"features": RandomFeatures(gain=0.2)}, {"scales": np.ones(3)}, {"pair_weights": np.ones(4)}):
        with pytest.raises(ValueError, match="holds a sweep of another setting"):
            sweep(LAW[:3], 4, [2, 3], **other, **options)
    path.unlink()
    sweep(LAW[:3], 4, [2, 3], **options)
    known = set(read_model(path, "linear GAN sweep")[0]["setting"])  # files of plain sweeps are as they were
    assert known == {"eigenvalues", "samples", "pairs", "dimensions", "ridges", "weights", "draws", "seed"}


def test_two_processes_find_the_same():
    one, two = (sweep(LAW, 6, [2, 6, 9], draws=2, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one.errors, two.errors)
    rows = list(one.rows())
    assert len(rows) == 2 * 3 * 2
    assert rows[0] == ("unsupervised", 2, 0, one.errors[0, 0, 0])
    bands = one.bands(0.5)
    assert bands.shape == (2, 3, 3)
    assert (bands[..., 1] <= bands[..., 0]).all() and (bands[..., 0] <= bands[..., 2]).all()


def test_descents_are_counted_beyond_the_noise():
    noise = np.random.default_rng(0).standard_normal((2, 7, 40)) * 0.01
    levels = np.array([[3.0, 2, 5, 4, 1, 6, 0], np.zeros(7)])
    found = sweep([1.0], 2, [4, 1, 2, 3, 5, 6, 7], draws=40, jobs=1)
    found = Sweep(found.setting, np.exp(levels[..., None] + noise)[:, [3, 0, 1, 2, 4, 5, 6]])
    assert [found.setting.dimensions[j] for j in found.turns("unsupervised")] == [1, 2, 3, 5, 6, 7]
    assert found.falls("unsupervised") == 3
    assert found.turns("pseudo-supervised") == [1] and found.falls("pseudo-supervised") == 0


# -- weights of pairs, scales of latents, features -------------------------------------------------------------------


def test_second_moment_of_tanh_is_an_integral():
    layer = np.random.default_rng(2).standard_normal((2, 3)) * 0.6

    def product(y, x, i, j):
        seen = np.tanh(np.array([x, y]) @ layer)
        return seen[i] * seen[j] * np.exp(-(x * x + y * y) / 2) / (2 * np.pi)

    found = tanh_moment(layer)
    for i, j in ((0, 0), (0, 1), (1, 2)):
        assert found[i, j] == pytest.approx(dblquad(product, -9, 9, -9, 9, args=(i, j), epsabs=1e-10)[0], abs=1e-9)
    assert tanh_moment(np.zeros((2, 3))).tolist() == np.zeros((3, 3)).tolist()
    with pytest.raises(ValueError, match="gain of RandomFeatures is too large"):
        tanh_moment(np.array([[40.0]]))


LATENTS = {
    "weights": {"pair_weights": [1.0, 0.2, 3.0, 0.01]},
    "scales": {"scales": np.geomspace(1, 9, 9)},
    "features": {"features": RandomFeatures(1.5, 0.5)},
    "all": {"pair_weights": [1.0, 0.2, 3.0, 0.01], "scales": np.geomspace(1, 3, 9), "features": RandomFeatures(2, 0.3)},
}


@pytest.mark.parametrize("kind", LATENTS)
@pytest.mark.parametrize("k", [2, 3, 9])
def test_weights_scales_and_features_agree_with_the_single_learners(kind, k):
    d, n, m, given_ = 5, 6, 4, LATENTS[kind]
    found = sweep(LAW[:d], n, [k], pairs=m, ridges=[0.2], weights=[4.0], draws=2, jobs=1, seed=3, **given_)
    X = np.random.default_rng([3, 1, 0]).standard_normal((n, d)) * np.sqrt(LAW[:d])
    scales = np.asarray(given_.get("scales", np.ones(9)))[:k]
    features, C = np.random.default_rng([3, 1, 1]).standard_normal((k, m)).T * scales, np.diag(scales**2)
    if "features" in given_:
        layer = given_["features"].weights(k, np.random.default_rng([3, 1, 2]))
        features, C = np.tanh(features @ layer), tanh_moment(scales[:, None] * layer)
    root = np.sqrt(given_.get("pair_weights", np.ones(m)))[:, None]
    paired, seen = root * X[:m], root * features
    plain = np.linalg.lstsq(seen, paired, rcond=None)[0]
    ridged = np.linalg.solve(seen.T @ seen + 0.2 * m * np.eye(len(C)), seen.T @ paired)
    errors = [squared_wasserstein(np.diag(LAW[:d]), (B + B.T) / 2) for B in (W.T @ C @ W for W in (plain, ridged))]
    np.testing.assert_allclose(found.errors[1:3, 0, 1], errors, rtol=1e-6)
    white = features @ np.linalg.inv(np.linalg.cholesky(C)).T
    if "pair_weights" not in given_:  # the single learner knows no others than 1
        W = mixed_path(X, white, [4.0])[0].W
        assert found.errors[3, 0, 1] == pytest.approx(squared_wasserstein(np.diag(LAW[:d]), W.T @ W), rel=2e-3)


def test_a_pair_of_weight_two_is_a_pair_twice_in_the_mixed_objective():
    X = np.random.default_rng([0, 0, 0]).standard_normal((4, 3)) * np.sqrt(LAW[:3])
    Z = np.random.default_rng([0, 0, 1]).standard_normal((6, 2)).T
    found = sweep(LAW[:3], 4, [6], pairs=2, weights=[2.0], pair_weights=[2.0, 1.0], draws=1, jobs=1)
    rows, latents_ = X[[0, 0, 1, 1, 2, 2, 3, 3]], Z[[0, 0, 1]]
    W = mixed_path(rows, latents_, [3.0])[0].W  # the mean is over three pairs, not two
    assert found.errors[2, 0, 0] == pytest.approx(squared_wasserstein(np.diag(LAW[:3]), W.T @ W), rel=1e-3)
    alike = sweep(LAW[:3], 4, [6], pairs=2, weights=[2.0], draws=1, jobs=1)
    assert abs(alike.errors[2, 0, 0] / found.errors[2, 0, 0] - 1) > 3e-3


def test_what_weights_and_scales_cannot_change():
    ks, options = [3, 8, 12, 14, 30], {"pairs": 12, "draws": 3, "jobs": 1}
    plain = sweep(LAW[:9], 15, ks, weights=[3.0], **options)
    weighted = sweep(LAW[:9], 15, ks, pair_weights=np.geomspace(1e-2, 1, 12), **options)
    scaled = sweep(LAW[:9], 15, ks, weights=[3.0], scales=np.geomspace(1, 9, 40), **options)
    np.testing.assert_allclose(weighted.errors[1, 2:], plain.errors[1, 2:], rtol=1e-6)  # all pairs are met from k = m
    np.testing.assert_allclose(scaled.errors[1, :3], plain.errors[1, :3], rtol=1e-6)  # as long as none of them is free
    np.testing.assert_allclose(scaled.errors[[0, 2]], plain.errors[[0, 2]], rtol=1e-6)  # those who know the law
    for other, where in ((weighted, slice(0, 2)), (scaled, slice(3, 5))):
        assert np.abs(np.log(other.errors[1, where] / plain.errors[1, where])).min() > 1e-4


@pytest.mark.parametrize(("m", "k"), [(6, 20), (20, 6), (5, 6)])
def test_amplification_of_equal_pairs_is_the_limit_of_shrinkage(m, k):
    told = amplification(np.full(m, 0.3), np.full(k, 7.0))
    np.testing.assert_allclose(told, min(m, k) / (m * abs(k - m)), rtol=1e-9)
    if abs(k - m) > 1:
        np.testing.assert_allclose(told * abs(k - m) / (abs(k - m) - 1), shrinkage(m, k) / m, rtol=1e-9)


def test_amplification_knows_strong_pairs_and_strong_features():
    weights, scales = np.repeat([1.0, 1e-9], [12, 24]), np.repeat([1e-9, 1.0], [30, 20])
    told = amplification(weights, np.ones(8))  # weak pairs are as good as none, as long as strong ones take all latents
    np.testing.assert_allclose(told[:12], amplification(np.ones(12), np.ones(8)), rtol=1e-6)
    assert told[12:].max() < 1e-9
    np.testing.assert_allclose(amplification(np.ones(12), scales), amplification(np.ones(12), np.ones(20)), rtol=1e-6)
    assert np.isinf(amplification(np.ones(3), [1.0, 2.0, 3.0])).all()


@pytest.mark.parametrize("name", BETWEEN)
def test_amplification_is_the_limit_of_simulated_means(name):
    ratios = [np.divide(*np.array(list(moments(name, size, draws))).T) for size, draws in ((2, 160), (4, 80))]
    (small, noise), (large, other) = ((each.mean(), each.std() / np.sqrt(len(each))) for each in ratios)
    assert 1 < large < small  # the relative error falls like 1 / size: so it is gone from
    assert 2 * large - small == pytest.approx(1, abs=0.01 + 3 * np.hypot(2 * other, noise))


@pytest.mark.parametrize("name", TRIPLE)
def test_peaks_are_where_as_many_strong_pairs_as_strong_features_meet(name):
    """The thresholds that the study marks, found by the formula alone, at every latent dimension up to 50."""
    given_, marks = TRIPLE[name]
    features = RandomFeatures() if name == "random features" else None
    told = predicted(sweep(**given_, dimensions=range(2, 51), features=features, draws=3, jobs=1).setting)
    peaks = [k for k in range(3, 50) if told[k - 2] == max(told[k - 3 : k])]
    assert len(peaks) == 2 and all(abs(k - mark) <= 1 for k, mark in zip(peaks, marks.values(), strict=True))
    exact = {"two weights of pairs": 36, "two scales of latents": 12, "random features": 12}[name]
    assert np.isinf(told[exact - 2]) and np.isfinite(np.delete(told, exact - 2)).all()  # as many pairs as features


@pytest.mark.parametrize(("given_", "says"), [
    ({"pair_weights": [1.0, 1.0]}, r"pair_weights .* positive numbers, one for each of 5 pairs; its shape is \(2,\)"),
    ({"pair_weights": [1.0, 1.0, 0.0, 1.0, 1.0]}, "pair_weights must be positive"),
    ({"scales": [1.0, 2.0]}, "scales must be positive numbers, one for each of 3 latents, or more"),
    ({"scales": [1.0, 2.0, np.nan]}, "scales must be positive"),
    ({"features": np.tanh}, "features must be a RandomFeatures, got ufunc"),
])  # fmt: skip
def test_bad_weights_scales_and_features_are_named(given_, says):
    with pytest.raises(ValueError, match=says):
        sweep(LAW, 5, [2, 3], **given_)
    with pytest.raises(ValueError, match="gain must be finite and positive"):
        RandomFeatures(gain=0.0)
    with pytest.raises(ValueError, match="weights must be a list of positive numbers"):
        amplification([1.0, 0.0], [1.0])


def test_prediction_of_a_general_setting_is_below_the_curve_and_peaks_with_it():
    given_ = {"pair_weights": np.repeat([1, 0.003], [12, 24])}
    found = sweep(LAW[:24], 36, [6, 12, 22, 34, 60], draws=20, jobs=1, **given_)
    told, seen = predicted(found.setting), found.curve("pseudo-supervised")
    assert (np.diff(told) > 0).tolist() == (np.diff(seen) > 0).tolist() == [True, False, True, False]
    assert (told < seen).all() and (told > 0.4 * seen).all()
    assert predicted(sweep(LAW[:24], 36, [36], draws=2, jobs=1, **given_).setting)[0] == np.inf


# -- refused -------------------------------------------------------------------------------------------------------

X, Z = draw(5, 3), latents(5, 2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: unsupervised(X, 0), "k must be an integer >= 1, got 0"),
        (lambda: unsupervised(X[0], 2), "X must be a 2-D array"),
        (lambda: half_step(X, latents(2, 4)), r"W has shape \(2, 4\) but X has 3 columns"),
        (lambda: pseudo_supervised(X, Z[:4]), "X has 5 rows and Z 4"),
        (lambda: pseudo_supervised(X, Z, -1.0), "ridge must be finite and >= 0"),
        (lambda: pseudo_supervised(X, Z * np.nan), "Z .* NaN"),
        (lambda: mixed(X, latents(6, 2), 1.0), "Z has 6 rows, more pairs than the 5 samples"),
        (lambda: mixed(X * 0, Z, 1.0), "X is 0"),
        (lambda: mixed(X, Z, -1.0), "weight must be finite"),
        (lambda: shrinkage(5, 0), "k must be an integer >= 1"),
        (lambda: expected_error(np.diag([1.0, -1]), np.eye(2), 3, 9), "S is not positive semidefinite"),
        (lambda: expected_error(np.eye(2), np.eye(3), 3, 9), "S has dimension 2 and Sh 3"),
        (lambda: best_dimension(np.zeros((2, 2)), np.eye(2), 3), "must not be 0"),
        (lambda: expected_error(np.eye(3), np.eye(3), 2, 9), "Sh has rank 3, more than n = 2 samples"),
        (lambda: expected_error(np.eye(3), np.eye(3), 4, 0), "k must be an integer >= 1"),
        (lambda: best_dimension(np.eye(3), np.eye(3), 0), "n must be an integer >= 1"),
        (lambda: sweep(LAW, 5, [2], ridges=[0.1, 0.1]), "ridges and weights must each differ"),
        (lambda: sweep(LAW, 0, [2]), "samples must be an integer >= 1"),
        (lambda: sweep(LAW, 5, []), "at least one latent dimension"),
        (lambda: sweep(LAW, 5, [0]), "k must be an integer >= 1"),
        (lambda: sweep(LAW, 5, [2, 2]), "each once"),
        (lambda: sweep(LAW, 5, [2], pairs=6), "pairs = 6 but samples = 5"),
        (lambda: sweep([-1.0], 5, [2]), "eigenvalues must be"),
        (lambda: sweep(LAW, 5, [2], weights=[0.0]), "weight must be finite and positive"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_singular_covariances_have_formulas():
    S, Sh = np.diag([1.0, 0, 0]), np.diag([2.0, 1, 0])
    found = expected_error(S, Sh, 10, 25)
    c = 10 / 14
    assert found.lower == pytest.approx(1 + 3 * c - 2 * np.sqrt(2 * c))
    assert found.lower <= found.estimate <= found.upper


# -- the command ---------------------------------------------------------------------------------------------------


def test_study_writes_table_and_figure(tmp_path):
    out = tmp_path / "study"
    done = CliRunner().invoke(app, ["study", "double-descent", "--quick", "--json", "--out", str(out)])
    assert done.exit_code == 0, done.output
    medians = {row["learner"]: row for row in json.loads(done.stdout)["medians"]}
    assert medians["pseudo-supervised"]["k = n"] > 50 > 5 > medians["pseudo-supervised"]["lowest"]
    lines = (out / "errors.csv").read_text().splitlines()
    assert lines[0] == "learner,latent_dimension,draw,test_error"
    assert len(lines) == 1 + 5 * 13 * 10
    assert (out / "double_descent.png").stat().st_size > 10_000
    assert [row["falls"] for row in json.loads(done.stdout)["triple"]] == [3, 3, 3]
    assert len((out / "triple_errors.csv").read_text().splitlines()) == 1 + 3 * 14 * 80
    assert (out / "triple_descent.png").stat().st_size > 10_000
    again = CliRunner().invoke(app, ["study", "double-descent", "--quick", "--out", str(out)])
    assert again.exit_code == 0 and "pseudo-supervised" in again.stdout
    assert (
        "Example: convexgan study double-descent" in CliRunner().invoke(app, ["study", "double-descent", "-h"]).stdout
    )
    other = CliRunner().invoke(app, ["study", "double-descent", "--quick", "--seed", "1", "--out", str(out)])
    assert other.exit_code == 2 and "holds a sweep of another setting" in other.stderr
