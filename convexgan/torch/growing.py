"""Progressive training: resolution by resolution, from noise or from the closed form."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convexgan._tools.checks import check_count, check_number
from convexgan.torch.loop import Outcome, Training
from convexgan.torch.objective import Objective
from convexgan.torch.pictures import PictureSource
from convexgan.torch.players import unwrapped
from convexgan.torch.progressive import ConvolutionalDiscriminator, ProgressiveGenerator
from convexgan.torch.training import train
from convexgan.updates import adam
from convexgan.updates.game import pair

# docs/faces.md and benchmarks/training.py tell what was tried beside these
R3GAN = Objective(generator_penalty=0.0, loss="relativistic", r1=0.1, r2=0.1, lazy=4)
ADAM = partial(adam, betas=(0.0, 0.99))
HEAD_START = 100


class GrowingStage(nn.Module):
    """A progressive generator up to one resolution, whose detail fades in over the first steps.

    Attributes
    ----------
    generator : ProgressiveGenerator
    size : int
    blend : float
        How much of the detail there is, of the generated pictures and of the real ones.
    """

    def __init__(
        self, generator: ProgressiveGenerator, size: int, source: PictureSource, fade: int, warm: bool
    ) -> None:
        super().__init__()
        self.generator, self.size, self.source, self.fade, self.warm = generator, size, source, fade, warm
        self.blend = 1.0

    @property
    def latent_dim(self) -> int:
        """The latents of the whole generator."""
        return self.generator.latent_dim

    @property
    def origin(self) -> str | None:
        """A hash of the closed form that the generator started at, where that is known."""
        return self.generator.origin if self.warm else None

    def at_step(self, step: int) -> None:
        """Set how much detail there is at a step."""
        self.blend = self.source.blend = min(1.0, (step + 1) / (self.fade + 1))

    def forward(self, Z: Tensor) -> Tensor:
        """The pictures, (n, channels, size, size)."""
        pictures: Tensor = self.generator(Z, self.size, self.blend)
        return pictures

    def extra_repr(self) -> str:
        """The settings that `print` shows and a checkpoint compares."""
        return f"{self.size} px, fade={self.fade}, warm={self.warm}"


def grow(
    generator: ProgressiveGenerator,
    images: Any,
    objective: Objective = R3GAN,
    *,
    warm: bool,
    discriminator: Callable[[int], nn.Module] | None = None,
    sizes: Sequence[int] | None = None,
    steps: int = 1000,
    fade: float = 0.0,
    old_rate: float | None = None,
    head_start: int = HEAD_START,
    flip: bool = False,
    rates: float | tuple[float, float] = 1e-3,
    folder: str | os.PathLike[str] | None = None,
    **options: Any,
) -> list[Training]:
    """Train a progressive generator in place, one resolution after the other, each with a new discriminator.

    Parameters
    ----------
    generator : ProgressiveGenerator
    images : (n, h, h) or (n, h, h, 3) array, or Cache
        uint8, or floats in [-1, 1], at the generator's finest resolution.
    objective : Objective
        By default that of R3GAN: relativistic pairing with both penalties on slopes, .1 each, in every fourth step.
    warm : bool
        Whether the linear stages are a closed form (`ProgressiveGenerator.from_model`). Then they stay as they are, but
        with an ``old_rate`` are trained as old layers at the last resolution. Otherwise each is trained at its
        resolution, and starts at what the coarser one has become.
    discriminator : callable, optional
        From a size to a module that scores pictures (n, channels, size, size); by default a
        `ConvolutionalDiscriminator`.
    sizes : sequence of int, optional
        The resolutions to train at; by default all. From a closed form the finest alone gains more in the same time.
    steps : int
        At each of them.
    fade : float
        The share of the steps over which a new resolution fades in, in generated and real pictures (Karras et al.,
        2018, arXiv 1710.10196, section 2); 0 for none. The coarsest has nothing to fade in over.
    old_rate : float, optional
        The rate of layers that were trained or solved before, relative to that of new ones; 0 freezes them. By default
        0 where ``warm``, because a step of Adam has the same length for every entry, and those of a closed form are
        small: at rate 1 it is lost in noise. Otherwise 1.
    head_start : int
        Steps that the discriminator of a resolution takes alone where ``warm``: an untrained one would lead the
        generator away from the closed form.
    flip : bool
        Mirror real pictures at random.
    rates : float or pair
        Step sizes of generator and discriminator.
    folder : path, optional
        Of checkpoints, SIZE.safetensors and, of head starts, SIZE-alone.safetensors. The same call continues from them.
    **options
        As for `train`; otherwise alternating steps of Adam with betas (0, 0.99), batches of 16, and an exponential
        average of the generator with decay 0.999.

    Returns
    -------
    list of Training
        One for each resolution trained at, the last shorter if it diverged or was interrupted.

    Raises
    ------
    ValueError
        The generator is none, the images are not of its size and mode, or a discriminator is no module that scores
        pictures of its size; the latter when that resolution is reached.

    References
    ----------
    Karras et al., Progressive Growing of GANs, 2018, arXiv 1710.10196.

    Examples
    --------
    >>> import numpy as np, torch, convexgan as cg
    >>> from convexgan.torch import ProgressiveGenerator, grow
    >>> images = np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8)
    >>> G = ProgressiveGenerator.from_model(cg.ProgressiveConvexGAN(ranks=[5, 10]).fit(images), width=8)
    >>> [run.steps for run in grow(G, images, warm=True, steps=3, batch=16)]
    [3, 3]
    """
    sizes = _checked_sizes(generator, discriminator, sizes, fade)
    rates = pair(rates)
    make = discriminator or (lambda size: ConvolutionalDiscriminator(size, generator.channels))
    old_rate = (0.0 if warm else 1.0) if old_rate is None else check_number(old_rate, "old_rate")
    head_start = check_count(head_start, "head_start", 0) if warm else 0
    settings: dict[str, Any] = {"optimizer": ADAM, "batch": 16, "averaged": 0.999}
    settings |= options | {"objective": objective, "steps": steps}
    sources = {size: _source(generator, images, size, flip) for size in sizes}
    runs: list[Training] = []
    try:
        for i, size in enumerate(sizes):
            if i and not warm:
                _enlarge(generator, sizes[i - 1], size)
            stage = GrowingStage(generator, size, sources[size], int(fade * steps) if i else 0, warm)
            against = make(size)
            if not isinstance(against, nn.Module):
                raise ValueError(
                    f"discriminator({size}) is a {type(against).__name__}: return a module that scores pictures."
                )
            _place(stage, against)
            settings["rates"] = 0.0, rates[1]
            run = _alone(stage, against, head_start, _file(folder, f"{size}-alone"), settings)
            if run.outcome is Outcome.FINISHED:
                shares = _freeze(stage, _shares(generator, sizes[:i], size, warm, size == sizes[-1], old_rate))
                settings["rates"] = tuple(rates[0] * share for share in shares), rates[1]
                run = train(stage, against, stage.source, checkpoint=_file(folder, str(size)), **settings)
            runs.append(run)
            if run.outcome not in (Outcome.FINISHED, Outcome.OPTIMAL):
                break
    finally:
        generator.requires_grad_()
    return runs


def _checked_sizes(
    generator: ProgressiveGenerator, discriminator: Any, sizes: Sequence[int] | None, fade: float
) -> tuple[int, ...]:
    """The resolutions to train at, after the checks that need nothing trained."""
    if not isinstance(unwrapped(generator), ProgressiveGenerator):
        raise ValueError(
            f"generator is a {type(generator).__name__}: pass a ProgressiveGenerator; `train` trains other players."
        )
    if isinstance(discriminator, nn.Module):
        raise ValueError(
            "discriminator is a module: pass a function from a size to a new one, "
            "lambda size: ConvolutionalDiscriminator(size, generator.channels) say."
        )
    sizes = tuple(generator.sizes if sizes is None else sizes)
    if not sizes or list(sizes) != sorted(set(sizes)):
        raise ValueError(f"sizes {sizes} must increase: name each resolution to train at once, coarsest first.")
    if check_number(fade, "fade") > 1:
        raise ValueError(f"fade must be a share of the steps, at most 1, got {fade!r}.")
    if fade and len(sizes) == 1:
        raise ValueError(
            f"fade is {fade!r}, but {sizes[0]} pixels alone are trained: leave it out, or name coarser sizes too."
        )
    return sizes


def _alone(
    stage: GrowingStage, discriminator: nn.Module, steps: int, path: Path | None, settings: dict[str, Any]
) -> Training:
    """Steps of the discriminator against the generator as it is, with all its detail."""
    whole = GrowingStage(stage.generator, stage.size, stage.source, 0, stage.warm).requires_grad_(False)
    first = settings | {"steps": steps, "averaged": False, "gap": None, "callbacks": ()}
    return train(whole, discriminator, stage.source, checkpoint=path, **first)


def _file(folder: str | os.PathLike[str] | None, name: str) -> Path | None:
    return None if folder is None else Path(folder) / f"{name}.safetensors"


def _place(stage: GrowingStage, discriminator: nn.Module) -> None:
    """Put the discriminator on the generator's device in its precision, both laid out for convolutions on a GPU."""
    like = next(stage.parameters())
    discriminator.to(like.device, like.dtype)
    if like.is_cuda:
        for player in (stage, discriminator):
            player.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _source(generator: ProgressiveGenerator, images: Any, size: int, flip: bool) -> PictureSource:
    """The pictures at a resolution of the generator's."""
    whole = PictureSource(images)
    found, made = (whole.size, whole.channels), (generator.sizes[-1], generator.channels)
    if found != made:
        says = [f"{edge} x {edge} pixels, {'colour' if channels == 3 else 'grey'}" for edge, channels in (found, made)]
        raise ValueError(
            f"images are {says[0]}, the generator makes {says[1]}: bring images to its size and mode, or start at a "
            "generator for such pictures."
        )
    generator.stage_parameters(size)  # raises if there is no such resolution
    return PictureSource(whole.pictures, size, flip=flip)


def _enlarge(generator: ProgressiveGenerator, coarse: int, fine: int) -> None:
    """Start every linear stage above one size, up to another, at what that has become."""
    first, last = generator.sizes.index(coarse), generator.sizes.index(fine)
    for i in range(first + 1, last + 1):
        generator.linear[i].enlarge(generator.linear[i - 1])  # type: ignore[operator]


def _shares(
    generator: ProgressiveGenerator, before: Sequence[int], size: int, warm: bool, last: bool, old: float
) -> dict[nn.Module, float]:
    """The relative rate of each module that is trained at a resolution."""
    shares: dict[nn.Module, float] = {}
    for other, linear, residual in zip(generator.sizes, generator.linear, generator.residual, strict=True):
        if other > size:
            break
        known = any(other <= trained for trained in before)
        shares[residual] = old if known else 1.0
        shares[linear] = (old if last else 0.0) if warm else shares[residual]
    return shares


def _freeze(stage: GrowingStage, shares: dict[nn.Module, float]) -> list[float]:
    """Freeze what has no share, and the shares of the other parameters in their order."""
    stage.requires_grad_(False)
    rate = {parameter: share for module, share in shares.items() for parameter in module.parameters() if share > 0}
    for parameter in rate:
        parameter.requires_grad_()
    return [rate[parameter] for parameter in stage.parameters() if parameter in rate]
