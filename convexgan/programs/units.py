"""Units and a basis in which the program of a moment game is well scaled, wherever the data are and of any size.

Variables are what the generated moments miss, D = S_X - S and e = c - m, with c the data's mean: an offset of the data
is a change of variables, not a hard problem. As [[S, m], [m', kappa]] is congruent under [[I, -c / kappa], [0, 1]],
a law with these moments exists iff

    [[B - D + (c e' + e c') / kappa, -e], [-e', kappa]] >= 0,    B = S_X - c c' / kappa,

where B is the covariance for kappa = 1. Neurons stay where they are: their inequality is in D and e alone. With e of
size s the domain's entries are those of B + s c c' / |c|, in whose eigenbasis a diagonal congruence balances them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan.closed_forms import ipm_of_zero
from convexgan.records.moment_game import MomentGame

Array = NDArray[np.float64]
TINY = 1e-10


@dataclass(frozen=True)
class Units:
    """The basis, the domain's matrix there, and the sizes of ipm, D and e.

    Attributes
    ----------
    basis : (d, d) array
        Orthonormal columns, the eigenvectors of the domain's sizes.
    values : (d,) array
        Those sizes, which may be negative.
    base : (d, d) array
        B in this basis.
    mean : (d,) array
        The data's mean c in this basis.
    level, second, shift : float
        Units of the ipm, of D and of e.
    """

    basis: Array
    values: Array
    base: Array
    mean: Array
    level: float
    second: float
    shift: float

    @property
    def balance(self) -> Array:
        """The diagonal congruence after which the domain's entries are of order 1."""
        return np.asarray(1 / np.sqrt(np.abs(self.values) + self.second))


def choose_units(game: MomentGame, level: float | None = None) -> Units:
    """Units for a game whose ipm at the optimum is about ``level``, by default beta or what lam suggests."""
    c, kappa = game.data.mean, game.latent.kappa
    (a, b, _), second = np.abs(game.activation.coefficients), game.data.second
    top, length = float(game.data.spectrum.value(0)), float(np.linalg.norm(c))
    base = second
    if kappa > 0 and (b > 0 or game.bias == "penalized"):
        covariance = second - np.outer(c, c) if game.data.count is None else game.data.centered().second
        base = covariance - (1 / kappa - 1) * np.outer(c, c)
    unit = max(level or (game.beta if game.beta is not None else _suggested(game)), negligible(game)) or 1.0
    reach = top + (length**2 / kappa if kappa > 0 else 0.0)
    slopes = [slope for slope in (b, a if game.bias == "penalized" else 0.0) if slope > 0]
    spread = float(np.sqrt(max(np.linalg.eigvalsh(base)[-1], 0.0)))
    shift = min([unit / slope for slope in slopes] + [length + spread]) or 1.0
    sizes = base + (shift / length) * np.outer(c, c) if base is not second and length > 0 else base
    values, basis = np.linalg.eigh((sizes + sizes.T) / 2)
    return Units(
        basis, values, basis.T @ base @ basis, basis.T @ c, unit, min(unit / a, reach) if a > 0 else 1.0, shift
    )


def negligible(game: MomentGame) -> float:
    """An ipm that a solver could not tell from 0, nor what it lets the second moment miss."""
    slope = abs(game.activation.coefficients[0])
    sizes = [slope * float(game.data.spectrum.value(0))] if slope > 0 else []
    return TINY * min([ipm_of_zero(game), *sizes])


def _suggested(game: MomentGame) -> float:
    """About the ipm at which lam stops to pay: the eigenvalue of the data that the norm budget just reaches."""
    a, b, _ = np.abs(game.activation.coefficients)
    price = game.penalty / (game.latent.values[0] if game.regularizer == "weights" else 1.0)
    values = game.data.spectrum.values
    rank = min(int((game.lam or 0.0) * a / price), len(values) - 1)
    length = float(np.linalg.norm(game.data.mean))
    left = length if game.latent.kappa == 0 else max(length - (game.lam or 0.0) * b / (2 * price), 0.0)
    return float(max(a * max(values[rank], 0.0), b * left))
