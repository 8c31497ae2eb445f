"""Simultaneous gradient descent-ascent."""

from __future__ import annotations

from convexgan.updates.game import Game, Rates, State, Transform, descend, move, pair, plain


def simultaneous(game: Game, state: State, rates: Rates, transform: Transform = plain) -> State:
    """Both players step along their gradients at the same point: x - a grad_x(x, y), y + b grad_y(x, y).

    On the bilinear game xy with a = b every step multiplies the distance to the saddle by sqrt(1 + a^2).

    Parameters
    ----------
    game : Game
        Its two gradients.
    state : State
        The players; its memory is that of the transform.
    rates : number or pair
        The step sizes a and b.
    transform : function, optional
        What is done to each gradient, such as `adam`.

    References
    ----------
    Arrow, Hurwicz, Uzawa, Studies in Linear and Non-linear Programming, 1958.
    """
    rate_x, rate_y = pair(rates)
    memory_x, memory_y = state.memory or (None, None)
    grad_x, grad_y = game.gradients(state.x, state.y)
    step_x, memory_x = transform(grad_x, memory_x)
    step_y, memory_y = transform(grad_y, memory_y)
    return State(descend(state.x, rate_x, step_x), move(state.y, rate_y, step_y), (memory_x, memory_y))
