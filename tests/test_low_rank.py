"""Games of which the program is only a relaxation: answers as good as those of grids and of another local search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import convexgan as cg
from benchmarks.nonconvex_cells import CELLS, draw, ipm, rival
from convexgan._tools.deadline import Deadline
from convexgan.closed_forms import ipm_of_zero
from convexgan.games.game import Call
from convexgan.games.moment.methods import attained_beta
from convexgan.games.moment.reading import read_moments
from convexgan.programs import barrier as barriers
from convexgan.programs import low_rank
from convexgan.programs.barrier import Barrier
from tests.generators import PROGRAMS, rotation, rows, seeds

DEFAULTS = {"generator": "linear", "beta": None, "lam": None, "regularizer": "output", "generator_penalty": 1.0}
DEFAULTS |= {"reduction": "mean", "bias": "none"}
NEURONS = {
    "polynomial": {"discriminator": "polynomial"},
    "bent down": {"discriminator": cg.discriminators.Polynomial(-0.4, 1.0, 0.0)},
    "quadratic-penalized": {"discriminator": "quadratic", "bias": "penalized"},
    "polynomial-penalized": {"discriminator": "polynomial", "bias": "penalized"},
}
neurons = pytest.mark.parametrize("options", NEURONS.values(), ids=NEURONS)


def as_game(X, Z, options):
    return read_moments(Call.read(X, Z, **(DEFAULTS | options))).game


def line(seed):
    """Data in the plane and one latent number with a mean: every generator is a point of the plane."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((7, 2)) + rng.uniform(-1, 1, 2), rng.standard_normal((8, 1)) + rng.uniform(0, 1)


def on_grid(X, Z, options, steps=25):
    """ipm and cost of the generators on a grid, and on one that is finer around its least ipm."""
    width, centre, found = 2.5 * np.sqrt(np.mean(np.sum(X**2, axis=1)) / np.mean(Z**2)), np.zeros(2), []
    for _ in range(2):
        side = width * np.linspace(-1, 1, steps)
        W = centre + np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        found.append((np.array([ipm(X, Z * w, options) for w in W]), np.mean(Z**2) * np.sum(W**2, axis=1)))
        width, centre = 2 * width / steps, W[np.argmin(found[-1][0])]
    return np.concatenate(found, axis=1)


@neurons
@pytest.mark.parametrize("seed", range(2))
def test_one_latent_beside_a_grid(options, seed):
    X, Z = line(seed)
    reached, costs = on_grid(X, Z, options)
    with pytest.raises((cg.InfeasibleError, cg.SolverError), match="beta") as error:
        cg.solve(X, Z, beta=0.5 * reached.min(), **options)
    least = getattr(error.value, "smallest_beta", None) or float(str(error.value).split("beta of ")[1].split(",")[0])
    assert 0.97 * reached.min() <= least <= reached.min() * (1 + 2e-5)  # tried 1e-5 above
    assert cg.solve(X, Z, beta=least, **options).status == "optimal"
    for beta in (1.02 * reached.min(), 1.3 * reached.min()):
        sol = cg.solve(X, Z, beta=beta, **options)
        assert sol.value <= costs[reached <= beta].min() * (1 + 1e-6)
        assert ipm(X, sol.generator(Z), options) <= beta * (1 + 1e-7)
    for lam in (0.5, 5.0, 50.0):
        assert cg.solve(X, Z, lam=lam, **options).value <= (costs + lam * reached).min() * (1 + 1e-6)


@pytest.mark.parametrize("kind", ["beta", "lam"])
@pytest.mark.parametrize("cell", CELLS)
def test_no_local_search_from_random_starts_is_better(cell, kind):
    for seed in (21, 22, 27):
        X, Z, options = draw(seed, cell, kind)
        sol, other = cg.solve(X, Z, **options, throw=False), rival(X, Z, options, starts=12)
        assert sol.status == "optimal" or (np.isinf(other) and "beta" in sol.stats["message"])
        if sol.status == "optimal":
            assert sol.certificate.bound * (1 - 1e-6) <= sol.value <= 1.001 * other
            W = sol.generator.weights
            cost = np.sum(W**2) if "regularizer" in options else np.mean(np.sum((Z @ W) ** 2, axis=1))
            reached = ipm(X, Z @ W, options)
            assert sol.value == pytest.approx(cost + options.get("lam", 0.0) * reached, rel=1e-8)
            assert reached <= options.get("beta", np.inf) * (1 + 1e-6)


@pytest.mark.parametrize("kind", ["beta", "lam"])
def test_searches_do_not_depend_on_units_and_repeat(kind):
    X, Z, options = draw(10, "polynomial, weights", kind)
    here = cg.solve(X, Z, **options)
    assert "of 40 local searches 40" in here.stats["search"]
    again = cg.solve(X, Z, **options)
    assert np.array_equal(here.generator.weights, again.generator.weights)
    for size in (1e-5, 1e4):
        activation = cg.discriminators.Polynomial(0.09375 / size**2, 0.5 / size, 0.0)
        moved = options | {"discriminator": activation} | ({"lam": options["lam"] * size**2} if kind == "lam" else {})
        assert cg.solve(size * X, Z, **moved).value == pytest.approx(size**2 * here.value, rel=1e-6)
        size = size**0.25
        moved = options | ({"lam": options["lam"] / size**2} if kind == "lam" else {})
        assert cg.solve(X, size * Z, **moved).value == pytest.approx(here.value / size**2, rel=1e-6)


@pytest.mark.parametrize("name", PROGRAMS)
def test_where_the_program_is_the_game_nothing_is_searched(name):
    for budget in ({"beta": 0.37}, {"lam": 0.9}):
        assert "search" not in PROGRAMS[name].solve(**budget).stats


def test_games_with_many_weights_are_not_searched(monkeypatch):
    X, Z, options = draw(10, "polynomial, weights", "beta")
    found = cg.solve(X, Z, **options)
    monkeypatch.setattr(low_rank, "LARGEST", 1)
    sol = cg.solve(X, Z, **options)
    assert sol.stats["search"].startswith("none") and sol.certificate.bound <= found.value < sol.value


@pytest.mark.parametrize("kind", ["beta", "lam"])
def test_games_of_many_columns_are_searched_on_leading_ones(monkeypatch, kind):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((30, 9)) * [3, 2, 1.5, 1, 1, 0.3, 0.3, 0.2, 0.1] + np.eye(9)[3]
    Z = rng.standard_normal((20, 2)) * [2, 0.5] + 0.5
    options = {"discriminator": "polynomial", "regularizer": "weights", kind: 0.6 if kind == "beta" else 8.0}
    whole = cg.solve(X, Z, **options)
    monkeypatch.setattr(low_rank, "LARGEST", 12)
    sol = cg.solve(X, Z, **options)
    assert np.linalg.matrix_rank(sol.generator.weights) == 2 and sol.certificate.relative_violation <= 1e-6
    assert whole.value * (1 - 1e-6) <= sol.value <= 1.05 * whole.value  # found: 1.00 and 1.00


def test_a_search_ends_with_its_time():
    X, Z, options = draw(10, "polynomial, weights", "beta")
    game = as_game(X, Z, options)
    late = Barrier(game, Deadline(0.0))
    x = late.start(np.ones((3, game.latent.rank, game.data.dim)))
    assert np.array_equal(late.descend(x, 1.0, 1e-8), x)
    assert attained_beta(game, 1e-3, None, None, Deadline(0.0)) == ipm_of_zero(game)


# -- the barrier -----------------------------------------------------------------------------------------------------


@neurons
@pytest.mark.parametrize(("rate", "columns"), [(None, 3), (3.0, 3), (None, 2), (3.0, 2)])
@given(seed=seeds)
@settings(max_examples=4)
def test_derivatives_of_the_barrier(options, rate, columns, seed):
    rng = np.random.default_rng(seed)
    X, Z = rng.standard_normal((9, 3)) + 0.5, rng.standard_normal((8, 2)) * [2, 0.5] + 0.7
    game = as_game(X, Z, options | {"lam": 1.0, "regularizer": "weights"})
    barrier = Barrier(game, Deadline(), None if columns == 3 else rotation(3, seed)[:columns])
    x, tau, h = barrier.start(rng.standard_normal((4, 2, 3))), np.array([0.1, 1.0, 10.0, 100.0]), 1e-5
    gradient, hessian = barrier._derivatives(x, tau, rate)
    for move in np.eye(x.shape[1]):
        ends = [barrier._merit(x + sign * h * move, tau, rate) for sign in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), gradient @ move, rtol=1e-5, atol=1e-5)
        turns = [barrier._derivatives(x + sign * h * move, tau, rate)[0] for sign in (1, -1)]
        scale = np.abs(hessian).max()
        np.testing.assert_allclose((turns[0] - turns[1]) / (2 * h), hessian @ move, rtol=1e-4, atol=1e-7 * scale)


@neurons
@given(seed=seeds)
@settings(max_examples=5)
def test_points_inside_are_generators_within_the_level(options, seed):
    """The matrices are positive definite at some shifts if and only if the ipm is below the level."""
    rng = np.random.default_rng(seed)
    X, Z = 30 * rng.standard_normal((9, 3)) + 5, rng.standard_normal((8, 2)) + 0.7
    game = as_game(X, Z, options | {"lam": 1.0})
    barrier = Barrier(game, Deadline())
    x = barrier.descend(barrier.start(50 * rng.standard_normal((4, 2, 3))), 100.0, 1e-7)
    for factor, level in zip(barrier.factors(x), x[:, -1], strict=True):
        W = np.linalg.lstsq(game.latent.root, factor, rcond=None)[0]
        reached = ipm(X, Z @ W, options) / barrier.unit
        assert reached <= level * (1 + 1e-9) and level <= reached * (1 + 1e-4)


def test_steps_leave_saddle_points():
    """At a factor with empty rows the gradient along them is zero and the curvature negative."""
    gradient, hessian = np.array([[1.0, 0.1]]), np.array([np.diag([2.0, -0.5])])
    np.testing.assert_allclose(barriers._newton(gradient, hessian), [[-0.5, -0.2]])


def test_starts_contain_both_signs():
    X, Z = rows([4.0, 1.0], tilt=[0.5, 0.3]), rows([2.0, 0.7], 5, tilt=[0.4, 0.3])
    game = as_game(X, Z, {"discriminator": "polynomial", "beta": 0.1})
    starts = low_rank._starts(game, np.ones((2, 2)))
    assert len(starts) == low_rank.STARTS
    means = np.einsum("brd,r->bd", starts, game.latent.mean)
    sides = means[2:4] @ game.data.mean
    assert sides[0] > 0 > sides[1]
