"""The problem set: certified optima by a second route, measures, saddle points at rest, fingerprints."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import convexgan as cg
from convexgan.problems import GANProblem
from convexgan.problems.catalogue import FINGERPRINTS, PROBLEMS
from convexgan.updates import State, extragradient, simultaneous

NAMES = cg.problems.list()
GANS = [name for name in NAMES if isinstance(PROBLEMS[name](), GANProblem)]
VALUES = {"quadratic": 16.5, "quadratic-no-saddle": 7.5, "relu-toy": 0.64}
KINDS = {"quadratic-below-critical-width": "minimax", "quadratic-no-saddle": "minimax"}


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_is_as_published(name):
    problem = cg.problems.load(name)
    assert problem.name == name and name in str(problem) and problem.source
    start, again = problem.start(1), problem.start(1)
    assert all(torch.equal(a, b) for a, b in zip(start.x + start.y, again.x + again.y, strict=True))
    assert not torch.equal(start.x[0], problem.start(2).x[0])
    found = problem.measure(start)
    assert found.error > 0 and found.distance > 0
    moved = problem.project(simultaneous(problem.game(), start, 1e-3))
    assert all(part.dtype == torch.float64 and bool(part.isfinite().all()) for part in moved.x + moved.y)
    broken = State(tuple(math.nan * part for part in start.x), start.y)
    assert problem.measure(State(tuple(1e200 * part for part in start.x), start.y)).error > 1
    assert problem.measure(broken).error == math.inf


@pytest.mark.parametrize("name", GANS)
def test_optima_are_certified(name):
    problem = cg.problems.load(name)
    certificate = problem.solution.certificate
    assert problem.kind == KINDS.get(name, "saddle")
    assert certificate.relative_violation <= 1e-6
    assert problem.kind == "minimax" or certificate.gap <= 1e-6
    assert abs(problem.value - VALUES.get(name, problem.value)) <= 1e-9
    if name.startswith(("digits", "orl")):
        spectrum = np.linalg.eigvalsh(problem.X.T @ problem.X / len(problem.X))
        kept = np.maximum(spectrum - problem.options["beta"], 0)
        assert np.count_nonzero(kept) == 10 and abs(problem.value / kept.sum() - 1) <= 1e-9


@pytest.mark.parametrize("name", [name for name in GANS if name not in KINDS and name != "relu-mixture"])
def test_saddle_points_are_at_rest_and_measure_zero(name):
    problem = cg.problems.load(name)
    game = problem._game(*problem.saddle_players())
    state = game.players()
    at_start = problem.start(0)
    pairs = [(game, state), (problem.game(), at_start)]
    grad_x, away = (max(float(part.abs().max()) for part in g.grad_x(s.x, s.y)) for g, s in pairs)
    assert grad_x <= 1e-4 * max(away, 1.0)
    grad_y = game.grad_y(state.x, state.y)
    assert max(float(part.abs().max()) for part in grad_y) <= 1e-4 * problem.value
    found = problem.measure(State(state.x, at_start.y))
    assert found.error <= 1e-5 and found.distance <= 1e-3


def test_problems_without_a_saddle_have_no_saddle_players():
    for name in KINDS:
        with pytest.raises(ValueError, match="no saddle point at width"):
            cg.problems.load(name).saddle_players()
    with pytest.raises(ValueError, match="no finite logits"):
        cg.problems.load("relu-mixture").saddle_players()


def test_the_optimal_mixture_measures_zero():
    problem = cg.problems.load("relu-mixture")
    law = problem.solution.generator
    weights = np.zeros(len(problem.particles))
    for particle, weight in zip(law.particles, law.weights, strict=True):
        weights[np.flatnonzero((problem.particles == particle).all(axis=1))[0]] = weight
    with np.errstate(divide="ignore"):
        logits = torch.from_numpy(np.maximum(np.log(weights), -60.0))
    found = problem.measure(State((logits,), problem.start(0).y))
    assert found.error <= 1e-6 and found.distance <= 1e-6


@pytest.mark.parametrize("name", [name for name in NAMES if name not in GANS])
def test_scalar_games_rest_at_the_origin(name):
    problem = cg.problems.load(name)
    game, zero = problem.game(), torch.zeros(1, dtype=torch.float64)
    assert game.gradients((zero,), (zero,)) == ((zero,), (zero,))
    found = problem.measure(State((zero,), (zero,)))
    assert found.error == (math.inf if problem.kind == "none" else 0.0)
    xs, ys = torch.arange(-100, 101) / 1000, torch.arange(-500, 501) / 1000  # the best y is 2x or 3x
    payoff = problem.f(xs[:, None].double(), ys[None, :].double())
    minimal, no_gain = payoff.max(dim=1).values.argmin() == 100, payoff[100].max() <= 0
    assert bool(minimal & no_gain) == (problem.kind != "none")
    assert bool(no_gain & (payoff[:, 500].min() >= 0)) == (problem.kind == "saddle")
    x, y = torch.randn(2, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    step = 1e-6
    slope = (problem.f(x + step, y) - problem.f(x - step, y)) / (2 * step)
    assert torch.allclose(game.grad_x((x,), (y,))[0], slope, atol=1e-7)


def test_a_method_reaches_a_problem_that_it_solves():
    problem = cg.problems.load("convex-concave")
    game, state = problem.game(), problem.start(0)
    for _ in range(200):
        state = problem.project(extragradient(game, state, 0.2))
    assert problem.measure(state).error < 1e-9


def test_changed_data_and_unknown_names_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="quadratic-critical-width"):
        cg.problems.load("quadratic-critical-widht")
    for name in ("convex-concave", "linear"):
        with pytest.raises(ValueError, match="seed must be an integer >= 0"):
            cg.problems.load(name).start("a")
    monkeypatch.setitem(FINGERPRINTS, "bilinear", "0" * 16)
    with pytest.raises(ValueError, match="makes its data differently"):
        cg.problems.load("bilinear")
