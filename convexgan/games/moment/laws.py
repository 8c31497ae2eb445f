"""The law of a generator that was built, with what rounding may have changed: it is what certificates speak of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.rounding import gamma, length, squares, up
from convexgan.games.moment.reading import Setting
from convexgan.generators import Generator
from convexgan.statistics.latents import SampleLatent
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


def built_law(setting: Setting, generator: Generator, weights: Array) -> Moments:
    """The mean and the second moment of a generator's law, up to the errors that they state.

    Parameters
    ----------
    setting : Setting
    generator : Generator
        Free rows, or built of ``weights`` (k, d) on the features of the setting's latents.
    """
    if generator.form == "rows" or generator.form == "law":
        return Moments.from_array(generator(None))
    if isinstance(setting.latent, SampleLatent):
        latents = np.asarray(setting.latent.rows, dtype=np.float64)
        rows = generator(latents)
        law, stray = Moments.from_array(rows), up(length(generator.rounding(latents)) / len(rows) ** 0.5)
        return law.off_by(stray, stray * (2 * law.trace_bound**0.5 + stray))
    if setting.generator.form == "rows" or setting.latent is None:
        raise ValueError("free generators are rows.")
    return _image(setting.generator.features(setting.latent), weights)


def _image(features: Moments, weights: Array) -> Moments:
    """The law of linear functions (k, d) of features."""
    factor = features.factor
    error = features.factor_error
    if factor is None:
        known = features.spectrum
        factor, error = np.sqrt(known.values)[:, None] * known.vectors.T, features.pairs_error
    size, rounded = squares(weights), gamma(features.dim + 4)
    stray = rounded * length(np.abs(factor) @ np.abs(weights))
    law = Moments.of_law(weights.T @ features.mean, factor @ weights)
    mean = features.mean_error * size**0.5 + rounded * length(np.abs(features.mean) @ np.abs(weights))
    return law.off_by(mean, error * size + stray * (2 * length(factor @ weights) + stray))


def least_weights(setting: Setting, Y: Any) -> tuple[Array, float]:
    """The least weights with features @ weights nearest to Y, and the relative misfit."""
    latent, spec = setting.latent, setting.generator
    rows = as_rows(Y, "Y").astype(np.float64)
    if spec.form == "rows" or not isinstance(latent, SampleLatent) or len(latent.rows) != len(rows):
        raise ValueError("Y and Z must have the same number of rows, Y = G(Z), to recover the generator's weights.")
    features = spec.lift(latent.rows)
    weights = np.linalg.lstsq(features, rows, rcond=None)[0]
    size = max(float(np.linalg.norm(rows)), 1e-300)
    return weights, float(np.linalg.norm(features @ weights - rows)) / size
