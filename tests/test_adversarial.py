"""Adversarial linear GANs: the optimum by other routes, the linearisation against the steps, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import convexgan as cg
from convexgan.dynamics import predict, update_matrix
from convexgan.gaussian import squared_wasserstein
from convexgan.linear_gan import (
    AdversarialGame,
    AdversarialRuns,
    adversarial_modes,
    linearize_adversarial,
    paired_modes,
    train_adversarial,
)
from convexgan.updates import State, alternating, extragradient, simultaneous

seeds = st.integers(0, 2**16)
METHODS = {"simultaneous": simultaneous, "alternating": alternating, "extragradient": extragradient}


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    """(n, d) samples of a law with eigenvalues 1/i."""
    return normal(n, d, seed=seed) / np.sqrt(np.arange(1, d + 1))


def objective(X, Z, weight, price, penalty, W, A):
    """What W minimises and A maximises, sample by sample."""
    game = np.mean([x @ A @ x for x in X]) - np.trace(A @ W.T @ W) - price / 2 * np.sum(A**2) + penalty * np.sum(W**2)
    return game + weight * np.mean([np.sum((x - W.T @ z) ** 2) for x, z in zip(X, Z, strict=False)])


# -- the game and its optimum ----------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 6), seeds)
@settings(max_examples=20)
def test_gradients_are_the_slopes_of_the_objective(m, d, k, seed):
    X, Z, W, A = rows(5, d, seed), normal(m, k, seed=seed + 1), normal(k, d, seed=seed + 2), normal(d, d, seed=seed + 3)
    A, setting = A + A.T, (0.7, 0.3, 0.6)
    game = AdversarialGame(X, Z, *setting)
    dW, dA = normal(k, d, seed=seed + 4), normal(d, d, seed=seed + 5)
    dA, e = dA + dA.T, 1e-5
    along = objective(X, Z, *setting, W + e * dW, A) - objective(X, Z, *setting, W - e * dW, A)
    assert np.sum(game.grad_x(W, A) * dW) == pytest.approx(along / (2 * e), rel=1e-6, abs=1e-6)
    along = objective(X, Z, *setting, W, A + e * dA) - objective(X, Z, *setting, W, A - e * dA)
    assert np.sum(game.grad_y(W, A) * dA) == pytest.approx(along / (2 * e), rel=1e-6, abs=1e-6)
    best = game.grad_y(W, 0 * A) / 0.3
    assert game.value(W) == pytest.approx(objective(X, Z, 0.0, 0.3, 0.6, W, best))


@given(st.integers(2, 12), st.integers(1, 5), st.integers(0, 3), st.floats(0.01, 2), st.floats(0.1, 3), seeds)
@settings(max_examples=30)
def test_optimum_is_that_of_solve_and_proved_by_the_dual(n, d, more, price, penalty, seed):
    X, k = rows(n, d, seed), d + more
    game = AdversarialGame(X, normal(1, k), 0.0, price, penalty)
    W = game.optimum
    sol = cg.solve(X, cg.GaussianLatent(k), beta=game.beta, generator_penalty=penalty)
    assert sol.generator is not None
    np.testing.assert_allclose(W.T @ W, sol.generator.weights.T @ sol.generator.weights, atol=1e-9)
    A = game.grad_y(W, np.zeros((d, d))) / price  # the best response; penalty I >= A, so that no generator gains on it
    assert np.linalg.eigvalsh(A)[-1] <= penalty * (1 + 1e-9)
    assert game.value(W) == pytest.approx(np.sum(A * game.second) - price / 2 * np.sum(A**2), rel=1e-9)


def test_with_few_latents_a_general_optimiser_finds_nothing_better():
    game = AdversarialGame(rows(9, 4), normal(1, 2), 0.0, 0.3, 0.2)
    found = [
        minimize(lambda w: float(game.value(w.reshape(2, 4))), normal(8, seed=s), options={"gtol": 1e-8}).fun
        for s in range(5)
    ]
    assert game.value(game.optimum) == pytest.approx(min(found), rel=1e-8)
    best_response = game.grad_y(game.optimum, np.zeros((4, 4))) / 0.3
    assert np.linalg.eigvalsh(best_response)[-1] > 0.2  # the penalty: the generator would gain there, so no saddle


@pytest.mark.parametrize(("n", "m", "d", "k"), [(10, 10, 3, 40), (10, 3, 3, 10), (4, 4, 7, 40), (10, 10, 3, 600)])
def test_pairs_that_cost_nothing_leave_the_optimum_alone(n, m, d, k):
    X, Z = rows(n, d), normal(m, k, seed=1)
    for weight in (0.0, 0.3, 20.0):
        game = AdversarialGame(X, Z, weight, 0.1, 0.02)
        W = game.interpolating_optimum()
        np.testing.assert_allclose(W.T @ W, game.optimum.T @ game.optimum, atol=1e-9)
        np.testing.assert_allclose(Z @ W, X[:m], atol=1e-9)
        A = game.grad_y(W, np.zeros((d, d))) / 0.1
        np.testing.assert_allclose(game.grad_x(W, A), 0, atol=1e-7)


def test_pairs_cost_something_below_about_twice_as_many_latents():
    X, n = rows(20, 3), 20
    ks, free = [23, 30, 41, 50, 60, 70, 80, 100, 120], []
    for k in ks:
        try:
            AdversarialGame(X, normal(k, n, seed=1).T, 0.1, 0.1, 0.02).interpolating_optimum()
            free.append(k)
        except ValueError as error:
            assert "optimal and meets" in str(error)
    assert free == [k for k in ks if k >= free[0]]
    assert 2 * n < free[0] < 4 * n  # c = n/(k-n-1) is below 1 from 2n + 1 on; its spread asks for a little more


def test_pairs_that_no_optimal_generator_meets_are_refused():
    Z = normal(3, 30)
    Z[2] = Z[0]  # one latent, two pictures
    with pytest.raises(ValueError, match="optimal and meets"):
        AdversarialGame(rows(8, 3), Z, 0.1, 0.1, 0.02).interpolating_optimum()
    X, Z = (
        rows(8, 3),
        30 * normal(1, 3),
    )  # a pair that asks for little, but takes one of the three latents that B* needs
    with pytest.raises(ValueError, match="optimal and meets"):
        AdversarialGame(X, Z, 0.1, 0.1, 0.02).interpolating_optimum()
    AdversarialGame(X, np.append(Z, [[0.0]], axis=1), 0.1, 0.1, 0.02).interpolating_optimum()


# -- the linearisation -----------------------------------------------------------------------------------------------


def symmetric(d: int) -> np.ndarray:
    """(D, d, d) basis of the symmetric matrices."""
    i, j = np.triu_indices(d)
    basis = np.zeros((len(i), d, d))
    basis[np.arange(len(i)), i, j] = basis[np.arange(len(i)), j, i] = 1
    return basis


def jacobian(game, W, A, rates, step):
    """Of one step on (W, A), by differences."""
    (k, d), basis, e = W.shape, symmetric(len(A)), 1e-6
    ways = [(E.reshape(k, d), 0 * A) for E in np.eye(k * d)] + [(0 * W, E) for E in basis]
    columns = []
    for dW, dA in ways:
        ends = [step(game, State(W + s * dW, A + s * dA), rates) for s in (e, -e)]
        moved = [np.append(end.x.ravel(), end.y[np.triu_indices(d)]) for end in ends]
        columns.append((moved[0] - moved[1]) / (2 * e))
    inputs = np.array([np.append(dW.ravel(), dA[np.triu_indices(d)]) for dW, dA in ways]).T
    return np.array(columns).T @ np.linalg.inv(inputs)


def left_over(some: np.ndarray, of: np.ndarray, atol: float) -> np.ndarray:
    """What is left of the second multiset after the first has been taken from it."""
    rest = list(of)
    for value in some:
        nearest = int(np.argmin(np.abs(np.array(rest) - value)))
        assert abs(rest[nearest] - value) < atol, (value, rest[nearest])
        rest.pop(nearest)
    return np.array(rest)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("beta", [0.01, 0.4])
def test_linearisation_is_the_derivative_of_a_step(method, beta):
    price, rates, d = 0.2, (0.06, 0.09), 3
    X = rows(8, d)
    for weight, k in ((0.0, 5), (0.5, 30)):
        game = AdversarialGame(X, normal(3, k, seed=1), weight, price, beta / price)
        if weight and beta > 0.1:
            continue  # pairs would cost something: no optimum in closed form
        W = game.interpolating_optimum() if weight else game.optimum
        A = game.grad_y(W, np.zeros((d, d))) / price
        all_of_them = np.linalg.eigvals(jacobian(game, W, A, rates, METHODS[method]))
        told = np.linalg.eigvals(update_matrix(linearize_adversarial(game, W), rates, method))
        rest = left_over(told, all_of_them, 1e-4)
        # left out are directions that never move, and copies of what unused latents do
        slow = 1 - 2 * rates[0] * (game.penalty - np.linalg.eigvalsh(A))
        slow = slow if method != "extragradient" else 1 - (1 - slow) + (1 - slow) ** 2
        assert all(np.abs(np.append(slow, 1) - value).min() < 1e-4 for value in rest)
        assert len(told) >= d * (d + 1)


@pytest.mark.parametrize("k", [3, 7])
def test_linearisation_where_pairs_cost_something(k):
    game, law, rates = AdversarialGame(rows(8, 3), normal(1, k, seed=1), 0.3, 0.4, 0.6), np.eye(3), (0.06, 0.09)
    W = train_adversarial(game, 0.3 * normal(k, 3, seed=2), law, (0.1, 0.1), steps=8000, every=8000).W
    A = game.grad_y(W, np.zeros((3, 3))) / 0.4
    found = np.linalg.eigvals(jacobian(game, W, A, rates, alternating))
    told = np.linalg.eigvals(update_matrix(linearize_adversarial(game, W), rates))
    left_over(told, found, 1e-4)
    assert np.abs(found[:, None] - np.append(told, 1)).min(axis=1).max() < 1e-4  # nothing that moves is missing
    assert np.ptp(np.linalg.eigvalsh(A)) > 0.1 and np.abs(game.X - game.Z @ W).max() > 0.01


@given(st.integers(2, 6), st.floats(0.02, 0.5), st.floats(0.1, 1), seeds)
@settings(max_examples=20)
def test_modes_in_closed_form_are_those_of_the_linearisation(d, price, penalty, seed):
    X = rows(d + 3, d, seed)
    game = AdversarialGame(X, normal(1, d), 0.0, price, penalty)
    values = np.linalg.eigvalsh(game.second)
    assume(values[-1] > game.beta and np.abs(values - game.beta).min() > 1e-3)
    closed, full = adversarial_modes(values, price, penalty), linearize_adversarial(game, game.optimum)
    for method in METHODS:
        assert_same_eigenvalues(*(update_matrix(each, (0.05, 0.08), method) for each in (closed, full)), 1e-6)


def assert_same_eigenvalues(some: np.ndarray, others: np.ndarray, atol: float) -> None:
    """Whatever their multiplicities."""
    some, others = (np.linalg.eigvals(each).ravel() for each in (some, others))
    distances = np.abs(some[:, None] - others)
    assert max(distances.min(axis=0).max(), distances.min(axis=1).max()) < atol


def orthogonal(n: int, k: int) -> np.ndarray:
    """(n, k) latents with ZZ' = k I."""
    return np.sqrt(k) * np.linalg.qr(normal(k, n, seed=1))[0].T


@pytest.mark.parametrize("weight", [0.01, 0.2, 3.0])
def test_modes_with_pairs_are_exact_for_orthogonal_latents(weight):
    X, n, k = rows(8, 3), 8, 30
    game = AdversarialGame(X, orthogonal(n, k), weight, 0.1, 0.05)
    full = linearize_adversarial(game, game.interpolating_optimum())
    closed = paired_modes(np.linalg.eigvalsh(game.second), n, k, weight, 0.1, 0.05)
    for method in METHODS:
        assert_same_eigenvalues(*(update_matrix(each, 0.05, method) for each in (closed, full)), 1e-7)


def test_modes_with_pairs_are_near_for_many_gaussian_latents():
    X, n, k = rows(20, 4), 20, 200
    for weight in (0.03, 0.1):
        game = AdversarialGame(X, normal(n, k, seed=1), weight, 0.1, 0.05)
        full = predict(linearize_adversarial(game, game.interpolating_optimum()), 0.05).rate
        closed = predict(paired_modes(np.linalg.eigvalsh(game.second), n, k, weight, 0.1, 0.05), 0.05).rate.max()
        assert 1 - closed == pytest.approx(1 - full, rel=0.1)
        assert 1 - full > 1.02 * (1 - np.sqrt(1 - 0.1 * 0.05))


def test_there_is_a_best_weight_and_more_latents_damp_less():
    values, weights = 1 / np.arange(1, 5), np.geomspace(1e-3, 3, 60)
    rates = {
        k: np.array([predict(paired_modes(values, 20, k, w, 0.1, 0.05), 0.05).rate.max() for w in weights])
        for k in (60, 120, 480)
    }
    alone = predict(adversarial_modes(values, 0.1, 0.05), 0.05).rate.max()
    best = [rates[k].min() for k in rates]
    assert best[0] < best[1] < best[2] < alone
    assert all(0 < np.argmin(curve) < 59 for curve in rates.values())


def test_without_pairs_the_price_alone_damps():
    values, a, b, price = 1 / np.arange(1, 6), 0.05, 0.08, 0.03
    told = predict(adversarial_modes(values, price, 0.1), (a, b))
    np.testing.assert_allclose(told.rate, np.sqrt(1 - b * price), rtol=1e-9)
    assert set(told.phase) == {"damped oscillation"}
    assert set(predict(adversarial_modes(values, price, 0.1), (a, b), "simultaneous").phase) == {"diverge"}


# -- training --------------------------------------------------------------------------------------------------------


def test_without_pairs_training_does_not_see_the_latent_dimension():
    X, law = rows(10, 4), np.diag(1 / np.arange(1, 5))
    W = 0.2 * normal(4, 4, seed=3)
    turn = np.linalg.qr(normal(11, 4, seed=4))[0]
    runs = [
        train_adversarial(AdversarialGame(X, normal(2, len(start)), 0.0, 0.2, 0.1), start, law, (0.05, 0.05), steps=300)
        for start in (W, turn @ W)
    ]
    np.testing.assert_allclose(runs[0].errors, runs[1].errors, rtol=1e-9)
    np.testing.assert_allclose(runs[0].A, runs[1].A, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_training_converges_to_the_optimum_at_the_predicted_rate(method):
    X, d, k, law = rows(12, 3), 3, 60, np.diag([1, 1 / 2, 1 / 3])
    rates = (0.04, 0.07)
    for weight in (0.0, 0.05):
        game = AdversarialGame(X, normal(12, k, seed=1), weight, 0.3, 0.05)
        W = game.interpolating_optimum()
        told = predict(linearize_adversarial(game, W), rates, method)
        run = train_adversarial(game, W + 1e-3 * normal(k, d, seed=2), law, rates, steps=4000, method=method)
        if told.rate >= 1:
            assert method == "simultaneous" and weight == 0
            assert not run.gaps[-1] < 1e-3
            continue
        assert run.errors[-1] == pytest.approx(squared_wasserstein(law, W.T @ W), rel=1e-3)
        assert run.gaps[-1] < 1e-5
        state = State(W + 1e-4 * normal(k, d, seed=2), game.grad_y(W, np.zeros((d, d))) / 0.3)
        A, distances = state.y, []
        for _ in range(4000):
            state = METHODS[method](game, state, rates)
            distances.append(np.linalg.norm(state.y - A))
        late = np.flatnonzero(np.array(distances) > 1e-12)[-1000:]
        slope = np.polyfit(late, np.log(np.array(distances)[late]), 1)[0]
        assert slope == pytest.approx(np.log(told.rate), rel=0.05)


def test_games_side_by_side_are_the_games_alone():
    X, Z, W = (
        np.stack([f(s) for s in range(3)])
        for f in (lambda s: rows(6, 3, s), lambda s: normal(4, 9, seed=s), lambda s: 0.2 * normal(9, 3, seed=s))
    )
    weights, law = np.array([[0.0], [0.1]]), np.eye(3)
    together = train_adversarial(
        AdversarialGame(X, Z, weights, 0.2, 0.1), np.broadcast_to(W, (2, 3, 9, 3)), law, (0.05, 0.05), steps=200
    )
    assert together.errors.shape == (21, 2, 3)
    for i, weight in enumerate(weights[:, 0]):
        for j in range(3):
            alone = train_adversarial(AdversarialGame(X[j], Z[j], weight, 0.2, 0.1), W[j], law, (0.05, 0.05), steps=200)
            np.testing.assert_allclose(together.errors[:, i, j], alone.errors, rtol=1e-10)
            np.testing.assert_allclose(together.gaps[:, i, j], alone.gaps, rtol=1e-8, atol=1e-12)


def test_a_run_that_overflows_is_infinite_not_an_error():
    game = AdversarialGame(rows(6, 3), normal(6, 9), 0.0, 0.1, 0.1)
    run = train_adversarial(game, normal(9, 3), np.eye(3), (50.0, 50.0), steps=200)
    assert np.isinf(run.errors[-1]) and np.isinf(run.gaps[-1]) and np.isfinite(run.errors[0])


def test_settled_is_the_first_record_after_the_last_one_outside():
    curves = np.array([[5.0, 1, 3, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 9], [9, 9, 9, 9, 1]]).T
    runs = AdversarialRuns(np.arange(0, 50, 10), curves, curves, np.eye(1), np.eye(1))
    assert runs.settled(curves, 2.0).tolist() == [30, 0, np.inf, 40]
    assert runs.settled(curves, np.array([4.0, 0.5, 10, 9])).tolist() == [10, np.inf, 0, 0]


# -- refused ---------------------------------------------------------------------------------------------------------

X, Z = rows(5, 3), normal(4, 6)
GAME = AdversarialGame(X, Z, 0.1, 0.2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: AdversarialGame(X, normal(6, 6), 0.1, 0.2), "Z has 6 rows, more pairs than the 5 samples"),
        (lambda: AdversarialGame(X[0], Z, 0.1, 0.2), "X must be a finite array"),
        (lambda: AdversarialGame(X, Z * np.nan, 0.1, 0.2), "Z must be a finite array"),
        (lambda: AdversarialGame(X, Z[:, :0], 0.1, 0.2), "Z must be a finite array"),
        (lambda: AdversarialGame(0 * X, Z, 0.1, 0.2), "X is 0"),
        (lambda: AdversarialGame(X, Z, -0.1, 0.2), "weight must be finite and >= 0"),
        (lambda: AdversarialGame(X, Z, 0.1, 0.0), "price must be finite and positive"),
        (lambda: AdversarialGame(X, Z, 0.1, 0.2, 0.0), "penalty must be finite and positive"),
        (lambda: GAME.interpolating_optimum(), "Z with more columns"),
        (lambda: train_adversarial(GAME, normal(6, 2), np.eye(3), (0.1, 0.1)), r"W ends in \(6, 2\)"),
        (lambda: train_adversarial(GAME, normal(6, 3), np.eye(4), (0.1, 0.1)), "law has 4 columns"),
        (lambda: train_adversarial(GAME, normal(6, 3), np.eye(3), (0.1, -0.1)), "rates must be finite"),
        (lambda: train_adversarial(GAME, normal(6, 3), np.eye(3), (0.1, 0.1), every=0), "every must be an integer"),
        (lambda: train_adversarial(GAME, normal(6, 3), np.eye(3), (0.1, 0.1), method="gda"), "unknown method"),
        (lambda: linearize_adversarial(GAME, normal(2, 6, 3)), "one game and one W"),
        (lambda: linearize_adversarial(GAME, normal(6, 3)), "not at rest"),
        (lambda: adversarial_modes([1.0, -1.0], 0.1), "eigenvalues must be"),
        (lambda: paired_modes([1.0, 0.5], 8, 9, 0.1, 0.1), "k must be an integer >= 10"),
        (lambda: paired_modes([1.0, 0.5], 8, 12, 0.1, 0.5, 0.9), "12 latents 8 pairs cost something"),
        (lambda: paired_modes([1.0, 0.5], 8, 30, 0.0, 0.1), "weight must be finite and positive"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
