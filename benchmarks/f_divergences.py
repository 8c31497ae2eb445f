"""Do linear GANs that minimise an f-divergence show double descent, and do all that interpolate err alike?

Luzi, Dar and Baraniuk (arXiv 2106.04003) say neither: where the loss is 0 the law is that of the samples, whatever the
latents. Samples and generated law have a noise floor, N(0, Sh + s I) and N(0, W'W + s I), without which the
divergences are infinite. Kullback-Leibler divergence both ways, and that of Hellinger, are minimised over W (k, d) by a
general optimiser (L-BFGS) from several random starts; d = 12, eigenvalues 1/i, n = 6 samples, s = .05.

"Loss": the greatest of any start. "Test error": W2^2 to the law without floor, mean over draws and its standard error;
"spread": the greatest relative difference between two starts of one draw. Predicted: from k = 6 on loss 0 and
one test error for all k, starts and divergences, that of `unsupervised`; below, no peak. Seen: so, and the same error
below as well; starts differ by up to .1 % beyond k = 6, where the loss is flat to fourth order in the spare directions.

Example: python -m benchmarks.f_divergences --quick
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from benchmarks._report import parse, write
from convexgan.gaussian import factor_distance
from convexgan.linear_gan import unsupervised

D, N, FLOOR = 12, 6, 0.05
DIMENSIONS = [1, 2, 3, 4, 5, 6, 7, 9, 12, 24, 48]
LAW = np.diag(1 / np.sqrt(np.arange(1, D + 1)))
Divergence = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


def log_det(A: np.ndarray) -> float:
    return float(np.linalg.slogdet(A)[1])


def kullback_leibler(A: np.ndarray, B: np.ndarray) -> tuple[float, np.ndarray]:
    """KL(N(0, A), N(0, B)) and its gradient in B."""
    inverse = np.linalg.inv(B)
    value = (np.trace(inverse @ A) - len(A) + log_det(B) - log_det(A)) / 2
    return float(value), (inverse - inverse @ A @ inverse) / 2


def reverse(A: np.ndarray, B: np.ndarray) -> tuple[float, np.ndarray]:
    """KL(N(0, B), N(0, A)) and its gradient in B."""
    inverse = np.linalg.inv(A)
    value = (np.trace(inverse @ B) - len(A) + log_det(A) - log_det(B)) / 2
    return float(value), (inverse - np.linalg.inv(B)) / 2


def bhattacharyya(A: np.ndarray, B: np.ndarray) -> tuple[float, np.ndarray]:
    """-log (1 - H^2), H the Hellinger distance of N(0, A) and N(0, B), with the same minima; and its gradient in B."""
    middle = (A + B) / 2
    value = log_det(middle) / 2 - (log_det(A) + log_det(B)) / 4
    return value, (np.linalg.inv(middle) - np.linalg.inv(B)) / 4


DIVERGENCES: dict[str, Divergence] = {"KL": kullback_leibler, "reverse KL": reverse, "Hellinger": bhattacharyya}


def learnt(divergence: Divergence, second: np.ndarray, start: np.ndarray) -> tuple[float, np.ndarray]:
    """The least loss found from a start (k, d), and its W."""
    floor = FLOOR * np.eye(D)

    def loss(entries: np.ndarray) -> tuple[float, np.ndarray]:
        W = entries.reshape(start.shape)
        value, slope = divergence(second + floor, W.T @ W + floor)
        return value, (2 * W @ slope).ravel()

    found = minimize(
        loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 0, "gtol": 1e-9}
    )
    return float(found.fun), found.x.reshape(start.shape)


def main() -> None:
    """Minimise every divergence at every latent dimension."""
    options = parse(__doc__)
    draws, starts = (2, 2) if options.quick else (20, 4)
    rng, rows = np.random.default_rng(0), []
    samples = [rng.standard_normal((N, D)) @ LAW for _ in range(draws)]
    for k in DIMENSIONS:
        plain = [float(factor_distance(LAW, unsupervised(X, k))) for X in samples]
        deviation = np.std(plain) / np.sqrt(draws)
        rows.append(["W2, closed form", k, 0.0 if k >= N else "", float(np.mean(plain)), float(deviation), ""])
    for name, divergence in DIVERGENCES.items():
        for k in DIMENSIONS:
            errors, losses = np.empty((draws, starts)), []
            for i, X in enumerate(samples):
                for j in range(starts):
                    loss, W = learnt(divergence, X.T @ X / N, rng.standard_normal((k, D)) / np.sqrt(D))
                    losses.append(loss)
                    errors[i, j] = factor_distance(LAW, W)
            spread = float(np.max(np.ptp(errors, axis=1) / errors.mean(axis=1)))
            each = errors.mean(axis=1)
            rows.append([name, k, max(losses), float(each.mean()), float(each.std() / np.sqrt(draws)), spread])
    columns = ["loss", "k", "least loss", "test error", "s.e.", "spread of starts"]
    write("f_divergences", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
