"""Limits in seconds: every verb that searches ends in time, with the best that is proved by then."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import convexgan as cg
from convexgan.generators import Linear, Mixture, TwoLayerReLU

LATE = 1.0  # seconds after the limit
TRIES = 3  # of which all have to be late: the machine may have had other things to do
ANYWHERE = Mixture(support="continuous")


class Draw:
    """Samples and options of one call."""

    def __init__(self, seed: int, most: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.limit = float(10 ** rng.uniform(np.log10(0.05), 0))
        n, d = int(10 ** rng.uniform(1, np.log10(most))), int(rng.integers(1, 7))
        self.X = rng.standard_normal((n, d)) * 10 ** rng.uniform(-1, 1, d) + rng.normal() * rng.integers(0, 2)
        self.Y = 1.1 * self.X[rng.permutation(n)] + 0.1 * rng.standard_normal((n, d))
        self.size = float(np.sqrt((self.X**2).sum(axis=1).mean()))
        self.bias = str(rng.choice(["none", "penalized"]))
        self.budget = (
            {"beta": self.size * rng.choice([0.01, 0.05, 0.2])}
            if rng.random() < 0.6
            else {"lam": self.size * rng.choice([0.3, 2.0])}
        )
        self.latents = rng.standard_normal((int(rng.integers(5, 100)), int(rng.integers(1, d + 2))))
        self.game = {"discriminator": "relu", "time_limit": self.limit} | self.budget

    @property
    def near(self) -> np.ndarray:
        """The data and other particles."""
        return np.vstack([self.X[:300], self.size * self.rng.standard_normal((300, self.X.shape[1]))])

    def claim(self) -> cg.Certificate:
        """A certificate to be verified."""
        return cg.certify(self.X, self.Y, discriminator="relu", bias=self.bias, beta=0.1 * self.size, time_limit=0.1)


def solve(draw: Draw, *latents: Any, **options: Any) -> Any:
    return cg.solve(draw.X, *latents, **({"bias": draw.bias} | draw.game | options))


VERBS: dict[str, tuple[int, Callable[[Draw], Callable[[], Any]]]] = {  # the most rows, and the call
    "ipm": (100_000, lambda q: lambda: cg.ipm(q.X, q.Y, bias=q.bias, time_limit=q.limit)),
    "ipm, many rows": (300_000, lambda q: lambda: cg.ipm(q.X, q.Y, "squared_relu", bias=q.bias, time_limit=q.limit)),
    "ipm, sampled": (30_000, lambda q: lambda: cg.ipm(q.X, q.Y, "absolute", method="sampled", time_limit=q.limit)),
    "ipm, free offsets": (100_000, lambda q: lambda: cg.ipm(q.X, q.Y, bias="free", time_limit=q.limit)),
    "ipm, half-spaces": (100_000, lambda q: lambda: cg.ipm(q.X, q.Y, "threshold", time_limit=q.limit)),
    "test, free offsets": (30_000, lambda q: lambda: cg.two_sample_test(q.X, q.Y, bias="free", time_limit=q.limit)),
    "test, half-spaces": (30_000, lambda q: lambda: cg.two_sample_test(q.X, q.Y, "threshold", time_limit=q.limit)),
    "two_sample_test": (30_000, lambda q: lambda: cg.two_sample_test(q.X, q.Y, bias=q.bias, time_limit=q.limit)),
    "test, squared": (5_000, lambda q: lambda: cg.two_sample_test(q.X, q.Y, "squared_relu", time_limit=q.limit)),
    "mixture": (1_000, lambda q: lambda: solve(q, generator=Mixture(q.near))),
    "mixture, free offsets": (1_000, lambda q: lambda: solve(q, generator=Mixture(q.near), bias="free")),
    "balance": (1_000, lambda q: lambda: cg.balance(q.X, q.Y, bias=q.bias, time_limit=q.limit)),
    "balance, within beta": (1_000, lambda q: lambda: cg.balance(q.X, q.Y, beta=0.5, time_limit=q.limit)),
    "mixture of the data": (500, lambda q: lambda: solve(q, generator="mixture")),
    "mixture, squared": (200, lambda q: lambda: solve(q, generator=Mixture(q.near), discriminator="squared_relu")),
    "anywhere": (500, lambda q: lambda: solve(q, generator=ANYWHERE)),
    "free": (200, lambda q: lambda: solve(q, generator="free")),
    "linear": (300, lambda q: lambda: solve(q, q.latents, generator="linear")),
    "network": (100, lambda q: lambda: solve(q, q.latents[:40], generator="relu")),
    "network, moments": (100, lambda q: lambda: solve(q, q.latents[:40], generator="relu", discriminator="quadratic")),
    "gaussian": (1_000, lambda q: lambda: solve(q, cg.GaussianLatent(q.latents.shape[1]), bias="none")),
    "gaussian, moved": (
        300,
        lambda q: lambda: solve(q, cg.GaussianLatent(3), generator=Linear(bias=True), bias="none"),
    ),
    "weight decay": (
        300,
        lambda q: (
            lambda: solve(
                q, q.latents, generator=TwoLayerReLU(), discriminator="linear", regularizer="weights", bias="none"
            )
        ),
    ),
    "out of reach": (
        300,
        lambda q: (
            lambda: solve(q, generator=Mixture(q.near[300:] + 9 * q.size), beta=0.01 * q.size, lam=None, throw=False)
        ),
    ),
    "certify": (1_000, lambda q: lambda: cg.certify(q.X, q.Y, bias=q.bias, **q.game)),
    "verify": (1_000, lambda q: (lambda claim: lambda: cg.verify(claim, q.X, time_limit=q.limit))(q.claim())),
    "path": (
        100,
        lambda q: (
            lambda: cg.path(q.X, betas=[0.1 * q.size], generator="mixture", discriminator="relu", time_limit=q.limit)
        ),
    ),
}


def late(verb: str, seed: int) -> float:
    """By how much a call ends after its limit, by the clock and by the processor's: the first counts other programs."""
    most, prepared = VERBS[verb]
    draw = Draw(seed, most)
    call = prepared(draw)
    start, used = time.perf_counter(), time.process_time()
    with suppress(cg.SolverError, cg.InfeasibleError):  # an answer too
        sound(call())
    return min(time.perf_counter() - start, time.process_time() - used) - draw.limit


def sound(found: Any) -> None:
    """Assert that numbers are on the right side of each other."""
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, cg.Solution) and one.certificate is not None:
            assert one.status in ("optimal", "stopped")
        proof = getattr(one, "certificate", one)
        if isinstance(proof, cg.Certificate) and proof.kind not in ("infeasible", None):
            assert proof.bound <= proof.value + proof.rounding + 1e-6 * abs(proof.value)
        if isinstance(one, cg.IPM):
            assert 0 < one.value <= one.upper_bound and one.status in ("optimal", "stopped")


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What takes seconds the first time: cvxpy, scipy's solvers."""
    X = np.array([[1.0, 0.5], [-1.0, 0.2], [0.3, -1.0]])
    cg.solve(X, discriminator="relu", generator=ANYWHERE, beta=0.1)
    cg.solve(X, discriminator="relu", generator=Mixture(0.9 * X), beta=0.2)
    cg.solve(X - X.mean(axis=0), cg.GaussianLatent(2), discriminator="relu", beta=0.2)


@pytest.mark.parametrize("verb", VERBS)
def test_every_call_ends_in_time(verb: str) -> None:
    for seed in range(3):
        delays = []
        while len(delays) < TRIES and (not delays or delays[-1] > LATE):
            delays.append(late(verb, seed))
        assert min(delays) <= LATE, (verb, seed, delays)


@pytest.mark.parametrize("d", [4, 5])
@pytest.mark.parametrize("share", [0.1, 0.2])
def test_gaussian_laws_under_a_limit_are_within_beta(d: int, share: float) -> None:
    """The last iterate of the programs sees too little of the data: the answer lies towards their covariance."""
    X = np.random.default_rng(d).standard_normal((200, d)) * np.linspace(2, 0.5, d)
    X -= X.mean(axis=0)
    beta = share * float(np.sqrt((X**2).sum(axis=1).mean()))
    found = []
    for limit in (0.4, 1.5, 4.0):  # on a busy machine the first is short
        proof = cg.solve(X, cg.GaussianLatent(d), discriminator="relu", beta=beta, time_limit=limit).certificate
        found.append(proof.kind)
        assert proof.kind == "infeasible" or (proof.relative_violation <= 1e-6 and proof.bound <= proof.value)
        if proof.kind != "infeasible":
            return
    raise AssertionError(found)
