"""The training loop: its gradients, every method, monitoring, and runs that are killed and continued."""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import safetensors
import torch
from torch import nn

import convexgan as cg
from convexgan.torch import (
    ExactDiscriminatorLoss,
    LinearGenerator,
    Objective,
    Outcome,
    TwoLayerDiscriminator,
    TwoLayerGenerator,
    duality_gap,
    from_solution,
    train,
)
from convexgan.torch.batches import Batches
from convexgan.torch.objective import Batch, ModuleGame, Payoff
from convexgan.updates import METHODS, adam, alternating, extragradient
from convexgan.updates.game import descend, move
from tests.documents import ROOT
from tests.generators import EIGENVALUES, rows


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def players(activation="quadratic", d=3, k=2, m=4, seed=0):
    torch.manual_seed(seed)
    return LinearGenerator(k, d, bias=True).double(), TwoLayerDiscriminator(d, m, activation, bias="penalized").double()


OBJECTIVES = [
    Objective(beta=0.3),
    Objective(lam=2.0, regularizer="weights", generator_penalty=0.5),
    Objective(beta=0.3, loss="classic"),
    Objective(generator_penalty=0.0, gradient_penalty=2.0),
    Objective(beta=0.3, r1=0.7, r2=1.3),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_gradients_of_the_game_are_those_of_its_payoff(objective):
    G, D = players("polynomial")
    game = ModuleGame(Payoff(G, D, objective))
    game.batch = Batch(draw(6, 3), draw(6, 2, seed=1), torch.rand(6).double() if objective.smooth else None)
    state, x_parts = game.players(), len(game.names_x)

    def payoff(*parts):
        return game.value(parts[:x_parts], parts[x_parts:])

    def change(index):
        moved = []
        for sign in (1, -1):
            parts = [p.clone() for p in state.x + state.y]
            parts[index].view(-1)[1] += sign * 1e-6
            moved.append(payoff(*parts).item())
        return (moved[0] - moved[1]) / 2e-6

    found = [part.view(-1)[1].item() for player in game.gradients(state.x, state.y) for part in player]
    skipped = x_parts if objective.smooth else 0  # the generator does not see the penalties on slopes
    assert found[skipped:] == pytest.approx([change(i) for i in range(skipped, len(found))], abs=1e-6)
    alone = [game.grad_x(state.x, state.y), game.grad_y(state.x, state.y)]
    assert [p.view(-1)[1].item() for player in alone for p in player] == pytest.approx(found, rel=1e-12)
    assert game.last.item() == pytest.approx(payoff(*state.x, *state.y).item())


class Tied(nn.Module):
    """A discriminator of two layers with one matrix of weights."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, X):
        return self.second(self.first(X)).sum(dim=1)


def test_shared_weights_move_together():
    torch.manual_seed(0)
    G, D, X, Z = LinearGenerator(2, 3).double(), Tied().double(), draw(6, 3), draw(6, 2, seed=1)
    G2, D2 = copy.deepcopy((G, D))
    train(G, D, X, Z, Objective(clip=1e9, generator_penalty=0.0), rates=0.1, steps=3, method="simultaneous")
    ends, parts = [*G.parameters(), *D.parameters()], [*G2.parameters(), *D2.parameters()]
    for _ in range(3):
        slopes = torch.autograd.grad(D2(X).mean() - D2(G2(Z)).mean(), parts)
        with torch.no_grad():
            for part, slope, rate in zip(parts, slopes, (-0.1, 0.1, 0.1, 0.1), strict=True):
                part += rate * slope
    assert all(torch.allclose(end, part, atol=1e-13) for end, part in zip(ends, parts, strict=True))


@pytest.mark.parametrize("lazy", [1, 3])
@pytest.mark.parametrize("method", ["simultaneous", "alternating"])
def test_the_relativistic_pairing_loss_with_both_penalties(method, lazy):
    """Against a loop of our own, where the slopes of quadratic neurons, 2 sum_j v_j (u_j . x) u_j, are a formula."""
    X, Z, objective = (
        draw(6, 3),
        draw(6, 2, seed=1),
        Objective(generator_penalty=0.2, loss="relativistic", r1=0.7, r2=1.3, lazy=lazy),
    )
    G, D = players("quadratic")
    D.bias, D.neurons = "none", nn.Parameter(D.neurons.detach()[:, :3].clone())
    mine = copy.deepcopy((G, D))

    def sizes(rows):
        u, _ = D.unit()
        return (2 * (rows @ u.T * D.outer) @ u).square().sum(1).mean()

    def step_y(weight):
        Y = G(Z).detach()
        gain = torch.log(torch.sigmoid(D(X) - D(Y))).mean() - weight * (0.35 * sizes(X) + 0.65 * sizes(Y))
        return list(torch.autograd.grad(gain, list(D.parameters())))

    def step_x():
        Y = G(Z)
        loss = -torch.log(torch.sigmoid(D(Y) - D(X))).mean() + 0.2 * Y.square().sum(1).mean()
        return list(torch.autograd.grad(loss, list(G.parameters())))

    for step in range(5):
        early = step_x()
        up = step_y(0 if step % lazy else lazy)
        with torch.no_grad():
            for p, g in zip(D.parameters(), up, strict=True):
                p.add_(0.05 * g)
        down = early if method == "simultaneous" else step_x()
        with torch.no_grad():
            for p, g in zip(G.parameters(), down, strict=True):
                p.sub_(0.02 * g)
            D.neurons.copy_(D.projected()["neurons"])
    train(*mine, X, Z, objective, method=method, rates=(0.02, 0.05), steps=5)
    for found, expected in zip(
        [*mine[0].parameters(), *mine[1].parameters()], [*G.parameters(), *D.parameters()], strict=True
    ):
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_the_transposed_derivative_is_that_of_the_gradients():
    game = ModuleGame(Payoff(*players("polynomial"), Objective(beta=0.3)))
    game.batch = Batch(draw(6, 3), draw(6, 2, seed=1))
    state = game.players()
    u, v = (tuple(draw(*p.shape, seed=3) for p in player) for player in (state.x, state.y))

    def total(x):
        gx, gy = game.gradients(x, state.y)
        return sum(float((a * b).sum()) for a, b in zip(gx + gy, u + v, strict=True))

    up, down = ((state.x[0] + sign * 1e-6 * (torch.arange(6).view(2, 3) == 4), state.x[1]) for sign in (1, -1))
    expected = (total(up) - total(down)) / 2e-6
    assert game.vjp(state.x, state.y, u, v)[0][0].view(-1)[4].item() == pytest.approx(expected, rel=1e-6)


def test_the_payoff_is_the_formula():
    G, D = players("quadratic")
    X, Z = draw(6, 3), draw(5, 2, seed=1)
    Y, D.bias = G(Z), D.bias
    wasserstein = D(X).mean() - D(Y).mean()
    expected = wasserstein + 2 * Y.square().sum(1).mean() - 0.3 * D.outer.abs().sum()
    assert Payoff(G, D, Objective(beta=0.3, generator_penalty=2.0))(X, Z).item() == pytest.approx(expected.item())
    weights = wasserstein + sum(p.square().sum() for p in G.parameters())
    assert Payoff(G, D, Objective(lam=1.0, regularizer="weights"))(X, Z).item() == pytest.approx(weights.item())
    on_real, on_fake = torch.sigmoid(D(X)), torch.sigmoid(D(Y))
    classic = (on_real.log().mean() + (1 - on_fake).log().mean()) / 2
    plain = Objective(lam=1.0, loss="classic", generator_penalty=0.0)
    assert Payoff(G, D, plain)(X, Z).item() == pytest.approx(classic.item())


@pytest.mark.parametrize("method", METHODS)
def test_the_loop_takes_the_steps_of_the_step_functions(method):
    X, Z, objective = draw(6, 3), draw(6, 2, seed=1), Objective(beta=0.3)
    game = ModuleGame(Payoff(*players("polynomial"), objective))
    game.batch, state = Batch(X, Z), game.players()
    for _ in range(3):
        state = METHODS[method](game, state, (0.02, 0.05))
        state = state._replace(y=game.projected(state.y))
    G, D = players("polynomial")
    run = train(G, D, X, Z, objective, method=method, rates=(0.02, 0.05), steps=3)
    assert run.outcome is Outcome.FINISHED and run.steps == 3
    for mine, expected in zip([*G.parameters(), *D.parameters()], state.x + state.y, strict=True):
        assert torch.equal(mine, expected)


@pytest.mark.parametrize("method", ["simultaneous", "alternating"])
def test_adam_is_that_of_torch(method):
    X, Z = draw(6, 3), draw(6, 2, seed=1)
    G, D = players()
    payoff = Payoff(*players(), Objective(lam=1e9))
    down = torch.optim.Adam(payoff.generator.parameters(), lr=0.02)
    up = torch.optim.Adam(payoff.discriminator.parameters(), lr=0.05, maximize=True)
    for _ in range(4):
        payoff.zero_grad()
        payoff(X, Z).backward()
        if method == "alternating":
            up.step()
            payoff.zero_grad()
            payoff(X, Z).backward()
            down.step()
        else:
            up.step(), down.step()
        with torch.no_grad():
            payoff.discriminator.neurons.copy_(payoff.discriminator.projected()["neurons"])
    train(G, D, X, Z, Objective(lam=1e9), method=method, optimizer="adam", rates=(0.02, 0.05), steps=4)
    assert G.weights.detach().numpy() == pytest.approx(payoff.generator.weights.detach().numpy(), abs=1e-9)
    assert D.outer.detach().numpy() == pytest.approx(payoff.discriminator.outer.detach().numpy(), abs=1e-9)


@pytest.mark.parametrize("method", ["optimistic", "extragradient"])
def test_a_certified_gap_ends_the_run(method):
    X, Z = rows(EIGENVALUES[:3]), rows(np.ones(3), 3)
    torch.manual_seed(0)
    G, D = LinearGenerator(3, 3).double(), TwoLayerDiscriminator(3, 4, "quadratic").double()
    run = train(G, D, X, Z, Objective(beta=1.0), method=method, rates=0.03, steps=6000, gap=1e-2, every=50)
    assert run.outcome is Outcome.OPTIMAL and run.steps < 6000
    optimum, last = cg.solve(X, Z, beta=1.0).value, run.history[-1]
    assert run.audit is not None and last["bound"] == pytest.approx(optimum)
    Y = G(torch.from_numpy(Z)).detach().numpy()
    assert last["value"] == pytest.approx(np.sum(Y**2) / len(Y)) == pytest.approx(optimum, rel=0.01)
    assert cg.ipm(X, Y, "quadratic").value <= 1 + 0.011 * 9


@pytest.mark.parametrize(
    "method", ["simultaneous", "alternating", "extragradient", "optimistic", "generative_minimization"]
)
def test_players_at_the_saddle_point_of_a_bounded_discriminator_stay(method):
    data, Z = rows(EIGENVALUES), rows(np.ones(5), 3)
    G, D = from_solution(cg.solve(data, Z, lam=2.5))
    run = train(G, D, data, Z, Objective(lam=2.5), method=method, rates=0.02, steps=20, gap=0)
    assert D.penalty().item() == pytest.approx(2.5)
    assert run.audit.optimal(1e-6) and run.audit.discriminator_gap == pytest.approx(0.0, abs=1e-6)


def test_averages_converge_where_the_iterates_circle():
    """Fixed generated rows and linear neurons: bilinear, whose simultaneous iterates spiral outward."""

    class Point(nn.Module):
        latent_dim = 1

        def __init__(self):
            super().__init__()
            self.at = nn.Parameter(torch.tensor([[0.5, -0.5]], dtype=torch.float64))

        def forward(self, Z):
            return self.at.expand(len(Z), 2)

    class Plane(nn.Module):
        def __init__(self):
            super().__init__()
            self.slope = nn.Parameter(torch.tensor([0.3, 0.4], dtype=torch.float64))

        def forward(self, X):
            return X @ self.slope

    X, objective = torch.tensor([[1.0, 2.0]], dtype=torch.float64), Objective(generator_penalty=0.0)
    ends = {}
    for averaged in (False, True):
        G, D = Point(), Plane()
        train(G, D, X, 1, objective, method="simultaneous", rates=0.05, steps=1000, averaged=averaged)
        ends[averaged] = float((G.at.detach() - X).norm()), float(D.slope.detach().norm())
    assert max(ends[True]) < 0.2 and ends[False][0] > 2.0 and ends[False][1] > 0.5


def test_an_exponential_average_is_of_the_generator_alone():
    """A decay of 0.2: of the last tenth of the steps, until 0.2 old + 0.8 new is more than that."""
    X, Z, objective = draw(6, 3), draw(6, 2, seed=1), Objective(beta=0.3)
    iterates, mean = [], None
    for steps in range(1, 8):
        G, D = players()
        train(G, D, X, Z, objective, rates=0.05, steps=steps)
        iterates.append(G.weights.detach())
        share = max(0.8, 1 / (1 + 0.1 * (steps - 1)))
        mean = iterates[-1] if steps == 1 else (1 - share) * mean + share * iterates[-1]
        A, B = players()
        train(A, B, X, Z, objective, rates=0.05, steps=steps, averaged=0.2)
        assert torch.allclose(A.weights, mean, atol=1e-14) and torch.equal(B.outer, D.outer)
    for decay in (1.0, 0.0, 1.5):
        with pytest.raises(ValueError, match="averaged must be"):
            train(G, D, X, Z, objective, averaged=decay)


def test_projections_and_clipping_hold():
    X, Z = draw(20, 3), draw(20, 2, seed=1)
    G, D = players("relu")
    train(G, D, X, Z, Objective(lam=0.7), rates=0.3, steps=20)
    assert D.penalty().item() <= 0.7 + 1e-12
    assert torch.allclose(D.neurons.norm(dim=1), torch.ones(4, dtype=torch.float64))
    D = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1)).double()
    train(G, D, X, Z, Objective(clip=0.05, generator_penalty=0.0), rates=0.3, steps=20)
    assert max(float(p.detach().abs().max()) for p in D.parameters()) == pytest.approx(0.05)


def test_divergence_is_reported_and_the_last_finite_players_are_kept():
    G, D = players()
    run = train(G, D, draw(20, 3), draw(20, 2, seed=1), Objective(beta=0.1), rates=30.0, steps=5000, every=5000)
    assert run.outcome is Outcome.DIVERGED and run.steps < 5000 and "lower the rates" in str(run)
    assert all(torch.isfinite(p).all() for p in G.parameters())


def test_slow_explosions_are_divergence_too():
    class Number(nn.Module):
        latent_dim = 1

        def __init__(self):
            super().__init__()
            self.at = nn.Parameter(torch.ones(1, 1, dtype=torch.float64))

        def forward(self, Z):
            return self.at * Z

    one, objective = torch.ones(1, 1, dtype=torch.float64), Objective(generator_penalty=0.0)
    run = train(Number(), Number(), 2 * one, one, objective, method="simultaneous", rates=0.5, steps=900)
    assert run.outcome is Outcome.DIVERGED and run.steps < 900
    assert math.isfinite(run.history[-1]["payoff"])


def test_callbacks_write_history_and_see_the_players():
    G, D = players()
    seen = []

    def callback(step, generator, discriminator):
        seen.append((step, generator.training, discriminator is D))
        return {"size": float(generator.weights.norm())}

    run = train(G, D, draw(9, 3), None, Objective(beta=0.3), steps=25, every=10, batch=4, callbacks=[callback])
    assert seen == [(0, False, True), (10, False, True), (20, False, True), (25, False, True)] and G.training
    assert run.history[-1]["size"] == float(G.weights.detach().norm())
    assert [row["step"] for row in run.history] == [0, 10, 20, 25]


def test_a_keyboard_interrupt_leaves_players():
    def callback(step, generator, discriminator):
        if step == 10:
            raise KeyboardInterrupt

    G, D = players()
    run = train(G, D, draw(9, 3), None, Objective(beta=0.3), steps=25, every=10, callbacks=[callback])
    assert run.outcome is Outcome.INTERRUPTED and run.steps == 10


# -- checkpoints -------------------------------------------------------------------------------------------------

SCRIPT = """
import sys, time
from pathlib import Path
from tests.test_torch_training import continued
continued("adam", Path(sys.argv[1]), 10**9, [lambda step, G, D: time.sleep(0.05)])
"""


def continued(kind, path, steps, callbacks=()):
    """A run with everything that has a memory, or what a file holds of it, up to so many steps; its end as bytes."""
    torch.set_num_threads(1)  # as in the killed process: the last bits of a sum depend on the number of threads
    torch.manual_seed(0)
    X = np.random.default_rng(0).standard_normal((40, 3))
    G = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3))
    D = TwoLayerDiscriminator(3, 4, "relu")
    options = {"objective": Objective(beta=0.1), "method": kind}
    if kind == "adam":
        options |= {"method": "alternating", "optimizer": "adam", "averaged": True}
    if kind == "relativistic":  # as pictures are trained
        options |= {"method": "alternating", "optimizer": partial(adam, betas=(0.0, 0.99)), "averaged": 0.9}
        options["objective"] = Objective(generator_penalty=0.0, loss="relativistic", r1=1.0, r2=1.0, lazy=4)
    if kind == "exact":
        D = ExactDiscriminatorLoss(X.astype(np.float32), "relu", bias="penalized", directions=3)
        options = {"method": "simultaneous"}
    train(G, D, X, 2, steps=steps, batch=8, every=7, checkpoint=path, rng=3, callbacks=callbacks, **options)
    return b"".join(p.numpy().tobytes() for p in [*G.state_dict().values(), *D.state_dict().values()])


def test_a_killed_run_continues_bit_for_bit(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(killed)], env=environment)
    while not killed.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    reached = train_steps(killed)
    assert continued("adam", killed, reached + 14) == continued("adam", tmp_path / "whole", reached + 14)


def train_steps(path):
    """The steps taken in a checkpoint."""
    with safetensors.safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["convexgan"])["content"]["dict"]["count"]


@pytest.mark.parametrize("kind", ["optimistic", "generative_minimization", "exact", "relativistic"])
def test_a_failed_run_continues_bit_for_bit(kind, tmp_path):
    def fail(step, generator, discriminator):
        if step == 21:
            raise MemoryError

    with pytest.raises(MemoryError):
        continued(kind, tmp_path / "failed", 35, [fail])
    assert train_steps(tmp_path / "failed") == 14
    assert continued(kind, tmp_path / "failed", 35) == continued(kind, tmp_path / "whole", 35)


def test_checkpoints_of_another_run_or_damaged_ones_are_refused(tmp_path):
    X, path = draw(9, 3), tmp_path / "run"

    def go(d=3, **options):
        return train(*players(d=d), X[:, :d], None, Objective(beta=0.3), steps=10, every=5, checkpoint=path, **options)

    first = go()
    assert [row["step"] for row in go().history] == [row["step"] for row in first.history] == [0, 5, 10]
    with pytest.raises(ValueError, match="whose method was 'alternating' and not 'optimistic'"):
        go(method="optimistic")
    with pytest.raises(ValueError, match="whose data"):
        go(d=2)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged"):
        go()
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="damaged"):
        go()


# -- bad input ---------------------------------------------------------------------------------------------------


def test_bad_input_is_named_at_the_first_step():
    X, (G, D), objective = draw(9, 3), players(), Objective(beta=0.3)
    with pytest.raises(ValueError, match="Did you mean 'extragradient'"):
        train(G, D, X, None, objective, method="extra-gradient")
    with pytest.raises(ValueError, match="Did you mean 'adam'"):
        train(G, D, X, None, objective, optimizer="adams")
    with pytest.raises(ValueError, match="optimizer is for the methods"):
        train(G, D, X, None, objective, method="extragradient", optimizer="adam")
    with pytest.raises(ValueError, match=r"samples of shape \(3,\), the data has \(4,\)"):
        train(G, TwoLayerDiscriminator(4, 2).double(), draw(9, 4), None, objective)
    with pytest.raises(ValueError, match=r"takes samples of 3 numbers, got shape \(9, 12\)"):
        train(TwoLayerGenerator(2, 12, 3).double(), D, draw(9, 12), None, objective)
    with pytest.raises(ValueError, match=r"the discriminator makes \(9, 2\)"):
        train(G, nn.Linear(3, 2).double(), X, None, Objective(clip=1.0))
    with pytest.raises(ValueError, match=r"different devices.*cpu.*meta"):
        train(G, D.to("meta"), X, None, objective)
    with pytest.raises(ValueError, match="different precision"):
        train(G, TwoLayerDiscriminator(3, 4), X, None, objective)
    G, D = players()
    with pytest.raises(ValueError, match="not finite"), torch.no_grad():
        G.weights.fill_(math.inf)
        train(G, D, X, None, objective)
    for rates in (-0.1, (0.1, -0.1)):
        with pytest.raises(ValueError, match="rates must be finite and >= 0"):
            train(*players(), X, None, objective, rates=rates)
    with pytest.raises(ValueError, match="data has NaN"):
        train(*players(), X * math.nan, None, objective)
    with pytest.raises(ValueError, match="latents is missing"):
        train(nn.Linear(2, 3).double(), D, X, None, objective)
    with pytest.raises(ValueError, match=r"do not fit data of shape \(9, 3\)"):
        train(players()[0], nn.Linear(5, 1).double(), X, None, Objective(clip=1.0))
    with pytest.raises(ValueError, match="nothing bounds the discriminator"):
        train(*players(), X)
    with pytest.raises(ValueError, match=r"has no penalty\(\)"):
        train(players()[0], nn.Linear(3, 1).double(), X, None, objective)
    with pytest.raises(ValueError, match="exactly one of beta and lam"):
        Objective(beta=1.0, lam=1.0)
    with pytest.raises(ValueError, match="consensus and unrolled"):
        train(players()[0], ExactDiscriminatorLoss(X), X, method="unrolled")
    with pytest.raises(ValueError, match="is not a zero-sum game, which method='unrolled'"):
        train(G, D, X, None, Objective(lam=1.0, loss="relativistic"), method="unrolled")
    with pytest.raises(ValueError, match="has no duality gap"):
        duality_gap(G, D, X, objective=Objective(lam=1.0, loss="relativistic"))
    with pytest.raises(ValueError, match="its own lam and beta"):
        train(players()[0], ExactDiscriminatorLoss(X), X, None, objective)
    for judge in (train, duality_gap):
        with pytest.raises(ValueError, match=r"discriminator must be a torch module, got 'quadratic': pass TwoLayerDi"):
            judge(G, "quadratic", X)
        with pytest.raises(ValueError, match="generator must be a torch module, got ndarray: pass LinearGenerator"):
            judge(X.numpy(), D, X)


def test_batches_larger_than_the_data_are_drawn_with_replacement():
    G, D = players()
    run = train(G, D, draw(9, 3), None, Objective(beta=0.3), batch=64, steps=5)
    assert run.steps == 5 and G.weights.isfinite().all()


def test_a_step_function_of_ones_own_is_a_method():
    results = []
    for method in ("extragradient", extragradient, partial(alternating, transform=partial(adam, betas=(0.5, 0.9)))):
        G, D = players()
        train(G, D, draw(9, 3), draw(9, 2, seed=1), Objective(beta=0.3), method=method, steps=5)
        results.append(G.weights.detach().numpy())
    assert (results[0] == results[1]).all() and abs(results[0] - results[2]).max() > 1e-3


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # dynamo's own look at its inputs
def test_compiled_players_take_the_same_steps():
    X, Z, ends = draw(9, 3), draw(9, 2, seed=1), []
    for compiled in (False, True):
        G, D = players()
        pair = [torch.compile(module, backend="eager") for module in (G, D)] if compiled else (G, D)
        run = train(*pair, X, Z, Objective(lam=0.4), rates=0.05, steps=5, gap=0.0)
        ends.append((G.weights.detach().numpy(), D.neurons.detach().numpy(), run.history[-1]["bound"]))
    assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # dynamo's own look at its inputs
@pytest.mark.parametrize("penalty", ["gradient_penalty", "r1", "r2"])
def test_penalties_on_slopes_go_through_the_module_that_was_compiled(penalty):
    """Backends but "eager" do not differentiate twice."""
    data, ends = draw(12, 3), []
    for compiled in (False, True):
        torch.manual_seed(0)
        G, D = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.Linear(4, 1))
        pair = [torch.compile(module, backend="aot_eager") for module in (G, D)] if compiled else (G, D)
        train(*pair, data, draw(12, 2, seed=1), Objective(**{penalty: 1.0}), rates=0.05, steps=3, rng=0)
        ends.append([parameter.detach().numpy() for module in (G, D) for parameter in module.parameters()])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_bar_shows_value_gap_and_violation(capfd):
    torch.manual_seed(0)
    G, D = players()
    train(G, D, draw(9, 3), None, Objective(beta=0.3), steps=20, every=10, gap=0.0, progress=True)
    printed = capfd.readouterr()
    assert printed.out == "" and all(name in printed.err for name in ("payoff", "value", "gap", "violation", "steps/s"))


def test_several_steps_of_the_discriminator_see_a_batch_each():
    data, objective, options = draw(40, 3), Objective(clip=0.5, generator_penalty=0.1), {"batch": 4, "rates": 0.01}
    torch.manual_seed(0)
    G, D = nn.Linear(2, 3).double(), nn.Linear(3, 1).double()
    ours = copy.deepcopy(G), copy.deepcopy(D)
    steps = partial(alternating, ascents=3)
    train(*ours, data, 2, objective, method=steps, optimizer="adam", steps=4, every=4, **options)
    batches, game = Batches(data, 2, 4, G, 0), ModuleGame(Payoff(G, D, objective))
    (x, y, _), memory_x, memory_y = game.players(), None, None
    for _ in range(4):
        for _ in range(3):
            game.batch = batches.draw()
            step_y, memory_y = adam(game.grad_y(x, y), memory_y)
            y = game.projected(move(y, 0.01, step_y))
        step_x, memory_x = adam(game.grad_x(x, y), memory_x)
        x = descend(x, 0.01, step_x)
    found = [part for player in ours for part in player.parameters()]
    assert all(torch.allclose(a, b, rtol=1e-12) for a, b in zip(found, (*x, *y), strict=True))
    with pytest.raises(ValueError, match="optimizer is for the methods"):
        train(*ours, data, 2, objective, method=partial(steps, transform=adam), optimizer="adam", steps=1, **options)
