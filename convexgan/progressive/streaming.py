"""Second moments at every resolution, from as few passes over the pictures as the memory allows.

Box averages are linear, so a level's second moment S gives that of each coarser one, A S A', without looking at the
pictures again. One pass accumulates it at the finest level where it fits; above, every pass multiplies it by a block of
vectors, starting from the level below. Small ones are decomposed completely; larger ones are multiplied by blocks too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.memory import physical_memory
from convexgan.exceptions import SolverError
from convexgan.progressive.device import DeviceFirstPass, DeviceProduct, check_device
from convexgan.progressive.passes import Journal, Phase, Pictures, run_pass, silent
from convexgan.progressive.pyramid import box_sums, halvings, interpolate
from convexgan.progressive.ranks import Level, Variance
from convexgan.progressive.sums import FirstPass, Product, detail, shrink
from convexgan.statistics.integers import MIDDLE
from convexgan.statistics.krylov import PROBES, leading_pairs
from convexgan.statistics.moments import Moments
from convexgan.statistics.partial import partial_is_faster
from convexgan.statistics.products import INTEGERS
from convexgan.statistics.spectrum import Spectrum
from convexgan.statistics.subspace import Subspace

Array = NDArray[np.float64]
COMPLETE = 4096  # rows or columns, whichever are fewer, up to which a moment is accumulated as a whole
ROUNDINGS = 128  # of an entry that is halved in size up to ten times, scaled, and compared with what is coarser
DETAIL = 2.0  # the norm of what a picture lacks over boxes, with the sizes of all its terms
BASE_BYTES = 400 * 2**20  # the interpreter, its libraries, and one block of pictures in several forms
MOST = 0.98  # of the memory is planned with: at 128 pixels all of it ended 1 % above
GROWTH = 1.4  # of a chosen rank from one size to twice that, in most sets of pictures at most


class StageData(NamedTuple):
    """The mean (d,) and the centred moments at a size, their variance, and rank and beta of the stage."""

    mean: Array
    moments: Moments
    variance: Variance
    rank: int
    beta: float


class StageMoments:
    """The mean and the centred second moment of what each stage plays on.

    Parameters
    ----------
    pictures : Pictures
    sizes : list of int
        Increasing; halvings of the pictures' own.
    skip : bool
        From the second size on, of what upsampling the size before lacks.
    memory : int, optional
        Bytes the whole process may use, by default half of the machine's.
    journal : Journal, optional
    phase : callable, optional
        Told of every pass.
    client : distributed.Client, optional
        Whose workers do the passes.
    device : str, optional
        On which torch does the passes, ``"cuda"`` say.
    """

    def __init__(
        self,
        pictures: Pictures,
        sizes: list[int],
        *,
        skip: bool = False,
        memory: int | None = None,
        journal: Journal | None = None,
        phase: Phase = silent,
        client: Any = None,
        device: str | None = None,
    ) -> None:
        self.pictures, self.sizes, self.skip = pictures, sizes, skip
        self.how = (journal, phase, client)  # passes are run
        self.channels = 3 if len(pictures.shape) == 3 else 1
        self.memory = physical_memory() // 2 if memory is None else memory
        self.complete = [size for size in halvings(sizes[-1]) if self._is_complete(size)]
        self._leading: tuple[int, Spectrum] | None = None  # the size whose eigenpairs were found last, and those
        self._rank: int | None = None  # the stage solved last has
        self._variances: dict[int, float] = {}  # of the pictures at sizes
        self.device = None if device is None else check_device(device)
        first = sizes[-1], self.complete[-1] if self.complete else None, self.channels
        self._first = FirstPass(*first) if self.device is None else DeviceFirstPass(*first, self.device)
        run_pass(pictures, "moments", self._first, *self.how)
        self.arithmetic = self._first.arithmetic
        self._levels = {} if self._first.moments is None else {self.complete[-1]: self._first.moments}

    def at(self, size: int, level: Level, guess: Array | None = None) -> StageData:
        """What the stage at one of the sizes plays on; with skip connections sizes are asked for in order.

        Parameters
        ----------
        size : int
        level : Level
            Which eigenvalues are needed where not all are computed: the first rank + 1, or all down to beta.
        guess : (w, d) array, optional
            Rows near the leading eigenvectors; the search for what they lack then draws anew each time.
        """
        guess = np.zeros((0, size * size * self.channels)) if guess is None else guess
        if not self._levels or size > self.complete[-1]:
            mean = shrink(self._first.mean[None, :], self.sizes[-1], size, self.channels)
            passes = _InPasses(self, size, mean, guess)
            data = Moments.on_subspace(self._leading_pairs(size, passes, level, guess))
            return self._stage(size, level, self._game(mean, size)[0], data, passes.trace)
        data = self._mapped(size, lambda rows: self._game(rows, size), DETAIL if self.coarser(size) else 1.0)
        if not self._is_decomposed(size, level):
            with suppress(SolverError):  # too many for a search to be worth it: all are computed
                data = data.restricted(self._leading_pairs(size, _InMemory(data, guess), level, guess))
        mean = shrink(self._mean[None, :], self.complete[-1], size, self.channels)
        return self._stage(size, level, self._game(mean, size)[0], data, data.trace)

    def _stage(self, size: int, level: Level, mean: Array, data: Moments, trace: float) -> StageData:
        """What a stage plays on, kept in mind for the next one."""
        variance = self._variance(size, trace)
        self._leading, self._variances[size] = (size, data.spectrum), variance.pictures
        self._rank, beta = level.of(data.spectrum.values, variance)
        return StageData(mean, data, variance, self._rank, beta)

    def _variance(self, size: int, trace: float) -> Variance:
        """Of the game at a size, and of the pictures: what upsampling lacks is orthogonal to what it gives."""
        coarser = self.coarser(size)
        return Variance(trace, trace if coarser is None else trace + (size / coarser) ** 2 * self._variances[coarser])

    def _mapped(
        self, size: int, linear: Callable[[NDArray[Any]], NDArray[Any]] = lambda rows: rows, norm: float = 1.0
    ) -> Moments:
        """The centred moments of a linear map of the pictures, of such a norm, at a size that was accumulated."""
        scale = self._first.unit[0] * (self.complete[-1] // size) ** 2
        sums = self._sums(size).centered()
        return sums.mapped(lambda rows: linear(rows / scale), norm / scale, ROUNDINGS).centered()

    def _sums(self, size: int) -> Moments:
        """The moments of sums over boxes at a size, from those at twice the size; exact if the pictures are bytes."""
        if size not in self._levels:
            finer = self._sums(2 * size)
            largest = len(self.pictures) * (MIDDLE * (self.pictures.shape[0] // size) ** 2) ** 2  # of any sum of them
            exact = self._first.unit[1] == 1 and largest < INTEGERS
            shape = (-1, 2 * size, 2 * size, self.channels)
            self._levels[size] = finer.mapped(
                lambda rows: box_sums(rows.reshape(shape), size).reshape(len(rows), -1), 2.0, 0 if exact else ROUNDINGS
            )
        return self._levels[size]

    @cached_property
    def _mean(self) -> Array:
        """The mean of the pictures, in [-1, 1], at the finest size at which moments are accumulated."""
        scale, offset = self._first.unit
        return np.asarray(0.0 if self._first.moments is None else self._first.moments.mean / scale - offset)

    def _leading_pairs(self, size: int, search: _Search, level: Level, guess: Array) -> Subspace:
        """Certified leading eigenpairs, as many as the level takes."""
        dim, failure, count = guess.shape[1], 0.0, self._count(size, level)
        start = self._start(size, dim, self._widths(size, dim, count)[0])
        while True:
            subspace = search(min(count, dim), start, *self._widths(size, dim, count))
            failure += subspace.failure  # any of the attempts could have been the last
            values = subspace.enclosure.values[:count]
            if level.is_reached(values, self._variance(size, search.trace)) or count >= dim:
                return replace(subspace, failure=failure)
            start, count = subspace.vectors.T, 2 * count

    def _start(self, size: int, dim: int, width: int) -> Array:
        """Leading eigenvectors of a coarser level's moment, interpolated, as rows; none with skip connections."""
        before = None if self.skip and size != self.sizes[0] else self._leading or self._coarse
        if before is None:
            return np.zeros((0, dim))
        coarse, spectrum = before
        used = slice(0, 2 * width)
        parts = np.array_split((spectrum.vectors[:, used] * np.sqrt(spectrum.values[used])).T, 1 + width // 32)
        rows = np.concatenate([_interpolated(part, coarse, size, self.channels) for part in parts])
        turn = np.linalg.eigh(rows @ rows.T)[1]  # what was interpolated is neither orthogonal nor in order
        return np.asarray(turn.T[: -1 - width : -1] @ rows)

    @cached_property
    def _coarse(self) -> tuple[int, Spectrum] | None:
        """The finest size at which pictures are decomposed completely, if there is one, and their spectrum."""
        sizes = [size for size in self.complete if self._is_decomposed(size)]
        return (sizes[-1], self._mapped(sizes[-1]).spectrum) if sizes else None

    def _count(self, size: int, level: Level) -> int:
        """How many eigenpairs are looked for first."""
        return 1 + (self._expected(size, level) if level.rank is None else level.rank)

    def _expected(self, size: int, level: Level) -> int:
        """A guess at the rank, from a coarser level: sums over more pixels are larger, and there are more of them."""
        if level.beta is None and self._rank is not None:
            wanted = 8 + int(GROWTH * self._rank)
            return wanted if level.most is None else min(wanted, level.most)
        if self._coarse is None:
            return 8
        coarse, spectrum = self._coarse
        values = spectrum.values * (size / coarse) ** 2
        return 8 + level.of(values, Variance(*2 * (float(np.sum(values)),)))[0]

    def _widths(self, size: int, dim: int, count: int) -> tuple[int, int]:
        """How many vectors are sought for so many wanted, and how many fit in memory with as many images."""
        base = BASE_BYTES + self._held
        for share in (2 / 3, 1 / 4):  # many more save passes, fewer save memory
            width = min(count + max(10, int(share * count)), dim)
            temporary = 8 * dim * (8 * width + 2 * PROBES)  # as measured
            room = max(int(MOST * self.memory) - base - temporary, 0)
            columns = (math.sqrt(dim**2 + room) - dim) / 8  # 16 dim of a column, and 8 matrices of their small products
            least = min(2 * width + PROBES, dim)
            if columns >= least:
                return width, int(min(columns, 8 * width, dim))
        # with more memory more coarser sizes are formed, which keep up to a quarter of it
        need = (BASE_BYTES + 1.4 * (temporary + 16 * dim * least + 64 * least**2)) / MOST
        raise ValueError(
            f"memory of {self.memory / 1e9:.2g} GB is too little for {count - 1} components of {size} x {size} "
            f"pixels: allow {need / 1e9:.2g} GB, or ask for a lower rank."
        )

    @property
    def _held(self) -> int:
        """Bytes of what coarser sizes have left in memory: their moments, and the eigenvectors that were found last."""
        vectors = 0 if self._leading is None else self._leading[1].vectors.nbytes
        return vectors + sum(8 * min(level.dim, len(self.pictures)) * level.dim for level in self._levels.values())

    def _is_complete(self, size: int) -> bool:
        return is_formed(size, self.channels, len(self.pictures), self.memory)

    def _is_decomposed(self, size: int, level: Level | None = None) -> bool:
        """Whether a moment that was accumulated is decomposed completely, whatever is wanted or for the level."""
        fewer = min(size * size * self.channels, len(self.pictures))
        if not partial_is_faster(fewer):
            return True
        return level is not None and not partial_is_faster(fewer, self._count(size, level))

    def coarser(self, size: int) -> int | None:
        """The size whose upsampling is not part of a stage's game, with skip connections."""
        at = self.sizes.index(size)
        return self.sizes[at - 1] if self.skip and at > 0 else None

    def _game(self, rows: NDArray[Any], size: int) -> NDArray[Any]:
        """What the stage plays on: the pictures, or with skip connections what upsampling them lacks."""
        return detail(rows, size, self.coarser(size), self.channels)


class _InPasses:
    """Searches for eigenpairs by products with blocks of vectors, one pass over the pictures each."""

    def __init__(self, stages: StageMoments, size: int, mean: Array, guess: Array) -> None:
        self.stages, self.size, self.mean, self.guess = stages, size, mean, guess
        # who made a guess could know the vectors of a seed
        self.rng = np.random.default_rng(None if len(guess) else size)
        self.attempts, self.trace = 0, 0.0

    def __call__(self, count: int, start: Array, width: int, columns: int) -> Subspace:
        """The leading pairs, from rows that are near them."""
        name = f"{self.size} px" if self.attempts == 0 else f"{self.size} px, wider {self.attempts}"
        self.attempts += 1
        times = _Passes(self.stages, self.size, self.mean, name)
        subspace = leading_pairs(
            times,
            np.vstack([self.guess, start[:width]]).T,
            count,
            width=width,
            columns=columns,
            rng=self.rng,
            kept=columns if len(self.guess) else None,
            stray=times.stray,
        )
        self.trace = times.trace
        return subspace


class _InMemory:
    """Searches for eigenpairs of a second moment that is formed."""

    def __init__(self, data: Moments, guess: Array) -> None:
        self.data, self.guess, self.trace = data, guess, data.trace

    def __call__(self, count: int, start: Array, width: int, columns: int) -> Subspace:
        """The leading pairs, from rows that are near them."""
        # all rows are guesses: the span that holds them has more directions than are asked for, as the next size needs
        return self.data.leading_pairs(count, np.vstack([self.guess, start[:width]]))


_Search = _InPasses | _InMemory


class _Passes:
    """Products of a stage's centred second moment with blocks of vectors, one pass over the pictures each."""

    def __init__(self, stages: StageMoments, size: int, mean: Array, name: str) -> None:
        self.stages, self.size, self.mean, self.name, self.done = stages, size, mean, name, 0
        self.rounded = self.trace = 0.0

    def __call__(self, vectors: Array) -> Array:
        """S @ vectors."""
        self.done += 1
        stages = self.stages
        given = vectors, self.size, self.mean, stages.coarser(self.size), stages.channels
        total = Product(*given) if stages.device is None else DeviceProduct(*given, device=stages.device)
        run_pass(stages.pictures, f"{self.name}, pass {self.done}", total, *stages.how)
        self.rounded = max(self.rounded, total.rounded / len(stages.pictures))
        self.trace = total.squares / len(stages.pictures)
        return total.total / len(stages.pictures)

    def stray(self) -> float:
        """What rounding may have changed of S Q, for Q of norm 1."""
        return self.rounded


def is_formed(size: int, channels: int, count: int, memory: int) -> bool:
    """Whether rows or second moment at a size are few and small enough for a moment to be formed."""
    dim = size * size * channels
    fewer = min(dim, count)
    copies = 8 if fewer == dim else 11  # as measured: of the moment, or of the rows
    return fewer <= COMPLETE and copies * 8 * fewer * dim <= memory - BASE_BYTES


def one_pass_is_enough(size: int, count: int, memory: int) -> bool:
    """Whether moments of a size are formed if so many pictures, or fewer, can be read, in colour or not."""
    return all(is_formed(size, 3, n, memory) for n in (count, min(count, 3 * size * size - 1)))


def _interpolated(rows: Array, size: int, target: int, channels: int) -> Array:
    """Flattened pictures interpolated from one size to a larger one, see `interpolate`."""
    while size < target:
        rows, size = interpolate(rows, size, channels), 2 * size
    return rows
