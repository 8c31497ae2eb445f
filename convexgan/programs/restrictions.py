"""Constraints that a user adds to a program, and by how much a generator misses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cvxpy as cp
import numpy as np
from cvxpy.constraints import PSD, Equality, Inequality, NonNeg, NonPos, Zero
from numpy.typing import NDArray

from convexgan.closed_forms import generated_moments
from convexgan.programs.formulation import Formulation
from convexgan.records.moment_game import MomentGame

Array = NDArray[np.float64]


def as_list(constraints: Any) -> list[Any]:
    """The constraints, of which a single one needs no list."""
    return list(constraints) if isinstance(constraints, Iterable) else [constraints]


def scaled(game: MomentGame, formulation: Formulation, added: list[Any]) -> list[tuple[Any, float]]:
    """Each constraint with its sides divided by their size for a law as large as the data, and that size.

    Solvers are accurate relative to 1. Kinds that are not known here stay as they are.
    """
    sizes = _at(game, formulation, *_random_law(game), lambda: [_size(constraint) or 1.0 for constraint in added])
    return [_divided(constraint, size) for constraint, size in zip(added, sizes, strict=True)]


def _divided(constraint: Any, size: float) -> tuple[Any, float]:
    if isinstance(constraint, cp.SOC):
        return cp.SOC(*(side / size for side in constraint.args), axis=constraint.axis), size
    if isinstance(constraint, Inequality | Equality | PSD | Zero | NonNeg | NonPos):
        return type(constraint)(*(side / size for side in constraint.args)), size
    return constraint, 1.0


def missed(game: MomentGame, formulation: Formulation, added: list[Any], factor: Array) -> float:
    """The largest violation of the constraints by the moments of a generator, relative to the size of their sides.

    A side's size is the larger of what it is for the generator and for a random law as large as the data. Variables
    of the user's own keep their values; so do those of the program.
    """
    law = generated_moments(game, factor)

    def seen() -> list[tuple[float, float]]:
        return [(float(np.max(constraint.violation())), _size(constraint)) for constraint in added]

    here = _at(game, formulation, law.second, law.mean, seen)
    there = _at(game, formulation, *_random_law(game), lambda: [_size(constraint) for constraint in added])
    sizes = [max(size, other) for (_, size), other in zip(here, there, strict=True)]
    shares = [v / size if size > 0 else np.inf * (v > 0) for (v, _), size in zip(here, sizes, strict=True)]
    return max(shares, default=0.0)


def _random_law(game: MomentGame) -> tuple[Array, Array]:
    """Second moment and mean of a law as large as the data."""
    root = np.random.default_rng(0).standard_normal((game.data.dim, game.data.dim + 1))
    root *= np.sqrt(game.data.trace / root.size)
    return root @ root.T, root[:, 0]


def _at(
    game: MomentGame, formulation: Formulation, second: Array, mean: Array, read: Callable[[], list[Any]]
) -> list[Any]:
    """What is read where the program's moments are these; its variables keep their values."""
    held = [(variable, variable.value) for variable in formulation.own if variable is not None]
    try:
        _set(game, formulation, second, mean)
        return read()
    finally:
        for variable, value in held:
            variable.save_value(value)


def _set(game: MomentGame, formulation: Formulation, second: Array, mean: Array) -> None:
    """Give the program's variables the values at which its moments are these."""
    (D, e), units = formulation.own, formulation.units
    if D is None:
        e.save_value(mean / formulation.size)
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
