"""The matrix of a step is that of any step with any memory, or the step is refused: predictions are what runs do."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexgan.dynamics import LinearGame, measure_gda, predict_gda, update_matrix
from convexgan.updates import METHODS, State, adam, alternating, extragradient, optimistic, simultaneous

ORIGIN = (np.zeros((1, 1)), np.zeros((1, 1)))
BILINEAR = LinearGame(0.0, 1.0, 1.0, 0.0)
DAMPED = LinearGame(0.5, 1.0, 1.0, -0.2)  # of f = x^2 / 4 + x y - y^2 / 10


class Velocity(NamedTuple):
    moved: np.ndarray


def momentum(gradient, memory, decay=-0.3):
    velocity = gradient if memory is None else decay * memory + gradient
    return velocity, velocity


def named_momentum(gradient, memory, decay=-0.3):
    moved = gradient if memory is None else decay * memory["last"].moved + gradient
    return moved, {"last": Velocity(moved), "name": "momentum"}


def wrapped(game, state, rates):
    """A user's own optimistic step, which remembers one array of both gradients."""
    now = np.concatenate(game.gradients(state.x, state.y), axis=-2)
    last = now if state.memory is None else state.memory[0]
    step_x, step_y = np.split(2 * now - last, [state.x.shape[-2]], axis=-2)
    return State(state.x - rates[0] * step_x, state.y + rates[1] * step_y, [now])


LINEAR = {
    "partial": (partial(optimistic), 4),
    "negative momentum": (partial(simultaneous, transform=momentum), 4),
    "alternating momentum": (partial(alternating, transform=partial(momentum, decay=0.2)), 4),
    "memory in a dict": (partial(simultaneous, transform=named_momentum), 4),
    "own": (wrapped, 4),
    "no memory": (partial(extragradient), 2),
}
CURVED = {
    "Adam": partial(alternating, transform=adam),
    "signs": partial(simultaneous, transform=lambda gradient, memory: (np.sign(gradient), memory)),
    "clipped": partial(simultaneous, transform=lambda gradient, memory: (np.clip(gradient, -0.1, 0.1), memory)),
    "shifted": lambda game, state, rates: State(state.x + 1.0, state.y),
    "counting": lambda game, state, rates: State(state.x, state.y, 1 + (state.memory or 0)),
}


@pytest.mark.parametrize("name", LINEAR)
@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_the_matrix_takes_every_state_where_the_step_takes_it(name, seed):
    step, size = LINEAR[name]
    rng = np.random.default_rng(seed)
    game = LinearGame(*(rng.standard_normal((1, 1)) for _ in range(4)))
    matrix = update_matrix(game, (0.1, 0.2), step)
    assert matrix.shape == (size, size)
    state = State(rng.standard_normal((1, 1)), rng.standard_normal((1, 1)))
    for _ in range(3):  # from the second step on the memory is there
        before, state = state, step(game, state, (0.1, 0.2))
        if before.memory is not None or size == 2:
            assert np.vstack(parts(state)) == pytest.approx(matrix @ np.vstack(parts(before)), rel=1e-9, abs=1e-12)


def parts(state):
    memory = state.memory
    flat = []
    for part in memory if isinstance(memory, tuple | list) else ():
        part = part["last"].moved if isinstance(part, dict) else part
        flat += [] if part is None else [part]
    return [state.x, state.y, *flat]


def test_known_figures():
    """The plain step of the bilinear game grows by 1.00499 a step, the optimistic one shrinks; measured in runs."""
    assert predict_gda(BILINEAR, 0.1, partial(optimistic)).rate == pytest.approx(0.994936, abs=1e-6)
    assert predict_gda(BILINEAR, 0.1, "simultaneous").rate == pytest.approx(1.01**0.5)
    assert predict_gda(DAMPED, 0.3, LINEAR["negative momentum"][0]).rate == pytest.approx(0.93366, abs=1e-5)


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("game", [BILINEAR, DAMPED], ids=["bilinear", "damped"])
def test_what_is_predicted_is_what_a_run_does(name, game):
    step, _ = LINEAR[name]
    rates = (0.3, 0.3)
    told = predict_gda(game, rates, step)
    assert measure_gda(game, rates, step, saddle=ORIGIN) == pytest.approx(told.rate, rel=1e-3)


@pytest.mark.parametrize("name", CURVED)
def test_steps_that_no_matrix_describes_are_refused(name):
    for call in (update_matrix, predict_gda):
        with pytest.raises(ValueError, match=r"method .* so no matrix tells .*measure_gda"):
            call(BILINEAR, 0.1, CURVED[name])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_by_name_has_a_matrix(method):
    told = predict_gda(DAMPED, 0.1, method)
    assert measure_gda(DAMPED, (0.1, 0.1), method) == pytest.approx(told.rate, rel=1e-3)


def test_large_games_find_memory_too():
    """Beyond 400 parameters eigenvalues come from products."""
    rng = np.random.default_rng(0)
    blocks = [np.diag(rng.uniform(0.2, 1.0, 250)), np.diag(rng.uniform(0.5, 2.0, 250)), -0.1 * np.eye(250)]

    class Large:
        saddle = np.zeros(250), np.zeros(250)

        def grad_x(self, x, y):
            return blocks[0] @ x + blocks[1] @ y

        def grad_y(self, x, y):
            return blocks[1] @ x + blocks[2] @ y

        def gradients(self, x, y):
            return self.grad_x(x, y), self.grad_y(x, y)

        def projected(self, y):
            return y

    small = LinearGame(blocks[0], blocks[1], blocks[1], blocks[2])
    step = LINEAR["negative momentum"][0]
    exact = np.abs(np.linalg.eigvals(update_matrix(small, 0.3, step))).max()
    assert predict_gda(Large(), 0.3, step).rate == pytest.approx(exact, rel=1e-6)
