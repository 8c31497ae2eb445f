"""Every method for games with ReLU discriminators or mixture generators: which applies, and running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._deadline import Deadline
from convexgan._progress import shown
from convexgan.canonical import check_sums
from convexgan.certificate import Certificate
from convexgan.closed_forms import whiten
from convexgan.discriminators import ReLU, TwoLayerDiscriminator
from convexgan.games import (
    SampleGame,
    critic_of,
    solve_continuous,
    solve_fixed_patterns,
    solve_gaussian,
    solve_mixture,
    solve_mixture_program,
    solve_scalar,
)
from convexgan.gaussian_certificate import is_centred, make_gaussian_certificate
from convexgan.generators import (
    Free,
    FreeGenerator,
    Generator,
    GeneratorClass,
    Linear,
    Mixture,
    MixtureGenerator,
    TwoLayerPolynomial,
    TwoLayerReLU,
)
from convexgan.latents import GaussianLatent, Latent, SampleLatent
from convexgan.sample_certificate import make_sample_certificate

Array = NDArray[np.float64]
BOUND_GAP = 0.01  # of the bound where the answer itself is a local optimum, if no gap is asked for
BOUND_TIME = 0.5  # its share of the time limit
WITH_FEATURES = Linear, TwoLayerPolynomial, TwoLayerReLU
TURNS = 2  # random rotations from which local searches start, besides the sorted pairing and its mirror image
SPARE = 10  # samples of the data from which they start while none within beta is known


@dataclass(frozen=True, eq=False)
class Call:
    """A checked call.

    Attributes
    ----------
    game : SampleGame
    spec : GeneratorClass
    latent : Latent or None
        None for free generators and mixtures.
    points : int
        The number of free rows.
    tol : float
    gap : float or None
    deadline : Deadline
    rng : seed or Generator, optional
    progress : bool
    backend : dict
        Of conic programs: solver and solver_options.
    """

    game: SampleGame
    spec: GeneratorClass
    latent: Latent | None
    points: int
    tol: float
    gap: float | None
    deadline: Deadline
    rng: int | np.random.Generator | None
    progress: bool
    backend: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method found, to be certified.

    Attributes
    ----------
    generator : Generator
    critic : TwoLayerDiscriminator
        In canonical units.
    certify : callable
        Computes the certificate, within the limits it is given.
    stats : dict
        With the status.
    """

    generator: Generator
    critic: TwoLayerDiscriminator
    certify: Callable[..., Certificate]
    stats: dict[str, Any]


def choose_method(game: SampleGame, spec: GeneratorClass, latent: Latent | None, points: int) -> str:
    """The name of the method; games without one are refused by name."""
    if isinstance(spec, Mixture):
        if game.rows > 1:
            raise ValueError("reduction='sum' needs as many generated rows as real ones; a mixture has none: 'mean'.")
        if not isinstance(game.activation, ReLU):
            if spec.support == "continuous":
                raise ValueError("support='continuous' is for ReLU neurons: use generator='free', rows anywhere.")
            return "program"
        if spec.support == "continuous" and game.bias == "free":
            raise ValueError("bias='free' with a continuous mixture: use generator='free', whose points are as good.")
        return "double_oracle" if spec.support == "continuous" else "cutting_planes"
    line = game.data.shape[1] == 1 and game.bias == "free" and game.relu.slope == 0
    if isinstance(spec, Free) and line and points == len(game.data):
        return "partial_sums"
    if game.bias == "free":
        raise ValueError(
            "bias='free' with ReLU neurons is for generators 'mixture' and 'free', the latter with slope 0 and as many "
            f"rows as X, {len(game.data)}: use bias='penalized' or 'none'."
        )
    if isinstance(spec, Linear) and isinstance(latent, GaussianLatent):
        if game.bias != "none" or game.relu.slope != 0 or game.rows > 1:
            raise ValueError(
                "Gaussian latents against ReLU neurons need bias='none', slope 0 and reduction='mean': pass Z as an "
                "array of draws for other games."
            )
        return "semi_infinite"
    generated = points if latent is None else len(latent.rows) if isinstance(latent, SampleLatent) else 0
    if not generated:
        raise ValueError(f"a {spec.name} generator against ReLU neurons needs its latents as rows: pass Z as an array.")
    if game.rows > 1:
        check_sums(len(game.data), generated, "the generator")
    if game.relu.slope > 1:
        raise ValueError(f"slope={game.relu.slope:g} makes neurons that are not convex: use a slope of at most 1.")
    return "fixed_patterns"


def program(call: Call) -> Answer:
    """A mixture of given particles against smooth neurons."""
    game, points = call.game, _particles(call)
    if isinstance(game.activation, ReLU):
        raise TypeError("program is for smooth neurons.")
    p, neurons, outer, stats = solve_mixture_program(
        game, points, game.activation, time_limit=call.deadline.left, **call.backend
    )
    return _mixture(call, points, p, neurons, outer, stats)


def cutting_planes(call: Call) -> Answer:
    """A mixture of given particles against ReLU neurons."""
    points = _particles(call)
    game = replace(call.game, particles=points)
    with shown(call.progress, "mixture: bound {:.6g}, violation {:.2g}, {} cuts") as report:
        p, neurons, outer, stats = solve_mixture(game, deadline=call.deadline, progress=report)
    return _mixture(call, points, p, neurons, outer, stats)


def double_oracle(call: Call) -> Answer:
    """A mixture of particles anywhere."""
    gap = call.tol if call.gap is None else call.gap
    with shown(call.progress, "mixture: value {:.6g}, bound {:.6g}, {} neurons") as report:
        found = solve_continuous(call.game, gap=gap, deadline=call.deadline, progress=report)
    points, weights, neurons, outer, stats = found
    critic = critic_of(call.game, neurons, outer)
    return _answer(call, call.game, MixtureGenerator(points, weights), points, weights, critic, stats)


def partial_sums(call: Call) -> Answer:
    """Free points on the line."""
    points, neurons, outer, stats = solve_scalar(call.game, call.deadline.left)
    even = np.full(len(points), 1 / len(points))
    return _answer(call, call.game, FreeGenerator(points), points, even, critic_of(call.game, neurons, outer), stats)


def semi_infinite(call: Call) -> Answer:
    """A linear generator with Gaussian latents, of mean 0 or, with a bias on data that are not centred, theirs."""
    game, latent, biased = call.game, call.latent, isinstance(call.spec, Linear) and call.spec.bias
    if not isinstance(latent, GaussianLatent):
        raise TypeError("semi_infinite is for Gaussian latents.")
    dim = game.data.shape[1]
    fixed = biased and not is_centred(game.data)
    mean = game.data.mean(axis=0) if fixed else np.zeros(dim)
    part = call.deadline.part(1 - BOUND_TIME) if fixed else call.deadline
    with shown(call.progress, "covariance: trace {:.6g}, violation {:.2g}, {} cuts") as report:
        found = solve_gaussian(game, latent.dim, mean, deadline=part, progress=report)
    neurons, outer, spreads = found.neurons, found.outer, found.spreads
    if fixed:  # the program's multipliers prove nothing about other means
        gap = BOUND_GAP if call.gap is None else call.gap
        *_, neurons, outer, _ = solve_continuous(game, gap=gap, deadline=call.deadline)
        spreads = np.zeros(len(outer))  # of no use against other means
    critic = critic_of(game, neurons, outer)
    weights = np.zeros((latent.dim, dim))
    weights[: len(found.factor)] = found.factor
    spec = call.spec if isinstance(call.spec, Linear) else Linear()
    made = spec.build(np.vstack([weights, mean]) if biased else weights, latent)
    certify = partial(make_gaussian_certificate, game, found.factor, mean, critic, spreads, biased, tol=call.tol)
    return Answer(made, critic, certify, found.stats)


def fixed_patterns(call: Call) -> Answer:
    """A local optimum over generators linear in features, bounded by the mixture of particles anywhere."""
    game, spec, latent = call.game, call.spec, call.latent
    gap = BOUND_GAP if call.gap is None else call.gap
    with shown(call.progress, "bound: value {:.6g}, bound {:.6g}, {} neurons") as report:
        found = solve_continuous(game, gap=gap, deadline=call.deadline.part(BOUND_TIME), progress=report)
    points, masses, neurons, outer, stats = found
    features, starts, unit = np.eye(call.points), [], 1.0
    spare: Iterable[Array] = ()
    if isinstance(spec, WITH_FEATURES) and isinstance(latent, SampleLatent):
        features = spec.lift(latent.rows).astype(np.float64)
        unit = float(np.abs(features).max()) or 1.0  # solvers want numbers of about 1
        features /= unit
        starts = _paired(features, game.data, np.random.default_rng(call.rng))
    n = len(features)
    if np.linalg.matrix_rank(features) == features.shape[1] == n:  # the rows may be any
        ideals = _quantised(points, masses, n), _quantised(game.data, np.ones(len(game.data)), n)
        back = np.linalg.inv(features)
        starts = [back @ rows for rows in ideals]
        spare = (back @ rows for rows in _drawn(game.data, n, np.random.default_rng(call.rng)))
    with shown(call.progress, "generator: value {:.6g}, violation {:.2g}, {} neurons") as report:
        weights, more = solve_fixed_patterns(
            game, features, starts, spare=spare, deadline=call.deadline, progress=report
        )
    rows = features @ weights
    made: Generator = FreeGenerator(rows)
    if isinstance(spec, WITH_FEATURES) and isinstance(latent, SampleLatent):
        made = spec.build(weights / unit, latent)
        rows = made(latent.rows)
    even, critic = np.full(len(rows), 1 / len(rows)), critic_of(game, neurons, outer)
    if "stopped" in (stats["status"], more["status"]):
        more["status"] = "stopped"
    return _answer(call, game, made, rows, even, critic, stats | more)


def _particles(call: Call) -> Array:
    points = call.spec.points(call.game.data, call.game.columns) if isinstance(call.spec, Mixture) else None
    if points is None or points.shape[1] != call.game.data.shape[1]:
        found = "no" if points is None else points.shape[1]
        raise ValueError(f"particles have {found} columns but X has {call.game.data.shape[1]}.")
    return points


def _mixture(call: Call, points: Array, p: Array, neurons: Array, outer: Array, stats: dict[str, Any]) -> Answer:
    game, made = replace(call.game, particles=points), MixtureGenerator(points[p > 0], p[p > 0])
    return _answer(call, game, made, made.particles, made.weights, critic_of(game, neurons, outer), stats)


def _answer(
    call: Call,
    game: SampleGame,
    made: Generator,
    points: Array,
    weights: Array,
    critic: TwoLayerDiscriminator,
    stats: dict[str, Any],
) -> Answer:
    certify = partial(make_sample_certificate, game, points, weights, critic, tol=call.tol)
    return Answer(made, critic, certify, stats)


def _paired(features: Array, data: Array, rng: np.random.Generator) -> list[Array]:
    """Weights with which the features have the data's second moment: axes paired by size, mirrored, or rotated."""
    whitened = whiten(SampleLatent(features).moments())
    values, axes = np.linalg.eigh(data.T @ data / len(data))
    root = (np.sqrt(np.maximum(values, 0)) * axes)[:, ::-1].T  # (d, d), largest first
    r = whitened.rank
    back = (whitened.vectors if whitened.vectors is not None else np.eye(r)) / np.sqrt(whitened.values)
    turns = [np.eye(r), -np.eye(r)] + [np.linalg.qr(rng.standard_normal((r, r)))[0] for _ in range(TURNS)]
    cut = min(r, len(root))
    return [back @ turn[:, :cut] @ root[:cut] for turn in turns]


def _drawn(data: Array, n: int, rng: np.random.Generator) -> Iterator[Array]:
    """A few samples of n rows of the data."""
    for _ in range(SPARE):
        yield data[rng.choice(len(data), n, replace=n > len(data))]


def _quantised(points: Array, weights: Array, n: int) -> Array:
    """n rows among the points, as often as their weights say, up to one."""
    steps = (np.arange(n) + 0.5) / n
    which = np.searchsorted(np.cumsum(weights) / weights.sum(), steps)
    return np.asarray(points[which.clip(max=len(points) - 1)])


METHODS: dict[str, Callable[[Call], Answer]] = {
    "program": program,
    "cutting_planes": cutting_planes,
    "double_oracle": double_oracle,
    "partial_sums": partial_sums,
    "semi_infinite": semi_infinite,
    "fixed_patterns": fixed_patterns,
}

REASONS = {
    "program": "smooth neurons see the mean and second moment, which are linear in a mixture's weights",
    "cutting_planes": "each ReLU neuron's constraint is linear in the weights of given particles",
    "double_oracle": "particles may lie anywhere: both players' best responses are added until they agree",
    "partial_sums": "ReLU neurons with a free bias see the partial sums of sorted rows on the line",
    "semi_infinite": "each ReLU neuron's constraint is linear in the covariance of a Gaussian law",
    "fixed_patterns": "the rows are a function of weights: local optima, the activation patterns held fixed",
}
