"""Solutions from files."""

from __future__ import annotations

import os

from convexgan._tools.files import DAMAGE, read_model
from convexgan.records.conditional import ConditionalSolution
from convexgan.records.solution import Solution

KINDS: dict[str, type[Solution] | type[ConditionalSolution]] = {
    "solution": Solution,
    "conditional": ConditionalSolution,
}


def load(path: str | os.PathLike[str]) -> Solution | ConditionalSolution:
    """The solution written by `Solution.save` or `ConditionalSolution.save`.

    Raises
    ------
    ValueError
        The file is no solution, or is damaged.
    """
    settings, arrays = read_model(path, *KINDS)
    try:
        return KINDS[settings["kind"]].from_state(settings, arrays)
    except (KeyError, TypeError, IndexError, ValueError, *DAMAGE) as error:
        raise ValueError(f"{path} is not a complete solution file ({error}).") from None
