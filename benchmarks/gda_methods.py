"""Predicted beside measured rates of every step of `convexgan.updates` on 200 random linear games.

Games of two and two numbers, f = x'Ax/2 + x'By - y'Cy/2 with Gaussian blocks: A and C positive semidefinite in half of
them, of any sign in the others; rates drawn between .02 and .3. The step function itself is run for 20,000 steps, all
games side by side, players and memory rescaled as they grow or shrink; of the last four states the recurrence
z_{t+2} = p z_{t+1} + q z_t is fitted, whose larger root has the measured rate. It shows one leading eigenvalue or two,
so games with three whose moduli lie within .2 % of one another cannot be measured and are counted apart. Claimed: 1e-8.

Example: python -m benchmarks.gda_methods --quick
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._report import parse, write
from convexgan.dynamics import LinearGame, predict
from convexgan.updates import METHODS, State

SEPARATE = 0.998
EVERY = 20


def draw(count: int, rng: np.random.Generator) -> tuple[LinearGame, tuple[np.ndarray, np.ndarray]]:
    """A batch of games, and their rates."""
    A, B, C = rng.standard_normal((3, count, 2, 2))
    A, C = (np.where(np.arange(count)[:, None, None] % 2, M + M.mT, M @ M.mT) / 2 for M in (A, C))
    a, b = rng.uniform(0.02, 0.3, (2, count))
    return LinearGame(A, B, B.mT, -C), (a, b)


def scaled(part: Any, by: np.ndarray) -> Any:
    """A player, or a memory of nested tuples of arrays, divided by a number for each game."""
    if isinstance(part, tuple):
        return tuple(scaled(each, by) for each in part)
    return part if part is None else part / by


def measured(game: LinearGame, rates: tuple[np.ndarray, np.ndarray], name: str, steps: int) -> np.ndarray:
    """(count,) rates of runs."""
    rng, count = np.random.default_rng(1), len(game.xx)
    state = State(*rng.standard_normal((2, count, 2, 1)))
    a, b = (rate[:, None, None] for rate in rates)
    path = []
    for number in range(steps + 3):
        if number % EVERY == 0 and number < steps:
            size = np.abs(np.concatenate([state.x, state.y], axis=-2)).max(axis=(-1, -2), keepdims=True)
            state = State(*(scaled(part, size) for part in state))
        state = METHODS[name](game, state, (a, b))
        path = [*path[-3:], np.concatenate([state.x, state.y], axis=-2)[..., 0]]
    found = []
    for z in np.stack(path, axis=1):  # (4, 4) of one game
        rows = np.stack([z[1:3].ravel(), z[:2].ravel()], axis=1)
        size = np.abs(rows).max()
        p, q = np.linalg.lstsq(rows / size, z[2:].ravel() / size, rcond=1e-9)[0]
        found.append(np.abs(np.roots([1.0, -p, -q])).max())
    return np.array(found)


def main() -> None:
    """All methods."""
    options = parse(__doc__)
    count, steps = (40, 4000) if options.quick else (200, 20_000)
    game, rates = draw(count, np.random.default_rng(0))
    rows: list[list[object]] = []
    for name in METHODS:
        told = predict(game, rates, name)
        sizes = np.sort(np.abs(told.eigenvalues), axis=-1)[:, ::-1]
        clear = (sizes[:, 2] < SEPARATE * sizes[:, 1]) | (sizes[:, 1] < SEPARATE * sizes[:, 0])
        errors = np.abs(measured(game, rates, name, steps) - told.rate)[clear] / told.rate[clear]
        low, high = told.rate.min(), told.rate.max()
        rows.append(
            [name, count, int(clear.sum()), float(errors.max()), float(np.median(errors)), float(low), float(high)]
        )
    columns = ["method", "games", "measured", "largest relative error", "median", "least rate", "largest rate"]
    write("gda_methods", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
