"""Two-layer ReLU generators with weight decay behind `solve`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from convexgan._checks import check_choice, check_number
from convexgan.canonical import check_bias, check_budget, common_rows
from convexgan.games.mean_matching import MeanGame, latent_rows, solve_mean_matching, unit_reach
from convexgan.generators import TwoLayerReLU
from convexgan.latents import GaussianLatent, as_latent
from convexgan.mean_certificate import make_mean_certificate
from convexgan.moments import Moments
from convexgan.problem import Activation
from convexgan.solution import Solution, Status

REASON = "a linear discriminator matches means: one neuron has the largest mean for its weight"


def solve_mean_game(game: MeanGame, tol: float, time_limit: float | None) -> Solution:
    """The certified optimum of a ReLU generator with weight decay against a linear discriminator; see `solve`."""
    start = time.perf_counter()
    reach = unit_reach(game, time_limit)
    network, critic = solve_mean_matching(game, reach)
    stats = {
        "reason": REASON,
        "unit_reach": [reach.value, reach.upper_bound],
        "solve_seconds": time.perf_counter() - start,
    }
    certificate = make_mean_certificate(game, network, critic, reach, tol=tol)
    status = Status.OPTIMAL if certificate.kind == "saddle" else Status.STOPPED
    critic = replace(critic, outer=critic.outer / game.rows)
    return Solution(certificate.value, status, "closed_form", network, critic, certificate, stats)


def read_mean_game(
    X: Any,
    Z: Any,
    *,
    activation: Activation,
    generator: TwoLayerReLU,
    beta: float | None,
    lam: float | None,
    penalty: float,
    reduction: str,
    bias: str,
    meaningless: dict[str, bool],
) -> MeanGame:
    """The checked game; raises ``ValueError`` naming the argument and the repair.

    ``meaningless`` tells which arguments were given that mean nothing in this game: they are refused.
    """
    for name in (name for name, given in meaningless.items() if given):
        raise ValueError(f"{name} has no meaning for a ReLU generator with weight decay: leave it out.")
    if activation.coefficients[0] != 0:
        raise ValueError(
            f"regularizer='weights' with a two-layer ReLU generator against {activation.name} neurons is not convex: "
            "use regularizer='output', or a linear discriminator."
        )
    check_bias(bias, activation)  # without effect: the constants cancel
    data, latent = Moments.from_array(X, name="X"), as_latent(Z)
    if not isinstance(latent, GaussianLatent) and not generator.augmented(latent_rows(latent)).any():
        raise ValueError("Z is zero everywhere, so every generator is: pass latents that vary, or a bias.")
    beta, lam = check_budget(beta, lam)
    summed = check_choice(reduction, "reduction", ("mean", "sum")) == "sum"
    rows = common_rows(data, latent, None) if summed else 1
    return MeanGame(
        data.mean,
        generator,
        latent,
        activation,
        None if beta is None else beta / rows,
        None if lam is None else lam * rows,
        check_number(penalty, "generator_penalty", positive=True),
        rows,
        data.mean_error,
        data.columns,
    )
