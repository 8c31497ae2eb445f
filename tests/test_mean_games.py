"""ReLU generators with weight decay against linear discriminators: one neuron, its reach by other routes, referees."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convexgan as cg
from convexgan.discriminators import Polynomial
from convexgan.generators import TwoLayerReLU
from tests.generators import assert_alike, penalties, seeds

CALL = {"discriminator": "linear", "generator": "relu", "regularizer": "weights"}
BIASED = CALL | {"generator": TwoLayerReLU(bias=True)}


def cost_of(generator):
    """(1/2) sum |u_j|^2 + |w_j|^2."""
    return (np.sum(generator.neurons**2) + np.sum(generator.biases**2) + np.sum(generator.outer**2)) / 2


def many_neurons(Z, mean, penalty, beta=None, lam=None):
    """The same game with outer weights for each of 2,000 fixed neurons: |u_j| |w_j| is what weight decay comes to."""
    angles = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    reach = np.maximum(Z @ np.stack([np.cos(angles), np.sin(angles)]), 0).mean(axis=0)
    W = cp.Variable((len(angles), len(mean)))
    distance = cp.norm(mean - reach @ W)
    paths = penalty * cp.sum(cp.norm(W, axis=1))
    game = (
        cp.Problem(cp.Minimize(paths), [distance <= beta])
        if lam is None
        else cp.Problem(cp.Minimize(paths + lam * distance))
    )
    return game.solve(solver=cp.CLARABEL)


@given(seed=seeds, bias=st.booleans(), penalty=penalties)
@settings(max_examples=8)
def test_one_neuron_is_as_good_as_two_thousand(seed, bias, penalty):
    rng = np.random.default_rng(seed)
    X, Z = rng.standard_normal((9, 2)) + rng.normal(size=2), rng.standard_normal((7, 1 if bias else 2))
    size = np.linalg.norm(X.mean(0))
    options = {"beta": rng.uniform(0, 1.2) * size} if seed % 2 else {"lam": 10 ** rng.uniform(-1, 1)}
    sol = cg.solve(X, Z, generator_penalty=penalty, **(BIASED if bias else CALL), **options)
    assert sol.certificate.kind == "saddle" and sol.certificate.relative_violation < 1e-12
    assert len(sol.generator.outer) <= 1 and len(sol.discriminator.outer) == sol.certificate.min_neurons
    seen = np.column_stack([Z, np.ones(7)]) if bias else Z
    other = many_neurons(seen, X.mean(0), penalty, **options)
    assert sol.value == pytest.approx(other, rel=1e-4, abs=1e-6)
    ipm = cg.ipm(X, sol.generator(Z), "linear").value
    assert penalty * cost_of(sol.generator) + options.get("lam", 0) * ipm == pytest.approx(sol.value, abs=1e-12)
    assert ipm == pytest.approx(sol.certificate.ipm, abs=1e-12)
    again = cg.verify(cg.Certificate.from_json(sol.certificate.to_json()), X)
    assert (again.kind, again.value, again.bound) == ("saddle", sol.certificate.value, sol.certificate.bound)


@pytest.mark.parametrize("beta", [0.0, 0.4])
def test_gaussian_latents_of_mean_zero_reach_a_mean(beta):
    X = np.random.default_rng(0).standard_normal((50, 3)) + np.array([1, 2, 0])
    size = np.linalg.norm(X.mean(0))
    sol = cg.solve(X, cg.GaussianLatent(4), beta=beta, **CALL)
    assert sol.value == pytest.approx((size - beta) * np.sqrt(2 * np.pi)) and sol.certificate.kind == "saddle"
    drawn = sol.generator.sample(400_000, rng=0).mean(0)
    np.testing.assert_allclose(drawn, X.mean(0) * (1 - beta / size), atol=0.02)
    assert cg.verify(sol.certificate, X).value == sol.value
    constant = cg.solve(X, cg.GaussianLatent(4), beta=beta, **BIASED)
    assert constant.value == pytest.approx(size - beta)
    np.testing.assert_allclose(constant.generator.sample(5, rng=0), [X.mean(0) * (1 - beta / size)] * 5)


def test_no_gaussian_neuron_has_a_larger_mean_than_claimed():
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((200_000, 2))
    for bias, claimed in ((False, 1 / np.sqrt(2 * np.pi)), (True, 1.0)):
        U = rng.standard_normal((50, 3))
        U[:, 2] *= bias
        U /= np.linalg.norm(U, axis=1)[:, None]
        means = np.maximum(draws @ U[:, :2].T + U[:, 2], 0).mean(axis=0)
        assert means.max() <= claimed + 0.01
        X = np.ones((1, 1))
        network = TwoLayerReLU(bias).network(U, np.ones((50, 1)), cg.GaussianLatent(2))
        sol = cg.solve(X, cg.GaussianLatent(2), beta=0.1, **(BIASED if bias else CALL))
        arrays = {"hidden": network.neurons, "hidden_biases": network.biases, "weights": network.outer}
        forged = replace(sol.certificate.evidence, arrays=sol.certificate.evidence.arrays | arrays)
        seen = cg.verify(replace(sol.certificate, evidence=forged), X)  # its exact mean against the drawn one
        assert seen.ipm == pytest.approx(abs(1 - means.sum()), abs=0.05) and seen.kind == "infeasible"


def test_sums_and_the_slope_of_the_discriminator():
    X, Z = np.random.default_rng(0).standard_normal((8, 2)) + 2, np.random.default_rng(1).standard_normal((8, 2))
    mean = cg.solve(X, Z, beta=0.3, **CALL)
    total = cg.solve(X, Z, beta=8 * 0.3, reduction="sum", **CALL)
    assert total.value == pytest.approx(mean.value) and total.certificate.ipm == pytest.approx(2.4)
    assert total.certificate.kind == "saddle"
    for lam in (0.1, 1.0, 10.0):
        price = cg.solve(X, Z, lam=8 * lam, **CALL), cg.solve(X, Z, lam=lam, reduction="sum", **CALL)
        assert price[0].value == pytest.approx(price[1].value) and price[1].certificate.kind == "saddle"
    assert total.discriminator(X).sum() == pytest.approx(mean.discriminator(X).mean())
    steep = cg.solve(X, Z, beta=0.6, **(CALL | {"discriminator": Polynomial(0.0, -2.0, 1.0)}))
    assert steep.value == pytest.approx(mean.value) and steep.certificate.kind == "saddle"


def test_a_search_that_stops_early_leaves_an_interval():
    X, Z = np.ones((2, 2)), np.random.default_rng(0).standard_normal((200, 6))
    sol = cg.solve(X, Z, beta=0.1, time_limit=0.0, **CALL)
    full = cg.solve(X, Z, beta=0.1, time_limit=0.5, **CALL)
    assert sol.status == "stopped" and sol.certificate.kind == "bounded"
    assert 0.1 * full.value < sol.certificate.bound
    assert sol.certificate.bound <= full.certificate.bound <= full.value * (1 + 1e-9) <= sol.value * (1 + 2e-9)


def test_zero_is_optimal_where_it_is():
    X, Z = np.ones((2, 2)), np.eye(3)
    for options in ({"beta": 5.0}, {"lam": 1e-3}, {"lam": 0.0}):
        sol = cg.solve(X, Z, **CALL, **options)
        assert sol.certificate.kind == "saddle" and not sol.generator(Z).any() and sol.generator(Z).shape == (3, 2)
    assert cg.solve(np.zeros((2, 2)), Z, beta=0.0, **CALL).value == 0


def test_saved_solutions_come_back(tmp_path):
    X = np.random.default_rng(0).standard_normal((9, 2)) + 1
    for Z in (cg.GaussianLatent(2), np.eye(3)):
        sol = cg.solve(X, Z, beta=0.1, **BIASED)
        sol.save(tmp_path / "s.npz")
        again = cg.load(tmp_path / "s.npz")
        assert_alike(again.generator.sample(4, rng=0), sol.generator.sample(4, rng=0))
        assert again.certificate == sol.certificate


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("neurons", lambda u: 2 * u, "unit vectors"),
        ("hidden", lambda u: u * np.nan, "not finite"),
        ("weights", lambda w: w[:, :1], "outputs"),
        ("hidden_biases", lambda b: b + 1, "biases where its class has none"),
        ("outer", lambda v: v[:0], "wrong shapes"),
    ],
)
def test_forged_evidence_is_refused(name, change, says):
    X = np.random.default_rng(0).standard_normal((9, 2)) + 1
    proof = cg.solve(X, np.eye(2), beta=0.1, **CALL).certificate
    arrays = proof.evidence.arrays
    forged = replace(proof.evidence, arrays=arrays | {name: change(arrays[name])})
    with pytest.raises(ValueError, match=says):
        cg.verify(replace(proof, evidence=forged), X)


def test_a_referee_sees_worse_players():
    X = np.random.default_rng(0).standard_normal((9, 2)) + 1
    proof = cg.solve(X, np.eye(2), beta=0.1, **CALL).certificate
    arrays = proof.evidence.arrays

    def judged(**changed):
        return cg.verify(replace(proof, evidence=replace(proof.evidence, arrays=arrays | changed)), X)

    assert judged(hidden=1.1 * arrays["hidden"], weights=arrays["weights"] / 1.1).kind == "bounded"  # costs more
    assert judged(outer=0.9 * arrays["outer"]).bound < 0.95 * proof.bound
    assert judged(outer=1.1 * arrays["outer"]).bound == 0  # the generator would gain without end
    assert judged(weights=0.9 * arrays["weights"]).kind == "infeasible"
    assert cg.verify(proof, X + 1).kind == "infeasible"


@pytest.mark.parametrize(
    ("Z", "options", "says"),
    [
        (np.zeros((3, 2)), {}, "zero everywhere"),
        (cg.Moments.from_array(np.eye(2)), {}, "latents themselves"),
        (None, {}, "Z is missing"),
        (np.eye(2), {"discriminator": "quadratic"}, "not convex"),
        (np.eye(2), {"method": "program"}, "method='program' does not apply"),
        (np.eye(2), {"lam": 1.0}, "exactly one"),
        (np.eye(3), {"reduction": "sum"}, "same number of rows"),
    ],
)
def test_calls_refused_by_name(Z, options, says):
    with pytest.raises(ValueError, match=says):
        cg.solve(np.eye(2), Z, **(CALL | {"beta": 0.1} | options))


def test_other_functions_say_where_weight_decay_is_solved():
    with pytest.raises(ValueError, match="linear discriminator only, in solve"):
        cg.program(np.eye(2), np.eye(2), beta=0.1, **CALL)
    assert len(cg.path(np.eye(2), np.eye(2), betas=(0.1, 0.2), **CALL)) == 2
