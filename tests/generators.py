"""Problems with known answers: samples with prescribed moments, and the formulas of MATH.md written once more.

Nothing here imports the package's solvers: an answer is what a formula or a brute force says, never what
`convexgan.solve` says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import convexgan as cg

EIGENVALUES = (9.0, 6.0, 4.0, 1.5, 0.4)  # the running example of MATH.md: p* = 16.5 at beta = 1
RELU = (0.09375, 0.5)  # the usual polynomial fit of the ReLU


def rotation(d: int, seed: int = 0) -> np.ndarray:
    """(d, d) orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


def rows(values: Any, seed: int = 0, *, tilt: Any = None, n: int | None = None, turned: bool = True) -> np.ndarray:
    """(n, d) rows whose second moment is exactly V diag(values) V' and whose mean is V sqrt(values) tilt.

    So zbar' K^+ zbar = |tilt|^2 <= 1; by default the mean is zero.
    """
    values = np.asarray(values, dtype=float)
    d = len(values)
    tilt = np.zeros(d) if tilt is None else np.asarray(tilt, dtype=float)
    n = n or d + 3
    constant = np.ones((n, 1)) / np.sqrt(n)
    noise = np.random.default_rng(seed).standard_normal((n, d))
    others = np.linalg.qr(np.hstack([constant, noise]))[0][:, 1 : d + 1]
    left, vectors = np.linalg.eigh(np.eye(d) - np.outer(tilt, tilt))
    root = vectors * np.sqrt(np.maximum(left, 0)) @ vectors.T
    white = np.sqrt(n) * (constant * tilt + others @ root)
    basis = rotation(d, seed + 1) if turned else np.eye(d)
    return white * np.sqrt(values) @ basis.T


def assert_alike(found: Any, known: Any) -> None:
    """Equal as results of the same sums of at most 1,000 terms in any order: 2 gamma_1000 of the largest is 2.2e-13.

    Arrays that lie otherwise in memory, or have other shapes, are multiplied in another order.
    """
    np.testing.assert_allclose(found, known, rtol=0, atol=1e-12 * np.abs(known).max(initial=0.0))


def second(X: np.ndarray) -> np.ndarray:
    """(d, d) uncentred second moment."""
    return X.T @ X / len(X)


def brute_ipm(
    X: np.ndarray, Y: np.ndarray, a: float, b: float, tries: int = 8, steps: int = 600, seed: int = 0
) -> float:
    """max over |u| = 1 of |a u'Mu + b m'u|, by projected (power-shifted) ascent from many starts."""
    M, m = a * (second(X) - second(Y)), b * (X.mean(0) - Y.mean(0))
    if a == 0:
        return float(np.linalg.norm(m))
    shift = 1.01 * np.abs(M).sum(1).max()  # makes the objective convex, so that every step ascends
    starts = np.vstack([np.random.default_rng(seed).standard_normal((tries, len(m))), np.linalg.eigh(M)[1].T, m, -m])
    starts = starts[np.linalg.norm(starts, axis=1) > 0]
    best = 0.0
    for sign in (1.0, -1.0):
        U = starts / np.linalg.norm(starts, axis=1)[:, None]
        for _ in range(steps):
            U = U @ (sign * M + shift * np.eye(len(m))) + sign * m / 2
            U /= np.linalg.norm(U, axis=1)[:, None]
        best = max(best, float((np.sum(U @ (sign * M) * U, axis=1) + sign * U @ m).max()))
    return best


def soft_value(values: Any, prices: Any, *, beta: float | None = None, lam: float | None = None) -> float:
    """sum price_i (l_i - b)_+, plus lam b at the best b, which is one of the eigenvalues or 0 (piecewise linear)."""
    values, prices = np.asarray(values, dtype=float), np.asarray(prices, dtype=float)
    r = min(len(values), len(prices))
    floor = values[r] if len(values) > r else 0.0  # latents of rank r cannot come nearer

    def cost(b: float) -> float:
        return float(prices[:r] @ np.maximum(values[:r] - b, 0))

    if beta is not None:
        return cost(beta)
    return min(cost(b) + lam * b for b in [*values, 0.0] if b >= floor)


@dataclass(frozen=True)
class Case:
    """A call of `solve` and its exact value, or the value None where only the class of problem is known."""

    X: np.ndarray
    Z: Any
    options: dict[str, Any] = field(default_factory=dict)
    value: float | None = None

    def solve(self, **more: Any) -> cg.Solution:
        return cg.solve(self.X, self.Z, **(self.options | more))


def spectra(least: int = 1, most: int = 5) -> st.SearchStrategy[list[float]]:
    """Descending positive eigenvalues, with ties."""
    one = st.sampled_from([0.1, 0.5, 1.0, 2.0, 3.0]) | st.floats(0.05, 10)
    return st.lists(one, min_size=least, max_size=most).map(lambda v: sorted(v, reverse=True))


seeds = st.integers(0, 1000)
penalties = st.sampled_from([0.3, 1.0, 2.5])


@st.composite
def budgets(draw: Any) -> dict[str, float]:
    """beta or lam, sometimes exactly at a kink."""
    number = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]) | st.floats(0, 8)
    return {draw(st.sampled_from(["beta", "lam"])): draw(number)}


@st.composite
def quadratic_cases(draw: Any, regularizer: str = "output") -> Case:
    """Quadratic discriminator, linear generator of full rank; the value from the soft threshold."""
    values, penalty, seed, budget = draw(spectra()), draw(penalties), draw(seeds), draw(budgets())
    k = draw(st.lists(st.floats(0.3, 4), min_size=len(values), max_size=len(values) + 2))
    prices = penalty / np.sort(k)[::-1] if regularizer == "weights" else np.full(len(k), penalty)
    options = {"discriminator": "quadratic", "regularizer": regularizer, "generator_penalty": penalty, **budget}
    return Case(rows(values, seed), rows(k, seed + 7), options, soft_value(values, prices, **budget))


@st.composite
def polynomial_cases(draw: Any) -> Case:
    """Polynomial discriminator on centred data: the quadratic value with beta / |a|, lam |a|."""
    values, penalty, seed, budget = draw(spectra()), draw(penalties), draw(seeds), draw(budgets())
    a, b = draw(st.sampled_from([RELU, (-0.5, 1.0), (2.0, -0.3)]))
    reduced = {"beta": budget["beta"] / abs(a)} if "beta" in budget else {"lam": budget["lam"] * abs(a)}
    value = soft_value(values, np.full(len(values), penalty), **reduced)
    activation = cg.discriminators.Polynomial(a, b, 0.0)
    options = {"discriminator": activation, "generator_penalty": penalty, **budget}
    return Case(rows(values, seed), cg.GaussianLatent(len(values)), options, value)


@st.composite
def linear_cases(draw: Any) -> Case:
    """Linear discriminator, linear generator whose latents have zbar' K^+ zbar = kappa; the value by search on |t|."""
    d, seed, penalty, budget = draw(st.integers(1, 4)), draw(seeds), draw(penalties), draw(budgets())
    kappa = draw(st.sampled_from([0.1, 0.5, 1.0]))
    regularizer = draw(st.sampled_from(["output", "weights"]))
    size = draw(st.sampled_from([0.0, 1.0, 4.0]))
    direction = rotation(d, seed)[0]
    X = rows(np.ones(d), seed) + size * direction
    Z = rows([3.0, 1.0], seed, tilt=np.sqrt(kappa) * np.array([0.6, 0.8]), turned=False)
    price = penalty / (kappa if regularizer == "output" else float(Z.mean(0) @ Z.mean(0)))
    if "beta" in budget:
        value = price * max(size - budget["beta"], 0) ** 2
    else:
        t = min(size, budget["lam"] / (2 * price))
        value = price * t**2 + budget["lam"] * (size - t)
    options = {"discriminator": "linear", "regularizer": regularizer, "generator_penalty": penalty, **budget}
    return Case(X, Z, options, value)


def cells() -> dict[str, Case]:
    """One small planar problem for every cell of the table that `solve` covers, values unknown."""
    shifted = rows([4.0, 1.0], 3, tilt=[0.5, 0.3])
    centred, latents = rows([4.0, 1.0], 3), rows([2.0, 0.7, 0.3], 5, tilt=[0.4, 0.0, 0.3])
    flat = rows([1.0, 1.0], 6)
    gauss, polynomial = cg.GaussianLatent(2), cg.discriminators.Polynomial(0.5, 0.6, 0.0)
    biased, curved = cg.generators.Linear(bias=True), cg.generators.TwoLayerPolynomial()
    return {
        "linear-linear": Case(shifted, latents, {"discriminator": "linear"}),
        "linear-weights": Case(shifted, latents, {"discriminator": "linear", "regularizer": "weights"}),
        "linear-bias": Case(shifted, gauss, {"discriminator": "linear", "generator": biased}),
        "linear-free": Case(shifted, None, {"discriminator": "linear", "generator": "free"}),
        "linear-polynomial": Case(shifted, flat, {"discriminator": "linear", "generator": curved}),
        "quadratic-linear": Case(shifted, latents, {}),
        "quadratic-weights": Case(shifted, latents, {"regularizer": "weights"}),
        "quadratic-bias": Case(shifted, gauss, {"generator": biased}),
        "quadratic-free": Case(shifted, None, {"generator": "free"}),
        "quadratic-free-weights": Case(shifted, None, {"generator": "free", "regularizer": "weights"}),
        "quadratic-polynomial": Case(shifted, flat, {"generator": curved}),
        "quadratic-lifted": Case(shifted, flat, {"generator": curved, "regularizer": "lifted"}),
        "quadratic-penalized": Case(shifted, gauss, {"generator": biased, "bias": "penalized"}),
        "polynomial-centred": Case(centred, gauss, {"discriminator": polynomial}),
        "polynomial-linear": Case(shifted, latents, {"discriminator": polynomial}),
        "polynomial-bias": Case(shifted, gauss, {"discriminator": polynomial, "generator": biased}),
        "polynomial-free": Case(shifted, None, {"discriminator": polynomial, "generator": "free"}),
        "polynomial-polynomial": Case(shifted, flat, {"discriminator": polynomial, "generator": curved}),
    }


CELLS = cells()
EXACT = {name: case for name, case in CELLS.items() if not name.startswith(("polynomial-", "quadratic-penal"))}
EXACT["polynomial-centred"] = CELLS["polynomial-centred"]
PROGRAMS = {name: case for name, case in CELLS.items() if name not in EXACT}


def coefficients(case: Case) -> tuple[float, float]:
    """(a, b) of the case's discriminator."""
    found = case.options.get("discriminator", "quadratic")
    if isinstance(found, str):
        return {"linear": (0.0, 1.0), "quadratic": (1.0, 0.0), "polynomial": RELU}[found]
    return found.coefficients[:2]


def scaled(case: Case, size: float, budget: dict[str, float]) -> tuple[Case, dict[str, float]]:
    """The same game in other units: X -> size X, (a, b) -> (a / size^2, b / size), so that ipm is unchanged.

    The value is then size^2 times what it was, with beta as it was and lam -> size^2 lam.
    """
    a, b = coefficients(case)
    activation = cg.discriminators.Polynomial(a / size**2, b / size, 0.0)
    moved = {name: number * (size**2 if name == "lam" else 1) for name, number in budget.items()}
    return Case(size * case.X, case.Z, case.options | {"discriminator": activation}), moved
