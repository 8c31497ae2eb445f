"""Predictions against closed-form roots, against running the method, and against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convexgan.dynamics import (
    DeepGame,
    DeepMatching,
    LinearGame,
    MeanMatching,
    advise_width,
    best_parameter,
    classify,
    critical_step,
    draw,
    draw_deep,
    measured_rate,
    modes,
    predict,
    simulate,
    simulate_deep,
    step_limit,
    update_matrix,
)
from convexgan.exceptions import SolverError
from convexgan.updates import State, alternating, extragradient, optimistic, simultaneous, unrolled

METHODS = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "extragradient": extragradient,
    "optimistic": optimistic,
}
SEEDS = st.integers(0, 50)


def random_game(seed, n=2, m=3, scale=0.5):
    rng = np.random.default_rng(seed)
    A, C = rng.standard_normal((n, n)), rng.standard_normal((m, m))
    B = rng.standard_normal((n, m))
    return LinearGame(scale * A @ A.T, B, B.T, -scale * C @ C.T)


# -- the core ----------------------------------------------------------------------------------------------------


@given(SEEDS, st.sampled_from(list(METHODS)), st.floats(0.01, 1), st.floats(0.01, 1))
def test_the_matrix_is_the_step(seed, method, a, b):
    game, rng = random_game(seed), np.random.default_rng(seed)
    matrix = update_matrix(game, (a, b), method)
    x, y = rng.standard_normal((2, 1)), rng.standard_normal((3, 1))
    memory = game.gradients(rng.standard_normal((2, 1)), y) if method == "optimistic" else None
    after = METHODS[method](game, State(x, y, memory), (a, b))
    before, kept = np.concatenate([x, y, *(memory or ())]), after.memory if memory else ()
    assert matrix @ before == pytest.approx(np.concatenate([after.x, after.y, *kept]))


@given(SEEDS, st.floats(0.01, 1))
def test_eigenvalues_from_the_field(seed, a):
    game = random_game(seed)
    m = np.linalg.eigvals(game.field())
    known = {
        "simultaneous": 1 + a * m,
        "extragradient": 1 + a * m + (a * m) ** 2,
        "optimistic": np.concatenate([np.roots([1, -(1 + 2 * a * mode), a * mode]) for mode in m]),
    }
    for method, values in known.items():
        assert predict(game, a, method).rate == pytest.approx(abs(values).max(), rel=1e-6)
        assert (predict(game, a, method).phase == classify(values).phase) or abs(abs(values).max() - 1) < 1e-6


@given(SEEDS, st.sampled_from(list(METHODS)), st.floats(0.02, 0.2))
def test_predicted_rate_is_the_measured_one(seed, method, a):
    game = LinearGame.of_modes(0.3, 1.0 + seed / 25, 1.0 + seed / 25, -0.5)
    state, path = State(np.array([[1.0]]), np.array([[0.3]])), []
    for _ in range(120):
        state = METHODS[method](game, state, (a, 2 * a))
        path.append(state.x.item())
    order = 4 if method == "optimistic" else 2
    assert measured_rate(path[60:], order) == pytest.approx(predict(game, (a, 2 * a), method).rate, rel=1e-3)


@pytest.mark.parametrize(
    ("eigenvalues", "phase"),
    [
        ([0.9, 0.5], "converge"),
        ([-0.9, 0.5], "converge"),
        ([0.9j, -0.9j, 0.1], "damped oscillation"),
        ([0.9, 0.1j, -0.1j], "converge"),  # the leading one is real
        ([1.0, 0.3], "sustained"),
        ([1.0j, -1.0j], "sustained"),
        ([1.1, 0.3], "diverge"),
    ],
)
def test_phases(eigenvalues, phase):
    assert classify(eigenvalues).phase == phase
    assert list(classify([eigenvalues, eigenvalues]).phase) == [phase, phase]


def test_a_batch_is_its_games():
    kernels, rates = np.array([0.3, 1.0, 2.0]), (np.array([0.1, 0.4, 0.9]), 0.5)
    batch = predict(modes(kernels), rates, "alternating")
    for index, kernel in enumerate(kernels):
        one = predict(modes(kernel), (rates[0][index], 0.5), "alternating")
        assert (one.rate, one.phase) == (batch.rate[index], batch.phase[index])


@pytest.mark.parametrize(
    ("method", "limit"),
    [("simultaneous", 0.0), ("alternating", 0.0), ("extragradient", 0.5), ("optimistic", 1 / np.sqrt(12))],
)
def test_critical_steps_of_the_bilinear_game(method, limit):
    assert critical_step(LinearGame(0.0, 2.0, 2.0, 0.0), method) == pytest.approx(limit, rel=1e-10)


@given(SEEDS)
def test_critical_step_of_simultaneous_from_the_field(seed):
    game = random_game(seed, scale=2.0)
    m = np.linalg.eigvals(game.field())
    assert critical_step(game, "simultaneous") == pytest.approx((-2 * m.real / abs(m) ** 2).min(), rel=1e-9)


def test_no_critical_step():
    assert critical_step(LinearGame(0.0, 0.0, 0.0, 0.0)) == 0
    assert critical_step(LinearGame(-1.0, 0.0, 0.0, -1.0)) == 0


def test_any_step_function_has_a_matrix():
    def two_ahead(game, state, rates):
        return unrolled(game, state, rates, 2)

    matrix = update_matrix(LinearGame(0.0, 1.0, 1.0, 0.0), 0.1, two_ahead)  # f(x, y + 2bx) = xy + 2bx^2
    assert matrix == pytest.approx(np.array([[1 - 0.1 * 4 * 0.1, -0.1], [0.1, 1]]))


def test_best_parameter_of_a_kink():
    best, rate = best_parameter(lambda values: abs(np.log(values / 3)) + 0.5, 0.01, 100)
    assert (best, rate) == (pytest.approx(3, rel=1e-6), pytest.approx(0.5, abs=1e-6))


# -- overparameterised generators --------------------------------------------------------------------------------

SETTING = MeanMatching(outputs=5, latents=10, samples=40)
ETA = 0.1 / SETTING.kernel


def plain_loop(game, W, eta, mu, steps, order, seed, width):
    """One run by the formulas of MATH.md, sample by sample."""
    mine = game.owner == width
    V, Z, W = game.V[seed, mine].T, game.Z[seed], W[seed, mine].copy()
    d, norms = np.zeros(len(V)), []
    for _ in range(steps + 1):
        f = sum(V @ np.maximum(W @ z, 0) for z in Z) / len(Z)
        slopes = sum((W @ z > 0)[:, None] * z for z in Z) / len(Z)
        norms.append(game.target[seed] - f)
        new = (1 - mu) * d + mu * (game.target[seed] - f)
        W += eta * (V.T @ (new if order == "alternating" else d))[:, None] * slopes
        d = new
    return np.array(norms)


@pytest.mark.parametrize("order", ["simultaneous", "alternating"])
def test_simulation_is_the_plain_loop(order):
    widths = [3, 17, 8]
    runs = simulate(SETTING, widths, (ETA, 0.5), steps=30, seeds=2, method=order, rng=5)
    game, W = draw(SETTING, widths, 2, rng=5)
    for seed in range(2):
        for width in range(3):
            assert runs.residuals[:, seed, width] == pytest.approx(
                plain_loop(game, W, ETA, 0.5, 30, order, seed, width), abs=1e-12
            )


def test_kernels_are_those_of_the_numerical_jacobian():
    game, W = draw(SETTING, [6, 4], 1, rng=1)
    J = np.stack(
        [(game.residual(W - step) - game.residual(W + step)).ravel() / 2e-6 for step in bumps(W, 1e-6)], axis=-1
    )  # (2 widths * m, parameters)
    for width in range(2):
        block = J[width * 5 : width * 5 + 5]
        assert game.kernels(W)[0, width] == pytest.approx(block @ block.T, abs=1e-7)


def bumps(W, size):
    for index in range(W.size):
        step = np.zeros_like(W)
        step.flat[index] = size
        yield step


def test_expected_kernel():
    for setting in (SETTING, MeanMatching(2, 3, 4)):
        game, W = draw(setting, [50], 4000, rng=0)
        mean = game.kernels(W)[:, 0].mean(axis=0)
        assert mean == pytest.approx(setting.kernel * np.eye(setting.outputs), abs=0.02 * setting.kernel)


@pytest.mark.parametrize("order", ["simultaneous", "alternating"])
@pytest.mark.parametrize("mu", [0.1, 0.5, 1.5])
@pytest.mark.parametrize("eta", [0.02, 0.2, 0.9, 1.3, 5.0])
def test_roots_and_limits_of_the_modes(order, mu, eta):
    kernel = 0.7
    product = mu * eta
    sum_ = 2 - mu - (product if order == "alternating" else 0)
    determinant = 1 - mu + (0 if order == "alternating" else product)
    rate = abs(np.roots([1, -sum_, determinant])).max()
    found = predict(modes(kernel), (eta / kernel, mu), order)
    assert found.rate == pytest.approx(rate, rel=1e-7)
    limit = step_limit(kernel, mu, order)
    assert (eta / kernel < limit) == (found.rate < 1)


def test_step_limits_beyond_mu_two():
    assert step_limit(1.0, 2.5) == step_limit(1.0, 2.5, "alternating") == 0


def test_fastest_at_mu_four_eta_kernel():
    eta = 0.05
    best, rate = best_parameter(lambda mu: predict(modes(1.0), (eta, mu), "simultaneous").rate, 0.01, 1.0)
    assert best == pytest.approx(4 * eta, rel=1e-5) and rate == pytest.approx(1 - 2 * eta, rel=1e-5)


@pytest.mark.parametrize(
    ("eta", "order"), [(0.1, "simultaneous"), (0.8, "simultaneous"), (0.05, "alternating"), (0.8, "alternating")]
)
def test_wide_generators_train_at_the_predicted_rate(eta, order):
    runs = simulate(SETTING, [5000], (eta / SETTING.kernel, 0.5), steps=80, seeds=2, method=order)
    game, W = draw(SETTING, [5000], 2)
    vectors = np.linalg.eigh(game.kernels(W)[:, 0])[1]
    signal = np.einsum("tsm,smj->tsj", runs.residuals[:, :, 0], vectors)
    predicted = predict(modes(runs.kernels[:, 0]), (eta / SETTING.kernel, 0.5), order).rate
    assert measured_rate(signal[5:60]) == pytest.approx(predicted, rel=0.02)


def test_the_width_threshold():
    ratio = simulate(SETTING, [5, 10, 20, 50], (ETA, 0.5), seeds=60, rng=3).ratio
    median = np.median(ratio, axis=0)
    assert 0.4 < median[0] < 0.75 and 0.04 < median[1] < 0.25 and median[2] < 0.02 and median[3] < 1e-10
    assert (ratio[:, 3] < 1e-3).mean() > 0.9 > 0.2 > (ratio[:, 1] < 1e-3).mean() - 0.1


def test_the_exact_discriminator_is_gradient_descent():
    runs = simulate(SETTING, [30], (ETA, 1.0), steps=20, seeds=1, method="alternating", rng=2)
    game, W = draw(SETTING, [30], 1, rng=2)
    for residual in runs.residuals[:, 0, 0]:
        r = game.residual(W)
        assert r[0, 0] == pytest.approx(residual, abs=1e-12)
        W = W + ETA * (game.V @ r[0, 0])[..., None] * game.slopes(W)


def test_divergence_is_reported_not_raised():
    ratio = simulate(SETTING, [50], (1e3, 1.9), steps=600, seeds=2).ratio
    assert (ratio > 1e3).all()


def test_width_advice():
    rates = (0.5 / SETTING.kernel, 0.5)
    advice = advise_width(SETTING, rates, 0.1, steps=300)
    assert advice.width in (40, 80) and advice.upper <= 0.1 and advice.runs >= 29
    with pytest.raises(SolverError, match="no width up to 10"):
        advise_width(SETTING, rates, 0.1, steps=50, largest=10)


# -- deeper generators, random features --------------------------------------------------------------------------

DEPTHS = pytest.mark.parametrize(("layers", "features"), [(1, None), (2, None), (3, 4), (1, 6)])


def test_one_layer_is_the_game_of_the_mean():
    game, W = draw(SETTING, [12], 3, rng=4)
    deep = DeepGame(game.V, game.Z, game.target)
    state, other = State(W, np.zeros((3, 1, 5))), State((W,), np.zeros((3, 5)))
    for _ in range(40):
        state, other = alternating(game, state, (ETA, 0.5)), alternating(deep, other, (ETA, 0.5))
    assert other.x[0] == pytest.approx(state.x, abs=1e-12) and other.y == pytest.approx(state.y[:, 0], abs=1e-12)
    assert deep.kernels((W,)) == pytest.approx(game.kernels(W)[:, 0], abs=1e-12)


@DEPTHS
def test_deep_gradients_and_kernels_are_numerical_ones(layers, features):
    setting = DeepMatching(outputs=3, latents=4, samples=6, layers=layers, features=features)
    game, x = draw_deep(setting, 5, 1, rng=1)
    y, columns, slopes = np.random.default_rng(0).standard_normal(game.target.shape), [], []
    for index, part in enumerate(x):
        for step in bumps(part, 1e-6):
            up, down = ((*x[:index], part + sign * step, *x[index + 1 :]) for sign in (1, -1))
            columns.append(((game.residual(down) - game.residual(up)) / 2e-6)[0])
            slopes.append(-columns[-1] @ y[0])
    J = np.array(columns).T
    assert game.kernels(x)[0] == pytest.approx(J @ J.T, abs=1e-6)
    assert np.concatenate([part.ravel() for part in game.grad_x(x, y)]) == pytest.approx(np.array(slopes), abs=1e-6)


def test_deep_training_follows_its_modes_the_better_the_wider():
    setting, errors = DeepMatching(layers=2), []
    for width in (30, 500):
        game, x = draw_deep(setting, width, 4)
        values, vectors = np.linalg.eigh(game.kernels(x))
        rates = (0.2 / values.max(), 0.5)
        runs = simulate_deep(setting, width, rates, steps=12, seeds=4)
        state = np.stack([np.sqrt(1 / values) * -1, np.zeros_like(values)], axis=-1)[..., None]
        matrix = update_matrix(modes(values), rates, "simultaneous")
        for _ in range(12):
            state = matrix @ state
        # a mode's offset x stands for -residual / sqrt(kernel)
        shares = np.einsum("sm,smj->sj", runs.residuals[0][:, 0], vectors)
        told = -np.sqrt(values) * state[..., 0, 0] * shares
        got = np.einsum("sm,smj->sj", runs.residuals[-1][:, 0], vectors)
        errors.append(np.linalg.norm(told - got, axis=1) / np.linalg.norm(shares, axis=1))
    assert np.median(errors[1]) < 0.05 and np.median(errors[1]) < np.median(errors[0]) / 2


@DEPTHS
def test_wide_deep_generators_learn(layers, features):
    setting = DeepMatching(outputs=3, latents=5, samples=20, layers=layers, features=features)
    game, x = draw_deep(setting, 80, 3)
    largest = np.linalg.eigvalsh(game.kernels(x)).max()
    assert (simulate_deep(setting, 80, (0.2 / largest, 0.5), steps=300, seeds=3).ratio < 0.5).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: predict(modes(1.0), -0.1), "step sizes must be finite"),
        (lambda: predict(modes(1.0), (0.1, np.nan)), "step sizes must be finite"),
        (lambda: predict(modes(1.0), 0.1, "simultanous"), "Did you mean 'simultaneous'"),
        (lambda: modes(-1.0), "kernels must be finite"),
        (lambda: LinearGame(np.eye(2), np.ones((2, 1)), np.ones((2, 1)), -1.0), "yx of LinearGame has shape"),
        (lambda: LinearGame(np.nan, 1.0, 1.0, 1.0), "xx of LinearGame has NaN"),
        (lambda: simulate(SETTING, [], (0.1, 0.5)), "widths is empty"),
        (lambda: simulate(SETTING, [0], (0.1, 0.5)), "widths must be an integer"),
        (lambda: simulate(SETTING, [5], (-0.1, 0.5)), "rates must be finite"),
        (lambda: DeepMatching(layers=0), "layers must be an integer"),
        (lambda: DeepMatching(features=0), "features must be an integer"),
        (lambda: simulate_deep(DeepMatching(), 0, (0.1, 0.5)), "width must be an integer"),
        (lambda: MeanMatching(samples=0), "samples must be an integer"),
        (lambda: step_limit(0.0, 0.5), "largest_kernel must be finite and positive"),
        (lambda: advise_width(SETTING, (0.1, 0.5), 1.5), "failure must be between"),
        (lambda: best_parameter(abs, 2.0, 1.0), "high must be above low"),
        (lambda: measured_rate([1.0, 2.0]), "signal has 2 steps"),
        (lambda: critical_step(modes(1.0), ratio=0.0), "ratio must be finite and positive"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
