"""From a call to the canonical game of moments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count
from convexgan.closed_forms import whiten, whiten_sample, whitening_error
from convexgan.discriminators import as_moment_discriminator
from convexgan.discriminators.activation import MomentActivation
from convexgan.games.game import Call
from convexgan.generators import LatentClass, MomentGenerator
from convexgan.records.moment_game import Bias, MomentGame, Regularizer, Whitened
from convexgan.statistics.latents import Latent, SampleLatent
from convexgan.statistics.moments import Moments


@dataclass(frozen=True)
class Setting:
    """A checked call: the canonical game and what is needed to hand the answer back.

    Attributes
    ----------
    game : MomentGame
    generator : MomentGenerator
    latent : Latent or None
        None for free generators.
    points : int or None
        The number of free rows.
    """

    game: MomentGame
    generator: MomentGenerator
    latent: Latent | None
    points: int | None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know about the problem."""
        a, b, _ = self.game.activation.coefficients
        if a != 0 and b == 0 and float(self.game.data.mean @ self.game.data.mean) > 0.5 * self.game.data.trace:
            return (
                "the mean makes up most of the second moment, so a quadratic discriminator mostly sees the mean: "
                "centre X (ConvexWGAN does) or use discriminator='polynomial'.",
            )
        return ()


def read_moments(call: Call) -> Setting:
    """The checked moment game; raises ``ValueError`` naming the argument and the repair."""
    spec, activation = call.spec, as_moment_discriminator(call.activation)
    if spec.form == "law":
        raise ValueError(f"generator {spec.name!r} is for solve: choose 'linear', 'free', 'relu' or 'polynomial' here.")
    data = Moments.from_array(call.X, name="X")
    if data.total == 0:
        raise ValueError("X holds no samples: update the moments with rows first.")
    kind, bias = _check_regularizer(call.regularizer, spec), check_bias(call.bias, activation)
    latent, points = call.latent(), (call.points() or data.count) if spec.form == "rows" else None
    if latent is None and points is None:
        raise ValueError("the number of free rows is unknown: use generators.Free(n).")
    rows, scale = 1, 1.0
    if call.summed:
        rows = common_rows(data, latent, points)
        scale = float(rows) if kind == "output" else 1.0
    game = MomentGame(
        data=data,
        latent=_free_latent(points, data.dim) if spec.form == "rows" or latent is None else _whitened(spec, latent),
        activation=activation,
        beta=None if call.beta is None else call.beta / rows,
        lam=None if call.lam is None else call.lam * rows / scale,
        penalty=call.penalty,
        regularizer=kind,
        bias=cast(Bias, bias),
        rows=rows,
        value_scale=scale,
    )
    return Setting(game, spec, latent, points)


def read_solved(call: Call) -> Setting:
    """The game with those of the data's eigenpairs alone that its solution depends on."""
    setting = read_moments(call)
    return replace(setting, game=with_leading(setting.game))


def with_leading(game: MomentGame, guess: NDArray[np.float64] | None = None) -> MomentGame:
    """The game with data restricted to as many eigenpairs as generators of its latents' rank can match, and the next.

    That is so where discriminators see second moments only, and `Moments.leading` finds it worth it. Laws whose second
    moment has a factor in the span of the guess, (r, d), are still measured sharply.
    """
    a, b, _ = game.activation.coefficients
    if a == 0 or b != 0 or game.bias != "none" or game.lam is not None:
        return game
    return replace(game, data=game.data.leading(game.latent.rank + 1, guess))


def _check_regularizer(regularizer: str, spec: MomentGenerator) -> Regularizer:
    """What is penalised, "lifted" for the weights on lifted features; ValueError where that is not convex."""
    kind = check_choice(regularizer, "regularizer", spec.regularizers)
    if kind in spec.refusals:
        raise ValueError(spec.refusals[kind])
    return "output" if kind == "output" else "weights"


def _whitened(spec: LatentClass, latent: Latent) -> Whitened:
    """The class's features in whitened coordinates."""
    if isinstance(latent, SampleLatent) and spec.form != "network":  # whose features are orthogonal
        found = whiten_sample(latent.decomposed(spec))
        found = replace(found, error=whitening_error(latent.lifted(spec), found))
    else:
        found = whiten(spec.features(latent))
    if found.rank == 0:
        raise ValueError("Z is zero everywhere, so every generator is: pass latents that vary, or a bias.")
    return found


def check_width(max_neurons: int | None, activation: MomentActivation, bias: str) -> int | None:
    """A limit on the discriminator's neurons, for games where max-min at a given width is known; or none."""
    if max_neurons is not None:
        check_count(max_neurons, "max_neurons")
        if all(activation.coefficients[:2]) or (bias == "penalized" and activation.coefficients[0] != 0):
            raise ValueError(
                "max_neurons is available for linear and quadratic discriminators without bias: max-min at a given "
                "width has no closed form for the others. Leave it out."
            )
    return max_neurons


def check_bias(bias: str, activation: MomentActivation) -> str:
    """ "none" or "penalized"; a free bias is "none" where constants cancel and refused elsewhere."""
    if check_choice(bias, "bias", ("none", "penalized", "free")) != "free":
        return bias
    if activation.coefficients[0] == 0:
        return "none"
    raise ValueError(
        f"bias='free' leaves the {activation.name} discriminator unbounded unless the means agree: "
        "use bias='penalized', or 'none'."
    )


def _free_latent(n: int | None, dim: int) -> Whitened:
    """n free rows in an orthonormal basis of their span, cut at dim + 1 vectors of which the last is constant."""
    size = min(n or dim + 1, dim + 1)
    mean = np.zeros(size)
    mean[-1] = 1.0
    return Whitened(np.full(size, 1.0 / (n or 1)), mean)


def any_law(data: Moments, generated: Moments) -> Whitened:
    """Latents rich enough for every law on the data's space."""
    ranks = [m.dim if m.factor is None else len(m.factor) for m in (data, generated)]
    return _free_latent(None, min(data.dim, max(ranks)))


def common_rows(data: Moments, latent: Latent | None, points: int | None) -> int:
    fake = points
    if latent is not None:
        fake = latent.moments().count
    return check_sums(data.count, fake, "Z")


def check_sums(data: int | None, other: int | None, name: str) -> int:
    """The number of rows of X, which sums compare with as many others; raises ValueError unless they are as many."""
    if data is None or data != other:
        raise ValueError(
            f"reduction='sum' compares sums, so X and {name} need the same number of rows, got {data} and {other}: "
            "use reduction='mean'."
        )
    return data


def check_same_columns(X: Moments, Y: Moments, name: str = "Y") -> None:
    """Raise unless both samples have the same features."""
    if X.dim != Y.dim:
        raise ValueError(f"{name} has {Y.dim} columns but X has {X.dim}: both must describe the same features.")
