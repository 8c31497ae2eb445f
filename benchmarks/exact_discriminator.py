"""One call of `ExactDiscriminatorLoss` with its gradient beside one Adam update of a quadratic discriminator.

Pictures of d numbers with a power-law spectrum, batches of 256, 256 neurons, float32, while a linear generator trains
against the loss: every call sees a moved generator and fresh latents. Claim: batch against batch at most 3 times the
Adam update, full data (their second moment, d x d) against a batch at most 5 times. Predicted: both about 1 to 2; an
update is 6 products of 256 x d x 256, a warm-started call some tens of products with blocks of 9 columns. The ipm is
compared with the proved upper bound of `convexgan.ipm`. Memory: what the loss keeps for full data beside a
discriminator with its gradient and Adam's moments. One thread.

Example: python -m benchmarks.exact_discriminator --quick
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
import torch

from benchmarks._report import fastest, parse, write
from convexgan.torch import ExactDiscriminatorLoss, LinearGenerator, TwoLayerDiscriminator, train

BATCH, NEURONS, LATENTS = 256, 256, 64


def pictures(d: int, n: int) -> torch.Tensor:
    """(n, d) float32 rows whose second moment has eigenvalues i^-1.4 in a random basis."""
    rng = np.random.default_rng(d)
    basis = np.linalg.qr(rng.standard_normal((d, d), dtype=np.float32))[0]
    scale = np.arange(1, d + 1, dtype=np.float32) ** -0.7
    return torch.from_numpy((rng.standard_normal((n, d), dtype=np.float32) * scale) @ basis)


def generated(X: torch.Tensor, loss: ExactDiscriminatorLoss, count: int) -> list[torch.Tensor]:
    """Batches of a generator between steps of its training."""
    torch.manual_seed(0)
    G, batches = LinearGenerator(LATENTS, X.shape[1]), []
    with torch.no_grad():
        G.weights.mul_(0.03)
    for seed in range(count):
        options: dict[str, Any] = {"method": "simultaneous", "optimizer": "adam", "rates": 1e-3}
        train(G, loss, X, LATENTS, **options, steps=3, batch=BATCH, every=3, rng=seed)
        batches.append(G(torch.randn(BATCH, LATENTS)).detach())
    return batches


def update(X: torch.Tensor, batches: list[torch.Tensor]) -> Callable[[], None]:
    """An Adam update of a quadratic discriminator."""
    D = TwoLayerDiscriminator(X.shape[1], NEURONS, "quadratic")
    adam, turn = torch.optim.Adam(D.parameters(), lr=1e-4, maximize=True), cycle(batches)

    def run() -> None:
        adam.zero_grad()
        (D(X[:BATCH]).mean() - D(next(turn)).mean() - 0.1 * D.penalty()).backward()
        adam.step()

    return run


def call(loss: ExactDiscriminatorLoss, batches: list[torch.Tensor], real: torch.Tensor | None) -> Callable[[], None]:
    """The loss and its gradient on the next batch."""
    turn = cycle(batches)

    def run() -> None:
        loss(next(turn).requires_grad_(), real).backward()

    return run


def main() -> None:
    """Measure both sizes."""
    options = parse(__doc__)
    torch.set_num_threads(1)
    rows = []
    for d, n in ((768, 4000), (3072, 6000)) if not options.quick else ((256, 1000),):
        X = pictures(d, n)
        for name in ("quadratic", "polynomial"):
            full, batch = (ExactDiscriminatorLoss(X, name, 2.5) for _ in range(2))
            batches = generated(X, full, 3 if options.quick else 8)
            sides = update(X, batches), call(batch, batches, X[:BATCH]), call(full, batches, None)
            for side in sides:  # the first call is not warm started, nor are the caches
                side()
            adam, small, whole = fastest(len(batches) - 1, *sides)
            full(batches[-1])
            proved = full.ipm(batches[-1].detach())
            error = abs(full.response.value - proved.upper_bound) / proved.upper_bound
            kept = sum(b.nbytes for b in full.buffers()) / (4 * 4 * NEURONS * (d + 1))
            rows.append([d, name, adam, small / adam, whole / adam, full.response.residual, error, kept])
            print(rows[-1])
    columns = ["d", "neurons", "Adam s", "batch / Adam", "full / Adam", "residual", "error of the ipm", "memory / Adam"]
    write("exact_discriminator", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
