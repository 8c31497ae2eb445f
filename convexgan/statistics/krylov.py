"""Leading eigenpairs of a second moment that is only ever multiplied by blocks of vectors, with a certificate.

One multiplication is one pass over the data. A warm start and its residuals span the subspace (a block Krylov space as
long as nothing has converged); Rayleigh and Ritz give the pairs, `Enclosure` the error that the residuals can hide.
That no eigenvector was missed is proved with random vectors in the complement of the first block, which are multiplied
along in the same passes: the chance that all of them are nearly orthogonal to a large eigenvector is known, and matters
less each time.

References
----------
B. N. Parlett, The Symmetric Eigenvalue Problem, 1998, chapters 10 to 13. The largest mass that a measure with given
moments can have at a point: N. I. Akhiezer, The Classical Moment Problem, 1965, chapter 2; the Lanczos recurrence of
whole blocks: K. Jbilou, A. Messaoudi and H. Sadok, Global FOM and GMRES algorithms for matrix equations, Appl. Numer.
Math. 31, 1999.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.rounding import entries, gamma, length, transposed, up
from convexgan._tools.threads import one_thread
from convexgan.exceptions import SolverError
from convexgan.statistics.subspace import Enclosure, Subspace

Array = NDArray[np.float64]
Product = Callable[[Array], Array]
FAILURE = 1e-10  # probability that a bound on the complement fails
PROBES = 48  # random vectors that search the complement
DEGREES = 10  # how often they are multiplied at most
MAX_PASSES = 60
TOLERANCE = 1e-7  # to which eigenvalues are iterated, of the largest
CLOSELY = 1e-10  # the same, of moments that are formed
AIM = 0.8  # share of the tolerance at which the iteration stops, rounding may have the rest
GAP = 0.5  # where the complement is expected to end, relative to the last wanted eigenvalue
SHOWN = 0.7  # and where it can be shown to end without many passes more


def leading_pairs(
    product: Product,
    start: Array,
    count: int,
    *,
    width: int,
    columns: int,
    rng: np.random.Generator,
    tol: float = TOLERANCE,
    kept: int | None = None,
    stray: Callable[[], float] = lambda: 0.0,
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
    stray : callable
        A bound on the Frobenius norm of what rounding changed of the products so far, for Q of Frobenius norm 1.

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
    space, attempts = Space(len(start), columns), 0
    search: Complement | None = None
    block = orthonormal(start)
    missing = max(width - block.shape[1], 0)
    block = np.hstack([block, orthonormal(rng.standard_normal((len(start), missing)), block)])
    for _ in range(MAX_PASSES):
        if space.make_room(block.shape[1]) or search is None:
            search, attempts = Complement(rng, space.basis, block), attempts + 1
        image = product(np.hstack([block, search.block]))
        space.append(block, image[:, : block.shape[1]])
        search.add(space.basis, image[:, block.shape[1] :])
        pairs = space.pairs()
        limit, last = AIM * tol * float(pairs.values[0]), float(pairs.values[count - 1])
        bound, theta = search.bound()
        if pairs.is_known(bound, width, count, limit):
            return Subspace(*space.proved(pairs, bound, kept, stray()), attempts * FAILURE)
        converged = pairs.is_known(SHOWN * last, width, count, limit)
        enough = pairs.is_known(theta, width, count, limit) if converged else theta < last
        block = block[:, :0] if converged else space.directions(pairs, (count + width) // 2, limit)
        if not enough or search.exhausted:  # what was found in the complement belongs to the subspace
            block, search = np.hstack([block, orthonormal(search.last, space.basis, block)]), None
    error = pairs.known(bound, width).error(count)
    raise SolverError(
        f"eigenvalues are known to {error / limit * AIM * tol:.1e} of the largest after {MAX_PASSES} passes, not to "
        f"{tol:g}: "
        "allow more memory, or ask for another rank, where eigenvalues lie farther apart."
    )


class Complement:
    """An upper bound on C = PSP, P the projector on the complement of a basis, which fails with a known probability.

    Let G be `PROBES` Gaussian vectors in the complement and mu the measure with tr G'f(C)G = integral of f. Its mass at
    the largest eigenvalue, with eigenvector u, is at least |u'G|^2 and hence at least chi, the `FAILURE` quantile of
    the chi-squared law. With p_0, ..., p_q orthonormal polynomials of mu, the mass at t is at most

        1 / (p_0(t)^2 + ... + p_q(t)^2),

    since h = sum p_j(t) p_j has integral h^2 = h(t) >= mass h(t)^2. Beyond theta, the largest zero of p_q, this falls:
    so the eigenvalue ends where it is chi. Each multiplication of the block gives one polynomial more.

    The bound holds for the complement of every larger basis. A coarser bound, from the largest Ritz value and Chebyshev
    polynomials, needs two passes more on pictures.

    Parameters
    ----------
    rng : Generator
        Independent of the bases.
    bases : (d, m) arrays
        Orthonormal columns of the basis.
    """

    def __init__(self, rng: np.random.Generator, *bases: Array) -> None:
        dim, self.used = len(bases[0]), sum(basis.shape[1] for basis in bases)
        self.block = np.zeros((dim, 0)) if self.used == dim else rng.standard_normal((dim, PROBES))
        for basis in bases:
            self.block = self.block - basis @ (basis.T @ self.block)
        self._size = float(np.linalg.norm(self.block))
        self.block = self.block / max(self._size, 1e-300)
        self.last = self._before = np.zeros_like(self.block)
        self._alpha: list[float] = []  # of the recurrence t p_j = beta_j p_{j-1} + alpha_j p_j + beta_{j+1} p_{j+1}
        self._beta: list[float] = []

    @property
    def exhausted(self) -> bool:
        """Whether the block is not to be multiplied any more."""
        return self.block.shape[1] == 0 or len(self._alpha) == DEGREES

    def add(self, basis: Array, image: Array) -> None:
        """Continue from S @ block; the basis begins with those given at first."""
        if self.block.shape[1] == 0:
            return
        used = basis[:, : self.used]
        image = image - used @ (used.T @ image)
        self._alpha.append(float(np.sum(image * self.block)))
        image = image - self._alpha[-1] * self.block - (self._beta[-1] if self._beta else 0.0) * self._before
        self._beta.append(float(np.linalg.norm(image)))
        self.last = self._before = self.block
        if self._beta[-1] <= 1e-6 * max(self._alpha):  # what is left is rounding: mu has no more points than that
            self.block = image[:, :0]
            return
        image = image / self._beta[-1]
        self.last = self.block = image - used @ (used.T @ image)

    def bound(self) -> tuple[float, float]:
        """The upper bound, and theta, where it tends to."""
        from scipy.special import gammaincinv  # here: it takes long to import

        if not self._alpha:  # the basis is complete
            return 0.0, 0.0
        chi = 2 * float(gammaincinv(PROBES / 2, FAILURE))
        theta = max(float(np.linalg.eigvalsh(_tridiagonal(self._alpha, self._beta[:-1]))[-1]), 0.0)
        low, high = theta, max(theta, self._alpha[0] + self._beta[0] * self._size / np.sqrt(chi))  # p_1^2 is enough
        while high - low > 1e-6 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if self._inverse_mass(middle) < 1 / chi else (low, middle)
        return high, theta

    def _inverse_mass(self, t: float) -> float:
        """p_0(t)^2 + ... + p_q(t)^2."""
        before, now, total, last = 0.0, 1 / self._size, self._size**-2, 0.0
        for alpha, beta in zip(self._alpha, self._beta, strict=True):
            before, now = now, ((t - alpha) * now - last * before) / max(beta, 1e-300)
            total, last = total + now * now, beta
        return total


def _tridiagonal(diagonal: list[float], beside: list[float]) -> Array:
    """The symmetric matrix."""
    return np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)


def orthonormal(block: Array, *bases: Array) -> Array:
    """An orthonormal basis of a block's columns without their part in orthonormal bases; fewer where they depend."""
    block = block / np.maximum(np.linalg.norm(block, axis=0), 1e-300)
    for _ in range(4):  # each round loses digits where columns are nearly dependent, and the next restores them
        for basis in bases:
            block = block - basis @ (basis.T @ block)
        inner = block.T @ block
        with one_thread():
            values, vectors = np.linalg.eigh(inner)
        kept = values > 1e-13
        block = block @ (vectors[:, kept] / np.sqrt(values[kept]))
        if kept.all() and values.min(initial=1.0) > 0.99:
            break
    return block


@dataclass(frozen=True)
class Pairs:
    """Ritz values, descending, the turn of the basis to their vectors, and R'R of their residuals R."""

    values: Array
    turn: Array
    coupling: Array

    def known(self, rest: float, width: int) -> Enclosure:
        """What the leading pairs are known to be, if the complement's eigenvalues end at ``rest``."""
        return Enclosure(self.values, self.coupling, rest).first(width)

    def is_known(self, rest: float, width: int, count: int, limit: float) -> bool:
        """Whether the first ``count`` are then known to the limit; mostly without eigenvalues if they are not.

        The sum of the largest eigenvalues is no smaller than that of as many entries of the diagonal (Ky Fan).
        """
        last, sizes = float(self.values[count - 1]), np.maximum(self.coupling.diagonal()[:width], 0.0)
        margin = max(last - rest, float(np.sqrt(sizes.sum())), 1e-300)  # no smaller than that of `Enclosure.error`
        least = max(rest - last, float(sizes[:count].mean()) / margin)
        return least <= 2 * limit and self.known(rest, width).error(count) <= limit


class Space:
    """An orthonormal basis Q, its image SQ and their small products, grown by blocks."""

    def __init__(self, dim: int, columns: int) -> None:
        self._basis, self._image = np.empty((2, dim, min(columns, dim)))
        self._inner = self._squares = np.zeros((0, 0))  # Q'SQ and (SQ)'SQ
        self._shrunk = 0  # times that basis and image were turned, and rounded

    @property
    def basis(self) -> Array:
        return self._basis[:, : len(self._inner)]

    @property
    def image(self) -> Array:
        return self._image[:, : len(self._inner)]

    def is_full(self, columns: int) -> bool:
        """Whether so many columns do not fit."""
        return bool(len(self._inner) + columns > self._basis.shape[1])

    def make_room(self, columns: int) -> bool:
        """Give up all but the leading half of the Ritz vectors if so many columns do not fit; whether that was so."""
        room = self._basis.shape[1]
        if not self.is_full(columns):
            return False
        self._shrink(min(room // 2, room - columns))
        return True

    def append(self, block: Array, image: Array) -> None:
        """Add orthonormal columns, for which there is room."""
        used = len(self._inner)
        grown = slice(used, used + block.shape[1])
        self._basis[:, grown], self._image[:, grown] = block, image
        q, sq = self._basis[:, : grown.stop], self._image[:, : grown.stop]
        self._inner = _bordered(self._inner, q.T @ image, block.T @ sq)
        squares = sq.T @ image
        self._squares = _bordered(self._squares, squares, squares.T)

    @one_thread()
    def pairs(self) -> Pairs:
        """Rayleigh and Ritz."""
        values, turn = np.linalg.eigh((self._inner + self._inner.T) / 2)
        values, turn = values[::-1], turn[:, ::-1]
        skew = values[:, None] * (turn.T @ self._inner @ turn)  # the values' squares would lack what rounding changed
        coupling = turn.T @ self._squares @ turn - skew - skew.T + np.diag(values**2)
        return Pairs(values, turn, (coupling + coupling.T) / 2)

    @one_thread()
    def proved(self, pairs: Pairs, rest: float, kept: int, stray: float) -> tuple[Array, Enclosure]:
        """Leading Ritz vectors, orthonormal to rounding, and what is known with all that rounding may have changed.

        The residuals R = S V - V D are computed as such: R'R is then no smaller than what sticks out of the span, also
        where V is orthonormal up to rounding only; what else that changes is of the size of S times V'V - I.
        """
        turn, b = pairs.turn[:, :kept], self.basis.shape[1]
        V, image, D = self.basis @ turn, self.image @ turn, pairs.values[:kept]
        size, flat = length(self.image), length(self.basis)
        moved = (stray + gamma(b + 2) * size) * flat * length(turn[:, :1])  # of any vector's image, at most
        moved = max(moved, stray * flat + gamma(b + 2) * size)
        residuals = image - V * D
        moved += self._shrunk * gamma(self._basis.shape[1] + 2) * (size + up(abs(float(D[0]))) * flat)
        strays = moved + gamma(3) * (length(image) + length(V) * up(abs(float(D[0]))))
        (overlap, wrong), (along, off) = transposed(V, V), transposed(V, image)
        skew = entries(overlap - np.eye(len(D))) + wrong
        inner = entries(along - np.diag(D)) + off
        rounding = inner + moved + 2.1 * skew * (up(abs(float(D[0]))) + inner)
        enclosure, (squares, short) = pairs.known(rest, len(D)), transposed(residuals, residuals)
        # |r + s|^2 <= (1 + h) |r|^2 + (1 + 1/h) |s|^2 for every h > 0
        own = short + 2e4 * strays**2
        coupling = squares * (1 + 3 * skew) * (1 + 1e-4) + own * np.eye(len(D))
        return V, Enclosure(D, coupling, enclosure.rest, rounding)

    def directions(self, pairs: Pairs, width: int, limit: float) -> Array:
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
        self._shrunk += 1
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
