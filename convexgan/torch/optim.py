"""Min-max methods as optimisers of torch, for loops of one's own: the step functions of `convexgan.updates`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

from convexgan._tools.checks import check_count, check_number
from convexgan.updates import (
    DifferentiableGame,
    State,
    consensus,
    extragradient,
    optimistic_adam,
    simultaneous,
    unrolled,
)
from convexgan.updates.game import pair

__all__ = ["Consensus", "ExtraGradient", "OptimisticAdam", "Unrolled"]

Parameters: TypeAlias = Iterable[Tensor]
Payoffs: TypeAlias = Tensor | tuple[Tensor, Tensor]


class MinMax(Optimizer):
    """One optimiser for both players of a game: a step asks a closure for the payoff as often as its method looks.

    ``param_groups`` are the minimiser's and the maximiser's, each with its ``lr``, which schedulers may change; what
    the method remembers is in ``state_dict()``.
    """

    zero_sum = False
    method: Callable[..., State]

    def __init__(self, minimizer: Parameters, maximizer: Parameters, lr: float | tuple[float, float]) -> None:
        rates = [check_number(rate, "lr", positive=True) for rate in pair(lr)]
        players = {name: list(own) for name, own in (("minimizer", minimizer), ("maximizer", maximizer))}
        for name, parameters in players.items():
            if not all(isinstance(part, Tensor) and part.requires_grad for part in parameters) or not parameters:
                raise ValueError(
                    f"{name} must be parameters that require gradients, those of a module say: net.parameters()."
                )
        groups = [{"params": own, "lr": rate} for own, rate in zip(players.values(), rates, strict=True)]
        super().__init__(groups, {"lr": rates[0]})

    @torch.no_grad()
    def step(self, closure: Callable[[], Payoffs] | None = None) -> Tensor:  # type: ignore[override]
        """One step of both players.

        Parameters
        ----------
        closure : function of nothing
            The payoff, a scalar tensor that the first player minimises and the second maximises; or, in games that are
            not zero-sum, a pair: what the first minimises, what the second maximises. It is asked at several points of
            one step, so draw batches before; it calls no ``backward``, and no ``.grad`` is read or written.

        Returns
        -------
        Tensor
            The payoff before the step, or what the minimiser minimises.
        """
        if closure is None:
            raise ValueError(
                "step needs a closure, a function that returns the payoff: step(lambda: payoff(G, D, batch))."
            )
        minimizer, maximizer = (group["params"] for group in self.param_groups)
        game = _ClosureGame(closure, minimizer, maximizer, self.zero_sum)
        x, y = (tuple(part.detach().clone() for part in own) for own in (game.x, game.y))
        rates = tuple(group["lr"] for group in self.param_groups)
        kept = self.state[game.x[0]]
        new = State(x, y)
        try:
            new = self.method(game, State(x, y, kept.get("memory")), rates)
        finally:  # after an error the players are where they were, not at a point that was tried
            game.load(new.x, new.y)
        if new.memory is not None:
            kept["memory"] = new.memory
        return game.first


class ExtraGradient(MinMax):
    """Steps with the gradients at the end of a trial step; see `convexgan.updates.extragradient`.

    Parameters
    ----------
    minimizer, maximizer : iterables of parameters
    lr : float or pair

    Examples
    --------
    >>> import torch
    >>> from convexgan.torch.optim import ExtraGradient
    >>> x, y = torch.tensor([0.6], requires_grad=True), torch.tensor([-0.8], requires_grad=True)
    >>> optimizer = ExtraGradient([x], [y], lr=0.3)
    >>> for _ in range(100):
    ...     _ = optimizer.step(lambda: (x * y).sum())
    >>> bool(torch.hypot(x, y) < 0.02)
    True
    """

    method = staticmethod(extragradient)


class OptimisticAdam(MinMax):
    """Adam's directions twice, less the previous ones; see `convexgan.updates.optimistic_adam`.

    Parameters
    ----------
    minimizer, maximizer : iterables of parameters
    lr : float or pair
    betas, eps : as in `torch.optim.Adam`
    """

    def __init__(
        self,
        minimizer: Parameters,
        maximizer: Parameters,
        lr: float | tuple[float, float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(minimizer, maximizer, lr)
        self.method = partial(simultaneous, transform=partial(optimistic_adam, betas=betas, eps=eps))


class Consensus(MinMax):
    """Simultaneous steps that also descend weight * |gradients|^2 / 2; see `convexgan.updates.consensus`.

    Parameters
    ----------
    minimizer, maximizer : iterables of parameters
    lr : float or pair
    weight : float
    """

    def __init__(
        self, minimizer: Parameters, maximizer: Parameters, lr: float | tuple[float, float], weight: float = 1.0
    ) -> None:
        super().__init__(minimizer, maximizer, lr)
        self.method = partial(consensus, weight=check_number(weight, "weight"))


class Unrolled(MinMax):
    """The minimiser descends the payoff ``depth`` ascent steps ahead; see `convexgan.updates.unrolled`.

    Parameters
    ----------
    minimizer, maximizer : iterables of parameters
    lr : float or pair
    depth : int
    """

    zero_sum = True

    def __init__(
        self, minimizer: Parameters, maximizer: Parameters, lr: float | tuple[float, float], depth: int = 5
    ) -> None:
        super().__init__(minimizer, maximizer, lr)
        self.method = partial(unrolled, depth=check_count(depth, "depth"))


class _ClosureGame(DifferentiableGame):
    """The game of a closure, whose parameters are moved to where its gradients are asked for."""

    def __init__(self, closure: Callable[[], Payoffs], x: list[Tensor], y: list[Tensor], zero_sum: bool) -> None:
        self.closure, self.x, self.y, self.zero_sum = closure, x, y, zero_sum
        self.seen: Tensor | None = None

    @property
    def first(self) -> Tensor:
        """The payoff at the first point."""
        return torch.tensor(torch.nan) if self.seen is None else self.seen

    def load(self, x: tuple[Tensor, ...], y: tuple[Tensor, ...]) -> None:
        """Move the parameters."""
        with torch.no_grad():
            for parameter, values in zip([*self.x, *self.y], [*x, *y], strict=True):
                parameter.copy_(values)

    def gradients(self, x: Any, y: Any) -> tuple[Any, Any]:
        """The gradients of both players."""
        return self._gradients(x, y, False)

    def grad_x(self, x: Any, y: Any) -> Any:
        """The minimiser's."""
        return self.gradients(x, y)[0]

    def grad_y(self, x: Any, y: Any) -> Any:
        """The maximiser's."""
        return self.gradients(x, y)[1]

    def vjp(self, x: Any, y: Any, u: Any, v: Any) -> tuple[Any, Any]:
        """The gradient of <u, grad_x> + <v, grad_y>."""
        first = self._gradients(x, y, True)
        with torch.enable_grad():
            total = torch.stack([(a * b).sum() for a, b in zip(first[0] + first[1], u + v, strict=True)]).sum()
            if not total.requires_grad:  # a payoff without curvature
                return tuple(map(torch.zeros_like, x)), tuple(map(torch.zeros_like, y))
            found = torch.autograd.grad(total, [*self.x, *self.y], materialize_grads=True)
        return found[: len(x)], found[len(x) :]

    @torch.enable_grad()
    def _gradients(self, x: Any, y: Any, create_graph: bool) -> tuple[Any, Any]:
        self.load(x, y)
        cost, gain = self._payoffs()
        self.seen = cost.detach() if self.seen is None else self.seen
        if cost is gain:
            found = torch.autograd.grad(cost, [*self.x, *self.y], create_graph=create_graph, materialize_grads=True)
            return found[: len(x)], found[len(x) :]
        options: dict[str, Any] = {"retain_graph": True, "create_graph": create_graph, "materialize_grads": True}
        return torch.autograd.grad(cost, self.x, **options), torch.autograd.grad(gain, self.y, **options)

    def _payoffs(self) -> tuple[Tensor, Tensor]:
        """What the minimiser minimises, and what the maximiser maximises."""
        found = self.closure()
        parts = found if isinstance(found, tuple) else (found, found)
        fits = len(parts) == 2 and all(isinstance(part, Tensor) and part.numel() == 1 for part in parts)
        if not fits or not all(part.requires_grad for part in parts):
            raise ValueError(
                f"the closure returns {type(found).__name__}: it must return the payoff, one number with its graph, or "
                "a pair of them, what the minimiser minimises and what the maximiser maximises."
            )
        if self.zero_sum and parts[0] is not parts[1]:
            raise ValueError("this method is for zero-sum games: return one payoff, not a pair.")
        cost = parts[0].sum()
        return cost, cost if parts[1] is parts[0] else parts[1].sum()
