"""Descent on the duality gap, with both best responses approximated by a few steps of copies."""

from __future__ import annotations

from convexgan.updates.game import Game, Rates, State, Transform, descend, move, pair, plain


def generative_minimization(
    game: Game, state: State, rates: Rates, depth: int, inner: Rates = None, transform: Transform = plain
) -> State:
    """Both players descend the duality gap f(x, y_k) - f(x_k, y); the copies are held fixed.

    y_k is `depth` ascent steps ahead of y against x, and x_k as many descent steps ahead of x against y. On the
    bilinear game xy with inner steps e it converges for a < 2ke / (1 + k^2 e^2), and k = 1, e = a is `extragradient`.
    A point where both gradients vanish stays, whether it is an equilibrium or not.

    Parameters
    ----------
    game : Game
        Its two gradients, evaluated depth + 1 times each.
    state : State
        The players; its memory is that of the transform.
    rates : number or pair
        The step sizes of x and y.
    depth : int
        The steps k of the copies; 0 is `simultaneous`.
    inner : number or pair, optional
        The step sizes of the copies; `rates` if not given.
    transform : function, optional
        What is done to each gradient of the gap, such as `adam`.

    References
    ----------
    Grnarova et al., Generative Minimization Networks: Training GANs Without Competition, 2021, arXiv 2103.12685,
    algorithm 1.
    """
    rate_x, rate_y = pair(rates)
    inner_x, inner_y = pair(rates if inner is None else inner)
    ahead_x, ahead_y = state.x, state.y
    for _ in range(depth):
        ahead_x = descend(ahead_x, inner_x, game.grad_x(ahead_x, state.y))
        ahead_y = game.projected(move(ahead_y, inner_y, game.grad_y(state.x, ahead_y)))
    memory_x, memory_y = state.memory or (None, None)
    step_x, memory_x = transform(game.grad_x(state.x, ahead_y), memory_x)
    step_y, memory_y = transform(game.grad_y(ahead_x, state.y), memory_y)
    return State(descend(state.x, rate_x, step_x), move(state.y, rate_y, step_y), (memory_x, memory_y))
