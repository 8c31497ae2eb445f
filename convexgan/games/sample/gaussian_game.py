"""Linear generators with Gaussian latents against ReLU neurons: the best law of a given mean and rank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan.arrangements import row_space
from convexgan.conic.searches import Conic
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.low_rank_program import LowRankProgram
from convexgan.games.sample.semi_infinite import PROVED, Optimum, OutOfReachError, Program

Array = NDArray[np.float64]
RANK = 1e-6  # relative eigenvalue of S that may be zero
PROGRAMS = 0.6  # share of the time for programs and their cuts; the rest is for a law within the level


@dataclass(frozen=True, eq=False)
class GaussianAnswer:
    """The law N(mean, factor'factor) and the discriminator that belongs to it.

    Attributes
    ----------
    factor : (r, d) array
    neurons, outer : (K, d) and (K,) arrays
    spreads : (K,) array
        The deviations sqrt(u_j'Su_j) of the optimal law, which make the discriminator's guarantee tight.
    stats : dict
    """

    factor: Array
    neurons: Array
    outer: Array
    spreads: Array
    stats: dict[str, Any]


def solve_gaussian(
    game: SampleGame,
    rank: int,
    mean: Array,
    *,
    deadline: Deadline | None = None,
    progress: Report | None = None,
    conic: Conic | None = None,
) -> GaussianAnswer:
    """The cheapest Gaussian law of the given mean (d,) that the neurons cannot tell from the data.

    Where the optimum has a higher rank than the latents, ``rank``, the law is the best one on the data's leading
    principal axes, or where these hold none within beta one that a local search finds; the discriminator is still that
    of the optimum. In four columns and more, where the search for the neuron that sees most ends with a bound that is
    not tight, the law is one of a level so much lower that the bound is within beta.

    Raises
    ------
    InfeasibleError
        If no Gaussian law of mean 0 comes within beta, of any rank; ``smallest_beta`` is one that works, in canonical
        units.
    SolverError
        If none was found, though none is excluded: of a rank below the optimum's, or of the data's mean.
    """
    basis = row_space(game.data, game.data.shape[1])
    size = float(np.sqrt(np.mean(np.sum(game.data**2, axis=1)))) or 1.0
    unit = game.penalty * size
    whole = deadline or Deadline()
    how = whole.part(PROGRAMS), progress, conic or Conic()
    rows = game.data @ basis / size
    budget = None if game.beta is None else game.beta / size, None if game.lam is None else game.lam / unit
    p = basis.shape[1]
    search = narrow = Program(rows, mean @ basis / size, np.eye(p), *how)
    if rank < p:
        axes = np.linalg.svd(rows - search.mean, full_matrices=False)[2][:rank]
        narrow = Program(rows, search.mean, axes.T, *how)
    try:
        optimum = search.best(*budget)
    except OutOfReachError:
        raise _none_within(size * narrow.least(), bool(mean.any())) from None
    proof = search.witnesses(optimum)
    if game.lam is not None and (optimum.outer < 0).any():  # such neurons prove little: see `guaranteed`
        relaxed = Program(rows, search.mean, search.axes, *how, one_sided=True)
        proof = relaxed.witnesses(relaxed.best(*budget))
    if rank < p:
        search, optimum = _of_rank(search, optimum, narrow, rank, budget, size)
    if budget[0] is not None:
        best, optimum = optimum, search.within(optimum, budget[0])
        if not optimum.finished and rank >= p:
            search.deadline = whole
            optimum = search.moved(best, budget[0])
    values, vectors = np.linalg.eigh(optimum.covariance)
    root = np.sqrt(np.maximum(values, 0))[::-1][:rank]
    factor = size * root[:, None] * (basis @ vectors[:, ::-1][:, :rank]).T
    status = "optimal" if optimum.finished and not whole.over else "stopped"
    neurons, outer, spreads = proof
    stats = how[2].record | {"cuts": len(search.cuts), "status": status}
    return GaussianAnswer(factor, neurons @ basis.T, unit * outer, size * spreads, stats)


def _of_rank(
    whole: Program,
    optimum: Optimum,
    narrow: Program,
    rank: int,
    budget: tuple[float | None, float | None],
    size: float,
) -> tuple[Program, Optimum]:
    """The optimum if its rank is no higher, else the best one on the axes or of a local search, and its program."""
    values, vectors = np.linalg.eigh(optimum.covariance)
    values[:-rank] = 0
    cut = replace(optimum, covariance=(vectors * values) @ vectors.T)
    near = float(np.trace(optimum.covariance - cut.covariance)) <= RANK * values[-1]
    beta = budget[0]
    if near and (beta is None or whole.proved(cut) <= max(beta, whole.proved(optimum)) + PROVED):
        return whole, cut
    programs = [narrow, LowRankProgram(whole, rank, optimum.covariance)]
    for search in programs[::-1] if near else programs:
        try:
            return search, search.best(*budget)
        except OutOfReachError:
            continue
    least = size * narrow.least()
    raise SolverError(
        f"no Gaussian law of rank {rank} within beta was found, though none is excluded: add latent dimensions, or use "
        f"beta >= {least!r}, which is known to work."
    )


def _none_within(least: float, fixed: bool) -> InfeasibleError | SolverError:
    """The error where no covariance is within beta: for a fixed mean that excludes no other mean."""
    if fixed:
        return SolverError(
            "no Gaussian law with the mean of the data is within beta, though none of another mean is excluded: use "
            f"beta >= {least!r}, which is known to work, or lam=."
        )
    return InfeasibleError(
        f"no Gaussian law of the generator's comes within beta: use beta >= {least!r}, which is known to work, or "
        "lam=, or Linear(bias=True) if the data are not centred.",
        smallest_beta=least,
    )
