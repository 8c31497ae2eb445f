"""Leading eigenpairs of a second moment that is formed, with a proof by one factorisation that none was missed.

Block Krylov iterations find the pairs, `Enclosure` says what their residuals can hide. That the complement of their
span V ends at s is proved by a Cholesky factor that takes rounding into account, so it fails with probability 0:

    S <= s + W W'  for any W in the span of V,  so  x'S x <= s |x|^2  for every x orthogonal to it;

W = V D^(1/2) leaves the difference far from singular. Of few rows F, S = F'F, the matrix FF' is smaller: on the
complement S has the eigenvalues of F P F' <= FF' - (FV)(FV)' / |V|^2, P the projector on it.

Source: S. M. Rump, Verification of positive definiteness, BIT 46, 2006; H. Weyl's inequalities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import entries, gamma, is_positive, length, squares, up
from convexgan.exceptions import SolverError
from convexgan.statistics.krylov import AIM, CLOSELY, PROBES, Pairs, Space, orthonormal
from convexgan.statistics.subspace import Subspace

Array = NDArray[np.float64]
PARTIAL, FEW = 2048, 8  # rows or columns from which, and their number a pair from which, few pairs take less than all
PASSES = 30
ROOM = 0.5  # share of the columns that the span may have before a complete decomposition is cheaper
PROOFS = 4  # factorisations that may fail, each after which vectors are drawn that may find what was missed
WIDER = 2 / 3  # vectors that are sought besides those wanted: they let the last of these converge


def partial_is_faster(size: int, count: int = 1) -> bool:
    """Whether so many leading pairs of so many rows or columns, whichever are fewer, take less time than all."""
    return size >= max(PARTIAL, FEW * count)


def formed_pairs(
    second: Array | None,
    factor: Array | None,
    count: int,
    *,
    guess: Array | None = None,
    tol: float = CLOSELY,
) -> Subspace:
    """The ``count`` largest eigenpairs of S, each eigenvalue to ``tol`` of the largest, certified without a doubt.

    Parameters
    ----------
    second : (d, d) array or None
        S, symmetric and positive semidefinite.
    factor : (r, d) array or None
        Rows F with F'F = S instead.
    count : int
    guess : (w, d) array, optional
        Rows that the span of the result shall contain, near leading eigenvectors.
    tol : float

    Raises
    ------
    SolverError
        The eigenvalues lie too close: decompose S completely.
    """
    matrix = second if factor is None else factor
    if matrix is None:
        raise ValueError("pass the second moment, or a factor of it.")
    dim, rng = matrix.shape[1], np.random.default_rng(0)
    width = min(count + max(10, int(WIDER * count)), *matrix.shape)
    block = np.zeros((dim, 0)) if guess is None else orthonormal(guess.T)
    drawn = rng.standard_normal((dim, max(width - block.shape[1], min(width, PROBES))))
    block, failed = np.hstack([block, orthonormal(drawn, block)]), 0
    space = Space(dim, int(max(ROOM * dim, block.shape[1])))
    stray = gamma(dim + len(matrix) + 4) * (length(matrix) ** 2 if second is None else length(matrix))
    for _ in range(PASSES):
        if block.shape[1] == 0 or space.is_full(block.shape[1]):
            break
        space.append(block, second @ block if factor is None and second is not None else matrix.T @ (matrix @ block))
        pairs = space.pairs()
        limit, expected = AIM * tol * float(pairs.values[0]), _expected(pairs, count, width)
        hidden = length(pairs.coupling[:count, :count])  # a first look, which costs nothing
        promising = hidden <= max(limit * (pairs.values[count - 1] - expected), limit**2 / 4)
        if not promising or pairs.known(expected, width).error(count) > limit:
            block = space.directions(pairs, (count + width) // 2, limit)
            continue
        V = space.basis @ pairs.turn
        rest = _rest(second, factor, V, pairs.values, expected)
        if rest is not None:
            kept = width if guess is None else V.shape[1]  # so that a guess lies in their span
            return Subspace(*space.proved(pairs, rest, kept, stray), 0.0)
        failed += 1
        if failed == PROOFS:
            break
        drawn = orthonormal(rng.standard_normal((dim, PROBES)), space.basis)
        block = orthonormal(np.hstack([space.directions(pairs, width, limit), drawn]))
    raise SolverError(f"the first {count} of {dim} eigenvalues are too many or too near the others: compute all.")


def _expected(pairs: Pairs, count: int, width: int) -> float:
    """Where the complement may well end: a little above the first Ritz value that is not counted on."""
    following, last = (float(max(pairs.values[min(i, len(pairs.values) - 1)], 0.0)) for i in (width, count - 1))
    return following + (last - following) / 4


def _rest(second: Array | None, factor: Array | None, V: Array, values: Array, level: float) -> float | None:
    """The level, a little above, if the complement of the span of V (d, b) is proved to end there."""
    if factor is not None:
        along = factor @ V
        sizes = squares(factor), squares(along)
        skew = entries(V.T @ V - np.eye(V.shape[1])) + gamma(len(V) + 2) * V.shape[1]
        matrix = (along / (1 + up(skew))) @ along.T - factor @ factor.T
        error = gamma(V.shape[0] + V.shape[1] + 8) * 4 * (sizes[0] + sizes[1]) * length(V)
    elif second is not None:
        W = V * np.sqrt(np.maximum(values, 0.0))
        matrix = W @ W.T - second
        error = gamma(V.shape[1] + 6) * (squares(W) + length(second))
    else:
        return None
    level += 1e-9 * level + 4 * error
    matrix[np.diag_indices(len(matrix))] += level
    return up(level + error) if is_positive(matrix) else None
