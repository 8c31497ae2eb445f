"""A game of torch players that is given by its payoff alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convexgan.dynamics.tangent import parts
from convexgan.updates import DifferentiableGame, Player, State


class PayoffGame(DifferentiableGame):
    """min over x, max over y of payoff(x, y), by autograd.

    Its gradients take players as numpy arrays too, and answer in kind, so that every step of `convexgan.updates` can
    be run on it.

    Parameters
    ----------
    payoff : function
        From x and y to a scalar tensor: E log D(X) + E log(1 - D(G(Z))), say. A player that is a module comes as a
        function with the module's arguments.
    x, y : torch Module, tensor, or tuple of tensors
        The players, in float64, where they are a saddle point.

    Attributes
    ----------
    saddle : State
        Their tensors, of modules the parameters.
    names : list of str
        What the tensors are called: "x: 0.weight", of a tuple "x[0]".
    """

    def __init__(self, payoff: Callable[[Any, Any], Any], x: Any, y: Any) -> None:
        self._payoff, self._players, self.names = payoff, (x, y), []
        tensors = []
        for name, player in (("x", x), ("y", y)):
            if hasattr(player, "named_parameters"):
                known = dict(player.named_parameters())
                self.names += [f"{name}: {key}" for key in known]
                tensors.append(tuple(value.detach() for value in known.values()))
            else:
                self.names += [f"{name}[{i}]" for i in range(len(player))] if isinstance(player, tuple) else [name]
                tensors.append(player)
            if not parts(tensors[-1]) or not all(hasattr(part, "detach") for part in parts(tensors[-1])):
                raise ValueError(
                    f"{name} must be a torch module with parameters, a tensor or a tuple of tensors, got "
                    f"{type(player).__name__}: for numpy players subclass convexgan.updates.Game with both gradients."
                )
        self.saddle = State(*tensors)

    def grad_x(self, x: Player, y: Player) -> Player:
        """In x."""
        return self.gradients(x, y)[0]

    def grad_y(self, x: Player, y: Player) -> Player:
        """In y."""
        return self.gradients(x, y)[1]

    def gradients(self, x: Player, y: Player) -> tuple[Player, Player]:
        """Both, with a graph if the players have one."""
        (first, second), inputs, numpy = self._leaves(x, y)
        return self._split(x, y, self._slopes(first, second, inputs), numpy)

    def vjp(self, x: Player, y: Player, u: Player, v: Player) -> tuple[Player, Player]:
        """The gradient of <u, grad_x> + <v, grad_y> with u and v held fixed."""
        import torch

        (first, second), inputs, numpy = self._leaves(x, y)
        slopes = self._slopes(first, second, inputs)
        pairs = zip(slopes, (*parts(u), *parts(v)), strict=True)
        chosen = [(slope, torch.as_tensor(part, dtype=slope.dtype)) for slope, part in pairs if slope.requires_grad]
        outputs, weights = [slope for slope, _ in chosen], [weight for _, weight in chosen]
        found = torch.autograd.grad(outputs, inputs, weights, create_graph=not numpy, materialize_grads=True)
        return self._split(x, y, found, numpy)

    def _leaves(self, x: Player, y: Player) -> tuple[Any, tuple[Any, ...], bool]:
        """Both players as tensors, those that are differentiated by, and whether they came as numpy arrays."""
        import torch

        numpy = not hasattr(parts(x)[0], "detach")
        if numpy:
            pair = [tuple(torch.tensor(part, requires_grad=True) for part in parts(player)) for player in (x, y)]
        else:
            pair = [
                tuple(part if part.requires_grad else part.detach().requires_grad_() for part in parts(player))
                for player in (x, y)
            ]
        return pair, (*pair[0], *pair[1]), numpy

    def _slopes(self, x: Any, y: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        import torch

        value = self._payoff(
            *(self._placed(player, tensors) for player, tensors in zip(self._players, (x, y), strict=True))
        )
        if not hasattr(value, "detach") or value.numel() != 1 or not value.requires_grad:
            raise ValueError(
                "payoff must return a scalar tensor that depends on the players: a mean or a sum of scores."
            )
        return torch.autograd.grad(value.reshape(()), inputs, create_graph=True, materialize_grads=True)

    def _placed(self, player: Any, tensors: tuple[Any, ...]) -> Any:
        """What the payoff is given for a player of these tensors."""
        if not hasattr(player, "named_parameters"):
            return tensors if isinstance(player, tuple) else tensors[0]
        from torch.func import functional_call

        state = dict(zip(dict(player.named_parameters()), tensors, strict=True))
        return lambda *arguments, **named: functional_call(player, state, arguments, named)

    def _split(self, x: Player, y: Player, found: tuple[Any, ...], numpy: bool) -> tuple[Player, Player]:
        """Flat tensors in the structure of both players."""
        values = [np.asarray(part.detach()) for part in found] if numpy else list(found)
        first, second = tuple(values[: len(parts(x))]), tuple(values[len(parts(x)) :])
        return first if isinstance(x, tuple) else first[0], second if isinstance(y, tuple) else second[0]
