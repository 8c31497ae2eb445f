"""Both criteria at once: the distance between distributions plus a weight on fixed pairs, with a proved lower bound.

    f(W) = W2^2(N(0, Sh), N(0, W'W)) + (weight / m) sum_i |x_i - W'z_i|^2,       i = 1..m pairs

is not convex in W, but W2^2 is convex in B = W'W. Relaxing B = W'W to B >= W'W gives a semidefinite program, exact
for k >= m + rank Sh, where the latents outside the span of Z supply whatever B needs beyond W'W. Its dual is in closed
form for every symmetric 0 < T <= I (Kantorovich potentials x'(I - T^{-1})x and y'(I - T)y), which bounds f from below
at any k. T is read off W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_number
from convexgan.gaussian import aligned, factor_distance
from convexgan.linear_gan.learners import as_float, least_squares
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mixed:
    """A stationary point of the mixed objective, with what is proved about it.

    Attributes
    ----------
    W : (k, d) array
    weight : float
    value : float
        f(W).
    bound : float
        No W (k, d) has a smaller f. For k >= m + rank Sh it is the value of the optimum; for k < rank Sh it is crude.
    stationarity : float
        |gradient of f| / |F|, with Sh = F'F.
    iterations : int
    """

    W: Array
    weight: float
    value: float
    bound: float
    stationarity: float
    iterations: int

    @property
    def gap(self) -> float:
        """value - bound, at least 0 up to rounding; 0 proves a global optimum."""
        return self.value - self.bound


@dataclass(frozen=True, eq=False)
class Pairs:
    """The mixed problem in coordinates that keep all of it; every array may have leading axes for draws.

    Attributes
    ----------
    F : (..., r, r) array
        Sh = F'F in the basis of the rows' span.
    X : (..., m, r) array
        The paired rows in that basis.
    Z : (..., m, q) array
        Their latents in an orthonormal basis of q = min(k, min(m, k) + r) latent directions: those of the pairs, which
        come first, and as many others as the law can use.
    """

    F: Array
    X: Array
    Z: Array

    def value(self, W: Array, weight: float) -> Array:
        """The objective (...) at W (..., q, r)."""
        misfit = np.sum((self.X - self.Z @ W) ** 2, axis=(-1, -2))
        return np.asarray(factor_distance(self.F, W) + weight / self.X.shape[-2] * misfit)

    def gradient(self, W: Array, weight: float) -> Array:
        """The objective's gradient (..., q, r): 2 (W - Q P' F) + (2 weight / m) Z' (Z W - X)."""
        misfit = np.swapaxes(self.Z, -1, -2) @ (self.Z @ W - self.X)
        return np.asarray(2 * (W - aligned(self.F, W)) + 2 * weight / self.X.shape[-2] * misfit)


def mixed(X: Any, Z: Any, weight: float, tol: float = 1e-7, max_iterations: int = 5000) -> Mixed:
    """The best found minimiser of W2^2(N(0, Sh), N(0, W'W)) + (weight / m) sum |x_i - W'z_i|^2, with a lower bound.

    Parameters
    ----------
    X : (n, d) array
        Samples; the first m are paired.
    Z : (m, k) array
        Latents of the first m <= n samples.
    weight : float
        0 gives the unsupervised problem, infinity is `pseudo_supervised`.
    tol : float
        Stop when |gradient| <= tol |F|.
    max_iterations : int
        Per start.

    References
    ----------
    Luzi, Dar and Baraniuk, arXiv 2106.04003 (the mixed setting); the bound and its condition k >= m + rank are ours.
    """
    return mixed_path(X, Z, [weight], tol, max_iterations)[0]


def mixed_path(X: Any, Z: Any, weights: Sequence[float], tol: float = 1e-7, max_iterations: int = 5000) -> list[Mixed]:
    """`mixed` for each weight, warm started along the weights upwards and back; the better of the two is kept.

    X (n, d) and Z (m, k) are as for `mixed`. Upwards it starts from an unsupervised optimum turned towards the pairs,
    downwards from least squares.
    """
    for weight in weights:
        check_number(weight, "weight")
    pairs, latents, basis = compress(*checked(X, Z))
    found = []
    for weight, (W, steps) in zip(weights, best_path(pairs, weights, tol, max_iterations), strict=True):
        size = float(np.linalg.norm(pairs.gradient(W, weight)) / np.linalg.norm(pairs.F))
        value, bound = float(pairs.value(W, weight)), lower_bound(pairs, W, weight)
        found.append(Mixed(latents @ W @ basis, float(weight), value, bound, size, steps))
    return found


def checked(X: Any, Z: Any) -> tuple[Array, Array]:
    """Samples and the latents of the first of them, in float64."""
    rows, latents = as_float(X, "X"), as_float(Z, "Z")
    if len(latents) > len(rows):
        raise ValueError(f"Z has {len(latents)} rows, more pairs than the {len(rows)} samples of X: drop some.")
    if not rows.any():
        raise ValueError("X is 0: there is no law to learn.")
    return rows, latents


def compress(X: Array, Z: Array) -> tuple[Pairs, Array, Array]:
    """The problem in small coordinates, with (k, q) latent and (r, d) data bases that lift its W back."""
    moments = Moments.from_array(X)
    rank = moments.rank()
    basis = moments.spectrum.vectors[:, :rank].T
    m, k = Z.shape
    spare = min(k, min(m, k) + rank) - min(m, k)
    noise = np.random.default_rng(0).standard_normal((k, spare))
    latents = np.linalg.qr(np.hstack([Z.T, noise]))[0][:, : min(m, k) + spare]
    F = np.diag(np.sqrt(moments.spectrum.values[:rank]))
    return Pairs(F, X[:m] @ basis.T, Z @ latents), latents, basis


def best_path(pairs: Pairs, weights: Sequence[float], tol: float, limit: int) -> list[tuple[Array, int]]:
    """(W, iterations) at each weight: the better of the warm-started passes upwards and downwards."""
    order = [int(i) for i in np.argsort(weights, kind="stable")]
    found: dict[int, tuple[Array, int]] = {}
    for start, indices in ((turned(pairs), order), (fitted(pairs), order[::-1])):
        W = start
        for i in indices:
            W, steps = descend(pairs, W, float(weights[i]), tol, limit)
            other, before = found.get(i, (W, 0))
            better = pairs.value(W, weights[i]) <= pairs.value(other, weights[i])
            found[i] = np.where(better[..., None, None], W, other), before + steps
    return [found[i] for i in range(len(weights))]


def turned(pairs: Pairs) -> Array:
    """An unsupervised optimum (..., q, r), turned in latent space towards the pairs."""
    q, r = pairs.Z.shape[-1], pairs.F.shape[-1]
    W = np.zeros((*pairs.F.shape[:-2], q, r))
    W[..., : min(q, r), :] = pairs.F[..., : min(q, r), :]
    P, _, Qt = np.linalg.svd(np.swapaxes(pairs.Z, -1, -2) @ pairs.X @ np.swapaxes(W, -1, -2))
    return np.asarray(P @ Qt @ W)


def fitted(pairs: Pairs) -> Array:
    """Least squares on the pairs, and small weights on the latents that they leave free."""
    W = least_squares(pairs.X, pairs.Z, 0.0)
    free = np.random.default_rng(0).standard_normal(W.shape[-2:])
    return np.asarray(W + 1e-3 * np.linalg.norm(pairs.F, axis=(-1, -2), keepdims=True) * free / free.size**0.5)


def descend(pairs: Pairs, W: Array, weight: float, tol: float, limit: int) -> tuple[Array, int]:
    """Accelerated majorise-minimise from W (..., q, r): a stationary point and the number of iterations.

    For a fixed coupling the objective is quadratic with Hessian 2 (I + weight/m Z'Z); a step minimises it exactly:
    the gradient step of size 1/2 in that metric. Extrapolation starts afresh where it points uphill.
    """
    Zt, m = np.swapaxes(pairs.Z, -1, -2), pairs.X.shape[-2]
    inverse = np.linalg.inv(np.eye(Zt.shape[-2]) + weight / m * (Zt @ pairs.Z))
    scale = np.linalg.norm(pairs.F, axis=(-1, -2))
    ahead, age = W, np.zeros(scale.shape)
    for step in range(limit):
        slope = pairs.gradient(ahead, weight)
        if (np.linalg.norm(slope, axis=(-1, -2)) <= tol * scale).all():
            return ahead, step
        new = ahead - inverse @ slope / 2
        uphill = np.sum(slope * (new - W), axis=(-1, -2)) > 0
        age = np.where(uphill, 0.0, age + 1)
        ahead = new + (age / (age + 3))[..., None, None] * (new - W)
        W = new
    return W, limit


def lower_bound(pairs: Pairs, W: Array, weight: float) -> float:
    """What no generator of these latents can go below: the dual value at T, or the sum of the two separate minima.

    T is the transport map from W'W to Sh with eigenvalues cut at 1. Its dual value is
    tr Sh (I - T^{-1}) + min_W tr W (I - T) W' + (weight / m) |X - Z W|^2, the minimum one ridge problem for each
    eigenvector of T. For an optimal W at k >= m + rank Sh it equals f(W).
    """
    P, s, _ = np.linalg.svd(pairs.F @ W.T, full_matrices=False)
    P, s = _square(P, s)
    half = (P / np.sqrt(np.maximum(s, 1e-15 * max(s[0], 1e-300)))).T @ pairs.F
    _, root, U = np.linalg.svd(half)
    t = np.minimum(root**2, 1.0)
    spread = np.sum((pairs.F @ U.T) ** 2, axis=0)
    left, sizes, _ = np.linalg.svd(pairs.Z, full_matrices=False)
    X = pairs.X @ U.T
    c, price = weight / len(X), (1 - t)
    seen = left.T @ X
    denominator = price + c * sizes[:, None] ** 2
    kept = np.where(denominator > 0, price / np.where(denominator > 0, denominator, 1.0), 1.0)
    fit = c * (np.sum(kept * seen**2) + np.sum(X**2) - np.sum(seen**2))
    dual = np.sum(spread * (1 - 1 / t)) + fit
    tail = np.sort(np.sum(pairs.F**2, axis=1))[: max(len(pairs.F) - len(W), 0)].sum()
    return float(max(dual, tail + c * (np.sum(X**2) - np.sum(seen[sizes > 1e-12 * sizes[0]] ** 2))))


def _square(P: Array, s: Array) -> tuple[Array, Array]:
    """All r left singular vectors, those without a singular value with 0."""
    missing = len(P) - len(s)
    if not missing:
        return P, s
    full = np.linalg.qr(P, mode="complete")[0]
    full[:, : len(s)] = P
    return full, np.append(s, np.zeros(missing))
