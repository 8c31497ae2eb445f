"""The record of a maximum over neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
EXACT = 1e-9  # relative gap below which a value counts as exact


@dataclass(frozen=True)
class Maximum:
    """The maximum of |m(u)| over the unit ball, m(u) what a neuron u sees of a signed sample, and its proof.

    Attributes
    ----------
    value : float
        |m| at ``direction``, evaluated from the rows as given.
    upper_bound : float
        At least the maximum.
    exact : bool
        Whether the two agree to 1e-9 of the value.
    direction : (d,) array
        A unit vector.
    sign : float
        The sign of m there: ``sign * m(direction) == value``.
    status : str
        "optimal": the gap asked for was reached; "stopped": a limit was, or the method gives no better bound.
    method : str
        "sweep", "cones", "enumerate" or "sampled"; "moments" of neurons for which moments are enough.
    stats : dict
        ``rank``, ``rows`` (after merging), ``seconds``, counts of the method, ``interrupted`` after Ctrl-C.
    """

    value: float
    upper_bound: float
    exact: bool
    direction: Array
    sign: float
    status: str
    method: str
    stats: dict[str, Any]

    @classmethod
    def at(
        cls, direction: Array, m: float, bound: float, status: str, method: str, stats: dict[str, Any], error: float = 0
    ) -> Self:
        """The record of m at a direction, off by at most the error, which is taken off where the bound is exceeded."""
        value = abs(m)
        if value > bound:
            value = max(value - error, 0.0)
            bound = max(bound, value)
        exact = method != "sampled" and status == "optimal" and bound - value <= EXACT * value
        return cls(value, bound, bool(exact), direction, 1.0 if m >= 0 else -1.0, status, method, stats)
