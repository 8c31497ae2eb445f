"""Second moments at every resolution, from as few passes over the pictures as the memory allows.

Box averages are linear, so a level's second moment S gives that of each coarser one, A S A', without looking at the
pictures again. One pass accumulates it at the finest level where it can be decomposed completely; above, every pass
multiplies it by a block of vectors, starting from the level below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import physical_memory
from convexgan.krylov import PROBES, leading_pairs
from convexgan.moments import Moments, Spectrum
from convexgan.progressive.device import DeviceFirstPass, DeviceProduct, check_device
from convexgan.progressive.passes import Journal, Phase, Pictures, run_pass, silent
from convexgan.progressive.pyramid import halvings, interpolate
from convexgan.progressive.sums import FirstPass, Product, detail, shrink
from convexgan.subspace import Subspace

Array = NDArray[np.float64]
COMPLETE = 4096  # rows or columns, whichever are fewer, up to which decompositions are complete: seconds, not minutes
BASE_BYTES = 400 * 2**20  # the interpreter, its libraries, and one block of pictures in several forms


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
        self.device = None if device is None else check_device(device)
        first = sizes[-1], self.complete[-1] if self.complete else None, self.channels
        self._first = FirstPass(*first) if self.device is None else DeviceFirstPass(*first, self.device)
        run_pass(pictures, "moments", self._first, *self.how)
        self._first.finish()

    def at(
        self, size: int, *, rank: int | None = None, beta: float | None = None, guess: Array | None = None
    ) -> tuple[Array, Moments]:
        """The mean (d,) and the centred moments at one of the sizes.

        Parameters
        ----------
        size : int
        rank, beta : int and float, of which one is None
            Which eigenvalues are needed where not all are computed: the first rank + 1, or all down to beta.
        guess : (w, d) array, optional
            Rows near the leading eigenvectors.
        """
        base = self._first.moments
        if base is not None and size <= self.complete[-1]:
            sample = base.mapped(lambda rows: self._game(shrink(rows, self.complete[-1], size, self.channels), size))
            data = sample.centered()
            if size == self.complete[-1]:
                self._leading = size, data.spectrum
            return sample.mean, data
        mean = shrink(self._first.mean[None, :], self.sizes[-1], size, self.channels)
        known = self._leading_pairs(size, mean, rank, beta, guess)
        return self._game(mean, size)[0], Moments.on_subspace(known)

    def _leading_pairs(
        self, size: int, mean: Array, rank: int | None, beta: float | None, guess: Array | None
    ) -> Subspace:
        """Certified leading eigenpairs; all those above beta where no rank is given."""
        dim, attempt = mean.shape[1], 0
        count = 1 + (rank if rank is not None else self._expected_above(size, float(beta or 0.0)))
        start = self._start(size, dim, self._widths(size, dim, count)[0])
        while True:
            width, columns = self._widths(size, dim, count)
            rows = start[:width] if guess is None else np.vstack([guess, start[:width]])
            name = f"{size} px" if attempt == 0 else f"{size} px, wider"
            known = leading_pairs(
                _Passes(self, size, mean, name),
                rows.T,
                min(count, dim),
                width=width,
                columns=columns,
                rng=np.random.default_rng(size),
                kept=None if guess is None else columns,
            )
            last = float(known.enclosure.values[min(count, dim) - 1])
            if beta is None or last <= beta or count >= dim:
                self._leading = size, Moments.on_subspace(known).spectrum
                return known
            start, count, attempt = known.vectors.T, 2 * count, attempt + 1

    def _start(self, size: int, dim: int, width: int) -> Array:
        """Leading eigenvectors of a coarser level's moment, interpolated, as rows; none with skip connections."""
        if self.skip and size != self.sizes[0]:
            return np.zeros((0, dim))
        if self._leading is None and self._first.moments is not None:
            self._leading = self.complete[-1], self._first.moments.centered().spectrum
        if self._leading is None:
            return np.zeros((0, dim))
        coarse, known = self._leading
        used = slice(0, 2 * width)
        parts = np.array_split((known.vectors[:, used] * np.sqrt(known.values[used])).T, 1 + width // 32)
        rows = np.concatenate([_interpolated(part, coarse, size, self.channels) for part in parts])
        turn = np.linalg.eigh(rows @ rows.T)[1]  # what was interpolated is neither orthogonal nor in order
        return np.asarray(turn.T[: -1 - width : -1] @ rows)

    def _expected_above(self, size: int, beta: float) -> int:
        """A guess at how many eigenvalues exceed beta, from the level below: sums over more pixels are larger."""
        if self._first.moments is None:
            return 8
        values = self._first.moments.centered().spectrum.values * (size / self.complete[-1]) ** 2
        return 8 + int(np.count_nonzero(values > beta))

    def _widths(self, size: int, dim: int, count: int) -> tuple[int, int]:
        """How many vectors are sought for so many wanted, and how many fit in memory with as many images."""
        for share in (2 / 3, 1 / 4):  # many more save passes, fewer save memory
            width = min(count + max(10, int(share * count)), dim)
            temporary = 8 * dim * (7 * width + 2 * PROBES)  # as measured
            columns = (self.memory - BASE_BYTES - temporary) // (16 * dim)
            least = min(2 * width + PROBES, dim)
            if columns >= least:
                return width, int(min(columns, 8 * width, dim))
        need = BASE_BYTES + temporary + 16 * dim * least
        raise ValueError(
            f"memory of {self.memory / 1e9:.2g} GB is too little for {count - 1} components of {size} x {size} "
            f"pixels: allow {need / 1e9:.2g} GB, or ask for a lower rank."
        )

    def _is_complete(self, size: int) -> bool:
        """Whether rows or second moment at a size are few and small enough to be decomposed completely."""
        dim = size * size * self.channels
        fewer = min(dim, len(self.pictures))
        copies = 8 if fewer == dim else 11  # as measured: of the moment, or of the rows
        return fewer <= COMPLETE and copies * 8 * fewer * dim <= self.memory - BASE_BYTES

    def coarser(self, size: int) -> int | None:
        """The size whose upsampling is not part of a stage's game, with skip connections."""
        at = self.sizes.index(size)
        return self.sizes[at - 1] if self.skip and at > 0 else None

    def _game(self, rows: NDArray[Any], size: int) -> NDArray[Any]:
        """What the stage plays on: the pictures, or with skip connections what upsampling them lacks."""
        return detail(rows, size, self.coarser(size), self.channels)


class _Passes:
    """Products of a stage's centred second moment with blocks of vectors, one pass over the pictures each."""

    def __init__(self, stages: StageMoments, size: int, mean: Array, name: str) -> None:
        self.stages, self.size, self.mean, self.name, self.done = stages, size, mean, name, 0

    def __call__(self, vectors: Array) -> Array:
        """S @ vectors."""
        self.done += 1
        stages = self.stages
        given = vectors, self.size, self.mean, stages.coarser(self.size), stages.channels
        total = Product(*given) if stages.device is None else DeviceProduct(*given, device=stages.device)
        run_pass(stages.pictures, f"{self.name}, pass {self.done}", total, *stages.how)
        return total.total / len(stages.pictures)


def _interpolated(rows: Array, size: int, target: int, channels: int) -> Array:
    """Flattened pictures interpolated from one size to a larger one, see `interpolate`."""
    while size < target:
        rows, size = interpolate(rows, size, channels), 2 * size
    return rows
