"""Extragradient."""

from __future__ import annotations

from convexgan.updates.game import Game, Rates, State, descend, move, pair


def extragradient(game: Game, state: State, rates: Rates) -> State:
    """A trial step of both players, then the real step with the gradients found there.

    A mode of the field with eigenvalue m is multiplied by 1 + am + (am)^2: on the bilinear game xy by a number of
    modulus sqrt(1 - a^2 + a^4), less than one for a < 1.

    Parameters
    ----------
    game : Game
        Its two gradients, evaluated twice.
    state : State
        The players; the memory is not used.
    rates : number or pair
        The step sizes of x and y, the same in both steps.

    References
    ----------
    Korpelevich, The extragradient method for finding saddle points, 1976.
    """
    rate_x, rate_y = pair(rates)
    grad_x, grad_y = game.gradients(state.x, state.y)
    trial_x, trial_y = descend(state.x, rate_x, grad_x), game.projected(move(state.y, rate_y, grad_y))
    grad_x, grad_y = game.gradients(trial_x, trial_y)
    return State(descend(state.x, rate_x, grad_x), move(state.y, rate_y, grad_y))
