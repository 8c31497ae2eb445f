"""Certificates of games with ReLU discriminators or mixture generators, computed from the rows for both players."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import check_choice, check_columns, check_count, check_finite, check_number
from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import down, gamma, up
from convexgan._tools.tables import column_names, naming, read_names
from convexgan.arrangements import Maximum
from convexgan.discriminators import (
    TwoLayerDiscriminator,
    activation_from,
    as_game_discriminator,
    check_row_bias,
    degree_of,
    parameters,
)
from convexgan.discriminators.activation import is_kinked, needs_rows
from convexgan.games.game import Call, check_budget
from convexgan.games.judge import EVEN, JENSEN, LINEAR, Bound, Proved, judge
from convexgan.games.moment.reading import check_bias, check_sums
from convexgan.games.sample import (
    SampleGame,
    critic_of,
    discriminator_response,
    generator_response,
    linear_bound,
    partial_means_bound,
    partial_squares,
    solve_continuous,
    solve_scalar,
)
from convexgan.records.certificate import Certificate, Evidence, Kind, reading_evidence, unit_lengths, within_budget
from convexgan.statistics.moments import Moments
from convexgan.statistics.products import check_size

Array = NDArray[np.float64]
NEGLIGIBLE = 1e-12  # of the data's cost

LINEARLY = 1e-9  # relative: what rounding leaves of rows that are linear in features
AFTERWARDS = 1.0  # seconds for a certificate's own searches after Ctrl-C, or if the solver left less


def read_sample_game(call: Call) -> SampleGame:
    """The checked game, for laws anywhere; raises ``ValueError`` naming the argument and the repair."""
    rows = _rows(call.X, "X")
    check_size(rows, "X")
    activation = call.activation
    if needs_rows(activation):
        check_row_bias(call.bias, activation)
    bias = call.bias if needs_rows(activation) else check_bias(call.bias, activation)
    scale = len(rows) if call.summed else 1
    return SampleGame(
        data=rows.astype(np.float64),
        activation=activation,
        beta=None if call.beta is None else call.beta / scale,
        lam=call.lam,
        particles=None,
        penalty=call.penalty,
        bias=bias,
        rows=scale,
        value_scale=float(scale),
        columns=column_names(call.X, "X"),
    )


def _rows(given: Any, name: str) -> NDArray[Any]:
    """The rows; Moments are refused."""
    if isinstance(given, Moments):
        raise ValueError(f"{name} is Moments, but ReLU neurons and mixtures need the rows themselves: pass the array.")
    return as_rows(given, name)


def seconds_left(deadline: Deadline, time_limit: float | None) -> float:
    """Seconds for a certificate's searches after the solver was stopped, a few at least; their bounds hold anyway."""
    return max(deadline.left or 0.0, AFTERWARDS if time_limit is None else min(AFTERWARDS, time_limit))


def make_sample_certificate(
    game: SampleGame,
    points: Array,
    weights: Array,
    critic: TwoLayerDiscriminator,
    tol: float,
    time_limit: float | None = None,
    seen: Maximum | None = None,
) -> Certificate:
    """The certificate of a law of points (m, d) with weights (m,) and a discriminator in canonical units."""
    return certified_law(game, points, weights, critic, tol, time_limit, seen)[1]


def certified_law(
    game: SampleGame,
    points: Array,
    weights: Array,
    critic: TwoLayerDiscriminator,
    tol: float,
    time_limit: float | None = None,
    seen: Maximum | None = None,
) -> tuple[Maximum, Certificate]:
    """The neuron that sees most of a law, and the certificate.

    The ipm is the proved upper bound of its search, so that a violation is never understated. It gets most of the
    ``time_limit`` in seconds, unless the neuron was ``seen`` by the same search before.
    """
    search_limit, other_limit = (None, None) if time_limit is None else (0.8 * time_limit, 0.1 * time_limit)
    found = seen
    if found is None or found.status == "stopped":
        found = discriminator_response(game, points, weights, time_limit=search_limit)
    if seen is not None and seen.upper_bound < found.upper_bound:
        found = seen
    ipm_at_zero = discriminator_response(game, np.zeros((1, points.shape[1])), np.ones(1), time_limit=other_limit).value
    cost, evidence = game.cost_bound(points, weights), sample_evidence(game, points, weights, critic)
    even = (down(game.spread / len(points), 4), EVEN)
    means = [(partial_means_bound(game), JENSEN), (linear_bound(game, other_limit), LINEAR)]
    further = [even] if game.spread else means
    max_min = generator_response(game, critic, other_limit)
    return found, judge_sample(game, cost, found.upper_bound, ipm_at_zero, max_min, further, evidence, tol)


def _ipm_rounding(game: SampleGame) -> float:
    """The size below which an ipm is rounding noise."""
    seen = game.data if game.bias == "free" else game.lift(game.data)  # where a bias is free constants cancel
    square = float(np.mean(np.sum(seen**2, axis=1)))
    summed = gamma(len(game.data) + (0 if game.particles is None else len(game.particles)) + 16)
    if needs_rows(game.activation):
        return 64 * summed * float(square ** (degree_of(game.activation) / 2))
    a, b = game.activation.coefficients[:2]
    return 64 * summed * float(abs(a) * square + abs(b) * square**0.5)


def judge_sample(
    game: SampleGame,
    cost: float,
    ipm: float,
    ipm_at_zero: float,
    max_min: float,
    further: list[Bound],
    evidence: Evidence,
    tol: float,
    unproved: Kind = "bounded",
) -> Certificate:
    """The certificate from what was computed from the rows, in canonical units.

    Parameters
    ----------
    cost, ipm, ipm_at_zero : float
        R of the generator, its ipm from above, and the ipm of a point at 0.
    max_min : float
        What the discriminator guarantees.
    further : list of (float, str)
        Further lower bounds, and where they come from.
    unproved : str
        The kind if optimality is not proved.
    """
    unseen, whole = _ipm_rounding(game), game.spread or float(game.cost(game.data).mean())
    priced = (game.lam or 0.0) * unseen
    proved = Proved(
        value=cost if game.lam is None else up(cost + game.lam * ipm),
        ipm=ipm,
        max_min=max_min,
        beta=game.beta,
        size=ipm_at_zero,
        rows=game.rows,
        value_scale=game.value_scale,
        noise=32 * float(np.finfo(float).eps) * whole + (min(priced, NEGLIGIBLE * whole) if whole else priced),
        unseen=unseen,
        further=lambda _: further,
    )
    return judge(proved, evidence, tol, unproved=unproved)


def certify_rows(game: SampleGame, Y: Any, *, tol: float, time_limit: float | None) -> Certificate:
    """The certificate of anybody's rows; its bound is that of laws anywhere, so it holds for every generator."""
    rows = _rows(Y, "Y").astype(np.float64)
    check_columns(rows, game.data.shape[1], "Y", "X")
    check_finite(rows, "Y")
    if game.rows > 1:
        check_sums(len(game.data), len(rows), "Y")
    weights = np.full(len(rows), 1 / len(rows))
    deadline = Deadline(time_limit)
    neurons, outer, stopped = best_critic(game, rows, weights, tol, deadline.part(1 / 4))
    limit = seconds_left(deadline, time_limit) if stopped or time_limit is not None else None
    return make_sample_certificate(game, rows, weights, critic_of(game, neurons, outer), tol=tol, time_limit=limit)


def best_critic(
    game: SampleGame, rows: Array, weights: Array, gap: float, deadline: Deadline
) -> tuple[Array, Array, bool]:
    """The discriminator that proves most about a law: neurons, outer weights, whether a limit stopped the search."""
    if not is_kinked(game.activation):
        return *partial_squares(game), False
    if game.bias == "free" and game.relu.slope == 0 and game.data.shape[1] == 1:
        return *solve_scalar(game)[1:], False
    rival = float(game.cost(rows) @ weights)
    if game.lam is not None:
        rival += game.lam * discriminator_response(game, rows, weights, deadline.part(1 / 2)).upper_bound
    *_, neurons, outer, stats = solve_continuous(game, gap=gap, rival=rival, deadline=deadline)
    return neurons, outer, stats["status"] == "stopped"


def sample_evidence(game: SampleGame, points: Array, weights: Array, critic: TwoLayerDiscriminator) -> Evidence:
    """What a certificate of a law of points is recomputed from."""
    arrays = {"weights": weights}
    if points is not game.particles:
        arrays["points"] = points
    if game.particles is not None:
        arrays["particles"] = game.particles
    if game.features is not None:
        arrays["features"] = game.features
    return Evidence(settings_of(game), arrays | arrays_of(critic))


def settings_of(game: SampleGame) -> dict[str, Any]:
    """The settings from which `game_from` reads the game again."""
    settings = {
        "game": "rows",
        "activation": game.activation.name,
        "coefficients": list(parameters(game.activation)),
        "beta": game.beta,
        "lam": game.lam,
        "penalty": game.penalty,
        "bias": game.bias,
        "rows": game.rows,
        "value_scale": game.value_scale,
    } | naming(game.columns)
    return settings | {"spread": game.spread} if game.spread else settings


def arrays_of(critic: TwoLayerDiscriminator) -> dict[str, Array]:
    """The arrays from which `critic_from` makes the discriminator again."""
    return {"neurons": critic.neurons, "biases": critic.biases, "outer": critic.outer}


def verify_rows(evidence: Evidence, X: Any, tol: float, time_limit: float | None) -> Certificate:
    """The certificate recomputed from the data; ValueError if the evidence does not fit it."""
    rows = _rows(X, "X")
    check_finite(rows, "X")
    with reading_evidence(evidence):
        game, points, weights, critic = read_players(evidence, rows.astype(np.float64))
    return make_sample_certificate(game, points, weights, critic, tol=tol, time_limit=time_limit)


def read_players(evidence: Evidence, data: Array) -> tuple[SampleGame, Array, Array, TwoLayerDiscriminator]:
    """The game, the generated law and the discriminator, checked."""
    arrays = evidence.arrays
    game = game_from(evidence, data)
    points, weights = arrays["points"] if "points" in arrays else arrays["particles"], arrays["weights"]
    if points.ndim != 2 or points.shape[1] != data.shape[1] or weights.shape != (len(points),):
        raise ValueError(f"X has {data.shape[1]} columns, the generated law has shapes {points.shape}, {weights.shape}")
    if (weights < 0).any() or abs(weights.sum() - 1) > 1e-9:
        raise ValueError("its weights are no probabilities")
    if game.particles is not None and game.particles.shape != (len(game.particles), data.shape[1]):
        raise ValueError(f"X has {data.shape[1]} columns, the particles have shape {game.particles.shape}")
    if game.particles is not None and not {row.tobytes() for row in points} <= {r.tobytes() for r in game.particles}:
        raise ValueError("its points are not among the particles")
    if game.spread and "points" in arrays:
        raise ValueError("its weights are not those of the particles")
    if game.features is not None:
        _check_linear(game.features, points, weights)
    return game, points, weights, critic_from(game, arrays)


def _check_linear(features: Array, points: Array, weights: Array) -> None:
    """Raise unless the points, of equal weights, are linear in the features, but for rounding."""
    if features.ndim != 2 or len(features) != len(points) or np.ptp(weights):
        raise ValueError("its features are not those of its points")
    left = points - features @ np.linalg.lstsq(features, points)[0]
    if float(np.abs(left).max(initial=0)) > LINEARLY * float(np.abs(points).max(initial=0)):
        raise ValueError("its points are not linear in its features")


def game_from(evidence: Evidence, data: Array) -> SampleGame:
    """The game a certificate speaks of, checked."""
    settings, arrays = evidence.settings, evidence.arrays
    beta, lam = check_budget(settings["beta"], settings["lam"])
    activation = as_game_discriminator(activation_from(settings["activation"], settings["coefficients"]))
    bias = check_choice(settings["bias"], "bias", ("none", "penalized", "free"))
    if bias == "free" and not is_kinked(activation):
        raise ValueError("a free bias is for neurons that are linear on both sides of their hyperplane")
    particles, spread = arrays.get("particles"), check_number(settings.get("spread", 0.0), "spread")
    game = SampleGame(
        data,
        activation,
        beta,
        lam,
        particles,
        check_number(settings["penalty"], "penalty", positive=particles is None),
        bias,
        check_count(settings["rows"], "rows"),
        check_number(settings["value_scale"], "value_scale", positive=True),
        read_names(settings.get("columns"), data.shape[1]),
        spread,
        arrays.get("features"),
    )
    if spread and (particles is None or game.penalty or beta is None):
        raise ValueError("a spread is for weights of particles within beta, without a penalty")
    if game.value_scale != game.rows or game.rows not in (1, len(data)):
        raise ValueError("its scales do not belong to the sums over the rows of X")
    if game.particles is None and not needs_rows(game.activation):
        raise ValueError("laws of points anywhere are for ReLU neurons")
    return game


def critic_from(game: SampleGame, arrays: dict[str, Array]) -> TwoLayerDiscriminator:
    """The discriminator: its neurons have unit norm, with their biases where those are charged."""
    neurons, outer, biases = arrays["neurons"], arrays["outer"], arrays["biases"]
    if outer.ndim != 1 or neurons.shape != (len(outer), game.data.shape[1]) or biases.shape != outer.shape:
        raise ValueError("its discriminator has wrong shapes")
    if game.bias == "none" and biases.any():
        raise ValueError("its neurons have biases in a game without")
    lengths = unit_lengths(neurons if game.bias == "free" else np.column_stack([neurons, biases]))
    outer = within_budget(outer, game.lam)
    return TwoLayerDiscriminator(neurons / lengths, outer, game.activation, biases / lengths[:, 0])
