"""ReLU activation: the game matches partial means, one for each way a hyperplane cuts the samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows, paired
from convexgan._tools.checks import check_columns, check_finite, check_number, check_weights
from convexgan._tools.rounding import down, gamma
from convexgan._tools.tables import check_labels
from convexgan.arrangements import Maximum, maximize, maximize_with_offsets
from convexgan.arrangements.record import EXACT
from convexgan.discriminators.activation import KinkedActivation
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
NEAR = 2.0**-14  # size of rows at which the bias is as good as free, and rounding of what is added to them is small


@dataclass(frozen=True)
class ReLU:
    """Neurons s(t) = max(t, 0) + slope min(t, 0) on the unit ball; ipm(X, Y) is a search over hyperplane arrangements.

    Parameters
    ----------
    slope : float
        0 is the ReLU, a small positive number the leaky ReLU, -1 the absolute value.
    """

    slope: float = 0.0
    name: ClassVar[str] = "relu"
    needs: ClassVar[Literal["rows"]] = "rows"

    def __post_init__(self) -> None:
        check_number(self.slope, "slope of ReLU", signed=True)

    def __call__(self, t: Array) -> Array:
        """s(t), elementwise."""
        return np.maximum(t, 0.0) + self.slope * np.minimum(t, 0.0)


def pieces(activation: KinkedActivation, rows: Array, weights: Array) -> tuple[Array, Array]:
    """Rows r_i and weights c_i with sum_i weights_i s(rows_i . u) = sum_i c_i max(r_i . u, 0).

    Derived from s(t) = max(t, 0) - slope max(-t, 0).
    """
    if activation.slope == 0:
        return rows, weights
    return np.concatenate([rows, -rows]), np.concatenate([weights, -activation.slope * weights])


def signed_sample(X: Any, Y: Any, weights_x: Any, weights_y: Any) -> tuple[Array, Array]:
    """All rows (n + m, d), and their weights (n + m,): those of X sum to 1, those of Y to -1.

    Raises
    ------
    ValueError
        A sample is Moments.
    """
    X, Y = paired(X, Y)
    parts, weights = [], []
    for rows, w, name, sign in ((X, weights_x, "X", 1.0), (Y, weights_y, "Y", -1.0)):
        if isinstance(rows, Moments):
            raise ValueError(f"{name} is Moments, but ReLU neurons need the rows themselves: pass the array.")
        check_labels(w, rows, f"weights of {name}", name)
        rows = as_rows(rows, name)
        check_finite(rows, name)
        share = np.ones(len(rows)) if w is None else check_weights(w, len(rows), f"weights of {name}")
        parts.append(rows.astype(np.float64))
        weights.append(sign * share / math.fsum(share))
    check_columns(parts[0], parts[1].shape[1], "X", "Y")
    return np.concatenate(parts), np.concatenate(weights)


def separate_relu(
    activation: KinkedActivation, rows: Array, weights: Array, bias: str = "none", **search: Any
) -> Maximum:
    """The neuron that sees most of a signed sample: max over |u| <= 1 of |sum_i weights_i s(rows_i . u)|.

    Source: Sahiner et al., arXiv 2107.05680, sections 2 and 3.

    Parameters
    ----------
    rows, weights : (N, d) and (N,) arrays
    bias : "none", "penalized" or "free"
        With a bias the direction has d + 1 entries. "free" is for weights that sum to 0.
    **search
        Of `convexgan.arrangements.maximize`.

    Raises
    ------
    ValueError
        The bias is free, and the rows have several columns.
    """
    if bias == "penalized":
        return _separate_lifted(activation, rows, weights, **search)
    if bias == "none":
        return _rounded(maximize(*pieces(activation, rows, weights), **search), activation, rows, weights)
    found = maximize_with_offsets(rows, weights, activation.slope, **search)
    reach = np.linalg.norm(rows - rows[:1], axis=1).max(initial=0.0)
    return _rounded(found, activation, np.full((len(rows), 1), 2 * reach), weights)


def enlarging(rows: Array) -> float:
    """A power of 2, 1 unless rows (N, d) are so small that neurons with a charged bias are sought among larger ones."""
    size = float(np.linalg.norm(rows, axis=1).max())
    return 1.0 if size > NEAR or size == 0 else 2.0 ** int(np.floor(np.log2(NEAR / size)))


def _separate_lifted(activation: KinkedActivation, rows: Array, weights: Array, **search: Any) -> Maximum:
    """The neuron that sees most of rows with a 1 appended, of samples whose weights sum to 1 and to -1.

    From 1 small rows lie on one spot, where cones do not tell them apart. Neurons bend among them, with biases that are
    no larger and cost next to nothing: the best neuron with a free offset is searched, and charged for it.
    """
    size = float(np.linalg.norm(rows, axis=1).max())
    if enlarging(rows) == 1:
        lifted = np.column_stack([rows, np.ones(len(rows))])
        return _rounded(maximize(*pieces(activation, lifted, weights), **search), activation, lifted, weights)
    if search.get("level") is not None:
        search["level"] = search["level"] * (1 + size * size)
    found = separate_relu(activation, rows, weights, "free", **search)
    length = math.hypot(1, float(found.direction[-1]))
    value = down(found.value / length)
    exact = found.status == "optimal" and found.upper_bound - value <= EXACT * value
    return replace(found, value=value, direction=found.direction / length, exact=bool(exact))


def _rounded(found: Maximum, activation: KinkedActivation, rows: Array, weights: Array) -> Maximum:
    """The maximum for the shares that the weights stand for, each rounded once or twice."""
    stray = _stray(activation, rows, weights)
    if stray == 0:
        return found
    bound = found.upper_bound + stray
    return replace(found, upper_bound=bound, exact=found.exact and bool(bound - found.value <= EXACT * found.value))


def _stray(activation: KinkedActivation, rows: Array, weights: Array) -> float:
    """What the rounding of weights changes of sums over rows; where all are of one size it is the sum's own share."""
    sizes = np.abs(weights)
    if not len(sizes) or sizes.min() == sizes.max():
        return 0.0
    return max(1.0, abs(activation.slope)) * gamma(4) * float(sizes @ np.linalg.norm(rows, axis=1))
