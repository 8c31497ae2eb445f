"""Constraints that a user adds to a program, and by how much a generator misses them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.closed_forms import generated_moments
from convexgan.problem import MomentGame
from convexgan.programs.formulation import Formulation

Array = NDArray[np.float64]


def as_list(constraints: Any) -> list[Any]:
    """The constraints, of which a single one needs no list."""
    return list(constraints) if isinstance(constraints, Iterable) else [constraints]


def missed(game: MomentGame, made: Formulation, added: list[Any], factor: Array) -> float:
    """The largest violation of the constraints by the moments of a generator, relative to the size of their sides.

    A side's size is the larger of what it is for the generator and for a random law as large as the data. Variables
    of the user's own keep their values; so do those of the program.
    """
    if not added:
        return 0.0
    held = [variable.value for variable in made.own if variable is not None]
    law = generated_moments(game, factor)
    try:
        _set(game, made, law.second, law.mean)
        violations = [float(np.max(constraint.violation())) for constraint in added]
        sizes = [_size(constraint) for constraint in added]
        root = np.random.default_rng(0).standard_normal((game.data.dim, game.data.dim + 1))
        root *= np.sqrt(game.data.trace / root.size)
        _set(game, made, root @ root.T, root[:, 0])
        sizes = [max(size, _size(constraint)) for size, constraint in zip(sizes, added, strict=True)]
    finally:
        for variable, value in zip((v for v in made.own if v is not None), held, strict=True):
            variable.save_value(value)
    return max(v / size if size > 0 else np.inf * (v > 0) for v, size in zip(violations, sizes, strict=True))


def _set(game: MomentGame, made: Formulation, second: Array, mean: Array) -> None:
    """Give the program's variables the values at which its moments are these."""
    (D, e), units = made.own, made.units
    if D is None:
        e.save_value(mean / made.size)
        return
    turned = units.basis.T @ (game.data.second - second) @ units.basis / units.second
    D.save_value((turned + turned.T) / 2)
    if e is not None:
        e.save_value(units.basis.T @ (game.data.mean - mean) / units.shift)


def _size(constraint: Any) -> float:
    """The largest entry of the constraint's sides."""
    values = [np.abs(np.asarray(side.value, dtype=np.float64)) for side in constraint.args if side.value is not None]
    finite = [float(value[np.isfinite(value)].max(initial=0.0)) for value in values]
    return max(finite, default=0.0)
