"""Adam's transform of gradients."""

from __future__ import annotations

from typing import Any

from convexgan.updates.game import Player, each


def adam(
    gradient: Player, memory: Any, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, *, reuse: bool = False
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
    reuse : bool
        Whether the moments of tensors take the place of those in ``memory``, which are lost: where nobody keeps earlier
        states, as in `convexgan.torch.train`, that saves the time of finding new places for them.

    References
    ----------
    Kingma, Ba, Adam, 2015, arXiv 1412.6980, algorithm 1.
    """
    decay_m, decay_v = betas
    if memory is None:
        zeros = each(lambda part: 0 * part, gradient)
        memory = zeros, zeros, 0
    m, v, count = memory[0], memory[1], memory[2] + 1
    reuse = reuse and count > 1
    m = each(lambda old, part: _mixed(old, part, decay_m, reuse), m, gradient) if decay_m else gradient
    v = each(lambda old, part: _mixed(old, part * part, decay_v, reuse), v, gradient)
    scale = 1 - decay_m**count
    factor, least = scale / (1 - decay_v**count) ** 0.5, scale * eps

    def direction(a: Any, b: Any) -> Any:
        root = b**0.5
        root *= factor
        root += least
        return a / root

    return each(direction, m, v), (m, v, count)


def _mixed(old: Any, part: Any, decay: float, reuse: bool) -> Any:
    """decay * old + (1 - decay) * part; of a tensor in one pass, and in its place if that may be reused."""
    if hasattr(old, "lerp_"):
        return old.lerp_(part, 1 - decay) if reuse else old.lerp(part, 1 - decay)
    return decay * old + (1 - decay) * part
