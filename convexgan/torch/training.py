"""One training loop for every method, with checkpoints, monitoring and an early stop at a certified gap."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convexgan._checks import check_choice, check_count, check_number
from convexgan.torch import checkpoint as files
from convexgan.torch.audit import Audit, audit
from convexgan.torch.batches import Batches
from convexgan.torch.exact import ExactDiscriminatorLoss
from convexgan.torch.objective import ModuleGame, Objective, Payoff
from convexgan.torch.progress import shown
from convexgan.updates import (
    Average,
    State,
    Transform,
    adam,
    alternating,
    average,
    consensus,
    extragradient,
    generative_minimization,
    optimistic,
    simultaneous,
    unrolled,
)

Step = Callable[[Any, State, Any], State]
Callback = Callable[[int, nn.Module, nn.Module], Mapping[str, float] | None]

METHODS: dict[str, Callable[..., State]] = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "extragradient": extragradient,
    "optimistic": optimistic,
    "unrolled": partial(unrolled, depth=5),
    "consensus": partial(consensus, weight=1.0),
    "generative_minimization": partial(generative_minimization, depth=5),
}
TRANSFORMED = ("simultaneous", "alternating", "generative_minimization")
SECOND_ORDER = (unrolled, consensus)
OPTIMIZERS = ("sgd", "adam")
EXPLODED = 1e8  # growth of the players' norm that counts as divergence
MONITORED = 4096  # samples on which the payoff is monitored


class Outcome(StrEnum):
    """How a run ended; `sentence` tells what that means."""

    FINISHED = "finished"
    OPTIMAL = "optimal"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"

    @property
    def sentence(self) -> str:
        """What the outcome means and what to do."""
        return {
            "finished": "All steps were taken.",
            "optimal": "The generator reached the certified gap asked for.",
            "diverged": "The players exploded: lower the rates, or use another method.",
            "interrupted": "Stopped from the keyboard; the last checkpoint can be continued.",
        }[self.value]


@dataclass(frozen=True, eq=False)
class Training:
    """What became of a run.

    Attributes
    ----------
    outcome : Outcome
    steps : int
        Steps taken in all.
    history : list of dict
        A row each ``every`` steps: step, payoff, seconds; value, bound, gap and violation if a gap was asked for; what
        the callbacks returned.
    audit : Audit or None
        The last certificate, if a gap was asked for.
    """

    outcome: Outcome
    steps: int
    history: list[dict[str, float]]
    audit: Audit | None

    def __str__(self) -> str:
        last = ", ".join(f"{name} {value:.6g}" for name, value in self.history[-1].items()) if self.history else ""
        return f"{self.outcome}: {self.outcome.sentence}\n{last}"


def train(
    generator: nn.Module,
    discriminator: nn.Module,
    data: Any,
    latents: Any = None,
    objective: Objective | None = None,
    *,
    method: str | Step = "alternating",
    optimizer: str | Transform = "sgd",
    rates: float | tuple[float, float] = 1e-2,
    steps: int = 1000,
    batch: int | None = None,
    averaged: bool = False,
    gap: float | None = None,
    every: int = 100,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    rng: int = 0,
    progress: bool = False,
) -> Training:
    """Train two players in place by any method of the descent-ascent family.

    Parameters
    ----------
    generator, discriminator : modules
        The discriminator may be an `ExactDiscriminatorLoss`: then only the generator is trained, and every method is
        gradient descent of its kind.
    data : (n, ...) array or tensor
        Real samples.
    latents : (m, ...) array or tensor, int, GaussianLatent, optional
        Fixed latents, or the dimension of fresh Gaussian ones; by default the generator's ``latent_dim``.
    objective : Objective, optional
        What they play for.
    method : str or step function
        "simultaneous", "alternating", "extragradient", "optimistic", "unrolled" (5 steps ahead), "consensus" (weight
        1), "generative_minimization" (5 inner steps); or a function (game, state, rates) -> state such as
        ``partial(unrolled, depth=10)``, see `convexgan.updates`.
    optimizer : "sgd", "adam" or a transform of gradients
        For simultaneous, alternating and generative_minimization.
    rates : float or pair
        Step sizes of the generator and the discriminator.
    steps : int
        In all, those before a checkpoint included.
    batch : int, optional
        Rows drawn for each step, with replacement; by default all of them.
    averaged : bool
        The modules hold the average of all iterates when they are monitored and in the end: what converges where the
        game is convex-concave.
    gap : float, optional
        Certify the generator every ``every`` steps, and stop at this relative gap and violation; 0 only watches.
    every : int
        Steps between rows of the history, checkpoints and calls of the callbacks.
    callbacks : functions (step, generator, discriminator) -> dict of numbers or None
        What they return is added to the history.
    checkpoint : path, optional
        Written every ``every`` steps. If the file exists, the run continues from it, bit for bit as if it had never
        been interrupted.
    rng : int
        Seed of batches and latents.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Training

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
    _check_devices(generator, discriminator)
    loop = _Loop(
        ModuleGame(Payoff(generator, discriminator, objective)),
        Batches(data, latents, batch, generator, rng),
        resolve_step(method, optimizer, isinstance(discriminator, ExactDiscriminatorLoss)),
        rates,
        averaged,
        None if gap is None else check_number(gap, "gap"),
        tuple(callbacks),
    )
    check_count(every, "every")
    settings = {
        "method": _described(method),
        "optimizer": _described(optimizer),
        "rates": list(rates) if isinstance(rates, tuple) else rates,
        "batch": batch,
        "averaged": averaged,
        "every": every,
        "rng": rng,
        "objective": asdict(objective),
        "data": loop.batches.digest() if checkpoint is not None else "",
    }
    with shown(progress, steps) as report:
        return loop.run(check_count(steps, "steps", 0), every, checkpoint, settings, report)


def resolve_step(method: str | Step, optimizer: str | Transform, exact: bool) -> Step:
    """The step function of a name, with its transform of gradients."""
    step: Callable[..., State] = method if callable(method) else METHODS[check_choice(method, "method", METHODS)]
    transform: Transform | None = None
    if callable(optimizer):
        transform = optimizer
    elif check_choice(optimizer, "optimizer", OPTIMIZERS) == "adam":
        transform = adam
    if exact and (step.func if isinstance(step, partial) else step) in SECOND_ORDER:
        raise ValueError("consensus and unrolled differentiate the discriminator, which the exact one does not allow.")
    if transform is None:
        return step
    if method not in TRANSFORMED:
        names = ", ".join(TRANSFORMED)
        raise ValueError(f"optimizer is for the methods {names}; fix it in a step function of your own with partial.")
    return partial(step, transform=transform)


class _Loop:
    """The state of a run: both players, what the method remembers, the history."""

    def __init__(
        self,
        game: ModuleGame,
        batches: Batches,
        step: Step,
        rates: Any,
        averaged: bool,
        gap: float | None,
        callbacks: tuple[Callback, ...],
    ) -> None:
        self.game, self.batches, self.step, self.rates = game, batches, step, rates
        self.averaged, self.gap, self.callbacks = averaged, gap, callbacks
        self.state, self.count = game.players(), 0
        self.mean: Average | None = None
        self.history: list[dict[str, float]] = []
        self.audit: Audit | None = None
        self.start, self.seconds = time.perf_counter(), 0.0
        self.size = self._norm()
        self.watched = Batches(batches.data, batches.latents, None, game.payoff.generator, 1).draw()
        if len(self.watched.real) > MONITORED:
            rows = torch.randperm(len(self.watched.real), generator=torch.Generator().manual_seed(1))[:MONITORED]
            self.watched = self.watched._replace(real=self.watched.real[rows.to(self.watched.real.device)])

    def run(self, steps: int, every: int, path: Any, settings: dict[str, Any], report: Any) -> Training:
        """Steps until one of the ends."""
        if path is not None and Path(path).exists():
            self._restore(files.read(path, settings))
        outcome = Outcome.FINISHED
        if not self.history:
            self._look()
            self._record(report)
        try:
            while self.count < steps and not self._reached():
                if not self._advance():
                    outcome = Outcome.DIVERGED
                    break
                if self.count % every == 0 or self.count == steps:
                    self._record(report)
                    if path is not None:
                        files.write(path, settings, self._content())
                    if self._norm() > EXPLODED * (1 + self.size):
                        outcome = Outcome.DIVERGED
                        break
        except KeyboardInterrupt:
            outcome = Outcome.INTERRUPTED
        self._load()
        return Training(Outcome.OPTIMAL if self._reached() else outcome, self.count, self.history, self.audit)

    def _advance(self) -> bool:
        """One step; False, and no step, if the payoff is not finite any more."""
        game = self.game
        game.batch = self.batches.draw(game.payoff.objective.gradient_penalty > 0)
        new = self.step(game, self.state, self.rates)
        if not math.isfinite(float(game.last)):
            return False
        self.state = State(new.x, game.projected(new.y), new.memory)
        if self.averaged:
            self.mean = average(self.mean, self.state)
        self.count += 1
        return True

    def _look(self) -> None:
        """Raise if the players do not fit the data or each other."""
        payoff = self.game.payoff
        try:
            with monitoring(payoff):
                value = float(payoff(*self.watched))
        except RuntimeError as error:
            real, latents = (tuple(part.shape) for part in self.watched[:2])
            raise ValueError(
                f"the players do not fit data of shape {real} and latents of shape {latents}: {error}"
            ) from error
        if not math.isfinite(value):
            raise ValueError(
                f"the loss is {value} before the first step: look for samples, weights or outputs of the players that "
                "are not finite or overflow."
            )

    def _norm(self) -> float:
        parts = [part.double().square().sum() for part in (*self.state.x, *self.state.y)]
        return float(torch.stack(parts).sum().sqrt()) if parts else 0.0

    def _load(self) -> None:
        """Write the players that are reported into the modules."""
        shown = self.state if self.mean is None else self.mean
        self.game.load(shown.x, shown.y)

    def _record(self, report: Any) -> None:
        """Add a row to the history."""
        payoff = self.game.payoff
        self._load()
        row: dict[str, float] = {"step": self.count}
        with monitoring(payoff):
            row["payoff"] = float(payoff(*self.watched))
            if self.gap is not None:
                data, latents = self.batches.data, self.batches.latents
                self.audit = audit(
                    payoff.generator, payoff.discriminator, data, latents, payoff.objective, tol=max(self.gap, 1e-9)
                )
                row |= self.audit.numbers()
            for callback in self.callbacks:
                row |= callback(self.count, payoff.generator, payoff.discriminator) or {}
        row["seconds"] = self.seconds + time.perf_counter() - self.start
        self.history.append(row)
        report(row)

    def _reached(self) -> bool:
        return bool(self.gap) and bool(self.history) and self.history[-1].get("optimal") == 1.0

    # -- checkpoints ---------------------------------------------------------------------------------------

    def _content(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        self.game.load(self.state.x, self.state.y)
        return {
            "modules": dict(self.game.payoff.state_dict()),
            "memory": self.state.memory,
            "mean": None if self.mean is None else tuple(self.mean),
            "random": files.random_states() | {"batches": self.batches.random.get_state()},
            "count": self.count,
            "history": tuple(self.history),
        }

    def _restore(self, content: dict[str, Any]) -> None:
        try:
            self.game.payoff.load_state_dict(content["modules"])
        except RuntimeError as error:
            raise ValueError(f"the checkpoint is of other players: {error}") from None
        device = next(iter(self.game.payoff.parameters())).device
        self.state = self.game.players()._replace(memory=_moved(content["memory"], device))
        self.mean = None if content["mean"] is None else Average(*_moved(content["mean"], device))
        states = dict(content["random"])
        self.batches.random.set_state(states.pop("batches"))
        files.restore_random_states(states)
        self.count, self.history = content["count"], list(content["history"])
        self.seconds = self.history[-1]["seconds"]


@contextmanager
def monitoring(payoff: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, and everything as it was afterwards."""
    flags = [(module, module.training) for module in payoff.modules()]
    payoff.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, flag in flags:
            module.training = flag


def _moved(tree: Any, device: torch.device) -> Any:
    if isinstance(tree, tuple):
        return tuple(_moved(part, device) for part in tree)
    return tree.to(device) if isinstance(tree, torch.Tensor) else tree


def _check_devices(generator: nn.Module, discriminator: nn.Module) -> None:
    for name, kind in (("device", "on different devices"), ("dtype", "of different precision")):
        found = {
            str(getattr(tensor, name)): player
            for player, module in (("generator", generator), ("discriminator", discriminator))
            for tensor in [*module.parameters(), *module.buffers()]
            if tensor.is_floating_point()
        }
        if len(found) > 1:
            raise ValueError(f"the players are {kind}, {', '.join(sorted(found))}: move them with .to(...).")


def _described(function: Any) -> str:
    """A name for a method that is the same in the next process."""
    if isinstance(function, partial):
        return f"{_described(function.func)} {sorted((k, _described(v)) for k, v in function.keywords.items())}"
    return str(getattr(function, "__qualname__", function))
