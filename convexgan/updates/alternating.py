"""Alternating gradient descent-ascent, the maximiser first."""

from __future__ import annotations

from convexgan.updates.game import Game, Rates, State, Transform, descend, move, pair, plain


def alternating(game: Game, state: State, rates: Rates, transform: Transform = plain) -> State:
    """The maximiser steps, then the minimiser sees where it went: y' = y + b grad_y(x, y), x - a grad_x(x, y').

    On the bilinear game xy it circles the saddle at a bounded distance for ab < 4.

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
    Goodfellow et al., Generative Adversarial Nets, 2014, algorithm 1, with one step of each player.
    """
    rate_x, rate_y = pair(rates)
    memory_x, memory_y = state.memory or (None, None)
    step_y, memory_y = transform(game.grad_y(state.x, state.y), memory_y)
    y = game.projected(move(state.y, rate_y, step_y))
    step_x, memory_x = transform(game.grad_x(state.x, y), memory_x)
    return State(descend(state.x, rate_x, step_x), y, (memory_x, memory_y))
