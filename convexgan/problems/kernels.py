"""Games of points against a discriminator in a space of random features, which stands for that of a kernel."""

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


class KernelProblem(ZeroSaddle):
    """min over points Y, max over w of <w, mean phi(X) - mean phi(Y)> - c |w|^2 / 2, phi(x) = sqrt(2/m) cos(Fx + b).

    (X, 0) is a saddle point and 0 the value: at w = 0 the payoff is 0 whatever Y is, and at Y = X it is -c |w|^2 / 2.

    Parameters
    ----------
    name, description, source : str
    X : (n, d) array
        Real points; as many are generated.
    frequencies : (m, d) array
        F, whose law is the kernel's spectrum (Bochner): Gaussian for a Gaussian kernel.
    phases : (m,) array
    ridge : float
        c > 0.

    References
    ----------
    Rahimi, Recht, Random Features for Large-Scale Kernel Machines, 2007, algorithm 1.
    """

    def __init__(
        self,
        *described: Any,
        X: NDArray[np.float64],
        frequencies: NDArray[np.float64],
        phases: NDArray[np.float64],
        ridge: float,
    ) -> None:
        name, description, source = described
        super().__init__(name, 1, description, source)
        self.X, self.frequencies, self.phases = (torch.from_numpy(part) for part in (X, frequencies, phases))
        self.ridge = ridge

    def features(self, points: Tensor) -> Tensor:
        """mean phi of points (n, d), (m,)."""
        found: Tensor = torch.cos(points @ self.frequencies.T + self.phases).mean(0) * math.sqrt(2 / len(self.phases))
        return found

    def payoff(self, points: Tensor, w: Tensor) -> Tensor:
        """The payoff, a scalar."""
        return w @ (self.features(self.X) - self.features(points)) - self.ridge / 2 * w @ w

    def game(self) -> ScalarGame:
        """The game."""
        return ScalarGame(self.payoff)

    def start(self, seed: int) -> State:
        """Standard Gaussian points, and no discriminator."""
        random = np.random.default_rng(check_count(seed, "seed", 0))
        points = torch.from_numpy(random.standard_normal(tuple(self.X.shape)))
        return State((points,), (torch.zeros(len(self.phases), dtype=torch.float64),))

    def measure(self, state: State) -> Measure:
        """What the points cost against the best discriminator, and the relative difference of the mean features."""
        if is_lost(state):
            return LOST
        real = self.features(self.X)
        rest = float((real - self.features(state.x[0].detach())).norm())
        value, error = rest**2 / (2 * self.ridge), rest / float(real.norm())
        return Measure(value, value, 0.0, error, error)

    def verify(self) -> bool:
        """Whether the payoff at Y = X is -c |w|^2 / 2, c > 0, at w = 0 is 0, and nobody moves from there."""
        nothing = torch.zeros(len(self.phases), dtype=torch.float64)
        gradients = self.game().gradients((self.X,), (nothing,))
        return self.ridge > 0 and not any(bool(part.any()) for (part,) in gradients)

    def _content(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        return {"ridge": self.ridge}, [part.numpy() for part in (self.X, self.frequencies, self.phases)]
