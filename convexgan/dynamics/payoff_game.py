"""A game that is given by its payoff: of torch players by that alone, of numpy players with its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convexgan.dynamics.tangent import differences, flat, like, parts
from convexgan.updates import DifferentiableGame, Player, State

AGREES = 1e-5  # of a slope, up to which the payoff's and the gradients' may differ


class PayoffGame(DifferentiableGame):
    """min over x, max over y of payoff(x, y): torch players by autograd, numpy players by gradients that are given.

    Its gradients take players of torch as numpy arrays too, and answer in kind, so that every step of
    `convexgan.updates` can be run on it. Second derivatives, which consensus and unrolled steps want, are those of
    autograd, or five-point differences of the given gradients: those of one payoff have a symmetric derivative.

    Parameters
    ----------
    payoff : function
        From x and y to a scalar: E log D(X) + E log(1 - D(G(Z))), say. A player that is a module comes as a function
        with the module's arguments.
    x, y : torch Module, tensor, tuple of tensors, numpy array, or tuple of numpy arrays
        The players, in float64, where they are a saddle point.
    gradients : function, optional
        Of numpy players: from x and y to the payoff's gradients in both, shaped like them.

    Attributes
    ----------
    saddle : State
        Their tensors or arrays, of modules the parameters.
    names : list of str
        What the tensors are called: "x: 0.weight", of a tuple "x[0]".

    Raises
    ------
    ValueError
        The players are of no such kind, or the given gradients are not those of the payoff near the players.
    """

    def __init__(
        self,
        payoff: Callable[[Any, Any], Any],
        x: Any,
        y: Any,
        *,
        gradients: Callable[[Any, Any], tuple[Any, Any]] | None = None,
    ) -> None:
        self._payoff, self._players, self._given, self.names = payoff, (x, y), gradients, []
        if gradients is not None:
            self._read_arrays(x, y)
            return
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
                    f"{type(player).__name__}: numpy players want gradients=, a function of x and y to both."
                )
        self.saddle = State(*tensors)

    def _read_arrays(self, x: Any, y: Any) -> None:
        """Keep numpy players, whose gradients are checked beside the saddle point against slopes of the payoff."""
        for name, player in (("x", x), ("y", y)):
            self.names += [f"{name}[{i}]" for i in range(len(player))] if isinstance(player, tuple) else [name]
            if not all(isinstance(part, np.ndarray) for part in parts(player)):
                raise ValueError(f"gradients is for numpy players, and {name} is none: pass arrays, or leave it out.")
        self.saddle = State(x, y)
        point, random = np.concatenate([flat(x), flat(y)]), np.random.default_rng(0)
        beside = point + 0.01 * random.standard_normal(len(point))
        given, move = self._field(beside), random.standard_normal(len(point))
        if given.shape != point.shape:
            raise ValueError(
                f"gradients has {given.size} numbers for players of {point.size}: return both, shaped alike."
            )
        slope = float(differences(lambda at: np.atleast_1d(self._payoff(*self._unflat(at))), beside)(move)[0])
        if not abs(slope - given @ move) <= AGREES * (np.linalg.norm(given) * np.linalg.norm(move) + abs(slope)) + 1e-9:
            raise ValueError(
                f"gradients is not the payoff's: beside the saddle point the payoff has the slope {slope:.6g} in a "
                f"random direction, the gradients {given @ move:.6g}. Both are of the payoff that y maximises."
            )

    def _unflat(self, entries: Any) -> tuple[Player, Player]:
        """Both numpy players of these entries."""
        x, y = self.saddle[:2]
        size = flat(x).size
        return like(x, entries[:size]), like(y, entries[size:])

    def _field(self, entries: Any) -> Any:
        """The given gradients as flat entries."""
        return np.concatenate([flat(part) for part in self.gradients(*self._unflat(entries))])

    def grad_x(self, x: Player, y: Player) -> Player:
        """The gradient in x."""
        return self.gradients(x, y)[0]

    def grad_y(self, x: Player, y: Player) -> Player:
        """The gradient in y."""
        return self.gradients(x, y)[1]

    def gradients(self, x: Player, y: Player) -> tuple[Player, Player]:
        """Both gradients, with a graph if the players have one."""
        if self._given is not None:
            return self._given(x, y)
        (first, second), inputs, numpy = self._leaves(x, y)
        return self._split(x, y, self._slopes(first, second, inputs), numpy)

    def vjp(self, x: Player, y: Player, u: Player, v: Player) -> tuple[Player, Player]:
        """The gradient of <u, grad_x> + <v, grad_y> with u and v held fixed."""
        if self._given is not None:
            at, along = (np.concatenate([flat(part) for part in pair]) for pair in ((x, y), (u, v)))
            return self._unflat(differences(self._field, at)(along))
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
