"""Leading eigenpairs of a second moment that is only ever multiplied by blocks of vectors, with a certificate.

One multiplication is one pass over the data. A warm start and its residuals span the subspace (a block Krylov space as
long as nothing has converged); Rayleigh and Ritz give the pairs, `Enclosure` the error that the residuals can hide.
That no eigenvector was missed is proved with fresh random vectors in the complement: the chance that all of them are
nearly orthogonal to a large eigenvector is known, and matters less each time they are multiplied.

References
----------
B. N. Parlett, The Symmetric Eigenvalue Problem, 1998, chapters 10 to 13. J. Kuczynski and H. Wozniakowski, Estimating
the largest eigenvalue by the power and Lanczos algorithms with a random start, SIAM J. Matrix Anal. Appl. 13, 1992,
for a single random vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan.exceptions import SolverError
from convexgan.subspace import Enclosure, Subspace

Array = NDArray[np.float64]
Product = Callable[[Array], Array]
FAILURE = 1e-10  # probability that a bound on the complement fails
PROBES = 32  # random vectors that search the complement
PROBE_PASSES = 8
MAX_PASSES = 60
GAP = 0.5  # where the complement is expected to end, relative to the last wanted eigenvalue


def leading_pairs(
    product: Product,
    start: Array,
    count: int,
    *,
    width: int,
    columns: int,
    rng: np.random.Generator,
    tol: float = 1e-7,
    kept: int | None = None,
) -> Subspace:
    """The ``count`` largest eigenpairs of a matrix S >= 0, each eigenvalue to ``tol`` of the largest, certified.

    Parameters
    ----------
    product : callable
        From a (d, w) array Q to S Q.
    start : (d, w) array
        Guesses for the leading eigenvectors, none or any number of them.
    count : int
    width : int
        Vectors that are sought, more than ``count``: the others speed up the last ones. Random guesses fill up.
    columns : int
        How many vectors of length d fit in memory, with as many images; at least 2 width + `PROBES`.
    rng : Generator
        For guesses, and for the vectors that search the complement.
    tol : float
    kept : int, optional
        Vectors of the result at most, by default ``width``; with more, the guesses lie in their span.

    Returns
    -------
    Subspace

    Raises
    ------
    SolverError
        The tolerance is not reached in 60 passes.
    """
    width = min(width, len(start))
    kept = width if kept is None else kept
    space, attempts, error = _Space(len(start), columns), 0, np.inf
    block = orthonormal(start)
    missing = max(width - block.shape[1], 0)
    block = np.hstack([block, orthonormal(rng.standard_normal((len(start), missing)), block)])
    for _ in range(MAX_PASSES):
        space.append(block, product(block))
        pairs = space.pairs()
        limit = tol * float(pairs.values[0])
        error = pairs.known(GAP * float(pairs.values[count - 1]), width).error(count)
        if error <= limit:
            attempts += 1
            probes = _Space(len(start), PROBE_PASSES * PROBES)

            def enough(rest: float, pairs: _Pairs = pairs, limit: float = limit) -> bool:
                return pairs.known(rest, width).error(count) <= limit

            rest = bound_complement(product, space.basis, probes, rng, enough)
            error = pairs.known(rest, width).error(count)
            if error <= limit:
                return Subspace(space.basis @ pairs.turn[:, :kept], pairs.known(rest, kept), attempts * FAILURE)
            space.append(probes.basis, probes.image)  # what was found in the complement belongs to the subspace
            pairs = space.pairs()
        block = space.directions(pairs, width, limit)
    raise SolverError(
        f"eigenvalues are known to {error / limit * tol:.1e} of the largest after {MAX_PASSES} passes, not to {tol:g}: "
        "allow more memory, or ask for another rank, where eigenvalues lie farther apart."
    )


def bound_complement(
    product: Product, basis: Array, probes: _Space, rng: np.random.Generator, enough: Callable[[float], bool]
) -> float:
    """An upper bound on S on the complement of a basis, which fails with probability `FAILURE`.

    With C = PSP on the D-dimensional complement and p Gaussian vectors G in it, let u be the top eigenvector and z =
    f(C) G c, c along G'u: u'Gc has the law chi_p, and what is orthogonal chi_(D - 1), independently. With theta
    the largest Ritz value on the Krylov space of degree q, theta >= z'Cz / z'z for f the Chebyshev polynomial of
    degree q on [0, theta], hence T_q(2 g - 1)^2 (g - 1) <= chi^2_(D - 1) / chi^2_p for g = |C| / theta.

    Parameters
    ----------
    product : callable
    basis : (d, m) array
        Orthonormal columns.
    probes : _Space
        Empty; receives the Krylov space.
    rng : Generator
        Independent of the basis.
    enough : callable
        Whether a bound is small enough.
    """
    dim, used = basis.shape
    if used == dim:
        return 0.0
    block = orthonormal(rng.standard_normal((dim, min(PROBES, dim - used))), basis)
    ratio = _ratio(block.shape[1], dim - used)
    for degree in range(PROBE_PASSES):
        probes.append(block, product(block))
        theta = max(float(probes.pairs().values[0]), 0.0)
        bound = theta * growth(degree, ratio)
        block = orthonormal(probes.image[:, -block.shape[1] :], basis, probes.basis)
        if block.shape[1] == 0:  # the Krylov space is invariant, and almost surely misses no eigenvalue of C
            return theta * (1 + 1e-9)
        if enough(bound) or not enough(theta):
            break
    return bound


def _ratio(probes: int, dim: int) -> float:
    """What chi^2_(dim - 1) / chi^2_probes exceeds with probability `FAILURE`."""
    from scipy.special import betaincinv  # here: it takes long to import

    share = float(betaincinv(probes / 2, (dim - 1) / 2, FAILURE)) if dim > 1 else 1.0
    return (1 - share) / share


def growth(degree: int, ratio: float) -> float:
    """The g >= 1 with T_degree(2 g - 1)^2 (g - 1) = ratio."""
    from scipy.optimize import brentq  # here: it takes long to import

    if ratio <= 0:
        return 1.0

    def excess(log_g: float) -> float:  # in g - 1 = exp(log_g), logarithms against overflow
        angle = degree * np.arccosh(1 + 2 * np.exp(log_g))
        return float(2 * (angle + np.log1p(np.exp(-2 * angle)) - np.log(2)) + log_g - np.log(ratio))

    top = float(np.log(ratio))
    return 1 + float(np.exp(brentq(excess, -40 - abs(top), top)))


def orthonormal(block: Array, *bases: Array) -> Array:
    """An orthonormal basis of a block's columns without their part in orthonormal bases; fewer where they depend."""
    block = block / np.maximum(np.linalg.norm(block, axis=0), 1e-300)
    for _ in range(4):  # each round loses digits where columns are nearly dependent, and the next restores them
        for basis in bases:
            block = block - basis @ (basis.T @ block)
        values, vectors = np.linalg.eigh(block.T @ block)
        kept = values > 1e-13
        block = block @ (vectors[:, kept] / np.sqrt(values[kept]))
        if kept.all() and values.min(initial=1.0) > 0.99:
            break
    return block


@dataclass(frozen=True)
class _Pairs:
    """Ritz values, descending, the turn of the basis to their vectors, and R'R of their residuals R."""

    values: Array
    turn: Array
    coupling: Array

    def known(self, rest: float, width: int) -> Enclosure:
        """What the leading pairs are known to be, if the complement's eigenvalues end at ``rest``."""
        return Enclosure(self.values, self.coupling, rest).first(width)


class _Space:
    """An orthonormal basis Q, its image SQ and their small products, grown by blocks."""

    def __init__(self, dim: int, columns: int) -> None:
        self._basis, self._image = np.empty((2, dim, min(columns, dim)))
        self._inner = self._squares = np.zeros((0, 0))  # Q'SQ and (SQ)'SQ

    @property
    def basis(self) -> Array:
        return self._basis[:, : len(self._inner)]

    @property
    def image(self) -> Array:
        return self._image[:, : len(self._inner)]

    def append(self, block: Array, image: Array) -> None:
        """Add orthonormal columns; if there is no room, all but the leading half of the Ritz vectors are given up."""
        used, room = len(self._inner), self._basis.shape[1]
        if used + block.shape[1] > room:
            self._shrink(min(room // 2, room - block.shape[1]))
            used = len(self._inner)
        grown = slice(used, used + block.shape[1])
        self._basis[:, grown], self._image[:, grown] = block, image
        q, sq = self._basis[:, : grown.stop], self._image[:, : grown.stop]
        self._inner = _bordered(self._inner, q.T @ image, block.T @ sq)
        squares = sq.T @ image
        self._squares = _bordered(self._squares, squares, squares.T)

    def pairs(self) -> _Pairs:
        """Rayleigh and Ritz."""
        values, turn = np.linalg.eigh((self._inner + self._inner.T) / 2)
        values, turn = values[::-1], turn[:, ::-1]
        skew = values[:, None] * (turn.T @ self._inner @ turn)
        coupling = turn.T @ self._squares @ turn - skew - skew.T + np.diag(values**2)
        return _Pairs(values, turn, (coupling + coupling.T) / 2)

    def directions(self, pairs: _Pairs, width: int, limit: float) -> Array:
        """The residuals of the leading Ritz vectors that hide more than their share of the limit, orthonormal."""
        values = pairs.values[:width]
        sizes = np.maximum(pairs.coupling.diagonal()[:width], 0.0)
        hidden = sizes / np.maximum(values - GAP * values[-1], 1e-300)
        chosen = hidden > min(0.05 * limit, float(np.quantile(hidden, 0.75)))
        turn = pairs.turn[:, :width][:, chosen]
        residuals = self.image @ turn - (self.basis @ turn) * values[chosen]
        return orthonormal(residuals, self.basis)

    def _shrink(self, kept: int) -> None:
        """Keep the leading Ritz vectors only, in place."""
        turn = self.pairs().turn[:, :kept]
        for array in (self._basis, self._image):
            for rows in np.array_split(np.arange(len(array)), max(1, array.size // 2**24)):
                array[rows, :kept] = array[rows, : len(turn)] @ turn
        self._inner, self._squares = turn.T @ self._inner @ turn, turn.T @ self._squares @ turn


def _bordered(corner: Array, right: Array, below: Array) -> Array:
    """The square matrix grown by columns on the right and rows below."""
    size = len(corner)
    grown = np.empty((len(right), len(right)))
    grown[:size, :size], grown[:, size:], grown[size:, :] = corner, right, below
    return grown
