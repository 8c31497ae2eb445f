"""Branch and bound for free offsets: cones of (u, b) around the directions whose hyperplanes pass among the points."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from convexgan.arrangements.branching import CONES_DIM
from convexgan.arrangements.cones import Cones, cone_bounds, fan, inverses
from convexgan.arrangements.majorant import Quadratic, majorants
from convexgan.arrangements.offsets import Offsets
from convexgan.arrangements.reduce import Arrangement
from convexgan.arrangements.search import MAJORANT_DIM, POLISHED, STARTS, Search

Array = NDArray[np.float64]
CHARGES = (1.0, 0.25)  # prices of offsets where a majorant needs a sphere


def belt(q: int, reach: float) -> Array:
    """Simplicial cones (K, q + 1, q + 1) that cover all (u, b) with |b| <= reach |u|, of rays (v, +-reach), |v| = 1.

    A cone of u with rays v_1, ..., v_q holds a prism above it, cut into the q simplices whose corners are v_1, ..., v_k
    at the top and v_k, ..., v_q at the bottom.
    """
    sides = fan(q)
    top, bottom = (np.concatenate([sides, np.full((*sides.shape[:2], 1), end)], axis=2) for end in (reach, -reach))
    return np.concatenate([np.concatenate([top[:, : k + 1], bottom[:, k:]], axis=1) for k in range(q)])


def belt_bounds(rays: Array, heights: Array) -> tuple[Array, Array]:
    """max of l . (u, b) over cones (K, p, p) where |u| <= 1, from above, for the l with l . r_j = heights_j (K, p).

    l rises or falls with b throughout a cone without the axis of b, so that its maximum lies on the facets above, or
    below: there b is a function of u, and what is left is `cone_bounds` in one column less.

    Returns
    -------
    bounds : (K,) array
    z : (K, p) array
        Where they are nearly attained.
    """
    count, p, _ = rays.shape
    upright = inverses(rays)[:, -1]  # (K, p): sum_j upright_j r_j is the axis of b
    steep = np.einsum("kj,kj->k", upright, heights)
    # the facet opposite to ray j is above if the ray pulls the axis down
    cone, gone = np.nonzero(upright * np.where(steep >= 0, -1.0, 1.0)[:, None] > 0)
    rest = np.array([np.delete(np.arange(p), j) for j in range(p)])[gone]
    facets, lifted = rays[cone[:, None], rest], heights[cone[:, None], rest]
    found, y = cone_bounds(facets[:, :, :-1], lifted)
    shares = np.maximum(np.einsum("fq,fqj->fj", y, inverses(facets[:, :, :-1])), 0.0)
    bounds, z = np.full(count, np.inf), rays.sum(axis=1)  # of cones so narrow that no facet is found
    order = np.lexsort((found, cone))
    best = order[np.append(np.diff(cone[order]) > 0, True)] if len(order) else order  # the highest facet of each cone
    bounds[cone[best]], z[cone[best]] = found[best], np.einsum("fj,fjp->fp", shares[best], facets[best])
    return bounds, z


class Belt(Cones):
    """Cones in which |u| <= 1 bounds all; see `belt`."""

    @staticmethod
    def domain(side: Arrangement) -> Array:
        """The belt of hyperplanes that pass no farther from 0 than the points."""
        return belt(side.dim - 1, side.reach)  # type: ignore[attr-defined]

    @staticmethod
    def _tops(rays: Array, heights: Array) -> tuple[Array, Array]:
        return belt_bounds(rays, heights)


class OffsetSearch(Search):
    """The maximum of |m(u, b)| over |u| <= 1 and all b; every direction that is looked at gets its best offset."""

    family = Belt
    sides: dict[float, Offsets]

    def _begin(self, max_nodes: float) -> None:
        whole = self.sides[1.0]
        slope = whole.linear + (whole.plus.sum(axis=0) - whole.minus.sum(axis=0)) / 2
        for sign in self.sides:
            for end in (slope, -slope, np.eye(1, whole.dim)[0]):
                self._offer(sign, end)
        self._wander()
        if whole.dim >= MAJORANT_DIM:
            self._relax()
        self._cover(max_nodes)

    def _flatter(self, side: Arrangement) -> Iterator[tuple[Quadratic, float, Array]]:
        """Majorants of the same function where an offset has its price, on spheres |u|^2 + charge^2 b^2 = 1."""
        for charge in CHARGES:
            rows, longest = np.append(np.full(side.dim - 1, charge), 1.0), math.hypot(1, charge)
            priced = Arrangement(side.plus * rows, side.minus * rows, side.linear * rows, side.basis)
            back = np.append(np.ones(side.dim - 1), charge)
            for found, bound, z in majorants(priced, self.deadline):
                curved = back[:, None] * found.curvature * back / charge
                quadratic = Quadratic(found.linear * back / charge, curved, found.constant / charge, longest)
                yield quadratic, bound * longest / charge, z

    def _wander(self) -> None:
        """Ascents from the best of random directions."""
        q = self.sides[1.0].dim - 1
        U = np.random.default_rng(0).standard_normal((STARTS, q))
        U /= np.linalg.norm(U, axis=1)[:, None]
        tried: list[tuple[float, float, Array]] = []
        for u in U:
            if self.deadline.over:
                return
            for sign, side in self.sides.items():
                z = side.with_offset(u)
                tried.append((side.value(z), sign, z))
        for _, sign, z in sorted(tried, key=lambda one: -one[0])[: POLISHED if q < CONES_DIM else STARTS]:
            if self.upper_bound <= self.cutoff or self.deadline.over:
                return
            self._ascend(sign, z)

    def _concave(self, side: Arrangement, active: Array, start: Array) -> tuple[float, Array]:
        return side.maximize_concave(active, start, self.deadline)  # type: ignore[attr-defined, no-any-return]

    def _offer(self, sign: float, u: Array) -> None:
        length = float(np.linalg.norm(u[:-1]))
        if length > 0:
            z = self.sides[sign].with_offset(u[:-1] / length)
            value = self.sides[sign].value(z)
            if value > self.value:
                self.value, self.direction, self.sign = value, z, sign
