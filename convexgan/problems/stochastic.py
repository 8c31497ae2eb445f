"""Games whose gradients are those of random batches, drawn anew at every question."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convexgan.problems.gans import GANProblem
from convexgan.problems.saddles import SaddleProblem
from convexgan.problems.scalars import ScalarGame
from convexgan.torch.objective import ModuleGame


class BatchGame(ModuleGame):
    """A game of modules on rows and latents drawn with replacement, whose expectation is the game on all of them."""

    def __init__(self, whole: ModuleGame, batch: int) -> None:
        super().__init__(whole.payoff)
        self.whole, self.size, self.batch = whole.batch, batch, whole.batch
        self.random = np.random.default_rng(0)

    def _drawn(self, rows: Tensor) -> Tensor:
        return rows[torch.from_numpy(self.random.integers(len(rows), size=self.size))]

    def _call(self, x: tuple[Tensor, ...], y: tuple[Tensor, ...], arguments: tuple[Any, ...]) -> Tensor:
        real, latents = (self._drawn(rows) for rows in self.whole[:2])
        return super()._call(x, y, (real, latents, *arguments[2:]))


class BatchProblem(GANProblem):
    """A GAN problem whose game answers with batches; the optimum is that of all samples and latents.

    Attributes
    ----------
    batch : int
        Rows and latents of a batch.
    """

    def __init__(self, *described: Any, batch: int, **settings: Any) -> None:
        super().__init__(*described, **settings)
        self.batch = batch

    def game(self) -> ModuleGame:
        """The game on random batches; each game draws the same ones."""
        return BatchGame(super().game(), self.batch)

    def _content(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        settings, arrays = super()._content()
        return settings | {"batch": self.batch}, arrays


class StochasticProblem(SaddleProblem):
    """A `SaddleProblem` to whose payoff a' N b + g' a + h' b is added, the mean of terms drawn with replacement.

    Parameters
    ----------
    slopes : (S, d, d) array
        N of each term; their sum is 0.
    shifts : (S, 2, d) array
        g and h of each term; their sums are 0.
    batch : int
        Terms of a draw: the variance of a gradient is that of a term over it.
    """

    def __init__(
        self,
        *described: Any,
        slopes: NDArray[np.float64],
        shifts: NDArray[np.float64],
        batch: int,
        **settings: Any,
    ) -> None:
        super().__init__(*described, **settings)
        self.slopes, self.shifts, self.batch = torch.from_numpy(slopes), torch.from_numpy(shifts), batch

    def game(self) -> ScalarGame:
        """The game with noise; each game draws the same one."""
        random = np.random.default_rng(0)

        def noisy(x: Tensor, y: Tensor) -> Tensor:
            drawn = torch.from_numpy(random.integers(len(self.slopes), size=self.batch))
            a, b, (g, h) = x - self.at[0], y - self.at[1], self.shifts[drawn].mean(0)
            noise: Tensor = a @ self.slopes[drawn].mean(0) @ b + g @ a + h @ b
            return self.payoff(x, y) + noise

        return ScalarGame(noisy)

    def verify(self) -> bool:
        """Whether the terms cancel, exactly, and the mean game has its saddle point where it is said to be."""
        cancel = not bool(self.slopes.sum(0).any()) and not bool(self.shifts.sum(0).any())
        return cancel and self._rests(ScalarGame(self.payoff))

    def _content(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        settings, arrays = super()._content()
        return settings | {"batch": self.batch}, [*arrays, self.slopes.numpy(), self.shifts.numpy()]
