"""The exact best response of ReLU neurons beside SCIP on the same problem, and beside projected gradient ascent.

Predicted: the same value as SCIP (mixed-integer programs of both signs, no gap allowed) to 1e-6 relative, at least 30
times faster with 30 + 30 rows of 3 and of 5 columns. SCIP's time is its own, without cvxpy's.

Gradient ascent on |m(u)| over the sphere: each random start climbs on the sign it finds itself on, 300 steps along the
gradient, of lengths that fall geometrically from .5 to 5e-5, and the best point of the path counts. A miss: more than
1e-3 (or 1e-2, a clear miss) below the maximum, relative. Predicted: one start misses the more often the more columns,
100 hardly ever.

Laws as in relu_ipm. Ratios of seconds are from one run on a machine that had other work to do. Finished rows are kept
in build/relu_against_scip.jsonl: a killed run goes on.

Example: python -m benchmarks.relu_against_scip --quick
"""

from __future__ import annotations

import statistics
import time
from functools import partial

import numpy as np
from matplotlib.figure import Figure

import convexgan as cg
from benchmarks._records import forget, recall
from benchmarks._report import parse, write
from benchmarks.relu_ipm import sample
from convexgan.programs import ipm_program

ROWS = 30  # of each sample
STARTS = (1, 10, 100)
LENGTHS = 0.5 * np.geomspace(1, 1e-4, 300)
MISSES = (1e-3, 1e-2)


def against_scip(p: int, shifted: bool, draws: int) -> list[object]:
    """Median seconds of both over the draws, the smallest ratio, the largest difference of the values."""
    ours, theirs, differences = [], [], []
    for draw in range(draws):
        X, Y = sample(p, ROWS, shifted, (p, draw))
        start = time.perf_counter()
        found = cg.ipm(X, Y)
        ours.append(time.perf_counter() - start)
        solved = ipm_program(X, Y).solve("SCIP")
        theirs.append(sum(stats["solver_seconds"] for stats in solved.stats.values()))
        if not found.exact or solved.status != "optimal":
            raise RuntimeError(f"{p} columns, draw {draw}: ipm exact {found.exact}, SCIP {solved.status}.")
        differences.append(abs(solved.value / found.value - 1))
        print(p, law(shifted), ours[-1], theirs[-1], differences[-1], flush=True)
    ratios = [slow / fast for slow, fast in zip(theirs, ours, strict=True)]
    medians = [statistics.median(times) for times in (ours, theirs, ratios)]
    return ["SCIP", p, law(shifted), draws, *medians, min(ratios), max(differences), *[""] * 6]


def ascend(X: np.ndarray, Y: np.ndarray, U: np.ndarray) -> np.ndarray:
    """The largest |mean max(Xu, 0) - mean max(Yu, 0)| on each path of gradient ascent from unit rows U (k, p)."""
    best = np.zeros(len(U))
    for length in LENGTHS:
        seen = [(rows, rows @ U.T > 0) for rows in (X, Y)]
        gradients = np.subtract(*(active.T @ rows / len(rows) for rows, active in seen))
        values = np.sum(gradients * U, axis=1)
        best = np.maximum(best, np.abs(values))
        U = U + length * np.sign(values)[:, None] * gradients / np.linalg.norm(gradients, axis=1)[:, None]
        U /= np.linalg.norm(U, axis=1)[:, None]
    return best


def against_ascent(p: int, shifted: bool, draws: int) -> list[object]:
    """How often the best of 1, 10 and 100 starts misses the maximum."""
    shortfall = np.zeros((draws, STARTS[-1]))
    for draw in range(draws):
        X, Y = sample(p, ROWS, shifted, (p, draw))
        U = np.random.default_rng(draw).standard_normal((STARTS[-1], p))
        found = cg.ipm(X, Y)
        if not found.exact:
            raise RuntimeError(f"{p} columns, draw {draw}: the maximum is not exact.")
        shortfall[draw] = 1 - ascend(X, Y, U / np.linalg.norm(U, axis=1)[:, None]) / found.value
    best = [shortfall.reshape(draws, -1, k).min(axis=2) for k in STARTS]  # every start is used
    missed = [float((s > miss).mean()) for miss in MISSES for s in best]
    return ["ascent", p, law(shifted), draws, *[""] * 5, *missed]


def law(shifted: bool) -> str:
    """The name of the laws of both samples."""
    return "shifted" if shifted else "equal"


def draw_misses(rows: list[list[object]]) -> Figure:
    """Seconds of both solvers; shares of misses against the columns."""
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    first, *panels = figure.subplots(1, 3)
    timed = [row for row in rows if row[0] == "SCIP"]
    for k, (column, name) in enumerate(((4, "ipm"), (5, "SCIP"))):
        bars = first.bar(np.arange(len(timed)) + 0.4 * k - 0.2, [float(row[column]) for row in timed], 0.4, label=name)
        first.bar_label(
            bars, fmt=lambda seconds: f"{seconds:.0f} s" if seconds > 10 else f"{seconds:.2g} s", fontsize="small"
        )
    names = [f"{row[1]} columns\n{row[2]} laws" for row in timed]
    first.set(title="the same maximum, median seconds", yscale="log", ylabel="seconds", xticks=range(len(timed)))
    first.set_xticklabels(names, fontsize="small")
    first.margins(y=0.15)
    first.legend(fontsize="small", loc="upper left")
    for panel, shifted in zip(panels, (True, False), strict=True):
        found = np.array([row[9:] for row in rows if row[0] == "ascent" and row[2] == law(shifted)], dtype=float)
        columns = [int(row[1]) for row in rows if row[0] == "ascent" and row[2] == law(shifted)]
        for k, starts in enumerate(STARTS):
            (line,) = panel.plot(columns, found[:, k], marker="o", label=f"{starts} start{'s' * (starts > 1)}")
            panel.plot(columns, found[:, len(STARTS) + k], marker="o", linestyle=":", color=line.get_color())
        panel.set(title=f"gradient ascent, {law(shifted)} laws", xlabel="columns", xticks=columns, ylim=(-0.02, 1))
        panel.set_ylabel("share of runs that miss the maximum")
    panels[-1].plot([], [], "k-", label="by more than .1 %")
    panels[-1].plot([], [], "k:", label="by more than 1 %")
    panels[-1].legend(loc="center right", bbox_to_anchor=(1, 0.42), fontsize="small")
    return figure


def main() -> None:
    """Measure both comparisons."""
    options = parse(__doc__)
    if options.quick:
        forget("relu_against_scip_quick")
    cases = [(against_scip, 3, 1)] if options.quick else [(against_scip, 3, 5), (against_scip, 5, 3)]
    cases += [(against_ascent, p, 20 if options.quick else 200) for p in range(2, 4 if options.quick else 7)]
    rows = []
    for measure, p, draws in cases:
        for shifted in (True, False):
            key = {"measure": measure.__name__, "columns": p, "shifted": shifted, "draws": draws}
            made = partial(measure, p, shifted, draws)
            rows.append(recall("relu_against_scip" + "_quick" * options.quick, key, made))
            print(rows[-1], flush=True)
    columns = ["against", "columns", "laws", "draws", "ipm s", "SCIP s", "ratio", "least ratio", "largest difference"]
    columns += [f"{k} start{'s' * (k > 1)}: > {miss:g}" for miss in MISSES for k in STARTS]
    write("relu_against_scip", columns, rows, __doc__ or "", options.quick, draw_misses(rows))


if __name__ == "__main__":
    main()
