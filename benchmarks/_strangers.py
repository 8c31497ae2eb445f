"""Two optimisers that are not ours, as methods: functions (game, state, rates) -> state."""

from __future__ import annotations

from typing import Any

import torch

from convexgan.updates import State


def heavy_ball(game: Any, state: State, rates: tuple[float, float]) -> State:
    """Gradient descent-ascent with momentum 0.9, both players at once, by torch's own optimiser."""
    if state.memory is None:
        x, y = ([torch.nn.Parameter(part.clone()) for part in player] for player in state[:2])
        down, up = torch.optim.SGD(x, rates[0], momentum=0.9), torch.optim.SGD(y, rates[1], momentum=0.9, maximize=True)
        state = state._replace(memory=(x, y, down, up))
    x, y, down, up = state.memory
    for own, values, gradients in zip((x, y), state[:2], game.gradients(state.x, state.y), strict=True):
        for part, value, gradient in zip(own, values, gradients, strict=True):
            part.data, part.grad = value.clone(), gradient
    down.step(), up.step()
    return State(*(tuple(part.detach().clone() for part in own) for own in (x, y)), state.memory)


def daskalakis(game: Any, state: State, rates: tuple[float, float]) -> State:
    """Optimistic Adam as algorithm 1 of Daskalakis et al., arXiv 1711.00141, writes it; decays 0.5 and 0.9."""
    memory = state.memory or [[[0.0, 0.0, 0.0] for _ in player] for player in state[:2]] + [0]
    *players, count = memory
    moved = []
    signs = -rates[0], rates[1]
    for own, player, gradients, rate in zip(players, state[:2], game.gradients(state.x, state.y), signs, strict=True):
        parts = []
        for kept, part, gradient in zip(own, player, gradients, strict=True):
            kept[0], kept[1] = 0.5 * kept[0] + 0.5 * gradient, 0.9 * kept[1] + 0.1 * gradient**2
            step = kept[0] / (1 - 0.5 ** (count + 1)) / ((kept[1] / (1 - 0.9 ** (count + 1))) ** 0.5 + 1e-8)
            parts.append(part + rate * (2 * step - (kept[2] if count else step)))
            kept[2] = step
        moved.append(tuple(parts))
    return State(*moved, [*players, count + 1])
