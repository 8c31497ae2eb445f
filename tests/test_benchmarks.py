"""What the benchmarks compute themselves: gradients of the toy game, outcomes of runs, gradient ascent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import convexgan as cg
from benchmarks.relu_against_scip import ascend
from benchmarks.relu_ipm import sample
from benchmarks.relu_toy import BETA, OPTIMUM, PRICE, Net, Points, ToyGame, X, exact_bound, judge, outcomes
from benchmarks.width_sweep_images import LATENTS, critic, final, generator, reached
from tests.generators import seeds


def payoff(generator, x, y):
    """The game's value from its definition, for parameters without leading axes."""
    u, b, v = y
    w = generator.points(x)
    scores = [float(np.mean([v @ np.maximum(u * point + b, 0) for point in points])) for points in (X, w)]
    return scores[0] - scores[1] + float(np.mean(w**2)) - BETA / 2 * float(u @ u + v @ v)


@pytest.mark.parametrize("generator", [Points(), Net()], ids=["points", "net"])
@given(seed=seeds)
@settings(max_examples=15)
def test_the_toy_game_has_the_gradients_of_its_payoff(generator, seed):
    rng = np.random.default_rng(seed)
    x, y = tuple(part[0] for part in generator.draw(rng, 1)), tuple(rng.standard_normal((3, 4)))
    game, h = ToyGame(generator), 1e-7
    dx, dy = (tuple(rng.standard_normal(part.shape) for part in player) for player in (x, y))
    slopes = [
        sum(float(np.sum(g * d)) for g, d in zip(grad, move, strict=True))
        for grad, move in ((game.grad_x(x, y), dx), (game.grad_y(x, y), dy))
    ]
    for slope, moves in zip(slopes, ((dx, None), (None, dy)), strict=True):
        ends = []
        for sign in (1, -1):
            places = [
                player if move is None else tuple(p + sign * h * m for p, m in zip(player, move, strict=True))
                for player, move in zip((x, y), moves, strict=True)
            ]
            ends.append(payoff(generator, *places))
        assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_runs_of_one_batch_do_not_mix():
    rng, generator = np.random.default_rng(0), Net()
    x, y = generator.draw(rng, 3), tuple(rng.standard_normal((3, 3, 5)))
    game = ToyGame(generator)
    for k in range(3):
        alone = tuple(p[k] for p in x), tuple(p[k] for p in y)
        for grad in (game.grad_x, game.grad_y):
            for whole, part in zip(grad(x, y), grad(*alone), strict=True):
                assert whole[k] == pytest.approx(part)


def test_outcomes_by_their_definition():
    t = np.linspace(0, 40, 200)
    wave = np.sin(t)[:, None] * [-1, 1]
    runs = {
        "reach": OPTIMUM + 0.005 * wave,
        "oscillate": OPTIMUM + 0.02 * wave,
        "stuck": 0 * wave + 0.3 * X,
        "diverge": 0 * wave + 11 * X,
    }
    assert list(outcomes(np.stack(list(runs.values()), axis=1))) == list(runs)
    late = OPTIMUM + np.where(t < 20, 0.0, np.nan)[:, None]
    crawl = OPTIMUM * (0.5 + 0.4 * t / 40)[:, None]
    assert list(outcomes(np.stack([late, crawl], axis=1))) == ["diverge", "stuck"]


def test_gaps_of_the_toy_game():
    bound = exact_bound()
    assert bound == pytest.approx((1 - 2 * BETA) ** 2 + PRICE * BETA, rel=1e-7)
    assert judge(OPTIMUM, bound) == pytest.approx((0, 0), abs=1e-7)
    assert judge(np.zeros(2), bound) == pytest.approx((0.4, 0.5 - BETA), abs=1e-7)  # 1 - .96 / 1.6
    for points in np.random.default_rng(0).standard_normal((50, 2)):
        assert judge(points, bound)[0] >= -1e-7


@pytest.mark.parametrize(("p", "shifted"), [(2, True), (3, False)])
def test_ascent_climbs_to_the_maximum_and_not_beyond(p, shifted):
    pair = sample(p, 8, shifted, p)
    U = np.random.default_rng(0).standard_normal((100, p))
    U /= np.linalg.norm(U, axis=1)[:, None]
    best, exact = ascend(*pair, U), cg.ipm(*pair).value
    start = np.abs(np.subtract(*(np.maximum(rows @ U.T, 0).mean(axis=0) for rows in pair)))
    assert (best >= start * (1 - 1e-12)).all() and best.max() <= exact * (1 + 1e-12)
    assert best.max() == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(("size", "channels", "layers"), [(8, 1, 2), (16, 1, 2), (32, 3, 3)])
def test_networks_of_base_width_k(size, channels, layers):
    k = 3
    net, opponent = generator(k, size, channels), critic(k, size, channels)
    pictures = net(torch.zeros(2, LATENTS))
    assert pictures.shape == (2, channels, size, size) and opponent(pictures).shape == (2, 1)
    up = [part.in_channels for part in net if isinstance(part, torch.nn.ConvTranspose2d)]
    down = [part.out_channels for part in opponent if isinstance(part, torch.nn.Conv2d)]
    assert up[::-1] == down == [k * 2**i for i in range(layers)]


def test_ends_of_curves_by_their_definition():
    run = {"outcome": "finished", "curve": [[0, 50.0, 0.0], [10, 4.0, 1.0], [20, 2.0, 2.0], [30, 1.0, 3.0]]}
    assert final(run) == pytest.approx(2.0) and final(run | {"outcome": "diverged"}) == np.inf
    assert [reached(run, threshold) for threshold in (60, 4, 3, 0.5)] == [0, 10, 20, np.inf]
