"""Additive statistics of samples: count, mean and second moment, with one cached eigendecomposition.

Everything the linear, quadratic and polynomial games need to know of the data is in here, so memory depends on
the dimension and not on the number of samples.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import as_rows, check_columns, check_count, check_memory, check_weights
from convexgan._files import one_number, open_npz, write_npz
from convexgan._products import NARROW, SHORT, centred_products, check_size, mirror_lower
from convexgan.subspace import Subspace

Array = NDArray[np.float64]
SINGLE, DOUBLE = (float(np.finfo(kind).eps) for kind in (np.float32, np.float64))
CHUNK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues, descending and clipped at 0, with orthonormal eigenvectors; what is missing is zero.

    Attributes
    ----------
    values : (r,) array
    vectors : (d, r) array
        Column i belongs to ``values[i]``. ``r < d`` if fewer rows than columns were seen.
    """

    values: Array
    vectors: Array

    def value(self, i: int) -> float:
        """The i-th largest eigenvalue (from 0); 0 beyond the stored ones."""
        return float(self.values[i]) if i < len(self.values) else 0.0


class Moments:
    """Count, mean and (uncentred) second moment of rows, additive over chunks and machines.

    Rows are multiplied in float64, but float32 and uint8 rows of more than 64 columns in float32, a few thousand at a
    time around a pilot mean, and those products summed in float64. As long as there are no more rows than columns the
    rows themselves are kept, so that a few large pictures never form a (d, d) matrix.

    Parameters
    ----------
    dim : int
        Number of columns d.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> a, b = np.ones((3, 2)), np.zeros((1, 2))
    >>> moments = cg.Moments.from_array(a) + cg.Moments.from_array(b)
    >>> moments.count, moments.mean.tolist(), moments.second.tolist()
    (4, [0.75, 0.75], [[0.75, 0.75], [0.75, 0.75]])
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.count: int | None = 0
        self.total = 0.0
        self.eps = DOUBLE
        self.subspace: Subspace | None = None
        self._rows: list[tuple[NDArray[Any], Array | None]] | None = []
        self._pilot: Array = np.zeros(dim)
        self._linear: Array = np.zeros(dim)
        self._gram: Array = np.zeros((0, 0))  # its lower triangle; what is above the diagonal is never read
        self._cache: dict[str, Any] = {}

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
        """
        if isinstance(X, Moments):
            if weights is not None:
                raise ValueError(f"weights of {name} need rows: {name} is Moments, whose weights were fixed before.")
            return X
        rows = as_rows(X, name)
        return cls(rows.shape[1]).update(rows, weights, name=name)

    @classmethod
    def from_chunks(cls, chunks: Iterable[Any]) -> Moments:
        """The moments of all the rows of an iterable of arrays, of which one at a time is in memory."""
        moments: Moments | None = None
        for chunk in chunks:
            rows = as_rows(chunk, "chunk")
            moments = (moments or cls(rows.shape[1])).update(rows, name="chunk")
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
        """Raise where the second moment is known on a subspace only, and so says nothing of other directions."""
        if self.subspace is not None and self.count is None:
            raise ValueError(
                "a second moment that is known on a subspace only bounds quadratic neurons without bias: pass the rows."
            )

    def update(self, rows: Any, weights: Any = None, *, name: str = "rows") -> Moments:
        """Add rows in place and return the object."""
        if self.count is None:
            raise ValueError("the exact moments of a law cannot be updated with samples: start a new Moments.")
        rows = as_rows(rows, name)
        check_columns(rows, self.dim, name, "these moments")
        w = None if weights is None else check_weights(weights, len(rows), f"weights of {name}")
        if self._rows is not None and self.count + len(rows) <= self.dim:
            check_size(rows, name)
            self._rows.append((rows.copy(), w))
            if rows.dtype == np.float32:
                self.eps = SINGLE
        else:
            self._densify(rows)
            self._accumulate(rows, w, name)
        self.count += len(rows)
        self.total += float(len(rows) if w is None else w.sum())
        self._cache, self.subspace = {}, None
        return self

    def _densify(self, first: NDArray[Any]) -> None:
        """Go over from kept rows to the (d, d) Gram matrix, around the mean of the first chunk."""
        if self._rows is None:
            return
        check_memory(self.dim, "X")
        kept, self._rows, self.eps = self._rows, None, DOUBLE
        with np.errstate(all="ignore"):  # what is not finite is found with the products
            pilot = (kept[0][0] if kept else first[:1024]).mean(axis=0, dtype=np.float64)
            # representable in float32, so that float32 and float64 chunks subtract exactly the same number
            pilot = pilot.astype(np.float32).astype(np.float64)
        self._pilot = np.where(np.isfinite(pilot), pilot, 0.0)
        self._gram = np.zeros((self.dim, self.dim))
        for rows, w in kept:
            self._accumulate(rows, w, "rows")

    def _accumulate(self, rows: NDArray[Any], w: Array | None, name: str) -> None:
        """Add the products of rows around the pilot, chunk by chunk; nothing is added if a chunk is refused."""
        single = rows.dtype != np.float64 and w is None and self.dim > NARROW
        pieces = -(-len(rows) // (SHORT if single else max(CHUNK_BYTES // (4 * self.dim), 4 * self.dim)))
        gram: NDArray[np.floating[Any]] | float = 0.0
        linear = np.zeros(self.dim)
        space = np.empty((-(-len(rows) // pieces), self.dim), np.float32)  # fresh pages for every piece cost a tenth
        weights = [None] * pieces if w is None else np.array_split(w, pieces)
        for part, u in zip(np.array_split(rows, pieces), weights, strict=True):
            product, total = centred_products(part, u, self._pilot, space[: len(part)], name)
            gram = product if isinstance(gram, float) else np.add(gram, product, dtype=np.float64)
            linear += total
        self._gram += gram
        self._linear += linear
        if single:
            self.eps = SINGLE

    def merge(self, other: Moments) -> Moments:
        """The moments of both samples together; neither argument changes."""
        if self.count is None or other.count is None:
            raise ValueError("the exact moments of a law cannot be merged: merge sample moments only.")
        if self.dim != other.dim:
            raise ValueError(f"cannot merge moments of {self.dim} and {other.dim} columns.")
        if self._rows is None and other._rows is not None:
            return other.merge(self)
        out = other._copy()
        if self._rows is not None:
            for rows, w in self._rows:
                out.update(rows, w)
            return out
        shift = self._pilot - out._pilot
        cross = np.outer(self._linear, shift)
        out._gram += self._gram + cross + cross.T + self.total * np.outer(shift, shift)
        out._linear += self._linear + self.total * shift
        out.count, out.total, out.eps = self.count + other.count, out.total + self.total, max(out.eps, self.eps)
        return out

    __add__ = merge

    def _copy(self) -> Moments:
        out = Moments(self.dim)
        out.count, out.total, out.eps = self.count, self.total, self.eps
        out._rows = None if self._rows is None else list(self._rows)
        out._pilot, out._linear = self._pilot.copy(), self._linear.copy()
        out._gram = self._gram.copy()
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
                check_memory(self.dim, "X")
                self._cache["second"] = self.factor.T @ self.factor
            else:
                # mean(x x') = mean(c c') + pilot mean' + mean pilot' - pilot pilot', with c = x - pilot
                shifts = np.stack([self._pilot, self.mean - self._pilot / 2])
                second = self._gram / self.total
                second += shifts.T @ shifts[::-1]
                self._cache["second"] = mirror_lower(second)
        return self._cache["second"]  # type: ignore[no-any-return]

    def times(self, vectors: Array) -> Array:
        """The second moment times the columns of a (d, w) array."""
        matrix = self.factor
        return self.second @ vectors if matrix is None else matrix.T @ (matrix @ vectors)

    @property
    def trace(self) -> float:
        """The trace of the second moment, mean |x|^2."""
        matrix = self.factor
        return float(np.trace(self.second)) if matrix is None else float(np.sum(matrix**2))

    @property
    def spectrum(self) -> Spectrum:
        """Eigendecomposition of the second moment, computed once."""
        if "spectrum" not in self._cache:
            if self.factor is not None:
                _, s, vt = np.linalg.svd(self.factor, full_matrices=False)
                values, vectors = s**2, vt.T
            else:
                ascending, columns = np.linalg.eigh(self.second)
                values, vectors = ascending[::-1], columns[:, ::-1]
            self._cache["spectrum"] = Spectrum(np.maximum(values, 0.0), vectors)
        return self._cache["spectrum"]  # type: ignore[no-any-return]

    def noise(self) -> float:
        """The size below which an eigenvalue is rounding noise of how the second moment was formed."""
        top = self.spectrum.value(0)
        if self.factor is not None and self.count is not None:  # noise of singular values, squared
            return top * float(self.eps * max(self.factor.shape)) ** 2
        return top * 4 * self.eps * max(self.dim, math.sqrt(self.count or 0))

    def rounding(self, a: float, b: float) -> float:
        """What rounding of the sums may have changed of the mean of a t^2 + b t, t along any unit vector."""
        eps, size = DOUBLE if self._rows is not None else self.eps, math.sqrt(max(self.trace, 0.0))
        return 8 * eps * size * (abs(a) * size + abs(b))

    def rank(self) -> int:
        """The numerical rank of the second moment."""
        return int(np.count_nonzero(self.spectrum.values > self.noise()))

    def centered(self) -> Moments:
        """The moments of the rows minus their mean."""
        if self.count is None:
            raise ValueError("centre samples, not the exact moments of a law.")
        out = self._copy()
        if self._rows is not None:
            out._rows = [(rows - self.mean, w) for rows, w in self._rows]
        else:
            shift = self._linear / self.total
            out._gram = self._gram - self.total * np.outer(shift, shift)
            out._linear, out._pilot = np.zeros(self.dim), np.zeros(self.dim)
        out._cache = {"mean": np.zeros(self.dim)}
        return out

    def mapped(self, linear: Callable[[Array], Array]) -> Moments:
        """The moments of the rows after a linear map, from the moments alone.

        Parameters
        ----------
        linear : callable
            From (n, d) rows to (n, e) rows, linear in each row.
        """
        if self.count is None:
            raise ValueError("map samples, not the exact moments of a law.")
        if self._rows is not None:
            parts = [(linear(rows.astype(np.float64)), w) for rows, w in self._rows]
            out = Moments(linear(np.zeros((1, self.dim))).shape[1])
            for rows, w in parts:
                out.update(rows, w)
        else:
            half = linear(mirror_lower(self._gram.copy()))
            out = Moments(half.shape[1])
            out.count, out.total, out._rows = self.count, self.total, None
            out._gram = linear(np.ascontiguousarray(half.T))
            out._pilot, out._linear = linear(np.stack([self._pilot, self._linear]))
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
            out.eps = self.eps
            return out
        if self.subspace is None and not self.mean.any():  # uncorrelated with the constant, last among equals
            values = np.append(self.spectrum.values, 1.0)
            vectors = np.zeros((self.dim + 1, len(values)))
            vectors[:-1, :-1], vectors[-1, -1] = self.spectrum.vectors, 1.0
            order = np.argsort(-values, kind="stable")
            out = Moments.of_law(mean, spectrum=Spectrum(values[order], vectors[:, order]))
            out.eps = self.eps
            return out
        second = np.block([[self.second, self.mean[:, None]], [mean]])
        values, vectors = np.linalg.eigh(second)
        out = Moments.of_law(mean, spectrum=Spectrum(np.maximum(values[::-1], 0.0), vectors[:, ::-1]))
        out.eps = self.eps
        return out

    # -- files ---------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Arrays from which `from_state` makes the moments again, to the last bit."""
        if self.count is None:
            raise ValueError("only sample moments are saved: the moments of a law are made from its parameters.")
        arrays: dict[str, Any] = {"dim": self.dim, "count": self.count, "total": self.total, "eps": self.eps}
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
        out = cls(check_count(int(one_number(arrays["dim"])), "dim"))
        out.count = int(one_number(arrays["count"]))
        out.total, out.eps = (float(one_number(arrays[name])) for name in ("total", "eps"))
        if "gram" in arrays:
            out._rows = None
            out._pilot, out._linear, out._gram = (_doubles(arrays[name]) for name in ("pilot", "linear", "gram"))
        else:
            parts = range(len(arrays["sizes"]))
            kept = ((as_rows(arrays[f"rows{i}"], f"rows{i}"), arrays.get(f"weights{i}")) for i in parts)
            out._rows = [(rows, None if w is None else _doubles(w)) for rows, w in kept]
        out._check_state()
        return out

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the moments to an .npz file, atomically and without pickles."""
        write_npz(path, self.state())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Moments:
        """The moments written by `save`."""
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
        if not (consistent and np.isfinite(total) and 0 < self.eps < 1):
            raise ValueError("its counts contradict each other")


def _doubles(array: NDArray[Any]) -> Array:
    """The array of a file, of which nothing is believed; raises TypeError if it does not hold numbers."""
    return array.astype(np.float64, casting="safe", copy=False)
