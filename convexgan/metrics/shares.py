"""Shares of pictures: with the interval of a binomial, and that of what a perfect generator scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.metrics.blocks import Measured

TOGETHER = 2  # real pictures that are judged beside each other share their fate: two say about as much as one


def measure_share(hits: NDArray[np.bool_], floor: NDArray[np.bool_], other: int, level: float) -> Measured:
    """The share of hits with its Wilson interval, and the share of hits of the floor.

    Parameters
    ----------
    hits : (m,) array
        Whether each picture judged is a hit.
    floor : (b,) array
        The same for real pictures.
    other : int
        Number of real pictures that those of the floor were judged against, one another if there are any.
    level : float
        Of both intervals.

    Notes
    -----
    Wilson's interval holds the probability of a hit at any share, 0 and 1 included: Wilson, JASA 22, 1927. What a
    perfect generator scores on m pictures is predicted from the b of the floor: beta-binomial, with Jeffreys' prior.
    """
    from scipy.stats import betabinom, binomtest

    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(level, method="wilson")
    found, known = float(floor.mean()), len(floor) / (TOGETHER if other else 1)
    law: Any = betabinom(len(hits), found * known + 0.5, (1 - found) * known + 0.5)
    low, high = (float(law.ppf(tail)) / len(hits) for tail in ((1 - level) / 2, (1 + level) / 2))
    ends = float(interval.low), float(interval.high)
    return Measured(float(hits.mean()), *ends, level, found, low, high, (other, len(floor)))
