"""Is what is predicted at certified saddle points what happens? Predicted and measured rates over step sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count, check_number
from convexgan._tools.files import PathLike
from convexgan._tools.sweeps import run_sweep
from convexgan.dynamics.forecast import measure_gda, predict_gda
from convexgan.dynamics.solved_game import SolvedGame
from convexgan.dynamics.spectrum import PHASES
from convexgan.solve import solve
from convexgan.updates import METHODS

Array = NDArray[np.float64]

BETAS = {"linear": 0.2, "quadratic": 0.3, "polynomial": 0.2}
SWEPT = ("simultaneous", "alternating", "extragradient", "optimistic")
SCALES = np.array([2.0, 1.5, 1.0])


@dataclass(frozen=True)
class ForecastSetting:
    """The setting of a `forecast_sweep`."""

    discriminators: tuple[str, ...]
    methods: tuple[str, ...]
    step_sizes: tuple[float, ...]
    steps: int
    seed: int


@dataclass(frozen=True, eq=False)
class ForecastSweep:
    """Linear generators against the discriminators, at their certified saddle points.

    Attributes
    ----------
    setting : ForecastSetting
    rates, across, measured : (discriminators, methods, step sizes) arrays
        Predicted factors per step, of all directions and of those that are not neutral; the factor of a run.
    phases : (discriminators, methods, step sizes) array of str
        Of all directions.
    """

    setting: ForecastSetting
    rates: Array
    across: Array
    measured: Array
    phases: NDArray[np.str_]

    def rows(self) -> Iterator[tuple[str, str, float, str, float, float, float]]:
        """(discriminator, method, step size, phase, rate, rate across, measured rate): a tidy table."""
        for i, discriminator in enumerate(self.setting.discriminators):
            for j, method in enumerate(self.setting.methods):
                for k, size in enumerate(self.setting.step_sizes):
                    rate, across, seen = (float(a[i, j, k]) for a in (self.rates, self.across, self.measured))
                    yield discriminator, method, size, str(self.phases[i, j, k]), rate, across, seen


def forecast_sweep(
    step_sizes: Sequence[float],
    *,
    discriminators: Sequence[str] = tuple(BETAS),
    methods: Sequence[str] = SWEPT,
    steps: int = 4000,
    seed: int = 0,
    path: PathLike | None = None,
    jobs: int | None = None,
    progress: bool = False,
) -> ForecastSweep:
    """Predicted and measured rates at the saddle points of solved games with 30 samples in three dimensions.

    Parameters
    ----------
    step_sizes : sequence of float
        Of both players.
    discriminators : sequence of str
        "linear", "quadratic", "polynomial".
    methods : sequence of str
        As for `predict_gda`.
    steps : int
        The longest run; slow rates need long ones.
    seed : int
        Draws samples and latents.
    path, jobs, progress
        As for `convexgan.linear_gan.sweep`.

    Raises
    ------
    ValueError
        step_sizes, discriminators or methods is empty, or a name is unknown.
    """
    setting = ForecastSetting(
        tuple(check_choice(name, "discriminator", BETAS) for name in discriminators),
        tuple(check_choice(name, "method", METHODS) for name in methods),
        tuple(check_number(size, "step sizes", positive=True) for size in step_sizes),
        check_count(steps, "steps"),
        check_count(seed, "seed", 0),
    )
    shape = (len(setting.discriminators), len(setting.methods), len(setting.step_sizes))
    if not all(shape):
        raise ValueError("step_sizes, discriminators and methods must hold at least one each.")
    found = run_sweep(
        partial(compare, setting),
        [(name, method) for name in setting.discriminators for method in setting.methods],
        (len(setting.step_sizes), 4),
        kind="forecast sweep",
        setting=asdict(setting),
        path=path,
        jobs=jobs,
        progress=progress,
    )
    rates, across, measured, phases = np.moveaxis(found.reshape(*shape, 4), -1, 0)
    return ForecastSweep(setting, rates, across, measured, np.array(PHASES)[phases.astype(int)])


def compare(setting: ForecastSetting, task: tuple[str, str]) -> Array:
    """(step sizes, 4): predicted rate, rate across, measured rate and the phase's place in `PHASES`."""
    discriminator, method = task
    rng = np.random.default_rng(setting.seed)
    X, Z = rng.standard_normal((30, 3)) * SCALES + 0.3, rng.standard_normal((30, 4))
    game = SolvedGame(solve(X, Z, discriminator=discriminator, beta=BETAS[discriminator]), X)
    rows = []
    for size in setting.step_sizes:
        told = predict_gda(game, size, method)
        with np.errstate(over="ignore", invalid="ignore"):
            seen = measure_gda(game, size, method, steps=setting.steps, rng=setting.seed)
        rows.append([told.rate, told.across.rate, seen, PHASES.index(told.phase)])
    return np.array(rows)
