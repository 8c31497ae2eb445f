"""Adam's transform of gradients."""

from __future__ import annotations

from typing import Any

from convexgan.updates.game import Player, each


def adam(
    gradient: Player, memory: Any, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
) -> tuple[Player, Any]:
    """The direction m / (sqrt(v) + eps) of bias-corrected running moments, and the memory to pass on.

    Parameters
    ----------
    gradient : array or tuple of arrays
        The gradient of one player.
    memory : tuple or None
        (m, v, count) of the step before; None at the first.
    betas : pair of float
        The decays of the first and second moment; `functools.partial` fixes others, as in
        ``simultaneous(game, state, rates, partial(adam, betas=(0.5, 0.9)))``.
    eps : float
        Added to the root, in the units of the gradient.

    References
    ----------
    Kingma, Ba, Adam, 2015, arXiv 1412.6980, algorithm 1.
    """
    decay_m, decay_v = betas
    zero = each(lambda part: 0 * part, gradient) if memory is None else None
    m, v, count = memory if memory is not None else (zero, zero, 0)
    m = each(lambda old, part: decay_m * old + (1 - decay_m) * part, m, gradient) if decay_m else gradient
    v = each(lambda old, part: decay_v * old + (1 - decay_v) * part * part, v, gradient)
    count += 1
    scale_m, scale_v = 1 / (1 - decay_m**count), 1 / (1 - decay_v**count)
    return each(lambda a, b: scale_m * a / ((scale_v * b) ** 0.5 + eps), m, v), (m, v, count)
