"""Linear discriminator: the generator matches the mean up to a soft threshold."""

from __future__ import annotations

import numpy as np

from convexgan.closed_forms.generator_response import ZERO_KAPPA
from convexgan.exceptions import InfeasibleError
from convexgan.records.moment_game import AT_LEVEL, MomentGame, Optimum


def solve_linear(game: MomentGame) -> Optimum:
    """The optimum of mean matching, a saddle point with one neuron.

    The generated mean is t = xbar (1 - beta / |xbar|)_+, or xbar min(1, lam kappa / (2 penalty |xbar|)) for the
    norm-bounded discriminator; the value is penalty |t|^2 / kappa with kappa = zbar' K^+ zbar for the output
    penalty and |zbar|^2 for the weight penalty. Source: Sahiner et al., arXiv 2107.05680, section 2.
    """
    latent, target = game.latent, abs(game.activation.coefficients[1]) * game.data.mean
    slope = abs(game.activation.coefficients[1])
    size = float(np.linalg.norm(target))
    lift = latent.mean if game.regularizer == "output" else latent.values * latent.mean
    reach, centred = float(lift @ latent.mean), latent.kappa <= ZERO_KAPPA  # kappa has no units, as reach may have
    if game.lam is not None:
        price = min(game.lam, 2 * game.penalty * size / (slope**2 * reach)) if not centred else game.lam
        length = price * slope**2 * reach / (2 * game.penalty)
    else:
        beta = game.beta or 0.0
        length = size - beta if beta < size * (1 - AT_LEVEL) else 0.0
        if length > 0 and centred:
            least = size * game.rows
            raise InfeasibleError(
                f"the latents have mean zero, so a generator without bias has mean zero too and cannot come within "
                f"beta = {beta * game.rows:.6g} of the data's mean: use generators.Linear(bias=True) (the optimum is "
                f"then a constant), latents with a mean, or beta >= {least!r}.",
                smallest_beta=least,
            )
        price = 2 * game.penalty * length / (slope**2 * reach) if length > 0 else 0.0
    unit = target / size if size > 0 else target
    factor = np.outer(lift, unit) * (length / slope / reach if length > 0 else 0.0)
    neurons = (
        unit[None, :] * np.sign(game.activation.coefficients[1]) if size > 0 and price > 0 else np.zeros((0, len(unit)))
    )
    width = len(neurons)
    return Optimum(factor, neurons, np.full(width, price), min_neurons=width)
