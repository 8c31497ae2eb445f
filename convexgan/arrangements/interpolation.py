"""Interpolation by two-layer ReLU networks of least path norm: column generation with the exact maximum as oracle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats, as_rows
from convexgan._tools.checks import as_rng, check_finite
from convexgan._tools.deadline import Deadline
from convexgan.arrangements.maximum import maximize
from convexgan.arrangements.reduce import row_space

Array = NDArray[np.float64]
ROUNDS, ROWS = 30, 200  # rounds for so many rows; fewer for more, since a round costs their cube
NODES = 50_000  # cones that a proof may cost
STARTS = 300  # random directions from which better neurons are sought
CLIMBS = 12  # steps of an ascent from there, each the best of these lengths
LENGTHS = np.array([0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 30.0])
NOTICED = 1e-3  # share of the gap by which leaving out small weights may raise the norm
PURSUED, PURSUIT_STEPS = 1e-9, 60  # the relative gap of the method of interior points, and its steps at most
EXACTLY = 1e-12  # relative, of targets that are met
RANK = 1e-13  # singular values below this share of the largest are rounding


@dataclass(frozen=True, eq=False)
class Interpolation:
    """A network sum_j outer_j max(neurons_j . z, 0) through given points, and how short it could be.

    Attributes
    ----------
    neurons : (m, k) array
        Unit rows.
    outer : (m,) array
    path_norm : float
        sum_j |outer_j| |neurons_j|.
    bound : float
        No network with the same outputs has a smaller path norm.
    residual : float
        The largest distance from a target.
    """

    neurons: Array
    outer: Array
    path_norm: float
    bound: float
    residual: float


def interpolate(
    rows: Any,
    targets: Any,
    *,
    gap: float = 1e-3,
    rng: np.random.Generator | int | None = 0,
    time_limit: float | None = None,
) -> Interpolation:
    """The two-layer ReLU network of least path norm with the given value at each row.

    min sum |a_j| s.t. sum_j a_j max(Z u_j, 0) = y over all unit neurons u_j has the dual max c . y s.t.
    |sum_i c_i max(z_i . u, 0)| <= 1 for all unit u, which is a maximum over the arrangement of the rows. The program
    is solved over some neurons, those that violate its dual are added, and neurons of one activation pattern are
    merged, until the exact maximum proves the gap, finds nothing more or the rounds end. Up to three columns the gap is
    reached; beyond five the proof is much weaker than the network. With one neuron a cell and sign it is the convex
    program of Pilanci and Ergen, Neural networks are convex regularizers, 2020, arXiv 2002.10553: min sum |p_i| + |q_i|
    s.t. sum_i D_i Z (p_i - q_i) = y with p_i and q_i in the cone of pattern i.

    Parameters
    ----------
    rows : (n, k) array
    targets : (n,) array
        Of the span of all max(Z u, 0), or ValueError: equal rows need equal targets, multiples of a row multiples.
    gap : float
        Relative, between path norm and bound, at which to stop.
    rng : seed or Generator
        For the first neurons.
    time_limit : float, optional
        Seconds after which no further round begins: the first one interpolates.
    """
    deadline = Deadline(time_limit)
    draw = as_rng(rng)
    Z, y = as_rows(rows, "rows").astype(np.float64), as_floats(targets, "targets")
    check_finite(Z, "rows")
    if y.shape != (len(Z),) or not np.isfinite(y).all():
        raise ValueError(f"targets must be finite, one for each of the {len(Z)} rows, got shape {y.shape}.")
    size, length = float(np.abs(y).max()), float(np.abs(Z).max())
    if size == 0:
        return Interpolation(np.zeros((0, Z.shape[1])), np.zeros(0), 0.0, 0.0, 0.0)
    basis = row_space(Z, Z.shape[1])
    neurons, outer, bound = _generate(Z @ basis / (length or 1.0), y / size, gap, draw, deadline)
    neurons, outer = neurons @ basis.T, outer * (size / (length or 1.0))
    residual = float(np.abs(np.maximum(Z @ neurons.T, 0) @ outer - y).max())
    if residual > 1e-6 * size:
        raise ValueError(
            f"no ReLU network without bias has these targets at these rows (nearest found: off by {residual:.2g}): "
            "give equal rows equal targets and positive multiples multiples, or append a column of ones."
        )
    return Interpolation(neurons, outer, float(np.abs(outer).sum()), bound * (size / (length or 1.0)), residual)


def _generate(
    Z: Array, y: Array, gap: float, rng: np.random.Generator, deadline: Deadline
) -> tuple[Array, Array, float]:
    """Neurons, outer weights and the bound, by column generation."""
    U, low, proved, best = _first(Z, rng), 0.0, 0.0, np.zeros(len(y))
    last = max(2, int(ROUNDS * min(1.0, (ROWS / len(Z)) ** 2))) - 1
    for turn in range(last + 1):
        prices = 1 + gap / 10 * rng.random(len(U))  # they make the optimum unique: a vertex, with few neurons
        F = np.maximum(Z @ U.T, 0)
        a, c = _pursuit(F / prices, y)
        a = a / prices
        norm = float(np.abs(a).sum())
        used = np.abs(a) > 1e-6 * norm
        starts = np.vstack([U[used], _units(rng.standard_normal((STARTS, Z.shape[1])))])
        found, sizes = _ascend(Z, c, starts)
        if float(c @ y) > low * float(sizes.max()):
            best = c / float(sizes.max())
            low = float(best @ y)
        ends = turn == last or deadline.over
        if norm - low <= gap / 2 * norm or ends:  # as far as ascents can see
            proof = maximize(Z, best, gap=gap / 5, max_nodes=NODES, time_limit=deadline.left)
            proved = max(proved, low / max(proof.upper_bound, 1.0))
            if norm - proved <= gap * norm or proof.value <= 1 + gap / 5 or ends:
                break
            found, sizes = np.vstack([found, proof.direction]), np.append(sizes, proof.value)
            best, low = best / proof.value, low / proof.value
        near = np.argsort(-np.abs(F.T @ c))[: 2 * len(Z) + STARTS]
        fresh = _one_a_cell(Z, found[sizes > 1 + gap / 5], sizes[sizes > 1 + gap / 5])[: len(Z)]
        U = np.vstack([U[np.union1d(near, np.flatnonzero(used))], fresh, _merge(Z, U, a)[0]])
    return *_tidy(Z, y, U, a, gap), proved


def _units(rows: Array) -> Array:
    """The rows divided by their lengths, without those of length zero."""
    lengths = np.linalg.norm(rows, axis=1)
    return np.asarray(rows[lengths > 0] / lengths[lengths > 0, None])


def _first(Z: Array, rng: np.random.Generator) -> Array:
    """Neurons whose outputs span all outputs: each bends at a row; and both directions of each axis."""
    units, axes = _units(Z), np.eye(Z.shape[1])
    bent = rng.standard_normal(units.shape)
    bent -= np.sum(bent * units, axis=1)[:, None] * units
    if Z.shape[1] == 1:
        bent = np.zeros((0, 1))
    return np.vstack([_units(bent), -_units(bent), axes, -axes])


def _pursuit(F: Array, y: Array) -> tuple[Array, Array]:
    """A minimiser a of sum |a_j| subject to F a = y, and multipliers c with |F'c| < 1, to a relative gap of `PURSUED`.

    Mehrotra's predictor-corrector method on a = p - q with p, q >= 0, from a strictly feasible start of both programs.
    """
    from scipy.linalg import cho_factor, cho_solve  # here: it takes longer to import than all the rest of the package

    left, values, right = np.linalg.svd(F, full_matrices=False)  # equations whose rows are orthonormal
    kept = values > RANK * values[0]
    back, F = left[:, kept] / values[kept], right[kept]
    y = back.T @ y
    x = F.T @ y
    shift = float(np.abs(x).mean()) + 1e-300
    x = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)]) + shift
    G, c, A = np.hstack([F, -F]), np.zeros(len(F)), F.shape[1]
    slack = np.ones(2 * A)
    for _ in range(PURSUIT_STEPS):
        if x @ slack <= PURSUED * x.sum():
            break
        weight = x / slack
        normal = (F * (weight[:A] + weight[A:])) @ F.T
        normal[np.diag_indices(len(c))] += 1e-14 * np.trace(normal) / len(c)
        try:
            factor, miss = cho_factor(normal), y - G @ x
        except np.linalg.LinAlgError:  # fewer neurons than equations are left: as near as rounding allows
            break

        def move(target: Array) -> tuple[Array, Array, Array]:
            dc = cho_solve(factor, miss - G @ (target / slack))  # noqa: B023
            ds = -G.T @ dc
            return (target - x * ds) / slack, ds, dc  # noqa: B023

        dx, ds, _ = move(-x * slack)
        ahead = (x + _reach(x, dx) * dx) @ (slack + _reach(slack, ds) * ds)
        centre = ahead**3 / (x @ slack) ** 2 / (2 * A)
        dx, ds, dc = move(centre - x * slack - dx * ds)
        far, long = min(1.0, 0.99 * _reach(x, dx)), min(1.0, 0.99 * _reach(slack, ds))
        x, slack, c = x + far * dx, slack + long * ds, c + long * dc
    return x[:A] - x[A:], back @ c


def _reach(x: Array, dx: Array) -> float:
    """The largest step t <= 1 with x + t dx >= 0."""
    falling = dx < 0
    return min(1.0, float((x[falling] / -dx[falling]).min())) if falling.any() else 1.0


def _ascend(Z: Array, c: Array, U: Array) -> tuple[Array, Array]:
    """Local maxima of |sum_i c_i max(z_i . u, 0)| from each direction, and the values there."""
    for _ in range(CLIMBS):
        products = U @ Z.T
        slope = ((products > 0) * c) @ Z * np.sign(np.maximum(products, 0) @ c)[:, None]
        slope /= np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-300)
        tried = U + LENGTHS[:, None, None] * slope
        tried /= np.maximum(np.linalg.norm(tried, axis=2, keepdims=True), 1e-300)
        values = np.stack([np.abs(np.maximum(step @ Z.T, 0) @ c) for step in tried])
        U = tried[values.argmax(axis=0), np.arange(len(U))]
    return U, np.abs(np.maximum(U @ Z.T, 0) @ c)


def _one_a_cell(Z: Array, U: Array, values: Array) -> Array:
    """The best direction of each activation pattern, best first."""
    order = np.argsort(-values)
    first = np.unique(np.packbits(U[order] @ Z.T > 0, axis=1), axis=0, return_index=True)[1]
    return np.asarray(U[order][np.sort(first)])


def _merge(Z: Array, U: Array, a: Array) -> tuple[Array, Array]:
    """Neurons of one pattern and sign as one: the same outputs, by the triangle inequality no longer."""
    U, a = U[a != 0], a[a != 0]
    inside = np.vstack([Z @ U.T > 1e-14, a > 0]).T
    label = np.unique(np.packbits(inside, axis=1), axis=0, return_inverse=True)[1].ravel()
    total = np.zeros((label.max(initial=-1) + 1, U.shape[1]))
    np.add.at(total, label, np.abs(a)[:, None] * U)
    signs = np.zeros(len(total))
    signs[label] = np.sign(a)
    lengths = np.linalg.norm(total, axis=1)
    return total[lengths > 0] / lengths[lengths > 0, None], (signs * lengths)[lengths > 0]


def _tidy(Z: Array, y: Array, U: Array, a: Array, gap: float) -> tuple[Array, Array]:
    """Merged neurons without negligible ones, their weights corrected until they interpolate.

    A vertex has as many neurons as there are rows. Where the method of interior points ended before one, the largest so
    many do, or twice as many, if they interpolate at a norm that the gap does not notice.
    """
    U, a = _merge(Z, U, a)
    order, norm = np.argsort(-np.abs(a), kind="stable"), float(np.abs(a).sum())
    order = order[np.abs(a[order]) > 1e-10 * norm]
    for count in (len(y), 2 * len(y), len(a)):
        large = order[:count]
        F, root, kept = np.maximum(Z @ U[large].T, 0), np.sqrt(np.abs(a[large])), a[large]
        for _ in range(2):
            kept = kept + root * np.linalg.lstsq(F * root, y - F @ kept, rcond=RANK)[0]
        near = np.abs(F @ kept - y).max() <= EXACTLY * np.abs(y).max()
        if near and np.abs(kept).sum() <= (1 + NOTICED * gap) * norm:
            break
    return U[large], kept
