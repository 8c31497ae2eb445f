"""What three papers on the dynamics of GANs claim in their abstracts, each beside what exact simulation shows.

Predicted: all claims about games that fit here hold. That about pictures is tried, smaller, in `width_sweep_images`.

[OP] Balaji et al., arXiv 2104.05605; [KG] Becker et al., arXiv 2305.08277; [IP] Becker et al., arXiv 2208.09938.

Example: python -m benchmarks.gda_claims --quick
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks._report import parse, write
from convexgan.dynamics import (
    GaussianKernel,
    KernelGame,
    measured_rate,
    phase_diagram,
    simulate_points,
    simulate_spread,
    steady_spread,
    width_sweep,
)

COLUMNS = ["paper", "claim", "verdict", "our figure"]
Row = list[object]


def judged(paper: str, claim: str, holds: bool, figure: str) -> Row:
    """A row of the table."""
    return [paper, claim, "reproduced" if holds else "not reproduced", figure]


def overparameterised(quick: bool) -> Iterator[Row]:
    """[OP]: widths, depths and discriminators."""
    seeds = 20 if quick else 100
    found = width_sweep((5, 20, 40, 160), seeds=seeds, steps=400 if quick else 1500, jobs=1)
    narrow, few, medium, wide = range(4)
    stuck = dict(zip(found.setting.variants, found.failures, strict=True))
    steps = dict(zip(found.setting.variants, np.median(found.reached, axis=-1), strict=True))
    told = np.median(np.log(1e-3) / np.log(found.rates[0, wide]))
    yield judged(
        "OP",
        "wide one-layer generator, linear discriminator: descent-ascent finds the global saddle point, narrow ones not",
        stuck["linear"][wide] == 0 and stuck["linear"][narrow] > 0.5,
        f"runs of {seeds} that fail: {stuck['linear'][narrow]:.3g} at width 5, {stuck['linear'][wide]:.3g} at 160",
    )
    for name, what in (("two layers", "deeper generators"), ("random features", "random-feature discriminators")):
        yield judged(
            "OP",
            f"so do {what}",
            stuck[name][wide] < 0.05 and stuck[name][narrow] > 0.5,
            "fail: " + ", ".join(f"{stuck[name][i]:.3g} at width {found.setting.widths[i]}" for i in range(4)),
        )
    yield judged(
        "OP",
        "overparameterised training is faster",
        all(steps[name][wide] < steps[name][medium] for name in steps),
        "median steps to a thousandth, width 40 / 160: "
        + ", ".join(f"{name} {steps[name][medium]:.0f} / {steps[name][wide]:.0f}" for name in steps)
        + f" (predicted for linear at 160: {told:.0f})",
    )
    yield judged(
        "OP",
        "and more stable",
        all(stuck[name][wide] < stuck[name][few] for name in steps),
        "fail, width 20 / 160: "
        + ", ".join(f"{name} {stuck[name][few]:.3g} / {stuck[name][wide]:.3g}" for name in steps)
        + "; random features that hardly any generated point activates fail at any width",
    )
    yield ["OP", "better pictures on CIFAR-10 and CelebA, over architectures", "smaller", "see width_sweep_images"]


def crossing(stable: Callable[[float], bool], low: float, high: float, tolerance: float) -> float:
    """Where a run stops being stable, by bisection of the logarithm."""
    while high / low > 1 + tolerance:
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if stable(middle) == stable(low) else (low, middle)
    return float(np.sqrt(low * high))


def grows(game: KernelGame, at: np.ndarray, rates: tuple[float, float], steps: int, order: str) -> bool:
    """Whether the moves of a slightly displaced point become larger, by their rate where they are linear."""
    path = simulate_points(game, at + 1e-9, rates, steps=steps, method=order, critic=game.rest(at))[:, 0, 0]
    moves = np.diff(path[np.maximum.accumulate(np.abs(path - at[0, 0])) < 1e-4])
    resolved = np.abs(moves) > 1e-9 * np.abs(moves).max()
    end = int(np.flatnonzero(resolved)[-1]) + 1
    return measured_rate(moves[end // 10 : end]) > 1


def local_convergence(quick: bool) -> Iterator[Row]:
    """[KG]: the borders between converging, oscillating and diverging."""
    tolerance, steps, errors = 1e-3, 2000 if quick else 6000, []
    for width in (0.5, 1.0, 2.0):
        for lam in (0.1, 0.3):
            game = KernelGame([[0.0]], GaussianKernel(width), lam)

            def converges(eta: float, game: KernelGame = game) -> bool:
                return not grows(game, np.zeros((1, 1)), (eta, 0.1), steps, "simultaneous")

            critical = lam * width**2
            errors.append(abs(crossing(converges, critical / 3, 3 * critical, tolerance) / critical - 1))
    yield judged(
        "KG",
        "step sizes, regularisation and bandwidth decide local convergence: simultaneous iff eta_g < lam width^2 / q^2",
        max(errors) < 0.01,
        f"critical steps of {len(errors)} settings within {max(errors):.2g} of the formula",
    )
    size = 16 if quick else 60
    lam, eta = np.linspace(0.05, 4.8, size)[:, None], np.linspace(0.02, 2.0, size)
    for order in ("simultaneous", "alternating"):
        diagram = phase_diagram(GaussianKernel(0.8), lam, (eta, 0.4), method=order)
        phases = sorted(set(np.asarray(diagram.predicted.phase).ravel()))
        yield judged(
            "KG",
            f"phase transitions between convergence, oscillation and divergence ({order})",
            diagram.boundary_error <= 1 and len(phases) >= 3,
            f"{size} x {size} settings: border off by {diagram.boundary_error} cells; {', '.join(phases)}",
        )


def isolated_points(quick: bool) -> Iterator[Row]:
    """[IP]: good and bad minima, approximate mode collapse, divergence."""
    rates, errors = (0.2, 0.5), []
    for width in (0.5, 1.0, 2.0):

        def freezes(lam: float, width: float = width) -> bool:
            game = KernelGame([[1e3]], GaussianKernel(width), lam)
            return not grows(game, np.zeros((1, 1)), rates, 1000 if quick else 4000, "simultaneous")

        critical = np.sqrt(rates[0] / rates[1]) / width
        errors.append(abs(crossing(freezes, critical / 2, 1.8 * critical, 1e-3) / critical - 1))
    yield judged(
        "IP",
        "bad minima and divergence: a point far from all modes freezes iff lam^2 > gamma q^2 eta_g / eta_d, or runs",
        max(errors) < 0.01,
        f"critical regularisations at {len(errors)} bandwidths within {max(errors):.2g} of the formula",
    )
    kernel, dim, p, q = GaussianKernel(1.0), 2, 0.5, 0.51
    arms = 0.1 * np.sqrt(2) * np.eye(dim)
    start = np.concatenate([arms, -arms, [[1e6, 0.0]]])
    game = KernelGame([[0.0, 0.0], [1e6, 0.0]], kernel, 0.5, [p, 1 - p], [*np.full(4, q / 4), 1 - q])
    path = simulate_points(game, start, (4.0, 0.4), steps=2000)
    spread, told = float((path[-1, :4] ** 2).mean()), float(steady_spread(kernel, dim, p, q))
    yield judged(
        "IP",
        "approximate mode collapse: surplus mass spreads a little around its mode and stays",
        abs(spread / told - 1) < 0.05,
        f"stands at second moment {spread:.4g}, predicted {told:.4g}",
    )
    matched = KernelGame([[0.0, 0.0]], kernel, 0.5)
    path = simulate_points(matched, start[:4], (4.0, 0.4), steps=1000)
    theory = simulate_spread(kernel, 0.5, [0.01, 0.01], (4.0, 0.4), points=4, steps=1000)
    error = float(np.abs((path**2).mean(axis=1) / theory - 1).max())
    yield judged(
        "IP",
        "conditions for good minima: matched mass comes together at its mode",
        error < 0.1 and theory[-1, 0] < 0.1 * theory[0, 0],
        f"second moments {theory[0, 0]:.2g} -> {float((path[-1] ** 2).mean()):.2g} in 1000 steps, "
        f"within {error:.2g} of the moment model",
    )


def main() -> None:
    """Judge every claim."""
    options = parse(__doc__)
    rows = [*overparameterised(options.quick), *local_convergence(options.quick), *isolated_points(options.quick)]
    write("gda_claims", COLUMNS, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
