"""The exact discrepancy between samples, its witness, and what it is on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh_tridiagonal

from convexgan._tools.arrays import as_rows, paired
from convexgan._tools.checks import as_rng, check_choice, check_columns, check_count, check_finite, check_number
from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report, shown
from convexgan._tools.tables import Label, column_names
from convexgan.arrangements.record import Maximum
from convexgan.discriminators import (
    TwoLayerDiscriminator,
    as_discriminator,
    as_moment_discriminator,
    separate,
    separate_rows,
    separation,
    signed_sample,
)
from convexgan.discriminators.activation import Activation, MomentActivation, RowActivation, needs_rows
from convexgan.games.moment.reading import check_bias
from convexgan.statistics.krylov import PROBES, leading_pairs
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
DRAWS_BYTES = 256 * 2**20  # of what is kept of bootstrap draws for one reading of the rows
COMPLETE = 1024  # rows or columns, whichever are fewer, up to which moments are formed and decomposed
STEPS, STEADY = 60, 1e-3  # of the iteration for a draw beyond that, and its relative progress that counts as none


@dataclass(frozen=True, eq=False)
class IPM:
    """The discrepancy between two samples and the neuron that shows it.

    Attributes
    ----------
    value : float
        |mean s(Xu) - mean s(Yu)| at ``direction``.
    upper_bound : float
        A proved upper bound on the maximum over all unit u, with what rounding may have changed.
    exact : bool
        Whether both agree to 1e-9 of the value.
    direction : (d,) array
        The unit vector u (its last entry is the bias under ``bias="penalized"``: then (d + 1,)); under ``bias="free"``,
        and of threshold neurons, a unit vector, and the bias.
    sign : float
        +1 if real samples score higher.
    status : str
        "stopped" if a limit ended a search; the bound holds all the same. Beside "optimal" what lies between both
        numbers is the ``gap`` that was asked for, or rounding: of samples equal up to it no digit is exact.
    stats : dict
    critic : TwoLayerDiscriminator
        The signed neuron, of norm 1.
    columns : tuple, optional
        The names of what ``direction`` has its entries for, if the samples had names.
    """

    value: float
    upper_bound: float
    exact: bool
    direction: Array
    sign: float
    status: str
    stats: dict[str, Any]
    critic: TwoLayerDiscriminator = field(repr=False)
    columns: tuple[Label, ...] | None = field(default=None, repr=False)

    def witness(self, X: Any) -> Array:
        """sign * s(x . u) for each row, (n,): high where real samples outnumber generated ones."""
        return self.critic(X)


def ipm(
    X: Any,
    Y: Any,
    discriminator: str | Activation = "relu",
    *,
    bias: str = "none",
    method: str = "auto",
    weights_x: Any = None,
    weights_y: Any = None,
    gap: float = 0.0,
    time_limit: float | None = None,
    max_nodes: int | None = None,
    rng: int | np.random.Generator | None = 0,
    progress: bool | Report = False,
) -> IPM:
    """The largest difference of means any unit neuron sees: max over |u| <= 1 of |mean s(Xu) - mean s(Yu)|.

    Linear, quadratic and polynomial neurons have a formula. ReLU neurons need a search whose time grows quickly with
    the number of columns: milliseconds for two or three, seconds for five or six; beyond that give a ``gap`` or a
    ``time_limit``. The upper bound holds whenever the search stops, also at Ctrl-C.

    Parameters
    ----------
    X, Y : (n_r, d) and (n_f, d) arrays, frames or tensors; Moments too unless the neurons are ReLUs
        Columns with names are brought into the order of X's.
    discriminator : "relu", "absolute", "squared_relu", "threshold", "linear", "quadratic", "polynomial" or an instance
    bias : "none", "penalized" or "free"
        "penalized" appends 1 to every row. "free" leaves the bias out of the norm: for linear neurons, where constants
        cancel, and for ReLU, leaky and absolute ones. Threshold neurons have an offset of their own: "none" or "free"
        is the same to them.
    method : "auto", "sweep", "cones", "enumerate" or "sampled"
        How to search; "sampled" tries random directions and gives a lower bound. "enumerate" is for ReLUs and
        thresholds.
    weights_x, weights_y : (n_r,) and (n_f,) arrays, optional
        Row weights instead of 1/n.
    gap : float
        Relative gap between bound and value at which the search may stop.
    time_limit : float, optional
        Seconds.
    max_nodes : int, optional
        Cones that the search may look at.
    rng : seed or Generator
        For "sampled".
    progress : bool or callable
        Show value and bound on stderr, or call this with value, upper bound and cones so far.

    Returns
    -------
    IPM

    Raises
    ------
    ValueError
        The samples have different columns, a method is given for smooth neurons, or a free bias leaves the maximum
        infinite.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> cg.ipm(np.array([[3.0, 4.0]]), np.zeros((1, 2))).value
    5.0
    """
    activation, draw = as_discriminator(discriminator), as_rng(rng)
    deadline = Deadline(None if time_limit is None else check_number(time_limit, "time_limit"))
    X, Y = paired(X, Y)
    columns = column_names(X, "X") or column_names(Y, "Y")
    if needs_rows(activation):
        sample = signed_sample(X, Y, weights_x, weights_y)
        limits: dict[str, Any] = {"gap": check_number(gap, "gap"), "time_limit": deadline.left, "max_nodes": max_nodes}
        with shown(progress, "ipm: at least {:.6g}, at most {:.6g}, {} cones", deadline) as report:
            found = _relu_ipm(activation, *sample, bias, method=method, rng=draw, progress=report, **limits)
        return _named(found, columns)
    if method != "auto":
        raise ValueError(f"method={method!r} is for ReLU neurons: leave it at 'auto' for {activation.name} ones.")
    return _named(_moment_ipm(activation, X, Y, bias, weights_x, weights_y), columns)


def _named(found: IPM, columns: tuple[Label, ...] | None) -> IPM:
    return replace(found, columns=columns, critic=replace(found.critic, columns=columns))


def _moment_ipm(activation: MomentActivation, X: Any, Y: Any, bias: str, weights_x: Any, weights_y: Any) -> IPM:
    bias = check_bias(bias, activation)
    real = Moments.from_array(X, weights_x, name="X")
    fake = Moments.from_array(Y, weights_y, name="Y")
    if real.dim != fake.dim:
        raise ValueError(f"X has {real.dim} columns and Y has {fake.dim}: both must describe the same features.")
    a, b, _ = activation.coefficients
    return ipm_of(separate(real, fake, a, b, bias), activation, real.dim)


def _relu_ipm(activation: RowActivation, rows: Array, weights: Array, bias: str, **search: Any) -> IPM:
    check_choice(bias, "bias", ("none", "penalized", "free"))
    return ipm_of(separate_rows(activation, rows, weights, bias, **search), activation, rows.shape[1])


def ipm_of(found: Maximum, activation: Activation, dim: int) -> IPM:
    """What a search among neurons on ``dim`` columns has found."""
    u, sign = found.direction, found.sign
    critic = TwoLayerDiscriminator(u[None, :dim], np.array([sign]), activation, u[dim:])
    stats = {"method": found.method, **found.stats}
    return IPM(found.value, found.upper_bound, found.exact, u, sign, found.status, stats, critic)


@dataclass(frozen=True)
class HeldOut:
    """The discrepancy between held-out rows and a generator's law.

    Attributes
    ----------
    value : float
    low, high : float
        value -+ the level's quantile of ipm(resampled rows, rows), the bootstrap's ipm(rows, law): by the triangle
        inequality the law's ipm is no farther from value than that. Percentiles of ipm(resampled rows, generated)
        would not do: a maximum over directions makes them lean upward.
    level : float
        As asked for; less where there are fewer than level / (1 - level) draws, 19 for 0.95, which do not reach it.
    """

    value: float
    low: float
    high: float
    level: float


def held_out(
    X: Any,
    generated: Any,
    discriminator: str | MomentActivation = "quadratic",
    *,
    resamples: int = 200,
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
) -> HeldOut:
    """ipm on rows the solution has not seen, with a bootstrap interval.

    A certificate speaks of the sample it was computed from; this speaks of the law behind it.

    Parameters
    ----------
    X : (n, d) array
        Held-out real rows.
    generated : (m, d) array or Moments
        Generated rows, or the exact moments of the generator's law.
    discriminator : as in `ipm`
    resamples : int
        Bootstrap draws.
    level : float
        Of the interval, in (0, 1).
    rng : seed or Generator
    """
    X, generated = paired(X, generated, y="generated")
    rows, fake = as_rows(X, "X"), Moments.from_array(generated, name="generated")
    check_columns(rows, fake.dim, "X", "generated")
    check_finite(rows, "X")
    chunks = [rows.astype(np.float64)]
    return held_out_chunks(lambda: chunks, fake, discriminator, resamples=resamples, level=level, rng=rng)


def held_out_chunks(
    chunks: Callable[[], Iterable[Array]],
    fake: Moments,
    discriminator: str | MomentActivation = "quadratic",
    *,
    resamples: int,
    level: float,
    rng: int | np.random.Generator | None,
) -> HeldOut:
    """`held_out` of rows (n_i, d) that are read chunk by chunk, anew for every few draws: no (n, d) array is made.

    Against quadratic neurons with more than 1,024 rows and columns no second moment is formed either: the value comes
    from certified eigenpairs (and may be too large by 1e-7 of the largest eigenvalue), those of the draws from Lanczos
    iterations, all draws in the same readings, to about 1e-3.
    """
    a, b, _ = as_moment_discriminator(discriminator).coefficients
    check_count(resamples, "resamples")
    draw = as_rng(rng)
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, got {level!r}.")
    n = sum(map(len, chunks()))
    if b == 0 and fake.factor is not None and min(n, fake.dim) > COMPLETE:
        value = abs(a) * _distance(chunks, n, fake.factor, draw.spawn(1)[0])
        moved = [abs(a) * size for size in _draws(chunks, n, fake.dim, resamples, draw)]
        return _around(value, moved, level)
    if n < fake.dim:
        rows, fake = _rotate(np.concatenate(list(chunks())), fake)
        chunks = partial(list, [rows])
    (sample,) = _weighted(chunks, np.ones((1, n)), fake.dim)
    value, moved = separation(sample, fake, a, b), []
    together = max(1, DRAWS_BYTES // (8 * (n + fake.dim * min(n, fake.dim))))
    for counts in _resampled(n, resamples, together, draw):
        moved += [separation(drawn, sample, a, b) for drawn in _weighted(chunks, counts, fake.dim)]
    return _around(value, moved, level)


def _resampled(n: int, resamples: int, together: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """How often each of n rows is drawn, (k, n) with k <= together: resampling rows is weighting them by that."""
    for done in range(0, resamples, together):
        yield rng.multinomial(n, np.full(n, 1 / n), size=min(together, resamples - done))


def _around(value: float, moved: list[float], level: float) -> HeldOut:
    reach, count = float(np.quantile(moved, level)), len(moved)
    if count < level / (
        1 - level
    ):  # one more draw is among the k smallest of count + 1 with probability k / (count + 1)
        level = (1 + level * (count - 1)) / (count + 1)
    return HeldOut(value, max(value - reach, 0.0), value + reach, level)


def _distance(chunks: Callable[[], Iterable[Array]], n: int, factor: Array, rng: np.random.Generator) -> float:
    """The spectral norm of the rows' second moment less factor'factor, from above."""
    count, dim = min(len(factor) + 1, factor.shape[1]), factor.shape[1]
    width = min(count + max(10, 2 * count // 3), dim)
    columns = min(4 * width + PROBES, dim)

    def product(vectors: Array) -> Array:
        return np.asarray(sum(rows.T @ (rows @ vectors) for rows in chunks()) / n)

    return leading_pairs(product, factor.T, count, width=width, columns=columns, rng=rng, kept=columns).distance(factor)


def _draws(
    chunks: Callable[[], Iterable[Array]], n: int, dim: int, resamples: int, rng: np.random.Generator
) -> list[float]:
    """Spectral norms of bootstrap second moments less the rows' own."""
    together, found, (starts,) = max(1, DRAWS_BYTES // (8 * (n + 6 * dim))), [], rng.spawn(1)
    for counts in _resampled(n, resamples, together, rng):
        found += _norms(chunks, (counts - 1) / n, starts.standard_normal((dim, len(counts)))).tolist()
    return found


def _norms(chunks: Callable[[], Iterable[Array]], weights: Array, start: Array) -> Array:
    """The spectral norm of sum_i w_i x_i x_i' for each of (k, n) weights, by the Lanczos recurrence, from below."""
    now, before = start / np.linalg.norm(start, axis=0), np.zeros_like(start)
    alpha, beta, sizes = np.zeros((0, len(weights))), np.zeros((1, len(weights))), np.zeros(len(weights))
    for _ in range(min(STEPS, len(start))):
        image, place = np.zeros_like(start), 0
        for rows in chunks():
            image += rows.T @ ((rows @ now) * weights[:, place : place + len(rows)].T)
            place += len(rows)
        alpha = np.vstack([alpha, np.sum(now * image, axis=0)])
        image -= alpha[-1] * now + beta[-1] * before
        beta = np.vstack([beta, np.linalg.norm(image, axis=0)])
        ends = [eigvalsh_tridiagonal(a, b)[[0, -1]] for a, b in zip(alpha.T, beta[1:-1].T, strict=True)]
        last, sizes = sizes, np.abs(ends).max(axis=1)
        if (sizes - last <= STEADY * sizes).all():
            break
        now, before = image / np.maximum(beta[-1], 1e-300), now
    return sizes


def _weighted(chunks: Callable[[], Iterable[Array]], weights: NDArray[Any], dim: int) -> list[Moments]:
    """The moments of all rows under each of (k, n) weights."""
    found, start = [Moments(dim) for _ in weights], 0
    for rows in chunks():
        for moments, w in zip(found, weights[:, start : start + len(rows)], strict=True):
            if w.any():
                moments.update(rows, w)
        start += len(rows)
    return found


def _rotate(rows: Array, fake: Moments) -> tuple[Array, Moments]:
    """Both samples in coordinates of their span, where it is smaller: no ipm changes, every eigenproblem shrinks."""
    if fake.factor is None or len(rows) + len(fake.factor) + 1 >= fake.dim:
        return rows, fake
    basis, _ = np.linalg.qr(np.vstack([rows, fake.factor, fake.mean]).T)
    return rows @ basis, Moments.of_law(fake.mean @ basis, fake.factor @ basis)
