"""The methods by name: what torch training, dynamics, problems and the command line read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from convexgan._tools.checks import check_choice
from convexgan.updates.alternating import alternating
from convexgan.updates.consensus import consensus
from convexgan.updates.extragradient import extragradient
from convexgan.updates.game import Rates, State
from convexgan.updates.generative_minimization import generative_minimization
from convexgan.updates.optimistic import optimistic
from convexgan.updates.simultaneous import simultaneous
from convexgan.updates.unrolled import unrolled

Step: TypeAlias = Callable[[Any, State, Rates], State]

METHODS: dict[str, Callable[..., State]] = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "extragradient": extragradient,
    "optimistic": optimistic,
    "unrolled": partial(unrolled, depth=5),
    "consensus": partial(consensus, weight=1.0),
    "generative_minimization": partial(generative_minimization, depth=5),
}


def resolve_step(method: str | Step) -> Step:
    """The step function of a name, or the function itself."""
    return method if callable(method) else METHODS[check_choice(method, "method", METHODS)]
