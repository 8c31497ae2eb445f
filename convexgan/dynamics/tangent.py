"""A game's gradients differentiated at a point: products with the Jacobian, which is never formed unless asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from convexgan.dynamics.linear_games import LinearGame
from convexgan.exceptions import SolverError
from convexgan.updates import Game, Player, State

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

DISTANCE = 1e-4  # of a difference, in units of the players or of 1: errors of five points are near 1e-12 of the slope
KINK = 1e-2  # of the slope, by which its two sides may differ: at a smooth point they differ by about the distance
NEAR = 1e-2  # how far a saddle point may be refined, in units of the players or of 1
STILL = 1e-6  # how far from stationary a saddle point may be, in units of the players or of 1


class Tangent(Game):
    """The derivative of a game's gradients at a stationary point, for moves of the players as flat (n,), (m,) arrays.

    Its gradients are Jacobian products, so a step function applied to it is one step of the linearised method. Torch
    players are differentiated by autograd, numpy players by five-point differences of their gradients.

    Parameters
    ----------
    game : Game
        Players are numpy arrays, or float64 torch tensors whose gradients carry a graph (formulas, or
        ``torch.autograd.grad(..., create_graph=True)``).
    saddle : State or pair of players
        Where both gradients vanish.

    Attributes
    ----------
    gradient : (n + m,) array
        Both gradients at the point.

    Raises
    ------
    ValueError
        The point is not two players, the gradients have a kink there, or there is nothing to differentiate.
    """

    def __init__(self, game: Game, saddle: Any) -> None:
        x, y = two_players(saddle)
        point = np.concatenate([flat(x), flat(y)])
        self.sizes = (flat(x).size, flat(y).size)
        field, self._pull = _field(game, x, y), None
        if hasattr(parts(x)[0], "detach"):
            self.gradient, self._product, self._pull = _automatic(game, x, y)
        else:
            self.gradient, self._product = field(point), differences(field, point)
        _check_smooth(field, point, _named(game, x, y))
        self._unit, self._slope = _unit(point), _typical_slope(self._product, len(point))
        if not np.isfinite([self._slope, *self.gradient]).all():
            raise ValueError("saddle: the gradients or their derivatives are not finite there.")

    def check_still(self, gradient: Array) -> None:
        """Raise if a gradient at the point is not zero, in units of its slope and of the players.

        Raises
        ------
        ValueError
            The gradient is not zero.
        """
        size = float(np.sqrt(np.mean(gradient**2)))
        if size > STILL * self._slope * self._unit:
            raise ValueError(
                f"saddle is not stationary: the players' gradients have size {size:.3g} there. Pass a point where both "
                "vanish."
            )

    def gradients(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The change of both gradients under the move (x, y), from one product."""
        change = self._product(np.concatenate([x, y]))
        return change[: self.sizes[0]], change[self.sizes[0] :]

    def grad_x(self, x: Array, y: Array) -> Array:
        """The change of the first."""
        return self.gradients(x, y)[0]

    def grad_y(self, x: Array, y: Array) -> Array:
        """The change of the second."""
        return self.gradients(x, y)[1]

    def vjp(self, x: Array, y: Array, u: Array, v: Array) -> tuple[Array, Array]:
        """The transposed Jacobian applied to (u, v), of torch players."""
        if self._pull is None:
            raise NotImplementedError("differences have no transposed products: form the Jacobian (dense).")
        pulled = self._pull(np.concatenate([u, v]))
        return pulled[: self.sizes[0]], pulled[self.sizes[0] :]

    def dense(self) -> LinearGame:
        """The Jacobian as blocks, one product for each parameter."""
        n = self.sizes[0]
        jacobian = np.stack([self._product(unit) for unit in np.eye(sum(self.sizes))], axis=1)
        return LinearGame(jacobian[:n, :n], jacobian[:n, n:], jacobian[n:, :n], jacobian[n:, n:])


def refine(game: Game, near: State) -> State:
    """The stationary point by a nearby one of numpy players, by Levenberg and Marquardt's method, to rounding.

    Eigenvalues on the unit circle can be told from others only at an accurate saddle point, which conic solvers do not
    give. Where stationary points form a family, one of it is found.
    """
    n = flat(near.x).size
    field, start = _field(game, near.x, near.y), np.concatenate([flat(near.x), flat(near.y)])

    found = least_squares(field, start, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15).x
    moved = float(np.sqrt(np.mean((found - start) ** 2)))
    if moved > NEAR * _unit(start):
        raise SolverError(f"the nearest stationary point found is {moved:.3g} away: solve to a smaller tolerance.")
    return State(like(near.x, found[:n]), like(near.y, found[n:]))


def two_players(saddle: Any) -> tuple[Player, Player]:
    """x and y of a state or pair; raises if there are other players beside them."""
    count = len(saddle) if hasattr(saddle, "__len__") else 1
    if isinstance(saddle, State) or count == 2:
        return saddle[0], saddle[1]
    raise ValueError(
        f"saddle must be the pair (x, y) of the two players, got {count}: games of three or more are not covered; a "
        "player of several arrays is a tuple of them."
    )


def _named(game: Game, x: Player, y: Player) -> list[tuple[str, int]]:
    """What the arrays of both players are called, and their sizes."""
    arrays = [
        (f"{name}[{index}]" if isinstance(player, tuple) else name, flat(part).size)
        for name, player in (("x", x), ("y", y))
        for index, part in enumerate(parts(player))
    ]
    names = getattr(game, "names", None) or [name for name, _ in arrays]
    return [(name, size) for name, (_, size) in zip(names, arrays, strict=True)]


def parts(player: Player) -> tuple[Any, ...]:
    """The arrays of a player."""
    return player if isinstance(player, tuple) else (player,)


def flat(player: Player) -> Array:
    """The entries of a player as one float64 array."""
    arrays = [part.detach().cpu().numpy() if hasattr(part, "detach") else np.asarray(part) for part in parts(player)]
    if any(array.dtype == np.float32 for array in arrays):
        raise ValueError("players are float32, too coarse to tell phases apart: pass float64 ones (.double()).")
    return np.concatenate([array.ravel().astype(np.float64) for array in arrays])


def like(player: Player, entries: Array) -> Player:
    """The entries as numpy arrays in the shapes of a player."""
    shapes = [np.shape(part) for part in parts(player)]
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    made = tuple(part.reshape(shape) for part, shape in zip(np.split(entries, cuts), shapes, strict=True))
    return made if isinstance(player, tuple) else made[0]


def _placed(player: Player, entries: Array) -> Player:
    """The entries in the shapes of a player, of torch tensors if it is."""
    made = like(player, entries)
    if not hasattr(parts(player)[0], "detach"):
        return made
    tensors = tuple(
        old.detach().new_tensor(new).requires_grad_() for old, new in zip(parts(player), parts(made), strict=True)
    )
    return tensors if isinstance(player, tuple) else tensors[0]


def _field(game: Game, x: Player, y: Player) -> Function:
    """Both gradients as a function from flat entries to flat entries."""
    n = flat(x).size

    def field(entries: Array) -> Array:
        gradients = game.gradients(_placed(x, entries[:n]), _placed(y, entries[n:]))
        return np.concatenate([flat(gradient) for gradient in gradients])

    return field


def _unit(point: Array) -> float:
    """The length against which moves of an entry are measured."""
    return max(1.0, float(np.sqrt(np.mean(point**2))))


def differences(field: Function, point: Array) -> Function:
    """Jacobian products by differences of five points."""

    def product(move: Array) -> Array:
        size = float(np.linalg.norm(move))
        if size == 0:
            return np.zeros_like(move)
        step = DISTANCE * _unit(point) / size * move
        near, far = (field(point + k * step) - field(point - k * step) for k in (1, 2))
        return (8 * near - far) * (size / (12 * DISTANCE * _unit(point)))

    return product


def _moves(count: int) -> Array:
    """Random moves of unit length, (3, count)."""
    moves = np.random.default_rng(0).standard_normal((3, count))
    unit: Array = moves / np.linalg.norm(moves, axis=1, keepdims=True)
    return unit


def _typical_slope(product: Function, count: int) -> float:
    """The size of Jacobian products with random moves of unit length."""
    return float(np.mean([np.linalg.norm(product(move)) for move in _moves(count)]))


def _check_smooth(field: Function, point: Array, arrays: list[tuple[str, int]]) -> None:
    """Raise if the slopes to both sides of the point differ, along random moves, by something that is no curvature."""
    here, moves = field(point), _moves(len(point))
    if not any(_bends(field, here, point, move) for move in moves):
        return
    cuts = np.cumsum([0, *(size for _, size in arrays)])
    kinked = []
    for (name, _), start, stop in zip(arrays, cuts[:-1], cuts[1:], strict=True):
        alone = np.where((np.arange(len(point)) >= start) & (np.arange(len(point)) < stop), moves, 0.0)
        if any(_bends(field, here, point, move) for move in alone):
            kinked.append(name)
    where = f", where {' and '.join(kinked)} move" if kinked else ""
    raise ValueError(f"saddle is at a kink of the gradients{where}: there is no linearisation that tells what happens.")


def _bends(field: Function, here: Array, point: Array, move: Array) -> bool:
    """Whether the slopes along a move have a jump at the point."""
    step = DISTANCE * _unit(point) * move
    pairs = [(field(point + k * step) - here, here - field(point - k * step)) for k in (1, 2)]
    near, far = (float(np.linalg.norm(ahead - behind)) for ahead, behind in pairs)
    return bool(near > KINK * np.linalg.norm(pairs[0][0] + pairs[0][1]) and far < 3 * near)  # curved: far is 4 near


def _automatic(game: Game, x: Player, y: Player) -> tuple[Array, Function, Function]:
    """The gradients, J v and J'w of torch players: J v is the derivative of J'w in w, along v."""
    import torch

    def fresh(player: Player) -> Player:
        leaves = tuple(part.detach().clone().requires_grad_() for part in parts(player))
        return leaves if isinstance(player, tuple) else leaves[0]

    x, y = fresh(x), fresh(y)
    inputs = (*parts(x), *parts(y))
    outputs = [part for gradient in game.gradients(x, y) for part in parts(gradient)]
    curved = [part for part in outputs if part.requires_grad]
    if not curved:
        raise ValueError(
            "the gradients of the torch players carry no graph: build them with torch.autograd.grad(..., "
            "create_graph=True), or from formulas."
        )
    weights = [torch.zeros_like(part, requires_grad=True) for part in outputs]
    chosen = [weight for weight, part in zip(weights, outputs, strict=True) if part.requires_grad]
    pulled = torch.autograd.grad(curved, inputs, chosen, create_graph=True, materialize_grads=True)
    felt = [index for index, part in enumerate(pulled) if part.requires_grad]
    cuts = np.cumsum([part.numel() for part in inputs])[:-1]

    def product(move: Array) -> Array:
        pieces = zip(np.split(move, cuts), inputs, strict=True)
        along = [torch.as_tensor(piece).to(leaf).view_as(leaf) for piece, leaf in pieces]
        change = torch.autograd.grad(
            [pulled[i] for i in felt], weights, [along[i] for i in felt], retain_graph=True, materialize_grads=True
        )
        return flat(tuple(change))

    def pull(weight: Array) -> Array:
        pieces = zip(np.split(weight, np.cumsum([part.numel() for part in outputs])[:-1]), outputs, strict=True)
        chosen = [torch.as_tensor(piece).to(part).view_as(part) for piece, part in pieces if part.requires_grad]
        return flat(torch.autograd.grad(curved, inputs, chosen, retain_graph=True, materialize_grads=True))

    return flat(tuple(outputs)), product, pull
