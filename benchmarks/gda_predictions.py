"""Predicted rates of descent-ascent beside those of exact simulations, and the speed of these beside a plain loop.

Claims: kernel discriminators, over 100 settings of both orders, rates from .8 to 1.005: 2e-4; phase diagrams: one
cell; wide generators, every mode: 2 %; all seeds and widths at once: at least 20 times a loop over runs and samples.

Example: python -m benchmarks.gda_predictions --quick
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from benchmarks._report import fastest, parse, write
from convexgan.dynamics import (
    GaussianKernel,
    KernelGame,
    MeanGame,
    MeanMatching,
    RationalQuadratic,
    draw,
    measured_rate,
    modes,
    phase_diagram,
    point_modes,
    predict,
    simulate,
    simulate_points,
)

SETTING = MeanMatching(outputs=5, latents=10, samples=40)
ORDERS = ("simultaneous", "alternating")


def kernel_rates(order: str, quick: bool) -> list[list[object]]:
    """The largest errors over settings with rates from .8 to 1.005, and over those within .05 of 1."""
    errors, near = [], []
    lams, etas = (0.05, 0.2, 1.0, 3.0), (0.02, 0.06, 0.3)
    for family, width, lam, eta in product((GaussianKernel, RationalQuadratic), (0.5, 1.0, 2.0), lams, etas):
        kernel, origin, rates = family(width), np.zeros((1, 1)), (eta * width**2, 0.1)
        told = float(np.asarray(predict(point_modes(kernel, lam), rates, order).rate))
        if not 0.8 <= told <= 1.005:
            continue
        game, steps = KernelGame([[0.0]], kernel, lam), int(300 / max(1 - told, 0.2 if quick else 0.05))
        path = simulate_points(game, origin + 1e-6 * width, rates, steps=steps, method=order, critic=game.rest(origin))
        scale = np.abs(path[:, 0, 0]) / width
        outside = np.flatnonzero((scale > 1e-4) | (scale < 1e-250))
        signal = path[steps // 20 : int(outside[0]) if len(outside) else None, 0, 0]
        errors.append(abs(measured_rate(signal) - told))
        if abs(told - 1) < 0.05:
            near.append(errors[-1])
    return [
        [f"kernel rates from .8 to 1.005, {order}, {len(errors)} settings", "largest error", max(errors), 2e-4],
        [f"kernel rates near 1, {order}, {len(near)} settings", "largest error", max(near), 2e-4],
    ]


def boundaries(order: str, quick: bool) -> list[object]:
    """Cells between the predicted and the simulated border."""
    size = 20 if quick else 60
    lam, eta = np.linspace(0.05, 4.8, size)[:, None], np.linspace(0.02, 2.0, size)
    diagram = phase_diagram(GaussianKernel(0.8), lam, (eta, 0.4), method=order)
    return [f"phase diagram {size} x {size}, {order}", "cells", diagram.boundary_error, 1]


def wide_rates(eta: float, quick: bool) -> list[object]:
    """The largest relative error over the modes of wide generators."""
    seeds, width, rates = (2 if quick else 5), 5000, (eta / SETTING.kernel, 0.5)
    runs = simulate(SETTING, [width], rates, steps=80, seeds=seeds)
    game, W = draw(SETTING, [width], seeds)
    vectors = np.linalg.eigh(game.kernels(W)[:, 0])[1]
    signal = np.einsum("tsm,smj->tsj", runs.residuals[:, :, 0], vectors)
    told = predict(modes(runs.kernels[:, 0]), rates, "simultaneous")
    error = float(np.abs(measured_rate(signal[5:60]) / told.rate - 1).max())
    return [f"k = {width}, eta kappa = {eta}, {5 * seeds} modes", "largest relative error", error, 0.02]


def plain_run(game: MeanGame, W: np.ndarray, rates: tuple[float, float], steps: int, seed: int, width: int) -> None:
    """One run, sample by sample, as one would first write it."""
    mine = game.owner == width
    V, W, d = game.V[seed, mine].T, W[seed, mine].copy(), np.zeros(SETTING.outputs)
    for _ in range(steps):
        f, slopes = np.zeros(SETTING.outputs), np.zeros_like(W)
        for z in game.Z[seed]:
            hidden = W @ z
            f += V @ np.maximum(hidden, 0) / SETTING.samples
            slopes += np.outer(hidden > 0, z) / SETTING.samples
        d, W = (1 - rates[1]) * d + rates[1] * (game.target[seed] - f), W + rates[0] * (V.T @ d)[:, None] * slopes


def lean_run(game: MeanGame, W: np.ndarray, rates: tuple[float, float], steps: int, seed: int, width: int) -> None:
    """One run, all samples in the same matrix products."""
    mine = game.owner == width
    V, Z, W, d = game.V[seed, mine].T, game.Z[seed], W[seed, mine].copy(), np.zeros(SETTING.outputs)
    for _ in range(steps):
        slopes = (W @ Z.T > 0) @ Z / len(Z)
        f = V @ (W * slopes).sum(axis=1)
        d, W = (1 - rates[1]) * d + rates[1] * (game.target[seed] - f), W + rates[0] * (V.T @ d)[:, None] * slopes


def speed(quick: bool) -> list[list[object]]:
    """The loops' times over that of `simulate`, for the same runs."""
    widths, seeds, steps, rates = [5, 10, 20, 50], 40, (50 if quick else 600), (0.1 / SETTING.kernel, 0.5)
    timed = 2 if quick else 5  # seeds of the loops; every seed costs the same
    game, W = draw(SETTING, widths, seeds)

    def looped(run: Callable[..., None]) -> None:
        for seed, width in product(range(timed), range(len(widths))):
            run(game, W, rates, steps, seed, width)

    ours, plain, lean = fastest(
        2,
        lambda: simulate(SETTING, widths, rates, steps=steps, seeds=seeds),
        lambda: looped(plain_run),
        lambda: looped(lean_run),
    )
    what = f"{len(widths)} widths x {seeds} seeds x {steps} steps: {ours:.2g} s"
    share = seeds / timed / ours
    return [
        [f"{what}, against a loop over runs and samples", "times faster", plain * share, 20],
        [f"{what}, against a loop over runs, samples in matrix products", "times faster", lean * share, ""],
    ]


def threshold(quick: bool) -> list[list[object]]:
    """Median final over initial residual, and the share of runs above 1e-3, for each width."""
    widths, seeds = [5, 10, 20, 30, 40, 50, 100], (40 if quick else 1000)
    ratio = simulate(SETTING, widths, (0.1 / SETTING.kernel, 0.5), seeds=seeds).ratio
    medians, stuck = np.median(ratio, axis=0), (ratio > 1e-3).mean(axis=0)
    return [
        [f"width {width}: share stuck {share:.3g} of {seeds}", "median residual ratio", float(median), ""]
        for width, median, share in zip(widths, medians, stuck, strict=True)
    ]


def main() -> None:
    """Measure every claim."""
    options = parse(__doc__)
    rows: list[list[object]] = []
    for order in ORDERS:
        rows += [*kernel_rates(order, options.quick), boundaries(order, options.quick)]
    rows += [wide_rates(eta, options.quick) for eta in (0.1, 0.8)]
    rows += [*speed(options.quick), *threshold(options.quick)]
    for row in rows:
        print(row)
    write("gda_predictions", ["what", "measure", "found", "claimed"], rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
