"""A positive semidefinite matrix that is known on a subspace only, with proved bounds on what it does elsewhere.

In an orthonormal basis that begins with Ritz vectors V, S = [[D, R'], [R, C]] with D = V'SV diagonal, R the residuals
and C what S does on the complement. Everything here follows from D, R'R and an upper bound on C, by

    [[D, R'], [R, C]] <= [[D + R'R / t, 0], [0, C + t]]    for every t > 0.

Source: the inequality is x'y + y'x <= x'x / t + t y'y; eigenvalues are monotone (Weyl).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import eigenvalue_bounds, gamma, length, proved_level, up
from convexgan._tools.threads import one_thread

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Enclosure:
    """What is known of the eigenvalues of S: Ritz values are never above those they stand for, nor far below.

    Attributes
    ----------
    values : (b,) array
        Ritz values, descending.
    coupling : (b, b) array
        R'R.
    rest : float
        An upper bound on C.
    rounding : float
        A bound on the spectral norm of what rounding may have changed of [[D, R'], [R, C]].
    """

    values: Array
    coupling: Array
    rest: float
    rounding: float = 0.0

    @one_thread()
    def error(self, count: int) -> float:
        """How far the first ``count`` eigenvalues of S may lie above ``values``, as computed."""
        t = self._margin(float(self.values[count - 1]))
        return self._error(count, t, np.asarray(np.linalg.eigvalsh(np.diag(self.values) + self._over(t))[::-1]))

    @one_thread()
    def proved_error(self, count: int) -> float:
        """A bound on how far they lie above, whatever rounding has changed."""
        t = self._margin(float(self.values[count - 1]))
        return self._error(count, t, eigenvalue_bounds(np.diag(self.values) + self._over(t))) + self.rounding

    def _error(self, count: int, t: float, above: Array) -> float:
        return float((np.maximum(above[:count], self.rest + t) - self.values[:count]).max())

    @one_thread()
    def top(self, corner: Array, largest: float | None = None) -> float:
        """An upper bound on the largest eigenvalue of [[corner, R'], [R, C]], corner symmetric (b, b).

        The largest eigenvalue of the corner need not be computed if it is given.
        """
        t = self._margin(float(np.linalg.eigvalsh(corner)[-1]) if largest is None else largest)
        tried, low, high = [], 0.0, 4 * t
        for _ in range(6):  # any t is right; with growing t one side falls and the other rises
            values = np.linalg.eigvalsh(corner + self._over(t))
            inner, outer = float(values[-1]), self.rest + t
            tried.append((max(inner, outer), t, inner, float(np.abs(values).max())))
            low, high = (t, high) if inner > outer else (low, t)
            t = (low + high) / 2
        _, t, inner, size = min(tried)
        return up(max(proved_level(corner + self._over(t), inner, size), self.rest + t) + self.rounding)

    def first(self, count: int) -> Enclosure:
        """The enclosure of the first ``count`` Ritz vectors alone, the others counted to the complement."""
        if count >= len(self.values):
            return self
        others = Enclosure(self.values[count:], self.coupling[count:, count:], self.rest, self.rounding)
        bound = others.top(np.diag(others.values), float(others.values[0]))
        return Enclosure(self.values[:count], self.coupling[:count, :count], bound, self.rounding)

    def _margin(self, level: float) -> float:
        """A good t for eigenvalues at this level."""
        apart = level - self.rest
        if apart > 0 and apart**2 >= length(self.coupling):  # which is no less than its largest eigenvalue
            return apart
        return max(apart, float(np.sqrt(max(np.linalg.eigvalsh(self.coupling)[-1], 0.0))))

    def _over(self, t: float) -> Array:
        """R'R / t, which is 0 where R and t are; rounded up."""
        return self.coupling * ((1 + gamma(4)) / t) if t > 0 else np.zeros_like(self.coupling)


@dataclass(frozen=True, eq=False)
class Subspace:
    """Ritz vectors of a matrix S >= 0 with what is known of its eigenvalues.

    Attributes
    ----------
    vectors : (d, b) array
        Orthonormal columns V.
    enclosure : Enclosure
    failure : float
        The probability, over random vectors that the solver drew, that ``enclosure.rest`` is no bound.
    """

    vectors: Array = field(repr=False)
    enclosure: Enclosure = field(repr=False)
    failure: float

    def distance(self, factor: Array) -> float:
        """An upper bound on the spectral norm of S - factor'factor.

        Parameters
        ----------
        factor : (r, d) array
            The bound is sharp if its rows lie in the span of V; what sticks out is added.
        """
        inside, S = factor @ self.vectors, self.enclosure
        d, size = len(self.vectors), length(factor)
        outside = length(factor - inside @ self.vectors.T)
        outside += gamma(d + len(S.values) + 4) * size * length(self.vectors)
        moved = outside * (2.2 * size + outside)  # F = I + O: F'F - I'I = I'O + O'I + O'O
        moved += gamma(d + len(factor) + 4) * length(inside) ** 2
        corner = np.diag(S.values) - inside.T @ inside
        negative = Enclosure(S.values, S.coupling, 0.0, S.rounding)  # -C <= 0
        return up(max(S.top(corner), negative.top(-corner)) + moved)
