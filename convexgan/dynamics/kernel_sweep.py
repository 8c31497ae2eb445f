"""Do points find all modes under a kernel discriminator? Distances after training, over bandwidths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_count, check_number
from convexgan._tools.files import PathLike
from convexgan._tools.sweeps import run_sweep
from convexgan.dynamics.kernel_games import KernelGame, linearize, simulate_points
from convexgan.dynamics.kernels import GaussianKernel
from convexgan.dynamics.spectrum import predict
from convexgan.dynamics.transport import wasserstein

Array = NDArray[np.float64]

MODES = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
START = 0.3  # standard deviation of the points around the middle
REACH = 0.2  # step of the points, in squared bandwidths: as far for every bandwidth


@dataclass(frozen=True)
class CollapseSetting:
    """The setting of a `collapse_sweep`."""

    widths: tuple[float, ...]
    lams: tuple[float, ...]
    seeds: int
    steps: int
    seed: int


@dataclass(frozen=True, eq=False)
class CollapseSweep:
    """Four points trained on four modes.

    Attributes
    ----------
    setting : CollapseSetting
    distances : (lams, widths, seeds) array
        W2 between the trained points and the modes, whose nearest neighbours are 2 apart.
    rates : (lams, widths) array
        Predicted factor per step near the modes.
    """

    setting: CollapseSetting
    distances: Array
    rates: Array

    @property
    def frozen(self) -> NDArray[np.bool_]:
        """(lams,) whether a point far from all modes is predicted to stand still: lam^2 > gamma q^2 eta_g / eta_d."""
        return np.asarray(np.square(self.setting.lams) > REACH / len(MODES) ** 2)

    def rows(self) -> Iterator[tuple[float, float, int, float, float]]:
        """(regularisation, bandwidth, seed, distance after training, predicted rate at the modes): a tidy table."""
        for i, lam in enumerate(self.setting.lams):
            for j, width in enumerate(self.setting.widths):
                for s in range(self.setting.seeds):
                    yield lam, width, s, float(self.distances[i, j, s]), float(self.rates[i, j])


def collapse_sweep(
    widths: Sequence[float],
    lams: Sequence[float] = (0.05, 0.2),
    *,
    seeds: int = 20,
    steps: int = 2000,
    seed: int = 0,
    path: PathLike | None = None,
    jobs: int | None = None,
    progress: bool = False,
) -> CollapseSweep:
    """Trainings of four points from the middle of four modes (+-1, +-1), over bandwidths of a Gaussian kernel.

    Alternating, with steps eta_d = 1 of the critic and eta_g = bandwidth^2 / 5 of the points: a lone point freezes for
    lam above .112 at any bandwidth, and runs below, by the dynamics of isolated points linearised as in Becker et al.,
    arXiv 2208.09938.

    Parameters
    ----------
    widths : sequence of float
        Bandwidths, in the units of the modes.
    lams : sequence of float
        Regularisations, below 2.
    seeds, steps : int
        Runs, and their steps.
    seed : int
        Draws the first points, the same for every bandwidth and regularisation.
    path, jobs, progress
        As for `convexgan.linear_gan.sweep`.

    Raises
    ------
    ValueError
        widths or lams is empty, or a lam is at least 2, where the critic diverges.
    """
    setting = CollapseSetting(
        tuple(check_number(width, "widths", positive=True) for width in widths),
        tuple(check_number(lam, "lams", positive=True) for lam in lams),
        check_count(seeds, "seeds"),
        check_count(steps, "steps"),
        check_count(seed, "seed", 0),
    )
    if not setting.widths or not setting.lams or max(setting.lams) >= 2:
        raise ValueError("widths and lams must hold at least one each, the critic diverges for lam >= 2.")
    found = run_sweep(
        partial(train, setting),
        [(lam, width) for lam in setting.lams for width in setting.widths],
        (setting.seeds + 1,),
        kind="kernel sweep",
        setting=asdict(setting),
        path=path,
        jobs=jobs,
        progress=progress,
    ).reshape(len(setting.lams), len(setting.widths), -1)
    return CollapseSweep(setting, found[..., :-1], found[..., -1])


def train(setting: CollapseSetting, task: tuple[float, float]) -> Array:
    """(seeds + 1,): distances after training, and the predicted rate at the modes."""
    lam, width = task
    game, rates = KernelGame(MODES, GaussianKernel(width), lam), (REACH * width**2, 1.0)
    start = START * np.random.default_rng(setting.seed).standard_normal((setting.seeds, *MODES.shape))
    path = simulate_points(game, start, rates, steps=setting.steps)
    told = predict(linearize(game, MODES), rates).rate
    return np.append(wasserstein(path[-1], MODES), told)
