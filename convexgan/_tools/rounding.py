"""What floating-point arithmetic may have changed, bounded beforehand, and proofs that it cannot spoil.

Every sum of n products that a processor makes, in whatever order and with or without fused operations, is off by at
most gamma(n) times the sum of their sizes. Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2002,
chapter 3.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
UNIT = 2.0**-53
TINY = 1e-290  # beside which underflow is nothing
BLOCK = 128  # numbers whose squares are added up at once
COPIED = 2**20  # numbers that are copied at once
TRIES = 60  # margins, each eight times the last
AT_ONCE, GUESSED = 2, 1e-7  # margins tried at a guess, and how far above it a bound may lie: margins grow with d^2


def gamma(n: float) -> float:
    """The relative error of n roundings in a row, n u / (1 - n u) with u = 2^-53; rounded up itself."""
    return 1.01 * n * UNIT / max(1 - n * UNIT, 0.5)


def up(value: float, roundings: float = 4) -> float:
    """At least a number of which a float is known after so many roundings of positive terms."""
    return value * (1 + gamma(roundings + 2)) if value >= 0 else value * (1 - gamma(roundings + 2))


def scaled_up(value: float, factor: float) -> float:
    """At least the product with a positive factor; the value itself for a factor of 1."""
    return value if factor == 1 else up(value * factor, 0)


def scaled_down(value: float, factor: float) -> float:
    """At most the product with a positive factor; the value itself for a factor of 1."""
    return -scaled_up(-value, factor)


def down(value: float, roundings: float = 4) -> float:
    """At most a number of which a float is known after so many roundings of positive terms."""
    return -up(-value, roundings)


def power_above(values: Array | float) -> float:
    """A power of 2 that no entry exceeds in size, 1 if all are 0: dividing by it rounds nothing."""
    return 2.0 ** int(np.frexp(np.max(np.abs(values), initial=0.0))[1])


def length(vector: Array) -> float:
    """At least the Euclidean norm of an array's entries, by little more than rounding."""
    if not vector.size:
        return 0.0
    largest = max(float(vector.max()), -float(vector.min()))
    if largest == 0 or not math.isfinite(largest):
        return largest
    return up(math.sqrt(squares(vector, largest))) * largest * (1 + 2 * UNIT)


def squares(array: Array, unit: float = 1.0) -> float:
    """At least the sum of an array's squared entries, in a unit: sums over blocks, then those without rounding.

    Blocks are the same, and so are the bits, whatever the layout: of many rows some are copied at a time.
    """
    array, parts = np.atleast_1d(array), list[float]()
    rows = BLOCK * max(1, COPIED * len(array) // (BLOCK * max(array.size, 1)))
    for i in range(0, len(array), rows):
        flat = np.asarray(array[i : i + rows], dtype=np.float64).ravel() / unit
        whole = flat[: len(flat) // BLOCK * BLOCK].reshape(-1, BLOCK)
        parts += [*np.einsum("ij,ij->i", whole, whole).tolist(), float(flat[whole.size :] @ flat[whole.size :])]
    return up(math.fsum(parts), min(array.size, BLOCK))


def prefix_sums(values: Array) -> tuple[Array, int]:
    """The sums (n + 1,) of the first k values, by blocks, and the roundings of each, at most 2 isqrt(n) + 2."""
    n, block = len(values), math.isqrt(len(values)) + 1
    padded = np.zeros(-(-n // block) * block)
    padded[:n] = values
    inside = np.cumsum(padded.reshape(-1, block), axis=1)
    before = np.cumsum(np.append(0.0, inside[:, -1]))[:-1]
    return np.append(0.0, (inside + before[:, None]).ravel()[:n]), block + len(before)


def is_positive(matrix: Array, overwrite: bool = False) -> bool:
    """Whether a symmetric matrix (d, d) is proved to be positive semidefinite, exactly as its entries are stored.

    The Cholesky factorisation of A - cI runs to its end only if A - cI + E is positive semidefinite for some
    |E| <= gamma(d + 1) / (1 - gamma(d + 1)) tr A, in any order of its sums; with c above that A itself is. The lower
    triangle is read. Source: S. M. Rump, Verification of positive definiteness, BIT 46, 2006, theorem 2.3.
    """
    from scipy.linalg import lapack

    d = len(matrix)
    diagonal = matrix.diagonal()
    if not (np.isfinite(diagonal).all() and (diagonal >= 0).all()):
        return False
    error = gamma(d + 1) / (1 - gamma(d + 1))
    shift = (error * 1.01 + 2 * UNIT) * up(float(diagonal.sum()), d) + (d + 1) * TINY
    shifted = matrix if overwrite else np.array(matrix, order="C")
    shifted[np.diag_indices(d)] -= shift
    root, broken = lapack.dpotrf(shifted.T, lower=0, overwrite_a=1, clean=0)  # whose upper triangle is its lower one
    return broken == 0 and bool(np.isfinite(root.diagonal()).all())  # a NaN breaks nothing off, and goes on to the end


def largest_eigenvalue(matrix: Array) -> float:
    """An upper bound, tight to rounding, on the largest eigenvalue of a symmetric matrix (d, d) as it is stored."""
    values = np.linalg.eigvalsh(matrix)
    return proved_level(matrix, float(values[-1]), float(np.abs(values).max()))


def eigenvalue_bounds(matrix: Array) -> Array:
    """Upper bounds (d,), descending, on the eigenvalues of a symmetric matrix as it is stored.

    What the computed pairs stand for has eigenvalues that are these times those of V'V (Ostrowski); the rest is Weyl's.
    """
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(values[::-1] + pairs_error(matrix, values, vectors))


def pairs_error(matrix: Array, values: Array, vectors: Array) -> float:
    """A bound on how far the eigenvalues of a symmetric matrix (d, d) lie from computed ones (r,), others being 0."""
    size, r = float(np.abs(values).max(initial=0.0)), len(values)
    skew = entries(vectors.T @ vectors - np.eye(r)) + gamma(len(vectors) + 2) * r
    rest = matrix - (vectors * values) @ vectors.T
    return up(skew * size + entries(rest) + gamma(r + 4) * float(np.abs(values).sum()))


def spectral_norm(matrix: Array, guess: float | None = None) -> float:
    """An upper bound, tight to rounding, on the largest absolute eigenvalue of a symmetric matrix (d, d).

    A guess at it, not above it but for rounding, saves the eigenvalues where it is proved at once.
    """
    if guess is not None:
        levels = [proved_level(matrix, guess, guess, AT_ONCE, sign) for sign in (1.0, -1.0)]
        if max(levels) <= guess * (1 + GUESSED):
            return max(levels)
    values = np.linalg.eigvalsh(matrix)
    size = float(np.abs(values).max())
    ends = ((1.0, float(values[-1])), (-1.0, -float(values[0])))
    return max(proved_level(matrix, end, size, sign=sign) for sign, end in ends)


def proved_level(matrix: Array, guess: float, size: float, tries: int = TRIES, sign: float = 1.0) -> float:
    """A t near the guess for which tI - sign * matrix is proved positive semidefinite, of a matrix of this size."""
    d = len(matrix)
    if not matrix.any():
        return 0.0
    share = gamma(d + 1) / (1 - gamma(d + 1))
    margin = 1.1 * share * max(d * guess - sign * float(np.trace(matrix)), 0.0)
    margin += gamma(8 + d**0.5) * size + 4 * d * TINY
    for _ in range(tries):
        level = guess + margin
        if _is_above(level, matrix, sign):
            return level + 2 * UNIT * (abs(level) + float(np.abs(matrix.diagonal()).max()))  # of the subtraction
        margin *= 8
    return length(matrix)


def _is_above(level: float, matrix: Array, sign: float) -> bool:
    """Whether level I - sign * matrix is proved to be positive semidefinite; it is the one copy that is made."""
    above = -sign * matrix
    above[np.diag_indices(len(matrix))] = level - sign * matrix.diagonal()
    return is_positive(above, overwrite=True)


def transposed(A: Array, B: Array) -> tuple[Array, float]:
    """A'B for tall arrays (d, r) and (d, s) by sums over blocks of rows, and a bound on the norm of its error."""
    rows = max(1, math.isqrt(len(A)))
    total = np.zeros((A.shape[1], B.shape[1]))
    for i in range(0, len(A), rows):
        total += A[i : i + rows].T @ B[i : i + rows]
    return total, gamma(rows + len(A) // rows + 3) * length(A) * length(B)


def entries(matrix: Array) -> float:
    """At least the spectral norm of a matrix, from its entries."""
    return min(length(matrix), _mixed(matrix))


def _mixed(matrix: Array) -> float:
    sizes = np.abs(matrix)
    both = float(sizes.sum(axis=0).max(initial=0.0)) * float(sizes.sum(axis=1).max(initial=0.0))
    return up(math.sqrt(both), sum(matrix.shape))
