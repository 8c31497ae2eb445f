"""A lower bound for generators that are linear in given features: no law of theirs is as even as a law may be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import gamma, up
from convexgan.arrangements import maximize
from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.partial_means import partial_means_bound, sees_partial_means

Array = NDArray[np.float64]
WORK = 2**22  # rows times cones for a search
CLOSE = 1e-6  # relative gap at which it ends
SINGULAR = 1e-7  # of the largest singular value: features that differ by less prove nothing


def linear_bound(game: SampleGame, time_limit: float | None = None) -> float:
    """At most E R, plus lam * ipm, of the rows ``features @ W`` (within beta), over all W; 0 for others than ReLUs.

    Along u such rows are F v with v = W u: their means of max(F v, 0) and of |F v| are at most `evenness` times their
    root mean square, where of laws anywhere `partial_means_bound` knows only that both are at most that (Jensen).
    """
    if game.features is None or not sees_partial_means(game):
        return 0.0
    return partial_means_bound(game, evenness(game.features, time_limit))


def evenness(features: Array, time_limit: float | None = None) -> tuple[float, float]:
    """At least the largest means of max(F v, 0) and of |F v| over all v for which that of (F v)^2 is 1; at most 1.

    They are what ReLU neurons see at most of the whitened features, F (n, K), of one sign and of both. What whitening
    leaves is counted: with T = F B + E, of which T is known, means of |F B w| for unit w exceed those of |T w| by at
    most e, and the root mean square is at least the least singular value of T over n^1/2, less e = |E| / n^1/2.
    """
    n, k = features.shape
    _, sizes, axes = np.linalg.svd(features, full_matrices=False)
    if k >= n or not sizes[-1] > SINGULAR * sizes[0]:
        return 1.0, 1.0
    back = axes.T / sizes * n**0.5
    rows = features @ back
    lost = 1.01 * gamma(k + 4) * float(np.linalg.norm(features) * np.linalg.norm(back)) / n**0.5
    uneven = float(np.linalg.norm(rows.T @ rows / n - np.eye(k))) + 2 * gamma(n + 8) * float(np.sum(rows**2)) / n
    least = max(1 - 1.01 * uneven, 0.0) ** 0.5 - lost
    if least <= 0:
        return 1.0, 1.0
    limit = None if time_limit is None else time_limit / 2
    how: dict[str, Any] = {"gap": CLOSE, "max_nodes": max(WORK // n, 100), "time_limit": limit}
    seen = (maximize(part, np.full(len(part), 1 / n), **how) for part in (rows, np.vstack([rows, -rows])))
    one, both = (min(up((found.upper_bound + lost) / least, 8), 1.0) for found in seen)
    return one, both
