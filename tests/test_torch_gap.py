"""Audits and duality gaps: certified distances against formulas, estimates against exact terms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import convexgan as cg
from convexgan.torch import (
    ExactDiscriminatorLoss,
    LinearGenerator,
    Objective,
    TwoLayerDiscriminator,
    TwoLayerGenerator,
    audit,
    duality_gap,
    from_solution,
    train,
)
from tests.generators import EIGENVALUES, rows, second

SEEDS = st.integers(0, 1000)
X = rows(EIGENVALUES)
TILTED = np.random.default_rng(0).standard_normal((40, 3)) * [2, 1, 0.5] + 0.4


# -- audit -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [{"beta": 0.1}, {"lam": 1.5}], ids=str)
@pytest.mark.parametrize("generator", [cg.generators.Linear(bias=True), "free", "polynomial"], ids=str)
@pytest.mark.parametrize("discriminator", ["linear", "quadratic", "polynomial"])
def test_a_solution_is_audited_as_optimal(discriminator, generator, budget):
    Z = np.random.default_rng(1).standard_normal((40, 4)) + 0.2
    sol = cg.solve(TILTED, Z, discriminator=discriminator, generator=generator, **budget)
    found = audit(*from_solution(sol), TILTED, Z, Objective(**budget), tol=1e-5)
    assert found.optimal() and found.certificate.kind == "saddle"
    assert found.certificate.value == pytest.approx(sol.value, rel=1e-6)
    assert found.guaranteed == pytest.approx(sol.value, rel=1e-5) and abs(found.discriminator_gap) < 1e-5
    assert found.multiple == pytest.approx(1.0, abs=1e-3)
    assert "guarantees" in str(found) and found.numbers()["optimal"] == 1.0


def test_players_away_from_the_optimum_are_measured():
    G, D = from_solution(cg.solve(X, cg.GaussianLatent(5), beta=1.0))
    with torch.no_grad():
        G.weights.mul_(1.2)
        D.outer.mul_(0.5)
    found = audit(G, D, X, objective=Objective(beta=1.0))
    assert found.certificate.value == pytest.approx(1.44 * 16.5) and found.certificate.bound == pytest.approx(16.5)
    assert found.gap == pytest.approx(1 - 1 / 1.44) and found.certificate.kind == "infeasible"
    spectrum = np.abs(np.array(EIGENVALUES) - 1.44 * np.maximum(np.array(EIGENVALUES) - 1, 0))
    assert found.certificate.violation == pytest.approx(spectrum.max() - 1)
    assert found.guaranteed == pytest.approx(16.5) and found.multiple == pytest.approx(2.0)
    assert not found.optimal(0.1) and found.optimal(0.5)


@given(SEEDS, st.sampled_from(["linear", "quadratic", "polynomial"]), st.sampled_from(["beta", "lam"]))
def test_no_discriminator_guarantees_more_than_the_optimum(seed, activation, name):
    torch.manual_seed(seed)
    G, D = LinearGenerator(3, 3, bias=True).double(), TwoLayerDiscriminator(3, 5, activation).double()
    budget = {name: 0.2}
    optimum = cg.solve(
        TILTED, cg.GaussianLatent(3), discriminator=activation, generator=cg.generators.Linear(True), **budget
    )
    found = audit(G, D, TILTED, objective=Objective(**budget))
    assert found.guaranteed <= optimum.value * (1 + 1e-6)
    assert found.certificate.bound == pytest.approx(optimum.value, rel=1e-5)


def test_samples_modules_of_others_and_names_are_judged_too():
    Z = rows(np.ones(5), 3)
    sol = cg.solve(X, Z, beta=1.0)
    Y = sol.generator(Z)
    expected = cg.certify(X, Y, beta=1.0)
    other = nn.Linear(5, 5, bias=False).double()
    with torch.no_grad():
        other.weight.copy_(torch.from_numpy(sol.generator.weights.T))
    for generator in (Y, torch.from_numpy(Y), other):
        found = audit(generator, "quadratic", X, Z, Objective(beta=1.0))
        assert found.certificate.value == pytest.approx(expected.value) and found.certificate.kind == "saddle"
        assert math.isnan(found.guaranteed) and str(found) == str(found.certificate)
    loss = ExactDiscriminatorLoss(X, "quadratic", 2.5)
    G = from_solution(cg.solve(X, Z, lam=2.5))[0]
    assert audit(G, loss, X, Z).optimal(1e-6)
    sampled = audit(nn.Linear(2, 5).double(), "quadratic", X, 2, Objective(beta=1.0), samples=50)
    assert sampled.certificate.evidence is not None


@pytest.mark.parametrize("latents", [rows(np.ones(2), 3), cg.GaussianLatent(2)], ids=["fixed", "law"])
def test_the_discriminator_of_a_deep_generator_guarantees_against_all_generators(latents):
    torch.manual_seed(0)
    D = from_solution(cg.solve(X, cg.GaussianLatent(5), beta=1.0))[1]
    for G in (TwoLayerGenerator(2, 5, 8).double(), nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 5)).double()):
        found = audit(G, D, X, latents, Objective(beta=1.0), samples=100)
        assert found.guaranteed == pytest.approx(16.5) == pytest.approx(found.certificate.bound)
        assert found.multiple == pytest.approx(1.0)


def test_weights_are_the_output_for_white_latents_and_measured_for_others():
    objective = Objective(beta=1.0, regularizer="weights")
    G, D = from_solution(cg.solve(X, cg.GaussianLatent(5), beta=1.0))
    assert audit(G, D, X, objective=objective).certificate.value == pytest.approx(16.5)
    Z = rows([4.0, 2.0, 1.0, 1.0, 1.0], 3)
    sol = cg.solve(X, Z, beta=1.0, regularizer="weights")
    G, D = from_solution(sol)
    found = audit(G, D, X, Z, objective)
    assert found.certificate.kind == "minimax" and found.certificate.value == pytest.approx(sol.value)
    assert found.optimal() and found.guaranteed < 0.9 * sol.value


def test_relu_critics_are_audited_with_bounds():
    torch.manual_seed(0)
    G, D = TwoLayerGenerator(2, 3, 8).double(), TwoLayerDiscriminator(3, 5, bias="penalized").double()
    Z = np.random.default_rng(1).standard_normal((30, 2))
    Y = G(torch.from_numpy(Z)).detach().numpy()
    for budget in ({"beta": 0.1}, {"lam": 1.5}):
        found = audit(G, D, TILTED, Z, Objective(**budget)).certificate
        exact = cg.ipm(TILTED, Y, bias="penalized", time_limit=10)
        cost = np.sum(Y**2) / 30
        assert found.ipm == pytest.approx(exact.upper_bound)
        assert found.value == pytest.approx(cost + budget.get("lam", 0.0) * exact.upper_bound)
        assert found.violation == pytest.approx(max(exact.upper_bound - 0.1, 0) if "beta" in budget else 0.0)
        assert 0 < found.bound <= found.value or found.kind == "infeasible"


# -- duality gap, exact terms ------------------------------------------------------------------------------------


@given(SEEDS, st.floats(0.5, 3.0))
def test_the_exact_gap_is_its_formula(seed, lam):
    torch.manual_seed(seed)
    G, D = LinearGenerator(5, 5).double(), TwoLayerDiscriminator(5, 3, "quadratic").double()
    found = duality_gap(G, D, (X, X), objective=Objective(lam=lam))
    W, critic = G.weights.detach().numpy(), D.projected(lam)
    S, Sx = W.T @ W, second(X)
    U, v = critic["neurons"].numpy(), D.outer.detach().numpy()
    upper = np.trace(S) + lam * np.abs(np.linalg.eigvalsh(Sx - S)).max()
    Q = U.T @ (v[:, None] * U)
    top = np.linalg.eigvalsh(Q)[-1]
    lower = np.trace(Q @ Sx) if top <= 1 and np.abs(v).sum() <= lam else -np.inf
    assert found.exact == (True, True) and found.upper == pytest.approx(upper)
    assert found.lower == pytest.approx(lower) and found.value == pytest.approx(upper - lower)
    assert found.value >= 0 and found.low == found.high == found.value


@pytest.mark.parametrize("budget", [{"beta": 0.1}, {"lam": 1.5}], ids=str)
@pytest.mark.parametrize("discriminator", ["linear", "quadratic", "polynomial"])
def test_the_gap_is_zero_at_a_saddle_and_infinite_where_the_constraint_breaks(discriminator, budget):
    spec = cg.generators.Linear(bias=True)
    sol = cg.solve(TILTED, cg.GaussianLatent(3), discriminator=discriminator, generator=spec, **budget)
    G, D = from_solution(sol)
    with torch.no_grad():
        D.outer.mul_(1 - 1e-7)  # what a semidefinite solver leaves is within rounding of the limit, or beyond
    found = duality_gap(G, D, (TILTED, TILTED), objective=Objective(**budget))
    assert found.exact == (True, True)
    assert found.value == pytest.approx(0.0, abs=1e-5 * sol.value)
    with torch.no_grad():
        for part in G.parameters():
            part.mul_(0.0)
    moved = duality_gap(G, D, (TILTED, TILTED), objective=Objective(**budget))
    assert moved.value > 0.05 and math.isinf(moved.value) == ("beta" in budget)


# -- duality gap, copies -----------------------------------------------------------------------------------------


def test_copies_come_near_the_exact_gap():
    torch.manual_seed(3)
    G, D = LinearGenerator(5, 5).double(), TwoLayerDiscriminator(5, 8, "quadratic").double()
    Z, objective = rows(np.ones(5), 3), Objective(lam=1.5)
    with torch.no_grad():
        D.outer.mul_(0.3)
    exact = duality_gap(G, D, (X, X), Z, objective)
    options = {"exact": False, "batch": None, "batches": 2, "rate": 0.05}
    found = duality_gap(G, D, (X, X), Z, objective, steps=500, **options)
    assert found.exact == (False, False) and math.isfinite(exact.value)
    assert found.upper == pytest.approx(exact.upper, rel=2e-2) and found.upper <= exact.upper + 1e-9
    assert found.lower == pytest.approx(exact.lower, rel=2e-2) and found.lower >= exact.lower - 1e-9
    assert duality_gap(G, D, (X, X), Z, objective, steps=0, **options).value == pytest.approx(0.0, abs=1e-12)
    assert found.low == found.value == found.high  # whole data: every evaluation is the same


class Point(nn.Module):
    """A generator of one number, or a discriminator x -> at^2 x."""

    latent_dim = 1

    def __init__(self, at, square=False):
        super().__init__()
        self.at, self.square = nn.Parameter(torch.tensor([[at]], dtype=torch.float64)), square

    def forward(self, Z):
        return self.at**2 * Z if self.square else self.at.expand(len(Z), 1)


@pytest.mark.parametrize("penalty", [{"r1": 0.5, "r2": 0.2}, {"gradient_penalty": 2.0}], ids=str)
def test_penalties_of_lazy_training_have_their_own_strength_in_the_gap(penalty):
    """Only training takes them seldom and as much stronger: the payoff that both players have is the same."""
    torch.manual_seed(0)
    G, D = LinearGenerator(2, 3, bias=True), nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    gaps = [
        duality_gap(G, D, TILTED, 2, Objective(lazy=lazy, **penalty), steps=20, batch=16, batches=3) for lazy in (1, 4)
    ]
    assert gaps[0].value == gaps[1].value and gaps[0].value != 0


def test_perturbed_copies_leave_a_stationary_point_that_is_no_equilibrium():
    """D(x) = d^2 x on real 1 and generated 0: at d = 0 no gradient, but d = 1 sees the difference."""
    ones, objective = torch.ones(8, 1, dtype=torch.float64), Objective(clip=1.0, generator_penalty=0.0)
    players = Point(0.0), Point(0.0, square=True)
    plain = duality_gap(*players, ones, objective=objective, rate=0.1)
    moved = duality_gap(*players, ones, objective=objective, rate=0.1, perturbation=0.01)
    assert plain.value == 0.0 and moved.value == pytest.approx(1.0, rel=1e-3)


class Fixed(nn.Module):
    """A generator that cannot learn: its latents are its samples."""

    def __init__(self):
        super().__init__()
        self.none = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, Z):
        return Z + 0 * self.none


class Table(nn.Module):
    """One logit for each of two atoms."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, X):
        return self.logits[X[:, 0].long()]


def test_the_classic_gap_bounds_the_jensen_shannon_divergence():
    p, q = np.array([0.9, 0.1]), np.array([0.4, 0.6])
    real, fake = (np.repeat([0.0, 1.0], (20 * share).round().astype(int))[:, None] for share in (p, q))
    objective = Objective(loss="classic", generator_penalty=0.0)
    options = {"steps": 800, "rate": 0.05, "batch": None, "batches": 2}
    found = duality_gap(Fixed(), Table(), (real, real), fake, objective, **options)
    middle = (p + q) / 2
    divergence = (p @ np.log(p / middle) + q @ np.log(q / middle)) / 2
    assert found.upper + math.log(2) == pytest.approx(divergence, rel=1e-6)
    assert found.lower <= -math.log(2) + 1e-12 and found.value >= divergence - 1e-9


def test_the_discriminator_learns_on_one_split_and_is_judged_on_the_other():
    players, objective = (Fixed(), Point(0.5, square=True)), Objective(clip=1.0, generator_penalty=0.0)
    adversary, evaluation = torch.ones(8, 1).double(), -torch.ones(8, 1).double()
    found = duality_gap(*players, (adversary, evaluation), torch.zeros(8, 1), objective, rate=0.1)
    assert found.upper == pytest.approx(-1.0)  # learned D(x) = x, judged at x = -1
    assert found.lower == pytest.approx(-0.25) and found.value == pytest.approx(-0.75)


def test_the_interval_is_over_batches():
    torch.manual_seed(0)
    data = np.random.default_rng(0).standard_normal((4000, 2))
    players = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    objective, widths = Objective(clip=0.5, generator_penalty=0.0), {}
    for batch in (16, 1024):
        found = duality_gap(*players, data, 2, objective, steps=20, batch=batch, batches=20)
        assert found.low < found.value < found.high
        widths[batch] = found.high - found.low
    assert widths[1024] < widths[16] / 3
    wider = duality_gap(*players, data, 2, objective, steps=20, batch=16, batches=20, level=0.999)
    assert wider.high - wider.low > 1.2 * widths[16]


def test_modules_are_left_alone_and_a_callback_of_train_sees_the_gap():
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))
    D, data = TwoLayerDiscriminator(3, 4), np.random.default_rng(0).standard_normal((40, 3))
    before = [{k: v.clone() for k, v in module.state_dict().items()} for module in (G, D)]
    duality_gap(G, D, data, 2, Objective(lam=1.0), steps=5, exact=False, perturbation=0.1)
    for module, old in zip((G, D), before, strict=True):
        assert module.training and all(torch.equal(v, old[k]) for k, v in module.state_dict().items())
    run = train(
        G,
        D,
        data,
        2,
        Objective(lam=1.0),
        steps=10,
        every=5,
        callbacks=[lambda step, G, D: duality_gap(G, D, data, 2, Objective(lam=1.0), steps=5, batch=16).numbers()],
    )
    assert all(row["duality_gap_low"] <= row["duality_gap"] <= row["duality_gap_high"] for row in run.history)


def network(inputs, outputs, norm=lambda layer: layer):
    layers = norm(nn.Linear(inputs, 16)), nn.ReLU(), norm(nn.Linear(16, 16)), nn.ReLU(), norm(nn.Linear(16, outputs))
    return nn.Sequential(*layers)


FREE = Objective(generator_penalty=0.0, gradient_penalty=10.0)


def test_a_problem_that_nothing_bounds_is_called_so_and_a_bounded_one_is_not():
    torch.manual_seed(0)
    G, D, data = network(3, 4), network(4, 1), np.random.default_rng(0).standard_normal((200, 4))
    found = duality_gap(G, D, data, 3, FREE, steps=200, batch=64)
    assert found.status[1] == "unbounded" and not found.converged and found.numbers()["duality_gap_converged"] == 0.0
    assert "lower term" in str(found) and "nothing keeps a generator near the data" in str(found)
    assert found.status[0] != "unbounded"  # the gradient penalty bounds it
    kept = duality_gap(G, D, data, 3, Objective(generator_penalty=1.0, gradient_penalty=10.0), steps=200, batch=64)
    assert kept.status[1] == "converged"
    free = duality_gap(G, D, data, 3, Objective(generator_penalty=0.0), steps=200, batch=64)
    assert free.status[0] == "unbounded" and "bound the discriminator" in str(free)


def test_copies_that_still_move_are_reported_and_those_that_arrived_are_not():
    torch.manual_seed(3)
    G, D = LinearGenerator(5, 5).double(), TwoLayerDiscriminator(5, 8, "quadratic").double()
    Z, objective, options = rows(np.ones(5), 3), Objective(lam=1.5), {"exact": False, "batch": None, "batches": 2}
    short = duality_gap(G, D, (X, X), Z, objective, steps=10, **options)
    assert short.status == ("moving", "moving") and "it was still falling: take more steps" in str(short)
    long = duality_gap(G, D, (X, X), Z, objective, steps=800, rate=0.05, **options)
    assert long.status == ("converged", "converged") and long.converged
    exact = duality_gap(G, D, (X, X), Z, objective)
    assert (
        exact.status == ("exact", "exact") and exact.converged and exact.curve == () and str(exact).count("exact.") == 2
    )


def test_copies_that_lose_on_the_other_half_have_not_converged():
    players, objective = (Fixed(), Point(0.5, square=True)), Objective(clip=1.0, generator_penalty=0.0)
    adversary, evaluation = torch.ones(8, 1).double(), -torch.ones(8, 1).double()
    found = duality_gap(*players, (adversary, evaluation), torch.zeros(8, 1), objective, rate=0.01, steps=20)
    assert found.status[0] == "moving" and "it was falling: the copies lose on the half" in str(found)


def test_the_curve_starts_at_nothing_and_ends_at_the_value():
    torch.manual_seed(0)
    G, D, data = network(3, 4), network(4, 1), np.random.default_rng(0).standard_normal((200, 4))
    found = duality_gap(G, D, data, 3, FREE, steps=40, batch=32)
    assert [point.step for point in found.curve] == [0, 2, 5, 10, 20, 40]
    assert found.curve[0].value == 0.0 and found.curve[-1][1:] == (found.value, found.upper, found.lower)
    for point in found.curve[1:3]:  # the same as in a call of its own
        alone = duality_gap(G, D, data, 3, FREE, steps=point.step, batch=32)
        assert (alone.value, alone.upper, alone.lower) == pytest.approx(point[1:], rel=1e-6)
    nothing = duality_gap(G, D, data, 3, FREE, steps=0, batch=32)
    assert (nothing.value, nothing.low, nothing.high, nothing.spread) == pytest.approx((0, 0, 0, math.nan), nan_ok=True)


def test_draws_have_a_spread_and_halves_of_their_own():
    torch.manual_seed(0)
    G, D, data = network(3, 4), network(4, 1), np.random.default_rng(0).standard_normal((200, 4))
    options = {"steps": 10, "batch": 16}
    found = duality_gap(G, D, data, 3, FREE, draws=3, **options)
    assert len(set(found.draws)) == 3 and found.spread == pytest.approx(np.std(found.draws, ddof=1))
    assert found.low < found.value < found.high and found.value == pytest.approx(np.mean(found.draws))
    assert found.draws[0] == duality_gap(G, D, data, 3, FREE, **options).value
    assert "over 3 draws" in str(found)
    with pytest.raises(ValueError, match="draws"):
        duality_gap(G, D, data, 3, FREE, draws=0)


@pytest.mark.parametrize("norm", [nn.utils.parametrizations.spectral_norm, nn.utils.spectral_norm])
def test_spectral_norms_hold_for_the_copies_too(norm):
    """A discriminator that is 1-Lipschitz sees at most the distance of the samples; copies must not outgrow that."""
    torch.manual_seed(0)
    data, G = np.random.default_rng(0).standard_normal((200, 4)), nn.Linear(3, 4)
    D = nn.Sequential(norm(nn.Linear(4, 1)))
    for _ in range(20):
        D(torch.ones(2, 4))
    with torch.no_grad():
        G.weight.zero_(), G.bias.copy_(torch.tensor([3.0, 0.0, 0.0, 0.0]))
    found = duality_gap(G, D, data, 3, Objective(generator_penalty=0.0), steps=300, rate=0.05)
    assert found.status[0] == "converged" and found.upper == pytest.approx(3.0, abs=0.3)


def test_bad_input_is_named():
    G, D = LinearGenerator(2, 5).double(), TwoLayerDiscriminator(5, 3, "quadratic").double()
    with pytest.raises(ValueError, match="no class whose optimum is known"):
        audit(G, nn.Linear(5, 1), X, objective=Objective(beta=1.0))
    for judge in (audit, duality_gap):
        with pytest.raises(ValueError, match="the discriminator has 4 columns but X has 5"):
            judge(G, TwoLayerDiscriminator(4, 3, "quadratic").double(), X, objective=Objective(lam=1.0))
    with pytest.raises(ValueError, match="Y has 3 columns but X has 5"):
        audit(X[:, :3], "quadratic", X, objective=Objective(beta=1.0))
    with pytest.raises(ValueError, match="exactly one of beta and lam"):
        audit(G, D, X)
    with pytest.raises(ValueError, match="duality_gap measures"):
        audit(G, D, X, objective=Objective(beta=1.0, loss="classic"))
    with pytest.raises(ValueError, match="need the rows themselves"):
        audit(G, "relu", cg.Moments.from_array(X), objective=Objective(beta=1.0))
    with pytest.raises(ValueError, match="best response already"):
        duality_gap(G, ExactDiscriminatorLoss(X), X)
    with pytest.raises(ValueError, match="level must lie"):
        duality_gap(G, D, X, objective=Objective(lam=1.0), level=95)
    with pytest.raises(ValueError, match="at least two"):
        duality_gap(G, D, X[:1], objective=Objective(lam=1.0))
    for judge in (audit, duality_gap):
        with pytest.raises(ValueError, match="rng must be an integer >= 0, got -1"):
            judge(G, D, X, 2, Objective(lam=1.0), rng=-1)
