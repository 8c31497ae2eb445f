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
from convexgan._tools.checks import check_columns, check_memory, check_weights
from convexgan._tools.files import open_npz, write_npz
from convexgan._tools.rounding import entries, gamma, length, squares, up
from convexgan._tools.tables import Label, check_labels, column_names, read_names
from convexgan.exceptions import SolverError
from convexgan.statistics.accumulation import DOUBLE, Accumulation
from convexgan.statistics.mapping import centred, mapped, with_ones
from convexgan.statistics.partial import formed_pairs, partial_is_faster
from convexgan.statistics.spectrum import Spectrum
from convexgan.statistics.storage import restored, state
from convexgan.statistics.subspace import Subspace

Array = NDArray[np.float64]


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
        self.dim = dim
        self.subspace: Subspace | None = None
        self.columns: tuple[Label, ...] | None = None
        self._data = Accumulation(dim, pilot)
        self._cache: dict[Any, Any] = {}

    @classmethod
    def _of(cls, data: Accumulation) -> Moments:
        out = cls(data.dim)
        out._data = data
        return out

    @property
    def count(self) -> int | None:
        """The number of rows; None for the moments of a law."""
        return self._data.count

    @property
    def total(self) -> float:
        """The sum of their weights; 1 for a law."""
        return self._data.total

    @property
    def eps(self) -> float:
        """The precision of the rows as they came."""
        return self._data.eps

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
        if factor is None:
            if spectrum is None:
                raise ValueError("of_law needs factor or spectrum.")
            factor = np.sqrt(spectrum.values)[:, None] * spectrum.vectors.T
        law = cls._of(Accumulation.of_factor(len(mean), np.asarray(factor, dtype=np.float64)))
        law._cache = {"mean": np.asarray(mean, dtype=np.float64)}
        if spectrum is not None:
            law._cache["spectrum"] = spectrum
        return law

    @classmethod
    def of_second(cls, mean: Array, second: Array, error: float = 0.0, mean_error: float = 0.0) -> Moments:
        """The moments of a law whose second moment (d, d) and mean are known up to errors; it is decomposed."""
        spectrum = Spectrum.of_second(second)
        law = cls.of_law(mean, spectrum=spectrum)
        return law.off_by(mean_error, error + spectrum.residual(second) + gamma(8) * law.trace)

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
        self._data.add(rows, w, name)
        self._cache, self.subspace = {}, None
        return self

    def _named(self, X: Any, name: str) -> Moments:
        """Itself, with the names of the columns of X if it has any."""
        self.columns = column_names(X, name) or self.columns
        return self

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
        out = self._of(self._data.merge(other._data))
        out.columns = self.columns or other.columns
        return out

    __add__ = merge

    def _copy(self) -> Moments:
        out = self._of(self._data.copy())
        out.columns = self.columns
        return out

    # -- reading -------------------------------------------------------------------------------------------

    @property
    def factor(self) -> Array | None:
        """An (r, d) array F with ``second == F.T @ F`` and r <= d, or None once the (d, d) matrix is kept."""
        if self.formed:
            return None
        if "factor" not in self._cache:
            self._cache["factor"] = self._data.factor()
        return self._cache["factor"]  # type: ignore[no-any-return]

    @property
    def mean(self) -> Array:
        """(d,) array."""
        if "mean" not in self._cache:
            self._cache["mean"] = self._data.mean()
        return self._cache["mean"]  # type: ignore[no-any-return]

    @property
    def second(self) -> Array:
        """(d, d) array, the uncentred second moment mean(x x')."""
        if "second" not in self._cache:
            self._cache["second"] = self._data.second(self.mean) if self.formed else self.second_once()
        return self._cache["second"]  # type: ignore[no-any-return]

    def second_once(self) -> Array:
        """`second`, which is not kept if it has to be made of a factor."""
        if self.factor is None or "second" in self._cache:
            return self.second
        check_memory(self.dim)
        return self.factor.T @ self.factor

    @property
    def formed(self) -> bool:
        """Whether sums of products are kept, and no rows."""
        return self._data.rows is None

    @property
    def products(self) -> float:
        """How many the rows take that were seen so far."""
        return self._data.products

    @property
    def trace(self) -> float:
        """The trace of the second moment, mean |x|^2."""
        if "trace" not in self._cache:
            matrix = self.factor
            self._cache["trace"] = float(np.trace(self.second) if matrix is None else np.sum(matrix**2))
        return self._cache["trace"]  # type: ignore[no-any-return]

    # -- spectrum ------------------------------------------------------------------------------------------

    @property
    def spectrum(self) -> Spectrum:
        """Eigendecomposition of the second moment, computed once."""
        if "spectrum" not in self._cache:
            factor = self.factor
            spectrum = Spectrum.of_second(self.second) if factor is None else Spectrum.of_factor(factor)
            self._cache["spectrum"] = spectrum
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
        if not partial_is_faster(size, count) or "spectrum" in self._cache or self.count is None:
            return self
        if guess is None and ("leading", count) in self._cache:
            return self._cache["leading", count]  # type: ignore[no-any-return]
        try:
            restricted = self.restricted(self.leading_pairs(count, guess))
        except SolverError:  # they are not separated
            return self
        return self._cache.setdefault(("leading", count), restricted)  # type: ignore[no-any-return]

    def noise(self) -> float:
        """The size below which an eigenvalue is rounding noise of how the second moment was formed."""
        top = self.spectrum.value(0)
        if self.factor is not None and self.count is not None:  # noise of singular values, squared
            return top * float(self.eps * max(self.factor.shape)) ** 2
        return top * (4 * DOUBLE * max(self.dim, math.sqrt(self.count or 0)) + self.dim * self.eps**2)

    def rank(self) -> int:
        """The numerical rank of the second moment."""
        return int(np.count_nonzero(self.spectrum.values > self.noise()))

    # -- what rounding may have changed --------------------------------------------------------------------

    @property
    def mean_error(self) -> float:
        """A bound on the distance between `mean` and the mean of the rows in exact arithmetic."""
        return self._data.mean_error(self.trace) if self._data.sampled else self._data.sums.shifted

    @property
    def factor_error(self) -> float:
        """A bound on the spectral norm of ``factor.T @ factor`` less the second moment in exact arithmetic."""
        if self._data.sampled:
            return self._data.factor_error(self.trace)
        return self._data.sums.moved + (0.0 if self.subspace is None else self.subspace.enclosure.rounding)

    @property
    def second_error(self) -> float:
        """A bound on the spectral norm of `second` less the second moment of the rows in exact arithmetic.

        For samples that were not mapped it bounds the error of the trace, too.
        """
        if self.factor is not None:
            return self.factor_error + gamma(len(self.factor) + 2) * self.trace
        return self._data.second_error(length(self.mean), self.mean_error)

    @property
    def trace_bound(self) -> float:
        """At least the trace of the second moment in exact arithmetic."""
        if self.factor is not None:
            return up(squares(self.factor)) + self.factor_error
        return up(self.trace, self.dim) + self.second_error

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

    @property
    def spectrum_error(self) -> float:
        """A bound on how far any eigenvalue of the second moment lies from that of `spectrum` (Weyl), computed once."""
        if "spectrum error" not in self._cache:
            self._cache["spectrum error"] = self.spectrum.skew() * self.spectrum.value(0) + self.pairs_error
        return self._cache["spectrum error"]  # type: ignore[no-any-return]

    def off_by(self, mean_error: float, second_error: float) -> Moments:
        """The same moments of rows or a law whose own may be farther off by so much."""
        out = self._copy()
        out._data.sums.moved += self.total * second_error
        out._data.sums.shifted += self.total * mean_error
        out._cache = {name: value for name, value in self._cache.items() if name != "spectrum error"}
        return out

    # -- maps ----------------------------------------------------------------------------------------------

    def reordered(self, places: Sequence[int]) -> Moments:
        """The moments of the same rows with column ``places[i]`` as the i-th."""
        out = self._of(self._data.reordered(places))
        out.columns = None if self.columns is None else tuple(self.columns[i] for i in places)
        return out

    def centered(self) -> Moments:
        """The moments of the rows minus their mean.

        Raises
        ------
        ValueError
            The moments are those of a law.
        """
        if self.count is None:
            raise ValueError("centre samples, not the exact moments of a law.")
        out = self._of(centred(self._data, self.mean, self.mean_error))
        out.columns = self.columns
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
        return self._of(mapped(self._data, linear, size, self.dim + 10 if roundings is None else roundings, self.trace))

    def with_ones(self) -> Moments:
        """The moments of the rows [x, 1], (d + 1) columns."""
        self.check_whole()
        mean = np.append(self.mean, 1.0)
        if self.count is not None and self.factor is not None:
            return self._of(with_ones(self._data))
        if self.subspace is None and not self.mean.any():  # uncorrelated with the constant, last among equals
            values = np.append(self.spectrum.values, 1.0)
            vectors = np.zeros((self.dim + 1, len(values)))
            vectors[:-1, :-1], vectors[-1, -1] = self.spectrum.vectors, 1.0
            order = np.argsort(-values, kind="stable")
            law = Moments.of_law(mean, spectrum=Spectrum(values[order], vectors[:, order]))
            out = law.off_by(self.mean_error, self.spectrum_error + self.mean_error)
        else:
            second = np.block([[self.second, self.mean[:, None]], [mean]])
            out = Moments.of_second(mean, second, self.second_error + self.mean_error, self.mean_error)
        out._data.eps = self.eps
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
        names = {} if self.columns is None else {"columns": np.array(json.dumps(self.columns))}
        return state(self._data) | names

    @classmethod
    def from_state(cls, arrays: Mapping[str, Any]) -> Moments:
        """The moments whose `state` this is; KeyError, TypeError or ValueError if it is damaged."""
        out = cls._of(restored(arrays))
        if "columns" in arrays:
            out.columns = read_names(json.loads(str(arrays["columns"])), out.dim)
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
