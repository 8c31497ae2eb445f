"""Torch players: their formulas, gradients and norms, and the way from a solution and back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import convexgan as cg
from convexgan.torch import (
    FreeGenerator,
    LinearGenerator,
    TwoLayerDiscriminator,
    TwoLayerGenerator,
    from_solution,
    to_critic,
    to_generator,
)
from convexgan.torch.modules import nearest_in_l1_ball
from tests.generators import EIGENVALUES, rows

ACTIVATIONS = ["linear", "quadratic", "polynomial", "relu", cg.discriminators.ReLU(0.2)]
SEEDS = st.integers(0, 1000)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@pytest.mark.parametrize("bias", ["none", "penalized", "free"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_scores_are_those_of_the_array_discriminator(activation, bias):
    D, X = TwoLayerDiscriminator(3, 5, activation, bias=bias, dtype=torch.float64), draw(7, 3)
    with torch.no_grad():
        D.neurons.copy_(3 * draw(*D.neurons.shape, seed=1))
        D.outer.copy_(draw(5, seed=2))
    critic = to_critic(D)
    norms = np.sum(critic.neurons**2, axis=1) + (critic.biases**2 if bias == "penalized" else 0)
    assert norms == pytest.approx(np.ones(5))
    assert D(X).detach().numpy() == pytest.approx(critic(X.numpy()))
    assert D.penalty().item() == pytest.approx(critic.norm)
    turned = D.projected(lam=0.5)
    assert to_critic_of(turned["neurons"], D) == pytest.approx(critic.neurons)
    assert turned["outer"].abs().sum().item() == pytest.approx(0.5)


def to_critic_of(neurons, like):
    copy = TwoLayerDiscriminator(like.dim, len(neurons), like.activation, bias=like.bias, dtype=neurons.dtype)
    with torch.no_grad():
        copy.neurons.copy_(neurons)
        assert copy.unit()[0].numpy() == pytest.approx(neurons[:, : like.dim].detach().numpy())
    return to_critic(copy).neurons


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_gradients(activation):
    for bias in ("none", "penalized"):
        D = TwoLayerDiscriminator(3, 4, activation, bias=bias, dtype=torch.float64)
        assert_gradients(D, draw(6, 3))
    if activation != "linear":
        assert_gradients(TwoLayerGenerator(2, 3, 4, activation, dtype=torch.float64), draw(6, 2))


@pytest.mark.parametrize("bias", [False, True])
def test_gradients_of_linear_generators(bias):
    assert_gradients(LinearGenerator(2, 3, bias=bias, dtype=torch.float64), draw(6, 2))


def assert_gradients(module, inputs):
    names = [name for name, _ in module.named_parameters()]

    def run(inputs, *parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (inputs,))

    parameters = [p.detach().clone().requires_grad_() for p in module.parameters()]
    assert torch.autograd.gradcheck(run, (inputs.clone().requires_grad_(), *parameters))
    assert torch.autograd.gradgradcheck(run, (inputs.clone().requires_grad_(), *parameters))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_modules_compile_in_one_graph_and_keep_their_precision(dtype):
    X = draw(5, 3).to(dtype)
    for activation in ("relu", "polynomial"):
        for module in (
            TwoLayerDiscriminator(3, 4, activation, bias="penalized"),
            TwoLayerGenerator(3, 2, 4, activation),
        ):
            module = module.to(dtype)
            compiled = torch.compile(module, backend="eager", fullgraph=True)
            assert compiled(X).dtype == dtype
            assert torch.equal(compiled(X), module(X))


def test_pictures_are_flattened():
    D, X = TwoLayerDiscriminator(12, 4), torch.randn(5, 3, 2, 2)
    assert torch.equal(D(X), D(X.reshape(5, 12)))


def test_only_the_direction_of_a_neuron_matters():
    D, X = TwoLayerDiscriminator(3, 4, "polynomial", dtype=torch.float64), draw(5, 3)
    before = D(X)
    with torch.no_grad():
        D.neurons.mul_(torch.tensor([[0.1], [2.0], [30.0], [1.0]]))
    assert torch.allclose(D(X), before, rtol=1e-12)


@given(SEEDS, st.floats(0.0, 5.0))
def test_projection_is_the_nearest_point_of_the_ball(seed, radius):
    v = np.random.default_rng(seed).standard_normal(6)
    low, high = 0.0, float(np.abs(v).max())
    for _ in range(100):  # the threshold by bisection
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(np.abs(v) - middle, 0).sum() > radius else (low, middle)
    expected = np.sign(v) * np.maximum(np.abs(v) - (high if np.abs(v).sum() > radius else 0), 0)
    assert nearest_in_l1_ball(torch.from_numpy(v), radius).numpy() == pytest.approx(expected, abs=1e-12)


# -- solutions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("discriminator", ["linear", "quadratic", "polynomial"])
@pytest.mark.parametrize("generator", [cg.generators.Linear(bias=True), "free", "polynomial"], ids=str)
def test_solutions_become_players_and_come_back(discriminator, generator):
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((60, 4)) * [3, 2, 1, 0.5] + 0.3, rng.standard_normal((50, 3)) + 0.1
    beta = {"linear": 0.2, "quadratic": 2.0, "polynomial": 0.4}[discriminator]
    sol = cg.solve(X, Z, discriminator=discriminator, generator=generator, beta=beta)
    assert sol.generator is not None and sol.discriminator is not None
    assert len(sol.discriminator.outer) > 0
    G, D = from_solution(sol)
    fake = sol.generator(Z)
    assert G(torch.from_numpy(Z)).detach().numpy() == pytest.approx(fake, abs=1e-10)
    assert D(torch.from_numpy(X)).detach().numpy() == pytest.approx(sol.discriminator(X), rel=1e-10)
    back = to_generator(G, cg.statistics.latents.as_latent(Z))
    assert back(Z) == pytest.approx(fake, abs=1e-10)
    single = from_solution(sol, dtype=torch.float32)
    assert {p.dtype for module in single for p in module.parameters()} == {torch.float32}


def test_biases_of_solutions_are_kept():
    rng = np.random.default_rng(0)
    line = rng.standard_normal((12, 1)) + 2
    free = cg.solve(line, discriminator="relu", generator="free", bias="free", beta=0.1)
    charged = cg.solve(line, discriminator="relu", generator=cg.generators.Mixture(), bias="penalized", beta=0.1)
    for sol, kind in ((free, "free"), (charged, "penalized")):
        sol = sol if kind == "free" else with_rows(sol)
        D = from_solution(sol)[1]
        assert D.bias == kind
        assert D(torch.from_numpy(line)).detach().numpy() == pytest.approx(sol.discriminator(line), abs=1e-12)


def with_rows(solution):
    """The solution with rows drawn from its mixture."""
    from dataclasses import replace

    with pytest.raises(ValueError, match="FreeGenerator"):
        from_solution(solution)
    return replace(solution, generator=cg.generators.FreeGenerator(solution.generator.sample(9, 0)))


def test_the_optimum_is_a_stationary_point_of_the_payoff():
    X, Z = rows(EIGENVALUES), rows(np.ones(5), 3)
    G, D = from_solution(cg.solve(X, Z, beta=1.0))
    real, latent = torch.from_numpy(X), torch.from_numpy(Z)
    fake = G(latent)
    payoff = D(real).mean() - D(fake).mean() + fake.square().sum(1).mean() - D.penalty()
    assert payoff.item() == pytest.approx(16.5)
    payoff.backward()
    gradients = [p.grad for module in (G, D) for p in module.parameters()]
    assert max(float(g.abs().max()) for g in gradients) < 1e-12


def test_what_cannot_be_converted_says_so():
    unsolved = cg.solve(np.eye(3), np.ones((4, 1)), beta=0.01, throw=False)
    with pytest.raises(ValueError, match="infeasible"):
        from_solution(unsolved)
    with pytest.raises(ValueError, match="a Sequential has no counterpart"):
        to_generator(torch.nn.Sequential(TwoLayerGenerator(2, 3, 4)), cg.GaussianLatent(2))
    with pytest.raises(ValueError, match="Did you mean 'relu'"):
        TwoLayerDiscriminator(3, 4, "rellu")
    assert to_generator(FreeGenerator(torch.ones(2, 3)), cg.GaussianLatent(1))(None).shape == (2, 3)


def test_a_missing_extra_is_named():
    code = "import sys; sys.modules['torch'] = None; import convexgan.torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith("convexgan.torch needs torch: pip install 'convexgan[torch]'.")


def test_relu_generators_go_to_torch_and_back():
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((12, 2)), rng.standard_normal((12, 3))
    sol = cg.solve(X, Z, generator="relu", beta=0.2)
    G, _ = from_solution(sol)
    again = to_generator(G, sol.generator.latent)
    for made in (G(torch.from_numpy(Z)).detach().numpy(), again(Z)):
        assert np.allclose(made, sol.generator(Z), atol=1e-12) and np.abs(made).max() > 0.1
    leaky = TwoLayerGenerator(3, 2, 4, cg.discriminators.ReLU(0.1))
    with pytest.raises(ValueError, match="leaky"):
        to_generator(leaky, sol.generator.latent)
    shifted = cg.solve(X, Z, generator=cg.generators.TwoLayerReLU(bias=True), beta=0.2)
    with pytest.raises(ValueError, match="have biases"):
        from_solution(shifted)
