"""Min-max methods as optimisers of torch: the step functions of `updates`, step for step, in loops of one's own."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from convexgan.torch.optim import Consensus, ExtraGradient, OptimisticAdam, Unrolled
from convexgan.updates import (
    DifferentiableGame,
    State,
    consensus,
    extragradient,
    optimistic_adam,
    simultaneous,
    unrolled,
)

BETAS = (0.5, 0.9)
PAIRS = {
    "ExtraGradient": (ExtraGradient, extragradient),
    "OptimisticAdam": (
        partial(OptimisticAdam, betas=BETAS),
        partial(simultaneous, transform=partial(optimistic_adam, betas=BETAS)),
    ),
    "Consensus": (partial(Consensus, weight=0.7), partial(consensus, weight=0.7)),
    "Unrolled": (partial(Unrolled, depth=3), partial(unrolled, depth=3)),
}


class Quadratic(DifferentiableGame):
    """f = a x'x / 2 + x'My - b y'y / 2 by its formulas, on numpy arrays."""

    def __init__(self, a, b, M):
        self.a, self.b, self.M = a, b, M

    def grad_x(self, x, y):
        return self.a * x + self.M @ y

    def grad_y(self, x, y):
        return self.M.T @ x - self.b * y

    def vjp(self, x, y, u, v):
        return self.a * u + self.M @ v, self.M.T @ u - self.b * v


GAMES = {
    "bilinear": Quadratic(0.0, 0.0, np.array([[1.0]])),
    "quadratic": Quadratic(0.3, 0.2, np.random.default_rng(0).standard_normal((3, 2))),
}


def start(game):
    rng = np.random.default_rng(1)
    return rng.standard_normal(game.M.shape[0]), rng.standard_normal(game.M.shape[1])


def players(game):
    """Each player in two parameters where it has so many numbers."""
    return [
        [torch.from_numpy(part.copy()).requires_grad_() for part in np.split(whole, [1]) if part.size]
        for whole in start(game)
    ]


def payoff(game, x, y):
    x, y, M = torch.cat(x), torch.cat(y), torch.from_numpy(game.M)
    return game.a / 2 * x @ x + x @ M @ y - game.b / 2 * y @ y


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", PAIRS)
def test_the_steps_are_those_of_updates(name, game):
    make, step = PAIRS[name]
    game = GAMES[game]
    x, y = players(game)
    optimizer, state = make(x, y, lr=(0.1, 0.2)), State(*start(game))
    for _ in range(20):
        seen = optimizer.step(lambda: payoff(game, x, y))
        a, b = state.x, state.y
        assert float(seen) == pytest.approx(game.a / 2 * a @ a + a @ game.M @ b - game.b / 2 * b @ b, abs=1e-12)
        state = step(game, state, (0.1, 0.2))
        found = [torch.cat(own).detach().numpy() for own in (x, y)]
        assert np.allclose(found[0], state.x, atol=1e-12) and np.allclose(found[1], state.y, atol=1e-12)
    assert all(part.grad is None for part in (*x, *y))


@pytest.mark.parametrize("name", PAIRS)
def test_a_saved_state_goes_on_as_if_nothing_had_been(name, tmp_path):
    make, game = PAIRS[name][0], GAMES["quadratic"]
    runs = []
    for interrupted in (False, True):
        x, y = players(game)
        optimizer = make(x, y, lr=0.1)
        for count in range(10):
            if interrupted and count == 5:
                torch.save(optimizer.state_dict(), tmp_path / "state")
                x, y = ([part.detach().clone().requires_grad_() for part in own] for own in (x, y))
                optimizer = make(x, y, lr=7.0)
                optimizer.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
            optimizer.step(lambda x=x, y=y: payoff(game, x, y))
        runs.append([*x, *y])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_games_that_are_not_zero_sum_and_schedules():
    x, y = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    optimizer = ExtraGradient([x], [y], lr=(0.1, 0.1))
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    optimizer.step(lambda: ((x**2).sum() / 2, -((y - 3) ** 2).sum() / 2))
    schedule.step()
    assert x.item() == pytest.approx(1 - 0.1 * 0.9) and y.item() == pytest.approx(1 + 0.1 * 1.8)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.05]
    with pytest.raises(ValueError, match="zero-sum games: return one payoff"):
        Unrolled([x], [y], lr=0.1).step(lambda: (x.sum(), y.sum()))


def test_a_gan_in_a_loop_of_ones_own():
    torch.manual_seed(0)
    G, D = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    before = copy.deepcopy(G.state_dict())
    optimizer = OptimisticAdam(G.parameters(), D.parameters(), lr=1e-3)
    for _ in range(5):
        real, Z = torch.randn(16, 3), torch.randn(16, 2)
        found = optimizer.step(lambda real=real, Z=Z: D(real).mean() - D(G(Z)).mean())
    assert found.isfinite() and not torch.equal(before["weight"], G.weight)


def test_what_is_wrong_is_said_and_leaves_the_players():
    x, y = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    optimizer = ExtraGradient([x], [y], lr=0.1)
    with pytest.raises(ValueError, match="needs a closure"):
        optimizer.step()
    for wrong in (lambda: 1.0, lambda: x.detach(), lambda: x.expand(3), lambda: (x, y, x)):
        with pytest.raises(ValueError, match="must return the payoff"):
            optimizer.step(wrong)
    calls = []

    def failing():
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("no memory")
        return (x * y).sum()

    with pytest.raises(RuntimeError, match="no memory"):
        optimizer.step(failing)
    assert x.item() == y.item() == 1.0
    with pytest.raises(ValueError, match="maximizer must be parameters"):
        ExtraGradient([x], [], lr=0.1)
    with pytest.raises(ValueError, match="lr must be"):
        Consensus([x], [y], lr=-1.0)
