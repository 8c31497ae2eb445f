"""Predictions of games that a user wrote: modules with a payoff, kinks by name, schedules, more than two players."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import convexgan as cg
from convexgan.dynamics import LinearGame, PayoffGame, SolvedGame, Tangent, forecast, measure_gda, predict_gda
from convexgan.linear_gan import AdversarialGame, train_adversarial
from convexgan.updates import METHODS, Game, State
from tests.test_forecast import Curved

methods = pytest.mark.parametrize("method", METHODS)


# -- modules with a payoff ---------------------------------------------------------------------------------------------


def networks(hidden):
    """A payoff, and a generator and a critic of torch that are its saddle point."""
    torch.manual_seed(0)
    G = torch.nn.Sequential(torch.nn.Linear(2, 3), hidden, torch.nn.Linear(3, 2)).double()
    D = torch.nn.Linear(2, 1, bias=False).double()
    Z = torch.randn(30, 2, dtype=torch.float64)
    with torch.no_grad():
        D.weight.zero_()
        target = G(Z).mean(dim=0)

    def payoff(G, D):
        return D(target) - D(G(Z)).mean() - 0.05 * (D(torch.eye(2, dtype=torch.float64)) ** 2).sum()

    return payoff, G, D


@methods
def test_modules_with_a_payoff_are_predicted_and_run(method):
    game = PayoffGame(*networks(torch.nn.Tanh()))
    assert game.names[0] == "x: 0.weight" and game.names[-1] == "y: weight"
    told = predict_gda(game, (0.2, 0.3), method)
    assert told.neutral == 15  # 17 weights, of which the critic sees two combinations
    assert measure_gda(game, (0.2, 0.3), method, steps=3000) == pytest.approx(told.across.rate, rel=1e-2)
    J = Tangent(game, game.saddle).dense()
    np.testing.assert_allclose(J.xy, J.yx.T, atol=1e-12)
    np.testing.assert_allclose(J.yy, -0.1 * np.eye(2), atol=1e-12)


def test_tensors_and_tuples_are_players_of_a_payoff():
    x = (torch.zeros(2, dtype=torch.float64), torch.zeros((), dtype=torch.float64))
    y = torch.zeros(2, dtype=torch.float64)

    def payoff(x, y):
        return 0.5 * (x[0] @ x[0] + x[1] ** 2) + torch.exp(x[1]) * (x[0] @ y) - y @ y

    game = PayoffGame(payoff, x, y)
    assert game.names == ["x[0]", "x[1]", "y"]
    eye = np.eye(2)
    xx, xy = np.eye(3), np.vstack([eye, np.zeros((1, 2))])
    known = LinearGame(xx, xy, xy.T, -2 * eye)
    for method in METHODS:
        assert predict_gda(game, 0.1, method).rate == pytest.approx(predict_gda(known, 0.1, method).rate, abs=1e-12)
    u, v = (np.array([1.0, 2.0]), np.array(3.0)), np.array([-1.0, 0.5])
    at = (np.array([0.3, 0.1]), np.array(0.2)), np.array([0.7, -0.4])
    (first, second), third = game.vjp(*at, u, v)
    slope = np.exp(0.2)
    np.testing.assert_allclose(first, u[0] + u[1] * slope * at[1] + slope * v)
    np.testing.assert_allclose(
        second, u[1] * (1 + slope * at[0][0] @ at[1]) + slope * at[1] @ u[0] + slope * at[0][0] @ v
    )
    np.testing.assert_allclose(third, slope * u[0] + u[1] * slope * at[0][0] - 2 * v)


@pytest.mark.parametrize("method", ["unrolled", "consensus"])
def test_second_derivatives_of_many_players_come_from_products(method, monkeypatch):
    """Of torch players; of numpy players, which have no transposed products, from the Jacobian."""
    payoff, x, y = many()
    for game, complete in ((PayoffGame(payoff, x, y), False), (Numpy(payoff, x, y), True)):
        whole = predict_gda(game, (0.2, 0.3), method)
        with monkeypatch.context() as context:
            context.setattr(forecast, "DENSE", 10)
            found = predict_gda(game, (0.2, 0.3), method)
        assert whole.complete and found.complete == complete and found.rate == pytest.approx(whole.rate, abs=1e-8)


def test_transposed_products_are_those_of_the_jacobian():
    """Of a game that is not zero-sum; in the others the Jacobian of both gradients is symmetric."""

    class General(Game):
        def grad_x(self, x, y):
            return torch.sin(x) + x.sum() * torch.ones(2, dtype=torch.float64) - 2 * y.sum() * x.flip(0) + y[:2]

        def grad_y(self, x, y):
            return torch.cat([3 * x, x[:1] * 0]) - y

    zero = torch.zeros(2, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    tangent = Tangent(General(), zero)
    u, v = np.array([1.0, -2.0]), np.array([0.3, 0.1, 0.7])
    known = tangent.dense().vjp(None, None, u, v)
    for found, block in zip(tangent.vjp(None, None, u, v), known, strict=True):
        np.testing.assert_allclose(found, block, atol=1e-12)
    assert not np.allclose(tangent.dense().xy.T, tangent.dense().yx)


def many():
    """A payoff of 120 + 120 numbers whose leading modes are apart."""
    c = torch.linspace(0.1, 2.0, 120, dtype=torch.float64)
    zero = torch.zeros(120, dtype=torch.float64)
    return lambda x, y: 0.5 * (c * x) @ x + torch.tanh(c * x) @ y - 0.2 * y @ y, zero, zero


class Numpy(Game):
    """A payoff's gradients, of numpy players only."""

    def __init__(self, payoff, x, y):
        self.game, self.saddle = PayoffGame(payoff, x, y), (np.asarray(x), np.asarray(y))

    def grad_x(self, x, y):
        return self.game.grad_x(x, y)

    def grad_y(self, x, y):
        return self.game.grad_y(x, y)


def test_kinks_are_named_after_what_moves():
    payoff, G, D = networks(torch.nn.ReLU())
    assert predict_gda(PayoffGame(payoff, G, D), 0.1, "extragradient").complete  # ReLU away from its kink

    def kinked(x, y):
        return x[0] @ x[0] + (torch.relu(x[1] - 1) * y).sum() + torch.relu(x[1] - 1).sum() * x[0].sum() - y @ y

    start = (
        (torch.zeros(2, dtype=torch.float64), torch.ones(1, dtype=torch.float64)),
        torch.zeros(1, dtype=torch.float64),
    )
    with pytest.raises(ValueError, match=r"saddle is at a kink of the gradients, where x\[1\] move: there is no lin"):
        predict_gda(PayoffGame(kinked, *start), 0.1)


def numpy_payoff(x, y):
    return 0.5 * (x[0] @ x[0] + x[1] ** 2) + np.exp(x[1]) * (x[0] @ y) - y @ y


def numpy_gradients(x, y):
    slope = np.exp(x[1])
    return (x[0] + slope * y, np.asarray(x[1] + slope * (x[0] @ y))), slope * x[0] - 2 * y


@pytest.mark.parametrize("method", METHODS)
def test_numpy_players_with_their_gradients_are_a_game_as_torch_players_are(method):
    x, y = (np.zeros(2), np.zeros(())), np.zeros(2)
    game = PayoffGame(numpy_payoff, x, y, gradients=numpy_gradients)
    eye = np.eye(2)
    xy = np.vstack([eye, np.zeros((1, 2))])
    known = predict_gda(LinearGame(np.eye(3), xy, xy.T, -2 * eye), 0.1, method)
    told = predict_gda(game, 0.1, method)
    assert told.rate == pytest.approx(known.rate, abs=1e-9) and game.names == ["x[0]", "x[1]", "y"]
    assert measure_gda(game, 0.1, method, steps=200) == pytest.approx(told.rate, rel=1e-2)
    at, (u, v) = ((np.array([0.3, 0.1]), np.array(0.2)), np.array([0.7, -0.4])), (x, np.array([-1.0, 0.5]))
    (first, second), third = game.vjp(*at, u, v)
    slope = np.exp(0.2)
    np.testing.assert_allclose(first, slope * v, atol=1e-9)
    np.testing.assert_allclose([second, *third], [slope * at[0][0] @ v, *(-2 * v)], atol=1e-9)


def test_gradients_that_are_not_the_payoffs_are_refused():
    x, y = (np.zeros(2), np.zeros(())), np.zeros(2)
    wrong = [lambda a, b: (numpy_gradients(a, b)[0], -numpy_gradients(a, b)[1])]  # the loss of y, not the payoff
    wrong += [lambda a, b: ((numpy_gradients(a, b)[0][0], 0 * a[1]), numpy_gradients(a, b)[1])]
    for gradients in wrong:
        with pytest.raises(ValueError, match="gradients is not the payoff's"):
            PayoffGame(numpy_payoff, x, y, gradients=gradients)
    with pytest.raises(ValueError, match="gradients has 3 numbers for players of 5"):
        PayoffGame(numpy_payoff, x, y, gradients=lambda a, b: (a[0][:1], b))
    with pytest.raises(ValueError, match="gradients is for numpy players, and y is none"):
        PayoffGame(numpy_payoff, x, torch.zeros(2), gradients=numpy_gradients)


def test_other_numbers_of_players_are_refused_by_name():
    for saddle in ((0.0, 0.0, 0.0), (0.0,), 0.0):
        for call in (predict_gda, measure_gda):
            with pytest.raises(
                ValueError, match=r"pair \(x, y\) of the two players, got [13]: games of three or more are not"
            ):
                call(Curved(1), 0.1, saddle=saddle)
    numpy = (lambda x, y: x @ y, np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match=r"x must be a torch module .* got ndarray: numpy players want gradients="):
        PayoffGame(*numpy)
    zero = torch.zeros(2, dtype=torch.float64)
    for payoff in (lambda x, y: x * y, lambda x, y: 1.0, lambda x, y: torch.zeros(())):
        with pytest.raises(ValueError, match="payoff must return a scalar tensor that depends on the players"):
            predict_gda(PayoffGame(payoff, zero, zero), 0.1)


@pytest.mark.parametrize("method", METHODS)
def test_games_without_second_derivatives_say_so_where_they_are_run(method):
    """Predicted they are all the same: the Jacobian at the saddle point has them."""
    X = np.random.default_rng(0).standard_normal((12, 3))
    Z = np.random.default_rng(1).standard_normal((12, 40))
    solved = SolvedGame(cg.solve(X + 1, np.eye(3), discriminator="linear", beta=0.5), X + 1)
    paired = AdversarialGame(X, Z, 0.1, 0.1, 0.1)
    runs = [
        lambda: measure_gda(solved, 0.05, method, steps=40),
        lambda: train_adversarial(
            paired, 0.1 * Z[0][:, None] * np.ones(3), np.eye(3), (0.05, 0.05), steps=5, method=method
        ),
    ]
    assert np.isfinite(predict_gda(solved, 0.05, method).rate)
    for run in runs:
        if method in ("consensus", "unrolled"):
            with pytest.raises(
                ValueError, match="Game has no second derivatives, which this method needs: write its vjp"
            ):
                run()
        else:
            run()


# -- schedules ------------------------------------------------------------------------------------------------------


@methods
def test_a_schedule_is_its_steps_one_after_another(method):
    rng = np.random.default_rng(4)
    A, B, C = rng.standard_normal((3, 2, 2))
    game, schedule = LinearGame(A @ A.T, B, B.T, -C @ C.T), [0.05, (0.2, 0.1), (0.02, 0.3)]
    told = predict_gda(game, schedule, method)
    state, sizes, step = State(*rng.standard_normal((2, 2, 1))), [], METHODS[method]
    for number in range(3000):
        if number % 3 == 0:
            size = np.linalg.norm(np.vstack([state.x, state.y]))
            sizes.append(size)
            scaled = None if state.memory is None else tuple(None if m is None else m / size for m in state.memory)
            state = State(state.x / size, state.y / size, scaled)
        state = step(game, state, schedule[number % 3])
    assert np.exp(np.mean(np.log(sizes[200:])) / 3) == pytest.approx(told.rate, rel=1e-3)
    assert predict_gda(game, [0.1], method).rate == predict_gda(game, 0.1, method).rate
    assert predict_gda(game, [0.1, 0.1], method).rate == pytest.approx(predict_gda(game, 0.1, method).rate)


def test_schedules_of_many_players_come_from_products(monkeypatch):
    game = PayoffGame(*many())
    whole = predict_gda(game, [0.05, 0.1], "extragradient")
    monkeypatch.setattr(forecast, "DENSE", 3)
    found = predict_gda(game, [0.05, 0.1], "extragradient")
    assert not found.complete and found.rate == pytest.approx(whole.rate, abs=1e-6)
    assert found.period == 2 and found.across.rate == pytest.approx(whole.across.rate, abs=1e-6)


def test_bad_schedules_are_named():
    game = LinearGame(1.0, 1.0, 1.0, -1.0)
    with pytest.raises(ValueError, match="rates is an empty schedule"):
        predict_gda(game, [])
    with pytest.raises(ValueError, match="step sizes must be finite"):
        predict_gda(game, [0.1, -0.1])
