"""X = (-1, 1) against ReLU neurons with free biases: the exact answer, and how often descent-ascent finds it.

The game of [HC], means, beta = .1: min over w, max over (u, b, v) of mean D(X) - mean D(w) + mean w^2
- (beta / 2) sum_j (u_j^2 + v_j^2), D(x) = sum_j v_j max(u_j x + b_j, 0). The optimum is w = -+(1 - 2 beta), with sums
instead of means -+(1 - beta); both are checked to 1e-8 before anything else. The generator is the two points
themselves or a ReLU net of 10 neurons on the latents -1 and 1. Normal starts, the same for every step size.

Outcomes, judged by the last tenth of the run: "reach": within .01 of the optimum throughout; "diverge": beyond 10 or
not finite; "oscillate": still moving by more than .001, back and forth; "stuck": the rest, at rest or nearly.
The gap is that of the same points against a discriminator of norm at most lam = 4 (1 - 2 beta), the multiplier of beta:
that game has the same optimum, every point is feasible in it, and its bound is proved. In the game as played points may
violate ipm <= beta, so the violation ipm - beta is beside it. Both are medians over the finite runs.

Predicted: with few neurons most runs get stuck (a neuron that sees no difference decays and does not return), with many
they reach the optimum; large steps make simultaneous descent-ascent oscillate, less so the other methods; Adam, whose
steps do not shrink with the gradient, does not settle.

[HC] Sahiner et al., Hidden Convexity of Wasserstein GANs, ICLR 2022, arXiv 2107.05680.

Example: python -m benchmarks.relu_toy --quick
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

import convexgan as cg
from benchmarks._report import parse, write
from convexgan.updates import Game, State, adam, alternating, extragradient, optimistic, simultaneous

X = np.array([-1.0, 1.0])
BETA = 0.1
OPTIMUM = X * (1 - 2 * BETA)
PRICE = 4 * (1 - 2 * BETA)  # -d/dbeta of the optimal value (1 - 2 beta)^2
Z = np.array([-1.0, 1.0])
HIDDEN = 10
STEPS = np.array([0.01, 0.1, 0.3])
WIDTHS = (2, 10, 50)
METHODS: dict[str, Callable[[Game, State, object], State]] = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "extragradient": extragradient,
    "optimistic": optimistic,
    "adam": partial(alternating, transform=adam),
}
OUTCOMES = ("reach", "oscillate", "stuck", "diverge")
KINDS = {"points": "free points", "net": "generator net"}
Arrays = tuple[np.ndarray, ...]


class Generator(Protocol):
    """Two points as a function of parameters, over any leading axes."""

    def draw(self, rng: np.random.Generator, seeds: int) -> Arrays:
        """Random parameters."""

    def points(self, x: Arrays) -> np.ndarray:
        """The generated points, (..., 2)."""

    def pull(self, x: Arrays, slope: np.ndarray) -> Arrays:
        """The gradient in the parameters from that in the points."""


class Points:
    """The points are the parameters."""

    def draw(self, rng: np.random.Generator, seeds: int) -> Arrays:
        return (rng.standard_normal((seeds, 2)),)

    def points(self, x: Arrays) -> np.ndarray:
        return x[0]

    def pull(self, x: Arrays, slope: np.ndarray) -> Arrays:
        return (slope,)


class Net:
    """A ReLU net sum_k a_k max(c_k z + d_k, 0) on the latents Z."""

    def draw(self, rng: np.random.Generator, seeds: int) -> Arrays:
        return tuple(rng.standard_normal((3, seeds, HIDDEN)) / HIDDEN**0.25)

    def _hidden(self, x: Arrays) -> np.ndarray:
        return Z[:, None] * x[1][..., None, :] + x[2][..., None, :]

    def points(self, x: Arrays) -> np.ndarray:
        return np.sum(x[0][..., None, :] * np.maximum(self._hidden(x), 0), axis=-1)

    def pull(self, x: Arrays, slope: np.ndarray) -> Arrays:
        t, slope = self._hidden(x), slope[..., None]
        inner = slope * (t > 0)
        return np.sum(slope * np.maximum(t, 0), axis=-2), x[0] * np.sum(inner * Z[:, None], -2), x[0] * inner.sum(-2)


class ToyGame(Game):
    """The generator's parameters against y = (u, b, v), each (..., neurons)."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def grad_x(self, x: Arrays, y: Arrays) -> Arrays:
        w, (u, b, v) = self.generator.points(x), y
        active = w[..., None] * u[..., None, :] + b[..., None, :] > 0
        return self.generator.pull(x, w - np.sum(active * (u * v)[..., None, :], axis=-1) / 2)

    def grad_y(self, x: Arrays, y: Arrays) -> Arrays:
        w, (u, b, v) = self.generator.points(x), y
        rows = np.concatenate([np.broadcast_to(X, w.shape), w], axis=-1)[..., None]
        shares = np.array([0.5, 0.5, -0.5, -0.5])[:, None]
        t = rows * u[..., None, :] + b[..., None, :]
        weights = shares * (t > 0)
        seen = np.sum(weights * t, axis=-2)
        return v * np.sum(weights * rows, axis=-2) - BETA * u, v * weights.sum(axis=-2), seen - BETA * v


def run(generator: Generator, width: int, method: str, seeds: int, steps: int) -> np.ndarray:
    """The sorted points over the last tenth of the run, every fifth step: (times, step sizes, seeds, 2)."""
    rng, count = np.random.default_rng(width), len(STEPS)
    x = tuple(np.repeat(part[None], count, axis=0) for part in generator.draw(rng, seeds))
    y = tuple(np.repeat(rng.standard_normal((3, 1, seeds, width)) / width**0.25, count, axis=1))
    game, state, kept = ToyGame(generator), State(x, y), []
    with np.errstate(over="ignore", invalid="ignore"):  # runs that diverge
        for t in range(steps):
            state = METHODS[method](game, state, STEPS[:, None, None])
            if t >= 0.9 * steps and t % 5 == 0:
                kept.append(np.sort(generator.points(state.x), axis=-1))
    return np.array(kept)


def outcomes(path: np.ndarray) -> np.ndarray:
    """Which of OUTCOMES each run is, from its sorted points over the last tenth (times, ..., 2)."""
    finite = np.where(np.isfinite(path), path, np.inf)
    error = np.abs(finite - OPTIMUM).max(axis=-1)
    moves = np.diff(np.where(np.isfinite(path), path, 0), axis=0)
    turns = ((moves > 0).any(axis=0) & (moves < 0).any(axis=0)).any(axis=-1)
    with np.errstate(invalid="ignore"):
        swing = (finite.max(axis=0) - finite.min(axis=0)).max(axis=-1)
    found = np.where((swing > 1e-3) & turns, "oscillate", "stuck")
    found = np.where(np.abs(finite).max(axis=(0, -1)) > 10, "diverge", found)
    return np.where(error.max(axis=0) < 0.01, "reach", found)


def judge(points: np.ndarray, bound: float) -> tuple[float, float]:
    """The relative gap of two points against a discriminator of norm PRICE, and their violation of ipm <= beta."""
    ipm = cg.ipm(X[:, None], points[:, None], bias="free").upper_bound
    value = float(np.mean(points**2)) + PRICE * ipm
    return (value - bound) / value, max(ipm - BETA, 0.0)


def exact_bound() -> float:
    """The proved bound of the game with PRICE, after checking the exact answers."""
    game = {"discriminator": "relu", "generator": "free", "bias": "free"}
    for reduction, share in (("mean", 2 * BETA), ("sum", BETA)):
        sol = cg.solve(X[:, None], **game, beta=BETA, reduction=reduction)
        if np.abs(np.sort(sol.generator().ravel()) - X * (1 - share)).max() > 1e-8 or not sol.certificate.optimal(1e-8):
            raise RuntimeError(f"{reduction}: {sol.generator().ravel()} is not the answer.")
    priced = cg.solve(X[:, None], **game, lam=PRICE)
    if np.abs(np.sort(priced.generator().ravel()) - OPTIMUM).max() > 1e-6:
        raise RuntimeError(f"the game with lam has another optimum: {priced.generator().ravel()}.")
    return priced.certificate.bound


def draw_outcomes(rows: list[list[object]]) -> Figure:
    """Stacked bars of outcomes: a row for each generator, a panel for each width."""
    kinds, widths = list(dict.fromkeys(row[0] for row in rows)), list(dict.fromkeys(row[1] for row in rows))
    figure = Figure(figsize=(16, 6.5), layout="constrained")
    panels = figure.subplots(len(kinds), len(widths), sharex=True, sharey=True, squeeze=False)
    for (i, kind), (j, width) in product(enumerate(kinds), enumerate(widths)):
        mine = [row for row in rows if row[:2] == [kind, width]]
        base, places = np.zeros(len(mine)), [k + k // len(STEPS) for k in range(len(mine))]
        for k, name in enumerate(OUTCOMES):
            shares = np.array([row[4 + k] for row in mine], dtype=float)
            colour = ("tab:green", "tab:orange", "lightgray", "tab:red")[k]
            panels[i, j].bar(places, shares, 0.9, bottom=base, color=colour, label=name)
            base += shares
        panels[i, j].set_title(f"{KINDS[str(kind)]}, {width} neurons", fontsize="medium")
        panels[i, j].tick_params(labelbottom=True)
        panels[i, j].set_xticks(places, [f"{row[3]:g}".lstrip("0") for row in mine], fontsize="small")
        for m, name in enumerate(METHODS):
            panels[i, j].annotate(name, (4 * m + 1, 1.02), ha="center", fontsize="small", annotation_clip=False)
        panels[i, j].set_ylim(0, 1.08)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.supxlabel("step size of both players, three for each method", fontsize="medium")
    figure.supylabel("share of 50 seeds that end so", fontsize="medium")
    return figure


def main() -> None:
    """Run every generator, width and method."""
    options = parse(__doc__)
    seeds, steps, widths = (10, 500, WIDTHS[:2]) if options.quick else (50, 8000, WIDTHS)
    bound, rows = exact_bound(), []
    for generator, width, method in product((Points(), Net()), widths, METHODS):
        path = run(generator, width, method, seeds, steps)
        for step, found, ends in zip(STEPS, outcomes(path), path[-1], strict=True):
            shares = [float(np.mean(found == name)) for name in OUTCOMES]
            judged = [judge(points, bound) for points in ends if np.abs(points).max() <= 10]
            medians = np.median(judged, axis=0) if judged else [np.nan, np.nan]
            kind = type(generator).__name__.lower()
            rows.append([kind, width, method, float(step), *shares, *map(float, medians)])
            print(rows[-1], flush=True)
    columns = ["generator", "neurons", "method", "step", *OUTCOMES, "median gap", "median violation"]
    write("relu_toy", columns, rows, __doc__ or "", options.quick, draw_outcomes(rows))


if __name__ == "__main__":
    main()
