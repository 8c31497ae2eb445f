"""The exact discriminator as a loss: its value is the ipm, its gradient that of the value, and training arrives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import convexgan as cg
from convexgan.torch import ExactDiscriminatorLoss, LinearGenerator, Objective, Outcome, ascent, train
from convexgan.torch.ascent import relu_ascent
from convexgan.torch.subspace import dense_extremes, krylov_extremes
from tests.generators import EIGENVALUES, brute_ipm, rows

MOMENTS = ["linear", "quadratic", "polynomial", cg.discriminators.Polynomial(-0.5, 0.2, 1.0)]
SEEDS = st.integers(0, 1000)


def samples(d=4, n=30, m=20, seed=0, decay=1.0):
    rng = np.random.default_rng(seed)
    scale = np.arange(1, d + 1) ** -decay
    return rng.standard_normal((n, d)) * scale + 0.1, 0.8 * rng.standard_normal((m, d)) * scale


@pytest.mark.parametrize("bias", ["none", "penalized"])
@pytest.mark.parametrize("n", [3, 30])  # fewer rows than columns are kept as rows
@pytest.mark.parametrize("discriminator", MOMENTS, ids=str)
def test_the_value_is_the_ipm(discriminator, n, bias):
    X, Y = samples(n=n)
    loss = ExactDiscriminatorLoss(X, discriminator, 2.5, bias=bias, smoothing=0)
    expected = cg.ipm(X, Y, discriminator, bias=bias).value
    for data in (X, cg.Moments.from_array(X), torch.from_numpy(X)):
        loss = ExactDiscriminatorLoss(data, discriminator, 2.5, bias=bias, smoothing=0)
        assert loss(torch.from_numpy(Y)).item() == pytest.approx(2.5 * expected, rel=1e-10)
    assert loss(torch.from_numpy(Y), torch.from_numpy(X[:2])).item() == pytest.approx(
        2.5 * cg.ipm(X[:2], Y, discriminator, bias=bias).value, rel=1e-10
    )
    assert loss.ipm(Y).value == pytest.approx(expected)
    if bias == "none" and n == 30:
        a, b, _ = loss.activation.coefficients
        assert brute_ipm(X, Y, a, b) == pytest.approx(expected, rel=1e-6)


@given(SEEDS, st.sampled_from([(1, "none"), (2, "none"), (3, "none"), (2, "penalized"), (1, "free"), (2, "free")]))
def test_relu_neurons_are_exact_in_few_columns(seed, case):
    bias, (X, Y) = case[1], samples(d=case[0], n=12, m=9, seed=seed)
    loss = ExactDiscriminatorLoss(X, "relu", bias=bias, smoothing=0)
    assert loss(torch.from_numpy(Y)).item() == pytest.approx(cg.ipm(X, Y, bias=bias).value, rel=1e-9)


def test_relu_neurons_by_ascent_never_lose(monkeypatch):
    X, Y = samples(d=6, n=60, m=4)  # few rows: maxima lie on kinks, where the gradient leads away
    real, fake = torch.from_numpy(X - X.mean(0)), torch.from_numpy(Y - Y.mean(0))  # equal means are no start of its own
    starts = torch.nn.functional.normalize(torch.randn(20, 6, generator=torch.Generator().manual_seed(0)).double())

    def seen(u):
        return float((torch.relu(real @ u).mean() - torch.relu(fake @ u).mean()).abs())

    def ascend(start):
        return relu_ascent(cg.discriminators.ReLU(), real, fake, start[None])[0]

    ends = [ascend(start) for start in starts]
    assert all(seen(u) > seen(start) for u, start in zip(ends, starts, strict=True))
    monkeypatch.setattr(ascent, "STEPS", 1)  # one long step from where little is left to gain
    assert all(seen(ascend(u)) >= seen(u) * (1 - 1e-12) for u in ends)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_free_biases_by_ascent_nearly_reach_the_maximum_and_are_free(size):
    X, Y = (size * S + 5 * size for S in samples(d=4, n=20, m=20))
    loss = ExactDiscriminatorLoss(X, "relu", bias="free", smoothing=0, directions=5)
    found = max(loss(torch.from_numpy(Y)).item() for _ in range(5))
    known = cg.ipm(X, Y, bias="free", time_limit=10)
    assert 0.97 * known.value <= found <= known.upper_bound
    np.testing.assert_allclose(loss.response.directions[:, :-1].norm(dim=1), 1, atol=1e-12)
    with pytest.raises(ValueError, match="linear on both sides"):
        ExactDiscriminatorLoss(X, "squared_relu", bias="free")


def test_relu_neurons_by_ascent_nearly_reach_the_maximum():
    X, Y = samples(d=6, n=60, m=50)
    loss = ExactDiscriminatorLoss(X, "relu", smoothing=0)
    found, proved = [loss(torch.from_numpy(Y)).item() for _ in range(3)], loss.ipm(Y, gap=0.05, time_limit=20)
    assert 0.98 * proved.value <= found[-1] <= proved.upper_bound and found[0] <= found[-1]


@pytest.mark.parametrize("smoothing", [0.0, 0.05])
@pytest.mark.parametrize("discriminator", [*MOMENTS, "relu"], ids=str)
def test_gradients(discriminator, smoothing):
    X, Y = samples(d=3)
    loss = ExactDiscriminatorLoss(X, discriminator, 2.0, smoothing=smoothing).eval()
    loss.train()(torch.from_numpy(Y))  # fills the pool, which eval() then leaves alone
    loss.eval()
    assert torch.autograd.gradcheck(loss, torch.from_numpy(Y).requires_grad_(), atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.05, 0.3])
@pytest.mark.parametrize("discriminator", ["linear", "quadratic", "polynomial", "relu"])
def test_smoothing_lowers_the_loss_by_no_more_than_it_says(discriminator, smoothing):
    X, _ = samples(d=3)
    for seed in range(5):
        Y = samples(d=3, seed=seed)[1]
        exact = cg.ipm(X, Y, discriminator).value
        loss = ExactDiscriminatorLoss(X, discriminator, smoothing=smoothing)
        assert loss.size == pytest.approx(cg.ipm(X, np.zeros((1, 3)), discriminator).value, rel=1e-9)
        assert exact - smoothing * loss.size / 2 - 1e-12 <= loss(torch.from_numpy(Y)).item() <= exact + 1e-12
        assert loss.response.value == pytest.approx(exact)
        assert loss.response.weights.abs().sum() <= 1 + 1e-12


def test_tied_neurons_share_the_weight():
    """Three equal eigenvalues: the smoothed gradient treats them alike, the exact one picks one."""
    X, Y = 2 * np.sqrt(3) * np.eye(3), torch.full((1, 3), 1e-3, dtype=torch.float64, requires_grad=True)
    loss = ExactDiscriminatorLoss(X, "quadratic", smoothing=0.1)
    loss(Y).backward()
    assert loss.response.weights.numpy() == pytest.approx(np.full(3, 1 / 3), abs=1e-4)
    assert np.ptp(Y.grad.numpy()) < 1e-6
    single = ExactDiscriminatorLoss(X, "quadratic", smoothing=0)
    single(Y)
    assert np.count_nonzero(single.response.weights) == 1


def test_beta_is_what_costs_nothing():
    X, Y = samples()
    value = cg.ipm(X, Y, "quadratic").value
    for beta, expected in ((value / 2, value / 2), (2 * value, 0.0)):
        loss = ExactDiscriminatorLoss(X, "quadratic", 3.0, beta=beta, smoothing=0)
        assert loss(torch.from_numpy(Y)).item() == pytest.approx(3 * expected)


# -- many columns ------------------------------------------------------------------------------------------------


@given(SEEDS, st.booleans(), st.floats(0.3, 2.0))
def test_krylov_finds_what_the_decomposition_finds(seed, affine, decay):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((60, 60))
    values = rng.choice([-1, 1], 60) * np.arange(1, 61) ** -decay
    basis = np.linalg.qr(A)[0]
    M = torch.from_numpy(basis * values @ basis.T)
    q = torch.from_numpy(0.3 * rng.standard_normal(60)) if affine else torch.zeros(60).double()
    start = torch.from_numpy(rng.standard_normal((60, 4)))
    found = krylov_extremes(lambda V: M @ V, q, start, tol=1e-8, largest=24, rounds=400)
    expected = dense_extremes(M, q)
    assert found.residual <= 1e-8

    def values_at(U):
        return ((U * (M @ U)).sum(0) + q @ U).abs()

    assert values_at(found.directions[:, :1]) == pytest.approx(values_at(expected.directions[:, :1]), rel=1e-7)
    if not affine:
        assert values_at(found.directions) == pytest.approx(values_at(expected.directions[:, :4]), rel=1e-3)


@pytest.mark.parametrize("n", [100, 400])
@pytest.mark.parametrize("discriminator", ["quadratic", "polynomial"])
def test_wide_data_by_products_with_a_certified_residual(discriminator, n):
    X, Y = samples(d=200, n=n, m=64, decay=0.5)
    loss = ExactDiscriminatorLoss(X, discriminator, smoothing=0, tol=1e-6)
    proved = loss.ipm(Y)
    for _ in range(2):
        value = loss(torch.from_numpy(Y)).item()
        assert value == pytest.approx(proved.value, rel=1e-8) and value <= proved.upper_bound * (1 + 1e-12)
        assert 0 < loss.response.residual <= 1e-6
    if discriminator == "quadratic":  # Weyl: an eigenvalue lies within the residual of the value
        M = X.T @ X / n - Y.T @ Y / 64
        u = loss.response.directions[0].numpy()
        level = u @ M @ u
        assert np.abs(np.linalg.eigvalsh(M) - level).min() <= np.linalg.norm(M @ u - level * u) + 1e-12


def test_a_warm_start_that_is_stationary_is_left():
    """Axis-aligned data: the neuron of the last call is an eigenvector of the new difference, but not the largest."""
    values = np.ones(150)
    values[0], values[1] = 9.0, 4.0
    loss = ExactDiscriminatorLoss(rows(values, turned=False), "quadratic", smoothing=0, directions=1)
    loss.pool.copy_(torch.eye(1, 150))
    fake = torch.zeros(2, 150, dtype=torch.float64)
    fake[:, 0] = torch.tensor([8**0.5, -(8**0.5)])  # leaves 1 of 9
    assert loss(fake).item() == pytest.approx(4.0)


@pytest.mark.parametrize("discriminator", ["quadratic", "polynomial", "relu"])
def test_neurons_are_kept_for_the_next_call_in_training_only(discriminator):
    X, Y = samples(d=6)
    loss = ExactDiscriminatorLoss(X, discriminator)
    loss.eval()(torch.from_numpy(Y))
    before = loss.pool.clone()
    loss(torch.from_numpy(0.1 * Y))
    assert torch.equal(loss.pool, before)
    loss.train()(torch.from_numpy(0.1 * Y))
    u, weights = loss.response.directions, loss.response.weights
    assert not torch.equal(loss.pool, before)
    assert float((loss.pool[0] @ u[weights.abs().argmax()]).abs()) == pytest.approx(1.0)


def test_every_neuron_that_shares_the_weight_has_converged():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((80, 80)))[0]
    values = np.concatenate([[1.0, 0.97, 0.93], np.linspace(0.85, 0.01, 77)])
    M, none = torch.from_numpy(basis * values @ basis.T), torch.zeros(80).double()
    start = torch.from_numpy(rng.standard_normal((80, 5)))
    found = krylov_extremes(lambda V: M @ V, none, start, tol=1e-6, largest=30, active=0.1).directions
    levels = (found * (M @ found)).sum(0)
    residuals = (M @ found - levels * found).norm(dim=0)
    assert levels[:3].numpy() == pytest.approx(values[:3], abs=1e-9) and residuals[:3].max() <= 1e-6


def test_single_precision_stays_single():
    X, Y = (part.astype(np.float32) for part in samples(d=200, n=300, m=64, decay=0.5))
    for discriminator in ("linear", "quadratic", "polynomial", "relu"):
        loss = ExactDiscriminatorLoss(X, discriminator, smoothing=0)
        value = loss(torch.from_numpy(Y))
        assert value.dtype == torch.float32
        if discriminator != "relu":
            assert value.item() == pytest.approx(cg.ipm(X, Y, discriminator).value, rel=1e-4)


# -- training ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [{"lam": 2.5}, {"lam": 6.0, "beta": 1.0}])
def test_training_against_it_reaches_the_certified_optimum(budget):
    X, Z = rows(EIGENVALUES), rows(np.ones(5), 3)
    torch.manual_seed(0)
    G = LinearGenerator(5, 5).double()
    loss = ExactDiscriminatorLoss(X, "quadratic", **budget, smoothing=0.002)
    run = train(G, loss, X, Z, method="simultaneous", optimizer="adam", rates=0.01, steps=3000, gap=1e-2, every=50)
    game = {"beta": 1.0} if "beta" in budget else budget
    assert run.outcome is Outcome.OPTIMAL
    assert run.audit.certificate.bound == pytest.approx(cg.solve(X, Z, **game).value, rel=1e-9)


def test_smoothing_ends_the_chatter():
    """Near the optimum four eigenvalues tie: constant steps along one at a time stay away, shared ones arrive."""
    X, Z = rows(EIGENVALUES), rows(np.ones(5), 3)
    ends = {}
    for smoothing in (0.0, 0.05):
        torch.manual_seed(0)
        G, loss = LinearGenerator(5, 5).double(), ExactDiscriminatorLoss(X, "quadratic", 3.5, smoothing=smoothing)
        run = train(G, loss, X, Z, method="simultaneous", rates=0.01, steps=700, every=7, gap=0.0)
        ends[smoothing] = [row["gap"] for row in run.history[-5:]]
    assert max(ends[0.05]) < 0.003 and np.ptp(ends[0.05]) < 1e-5
    assert min(ends[0.0]) > 0.01 and np.ptp(ends[0.0]) > 0.005


def test_pictures_and_the_objective():
    X = np.random.default_rng(0).standard_normal((50, 1, 4, 4))
    generator = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Unflatten(1, (1, 4, 4))).double()
    loss = ExactDiscriminatorLoss(X, "polynomial", 2.0)
    run = train(generator, loss, X, 3, Objective(generator_penalty=0.1), optimizer="adam", steps=60, every=30)
    assert run.history[-1]["payoff"] < run.history[0]["payoff"]


class Power(torch.nn.Module):
    """Samples at^60 z, which overflow long before the weight does."""

    latent_dim = 1

    def __init__(self):
        super().__init__()
        self.at = torch.nn.Parameter(torch.tensor(1.1, dtype=torch.float64))

    def forward(self, Z):
        return self.at**60 * Z


def test_samples_that_overflow_end_a_run():
    X = np.random.default_rng(0).standard_normal((50, 1))
    loss, G = ExactDiscriminatorLoss(X, "quadratic"), Power()
    run = train(G, loss, X, X, Objective(generator_penalty=0.0), method="simultaneous", rates=1e-3, steps=5)
    assert run.outcome is Outcome.DIVERGED and run.steps == 1 and 370 < abs(G.at.item()) < 1e8
    spoilt = torch.tensor([[1.0], [torch.inf]], dtype=torch.float64)
    assert loss(spoilt).isnan() and loss(spoilt[:1], spoilt).isnan() and loss(spoilt[:1]).isfinite()


def test_bad_input_is_named():
    X, Y = samples()
    loss = ExactDiscriminatorLoss(X, "quadratic")
    with pytest.raises(ValueError, match="not 4 numbers each"):
        loss(torch.ones(3, 5).double())
    with pytest.raises(ValueError, match=r"float32 on cpu, the loss is torch.float64"):
        loss(torch.from_numpy(Y).float())
    for arrays in ((Y,), (torch.from_numpy(Y), X)):
        with pytest.raises(ValueError, match=r"samples must be a tensor, got ndarray: pass torch\.as_tensor"):
            loss(*arrays)
    with pytest.raises(ValueError, match="need the rows themselves"):
        ExactDiscriminatorLoss(cg.Moments.from_array(X), "relu")
    with pytest.raises(ValueError, match=r"X .* NaN"):
        ExactDiscriminatorLoss(X * np.nan, "relu")
    with pytest.raises(ValueError, match="lam must be finite and positive"):
        ExactDiscriminatorLoss(X, "relu", 0.0)
    with pytest.raises(ValueError, match="Did you mean 'quadratic'"):
        ExactDiscriminatorLoss(X, "quadratics")


@pytest.mark.parametrize("activation", ["relu", "absolute", cg.discriminators.ReLU(0.2)], ids=str)
@pytest.mark.parametrize(("dim", "bias"), [(2, "none"), (3, "none"), (1, "free"), (2, "free")])
def test_gradients_where_the_best_neuron_bends_at_rows(activation, dim, bias):
    """The exact value's own differences tell the gradient there, and no choice of 0 or 1 is right."""
    bends, h = 0, 1e-6
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, Y = rng.standard_normal((7, dim)) + 0.3, 1.4 * rng.standard_normal((6, dim))
        u, b = np.split(cg.ipm(X, Y, activation, bias=bias).direction, [dim])
        if not (np.abs(Y @ u + b.sum()) < 1e-9).any() and seed > 2:
            continue
        loss = ExactDiscriminatorLoss(X, activation, bias=bias, smoothing=0)
        fake = torch.from_numpy(Y).requires_grad_()
        loss(fake).backward()
        bends += seed > 2
        differences = np.zeros_like(Y)
        for at in np.ndindex(*Y.shape):
            ends = []
            for move in (h, -h):
                moved = Y.copy()
                moved[at] += move
                ends.append(cg.ipm(X, moved, activation, bias=bias).value)
            differences[at] = (ends[0] - ends[1]) / (2 * h)
        np.testing.assert_allclose(fake.grad.numpy(), differences, atol=1e-4 * np.abs(differences).max())
    assert bends >= 4  # of 60
