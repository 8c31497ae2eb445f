"""Free points on the line against ReLU neurons with free biases: the data, cut off on both sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan.games.sample.game import SampleGame

Array = NDArray[np.float64]


def solve_scalar(game: SampleGame) -> tuple[Array, Array, Array]:
    """The optimal points, as many as the data, and the discriminator that proves them.

    With both samples sorted, ipm <= beta iff all sums of the k smallest and of the k largest x_i - w_i are at most
    n beta in absolute value: sum (x_i + b)_+ is the largest of its partial sums, whatever b. So w = x cut off at some
    high >= 0 with mean (x - high)_+ = beta, at 0 if that mean is less there, and at some low <= 0 alike, is within
    beta. Let D be the highest of the tangents of R at 0 and at all w_i: a neuron opens to the right between two
    neighbours of which none is negative, to the left where none is positive, and each sees no point, or all that is cut
    off on its side, beta. R - D is least at every w_i, so D guarantees mean R(w), and neither player can improve. Its
    norm 2 penalty (high - low) falls in beta, and is lam where that is given.

    Returns
    -------
    points : (n, 1) array
        Ascending.
    neurons : (K, 2) array
        Rows (u, b).
    outer : (K,) array
    """
    x = np.sort(game.data[:, 0])
    above, below = _Tail(x[::-1]), _Tail(-x)
    if game.beta is not None:
        mass = game.beta * len(x)
    else:
        masses = np.unique(np.concatenate([above.masses, below.masses]))  # between them both cuts are linear
        mass = float(np.interp(-(game.lam or 0.0) / (2 * game.penalty), -above.cut(masses) - below.cut(masses), masses))
    high, low = (float(tail.cut(np.array([mass]))[0]) for tail in (above, below))
    points = np.clip(x, -low, high)
    return points[:, None], *_tangents(points, game.penalty)


class _Tail:
    """The positive points of a descending sample: what lies beyond each of them, and where to cut so much off."""

    def __init__(self, descending: Array) -> None:
        self._points = np.append(descending[descending > 0], 0.0)
        self.masses = np.concatenate([[0.0], np.cumsum(np.arange(1, len(self._points)) * -np.diff(self._points))])

    def cut(self, masses: Array) -> Array:
        """The h >= 0 with sum (x - h)_+ equal to each of the masses, 0 for larger ones than there are."""
        k = np.searchsorted(self.masses, masses, side="right")
        return np.asarray(np.maximum(self._points[k - 1] - (masses - self.masses[k - 1]) / k, 0.0))


def _tangents(points: Array, penalty: float) -> tuple[Array, Array]:
    """Neurons (K, 2) and outer weights (K,) of the highest tangent of the penalty at 0 and at ascending points.

    Two neighbouring tangents cross half way.
    """
    neurons, outer = [], []
    for u, side in ((1.0, points[points > 0]), (-1.0, points[points < 0])):
        touched = np.unique(np.append(side, 0.0))
        bends = touched[:-1] + np.diff(touched) / 2
        neurons.append(np.column_stack([np.full(len(bends), u), -u * bends]))
        outer.append(2 * penalty * np.diff(touched))
    return np.vstack(neurons), np.concatenate(outer)
