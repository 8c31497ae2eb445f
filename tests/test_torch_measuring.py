"""Measurements see modules in evaluation mode, and leave them and the random numbers as they are."""

from __future__ import annotations

import random
import sys
import tracemalloc
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

import convexgan as cg
from convexgan.torch import Objective, TwoLayerDiscriminator, audit, duality_gap, train
from tests.documents import ROOT, blocks

X = np.random.default_rng(0).standard_normal((60, 3))
GAME = Objective(beta=0.1)


class Noisy(nn.Module):
    """Counts its calls in buffers, changes a weight, makes a buffer and draws, in every mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("replaced", torch.zeros(()))
        self.register_buffer("late", None)
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, z):
        self.calls += 1
        self.replaced = self.replaced + 1
        self.late = torch.ones(2)
        self.scale.data *= 0.99
        return self.layer(z) * self.scale + 0 * (torch.randn(3) + np.random.rand() + random.random())


class Normed(nn.Module):
    """Spectral norms of both kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.utils.spectral_norm(nn.Linear(4, 8))
        self.last = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 3))

    def forward(self, z):
        return self.last(torch.relu(self.first(z)))


class Upsampled(nn.Module):
    """A generator of DCGAN's kind: latents (n, 5, 1, 1), pictures (n, 1, 3, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ConvTranspose2d(5, 1, 3)

    def forward(self, z):
        return self.layer(z)


def normalised() -> nn.Module:
    made = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    made(3 * torch.randn(500, 4))  # running means that are not those of the next batch
    return made


MEASURES = {
    "audit": lambda G, D: audit(G, "quadratic", X, 4, GAME),
    "audit, relu": lambda G, D: audit(G, "relu", X, 4, GAME, samples=50, time_limit=1.0),
    "duality_gap": lambda G, D: duality_gap(G, D, X, 4, GAME, steps=2, batches=2),
    "duality_gap, estimated": lambda G, D: duality_gap(G, D, X, 4, GAME, exact=False, steps=2, batches=2),
    "monitoring": lambda G, D: train(
        G, D, X, 4, GAME, steps=0, gap=0.0, callbacks=[lambda step, G, D: G(torch.ones(2, 4)).sum() and None]
    ),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("make", [normalised, Noisy, Normed])
@pytest.mark.parametrize("mode", [True, False])
def test_modules_modes_tensors_and_random_numbers_are_as_before(name, make, mode):
    torch.manual_seed(0)
    G, D = make().train(mode), TwoLayerDiscriminator(3, 4, "quadratic")
    G(torch.ones(2, 4)).sum().backward()
    tensors = dict((*G.state_dict(keep_vars=True).items(), *D.state_dict(keep_vars=True).items()))
    before = {key: tensor.detach().clone() for key, tensor in tensors.items()}
    slopes = {key: None if tensor.grad is None else tensor.grad.clone() for key, tensor in tensors.items()}
    asked = {key: tensor.requires_grad for key, tensor in tensors.items()}
    drawn = torch.get_rng_state(), repr(np.random.get_state()), random.getstate()
    MEASURES[name](G, D)
    assert torch.equal(torch.get_rng_state(), drawn[0])
    assert (repr(np.random.get_state()), random.getstate()) == drawn[1:]
    assert all(part.training is mode for part in G.modules()) and D.training
    after = dict((*G.state_dict(keep_vars=True).items(), *D.state_dict(keep_vars=True).items()))
    assert after.keys() == before.keys()
    for key, tensor in after.items():
        assert tensor is tensors[key] and torch.equal(tensor, before[key]) and tensor.requires_grad is asked[key]
        assert (tensor.grad is None) is (slopes[key] is None)
        assert tensor.grad is None or torch.equal(tensor.grad, slopes[key])


def test_a_measurement_within_a_step_of_the_callers_leaves_its_graph():
    G = normalised()
    payoff = G(torch.ones(5, 4)).square().sum()
    audit(G, "quadratic", X, 4, GAME)
    payoff.backward()  # what the graph holds was not touched


@pytest.mark.parametrize("name", MEASURES)
def test_lazy_modules_are_refused(name):
    G, D = nn.Sequential(nn.LazyLinear(3)), TwoLayerDiscriminator(3, 4, "quadratic")
    with pytest.raises(ValueError, match=r"Sequential is lazy, its 0\.weight has no shape yet: call it once"):
        MEASURES[name](G, D)


def test_an_audit_is_of_the_generator_that_will_be_used():
    torch.manual_seed(0)
    G = normalised()
    found = audit(G, "quadratic", X, 4, GAME, samples=500).certificate.value
    latents = cg.GaussianLatent(4).sample(500, np.random.default_rng(0))
    used = G.eval()(torch.as_tensor(latents).float()).detach().double().numpy()
    assert found == pytest.approx(float((used**2).sum(axis=1).mean()), rel=1e-6)


def test_latents_of_any_shape():
    torch.manual_seed(0)
    G, D = Upsampled(), TwoLayerDiscriminator(9, 4, "quadratic")
    Z = torch.randn(60, 5, 1, 1)
    pictures = np.random.default_rng(1).standard_normal((60, 1, 3, 3))
    found = audit(G, D, pictures, Z, GAME).certificate
    rows = G(Z).detach().double().numpy().reshape(60, -1)
    assert found.value == pytest.approx(float((rows**2).sum(axis=1).mean()), rel=1e-6)
    assert train(G, D, pictures, Z, GAME, steps=2).steps == 2


def test_a_term_that_is_infinite_makes_an_interval_that_is():
    torch.manual_seed(0)
    G, D = Upsampled(), TwoLayerDiscriminator(9, 4, "quadratic")
    pictures = np.random.default_rng(1).standard_normal((60, 1, 3, 3)) + 5
    found = duality_gap(G, D, pictures, torch.randn(60, 5, 1, 1), GAME, steps=1, batches=2)
    assert found.exact[0] and (found.value, found.low, found.high) == (np.inf, np.inf, np.inf)


class Module(nn.Module):
    """What Lightning gives a callback: the players, and where numbers are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.discriminator, self.logged = nn.Linear(2, 3), nn.Linear(3, 1), {}

    def log(self, name, value):
        assert isinstance(value, float)
        self.logged[name] = value

    def log_dict(self, numbers):
        for name, value in numbers.items():
            self.log(name, value)


def test_the_callback_of_the_documentation_logs_both_measures(monkeypatch):
    stub = ModuleType("lightning")
    stub.Callback = object
    monkeypatch.setitem(sys.modules, "lightning", stub)
    (code,) = (code for language, code in blocks(ROOT / "docs" / "torch.md") if language == "py")
    names = {"audit": audit, "duality_gap": duality_gap, "Objective": Objective, "X": X, "held_out": X}
    exec(code, names)
    module = Module().train()
    before = {name: part.clone() for name, part in module.state_dict().items()}
    names["Distance"]().on_train_epoch_end(None, module)
    assert {"value", "bound", "gap", "violation", "duality_gap"} <= module.logged.keys()
    assert module.training and module.generator.training
    assert all(torch.equal(before[name], part) for name, part in module.state_dict().items())
    known = audit(module.generator, "quadratic", X, 2, Objective(beta=1.0), samples=500).numbers()
    assert all(module.logged[name] == number for name, number in known.items())


def test_an_audit_of_wide_samples_keeps_eight_matrices_at_most():
    d = 512
    torch.manual_seed(0)
    made, real = torch.rand(1200, d).numpy(), np.random.default_rng(0).standard_normal((100, d))
    found = audit(made, "quadratic", real, objective=Objective(beta=1.0))  # what is loaded at the first call
    tracemalloc.start()
    again = audit(made, "quadratic", real, objective=Objective(beta=1.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert again.certificate == found.certificate and peak < 8.5 * 8 * d**2
