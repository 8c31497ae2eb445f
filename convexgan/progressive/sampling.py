"""Pictures drawn from chains of stages, and on the way from one to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convexgan.progressive.coupling import transport
from convexgan.progressive.stages import Stage

Array = NDArray[np.float64]


def draw(stages: Sequence[Stage], n: int, rng: np.random.Generator) -> list[Array]:
    """n pictures at every size, (n, size, size, channels), not clipped to [-1, 1]."""
    code, drawn = np.zeros((n, 0)), []
    for stage in stages:
        code = stage.code(code, rng)
        drawn.append(stage.pictures(code))
    return drawn


def draw_classes(chains: Sequence[Sequence[Stage]], classes: NDArray[np.intp], rng: np.random.Generator) -> list[Array]:
    """New pictures at every resolution, one for each entry of ``classes`` (n,), of the chain in that place."""
    drawn = [np.empty((len(classes), s.size, s.size, s.channels)) for s in chains[0]]
    for i in np.unique(classes):
        for whole, part in zip(drawn, draw(chains[i], int(np.sum(classes == i)), rng), strict=True):
            whole[classes == i] = part
    return drawn


def displace(a: Stage, b: Stage, steps: int, rng: np.random.Generator) -> Array:
    """A picture on its way between the laws of two stages, (steps, size, size, channels), by their optimal coupling.

    Source: R. J. McCann, A convexity principle for interacting gases, 1997; Gelbrich 1990.
    """
    code, noise = rng.standard_normal((1, len(a.factor))), rng.standard_normal((1, len(b.factor)))
    carry, fresh = transport(a.factor, b.factor, len(b.factor))
    start, end = a.pictures(code), b.pictures(code @ carry + noise @ fresh)
    shares = np.linspace(0, 1, steps)[:, None, None, None]
    return np.asarray((1 - shares) * start + shares * end)
