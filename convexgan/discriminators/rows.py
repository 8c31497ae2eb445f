"""What neurons that see rows answer, whether they are linear on both sides of a hyperplane or bring their search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import gamma
from convexgan.arrangements import Maximum, local_maxima, sweep_cuts, sweep_offsets, sweep_values
from convexgan.arrangements.record import EXACT
from convexgan.discriminators.activation import RowActivation, is_kinked
from convexgan.discriminators.relu import pieces, separate_relu

Array = NDArray[np.float64]


def degree_of(activation: RowActivation) -> int:
    """The power of t by which neurons grow."""
    return 1 if is_kinked(activation) else activation.degree


def at_most(activation: RowActivation, sizes: Array) -> Array:
    """At least |s(t)|, and |t s'(t)|, for |t| up to the sizes (...): what a relative error of t is a share of."""
    if is_kinked(activation):
        return max(1.0, abs(activation.slope)) * sizes
    return np.asarray(max(activation.degree, 1) * sizes**activation.degree)


def check_row_bias(bias: str, activation: RowActivation) -> None:
    """Raise where a bias that is not charged leaves the discrepancy unbounded, or a charge means nothing.

    Raises
    ------
    ValueError
        The bias is free, and constants do not cancel; or it is charged, and neurons are steps.
    """
    if degree_of(activation) == 0:
        if bias == "penalized":
            raise ValueError(
                f"bias='penalized' has no meaning for {activation.name} neurons, which no norm makes larger: leave it "
                "out, their offset is free."
            )
        return
    if bias == "free" and not is_kinked(activation):
        raise ValueError(
            f"bias='free' leaves the {activation.name} discriminator unbounded unless the means agree: "
            "use bias='penalized', or 'none'."
        )


def separate_rows(activation: RowActivation, rows: Array, weights: Array, bias: str = "none", **search: Any) -> Maximum:
    """The neuron that sees most of a signed sample: max over |u| <= 1 of |sum_i weights_i s(rows_i . u)|.

    Source: Sahiner et al., arXiv 2107.05680, sections 2 and 3.

    Parameters
    ----------
    rows, weights : (N, d) and (N,) arrays
    bias : "none", "penalized" or "free"
        With a bias the direction has d + 1 entries; threshold neurons have one of their own. "free" is for weights that
        sum to 0 and ReLUs.
    **search
        Of `convexgan.arrangements.maximize`.
    """
    if is_kinked(activation):
        return separate_relu(activation, rows, weights, bias, **search)
    check_row_bias(bias, activation)
    rows = np.column_stack([rows, np.ones(len(rows))]) if bias == "penalized" else rows
    found: Maximum = activation.separate(rows, weights, **search)
    # the weights stand for shares that were rounded once or twice
    lengths = np.linalg.norm(rows, axis=1)
    bound = found.upper_bound + gamma(4) * float(np.abs(weights) @ lengths**activation.degree)
    return replace(found, upper_bound=bound, exact=found.exact and bool(bound - found.value <= EXACT * found.value))


def has_free_offset(activation: RowActivation, bias: str) -> bool:
    """Whether neurons have an offset that nothing charges."""
    return bias == "free" or degree_of(activation) == 0


def separate_offsets(activation: RowActivation, rows: Array, weights: Array, deadline: Deadline) -> Array | None:
    """What the best neuron with a free offset sees, (B,), for many weights (B, N) of rows (N, d), d = 1 or 2.

    None if the time is over before.
    """
    if not is_kinked(activation):
        return sweep_cuts(rows, weights, deadline)
    points, slope = rows - np.median(rows, axis=0), activation.slope
    return sweep_offsets(points, (1 - slope) * weights, slope * weights @ points, deadline)


def separate_all(activation: RowActivation, rows: Array, weights: Array) -> Array:
    """What the best neuron sees, (B,), for each of many weights (B, N) of rows (N, d) of one or two columns."""
    if not is_kinked(activation):
        return activation.separate_all(rows, weights)
    parted = [pieces(activation, rows, w) for w in weights]
    return sweep_values(parted[0][0], np.stack([w for _, w in parted]))


def rising(
    activation: RowActivation, rows: Array, weights: Array, starts: Array, time_limit: float | None
) -> tuple[Array, Array]:
    """Unit neurons (k, d) that are local maxima, found from the starts, and what they see (k,)."""
    if is_kinked(activation):
        return local_maxima(*pieces(activation, rows, weights), starts, time_limit)
    return activation.local_maxima(rows, weights, starts, time_limit)
