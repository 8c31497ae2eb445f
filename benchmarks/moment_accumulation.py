"""Moments of float32 chunks beside a plain float32 X.T @ X of the same shape: rate and accuracy.

Claim: at least 80 % of the plain product's rate. Predicted: 85 to 95 %; what is added is a pass for the subtraction of
the pilot mean, one for the sums and a (d, d) float64 addition per chunk; what is saved, the mirrored triangle.

Example: python -m benchmarks.moment_accumulation --quick
"""

from __future__ import annotations

import numpy as np

import convexgan as cg
from benchmarks._report import fastest, parse, write


def main() -> None:
    """Measure every shape."""
    options = parse(__doc__)
    shapes = ((50_000, 768), (40_000, 1536), (20_000, 3072)) if not options.quick else ((8_000, 256),)
    rows = []
    for n, d in shapes:
        X = np.random.default_rng(d).standard_normal((n, d), dtype=np.float32) + np.float32(0.5)
        chunks = np.array_split(X, 4)
        ours, plain = fastest(8, lambda c=chunks: cg.Moments.from_chunks(c), lambda X=X: X.T @ X)
        part = X[:, :64].astype(np.float64)
        exact = part.T @ part / n
        scale = np.abs(exact).max()
        errors = [
            np.abs(m[:64, :64] - exact).max() / scale for m in (cg.Moments.from_chunks(chunks).second, X.T @ X / n)
        ]
        rows.append([n, d, ours, plain, plain / ours, float(errors[0]), float(errors[1])])
        print(rows[-1])
    columns = ["n", "d", "Moments s", "X.T @ X s", "share of its rate", "our error", "its error"]
    write("moment_accumulation", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
