"""What two modules play for, as a module that holds both and as a game of tuples of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import logsigmoid

from convexgan._checks import check_choice, check_number
from convexgan.canonical import check_budget
from convexgan.torch.exact import ExactDiscriminatorLoss
from convexgan.torch.modules import TwoLayerDiscriminator, uncompiled
from convexgan.updates import DifferentiableGame, State


@dataclass(frozen=True)
class Objective:
    """The payoff that the generator minimises and the discriminator maximises.

        mean D(X) - mean D(G(Z)) + generator_penalty * R_g(G) - R_d(D)

    Parameters
    ----------
    beta : float, optional
        R_d = beta |v|_1, by the discriminator's ``penalty()``.
    lam : float, optional
        Instead of beta: |v|_1 <= lam, by a projection (the discriminator's ``projected(lam)``) after each step, and
        of the points at which a step looks.
    generator_penalty : float
        0 for a plain GAN.
    regularizer : "output" or "weights"
        R_g is E|G(z)|^2, or the sum of the squares of all the generator's parameters.
    loss : "wasserstein" or "classic"
        "classic" scores mean log D(X) / 2 + mean log(1 - D(G(Z))) / 2 instead, where D is a sigmoid of the module.
    clip : float, optional
        Every parameter of the discriminator is kept in [-clip, clip] (Arjovsky et al., 2017, arXiv 1701.07875).
    gradient_penalty : float
        R_d = gradient_penalty * mean (|grad D| - 1)^2 at random mixtures of real and generated samples, which the
        generator does not see (Gulrajani et al., 2017, arXiv 1704.00028, equation 3).
    """

    beta: float | None = None
    lam: float | None = None
    generator_penalty: float = 1.0
    regularizer: str = "output"
    loss: str = "wasserstein"
    clip: float | None = None
    gradient_penalty: float = 0.0

    def __post_init__(self) -> None:
        if self.beta is not None or self.lam is not None:
            check_budget(self.beta, self.lam)
        check_number(self.generator_penalty, "generator_penalty")
        check_choice(self.regularizer, "regularizer", ("output", "weights"))
        check_choice(self.loss, "loss", ("wasserstein", "classic"))
        check_number(self.gradient_penalty, "gradient_penalty")
        if self.clip is not None:
            check_number(self.clip, "clip", positive=True)

    @property
    def bounded(self) -> bool:
        """Whether something keeps the discriminator finite."""
        return self.beta is not None or self.lam is not None or self.clip is not None or self.gradient_penalty > 0


class Batch(NamedTuple):
    """Real samples (n, ...), latents (m, ...), and where between both the gradient penalty looks, (min(n, m),)."""

    real: Tensor
    latents: Tensor
    mix: Tensor | None = None


class Payoff(nn.Module):
    """Both players in one module, whose output is the payoff on a batch."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.generator, self.discriminator, self.objective = generator, discriminator, objective
        if isinstance(discriminator, ExactDiscriminatorLoss) and (objective.bounded or objective.loss != "wasserstein"):
            raise ValueError("the exact discriminator has its own lam and beta: leave them out of the objective.")
        if isinstance(uncompiled(discriminator), TwoLayerDiscriminator) and not objective.bounded:
            raise ValueError("nothing bounds the discriminator: pass Objective(beta=...) or Objective(lam=...).")
        needed = {"penalty": objective.beta, "projected": objective.lam}
        for name in (name for name, given in needed.items() if given is not None and not hasattr(discriminator, name)):
            raise ValueError(
                f"the discriminator has no {name}(), which beta and lam are about: use TwoLayerDiscriminator, or "
                "Objective(clip=...) or Objective(gradient_penalty=...)."
            )

    def forward(self, real: Tensor, latents: Tensor, mix: Tensor | None = None) -> Tensor:
        """The payoff, a scalar."""
        fake: Tensor = self.generator(latents)
        if fake.shape[1:] != real.shape[1:]:
            raise ValueError(
                f"the generator makes samples of shape {tuple(fake.shape[1:])}, the data has {tuple(real.shape[1:])}: "
                "both must be the same."
            )
        return self._adversarial(real, fake, mix) + self._generator_cost(fake)

    def _adversarial(self, real: Tensor, fake: Tensor, mix: Tensor | None) -> Tensor:
        if isinstance(self.discriminator, ExactDiscriminatorLoss):
            loss: Tensor = self.discriminator(fake)
            return loss
        on_real, on_fake = self._scores(real), self._scores(fake)
        if self.objective.loss == "classic":
            gain = (logsigmoid(on_real).mean() + logsigmoid(-on_fake).mean()) / 2
        else:
            gain = on_real.mean() - on_fake.mean()
        if self.objective.beta is not None:
            gain = gain - self.objective.beta * self.discriminator.penalty()  # type: ignore[operator]
        if mix is not None:
            gain = gain - self.objective.gradient_penalty * self._steepness(real, fake.detach(), mix)
        return gain

    def _scores(self, samples: Tensor) -> Tensor:
        scores: Tensor = self.discriminator(samples)
        if scores.numel() != len(samples):
            raise ValueError(
                f"the discriminator makes {tuple(scores.shape)} of {len(samples)} samples: one number each is needed."
            )
        return scores.flatten()

    def _steepness(self, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
        """mean (|grad D| - 1)^2 at the mixtures."""
        share = mix.reshape(-1, *[1] * (real.dim() - 1))
        points = (share * real[: len(mix)] + (1 - share) * fake[: len(mix)]).detach().requires_grad_()
        with torch.enable_grad():
            slopes = torch.autograd.grad(self._scores(points).sum(), points, create_graph=True)[0]
        sizes: Tensor = torch.linalg.vector_norm(slopes.flatten(1), dim=1)
        return (sizes - 1).square().mean()

    def _generator_cost(self, fake: Tensor) -> Tensor | float:
        objective = self.objective
        if objective.generator_penalty == 0:
            return 0.0
        if objective.regularizer == "output":
            return objective.generator_penalty * fake.flatten(1).square().sum(1).mean()
        squares = torch.stack([p.square().sum() for p in self.generator.parameters()])
        return objective.generator_penalty * squares.sum()


class _Projection(nn.Module):
    def __init__(self, discriminator: nn.Module, lam: float | None) -> None:
        super().__init__()
        self.discriminator, self.lam = discriminator, lam

    def forward(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.discriminator.projected(self.lam)  # type: ignore[operator]
        return found


class ModuleGame(DifferentiableGame):
    """The payoff on a batch as a game between the parameters of the generator (x) and of the discriminator (y).

    Attributes
    ----------
    batch : Batch
        What the payoff is computed on; set it before every step.
    last : Tensor
        The payoff where gradients were last asked for.
    """

    batch: Batch
    last: Tensor

    def __init__(self, payoff: Payoff) -> None:
        self.payoff = payoff
        modules = {"generator": payoff.generator, "discriminator": payoff.discriminator}
        self.names_x, self.names_y = (
            [f"{player}.{name}" for name, p in module.named_parameters() if p.requires_grad]
            for player, module in modules.items()
        )
        objective = payoff.objective
        self._project = None
        if hasattr(payoff.discriminator, "projected"):
            self._project = _Projection(payoff.discriminator, objective.lam)

    def players(self) -> State:
        """Copies of the modules' parameters."""
        named = dict(self.payoff.named_parameters())
        x, y = (tuple(named[name].detach().clone() for name in names) for names in (self.names_x, self.names_y))
        return State(x, y)

    @torch.no_grad()
    def load(self, x: tuple[Tensor, ...], y: tuple[Tensor, ...]) -> None:
        """Write the players into the modules."""
        named = dict(self.payoff.named_parameters())
        for name, values in zip([*self.names_x, *self.names_y], [*x, *y], strict=True):
            named[name].copy_(values)

    def value(self, x: tuple[Tensor, ...], y: tuple[Tensor, ...], batch: Batch | None = None) -> Tensor:
        """The payoff."""
        parameters = dict(zip([*self.names_x, *self.names_y], [*x, *y], strict=True))
        found: Tensor = functional_call(self.payoff, parameters, tuple(batch or self.batch))
        return found

    @torch.enable_grad()
    def grad_x(self, x: Any, y: Any) -> Any:
        """The gradient in the generator's parameters."""
        x = _leaves(x)
        return self._gradients(self.value(x, y), x)

    @torch.enable_grad()
    def grad_y(self, x: Any, y: Any) -> Any:
        """The gradient in the discriminator's parameters."""
        y = _leaves(y)
        return self._gradients(self.value(x, y), y)

    @torch.enable_grad()
    def gradients(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Both, from one payoff."""
        x, y = _leaves(x), _leaves(y)
        found = self._gradients(self.value(x, y), x + y)
        return found[: len(x)], found[len(x) :]

    @torch.enable_grad()
    def vjp(self, x: Any, y: Any, u: Any, v: Any) -> tuple[Any, Any]:
        """The gradient of <u, grad_x> + <v, grad_y>."""
        x, y = _leaves(x), _leaves(y)
        first = torch.autograd.grad(self.value(x, y), x + y, create_graph=True, materialize_grads=True)
        total = torch.stack([(a * b).sum() for a, b in zip(first, u + v, strict=True)]).sum()
        found = torch.autograd.grad(total, x + y, materialize_grads=True)
        return found[: len(x)], found[len(x) :]

    def projected(self, y: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The discriminator's parameters moved back to where the objective allows them."""
        clip = self.payoff.objective.clip
        if clip is not None:
            return tuple(part.clamp(-clip, clip) for part in y)
        if self._project is None or not y:
            return y
        moved = functional_call(self._project, dict(zip(self.names_y, y, strict=True)))
        # a compiled module puts a prefix before the names its `projected` uses
        found = ([part for name, part in moved.items() if full.endswith(f".{name}")] for full in self.names_y)
        return tuple(new[0] if new else old for new, old in zip(found, y, strict=True))

    def _gradients(self, value: Tensor, leaves: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        self.last = value.detach()
        if not (leaves and value.requires_grad):  # a player without parameters, or whose samples are only looked up
            return tuple(torch.zeros_like(leaf) for leaf in leaves)
        return torch.autograd.grad(value, leaves, materialize_grads=True)


def _leaves(player: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(part.detach().requires_grad_() for part in player)
