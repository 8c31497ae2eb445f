"""A progressive generator in closed form: one certified game per resolution, each fed with the one before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from convexgan._tools.arrays import as_floats, as_rows
from convexgan._tools.checks import as_rng, check_bytes, check_choice, check_count
from convexgan._tools.classes import check_known
from convexgan._tools.files import DAMAGE, read_model, write_model
from convexgan._tools.tables import Label
from convexgan.discrepancy import HeldOut, held_out_chunks, ipm
from convexgan.progressive.conditional import ClassMoments, JointStage, members
from convexgan.progressive.files import restore, state
from convexgan.progressive.fitting import Recursion, chain_of, warn_of_no_shrinkage
from convexgan.progressive.histogram import Quantiles, apply_map, learn_map
from convexgan.progressive.passes import Journal, Phase, Pictures, as_pictures, run_pass, silent
from convexgan.progressive.pyramid import box_pyramid, check_sizes, default_sizes, to_uint8
from convexgan.progressive.ranks import Level, cut_levels
from convexgan.progressive.sampling import displace, draw, draw_classes
from convexgan.progressive.stages import Coupling, Latents, Stage
from convexgan.progressive.streaming import StageMoments
from convexgan.progressive.sums import detail
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


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
    ranks : sequence of int or "published", optional
        Rank of each stage; a rank k sets beta to the (k + 1)-th eigenvalue. By default the smallest ranks that cut off
        at most 2 % / (1 - k / n)^2 of the variance of n pictures, and do not grow beyond 32 pixels (see
        docs/progressive.md); "published" are 20, 30, 40, 100, 175 at 4..64 pixels, at most d and n - 1.
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
        ranks: Sequence[int] | str | None = None,
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
        y: Any = None,
        *,
        memory: int | str | None = None,
        journal: Journal | None = None,
        progress: Callable[[Stage | JointStage, Moments | None], object] | None = None,
        phase: Phase = silent,
        client: Any = None,
        device: str | None = None,
    ) -> ProgressiveConvexGAN:
        """Solve every stage, reading the pictures block by block.

        Parameters
        ----------
        images : (n, h, h) or (n, h, h, 3) array, ImageSet or Cache
            uint8, or floats in [-1, 1]; or what `convexgan.datasets.load` or `convexgan.datasets.build_cache` returns.
        y : (n,) array of str or int, optional
            Labels of the pictures: then each class has a generator of its own, under one beta for all at each size, and
            a rank counts the directions of all classes. See docs/conditional.md.
        memory : int or str, optional
            How much the whole process may use, ``"2GB"`` say; by default half of the machine's memory.
        journal : Journal, optional
            Where passes over the pictures are recorded, so that an interrupted fit goes on when called again.
        progress : callable, optional
            Called with each stage as it is solved, and the centred moments it was solved from (None with labels).
        phase : callable, optional
            Called with the name of each pass and the number of pictures; returns a context manager whose value is
            called with the number of pictures done.
        client : distributed.Client, optional
            Whose workers do the passes over the pictures, see `convexgan.progressive.cluster`.
        device : str, optional
            On which torch does them, ``"cuda"`` say.

        Raises
        ------
        ValueError
            For an option, pictures or labels that do not fit, with the repair; too little memory.
        """
        pictures = as_pictures(images)
        sizes, levels = self.plan(len(pictures), pictures.shape)
        if y is not None and self.latents == "single":
            raise ValueError("classes have noise of their own: use latents='fresh' with labels.")
        parts = None if y is None else members(pictures, y)
        self.color_ = len(pictures.shape) == 3
        self.channels_ = 3 if self.color_ else 1
        limit = None if memory is None else check_bytes(memory, "memory")
        how: dict[str, Any] = {"journal": journal, "phase": phase, "client": client}
        given: dict[str, Any] = {"skip": self.skip, "memory": limit, "device": device, **how}
        self.stages_: list[Any] = []  # Stage, or with labels JointStage
        self.classes_: tuple[Label, ...] | None = None
        self.counts_: tuple[int, ...] | None = None
        if parts is None:
            self._solve(StageMoments(pictures, sizes, **given), sizes, levels, progress)
        else:
            self._solve(ClassMoments(parts, sizes, **given), sizes, levels, progress)
        if self.betas is None and (self.ranks is None or isinstance(self.ranks, str)):
            for i, n in enumerate(self.counts_ or [len(pictures)]):
                warn_of_no_shrinkage(chain_of(self.stages_, i), n)
        self.histogram_: Array | None = None
        if self.histogram:
            drawn = self._draw(1000, np.random.default_rng(self.random_state))[-1]
            real = Quantiles(sizes[-1], self.channels_)
            run_pass(pictures, "histogram", real, **how)
            self.histogram_ = learn_map(drawn, real.at_knots())
        return self

    def _solve(self, data: StageMoments | ClassMoments, sizes: list[int], levels: list[Level], progress: Any) -> None:
        """The stages, of all pictures or of all classes, each told of as it is solved."""
        latents, coupling = cast(Latents, self.latents), cast(Coupling, self.coupling)
        recursion = Recursion(latents, coupling, self.latent_dim, self.skip, self.channels_)
        self.arithmetic_ = data.arithmetic
        if isinstance(data, ClassMoments):
            self.classes_, self.counts_ = data.classes, data.counts
            solved = recursion.joint_stages(data, sizes, levels)
        else:
            solved = recursion.stages(data, sizes, levels)
        for stage, moments in solved:
            self.stages_.append(stage)
            if progress is not None:
                progress(stage, moments)
            del moments  # before those of the next stage are computed

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

    def plan(self, n: int, shape: tuple[int, ...]) -> tuple[list[int], list[Level]]:
        """The sizes of the stages, and where the eigenvalues of each are cut; raises where `fit` would.

        Parameters
        ----------
        n : int
            How many pictures there are.
        shape : tuple of int
            Of one: (h, h) or (h, h, 3).
        """
        sizes = list(default_sizes(shape[0]) if self.sizes is None else check_sizes(self.sizes, shape[0]))
        self._check_options(n)
        return sizes, cut_levels(self.ranks, self.betas, sizes, 3 if len(shape) == 3 else 1, n)

    # -- pictures ------------------------------------------------------------------------------------------------

    def sample(
        self, n: int = 1, random_state: int | np.random.Generator | None = None, *, label: Label | None = None
    ) -> NDArray[np.uint8]:
        """n new pictures, (n, h, h) or (n, h, h, 3) uint8; of one class, or of all by their shares."""
        return self.sample_stages(n, random_state, label=label)[-1]

    def sample_stages(
        self, n: int = 1, random_state: int | np.random.Generator | None = None, *, label: Label | None = None
    ) -> list[NDArray[np.uint8]]:
        """The same n new pictures at every resolution, coarsest first."""
        seed = self.random_state if random_state is None else random_state
        drawn = self._draw(check_count(n, "n"), as_rng(seed, "random_state"), label)
        return [*(self._finish(images, False) for images in drawn[:-1]), self._finish(drawn[-1], True)]

    def _draw(self, n: int, rng: np.random.Generator, label: Label | None = None) -> list[Array]:
        self._fitted()
        if self.counts_ is None:
            if label is not None:
                raise ValueError("label is for a model with classes, and this one has none: leave it out.")
            return draw(chain_of(self.stages_, 0), n, rng)
        if label is None:
            places = rng.choice(len(self.counts_), n, p=np.array(self.counts_) / sum(self.counts_))
        else:
            places = np.full(n, self._place(label))
        return draw_classes([chain_of(self.stages_, i) for i in range(len(self.counts_))], places, rng)

    def _place(self, label: Label) -> int:
        return int(check_known([label], self.classes_ or (), "label")[0])

    def of(self, label: Label) -> ProgressiveConvexGAN:
        """The model of one class, with stages and certificates of its own.

        Raises
        ------
        ValueError
            The model has no classes, or none of this label.
        """
        self._fitted()
        if self.classes_ is None:
            raise ValueError("this model has no classes: fit(images, labels) makes one that has.")
        own = type(self)(**self.get_params())
        own.color_, own.channels_, own.histogram_ = self.color_, self.channels_, self.histogram_
        own.classes_, own.counts_, own.stages_ = None, None, chain_of(self.stages_, self._place(label))
        return own

    def between(
        self, source: Label, target: Label, steps: int = 8, random_state: int | np.random.Generator | None = None
    ) -> NDArray[np.uint8]:
        """``steps`` pictures on the way of a new one from one class to another, by the optimal coupling of their laws.

        All pictures of the first class moved a share of the way have the law that lies there on the shortest path from
        one to the other. Source: R. J. McCann, A convexity principle for interacting gases, 1997; Gelbrich 1990.
        """
        (a, b), rng = (self.of(label).stages_[-1] for label in (source, target)), as_rng(random_state, "random_state")
        return self._finish(displace(a, b, check_count(steps, "steps", 2), rng), True)

    def _finish(self, images: Array, finest: bool) -> NDArray[np.uint8]:
        if finest and self.histogram_ is not None:
            images = apply_map(images, self.histogram_)
        return to_uint8(images if self.color_ else images[..., 0])

    def _fitted(self) -> list[Any]:
        if not hasattr(self, "stages_"):
            raise ValueError("this model is not fitted: call fit(images) first.")
        return self.stages_

    def chain(self) -> list[Stage]:
        """The stages of a model without classes, coarsest first; ValueError if it is not fitted, or has some."""
        stages = self._fitted()
        if self.classes_ is not None:
            labels = ", ".join(map(repr, self.classes_[:10]))
            raise ValueError(f"this model has the classes {labels}: take that of one, model.of({self.classes_[0]!r}).")
        return stages

    def encode(self, images: Any) -> Array:
        """The codes of pictures at the finest size, (n, k): least squares in the generator's range."""
        stage = self.chain()[-1]
        return np.asarray((self._rows(images)[stage.size] - stage.mean) @ np.linalg.pinv(stage.factor))

    def decode(self, codes: Any) -> NDArray[np.uint8]:
        """The pictures of codes (n, k).

        Raises
        ------
        ValueError
            The codes are not of this model's dimension.
        """
        stage = self.chain()[-1]
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
        stage = self.chain()[-1]
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
        pictures, stages = as_pictures(images), self.chain()
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
        pyramid = box_pyramid(pictures.take(np.arange(len(pictures))), [stage.size for stage in self.chain()])
        return {size: level.reshape(len(level), -1).astype(np.float64) for size, level in pyramid.items()}

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        finest = self.chain()[-1].size
        if shape[1:] != ((finest, finest, self.channels_) if self.color_ else (finest, finest)):
            raise ValueError(
                f"images has shape {shape}: this model was fitted on {finest} x {finest} pixels"
                f"{' in colour' if self.color_ else ', grey'}."
            )

    # -- files ---------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one .npz file, atomically and without pickles."""
        self._fitted()
        write_model(path, "progressive", *state(self))

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
            restore(model, settings, arrays)
        except (KeyError, TypeError, ValueError, AttributeError, *DAMAGE) as error:
            raise ValueError(f"{path} is not a complete model file ({error}).") from None
        return model


def _stage_rows(pictures: Pictures, stage: Stage, coarser: Stage | None) -> Iterator[Array]:
    """Blocks (n, d) of what a stage's game is played on: centred pictures, or what enlarging coarser ones lacks."""
    for block in pictures.blocks():
        rows = box_pyramid(block, [stage.size])[stage.size].reshape(len(block), -1).astype(np.float64)
        yield detail(rows, stage.size, None if coarser is None else coarser.size, stage.channels) - stage.detail_mean
