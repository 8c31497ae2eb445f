"""A permutation test of whether two samples come from one law, with the exact discrepancy as its statistic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import as_rng, check_columns, check_count
from convexgan._products import check_size
from convexgan._tools.arrays import as_rows, paired
from convexgan._tools.tables import column_names
from convexgan.arrangements import sweep_values
from convexgan.discrepancy import ipm
from convexgan.discriminators import TwoLayerDiscriminator, as_discriminator, pieces
from convexgan.problem import Activation, RowActivation, needs_rows

Array = NDArray[np.float64]
BATCH = 2**22  # entries of the permuted weights held at a time
SEARCHED = 3  # columns up to which each permutation's ReLU ipm is exact


@dataclass(frozen=True, eq=False)
class TwoSampleTest:
    """The outcome of `two_sample_test`.

    Attributes
    ----------
    value : float
        The statistic of the two samples.
    p_value : float
        (1 + permutations whose statistic is at least ``value``) / (1 + permutations): valid at any sample size.
    permutations : int
    exact : bool
        Whether the statistic is the exact ipm; otherwise its lower bound over sampled directions, the same ones for
        every permutation, with which the test is valid too.
    witness : TwoLayerDiscriminator
        The neuron that separates one half of the samples.
    held_out, held_out_error : float
        Its difference of means on the other half, and the standard error of that.
    null : (permutations,) array
    """

    value: float
    p_value: float
    permutations: int
    exact: bool
    witness: TwoLayerDiscriminator
    held_out: float
    held_out_error: float
    null: Array = field(repr=False)


def two_sample_test(
    X: Any,
    Y: Any,
    discriminator: str | Activation = "relu",
    *,
    bias: str = "none",
    permutations: int = 999,
    rng: int | np.random.Generator | None = 0,
    progress: bool = False,
) -> TwoSampleTest:
    """Test whether X and Y come from one law: the ipm against its values after random relabelling.

    ReLU neurons on one or two columns (the bias counts as one) are swept for all permutations at once, thousands a
    second; on three columns each permutation is searched exactly, on more the statistic is a sampled lower bound.

    Parameters
    ----------
    X, Y : (n, d) and (m, d) arrays or frames
        At least two rows each. Columns with names are brought into the order of X's.
    discriminator, bias : as in `ipm`
    permutations : int
    rng : seed or Generator
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    TwoSampleTest

    References
    ----------
    Gretton et al., A Kernel Two-Sample Test, JMLR 2012, for the method with another discrepancy.

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
    X, Y = _sample(X, "X"), _sample(Y, "Y")
    check_columns(X, Y.shape[1], "X", "Y")
    check_count(permutations, "permutations")
    draw = as_rng(rng)
    rows = np.concatenate([X, Y])
    shares = np.concatenate([np.full(len(X), 1 / len(X)), np.full(len(Y), -1 / len(Y))])
    columns = rows.shape[1] + (bias == "penalized")
    method = "sampled" if needs_rows(activation) and columns > SEARCHED and bias != "free" else "auto"
    options: dict[str, Any] = {
        "discriminator": activation,
        "bias": bias,
        "method": method,
        "rng": int(draw.integers(2**31)),
    }
    relabelled = (draw.permutation(shares) for _ in range(permutations))
    if needs_rows(activation) and columns <= 2 and bias != "free":
        points = rows if bias == "none" else np.column_stack([rows, np.ones(len(rows))])
        value, null = float(_swept(activation, points, iter([shares]))[0]), _swept(activation, points, relabelled)
    else:
        value = ipm(X, Y, **options).value
        null = np.array(
            [ipm(rows[w > 0], rows[w < 0], **options).value for w in _tracked(relabelled, permutations, progress)]
        )
    beaten = int(np.count_nonzero(null >= value - _rounding(activation, rows, shares, bias)))
    witness, difference, error = _held_out_witness(X, Y, options, draw)
    witness = replace(witness, columns=names)
    p_value = (1 + beaten) / (1 + permutations)
    return TwoSampleTest(value, p_value, permutations, method == "auto", witness, difference, error, null)


def _sample(X: Any, name: str) -> Array:
    rows = as_rows(X, name)
    check_size(rows, name)
    if len(rows) < 2:
        raise ValueError(f"{name} has one row: a test needs at least two in each sample.")
    return rows.astype(np.float64)


def _rounding(activation: Activation, rows: Array, shares: Array, bias: str) -> float:
    """By how much statistics may differ that are equal in exact arithmetic."""
    sizes = np.abs(rows).sum(axis=1) + (bias == "penalized")  # whose column is one
    if not needs_rows(activation):
        a, b, _ = activation.coefficients
        sizes = abs(a) * sizes**2 + abs(b) * sizes
    return float(64 * np.finfo(float).eps * np.abs(shares) @ sizes)


def _swept(activation: RowActivation, rows: Array, weights: Iterator[Array]) -> Array:
    step = max(1, BATCH // len(rows))
    parts = []
    while parted := [pieces(activation, rows, w) for w in islice(weights, step)]:
        parts.append(sweep_values(parted[0][0], np.stack([w for _, w in parted])))
    return np.concatenate(parts)


def _tracked(weights: Iterable[Array], count: int, progress: bool) -> Iterable[Array]:
    if not progress:
        return weights
    from rich.console import Console
    from rich.progress import track

    return track(weights, "permutations", total=count, console=Console(stderr=True), transient=True)


def _held_out_witness(
    X: Array, Y: Array, options: dict[str, Any], draw: np.random.Generator
) -> tuple[TwoLayerDiscriminator, float, float]:
    """The neuron that separates a random half of both samples best, judged on the other half."""
    (X, left), (Y, right) = ((s[draw.permutation(len(s))], len(s) // 2) for s in (X, Y))
    witness = ipm(X[:left], Y[:right], **options).critic
    real, fake = witness(X[left:]), witness(Y[right:])
    spread = sum(float(np.var(s)) / max(len(s) - 1, 1) for s in (real, fake))
    return witness, float(real.mean() - fake.mean()), float(np.sqrt(spread))
