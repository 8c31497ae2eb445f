"""Certificates of two-layer ReLU generators with weight decay against linear discriminators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import check_count, check_number
from convexgan._tools.rounding import gamma, length, up
from convexgan._tools.tables import naming, read_names
from convexgan.arrangements import Maximum
from convexgan.discriminators import TwoLayerDiscriminator, activation_from
from convexgan.games.game import check_budget
from convexgan.games.judge import Proved, judge
from convexgan.games.mean.matching import MeanGame, generated_mean, guarantee, mean_error, unit_reach, weight_decay
from convexgan.generators import ReLUGenerator, TwoLayerReLU
from convexgan.records.certificate import Certificate, Evidence, reading_evidence, unit_lengths, within_budget
from convexgan.statistics.latents import GaussianLatent, Latent, SampleLatent
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


def make_mean_certificate(
    game: MeanGame, network: ReLUGenerator, critic: TwoLayerDiscriminator, reach: Maximum, *, tol: float
) -> Certificate:
    """The certificate of a network and a discriminator in canonical units; ``reach`` is that of `unit_reach`."""
    size = float(np.linalg.norm(game.data))
    moved = game.data_error + mean_error(game, network)
    ipm = up(game.slope * (length(game.data - generated_mean(game, network)) * (1 + gamma(4)) + moved))
    value = up(weight_decay(game, network) + (game.lam or 0.0) * ipm)
    proved = Proved(
        value=value,
        ipm=ipm,
        max_min=guarantee(game, critic, reach),
        beta=game.beta,
        size=game.slope * size,
        rows=game.rows,
        noise=32 * float(np.finfo(float).eps) * size * game.penalty / reach.upper_bound,
    )
    found = judge(proved, _evidence(game, network, critic), tol)
    # neurons of one linear function are as good as one
    return replace(found, min_neurons=int(value > proved.noise) if found.kind == "saddle" else None)


def _evidence(game: MeanGame, network: ReLUGenerator, critic: TwoLayerDiscriminator) -> Evidence:
    settings: dict[str, Any] = {
        "game": "means",
        "activation": game.activation.name,
        "coefficients": list(game.activation.coefficients),
        "beta": game.beta,
        "lam": game.lam,
        "penalty": game.penalty,
        "rows": game.rows,
        "generator_bias": game.generator.bias,
        "latent_dim": game.latent.dim,
    }
    arrays = {
        "hidden": network.neurons,
        "hidden_biases": network.biases,
        "weights": network.outer,
        "neurons": critic.neurons,
        "outer": critic.outer,
    }
    if isinstance(game.latent, SampleLatent):
        arrays["latents"] = game.latent.rows
    return Evidence(settings | naming(game.columns), arrays)


def verify_means(evidence: Evidence, X: Any, tol: float, time_limit: float | None) -> Certificate:
    """The certificate recomputed from the data; ValueError if the evidence does not fit it."""
    data = Moments.from_array(X, name="X")
    with reading_evidence(evidence):
        game, network, critic = _read_evidence(evidence, data)
    return make_mean_certificate(game, network, critic, unit_reach(game, time_limit), tol=tol)


def _read_evidence(evidence: Evidence, data: Moments) -> tuple[MeanGame, ReLUGenerator, TwoLayerDiscriminator]:
    """The game, the network and the discriminator, checked."""
    settings, arrays = evidence.settings, evidence.arrays
    beta, lam = check_budget(settings["beta"], settings["lam"])
    latent: Latent = GaussianLatent(check_count(settings["latent_dim"], "latent_dim"))
    if "latents" in arrays:
        latent = SampleLatent(as_rows(arrays["latents"], "latents"))
    game = MeanGame(
        data.mean,
        TwoLayerReLU(bool(settings["generator_bias"])),
        latent,
        activation_from(settings["activation"], settings["coefficients"]),
        beta,
        lam,
        check_number(settings["penalty"], "penalty", positive=True),
        check_count(settings["rows"], "rows"),
        data.mean_error,
        read_names(settings.get("columns"), data.dim),
    )
    if game.rows not in (1, data.count) or game.activation.coefficients[0] != 0:
        raise ValueError("its game is not one of means over the rows of X")
    if isinstance(latent, SampleLatent) and not game.generator.augmented(latent.rows).any():
        raise ValueError("its latents are zero everywhere")
    network = ReLUGenerator(arrays["hidden"], arrays["hidden_biases"], arrays["weights"], latent)
    if arrays["weights"].shape[1] != data.dim or (network.biases.any() and not game.generator.bias):
        raise ValueError(f"its network has not {data.dim} outputs, or biases where its class has none")
    neurons, outer = arrays["neurons"], arrays["outer"]
    if outer.ndim != 1 or neurons.shape != (len(outer), data.dim):
        raise ValueError("its discriminator has wrong shapes")
    outer = within_budget(outer, lam)
    return game, network, TwoLayerDiscriminator(neurons / unit_lengths(neurons), outer, game.activation)
