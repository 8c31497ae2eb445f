"""Optimistic gradient descent-ascent."""

from __future__ import annotations

from typing import Any

from convexgan.updates.adam import adam
from convexgan.updates.game import Game, Player, Rates, State, descend, each, move, pair


def optimistic(game: Game, state: State, rates: Rates) -> State:
    """Both players step along twice the present gradient less the previous one.

    A mode of the field with eigenvalue m becomes two, s^2 - (1 + 2am)s + am = 0; the bilinear game xy converges for
    a < 1/sqrt(3). The first step is a simultaneous one.

    Parameters
    ----------
    game : Game
        Its two gradients.
    state : State
        The players; its memory is the pair of previous gradients.
    rates : number or pair
        The step sizes of x and y.

    References
    ----------
    Popov, 1980; Daskalakis et al., Training GANs with Optimism, 2018, arXiv 1711.00141, equation 4.
    """
    rate_x, rate_y = pair(rates)
    grad_x, grad_y = game.gradients(state.x, state.y)
    last_x, last_y = state.memory or (grad_x, grad_y)
    step_x, step_y = each(_extrapolated, grad_x, last_x), each(_extrapolated, grad_y, last_y)
    return State(descend(state.x, rate_x, step_x), move(state.y, rate_y, step_y), (grad_x, grad_y))


def optimistic_adam(
    gradient: Player, memory: Any, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
) -> tuple[Player, Any]:
    """Adam's direction twice, less the previous one: a transform for `simultaneous` and `alternating`.

    Parameters
    ----------
    gradient : array or tuple of arrays
        The gradient of one player.
    memory : tuple or None
        The previous direction and Adam's memory; None at the first step, which is one of Adam.
    betas, eps : as in `adam`

    References
    ----------
    Daskalakis et al., Training GANs with Optimism, 2018, arXiv 1711.00141, algorithm 1.
    """
    last, moments = memory or (None, None)
    direction, moments = adam(gradient, moments, betas, eps)
    last = direction if last is None else last
    return each(_extrapolated, direction, last), (direction, moments)


def _extrapolated(now: Player, last: Player) -> Player:
    return now + (now - last)
