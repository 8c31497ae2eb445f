"""A permutation test of whether two samples come from one law, with the exact discrepancy as its statistic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows, paired
from convexgan._tools.checks import as_rng, check_columns, check_count, check_number, check_weights
from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report, shown
from convexgan._tools.tables import check_labels, column_names
from convexgan.discrepancy import ipm
from convexgan.discriminators import TwoLayerDiscriminator, as_discriminator
from convexgan.discriminators.activation import Activation
from convexgan.relabelling import Split, Statistic, all_splits, count_splits, random_splits
from convexgan.statistics.products import check_size

Array = NDArray[np.float64]
WITNESS = 0.1  # share of the time that permutations leave to the witness


@dataclass(frozen=True, eq=False)
class TwoSampleTest:
    """The outcome of `two_sample_test`.

    Attributes
    ----------
    value, statistic : float
        The statistic of the two samples, under its own name and that of scipy.
    p_value, pvalue : float
        (1 + permutations whose statistic is at least ``value``) / (1 + permutations): valid at any sample size, and
        exact if ``enumerated``.
    permutations : int
        How many were looked at; that of the samples themselves is not among them.
    enumerated : bool
        Whether they are all there are, as in scipy where there are no more than were asked for.
    stopped : bool
        Whether the time was over, or Ctrl-C was pressed, before all were looked at.
    exact : bool
        Whether the statistic is the exact ipm; otherwise its lower bound over sampled directions, the same ones for
        every permutation, with which the test is valid too.
    witness : TwoLayerDiscriminator
        The neuron that separates one half of the samples.
    held_out, held_out_error : float
        Its difference of means on the other half, and the standard error of that.
    null : (permutations,) array
        The statistics of the permutations; of ReLU neurons on three columns bounds, where they decide on which side of
        ``value`` a statistic lies.
    """

    value: float
    p_value: float
    permutations: int
    enumerated: bool
    stopped: bool
    exact: bool
    witness: TwoLayerDiscriminator
    held_out: float
    held_out_error: float
    null: Array = field(repr=False)

    @property
    def statistic(self) -> float:
        """``value``, as scipy calls it."""
        return self.value

    @property
    def pvalue(self) -> float:
        """``p_value``, as scipy calls it."""
        return self.p_value


def two_sample_test(
    X: Any,
    Y: Any,
    discriminator: str | Activation = "relu",
    *,
    bias: str = "none",
    permutations: int = 999,
    weights_x: Any = None,
    weights_y: Any = None,
    time_limit: float | None = None,
    rng: int | np.random.Generator | None = 0,
    progress: bool | Report = False,
) -> TwoSampleTest:
    """Test whether X and Y come from one law: the ipm against its values after random relabelling.

    Where there are no more ways to deal the rows than ``permutations``, each is looked at once and the p-value is
    exact. ReLU neurons on one or two columns (the bias counts as one), linear and quadratic ones take all permutations
    at once, thousands a second. On three columns each is bounded by one net of cones for all, and searched only where
    that does not tell whether it reaches the statistic; on more the statistic is a lower bound from ascents. With free
    offsets, and for half-spaces (``discriminator="threshold"``), one and two columns are swept for many permutations
    together; on more the statistic is that of the best offsets of 300 random directions.

    Parameters
    ----------
    X, Y : (n, d) and (m, d) arrays or frames
        At least two rows each. Columns with names are brought into the order of X's.
    discriminator, bias : as in `ipm`
    permutations : int
    weights_x, weights_y : (n,) and (m,) arrays, optional
        Positive weights of rows. A row keeps its weight when it changes sample: what is tested is whether pairs (row,
        weight) come from one law, so weights that differ between the samples alone are seen too.
    time_limit : float, optional
        Seconds: half of them at most for the statistic itself, which is then a lower bound, a tenth for the witness.
    rng : seed or Generator
    progress : bool or callable
        Show the p-value so far on stderr, or call this with value, p-value and permutations so far.

    Returns
    -------
    TwoSampleTest

    References
    ----------
    Gretton et al., A Kernel Two-Sample Test, JMLR 2012, for the method with another discrepancy. Phipson and Smyth,
    Permutation P-values Should Never Be Zero, 2010, for the 1 that is added; conventions are those of
    `scipy.stats.permutation_test`. Paik, Celentano, Green and Tibshirani, arXiv 2309.02422, for the test whose
    statistic is the best ridge spline: half-spaces are those of degree 0, ReLU neurons with free offsets of degree 1.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> rng = np.random.default_rng(0)
    >>> found = cg.two_sample_test(rng.standard_normal((80, 2)), rng.standard_normal((60, 2)) + 1)
    >>> found.p_value
    0.001
    """
    activation = as_discriminator(discriminator)
    X, Y = paired(X, Y)
    names = column_names(X, "X") or column_names(Y, "Y")
    samples = _sample(X, weights_x, "X"), _sample(Y, weights_y, "Y")
    (rows, w), (others, v) = samples
    check_columns(rows, others.shape[1], "X", "Y")
    check_count(permutations, "permutations")
    deadline = Deadline(None if time_limit is None else check_number(time_limit, "time_limit"))
    draw = as_rng(rng)
    statistic = Statistic(
        np.concatenate([rows, others]), np.concatenate([w, v]), activation, bias, int(draw.integers(2**31))
    )
    first = np.arange(len(w) + len(v)) < len(w)
    enumerated = count_splits(len(w), len(v)) <= permutations
    splits = all_splits(first, draw) if enumerated else islice(random_splits(first, draw), permutations)
    wanted = count_splits(len(w), len(v)) - 1 if enumerated else permutations
    value, finished = statistic.value(first, deadline.part(1 / 2))
    least = value - statistic.rounding(first)  # what counts as no smaller
    text = "two_sample_test: statistic {:.6g}, p-value {:.3g}, {} permutations"
    with shown(progress, text, deadline, wanted) as report:
        null = _null(statistic, value, least, splits, deadline.part(1 - WITNESS), report)
    beaten = int(np.count_nonzero(null >= least))
    options = statistic.options | {"time_limit": deadline.left}
    witness, difference, error = _held_out_witness(*samples, options, draw)
    return TwoSampleTest(
        value,
        (1 + beaten) / (1 + len(null)),
        len(null),
        enumerated and len(null) == wanted,
        len(null) < wanted,
        finished,
        replace(witness, columns=names),
        difference,
        error,
        null,
    )


def _sample(X: Any, weights: Any, name: str) -> tuple[Array, Array]:
    """The rows and their weights."""
    check_labels(weights, X, f"weights of {name}", name)
    rows = as_rows(X, name)
    check_size(rows, name)
    if len(rows) < 2:
        raise ValueError(f"{name} has one row: a test needs at least two in each sample.")
    w = np.ones(len(rows)) if weights is None else check_weights(weights, len(rows), f"weights of {name}")
    if not w.all():
        raise ValueError(f"weights of {name} are 0 for {np.count_nonzero(w == 0)} rows: leave those rows out.")
    return rows.astype(np.float64), w


def _null(
    statistic: Statistic,
    value: float,
    least: float,
    splits: Iterator[Split],
    deadline: Deadline,
    report: Report | None,
) -> Array:
    """The statistics of the splits, those that were ready when the time was over or Ctrl-C was pressed."""
    found, count, beaten = [np.zeros(0)], 0, 0
    with suppress(KeyboardInterrupt):
        for values in statistic.values(splits, least, deadline):
            found.append(values)
            count, beaten = count + len(values), beaten + int(np.count_nonzero(values >= least))
            if report is not None:
                report(value, (1 + beaten) / (1 + count), count)
    return np.concatenate(found)


def _held_out_witness(
    first: tuple[Array, Array], second: tuple[Array, Array], options: dict[str, Any], draw: np.random.Generator
) -> tuple[TwoLayerDiscriminator, float, float]:
    """The neuron that separates a random half of both samples best, judged on the other half."""
    seen, kept = [], []
    for rows, w in (first, second):
        order, half = draw.permutation(len(rows)), len(rows) // 2
        seen.append((rows[order[:half]], w[order[:half]]))
        kept.append((rows[order[half:]], w[order[half:]]))
    (X, w), (Y, v) = seen
    witness = ipm(X, Y, weights_x=w, weights_y=v, **options).critic
    (real, one), (fake, other) = (_mean(witness(rows), w) for rows, w in kept)
    return witness, real - fake, math.hypot(one, other)


def _mean(values: Array, weights: Array) -> tuple[float, float]:
    """The weighted mean and its standard error, that of the plain mean for equal weights."""
    shares, n = weights / math.fsum(weights), len(values)
    mean = float(shares @ values)
    return mean, math.sqrt(float(shares**2 @ (values - mean) ** 2) * n / max(n - 1, 1))
