"""Laws anywhere against ReLU neurons: cheapest points, equilibria by a second route, bounds for anybody's rows."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convexgan as cg
from convexgan.arrangements import local_maxima, maximize, minimize_rectified
from convexgan.discriminators import ReLU
from convexgan.games.game import Call
from convexgan.games.sample import discriminator_response, partial_means_bound, solve_continuous
from convexgan.games.sample.certificate import read_sample_game
from convexgan.generators import Mixture
from tests.generators import rotation, seeds

ANYWHERE = Mixture(support="continuous")


def relu_game(X, **options):
    return cg.solve(X, discriminator="relu", generator=ANYWHERE, **options)


# -- the cheapest point --------------------------------------------------------------------------------------------


@given(seed=seeds, d=st.integers(1, 4), K=st.integers(1, 12))
@settings(max_examples=30)
def test_the_lowest_point_without_shifts_is_the_highest_direction(seed, d, K):
    """With D homogeneous, |y|^2 - D(y) is least at half the maximum of D on the ball, another search's answer."""
    rng = np.random.default_rng(seed)
    rows, weights = rng.standard_normal((K, d)), rng.uniform(0.1, 1, K)
    found = minimize_rectified(rows, np.zeros(K), weights)
    highest = maximize(rows, weights).value
    assert found.exact
    np.testing.assert_allclose([found.bound, found.values[0]], -(highest**2) / 4, rtol=1e-8)


@given(seed=seeds, K=st.integers(0, 12))
@settings(max_examples=20)
def test_the_lowest_point_by_a_grid(seed, K):
    rng = np.random.default_rng(seed)
    rows, shifts, weights = rng.standard_normal((K, 2)), rng.standard_normal(K), rng.standard_normal(K) / (K + 1)

    def f(y):
        return (y**2).sum(axis=1) - np.maximum(y @ rows.T + shifts, 0) @ weights

    found = minimize_rectified(rows, shifts, weights)
    ticks = np.linspace(-3, 3, 301)
    everywhere = f(np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)).min()
    assert found.bound - 1e-13 <= found.values[0] <= found.bound + 1e-9
    assert found.values[0] == pytest.approx(f(found.points[:1])[0])
    assert found.bound <= everywhere <= found.bound + 0.05
    for limit in ({"max_boxes": 1}, {"time_limit": 0}):
        stopped = minimize_rectified(rows, shifts, weights, **limit)
        assert stopped.bound <= found.bound + 1e-9 and stopped.boxes == 1


def test_local_maxima_are_what_small_turns_cannot_improve():
    rng = np.random.default_rng(0)
    rows, weights = rng.standard_normal((30, 2)), rng.standard_normal(30)
    U, values = local_maxima(rows, weights, rng.standard_normal((40, 2)))

    def size(V):
        return np.abs(weights @ np.maximum(rows @ V.T, 0))

    np.testing.assert_allclose(values, size(U))
    angles = np.arctan2(U[:, 1], U[:, 0])
    for turn in (-1e-4, 1e-4):
        assert (size(np.column_stack([np.cos(angles + turn), np.sin(angles + turn)])) <= values * (1 + 1e-12)).all()
    assert values.max() == pytest.approx(maximize(rows, weights).value)
    assert local_maxima(rows, weights, np.eye(2), time_limit=0)[0].shape == (0, 2)


# -- equilibria ----------------------------------------------------------------------------------------------------

GAMES = [
    (1, "none", {"beta": 0.15}),
    (1, "penalized", {"beta": 0.1}),
    (2, "none", {"beta": 0.2}),
    (2, "none", {"lam": 2.0}),
    (2, "penalized", {"lam": 1.5}),
    (3, "none", {"lam": 1.0, "generator_penalty": 0.5}),
]


@pytest.mark.parametrize(("d", "bias", "options"), GAMES)
def test_equilibria_agree_with_a_linear_program_on_particles(d, bias, options):
    X = np.random.default_rng(d).standard_normal((5, d)) + 0.3
    sol = relu_game(X, bias=bias, **options)
    proof = sol.certificate
    assert proof.kind == "saddle" and sol.status == "optimal" and proof.relative_violation <= 1e-6
    others = np.random.default_rng(0).uniform(-2, 2, (200, d))
    particles = Mixture(np.concatenate([sol.generator.particles, X, others]))
    mixed = cg.solve(X, discriminator="relu", generator=particles, bias=bias, **options)
    assert mixed.value == pytest.approx(sol.value, rel=3e-6)
    again = cg.verify(cg.Certificate.from_json(proof.to_json()), X)
    assert (again.value, again.kind) == (proof.value, "saddle")
    assert again.bound == pytest.approx(proof.bound, rel=1e-12)  # the lengths of neurons are 1 up to rounding


def test_leaky_neurons_and_symmetries():
    X, Q = np.random.default_rng(3).standard_normal((4, 2)), rotation(2, 5)
    sol = cg.solve(X, discriminator=ReLU(0.2), generator=ANYWHERE, beta=0.2)
    assert sol.certificate.kind == "saddle"
    turned = cg.solve(1e4 * X @ Q, discriminator=ReLU(0.2), generator=ANYWHERE, beta=0.2e4, generator_penalty=1e-3)
    assert turned.certificate.kind == "saddle" and turned.value == pytest.approx(1e5 * sol.value, rel=3e-6)


def test_on_the_line_half_means_are_matched():
    """In one column without bias the neurons see the means of the positive and of the negative parts only."""
    X = np.random.default_rng(0).standard_normal((12, 1))
    up, down = np.maximum(X, 0).mean(), np.maximum(-X, 0).mean()
    for beta in (0.0, 0.1, 1.0):
        # masses p and q at a/p and -b/q cost a^2/p + b^2/q, least (a + b)^2 where p + q = 1
        expected = (max(up - beta, 0) + max(down - beta, 0)) ** 2
        assert relu_game(X, beta=beta).value == pytest.approx(expected, rel=1e-6)


def test_limits_leave_a_feasible_law_and_a_valid_bound(monkeypatch):
    X = np.random.default_rng(0).standard_normal((8, 2))
    full = relu_game(X, beta=0.2)
    sol = relu_game(X, beta=0.2, time_limit=0)
    assert sol.status == "stopped" and sol.certificate.kind == "bounded"
    assert sol.value == pytest.approx((X**2).sum(axis=1).mean()) and 0 < sol.certificate.bound <= full.value
    assert "Jensen" in sol.certificate.origin
    rough = relu_game(X, beta=0.2, gap=0.2)
    assert rough.certificate.gap <= 0.2 and rough.stats["rounds"] <= full.stats["rounds"]
    assert rough.certificate.bound <= full.value * (1 + 1e-6) <= rough.value * (1 + 2e-6)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("convexgan.games.sample.double_oracle._restricted", interrupted)
    sol = relu_game(X, beta=0.2)
    assert sol.status == "stopped" and sol.certificate.kind == "bounded"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"generator": Mixture(support="continuous"), "reduction": "sum"}, "a mixture has none"),
        ({"generator": Mixture(support="continuous"), "gap": -1.0}, "gap must be"),
    ],
)
def test_arguments_without_a_meaning(options, says):
    arguments = {"X": np.eye(2), "discriminator": "relu", "beta": 0.1} | options
    with pytest.raises(ValueError, match=says):
        cg.solve(arguments.pop("X"), **arguments)
    with pytest.raises(ValueError, match="its own particles"):
        Mixture(np.eye(2), support="continuous")
    with pytest.raises(ValueError, match="unknown support"):
        Mixture(support="discrete")


# -- certificates of anybody's rows --------------------------------------------------------------------------------


@given(seed=seeds)
@settings(max_examples=2)
def test_rows_are_bounded_by_the_equilibrium(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((7, 2))
    options = {"beta": 0.2} if seed % 2 else {"lam": 1.5}
    value = relu_game(X, **options).value
    for Y in (X, X[rng.integers(7, size=4)], rng.standard_normal((5, 2))):
        proof = cg.certify(X, Y, discriminator="relu", **options)
        ipm = cg.ipm(X, Y).value
        assert proof.ipm == pytest.approx(ipm, abs=1e-12)
        assert proof.value == pytest.approx((Y**2).sum(axis=1).mean() + options.get("lam", 0) * ipm)
        assert proof.bound <= value * (1 + 1e-6)
        assert proof.bound >= value - 0.011 * abs(proof.value - proof.bound) - 1e-5 * value
        assert (proof.kind == "infeasible") == ("beta" in options and ipm > 0.2 * (1 + 1e-6))
        assert cg.verify(proof, X).bound == proof.bound


def test_rows_on_the_line_and_sums():
    X = np.random.default_rng(0).standard_normal((9, 1))
    Y = cg.solve(X, discriminator="relu", generator="free", bias="free", beta=0.1).generator()
    proof = cg.certify(X, Y, discriminator="relu", bias="free", beta=0.1)
    assert proof.kind == "saddle"
    sums = cg.certify(X, Y, discriminator="relu", bias="free", beta=0.9, reduction="sum")
    assert sums.kind == "saddle" and sums.value == pytest.approx(9 * proof.value)
    assert cg.certify(X, 1.1 * X, discriminator="relu", bias="free", beta=0.1).kind == "bounded"


def game_of(X, penalty=1.0, **budget):
    return read_sample_game(Call.read(X, discriminator="relu", generator_penalty=penalty, **budget))


@given(seed=seeds, beta=st.floats(0.01, 0.5), lam=st.floats(0.1, 3.0))
@settings(max_examples=5)
def test_the_bound_from_partial_means_holds(seed, beta, lam):
    X = np.random.default_rng(seed).normal(0.5, 1.0, (4, 2))
    for budget in ({"beta": beta}, {"lam": lam}):
        value = cg.solve(X, discriminator="relu", generator="mixture", **budget).value
        assert partial_means_bound(game_of(X, **budget)) <= value * (1 + 1e-6) + 1e-9


def test_the_bound_from_partial_means_is_attained_by_two_points():
    line = np.array([[-1.0], [1.0]])
    for beta in (0.1, 0.3):
        value = cg.solve(line, discriminator="relu", generator="free", bias="free", beta=beta).value
        assert partial_means_bound(game_of(line, beta=beta)) == pytest.approx((1 - 2 * beta) ** 2, rel=1e-10)
        assert value == pytest.approx((1 - 2 * beta) ** 2)
    levels = np.linspace(0, 0.5, 20001)
    brute = ((1 - 2 * levels) ** 2 * 1.5 + 0.7 * levels).min()
    assert partial_means_bound(game_of(line, lam=0.7, penalty=1.5)) == pytest.approx(brute, rel=1e-6)
    assert partial_means_bound(replace(game_of(line, beta=0.1), activation=ReLU(0.5))) == 0


def test_without_time_to_search_partial_means_bound_and_a_referee_agrees():
    """The data lie on a line through the columns: the basis of singular vectors counts."""
    t, beta = np.random.default_rng(0).normal(0.3, 1.0, 24), 0.03
    X = t[:, None] * rotation(18)[0]
    expected = float(np.sum(np.maximum(t, 0).mean() - beta + np.maximum(-t, 0).mean() - beta) ** 2)
    proof = cg.certify(X, 0.9 * X, discriminator="relu", beta=beta, time_limit=0)
    assert proof.bound == pytest.approx(expected, rel=1e-9) and "Jensen" in proof.origin
    referee = cg.verify(replace(proof, bound=2 * proof.bound), X)
    assert referee.bound == pytest.approx(expected, rel=1e-9) and referee.ipm <= proof.ipm * (1 + 1e-12)
    sums = cg.certify(X, 0.9 * X, discriminator="relu", beta=24 * beta, reduction="sum", time_limit=0)
    assert sums.bound == pytest.approx(24 * expected, rel=1e-9)


def test_partial_means_along_other_directions_than_the_columns_and_singular_vectors():
    """The law is the same along every axis, and each row lies on one: all those bases see little."""
    X = np.kron(np.eye(12), np.array([[3.0], [-3.0]]))
    game = game_of(X, beta=0.2)
    means = np.maximum(np.stack([X, -X]), 0).mean(axis=1) - 0.2
    assert float(np.sum(np.maximum(means, 0).sum(axis=0) ** 2)) == 0 < partial_means_bound(game)
    assert partial_means_bound(game) <= float(np.mean(np.sum(X**2, axis=1)))


def test_a_referee_has_a_time_limit():
    X = np.random.default_rng(0).standard_normal((60, 9))
    proof = cg.certify(X, 0.5 * X, discriminator="relu", beta=0.1, time_limit=0.5)
    start = time.monotonic()
    referee = cg.verify(proof, X, time_limit=0.5)
    assert time.monotonic() - start < 30 and referee.bound > 0 and referee.ipm >= cg.ipm(X, 0.5 * X, time_limit=1).value


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"Y": np.ones((3, 3))}, "Y has shape"),
        ({"Y": np.ones((3, 2)), "reduction": "sum"}, "same number of rows"),
        ({"Y": np.full((3, 2), np.nan)}, "Y .* has NaN"),
        ({"generator": "linear"}, "generator has no meaning"),
        ({"Z": np.eye(2)}, "Z has no meaning"),
        ({"regularizer": "weights"}, "regularizer has no meaning"),
        ({"lam": 1.0}, "exactly one"),
        ({"time_limit": -1}, "time_limit must be"),
    ],
)
def test_bad_rows_are_refused_by_name(options, says):
    arguments = {"X": np.ones((4, 2)), "Y": np.ones((4, 2)), "discriminator": "relu", "beta": 0.1} | options
    with pytest.raises(ValueError, match=says):
        cg.certify(arguments.pop("X"), arguments.pop("Y"), **arguments)


@pytest.mark.parametrize("budget", [{"beta": 0.1}, {"lam": 2.0}], ids=str)
def test_the_search_starts_near_the_optimum(budget):
    X = np.random.default_rng(0).standard_normal((40, 2)) + 0.5
    game = game_of(X, **budget)
    points, weights, *_, stats = solve_continuous(game, gap=0.05)
    reached = discriminator_response(game, points, weights).upper_bound
    assert stats["rounds"] <= 4 and stats["status"] == "optimal"  # of more than twice as many
    assert game.beta is None or reached <= game.beta * (1 + 1e-6)
