"""The loop of a training run: steps, monitoring, checkpoints, and how it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.utils import get_total_norm

from convexgan._tools.checks import is_exhausted
from convexgan.discriminators.activation import needs_rows
from convexgan.statistics.moments import Moments
from convexgan.torch import checkpoint as files
from convexgan.torch import identity
from convexgan.torch.audit import Audit, audit
from convexgan.torch.batches import Batches
from convexgan.torch.measuring import measuring
from convexgan.torch.memory import moved, pack_tree
from convexgan.torch.objective import Batch, ModuleGame, check_fit
from convexgan.torch.pictures import PictureSource
from convexgan.torch.samples import flat
from convexgan.updates import Average, State, Step, average

Callback = Callable[[int, nn.Module, nn.Module], Mapping[str, float] | None]

EXPLODED = 1e8  # growth of the players' norm at which they have diverged
RECENT = 0.1  # of the steps so far, what a running average goes back at most
MONITORED = 4096  # samples on which the payoff is monitored


class Outcome(StrEnum):
    """The outcome of a run; `sentence` explains it."""

    FINISHED = "finished"
    OPTIMAL = "optimal"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"

    @property
    def sentence(self) -> str:
        """An explanation of the outcome, with the repair."""
        return {
            "finished": "All steps were taken.",
            "optimal": "The generator reached the certified gap asked for.",
            "diverged": "The players exploded: lower the rates, or use another method.",
            "interrupted": "Stopped from the keyboard; the last checkpoint can be continued.",
        }[self.value]


@dataclass(frozen=True, eq=False)
class Training:
    """The result of a run.

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


class Loop:
    """The state of a run: both players, what the method remembers, the history."""

    def __init__(
        self,
        game: ModuleGame,
        batches: Batches,
        step: Step,
        rates: Any,
        averaged: bool | float,
        gap: float | None,
        callbacks: tuple[Callback, ...],
    ) -> None:
        self.game, self.batches, self.step, self.rates = game, batches, step, rates
        self.averaged, self.gap, self.callbacks = averaged, gap, callbacks
        game.draw = self._draw
        self.state, self.count, self.first = game.players(), 0, 0
        self.mean: Average | None = None
        self.history: list[dict[str, float]] = []
        self.audit: Audit | None = None
        self.start, self.seconds = time.perf_counter(), 0.0
        self.limit = EXPLODED * (1 + norm(self.state))
        self.watched = batches.watched(MONITORED)

    def run(self, steps: int, every: int, path: Any, settings: dict[str, Any], report: Any) -> Training:
        """Steps until one of the ends."""
        if path is not None and Path(path).exists():
            self._restore(files.read(path, settings), path)
        outcome, method = Outcome.FINISHED, "" if path is None else identity.described(self.step)
        try:
            if not self.history:
                check_fit(self.game.payoff, self.watched)
                self._record(report)
            while self.count < steps and not self._reached():
                if not self._advance():
                    outcome = Outcome.DIVERGED
                    break
                if path is not None and self.count == self.first + 1:
                    self._check_memory(method)
                if self.count % every == 0 or self.count == steps:
                    self._record(report)
                    if path is not None:
                        files.write(path, settings, self._content())
        except KeyboardInterrupt:
            outcome = Outcome.INTERRUPTED
        except RuntimeError as error:
            if not is_exhausted(error):
                raise
            raise MemoryError(self._smaller(path)) from error
        self._load()
        return Training(Outcome.OPTIMAL if self._reached() else outcome, self.count, self.history, self.audit)

    def _draw(self) -> Batch:
        """The next batch of this step, with penalties on slopes if it is one of those that take them."""
        objective = self.game.payoff.objective
        return self.batches.draw(objective.smooth and self.count % objective.lazy == 0)

    def _advance(self) -> bool:
        """One step; False, and no step, if the payoff or a player is not finite or out of all proportion."""
        game = self.game
        if hasattr(game.payoff.generator, "at_step"):
            game.payoff.generator.at_step(self.count)  # type: ignore[operator]
        game.renewed()
        new = self.step(game, self.state, self.rates)
        if not (math.isfinite(float(game.last)) and norm(new) <= self.limit):
            return False
        self.state = State(new.x, game.projected(new.y), new.memory)
        if self.averaged:
            self._average()
        self.count += 1
        return True

    def _check_memory(self, method: str) -> None:
        """Raise after the first step, not at the first checkpoint, if that cannot hold what the method remembers."""
        pack_tree(self.state.memory, {})
        if identity.described(self.step) != method:
            raise ValueError(
                "method changes itself from step to step, which no checkpoint can hold: return what it remembers as "
                "the memory of the state, or leave checkpoint out."
            )

    def _average(self) -> None:
        """Add the players to their mean; under a decay, the generator to one of about 1 / (1 - decay) steps.

        As long as those are more than a tenth of all, to one of that tenth: else the start would stay in it for long.
        """
        if self.averaged is True:
            self.mean = average(self.mean, self.state)
            return
        mean = average(self.mean, self.state._replace(y=()))
        most = min(self.averaged / (1 - self.averaged), RECENT * (self.count + 1))
        self.mean = mean._replace(total=min(mean.total, most))

    def _load(self) -> None:
        """Write the players that are reported into the modules."""
        shown = self.state if self.mean is None else self.mean
        self.game.load(shown.x, shown.y if self.averaged is True else self.state.y)

    def _record(self, report: Any) -> None:
        """Add a row to the history."""
        payoff = self.game.payoff
        self._load()
        row: dict[str, float] = {"step": self.count}
        with measuring(payoff):
            row["payoff"] = float(payoff(*self.watched))
            if self.gap is not None:
                players = payoff.generator, payoff.discriminator
                tol = max(self.gap, 1e-9)
                self.audit = audit(*players, self._reference, self.batches.latents, payoff.objective, tol=tol)
                row |= self.audit.numbers()
            for callback in self.callbacks:
                row |= callback(self.count, payoff.generator, payoff.discriminator) or {}
        row["seconds"] = self.seconds + time.perf_counter() - self.start
        self.history.append(row)
        report(row)

    def _smaller(self, path: Any) -> str:
        """The repair where memory was not enough."""
        size = self.batches.size or len(self.batches.data)
        kept = "" if path is None else "; the same call with it goes on from the last checkpoint"
        return f"memory is not enough for batches of {size}: pass a smaller one, batch={max(size // 2, 1)} say{kept}."

    @cached_property
    def _reference(self) -> Any:
        """The data as certificates want them, their moments and eigenvectors computed once."""
        if isinstance(self.batches.data, PictureSource):
            return Moments.from_chunks(self.batches.data.rows())
        rows = flat(self.batches.data)
        activation = getattr(self.game.payoff.discriminator, "activation", None)
        relu = activation is not None and needs_rows(activation)
        return rows if relu else Moments.from_array(rows, name="data")

    def _reached(self) -> bool:
        return bool(self.gap) and bool(self.history) and self.history[-1].get("optimal") == 1.0

    # -- checkpoints ---------------------------------------------------------------------------------------

    def _content(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        self.game.load(self.state.x, self.state.y)
        payoff = self.game.payoff
        return {
            "outputs": identity.outputs(payoff.generator, payoff.discriminator, self.watched),
            "device": str(next(iter(payoff.parameters())).device.type),
            "modules": dict(self.game.payoff.state_dict()),
            "memory": self.state.memory,
            "mean": None if self.mean is None else tuple(self.mean),
            "random": files.random_states() | {"batches": self.batches.random.get_state()},
            "count": self.count,
            "history": tuple(self.history),
        }

    def _restore(self, content: dict[str, Any], path: Any) -> None:
        payoff = self.game.payoff
        before = {name: tensor.clone() for name, tensor in payoff.state_dict().items()}
        try:
            payoff.load_state_dict(content["modules"])
        except RuntimeError as error:
            raise ValueError(
                f"the checkpoint {path} is of other players, with weights of other shapes: pass the options of then to "
                "continue it, or another place to write."
            ) from error
        device = next(iter(payoff.parameters())).device
        if content["count"] and hasattr(payoff.generator, "at_step"):
            payoff.generator.at_step(content["count"] - 1)  # type: ignore[operator]
        try:
            found = identity.outputs(payoff.generator, payoff.discriminator, self.watched)
            identity.compare_outputs(path, content.get("outputs", {}), found, content.get("device") == device.type)
        except ValueError:
            payoff.load_state_dict(before)  # those of the caller, who is told that they are others
            raise
        self.state = self.game.players()._replace(memory=moved(content["memory"], device))
        self.mean = None if content["mean"] is None else Average(*moved(content["mean"], device))
        states = dict(content["random"])
        self.batches.random.set_state(states.pop("batches"))
        files.restore_random_states(states)
        self.count, self.history = content["count"], list(content["history"])
        self.first = self.count
        self.seconds = self.history[-1]["seconds"]


def norm(state: State) -> float:
    """The Euclidean norm of both players."""
    return float(get_total_norm((*state.x, *state.y)))
