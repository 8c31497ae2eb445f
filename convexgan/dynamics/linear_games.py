"""Games with affine gradients, and the matrix of one step of any method on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats
from convexgan.dynamics.linear_steps import LinearStep
from convexgan.updates import Game, Rates, Step, resolve_step
from convexgan.updates.game import pair

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearGame(Game):
    """Gradients linear around the stationary point 0: grad_x = xx x + xy y, grad_y = yx x + yy y.

    The leading axes are a batch: one game for each index. The game need not be zero-sum.

    Parameters
    ----------
    xx, xy, yx, yy : (..., n, n), (..., n, m), (..., m, n), (..., m, m) arrays
        The blocks; numbers stand for 1 x 1 blocks.
    unfelt : (...) array, optional
        The curvature of further directions of y that x does not feel and that do not feel x: they do not change how
        fast x comes to rest, but where they grow nothing does.
    """

    xx: Array
    xy: Array
    yx: Array
    yy: Array
    unfelt: Array | None = None

    def __post_init__(self) -> None:
        for name in ("xx", "xy", "yx", "yy"):
            block = as_floats(getattr(self, name), name)
            if not np.isfinite(block).all():
                raise ValueError(f"{name} of LinearGame has NaN or infinite entries: linearise where it is smooth.")
            object.__setattr__(self, name, block if block.ndim > 1 else block[..., None, None])
        n, m = self.xx.shape[-1], self.yy.shape[-1]
        for name, shape in (("xx", (n, n)), ("xy", (n, m)), ("yx", (m, n)), ("yy", (m, m))):
            if getattr(self, name).shape[-2:] != shape:
                found = getattr(self, name).shape
                raise ValueError(f"{name} of LinearGame has shape {found}: it must end in {shape}.")

    @property
    def saddle(self) -> tuple[Array, Array]:
        """The players at rest, 0: (n,) and (m,) arrays."""
        return np.zeros(self.xx.shape[-1]), np.zeros(self.yy.shape[-1])

    def linearized(self, saddle: Any) -> LinearGame:
        """The game itself, around any point."""
        return self

    @classmethod
    def of_modes(cls, xx: Any, xy: Any, yx: Any, yy: Any) -> LinearGame:
        """A batch of games of two numbers each, the blocks broadcast against each other."""
        blocks = np.broadcast_arrays(*(as_floats(block, "each block") for block in (xx, xy, yx, yy)))
        return cls(*(block[..., None, None] for block in blocks))

    def grad_x(self, x: Array, y: Array) -> Array:
        """xx x + xy y, for players whose last axis holds states side by side."""
        return self.xx @ x + self.xy @ y

    def grad_y(self, x: Array, y: Array) -> Array:
        """yx x + yy y."""
        return self.yx @ x + self.yy @ y

    def vjp(self, x: Array, y: Array, u: Array, v: Array) -> tuple[Array, Array]:
        """The transposed blocks applied to (u, v)."""
        xx, xy, yx, yy = (np.swapaxes(block, -1, -2) for block in (self.xx, self.xy, self.yx, self.yy))
        return xx @ u + yx @ v, xy @ u + yy @ v

    def field(self, rates: Rates = 1.0) -> Array:
        """(..., n + m, n + m) matrix of the field (-a grad_x, b grad_y)."""
        rate_x, rate_y = (as_matrix(rate) for rate in pair(rates))
        top = np.concatenate(_alike(-rate_x * self.xx, -rate_x * self.xy), axis=-1)
        bottom = np.concatenate(_alike(rate_y * self.yx, rate_y * self.yy), axis=-1)
        matrix: Array = np.concatenate(_alike(top, bottom), axis=-2)
        return matrix


def as_matrix(rate: Any) -> Array:
    """Rates with two axes more, to multiply blocks; checked to be finite and non-negative."""
    rates = as_floats(rate, "step sizes")
    if not np.isfinite(rates).all() or (rates < 0).any():
        raise ValueError("step sizes must be finite and >= 0: the directions of the players are part of the game.")
    return rates[..., None, None]


def update_matrix(game: LinearGame, rates: Rates, method: str | Step = "alternating") -> Array:
    """The matrix of one step on (x, y), and on what the method remembers: previous gradients, or momentum.

    It is read off by applying the step function once to the identity, whose columns are states.

    Parameters
    ----------
    game : LinearGame
        A game or a batch of them.
    rates : number, array or pair
        The step sizes of x and y; arrays broadcast against the batch.
    method : str or step function
        "simultaneous", "alternating", "extragradient", "optimistic", or any function (game, state, rates) -> state
        that is linear where the gradients are, with any memory.

    Returns
    -------
    (..., p, p) array
        p = n + m, and as many more as the method remembers.

    Raises
    ------
    ValueError
        The step is not linear, as with Adam.
    """
    n, m = game.xx.shape[-1], game.yy.shape[-1]
    rate_x, rate_y = pair(rates)
    both = as_matrix(rate_x), as_matrix(rate_y)
    step = LinearStep(game, np.zeros((n, 1)), np.zeros((m, 1)), both, resolve_step(method))
    return step(np.eye(step.size))


def _alike(*blocks: Array) -> list[Array]:
    """The blocks with their leading axes broadcast."""
    batch = np.broadcast_shapes(*(block.shape[:-2] for block in blocks))
    return [np.broadcast_to(block, batch + block.shape[-2:]) for block in blocks]
