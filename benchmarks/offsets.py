"""Neurons with free offsets, exactly: ReLU ones and half-spaces, beside all cells and beside gradient ascent.

Both are the best ridge splines of a published test, of degree 1 and 0 (Paik, Celentano, Green and Tibshirani, Integral
Probability Metrics Meet Neural Networks: The Radon-Kolmogorov-Smirnov Test, JMLR 2025, arXiv 2309.02422), which
approximates them by gradients.

cells: small random samples of one to three columns, a third of them on lattices, with equal rows, or on a common line
or plane, half of them weighted; the largest difference to the enumeration of all cells (for half-spaces in integers),
relative for ReLU neurons. Predicted: below 1e-9, whatever the ties.

seconds: predicted exact in a second for 2 columns x 2,000 rows, in 30 for 3 columns x 400 rows (both samples together).

ascent: Adam from random directions whose hyperplane passes through a random row, 500 steps of .05, on columns of
variance 1; the best point of the path counts. Half-spaces have no gradient: there it climbs a logistic function of
width .1, and the half-spaces on its path count. A miss: more than 1e-3 below the maximum, relative; the shortfall is
the mean. Laws as in relu_ipm.

Seconds were measured on a machine that had other work to do. Finished rows are kept in build/offsets.jsonl: a killed
run goes on.

Example: python -m benchmarks.offsets --quick
"""

from __future__ import annotations

import statistics
import time
from functools import partial

import numpy as np

import convexgan as cg
from benchmarks._records import forget, recall
from benchmarks._report import parse, write
from benchmarks.relu_ipm import sample

STARTS = (1, 10, 100)
STEPS, RATE, WIDTH = 500, 0.05, 0.1
MISS = 1e-3
NEURONS = {"relu": {"discriminator": "relu", "bias": "free"}, "half-spaces": {"discriminator": "threshold"}}


def small(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Two samples of a few rows, and weights of theirs."""
    d = int(rng.integers(1, 4))
    n, m = rng.integers(1, 7 if d < 3 else 5, 2)
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((m, d)) * rng.uniform(0.3, 2)
    kind = rng.integers(9)
    if kind == 0:
        X, Y = np.round(2 * X) / 2, np.round(2 * Y) / 2
    if kind == 1:
        X[0] = Y[0]
    if kind == 2:
        X[:, -1], Y[:, -1] = 2 * X[:, 0], 2 * Y[:, 0]
    return X, Y, {"weights_x": rng.integers(1, 4, n), "weights_y": rng.uniform(0.2, 2, m)} if rng.integers(2) else {}


def against_cells(name: str, count: int) -> list[object]:
    """The largest difference to the enumeration of all cells over many small samples."""
    worst = 0.0
    for draw in range(count):
        X, Y, weights = small(np.random.default_rng([draw, 1]))
        found, known = (
            cg.ipm(X, Y, method=method, **weights, **NEURONS[name])
            for method in ("auto", "enumerate" if X.shape[1] > 1 else "sweep")
        )
        size = known.value if name == "relu" and known.value > 1e-12 else 1.0
        worst = max(worst, abs(found.value - known.value) / size, (known.value - found.upper_bound) / size)
    return ["cells", name, "1 to 3", "2 to 12", "all", count, "", "", worst, *[""] * 6]


def seconds(name: str, p: int, rows: int, shifted: bool, draws: int) -> list[object]:
    """The median and the most seconds of the exact search over the draws, and the largest certified gap."""
    times, gaps = [], []
    for draw in range(draws):
        X, Y = sample(p, rows // 2, shifted, (p, draw))
        start = time.perf_counter()
        found = cg.ipm(X, Y, **NEURONS[name])
        times.append(time.perf_counter() - start)
        gaps.append(found.upper_bound / found.value - 1)
    return ["seconds", name, p, rows, law(shifted), draws, statistics.median(times), max(times), max(gaps), *[""] * 6]


def climb(name: str, X: np.ndarray, Y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The largest difference of means on each path of Adam, by starts; columns are brought to variance 1."""
    rows = np.concatenate([X, Y])
    weights = np.repeat([1 / len(X), -1 / len(Y)], [len(X), len(Y)])
    U = rng.standard_normal((STARTS[-1], rows.shape[1]))
    U /= np.linalg.norm(U, axis=1)[:, None]
    z = np.column_stack([U, -np.sum(U * rows[rng.integers(len(rows), size=len(U))], axis=1)])
    first, second, best = np.zeros_like(z), np.zeros_like(z), np.zeros(len(z))
    for step in range(1, STEPS + 1):
        lengths = np.linalg.norm(z[:, :-1], axis=1)[:, None]
        u, t = z[:, :-1] / lengths, z[:, :-1] / lengths @ rows.T + z[:, -1:]
        if name == "relu":
            values, slopes = np.maximum(t, 0) @ weights, (t > 0) * weights
            best = np.maximum(best, np.abs(values))
        else:
            soft = 1 / (1 + np.exp(-np.clip(t / WIDTH, -50, 50)))
            values, slopes = soft @ weights, soft * (1 - soft) / WIDTH * weights
            best = np.maximum(best, np.abs((t > 0) @ weights))
        along = slopes @ rows
        gradient = np.column_stack([(along - np.sum(along * u, axis=1)[:, None] * u) / lengths, slopes.sum(axis=1)])
        gradient *= np.sign(values)[:, None]
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        z = z + RATE * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return best


def against_ascent(name: str, p: int, rows: int, shifted: bool, draws: int) -> list[object]:
    """How often the best of 1, 10 and 100 starts misses the maximum, and by how much on average."""
    shortfall = np.zeros((draws, STARTS[-1]))
    for draw in range(draws):
        X, Y = sample(p, rows // 2, shifted, (p, draw))
        sizes = np.concatenate([X, Y]).std(axis=0)
        X, Y = X / sizes, Y / sizes
        found = cg.ipm(X, Y, **NEURONS[name])
        if not found.exact:
            raise RuntimeError(f"{p} columns, draw {draw}: the maximum is not exact.")
        shortfall[draw] = 1 - climb(name, X, Y, np.random.default_rng(draw)) / found.value
    best = [shortfall.reshape(draws, -1, k).min(axis=2) for k in STARTS]  # every start is used
    missed = [float((s > MISS).mean()) for s in best] + [float(s.mean()) for s in best]
    return ["ascent", name, p, rows, law(shifted), draws, "", "", "", *missed]


def law(shifted: bool) -> str:
    """The name of the laws of both samples."""
    return "shifted" if shifted else "equal"


def main() -> None:
    """Measure all three comparisons."""
    options = parse(__doc__)
    table = "offsets" + "_quick" * options.quick
    if options.quick:
        forget(table)
    sizes, draws = ([(2, 200), (3, 40)], 2) if options.quick else ([(2, 2000), (3, 400)], 10)
    rivals, tries = ([(2, 60)], 3) if options.quick else ([(2, 60), (2, 400), (3, 60), (3, 200)], 30)
    cases = [partial(against_cells, name, 20 if options.quick else 5000) for name in NEURONS]
    for shifted in (True, False):
        cases += [partial(seconds, name, *size, shifted, draws) for name in NEURONS for size in sizes]
        cases += [partial(against_ascent, name, *size, shifted, tries) for name in NEURONS for size in rivals]
    rows = []
    for case in sorted(
        cases, key=lambda case: ("against_cells", "seconds", "against_ascent").index(case.func.__name__)
    ):
        key = {"measure": case.func.__name__, "arguments": list(case.args)}
        rows.append(recall(table, key, case))
        print(rows[-1], flush=True)
    columns = ["against", "neurons", "columns", "rows", "laws", "draws", "median s", "most s", "difference or gap"]
    columns += [f"{k} start{'s' * (k > 1)}: > {MISS:g}" for k in STARTS]
    columns += [f"{k} start{'s' * (k > 1)}: shortfall" for k in STARTS]
    write("offsets", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
