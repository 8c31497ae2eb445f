"""What is passed by mistake: the error is a ValueError that names the argument and the repair, before any work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convexgan as cg
from convexgan.arrangements import interpolate
from convexgan.arrangements.maximum import maximize
from convexgan.dynamics import MeanMatching, simulate
from convexgan.progressive import ProgressiveConvexGAN

X = np.random.default_rng(0).standard_normal((20, 3))
DIGITS = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
SEEDED: dict[str, Callable[[Any], object]] = {
    "solve": lambda rng: cg.solve(X, cg.GaussianLatent(3), beta=1.0, rng=rng),
    "program": lambda rng: cg.program(X, cg.GaussianLatent(3), beta=1.0, rng=rng),
    "sample": lambda rng: cg.solve(X, cg.GaussianLatent(3), beta=1.0).generator.sample(3, rng),
    "ipm": lambda rng: cg.ipm(X, X + 1, "linear", rng=rng),
    "held_out": lambda rng: cg.held_out(X, X, resamples=2, rng=rng),
    "two_sample_test": lambda rng: cg.two_sample_test(X, X, "linear", permutations=2, rng=rng),
    "maximize": lambda rng: maximize(X, np.ones(20), rng=rng),
    "interpolate": lambda rng: interpolate(X, np.abs(X[:, 0]), rng=rng),
    "simulate": lambda rng: simulate(MeanMatching(2, 3, 4), [2], (0.1, 0.1), steps=1, seeds=1, rng=rng),
    "fit": lambda rng: ProgressiveConvexGAN(random_state=rng, ranks=[2, 2]).fit(DIGITS),
}


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("seed", [-1, "a", 1.5])
def test_seeds_are_checked(name: str, seed: Any) -> None:
    with pytest.raises(ValueError, match=r"(rng|random_state) must be an integer >= 0"):
        SEEDED[name](seed)


@pytest.mark.parametrize("name", SEEDED)
def test_seeds_are_accepted(name: str) -> None:
    SEEDED[name](3)


def test_an_estimator_checks_its_seed_as_scikit_learn_does() -> None:
    with pytest.raises(ValueError, match="cannot be used to seed"):
        cg.ConvexWGAN(random_state="a").fit(X)
