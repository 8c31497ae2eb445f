"""Does a wider generator train more reliably, and faster? Exact runs over widths, depths and discriminators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count, check_number
from convexgan._tools.files import PathLike
from convexgan._tools.sweeps import run_sweep
from convexgan.dynamics.deep import DeepMatching, draw_deep, simulate_deep
from convexgan.dynamics.overparameterized import modes
from convexgan.dynamics.spectrum import predict

Array = NDArray[np.float64]

VARIANTS = {
    "linear": (DeepMatching(), "simultaneous"),
    "exact linear": (DeepMatching(), "alternating"),  # with mu = 1: the discriminator is solved in every step
    "random features": (DeepMatching(features=4), "simultaneous"),
    "two layers": (DeepMatching(layers=2), "simultaneous"),
}
MU = 0.5
SUCCESS = 1e-3  # of the first residual


@dataclass(frozen=True)
class WidthSetting:
    """The setting of a `width_sweep`."""

    variants: tuple[str, ...]
    widths: tuple[int, ...]
    seeds: int
    steps: int
    share: float
    seed: int


@dataclass(frozen=True, eq=False)
class WidthSweep:
    """Trainings of generators of many widths.

    Attributes
    ----------
    setting : WidthSetting
    ratios : (variants, widths, seeds) array
        Final over initial residual; infinite where a run diverged.
    reached : (variants, widths, seeds) array
        Steps until the residual is a thousandth of its first; infinite where it never was.
    rates : (variants, widths, seeds) array
        Predicted factor per step of the slowest mode at the first weights; 1 where a mode cannot move.
    """

    setting: WidthSetting
    ratios: Array
    reached: Array
    rates: Array

    @property
    def failures(self) -> Array:
        """(variants, widths) shares of runs that never came to a thousandth."""
        share: Array = np.mean(~np.isfinite(self.reached), axis=-1)
        return share

    def rows(self) -> Iterator[tuple[str, int, int, float, float, float]]:
        """(variant, width, seed, residual ratio, steps to a thousandth, predicted rate): a tidy table."""
        for i, variant in enumerate(self.setting.variants):
            for j, width in enumerate(self.setting.widths):
                for s in range(self.setting.seeds):
                    ratio, reached, rate = (float(a[i, j, s]) for a in (self.ratios, self.reached, self.rates))
                    yield variant, width, s, ratio, reached, rate


def width_sweep(
    widths: Sequence[int],
    *,
    variants: Sequence[str] = tuple(VARIANTS),
    seeds: int = 40,
    steps: int = 600,
    share: float = 0.3,
    seed: int = 0,
    path: PathLike | None = None,
    jobs: int | None = None,
    progress: bool = False,
) -> WidthSweep:
    """Trainings from random weights at every width, each variant at the same share of its own largest stable step.

    Generators of 10 latents, 40 of them, match a mean in 5 dimensions; the discriminator's step is mu = 1/2. The
    generator's is share / (median over seeds of the largest eigenvalue of JJ'), beyond 1 the linearisation diverges.

    Parameters
    ----------
    widths : sequence of int
        Neurons of every trained layer.
    variants : sequence of str
        "linear" discriminator, "exact linear" (solved in every step), "random features" (4 of them), "two layers"
        (of the generator).
    seeds, steps : int
        Runs of each, and their steps.
    share : float
        Below 1.
    seed : int
        Draws everything; a run depends on its variant, width and number only.
    path, jobs, progress
        As for `convexgan.linear_gan.sweep`.

    Raises
    ------
    ValueError
        widths or variants is empty.
    """
    setting = WidthSetting(
        tuple(check_choice(variant, "variant", VARIANTS) for variant in variants),
        tuple(check_count(width, "widths") for width in widths),
        check_count(seeds, "seeds"),
        check_count(steps, "steps"),
        check_number(share, "share", positive=True),
        check_count(seed, "seed", 0),
    )
    if not setting.widths or not setting.variants:
        raise ValueError("widths and variants must hold at least one each.")
    tasks = [(variant, width) for width in sorted(setting.widths, reverse=True) for variant in setting.variants]
    found = run_sweep(
        partial(train, setting),
        tasks,
        (3, setting.seeds),
        kind="overparameterisation sweep",
        setting=asdict(setting),
        path=path,
        jobs=jobs,
        progress=progress,
    )
    known = dict(zip(tasks, found, strict=True))
    arrays = np.array([[known[variant, width] for width in setting.widths] for variant in setting.variants])
    return WidthSweep(setting, arrays[:, :, 0], arrays[:, :, 1], arrays[:, :, 2])


def train(setting: WidthSetting, task: tuple[str, int]) -> Array:
    """(3, seeds): residual ratios, steps to success and predicted rates of one variant at one width."""
    variant, width = task
    matching, method = VARIANTS[variant]
    mu = 1.0 if variant == "exact linear" else MU
    rng = [setting.seed, list(VARIANTS).index(variant), width]
    game, layers = draw_deep(matching, width, setting.seeds, rng)
    eta = setting.share / float(np.median(np.linalg.eigvalsh(game.kernels(layers))[:, -1]))
    runs = simulate_deep(matching, width, (eta, mu), steps=setting.steps, seeds=setting.seeds, method=method, rng=rng)
    size = np.linalg.norm(runs.residuals[:, :, 0], axis=-1)
    small = size <= SUCCESS * size[0]
    reached = np.where(small.any(axis=0), small.argmax(axis=0), np.inf)
    told = predict(modes(runs.kernels[:, 0]), (eta, mu), method).rate.max(axis=-1)
    return np.stack([runs.ratio[:, 0], reached, told])
