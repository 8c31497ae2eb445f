"""The extreme neurons of u'Mu + q'u on the unit sphere, for matrices known only by their products."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from convexgan.discriminators import maximize_on_sphere

Apply = Callable[[Tensor], Tensor]


class Extremes(NamedTuple):
    """Unit columns (d, k), largest first, and the relative residual of the worst that had to converge.

    Without a linear term columns are Ritz vectors, and for each an eigenvalue of M lies within its residual's norm of
    its value (Weyl); with one they are stationary points, one for each sign, up to their residual.
    """

    directions: Tensor
    residual: float


def dense_extremes(matrix: Tensor, linear: Tensor) -> Extremes:
    """All eigenvectors, or with a linear term the two maximisers, one for each sign; exact up to rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    if linear.any():
        return Extremes(vectors @ _on_sphere(values, vectors.T @ linear), 0.0)
    return Extremes(vectors[:, values.abs().argsort(descending=True)], 0.0)


def krylov_extremes(
    apply: Apply, linear: Tensor, start: Tensor, *, tol: float, largest: int, rounds: int = 100, active: float = 0.0
) -> Extremes:
    """The eigenvectors of the k largest |eigenvalues|, or maximisers, by a restarted block Krylov method.

    Parameters
    ----------
    apply : function
        (d, m) -> (d, m), the products with M.
    linear : (d,) tensor
        q, which may be zero.
    start : (d, k) tensor
        Where to look first.
    tol : float
        Residuals relative to the largest value at which to stop.
    largest : int
        Columns of the subspace at which it is restarted.
    rounds : int
        Block products at most.
    active : float
        Ritz vectors must converge whose value is within so much of the largest.

    References
    ----------
    Stathopoulos, Saad, Restarting techniques for the (Jacobi-)Davidson symmetric eigenvalue methods, 1998; for the
    linear term: Gould et al., Solving the trust-region subproblem using the Lanczos method, 1999.
    """
    k, affine = start.shape[1], bool(linear.any())
    basis = _orthonormal(torch.cat([start, linear[:, None]], dim=1) if affine else start)
    products = apply(basis)
    for _ in range(rounds):
        inner = basis.T @ products
        values, vectors = torch.linalg.eigh((inner + inner.T) / 2)
        order = values.abs().argsort(descending=True)
        values, vectors = values[order], vectors[:, order]
        small = vectors @ _on_sphere(values, vectors.T @ (basis.T @ linear)) if affine else vectors[:, :k]
        found, moved = basis @ small, products @ small
        if affine:
            moved = moved + linear[:, None] / 2
        levels = (found * moved).sum(0)
        residuals = moved - levels * found
        sizes = residuals.norm(dim=0)
        scale = float(levels.abs().max())
        needed = torch.ones_like(sizes, dtype=torch.bool) if affine else levels.abs() >= scale - active
        worst = float(sizes[needed].max())
        if worst <= tol * scale or basis.shape[1] >= len(basis):
            break
        if basis.shape[1] + residuals.shape[1] > largest:
            kept = vectors[:, : largest // 2]
            # the solution itself stays in the basis: with a linear term it is no combination of few Ritz vectors
            turned = torch.linalg.qr(torch.cat([small, kept], dim=1))[0] if affine else kept
            basis, products = basis @ turned, products @ turned
        new = _orthonormal(residuals[:, sizes > 0.1 * tol * scale], basis)
        basis, products = torch.cat([basis, new], dim=1), torch.cat([products, apply(new)], dim=1)
    return Extremes(found, worst / scale if scale > 0 else 0.0)


def _on_sphere(values: Tensor, linear: Tensor) -> Tensor:
    """Maximisers of both signs of u' diag(values) u + linear'u on the unit sphere, as columns, the better one first."""
    exact = values.detach().cpu().double().numpy(), linear.detach().cpu().double().numpy()
    eye = torch.eye(len(values), dtype=torch.float64).numpy()
    found = [maximize_on_sphere(sign * exact[0], eye, sign * exact[1]) for sign in (1.0, -1.0)]
    columns = [torch.from_numpy(u) for _, _, u in sorted(found, key=lambda f: -f[0])]
    return torch.stack(columns, dim=1).to(values)


def _orthonormal(columns: Tensor, basis: Tensor | None = None) -> Tensor:
    """An orthonormal basis of the columns' span, orthogonal to the given basis."""
    if basis is not None:
        columns = columns / columns.norm(dim=0)
        for _ in range(2):  # once is not enough in floating point
            columns = columns - basis @ (basis.T @ columns)
    found: Tensor = torch.linalg.qr(columns)[0]
    return found
