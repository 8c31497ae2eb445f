"""Moments of float32 chunks, and of bytes, beside plain X.T @ X of the same shape: rate and accuracy.

Claim: float32 rows, multiplied in float64, reach at least 80 % of the rate of a plain float64 product of them; bytes,
whose sums are exact, at least 65 % of a plain float32 product where they are multiplied in float32, and twice its rate
where there are so many that loading torch is worth it, which multiplies int8. Predicted: 85 to 95 % for both, four to
six times for int8, less the second that torch takes to load; what is added is a pass for the subtraction of the pilot
mean, one for the sums and a (d, d) float64 addition per chunk; what is saved, half of the products. Beside a plain
float32 product, whose errors nobody knows, float32 rows should reach half the rate: they reach a third.

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
        rng = np.random.default_rng(d)
        for kind in ("float32", "uint8"):
            X = rng.standard_normal((n, d), dtype=np.float32) + np.float32(0.5)
            X = rng.integers(0, 256, (n, d), dtype=np.uint8) if kind == "uint8" else X
            chunks, single = np.array_split(X, 4), X.astype(np.float32)
            double = X.astype(np.float64)

            def ours(chunks: list[np.ndarray] = chunks) -> cg.Moments:
                return cg.Moments.from_chunks(chunks)

            mine, of_double, of_single = fastest(6, ours, lambda A=double: A.T @ A, lambda A=single: A.T @ A)
            exact = double[:, :64].T @ double[:, :64] / n
            errors = [
                np.abs(m[:64, :64] - exact).max() / np.abs(exact).max() for m in (ours().second, single.T @ single / n)
            ]
            rows.append([kind, n, d, mine, of_double / mine, of_single / mine, float(errors[0]), float(errors[1])])
            print(rows[-1])
    columns = ["rows", "n", "d", "Moments s", "share of the rate of float64", "of float32", "our error", "of float32"]
    write("moment_accumulation", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
