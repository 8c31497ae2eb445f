"""Averages of iterates: what converges when the iterates of a convex-concave game only circle."""

from __future__ import annotations

from typing import Any, NamedTuple

from convexgan.updates.game import Player, State, each


class Average(NamedTuple):
    """The weighted mean of the players so far, and the sum of the weights."""

    x: Player
    y: Player
    total: Any


def average(mean: Average | None, state: State, weight: Any = 1.0) -> Average:
    """The mean with one more state in it; None is the mean of nothing.

    For a convex-concave game with |grad_x|^2 + |grad_y|^2 <= G^2, the averages of the first n iterates of
    `simultaneous` with step a satisfy f(mean x, y) - f(x, mean y) <= r^2 / (2an) + a G^2 / 2 for all (x, y) within r
    of the start.

    Parameters
    ----------
    mean : Average or None
        The mean so far.
    state : State
        The players to add.
    weight : number
        Its weight: 1 for a uniform mean, the step size for an ergodic one.

    References
    ----------
    Nedic, Ozdaglar, Subgradient methods for saddle-point problems, 2009.
    """
    if mean is None:
        return Average(state.x, state.y, weight)
    total = mean.total + weight
    share = weight / total

    def toward(old: Player, new: Player) -> Player:
        return old + share * (new - old)

    return Average(each(toward, mean.x, state.x), each(toward, mean.y, state.y), total)
