"""Additive statistics of samples: count, mean and second moment, with one cached eigendecomposition.

Everything the linear, quadratic and polynomial games need to know of the data is in here, so memory depends on
the dimension and not on the number of samples.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows, ordered
from convexgan._tools.checks import check_columns, check_count, check_memory, check_weights
from convexgan._tools.files import one_number, open_npz, write_npz
from convexgan._tools.rounding import entries, gamma, length, squares, up
from convexgan._tools.tables import Label, check_labels, column_names, read_names
from convexgan.exceptions import SolverError
from convexgan.statistics.integers import MIDDLE, multiplies_int8
from convexgan.statistics.partial import formed_pairs
from convexgan.statistics.products import Sums, are_integers, centred_sums, check_products, mirror_lower
from convexgan.statistics.spectrum import Spectrum
from convexgan.statistics.subspace import Subspace

Array = NDArray[np.float64]
SINGLE, DOUBLE = (float(np.finfo(kind).eps) for kind in (np.float32, np.float64))
CHUNK_BYTES = 32 * 2**20
PARTIAL, FEW = 2048, 8  # rows or columns from which, and their number a pair from which, few pairs take less than all
LONGEST = 16_384  # rows whose products are added up at once: what rounding may change grows with them


class Moments:
    """Count, mean and (uncentred) second moment of rows, additive over chunks and machines.

    Rows are multiplied in float64 around a pilot mean, uint8 rows exactly, as the integers they are. What rounding may
    have changed is bounded, see `mean_error` and `second_error`. As long as there are no more rows than columns the
    rows themselves are kept, so that a few large pictures never form a (d, d) matrix.

    Parameters
    ----------
    dim : int
        Number of columns d.
    pilot : float, optional
        Around which all columns are multiplied, by default the mean of the first rows. Around a given integer, sums of
        integers are the same to the last bit in whatever order they come.

    Attributes
    ----------
    columns : tuple of str or int, or None
        Their names where the rows came in a data frame. Rows and moments added later are brought into this order.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> a, b = np.ones((3, 2)), np.zeros((1, 2))
    >>> moments = cg.Moments.from_array(a) + cg.Moments.from_array(b)
    >>> moments.count, moments.mean.tolist(), moments.second.tolist()
    (4, [0.75, 0.75], [[0.75, 0.75], [0.75, 0.75]])
    """

    def __init__(self, dim: int, pilot: float | None = None) -> None:
        self.dim, self._centre = dim, pilot
        self.count: int | None = 0
        self.total = 0.0
        self.eps = DOUBLE  # the precision of the rows as they came
        self.subspace: Subspace | None = None
        self.columns: tuple[Label, ...] | None = None
        self._rows: list[tuple[NDArray[Any], Array | None]] | None = []
        self._pilot: Array = np.zeros(dim)
        self._linear: Array = np.zeros(dim)
        self._gram: Array = np.zeros((0, 0))  # its lower triangle; what is above the diagonal is never read
        self._moved = self._shifted = 0.0  # how far rounding may have moved the sums of products, and of rows
        self._additions = 0  # of weights to the total, each of which rounds
        self._cache: dict[Any, Any] = {}

    # -- building ------------------------------------------------------------------------------------------

    @classmethod
    def from_array(cls, X: Any, weights: Any = None, name: str = "X") -> Moments:
        """The moments of the rows of an array.

        Parameters
        ----------
        X : (n, d) array or torch tensor
        weights : (n,) array, optional
            Non-negative row weights; they replace 1/n everywhere.
        name : str
            What error messages call the array.

        Raises
        ------
        ValueError
            Weights are given for Moments, whose weights were fixed before.
        """
        if isinstance(X, Moments):
            if weights is not None:
                raise ValueError(f"weights of {name} need rows: {name} is Moments, whose weights were fixed before.")
            return X
        check_labels(weights, X, f"weights of {name}", name)
        rows = as_rows(X, name)
        return cls(rows.shape[1])._named(X, name).update(rows, weights, name=name)

    @classmethod
    def from_chunks(cls, chunks: Iterable[Any]) -> Moments:
        """The moments of all the rows of an iterable of arrays, of which one at a time is in memory.

        Raises
        ------
        ValueError
            There is no array.
        """
        moments: Moments | None = None
        for chunk in chunks:
            moments = cls.from_array(chunk, name="chunk") if moments is None else moments.update(chunk, name="chunk")
        if moments is None:
            raise ValueError("chunks is empty: pass at least one array of rows.")
        return moments

    @classmethod
    def of_law(cls, mean: Array, factor: Array | None = None, spectrum: Spectrum | None = None) -> Moments:
        """The exact moments of a law with second moment ``factor.T @ factor`` (or the given spectrum).

        Parameters
        ----------
        mean : (d,) array
        factor : (r, d) array, optional
        spectrum : Spectrum, optional
            Given instead of the factor when it is known.

        Raises
        ------
        ValueError
            Neither factor nor spectrum is given.
        """
        law = cls(len(mean))
        law.count, law.total = None, 1.0
        if factor is None:
            if spectrum is None:
                raise ValueError("of_law needs factor or spectrum.")
            factor = np.sqrt(spectrum.values)[:, None] * spectrum.vectors.T
        law._rows = [(np.asarray(factor, dtype=np.float64), None)]
        law._cache = {"mean": np.asarray(mean, dtype=np.float64)}
        if spectrum is not None:
            law._cache["spectrum"] = spectrum
        return law

    @classmethod
    def of_second(cls, mean: Array, second: Array, error: float = 0.0, mean_error: float = 0.0) -> Moments:
        """The moments of a law whose second moment (d, d) and mean are known up to errors; it is decomposed."""
        spectrum = Spectrum.of_second(second)
        law = cls.of_law(mean, spectrum=spectrum)
        law._moved, law._shifted = error + spectrum.residual(second) + gamma(8) * law.trace, mean_error
        return law

    @classmethod
    def on_subspace(cls, subspace: Subspace) -> Moments:
        """Mean zero and a second moment of which only leading eigenpairs are known, certified.

        What reads them sees the moment restricted to the subspace; the quadratic discriminator's best response is an
        upper bound that takes the rest into account.
        """
        spectrum = Spectrum(np.maximum(subspace.enclosure.values, 0.0), subspace.vectors)
        law = cls.of_law(np.zeros(len(subspace.vectors)), spectrum=spectrum)
        law.subspace = subspace
        return law

    def restricted(self, subspace: Subspace) -> Moments:
        """These moments, of whose spectrum only certified leading eigenpairs are looked at, see `on_subspace`."""
        out = self._copy()
        out.subspace = subspace
        out._cache["spectrum"] = Spectrum(np.maximum(subspace.enclosure.values, 0.0), subspace.vectors)
        return out

    def check_whole(self) -> None:
        """Raise where the second moment is known on a subspace only, and so says nothing of other directions.

        Raises
        ------
        ValueError
            The second moment is known on a subspace only.
        """
        if self.subspace is not None and self.count is None:
            raise ValueError(
                "a second moment that is known on a subspace only bounds quadratic neurons without bias: pass the rows."
            )

    def update(self, rows: Any, weights: Any = None, *, name: str = "rows") -> Moments:
        """Add rows in place and return the object.

        Raises
        ------
        ValueError
            The moments are those of a law.
        """
        if self.count is None:
            raise ValueError("the exact moments of a law cannot be updated with samples: start a new Moments.")
        check_labels(weights, rows, f"weights of {name}", name)
        given, rows = rows, as_rows(ordered(rows, self.columns, name, "these moments"), name)
        check_columns(rows, self.dim, name, "these moments")
        w = None if weights is None else check_weights(weights, len(rows), f"weights of {name}")
        if self.count == 0:
            self._named(given, name)
        if self._rows is not None and self.count + len(rows) <= self.dim:
            check_products(rows, w, name)
            self._rows.append((rows.copy(), w))
        else:
            self._densify(rows)
            self._accumulate(rows, w, name)
        if rows.dtype == np.float32:
            self.eps = SINGLE
        self.count += len(rows)
        self.total += float(len(rows)) if w is None else math.fsum(w)
        self._additions += w is not None
        self._cache, self.subspace = {}, None
        return self

    def _named(self, X: Any, name: str) -> Moments:
        """Itself, with the names of the columns of X if it has any."""
        self.columns = column_names(X, name) or self.columns
        return self

    def reordered(self, places: Sequence[int]) -> Moments:
        """The moments of the same rows with column ``places[i]`` as the i-th."""
        out = self._copy()
        out.columns = None if self.columns is None else tuple(self.columns[i] for i in places)
        out._pilot, out._linear = self._pilot[places], self._linear[places]
        if self._rows is None:
            out._gram = mirror_lower(self._gram.copy())[np.ix_(places, places)]
        else:
            out._rows = [(rows[:, places], w) for rows, w in self._rows]
        return out

    def _densify(self, first: NDArray[Any]) -> None:
        """Go over from kept rows to the (d, d) Gram matrix, around the mean of the first chunk."""
        if self._rows is None:
            return
        check_memory(self.dim, "X")
        kept, self._rows = self._rows, None
        first = kept[0][0] if kept else first[:1024]
        self._pilot = _pilot(first) if self._centre is None else np.full(self.dim, self._centre)
        self._gram = np.zeros((self.dim, self.dim))
        for rows, w in kept:
            self._accumulate(rows, w, "rows")

    def _accumulate(self, rows: NDArray[Any], w: Array | None, name: str) -> None:
        """Add the products of rows around the pilot, chunk by chunk; nothing is added if a chunk is refused."""
        if rows.dtype == np.uint8 and w is None and (self._pilot == MIDDLE).all():
            sums = Sums(self._gram, self._linear, self._moved, self._shifted)
            sums.add_bytes(rows, multiplies_int8(self.products + len(rows) * float(self.dim) ** 2))
            self._linear, self._moved, self._shifted = sums.linear, sums.moved, sums.shifted
            return
        pieces = -(-len(rows) // min(max(CHUNK_BYTES // (8 * self.dim), self.dim), LONGEST))
        weights = [None] * pieces if w is None else np.array_split(w, pieces)
        done = Sums(np.zeros((self.dim, self.dim)), np.zeros(self.dim))
        for part, u in zip(np.array_split(rows, pieces), weights, strict=True):
            done.add(centred_sums(part, u, self._pilot, name))
        done.add(Sums(self._gram, self._linear, self._moved, self._shifted))
        self._gram, self._linear, self._moved, self._shifted = done.gram, done.linear, done.moved, done.shifted

    def merge(self, other: Moments) -> Moments:
        """The moments of both samples together; neither argument changes.

        Raises
        ------
        ValueError
            Either is that of a law, or their columns differ in number.
        """
        other = ordered(other, self.columns, "the other Moments", "these")
        if self.count is None or other.count is None:
            raise ValueError("the exact moments of a law cannot be merged: merge sample moments only.")
        if self.dim != other.dim:
            raise ValueError(f"cannot merge moments of {self.dim} and {other.dim} columns.")
        if self._rows is None and other._rows is not None:
            return other.merge(self)
        out = other._copy()
        out.columns = self.columns or other.columns
        if self._rows is not None:
            for rows, w in self._rows:
                out.update(rows, w)
            out._moved, out._shifted = out._moved + self._moved, out._shifted + self._shifted
            return out
        there = Sums(self._gram, self._linear, self._moved, self._shifted).around(self._pilot - out._pilot, self.total)
        there.add(Sums(out._gram, out._linear, out._moved, out._shifted))
        out._gram, out._linear, out._moved, out._shifted = there.gram, there.linear, there.moved, there.shifted
        out.count, out.total, out.eps = self.count + other.count, out.total + self.total, max(out.eps, self.eps)
        out._additions += self._additions
        return out

    __add__ = merge

    def _copy(self) -> Moments:
        out = Moments(self.dim, self._centre)
        out.count, out.total, out.eps = self.count, self.total, self.eps
        out._rows = None if self._rows is None else list(self._rows)
        out._pilot, out._linear = self._pilot.copy(), self._linear.copy()
        out._gram = self._gram.copy()
        out._moved, out._shifted, out._additions = self._moved, self._shifted, self._additions
        out.columns = self.columns
        return out

    # -- reading -------------------------------------------------------------------------------------------

    @property
    def factor(self) -> Array | None:
        """An (r, d) array F with ``second == F.T @ F`` and r <= d, or None once the (d, d) matrix is kept."""
        if self._rows is None:
            return None
        if "factor" not in self._cache:
            if self.total == 0:
                raise ValueError("these moments hold no samples: update them with rows first.")
            parts = [rows.astype(np.float64, copy=False) for rows, _ in self._rows]
            parts = [x if w is None else np.sqrt(w)[:, None] * x for x, (_, w) in zip(parts, self._rows, strict=True)]
            rows = np.concatenate(parts) if len(parts) > 1 else parts[0]
            self._cache["factor"] = rows if self.total == 1 else rows / np.sqrt(self.total)
        return self._cache["factor"]  # type: ignore[no-any-return]

    @property
    def mean(self) -> Array:
        """(d,) array."""
        if "mean" not in self._cache:
            if self.total == 0:
                raise ValueError("these moments hold no samples: update them with rows first.")
            if self._rows is not None:
                sums = [(np.ones(len(rows)) if w is None else w) @ rows.astype(np.float64) for rows, w in self._rows]
                self._cache["mean"] = np.sum(sums, axis=0) / self.total
            else:
                self._cache["mean"] = self._pilot + self._linear / self.total
        return self._cache["mean"]  # type: ignore[no-any-return]

    @property
    def second(self) -> Array:
        """(d, d) array, the uncentred second moment mean(x x')."""
        if "second" not in self._cache:
            if self.factor is not None:
                self._cache["second"] = self.second_once()
            else:
                # mean(x x') = mean(c c') + pilot mean' + mean pilot' - pilot pilot', with c = x - pilot
                shifts = np.stack([self._pilot, self.mean - self._pilot / 2])
                second = self._gram / self.total
                second += shifts.T @ shifts[::-1]
                self._cache["second"] = mirror_lower(second)
        return self._cache["second"]  # type: ignore[no-any-return]

    def second_once(self) -> Array:
        """`second`, which is not kept if it has to be made of a factor."""
        if self.factor is None or "second" in self._cache:
            return self.second
        check_memory(self.dim, "X")
        return self.factor.T @ self.factor

    @property
    def formed(self) -> bool:
        """Whether sums of products are kept, and no rows."""
        return self._rows is None

    @property
    def products(self) -> float:
        """How many the rows take that were seen so far."""
        return float(self.count or 0) * self.dim**2

    @property
    def trace(self) -> float:
        """The trace of the second moment, mean |x|^2."""
        matrix = self.factor
        return float(np.trace(self.second)) if matrix is None else float(np.sum(matrix**2))

    @property
    def spectrum(self) -> Spectrum:
        """Eigendecomposition of the second moment, computed once."""
        if "spectrum" not in self._cache:
            factor = self.factor
            found = Spectrum.of_second(self.second) if factor is None else Spectrum.of_factor(factor)
            self._cache["spectrum"] = found
        return self._cache["spectrum"]  # type: ignore[no-any-return]

    def leading_pairs(self, count: int, guess: Array | None = None) -> Subspace:
        """So many of them, certified, without a complete decomposition, see `convexgan.statistics.partial`."""
        factor = self.factor
        return formed_pairs(self.second if factor is None else None, factor, count, guess=guess)

    def leading(self, count: int, guess: Array | None = None) -> Moments:
        """These moments restricted to so many eigenpairs, where that takes less time than to find all of them.

        Parameters
        ----------
        count : int
        guess : (w, d) array, optional
            Rows near leading eigenvectors, that will lie in the span.
        """
        size = self.dim if self.factor is None else len(self.factor)
        if size < PARTIAL or size < FEW * count or "spectrum" in self._cache or self.count is None:
            return self
        if guess is None and ("leading", count) in self._cache:
            return self._cache["leading", count]  # type: ignore[no-any-return]
        try:
            found = self.restricted(self.leading_pairs(count, guess))
        except SolverError:  # they are not separated
            return self
        return self._cache.setdefault(("leading", count), found)  # type: ignore[no-any-return]

    @property
    def spectrum_error(self) -> float:
        """A bound on how far any eigenvalue of the second moment lies from that of `spectrum` (Weyl), computed once."""
        if "spectrum error" not in self._cache:
            self._cache["spectrum error"] = self.spectrum.skew() * self.spectrum.value(0) + self.pairs_error
        return self._cache["spectrum error"]  # type: ignore[no-any-return]

    @property
    def pairs_error(self) -> float:
        """A bound on the spectral norm of the second moment less what the eigenpairs stand for.

        Of eigenpairs on a subspace, which are not all, only what rounding moved: their values are never too large.
        """
        if self.subspace is not None:
            return self.subspace.enclosure.rounding + (0.0 if self.count is None else self.second_error)
        if self.factor is not None:
            return self.factor_error + self.spectrum.factor_residual(self.factor)
        return self.second_error + self.spectrum.residual(self.second)

    def noise(self) -> float:
        """The size below which an eigenvalue is rounding noise of how the second moment was formed."""
        top = self.spectrum.value(0)
        if self.factor is not None and self.count is not None:  # noise of singular values, squared
            return top * float(self.eps * max(self.factor.shape)) ** 2
        return top * (4 * DOUBLE * max(self.dim, math.sqrt(self.count or 0)) + self.dim * self.eps**2)

    @property
    def mean_error(self) -> float:
        """A bound on the distance between `mean` and the mean of the rows in exact arithmetic."""
        if self.count is None or self.total == 0:
            return self._shifted
        size = math.sqrt(max(self.trace, 0.0))
        if self._rows is not None:
            own = gamma(2 * self.count + self._additions + 4) * size
        else:
            own = gamma(self._additions + 4) * (size + length(self._pilot))
        return own + 1.01 * self._shifted / self.total

    @property
    def factor_error(self) -> float:
        """A bound on the spectral norm of ``factor.T @ factor`` less the second moment in exact arithmetic."""
        if self.count is None or self.total == 0:
            return self._moved + (0.0 if self.subspace is None else self.subspace.enclosure.rounding)
        return gamma(2 * self._additions + 20) * self.trace + 1.01 * self._moved / self.total

    @property
    def trace_bound(self) -> float:
        """At least the trace of the second moment in exact arithmetic."""
        if self.factor is not None:
            return up(squares(self.factor)) + self.factor_error
        return up(self.trace, self.dim) + self.second_error

    def off_by(self, mean_error: float, second_error: float) -> Moments:
        """The same moments of rows or a law whose own may be farther off by so much."""
        out = self._copy()
        out._moved += self.total * second_error
        out._shifted += self.total * mean_error
        out._cache = {name: known for name, known in self._cache.items() if name != "spectrum error"}
        return out

    @property
    def second_error(self) -> float:
        """A bound on the spectral norm of `second` less the second moment of the rows in exact arithmetic.

        For samples that were not mapped it bounds the error of the trace, too.
        """
        if self._rows is not None:
            r = 0 if self.factor is None else len(self.factor)
            return self.factor_error + gamma(r + 2) * self.trace
        mean, pilot = length(self.mean), length(self._pilot)
        inner = max(float(self._gram.trace()), 0.0) / self.total
        own = gamma(self._additions + 12) * (inner + 4 * pilot * (mean + pilot)) + 2 * pilot * self.mean_error
        return own + 1.01 * self._moved / self.total

    def rank(self) -> int:
        """The numerical rank of the second moment."""
        return int(np.count_nonzero(self.spectrum.values > self.noise()))

    def centered(self) -> Moments:
        """The moments of the rows minus their mean.

        Raises
        ------
        ValueError
            The moments are those of a law.
        """
        if self.count is None:
            raise ValueError("centre samples, not the exact moments of a law.")
        out = self._copy()
        if self._rows is not None:
            out._rows = [(rows - self.mean, w) for rows, w in self._rows]
            out._cache = {}
            out._moved += self.total * (self.mean_error * self.mean_error + gamma(4) * out.trace)
            out._shifted += self.total * self.mean_error
        else:
            shift = self._linear / self.total
            out._gram = self._gram - self.total * np.outer(shift, shift)
            size = length(self._linear)
            out._moved += gamma(8) * (size * size / self.total + max(float(self._gram.trace()), 0.0))
            out._moved += 2.01 * size * self._shifted / self.total
            out._linear, out._pilot, out._shifted = np.zeros(self.dim), np.zeros(self.dim), 0.0
        out._cache = {"mean": np.zeros(self.dim)}
        return out

    def mapped(
        self, linear: Callable[[Array], Array], size: float | None = None, roundings: int | None = None
    ) -> Moments:
        """The moments of the rows after a linear map, from the moments alone.

        Parameters
        ----------
        linear : callable
            From (n, d) rows to (n, e) rows, linear in each row.
        size : float, optional
            A bound on the spectral norm of the map's matrix with absolute entries, if it is known.
        roundings : int, optional
            How many of them each entry takes at most, by default d + 10.

        Raises
        ------
        ValueError
            The moments are those of a law.
        """
        if self.count is None:
            raise ValueError("map samples, not the exact moments of a law.")
        size = entries(linear(np.eye(self.dim))) if size is None else size
        rounded, mean = size * gamma(self.dim + 10 if roundings is None else roundings), math.sqrt(max(self.trace, 0.0))
        if self._rows is not None:
            parts = [(linear(rows.astype(np.float64)), w) for rows, w in self._rows]
            out = Moments(parts[0][0].shape[1])
            for rows, w in parts:
                out.update(rows, w)
            out._moved = size * (size * self._moved + 3 * rounded * self.total * mean * mean)
            out._shifted = size * self._shifted + rounded * self.total * mean
        else:
            half = linear(mirror_lower(self._gram.copy()))
            out = Moments(half.shape[1])
            out.count, out.total, out._rows = self.count, self.total, None
            out._gram = linear(np.ascontiguousarray(half.T))
            out._pilot, out._linear = linear(np.stack([self._pilot, self._linear]))
            inner, far = length(self._linear), rounded * length(self._pilot)
            out._shifted = size * self._shifted + rounded * inner + self.total * far
            around = max(float(self._gram.trace()), 0.0)
            out._moved = size * (size * self._moved + 3 * rounded * around + 2 * far * inner) + self.total * far * far
            out._additions = self._additions
        out.eps = self.eps
        return out

    def with_ones(self) -> Moments:
        """The moments of the rows [x, 1], (d + 1) columns."""
        self.check_whole()
        mean = np.append(self.mean, 1.0)
        if self.count is not None and self.factor is not None:
            out = Moments(self.dim + 1)
            for rows, w in self._rows or []:
                out.update(np.column_stack([rows, np.ones(len(rows), rows.dtype)]), w)
            out.eps, out._moved, out._shifted = self.eps, self._moved + 2 * self._shifted, self._shifted
            return out
        if self.subspace is None and not self.mean.any():  # uncorrelated with the constant, last among equals
            values = np.append(self.spectrum.values, 1.0)
            vectors = np.zeros((self.dim + 1, len(values)))
            vectors[:-1, :-1], vectors[-1, -1] = self.spectrum.vectors, 1.0
            order = np.argsort(-values, kind="stable")
            out = Moments.of_law(mean, spectrum=Spectrum(values[order], vectors[:, order]))
            out._moved, out._shifted = self.spectrum_error + self.mean_error, self.mean_error
        else:
            second = np.block([[self.second, self.mean[:, None]], [mean]])
            out = Moments.of_second(mean, second, self.second_error + self.mean_error, self.mean_error)
        out.eps = self.eps
        return out

    # -- files ---------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Arrays from which `from_state` makes the moments again, to the last bit.

        Raises
        ------
        ValueError
            The moments are those of a law, which is made from its parameters.
        """
        if self.count is None:
            raise ValueError("only sample moments are saved: the moments of a law are made from its parameters.")
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ("dim", "count", "total", "eps")}
        if self.columns is not None:
            arrays["columns"] = np.array(json.dumps(self.columns))
        arrays |= {"moved": self._moved, "shifted": self._shifted, "additions": self._additions}
        if self._centre is not None:
            arrays["centre"] = self._centre
        if self._rows is None:
            return arrays | {"pilot": self._pilot, "linear": self._linear, "gram": self._gram}
        arrays["sizes"] = np.array([len(rows) for rows, _ in self._rows], dtype=np.int64)
        for i, (rows, w) in enumerate(self._rows):
            arrays[f"rows{i}"] = rows
            if w is not None:
                arrays[f"weights{i}"] = w
        return arrays

    @classmethod
    def from_state(cls, arrays: Mapping[str, Any]) -> Moments:
        """The moments whose `state` this is; KeyError, TypeError or ValueError if it is damaged."""
        centre = float(one_number(arrays["centre"])) if "centre" in arrays else None
        out = cls(check_count(int(one_number(arrays["dim"])), "dim"), centre)
        out.count = int(one_number(arrays["count"]))
        out.total, out.eps = (float(one_number(arrays[name])) for name in ("total", "eps"))
        if "columns" in arrays:
            out.columns = read_names(json.loads(str(arrays["columns"])), out.dim)
        if "gram" in arrays:
            out._rows = None
            out._pilot, out._linear, out._gram = (_doubles(arrays[name]) for name in ("pilot", "linear", "gram"))
        else:
            parts = range(len(arrays["sizes"]))
            kept = ((as_rows(arrays[f"rows{i}"], f"rows{i}"), arrays.get(f"weights{i}")) for i in parts)
            out._rows = [(rows, None if w is None else _doubles(w)) for rows, w in kept]
        if "moved" in arrays:
            out._moved, out._shifted = (float(one_number(arrays[name])) for name in ("moved", "shifted"))
            out._additions = check_count(int(one_number(arrays["additions"])), "additions", 0)
        else:  # of version 0.1, whose products of up to 4,096 rows were as precise as eps says
            out._additions, rows = out.count, 4096 if out.eps == SINGLE else out.count
            around = max(float(out._gram.trace()), 0.0)
            out._moved = 2 * rows * out.eps * around
            out._shifted = 2 * rows * out.eps * math.sqrt(out.total * around)
        out._check_state()
        return out

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the moments to an .npz file, atomically and without pickles."""
        write_npz(path, self.state())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Moments:
        """The moments written by `save`.

        Raises
        ------
        ValueError
            The file holds no moments, or is damaged.
        """
        try:
            with open_npz(path) as file:
                return cls.from_state(file)
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"{path} is not a file of Moments or is damaged ({error}).") from None

    def _check_state(self) -> None:
        """Raise if what a file holds cannot be moments of samples."""
        d, count, kept = self.dim, self.count or 0, self._rows or []
        arrays = [rows for rows, _ in kept] + [self._pilot, self._linear, self._gram]
        shapes = [(len(rows), d) for rows, _ in kept] + [(d,), (d,), (d, d) if self._rows is None else (0, 0)]
        if [array.shape for array in arrays] != shapes or not all(np.isfinite(array).all() for array in arrays):
            raise ValueError("its arrays have wrong shapes or entries that are not finite")
        weights = [np.ones(len(rows)) if w is None else check_weights(w, len(rows), "weights") for rows, w in kept]
        total = sum(float(w.sum()) for w in weights) if self._rows is not None else self.total
        stored = count if self._rows is None else sum(map(len, weights))
        consistent = stored == count >= 0 and abs(total - self.total) <= 1e-9 * total and (total > 0) == (count > 0)
        sane = 0 < self.eps < 1 and 0 <= self._moved < math.inf and 0 <= self._shifted < math.inf
        if not (consistent and np.isfinite(total) and sane):
            raise ValueError("its counts contradict each other")


def _pilot(rows: NDArray[Any]) -> Array:
    """A centre around which rows are multiplied: their mean, for bytes an integer."""
    if rows.dtype == np.uint8:
        return np.full(rows.shape[1], float(MIDDLE))
    with np.errstate(all="ignore"):  # what is not finite is found with the products
        pilot = rows.mean(axis=0, dtype=np.float64)
        # representable in float32, so that float32 and float64 chunks subtract exactly the same number
        pilot = pilot.astype(np.float32).astype(np.float64)
        pilot = np.rint(pilot) if are_integers(rows) else pilot
    return np.where(np.isfinite(pilot), pilot, 0.0)


def _doubles(array: NDArray[Any]) -> Array:
    """The array of a file, of which nothing is believed; raises TypeError if it does not hold numbers."""
    return array.astype(np.float64, casting="safe", copy=False)
