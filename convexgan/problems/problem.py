"""What an optimiser is given, and what it is judged by."""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.records.certificate import relative_gap
from convexgan.updates import DifferentiableGame, State, simultaneous


@dataclass(frozen=True)
class Measure:
    """How far a state is from the optimum of its problem.

    Attributes
    ----------
    value : float
        What the minimiser pays against the exact best response; the payoff in a game of two numbers.
    gap : float
        (value - optimum) / max(|value|, |optimum|), below 0 only where the constraint is violated; the plain
        difference in a game of two numbers, whose optimum is 0.
    violation : float
        max(ipm - beta, 0) / max(beta, ipm(X, 0)); 0 where nothing is constrained.
    distance : float
        |S - S*|_F / |S*|_F of the second moments of the generated and the optimal law; the Euclidean distance to the
        solution in a game of two numbers.
    error : float
        What a method has to bring to 0: max(|gap|, violation); the distance in a game of two numbers; infinite if there
        is nothing to reach.
    """

    value: float
    gap: float
    violation: float
    distance: float
    error: float


LOST = Measure(math.nan, math.nan, math.nan, math.inf, math.inf)
"""The measure of players that are not finite any more, or so large that their outputs' squares are not."""
LARGE = 1e50


def is_lost(state: State) -> bool:
    """Whether the players' measure is `LOST`."""
    return not all(bool((part.abs() < LARGE).all()) for part in (*state.x, *state.y))


def judged(value: float, optimum: float, violation: float, distance: float) -> Measure:
    """The measure of a generator whose cost, violation and distance are known."""
    gap = relative_gap(value, optimum)
    return Measure(value, gap, violation, distance, max(abs(gap), violation))


class Problem(ABC):
    """A min-max problem: torch players, a start, and the certified optimum.

    Attributes
    ----------
    name, description, source : str
    version : int
        Raised whenever the numbers change, so that results stay comparable.
    """

    def __init__(self, name: str, version: int, description: str, source: str) -> None:
        self.name, self.version, self.description, self.source = name, version, description, source

    @property
    @abstractmethod
    def value(self) -> float:
        """The value of min max."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """What the optimum is: "saddle", "minimax" (no saddle point), "stationary" (local only), or "none"."""

    @abstractmethod
    def game(self) -> DifferentiableGame:
        """The game: gradients of both players on all the data, for the functions of `convexgan.updates`."""

    @abstractmethod
    def start(self, seed: int) -> State:
        """Where a run starts: tuples of float64 tensors."""

    @abstractmethod
    def measure(self, state: State) -> Measure:
        """The distance of a state from the optimum."""

    @abstractmethod
    def verify(self) -> bool:
        """Whether what is claimed of the optimum is proved again, from the data alone."""

    @abstractmethod
    def _content(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Settings and arrays that define the problem."""

    def project(self, state: State) -> State:
        """The state moved to where the game allows its players: call it after every step."""
        return state

    @property
    def fingerprint(self) -> str:
        """The first 16 digits of the SHA-256 of settings, arrays, and what the game computes of them.

        The latter are the players' norms after a step of descent-ascent from each of three starts, to six digits, which
        rounding on other machines leaves as they are.
        """
        settings, arrays = self._content()
        digest = hashlib.sha256(json.dumps([self.version, settings, self._steps()], sort_keys=True).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes() + repr(array.shape).encode())
        return digest.hexdigest()[:16]

    def _steps(self) -> list[str]:
        norms, game = [], self.game()
        for state in map(self.start, range(3)):
            found = simultaneous(game, state, 1.0)
            norms += [float(sum(part.square().sum() for part in player)) ** 0.5 for player in (found.x, found.y)]
        return [f"{norm:.5e}" for norm in norms]

    def __str__(self) -> str:
        return f"{self.name} (version {self.version}, {self.fingerprint}): {self.description}"


class ZeroSaddle(Problem):
    """A problem with a saddle point at which the payoff is 0."""

    @property
    def value(self) -> float:
        """0, the payoff at the saddle point."""
        return 0.0

    @property
    def kind(self) -> str:
        """A saddle point."""
        return "saddle"
