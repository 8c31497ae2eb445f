"""A moment game's variables, domain, cost and separation as cvxpy expressions, in the units of `units`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from convexgan.conic.constraints import (
    Separation,
    linear_separation,
    polynomial_separation,
    quadratic_separation,
)
from convexgan.programs.units import Units, choose_units
from convexgan.records.moment_game import MomentGame

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Formulation:
    """A game without its budget.

    Attributes
    ----------
    units : Units
    moments : dict of cvxpy expressions
        ``mean`` and ``second_moment`` in the data's units and coordinates, those the game depends on.
    own : tuple of cvxpy variables
        D and e in their units and basis, or the mean in units of the data's for a linear discriminator; D or e may be
        None.
    domain : list of cvxpy constraints
        Which moments a law has.
    cost : cvxpy expression
        R(F) / ``unit`` but for ``constant``.
    unit, constant : float
        The game's cost, in canonical units, is unit * (cost + constant).
    size : float
        Unit of the mean for a linear discriminator.
    """

    units: Units
    moments: dict[str, Any]
    own: tuple[Any, Any]
    domain: list[Any]
    cost: Any
    unit: float
    constant: float
    size: float = 1.0


def formulate(game: MomentGame, level: float | None = None) -> Formulation:
    """The expressions of a game whose ipm at the optimum is about ``level``."""
    units = choose_units(game, level)
    return _of_mean(game, units) if game.activation.coefficients[0] == 0 else _of_both(game, units)


def _of_mean(game: MomentGame, units: Units) -> Formulation:
    """Against linear neurons only the mean counts: cost |m|^2 / reach."""
    latent, d = game.latent, game.data.dim
    size = float(np.linalg.norm(game.data.mean)) or 1.0
    mean = cp.Variable(d)
    reach = latent.kappa if game.regularizer == "output" else float(latent.values @ latent.mean**2)
    if reach == 0:
        return Formulation(units, {"mean": size * mean}, (None, mean), [mean == 0], cp.Constant(0.0), 1.0, 0.0, size)
    unit = game.penalty * size**2 / reach
    return Formulation(units, {"mean": size * mean}, (None, mean), [], cp.sum_squares(mean), unit, 0.0, size)


def _of_both(game: MomentGame, units: Units) -> Formulation:
    d, kappa, V, P = game.data.dim, game.latent.kappa, units.basis, units.balance
    D = cp.Variable((d, d), symmetric=True)
    moments = {"second_moment": game.data.second - units.second * (V @ D @ V.T)}
    top = np.outer(P, P) * units.base - cp.multiply(units.second * np.outer(P, P), D)
    e = None
    if game.activation.coefficients[1] == 0 and game.bias == "none":
        domain = [top >> 0]
    elif kappa == 0:
        moments["mean"], domain = cp.Constant(np.zeros(d)), [top >> 0]
    else:
        e = cp.Variable(d)
        moments["mean"] = game.data.mean - units.shift * (V @ e)
        side = cp.reshape(cp.multiply(units.shift * P, e), (d, 1), order="C")
        turned = (P * units.mean / kappa)[:, None] @ side.T
        border, corner = -side / np.sqrt(kappa), np.ones((1, 1))
        domain = [cp.bmat([[top + turned + turned.T, border], [border.T, corner]]) >> 0]
    price = 1.0 if game.regularizer == "output" else 1 / float(game.latent.values[0])
    return Formulation(
        units,
        moments,
        (D, e),
        domain,
        -cp.trace(D),
        game.penalty * price * units.second,
        game.data.trace / units.second,
    )


def within(game: MomentGame, formulation: Formulation, level: Any) -> Separation:
    """``ipm <= level * unit`` in the formulation's variables; neurons are then in its basis."""
    units, (D, e) = formulation.units, formulation.own
    if game.activation.coefficients[0] == 0:
        return separate(game, formulation.moments, level, units.level)
    if e is not None:
        return _separation(game, units.second * D, units.shift * e, level, units.level, units.shift)
    fixed = game.latent.kappa == 0 and (game.activation.coefficients[1] != 0 or game.bias == "penalized")
    return _separation(game, units.second * D, units.mean if fixed else None, level, units.level, 0.0)


def separate(game: MomentGame, variables: dict[str, Any], level: Any, unit: float) -> Separation:
    """``ipm / unit <= level`` for the game's discriminator and generated moments."""
    a, b, _ = game.activation.coefficients
    if a == 0:
        return linear_separation((abs(b) / unit) * (game.data.mean - variables["mean"]), level)
    shift = None if b == 0 and game.bias == "none" else game.data.mean - variables["mean"]
    return _separation(game, game.data.second - variables["second_moment"], shift, level, unit, 0.0)


def _separation(game: MomentGame, second: Any, shift: Any, level: Any, unit: float, size: float) -> Separation:
    """``ipm / unit <= level`` for differences of moments; ``size`` is that of the shift, 0 if it is not known."""
    a, b, _ = game.activation.coefficients
    difference = (a / unit) * second
    if shift is None:
        return quadratic_separation(difference, level)
    linear = (b / unit) * shift
    if game.bias == "penalized":
        column = cp.reshape((a / unit) * shift, (game.data.dim, 1), order="C")
        difference = cp.bmat([[difference, column], [column.T, np.zeros((1, 1))]])
        linear = cp.hstack([linear, np.zeros(1)])
    if b == 0:
        return quadratic_separation(difference, level)
    return polynomial_separation(difference, linear, level, min(1.0, abs(b) * size / unit) or 1.0)


def units(game: MomentGame) -> tuple[float, float]:
    """The size of the data, sqrt of its largest eigenvalue, and of a typical ipm."""
    size = float(np.sqrt(game.data.spectrum.value(0))) or 1.0
    a, b, _ = game.activation.coefficients
    return size, max(abs(a) * size**2, abs(b) * size)
