"""A step of descent-ascent defined outside the package: problems, torch, dynamics and the command line take it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import convexgan as cg
from convexgan.cli import app
from convexgan.dynamics import LinearGame, forecast_sweep, predict_gda
from convexgan.torch import LinearGenerator, Objective, TwoLayerDiscriminator, train
from convexgan.updates import METHODS, State, resolve_step, simultaneous
from convexgan.updates.game import descend, each, move, pair

X = np.random.default_rng(0).standard_normal((60, 2)) * [2, 1]


def negative_momentum(game, state, rates):
    """Gradient descent-ascent whose speed keeps -0.3 of the one before."""
    rate_x, rate_y = pair(rates)
    slopes = game.gradients(state.x, state.y)
    last = state.memory or slopes
    speed = tuple(each(lambda now, before: now - 0.3 * before, new, old) for new, old in zip(slopes, last, strict=True))
    return State(descend(state.x, rate_x, speed[0]), move(state.y, rate_y, speed[1]), speed)


@pytest.fixture(params=["function", "name"])
def method(request, monkeypatch):
    """The function itself, and its name once it is a row of the table."""
    if request.param == "function":
        return negative_momentum
    monkeypatch.setitem(METHODS, "negative_momentum", negative_momentum)
    return "negative_momentum"


def trained(method, **how):
    import torch

    torch.manual_seed(0)
    G, D = LinearGenerator(2, 2), TwoLayerDiscriminator(2, 4, "quadratic")
    return train(G, D, X, objective=Objective(lam=2.0), method=method, rates=0.02, steps=60, every=20, rng=0, **how)


def test_torch_trains_with_it_and_goes_on_from_a_checkpoint(method, tmp_path):
    whole = trained(method).history[-1]
    assert np.isfinite(whole["payoff"]) and whole["step"] == 60
    assert whole["payoff"] != trained("simultaneous").history[-1]["payoff"]
    halted = trained(method, checkpoint=tmp_path / "run", callbacks=[interrupt])
    assert (halted.outcome, halted.steps) == ("interrupted", 40)
    resumed = trained(method, checkpoint=tmp_path / "run").history[-1]
    assert {**resumed, "seconds": 0} == {**whole, "seconds": 0}


def interrupt(step, G, D):
    """End a run in its middle."""
    if step == 40:
        raise KeyboardInterrupt
    return {}


def test_its_rate_is_predicted_and_is_that_of_a_run(method):
    rng = np.random.default_rng(4)
    A, B, C = rng.standard_normal((3, 2, 2))
    game = LinearGame(A @ A.T + np.eye(2), B, B.T, -C @ C.T - np.eye(2))
    told = predict_gda(game, 0.1, method).rate
    state, sizes = State(*rng.standard_normal((2, 2))), []
    for _ in range(2000):  # the game is linear, so is the step: players and memory can be brought back to size 1
        sizes.append(np.linalg.norm([state.x, state.y]))
        memory = None if state.memory is None else tuple(part / sizes[-1] for part in state.memory)
        state = negative_momentum(game, State(state.x / sizes[-1], state.y / sizes[-1], memory), 0.1)
    assert told == pytest.approx(np.exp(np.mean(np.log(sizes[1000:]))), rel=1e-3)
    assert told != pytest.approx(predict_gda(game, 0.1, "simultaneous").rate, rel=1e-3)


def test_a_problem_judges_it(method):
    problem, errors = cg.problems.load("convex-concave"), {}
    for step in (resolve_step(method), simultaneous):
        state = problem.start(seed=0)
        for _ in range(300):
            state = problem.project(step(problem.game(), state, (0.1, 0.1)))
        errors[step] = problem.measure(state).error
    assert errors[negative_momentum] < 1e-6


def test_sweeps_and_the_command_know_its_name(monkeypatch, tmp_path):
    np.save(tmp_path / "x.npy", X)
    command = [
        "train",
        str(tmp_path / "x.npy"),
        "--out",
        str(tmp_path / "run"),
        "--lam",
        "2",
        "--steps",
        "20",
        "--json",
    ]
    refused = CliRunner().invoke(app, [*command, "--method", "negative_momentum"])
    assert refused.exit_code == 2 and "unknown method 'negative_momentum'" in refused.stderr
    monkeypatch.setitem(METHODS, "negative_momentum", negative_momentum)
    done = CliRunner().invoke(app, [*command, "--method", "negative_momentum"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 20
    swept = forecast_sweep([0.05], discriminators=["linear"], methods=["negative_momentum"], steps=400, jobs=1)
    assert swept.across[0, 0, 0] == pytest.approx(swept.measured[0, 0, 0], rel=1e-2)
