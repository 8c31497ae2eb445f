"""One step of a method on a game with linear gradients: a linear map of the players and of what it remembers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.updates import Game, Rates, State, Step

Array = NDArray[np.float64]
SAME = 1e-9  # relative difference that is rounding


class LinearStep:
    """The step as a map of arrays (size, k), or (size,), whose first entries are x and y and the others the memory.

    What a method remembers is found by taking two steps, not by knowing the method: arrays anywhere in its memory, one
    entry for each state beside the players', become part of the state. That the step is linear in all of them is
    checked on random states.

    Parameters
    ----------
    game : Game
        Its gradients are linear around 0.
    x, y : arrays (n, 1) and (m, 1), or (n,) and (m,)
        Of the players' shapes.
    rates : number, array or pair
    step : function (game, state, rates) -> state

    Attributes
    ----------
    size : int
        n + m, and as many more as the method remembers.

    Raises
    ------
    ValueError
        The step is not linear, or changes with the number of steps done, as Adam does in both ways: no matrix
        describes it.
    """

    def __init__(self, game: Game, x: Array, y: Array, rates: Rates, step: Step) -> None:
        self._game, self._rates, self._step, self._axis = game, rates, step, -2 if x.ndim > 1 else 0
        with np.errstate(all="ignore"):
            first = step(game, State(x + 1.0, y - 1.0), rates)
            second = step(game, first, rates)
        self._memory = first.memory
        parts = _arrays(first.memory)
        shapes = [[part.shape[-2:] for part in _arrays(state.memory)] for state in (first, second)]  # without a batch
        if shapes[0] != shapes[1] or _others(first.memory) != _others(second.memory):
            raise ValueError(_refusal(step, "changes with the number of steps done"))
        if any(part.ndim < x.ndim or (x.ndim > 1 and part.shape[-1] != 1) for part in parts):
            raise ValueError(_refusal(step, "remembers arrays that are not of the players' shapes"))
        sizes = [part.shape[self._axis] for part in (x, y, *parts)]
        self.size, self._cuts = sum(sizes), np.cumsum(sizes)[:-1]
        self._check_linear(x.ndim)

    def __call__(self, states: Array) -> Array:
        """The states after one step; leading axes are those of the game's batch."""
        x, y, *parts = np.split(states, self._cuts, axis=self._axis)
        after = self._step(self._game, State(x, y, _filled(self._memory, iter(parts))), self._rates)
        blocks = [after.x, after.y, *_arrays(after.memory)]
        if self._axis == 0:
            return np.concatenate(blocks)
        batch = np.broadcast_shapes(*(block.shape[:-2] for block in blocks))
        return np.concatenate([np.broadcast_to(block, batch + block.shape[-2:]) for block in blocks], axis=-2)

    def _check_linear(self, axes: int) -> None:
        """Raise unless sums and multiples of states become those of what they become."""
        draws = np.random.default_rng(0).standard_normal((2, self.size, *[1] * (axes - 1)))
        with np.errstate(all="ignore"):
            one, other, sums, double, at_zero = (
                self(states) for states in (*draws, draws.sum(axis=0), 2 * draws[0], 0 * draws[0])
            )
            size = np.abs(one).max() + np.abs(other).max() + np.abs(draws).max()
            misses = (sums - one - other, double - 2 * one, at_zero)
        if not all(np.abs(miss).max() <= SAME * size for miss in misses):  # so written, NaN misses
            raise ValueError(_refusal(self._step, "is not linear in the gradients"))


def _refusal(step: Step, why: str) -> str:
    name = getattr(getattr(step, "func", step), "__name__", type(step).__name__)
    return (
        f"method {name!r} {why}, so no matrix tells what it does near a saddle point, whose spectrum this is: run it "
        "(`measure_gda`), or pass a method that is linear."
    )


def _arrays(memory: Any) -> list[Array]:
    """The arrays in a memory of nested tuples, lists and dicts."""
    if isinstance(memory, np.ndarray):
        return [memory]
    return [array for part in _parts(memory) for array in _arrays(part)]


def _others(memory: Any) -> list[Any]:
    """What else is in it: numbers and text, which have to stay as they are."""
    if isinstance(memory, np.ndarray):
        return []
    if isinstance(memory, tuple | list | dict):
        return [other for part in _parts(memory) for other in _others(part)]
    return [memory]


def _parts(memory: Any) -> list[Any]:
    if isinstance(memory, dict):
        return list(memory.values())
    return list(memory) if isinstance(memory, tuple | list) else []


def _filled(memory: Any, arrays: Any) -> Any:
    """The memory with its arrays replaced, in order."""
    if isinstance(memory, np.ndarray):
        return next(arrays)
    if isinstance(memory, dict):
        return {name: _filled(part, arrays) for name, part in memory.items()}
    if isinstance(memory, tuple | list):
        found = [_filled(part, arrays) for part in memory]
        return type(memory)(*found) if hasattr(memory, "_fields") else type(memory)(found)
    return memory
