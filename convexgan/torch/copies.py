"""Copies of the players that answer the other one by steps, where the best answer is not known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from convexgan.torch.batches import Batches
from convexgan.torch.measuring import measuring
from convexgan.torch.objective import Batch, ModuleGame, Payoff
from convexgan.updates import adam
from convexgan.updates.game import descend, each, move

HALVINGS = 4  # of the steps, between the points of the curve
MOVING = 0.05  # the share of a copy's gain that the second half of its steps may add
DOUBLINGS, GROWTH = 3, 1.9  # of the steps, and of a gain at each of them, if no bound is in sight
LARGE = 10.0  # and its size beside the payoff


class Term(NamedTuple):
    """The payoff after each number of steps on each evaluation batch, (marks, batches or 1), and what became of it."""

    values: NDArray[np.float64]
    status: str


class Copies:
    """Copies of the players that answer the other one by steps of Adam."""

    def __init__(self, payoff: Payoff, steps: int, rate: float, perturbation: float, batches: int) -> None:
        self.game, self.rate, self.perturbation, self.batches = ModuleGame(payoff), rate, perturbation, batches
        self.marks = sorted({0, *(steps // 2**i for i in range(HALVINGS + 1))})

    def constant(self, value: float) -> Term:
        """An exact term, which no step changes."""
        return Term(np.full((len(self.marks), 1), value), "exact")

    def answers(self, adversary: Batches, evaluation: Batches, known: Sequence[float | None]) -> list[Term]:
        """Both terms, those that are not known from copies of the player, which see the same batches."""
        mixed, start = self.game.payoff.objective.smooth, adversary.random.get_state()
        drawn, found = [evaluation.draw(mixed) for _ in range(self.batches)], []
        for player, value in zip("yx", known, strict=True):
            adversary.random.set_state(start)
            with measuring(self.game.payoff):
                found.append(self._answer(player, adversary, drawn) if value is None else self.constant(value))
        return found

    def _answer(self, player: str, adversary: Batches, drawn: Sequence[Batch]) -> Term:
        """The term in which player x or y answers."""
        x, y, _ = self.game.players()
        mixed, memory, rows = self.game.payoff.objective.smooth, None, []
        x, y = (self._perturbed(x, adversary), y) if player == "x" else (x, self._perturbed(y, adversary))
        for step in range(self.marks[-1] + 1):
            if step in self.marks:
                rows.append([float(self.game.value(x, y, batch)) for batch in drawn])
            if step == self.marks[-1]:
                break
            self.game.batch = adversary.draw(mixed)
            with _norms_followed(self.game.payoff):
                gradient = self.game.grad_x(x, y) if player == "x" else self.game.grad_y(x, y)
            direction, memory = adam(gradient, memory, reuse=True)
            if player == "x":
                x = descend(x, self.rate, direction)
            else:
                y = self.game.projected(move(y, self.rate, direction))
        values = np.array(rows)
        return Term(values, self._status(values, player))

    def _status(self, values: NDArray[np.float64], player: str) -> str:
        """Whether the copies had arrived; see `DualityGap`."""
        if not np.isfinite(values).all():
            return "unbounded"
        gains = (values - values[0]) * (1 if player == "y" else -1)
        if len(gains) < 3:
            return "converged" if len(gains) == 1 else "moving"
        last, sizes = gains[-1] - gains[-2], gains.mean(axis=1)
        noise = student(0.95, len(last)) * float(last.std(ddof=1)) / math.sqrt(len(last))
        rounding = 64 * torch.finfo(self.game.players().x[0].dtype).eps * float(np.abs(values).max())
        if abs(last.mean()) <= max(MOVING * abs(sizes[-1]), noise, rounding):
            return "converged"
        objective = self.game.payoff.objective
        limited = objective.smooth or not (objective.lam is None and objective.clip is None)
        if player == "y" and (objective.loss == "classic" or limited):  # something bounds it, if far away
            return "moving"
        doubled = len(sizes) > DOUBLINGS and bool((sizes[-DOUBLINGS:] > GROWTH * sizes[-DOUBLINGS - 1 : -1]).all())
        return "unbounded" if doubled and sizes[-1] > LARGE * np.abs(values[0]).mean() else "moving"

    def _perturbed(self, copy: tuple[Tensor, ...], source: Batches) -> tuple[Tensor, ...]:
        if self.perturbation == 0:
            return copy
        moved: tuple[Tensor, ...] = each(
            lambda part: part + self.perturbation * torch.randn(part.shape, generator=source.random).to(part), copy
        )
        return moved


@contextmanager
def _norms_followed(module: nn.Module) -> Iterator[None]:
    """Spectral norms follow the weights: in evaluation mode they would be those of the weights of before."""
    own: list[Any] = [part.parametrizations for part in module.modules() if is_parametrized(part)]
    own += [part for part in module.modules() if hasattr(part, "weight_orig") and hasattr(part, "weight_u")]
    for part in own:
        part.train()
    try:
        yield
    finally:
        for part in own:
            part.eval()


def student(level: float, count: int) -> float:
    """The quantile of Student's t that a two-sided confidence interval from so many numbers reaches to."""
    from scipy.stats import t  # here: it takes longer to import than all the rest of the package

    return float(t.ppf((1 + level) / 2, count - 1))
