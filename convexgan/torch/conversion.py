"""From solutions to torch players and back: start at an optimum, read a trained net."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convexgan import discriminators, generators
from convexgan.discriminators.activation import is_kinked, needs_rows
from convexgan.generators import Generator
from convexgan.records.solution import Solution
from convexgan.statistics.latents import Latent, quadratic_features
from convexgan.torch.modules import FreeGenerator, LinearGenerator, TwoLayerDiscriminator, TwoLayerGenerator

Critic = discriminators.TwoLayerDiscriminator


def from_solution(
    solution: Solution, *, dtype: torch.dtype = torch.float64, device: Any = None
) -> tuple[nn.Module, TwoLayerDiscriminator]:
    """Both players of a solution as modules, to start training at the optimum.

    Linear, two-layer and free generators become `LinearGenerator`, `TwoLayerGenerator` and `FreeGenerator`; a mixture
    is a law without latents and is refused.

    Raises
    ------
    ValueError
        The solution has no players, or its generator no module.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> from convexgan.torch import from_solution
    >>> sol = cg.solve(np.diag([3.0, 2.0, 1.0]), cg.GaussianLatent(3), beta=0.1)
    >>> G, D = from_solution(sol)
    >>> G
    LinearGenerator()
    """
    if solution.generator is None or solution.discriminator is None:
        raise ValueError(f"the solution has no players: its status is {solution.status.value!r}.")
    generator, critic = as_module(solution.generator), _discriminator(solution.discriminator)
    generator.to(dtype=dtype, device=device)
    critic.to(dtype=dtype, device=device)
    return generator, critic


def as_two_layer(discriminator: Any) -> Any:
    """A discriminator Linear, ReLU or LeakyReLU, Linear(.., 1) as a `TwoLayerDiscriminator`, any other as it is.

    Neurons become unit vectors, with their biases if there are any, and outer weights take up their norms. What it adds
    to all scores alike is left out. Layers in front that only flatten samples are passed over.
    """
    if not isinstance(discriminator, nn.Sequential):
        return discriminator
    layers: list[Any] = [part for part in discriminator if not isinstance(part, nn.Flatten)]
    if len(layers) != 3 or not (isinstance(layers[0], nn.Linear) and isinstance(layers[2], nn.Linear)):
        return discriminator
    first, kink, last = layers
    if not isinstance(kink, nn.ReLU | nn.LeakyReLU) or last.out_features != 1:
        return discriminator
    slope = kink.negative_slope if isinstance(kink, nn.LeakyReLU) else 0.0
    bias = "none" if first.bias is None or not first.bias.detach().any() else "penalized"
    made = TwoLayerDiscriminator(first.in_features, first.out_features, discriminators.ReLU(slope), bias=bias)
    made.to(first.weight)
    with torch.no_grad():
        columns = first.weight if bias == "none" else torch.cat([first.weight, first.bias[:, None]], dim=1)
        sizes = torch.linalg.vector_norm(columns, dim=1)
        made.neurons.copy_(torch.where(sizes[:, None] > 0, columns / sizes.clamp_min(1e-30)[:, None], made.neurons))
        made.outer.copy_(last.weight[0] * sizes)
    return made


def to_critic(discriminator: nn.Module) -> Critic:
    """The discriminator as a callable on arrays, with unit neurons in float64.

    Parameters
    ----------
    discriminator : TwoLayerDiscriminator, or nn.Sequential of Linear, ReLU (or LeakyReLU) and Linear

    Raises
    ------
    ValueError
        The discriminator has no counterpart.
    """
    discriminator = as_two_layer(discriminator)
    if not isinstance(discriminator, TwoLayerDiscriminator):
        raise ValueError(f"a {type(discriminator).__name__} has no counterpart in convexgan.discriminators.")
    with torch.no_grad():
        u, b = discriminator.unit()
    biases = np.zeros(0) if b is None else array(b)
    return Critic(array(u), array(discriminator.outer), discriminator.activation, biases)


def to_generator(generator: nn.Module, latent: Latent) -> Generator:
    """The generator as those of `convexgan.solve`, to sample from and to save; other modules are refused.

    Parameters
    ----------
    generator : LinearGenerator, TwoLayerGenerator with ReLU or polynomial activation, or FreeGenerator
    latent : GaussianLatent, or what `convexgan.statistics.latents.as_latent` makes of an array
        What it samples from.

    Raises
    ------
    ValueError
        The generator has no counterpart.
    """
    if isinstance(generator, LinearGenerator):
        bias = np.zeros(generator.dim) if generator.bias is None else array(generator.bias)
        return generators.LinearGenerator(array(generator.weights), bias, latent)
    if isinstance(generator, FreeGenerator):
        return generators.FreeGenerator(array(generator.points))
    if isinstance(generator, TwoLayerGenerator):
        return _two_layer(generator, latent)
    raise ValueError(
        f"a {type(generator).__name__} has no counterpart in convexgan.generators: sample its rows and certify those."
    )


def _two_layer(generator: TwoLayerGenerator, latent: Latent) -> Generator:
    activation, hidden, outer = generator.activation, array(generator.hidden), array(generator.outer)
    if not needs_rows(activation):
        spec = generators.TwoLayerPolynomial(*activation.coefficients)
        return generators.PolynomialGenerator(_lifted(spec, hidden).T @ outer, spec, latent)
    if not is_kinked(activation) or activation.slope:
        kind = "leaky" if is_kinked(activation) else activation.name
        raise ValueError(
            f"{kind} hidden neurons have no counterpart in convexgan.generators: certify the rows instead."
        )
    return generators.ReLUGenerator(hidden, np.zeros(len(hidden)), outer, latent)


def array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A float64 array with the tensor's entries."""
    return tensor.detach().cpu().double().numpy().copy()


def _parameter(values: np.ndarray[Any, Any]) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.array(values, dtype=np.float64, order="C")))


def _discriminator(critic: Critic) -> TwoLayerDiscriminator:
    sizes = np.sum(critic.neurons**2, axis=1)
    free = bool(np.any(np.abs(sizes + critic.biases**2 - 1) > 1e-9))
    if np.any(np.abs(sizes - 1) > 1e-9) and free:
        raise ValueError("the discriminator's neurons are not unit vectors: divide them by their norms.")
    bias = ("free" if free else "penalized") if critic.biases.any() else "none"
    made = TwoLayerDiscriminator(critic.neurons.shape[1], len(critic.outer), critic.activation, bias=bias)
    columns = critic.neurons if bias == "none" else np.column_stack([critic.neurons, critic.biases])
    made.neurons, made.outer = _parameter(columns), _parameter(critic.outer)
    return made


@singledispatch
def as_module(generator: Generator) -> nn.Module:
    """The solved generator as a module; ``as_module.register`` takes a function for generators of one's own."""
    raise ValueError(
        f"a {type(generator).__name__} has no counterpart in convexgan.torch: give it one by "
        "convexgan.torch.conversion.as_module.register, or start from rows drawn from it, "
        "FreeGenerator(torch.tensor(solution.generator.sample(n)))."
    )


@as_module.register
def _free(generator: generators.FreeGenerator) -> FreeGenerator:
    return FreeGenerator(_parameter(generator.points))


@as_module.register
def _mixture(_: generators.MixtureGenerator) -> nn.Module:
    raise ValueError(
        "a mixture is a law on particles, not a function of latents: start from rows drawn from it, "
        "FreeGenerator(torch.tensor(solution.generator.sample(n)))."
    )


@as_module.register
def _linear(generator: generators.LinearGenerator) -> LinearGenerator:
    linear = LinearGenerator(*generator.weights.shape, bias=bool(generator.bias.any()))
    linear.weights = _parameter(generator.weights)
    if linear.bias is not None:
        linear.bias = _parameter(generator.bias)
    return linear


@as_module.register
def _relu(generator: generators.ReLUGenerator) -> TwoLayerGenerator:
    if generator.biases.any():
        raise ValueError(
            "its hidden neurons have biases, a TwoLayerGenerator has none: pass latents with a column of 1."
        )
    made = TwoLayerGenerator(generator.latent.dim, generator.outer.shape[1], max(len(generator.outer), 1), "relu")
    if len(generator.outer):
        made.hidden, made.outer = _parameter(generator.neurons), _parameter(generator.outer)
    else:
        nn.init.zeros_(made.outer)
    return made


@as_module.register
def _polynomial(generator: generators.PolynomialGenerator) -> TwoLayerGenerator:
    """Neurons +-e_i, +-(e_i + e_j) / sqrt2 and 0, whose activations span the lifted features."""
    spec, k, d = generator.spec, generator.latent.dim, generator.weights.shape[1]
    eye = np.eye(k)
    pairs = [(eye[i] + eye[j]) / (np.sqrt(2) if i != j else 2) for i in range(k) for j in range(i, k)]
    hidden = np.vstack([pairs, np.negative(pairs), np.zeros((1, k))])
    outer = np.linalg.lstsq(_lifted(spec, hidden).T, generator.weights, rcond=None)[0]
    made = TwoLayerGenerator(k, d, len(hidden), discriminators.Polynomial(spec.a, spec.b, spec.c))
    made.hidden, made.outer = _parameter(hidden), _parameter(outer)
    return made


def _lifted(spec: generators.TwoLayerPolynomial, hidden: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The coefficients, (h, K), of s(u . z) on the lifted features of z, for neurons u (h, k)."""
    k = hidden.shape[1]
    used = np.repeat([spec.a != 0, spec.b != 0, spec.c != 0], [k * (k + 1) // 2, k, 1])
    return quadratic_features(hidden)[:, used]
