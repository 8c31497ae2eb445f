"""Certificates whose numbers were computed without rounding, with what encloses each of them."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.discriminators.activation import is_kinked, needs_rows
from convexgan.games.judge import WEYL, Bound, judge
from convexgan.games.moment.certificate import moments_proved
from convexgan.games.sample import SampleGame, discriminator_response
from convexgan.games.sample.certificate import judge_sample, sample_evidence
from convexgan.records.certificate import Certificate, Evidence, Kind
from convexgan.rigorous.moment import ExactMoments, Interval
from convexgan.rigorous.numbers import check_exact_size, down, up
from convexgan.rigorous.sample import ExactSample

ROWS = 2000  # whose hyperplanes in the plane are all looked at, each with all rows


def rigorous_certificate(
    given: ExactMoments,
    evidence: Evidence,
    tol: float,
    min_neurons: int | None,
    unproved: Kind,
) -> Certificate:
    """The certificate of a moment game."""
    game, ipm = given.game, given.ipm()
    value, max_min = given.value(ipm), given.max_min()

    def weyl(_: float) -> list[Bound]:
        return [] if game.activation.coefficients[0] == 0 else [(down(given.spectral_bound()), WEYL)]

    proved = moments_proved(game, up(value[1]), up(ipm[1]), down(max_min), weyl)
    limit = {"min_neurons": min_neurons, "max_neurons": game.max_neurons}
    made = judge(proved, evidence, tol, unproved=unproved, **limit)
    seen = game.activation.coefficients[1] or game.bias != "none"
    whole = game.regularizer == "output" and game.latent.rank >= game.data.dim and not seen
    copy = Fraction(game.penalty) * sum(given.second.diagonal(), Fraction(0)) if whole else None
    return _enclosed(made, value, ipm, game.beta, copy, game.value_scale, game.rows)


def rigorous_sample_certificate(
    game: SampleGame, points: Any, weights: Any, critic: TwoLayerDiscriminator, *, tol: float
) -> Certificate:
    """The certificate of a law of points."""
    _check_sample(game, points)
    given = ExactSample(game, points, weights, critic)
    ipm, cost, max_min = given.ipm(), given.cost(), given.max_min()
    ipm_at_zero = discriminator_response(game, np.zeros((1, points.shape[1])), np.ones(1)).value
    evidence = sample_evidence(game, points, weights, critic)
    made = judge_sample(game, up(cost), up(ipm[1]), ipm_at_zero, down(max_min), [], evidence, tol)
    lam = Fraction(game.lam or 0.0)
    value = (cost + lam * ipm[0], cost + lam * ipm[1])
    rows = {row.tobytes() for row in game.data}
    whole = game.particles is None or rows <= {row.tobytes() for row in game.particles}
    known = whole and not game.spread
    copy = Fraction(game.penalty) * (given.data * given.data).sum() / len(given.data) if known else None
    return _enclosed(made, value, ipm, game.beta, copy, game.value_scale, game.rows)


def _check_sample(game: SampleGame, points: Any) -> None:
    """Raise unless the game is one that can be computed without rounding."""
    n, d = game.data.shape
    if not needs_rows(game.activation):
        check_exact_size(n + len(points), d)
        return
    if not is_kinked(game.activation):
        raise ValueError(
            f"rigorous=True is for ReLU neurons and those that see moments, not for {game.activation.name} ones: leave "
            "it out, whose numbers are proved bounds too."
        )
    seen = d + (game.bias != "none")
    if seen > 2 or n + len(points) > ROWS:
        raise ValueError(
            f"rigorous=True against ReLU neurons is for one or two columns, a bias counted, and {ROWS} rows, this game "
            f"has {seen} columns and {n + len(points)} rows: leave it out, whose numbers are proved bounds too."
        )
    if game.particles is None and d > 1:
        raise ValueError(
            "rigorous=True is for laws on given particles, or of points anywhere in one column: leave it out."
        )


def _enclosed(
    made: Certificate,
    value: Interval,
    ipm: Interval,
    beta: float | None,
    copy: Fraction | None,
    scale: float,
    rows: int,
) -> Certificate:
    """The certificate with its enclosures in the user's units.

    ``copy`` is what the data's own law costs, where it is of the class: a law that is a little outside the constraint,
    mixed with it, is inside.
    """
    unit, count = Fraction(scale), Fraction(rows)
    excess = [max(end - Fraction(beta or 0.0), Fraction(0)) if beta is not None else Fraction(0) for end in ipm]
    found = {
        "value": (down(unit * value[0]), up(unit * value[1])),
        "ipm": (down(count * ipm[0]), up(count * ipm[1])),
        "violation": (down(count * excess[0]), up(count * excess[1])),
    }
    if made.relative_violation <= made.tol:
        top: Fraction | None = value[1]
        if excess[1] > 0:
            share = excess[1] / ipm[1]
            top = None if copy is None else (1 - share) * value[1] + share * copy
        found["optimum"] = (made.bound, math.inf if top is None else up(unit * top))
    return replace(made, enclosures=found)
