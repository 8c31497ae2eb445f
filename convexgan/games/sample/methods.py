"""Every method for games with ReLU discriminators or mixture generators, run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import shown
from convexgan.arrangements import Maximum
from convexgan.closed_forms import whiten
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.discriminators.activation import needs_rows
from convexgan.games.game import Answer, Options
from convexgan.games.sample import (
    Conic,
    Mixture,
    SampleGame,
    critic_of,
    solve_continuous,
    solve_fixed_patterns,
    solve_gaussian,
    solve_mixture,
    solve_mixture_program,
    solve_scalar,
)
from convexgan.games.sample.certificate import make_sample_certificate
from convexgan.games.sample.gaussian_certificate import is_centred, make_gaussian_certificate
from convexgan.generators import FreeGenerator, Generator, GeneratorClass, MixtureGenerator
from convexgan.records.certificate import Certificate
from convexgan.records.solution import Status
from convexgan.statistics.latents import GaussianLatent, Latent, SampleLatent

Array = NDArray[np.float64]
BOUND_GAP = 0.01  # of the bound where the answer itself is a local optimum, if no gap is asked for
BOUND_TIME = 0.5  # its share of the time limit
TURNS = 2  # random rotations from which local searches start, besides the sorted pairing and its mirror image
SPARE = 10  # samples of the data from which they start while none within beta is known


@dataclass(frozen=True, eq=False)
class SampleSetting:
    """A checked call.

    Attributes
    ----------
    game : SampleGame
    spec : GeneratorClass
    latent : Latent or None
        None for free generators and mixtures.
    points : int
        The number of generated rows, 0 where there are none.
    """

    game: SampleGame
    spec: GeneratorClass
    latent: Latent | None
    points: int


def program(call: SampleSetting, options: Options, deadline: Deadline) -> Answer:
    """A mixture of given particles against smooth neurons."""
    game, points = call.game, _particles(call)
    if needs_rows(game.activation):
        raise TypeError("program is for smooth neurons.")
    found = solve_mixture_program(game, points, game.activation, time_limit=deadline.left, **options.backend)
    return _mixture(call, options, points, found)


def cutting_planes(call: SampleSetting, options: Options, deadline: Deadline) -> Answer:
    """A mixture of given particles against ReLU neurons."""
    points = _particles(call)
    game = replace(call.game, particles=points)
    with shown(options.progress, "mixture: bound {:.6g}, violation {:.2g}, {} cuts", deadline) as report:
        found = solve_mixture(game, deadline=deadline, progress=report)
    return _mixture(call, options, points, found)


def double_oracle(call: SampleSetting, options: Options, deadline: Deadline) -> Answer:
    """A mixture of particles anywhere."""
    gap = options.tol if options.gap is None else options.gap
    with shown(options.progress, "mixture: value {:.6g}, bound {:.6g}, {} neurons", deadline) as report:
        found = solve_continuous(call.game, gap=gap, deadline=deadline, progress=report, conic=Conic(**options.backend))
    points, weights, neurons, outer, stats = found
    critic = critic_of(call.game, neurons, outer)
    return _answer(options, call.game, MixtureGenerator(points, weights), points, weights, critic, stats)


def partial_sums(call: SampleSetting, options: Options, deadline: Deadline) -> Answer:
    """Free points on the line."""
    points, neurons, outer = solve_scalar(call.game)
    even, critic = np.full(len(points), 1 / len(points)), critic_of(call.game, neurons, outer)
    return _answer(options, call.game, FreeGenerator(points), points, even, critic, {"status": "optimal"})


def semi_infinite(call: SampleSetting, options: Options, deadline: Deadline) -> Answer:
    """A linear generator with Gaussian latents, of mean 0 or, with a bias on data that are not centred, theirs."""
    game, latent, spec = call.game, call.latent, call.spec
    if spec.form != "affine" or not isinstance(latent, GaussianLatent):
        raise TypeError("semi_infinite is for linear generators of Gaussian latents.")
    dim, biased = game.data.shape[1], spec.bias
    fixed = biased and not is_centred(game.data)
    mean = game.data.mean(axis=0) if fixed else np.zeros(dim)
    part = deadline.part(1 - BOUND_TIME) if fixed else deadline
    conic = Conic(**options.backend)
    with shown(options.progress, "covariance: trace {:.6g}, violation {:.2g}, {} cuts", deadline) as report:
        found = solve_gaussian(game, latent.dim, mean, deadline=part, progress=report, conic=conic)
    neurons, outer, spreads = found.neurons, found.outer, found.spreads
    if fixed:  # the program's multipliers prove nothing about other means
        gap = BOUND_GAP if options.gap is None else options.gap
        *_, neurons, outer, _ = solve_continuous(game, gap=gap, deadline=deadline, conic=conic)
        spreads = np.zeros(len(outer))  # of no use against other means
    critic = critic_of(game, neurons, outer)
    weights = np.zeros((latent.dim, dim))
    weights[: len(found.factor)] = found.factor
    made = spec.build(np.vstack([weights, mean]) if biased else weights, latent)
    judge = partial(make_gaussian_certificate, game, found.factor, mean, critic, spreads, biased, options.tol)
    return _judged(game, made, critic, judge, found.stats)


def fixed_patterns(call: SampleSetting, options: Options, deadline: Deadline) -> Answer:
    """A local optimum over generators linear in features, bounded by the mixture of particles anywhere."""
    game, spec, latent = call.game, call.spec, call.latent
    gap, conic = BOUND_GAP if options.gap is None else options.gap, Conic(**options.backend)
    with shown(options.progress, "bound: value {:.6g}, bound {:.6g}, {} neurons", deadline) as report:
        found = solve_continuous(game, gap=gap, deadline=deadline.part(BOUND_TIME), progress=report, conic=conic)
    points, masses, neurons, outer, stats = found
    features, starts, unit = np.eye(call.points), [], 1.0
    spare: Iterable[Array] = ()
    if spec.form != "rows" and spec.form != "law" and isinstance(latent, SampleLatent):
        features = spec.lift(latent.rows).astype(np.float64)
        unit = float(np.abs(features).max()) or 1.0  # solvers want numbers of about 1
        features /= unit
        starts = _paired(features, game.data, options.draws())
    n = len(features)
    if np.linalg.matrix_rank(features) == features.shape[1] == n:  # the rows may be any
        ideals = _quantised(points, masses, n), _quantised(game.data, np.ones(len(game.data)), n)
        back = np.linalg.inv(features)
        starts = [back @ rows for rows in ideals]
        spare = (back @ rows for rows in _drawn(game.data, n, options.draws()))
    with shown(options.progress, "generator: value {:.6g}, violation {:.2g}, {} neurons", deadline) as report:
        weights, more = solve_fixed_patterns(
            game, features, starts, spare=spare, deadline=deadline, progress=report, conic=conic
        )
    rows = features @ weights
    made: Generator = FreeGenerator(rows)
    if spec.form != "rows" and spec.form != "law" and isinstance(latent, SampleLatent):
        if spec.form == "network":
            made = spec.fit(weights / unit, latent, deadline)[0]
        else:
            made = spec.build(weights / unit, latent)
        rows = made(latent.rows)
    even, critic = np.full(len(rows), 1 / len(rows)), critic_of(game, neurons, outer)
    if "stopped" in (stats["status"], more["status"]):
        more["status"] = "stopped"
    if spec.form in ("affine", "features"):
        game = replace(game, features=features)
    return _answer(options, game, made, rows, even, critic, stats | more)


def _particles(call: SampleSetting) -> Array:
    points = call.spec.points(call.game.data, call.game.columns) if call.spec.form == "law" else None
    if points is None or points.shape[1] != call.game.data.shape[1]:
        found = "no" if points is None else points.shape[1]
        raise ValueError(f"particles have {found} columns but X has {call.game.data.shape[1]}.")
    return points


def _mixture(call: SampleSetting, options: Options, points: Array, found: Mixture) -> Answer:
    game, used = replace(call.game, particles=points), found.p > 0
    made, critic = MixtureGenerator(points[used], found.p[used]), critic_of(game, found.neurons, found.outer)
    return _answer(options, game, made, made.particles, made.weights, critic, found.stats, found.seen)


def _answer(
    options: Options,
    game: SampleGame,
    made: Generator,
    points: Array,
    weights: Array,
    critic: TwoLayerDiscriminator,
    stats: dict[str, Any],
    seen: Maximum | None = None,
) -> Answer:
    judge = partial(make_sample_certificate, game, points, weights, critic, options.tol, seen=seen)
    return _judged(game, made, critic, judge, stats)


def _judged(
    game: SampleGame,
    made: Generator,
    critic: TwoLayerDiscriminator,
    judge: Callable[[float | None], Certificate],
    stats: dict[str, Any],
) -> Answer:
    """The answer; its record's status becomes its own."""
    status = Status(stats.pop("status"))
    return Answer(made, critic, judge, stats, status, game.value_scale / game.rows, searched=True)


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
