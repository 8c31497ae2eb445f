"""Stochastic gradients: the moments that are predicted are those of runs, and of the equations they solve."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov

from convexgan.dynamics import LinearGame, PayoffGame, noise, predict_noise, update_matrix
from convexgan.updates import METHODS, DifferentiableGame, State, adam, alternating, simultaneous


class Minibatch(DifferentiableGame):
    """Linear gradients with a value at 0, of one game or of many side by side."""

    def __init__(self, blocks, shifts):
        self.linear, (self.gx, self.gy) = LinearGame(*blocks), shifts
        self.saddle = np.zeros(self.gx.shape[-2]), np.zeros(self.gy.shape[-2])

    def grad_x(self, x, y):
        return self.linear.grad_x(x, y) + (self.gx if x.ndim > 1 else self.gx[..., 0])

    def grad_y(self, x, y):
        return self.linear.grad_y(x, y) + (self.gy if y.ndim > 1 else self.gy[..., 0])

    def vjp(self, x, y, u, v):
        return self.linear.vjp(x, y, u, v)


def drawn(n=1, m=1, games=5, spread=0.5, seed=0):
    """Blocks (games, ...) of zero-sum games around a convex-concave one, and shifts that cancel."""
    rng = np.random.default_rng(seed)
    A, C = (np.eye(k) + spread * (M + M.mT) / 2 for k, M in ((n, rng.standard_normal((games, n, n))),
                                                             (m, rng.standard_normal((games, m, m)))))  # fmt: skip
    B = 0.7 + spread * rng.standard_normal((games, n, m))
    shifts = [
        each - each.mean(axis=0) for each in (rng.standard_normal((games, n, 1)), rng.standard_normal((games, m, 1)))
    ]
    return (A, B, B.mT, -C), shifts


def apart(blocks, shifts):
    """One game for each minibatch."""
    return [Minibatch([block[i] for block in blocks], [shift[i] for shift in shifts]) for i in range(len(shifts[0]))]


def momentum(gradient, memory, decay=-0.2):
    velocity = gradient if memory is None else decay * memory + gradient
    return velocity, velocity


STEPS = {**METHODS, "momentum": partial(simultaneous, transform=momentum)}


@pytest.mark.parametrize("name", STEPS)
def test_moments_are_those_of_runs(name):
    blocks, shifts = drawn()
    rates, runs, rng = (0.15, 0.2), 40_000, np.random.default_rng(1)
    told = predict_noise(apart(blocks, shifts), rates, STEPS[name])
    assert told.stable
    state = State(*np.zeros((2, runs, 1, 1)))
    for _ in range(150):
        chosen = rng.integers(len(shifts[0]), size=runs)
        game = Minibatch([block[chosen] for block in blocks], [shift[chosen] for shift in shifts])
        state = STEPS[name](game, state, rates)
    z = np.concatenate([state.x, state.y], axis=1)[..., 0]
    assert np.abs(z.mean(axis=0) - told.mean).max() < 4.5 * z.std(axis=0).max() / np.sqrt(runs)
    products = (z[:, :, None] - told.mean[:, None]) * (z[:, None, :] - told.mean)
    errors = products.std(axis=0) / np.sqrt(runs)
    assert (np.abs(products.mean(axis=0) - told.covariance) < 4.5 * errors).all()
    assert np.linalg.norm(told.covariance) > 100 * np.linalg.norm(errors)  # so the comparison says something


@pytest.mark.parametrize("method", ["simultaneous", "optimistic", "extragradient"])
def test_with_constant_slopes_it_is_the_lyapunov_equation(method):
    blocks, shifts = drawn(2, 3, spread=0.0, seed=3)
    rates, found = (0.1, 0.2), predict_noise(apart(blocks, shifts), (0.1, 0.2), method)
    game = LinearGame(*(block[0] for block in blocks))
    M = update_matrix(game, rates, method)
    force = np.concatenate([-rates[0] * shifts[0], rates[1] * shifts[1]], axis=1)[..., 0]
    if method == "optimistic":  # twice the gradient less the last one, which is remembered with its noise
        force = np.concatenate([2 * force, shifts[0][..., 0], shifts[1][..., 0]], axis=1)
    if method == "extragradient":  # the same minibatch at both points
        J = game.field(rates)
        force = force + force @ J.T
    P = solve_discrete_lyapunov(M, force.T @ force / len(force))
    np.testing.assert_allclose(found.covariance, P[:5, :5], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.mean, 0, atol=1e-12)
    assert found.rate == pytest.approx(np.abs(np.linalg.eigvals(M)).max(), rel=1e-6)


def test_alternating_steps_settle_beside_the_saddle_point():
    """y moves by the same minibatch that x then sees: what x feels is correlated with where y went."""
    blocks, shifts = drawn(1, 1, games=2, seed=5)
    both = [predict_noise(apart(blocks, shifts), 0.2, name) for name in ("simultaneous", "alternating")]
    assert np.abs(both[1].mean).max() > 1e-2 > 1e-12 > np.abs(predict_noise(apart(*drawn(spread=0.0)), 0.2).mean).max()


def test_stable_in_the_mean_is_not_stable_in_the_mean_square():
    slopes = np.array([6.0, -4.0])[:, None, None]
    blocks, shifts = (
        (slopes, 0 * slopes, 0 * slopes, -1 - 0 * slopes),
        [np.array([[[1.0]], [[-1.0]]]), np.zeros((2, 1, 1))],
    )
    told = predict_noise(apart(blocks, shifts), 0.3, "simultaneous")
    assert told.rate**2 == pytest.approx(np.mean((1 - 0.3 * slopes) ** 2)) and np.mean(1 - 0.3 * slopes) < 1
    assert not told.stable and np.isinf(told.covariance).all() and np.isinf(told.mean).all()
    slow = predict_noise(apart(blocks, shifts), 0.05, "simultaneous")
    A, b = 1 - 0.05 * slopes[:, 0, 0], -0.05 * shifts[0][:, 0, 0]  # one number: solved by hand
    mean = b.mean() / (1 - A.mean())
    second = np.mean(2 * A * b * mean + b**2) / (1 - np.mean(A**2))
    assert slow.stable and slow.covariance[0, 0] == pytest.approx(second - mean**2)


def test_torch_minibatches_by_their_payoffs():
    rows = torch.tensor(np.random.default_rng(0).normal([1.0, -1.0], size=(6, 2)))

    def payoff(real):
        return lambda x, y: y @ (real - x) - y @ y / 2

    x, y = rows.mean(dim=0), torch.zeros(2, dtype=torch.float64)
    told = predict_noise([PayoffGame(payoff(real), x, y) for real in rows], (0.3, 0.4))
    noise = np.asarray(rows - x)
    M = update_matrix(LinearGame(np.zeros((2, 2)), -np.eye(2), -np.eye(2), -np.eye(2)), (0.3, 0.4))
    force = np.concatenate([0.3 * 0.4 * noise, 0.4 * noise], axis=1)  # y first, then x along -y
    np.testing.assert_allclose(told.covariance, solve_discrete_lyapunov(M, force.T @ force / 6), atol=1e-9)


@pytest.mark.parametrize("method", ["alternating", "extragradient", "optimistic"])
def test_many_numbers_have_the_moments_of_the_kronecker_matrix(method):
    n, rates = (4 if method == "optimistic" else 8), (0.1, 0.15)
    games = apart(*drawn(n, n, games=4, spread=0.4, seed=2))
    told = predict_noise(games, rates, method)
    A, b = noise._affine(*noise._linear(games, None), rates, METHODS[method])
    size = A.shape[-1]
    operator = np.mean([np.kron(each, each) for each in A], axis=0)
    mean = np.linalg.solve(np.eye(size) - A.mean(axis=0), b.mean(axis=0))
    cross = np.mean((A @ mean)[:, :, None] * b[:, None, :], axis=0)
    source = cross + cross.T + np.mean(b[:, :, None] * b[:, None, :], axis=0)
    second = np.linalg.solve(np.eye(size**2) - operator, source.ravel()).reshape(size, size)
    assert size > noise.DENSE and told.rate == pytest.approx(np.sqrt(np.abs(np.linalg.eigvals(operator)).max()))
    np.testing.assert_allclose(told.covariance, (second - np.outer(mean, mean))[: 2 * n, : 2 * n], atol=1e-10)


@pytest.mark.parametrize("copies", [5, 40])
def test_copies_of_a_game_have_its_moments(copies):
    """Side by side they see the same minibatches, and so move alike: any number of numbers has a known answer."""
    blocks, shifts = drawn(2, 2, spread=0.3)
    one = predict_noise(apart(blocks, shifts), (0.1, 0.15), "extragradient")
    large = [np.stack([np.kron(np.eye(copies), each) for each in block]) for block in blocks]
    told = predict_noise(
        apart(large, [np.tile(shift, (1, copies, 1)) for shift in shifts]), (0.1, 0.15), "extragradient"
    )
    x, y = np.arange(2 * copies), np.arange(2 * copies, 4 * copies)
    for rows, first in ((x, slice(2)), (y, slice(2, 4))):
        for columns, second in ((x, slice(2)), (y, slice(2, 4))):
            block = np.tile(one.covariance[first, second], (copies, copies))
            np.testing.assert_allclose(told.covariance[np.ix_(rows, columns)], block, rtol=1e-9, atol=1e-13)
    assert told.rate == pytest.approx(one.rate, rel=1e-9)


def test_constant_slopes_of_many_numbers_solve_the_lyapunov_equation():
    blocks, shifts = drawn(60, 70, spread=0.0)
    noise_x, noise_y = (shift[..., 0] for shift in shifts)
    blocks = [block / 20 if i in (1, 2) else block for i, block in enumerate(blocks)]
    told = predict_noise(apart(blocks, shifts), (0.1, 0.2), "simultaneous")
    M = update_matrix(LinearGame(*(block[0] for block in blocks)), (0.1, 0.2), "simultaneous")
    force = np.concatenate([-0.1 * noise_x, 0.2 * noise_y], axis=1)
    np.testing.assert_allclose(told.covariance, solve_discrete_lyapunov(M, force.T @ force / len(force)), atol=1e-9)


def test_linear_games_are_at_rest_at_zero():
    games = [LinearGame(1.0 + s, 0.5, 0.5, -1.0) for s in (-0.5, 0.5)]
    told = predict_noise(games, 0.1)
    assert told.stable and not told.covariance.any()
    with pytest.raises(ValueError, match="saddle is not stationary"):
        predict_noise(games, 0.1, saddle=(np.ones(1), np.ones(1)))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: predict_noise([], 0.1), "games is empty"),
        (lambda: predict_noise(apart(*drawn()), -0.1), "step sizes must be finite"),
        (lambda: predict_noise(apart(*drawn()), 0.1, partial(alternating, transform=adam)), "no matrix tells"),
        (lambda: predict_noise(apart(*drawn())[:1], 0.1), "saddle is not stationary"),
        (lambda: predict_noise(apart(*drawn()), 0.1, saddle=(1, 2, 3)), r"pair \(x, y\) of the two players, got 3"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_states_of_too_many_numbers_are_refused(monkeypatch):
    monkeypatch.setattr(noise, "LARGEST", 4)
    with pytest.raises(ValueError, match="5 numbers, more than the 4 of"):
        predict_noise(apart(*drawn(2, 3)), 0.1)
    with pytest.raises(ValueError, match="9 numbers, more than the 4 of"):
        predict_noise(apart(*drawn(2, 2)), 0.1, "optimistic")
