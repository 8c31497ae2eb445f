"""Sums of rectified rows on cones that lie close together: decided rows are linear, like ones of both signs pairs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.arrangements.branching import ConeFamily
from convexgan.arrangements.majorant import Quadratic

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
PAIRINGS = 4  # rounds of mutual nearest neighbours
QUERIES = 256  # of a tree at once, which take a second among many rows of many columns
ALIKE = 0.3  # rows are partners if their difference is at most this share of the first;
ALIKE_IN_SPACE = 0.01  # for p = 3, where plain bounds are good, pairing random rows costs more than it prunes


@dataclass(frozen=True, eq=False)
class LocalSum(ConeFamily):
    """Cones that lie close together, and a function that equals m on them.

    Attributes
    ----------
    sign : float
        Whether m or -m is maximised.
    plus, minus, linear : arrays
        The function, as in `Arrangement`; rows that are decided on all cones are part of ``linear``.
    partners : (n_+,) array
        For each of ``plus`` the index of the like row among ``minus``, or -1; see `pair_up`.
    """

    sign: float
    plus: Array
    minus: Array
    linear: Array
    partners: Indices

    @property
    @abstractmethod
    def middles(self) -> Array:
        """A unit vector inside each cone, (K, p)."""

    @abstractmethod
    def under(self, quadratic: Quadratic) -> Array:
        """The maximum of a concave quadratic on cones within its sphere, from above, (K,)."""

    @abstractmethod
    def bounded(self, cutoff: float) -> tuple[Self, Array, Array]:
        """Tighter bounds; m at the centres (K,); by how much the convex part is over-estimated there (K,)."""

    @abstractmethod
    def _signs(self, rows: Array, tiny: Array | float = 0.0) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows are nowhere below -tiny on all cones, and which nowhere above tiny, (n,)."""

    def _with(self, plus: Array, minus: Array, linear: Array, partners: Indices) -> Self:
        """The same cones with another function."""
        return replace(self, plus=plus, minus=minus, linear=linear, partners=partners)

    @property
    def rows(self) -> int:
        """The number of rows that are not decided."""
        return len(self.plus) + len(self.minus)

    def _decided(self) -> Self:
        """The same cones; rows that keep their sign on all of them become part of the linear term."""
        (gained, idle), (lost, still) = self._signs(self.plus), self._signs(self.minus)
        gains, losses = ~(gained | idle), ~(lost | still)
        if gains.all() and losses.all():
            return self
        linear = self.linear + self.plus[gained].sum(axis=0) - self.minus[lost].sum(axis=0)
        partners = np.append(np.where(losses, np.cumsum(losses) - 1, -1), -1)[self.partners[gains]]
        return self._with(self.plus[gains], self.minus[losses], linear, partners)

    def paired(self) -> Self | None:
        """A function above m on the cones where pairs of like rows are one: max(s, 0) - max(t, 0) <= max(s - t, 0).

        The convex part, in proportion to which bounds lose, is then that of the short differences. None where the rows
        that have partners are less than half of it.
        """
        has = self.partners >= 0
        if not has.any() or 2 * _mass(self.plus[has]) < _mass(self.plus):
            return None
        taken = self.partners[has]
        plus = np.vstack([self.plus[~has], self.plus[has] - self.minus[taken]])
        alone, minus = np.full(len(plus), -1), np.delete(self.minus, taken, axis=0)
        return self._with(plus, minus, self.linear, alone)._decided()

    def is_settled(self, k: int) -> bool:
        """Whether every row of positive weight keeps its sign on cone k."""
        upwards, downwards = self.take(np.array([k]))._signs(self.plus, 1e-14 * np.linalg.norm(self.plus, axis=1))
        return bool((upwards | downwards).all())


def pair_up(plus: Array, minus: Array, deadline: Deadline) -> Indices:
    """For each row of ``plus`` the index of a row of ``minus`` that differs little from it, each used once, or -1.

    Where the time is over before all have been compared, none has a partner.
    """
    partners, free = np.full(len(plus), -1), np.arange(len(minus))
    single = np.arange(len(plus))
    for _ in range(PAIRINGS):
        if not len(single) or not len(free):
            break
        there, back = _nearest(minus[free], plus[single], deadline), _nearest(plus[single], minus[free], deadline)
        if there is None or back is None:
            return np.full(len(plus), -1)
        mutual = back[there] == np.arange(len(single))
        partners[single[mutual]] = free[there[mutual]]
        single, free = single[~mutual], np.delete(free, there[mutual])
    share = ALIKE if plus.shape[1] > 3 else ALIKE_IN_SPACE
    far = np.linalg.norm(plus - minus[partners], axis=1) > share * np.linalg.norm(plus, axis=1) if len(minus) else True
    return np.where(far, -1, partners)


def _nearest(rows: Array, others: Array, deadline: Deadline) -> Indices | None:
    """The index of the row that is nearest to each of the others; None if the time is over."""
    from scipy.spatial import cKDTree  # here: `import convexgan` stays light

    if deadline.over:
        return None
    tree, found = cKDTree(rows), np.empty(len(others), dtype=np.intp)
    for i in range(0, len(others), QUERIES):
        if deadline.over:
            return None
        found[i : i + QUERIES] = tree.query(others[i : i + QUERIES])[1]
    return found


def _mass(rows: Array) -> float:
    """The sum of the rows' lengths."""
    return float(np.linalg.norm(rows, axis=1).sum())
