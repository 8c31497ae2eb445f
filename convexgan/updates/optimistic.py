"""Optimistic gradient descent-ascent."""

from __future__ import annotations

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


def _extrapolated(now: Player, last: Player) -> Player:
    return now + (now - last)
