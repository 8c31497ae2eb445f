"""Games on labelled rows: a player for each class, under one certificate."""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.games.conditional import class_beta
from convexgan.problems.gans import GANProblem
from convexgan.problems.problem import LOST, Measure, Problem, is_lost, judged
from convexgan.records.conditional import ConditionalSolution
from convexgan.solve import solve
from convexgan.updates import DifferentiableGame, State
from convexgan.verify import verify


class SumGame(DifferentiableGame):
    """The weighted sum of games on players of their own; each player is the tuple of all their tensors.

    Parameters
    ----------
    games : list of DifferentiableGame
    shares : (C,) array
        Their weights.
    states : list of State
        A state of each, which tells how many tensors are whose.
    """

    def __init__(self, games: list[Any], shares: NDArray[np.float64], states: list[State]) -> None:
        self.games, self.shares = games, shares
        self._cuts = [[0, *accumulate(len(state[i]) for state in states)] for i in (0, 1)]

    def parts(self, player: Any, which: int) -> list[Any]:
        """The tensors of each game's minimiser (0) or maximiser (1)."""
        return [player[start:end] for start, end in pairwise(self._cuts[which])]

    def _asked(self, question: str, x: Any, y: Any, *weights: Any) -> list[Any]:
        """What each game answers, times its share."""
        sides = zip(*(self.parts(part, i % 2) for i, part in enumerate((x, y, *weights))), strict=True)
        return [
            _scaled(getattr(game, question)(*each), float(share))
            for game, share, each in zip(self.games, self.shares, sides, strict=True)
        ]

    def grad_x(self, x: Any, y: Any) -> Any:
        """The minimisers' gradients."""
        return sum(self._asked("grad_x", x, y), ())

    def grad_y(self, x: Any, y: Any) -> Any:
        """The maximisers' gradients."""
        return sum(self._asked("grad_y", x, y), ())

    def gradients(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Both."""
        return _joined(self._asked("gradients", x, y))

    def vjp(self, x: Any, y: Any, u: Any, v: Any) -> tuple[Any, Any]:
        """The gradient of <u, grad_x> + <v, grad_y>."""
        return _joined(self._asked("vjp", x, y, u, v))

    def projected(self, y: Any) -> Any:
        """Every maximiser where its game allows it."""
        return sum((game.projected(part) for game, part in zip(self.games, self.parts(y, 1), strict=True)), ())


class ConditionalProblem(Problem):
    """A generator and a discriminator for each class under one beta, as `solve` takes it with ``labels``.

    The payoff is the sum over classes of their share times a game with beta over the share.

    Attributes
    ----------
    X : (n, d) array
    labels : (n,) int array
    Z : (m, k) array
    width : int
        Neurons of each class's discriminator.
    options : dict
        The other arguments of `convexgan.solve`.
    parts : list of GANProblem
        Each class's own game.
    """

    def __init__(
        self, *described: Any, X: Any, labels: NDArray[np.int64], Z: Any, width: int, beta: float, **options: Any
    ) -> None:
        name, description, source = described
        super().__init__(name, 1, description, source)
        self.X, self.labels, self.Z, self.width, self.options = X, labels, Z, width, {**options, "beta": beta}
        classes, counts = np.unique(labels, return_counts=True)
        self.shares = counts / len(labels)
        self.parts = []
        for label, count in zip(classes, counts, strict=True):
            own: dict[str, Any] = {"X": X[labels == label], "Z": Z, "width": width}
            own["beta"] = class_beta(beta, int(count), len(labels))
            self.parts.append(GANProblem(f"{name}, class {label}", description, source, **own, **options))

    @cached_property
    def solution(self) -> ConditionalSolution:
        """The certified optimum of all classes, solved when first asked for."""
        found: ConditionalSolution = solve(self.X, self.Z, labels=self.labels, **self.options)
        return found

    @property
    def value(self) -> float:
        """The certified value of min max."""
        return self.solution.value

    @property
    def kind(self) -> str:
        """A saddle point where every class has one."""
        kinds = {part.kind for part in self.parts}
        return kinds.pop() if len(kinds) == 1 else "minimax"

    def verify(self) -> bool:
        """Whether the certificate of all classes is found again, and each class's at its width."""
        if self.solution.certificate is None:
            return False
        agreement = verify(self.solution.certificate, self.X, labels=self.labels).agreement
        return agreement is not None and agreement.agrees and all(part.verify() for part in self.parts)

    def game(self) -> SumGame:
        """The game of all classes on all rows."""
        return SumGame([part.game() for part in self.parts], self.shares, [part.start(0) for part in self.parts])

    def start(self, seed: int) -> State:
        """Random weights, others for each class."""
        states = [part.start(len(self.parts) * seed + i) for i, part in enumerate(self.parts)]
        return State(*_joined([state[:2] for state in states]))

    def project(self, state: State) -> State:
        """Neurons of norm one."""
        return state._replace(y=self._projector.projected(state.y))

    def measure(self, state: State) -> Measure:
        """The classes' mean value against exact best responses, the largest of their violations and distances."""
        if is_lost(state):
            return LOST
        sides = (self._projector.parts(player, i) for i, player in enumerate(state[:2]))
        found = [part.measure(State(*own)) for part, own in zip(self.parts, zip(*sides, strict=True), strict=True)]
        value = float(self.shares @ [one.value for one in found])
        return judged(value, self.value, max(one.violation for one in found), max(one.distance for one in found))

    @cached_property
    def _projector(self) -> SumGame:
        return self.game()

    def _content(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        return self.options | {"width": self.width}, [self.X, self.labels, self.Z]


def _scaled(found: Any, share: float) -> Any:
    return tuple(_scaled(part, share) if isinstance(part, tuple) else share * part for part in found)


def _joined(pairs: list[Any]) -> tuple[Any, Any]:
    return sum((pair[0] for pair in pairs), ()), sum((pair[1] for pair in pairs), ())
