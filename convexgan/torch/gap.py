"""The duality gap of two players: exact where the game allows it, by a few steps of copies elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convexgan._tools.arrays import dense_tensor, paired, read_array
from convexgan._tools.checks import check_count, check_number
from convexgan.discrepancy import ipm
from convexgan.discriminators.activation import needs_rows
from convexgan.statistics.moments import Moments
from convexgan.torch.audit import class_of, generated, guaranteed, settings_of
from convexgan.torch.batches import Batches
from convexgan.torch.conversion import flat, to_critic
from convexgan.torch.exact import ExactDiscriminatorLoss
from convexgan.torch.measuring import measuring
from convexgan.torch.modules import TwoLayerDiscriminator, uncompiled
from convexgan.torch.objective import ModuleGame, Objective, Payoff, check_players
from convexgan.updates import adam
from convexgan.updates.game import descend, each, move

FEASIBLE = 1e-6  # relative violation up to which a constraint counts as met
SECONDS = 10.0  # for the search of a ReLU neuron


@dataclass(frozen=True)
class DualityGap:
    """max over D' of M(G, D') - min over G' of M(G', D), signed.

    Attributes
    ----------
    value : float
        The gap: zero at an equilibrium. Estimated terms can make it negative, within their noise.
    low, high : float
        A confidence interval over evaluation batches; both are the value if both terms are exact.
    upper, lower : float
        The two terms.
    exact : (bool, bool)
        Which of them are exact; the others are what the copies reached.
    """

    value: float
    low: float
    high: float
    upper: float
    lower: float
    exact: tuple[bool, bool]

    def numbers(self) -> dict[str, float]:
        """The numbers that a callback of `train` returns."""
        return {"duality_gap": self.value, "duality_gap_low": self.low, "duality_gap_high": self.high}


def duality_gap(
    generator: nn.Module,
    discriminator: nn.Module,
    data: Any,
    latents: Any = None,
    objective: Objective | None = None,
    *,
    exact: bool = True,
    steps: int = 100,
    rate: float = 1e-2,
    perturbation: float = 0.0,
    batch: int | None = 256,
    batches: int = 10,
    level: float = 0.95,
    rng: int = 0,
) -> DualityGap:
    """How much both players could gain by answering each other.

    The first term is exact for two-layer discriminators of the Wasserstein game; the second for linear, free and
    two-layer polynomial generators against linear, quadratic and polynomial discriminators. Exact terms may be
    infinite: with a penalty beta the discriminator's gain is unbounded as soon as the ipm exceeds beta. Other terms are
    estimated: copies of the players take steps against the other one on one half of the data, and are evaluated on the
    other half. So rows the players were not trained on make three splits: training, adversary, evaluation. The modules
    are left as they are.

    Parameters
    ----------
    generator, discriminator, latents, objective : as in `train`
    data : (n, ...) array or tensor, or a pair of them
        Held-out samples, cut into halves here; or (adversary, evaluation).
    exact : bool
        Whether to use exact terms where there are any.
    steps, rate : int and float
        Of Adam, for the copies.
    perturbation : float
        Standard deviation of what is added to every weight of the copies before they start: a few steps find no gain at
        a stationary point that is no equilibrium.
    batch, batches : int
        Rows of a step or an evaluation (None takes them all), and evaluations.
    level : float
        Of the confidence interval (Student's t over the evaluations).
    rng : int
        Seed of everything random.

    References
    ----------
    Grnarova et al., A Domain Agnostic Measure for Monitoring and Evaluating GANs, 2019, arXiv 1811.05512, section 4.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> from convexgan.torch import Objective, duality_gap, from_solution
    >>> X = np.random.default_rng(0).standard_normal((100, 3))
    >>> G, D = from_solution(cg.solve(X, cg.GaussianLatent(3), lam=1.5))
    >>> found = duality_gap(G, D, (X, X), objective=Objective(lam=1.5))
    >>> abs(found.value) < 1e-9, found.exact
    (True, (True, True))
    """
    check_players(generator, discriminator)
    generator, discriminator = uncompiled(generator), uncompiled(discriminator)
    objective = Objective() if objective is None else objective
    check_number(perturbation, "perturbation"), check_number(rate, "rate", positive=True), check_count(rng, "rng", 0)
    if not objective.zero_sum:
        raise ValueError(f"loss={objective.loss!r} is not a zero-sum game: it has no duality gap.")
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, got {level!r}.")
    if isinstance(discriminator, ExactDiscriminatorLoss):
        raise ValueError("the exact discriminator is a best response already: audit(...) tells the generator's gap.")
    seen, kept = data if isinstance(data, tuple) else _halves(data, rng)
    seen, kept = paired(seen, kept, "data[0]", "data[1]")
    upper = lower = None
    if exact and objective.loss == "wasserstein":
        upper = _best_discriminator(generator, discriminator, kept, latents, objective)
        lower = _best_generator(generator, discriminator, kept, latents, objective)
    if upper is not None and lower is not None:
        gap = upper - lower
        return DualityGap(gap, gap, gap, upper, lower, (True, True))
    payoff = Payoff(generator, discriminator, objective)
    copies = _Copies(payoff, check_count(steps, "steps", 0), rate, perturbation, check_count(batches, "batches", 2))
    adversary, evaluation = (Batches(part, latents, batch, generator, rng + i) for i, part in enumerate((seen, kept)))
    with measuring(payoff):
        uppers = copies.answer("y", adversary, evaluation) if upper is None else np.full(batches, upper)
        lowers = copies.answer("x", adversary, evaluation) if lower is None else np.full(batches, lower)
    gaps = uppers - lowers
    spread = float(gaps.std(ddof=1)) if np.isfinite(gaps).all() else 0.0  # an exact term that is infinite is certain
    reach = _student(level, batches) * spread / math.sqrt(batches)
    value = float(gaps.mean())
    terms = float(uppers.mean()), float(lowers.mean())
    return DualityGap(value, value - reach, value + reach, *terms, (upper is not None, lower is not None))


def _halves(data: Any, rng: int) -> tuple[Any, Any]:
    rows = dense_tensor(data, "data") if isinstance(data, Tensor) else read_array(data, "data")
    if len(rows) < 2:
        raise ValueError(f"data has {len(rows)} samples: pass at least two, one for each half.")
    order = np.random.default_rng(rng).permutation(len(rows))
    half = len(rows) // 2
    return rows[order[:half]], rows[order[half:]]


def _student(level: float, count: int) -> float:
    from scipy.stats import t  # here: it takes longer to import than all the rest of the package

    return float(t.ppf((1 + level) / 2, count - 1))


# -- exact terms -------------------------------------------------------------------------------------------------


def _best_discriminator(
    generator: nn.Module, discriminator: nn.Module, data: Any, latents: Any, objective: Objective
) -> float | None:
    """max over D' of M(G, D'), or None where it is not known."""
    settings = _settings(discriminator, objective)
    if settings is None:
        return None
    spec, Z = class_of(generator, latents)
    X, relu = flat(data), needs_rows(settings["discriminator"])
    Y = generated(generator, spec, Z, len(X), 0, rows_needed=relu)
    found = ipm(X, Y, settings["discriminator"], bias=settings["bias"], time_limit=SECONDS if relu else None)
    if relu and not found.exact:
        return None
    cost = objective.generator_penalty * (Y.trace if isinstance(Y, Moments) else float(np.mean(np.sum(Y**2, axis=1))))
    if objective.lam is not None:
        return cost + objective.lam * found.value
    return cost if found.value <= (objective.beta or 0.0) * (1 + FEASIBLE) else math.inf


def _best_generator(
    generator: nn.Module, discriminator: nn.Module, data: Any, latents: Any, objective: Objective
) -> float | None:
    """min over G' of M(G', D), or None where it is not known."""
    settings, (spec, Z) = _settings(discriminator, objective), class_of(generator, latents)
    if settings is None or spec is None or not isinstance(discriminator, TwoLayerDiscriminator):
        return None
    if needs_rows(discriminator.activation):
        return None
    return guaranteed(flat(data), None, spec, Z, to_critic(discriminator), settings, rescale=False)[0]


def _settings(discriminator: nn.Module, objective: Objective) -> dict[str, Any] | None:
    """The game, or None where no best response to it is known."""
    charged = objective.beta is not None or objective.lam is not None
    plain = objective.regularizer == "output" and objective.clip is None and not objective.smooth
    if not (isinstance(discriminator, TwoLayerDiscriminator) and charged and plain and objective.generator_penalty > 0):
        return None
    return settings_of(discriminator, objective)


# -- copies ------------------------------------------------------------------------------------------------------


class _Copies:
    """Copies of the players that answer the other one by steps of Adam."""

    def __init__(self, payoff: Payoff, steps: int, rate: float, perturbation: float, batches: int) -> None:
        self.game, self.steps, self.rate = ModuleGame(payoff), steps, rate
        self.perturbation, self.batches = perturbation, batches

    def answer(self, player: str, adversary: Batches, evaluation: Batches) -> NDArray[np.float64]:
        """The payoff on each evaluation batch after player x or y has answered."""
        x, y, _ = self.game.players()
        mixed, memory = self.game.payoff.objective.smooth, None
        x, y = (self._perturbed(x, adversary), y) if player == "x" else (x, self._perturbed(y, adversary))
        for _ in range(self.steps):
            self.game.batch = adversary.draw(mixed)
            if player == "x":
                direction, memory = adam(self.game.grad_x(x, y), memory, reuse=True)
                x = descend(x, self.rate, direction)
            else:
                direction, memory = adam(self.game.grad_y(x, y), memory, reuse=True)
                y = self.game.projected(move(y, self.rate, direction))
        values = [float(self.game.value(x, y, evaluation.draw(mixed))) for _ in range(self.batches)]
        return np.array(values)

    def _perturbed(self, copy: tuple[Tensor, ...], source: Batches) -> tuple[Tensor, ...]:
        if self.perturbation == 0:
            return copy
        moved: tuple[Tensor, ...] = each(
            lambda part: part + self.perturbation * torch.randn(part.shape, generator=source.random).to(part), copy
        )
        return moved
