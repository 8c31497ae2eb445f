"""Certificates of Gaussian laws against ReLU neurons without bias, computed from the rows for both players."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import check_finite
from convexgan._tools.rounding import down, gamma, largest_eigenvalue, length, squares, up
from convexgan.arrangements import maximize_difference, row_space
from convexgan.discriminators import TwoLayerDiscriminator
from convexgan.games.judge import DUAL, RISING
from convexgan.games.sample import SampleGame, discriminator_response, generator_response, real_score
from convexgan.games.sample.certificate import arrays_of, critic_from, game_from, judge_sample, settings_of
from convexgan.games.sample.gaussian_law import ROOT, Gaussian, Sample
from convexgan.records.certificate import Certificate, Evidence, Kind, reading_evidence

Array = NDArray[np.float64]
ENOUGH = 1e-9  # share of beta by which an ipm is surely below it
CENTRED = 1e-12  # relative size of a mean that counts as zero


def make_gaussian_certificate(
    game: SampleGame,
    factor: Array,
    mean: Array,
    critic: TwoLayerDiscriminator,
    spreads: Array,
    biased: bool,
    tol: float,
    time_limit: float | None = None,
) -> Certificate:
    """The certificate of the law N(mean, factor'factor) and a discriminator in canonical units.

    The class is all linear images of Gaussian latents, with ``biased`` all translates of them too. On centred data a
    translation only costs: the bounds hold all the same, but the discriminator alone may guarantee less. On other
    data the mean was held fixed, which makes the answer "restricted"; its bound is that of laws anywhere.
    ``spreads`` are any positive numbers, one for each neuron, see `guaranteed`.
    """
    basis = row_space(np.vstack([game.data, factor, mean]), game.data.shape[1])
    sample, law = Sample(game.data @ basis), Gaussian(factor @ basis, mean @ basis)
    pairs = ((sample, law), (law, sample))
    search_limit, other_limit = (None, None) if time_limit is None else (0.4 * time_limit, 0.1 * time_limit)
    enough = 0.0 if time_limit is None else (1 - ENOUGH) * (game.beta or 0.0)  # of use before a bound that is tight
    how: dict[str, Any] = {"time_limit": search_limit, "level": enough}
    ipm = max(maximize_difference(f, g, basis.shape[1], **how).upper_bound for f, g in pairs)
    ipm_at_zero = discriminator_response(game, np.zeros((1, len(mean))), np.ones(1), time_limit=other_limit).value
    sizes = length(game.data) / len(game.data) ** 0.5 + length(factor) + length(mean)
    ipm = up(ipm + gamma(len(game.data) + 4 * factor.size + 64) * sizes)  # of the functions' values
    cost = up(game.penalty * (squares(factor) + squares(mean)))
    centred = is_centred(game.data)
    rises = critic.outer > 0
    rising = TwoLayerDiscriminator(critic.neurons[rises], critic.outer[rises], critic.activation)
    further = []
    if centred or not biased:
        further = [(guaranteed(game, rising, spreads[rises]), RISING)]
        further += [] if game.beta is None else [(dual_bound(game, critic), DUAL)]
    max_min = generator_response(game, critic, other_limit) if biased else guaranteed(game, critic, spreads)
    settings = settings_of(game) | {"game": "gaussian", "generator_bias": biased}
    evidence = Evidence(settings, {"factor": factor, "mean": mean, "spreads": spreads} | arrays_of(critic))
    unproved: Kind = "restricted" if biased and not centred else "bounded"
    return judge_sample(game, cost, ipm, ipm_at_zero, max_min, further, evidence, tol, unproved)


def is_centred(data: Array) -> bool:
    """Whether the mean is rounding."""
    mean, size = data.mean(axis=0), float(np.sqrt(np.mean(np.sum(data**2, axis=1))))
    return float(np.linalg.norm(mean)) <= CENTRED * size


def guaranteed(game: SampleGame, critic: TwoLayerDiscriminator, spreads: Array) -> float:
    """What the discriminator guarantees against linear generators: mean D(X) - beta |v|_1 + min over W, from below.

    The minimum is of penalty |W|^2 - sum_j v_j |W u_j| / sqrt(2 pi); neurons with v_j < 0 only add to it. Since
    2 |W u| <= |W u|^2 / c + c for every c > 0, it is at least -sum_j v_j c_j / (2 sqrt(2 pi)) whenever
    sum_j v_j u_j u_j' / (2 sqrt(2 pi) c_j) <= penalty I, which any c, the spreads, fulfil after scaling; it is the
    minimum at those of the optimum, c_j = |W u_j|.
    """
    rises = critic.outer > 0
    neurons, outer = critic.neurons[rises], critic.outer[rises]
    size = float(np.sqrt(np.mean(np.sum(game.data**2, axis=1)))) or 1.0
    c = np.maximum(spreads[rises], 1e-9 * size)
    form = (neurons * (outer / (2 * ROOT * c))[:, None]).T @ neurons
    mass = float(np.sum(outer / (2 * ROOT * c)))
    share = (largest_eigenvalue(form) if len(outer) else 0.0) + gamma(sum(neurons.shape) + 8) * mass
    least = up(max(share, 0.0) / game.penalty * float(outer @ c) / (2 * ROOT), len(outer) + 8)
    real = _real(game, critic)
    return real - least - gamma(4) * (abs(real) + least)


def dual_bound(game: SampleGame, critic: TwoLayerDiscriminator) -> float:
    """The value of the program's dual at the multipliers that the outer weights stand for.

    Every S = W'W within beta has u_j'Su_j >= 2 pi (h_j - beta)^2 where v_j > 0 and <= 2 pi (h_j + beta)^2 where
    v_j < 0, h_j = mean max(Xu_j, 0). With multipliers v_j / (4 pi (h_j -+ beta)) whose forms sum to at most penalty I,
    penalty tr S is at least half of mean D(X) - beta |v|_1.
    """
    beta = game.beta or 0.0
    level = Sample(game.data).values(critic.neurons) - beta * np.sign(critic.outer)
    used = (critic.outer < 0) | (level > 0)
    kept = TwoLayerDiscriminator(critic.neurons[used], critic.outer[used], critic.activation)
    weights = kept.outer / (4 * np.pi * np.maximum(level[used], 1e-300))
    form = (kept.neurons * weights[:, None]).T @ kept.neurons
    if not len(weights):
        return 0.0
    # the levels are means over all rows; large neurons that cancel prove nothing
    error = gamma(2 * sum(kept.neurons.shape) + 8) * float(np.abs(weights).sum())
    size = float(np.sqrt(np.mean(np.sum(game.data**2, axis=1))))
    level_error = gamma(len(game.data) + kept.neurons.shape[1] + 8) * (size + beta)
    error += float(np.abs(weights) @ (level_error / np.maximum(level[used], 1e-300)))
    share = game.penalty / max(largest_eigenvalue(form) + error, game.penalty)
    return down(share / 2 * _real(game, kept), 8)


def _real(game: SampleGame, critic: TwoLayerDiscriminator) -> float:
    """mean D(X) - beta |v|_1, less what rounding may have added."""
    real, charge = real_score(game, critic), up((game.beta or 0.0) * critic.norm, len(critic.outer) + 4)
    return real - charge - gamma(4) * (abs(real) + charge)


def verify_gaussian(evidence: Evidence, X: Any, tol: float, time_limit: float | None) -> Certificate:
    """The certificate recomputed from the data; ValueError if the evidence does not fit it."""
    rows = as_rows(X, "X")
    check_finite(rows, "X")
    data = rows.astype(np.float64)
    with reading_evidence(evidence):
        game = game_from(evidence, data)
        factor, mean, biased = evidence.arrays["factor"], evidence.arrays["mean"], evidence.settings["generator_bias"]
        if factor.ndim != 2 or factor.shape[1] != data.shape[1] or mean.shape != data.shape[1:]:
            raise ValueError(f"X has {data.shape[1]} columns, the law has shapes {factor.shape}, {mean.shape}")
        if game.bias != "none" or game.relu.slope != 0 or game.particles is not None or game.rows > 1:
            raise ValueError("it describes no game of Gaussian laws")
        if not isinstance(biased, bool):
            raise ValueError(f"generator_bias must be true or false, got {biased!r}")
        if mean.any() and not biased:
            raise ValueError("a generator without bias has mean 0")
        critic, spreads = critic_from(game, evidence.arrays), evidence.arrays["spreads"]
        if spreads.shape != critic.outer.shape:
            raise ValueError("its spreads have a wrong shape")
    return make_gaussian_certificate(game, factor, mean, critic, spreads, bool(biased), tol=tol, time_limit=time_limit)
