"""Games of moments behind `solve`: methods, and both players from an optimum in canonical coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import squares, up
from convexgan.closed_forms import class_factor, unwhiten
from convexgan.discriminators import distance
from convexgan.discriminators.activation import needs_rows
from convexgan.games.game import Answer, Call, Family, Method, Options
from convexgan.games.moment.certificate import critic, make_certificate
from convexgan.games.moment.laws import built_law, least_weights
from convexgan.games.moment.methods import FORMULAS, Formula, attained_beta, solve_program, why_program
from convexgan.games.moment.reading import Setting, read_solved
from convexgan.generators import Free, Generator
from convexgan.records.certificate import Certificate
from convexgan.records.moment_game import MomentGame, Optimum
from convexgan.records.solution import Status, shortfall
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


def covers(call: Call) -> bool:
    """Every game of moments but that of networks whose weights are penalised, in which rows matter."""
    weighed = call.spec.form == "network" and call.regularizer == "weights"
    return not (needs_rows(call.activation) or call.spec.form == "law" or weighed)


def _by_formula(one: Formula) -> Method[Setting]:
    """The method of a closed form."""

    def applies(setting: Setting, _: Options) -> str:
        return one.reason if one.applies(setting.game) else ""

    def run(setting: Setting, options: Options, deadline: Deadline) -> Answer:
        game = replace(setting.game, max_neurons=options.max_neurons if one.widths else None)
        return answer(setting, game, one.solve(game), {}, options, _formula_repair, deadline)

    return Method("closed_form", applies, run, ("max_neurons",) if one.widths else ())


def _by_program(setting: Setting, options: Options, deadline: Deadline) -> Answer:
    """The convex program, and local searches where its moments are those of no generator."""
    game, solver, given = setting.game, options.solver, options.solver_options
    optimum, stats = solve_program(game, solver, given, deadline, options.progress, options.tol)

    def repair(certificate: Certificate, left: Deadline) -> str:
        text = _program_repair(game, optimum, certificate)
        if game.beta is None or not _cut(optimum, certificate):
            return text
        near = certificate.relative_violation <= options.tol  # outside by less than a violation, and too cheap for that
        least = certificate.ipm / game.rows if near else game.beta
        works = attained_beta(game, least, solver, given, left, options.tol) * game.rows
        return f"{text} of {works:.17g}, which is known to work."

    return answer(setting, game, optimum, stats, options, repair, deadline)


def _program_repair(game: MomentGame, optimum: Optimum, certificate: Certificate) -> str:
    """Why a program's answer is none, and the repair."""
    if not _cut(optimum, certificate):
        return f"{shortfall(certificate)}: ask for more iterations in solver_options, or another solver."
    return (
        "no generator within beta was found, though none is excluded: the relaxed optimum needs latents of higher "
        f"rank than {game.latent.rank}, and the nearest answer of that rank has ipm = {certificate.ipm:.6g}: add "
        "latent dimensions, or use a larger beta"
    )


def _formula_repair(certificate: Certificate, _: Deadline) -> str:
    """Why the answer of a closed form is none, and the repair."""
    return f"{shortfall(certificate)}, which is rounding: subtract a centre from X, or bring columns to one scale."


def _cut(optimum: Optimum, certificate: Certificate) -> bool:
    """Whether an answer is outside the constraint because the latents lack the relaxed optimum's rank."""
    return optimum.truncated and certificate.violation > 0


METHODS = (
    *map(_by_formula, FORMULAS),
    Method(
        "program",
        lambda setting, options: why_program(setting.game, options.solver),
        _by_program,
        ("solver", "solver_options"),
    ),
)
FAMILY = Family(covers, read_solved, METHODS, lambda setting: ("rng",) if setting.generator.form == "rows" else ())


def answer(
    setting: Setting,
    game: MomentGame,
    optimum: Optimum,
    stats: dict[str, Any],
    options: Options,
    repair: Callable[[Certificate, Deadline], str],
    deadline: Deadline,
) -> Answer:
    """Both players that a method found, to be judged in a game that may differ from the setting's in its limits."""
    discriminator = critic(game, optimum.neurons, optimum.outer)
    generator, weights, optimum, record = _built(setting, game, optimum, options, deadline)
    mean = optimum.factor.T @ game.latent.mean
    exact = setting.latent is not None and game.latent.vectors is None  # the factor is the weights
    law = None if exact else built_law(setting, generator, weights)

    def judge(_: float | None) -> Certificate:
        return make_certificate(
            game,
            optimum.factor,
            mean,
            discriminator,
            tol=options.tol,
            min_neurons=optimum.min_neurons,
            law_error=(0.0, 0.0) if law is None else distance(law, Moments.of_law(mean, optimum.factor)),
            spent=_spent(game, weights, law),
        )

    stopped = stats.get("solver_status") == "user_limit"
    status = Status.STOPPED if stopped else Status.OPTIMAL
    unit = game.value_scale / game.rows
    return Answer(
        generator, discriminator, judge, stats | record, status, unit, repair=repair, warnings=setting.warnings
    )


def restricted(
    setting: Setting,
    options: Options,
    missed: Callable[[Array], float],
    game: MomentGame,
    optimum: Optimum,
    stats: dict[str, Any],
) -> Answer:
    """The answer of a program with constraints of the user's; ``missed`` tells how far a factor misses them."""
    repair = partial(_missing, game, optimum, options.tol, missed)
    proposal = answer(setting, game, optimum, stats, options, repair, Deadline(options.time_limit))

    def judge(limit: float | None) -> Certificate:
        found = proposal.judge(limit)
        if found.kind == "bounded":
            found = replace(found, kind="restricted")
        return replace(found, kind="infeasible") if missed(optimum.factor) > options.tol else found

    return replace(proposal, judge=judge)


def _missing(
    game: MomentGame,
    optimum: Optimum,
    tol: float,
    missed: Callable[[Array], float],
    certificate: Certificate,
    _: Deadline,
) -> str:
    """Why the answer of a program with further constraints is none, and the repair."""
    miss = missed(optimum.factor)
    if miss <= tol:
        return _program_repair(game, optimum, certificate)
    return (
        f"the generator misses the added constraints by {miss:.2g} relative: latents of rank {game.latent.rank} "
        "cannot have the program's moments. Add latent dimensions, or relax the constraints."
    )


def _built(
    setting: Setting, game: MomentGame, optimum: Optimum, options: Options, deadline: Deadline
) -> tuple[Generator, Array, Optimum, dict[str, Any]]:
    """The generator, its weights (the rows of free ones), the optimum with the factor that they have, and a record."""
    spec, latent = setting.generator, setting.latent
    if latent is None or spec.form == "rows":
        sample = Free().build(optimum.factor, setting.points or 1, options.draws())
        return sample, sample.points, optimum, {}
    weights = unwhiten(game.latent, optimum.factor)
    if spec.form == "network":
        network, record = spec.fit(weights, latent, deadline)
        weights = least_weights(setting, network(latent.rows))[0]
        return network, weights, replace(optimum, factor=class_factor(game.latent, weights)), record
    if game.latent.root is not None:  # the law of these very weights, not the one that was aimed at
        optimum = replace(optimum, factor=class_factor(game.latent, weights))
    return spec.build(weights, latent), weights, optimum, {}


def _spent(game: MomentGame, weights: Array, law: Moments | None) -> float | None:
    """At least the cost of a generator whose law is rounded; None where its factor has it."""
    if law is None:
        return None
    if game.regularizer == "output":
        return up(game.penalty * law.trace_bound)
    return up(game.penalty * squares(weights))
