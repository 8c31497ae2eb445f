"""How often permutation tests notice that two samples differ: the exact ReLU discrepancy, MMD and energy distance.

X has n standard Gaussian rows; Y has n rows of the same law (its rejections are the level, 5 % by construction), of
mean .5 in the first column, of standard deviation 1.7 in the first column, or of Student's t with 3 degrees of freedom
scaled to the same covariance. MMD has a Gaussian kernel with the median distance as its width, the energy distance is
dcor's. All tests see the same samples and reject if p <= .05 with 99 permutations. s.e.: the largest standard error of
a share in the row, .5 / sqrt(draws).

hyppo 0.5.2 has both rivals, but imports from a namespace scipy has deprecated, compiles for 46 s and takes no seed; its
p-values agreed with those here to the resampling error. MMD is therefore computed here from scikit-learn's kernel.

Predicted: every test keeps its level. ReLU neurons are strongest on the mean, which a single direction shows, and
weaker than MMD on the tails, which show in all directions alike and by the shape of the law near 0; a bias helps there.

A finished row is kept in build/two_sample_power.jsonl and not repeated: remove that file to start afresh.

Example: python -m benchmarks.two_sample_power --quick
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import dcor
import numpy as np
from matplotlib.figure import Figure
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import rbf_kernel

import convexgan as cg
from benchmarks._report import parse, write

KEPT = Path(__file__).parent.parent / "build" / "two_sample_power.jsonl"
PERMUTATIONS = 99
LEVEL = 0.05
Test = Callable[[np.ndarray, np.ndarray, int], float]


def relu(bias: str) -> Test:
    """The p-value of the exact ReLU discrepancy."""

    def test(X: np.ndarray, Y: np.ndarray, seed: int) -> float:
        return cg.two_sample_test(X, Y, "relu", bias=bias, permutations=PERMUTATIONS, rng=seed).p_value

    return test


def mmd(X: np.ndarray, Y: np.ndarray, seed: int) -> float:
    """The p-value of the maximum mean discrepancy."""
    rows, rng = np.vstack([X, Y]), np.random.default_rng(seed)
    kernel = rbf_kernel(rows, gamma=1 / (2 * np.median(pdist(rows)) ** 2))
    shares = np.concatenate([np.full(len(X), 1 / len(X)), np.full(len(Y), -1 / len(Y))])
    labels = np.stack([shares, *(rng.permutation(shares) for _ in range(PERMUTATIONS))])
    squares = np.sum(labels @ kernel * labels, axis=1)
    return float(np.mean(squares >= squares[0] * (1 - 1e-12)))


def energy(X: np.ndarray, Y: np.ndarray, seed: int) -> float:
    """The p-value of the energy distance."""
    return float(dcor.homogeneity.energy_test(X, Y, num_resamples=PERMUTATIONS, random_state=seed).pvalue)


TESTS: dict[str, Test] = {"ReLU": relu("none"), "ReLU, bias": relu("penalized"), "MMD": mmd, "energy": energy}
LAWS = ("same law", "mean", "scale", "tails")
SHOWN = {"same law": "same\nlaw", "mean": "moved\nmean", "scale": "other\nscale", "tails": "heavy\ntails"}
SETTINGS = [(2, 25, 400, False), (2, 50, 100, True), (2, 100, 400, False), (3, 50, 100, False)]  # with a bias too?


def draw(law: str, d: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two samples."""
    rng = np.random.default_rng([LAWS.index(law), d, n, seed])
    X, Y = rng.standard_normal((2, n, d))
    if law == "mean":
        Y[:, 0] += 0.5
    elif law == "scale":
        Y[:, 0] *= 1.7
    elif law == "tails":
        Y /= np.sqrt(rng.chisquare(3, size=(n, 1)))  # covariance: that of t, 3 I, over 3
    return X, Y


def rejections(law: str, d: int, n: int, draws: int, bias: bool) -> list[object]:
    """The share of draws in which each test rejects."""
    tests = {name: test for name, test in TESTS.items() if bias or name != "ReLU, bias"}
    pairs = [(*draw(law, d, n, seed), seed) for seed in range(draws)]
    shares = {name: float(np.mean([test(*pair) <= LEVEL for pair in pairs])) for name, test in tests.items()}
    return [d, n, law, draws, *(shares.get(name, "") for name in TESTS), 0.5 / draws**0.5]


def draw_shares(rows: list[list[object]]) -> Figure:
    """Bars of rejections, a panel for each setting."""
    settings = list(dict.fromkeys((row[0], row[1]) for row in rows))
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    for panel, (d, n) in zip(figure.subplots(1, len(settings), sharey=True, squeeze=False)[0], settings, strict=True):
        mine = [row for row in rows if (row[0], row[1]) == (d, n)]
        made = [(k, name) for k, name in enumerate(TESTS) if "" not in [row[4 + k] for row in mine]]
        for i, (k, name) in enumerate(made):
            places = np.arange(len(mine)) + (i - (len(made) - 1) / 2) * 0.2
            panel.bar(places, [row[4 + k] for row in mine], 0.2, color=f"C{k}", label=name)
        panel.axhline(LEVEL, color="black", linestyle=":", linewidth=1, label=f"level {LEVEL:g}")
        names = [SHOWN[str(row[2])] for row in mine]
        panel.set(title=f"{d} columns, n = {n}", xticks=range(len(mine)), xticklabels=names, ylim=(0, 1))
        if "ReLU, bias" in (drawn := panel.get_legend_handles_labels())[1]:
            figure.legend(*drawn, loc="outside right upper", fontsize="small")
    figure.supylabel("share of draws in which the test rejects", fontsize="medium")
    return figure


def main() -> None:
    """Measure every setting."""
    options = parse(__doc__)
    lines = KEPT.read_text().splitlines() if KEPT.exists() and not options.quick else []
    rows, kept = [], {tuple(row[:4]): row for row in map(json.loads, lines)}
    for d, n, draws, bias in SETTINGS[:1] if options.quick else SETTINGS:
        for law in LAWS:
            count = 50 if options.quick else draws
            row = kept.get((d, n, law, count)) or rejections(law, d, n, count, bias)
            rows.append(row)
            if tuple(row[:4]) not in kept and not options.quick:
                KEPT.parent.mkdir(exist_ok=True)
                with KEPT.open("a") as log:
                    log.write(json.dumps(row) + "\n")
            print(row, flush=True)
    columns = ["columns", "n", "law of Y", "draws", *TESTS, "s.e."]
    write("two_sample_power", columns, rows, __doc__ or "", options.quick, draw_shares(rows))


if __name__ == "__main__":
    main()
