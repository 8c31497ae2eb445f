"""A GAN whose generator is a law on fixed particles: the weights are what it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convexgan.discrepancy import ipm
from convexgan.generators import Mixture
from convexgan.problems.gans import GANProblem
from convexgan.problems.problem import LOST, Measure, is_lost, judged
from convexgan.torch import Objective, TwoLayerDiscriminator
from convexgan.torch.objective import Batch, ModuleGame, Payoff
from convexgan.updates import State


class ParticleGenerator(nn.Module):
    """Particles (m, d) with weights softmax(logits)."""

    def __init__(self, particles: Tensor, logits: Tensor) -> None:
        super().__init__()
        self.register_buffer("particles", particles)
        self.logits = nn.Parameter(logits)

    def forward(self, Z: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The particles and their weights."""
        particles: Any = self.particles
        return particles, torch.softmax(self.logits, dim=0)


class MixturePayoff(Payoff):
    """The payoff with weighted means on the generated side."""

    def forward(self, real: Tensor, latents: Tensor, mix: Tensor | None = None, minimised: bool = False) -> Tensor:
        """The payoff, a scalar."""
        particles, weights = self.generator(latents)
        gain: Tensor = self.discriminator(real).mean() - weights @ self.discriminator(particles)
        if self.objective.beta is not None:
            gain = gain - self.objective.beta * self.discriminator.penalty()  # type: ignore[operator]
        cost: Tensor = self.objective.generator_penalty * (weights @ particles.square().sum(1))
        return gain + cost


class MixtureProblem(GANProblem):
    """A GAN on fixed samples and particles; see `GANProblem`."""

    def __init__(self, *described: Any, particles: NDArray[np.float64], **settings: Any) -> None:
        super().__init__(*described, Z=None, generator=Mixture(particles), **settings)
        self.particles = particles

    def players(self, seed: int = 0) -> tuple[nn.Module, TwoLayerDiscriminator]:
        """Random logits, and a discriminator with random weights, in float64."""
        discriminator = super().players(seed)[1]
        logits = np.random.default_rng(seed).standard_normal(len(self.particles))
        return ParticleGenerator(torch.from_numpy(self.particles), torch.from_numpy(logits)), discriminator

    def saddle_players(self) -> tuple[nn.Module, TwoLayerDiscriminator]:
        """Refused: the optimal weights have zeros, which no logits give.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(f"{self.name} has its saddle point at weights of zero, which no finite logits give.")

    def measure(self, state: State) -> Measure:
        """The exact best response to the weights, and the distance of the second moment."""
        if is_lost(state):
            return LOST
        weights = torch.softmax(state.x[0].detach(), dim=0).numpy()
        settings = {"discriminator": self.options["discriminator"], "bias": self.options.get("bias", "none")}
        found = ipm(self.X, self.particles, weights_y=weights, **settings).upper_bound
        nothing = ipm(self.X, np.zeros((1, self.X.shape[1])), **settings).value
        beta = self.options["beta"]
        cost = float(weights @ np.sum(self.particles**2, axis=1))
        moment, optimal = (self.particles.T * weights) @ self.particles, self._optimal_moment
        distance = float(np.linalg.norm(moment - optimal) / np.linalg.norm(optimal))
        return judged(cost, self.value, max(found - beta, 0.0) / max(beta, nothing), distance)

    @property
    def _optimal_moment(self) -> NDArray[np.float64]:
        law = self.solution.generator
        if law is None or law.form != "law":
            raise TypeError(f"{self.name} was solved by a {type(law).__name__}.")
        return np.asarray((law.particles.T * law.weights) @ law.particles)

    def _game(self, generator: nn.Module, discriminator: TwoLayerDiscriminator) -> ModuleGame:
        objective = Objective(beta=self.options["beta"])
        game = ModuleGame(MixturePayoff(generator, discriminator, objective))
        game.batch = Batch(torch.from_numpy(self.X), torch.zeros(1, 1, dtype=torch.float64))
        return game

    def _content(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        settings = {name: value for name, value in self.options.items() if name != "generator"}
        return settings | {"width": self.width}, [self.X, self.particles]
