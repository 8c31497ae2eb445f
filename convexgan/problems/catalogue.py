"""The problems by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice
from convexgan.problems.gans import GANProblem
from convexgan.problems.mixtures import MixtureProblem
from convexgan.problems.problem import Problem
from convexgan.problems.scalars import ScalarProblem

Array = NDArray[np.float64]
HIDDEN_CONVEXITY = "Sahiner et al., arXiv 2107.05680"
GAP = "Grnarova et al., arXiv 2103.12685"
PHOTO = 92  # pixels along the edge of a photograph's square
RIDGE = "Wang, Zhang, Ba, arXiv 1910.07512"


def rounded(values: Any) -> Array:
    """Multiples of 2^-20, so that a fingerprint does not depend on the last bit of some machine's arithmetic."""
    return np.asarray(np.rint(np.asarray(values, dtype=np.float64) * 2**20) / 2**20)


def gaussian(n: int, spectrum: Any, seed: int, mean: float = 0.0) -> Array:
    """n rows of independent columns with the given variances."""
    return rounded(np.random.default_rng(seed).standard_normal((n, len(spectrum))) * np.sqrt(spectrum) + mean)


def crossed(spectrum: Any) -> Array:
    """Rows +-e_i sqrt(d s_i): mean zero, second moment diag(s)."""
    axes = np.diag(np.sqrt(len(spectrum) * np.asarray(spectrum, dtype=np.float64)))
    return np.concatenate([axes, -axes])


def linear() -> Problem:
    text = "means in five dimensions, linear generator"
    X, Z = gaussian(100, [1, 1, 1, 1, 1], 0, mean=1.0), gaussian(100, [1, 1, 1], 1, mean=1.0)
    return GANProblem("linear", text, HIDDEN_CONVEXITY, X=X, Z=Z, width=4, discriminator="linear", beta=0.3)


def quadratic(name: str, text: str, width: int) -> Problem:
    X, Z = crossed([9, 6, 4, 1.5, 0.4]), crossed([1, 1, 1, 1, 1])
    return GANProblem(name, text, HIDDEN_CONVEXITY, X=X, Z=Z, width=width, discriminator="quadratic", beta=1.0)


def weights() -> Problem:
    text = "weight decay and latents that are not white: the optimum is proved, but there is no saddle point"
    options: dict[str, Any] = {"discriminator": "quadratic", "regularizer": "weights", "beta": 1.0}
    X, Z = crossed([9, 6, 4]), crossed([4, 2, 1])
    return GANProblem("quadratic-no-saddle", text, HIDDEN_CONVEXITY, X=X, Z=Z, width=8, **options)


def polynomial() -> Problem:
    text = "means and covariances together, the polynomial fit of a ReLU"
    X, Z = gaussian(200, [4, 2, 1], 2, mean=0.5), gaussian(200, [1, 1, 1, 1], 3, mean=0.5)
    return GANProblem("polynomial", text, HIDDEN_CONVEXITY, X=X, Z=Z, width=8, discriminator="polynomial", beta=0.05)


def toy() -> Problem:
    text = "two numbers, ReLU neurons with a free bias: the answer is +-(1 - 2 beta)"
    options: dict[str, Any] = {"discriminator": "relu", "generator": "free", "bias": "free", "beta": 0.1}
    X = np.array([[-1.0], [1.0]])
    return GANProblem("relu-toy", text, HIDDEN_CONVEXITY, X=X, Z=None, width=8, **options)


def mixture() -> Problem:
    text = "ReLU neurons against a law on 121 particles in the plane"
    axis = np.linspace(-2, 2, 11)
    particles = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    X = gaussian(60, [1, 0.5], 4)
    options: dict[str, Any] = {"discriminator": "relu", "beta": 0.05}
    return MixtureProblem(
        "relu-mixture", text, "convexgan, docs/games.md", X=X, particles=rounded(particles), width=8, **options
    )


def pixels(source: str, size: int) -> Array:
    """Rows of pixels from -1 to 1; photographs by Pillow's box filter, as published."""
    from PIL import Image

    from convexgan.datasets import digits, orl

    if check_choice(source, "source", ("digits", "orl")) == "digits":
        found: Any = digits(size).images
    else:
        whole = [Image.fromarray(picture) for picture in orl(PHOTO).images]
        found = [np.asarray(picture.resize((size, size), Image.Resampling.BOX)) for picture in whole]
    return np.asarray(found, dtype=np.float64).reshape(len(found), -1) / 127.5 - 1


def centred(rows: Array) -> Array:
    return rounded(rows - rows.mean(axis=0))


def parting(X: Array, directions: int) -> float:
    """The beta below which so many eigenvalues of the second moment do not lie."""
    values = np.linalg.eigvalsh(X.T @ X / len(X))[::-1]
    return float(rounded((values[directions - 1] + values[directions]) / 2))


def pictures(source: str, size: int) -> Problem:
    """Quadratic neurons on centred pictures; beta leaves ten directions."""
    X = centred(pixels(source, size)[:400])
    text = f"the first 400 of the {source} pictures at {size} pixels, ten directions"
    options: dict[str, Any] = {"discriminator": "quadratic", "beta": parting(X, 10)}
    Z = gaussian(400, np.ones(16), 5)
    return GANProblem(f"{source}-{size}", text, HIDDEN_CONVEXITY, X=X, Z=Z, width=16, **options)


def scalar(name: str, text: str, f: Callable[..., Any], formula: str, kind: str, source: str) -> Problem:
    return ScalarProblem(name, f"{formula}: {text}", source, f=f, kind=kind)


def ridge3(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (4 * x**2 - (y - 3 * x + x**3 / 20) ** 2 - y**4 / 10) * torch.exp(-(x**2 + y**2) / 100)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "linear": linear,
    "quadratic": lambda: quadratic("quadratic", "twice as many neurons as the saddle point needs", 8),
    "quadratic-critical-width": lambda: quadratic("quadratic-critical-width", "the fewest neurons for a saddle", 4),
    "quadratic-below-critical-width": lambda: quadratic(
        "quadratic-below-critical-width", "one neuron too few for a saddle point, same optimum", 3
    ),
    "quadratic-no-saddle": weights,
    "polynomial": polynomial,
    "relu-toy": toy,
    "relu-mixture": mixture,
    "digits-8": lambda: pictures("digits", 8),
    "digits-16": lambda: pictures("digits", 16),
    "orl-8": lambda: pictures("orl", 8),
    "orl-16": lambda: pictures("orl", 16),
    "convex-concave": lambda: scalar(
        "convex-concave",
        "strongly convex-concave and coupled",
        lambda x, y: x**2 / 2 - y**2 / 2 + 2 * x * y,
        "x^2/2 - y^2/2 + 2xy",
        "saddle",
        GAP,
    ),
    "bilinear": lambda: scalar(
        "bilinear", "where plain descent-ascent circles", lambda x, y: x * y, "xy", "saddle", GAP
    ),
    "ridge-1": lambda: scalar(
        "ridge-1",
        "min max at the origin, no saddle point there",
        lambda x, y: -3 * x**2 - y**2 + 4 * x * y,
        "-3x^2 - y^2 + 4xy",
        "minimax",
        RIDGE,
    ),
    "ridge-2": lambda: scalar(
        "ridge-2",
        "at rest at the origin, from where the maximiser would leave: arriving is failing",
        lambda x, y: 3 * x**2 + y**2 + 4 * x * y,
        "3x^2 + y^2 + 4xy",
        "none",
        RIDGE,
    ),
    "ridge-3": lambda: scalar(
        "ridge-3",
        "min max of a neighbourhood of the origin",
        ridge3,
        "(4x^2 - (y - 3x + x^3/20)^2 - y^4/10) exp(-(x^2 + y^2)/100)",
        "stationary",
        RIDGE,
    ),
}


def list() -> tuple[str, ...]:
    """The names of the problems that have one of their own; `suite` has those of the families too."""
    return tuple(PROBLEMS)
