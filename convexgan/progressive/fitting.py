"""The stages of a progressive model, solved one after another, each fed with the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import warn_user
from convexgan.progressive.conditional import ClassMoments, JointStage, with_levels
from convexgan.progressive.ranks import SETTLED, Level
from convexgan.progressive.stages import Coupling, Latents, Stage, solve_stage
from convexgan.progressive.streaming import StageData, StageMoments
from convexgan.progressive.sums import enlarge
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
Solved = Iterator[tuple[Stage | JointStage, Moments | None]]
NOTHING = 1e-9  # share of the largest eigenvalue that is rounding


@dataclass(frozen=True)
class Recursion:
    """How a stage follows from the one before.

    Attributes
    ----------
    latents, coupling, latent_dim, skip
        As of `ProgressiveConvexGAN`.
    channels : int
    """

    latents: Latents
    coupling: Coupling
    latent_dim: int
    skip: bool
    channels: int

    def stages(self, moments: StageMoments, sizes: list[int], levels: list[Level]) -> Solved:
        """The stages of pictures without classes, each with the moments it was solved from."""
        chain: list[Stage] = []
        for size, level in zip(sizes, levels, strict=True):
            data = moments.at(size, self._within(level, chain))
            chain.append(self._solve(data, size, chain))
            yield chain[-1], data.moments
            del data  # the next size may need all the memory

    def joint_stages(self, moments: ClassMoments, sizes: list[int], levels: list[Level]) -> Solved:
        """The stages of all classes, size by size."""
        counts, joint = moments.counts, list[JointStage]()
        for size, level in zip(sizes, with_levels(levels, counts, sizes, self.channels), strict=True):
            data, beta = moments.at(size, self._within(level, joint))
            stages = tuple(self._solve(own, size, chain_of(joint, i)) for i, own in enumerate(data))
            joint.append(JointStage(stages, counts, moments.classes, beta))
            yield joint[-1], None

    def _within(self, level: Level, chain: Sequence[Stage | JointStage]) -> Level:
        """The level, a chosen rank within that of the stage before where that has all the noise, or is fine enough."""
        before = chain[-1] if chain else None
        limit = None if before is None or self.skip or before.size < SETTLED else before.rank
        if self.latents == "single":
            limit = self.latent_dim if before is None else before.rank
        return level if limit is None or level.most is None else replace(level, most=min(level.most, limit))

    def _solve(self, data: StageData, size: int, chain: list[Stage]) -> Stage:
        """The stage at one size, on the pictures or on their detail."""
        how: dict[str, Any] = {"latents": self.latents, "coupling": self.coupling, "latent_dim": self.latent_dim}
        if not chain:
            return solve_stage(data, size, self.channels, None, **how)
        last = chain[-1]
        previous = enlarge(last.factor, last.size, size, self.channels)
        if not self.skip:
            return solve_stage(data, size, self.channels, previous, **how)
        stage = solve_stage(data, size, self.channels, None, **how)
        q, k = len(previous), len(stage.factor)
        return replace(
            stage,
            mean=stage.mean + enlarge(last.mean[None, :], last.size, size, self.channels)[0],
            factor=np.vstack([previous, stage.factor]),
            carry=np.eye(q, q + k),
            fresh=np.hstack([np.zeros((len(stage.fresh), q)), stage.fresh]),
        )


def chain_of(stages: Sequence[Any], i: int) -> list[Stage]:
    """The stages of a class, by its place; of all pictures where there are no classes."""
    return [stage.parts[i] if isinstance(stage, JointStage) else stage for stage in stages]


def warn_of_no_shrinkage(stages: Sequence[Stage], n: int) -> None:
    """Warn where the pictures are so few that all their directions are kept: nothing is left for beta."""
    few = [s for s in stages if n <= s.mean.size and s.eigenvalues.max(initial=0.0) > 0]
    sizes = [s.size for s in few if s.beta <= NOTHING * s.eigenvalues.max()]
    if sizes:
        warn_user(
            f"{n} pictures have {n - 1} directions of variation, all of which are kept at size "
            f"{', '.join(map(str, sizes))}, where beta is 0 up to rounding: there the model is the mean and covariance "
            f"of these pictures and nothing more. Pass ranks below {n - 1}, betas, or more pictures."
        )
