"""Consensus optimisation."""

from __future__ import annotations

from convexgan.updates.game import DifferentiableGame, Rates, State, descend, move, pair


def consensus(game: DifferentiableGame, state: State, rates: Rates, weight: float) -> State:
    """Simultaneous steps in which both players also descend weight * |gradients|^2 / 2.

    On the bilinear game xy a step of a multiplies the distance to the saddle by sqrt((1 - a weight)^2 + a^2).
    If the maximiser has a penalty of its own, see `unrolled`, how that depends on x is left out.

    Parameters
    ----------
    game : DifferentiableGame
        Its gradients and their transposed derivative.
    state : State
        The players; the memory is not used.
    rates : number or pair
        The step sizes of x and y.
    weight : float
        The price of the squared gradients; 0 is `simultaneous`.

    References
    ----------
    Mescheder, Nowozin, Geiger, The Numerics of GANs, 2017, arXiv 1705.10461, algorithm 2.
    """
    rate_x, rate_y = pair(rates)
    grad_x, grad_y = game.gradients(state.x, state.y)
    pull_x, pull_y = game.vjp(state.x, state.y, grad_x, grad_y)
    step_x, step_y = move(grad_x, weight, pull_x), descend(grad_y, weight, pull_y)
    return State(descend(state.x, rate_x, step_x), move(state.y, rate_y, step_y))
