"""Weights that make one sample look like another to every neuron of a class, with a certificate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows, paired
from convexgan._tools.checks import check_columns, check_finite, check_number
from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report, shown
from convexgan._tools.tables import column_names
from convexgan.arrangements import Maximum
from convexgan.discrepancy import IPM, ipm_of
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.discriminators.activation import Activation, needs_rows
from convexgan.exceptions import InfeasibleError
from convexgan.games.game import Answer, Call
from convexgan.games.registry import judged
from convexgan.games.sample import (
    Mixture,
    SampleGame,
    critic_of,
    discriminator_response,
    solve_mixture,
    solve_mixture_program,
)
from convexgan.games.sample.certificate import certified_law, read_sample_game
from convexgan.games.sample.responses import signed_law
from convexgan.generators import MixtureGenerator
from convexgan.records.certificate import Certificate
from convexgan.records.solution import Status
from convexgan.statistics.products import check_size

Array = NDArray[np.float64]
BEFORE = 0.1  # share of the time limit for the imbalance of equal weights
SEARCH = 0.65  # share of what is left for the weights; the rest is for proving them
BLOCK = 2**22  # scores at a time


@dataclass(frozen=True, eq=False)
class Balance:
    """Weights on the rows of Y, and what is proved of them.

    Attributes
    ----------
    weights : (m,) array
        Not negative, of sum 1.
    imbalance : IPM
        Of X and the weighted rows: at least ``value``, which the ``critic``, the witness, sees; at most
        ``upper_bound``.
    before : IPM
        The same of equal weights.
    certificate : Certificate
        Its value is the imbalance, or with ``beta`` the sum of squared weights; ``bound`` is at most that of any
        weights (within beta). `verify` computes it again from X; the rows of Y and the weights are its evidence.
    status : Status
    stats : dict
    """

    weights: Array
    imbalance: IPM
    before: IPM
    certificate: Certificate
    status: Status
    stats: dict[str, Any] = field(repr=False)

    @property
    def witness(self) -> TwoLayerDiscriminator:
        """The neuron that still sees most."""
        return self.imbalance.critic

    @property
    def effective_size(self) -> float:
        """1 / sum of squared weights: as many rows with equal weights have means of the same variance (Kish)."""
        return 1 / float(self.weights @ self.weights)

    def __str__(self) -> str:
        proof, seen, m = self.certificate, self.imbalance, len(self.weights)
        within = proof.evidence is not None and proof.evidence.settings.get("spread")
        lines = [
            f"{self.status}: {self.status.sentence}",
            f"  imbalance           {seen.value:.10g}, at most {seen.upper_bound:.10g}",
            f"  equal weights       {self.before.value:.10g}, at most {self.before.upper_bound:.10g}",
            f"  effective size      {self.effective_size:.6g} of {m} rows",
        ]
        if within:
            lines.append(f"  of any weights      {1 / max(proof.bound, 1 / m):.10g} rows at most, within beta")
        else:
            lines.append(f"  of any weights      {proof.bound:.10g} at least")
        return "\n".join([*lines, f"  proved              {proof.kind}, gap {proof.gap:.3g} relative"])


def balance(
    X: Any,
    Y: Any,
    discriminator: str | Activation = "relu",
    *,
    beta: float | None = None,
    bias: str = "none",
    tol: float = 1e-6,
    time_limit: float | None = None,
    progress: bool | Report = False,
) -> Balance:
    """Weights on the rows of Y with which no neuron tells them from X: covariate balance for every neuron of a class.

    Without ``beta`` they are those of the least imbalance, min over w of max over |u| <= 1 of
    |mean s(Xu) - sum_i w_i s(Y_i u)|; with it those of the least sum of squares among all within beta. Either is a game
    between weights and neurons, solved as mixtures are, and its certificate says how far from the optimum the weights
    can be. Bring columns to one scale first: a neuron has one norm for all.

    Parameters
    ----------
    X : (n, d) array or frame
        Rows to look like: those who were treated, the population of a survey, the domain of use.
    Y : (m, d) array or frame
        Rows to be weighted. Columns with names are brought into the order of X's.
    discriminator : "relu", "absolute", "squared_relu", "linear", "quadratic", "polynomial" or an instance
        Linear neurons see the means, quadratic ones second moments, ReLUs partial means.
    beta : float, optional
        The imbalance that is allowed. The larger, the more even the weights.
    bias : "none", "penalized" or "free"
        As in `convexgan.ipm`; "free" lets ReLU neurons bend anywhere.
    tol : float
        Relative tolerance with which the certificate's kind is decided.
    time_limit : float, optional
        Seconds: what is proved by then holds.
    progress : bool or callable
        Show bound, violation and number of neurons on stderr, or call this with them.

    Returns
    -------
    Balance

    Raises
    ------
    ValueError
        The samples have different columns, or an argument is none of those named.
    InfeasibleError
        No weights are within beta; ``smallest_beta`` is one for which there are.
    SolverError
        A solver failed.

    References
    ----------
    Kallus, Generalized Optimal Matching Methods for Causal Inference, arXiv 1612.08321, for weights of the least
    worst-case imbalance over a class of functions. Zubizarreta, Stable Weights that Balance Covariates for Estimation
    with Incomplete Outcome Data, JASA 110, 2015, for the least sum of squares within a tolerance. Hainmueller, Entropy
    Balancing for Causal Effects, Political Analysis 20, 2012, for the same of entropy with moments matched exactly.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> X, Y = np.array([[1.0], [2.0]]), np.array([[0.0], [1.0], [3.0]])
    >>> found = cg.balance(X, Y, "linear")
    >>> found.imbalance.value < 1e-9, found.before.value
    (True, 0.16666666666666674)
    """
    tol = check_number(tol, "tol", positive=True)
    game = _read(X, Y, discriminator, beta, bias)
    limit = None if time_limit is None else check_number(time_limit, "time_limit")
    whole = Deadline(limit)
    points = game.given
    even = np.full(len(points), 1 / len(points))
    before = discriminator_response(game, points, even, whole.part(BEFORE))
    weights, neurons, outer, stats, seen = _weights(game, whole.part(SEARCH), progress)
    status, critic = Status(stats.pop("status")), critic_of(game, neurons, outer)
    found: list[tuple[Array, Maximum, Certificate]] = []

    def judge(seconds: float | None) -> Certificate:
        rest = Deadline(seconds)
        found.append((weights, *certified_law(game, points, weights, critic, tol, rest.left, seen)))
        if beta is None and found[-1][1].value > before.upper_bound:  # the search was stopped before it did better
            found.append((even, *certified_law(game, points, even, critic, tol, rest.left, before)))
        return found[-1][2]

    used = weights > 0
    law = MixtureGenerator(points[used], weights[used])
    sol = judged(Answer(law, critic, judge, stats, status, searched=True), "balance", limit, whole, throw=True)
    weights, after, certificate = found[-1]
    after = no_less(game, weights, critic, after)
    return Balance(weights, _seen(game, after), _seen(game, before), certificate, sol.status, sol.stats)


def _read(X: Any, Y: Any, discriminator: str | Activation, beta: float | None, bias: str) -> SampleGame:
    """The checked game: of the least ipm, or of the least sum of squares within beta."""
    X, Y = paired(X, Y)
    lam, spread = (1.0, 0.0) if beta is None else (None, 1.0)
    call = Call.read(X, discriminator=discriminator, generator="mixture", beta=beta, lam=lam, bias=bias)
    game = read_sample_game(call)
    rows = as_rows(Y, "Y")
    check_finite(rows, "Y")
    check_size(rows, "Y")
    check_columns(rows, game.data.shape[1], "Y", "X")
    columns = game.columns or column_names(Y, "Y")
    return replace(game, particles=rows.astype(np.float64), penalty=0.0, spread=spread, columns=columns)


def _weights(game: SampleGame, deadline: Deadline, progress: bool | Report) -> Mixture:
    """The optimal weights, the discriminator that proves them, and the solver's record."""
    try:
        if not needs_rows(game.activation):
            return solve_mixture_program(game, game.given, game.activation, time_limit=deadline.left)
        with shown(progress, "balance: bound {:.6g}, violation {:.2g}, {} neurons", deadline) as report:
            return solve_mixture(game, deadline=deadline, progress=report)
    except InfeasibleError as error:
        least, count = error.smallest_beta, len(game.given)
        raise InfeasibleError(
            f"no weights on the {count} rows of Y come within beta: use beta >= {least!r}, or leave it out for those "
            "of the least imbalance.",
            smallest_beta=least,
        ) from None


def no_less(game: SampleGame, weights: Array, critic: TwoLayerDiscriminator, found: Maximum) -> Maximum:
    """What a search that a limit stopped has found, or the discriminator's own neuron that sees more.

    The best of its neurons sees at least what their mixture guarantees, so that no value is below the game's bound.
    """
    if found.status != "stopped" or critic.norm == 0:
        return found
    rows, signed = signed_law(game, game.given, weights)
    neurons = np.column_stack([critic.neurons, critic.biases])
    parts = np.array_split(neurons, 1 + len(rows) * len(neurons) // BLOCK)
    seen = np.concatenate([signed @ game.activation(rows @ part[:, :-1].T + part[:, -1]) for part in parts])
    best = int(np.argmax(np.abs(seen)))
    value = float(abs(seen[best]))
    if value <= found.value:
        return found
    u, sign = neurons[best, : len(found.direction)], float(np.sign(seen[best]))
    return replace(found, value=value, upper_bound=max(found.upper_bound, value), direction=u, sign=sign)


def _seen(game: SampleGame, found: Maximum) -> IPM:
    """The imbalance, with the names of columns."""
    seen = ipm_of(found, game.activation, game.data.shape[1])
    return replace(seen, columns=game.columns, critic=replace(seen.critic, columns=game.columns))
