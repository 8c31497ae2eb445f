"""Games against ReLU neurons: time, certified gap, violation and kind by generator.

Claim: a mixture of 241 particles (30 rows of two columns and their multiples) in .3 s with a violation below 1e-7 of
what a generator at 0 is seen by. The other rows show what each class costs and proves: mixtures and Gaussian laws are
solved to a saddle, generators on given latents are local optima whose gap to the bound of particles anywhere is as
much the class's as the search's. Those have lam = 4, the others beta, a fifth of what a generator at 0 is seen by.
Particles that are counted in thousands are normal draws. Seconds are the processor's.

Example: python -m benchmarks.relu_games --quick
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import convexgan as cg
from benchmarks._report import parse, write

ANYWHERE = cg.generators.Mixture(support="continuous")
BENT = cg.generators.TwoLayerReLU(bias=True)
CASES: list[tuple[str, int, int, Any, Any, dict[str, Any]]] = [  # name, rows, columns, generator, latents, options
    ("mixture of 241 particles", 30, 2, "mixture", None, {}),
    ("mixture of 241 particles", 30, 3, "mixture", None, {}),
    ("mixture of 1,000 particles", 500, 2, 1000, None, {}),
    ("mixture of 1,000 particles", 500, 3, 1000, None, {}),
    ("mixture of 1,000 particles", 500, 4, 1000, None, {"time_limit": 300.0}),
    ("particles anywhere", 30, 2, ANYWHERE, None, {}),
    ("particles anywhere, to 1e-3", 200, 2, ANYWHERE, None, {"gap": 1e-3}),
    ("particles anywhere, to 1e-2", 30, 3, ANYWHERE, None, {"gap": 1e-2}),
    ("particles anywhere, to 1e-2", 200, 3, ANYWHERE, None, {"gap": 1e-2, "time_limit": 120.0}),
    ("free points on the line", 200, 1, "free", None, {"bias": "free"}),
    ("linear, 2 Gaussian latents", 200, 2, "linear", cg.GaussianLatent(2), {}),
    ("linear, 3 Gaussian latents", 200, 3, "linear", cg.GaussianLatent(3), {}),
    ("linear, 4 Gaussian latents", 200, 4, "linear", cg.GaussianLatent(4), {"time_limit": 60.0}),
    ("linear, 30 latents", 30, 2, "linear", 30, {"rng": 0, "lam": 4.0}),
    ("two-layer polynomial, 30 latents", 30, 2, "polynomial", 30, {"rng": 0, "lam": 4.0}),
    ("two-layer ReLU, 30 latents", 30, 2, BENT, 30, {"rng": 0, "lam": 4.0}),
    ("free", 30, 2, "free", None, {"rng": 0, "lam": 4.0}),
]


def play(n: int, d: int, generator: Any, latents: Any, options: dict[str, Any]) -> list[Any]:
    """Seconds, value, gap, relative violation, kind and method."""
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((n, d)), rng.standard_normal((n, 2))
    nothing = cg.ipm(X, np.zeros((1, d)), "relu", bias=options.get("bias", "none")).value
    if isinstance(generator, int):
        generator = cg.generators.Mixture(1.2 * rng.standard_normal((generator, d)))
    start = time.process_time()
    latents, budget = Z if isinstance(latents, int) else latents, {} if "lam" in options else {"beta": 0.2 * nothing}
    found = cg.solve(X, latents, discriminator="relu", generator=generator, **budget, **options)
    seconds, proof = time.process_time() - start, found.certificate
    assert proof is not None
    return [seconds, found.value, proof.gap, proof.relative_violation, proof.kind, found.method]


def main() -> None:
    """Print and write the table."""
    quick = parse(__doc__).quick
    play(10, 2, "mixture", None, {})  # what is imported on first use is not counted
    rows = [[name, n, d, *play(n, d, *how)] for name, n, d, *how in (CASES[:1] if quick else CASES)]
    columns = ["generator", "rows", "columns", "seconds", "value", "gap", "relative violation", "kind", "method"]
    write("relu_games", columns, rows, str(__doc__), quick)


if __name__ == "__main__":
    main()
