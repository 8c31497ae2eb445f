"""Families of problems with parameters and seeds: as many as wanted, each with a certified optimum."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count, check_number
from convexgan.problems.catalogue import HIDDEN_CONVEXITY, centred, crossed, parting, pixels, rounded
from convexgan.problems.conditional import ConditionalProblem
from convexgan.problems.gans import GANProblem
from convexgan.problems.kernels import KernelProblem
from convexgan.problems.mixtures import MixtureProblem
from convexgan.problems.problem import Problem
from convexgan.problems.saddles import SaddleProblem
from convexgan.problems.stochastic import BatchProblem, StochasticProblem

Random = np.random.Generator


def rotated(rows: NDArray[np.float64], random: Random) -> NDArray[np.float64]:
    """The rows in a random orthonormal basis."""
    d = rows.shape[1]
    return rounded(rows @ np.linalg.qr(random.standard_normal((d, d)))[0])


def spectrum(random: Random, columns: int, active: int) -> NDArray[np.float64]:
    """Variances of which as many as asked for lie above 2, the others below 0.8: a beta of 1 parts them."""
    if active > columns:
        raise ValueError(f"active is {active}, of {columns} columns: at most all of them can be.")
    return np.concatenate([random.uniform(2, 9, active), random.uniform(0.1, 0.8, columns - active)])


def linear(random: Random, name: str, columns: int = 5, latents: int = 3, beta: float = 0.3) -> Problem:
    X = rounded(random.standard_normal((20 * columns, columns)) + random.uniform(0.5, 1.5, columns))
    Z = rounded(random.standard_normal((20 * columns, latents)) + 1)
    options: dict[str, Any] = {"discriminator": "linear", "beta": beta}
    return GANProblem(name, "means, linear generator", HIDDEN_CONVEXITY, X=X, Z=Z, width=4, **options)


def quadratic(random: Random, name: str, columns: int = 5, active: int = 3, surplus: int = 0) -> Problem:
    X, Z = rotated(crossed(spectrum(random, columns, active)), random), crossed(np.ones(columns))
    more = "more" if surplus >= 0 else "fewer"
    text = f"{active} active directions, {abs(surplus)} neurons {more} than the critical width"
    options: dict[str, Any] = {"discriminator": "quadratic", "beta": 1.0}
    width = check_count(active + surplus, "active + surplus")
    return GANProblem(name, text, HIDDEN_CONVEXITY, X=X, Z=Z, width=width, **options)


def no_saddle(random: Random, name: str, columns: int = 3) -> Problem:
    text = "weight decay and latents that are not white: the optimum is proved, but there is no saddle point"
    X = rotated(crossed(spectrum(random, columns, columns)), random)
    Z = crossed(np.sort(random.uniform(1, 2, columns))[::-1] * 2.0 ** -np.arange(columns))
    options: dict[str, Any] = {"discriminator": "quadratic", "regularizer": "weights", "beta": 1.0}
    return GANProblem(name, text, HIDDEN_CONVEXITY, X=X, Z=Z, width=2 * columns, **options)


def polynomial(random: Random, name: str, columns: int = 3, latents: int = 4, beta: float = 0.05) -> Problem:
    sizes = np.sqrt(random.uniform(1, 4, columns))
    X = rounded(random.standard_normal((60 * columns, columns)) * sizes + 0.5)
    Z = rounded(random.standard_normal((60 * columns, latents)) + 0.5)
    options: dict[str, Any] = {"discriminator": "polynomial", "beta": beta}
    text = "means and covariances together, the polynomial fit of a ReLU"
    return GANProblem(name, text, HIDDEN_CONVEXITY, X=X, Z=Z, width=8, **options)


def relu_mixture(random: Random, name: str, rows: int = 40, side: int = 7, beta: float = 0.05) -> Problem:
    axis = np.linspace(-2, 2, check_count(side, "side", 2))
    particles = rounded(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    X = rounded(random.standard_normal((rows, 2)) * random.uniform(0.5, 1.0, 2))
    options: dict[str, Any] = {"discriminator": "relu", "beta": beta}
    text = f"ReLU neurons against a law on {side**2} particles in the plane"
    return MixtureProblem(name, text, "convexgan, docs/games.md", X=X, particles=particles, width=8, **options)


def bilinear(random: Random, name: str, columns: int = 3, curvature: float = 0.0) -> SaddleProblem:
    M = rounded(random.standard_normal((columns, columns)) / np.sqrt(columns))
    where = [torch.from_numpy(rounded(random.standard_normal(columns))) for _ in range(2)]
    text = f"c |x|^2 / 2 + x'My - c |y|^2 / 2 in twice {columns} numbers, c = {curvature:g}, moved to a random saddle"
    return SaddleProblem(name, text, "Korpelevich, 1976", M=M, curvature=check_number(curvature, "curvature"), at=where)


def kernel(
    random: Random, name: str, columns: int = 2, rows: int = 20, features: int = 50, ridge: float = 0.1
) -> Problem:
    X = rounded(random.standard_normal((rows, columns)) * 0.5 + random.choice([-1.5, 1.5], (rows, 1)))
    frequencies = rounded(random.standard_normal((features, columns)))
    phases = rounded(random.uniform(0, 2 * np.pi, features))
    text = f"{rows} points against {features} random features of a Gaussian kernel"
    parts: dict[str, Any] = {"X": X, "frequencies": frequencies, "phases": phases}
    return KernelProblem(name, text, "Rahimi, Recht, 2007", **parts, ridge=check_number(ridge, "ridge", positive=True))


def relu_line(random: Random, name: str, rows: int = 10, beta: float = 0.1) -> Problem:
    X = rounded(random.choice([-1.0, 1.0], (rows, 1)) + 0.3 * random.standard_normal((rows, 1)))
    options: dict[str, Any] = {"discriminator": "relu", "generator": "free", "bias": "free", "beta": beta}
    text = f"{rows} free points on the line, ReLU neurons with a free bias"
    return GANProblem(name, text, HIDDEN_CONVEXITY, X=X, Z=None, width=2 * rows, **options)


def particles(
    random: Random, name: str, columns: int = 3, rows: int = 10, discriminator: str = "quadratic", beta: float = 0.3
) -> Problem:
    X = rounded(random.standard_normal((rows, columns)) * random.uniform(0.5, 2, columns) + 0.5)
    options: dict[str, Any] = {"discriminator": discriminator, "generator": "free", "beta": beta}
    text = f"{rows} free points in {columns} dimensions, {discriminator} neurons"
    return GANProblem(name, text, HIDDEN_CONVEXITY, X=X, Z=None, width=2 * columns, **options)


def pictures(
    random: Random, name: str, source: str = "digits", size: int = 8, rows: int = 200, directions: int = 6
) -> Problem:
    known = pixels(source, size)
    if rows > len(known):
        raise ValueError(f"rows is {rows}, of the {len(known)} pictures of {source}: at most all of them can be.")
    X = centred(known[np.sort(random.choice(len(known), rows, replace=False))])
    if not directions < min(X.shape):
        raise ValueError(f"directions is {directions}, of {min(X.shape)}: fewer can be parted from the others.")
    options: dict[str, Any] = {"discriminator": "quadratic", "beta": parting(X, directions)}
    Z = rounded(random.standard_normal((rows, directions + 6)))
    text = f"{rows} of the {source} pictures at {size} pixels, {directions} directions"
    return GANProblem(name, text, HIDDEN_CONVEXITY, X=X, Z=Z, width=2 * directions, **options)


def conditional(
    random: Random, name: str, classes: int = 3, columns: int = 3, discriminator: str = "quadratic", beta: float = 0.3
) -> Problem:
    counts = 6 * columns * (2 + np.arange(classes))
    labels = np.repeat(np.arange(classes), counts)
    sizes = random.uniform(1.5, 3, (classes, columns))[labels]
    X = rounded(random.standard_normal((len(labels), columns)) * sizes + random.uniform(1, 2, (classes, 1))[labels])
    Z = rounded(random.standard_normal((20 * columns, columns + 1)) + (discriminator != "quadratic"))
    text = f"{classes} classes of {counts[0]} to {counts[-1]} rows, {discriminator} neurons that see one class each"
    options: dict[str, Any] = {"discriminator": discriminator, "beta": beta}
    return ConditionalProblem(name, text, "convexgan, docs/conditional.md", X=X, labels=labels, Z=Z, width=6, **options)


def batches(
    random: Random, name: str, discriminator: str = "linear", columns: int = 3, batch: int = 64, beta: float = 0.5
) -> Problem:
    X = rounded(random.standard_normal((256, columns)) * random.uniform(1, 2, columns) + 1)
    Z = rounded(random.standard_normal((256, columns)) + 1)
    text = f"gradients of batches of {batch} of 256 rows and latents, {discriminator} neurons"
    options: dict[str, Any] = {"discriminator": discriminator, "beta": beta, "batch": batch}
    return BatchProblem(name, text, HIDDEN_CONVEXITY, X=X, Z=Z, width=2 * columns, **options)


def stochastic(
    random: Random,
    name: str,
    columns: int = 3,
    curvature: float = 0.5,
    slopes: float = 0.5,
    shifts: float = 0.0,
    batch: int = 1,
) -> Problem:
    drawn = bilinear(random, name, columns, curvature)
    spread = [check_number(size, text) for size, text in ((slopes, "slopes"), (shifts, "shifts"))]
    N, g = (
        rounded(size * random.standard_normal((16, *shape)))
        for size, shape in zip(spread, ((columns, columns), (2, columns)), strict=True)
    )
    parts: dict[str, Any] = {"slopes": np.concatenate([N, -N]), "shifts": np.concatenate([g, -g])}
    parts |= {"M": drawn.M.numpy(), "curvature": curvature, "at": drawn.at}
    text = f"{drawn.description}; batches of {batch} of 32 terms, slopes of size {slopes:g} and shifts of {shifts:g}"
    return StochasticProblem(name, text, "Juditsky, Nemirovski, Tauvel, 2011", **parts, batch=batch)


FAMILIES: dict[str, Callable[..., Problem]] = {
    "linear": linear,
    "quadratic": quadratic,
    "quadratic-no-saddle": no_saddle,
    "polynomial": polynomial,
    "relu-mixture": relu_mixture,
    "bilinear": bilinear,
    "kernel": kernel,
    "relu-line": relu_line,
    "particles": particles,
    "pictures": pictures,
    "conditional": conditional,
    "batches": batches,
    "stochastic": stochastic,
}


def families() -> dict[str, dict[str, Any]]:
    """The parameters of every family with their defaults."""
    found = {}
    for name, make in FAMILIES.items():
        parameters = inspect.signature(make).parameters.values()
        found[name] = {part.name: part.default for part in parameters if part.default is not part.empty}
    return found


def draw(family: str, seed: int = 0, **parameters: Any) -> Problem:
    """A problem of a family; the same numbers for the same seed and parameters.

    Parameters
    ----------
    family : str
        One of `families`.
    seed : int
        Of its data.
    **parameters
        Those of the family, such as ``columns`` and ``surplus``; see `families`.

    Raises
    ------
    ValueError
        There is no such family, it has no such parameter, or a value makes no problem.

    Examples
    --------
    >>> import convexgan as cg
    >>> below = cg.problems.draw("quadratic", seed=3, columns=6, active=4, surplus=-1)
    >>> below.kind, below.verify()
    ('minimax', True)
    """
    make, known = FAMILIES[check_choice(family, "family", FAMILIES)], families()[family]
    for name in parameters:
        check_choice(name, f"a parameter of {family}", known)
    random = np.random.default_rng([sum(family.encode()), check_count(seed, "seed", 0)])
    given = known | parameters
    for name, default in known.items():
        if isinstance(default, int) and name != "surplus":
            check_count(given[name], name)
    text = ", ".join(f"{name}={value}" for name, value in given.items())
    return make(random, f"{family}({text}, seed={seed})", **given)
