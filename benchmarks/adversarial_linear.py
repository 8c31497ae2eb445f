"""Do fixed pairs speed up a linear GAN trained against a quadratic discriminator, and do they cost quality?

Predicted: without pairs alternating steps oscillate around the optimum of `solve`, damped by sqrt(1 - b price) whatever
the latent dimension k >= d; simultaneous steps diverge unless the price is large; below d latents there is no saddle
point and nothing settles. Pairs of all n samples add friction, most at some finite weight, less the more latents there
are. They cost nothing from k somewhat above 2n + 1 on, and something below.

n = 20 samples of 6 dimensions, eigenvalues 1/i; price .1, penalty .1 (beta = .01), steps of .05, medians of 20 draws.
"Free": the share of draws in which some optimal generator meets every pair. Iterations count until the test error stays
within 5 % of the exact optimum's, or the relative gap of the game without pairs below 1 %. Rates are factors per step:
the spectral radius of the linearised step where the optimum is known (median of 5 draws; its slowest mode may hardly
move the generated law, so it bounds the measured rate), and what |W'W - B*| shrinks by while the gap falls from 1e-3 to
1e-8. "-": not known, not reached.

Example: python -m benchmarks.adversarial_linear --quick
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import convexgan as cg
from benchmarks._report import RESULTS, parse, write
from convexgan.dynamics import predict
from convexgan.gaussian import squared_wasserstein
from convexgan.linear_gan import (
    AdversarialGame,
    AdversarialRuns,
    adversarial_modes,
    linearize_adversarial,
    train_adversarial,
)

LAW, N, PRICE, PENALTY, RATES = 1 / np.arange(1, 7), 20, 0.1, 0.1, (0.05, 0.05)
WEIGHTS = [0.0, 0.01, 0.03, 0.1, 0.3, 1.0]
DIMENSIONS = [4, 6, 12, 20, 32, 48, 64, 96, 160, 320]
KS, SPEEDS = [5, 10, 20, 100, 300], [300, 500, 1000, 2000]  # ticks
ALSO_SIMULTANEOUS, SHOWN, EVERY = [20, 96], 96, 10


def drawn(k: int, draws: int) -> tuple[AdversarialGame, np.ndarray]:
    """Games (weights, draws) and where their generators start: the same samples at every k, latents nested."""
    X, Z, W = [], [], []
    for seed in range(draws):
        X.append(np.random.default_rng([seed, 0]).standard_normal((N, len(LAW))) * np.sqrt(LAW))
        Z.append(np.random.default_rng([seed, 1]).standard_normal((k, N)).T)
        W.append(np.random.default_rng([seed, 2]).standard_normal((k, len(LAW))) * 0.3 / np.sqrt(k))
    start = np.broadcast_to(np.stack(W), (len(WEIGHTS), draws, k, len(LAW)))
    return AdversarialGame(np.stack(X), np.stack(Z), np.array(WEIGHTS)[:, None], PRICE, PENALTY), start


def single(game: AdversarialGame, draw: int, weight: float) -> AdversarialGame:
    """One draw at one weight."""
    return AdversarialGame(game.X[draw], game.Z[draw], weight, PRICE, PENALTY)


def exact_error(game: AdversarialGame, draw: int) -> float:
    """The test error of the optimum: that of `solve`, or where k is too small for it the best of rank k."""
    W = game.optimum[draw]
    if len(W) >= len(LAW):
        sol = cg.solve(game.X[draw], cg.GaussianLatent(len(W)), beta=game.beta, generator_penalty=PENALTY)
        W = sol.generator.weights
    return squared_wasserstein(np.diag(LAW), W.T @ W)


def meeting(game: AdversarialGame, draw: int) -> np.ndarray | None:
    """An optimal generator that meets every pair of this draw, if there is one."""
    try:
        return single(game, draw, 0.0).interpolating_optimum()
    except ValueError:
        return None


def measured(runs: AdversarialRuns) -> np.ndarray:
    """Factors per step (weights, draws) of |W'W - B*|, whose square the gap is, from 1e-3 to 1e-8."""
    far, near = (runs.settled(runs.gaps, gap) for gap in (1e-3, 1e-8))
    sound = np.isfinite(near) & (near > far)
    elapsed = np.subtract(near, far, out=np.ones_like(near), where=sound)
    return np.where(sound, 1e-5 ** (0.5 / elapsed), np.nan)


def told(game: AdversarialGame, weight: float, draw: int, method: str, W: np.ndarray | None) -> float:
    """The predicted factor, where the optimum is known."""
    alone = single(game, draw, weight)
    if weight == 0 and game.Z.shape[-1] >= len(LAW):
        modes = adversarial_modes(np.linalg.eigvalsh(alone.second), PRICE, PENALTY)
        return float(np.max(predict(modes, RATES, method).rate))
    return float(predict(linearize_adversarial(alone, W), RATES, method).rate) if W is not None else np.nan


def median(values: object) -> str:
    """The median to print, infinite where half are, and "-" where most are missing."""
    seen = np.asarray(values, dtype=float)
    return "-" if np.isnan(seen).mean() > 0.5 else f"{np.nanmedian(seen):.5g}"


def study(method: str, k: int, draws: int, steps: int) -> tuple[list[list[object]], AdversarialRuns, np.ndarray]:
    """A row for each weight, the runs, and the errors of the exact optimum."""
    game, start = drawn(k, draws)
    runs = train_adversarial(game, start, np.diag(LAW), RATES, steps=steps, every=EVERY, method=method)
    exact = np.array([exact_error(game, draw) for draw in range(draws)])
    optima = [meeting(game, draw) for draw in range(draws)]
    share = np.mean([W is not None for W in optima])
    to_error, to_gap = runs.settled(runs.errors, 1.05 * exact), runs.settled(runs.gaps, 0.01)
    rates = measured(runs)
    rows: list[list[object]] = []
    for i, weight in enumerate(WEIGHTS):
        predicted = [told(game, weight, draw, method, W) for draw, W in enumerate(optima[:5])]
        rows.append([method, k, weight, f"{share:.2g}", median(to_error[i]), median(to_gap[i])])
        rows[-1] += [median(runs.errors[-1, i] / exact), median(runs.gaps[-1, i])]
        rows[-1] += [median(predicted), median(rates[i])]
    return rows, runs, exact


def figure(rows: list[list[object]], shown: AdversarialRuns, exact: np.ndarray) -> None:
    """One draw over time; iterations and what the pairs cost against k."""
    page = Figure(figsize=(13, 4), layout="constrained")
    left, middle, right = page.subplots(1, 3)
    for i, weight in enumerate(WEIGHTS[:5]):
        colour, mine = f"C{i}", [row for row in rows if row[0] == "alternating" and row[2] == weight]
        ks = [float(row[1]) for row in mine]
        middle.loglog(ks, [float(row[5]) for row in mine], ".-", color=colour)
        right.loglog(ks, [max(float(row[7]), 1e-6) for row in mine], ".-", color=colour, label=f"weight {weight:g}")
        if weight in (0.0, 0.03, 0.3):
            left.semilogy(shown.steps, shown.errors[:, i, 0], color=colour, linewidth=1, label=f"weight {weight:g}")
    left.axhline(exact[0], color="black", linestyle="--", linewidth=1, label="exact optimum (solve)")
    left.set(xlim=(0, 1000), xlabel="iterations", ylabel="test error")
    left.set_title(f"one draw, k = {SHOWN}", pad=18)
    left.legend(fontsize="small")
    middle.set(xlabel="latent dimension k", ylabel="iterations to a gap of 1 %", yticks=SPEEDS, yticklabels=SPEEDS)
    middle.minorticks_off()
    middle.set_title("speed", pad=18)
    right.set(xlabel="latent dimension k", ylabel="gap in the end (below 1e-6: 1e-6)")
    right.set_title("cost", pad=18)
    right.legend(fontsize="small")
    for panel in (middle, right):
        panel.axvline(2 * N + 1, color="gray", linestyle=":", linewidth=1)
        panel.set(xticks=KS, xticklabels=KS)
        panel.tick_params(axis="x", which="minor", bottom=False)
        place = {"xycoords": ("data", "axes fraction"), "va": "bottom", "ha": "center", "fontsize": "small"}
        panel.annotate(f"2n + 1 = {2 * N + 1}", (2 * N + 1, 1.01), **place)
    page.savefig(RESULTS / "adversarial_linear.png", dpi=150)


def main() -> None:
    """Train at every latent dimension, then compare."""
    options = parse(__doc__)
    draws, steps = (4, 1500) if options.quick else (20, 5000)
    rows, shown = [], None
    settings = [("alternating", k) for k in DIMENSIONS] + [("simultaneous", k) for k in ALSO_SIMULTANEOUS]
    for method, k in settings[6:8] if options.quick else settings:
        found, runs, exact = study(method, k, draws, steps)
        rows += found
        if (method, k) == ("alternating", SHOWN):
            shown = runs, exact
        print(method, k, flush=True)
    columns = ["steps", "k", "weight", "free", "iterations (error)", "iterations (gap)", "final error / exact"]
    columns += ["final gap", "rate, predicted", "rate, measured"]
    if shown and not options.quick:
        figure(rows, *shown)
    write("adversarial_linear", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
