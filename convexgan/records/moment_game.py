"""The record of a game of moments and its pieces; no computing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from convexgan.discriminators.activation import MomentActivation
    from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
AT_LEVEL = 1e-12  # relative: below it two levels are one, for beta * rows / rows is not beta again
Regularizer = Literal["output", "weights"]
Bias = Literal["none", "penalized"]


@dataclass(frozen=True)
class Whitened:
    """The latent features in coordinates where their second moment is the identity.

    Attributes
    ----------
    values : (r,) array
        Positive eigenvalues k_i of the features' second moment K, descending; r is its numerical rank.
    mean : (r,) array
        Mean of the whitened features; its squared norm is kappa = zbar' K^+ zbar <= 1.
    vectors : (k, r) array or None
        Eigenvectors of K; None where the features are the whitened coordinates themselves.
    root : (r, k) array or None
        For samples the features in whitened coordinates: weights W have the factor root @ W. It is diag(sqrt(values))
        vectors', but for rounding that small values magnify, and computed from the rows.
    error : float
        A bound on the spectral norm of what rounding may have changed of the second moment in these coordinates, which
        is not I exactly, and on the length of what it may have changed of the mean.
    """

    values: Array
    mean: Array
    vectors: Array | None = None
    root: Array | None = None
    error: float = 0.0

    @property
    def kappa(self) -> float:
        """zbar' K^+ zbar: 1 if a constant is among the features, 0 if they have mean zero."""
        return float(self.mean @ self.mean)

    @property
    def rank(self) -> int:
        """The numerical rank of K."""
        return len(self.values)


@dataclass(frozen=True)
class MomentGame:
    """The game in canonical form, all terms means; a generator is its factor F (r, d), second moment F'F.

        min_F  R(F)                    s.t. ipm <= beta        (penalised discriminator), or
        min_F  R(F) + lam * ipm                                (norm-bounded discriminator)

    with R = penalty * |F|^2 ("output") or penalty * sum_i |F_i|^2 / k_i ("weights"), and F = K^{1/2} W.

    Attributes
    ----------
    data : Moments
    latent : Whitened
    activation : MomentActivation
    beta, lam : float or None
        Exactly one is given, in the units of means.
    penalty : float
    regularizer : "output" or "weights"
    bias : "none" or "penalized"
        Whether a 1 is appended to every row for the discriminator.
    max_neurons : int or None
    rows : int
        n under reduction="sum", else 1: the user's ipm is ``rows`` times the canonical one.
    value_scale : float
        The user's value divided by the canonical one.
    """

    data: Moments
    latent: Whitened
    activation: MomentActivation
    beta: float | None
    lam: float | None
    penalty: float = 1.0
    regularizer: Regularizer = "output"
    bias: Bias = "none"
    max_neurons: int | None = None
    rows: int = 1
    value_scale: float = 1.0


@dataclass(frozen=True)
class Optimum:
    """What a method found, to be certified: nothing here is taken on trust.

    Attributes
    ----------
    factor : (r, d) array
        The generator in whitened coordinates.
    neurons, outer : (m, d or d + 1) and (m,) arrays
        The discriminator in canonical units.
    max_min : float
        The best value of max-min over discriminators of the allowed width, as the formula gives it.
    min_neurons : int or None
        The smallest width with a saddle point; None where there is none at any width.
    truncated : bool
        Whether the target moments had more rank than the latents.
    """

    factor: Array
    neurons: Array
    outer: Array
    max_min: float | None = None
    min_neurons: int | None = None
    truncated: bool = False
