"""Unrolled descent-ascent."""

from __future__ import annotations

from convexgan.updates.game import DifferentiableGame, Rates, State, descend, each, move, pair


def unrolled(game: DifferentiableGame, state: State, rates: Rates, depth: int) -> State:
    """The minimiser descends f(x, y_k(x)), where y_k is `depth` ascent steps ahead of y; y takes one step.

    The gradient is exact, through all the steps ahead: reverse accumulation over `vjp`. The game must be zero-sum,
    both gradients those of one f: if the maximiser has a penalty of its own (in `convexgan.torch` on slopes at
    generated samples, `r2` and `gradient_penalty`), how that depends on x is left out, and the gradient is not exact.
    The steps ahead are not projected.

    Parameters
    ----------
    game : DifferentiableGame
        Its gradients and their transposed derivative.
    state : State
        The players; the memory is not used.
    rates : number or pair
        The step sizes of x and y; the second is also that of the steps ahead.
    depth : int
        The steps ahead; 0 is `simultaneous`.

    References
    ----------
    Metz et al., Unrolled Generative Adversarial Networks, 2017, arXiv 1611.02163, equations 7 to 11.
    """
    rate_x, rate_y = pair(rates)
    first = game.grad_y(state.x, state.y)
    ahead = [state.y, move(state.y, rate_y, first)]
    for _ in range(depth - 1):
        ahead.append(move(ahead[-1], rate_y, game.grad_y(state.x, ahead[-1])))
    total, adjoint = game.gradients(state.x, ahead[depth])
    nothing = each(lambda array: 0 * array, total)
    for y in reversed(ahead[:depth]):
        pull_x, pull_y = game.vjp(state.x, y, nothing, adjoint)
        total, adjoint = move(total, rate_y, pull_x), move(adjoint, rate_y, pull_y)
    return State(descend(state.x, rate_x, total), ahead[1])
