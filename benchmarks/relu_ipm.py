"""The exact best response of ReLU neurons: time and certified gap by dimension and number of rows.

Claim: rank 2 in N log N (2,000 rows in 5 ms); rank 3 to 1e-9, 2,000 rows in 50 ms and about linear in N; rank 5,
60 rows exactly in .1 s and 2,000 rows to 1 % in 2 s; rank 6, 400 rows to 1 % in 2 s; rank 8, 200 rows to 1 % in 60 s;
rank 12, 200 rows to 3 % and rank 20, 1,000 rows are reported only. Half the rows are standard Gaussian with weight 1/n,
half with weight -1/n are either shifted by .2 and scaled by 1.1, or from the same law, which is harder: a small
difference of large sums.

Example: python -m benchmarks.relu_ipm --quick
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks._report import parse, write
from convexgan.arrangements import Maximum, maximize

CASES = [  # rank, rows, gap, time limit, repeats
    (2, 2_000, 0.0, None, 5),
    (2, 100_000, 0.0, None, 3),
    (2, 1_000_000, 0.0, None, 1),
    (3, 2_000, 0.0, None, 5),
    (3, 20_000, 0.0, None, 1),
    (3, 100_000, 0.0, None, 1),
    (4, 400, 0.0, None, 3),
    (5, 60, 0.0, None, 3),
    (5, 2_000, 0.01, None, 1),
    (6, 400, 0.01, None, 1),
    (8, 200, 0.01, 60.0, 1),
    (12, 200, 0.01, 60.0, 1),
    (20, 1_000, 0.01, 60.0, 1),
]


def sample(p: int, n: int, shifted: bool, seed: object) -> tuple[np.ndarray, np.ndarray]:
    """n real and n generated rows."""
    X, Y = np.random.default_rng(seed).standard_normal((2, n, p))
    if shifted:
        Y = 1.1 * Y
        Y[:, 0] += 0.2
    return X, Y


def timed(
    rows: np.ndarray, weights: np.ndarray, gap: float, limit: float | None, repeats: int
) -> tuple[Maximum, float]:
    """The answer and the shortest time in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = maximize(rows, weights, gap=gap, time_limit=limit)
        seconds.append(time.perf_counter() - start)
    return found, min(seconds)


def main() -> None:
    """Measure every case with different and with equal laws."""
    options = parse(__doc__)
    rows = []
    for p, N, gap, limit, repeats in CASES:
        if options.quick and (N > 2_000 or p > 6):
            continue
        for shifted in (True, False):
            signed = np.vstack(sample(p, N // 2, shifted, p)), np.repeat([2 / N, -2 / N], N // 2)
            found, seconds = timed(*signed, gap, limit, repeats)
            reached = (found.upper_bound - found.value) / found.value
            law = "shifted" if shifted else "equal"
            rows.append([p, N, law, gap, seconds, found.value, reached, found.exact, found.stats.get("nodes", "")])
            print(rows[-1], flush=True)
    columns = ["rank", "rows", "laws", "gap asked", "seconds", "value", "gap", "exact", "cones"]
    write("relu_ipm", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
