"""A progressive generator in closed form: one certified game per resolution, each fed with the one before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from convexgan._tools.arrays import as_floats, as_rows
from convexgan._tools.checks import as_rng, check_bytes, check_choice, check_count, check_number, warn_user
from convexgan._tools.files import DAMAGE, read_model, write_model
from convexgan.discrepancy import HeldOut, held_out_chunks, ipm
from convexgan.progressive.histogram import Quantiles, apply_map, check_map, learn_map
from convexgan.progressive.passes import Journal, Phase, Pictures, as_pictures, run_pass, silent
from convexgan.progressive.pyramid import box_pyramid, check_sizes, default_sizes, to_uint8
from convexgan.progressive.stages import Coupling, Latents, Stage, solve_stage
from convexgan.progressive.streaming import StageMoments
from convexgan.progressive.sums import detail, enlarge
from convexgan.records.certificate import Certificate, Evidence
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
PUBLISHED_RANKS = {4: 20, 8: 30, 16: 40, 32: 100, 64: 175}
FINEST_RANK = 300  # above 64 pixels, where nothing is published
NOTHING = 1e-9  # share of the largest eigenvalue that is rounding
STAGE_ARRAYS = ("mean", "factor", "carry", "fresh", "eigenvalues", "detail", "detail_mean")


class ProgressiveConvexGAN(BaseEstimator):  # type: ignore[misc]
    """Pictures from a chain of linear generators, each the certified optimum of its Wasserstein game.

    At each resolution the pictures minus their mean play the quadratic game: the generator's covariance is the
    data's with eigenvalues soft-thresholded at beta. The input of a stage is the upsampled output of the one
    before and fresh noise; all stages compose to one Gaussian per resolution. Source: section 4 and figure 2 of
    Sahiner et al., arXiv 2107.05680; latent moments are exact here and the pictures of a sample stay coherent.

    Parameters
    ----------
    sizes : sequence of int, optional
        Resolutions, by default 4, 8, 16, ... up to the pictures' own.
    ranks : sequence of int, optional
        Rank of each stage, by default the published ones (20, 30, 40, 100, 175 at 4..64 pixels), at most d and
        n - 1. A rank k sets beta to the (k + 1)-th eigenvalue.
    betas : sequence of float, optional
        Instead of ranks.
    latents : "fresh" or "single"
        Fresh noise at every stage, or one latent of dimension ``latent_dim`` for all, which limits the ranks.
    coupling : "transport" or "sorted"
        Keep as much of the upsampled picture as an optimal generator can, or pair variances in order.
    latent_dim : int
    histogram : bool
        Move each channel's pixel values of the finest pictures to the real quantiles. The certificates speak of
        the pictures before.
    skip : bool
        Play each game on the detail that upsampling lacks, and add it to the upsampled output.
    random_state : int, optional
        For `sample` calls without one of their own, and the histogram.

    Attributes
    ----------
    stages_ : list of Stage
        Coarsest first, each with its certificate.
    arithmetic_ : str
        What multiplied the pixels in `fit`: "int8", "float32", "float64", or "none" where the few rows are kept.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> images = np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8)
    >>> model = cg.ProgressiveConvexGAN(ranks=[5, 10]).fit(images)
    >>> [stage.certificate.kind for stage in model.stages_], model.sample(3, random_state=0).shape
    (['saddle', 'saddle'], (3, 8, 8))
    """

    def __init__(
        self,
        *,
        sizes: Sequence[int] | None = None,
        ranks: Sequence[int] | None = None,
        betas: Sequence[float] | None = None,
        latents: str = "fresh",
        coupling: str = "transport",
        latent_dim: int = 48,
        histogram: bool = False,
        skip: bool = False,
        random_state: int | None = None,
    ) -> None:
        self.sizes = sizes
        self.ranks = ranks
        self.betas = betas
        self.latents = latents
        self.coupling = coupling
        self.latent_dim = latent_dim
        self.histogram = histogram
        self.skip = skip
        self.random_state = random_state

    def fit(
        self,
        images: Any,
        y: None = None,
        *,
        memory: int | str | None = None,
        journal: Journal | None = None,
        progress: Callable[[Stage, Moments], object] | None = None,
        phase: Phase = silent,
        client: Any = None,
        device: str | None = None,
    ) -> ProgressiveConvexGAN:
        """Solve every stage, reading the pictures block by block.

        Parameters
        ----------
        images : (n, h, h) or (n, h, h, 3) array, ImageSet or Cache
            uint8, or floats in [-1, 1]; or what `convexgan.datasets.load` or `convexgan.datasets.build_cache` returns.
        y : ignored
        memory : int or str, optional
            How much the whole process may use, ``"2GB"`` say; by default half of the machine's memory.
        journal : Journal, optional
            Where passes over the pictures are recorded, so that an interrupted fit goes on when called again.
        progress : callable, optional
            Called with each stage as it is solved, and the centred moments it was solved from.
        phase : callable, optional
            Called with the name of each pass and the number of pictures; returns a context manager whose value is
            called with the number of pictures done.
        client : distributed.Client, optional
            Whose workers do the passes over the pictures, see `convexgan.progressive.cluster`.
        device : str, optional
            On which torch does them, ``"cuda"`` say.
        """
        pictures = as_pictures(images)
        sizes, levels = self.plan(len(pictures), pictures.shape)
        self.color_ = len(pictures.shape) == 3
        self.channels_ = 3 if self.color_ else 1
        limit = None if memory is None else check_bytes(memory, "memory")
        how: dict[str, Any] = {"journal": journal, "phase": phase, "client": client}
        moments = StageMoments(pictures, sizes, skip=self.skip, memory=limit, device=device, **how)
        self.arithmetic_ = moments.arithmetic
        self.stages_: list[Stage] = []
        for size, (rank, beta) in zip(sizes, levels, strict=True):
            mean, data = moments.at(size, rank=rank, beta=beta)
            self.stages_.append(self._solve(mean, data, size, rank, beta))
            if progress is not None:
                progress(self.stages_[-1], data)
        if self.ranks is None and self.betas is None:
            _warn_of_no_shrinkage(self.stages_, len(pictures))
        self.histogram_: Array | None = None
        if self.histogram:
            drawn = self._draw(1000, np.random.default_rng(self.random_state))[-1]
            real = Quantiles(sizes[-1], self.channels_)
            run_pass(pictures, "histogram", real, **how)
            self.histogram_ = learn_map(drawn, real.at_knots())
        return self

    def _solve(self, mean: Array, data: Moments, size: int, rank: int | None, beta: float | None) -> Stage:
        """The stage at one size, on the pictures or on their detail."""
        options: dict[str, Any] = {"rank": rank, "beta": beta, "latent_dim": self.latent_dim}
        options |= {"latents": cast(Latents, self.latents), "coupling": cast(Coupling, self.coupling)}
        if not self.stages_:
            return solve_stage(mean, data, size, self.channels_, None, **options)
        last = self.stages_[-1]
        previous = self._enlarge(last.factor, last.size, size)
        if not self.skip:
            return solve_stage(mean, data, size, self.channels_, previous, **options)
        stage = solve_stage(mean, data, size, self.channels_, None, **options)
        q, k = len(previous), len(stage.factor)
        return replace(
            stage,
            mean=stage.mean + self._enlarge(last.mean[None, :], last.size, size)[0],
            factor=np.vstack([previous, stage.factor]),
            carry=np.eye(q, q + k),
            fresh=np.hstack([np.zeros((len(stage.fresh), q)), stage.fresh]),
        )

    def _enlarge(self, rows: Any, size: int, target: int) -> Any:
        return enlarge(rows, size, target, self.channels_)

    def _check_options(self, n: int) -> None:
        check_choice(self.latents, "latents", ("fresh", "single"))
        check_choice(self.coupling, "coupling", ("transport", "sorted"))
        check_count(self.latent_dim, "latent_dim")
        as_rng(self.random_state, "random_state")
        if n < 2:
            raise ValueError(f"images holds {n} picture: at least two are needed to have a covariance.")
        if self.ranks is not None and self.betas is not None:
            raise ValueError("pass ranks or betas, not both: a rank k means the (k + 1)-th eigenvalue for beta.")
        if self.skip and self.latents == "single":
            raise ValueError("skip=True adds detail with noise of its own: use latents='fresh'.")

    def plan(self, n: int, shape: tuple[int, ...]) -> tuple[list[int], list[tuple[int | None, float | None]]]:
        """The sizes of the stages, and (rank, None) or (None, beta) of each; raises where `fit` would.

        Parameters
        ----------
        n : int
            How many pictures there are.
        shape : tuple of int
            Of one: (h, h) or (h, h, 3).
        """
        sizes = list(default_sizes(shape[0]) if self.sizes is None else check_sizes(self.sizes, shape[0]))
        self._check_options(n)
        return sizes, self._levels(sizes, 3 if len(shape) == 3 else 1, n)

    def _levels(self, sizes: list[int], channels: int, n: int) -> list[tuple[int | None, float | None]]:
        """(rank, None) or (None, beta) for each stage."""
        given = self.ranks if self.betas is None else self.betas
        name = "ranks" if self.betas is None else "betas"
        if given is not None and not hasattr(given, "__len__"):
            raise ValueError(f"{name} must be a list, one entry for each of the sizes {sizes}, got {given!r}.")
        if given is not None and len(given) != len(sizes):
            raise ValueError(f"{name} has {len(given)} entries for the {len(sizes)} sizes {sizes}: pass one each.")
        if self.betas is not None:
            return [(None, check_number(beta, "betas")) for beta in self.betas]
        if self.ranks is None:
            return [(rank, None) for rank in default_ranks(sizes, channels, n)]
        for rank, size in zip(self.ranks, sizes, strict=True):
            limit = _most(size, channels, n)
            if check_count(rank, "ranks") > limit:
                raise ValueError(f"rank {rank} at size {size} exceeds {limit}, the most {n} such pictures have.")
        return [(rank, None) for rank in self.ranks]

    # -- pictures ------------------------------------------------------------------------------------------------

    def sample(self, n: int = 1, random_state: int | np.random.Generator | None = None) -> NDArray[np.uint8]:
        """n new pictures, (n, h, h) or (n, h, h, 3) uint8."""
        return self.sample_stages(n, random_state)[-1]

    def sample_stages(
        self, n: int = 1, random_state: int | np.random.Generator | None = None
    ) -> list[NDArray[np.uint8]]:
        """The same n new pictures at every resolution, coarsest first."""
        seed = self.random_state if random_state is None else random_state
        drawn = self._draw(check_count(n, "n"), as_rng(seed, "random_state"))
        return [*(self._finish(images, False) for images in drawn[:-1]), self._finish(drawn[-1], True)]

    def _draw(self, n: int, rng: np.random.Generator) -> list[Array]:
        code, drawn = np.zeros((n, 0)), []
        for stage in self._fitted():
            code = stage.code(code, rng)
            drawn.append(stage.pictures(code))
        return drawn

    def _finish(self, images: Array, finest: bool) -> NDArray[np.uint8]:
        if finest and self.histogram_ is not None:
            images = apply_map(images, self.histogram_)
        return to_uint8(images if self.color_ else images[..., 0])

    def _fitted(self) -> list[Stage]:
        if not hasattr(self, "stages_"):
            raise ValueError("this model is not fitted: call fit(images) first.")
        return self.stages_

    def encode(self, images: Any) -> Array:
        """The codes of pictures at the finest size, (n, k): least squares in the generator's range."""
        stage = self._fitted()[-1]
        return np.asarray((self._rows(images)[stage.size] - stage.mean) @ np.linalg.pinv(stage.factor))

    def decode(self, codes: Any) -> NDArray[np.uint8]:
        """The pictures of codes (n, k).

        Raises
        ------
        ValueError
            The codes are not of this model's dimension.
        """
        stage = self._fitted()[-1]
        rows = as_rows(codes, "codes")
        if rows.shape[1] != len(stage.factor):
            raise ValueError(f"codes has shape {rows.shape}: this model's codes have {len(stage.factor)} entries.")
        return self._finish(stage.pictures(rows), True)

    def interpolate(self, a: Any, b: Any, steps: int = 8) -> NDArray[np.uint8]:
        """``steps`` pictures from code a to code b, on the quarter circle that keeps Gaussian codes Gaussian."""
        ends = [as_floats(code, name).reshape(-1) for code, name in ((a, "a"), (b, "b"))]
        angle = np.linspace(0, np.pi / 2, check_count(steps, "steps", 2))[:, None]
        return self.decode(np.cos(angle) * ends[0] + np.sin(angle) * ends[1])

    # -- measures ------------------------------------------------------------------------------------------------

    def score(self, images: Any, y: None = None) -> float:
        """Minus the quadratic ipm between pictures and the finest stage's exact law; higher is better."""
        stage = self._fitted()[-1]
        rows = self._rows(images)[stage.size] - stage.mean
        return -ipm(rows, Moments.of_law(np.zeros(rows.shape[1]), stage.factor), "quadratic").value

    def held_out(
        self, images: Any, *, resamples: int = 100, level: float = 0.95, rng: int | np.random.Generator | None = 0
    ) -> list[HeldOut]:
        """The ipm of each stage's game on pictures it has not seen, with a bootstrap interval.

        Parameters
        ----------
        images : (n, h, h) or (n, h, h, 3) array, ImageSet or Cache
            Read block by block, anew for every few of the draws; stages of more than 1,024 numbers are iterated, with
            no second moment in memory, see `convexgan.discrepancy.held_out_chunks`.
        resamples, level, rng
            As in `convexgan.held_out`.
        """
        pictures, stages = as_pictures(images), self._fitted()
        self._check_shape((len(pictures), *pictures.shape))
        how: dict[str, Any] = {"resamples": resamples, "level": level, "rng": rng}
        before = [None, *stages[:-1]] if self.skip else [None] * len(stages)
        return [
            held_out_chunks(partial(_stage_rows, pictures, stage, coarser), stage.law, **how)
            for stage, coarser in zip(stages, before, strict=True)
        ]

    def _rows(self, images: Any) -> dict[int, Array]:
        """Flattened float64 pictures at every size."""
        pictures = as_pictures(images)
        self._check_shape((len(pictures), *pictures.shape))
        pyramid = box_pyramid(pictures.take(np.arange(len(pictures))), [stage.size for stage in self._fitted()])
        return {size: level.reshape(len(level), -1).astype(np.float64) for size, level in pyramid.items()}

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        finest = self._fitted()[-1].size
        if shape[1:] != ((finest, finest, self.channels_) if self.color_ else (finest, finest)):
            raise ValueError(
                f"images has shape {shape}: this model was fitted on {finest} x {finest} pixels"
                f"{' in colour' if self.color_ else ', grey'}."
            )

    # -- files ---------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one .npz file, atomically and without pickles."""
        stages = self._fitted()
        arrays = {f"{i}.{name}": getattr(stage, name) for i, stage in enumerate(stages) for name in STAGE_ARRAYS}
        if self.histogram_ is not None:
            arrays["histogram"] = self.histogram_
        described = []
        for i, stage in enumerate(stages):
            evidence, bare = stage.certificate.evidence, replace(stage.certificate, evidence=None)
            facts = {"size": stage.size, "channels": stage.channels, "beta": stage.beta, "certificate": bare.to_json()}
            if evidence is not None:  # as arrays: in JSON they would be several times as large
                facts["evidence"] = evidence.settings
                arrays |= {f"{i}.evidence.{name}": array for name, array in evidence.arrays.items()}
            described.append(facts)
        params = {name: _plain(value) for name, value in self.get_params().items()}
        write_model(path, "progressive", {"params": params, "stages": described, "color": self.color_}, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ProgressiveConvexGAN:
        """The model written by `save`.

        Raises
        ------
        ValueError
            The file is no model, or is damaged.
        """
        settings, arrays = read_model(path, "progressive")
        try:
            model = cls(**settings["params"])
            model.color_ = bool(settings["color"])
            model.channels_ = 3 if model.color_ else 1
            model.stages_ = [_read_stage(s, arrays, i, model.channels_) for i, s in enumerate(settings["stages"])]
            model.histogram_ = arrays.get("histogram")
            if model.histogram_ is not None:
                check_map(model.histogram_, model.channels_)
            widths = [len(stage.factor) for stage in model.stages_]
            if not widths or [len(s.carry) for s in model.stages_] != [0, *widths[:-1]]:
                raise ValueError("its stages do not fit together")
        except (KeyError, TypeError, ValueError, AttributeError, *DAMAGE) as error:
            raise ValueError(f"{path} is not a complete model file ({error}).") from None
        return model


def default_ranks(sizes: Sequence[int], channels: int, n: int) -> list[int]:
    """The ranks of stages on n pictures unless others are asked for."""
    wanted = [PUBLISHED_RANKS.get(size, 20 if size < 4 else FINEST_RANK) for size in sizes]
    return [min(rank, _most(size, channels, n)) for rank, size in zip(wanted, sizes, strict=True)]


def _warn_of_no_shrinkage(stages: Sequence[Stage], n: int) -> None:
    """Warn where the pictures are so few that all their directions are kept: nothing is left for beta."""
    few = [s for s in stages if n <= s.mean.size and s.eigenvalues.max(initial=0.0) > 0]
    sizes = [s.size for s in few if s.beta <= NOTHING * s.eigenvalues.max()]
    if sizes:
        warn_user(
            f"{n} pictures have {n - 1} directions of variation, all of which are kept at size "
            f"{', '.join(map(str, sizes))}, where beta is 0 up to rounding: there the model is the mean and covariance "
            f"of these pictures and nothing more. Pass ranks below {n - 1}, betas, or more pictures."
        )


def _stage_rows(pictures: Pictures, stage: Stage, coarser: Stage | None) -> Iterator[Array]:
    """Blocks (n, d) of what a stage's game is played on: centred pictures, or what enlarging coarser ones lacks."""
    for block in pictures.blocks():
        rows = box_pyramid(block, [stage.size])[stage.size].reshape(len(block), -1).astype(np.float64)
        yield detail(rows, stage.size, None if coarser is None else coarser.size, stage.channels) - stage.detail_mean


def _most(size: int, channels: int, n: int) -> int:
    """The largest rank that n centred pictures can have."""
    return min(size * size * channels, n - 1)


def _plain(value: Any) -> Any:
    """A JSON value for a parameter."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def _read_stage(settings: dict[str, Any], arrays: dict[str, Any], i: int, channels: int) -> Stage:
    size, d = check_count(settings["size"], "size"), settings["size"] ** 2 * channels
    found = {name: np.asarray(arrays[f"{i}.{name}"], dtype=np.float64) for name in STAGE_ARRAYS}
    k = len(found["factor"])
    fits = found["factor"].shape == (k, d) and found["mean"].shape == found["detail_mean"].shape == (d,)
    fits = fits and found["carry"].shape[1:] == found["fresh"].shape[1:] == (k,) and found["detail"].shape[1:] == (d,)
    if not fits or not all(np.isfinite(array).all() for array in found.values()):
        raise ValueError(f"the arrays of stage {i} have wrong shapes or entries that are not finite")
    certificate = Certificate.from_json(settings["certificate"])
    if "evidence" in settings:
        prefix = f"{i}.evidence."
        kept = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        certificate = replace(certificate, evidence=Evidence(dict(settings["evidence"]), kept))
    return Stage(size, channels, check_number(settings["beta"], "beta"), certificate=certificate, **found)
