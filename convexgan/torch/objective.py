"""What two modules play for, as a module that holds both and as a game of tuples of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import logsigmoid, softplus

from convexgan._tools.checks import check_choice, check_count, check_number, is_exhausted
from convexgan.games.game import check_budget
from convexgan.torch.exact import ExactDiscriminatorLoss
from convexgan.torch.measuring import check_ready, measuring
from convexgan.torch.modules import TwoLayerDiscriminator
from convexgan.torch.players import generated_by, one_tensor, unwrapped
from convexgan.updates import DifferentiableGame, State

LOSSES = ("wasserstein", "classic", "relativistic")


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
    loss : "wasserstein", "classic" or "relativistic"
        "classic" scores mean log D(X) / 2 + mean log(1 - D(G(Z))) / 2 instead, where D is a sigmoid of the module.
        "relativistic" pairs samples: mean log sigmoid(D(x_i) - D(G(z_i))). The generator does not minimise this but
        -mean log sigmoid(D(G(z_i)) - D(x_i)), so the game is not zero-sum (Huang et al., R3GAN, 2024, arXiv
        2501.05441, section 2, with both penalties below; the form of the generator's loss is that of Goodfellow et al.,
        2014, section 3, who do not let it saturate).
    clip : float, optional
        Every parameter of the discriminator is kept in [-clip, clip] (Arjovsky et al., 2017, arXiv 1701.07875).
    gradient_penalty : float
        R_d = gradient_penalty * mean (|grad D| - 1)^2 at random mixtures of real and generated samples, which the
        generator does not see (Gulrajani et al., 2017, arXiv 1704.00028, equation 3).
    r1, r2 : float
        R_d = r1/2 mean |grad D(X)|^2 + r2/2 mean |grad D(G(Z))|^2, which the generator does not see (Mescheder et al.,
        2018, arXiv 1801.04406, equations 9 and 10).
    lazy : int
        `train` takes the penalties on slopes at every lazy-th step only, lazy times as strong: a step with them takes
        more than twice the time of one without (Karras et al., 2020, arXiv 1912.04958, section 3.1).
    """

    beta: float | None = None
    lam: float | None = None
    generator_penalty: float = 1.0
    regularizer: str = "output"
    loss: str = "wasserstein"
    clip: float | None = None
    gradient_penalty: float = 0.0
    r1: float = 0.0
    r2: float = 0.0
    lazy: int = 1

    def __post_init__(self) -> None:
        if self.beta is not None or self.lam is not None:
            check_budget(self.beta, self.lam)
        check_number(self.generator_penalty, "generator_penalty")
        check_choice(self.regularizer, "regularizer", ("output", "weights"))
        check_choice(self.loss, "loss", LOSSES)
        for name in ("gradient_penalty", "r1", "r2"):
            check_number(getattr(self, name), name)
        check_count(self.lazy, "lazy")
        if self.clip is not None:
            check_number(self.clip, "clip", positive=True)

    @property
    def bounded(self) -> bool:
        """Whether something keeps the discriminator finite."""
        return self.beta is not None or self.lam is not None or self.clip is not None or self.smooth

    @property
    def smooth(self) -> bool:
        """Whether a penalty is put on the discriminator's slopes."""
        return max(self.gradient_penalty, self.r1, self.r2) > 0

    @property
    def zero_sum(self) -> bool:
        """Whether the generator minimises what the discriminator maximises."""
        return self.loss != "relativistic"


class Batch(NamedTuple):
    """Real samples (n, ...), latents (m, ...), and where between both the gradient penalty looks, (min(n, m),).

    Without the last, no penalty is put on slopes.
    """

    real: Tensor
    latents: Tensor
    mix: Tensor | None = None


def check_players(generator: Any, discriminator: Any) -> None:
    """Raise unless both are modules with all their weights."""
    examples = {"generator": "LinearGenerator(k, d)", "discriminator": "TwoLayerDiscriminator(d, neurons, 'quadratic')"}
    for (name, example), player in zip(examples.items(), (generator, discriminator), strict=True):
        if not isinstance(player, nn.Module):
            kind = repr(player) if isinstance(player, str) else type(player).__name__
            raise ValueError(f"{name} must be a torch module, got {kind}: pass {example}, say.")
        check_ready(player)


class Payoff(nn.Module):
    """Both players in one module, whose output is the payoff on a batch, with penalties on slopes times a strength."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, objective: Objective, strength: float = 1.0
    ) -> None:
        super().__init__()
        self.generator, self.discriminator, self.objective = generator, discriminator, objective
        self.strength = strength
        if isinstance(discriminator, ExactDiscriminatorLoss) and (objective.bounded or objective.loss != "wasserstein"):
            raise ValueError("the exact discriminator has its own lam and beta: leave them out of the objective.")
        if isinstance(unwrapped(discriminator), TwoLayerDiscriminator) and not objective.bounded:
            raise ValueError("nothing bounds the discriminator: pass Objective(beta=...) or Objective(lam=...).")
        needed = {"penalty": objective.beta, "projected": objective.lam}
        for name in (name for name, given in needed.items() if given is not None and not hasattr(discriminator, name)):
            raise ValueError(
                f"the discriminator has no {name}(), which beta and lam are about: use TwoLayerDiscriminator, or "
                "Objective(clip=...) or Objective(gradient_penalty=...)."
            )

    def forward(self, real: Tensor, latents: Tensor, mix: Tensor | None = None, minimised: bool = False) -> Tensor:
        """The payoff, a scalar, or what the generator minimises: in a zero-sum game the terms of it that it changes."""
        made = one_tensor(self.generator(latents), "generator")
        fake = made.to(real.dtype)  # it may be coarser in mixed precision, as scores may
        if fake.shape[1:] != real.shape[1:]:
            raise ValueError(
                f"the generator makes samples of shape {tuple(fake.shape[1:])}, the data has {tuple(real.shape[1:])}: "
                "both must be the same."
            )
        return self._adversarial(real, fake, mix, minimised) + self._generator_cost(fake)

    def _adversarial(self, real: Tensor, fake: Tensor, mix: Tensor | None, minimised: bool) -> Tensor:
        if isinstance(self.discriminator, ExactDiscriminatorLoss):
            loss: Tensor = self.discriminator(fake)
            return loss
        if minimised and self.objective.zero_sum:
            return self._gain(None, self._scores(fake), minimised)
        objective, smooth = self.objective, mix is not None
        on_real, real_slope = self._scores_and_slope(real, smooth and objective.r1 > 0)
        on_fake, fake_slope = self._scores_and_slope(fake, smooth and objective.r2 > 0)
        gain = self._gain(on_real, on_fake, minimised)
        if objective.beta is not None:
            gain = gain - objective.beta * self.discriminator.penalty()  # type: ignore[operator]
        if mix is not None:
            cost = objective.r1 / 2 * real_slope + objective.r2 / 2 * fake_slope
            if objective.gradient_penalty > 0:
                cost = cost + objective.gradient_penalty * self._steepness(real, fake.detach(), mix)
            gain = gain - self.strength * cost
        return gain

    def _gain(self, on_real: Tensor | None, on_fake: Tensor, minimised: bool) -> Tensor:
        if self.objective.loss == "wasserstein":
            return -on_fake.mean() if on_real is None else on_real.mean() - on_fake.mean()
        if on_real is None:
            return logsigmoid(-on_fake).mean() / 2
        if self.objective.loss == "classic":
            return (logsigmoid(on_real).mean() + logsigmoid(-on_fake).mean()) / 2
        pairs = min(len(on_real), len(on_fake))
        lead = on_real[:pairs] - on_fake[:pairs]
        return softplus(lead).mean() if minimised else logsigmoid(lead).mean()

    def _scores(self, samples: Tensor, twice: bool = False) -> Tensor:
        """The scores, (n,), by the module that `torch.compile` was given where they are differentiated twice."""
        discriminator = getattr(self.discriminator, "_orig_mod", self.discriminator) if twice else self.discriminator
        scores = one_tensor(discriminator(samples), "discriminator")
        if scores.numel() != len(samples):
            raise ValueError(
                f"the discriminator makes {tuple(scores.shape)} of {len(samples)} samples: one number each is needed."
            )
        return scores.flatten().to(samples.dtype)

    def _scores_and_slope(self, samples: Tensor, smooth: bool) -> tuple[Tensor, Tensor | float]:
        """The scores, and if asked mean |grad D|^2, in which the samples are held fixed."""
        if not smooth:
            return self._scores(samples), 0.0
        scores, slopes = self._slopes(samples)
        attached = samples.requires_grad  # then the generator is to be differentiated too
        return (self._scores(samples) if attached else scores), slopes.flatten(1).square().sum(1).mean()

    @torch.enable_grad()
    def _slopes(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """The scores of samples and their gradients there, in a graph of the discriminator's parameters."""
        points = samples.detach().requires_grad_()
        scores = self._scores(points, twice=True)
        return scores, torch.autograd.grad(scores.sum(), points, create_graph=True)[0]

    def _steepness(self, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
        """mean (|grad D| - 1)^2 at the mixtures."""
        share = mix.reshape(-1, *[1] * (real.dim() - 1))
        _, slopes = self._slopes(share * real[: len(mix)] + (1 - share) * fake[: len(mix)])
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


def check_fit(payoff: Payoff, batch: Batch) -> None:
    """Raise if the players do not fit the data, the latents or each other, or their payoff is not finite."""
    with measuring(payoff):
        generated_by(payoff.generator, batch.latents)
        try:
            value = float(payoff(*batch))
        except (RuntimeError, TypeError) as error:
            if is_exhausted(error):
                raise
            real, latents = (tuple(part.shape) for part in batch[:2])
            hint = "; Adapted(discriminator, inputs=...) makes its arguments" if isinstance(error, TypeError) else ""
            raise ValueError(
                f"the players do not fit data of shape {real} and latents of shape {latents}: {error}{hint}"
            ) from error
    if not math.isfinite(value):
        raise ValueError(
            f"the loss is {value} before the first step: look for samples, weights or outputs of the players that "
            "are not finite or overflow."
        )


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
        The payoff, or the generator's part of it, where gradients were last asked for.
    zero_sum : bool
        Whether the generator minimises what the discriminator maximises.
    draw : function or None
        Where the next batch comes from, in steps that take several.
    """

    batch: Batch
    draw: Callable[[], Batch] | None = None
    last: Tensor

    def __init__(self, payoff: Payoff, mixed_precision: bool = False) -> None:
        self.payoff, self.mixed_precision = payoff, mixed_precision
        modules = {"generator": payoff.generator, "discriminator": payoff.discriminator}
        self.names_x, self.names_y = (
            [f"{player}.{name}" for name, p in module.named_parameters() if p.requires_grad]
            for player, module in modules.items()
        )
        counts = [len([*payoff.named_parameters(remove_duplicate=found)]) for found in (False, True)]
        self._tied = counts[0] > counts[1]  # looking for tied weights at every step takes time
        objective = payoff.objective
        self.zero_sum = objective.zero_sum
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
        return self._call(x, y, tuple(batch or self.batch))

    def cost(self, x: tuple[Tensor, ...], y: tuple[Tensor, ...]) -> Tensor:
        """What the generator minimises, but for the terms that do not depend on it."""
        return self._call(x, y, (*self.batch[:2], None, True))

    def _call(self, x: tuple[Tensor, ...], y: tuple[Tensor, ...], arguments: tuple[Any, ...]) -> Tensor:
        parameters = dict(zip([*self.names_x, *self.names_y], [*x, *y], strict=True))
        with torch.autocast(arguments[0].device.type, torch.bfloat16, enabled=self.mixed_precision):
            found: Tensor = functional_call(self.payoff, parameters, arguments, tie_weights=self._tied)
        return found

    @torch.enable_grad()
    def grad_x(self, x: Any, y: Any) -> Any:
        """The gradient in the generator's parameters."""
        x = _leaves(x)
        return self._gradients(self.cost(x, y), x)

    @torch.enable_grad()
    def grad_y(self, x: Any, y: Any) -> Any:
        """The gradient in the discriminator's parameters."""
        y = _leaves(y)
        return self._gradients(self.value(x, y), y)

    @torch.enable_grad()
    def gradients(self, x: Any, y: Any) -> tuple[Any, Any]:
        """The gradients of both players, in a zero-sum game from one payoff."""
        if not self.zero_sum:
            return self.grad_x(x, y), self.grad_y(x, y)
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

    def renewed(self) -> None:
        """Draw the next batch."""
        if self.draw is not None:
            self.batch = self.draw()

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
