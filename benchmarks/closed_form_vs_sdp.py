"""The quadratic game by its closed form and as a semidefinite program: the same value, how much faster.

Predicted: equal to 1e-6 relative; thousands of times faster than Clarabel from d = 30 on (an interior-point step
on two d x d matrix inequalities costs d^6), hundreds of times faster than SCS, whose iterations are
eigendecompositions too.

Example: python -m benchmarks.closed_form_vs_sdp --quick
"""

from __future__ import annotations

import time

import numpy as np

import convexgan as cg
from benchmarks._report import fastest, parse, write


def main() -> None:
    """Measure every size and solver."""
    options = parse(__doc__)
    cases = [("CLARABEL", d) for d in (10, 30, 50)] + [("SCS", d) for d in (10, 30, 100)]
    rows = []
    for solver, d in [c for c in cases if c[1] <= 30 or not options.quick]:
        rng = np.random.default_rng(d)
        X = rng.standard_normal((20 * d, d)) @ rng.standard_normal((d, d)) / np.sqrt(d)
        beta = float(np.linalg.eigvalsh(X.T @ X / len(X))[d // 2])
        latent = cg.GaussianLatent(d)
        start = time.perf_counter()
        program = cg.solve(X, latent, beta=beta, method="program", solver=solver)
        slow = time.perf_counter() - start
        (fast,) = fastest(5, lambda X=X, latent=latent, beta=beta: cg.solve(X, latent, beta=beta))
        closed = cg.solve(X, latent, beta=beta)
        difference = abs(program.value - closed.value) / closed.value
        if difference > 1e-6:
            raise RuntimeError(f"{solver}, d = {d}: values differ by {difference:.1e}")
        rows.append([solver, d, fast, slow, slow / fast, difference, program.certificate.kind, closed.certificate.kind])
        print(rows[-1])
    columns = ["solver", "d", "closed form s", "program s", "ratio", "value differs", "program", "closed form"]
    write("closed_form_vs_sdp", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
