"""The duality gap of two players: exact where the game allows it, by a few steps of copies elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from convexgan._tools.arrays import dense_tensor, paired, read_array
from convexgan._tools.checks import check_count, check_number
from convexgan.torch.batches import Batches
from convexgan.torch.best_answers import best_answers
from convexgan.torch.conversion import as_two_layer
from convexgan.torch.copies import Copies, Term, student
from convexgan.torch.exact import ExactDiscriminatorLoss
from convexgan.torch.objective import Objective, Payoff, check_fit, check_players
from convexgan.torch.players import unwrapped
from convexgan.torch.samples import collected

RANK = ("exact", "converged", "moving", "unbounded")  # from good to bad
LOSING = "the copies lose on the half they are judged on, lower the rate or pass more data."
SENTENCES: dict[tuple[str, ...], str] = {
    ("upper", "exact"): "exact.",
    ("lower", "exact"): "exact.",
    ("upper", "converged"): "what the copies reached.",
    ("lower", "converged"): "what the copies reached.",
    ("upper", "moving", "rising"): "not converged, it was still rising: take more steps.",
    ("lower", "moving", "falling"): "not converged, it was still falling: take more steps.",
    ("upper", "moving", "falling"): f"not converged, it was falling: {LOSING}",
    ("lower", "moving", "rising"): f"not converged, it was rising: {LOSING}",
    (
        "upper",
        "unbounded",
    ): "unbounded as far as the copies went: bound the discriminator by beta, lam, clip or a penalty.",
    ("lower", "unbounded"): (
        "unbounded as far as the copies went: nothing keeps a generator near the data, give it a generator_penalty or "
        "bounded outputs."
    ),
}


class GapPoint(NamedTuple):
    """The gap and its terms after some steps of the copies."""

    step: int
    value: float
    upper: float
    lower: float


@dataclass(frozen=True)
class DualityGap:
    """max over D' of M(G, D') - min over G' of M(G', D), signed.

    Attributes
    ----------
    value : float
        The gap: zero at an equilibrium. Estimated terms can make it negative, within their noise.
    low, high : float
        A confidence interval over evaluation batches, or over draws if there are several; both are the value if both
        terms are exact.
    upper, lower : float
        The two terms.
    exact : (bool, bool)
        Which of them are exact; the others are what the copies reached.
    status : (str, str)
        Of each term: "exact"; "converged", where the second half of the steps changed the copies' gain by at most 5 %;
        "moving", where it changed more: if it rose, the gap is above the value; "unbounded", where nothing in the
        objective bounds the term, the gain doubled three times as the steps did, and is 10 times what the payoff was:
        no bound is in sight, and the value tells how long the copies went, nothing else.
    curve : tuple of GapPoint
        The gap against the steps of the copies, from none on; empty if both terms are exact.
    draws : tuple of float
        The value of each draw.
    """

    value: float
    low: float
    high: float
    upper: float
    lower: float
    exact: tuple[bool, bool]
    status: tuple[str, str]
    curve: tuple[GapPoint, ...]
    draws: tuple[float, ...]

    @property
    def converged(self) -> bool:
        """Whether no estimated term was still moving."""
        return not {"moving", "unbounded"} & set(self.status)

    @property
    def spread(self) -> float:
        """The standard deviation of the draws; NaN of one draw."""
        return float(np.std(self.draws, ddof=1)) if len(self.draws) > 1 else math.nan

    def numbers(self) -> dict[str, float]:
        """The numbers that a callback of `train` returns."""
        found = {"duality_gap": self.value, "duality_gap_low": self.low, "duality_gap_high": self.high}
        return found | {"duality_gap_converged": float(self.converged)}

    def __str__(self) -> str:
        spread = f", spread {self.spread:.3g} over {len(self.draws)} draws" if len(self.draws) > 1 else ""
        lines = [f"duality gap {self.value:.6g} ({self.low:.6g} to {self.high:.6g}{spread})"]
        for name, number, status in zip(("upper", "lower"), (self.upper, self.lower), self.status, strict=True):
            key: tuple[str, ...] = name, status
            if status == "moving":
                key += ("rising" if number > getattr(self.curve[-2], name) else "falling",)
            lines.append(f"  {name} term {number:.6g}: {SENTENCES[key]}")
        return "\n".join(lines)


def duality_gap(
    generator: nn.Module,
    discriminator: nn.Module,
    data: Any,
    latents: Any = None,
    objective: Objective | None = None,
    *,
    exact: bool = True,
    steps: int = 100,
    rate: float = 1e-2,
    perturbation: float = 0.0,
    batch: int | None = 256,
    batches: int = 10,
    draws: int = 1,
    level: float = 0.95,
    rng: int = 0,
) -> DualityGap:
    """How much both players could gain by answering each other.

    The first term is exact for two-layer discriminators of the Wasserstein game; the second for linear, free and
    two-layer polynomial generators against linear, quadratic and polynomial discriminators. Exact terms may be
    infinite: with a penalty beta the discriminator's gain is unbounded as soon as the ipm exceeds beta. Other terms are
    estimated: copies of the players take steps against the other one on one half of the data, and are evaluated on the
    other half, both on the same batches: without steps the gap is 0. So rows the players were not trained on make three
    splits: training, adversary, evaluation. The modules are left as they are.

    Parameters
    ----------
    generator, discriminator, latents, objective : as in `train`
    data : (n, ...) array or tensor, what comes in batches, or a pair of them
        Held-out samples, cut into halves here; or (adversary, evaluation).
    exact : bool
        Whether to use exact terms where there are any.
    steps, rate : int and float
        Of Adam, for the copies.
    perturbation : float
        Standard deviation of what is added to every weight of the copies before they start: a few steps find no gain at
        a stationary point that is no equilibrium.
    batch, batches : int
        Rows of a step or an evaluation (None takes them all), and evaluations.
    draws : int
        How often all is repeated with other halves and batches.
    level : float
        Of the confidence interval (Student's t over the evaluations, or the draws).
    rng : int
        Seed of everything random.

    Raises
    ------
    ValueError
        The game is not zero-sum, the discriminator is the exact one, or level is not between 0 and 1.

    References
    ----------
    Grnarova et al., A Domain Agnostic Measure for Monitoring and Evaluating GANs, 2019, arXiv 1811.05512, section 4.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> from convexgan.torch import Objective, duality_gap, from_solution
    >>> X = np.random.default_rng(0).standard_normal((100, 3))
    >>> G, D = from_solution(cg.solve(X, cg.GaussianLatent(3), lam=1.5))
    >>> found = duality_gap(G, D, (X, X), objective=Objective(lam=1.5))
    >>> abs(found.value) < 1e-9, found.exact
    (True, (True, True))
    """
    check_players(generator, discriminator)
    generator, discriminator = unwrapped(generator), unwrapped(discriminator)
    objective = Objective() if objective is None else objective
    check_number(perturbation, "perturbation"), check_number(rate, "rate", positive=True), check_count(rng, "rng", 0)
    if not objective.zero_sum:
        raise ValueError(f"loss={objective.loss!r} is not a zero-sum game: it has no duality gap.")
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, got {level!r}.")
    if isinstance(discriminator, ExactDiscriminatorLoss):
        raise ValueError("the exact discriminator is a best response already: audit(...) tells the generator's gap.")
    data = tuple(map(collected, data)) if isinstance(data, tuple) else collected(data)
    if objective.beta is not None or objective.lam is not None:
        discriminator = as_two_layer(discriminator)  # whose norm these are about
    payoff = Payoff(generator, discriminator, objective)
    copies = Copies(payoff, check_count(steps, "steps", 0), rate, perturbation, check_count(batches, "batches", 2))
    found = []
    for seed in range(rng, rng + 2 * check_count(draws, "draws"), 2):
        seen, kept = data if isinstance(data, tuple) else _halves(data, seed)
        seen, kept = paired(seen, kept, "data[0]", "data[1]")
        bests = best_answers(generator, discriminator, kept, latents, objective) if exact else (None, None)
        if None not in bests:
            found.append([copies.constant(best) for best in bests if best is not None])
            continue
        adversary, evaluation = (
            Batches(part, latents, batch, generator, seed + i) for i, part in enumerate((seen, kept))
        )
        check_fit(payoff, evaluation.watched(2))
        found.append(copies.answers(adversary, evaluation, bests))
    return _combined(found, copies.marks, level)


def _halves(data: Any, rng: int) -> tuple[Any, Any]:
    rows = dense_tensor(data, "data") if isinstance(data, Tensor) else read_array(data, "data")
    if len(rows) < 2:
        raise ValueError(f"data has {len(rows)} samples: pass at least two, one for each half.")
    order = np.random.default_rng(rng).permutation(len(rows))
    half = len(rows) // 2
    return rows[order[:half]], rows[order[half:]]


def _combined(found: Sequence[Sequence[Term]], marks: Sequence[int], level: float) -> DualityGap:
    """The gap of all draws."""
    terms = [np.array([draw[i].values for draw in found]) for i in (0, 1)]  # (draws, marks, batches)
    status = [max((draw[i].status for draw in found), key=RANK.index) for i in (0, 1)]
    last = terms[0][:, -1] - terms[1][:, -1]
    values = last.mean(axis=1)
    gaps = values if len(found) > 1 else last[0]
    reach = 0.0
    if len(gaps) > 1 and np.isfinite(gaps).all():  # an exact term that is infinite is certain
        reach = student(level, len(gaps)) * float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
    uppers, lowers = (term.mean(axis=(0, 2)).tolist() for term in terms)
    value = float(values.mean())
    exact = status[0] == "exact", status[1] == "exact"
    curve = [GapPoint(step, a - b, a, b) for step, a, b in zip(marks, uppers, lowers, strict=True)]
    return DualityGap(
        value,
        value - reach,
        value + reach,
        uppers[-1],
        lowers[-1],
        exact,
        (status[0], status[1]),
        () if all(exact) else tuple(curve),
        tuple(values.tolist()),
    )
