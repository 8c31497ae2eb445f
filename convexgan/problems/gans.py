"""Wasserstein GANs with two-layer discriminators whose optimum `convexgan.solve` certifies."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convexgan._tools.checks import check_count
from convexgan.problems.problem import LOST, Measure, Problem, is_lost, judged
from convexgan.records.certificate import Certificate
from convexgan.records.solution import Solution
from convexgan.solve import solve
from convexgan.torch import FreeGenerator, LinearGenerator, Objective, TwoLayerDiscriminator, audit, from_solution
from convexgan.torch.objective import Batch, ModuleGame, Payoff
from convexgan.updates import State
from convexgan.verify import verify

Array = NDArray[np.float64]


class GANProblem(Problem):
    """A GAN on fixed samples and fixed latents.

    Attributes
    ----------
    X : (n_r, d) array
    Z : (n_f, k) array or None
        None for a generator whose rows are free, as many as X has.
    width : int
        Neurons of the discriminator.
    options : dict
        The other arguments of `convexgan.solve`.
    """

    def __init__(
        self, *described: Any, X: Array, Z: Array | None, width: int, version: int = 1, **options: Any
    ) -> None:
        name, description, source = described
        super().__init__(name, version, description, source)
        self.X, self.Z, self.width, self.options = X, Z, width, options

    @cached_property
    def solution(self) -> Solution:
        """The certified optimum, solved when first asked for."""
        limited: dict[str, Any] = (
            {"max_neurons": self.width} if self.options["discriminator"] in ("linear", "quadratic") else {}
        )
        found: Solution = solve(self.X, self.Z, **self.options, **limited)
        return found

    @property
    def value(self) -> float:
        """The certified value of min max."""
        return self.solution.value

    @property
    def kind(self) -> str:
        """The certificate's kind."""
        return str(self._certified.kind)

    @property
    def _certified(self) -> Certificate:
        found = self.solution.certificate
        if found is None:
            raise ValueError(f"{self.name} was not solved: {self.solution.status}.")
        return found

    def verify(self) -> bool:
        """Whether `convexgan.verify` finds the certificate again, and a saddle point has no more neurons than width."""
        agreement, critic = verify(self._certified, self.X).agreement, self.solution.discriminator
        if agreement is None or critic is None or not agreement.agrees:
            return False
        return self.kind != "saddle" or bool(np.count_nonzero(critic.outer) <= self.width)

    @property
    def objective(self) -> Objective:
        """The objective of the players."""
        names = ("beta", "lam", "regularizer")
        return Objective(**{name: self.options[name] for name in names if name in self.options})

    def players(self, seed: int = 0) -> tuple[nn.Module, TwoLayerDiscriminator]:
        """Generator and discriminator with random weights, in float64."""
        with torch.random.fork_rng():
            torch.manual_seed(check_count(seed, "seed", 0))
            if self.Z is None:
                generator: nn.Module = FreeGenerator(torch.randn(self.X.shape, dtype=torch.float64))
            else:
                generator = LinearGenerator(self.Z.shape[1], self.X.shape[1], dtype=torch.float64)
            bias = self.options.get("bias", "none")
            activation = self.options["discriminator"]
            shape = self.X.shape[1], self.width, activation
            return generator, TwoLayerDiscriminator(*shape, bias=bias, dtype=torch.float64)

    def saddle_players(self) -> tuple[nn.Module, TwoLayerDiscriminator]:
        """Both players at the certified saddle point, with as many neurons as it needs.

        Raises
        ------
        ValueError
            There is no saddle point at this width.
        """
        if self.kind != "saddle":
            raise ValueError(f"{self.name} has no saddle point at width {self.width}: its optimum is {self.kind!r}.")
        return from_solution(self.solution)

    def game(self) -> ModuleGame:
        """The game on all samples and latents."""
        return self._game(*self.players())

    def start(self, seed: int) -> State:
        """Random weights."""
        return self._game(*self.players(seed)).players()

    def project(self, state: State) -> State:
        """Neurons of norm one, and |v|_1 <= lam."""
        return state._replace(y=self._projector.projected(state.y))

    def measure(self, state: State) -> Measure:
        """The exact best response to the generator, and the distance of its second moment.

        Raises
        ------
        ValueError
            There is no generator penalty, so that nothing is known of an optimum.
        """
        if is_lost(state):
            return LOST
        game = self._projector
        game.load(state.x, state.y)
        generator, discriminator = game.payoff.generator, game.payoff.discriminator
        latents = 1 if self.Z is None else self.Z
        found = audit(generator, discriminator, self.X, latents, self.objective).certificate
        if found is None:
            raise ValueError(f"{self.name} has no generator penalty.")
        with torch.no_grad():
            rows = generator(game.batch.latents).numpy()
        moment, optimal = rows.T @ rows / len(rows), self._optimal_moment
        distance = float(np.linalg.norm(moment - optimal) / np.linalg.norm(optimal))
        return judged(found.value, self.value, found.relative_violation, distance)

    @cached_property
    def _projector(self) -> ModuleGame:
        return self._game(*self.players())

    @cached_property
    def _optimal_moment(self) -> Array:
        generator: Any = self.solution.generator
        rows = generator(self.Z)
        return np.asarray(rows.T @ rows / len(rows))

    def _game(self, generator: nn.Module, discriminator: TwoLayerDiscriminator) -> ModuleGame:
        game = ModuleGame(Payoff(generator, discriminator, self.objective))
        latents = np.zeros((1, 1)) if self.Z is None else self.Z
        game.batch = Batch(torch.from_numpy(self.X), torch.from_numpy(latents))
        return game

    def _content(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        return self.options | {"width": self.width}, [self.X] if self.Z is None else [self.X, self.Z]
