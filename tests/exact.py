"""Random games over all options and units, and what is true of their answers in rational arithmetic.

A claim is what a certificate prints; the truth is computed from the rows, the weights and the latents as they are
stored, by `convexgan.rigorous.numbers` and nothing else of the package.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

import convexgan as cg
from convexgan.games.moment import evidence as moment_evidence
from convexgan.games.sample import certificate as sample_certificate
from convexgan.generators import Linear, Mixture, TwoLayerPolynomial
from convexgan.rigorous import ExactMoments, ExactSample
from convexgan.rigorous.numbers import exact, second_and_mean

ENDED = (cg.InfeasibleError, cg.SolverError, cg.UnboundedError)
FINE = Fraction(1, 10**25)  # relative: what sixty digits leave open of the guarantee of a critic


@dataclass
class Game:
    """A call of `solve`."""

    cell: str
    X: np.ndarray
    Z: Any
    options: dict[str, Any]


@dataclass
class Outcome:
    """What a call came to: the claims that are false, and how far the others are from the truth.

    ``margins`` are (claim - truth) / size for ipm and value, above 0 where the claim is a bound.
    """

    cell: str
    kind: str
    false: list[str] = field(default_factory=list)
    margins: dict[str, float] = field(default_factory=dict)


def draw_rows(rng: np.random.Generator, d: int, n: int) -> np.ndarray:
    """Rows of any unit and offset, single or double precision, some of them equal, some centred."""
    unit, offset = 10.0 ** rng.integers(-8, 9), rng.choice([0, 0, 0, 1, 1e3, 1e6, 1e9])
    spread = 10.0 ** rng.uniform(-2, 0, d)
    X = unit * (rng.standard_normal((n, d)) * spread + offset * rng.standard_normal(d) * rng.integers(2))
    X = np.vstack([X, X[:1]]) if rng.random() < 0.2 else X
    X = X.astype(rng.choice(["f4", "f8", "f8"]))
    return X - X.mean(axis=0, dtype=float) if rng.random() < 0.2 else X


def moment_game(seed: int) -> Game:
    """Neurons that see moments, generators linear in features of the latents, or free."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 6))
    X = draw_rows(rng, d, int(rng.choice([1, 2, 3, 6, 12, 40])))
    size = float(np.sqrt((X.astype(float) ** 2).sum(axis=1).mean())) or 1.0
    name = str(rng.choice(["linear", "quadratic", "polynomial", "polynomial"]))
    a, b = {"linear": (0.0, 1.0), "quadratic": (1.0, 0.0)}.get(
        name, (float(rng.choice([0.09375, -0.5, 2.0])), float(rng.choice([0.5, -1.0]) * size))
    )
    k = int(rng.integers(1, d + 3))
    Z: Any = cg.GaussianLatent(k)
    if rng.random() < 0.7:
        n = int(rng.choice([k, k + 1, 20]))
        Z = rng.standard_normal((n, k)) * 10.0 ** rng.uniform(-3, 3) * 10.0 ** rng.uniform(-6, 0, k)
        Z = Z + rng.integers(2) * rng.standard_normal(k) * 10
    spec = rng.choice(["linear", "bias", "free", "lifted"])
    spec = "linear" if spec == "lifted" and isinstance(Z, cg.GaussianLatent) else str(spec)
    regularizer = "weights" if rng.random() < 0.3 and spec != "lifted" else "output"
    unit = size if name == "linear" else abs(a) * size**2 + abs(b) * size
    price = size if name == "linear" else 1 / abs(a)
    budget = {"beta": float(unit * rng.choice([0, 1e-6, 1e-3, 0.1, 0.5, 2]))}
    if rng.random() < 0.3:
        budget = {"lam": float(price * rng.choice([0, 0.5, 1.7, 10, 1e6, 1e14]))}
    classes = {"linear": Linear(), "bias": Linear(bias=True), "lifted": TwoLayerPolynomial(), "free": "free"}
    options: dict[str, Any] = {
        "discriminator": cg.discriminators.Polynomial(a, b, 0.0) if name == "polynomial" else name,
        "generator": classes[spec],
        "regularizer": regularizer,
        "generator_penalty": float(rng.choice([1.0, 0.3, 2.5])),
        "bias": "penalized" if rng.random() < 0.2 else "none",
        **budget,
    }
    return Game(f"{name}, {spec}, {regularizer}", X, None if spec == "free" else Z, options)


def law_game(seed: int) -> Game:
    """Laws of points in one or two columns, against ReLU and other neurons."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 3))
    X = draw_rows(rng, d, int(rng.integers(1, 15))).astype(float)
    size = float(np.sqrt((X**2).sum(axis=1).mean())) or 1.0
    name = str(rng.choice(["relu", "relu", "leaky", "quadratic", "polynomial"]))
    neurons = {
        "relu": cg.discriminators.ReLU(),
        "leaky": cg.discriminators.ReLU(0.2),
        "quadratic": cg.discriminators.Quadratic(),
        "polynomial": cg.discriminators.Polynomial(0.3, 0.5 * size, 0.0),
    }[name]
    rectified = name in ("relu", "leaky")
    bias = str(rng.choice(["none", "penalized", "free"])) if d == 1 and rectified else "none"
    bias = "penalized" if bias == "free" and name == "leaky" else bias
    law = str(rng.choice(["data", "particles", "anywhere"]))
    law = "data" if law == "anywhere" and (d > 1 or not rectified or bias == "free") else law
    particles = np.vstack([0.7 * X, X, np.zeros((1, d))])
    mixture = {"data": Mixture(), "particles": Mixture(particles), "anywhere": Mixture(support="continuous")}[law]
    unit = size if rectified else size**2
    budget = {"beta": float(unit * rng.choice([1e-6, 1e-3, 0.1, 0.5]))}
    if rng.random() < 0.3:
        budget = {"lam": float((size if rectified else 1) * rng.choice([0, 0.5, 2, 1e6]))}
    options: dict[str, Any] = {"discriminator": neurons, "generator": mixture, "bias": bias, **budget}
    options |= {"time_limit": 3.0} if rectified else {}  # what is proved by then holds
    return Game(f"{name}, {law}", X, None, options)


def outcome(game: Game) -> Outcome:
    """The game solved, and every claim of its certificate beside the truth."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of means that dominate
            solution = cg.solve(game.X, game.Z, **game.options)
    except ENDED as error:
        return Outcome(game.cell, type(error).__name__)
    claim = solution.certificate
    assert claim is not None and claim.evidence is not None
    if "points" in claim.evidence.arrays:
        return _of_law(game, claim)
    return _of_moments(game, solution)


def _of_law(game: Game, claim: cg.Certificate) -> Outcome:
    given = ExactSample(*sample_certificate.read_players(claim.evidence, game.X.astype(float)))
    ipm, lam = given.ipm(), Fraction(given.game.lam or 0.0)
    unit = Fraction(float(np.sqrt((game.X**2).sum(axis=1).mean())) or 1.0)
    value = given.cost() + lam * ipm[0]
    return _compared(game, claim, ipm[0], value, given.max_min(), given.game.beta, unit, unit * unit)


def _of_moments(game: Game, solution: cg.Solution) -> Outcome:
    claim, data = solution.certificate, cg.Moments.from_array(game.X)
    checked, factor, mean, critic = moment_evidence.read_players(claim.evidence, data)
    second, centre = law(solution, game.Z)
    given = ExactMoments.read(checked, game.X.astype(float), factor[:0], mean, (0.0, 0.0), critic)
    object.__setattr__(given, "centre", centre)
    max_min, whole = given.max_min(), given.second
    object.__setattr__(given, "second", whole - second)
    ipm = given.ipm()[0]
    value = spent(solution, second, game.options) + Fraction(checked.lam or 0.0) * ipm
    a, b, _ = checked.activation.coefficients
    trace = max(float(sum(whole.diagonal())), 1e-300)
    units = abs(a) * trace + abs(b) * trace**0.5, game.options["generator_penalty"] * trace
    return _compared(game, claim, ipm, value, max_min, checked.beta, *map(Fraction, units))


def _compared(
    game: Game, claim: Any, ipm: Fraction, value: Fraction, max_min: Fraction, beta: Any, unit: Any, worth: Any
) -> Outcome:
    found = Outcome(game.cell, claim.kind)
    if Fraction(claim.ipm) < ipm:
        found.false.append(f"ipm {claim.ipm!r} below {float(ipm)!r}")
    if Fraction(claim.value) < value:
        found.false.append(f"value {claim.value!r} below {float(value)!r}")
    if beta is not None and Fraction(claim.violation) < ipm - Fraction(beta):
        found.false.append(f"violation {claim.violation!r} below {float(ipm - Fraction(beta))!r}")
    if 0 < claim.max_min < np.inf and Fraction(claim.max_min) * (1 - FINE) > max_min:
        found.false.append(f"max_min {claim.max_min!r} above {float(max_min)!r}")
    found.margins = {
        "ipm": float((Fraction(claim.ipm) - ipm) / unit),
        "value": float((Fraction(claim.value) - value) / worth),
    }
    return found


def law(solution: cg.Solution, Z: Any) -> tuple[Any, Any]:
    """The second moment and the mean of what the generator makes of the latents, of its weights as they are stored."""
    made: Any = solution.generator
    if hasattr(made, "points"):
        return second_and_mean(made.points)
    W = exact(made.weights)
    if hasattr(made, "spec"):
        rows = _lifted(exact(Z), made.spec) @ W
    elif isinstance(Z, cg.GaussianLatent):
        b = exact(made.bias)
        return W.T @ W + np.outer(b, b), b
    else:
        rows = exact(Z) @ W + exact(made.bias)
    return rows.T @ rows / len(rows), rows.sum(axis=0) / len(rows)


def _lifted(z: Any, spec: TwoLayerPolynomial) -> Any:
    """The features [a z_i z_j (times the float nearest to sqrt 2), b z, c] without rounding."""
    n, k = z.shape
    i, j = np.triu_indices(k)
    twice = np.array([Fraction(1) if p == q else Fraction(float(np.sqrt(2.0))) for p, q in zip(i, j, strict=True)])
    features = np.column_stack([z[:, i] * z[:, j] * twice, z, np.full((n, 1), Fraction(1))])
    scale = [Fraction(spec.a)] * len(i) + [Fraction(spec.b)] * k + [Fraction(spec.c)]
    kept = [bool(s) for s in scale]
    return (features * np.array(scale, dtype=object))[:, kept]


def spent(solution: cg.Solution, second: Any, options: dict[str, Any]) -> Fraction:
    """R of the generator."""
    made: Any = solution.generator
    if options["regularizer"] == "output":
        return Fraction(options["generator_penalty"]) * sum(second.diagonal(), Fraction(0))
    arrays = [made.points] if hasattr(made, "points") else [made.weights, made.bias]
    return Fraction(options["generator_penalty"]) * sum((exact(array) ** 2).sum() for array in arrays)
