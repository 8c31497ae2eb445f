"""What the best answer to a player is worth, exactly, in the games where it is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import nn

from convexgan.discrepancy import ipm
from convexgan.discriminators.activation import needs_rows
from convexgan.statistics.moments import Moments
from convexgan.torch.audit import class_of, generated, guaranteed, settings_of
from convexgan.torch.conversion import to_critic
from convexgan.torch.modules import TwoLayerDiscriminator
from convexgan.torch.objective import Objective
from convexgan.torch.samples import flat

FEASIBLE = 1e-6  # relative violation up to which a constraint counts as met
SECONDS = 10.0  # for the search of a ReLU neuron


def best_answers(
    generator: nn.Module, discriminator: nn.Module, data: Any, latents: Any, objective: Objective
) -> tuple[float | None, float | None]:
    """max over D' of M(G, D') and min over G' of M(G', D), each None where it is not known."""
    charged = objective.beta is not None or objective.lam is not None
    plain = objective.regularizer == "output" and objective.clip is None and not objective.smooth
    plain = plain and objective.loss == "wasserstein" and objective.generator_penalty > 0
    if not (isinstance(discriminator, TwoLayerDiscriminator) and charged and plain):
        return None, None
    settings, (spec, Z), X = settings_of(discriminator, objective), class_of(generator, latents), flat(data)
    relu = needs_rows(discriminator.activation)
    Y = generated(generator, spec, Z, len(X), 0, rows_needed=relu)
    upper = _best_discriminator(X, Y, settings, objective)
    if spec is None or relu:
        return upper, None
    return upper, guaranteed(X, None, spec, Z, to_critic(discriminator), settings, rescale=False)[0]


def _best_discriminator(X: Any, Y: Any, settings: dict[str, Any], objective: Objective) -> float | None:
    """max over D' of M(G, D') for real rows and generated rows or moments."""
    relu = needs_rows(settings["discriminator"])
    found = ipm(X, Y, settings["discriminator"], bias=settings["bias"], time_limit=SECONDS if relu else None)
    if relu and not found.exact:
        return None
    cost = objective.generator_penalty * (Y.trace if isinstance(Y, Moments) else float(np.mean(np.sum(Y**2, axis=1))))
    if objective.lam is not None:
        return cost + objective.lam * found.value
    return cost if found.value <= (objective.beta or 0.0) * (1 + FEASIBLE) else math.inf
