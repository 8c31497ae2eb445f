"""Floats as the rational numbers they are, square roots between two of them, and matrices of them."""

from __future__ import annotations

import math
from decimal import MAX_EMAX, MIN_EMIN, Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Exact = NDArray[np.object_]
BITS = 200  # of square roots
COLUMNS, PRODUCTS = 200, 1e8  # of games that are computed within a minute or two
DIGITS = 60  # of decimal floating-point numbers


def check_exact_size(rows: int, columns: int, rank: int = 1) -> None:
    """Raise unless a game is small enough for arithmetic without rounding."""
    if columns > COLUMNS or rows * columns**2 > PRODUCTS or rank > 4 * COLUMNS:
        raise ValueError(
            f"rigorous=True is for up to {COLUMNS} columns and {PRODUCTS:.0e} products of entries of X (rows times "
            f"columns squared), this game has {columns} columns and {rows} rows: leave it out, the other numbers are "
            "proved bounds too."
        )


def exact(array: Any) -> Exact:
    """The array's numbers as fractions, an object array of the same shape."""
    flat = np.asarray(array, dtype=np.float64)
    out = np.empty(flat.shape, dtype=object)
    out.flat[:] = [Fraction(number) for number in flat.ravel().tolist()]
    return out


def integers(array: Any) -> tuple[Exact, Fraction]:
    """The array as integers times a power of two."""
    mantissas, exponents = np.frexp(np.asarray(array, dtype=np.float64))
    whole = (mantissas * 2.0**53).astype(np.int64).ravel().tolist()
    shifts = (exponents - 53).ravel().tolist()
    least = min((s for m, s in zip(whole, shifts, strict=True) if m), default=0)
    out = np.empty(mantissas.shape, dtype=object)
    out.flat[:] = [m << (s - least) if m else 0 for m, s in zip(whole, shifts, strict=True)]
    return out, Fraction(2) ** least


def second_and_mean(rows: Any, weights: Any = None) -> tuple[Exact, Exact]:
    """The second moment (d, d) and the mean (d,) of rows, weighted or not, without rounding."""
    whole, unit = integers(rows)
    if weights is None:
        total, weighted, scale = Fraction(len(whole)), whole, Fraction(1)
    else:
        mass, scale = integers(weights)
        total, weighted = scale * sum(mass.tolist()), whole * mass[:, None]
    factor = scale * unit / total
    return (whole.T @ weighted) * (factor * unit), weighted.sum(axis=0) * factor


def root(square: Fraction) -> tuple[Fraction, Fraction]:
    """Two fractions between which the square root lies, `BITS` bits apart at most."""
    if square <= 0:
        return Fraction(0), Fraction(0)
    p, q = square.numerator, square.denominator
    shift = max(0, 2 * BITS - (p * q).bit_length()) // 2 + 1
    floor = math.isqrt(p * q << 2 * shift)
    return Fraction(floor, q << shift), Fraction(floor + 1, q << shift)


def near(number: Fraction) -> Fraction:
    """A number with a power of two for its denominator, off by less than 2^-`BITS` of it: sums of such stay short."""
    shift = BITS + 1 - number.numerator.bit_length() + number.denominator.bit_length()
    return Fraction(round(number * Fraction(2) ** shift)) / Fraction(2) ** shift


def up(number: Fraction) -> float:
    """The least float that is no smaller."""
    if abs(number) > Fraction(np.finfo(np.float64).max):
        return math.inf if number > 0 else -float(np.finfo(np.float64).max)
    near = float(number)
    return near if Fraction(near) >= number else float(np.nextafter(near, math.inf))


def down(number: Fraction) -> float:
    """The largest float that is no larger."""
    return 0.0 - up(-number)


def is_positive(matrix: Exact) -> bool:
    """Whether a symmetric matrix (d, d) of fractions is proved to be positive semidefinite.

    The Cholesky factorisation in 60 decimal digits, of the matrix less all that its roundings may have changed. Source:
    S. M. Rump, Verification of positive definiteness, BIT 46, 2006, theorem 2.3, which holds in any base.
    """
    return _cholesky(matrix) is not None


def inverse_form(matrix: Exact, vector: Exact) -> Fraction | None:
    """vector' matrix^{-1} vector, in about 50 digits; None unless the matrix is proved to be positive."""
    factor = _cholesky(matrix)
    if factor is None:
        return None
    with localcontext(prec=DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN):
        rest = np.array([Decimal(x.numerator) / Decimal(x.denominator) for x in vector.tolist()], dtype=object)
        total = Decimal(0)
        for k in range(len(factor)):
            along = rest[k] / factor[k, k]
            rest[k + 1 :] -= along * factor[k + 1 :, k]
            total += along * along
    return Fraction(total)


def _cholesky(matrix: Exact) -> Exact | None:
    """The factor of the matrix less what roundings may change, or None where it breaks down; zeros of a zero matrix."""
    d, unit = len(matrix), Decimal(10) ** (1 - DIGITS)
    with localcontext(prec=DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN):
        rest = np.array([[Decimal(x.numerator) / Decimal(x.denominator) for x in row] for row in matrix.tolist()])
        sizes = abs(rest)
        if not sizes.any():
            return rest
        shift = 2 * unit * ((d + 3) * sizes.diagonal().sum() + sizes.sum(axis=0).max())
        for k in range(d):
            pivot = rest[k, k] - shift
            if pivot <= 0:
                return None
            rest[k, k] = pivot.sqrt()
            rest[k + 1 :, k] = rest[k + 1 :, k] / rest[k, k]
            rest[k + 1 :, k + 1 :] -= np.outer(rest[k + 1 :, k], rest[k + 1 :, k])
    return rest


def largest_eigenvalue(matrix: Exact) -> tuple[Fraction, Fraction]:
    """Two fractions between which the largest eigenvalue of a symmetric matrix (d, d) lies.

    From below it is the Rayleigh quotient of an eigenvector as it is computed, from above a level that is proved.
    """
    near = matrix.astype(np.float64)
    values, vectors = np.linalg.eigh(near)
    u = exact(vectors[:, -1])
    low = (u @ matrix @ u) / (u @ u)
    size = Fraction(float(np.abs(values).max()))
    if size == 0:
        size = max(abs(entry) for entry in matrix.ravel().tolist())
    eye = np.array([[Fraction(i == j) for j in range(len(near))] for i in range(len(near))], dtype=object)
    for power in (90, 70, 52, 48, 44, 40, 30, 20, 10, 0):
        high = low + size / 2**power
        if is_positive(high * eye - matrix):
            return low, high
    return low, 2 * len(near) * size


def identity(d: int) -> Exact:
    """The (d, d) identity."""
    return np.array([[Fraction(i == j) for j in range(d)] for i in range(d)], dtype=object)
