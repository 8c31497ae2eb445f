"""What the discriminator's activation does to the generated law: one data set, one generator, four games solved.

Sahiner et al. (arXiv 2107.05680) show that linear neurons match means, quadratic ones second moments, polynomial ones
both, and that ReLU neurons see more. Here a linear generator with bias (`Linear(bias=True)`) of Gaussian latents is
solved against each on the two leading principal coordinates of the digits 0 and 1, in standard units and moved by 1
along the first: a law of two clusters, far from Gaussian. beta is a tenth of each activation's discrepancy between
the data and 0.

Rows: the game that was solved, its certificate, and what its generator is to each of the four discriminators: the
discrepancy of 4,000 generated rows, as a share of that between the data and 0. The row "real halves" is the
floor: one half of the data against the other. Predicted: .1 on the diagonal where beta binds, up to the sampling of the
4,000 rows; a generator of linear neurons has the mean and no variance, one of quadratic neurons the second moment and
no mean. Against ReLU neurons the answer of a generator with bias is `restricted`: its gap is what is not proved.

Example: python -m benchmarks.activations --quick
"""

from __future__ import annotations

import time

import numpy as np

import convexgan as cg
from benchmarks._report import parse, write
from convexgan.datasets import digits

ACTIVATIONS = ("linear", "quadratic", "polynomial", "relu")
SHARE = 0.1


def data(rows: int) -> np.ndarray:
    """Two coordinates (n, 2) of the digits 0 and 1."""
    from sklearn.datasets import load_digits

    labels = load_digits().target
    flat = digits().images[np.isin(labels, (0, 1))].reshape(-1, 64) / 16.0
    flat = flat[np.random.default_rng(0).permutation(len(flat))[:rows]]
    centred = flat - flat.mean(axis=0)
    U, _, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(U[:, :2] * np.sqrt(len(U)) + [1.0, 0.0])


def main() -> None:
    """Solve the four games, then judge each generator by all four."""
    options = parse(__doc__)
    X = data(60 if options.quick else 200)
    zero = {name: cg.ipm(X, 0 * X, discriminator=name).value for name in ACTIVATIONS}
    rows: list[list[object]] = []
    half = len(X) // 2
    floor = [cg.ipm(X[:half], X[half:], discriminator=name).value / zero[name] for name in ACTIVATIONS]
    rows.append(["real halves", "", "", "", "", *floor])
    for name in ACTIVATIONS:
        start = time.perf_counter()
        sol = cg.solve(
            X,
            cg.GaussianLatent(2),
            discriminator=name,
            generator=cg.generators.Linear(bias=True),
            beta=SHARE * zero[name],
        )
        seconds = time.perf_counter() - start
        Y = sol.generator.sample(1000 if options.quick else 4000, rng=0)
        law = f"{Y.mean(axis=0).round(2).tolist()}, {Y.std(axis=0).round(2).tolist()}"
        shares = [cg.ipm(X, Y, discriminator=judge).value / zero[judge] for judge in ACTIVATIONS]
        certificate = sol.certificate
        rows.append([name, certificate.kind, float(certificate.gap), seconds, law, *shares])
    columns = ["solved against", "kind", "gap", "seconds", "means, deviations", *(f"to {name}" for name in ACTIVATIONS)]
    write("activations", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
