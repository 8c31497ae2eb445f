"""The bound for generators that are linear in given features, against every generator that is tried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convexgan as cg
from convexgan.discriminators import ReLU
from convexgan.games.judge import LINEAR
from convexgan.games.sample import SampleGame, discriminator_response, partial_means_bound
from convexgan.games.sample.linear_bound import evenness, linear_bound

CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 4001)), np.sin(np.linspace(0, 2 * np.pi, 4001))])


def drawn(seed: int, n: int, d: int, k: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Data (n, d) and features (n + 3, k) of some kind."""
    rng = np.random.default_rng(seed)
    X, F = rng.standard_normal((n, d)), rng.standard_normal((n + 3, k))
    if kind == "positive":
        X, F = np.abs(X), np.abs(F)
    elif kind == "scaled":
        X, F = 1e3 * X, F * 10.0 ** rng.uniform(-4, 4, k)
    elif kind == "signs":
        F = np.sign(F) * (1 + np.arange(k))
    elif kind == "shifted":
        X, F = X + 2, F + 1
    return X, F


games = st.tuples(
    st.integers(0, 10**6),
    st.integers(5, 25),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["normal", "positive", "scaled", "signs", "shifted"]),
    st.sampled_from([("beta", 0.0), ("beta", 0.1), ("beta", 0.5), ("lam", 0.5), ("lam", 3.0), ("lam", 30.0)]),
)


@given(games)
def test_no_generator_of_the_class_costs_less(case):
    """Weights that match second moments, are nearly 0, or drawn at random; each judged by the exact best response."""
    seed, n, d, k, kind, (budget, level) = case
    X, F = drawn(seed, n, d, k, kind)
    size = float(np.sqrt(np.mean(np.sum(X**2, axis=1))))
    levels = {"beta": None, "lam": None} | {budget: level * size}
    game = SampleGame(X, ReLU(), levels["beta"], levels["lam"], None, features=F)
    bound, rng = linear_bound(game), np.random.default_rng(seed)
    assert bound >= partial_means_bound(game) * (1 - 1e-12)
    even = np.full(len(F), 1 / len(F))
    best = np.linalg.lstsq(F, rng.choice(X, len(F)))[0]
    root = np.linalg.pinv(F / len(F) ** 0.5) @ np.linalg.qr(rng.standard_normal((len(F), d)))[0]
    like = root @ np.linalg.cholesky(X.T @ X / n + 1e-9 * size**2 * np.eye(d)).T
    for W in (best, like, -like, *(like * s for s in (0.1, 0.3, 0.5, 0.7, 0.9, 1.2)), rng.standard_normal((k, d))):
        points = F @ W
        seen = discriminator_response(game, points, even).value
        cost = float(game.cost(points).mean())
        if game.lam is not None:
            assert bound <= (cost + game.lam * seen) * (1 + 1e-9)
        elif seen <= (game.beta or 0.0):
            assert bound <= cost * (1 + 1e-9)


@pytest.mark.parametrize(("lam", "beta"), [(2.0, None), (6.0, None), (None, 0.05), (None, 0.2)])
def test_on_the_line_it_is_near_the_best_of_all_weights(lam, beta):
    """One latent, one column: y = w z, the game over w by brute force."""
    rng = np.random.default_rng(2)
    x, z = rng.standard_normal((2, 40, 1))
    game = SampleGame(x, ReLU(), beta, lam, None, features=z)
    even, values = np.full(40, 1 / 40), []
    for w in np.linspace(-2, 2, 401):
        seen = discriminator_response(game, w * z, even).value
        if lam is not None or seen <= beta:
            values.append(w * w * float(np.mean(z**2)) + (lam or 0.0) * seen)
    assert 0.8 * min(values) < linear_bound(game) <= min(values) and linear_bound(game) > 1.15 * partial_means_bound(
        game
    )


@given(st.integers(0, 10**6), st.integers(3, 40), st.sampled_from([1e-6, 1e-3, 1.0]), st.booleans())
def test_evenness_is_the_largest_mean_over_all_directions(seed, n, small, positive):
    F = np.random.default_rng(seed).standard_normal((n, 2)) * [1.0, small]
    F = np.abs(F) if positive else F
    one, both = evenness(F)
    turned = np.linalg.qr(F)[0] @ CIRCLE * n**0.5  # of unit root mean square
    truth = np.maximum(turned, 0).mean(0).max(), np.abs(turned).mean(0).max()
    assert truth[0] <= one * (1 + 1e-12) and truth[1] <= both * (1 + 1e-12)
    assert (one, both) == pytest.approx(truth, rel=1e-4)


def test_where_nothing_is_known_of_the_features_the_bound_is_that_of_laws_anywhere():
    rng = np.random.default_rng(0)
    F = rng.standard_normal((6, 2))
    for features in (np.eye(6), np.column_stack([F, F[:, :1]]), np.zeros((6, 2)), np.ones((6, 1))):
        assert evenness(features) == pytest.approx((1.0, 1.0), abs=1e-6)
        game = SampleGame(rng.standard_normal((9, 2)), ReLU(), None, 2.0, None, features=features)
        assert linear_bound(game) == pytest.approx(partial_means_bound(game), rel=1e-9)
    leaky = SampleGame(rng.standard_normal((9, 2)), ReLU(0.2), None, 2.0, None, features=F)
    assert linear_bound(leaky) == 0 == linear_bound(replace(leaky, activation=ReLU(), features=None))


@pytest.fixture(scope="module")
def solved() -> tuple[np.ndarray, cg.Solution]:
    """A game whose latents are given."""
    rng = np.random.default_rng(1)
    X, Z = rng.standard_normal((12, 2)), rng.standard_normal((12, 2))
    return X, cg.solve(X, Z, discriminator="relu", generator="linear", lam=4.0, rng=0, gap=0.5)


def test_linear_generators_are_proved_to_a_few_per_cent_where_laws_anywhere_left_thirty(solved):
    X, solution = solved
    claim = solution.certificate
    assert claim.origin == LINEAR and 0 < claim.gap < 0.1 and claim.kind == "bounded"
    assert 1 - partial_means_bound(SampleGame(X, ReLU(), None, 4.0, None)) / claim.value > 0.3
    found = cg.verify(cg.Certificate.from_json(claim.to_json()), X)
    assert found.agreement and found.bound == pytest.approx(claim.bound, rel=1e-12)


@pytest.mark.parametrize("how", ["other features", "fewer rows", "uneven weights", "moved points", "NaN"])
def test_evidence_of_another_class_is_refused(solved, how):
    X, solution = solved
    arrays: dict[str, Any] = dict(solution.certificate.evidence.arrays)
    features, points, weights = (np.array(arrays[name]) for name in ("features", "points", "weights"))
    if how == "other features":
        features[0] += 0.1
    elif how == "fewer rows":
        features = features[1:]
    elif how == "uneven weights":
        weights[:2] += 1e-3, -1e-3
    elif how == "moved points":
        points[3] += 1e-6
    else:
        features[3] = np.nan
    evidence = replace(
        solution.certificate.evidence, arrays=arrays | {"features": features, "points": points, "weights": weights}
    )
    with pytest.raises(ValueError, match=r"features|finite"):
        cg.verify(replace(solution.certificate, evidence=evidence), X)
