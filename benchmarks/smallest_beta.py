"""The smallest_beta that an InfeasibleError hands back is accepted: how often, in every cell that can be infeasible.

(A generator of mean zero cannot match a mean; latents of rank r cannot match r + 1 eigenvalues; particles may lie far
from the data. ReLU generators with weight decay and free rows against linear neurons are never infeasible.)

Predicted: in all games. A level that is rounded on its way through units (sums, slopes of the activation) is still the
level. Random games of 2 to 6 columns and of sizes from 1e-3 to 1e3, whose latents lack rank or mean, are asked for a
fraction of what is feasible, down to 0, and then for what the error names. Cells that need conic programs get fewer
games. Who is accepted has a certificate without a violation; games that were feasible at once do not count.

Example: python -m benchmarks.smallest_beta --quick
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

import convexgan as cg
from benchmarks._records import recall
from benchmarks._report import parse, write
from convexgan.discriminators import Polynomial
from convexgan.generators import Free, TwoLayerPolynomial, TwoLayerReLU
from convexgan.records.certificate import Certificate

GAMES, PROGRAMS = 10_000, 100
Play = Callable[[float], Certificate | None]  # what the answer at a beta is worth
Draw = Callable[[Generator], tuple[Play, float]]


def main() -> None:
    """Count every cell."""
    options = parse(__doc__)
    rows = []
    for name, (draw, games) in CELLS.items():
        few = games // 50 if options.quick else games
        made = partial(count, draw, few)
        rows.append([name, *(made() if options.quick else recall("smallest_beta", {"cell": name, "games": few}, made))])
        print(rows[-1], flush=True)
    columns = ["cell", "games", "accepted", "solver gave up", "refused: first seed", "milliseconds a game"]
    write("smallest_beta", columns, rows, __doc__ or "", options.quick)


def count(draw: Draw, games: int) -> list[Any]:
    """Infeasible games, those in which smallest_beta was accepted or a solver gave up, a refused one, and the time."""
    accepted, given_up, refused, found, seed, start = 0, 0, "none", 0, 0, time.perf_counter()
    while found < games:
        play, beta = draw(np.random.default_rng(seed))
        try:
            play(beta)
        except cg.SolverError:
            given_up, found = given_up + 1, found + 1
        except cg.InfeasibleError as error:
            verdict, found = attempt(play, error.smallest_beta), found + 1
            accepted += verdict == "accepted"
            refused = f"{seed}: {verdict}" if refused == "none" and verdict != "accepted" else refused
        seed += 1
    return [found, accepted, given_up, refused, 1e3 * (time.perf_counter() - start) / found]


def attempt(play: Play, beta: float) -> str:
    """ "accepted", or why not."""
    try:
        proof = play(beta)
    except (cg.InfeasibleError, cg.SolverError) as error:
        return f"{type(error).__name__} at {beta!r}"
    return "accepted" if proof is not None and proof.kind in ("saddle", "minimax", "bounded") else str(proof)


def solving(X: Any, Z: Any, **options: Any) -> Play:
    """The game of `convexgan.solve`."""
    return lambda beta: cg.solve(X, Z, beta=beta, **options).certificate


# -- cells -----------------------------------------------------------------------------------------------------------


def sample(rng: Generator, centred: bool = False, width: int = 6) -> np.ndarray:
    """Rows of unequal columns, of any size and level."""
    d = int(rng.integers(2, width + 1))
    X = rng.standard_normal((int(rng.integers(2 * d + 1, 30)), d)) * rng.uniform(0.3, 2, d) + rng.standard_normal(d)
    return (X - X.mean(axis=0) * centred) * 10 ** rng.uniform(-3, 3)


def mirrored(rng: Generator, n: int, k: int) -> np.ndarray:
    """Latents whose mean is zero to the last bit, in n rows."""
    half = rng.standard_normal((n // 2, k))
    return np.vstack([half, np.zeros((n % 2, k)), -half])


def mean_matching(reduction: str, regularizer: str, single: bool = False, slope: float = 1.0) -> Draw:
    """Linear neurons and latents of mean zero."""

    def draw(rng: Generator) -> tuple[Play, float]:
        X = sample(rng)
        Z = mirrored(rng, len(X), int(rng.integers(1, 4)))
        X = X.astype(np.float32) if single else X
        rows = len(X) if reduction == "sum" else 1
        neurons = "linear" if slope == 1 else Polynomial(0.0, slope, 0.3)
        given = {"discriminator": neurons, "reduction": reduction, "regularizer": regularizer}
        beta = abs(slope) * rng.choice([0.0, rng.uniform(0, 0.9)]) * rows * np.linalg.norm(X.mean(axis=0))
        return solving(X, Z, generator_penalty=rng.uniform(0.1, 10), **given), float(beta)

    return draw


def second_moments(
    reduction: str = "mean",
    regularizer: str = "output",
    slope: float = 1.0,
    linear: float = 0.0,
    generator: Any = "linear",
    single: bool = False,
) -> Draw:
    """Quadratic neurons, or polynomial ones on centred data, and latents of too low a rank."""

    def draw(rng: Generator) -> tuple[Play, float]:
        X = sample(rng, centred=linear != 0)
        if single:  # products of more than 64 columns are float32
            X = (X.std() * rng.standard_normal((100, 70)) * np.linspace(0.3, 2, 70)).astype(np.float32)
        n, rank = len(X), int(rng.integers(1, min(X.shape)))
        Z: Any = mirrored(rng, n, rank) if linear else rng.standard_normal((n, rank))
        spec = generator
        if generator == "free":
            spec, Z = Free(rank), None
        elif generator == "relu":
            spec, Z = TwoLayerReLU(bias=True), np.repeat(rng.standard_normal((1, 2)), n, axis=0)
        elif generator == "polynomial":
            spec, Z = TwoLayerPolynomial(0.5, 0.3, 0.0), np.repeat(rng.standard_normal((1, 1)), n, axis=0)
        neurons = Polynomial(slope, linear, 0.1)
        top = np.linalg.eigvalsh(X.T.astype(float) @ X / n)[::-1][rank if generator in ("linear", "free") else 1]
        beta = float(rng.choice([0.0, rng.uniform(0, 0.9)]) * top * abs(slope) * (n if reduction == "sum" else 1))
        given = {"discriminator": neurons, "reduction": reduction, "regularizer": regularizer, "generator": spec}
        return solving(X, Z, generator_penalty=rng.uniform(0.1, 10), **given), beta

    return draw


def programs(**options: Any) -> Draw:
    """Latents of too low a rank, or without a mean, against neurons whose game is a semidefinite program."""

    def draw(rng: Generator) -> tuple[Play, float]:
        X = sample(rng, width=4)
        rank = int(rng.integers(1, X.shape[1]))
        top = np.linalg.eigvalsh(X.T @ X / len(X))[-1 - rank]
        slope = 0.09375 if options["discriminator"] == "polynomial" else 1.0
        return solving(X, cg.GaussianLatent(rank), **options), float(rng.uniform(0, 0.5) * top * slope)

    return draw


def pictures(rng: Generator) -> tuple[Play, float]:
    """A pyramid whose second stage has four latents for sixteen pixels."""
    images = np.clip(0.3 * rng.standard_normal((40, 4, 4)), -1, 1)

    def play(beta: float) -> Certificate:
        model = cg.ProgressiveConvexGAN(sizes=[2, 4], betas=[0.0, beta], latents="single", latent_dim=4)
        return model.fit(images).stages_[-1].certificate

    return play, 1e-3


def relu(rng: Generator) -> tuple[Play, float]:
    """ReLU neurons, data off the centre and Gaussian latents, whose mean is zero."""
    X = sample(rng, width=2)
    return solving(X, cg.GaussianLatent(2), discriminator="relu"), 0.02 * float(np.linalg.norm(X.mean(axis=0)))


def mixture(discriminator: str) -> Draw:
    """A few particles away from the data."""

    def draw(rng: Generator) -> tuple[Play, float]:
        X = sample(rng, width=3)
        particles = X[:3] + 3 * X.std() * rng.standard_normal((3, X.shape[1]))
        play = solving(X, None, discriminator=discriminator, generator=cg.generators.Mixture(particles))
        return play, 1e-3 * float(np.linalg.norm(X.mean(axis=0)))

    return draw


CELLS: dict[str, tuple[Draw, int]] = {
    "linear, mean": (mean_matching("mean", "output"), GAMES),
    "linear, sum": (mean_matching("sum", "output"), GAMES),
    "linear, weights, mean": (mean_matching("mean", "weights"), GAMES),
    "linear, weights, sum": (mean_matching("sum", "weights"), GAMES),
    "linear, slope -.37, sum": (mean_matching("sum", "output", slope=-0.37), GAMES),
    "linear, float32, sum": (mean_matching("sum", "output", single=True), GAMES),
    "quadratic, mean": (second_moments(), GAMES),
    "quadratic, sum": (second_moments("sum"), GAMES),
    "quadratic, weights, mean": (second_moments(regularizer="weights"), GAMES),
    "quadratic, weights, sum": (second_moments("sum", "weights"), GAMES),
    "quadratic, slope -.37, sum": (second_moments("sum", slope=-0.37), GAMES),
    "quadratic, float32 of 70 columns, sum": (second_moments("sum", single=True), GAMES),
    "quadratic, free, mean": (second_moments(generator="free"), GAMES),
    "quadratic, polynomial generator, sum": (second_moments("sum", generator="polynomial"), GAMES),
    "quadratic, polynomial generator, lifted": (second_moments(regularizer="lifted", generator="polynomial"), GAMES),
    "quadratic, ReLU generator, sum": (second_moments("sum", generator="relu"), GAMES),
    "polynomial, centred, mean": (second_moments(slope=0.09375, linear=0.5), GAMES),
    "polynomial, centred, sum": (second_moments("sum", slope=0.09375, linear=0.5), GAMES),
    "polynomial, centred, slope -.37, sum": (second_moments("sum", slope=-0.37, linear=0.2), GAMES),
    "ProgressiveConvexGAN, single latents": (pictures, GAMES),
    "polynomial (programs)": (programs(discriminator="polynomial"), PROGRAMS),
    "quadratic, penalised bias (programs)": (programs(discriminator="quadratic", bias="penalized"), PROGRAMS),
    "ReLU neurons, Gaussian latents (programs)": (relu, PROGRAMS),
    "mixture, linear (programs)": (mixture("linear"), PROGRAMS),
    "mixture, quadratic (programs)": (mixture("quadratic"), PROGRAMS),
    "mixture, ReLU neurons (programs)": (mixture("relu"), PROGRAMS),
}


if __name__ == "__main__":
    main()
