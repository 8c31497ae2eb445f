"""Games of two numbers: the test games of the min-max literature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convexgan._tools.checks import check_count
from convexgan.problems.problem import LOST, Measure, Problem
from convexgan.updates import DifferentiableGame, State


class ScalarGame(DifferentiableGame):
    """min over x, max over y of f(x, y), differentiated by torch; players are tuples of one tensor."""

    def __init__(self, f: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.f = f

    def _gradients(self, x: Any, y: Any, create_graph: bool) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        with torch.enable_grad():
            a, b = (part[0].detach().requires_grad_() for part in (x, y))
            found = torch.autograd.grad(self.f(a, b).sum(), (a, b), create_graph=create_graph, materialize_grads=True)
        return a, b, found

    def gradients(self, x: Any, y: Any) -> tuple[Any, Any]:
        """The gradients of both players."""
        grad_x, grad_y = self._gradients(x, y, False)[2]
        return (grad_x,), (grad_y,)

    def grad_x(self, x: Any, y: Any) -> Any:
        """df/dx."""
        return self.gradients(x, y)[0]

    def grad_y(self, x: Any, y: Any) -> Any:
        """df/dy."""
        return self.gradients(x, y)[1]

    def vjp(self, x: Any, y: Any, u: Any, v: Any) -> tuple[Any, Any]:
        """The gradient of u df/dx + v df/dy."""
        with torch.enable_grad():
            a, b, (grad_x, grad_y) = self._gradients(x, y, True)
            total = (u[0] * grad_x).sum() + (v[0] * grad_y).sum()
            found = torch.autograd.grad(total, (a, b), materialize_grads=True)
        return (found[0],), (found[1],)


class ScalarProblem(Problem):
    """A game of two numbers.

    Parameters
    ----------
    name, description, source : str
    f : function of two tensors
    kind : str
        What the origin is, where f is 0: "saddle", "minimax" (min max, but no saddle point), "stationary" (min max of a
        neighbourhood only) or "none" (at rest, yet no solution).
    """

    def __init__(
        self,
        *described: Any,
        f: Callable[[Tensor, Tensor], Tensor],
        kind: str,
    ) -> None:
        name, description, source = described
        super().__init__(name, 1, description, source)
        self.f, self._kind = f, kind

    @property
    def value(self) -> float:
        """0, the payoff at the origin."""
        return 0.0

    @property
    def kind(self) -> str:
        """The kind of stationary point at the origin."""
        return self._kind

    def game(self) -> ScalarGame:
        """The game."""
        return ScalarGame(self.f)

    def start(self, seed: int) -> State:
        """(5, 7) for seed 0, as in the literature; standard Gaussians, three times as large, for the others."""
        check_count(seed, "seed", 0)
        draws = 3 * np.random.default_rng(seed).standard_normal(2) if seed else np.array([5.0, 7.0])
        x, y = torch.from_numpy(draws)
        return State((x.reshape(1),), (y.reshape(1),))

    def measure(self, state: State) -> Measure:
        """The payoff, and the distance from the origin."""
        x, y = state.x[0].detach(), state.y[0].detach()
        if not bool((x.isfinite() & y.isfinite()).all()):
            return LOST
        value, distance = float(self.f(x, y)), math.hypot(float(x), float(y))
        return Measure(value, value, 0.0, distance, math.inf if self.kind == "none" else distance)

    def verify(self) -> bool:
        """Whether the origin is of its kind: f and both slopes are 0 there, and the second derivatives prove the rest.

        With f_xx = a, f_xy = b, f_yy = c, a saddle has a >= 0 >= c; min max without a saddle a < 0, c < 0 and
        a - b^2 / c >= 0; what is neither c > 0, so that no y is a maximum. These are proofs where f is quadratic, as
        three points with the same derivatives tell; a - b^2 / c > 0 > c proves a strict local min max of any f.
        """
        origin = (torch.zeros(1, dtype=torch.float64),)
        gradients = self.game().gradients(origin, origin)
        if float(self.f(*origin, *origin)) != 0.0 or any(bool(part.any()) for (part,) in gradients):
            return False
        a, b, c = self._bends(0.0, 0.0)
        if self.kind == "stationary":
            return c < 0 < a - b**2 / c
        proofs = {"saddle": a >= 0 >= c, "minimax": a < 0 > c and a - b**2 / c >= 0, "none": c > 0}
        return proofs[self.kind] and (a, b, c) == self._bends(1.0, -2.0) == self._bends(3.0, 5.0)

    def _bends(self, x: float, y: float) -> tuple[float, float, float]:
        """f_xx, f_xy and f_yy."""
        at = (torch.tensor([x], dtype=torch.float64),), (torch.tensor([y], dtype=torch.float64),)
        one, none = (torch.ones(1, dtype=torch.float64),), (torch.zeros(1, dtype=torch.float64),)
        game = self.game()
        (in_x,), (across,) = game.vjp(*at, one, none)
        return float(in_x), float(across), float(game.vjp(*at, none, one)[1][0])

    def _content(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        return {"kind": self.kind}, []
