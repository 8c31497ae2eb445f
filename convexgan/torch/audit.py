"""How far trained players are from the optimum of their game, proved."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convexgan._tools.arrays import paired, read_array
from convexgan._tools.checks import check_count
from convexgan.certify import certify
from convexgan.closed_forms import best_scale, dual_value
from convexgan.discriminators import CLASSES, as_game_discriminator
from convexgan.discriminators import TwoLayerDiscriminator as Critic
from convexgan.discriminators.activation import Activation, needs_rows
from convexgan.distance import Distance, distance, verdict
from convexgan.games.game import Call
from convexgan.games.moment.reading import any_law, check_same_columns, read_moments
from convexgan.generators import Free, GeneratorClass
from convexgan.records.certificate import Certificate, relative_gap
from convexgan.statistics.latents import GaussianLatent
from convexgan.statistics.moments import Moments
from convexgan.torch.batches import read_latents
from convexgan.torch.conversion import array, as_two_layer, to_critic
from convexgan.torch.measuring import measuring
from convexgan.torch.modules import TwoLayerDiscriminator
from convexgan.torch.objective import Objective
from convexgan.torch.players import generated_by, unwrapped
from convexgan.torch.samples import BLOCK, flat, has_bytes, is_batched, moments

Array = NDArray[np.float64]
SECONDS = 10.0  # for certificates against ReLU neurons, unless a time_limit is given


@dataclass(frozen=True)
class Audit:
    """The certified distance of trained players from the optimum.

    Attributes
    ----------
    certificate : Certificate or None
        Of the generator: value, proved bound, violation. None without a generator penalty.
    guaranteed : float
        What the discriminator, times ``multiple``, guarantees against every generator of the class; NaN if there is no
        trained discriminator or its neurons are ReLUs.
    multiple : float
        The best factor for its outer weights: 1 at an optimum, 0 if it proves nothing.
    distance : Distance or None
        Instead of a certificate: ipm, interval and floor.
    discriminator : str
        The class of the discriminators.
    """

    certificate: Certificate | None
    guaranteed: float = math.nan
    multiple: float = math.nan
    distance: Distance | None = None
    discriminator: str = ""

    @property
    def gap(self) -> float:
        """(value - bound) / max(|value|, |bound|), signed, also where the constraint is violated; NaN if unknown."""
        if self.certificate is None:
            return math.nan
        return relative_gap(self.certificate.value, self.certificate.bound, self.certificate.rounding)

    @property
    def discriminator_gap(self) -> float:
        """(bound - guaranteed) / max(|bound|, |guaranteed|)."""
        if self.certificate is None:
            return math.nan
        return relative_gap(self.certificate.bound, self.guaranteed, self.certificate.rounding)

    def optimal(self, tol: float | None = None) -> bool:
        """Whether the generator's gap and relative violation are both within tol (default: the certificate's)."""
        if self.certificate is None:
            return False
        limit = self.certificate.tol if tol is None else tol
        return abs(self.gap) <= limit and self.certificate.relative_violation <= limit

    @property
    def verdict(self) -> str:
        """How far the samples are from the data, and whether a better generator is possible, in words."""
        if self.certificate is None:
            return "" if self.distance is None else self.distance.verdict
        return verdict(self.certificate, self.discriminator)

    def numbers(self) -> dict[str, float]:
        """The numbers that a training's history keeps."""
        if self.certificate is None:
            return {} if self.distance is None else {"ipm": self.distance.ipm}
        found = {"value": self.certificate.value, "bound": self.certificate.bound, "gap": self.gap}
        found |= {"violation": self.certificate.relative_violation, "optimal": float(self.optimal())}
        return found if math.isnan(self.guaranteed) else found | {"guaranteed": self.guaranteed}

    def __str__(self) -> str:
        text = str(self.distance if self.certificate is None else self.certificate)
        if math.isnan(self.guaranteed):
            return text
        return f"{text}\n  this discriminator   guarantees {self.guaranteed:.10g} (times {self.multiple:.4g})"


def audit(
    generator: nn.Module | Any,
    discriminator: nn.Module | str | Activation,
    data: Any,
    latents: Any = None,
    objective: Objective | None = None,
    *,
    samples: int = 10_000,
    rng: int = 0,
    tol: float = 1e-6,
    time_limit: float = SECONDS,
) -> Audit:
    """The certified distance of trained players from the optimum of their Wasserstein game.

    Parameters
    ----------
    generator : module, or (m, ...) array of its samples
        For a `LinearGenerator` with Gaussian latents the exact law is certified, for others the samples. The bound is
        the optimum of the class for linear, free and two-layer polynomial generators, and holds for every generator
        otherwise. It is called on 256 latents at a time.
    discriminator : TwoLayerDiscriminator, ExactDiscriminatorLoss, or a name or instance of a class
        Its class is the game's. A trained one is judged too, as is an ``nn.Sequential`` of Linear, ReLU (or LeakyReLU)
        and Linear.
    data : (n, ...) array, tensor or Moments, PictureSource, data set or loader of torch, or an iterator of batches
        Of pairs (samples, labels) the first part.
    latents, objective : as in `train`
        With ``generator_penalty=0``, a plain GAN, no optimum is known: the ipm, a bootstrap interval and what a
        perfect generator scores are reported, and no bound; beta and lam then mean nothing.
    samples : int
        Samples drawn from generators whose law is not known.
    rng : int
        Their seed.
    tol : float
        The certificate's.
    time_limit : float
        Seconds for ReLU neurons; the bounds hold all the same.

    Returns
    -------
    Audit

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> from convexgan.torch import Objective, audit, from_solution
    >>> X = np.random.default_rng(0).standard_normal((100, 3))
    >>> G, D = from_solution(cg.solve(X, cg.GaussianLatent(3), beta=0.1))
    >>> found = audit(G, D, X, objective=Objective(beta=0.1))
    >>> found.certificate.kind, found.optimal(1e-9)
    ('saddle', True)
    """
    check_count(rng, "rng", 0)
    objective = Objective() if objective is None else objective
    generator, discriminator = unwrapped(generator), as_two_layer(unwrapped(discriminator))
    settings = settings_of(discriminator, objective)
    activation, both = settings["discriminator"], False
    relu = needs_rows(activation)
    if not isinstance(generator, nn.Module):
        both = has_bytes(data) and has_bytes(generator)
        if not is_batched(data):
            data, generator = paired(data, generator, "data", "generator")
    X = data if isinstance(data, Moments) else (flat if relu else moments)(data, bytes_too=both)
    spec, Z = class_of(generator, latents)
    Y = generated(generator, spec, Z, samples, rng, rows_needed=relu, bytes_too=both)
    if objective.generator_penalty == 0:
        rows = X if is_batched(data) or isinstance(data, Moments) else flat(data, bytes_too=both)
        return Audit(None, distance=distance(rows, Y, activation, bias=settings["bias"], time_limit=time_limit))
    name = activation.name
    if relu:
        return Audit(certify(X, Y, tol=tol, time_limit=time_limit, **settings), discriminator=name)
    if spec is not None and spec.form == "affine" and isinstance(Z, GaussianLatent):
        settings["regularizer"] = "output"  # the same number: the second moment of [z, 1] is I
    certificate = certify(X, Y, generator=spec, Z=Z if spec is not None else None, tol=tol, **settings)
    if not isinstance(discriminator, TwoLayerDiscriminator):
        return Audit(certificate, discriminator=name)
    proved = guaranteed(X, Y, spec, Z, to_critic(discriminator), settings, rescale=True)
    return Audit(certificate, *proved, discriminator=name)


def settings_of(discriminator: Any, objective: Objective) -> dict[str, Any]:
    """The game as `certify` takes it: discriminator, bias, beta, lam, regularizer, generator_penalty."""
    if objective.loss != "wasserstein":
        raise ValueError("the optimum is known for loss='wasserstein' only; duality_gap measures 'classic' too.")
    found: dict[str, Any] = {"beta": objective.beta, "lam": objective.lam, "bias": "none"}
    found |= {"regularizer": objective.regularizer, "generator_penalty": objective.generator_penalty}
    own: dict[str, Any] | None = getattr(discriminator, "game_settings", None)  # modules of this package know theirs
    if own is not None:
        return found | own
    if isinstance(discriminator, nn.Module):
        names = ", ".join(map(repr, CLASSES))
        raise ValueError(
            f"a {type(discriminator).__name__} is of no class whose optimum is known: name one to judge the generator "
            f"by, discriminator = {names}."
        )
    return found | {"discriminator": as_game_discriminator(discriminator)}


def class_of(generator: Any, latents: Any) -> tuple[GeneratorClass | None, Any]:
    """The generator's class where `certify` knows it, and its latents: rows, or of any shape for other generators."""
    if not isinstance(generator, nn.Module):
        return None, None
    spec: GeneratorClass | None = getattr(generator, "generator_class", None)  # modules of this package know theirs
    if spec is not None and spec.form == "rows":
        return spec, None
    Z = read_latents(latents, generator)
    if isinstance(Z, GaussianLatent):
        return spec, Z
    return spec, read_array(Z, "latents") if spec is None else flat(Z, "latents").astype(np.float64)


def generated(
    generator: Any, spec: Any, Z: Any, samples: int, rng: int, rows_needed: bool, bytes_too: bool = False
) -> Any:
    """The generated rows, or their moments, or those of their law where it is known."""
    if not isinstance(generator, nn.Module):
        return (flat if rows_needed else moments)(generator, "generator", bytes_too=bytes_too)
    if spec is not None and spec.form == "affine" and isinstance(Z, GaussianLatent) and not rows_needed:
        weights = array(generator.weights)  # type: ignore[arg-type]
        mean = np.zeros(weights.shape[1]) if not spec.bias else array(generator.bias)  # type: ignore[arg-type]
        return Moments.of_law(mean, np.vstack([weights, mean]))
    if isinstance(Z, GaussianLatent):
        Z = Z.sample(check_count(samples, "samples"), np.random.default_rng(rng))
    with measuring(generator):
        made = _called_in_blocks(generator, Z)
        return np.concatenate(list(made)).astype(np.float64) if rows_needed or spec is not None else moments(made)


def _called_in_blocks(generator: nn.Module, Z: Any) -> Iterator[NDArray[Any]]:
    """What the generator makes of the latents, as rows, a block at a time."""
    like = next(generator.parameters(), torch.zeros(()))
    for start in range(0, 1 if Z is None else len(Z), BLOCK):
        given = None if Z is None else torch.as_tensor(Z[start : start + BLOCK]).to(like)
        yield flat(generated_by(generator, given), "generator(Z)")


def guaranteed(
    X: Any, Y: Any, spec: Any, Z: Any, critic: Critic, settings: dict[str, Any], *, rescale: bool
) -> tuple[float, float]:
    """What the discriminator, or the best multiple of it, guarantees against the class of Y; and the factor."""
    check_same_columns(data := Moments.from_array(X), Moments(critic.neurons.shape[1]), "the discriminator")
    game = read_moments(Call.read(data, Z if spec is not None else None, generator=spec or Free(1), **settings)).game
    if spec is None:
        game = replace(game, latent=any_law(game.data, Moments.from_array(Y)))
    share = best_scale(game, critic) if rescale else 1.0
    return dual_value(game, replace(critic, outer=share * critic.outer)), share
