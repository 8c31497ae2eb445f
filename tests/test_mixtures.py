"""Mixtures against discriminators that match moments: saddles, cutting planes as the second route, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import convexgan as cg
from convexgan._tools.deadline import Deadline
from convexgan.discriminators import Polynomial, ReLU, as_moment_discriminator
from convexgan.games.sample import (
    SampleGame,
    certificate,
    critic_of,
    discriminator_response,
    generator_response,
    solve_mixture,
)
from convexgan.games.sample.master import master_of
from convexgan.generators import Mixture
from tests.generators import assert_alike, penalties, rotation, seeds

NEURONS = ("linear", "quadratic", "polynomial", Polynomial(-0.4, 1.0, 0.3), Polynomial(0.0, -0.5, 0.1))


def problem(seed, d, scale=1.0):
    """Data with a mean, particles that reach it, and beta or lam in the data's units of the linear neuron."""
    rng = np.random.default_rng(seed)
    X = scale * (rng.standard_normal((15, d)) + rng.normal(size=d))
    P = np.concatenate([X, 0.5 * X, scale * rng.standard_normal((20, d)), np.zeros((1, d))])
    return X, P, rng.uniform(0.02, 0.5), rng


def budget_of(rng, size):
    return {"beta": size} if rng.random() < 0.5 else {"lam": 10 ** rng.uniform(-1, 1)}


@pytest.mark.parametrize("discriminator", NEURONS, ids=str)
@given(seed=seeds, d=st.integers(1, 3), bias=st.sampled_from(["none", "penalized"]), penalty=penalties)
@settings(max_examples=8)
def test_mixtures_are_saddles_and_cutting_planes_agree(discriminator, seed, d, bias, penalty):
    X, P, share, rng = problem(seed, d)
    nothing = cg.ipm(X, np.zeros((1, d)), discriminator, bias=bias).value
    options = budget_of(rng, share * nothing)
    more = {"generator": Mixture(P), "bias": bias, "generator_penalty": penalty, **options}
    sol = cg.solve(X, discriminator=discriminator, **more)
    assert sol.certificate.kind == "saddle" and sol.certificate.relative_violation < 1e-7
    again = cg.verify(cg.Certificate.from_json(sol.certificate.to_json()), X)
    assert again.kind == "saddle" and again.value == sol.certificate.value
    fake = cg.ipm(X, sol.generator.particles, discriminator, weights_y=sol.generator.weights, bias=bias)
    assert fake.value == pytest.approx(sol.certificate.ipm, rel=1e-9, abs=1e-12)
    activation = as_moment_discriminator(discriminator)
    points = np.unique(P, axis=0)
    game = SampleGame(X, activation, options.get("beta"), options.get("lam"), points, penalty, bias)
    p = solve_mixture(game, tol=1e-7)[0]
    found = game.cost(points) @ p + (game.lam or 0.0) * discriminator_response(game, points, p).value
    assert found == pytest.approx(sol.value, rel=3e-6, abs=1e-8 * nothing)


@pytest.mark.parametrize("discriminator", NEURONS[:3])
@given(seed=seeds)
@settings(max_examples=5)
def test_mixtures_of_enough_points_cost_what_free_rows_do(discriminator, seed):
    """Free rows reach every law under these neurons, and a mixture that holds them cannot do worse, nor better."""
    X, _, share, rng = problem(seed, 2)
    options = budget_of(rng, share * cg.ipm(X, np.zeros((1, 2)), discriminator).value)
    free = cg.solve(X, discriminator=discriminator, generator="free", rng=seed, **options)
    rows = np.concatenate([free.generator(), X])
    mixed = cg.solve(X, discriminator=discriminator, generator=Mixture(rows), **options)
    assert mixed.value == pytest.approx(free.value, rel=2e-6, abs=1e-9)
    assert mixed.certificate.kind == "saddle"


def test_a_small_optimum_is_as_precise():
    """Its value is a thousandth of what particles cost."""
    X, P, _, _ = problem(308, 1)
    sol = cg.solve(X, generator=Mixture(P), discriminator="linear", bias="penalized", generator_penalty=0.3, lam=0.183)
    assert sol.value < 1e-3 and sol.certificate.gap < 1e-6


@pytest.mark.parametrize("discriminator", NEURONS[:3])
def test_symmetries(discriminator):
    X, P, _, _ = problem(3, 2)
    Q, beta = rotation(2, 1), 0.05 * cg.ipm(X, np.zeros((1, 2)), discriminator).value
    value = cg.solve(X, discriminator=discriminator, generator=Mixture(P), beta=beta).value
    turned = cg.solve(X @ Q, discriminator=discriminator, generator=Mixture(P @ Q), beta=beta).value
    assert turned == pytest.approx(value, rel=1e-6)
    for size in (1e-5, 1e4):
        a, b, c = as_moment_discriminator(discriminator).coefficients
        scaled = Polynomial(a / size**2, b / size, c)
        sol = cg.solve(size * X, discriminator=scaled, generator=Mixture(size * P), beta=beta)
        assert sol.certificate.kind == "saddle" and sol.value == pytest.approx(size**2 * value, rel=1e-6)


@pytest.mark.parametrize("discriminator", NEURONS[:3])
@pytest.mark.parametrize("budget", [{"beta": 0.0}, {"beta": 1e9}, {"lam": 0.0}, {"lam": 1e3}], ids=str)
def test_extreme_budgets_and_default_particles(discriminator, budget):
    X = problem(0, 2)[0]
    ends = np.array([[1.0, 0.0], [-1.0, 0.0]])
    for data, spec in (
        (X, "mixture"),
        (np.ones((1, 1)), "mixture"),
        (np.repeat([[1.0], [-2.0]], 3, axis=0), "mixture"),
        (np.zeros((3, 2)), "mixture"),
        (ends, Mixture(ends)),
    ):
        sol = cg.solve(data, discriminator=discriminator, generator=spec, **budget)
        assert sol.certificate.kind == "saddle", (discriminator, budget, data.shape)


@pytest.mark.parametrize("discriminator", NEURONS[:3])
def test_an_impossible_beta_is_named_and_the_one_named_works(discriminator):
    X, P = problem(0, 2)[0] + 3, np.random.default_rng(0).uniform(-1, 1, (12, 2))
    call = {"discriminator": discriminator, "generator": Mixture(P)}
    with pytest.raises(cg.InfeasibleError) as error:
        cg.solve(X, beta=0.01, **call)
    assert cg.solve(X, beta=0.01, throw=False, **call).status == "infeasible"
    least = error.value.smallest_beta
    assert cg.solve(X, beta=least, **call).certificate.kind == "saddle"
    with pytest.raises(cg.InfeasibleError):
        cg.solve(X, beta=least * 0.999, **call)


def test_many_columns_and_another_solver():
    X = np.random.default_rng(0).standard_normal((60, 12)) / np.sqrt(np.arange(1, 13)) + 0.3
    call = {"discriminator": "polynomial", "generator": "mixture", "beta": 0.1}
    sol = cg.solve(X, **call)
    assert sol.certificate.kind == "saddle" and sol.stats["solver"] == "CLARABEL" and sol.method == "program"
    other = cg.solve(X, solver="SCS", tol=1e-5, **call)
    assert other.stats["solver"] == "SCS" and other.value == pytest.approx(sol.value, rel=1e-5)


def test_saved_solutions_come_back_and_paths(tmp_path):
    X = problem(0, 2)[0]
    found = cg.path(X, betas=(0.1, 0.4), generator="mixture")
    assert [sol.value for sol in found] == [cg.solve(X, beta=beta, generator="mixture").value for beta in (0.1, 0.4)]
    found[0].save(tmp_path / "s.npz")
    again = cg.load(tmp_path / "s.npz")
    assert_alike(again.discriminator(X), found[0].discriminator(X))
    assert_alike(again.generator.sample(4, 0), found[0].generator.sample(4, 0))
    assert again.certificate == found[0].certificate


def test_a_worse_player_is_seen():
    X = problem(1, 2)[0]
    proof = cg.solve(X, generator="mixture", beta=0.3).certificate
    arrays = proof.evidence.arrays
    weaker = replace(proof.evidence, arrays=arrays | {"outer": 0.9 * arrays["outer"]})
    assert cg.verify(replace(proof, evidence=weaker), X).bound < 0.999 * proof.bound
    even = np.full_like(arrays["weights"], 1 / len(arrays["weights"]))
    moved = replace(proof.evidence, arrays=arrays | {"weights": even})
    assert cg.verify(replace(proof, evidence=moved), X).kind in ("infeasible", "bounded")
    bare = {name: array for name, array in arrays.items() if name != "particles"}
    with pytest.raises(ValueError, match="ReLU neurons"):
        cg.verify(replace(proof, evidence=replace(proof.evidence, arrays=bare)), X)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"reduction": "sum"}, "a mixture has none"),
        ({"bias": "free"}, "bias='free'"),
        ({"generator": Mixture(np.ones((2, 3)))}, "3 columns"),
        ({"lam": 1.0}, "exactly one"),
        ({"X": cg.Moments.from_array(np.eye(2))}, "rows themselves"),
        ({"Z": np.ones((4, 2))}, "Z has no meaning"),
        ({"regularizer": "weights"}, "regularizer has no meaning"),
        ({"solver": "MOSEKK"}, "MOSEK"),
    ],
)
def test_other_calls_are_refused_by_name(options, says):
    arguments = {"X": np.random.default_rng(0).standard_normal((4, 2)), "beta": 0.1, "generator": "mixture"} | options
    X, Z = arguments.pop("X"), arguments.pop("Z", None)
    with pytest.raises(ValueError, match=says):
        cg.solve(X, Z, **arguments)
    with pytest.raises(ValueError, match="is for solve"):
        cg.program(np.eye(2), generator="mixture", beta=0.1)


@pytest.mark.parametrize("budget", [{"beta": 0.1, "penalty": 1.0}, {"lam": 3.0, "penalty": 0.0}], ids=str)
def test_the_program_without_slack_rows_has_the_optimum_of_the_whole(budget):
    """Rows come and go; in the end none of those that are left out is violated, and the multipliers prove it."""
    rng = np.random.default_rng(0)
    X, particles = rng.standard_normal((30, 2)), rng.standard_normal((60, 2))
    game = SampleGame(X, ReLU(), budget.get("beta"), budget.get("lam"), particles, budget["penalty"])
    neurons = rng.standard_normal((300, 2))
    neurons /= np.linalg.norm(neurons, axis=1)[:, None]
    seen, real = np.maximum(particles @ neurons.T, 0).T, np.maximum(X @ neurons.T, 0).mean(axis=0)
    program = master_of(game, particles)
    for count in range(20, 301, 20):
        p, level, outer = program.solve(seen[:count], real[:count], Deadline())
    rows, ones = np.vstack([-seen, seen]), np.ones((2 * len(seen), 1))
    room = game.beta or 0.0
    whole = linprog(
        np.append(game.cost(particles), game.lam or 0.0),
        np.hstack([rows, -ones if game.beta is None else 0 * ones]),
        np.append(room - real, room + real),
        np.append(np.ones(60), 0.0)[None, :],
        [1.0],
    )
    value = game.cost(particles) @ p + (game.lam or 0.0) * level
    assert value == pytest.approx(whole.fun, rel=1e-8)
    assert np.abs(real - seen @ p).max() <= max(level, room) + 1e-8
    assert generator_response(game, critic_of(game, neurons, outer)) == pytest.approx(whole.fun, rel=1e-7)
    assert program._highs.getNumRow() < (40 if game.lam is None else 135)  # 82 and 136 if none ever left


def test_a_finished_search_is_not_repeated_and_of_two_bounds_the_better_is_kept(monkeypatch):
    rng = np.random.default_rng(0)
    game = SampleGame(rng.standard_normal((20, 3)), ReLU(), None, 2.0, rng.standard_normal((30, 3)), 1.0)
    found, searched = solve_mixture(game), []
    used = found.p > 0
    law, critic = (game.given[used], found.p[used]), critic_of(game, found.neurons, found.outer)
    response = certificate.discriminator_response
    monkeypatch.setattr(
        certificate, "discriminator_response", lambda *a, **k: searched.append(len(a[1])) or response(*a, **k)
    )
    whole = certificate.certified_law(game, *law, critic, 1e-6)
    assert found.seen.status == "optimal" and len(law[1]) in searched
    searched.clear()
    again = certificate.certified_law(game, *law, critic, 1e-6, seen=found.seen)
    assert searched == [1] and again[0] is found.seen  # that of a point at 0
    assert again[1].value == pytest.approx(whole[1].value, rel=1e-9) and again[1].bound == whole[1].bound
    for share, better in ((2.0, False), (1.0, True)):
        stopped = replace(found.seen, status="stopped", upper_bound=share * found.seen.upper_bound)
        short = certificate.certified_law(game, *law, critic, 1e-6, 0.0, seen=stopped)[0]
        assert (short is stopped) == (better or short.upper_bound == stopped.upper_bound)
        assert short.upper_bound <= stopped.upper_bound
