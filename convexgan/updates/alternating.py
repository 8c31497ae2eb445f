"""Alternating gradient descent-ascent, the maximiser first."""

from __future__ import annotations

from convexgan.updates.game import Game, Rates, State, Transform, descend, move, pair, plain


def alternating(game: Game, state: State, rates: Rates, transform: Transform = plain, ascents: int = 1) -> State:
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
    ascents : int
        The maximiser's steps for one of the minimiser, in `convexgan.torch` each on a batch of its own: n_critic.

    References
    ----------
    Goodfellow et al., Generative Adversarial Nets, 2014, algorithm 1, with ``ascents`` for k; Arjovsky et al.,
    Wasserstein GAN, 2017, arXiv 1701.07875, algorithm 1, with n_critic.
    """
    rate_x, rate_y = pair(rates)
    memory_x, memory_y = state.memory or (None, None)
    y = state.y
    for index in range(ascents):
        if index:
            game.renewed()
        step_y, memory_y = transform(game.grad_y(state.x, y), memory_y)
        y = game.projected(move(y, rate_y, step_y))
    step_x, memory_x = transform(game.grad_x(state.x, y), memory_x)
    return State(descend(state.x, rate_x, step_x), y, (memory_x, memory_y))
