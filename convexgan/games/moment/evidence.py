"""Evidence of games of moments: the players that are read from it, checked, and the certificate recomputed."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count, check_number
from convexgan.closed_forms.generator_response import ZERO_KAPPA
from convexgan.discriminators import TwoLayerDiscriminator, activation_from
from convexgan.discriminators.activation import needs_rows
from convexgan.exceptions import InfeasibleError
from convexgan.games.game import check_budget
from convexgan.games.moment.certificate import make_certificate
from convexgan.games.moment.methods import formula
from convexgan.games.moment.reading import check_width, with_leading
from convexgan.records.certificate import Certificate, Evidence, Kind, reading_evidence, unit_lengths
from convexgan.records.moment_game import MomentGame, Whitened
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
MISFIT = 1e-6  # relative error of a law's mean, or of kappa, that whitening may have made: larger ones are damage
EPS = float(np.finfo(np.float64).eps)


def verify_moments(evidence: Evidence, X: Any, tol: float, _: float | None) -> Certificate:
    """The certificate recomputed from the data; ValueError if the evidence does not fit it."""
    data = Moments.from_array(X, name="X")
    with reading_evidence(evidence):
        (game, factor, mean, critic), error = read_players(evidence, data), law_error(evidence)
        game = with_leading(game, factor)
        width = known_width(game)
        kind = unproved(evidence)
    return make_certificate(game, factor, mean, critic, tol=tol, min_neurons=width, unproved=kind, law_error=error)


def unproved(evidence: Evidence) -> Kind:
    """The kind where optimality is not proved: whether constraints were added is its author's word."""
    found = check_choice(evidence.settings["unproved"], "unproved", ("bounded", "restricted", "stationary"))
    return cast(Kind, found)


def known_width(game: MomentGame) -> int | None:
    """The smallest width with a saddle point, where a closed form knows it."""
    try:
        known = formula(game)
        return known.solve(game).min_neurons if known else None
    except InfeasibleError:
        return None


def read_players(evidence: Evidence, data: Moments) -> tuple[MomentGame, Array, Array, TwoLayerDiscriminator]:
    """The game, the generated law and the discriminator, checked."""
    settings, arrays = evidence.settings, evidence.arrays
    beta, lam = check_budget(settings["beta"], settings["lam"])
    activation = activation_from(settings["activation"], settings["coefficients"])
    if needs_rows(activation):
        raise ValueError("ReLU neurons see more of a law than its moments, and it has nothing else")
    game = MomentGame(
        data,
        _read_class(arrays["latent_values"], arrays["latent_mean"], settings.get("latent_error", 0.0)),
        activation,
        beta,
        lam,
        check_number(settings["penalty"], "penalty", positive=True),
        check_choice(settings["regularizer"], "regularizer", ("output", "weights")),  # type: ignore[arg-type]
        check_choice(settings["bias"], "bias", ("none", "penalized")),  # type: ignore[arg-type]
        check_width(settings["max_neurons"], activation, settings["bias"]),
        check_count(settings["rows"], "rows"),
        check_number(settings["value_scale"], "value_scale", positive=True),
    )
    if game.value_scale != (game.rows if game.regularizer == "output" else 1) or (
        game.rows > 1 and game.rows != data.count
    ):
        raise ValueError("its scales do not belong to the sums over the rows of X")
    return game, *_read_law(game, settings["used"], arrays["factor"], arrays["mean"]), _read_critic(arrays, game)


def law_error(evidence: Evidence) -> tuple[float, float]:
    """What rounding may have changed of the law's mean and second moment, as its author says."""
    sizes = evidence.settings.get("law_error", [0.0, 0.0])
    if not isinstance(sizes, list) or len(sizes) != 2:
        raise ValueError(f"law_error must be two numbers, got {sizes!r}")
    return check_number(sizes[0], "law_error"), check_number(sizes[1], "law_error")


def _read_class(values: Array, mean: Array, error: float) -> Whitened:
    """A generator class: positive descending latent eigenvalues and a whitened mean of norm at most 1."""
    if values.ndim != 1 or mean.shape != values.shape or len(values) == 0:
        raise ValueError("its latents have wrong shapes")
    length = float(np.linalg.norm(mean))
    if values[-1] <= 0 or np.any(np.diff(values) > 0) or length > 1 + MISFIT:
        raise ValueError("its latents are no law's: eigenvalues must be positive and descending, the mean within 1")
    # longer than 1 by rounding, it would be no law's; and rounding of nothing is what `whiten` takes it for
    kept = mean / (length if length > 1 + 8 * EPS else 1.0) * (length**2 >= ZERO_KAPPA)
    return Whitened(values, kept, error=check_number(error, "latent_error") + float(np.linalg.norm(mean - kept)))


def _read_critic(arrays: dict[str, Array], game: MomentGame) -> TwoLayerDiscriminator:
    """The discriminator; its neurons have unit norm, biases counted, or the norm of its weights means nothing."""
    neurons, outer, biases = arrays["neurons"], arrays["outer"], arrays["biases"]
    if outer.ndim != 1 or neurons.shape != (len(outer), game.data.dim) or biases.shape != outer.shape:
        raise ValueError("its discriminator has wrong shapes")
    if game.max_neurons is not None and len(outer) > game.max_neurons:
        raise ValueError(f"its discriminator has {len(outer)} neurons in a game with max_neurons={game.max_neurons}")
    if game.bias == "none" and biases.any():
        raise ValueError("its neurons have biases in a game without")
    lengths = unit_lengths(np.column_stack([neurons, biases]))
    return TwoLayerDiscriminator(neurons / lengths, outer, game.activation, biases / lengths[:, 0])


def _read_law(game: MomentGame, used: list[int], rows: Array, claimed: Array) -> tuple[Array, Array]:
    """The factor and the mean of a generator of the class that has the given ones to rounding; ValueError if none has.

    ``used`` are the numbers of the factor's rows that are given; the others are 0. The mean F'zbar follows from it.
    Where only outputs are penalised the factor may be any with the law's second moment, see `nearest_law`.
    """
    latent, dim = game.latent, game.data.dim
    if claimed.shape != (dim,) or rows.shape != (len(used), dim):
        raise ValueError(f"X has {dim} columns, the generated law has shapes {claimed.shape}, {rows.shape}")
    last = max((check_count(i, "each of used", 0) for i in used), default=0)
    if len(set(used)) < len(used) or last >= max(latent.rank, dim):
        raise ValueError("used names a row of the factor twice, or one that there is not")
    if last < latent.rank:
        factor = np.zeros((latent.rank, dim))
        factor[np.asarray(used, dtype=int)] = rows
        mean, size = factor.T @ latent.mean, np.abs(factor).T @ np.abs(latent.mean)
        if np.all(np.abs(mean - claimed) <= MISFIT * size):
            return factor, mean
    if game.regularizer == "weights":
        raise ValueError("its mean is not what its factor makes of the latents' mean, so it is no law of the class")
    return nearest_law(latent, rows, claimed)


def nearest_law(latent: Whitened, rows: Array, claimed: Array) -> tuple[Array, Array]:
    """The law of the class with the second moment rows'rows whose mean is nearest to the one claimed.

    A generator F with F'F = sum_i s_i^2 e_i e_i' has the mean sum_i w_i s_i e_i, w the coordinates of zbar in some
    orthonormal vectors, as many as there are axes e_i: any w with |w|^2 <= kappa, or = kappa where the axes are as many
    as the latents. Where the claimed w is longer the shortest axes yield, as their w is mostly rounding.
    """
    _, sizes, axes = np.linalg.svd(rows, full_matrices=False)
    kept = sizes > MISFIT * sizes.max(initial=0.0)
    sizes, axes = sizes[kept], axes[kept]
    share = axes @ claimed / sizes
    left = np.sqrt(np.maximum(latent.kappa - np.cumsum(share**2) + share**2, 0.0))
    share = np.clip(share, -left, left)
    if len(sizes) == latent.rank:
        share[-1] = np.copysign(left[-1], share[-1])
    mean = (sizes * share) @ axes
    if len(sizes) > latent.rank or np.linalg.norm(mean - claimed) > MISFIT * np.linalg.norm(sizes):
        raise ValueError("its mean and second moment belong to no law of the generator class")
    return np.asarray(sizes[:, None] * axes), np.asarray(mean)
