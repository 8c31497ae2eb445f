"""One training loop for every method, with checkpoints, monitoring and an early stop at a certified gap."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import Any

from torch import nn

from convexgan._tools.checks import check_choice, check_count, check_number
from convexgan.statistics.latents import GaussianLatent
from convexgan.torch.batches import Batches
from convexgan.torch.exact import ExactDiscriminatorLoss
from convexgan.torch.identity import described, players
from convexgan.torch.loop import Callback, Loop, Training
from convexgan.torch.objective import ModuleGame, Objective, Payoff, check_players
from convexgan.torch.players import is_parallel
from convexgan.torch.progress import shown
from convexgan.updates import (
    METHODS,
    State,
    Step,
    Transform,
    adam,
    consensus,
    generative_minimization,
    resolve_step,
    unrolled,
)
from convexgan.updates.game import pair

TRANSFORMED = ("simultaneous", "alternating", "generative_minimization")
SECOND_ORDER = (unrolled, consensus)
ZERO_SUM = (*SECOND_ORDER, generative_minimization)
OPTIMIZERS = ("sgd", "adam")


def train(
    generator: nn.Module,
    discriminator: nn.Module,
    data: Any,
    latents: Any = None,
    objective: Objective | None = None,
    *,
    method: str | Step = "alternating",
    optimizer: str | Transform = "sgd",
    rates: float | tuple[Any, Any] = 1e-2,
    steps: int = 1000,
    batch: int | None = None,
    averaged: bool | float = False,
    gap: float | None = None,
    every: int = 100,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    rng: int = 0,
    mixed_precision: bool = False,
    progress: bool = False,
) -> Training:
    """Train two players in place by any method of the descent-ascent family.

    Parameters
    ----------
    generator, discriminator : modules
        A generator with a method ``at_step(step)`` is told each step before it is taken.
        The discriminator may be an `ExactDiscriminatorLoss`: then only the generator is trained, and every method is
        gradient descent of its kind.
    data : (n, ...) array or tensor, PictureSource, data set or loader of torch, or an iterator of batches
        Real samples. What comes in batches is read once and kept; of pairs (samples, labels) the first part.
    latents : (m, ...) array or tensor, int, tuple of int, GaussianLatent, optional
        Fixed latents, or the dimension or shape, (k, 1, 1) say, of fresh Gaussian ones; by default the generator's
        ``latent_dim``.
    objective : Objective, optional
        What they play for.
    method : str or step function
        "simultaneous", "alternating", "extragradient", "optimistic", "unrolled" (5 steps ahead), "consensus" (weight
        1), "generative_minimization" (5 inner steps); or a function (game, state, rates) -> state such as
        ``partial(unrolled, depth=10)``, or ``partial(alternating, ascents=5)`` for five steps of the discriminator, on
        a batch each, for one of the generator; see `convexgan.updates`.
    optimizer : "sgd", "adam" or a transform of gradients
        For simultaneous, alternating and generative_minimization.
    rates : float or pair
        Step sizes of the generator and the discriminator; a player's may be a tuple with one for each of its
        parameters that require gradients.
    steps : int
        In all, those before a checkpoint included.
    batch : int, optional
        Rows drawn for each step, with replacement; by default all of them.
    averaged : bool or float
        The modules hold the average of all iterates when they are monitored and in the end: what converges where the
        game is convex-concave. A number below 1 averages the generator only, exponentially with this decay, which goes
        back 1 / (1 - decay) steps or so, and at most a tenth of those taken; the discriminator is the last.
    gap : float, optional
        Certify the generator every ``every`` steps, and stop at this relative gap and violation; 0 only watches. With
        ReLU neurons each certificate takes up to ten seconds.
    every : int
        Steps between rows of the history, checkpoints and calls of the callbacks.
    callbacks : functions (step, generator, discriminator) -> dict of numbers or None
        What they return is added to the history.
    checkpoint : path, optional
        Written every ``every`` steps. If the file exists, the run continues from it, bit for bit as if it had never
        been interrupted (on the same machine with as many threads, and batches of the same size). It is refused, by
        the name of what differs, if it was made with other players (their structure, and what they compute with the
        same weights), data, latents, objective, method, rates, seed or smaller batches; ``steps`` and ``gap`` are free.
    rng : int
        Seed of batches and latents.
    mixed_precision : bool
        Compute payoffs in bfloat16 where that is safe (`torch.autocast`); parameters stay what they are.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Training

    Raises
    ------
    ValueError
        The method does not suit the game, gap is asked for where nothing is known of an optimum, or rates do not fit
        the parameters.

    Examples
    --------
    >>> import numpy as np, torch, convexgan as cg
    >>> from convexgan.torch import LinearGenerator, Objective, TwoLayerDiscriminator, train
    >>> X, _ = np.random.default_rng(0).standard_normal((100, 3)), torch.manual_seed(0)
    >>> G, D = LinearGenerator(3, 3), TwoLayerDiscriminator(3, 4, "quadratic")
    >>> run = train(G, D, X, objective=Objective(beta=0.1), method="extragradient", steps=20)
    >>> run.outcome
    <Outcome.FINISHED: 'finished'>
    """
    objective = Objective() if objective is None else objective
    _check_players(generator, discriminator)
    step = transformed_step(method, optimizer, isinstance(discriminator, ExactDiscriminatorLoss))
    if function_of(step) in ZERO_SUM and not objective.zero_sum:
        raise ValueError(f"loss={objective.loss!r} is not a zero-sum game, which method={described(method)!r} is for.")
    game = ModuleGame(Payoff(generator, discriminator, objective, objective.lazy), mixed_precision)
    for rate, names in zip(pair(rates), (game.names_x, game.names_y), strict=True):
        if isinstance(rate, tuple) and len(rate) != len(names):
            raise ValueError(f"rates has {len(rate)} numbers for the {len(names)} parameters {names}: pass one each.")
    if gap is not None and objective.generator_penalty == 0:
        raise ValueError("gap needs generator_penalty > 0: without it nothing is known of the optimum.")
    loop = Loop(
        game,
        Batches(data, latents, batch, generator, rng),
        step,
        _check_rates(rates),
        averaged if isinstance(averaged, bool) else _check_decay(averaged),
        None if gap is None else check_number(gap, "gap"),
        tuple(callbacks),
    )
    check_count(every, "every")
    settings: dict[str, Any] = {}
    if checkpoint is not None:
        settings = {
            "method": described(method),
            "optimizer": described(optimizer),
            "rates": _plain(rates),
            "averaged": averaged,
            "every": every,
            "rng": rng,
            "batch": batch,
            "latents": _law(loop.batches.latents),
            **players(generator, discriminator),
            "mixed_precision": mixed_precision,
            "objective": asdict(objective),
            "data": loop.batches.digest(),
        }
    with shown(progress, steps) as report:
        return loop.run(check_count(steps, "steps", 0), every, checkpoint, settings, report)


def transformed_step(method: str | Step, optimizer: str | Transform, exact: bool) -> Step:
    """The step function of a name, with its transform of gradients."""
    step: Callable[..., State] = resolve_step(method)
    transform: Any = None
    if callable(optimizer):
        transform = optimizer
    elif check_choice(optimizer, "optimizer", OPTIMIZERS) == "adam":
        transform = adam
    if exact and function_of(step) in SECOND_ORDER:
        raise ValueError("consensus and unrolled differentiate the discriminator, which the exact one does not allow.")
    if transform is None:
        return step
    names, fixed = TRANSFORMED, step.keywords if isinstance(step, partial) else {}
    if function_of(step) not in [function_of(METHODS[name]) for name in names] or "transform" in fixed:
        raise ValueError(
            f"optimizer is for the methods {', '.join(names)}; fix it in a step function of your own with partial."
        )
    if function_of(transform) is adam:
        transform = partial(transform, reuse=True)  # nothing looks at the memory of earlier steps
    return partial(step, transform=transform)


def function_of(step: Any) -> Any:
    """A function without what `partial` has fixed."""
    return step.func if isinstance(step, partial) else step


def _check_decay(averaged: float) -> float:
    if not 0 < check_number(averaged, "averaged") < 1:
        raise ValueError(f"averaged must be True, False or a decay strictly between 0 and 1, got {averaged!r}.")
    return averaged


def _check_players(generator: nn.Module, discriminator: nn.Module) -> None:
    """Raise unless both are modules with weights, in one process, on one device and of one precision."""
    check_players(generator, discriminator)
    if is_parallel(generator) or is_parallel(discriminator):
        raise ValueError("train runs in one process, without a player wrapped for several: pass its .module.")
    for name, kind in (("device", "on different devices"), ("dtype", "of different precision")):
        found = {
            str(getattr(tensor, name)): player
            for player, module in (("generator", generator), ("discriminator", discriminator))
            for tensor in [*module.parameters(), *module.buffers()]
            if tensor.is_floating_point()
        }
        if len(found) > 1:
            raise ValueError(f"the players are {kind}, {', '.join(sorted(found))}: move them with .to(...).")


def _check_rates(rates: Any) -> Any:
    return tuple(map(_check_rates, rates)) if isinstance(rates, tuple) else check_number(rates, "rates")


def _plain(rates: Any) -> Any:
    """The rates as JSON has them."""
    return [_plain(rate) for rate in rates] if isinstance(rates, tuple) else rates


def _law(latents: Any) -> str:
    """The law of fresh latents; fixed ones are in the hash of the data."""
    shape = getattr(latents, "shape", None)
    return f"{shape or latents.dim} Gaussian" if isinstance(latents, GaussianLatent) else "fixed"
