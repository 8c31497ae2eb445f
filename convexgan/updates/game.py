"""What a step needs: a game with gradients, the state of its two players, and arithmetic on players."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

Player: TypeAlias = Any
"""One array or a tuple of arrays: numpy, torch, or anything with +, - and * by a number."""

Rates: TypeAlias = Any
"""A step size for both players, or a pair (of the minimiser, of the maximiser). One player's may be an array, which
broadcasts, or for a player of several arrays a tuple with one for each."""

Transform: TypeAlias = Callable[[Player, Any], tuple[Player, Any]]
"""(gradient, memory) -> (direction, memory); the memory of the first call is None."""


class Game(Protocol):
    """min over x, max over y. A subclass gives the two gradients; neither may change its arguments."""

    @abstractmethod
    def grad_x(self, x: Player, y: Player) -> Player:
        """The gradient in x of what x minimises, shaped like x."""

    @abstractmethod
    def grad_y(self, x: Player, y: Player) -> Player:
        """The gradient in y of what y maximises, shaped like y."""

    def gradients(self, x: Player, y: Player) -> tuple[Player, Player]:
        """Both gradients at the same point; override it where they share work."""
        return self.grad_x(x, y), self.grad_y(x, y)

    def projected(self, y: Player) -> Player:
        """The maximiser moved to where the game allows it; y itself unless a subclass says otherwise.

        Steps project the points at which they look; what they return is for the caller to project.
        """
        return y

    def vjp(self, x: Player, y: Player, u: Player, v: Player) -> tuple[Player, Player]:
        """What `DifferentiableGame` has; here an error for the steps that ask for it.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            f"{type(self).__name__} has no second derivatives, which this method needs: write its vjp "
            "(convexgan.updates.DifferentiableGame), or take another method."
        )

    def renewed(self) -> None:
        """Look at another sample of the same game from now on; nothing unless a subclass draws batches."""
        return


class DifferentiableGame(Game, Protocol):
    """A game whose gradients can be differentiated once more."""

    @abstractmethod
    def vjp(self, x: Player, y: Player, u: Player, v: Player) -> tuple[Player, Player]:
        """The gradient in (x, y) of <u, grad_x(x, y)> + <v, grad_y(x, y)> with u and v held fixed."""


class State(NamedTuple):
    """Both players, and what the method remembers: None before its first step."""

    x: Player
    y: Player
    memory: Any = None


def pair(rates: Rates) -> tuple[Any, Any]:
    """The step sizes of the minimiser and of the maximiser."""
    if not isinstance(rates, tuple):
        return rates, rates
    if len(rates) != 2:
        raise ValueError(f"the step sizes must be one number or a pair, the minimiser's first, got {len(rates)}.")
    return rates


def each(function: Callable[..., Any], *players: Player) -> Player:
    """The function applied to the arrays of players of the same structure."""
    if isinstance(players[0], tuple):
        return tuple(function(*parts) for parts in zip(*players, strict=True))
    return function(*players)


def move(player: Player, rate: Any, direction: Player) -> Player:
    """player + rate * direction."""
    if isinstance(rate, tuple):
        return each(_moved, player, direction, rate)
    return each(lambda array, part: _moved(array, part, rate), player, direction)


def descend(player: Player, rate: Any, gradient: Player) -> Player:
    """player - rate * gradient."""
    return move(player, tuple(-own for own in rate) if isinstance(rate, tuple) else -rate, gradient)


def _moved(array: Any, part: Any, rate: Any) -> Any:
    if isinstance(rate, int | float) and hasattr(array, "addcmul"):
        return array.add(part, alpha=rate)  # a tensor: one pass and one rounding
    return array + rate * part


def plain(gradient: Player, memory: Any) -> tuple[Player, Any]:
    """The transform that leaves the gradient alone."""
    return gradient, memory
