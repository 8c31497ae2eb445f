"""A search for triple descent: how often the test error of a linear GAN falls again as the latent dimension grows.

Luzi, Dar and Baraniuk (arXiv 2106.04003) report double, and in some cases triple, descent. Here every combination
of spectrum, samples, pairs, ridge and weight below is swept. A rise or a fall of the log error between two latent
dimensions counts if its paired mean over the draws exceeds 5 standard errors and 1 %. Two falls are a double descent,
three a triple.

Example: python -m benchmarks.triple_descent --quick
"""

from __future__ import annotations

import numpy as np

from benchmarks._report import parse, write
from convexgan.linear_gan import sweep

D = 24
SPECTRA = {
    "1/i": 1 / np.arange(1, D + 1),
    "1/i^2": 1 / np.arange(1, D + 1) ** 2,
    "equal": np.ones(D),
    "rank 6": np.repeat([1.0, 0.0], [6, D - 6]),
    "6 large, 18 of .05": np.repeat([1.0, 0.05], [6, D - 6]),
}
SIZES = [(12, 12), (12, 6), (12, 3), (36, 36), (36, 12), (36, 4)]  # samples, pairs
RIDGES, WEIGHTS = (0.001, 0.1), (1.0, 10.0, 100.0)


def turns(errors: np.ndarray) -> list[int]:
    """The indices, from the first dimension on, between which the errors (K, draws) really rise or fall."""
    logs = np.log(errors)
    path, direction = [0], 0
    for j in range(1, len(logs)):
        way = moved(logs[j] - logs[path[-1]])
        if way == 0:
            better = direction * (logs[j] - logs[path[-1]]).mean() > 0
            path[-1] = j if better else path[-1]
        elif way == direction:
            path[-1] = j
        else:
            path.append(j)
            direction = way
    return path


def moved(change: np.ndarray) -> int:
    """1 or -1 if a paired change really is one, else 0."""
    mean, error = float(change.mean()), float(change.std() / np.sqrt(len(change)))
    return int(np.sign(mean)) if abs(mean) > max(5 * error, 0.01) else 0


def main() -> None:
    """Sweep everything and list the curves with more than one fall."""
    options = parse(__doc__)
    rows, total, draws = [], 0, 10 if options.quick else 20
    for name, eigenvalues in SPECTRA.items():
        for n, m in SIZES[: 1 if options.quick else None]:
            ks = sorted({1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 24, 30, m - 1, m, m + 2, n, 48, 70, 100, 200})
            found = sweep(eigenvalues, n, ks, pairs=m, ridges=RIDGES, weights=WEIGHTS, draws=draws)
            for learner, errors in zip(found.setting.learners, found.errors, strict=True):
                path = turns(np.maximum(errors, 1e-12))
                levels = np.exp(np.log(np.maximum(errors, 1e-12)).mean(-1))
                falls = int(np.sum(np.diff(levels[path]) < 0))
                total += 1
                if falls > 1:
                    text = ", ".join(f"{levels[i]:.3g} (k={ks[i]})" for i in path)
                    rows.append([name, n, m, learner, falls, text])
    kinds = {falls: sum(row[4] == falls for row in rows) for falls in sorted({row[4] for row in rows})}
    summary = f"{total} curves, {draws} draws each. Curves by number of falls beyond one: {kinds or 'none'}."
    columns = ["spectrum", "samples", "pairs", "learner", "falls", "turning points (geometric mean of the errors)"]
    write("triple_descent", columns, rows, f"{__doc__}\n{summary}", options.quick)
    print(summary)


if __name__ == "__main__":
    main()
