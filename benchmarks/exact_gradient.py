"""The gradient of `ExactDiscriminatorLoss` with ReLU neurons beside central differences of its value.

The best neuron bends exactly at rows, most often at as many as it has free columns: there the gradient of the neuron's
score has no value, that of the largest score has. Random Gaussian samples of 4 to 30 rows in float64, smoothing 0, two
and three columns (exact search; 500 cases each), a random direction of all generated rows, differences of 1e-6. Claim:
the worst of 1,000 cases is within 1e-5 of the norm of a gradient all of whose slopes are 1. A case is "at kinks" if the
neuron bends at a generated row; "plain" is the gradient with the slope of t < 0 there, as torch takes it.

Example: python -m benchmarks.exact_gradient --quick
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from benchmarks._report import parse, write
from convexgan.torch import ExactDiscriminatorLoss

STEP, KINK = 1e-6, 1e-9


def case(dim: int, name: str, seed: int) -> tuple[float, float, bool]:
    """The errors of ours and of the plain gradient, relative, and whether a kink is met."""
    rng = np.random.default_rng(seed)
    X, Y = (rng.standard_normal((rng.integers(4, 31), dim)) * rng.uniform(0.5, 2) for _ in range(2))
    loss, Y = ExactDiscriminatorLoss(X, name, smoothing=0).eval(), torch.from_numpy(Y)
    fake = Y.clone().requires_grad_()
    loss(fake).backward()
    gradient, u = fake.grad, loss.response.directions[loss.response.weights.abs().argmax()]
    seen = Y @ u
    slopes = torch.where(seen > KINK, 1.0, 0.0 if name == "relu" else -1.0).to(Y)
    plain = -float(loss.response.weights.sum()) * torch.outer(slopes, u) / len(Y)
    along = torch.from_numpy(rng.standard_normal(Y.shape))
    along /= along.norm()
    with torch.no_grad():
        change = float(loss(Y + STEP * along) - loss(Y - STEP * along)) / (2 * STEP)
    size = len(Y) ** -0.5  # the norm if all slopes are 1
    errors = [abs(change - float((found * along).sum())) / size for found in (gradient, plain)]
    return errors[0], errors[1], bool((seen.abs() <= KINK * Y.norm(dim=1)).any())


def main() -> None:
    """Measure every kind."""
    options = parse(__doc__)
    count = 5 if options.quick else 250
    torch.set_num_threads(1)
    rows = []
    for dim, name in product((2, 3), ("relu", "absolute")):
        found = np.array([case(dim, name, seed) for seed in range(count)])
        kinks = found[found[:, 2] > 0]
        ours = [float(np.median(kinks[:, 0])), float(kinks[:, 0].max()), float(found[:, 0].max())]
        rows.append([dim, name, count, len(kinks), *ours, float(np.median(kinks[:, 1])), float(kinks[:, 1].max())])
        print(rows[-1])
    columns = ["columns", "neurons", "cases", "at kinks", "median error", "worst at kinks", "worst of all"]
    write("exact_gradient", [*columns, "plain: median", "plain: worst"], rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
