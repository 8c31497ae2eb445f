"""Games of two vectors with a known saddle point."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convexgan._tools.checks import check_count
from convexgan.problems.problem import LOST, Measure, ZeroSaddle, is_lost
from convexgan.problems.scalars import ScalarGame
from convexgan.updates import State


class SaddleProblem(ZeroSaddle):
    """min over x, max over y of c |x - a|^2 / 2 + (x - a)' M (y - b) - c |y - b|^2 / 2.

    Parameters
    ----------
    name, description, source : str
    M : (d, d) array
    curvature : float
        c >= 0.
    at : pair of (d,) tensors
        The saddle point (a, b), where the payoff is 0.
    """

    def __init__(self, *described: Any, M: NDArray[np.float64], curvature: float, at: list[Tensor]) -> None:
        name, description, source = described
        super().__init__(name, 1, description, source)
        self.M, self.curvature, self.at = torch.from_numpy(M), curvature, at

    def payoff(self, x: Tensor, y: Tensor) -> Tensor:
        """The payoff, a scalar."""
        a, b = x - self.at[0], y - self.at[1]
        return self.curvature / 2 * (a @ a - b @ b) + a @ self.M @ b

    def game(self) -> ScalarGame:
        """The game."""
        return ScalarGame(self.payoff)

    def start(self, seed: int) -> State:
        """Standard Gaussians."""
        random = np.random.default_rng(check_count(seed, "seed", 0))
        x, y = (torch.from_numpy(random.standard_normal(len(self.M))) for _ in range(2))
        return State((x,), (y,))

    def measure(self, state: State) -> Measure:
        """The payoff, and the distance from the saddle point."""
        if is_lost(state):
            return LOST
        x, y = state.x[0].detach(), state.y[0].detach()
        distance = math.hypot(float((x - self.at[0]).norm()), float((y - self.at[1]).norm()))
        value = float(self.payoff(x, y))
        return Measure(value, value, 0.0, distance, distance)

    def verify(self) -> bool:
        """Whether both gradients vanish at the saddle point, of a payoff that is convex in x and concave in y."""
        return self._rests(self.game())

    def _rests(self, game: ScalarGame) -> bool:
        gradients = game.gradients((self.at[0],), (self.at[1],))
        return self.curvature >= 0 and not any(bool(part.any()) for (part,) in gradients)

    def _content(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        return {"curvature": self.curvature}, [self.M.numpy(), *(part.numpy() for part in self.at)]
