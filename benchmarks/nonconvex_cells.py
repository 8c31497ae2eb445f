"""Games that are not convex in the moments, solved beside the best of 50 random starts of another local search.

Latents of too low a rank, and the weight penalty on latents of unequal variances: `solve` relaxes the game to a convex
program, which bounds it, and searches for generators from some 40 starts (the relaxation's answer, its mirror images,
the data's moments cut to the rank, random ones) by Newton's method on a barrier of the two matrix inequalities. The
other search knows nothing of that: it descends on the weights by BFGS, with the maximum over directions replaced by a
softmax of eigenvalues whose temperature falls, and counts only what is within the constraint in the end.

Predicted: at most 1 % above the other's best in every game, unless the answer is proved to be optimal; no game in which
the other finds a generator within beta and `solve` does not. Each cell has 100 games with `beta`, 100 with `lam`:
1 to 3 columns and latents, means of every size, and where latents are too few betas near the least that is possible.

Example: python -m benchmarks.nonconvex_cells --quick
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import convexgan as cg
from benchmarks._report import parse, write

CELLS: dict[str, dict[str, Any]] = {
    "polynomial, weights": {"discriminator": "polynomial", "regularizer": "weights"},
    "quadratic with bias, weights": {"discriminator": "quadratic", "bias": "penalized", "regularizer": "weights"},
    "polynomial, few latents": {"discriminator": "polynomial"},
    "quadratic with bias, few latents": {"discriminator": "quadratic", "bias": "penalized"},
}
STARTS = 50
TEMPERATURES = (0.1, 0.01, 1e-3, 1e-4)
PENALTIES = (10.0, 100.0, 1e3, 1e4)  # of a violation, in units of ipm(X, 0) for the cost of the data's second moment


def draw(seed: int, cell: str, kind: str) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Rows, latents and options of a random game: too few latents for the columns, or any number and unequal ones."""
    rng, options, few = np.random.default_rng(seed), dict(CELLS[cell]), "few" in cell
    d = int(rng.integers(2 if few else 1, 4))
    r = int(rng.integers(1, d + 1) if few else rng.integers(1, 4))  # of d latents one is the mean's
    rows, latents = (int(rng.integers(k + 2, 30)) for k in (d, r))
    X = rng.standard_normal((rows, d)) * np.exp(rng.uniform(-1, 1, d)) + rng.uniform() * rng.standard_normal(d)
    Z = rng.standard_normal((latents, r)) * np.exp(rng.uniform(-1.5, 1.5, r))
    Z += rng.uniform(0, 1.5) * rng.standard_normal(r)
    nothing = ipm(X, np.zeros((1, d)), options)
    if kind == "beta":
        share = rng.uniform(0.03, 0.7)
        if few and r < d:  # no generator of rank r comes nearer than the next eigenvalue
            beyond = np.linalg.eigvalsh(X.T @ X / rows)[d - 1 - r] * (0.09375 if "poly" in cell else 1.0)
            share = min(beyond / nothing * rng.uniform(1, 2), 0.9)
        return X, Z, options | {"beta": nothing * share}
    price = 1 / rng.choice(np.linalg.eigvalsh(Z.T @ Z / len(Z))) if "regularizer" in options else 1.0
    return X, Z, options | {"lam": rng.uniform(0.3, 4) * price * np.sum(X**2) / len(X) / nothing}


def ipm(X: np.ndarray, Y: np.ndarray, options: dict[str, Any]) -> float:
    """The discriminator's best response."""
    return cg.ipm(X, Y, options["discriminator"], bias=options.get("bias", "none")).value


def smoothed(
    X: np.ndarray, Z: np.ndarray, options: dict[str, Any]
) -> Callable[[np.ndarray, float, float], tuple[np.ndarray, np.ndarray]]:
    """Values and gradients of the payoff of many weights, a row each with a shift for either sign at its end.

    The largest of |u'Qu + q'u| over unit u is twice the smallest that a shift t makes the largest eigenvalue of
    [[Q + t I, q / 2], [q' / 2, -t]]; without q it is the largest eigenvalue of Q itself.
    """
    (n, d), k = X.shape, Z.shape[1]
    a, b = (0.09375, 0.5) if options["discriminator"] == "polynomial" else (1.0, 0.0)
    K, zbar, S, mean = Z.T @ Z / len(Z), Z.mean(axis=0), X.T @ X / n, X.mean(axis=0)
    side, factor = (b / 2, 2.0) if b else (a, 1.0)
    tilt = np.diag([*np.ones(d), -1.0]) if b else np.zeros((d + 1, d + 1))
    price = np.eye(k) if "regularizer" in options else K
    nothing, beta = ipm(X, np.zeros((1, d)), options), options.get("beta")
    worth = np.trace(S) * (np.trace(np.linalg.inv(K)) if "regularizer" in options else 1.0) / nothing
    signs = np.array([1.0, -1.0])

    def payoff(x: np.ndarray, temperature: float, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        W, t = x[:, :-2].reshape(-1, k, d), x[:, -2:]
        T, rate = temperature * nothing, options["lam"] if beta is None else penalty * worth
        level = -np.inf if beta is None else (1 - temperature) * beta
        M = np.zeros((len(x), d + 1, d + 1))
        M[:, :d, :d] = a * (S - W.transpose(0, 2, 1) @ K @ W)
        M[:, :d, d] = M[:, d, :d] = side * (mean - np.einsum("bkd,k->bd", W, zbar))
        values, vectors = np.linalg.eigh(signs[:, None, None] * M[:, None] + t[:, :, None, None] * tilt)
        values = factor * values
        top = np.maximum(values.max(axis=(1, 2)), level)
        shares = np.exp((values - top[:, None, None]) / T)
        total = shares.sum(axis=(1, 2)) + np.exp((level - top) / T)
        value = top + T * np.log(total)
        P = factor * (vectors * (shares / total[:, None, None])[:, :, None, :]) @ vectors.transpose(0, 1, 3, 2)
        D = P[:, 0] - P[:, 1]
        slope = -2 * a * K @ W @ D[:, :d, :d] - 2 * side * zbar[:, None] * D[:, None, :d, d]
        cost = np.einsum("bkd,kl,bld->b", W, price, W)
        gradient = np.concatenate(
            [(2 * price @ W + rate * slope).reshape(len(x), -1), rate * np.einsum("bsij,ij->bs", P, tilt)], axis=1
        )
        return cost + rate * value, gradient

    return payoff


def bfgs(function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], x: np.ndarray, steps: int) -> np.ndarray:
    """Where BFGS with halved steps arrives from each row."""
    B, n = x.shape
    H, (value, g) = np.repeat(np.eye(n)[None], B, axis=0), function(x)
    H *= 0.1 / np.maximum(np.linalg.norm(g, axis=1), 1e-300)[:, None, None]
    for _ in range(steps):
        p = -np.einsum("bij,bj->bi", H, g)
        slope, length, left, new = np.sum(p * g, axis=1), np.ones(B), np.arange(B), x.copy()
        new_value, new_g = value.copy(), g.copy()
        for _ in range(25):
            trial = x[left] + length[left, None] * p[left]
            v, dv = function(trial)
            good = v <= value[left] + 1e-4 * length[left] * slope[left]
            new[left[good]], new_value[left[good]], new_g[left[good]] = trial[good], v[good], dv[good]
            left = left[~good]
            length /= 2
            if len(left) == 0:
                break
        s, y = new - x, new_g - g
        sy = np.sum(s * y, axis=1)
        use = sy > 1e-14 * np.linalg.norm(s, axis=1) * np.linalg.norm(y, axis=1)
        rho = np.where(use, 1 / np.where(use, sy, 1.0), 0.0)
        V = np.eye(n) - rho[:, None, None] * y[:, :, None] * s[:, None, :]
        H = V.transpose(0, 2, 1) @ H @ V + rho[:, None, None] * s[:, :, None] * s[:, None, :]
        done = len(left) == B or np.all(value - new_value <= 1e-10 * np.abs(value))
        x, value, g = new, new_value, new_g
        if done:
            break
    return x


def rival(X: np.ndarray, Z: np.ndarray, options: dict[str, Any], starts: int = STARTS) -> float:
    """The least payoff that the other search finds, inf if it finds no generator within beta."""
    rng, payoff = np.random.default_rng(1), smoothed(X, Z, options)
    (_, d), k = X.shape, Z.shape[1]
    W = rng.standard_normal((starts, k, d)) / np.sqrt(np.mean(Z**2, axis=0))[:, None] * np.sqrt(np.mean(X**2, axis=0))
    x = np.hstack([(W * np.exp(rng.uniform(-1.5, 0.5, (starts, 1, 1)))).reshape(starts, -1), np.zeros((starts, 2))])
    for temperature, penalty in zip(TEMPERATURES, PENALTIES, strict=True):
        x = bfgs(lambda y, T=temperature, c=penalty: payoff(y, T, c), x, 60)
    best = np.inf
    for W in x[:, :-2].reshape(-1, k, d):
        reached = ipm(X, Z @ W, options)
        cost = np.sum(W**2) if "regularizer" in options else np.mean(np.sum((Z @ W) ** 2, axis=1))
        if "beta" not in options:
            best = min(best, cost + options["lam"] * reached)
        elif reached <= options["beta"]:
            best = min(best, cost)
    return float(best)


def compare(seed: int, cell: str, kind: str) -> dict[str, Any]:
    """The two answers to a game, and whether that of `solve` is proved."""
    X, Z, options = draw(seed, cell, kind)
    start = time.perf_counter()
    sol = cg.solve(X, Z, **options, throw=False)
    seconds, other = time.perf_counter() - start, rival(X, Z, options)
    proved = sol.status == "infeasible" or (sol.certificate is not None and sol.certificate.optimal())
    value = sol.value if sol.status == "optimal" else np.inf
    return {"value": value, "rival": other, "proved": proved, "seconds": seconds, "status": str(sol.status)}


def cell_row(cell: str, kind: str, games: int) -> list[Any]:
    """What became of the games of a cell."""
    found = [compare(seed, cell, kind) for seed in range(games)]
    ratios = np.array([one["value"] / one["rival"] for one in found if np.isfinite(one["rival"])])
    seconds = [one["seconds"] for one in found]
    return [
        cell,
        kind,
        games,
        sum(one["status"] == "infeasible" for one in found),
        sum(one["proved"] and one["status"] == "optimal" for one in found),
        len(ratios),
        int(np.count_nonzero(ratios <= 1.01)),
        float(ratios.max()),
        int(np.count_nonzero(ratios < 0.99)),
        float(ratios.min()),
        sum(np.isfinite(one["value"]) and not np.isfinite(one["rival"]) for one in found),
        float(np.median(seconds)),
        float(np.max(seconds)),
    ]


def main() -> None:
    """Play the games of every cell with both budgets."""
    options = parse(__doc__)
    games = 3 if options.quick else 100
    rows = [cell_row(cell, kind, games) for cell in CELLS for kind in ("beta", "lam")]
    columns = [
        "cell",
        "budget",
        "games",
        "proved infeasible",
        "proved optimal",
        "other finds an answer",
        "ours within 1 % of it",
        "largest ratio ours / other",
        "ours better by 1 %",
        "least ratio",
        "only we find one",
        "median s",
        "largest s",
    ]
    write("nonconvex_cells", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
