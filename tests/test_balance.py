"""Weights that balance two samples: known answers, enumerated neurons as the second route, certificates, refusals."""

from __future__ import annotations

import json
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from typer.testing import CliRunner

import convexgan as cg
from convexgan.arrangements import Maximum
from convexgan.balance import no_less
from convexgan.cli.app import app
from convexgan.discriminators import TwoLayerDiscriminator, as_game_discriminator
from convexgan.games.sample import SampleGame, discriminator_response, solve_mixture
from convexgan.games.sample.certificate import read_players
from convexgan.plotting import balance_plot
from convexgan.records.certificate import Certificate, Evidence
from tests.generators import seeds

ROWS = ("relu", "absolute", "squared_relu")
MOMENTS = ("linear", "quadratic", "polynomial")


def samples(seed, d=2, n=12, m=20):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) + 0.5, rng.standard_normal((m, d))


def enumerated(X, Y, discriminator, angles=4000):
    """What neurons of the plane see of X on average and of each row of Y: many directions, and all hyperplanes."""
    turns = np.arange(angles) * 2 * np.pi / angles
    bends = np.arctan2(*np.vstack([X, Y]).T[::-1]) + np.pi / 2
    turns = np.concatenate([turns, bends, bends + np.pi])
    U, s = np.column_stack([np.cos(turns), np.sin(turns)]), as_game_discriminator(discriminator)
    return s(X @ U.T).mean(axis=0), s(Y @ U.T)


def least_by_enumeration(X, Y, discriminator):
    real, seen = enumerated(X, Y, discriminator)
    rows = np.vstack([seen.T, -seen.T])
    rows, right = np.column_stack([rows, -np.ones(len(rows))]), np.concatenate([real, -real])
    found = linprog(np.append(np.zeros(len(Y)), 1.0), rows, right, np.append(np.ones(len(Y)), 0.0)[None], [1.0])
    return found.fun


def spread_by_enumeration(X, Y, discriminator, beta):
    real, seen = enumerated(X, Y, discriminator, 1000)
    w = cp.Variable(len(Y), nonneg=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(w)), [cp.sum(w) == 1, cp.abs(real - seen.T @ w) <= beta])
    return problem.solve(solver="CLARABEL")


def test_weights_with_known_answers():
    within = cg.balance([[1.0], [2.0]], [[0.0], [1.0], [3.0]], "linear")
    assert within.imbalance.upper_bound < 1e-9 and within.weights @ [0, 1, 3] == pytest.approx(1.5)
    beyond = cg.balance([[2.0], [3.0]], [[0.0], [1.0]], "linear")  # the mean 2.5 is 1.5 from the nearest row
    assert beyond.weights == pytest.approx([0, 1], abs=1e-8)
    assert beyond.certificate.bound == pytest.approx(1.5, rel=1e-7) and beyond.certificate.kind == "saddle"
    even = cg.balance([[2.0], [3.0]], [[0.0], [1.0]], "linear", beta=1.75)  # w_2 - 2.5 >= -1.75
    assert even.weights == pytest.approx([0.25, 0.75], abs=1e-7) and even.effective_size == pytest.approx(1.6)
    assert even.certificate.value == pytest.approx(0.625) and even.certificate.kind == "saddle"


@pytest.mark.parametrize("discriminator", ROWS)
@given(seed=seeds)
@settings(max_examples=5)
def test_enumerated_neurons_give_the_same(discriminator, seed):
    X, Y = samples(seed)
    found = cg.balance(X, Y, discriminator)
    size = cg.ipm(X, np.zeros((1, 2)), discriminator).value
    assert found.imbalance.upper_bound == pytest.approx(least_by_enumeration(X, Y, discriminator), abs=3e-6 * size)
    assert found.certificate.bound <= found.imbalance.value * (1 + 1e-9) + 1e-12
    beta = found.imbalance.upper_bound + 0.05 * size
    even = cg.balance(X, Y, discriminator, beta=beta)
    assert even.certificate.value == pytest.approx(spread_by_enumeration(X, Y, discriminator, beta), rel=1e-4)
    assert even.certificate.kind == "saddle" and even.imbalance.upper_bound <= beta * (1 + 1e-6)


@pytest.mark.parametrize("discriminator", MOMENTS)
@given(seed=seeds, share=st.floats(0.05, 0.9))
@settings(max_examples=5)
def test_cutting_planes_give_what_programs_do(discriminator, seed, share):
    X, Y = samples(seed)
    least = cg.balance(X, Y, discriminator)
    beta = least.imbalance.upper_bound + share * (least.before.value - least.imbalance.upper_bound)
    found = cg.balance(X, Y, discriminator, beta=beta)
    assert found.certificate.kind == "saddle" and found.certificate.relative_violation < 1e-7
    game = SampleGame(X, as_game_discriminator(discriminator), beta, None, Y, penalty=0.0, spread=1.0)
    p = solve_mixture(game, tol=1e-8)[0]
    assert p @ p == pytest.approx(found.certificate.value, rel=1e-5)
    p = solve_mixture(replace(game, beta=None, lam=1.0, spread=0.0), tol=1e-8)[0]
    reached = discriminator_response(game, Y, p).value
    assert reached == pytest.approx(least.imbalance.value, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("discriminator", ["relu", "polynomial"])
@given(seed=seeds, bias=st.sampled_from(["none", "penalized"]))
@settings(max_examples=5)
def test_no_other_weights_are_better(discriminator, seed, bias):
    X, Y = samples(seed, n=6, m=8)
    rng, least = np.random.default_rng(seed), cg.balance(X, Y, discriminator, bias=bias)
    beta = (least.imbalance.upper_bound + least.before.value) / 2
    even = cg.balance(X, Y, discriminator, bias=bias, beta=beta)
    for _ in range(20):
        share = rng.uniform()
        w = share * rng.dirichlet(np.full(len(Y), 0.5)) + (1 - share) * (even if share < 0.5 else least).weights
        seen = cg.ipm(X, Y, discriminator, bias=bias, weights_y=w).value
        assert seen >= least.certificate.bound * (1 - 1e-12)
        assert seen > beta or w @ w >= even.certificate.bound * (1 - 1e-12)


def test_the_more_is_allowed_the_more_rows_count():
    X, Y = samples(0)
    least = cg.balance(X, Y)
    shares = np.linspace(0.01, 1, 5)
    betas = least.imbalance.upper_bound + shares * (least.before.upper_bound - least.imbalance.upper_bound)
    sizes = [cg.balance(X, Y, beta=beta).effective_size for beta in betas]
    assert np.all(np.diff(sizes) > 0) and sizes[0] > least.effective_size
    whole = cg.balance(X, Y, beta=least.before.upper_bound)
    assert whole.weights == pytest.approx(1 / len(Y), rel=1e-15) and whole.certificate.kind == "saddle"
    assert whole.effective_size == pytest.approx(len(Y)) == pytest.approx(1 / whole.certificate.bound)


def test_equal_rows_count_as_often_as_they_are_there():
    X, Y = samples(1)
    once, twice = (cg.balance(X, rows, beta=0.3) for rows in (Y, np.vstack([Y, Y])))
    assert twice.certificate.value == pytest.approx(once.certificate.value / 2, rel=1e-6)
    assert twice.weights[: len(Y)] == pytest.approx(once.weights / 2, abs=1e-6)
    assert cg.balance(X, np.vstack([X, X])).imbalance.upper_bound < 1e-9


@pytest.mark.parametrize("discriminator", ["relu", "squared_relu", "quadratic"])
@pytest.mark.parametrize("share", [None, 0.3])
def test_certificates_are_recomputed_from_the_data(discriminator, share, tmp_path):
    X, Y = samples(2)
    beta = None if share is None else share * cg.ipm(X, Y, discriminator).value
    claim = cg.balance(X, Y, discriminator, beta=beta).certificate
    (tmp_path / "cert.json").write_text(claim.to_json())
    read = Certificate.from_json((tmp_path / "cert.json").read_text())
    found = cg.verify(read, X)
    assert found.agreement.agrees and found.kind == claim.kind == "saddle"
    assert (found.value, found.bound, found.ipm) == (claim.value, claim.bound, claim.ipm)
    assert not cg.verify(read, X + 0.1).agreement.agrees


def test_certificates_hold_without_rounding():
    X, Y = samples(3, n=8, m=10)
    for discriminator, share in (("relu", None), ("relu", 0.9), ("quadratic", 0.9), ("linear", None)):
        beta = None if share is None else share * cg.ipm(X, Y, discriminator).value
        claim = cg.balance(X, Y, discriminator, beta=beta).certificate
        found = cg.verify(claim, X, rigorous=True)
        assert found.agreement.agrees and claim.bound <= found.max_min
        assert claim.value >= found.enclosures["value"][1] and claim.ipm >= found.enclosures["ipm"][1]


def altered(claim, arrays=None, **changes):
    evidence = claim.evidence
    kept = evidence.settings | changes, evidence.arrays | (arrays or {})
    return replace(claim, evidence=Evidence(*kept))


def test_certificates_of_other_weights_are_refused_or_differ():
    X, Y = samples(4)
    claim = cg.balance(X, Y, beta=0.3).certificate
    w = claim.evidence.arrays["weights"]
    for arrays, changes, message in (
        ({"points": np.vstack([Y, Y]), "weights": np.append(w, w) / 2}, {}, "weights are not those of the particles"),
        ({"weights": w - 0.01}, {}, "no probabilities"),
        ({"weights": w[:-1] / w[:-1].sum()}, {}, "shapes"),
        ({}, {"spread": -1.0}, "spread"),
        ({}, {"penalty": 1.0}, "spread"),
        ({}, {"beta": None, "lam": 1.0}, "spread"),
    ):
        with pytest.raises(ValueError, match=message):
            cg.verify(altered(claim, arrays, **changes), X)
    even = cg.verify(altered(claim, {"weights": np.full(len(Y), 1 / len(Y))}), X)
    assert even.kind == "infeasible" and not even.agreement.agrees


@given(seed=seeds, spread=st.sampled_from([1e-3, 1.0, 50.0]), count=st.integers(1, 8))
@settings(max_examples=30)
def test_the_least_cost_of_weights_is_that_of_a_quadratic_program(seed, spread, count):
    costs = np.random.default_rng(seed).standard_normal(count)
    game = SampleGame(
        np.ones((1, 1)), as_game_discriminator("relu"), 1.0, None, np.ones((count, 1)), 0.0, spread=spread
    )
    bound, w = game.least(costs)
    reached = float(costs @ w + spread * (w @ w))
    assert w.sum() == pytest.approx(1) and (w >= 0).all()
    assert bound <= reached and bound == pytest.approx(reached, rel=1e-9, abs=1e-12)
    for other in np.random.default_rng(seed + 1).dirichlet(np.ones(count), 50):
        assert costs @ other + spread * (other @ other) >= bound


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_do_not_matter(unit):
    X, Y = samples(5)
    found, other = cg.balance(X, Y), cg.balance(unit * X, unit * Y)
    assert other.imbalance.value == pytest.approx(unit * found.imbalance.value, rel=1e-5)
    even, scaled = cg.balance(X, Y, beta=0.3), cg.balance(unit * X, unit * Y, beta=0.3 * unit)
    assert scaled.weights == pytest.approx(even.weights, abs=1e-7) and scaled.certificate.kind == "saddle"


def test_what_comes_back_names_columns_and_says_what_is_proved():
    X, Y = samples(6)
    frame = pd.DataFrame(X, columns=["age", "income"])
    found = cg.balance(frame, pd.DataFrame(Y[:, ::-1], columns=["income", "age"]))
    plain = cg.balance(X, Y)
    assert found.weights == pytest.approx(plain.weights) and found.witness.columns == ("age", "income")
    difference = found.witness(X).mean() - found.witness(Y) @ found.weights
    assert difference == pytest.approx(found.imbalance.value, rel=1e-9)
    assert found.before.value == pytest.approx(cg.ipm(X, Y).value, rel=1e-9)
    assert "of any weights" in str(found) and "within beta" in str(cg.balance(X, Y, beta=0.3))
    json.loads(found.certificate.to_json())


def test_a_beta_that_is_too_small_is_named_with_one_that_works():
    X, Y = samples(7)
    for discriminator in ("relu", "linear"):
        with pytest.raises(cg.InfeasibleError, match="no weights on the 20 rows of Y come within beta") as caught:
            cg.balance(X + 5, Y, discriminator, beta=0.01)
        assert cg.balance(X + 5, Y, discriminator, beta=caught.value.smallest_beta).certificate.kind == "saddle"


@pytest.mark.parametrize(
    ("Y", "options", "message"),
    [
        (np.zeros((3, 3)), {}, "Y has shape .* but X has 2 columns"),
        (np.full((3, 2), np.nan), {}, "Y .* NaN"),
        (np.zeros(3), {}, "Y must be a 2-D array"),
        (np.zeros((3, 2)), {"beta": -1.0}, "beta"),
        (np.zeros((3, 2)), {"tol": 0.0}, "tol"),
        (np.zeros((3, 2)), {"time_limit": -1.0}, "time_limit"),
        (np.zeros((3, 2)), {"discriminator": "threshold"}, "threshold"),
        (np.zeros((3, 2)), {"discriminator": "quadratic", "bias": "free"}, "bias='free'"),
        (cg.Moments.from_array(np.ones((3, 2))), {}, "Y"),
    ],
)
def test_what_is_wrong_is_named(Y, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        cg.balance(np.ones((4, 2)), Y, **options)
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize("bias", ["none", "penalized"])
@pytest.mark.parametrize("discriminator", [*ROWS, *MOMENTS])
@settings(max_examples=3)
@given(seed=seeds)
def test_samples_that_can_be_balanced_completely_are_a_saddle_at_0(discriminator, bias, seed):
    X, Y = samples(seed, d=3, n=12, m=150)
    Y = np.vstack([Y, X[::-1]]) if discriminator in ROWS else 2 * Y
    found = cg.balance(X, Y, discriminator, bias=bias)
    assert found.before.value > 1e-3 and found.imbalance.value < 1e-12
    assert (found.certificate.kind, found.certificate.gap) == ("saddle", 0) and found.weights.min() >= 0


def test_a_limit_leaves_weights_with_a_bound():
    X, Y = samples(8, d=10, n=150, m=200)
    found = cg.balance(X, Y, time_limit=1.0)
    assert found.weights.sum() == pytest.approx(1) and found.status == "stopped"
    assert found.certificate.bound <= found.imbalance.value <= found.imbalance.upper_bound


@pytest.mark.parametrize("discriminator", ["relu", "absolute"])
def test_without_time_weights_are_no_worse_than_equal_ones(discriminator):
    X, Y = samples(8, d=2, n=30, m=40)
    found = cg.balance(X, Y, discriminator, time_limit=0)
    assert found.status == "stopped" and found.before.exact
    assert found.imbalance.value <= found.before.upper_bound
    np.testing.assert_array_equal(found.weights, np.full(40, 1 / 40))
    assert cg.verify(found.certificate, X)


def test_a_search_that_a_limit_stopped_sees_no_less_than_the_proving_neurons():
    X, Y = samples(8, d=2, n=30, m=40)
    for bias in ("none", "penalized", "free"):
        found = cg.balance(X, Y, bias=bias)
        seen, (game, _, weights, critic) = found.imbalance, read_players(found.certificate.evidence, X)
        far = np.zeros_like(seen.direction)
        poor = Maximum(0.0, seen.upper_bound, False, far, 1.0, "stopped", "cones", {})
        better = no_less(game, weights, critic, poor)
        assert found.certificate.bound * (1 - 1e-9) <= better.value <= seen.upper_bound
        again = TwoLayerDiscriminator(better.direction[None, :2], np.ones(1), game.activation, better.direction[2:])
        assert better.sign * (again(X).mean() - weights @ again(Y)) == pytest.approx(better.value, rel=1e-9)
        assert no_less(game, weights, critic, better) is better


def test_the_figure_has_both_samples_along_both_witnesses(tmp_path):
    X, Y = samples(9, d=3)
    found = cg.balance(X, Y, beta=0.3)
    panels = balance_plot(found, X, Y, tmp_path / "balance.png")
    assert (tmp_path / "balance.png").stat().st_size > 10_000 and len(panels) == 2
    for panel, seen in zip(panels, (found.before, found.imbalance), strict=True):
        real, even, weighted = panel.get_lines()[:3]
        assert f"{seen.value:.3g}" in panel.get_title()
        assert sorted(X @ seen.direction) == pytest.approx(list(real.get_xdata()))
        order = np.argsort(Y @ seen.direction)
        assert list(weighted.get_ydata()) == pytest.approx(list(np.cumsum(found.weights[order])))
        assert even.get_ydata()[0] == pytest.approx(1 / len(Y))
    with pytest.raises(ValueError, match="pass the Y of `balance`"):
        balance_plot(found, X, Y[1:])
    with pytest.raises(ValueError, match=r"Y has shape .* but found has 3 columns"):
        balance_plot(found, X, Y[:, :2])


def test_the_command_writes_weights_and_a_certificate_that_verifies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, Y = samples(10)
    np.save("X.npy", X)
    np.save("Y.npy", Y)
    run = CliRunner()
    done = run.invoke(app, ["balance", "X.npy", "Y.npy", "--beta", "0.3", "--out", "w.npy", "--certificate", "c.json"])
    assert done.exit_code == 0 and "effective size" in done.stdout
    assert np.load("w.npy") == pytest.approx(cg.balance(X, Y, beta=0.3).weights)
    assert run.invoke(app, ["verify", "c.json", "X.npy"]).exit_code == 0
    told = json.loads(run.invoke(app, ["balance", "X.npy", "Y.npy", "--json", "-q"]).stdout)
    assert told["kind"] == "saddle" and told["bound"] <= told["upper_bound"] and len(told["witness"]) == 2
    refused = run.invoke(app, ["balance", "X.npy", "Y.npy", "--beta", "1e-9"])
    assert refused.exit_code == 2 and "use beta >= " in refused.stderr
