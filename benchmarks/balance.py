"""Weights that balance covariates: the certified imbalance beside gradient balancing and propensity weights.

Claim: in 100 draws of the simulated study of Kang and Schafer (2007), 40 rows each, no other weights have a smaller
certified imbalance than those of `balance`, whose gap is 1e-6. The rows whose outcome is seen are weighted to look like
all rows, in the columns that are seen, each divided by its standard deviation. The imbalance is what the best ReLU
neuron through the origin of the centred columns sees. Beside: 400 steps of Adam on softmax weights, each against 30
neurons of which every one climbs by a gradient step; the inverse of scikit-learn's logistic propensities; equal
weights. Every law is judged by the proved bound of the exact search. Seconds are the processor's. The second table,
balance_sizes, has seconds and gap for 185 rows that are to be looked like and 260 that are weighted, normal ones, the
former moved by 0.5 in each column.

Kang and Schafer, Demystifying Double Robustness, Statistical Science 22, 2007, section 1.4: four standard normal
columns z, outcomes 210 + 27.4 z_1 + 13.7 (z_2 + z_3 + z_4) + noise, seen with probability
expit(-z_1 + z_2 / 2 - z_3 / 4 - z_4 / 10); columns exp(z_1 / 2), z_2 / (1 + exp(z_1)) + 10, (z_1 z_3 / 25 + 0.6)^3,
(z_2 + z_4 + 20)^2.

Example: python -m benchmarks.balance --quick
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

import convexgan as cg
from benchmarks._report import parse, write

Array = NDArray[np.float64]
ROWS, DRAWS = 40, 100
STEPS, NEURONS, RATE = 400, 30, 0.05
SIZES: list[tuple[int, dict[str, Any]]] = [
    (2, {}),
    (3, {}),
    (4, {}),
    (8, {"time_limit": 120.0}),
]


def study(seed: int, n: int = ROWS) -> tuple[Array, NDArray[np.bool_], Array]:
    """Columns as they are seen, which rows' outcomes are, and the outcomes."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 4))
    y = 210 + z @ [27.4, 13.7, 13.7, 13.7] + rng.standard_normal(n)
    seen = rng.random(n) < 1 / (1 + np.exp(z @ [1.0, -0.5, 0.25, 0.1]))
    a, b, c, d = z.T
    columns = np.exp(a / 2), b / (1 + np.exp(a)) + 10, (a * c / 25 + 0.6) ** 3, (b + d + 20) ** 2
    X = np.column_stack(columns)
    return (X - X.mean(axis=0)) / X.std(axis=0), seen, y


def by_gradients(X: Array, Y: Array, seed: int) -> Array:
    """Softmax weights by Adam, each step against the best of some neurons, all of which climb by Adam too."""
    torch.manual_seed(seed)
    real, fake = torch.tensor(X), torch.tensor(Y)
    logits = torch.zeros(len(Y), dtype=torch.float64, requires_grad=True)
    neurons = torch.randn(NEURONS, X.shape[1], dtype=torch.float64, requires_grad=True)
    down, up = torch.optim.Adam([logits], lr=RATE), torch.optim.Adam([neurons], lr=RATE)

    def seen() -> torch.Tensor:
        u = neurons / neurons.norm(dim=1, keepdim=True)
        return ((real @ u.T).relu().mean(dim=0) - logits.softmax(0) @ (fake @ u.T).relu()).abs()

    for _ in range(STEPS):
        up.zero_grad()
        (-seen().sum()).backward()
        up.step()
        down.zero_grad()
        seen().max().backward()
        down.step()
    return logits.detach().softmax(0).numpy()


def by_propensity(X: Array, seen: NDArray[np.bool_]) -> Array:
    """Inverse propensities of the rows that are seen, of sum 1."""
    weights = 1 / LogisticRegression(C=np.inf).fit(X, seen).predict_proba(X)[seen, 1]
    return np.asarray(weights / weights.sum())


def judged(X: Array, Y: Array, y: Array, weights: Array, seconds: float) -> list[float]:
    """The certified imbalance, the effective size, the weighted mean's error, seconds."""
    bound = cg.ipm(X, Y, weights_y=weights).upper_bound
    return [bound, 1 / float(weights @ weights), float(weights @ y) - 210, seconds]


def draw(seed: int) -> tuple[dict[str, list[float]], cg.Balance]:
    """What each method's weights come to in one draw, and the balance of the least imbalance."""
    X, seen, y = study(seed)
    Y, start = X[seen], time.process_time()
    best = cg.balance(X, Y)
    found = {"balance": judged(X, Y, y[seen], best.weights, time.process_time() - start)}
    for name, method in (
        ("gradients", lambda: by_gradients(X, Y, seed)),
        ("propensity", lambda: by_propensity(X, seen)),
        ("equal", lambda: np.full(len(Y), 1 / len(Y))),
    ):
        start = time.process_time()
        weights = method()
        found[name] = judged(X, Y, y[seen], weights, time.process_time() - start)
    return found, best


def compared(draws: int) -> list[list[Any]]:
    """A row for each method: medians over the draws, and how often its imbalance is below the least that is proved."""
    played = [draw(seed) for seed in range(draws)]
    rows: list[list[Any]] = []
    for name in played[0][0]:
        table = np.array([found[name] for found, _ in played])
        least = np.array([best.imbalance.upper_bound for _, best in played])
        below = int(np.count_nonzero(table[:, 0] < least * (1 - 1e-6)))
        worst = max(best.certificate.gap for _, best in played)
        gap = ("below 1e-06" if worst < 1e-6 else worst) if name == "balance" else ""
        error = float(np.sqrt(np.mean(table[:, 2] ** 2)))
        size, seconds = np.median(table[:, 1]), np.median(table[:, 3])
        rows.append([name, *np.quantile(table[:, 0] / least, [0.5, 0.0]), below, gap, size, error, seconds])
    return rows


def sized(columns: int, **limits: Any) -> list[Any]:
    """Seconds, certified imbalance, its gap and kind, and the imbalance of equal weights."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((185, columns)) + 0.5, rng.standard_normal((260, columns))
    start = time.process_time()
    found = cg.balance(X, Y, **limits)
    proof = found.certificate
    seen = found.imbalance
    return [columns, time.process_time() - start, seen.value, seen.upper_bound, proof.bound, proof.gap, proof.kind]


def main() -> None:
    """Print and write both tables."""
    quick = parse(__doc__).quick
    cg.balance(np.eye(2), np.eye(2))  # what is imported on first use is not counted
    columns = ["weights", "median imbalance / least", "smallest", "draws below", "largest gap", "effective size"]
    columns += ["error of the mean (rms)", "seconds"]
    write("balance", columns, compared(2 if quick else DRAWS), str(__doc__), quick)
    sizes = SIZES[:1] if quick else SIZES
    names = ["columns", "seconds", "imbalance", "at most", "least of any weights", "gap", "kind"]
    text = "185 rows to be looked like, 260 weighted: see `balance`."
    write("balance_sizes", names, [sized(d, **limits) for d, limits in sizes], text, quick)


if __name__ == "__main__":
    main()
