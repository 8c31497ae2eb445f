"""From the user's arguments to the canonical game, with every argument checked here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from convexgan._checks import check_choice, check_count, check_number
from convexgan.closed_forms import whiten, whiten_sample, whitening_error
from convexgan.discriminators import ReLU, as_moment_discriminator
from convexgan.generators import (
    Free,
    GeneratorClass,
    Mixture,
    MomentGenerator,
    TwoLayerPolynomial,
    TwoLayerReLU,
    as_generator,
)
from convexgan.latents import Latent, SampleLatent, as_latent
from convexgan.moments import Moments
from convexgan.problem import Activation, Bias, MomentGame, Whitened


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


def read_call(
    X: Any,
    Z: Any,
    *,
    discriminator: str | Activation | ReLU,
    generator: str | GeneratorClass,
    beta: float | None = None,
    lam: float | None = None,
    regularizer: str = "output",
    generator_penalty: float = 1.0,
    reduction: str = "mean",
    bias: str = "none",
    max_neurons: int | None = None,
) -> Setting:
    """The checked call; raises ``ValueError`` naming the argument and the repair."""
    activation, spec = as_moment_discriminator(discriminator), as_generator(generator)
    if isinstance(spec, Mixture):
        raise ValueError("generator 'mixture' is for solve: choose 'linear', 'free', 'relu' or 'polynomial' here.")
    data = Moments.from_array(X, name="X")
    if data.total == 0:
        raise ValueError("X holds no samples: update the moments with rows first.")
    beta, lam = check_budget(beta, lam)
    names = ("output", "weights", "lifted") if isinstance(spec, TwoLayerPolynomial) else ("output", "weights")
    kind = check_choice(regularizer, "regularizer", names)
    if kind == "weights" and isinstance(spec, TwoLayerPolynomial):
        raise ValueError(
            "regularizer='weights' is not convex for two-layer generators: use regularizer='output', or "
            "'lifted', the squared Frobenius norm of the weights on the lifted features (not weight decay)."
        )
    if kind == "weights" and isinstance(spec, TwoLayerReLU):
        raise ValueError(
            "regularizer='weights' with a two-layer ReLU generator is convex against a linear discriminator only, in "
            "solve: use regularizer='output'."
        )
    check_choice(reduction, "reduction", ("mean", "sum"))
    bias = check_bias(bias, activation)
    penalty = check_number(generator_penalty, "generator_penalty", positive=True)
    check_width(max_neurons, activation, bias)
    latent, points = _read_latent(spec, Z, data)
    whitened = _free_latent(points, data.dim)
    if latent is not None and not isinstance(spec, Free):
        if isinstance(latent, SampleLatent) and not isinstance(spec, TwoLayerReLU):  # its features are orthogonal
            whitened = whiten_sample(latent.decomposed(spec))
            whitened = replace(whitened, error=whitening_error(latent.lifted(spec), whitened))
        else:
            whitened = whiten(spec.features(latent))
        if whitened.rank == 0:
            raise ValueError("Z is zero everywhere, so every generator is: pass latents that vary, or a bias.")
    rows, scale = 1, 1.0
    if reduction == "sum":
        rows = common_rows(data, latent, points)
        scale = float(rows) if kind == "output" else 1.0
    game = MomentGame(
        data=data,
        latent=whitened,
        activation=activation,
        beta=None if beta is None else beta / rows,
        lam=None if lam is None else lam * rows / scale,
        penalty=penalty,
        regularizer="output" if kind == "output" else "weights",
        bias=cast(Bias, bias),
        max_neurons=max_neurons,
        rows=rows,
        value_scale=scale,
    )
    return Setting(game, spec, latent, points)


def check_budget(beta: float | None, lam: float | None) -> tuple[float | None, float | None]:
    """Exactly one of beta and lam, a finite non-negative number."""
    if (beta is None) == (lam is None):
        found = "neither" if beta is None else "both"
        raise ValueError(
            f"pass exactly one of beta and lam, got {found}: beta penalises the discriminator's norm (a constraint "
            "ipm <= beta for the generator), lam bounds it (a term lam * ipm)."
        )
    if beta is not None:
        return check_number(beta, "beta"), None
    return None, check_number(lam, "lam")


def check_width(max_neurons: int | None, activation: Activation, bias: str) -> int | None:
    """A limit on the discriminator's neurons, for games where max-min at a given width is known; or none."""
    if max_neurons is not None:
        check_count(max_neurons, "max_neurons")
        if all(activation.coefficients[:2]) or (bias == "penalized" and activation.coefficients[0] != 0):
            raise ValueError(
                "max_neurons is available for linear and quadratic discriminators without bias: max-min at a given "
                "width has no closed form for the others. Leave it out."
            )
    return max_neurons


def check_bias(bias: str, activation: Activation) -> str:
    """ "none" or "penalized"; a free bias is "none" where constants cancel and refused elsewhere."""
    if check_choice(bias, "bias", ("none", "penalized", "free")) != "free":
        return bias
    if activation.coefficients[0] == 0:
        return "none"
    raise ValueError(
        f"bias='free' leaves the {activation.name} discriminator unbounded unless the means agree: "
        "use bias='penalized', or 'none'."
    )


def _read_latent(spec: MomentGenerator, Z: Any, data: Moments) -> tuple[Latent | None, int | None]:
    if not isinstance(spec, Free):
        return as_latent(Z), None
    given = None if Z is None else as_latent(Z)
    from_z = len(given.rows) if isinstance(given, SampleLatent) else None
    if spec.n is not None and from_z is not None and spec.n != from_z:
        raise ValueError(f"Free(n={spec.n}) but Z has {from_z} rows: pass one of them.")
    n = spec.n or from_z or data.count
    if n is None:
        raise ValueError("the number of free rows is unknown: use generators.Free(n).")
    return None, n


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
