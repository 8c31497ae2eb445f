"""A deep progressive generator that starts exactly at the closed form, and discriminators for its pictures."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from convexgan._tools.checks import check_choice, check_count
from convexgan._tools.files import DAMAGE, write_bytes
from convexgan.progressive import ProgressiveConvexGAN, Stage
from convexgan.torch.modules import TwoLayerDiscriminator
from convexgan.torch.pictures import as_bytes

SLOPE = 0.2
WIDTH = 16  # features: docs/faces.md tells what wider nets do


class LinearStage(nn.Module):
    """code = previous code @ carry + noise @ fresh; picture = mean + code @ factor.

    Attributes
    ----------
    mean : (d,) parameter
    factor : (k, d) parameter
    carry, fresh : (q, k) and (p, k) parameters
    """

    def __init__(self, size: int, channels: int, previous: int, noise: int, rank: int) -> None:
        super().__init__()
        self.size, self.channels, self.noise = size, channels, noise
        d = size * size * channels
        self.mean = nn.Parameter(torch.zeros(d))
        self.factor = nn.Parameter(torch.randn(rank, d) / max(rank, 1) ** 0.5)
        self.carry = nn.Parameter(torch.randn(previous, rank) / max(previous + noise, 1) ** 0.5)
        self.fresh = nn.Parameter(torch.randn(noise, rank) / max(previous + noise, 1) ** 0.5)

    def forward(self, code: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The code (n, k) and the picture (n, channels, size, size)."""
        code = code @ self.carry + noise @ self.fresh
        picture = (self.mean + code @ self.factor).reshape(-1, self.size, self.size, self.channels)
        return code, picture.permute(0, 3, 1, 2)

    @torch.no_grad()
    def enlarge(self, coarser: LinearStage) -> None:
        """Make the coarser stage's pictures, enlarged, from its codes (the first ones, if it has more of them).

        What is left of the code comes from fresh noise, which does nothing yet.
        """
        rank = min(len(coarser.factor), len(self.factor))
        rows = torch.cat([coarser.mean[None], coarser.factor[:rank]])
        pictures = twice(rows.reshape(-1, coarser.size, coarser.size, self.channels).permute(0, 3, 1, 2))
        rows = pictures.permute(0, 2, 3, 1).flatten(1)
        self.mean.copy_(rows[0])
        self.factor.zero_()[:rank] = rows[1:]
        nn.init.eye_(self.carry)
        self.fresh[:, :rank] = 0


class ResidualStage(nn.Module):
    """Features of a resolution from its linear picture and the coarser features, and what they add to the picture.

    The last layer starts at zero: at first nothing is added.
    """

    def __init__(self, channels: int, coarser: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels + coarser, width, 3, padding=1)
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.leave = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, picture: Tensor, coarser: Tensor | None) -> tuple[Tensor, Tensor]:
        """(added, features), (n, channels, h, h) and (n, width, h, h)."""
        given = picture if coarser is None else torch.cat([picture, twice(coarser)], dim=1)
        features = leaky_relu(self.enter(given), SLOPE)
        features = features + leaky_relu(self.inner(features), SLOPE)
        return self.leave(features), features


class ProgressiveGenerator(nn.Module):
    """Pictures from coarse to fine: linear stages and convolutions that correct them.

    y_i = x_i + up(y_{i-1} - x_{i-1}) + R_i(x_i, features of the coarser stage), where x_i are the pictures of the
    linear chain. Built by `from_model`, it makes exactly the pictures of the closed form, because every R_i ends in a
    layer that starts at zero.

    Parameters
    ----------
    sizes : sequence of int
        Resolutions, each twice the one before.
    channels : 1 or 3
    ranks, noises : sequences of int
        Code dimensions and fresh noise dimensions of the stages.
    width : int
        Features of the convolutions.

    Attributes
    ----------
    latent_dim : int
        The noise of all stages together.

    References
    ----------
    Zero-initialised residuals: Goyal et al., arXiv 1706.02677, section 5.1; pictures summed over resolutions: Karras et
    al., arXiv 1912.04958, figure 7b.

    Examples
    --------
    >>> import numpy as np, torch, convexgan as cg
    >>> from convexgan.torch import ProgressiveGenerator
    >>> images = np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8)
    >>> G = ProgressiveGenerator.from_model(cg.ProgressiveConvexGAN(ranks=[5, 10]).fit(images))
    >>> G(torch.randn(3, G.latent_dim)).shape
    torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self, sizes: Sequence[int], channels: int, ranks: Sequence[int], noises: Sequence[int], *, width: int = WIDTH
    ) -> None:
        super().__init__()
        check_choice(str(channels), "channels", ("1", "3"))
        if not len(sizes) == len(ranks) == len(noises) > 0:
            raise ValueError(
                f"sizes, ranks and noises have {len(sizes)}, {len(ranks)}, {len(noises)} entries: one each."
            )
        if any(fine != 2 * coarse for coarse, fine in pairwise(sizes)):
            raise ValueError(f"sizes {tuple(sizes)} must double from stage to stage.")
        self.sizes, self.channels, self.width = tuple(sizes), channels, check_count(width, "width")
        before, coarser = [0, *ranks[:-1]], [0, *[width] * (len(sizes) - 1)]
        self.linear = nn.ModuleList(
            LinearStage(size, channels, *shape) for size, *shape in zip(sizes, before, noises, ranks, strict=True)
        )
        self.residual = nn.ModuleList(ResidualStage(channels, features, width) for features in coarser)
        self.origin: str | None = None  # a hash of the closed form that it started at

    @classmethod
    def from_model(
        cls, model: ProgressiveConvexGAN, *, width: int = WIDTH, dtype: torch.dtype = torch.float32
    ) -> ProgressiveGenerator:
        """The generator that starts at a fitted closed form, whose histogram step it leaves out.

        Raises
        ------
        ValueError
            If the model is not fitted, has classes, or skips a resolution.
        """
        stages = model.chain()
        shape = [s.size for s in stages], stages[0].channels, [len(s.factor) for s in stages]
        made = cls(*shape, [len(s.fresh) for s in stages], width=width).to(dtype)
        with torch.no_grad():
            for module, stage in zip(made.linear, stages, strict=True):
                for name in ("mean", "factor", "carry", "fresh"):
                    getattr(module, name).copy_(torch.from_numpy(getattr(stage, name)))
        digest = hashlib.sha256()
        for tensor in made.linear.state_dict().values():
            digest.update(tensor.cpu().numpy().tobytes())
        made.origin = digest.hexdigest()
        return made

    @property
    def latent_dim(self) -> int:
        """The noise of all stages together."""
        return sum(self._noises())

    def _noises(self) -> list[int]:
        return [int(stage.noise) for stage in self.linear]  # type: ignore[arg-type]

    def stages(self, Z: Tensor, finest: int | None = None) -> list[Tensor]:
        """The pictures (n, channels, h, h) of latents (n, latent_dim) at every resolution up to ``finest``.

        Raises
        ------
        ValueError
            Z is no tensor of latents of its dimension.
        """
        count = len(self.sizes) if finest is None else self.sizes.index(self._known(finest)) + 1
        if not isinstance(Z, Tensor) or Z.ndim != 2 or Z.shape[1] != self.latent_dim:
            found = f"shape {tuple(Z.shape)}" if isinstance(Z, Tensor) else f"type {type(Z).__name__}"
            raise ValueError(f"Z has {found}: pass a tensor of latents (n, {self.latent_dim}), from torch.randn say.")
        noises = torch.split(Z, self._noises(), dim=1)
        code, pictures = Z[:, :0], []
        added, features = None, None
        for linear, residual, noise in zip(self.linear[:count], self.residual[:count], noises[:count], strict=True):
            code, picture = linear(code, noise)
            new, features = residual(picture, features)
            added = new if added is None else twice(added) + new
            pictures.append(picture + added)
        return pictures

    def forward(self, Z: Tensor, finest: int | None = None, blend: float = 1.0) -> Tensor:
        """The finest pictures, (n, channels, h, h), not clipped to [-1, 1].

        Parameters
        ----------
        Z : (n, latent_dim) tensor
        finest : int, optional
            A coarser resolution to stop at.
        blend : float
            Below 1 for a stage that fades in: blend * new + (1 - blend) * enlarged coarser pictures.
        """
        pictures = self.stages(Z, finest)
        if blend >= 1 or len(pictures) == 1:
            return pictures[-1]
        return blend * pictures[-1] + (1 - blend) * twice(pictures[-2])

    def stage_parameters(self, size: int) -> list[nn.Parameter]:
        """The parameters of one resolution, to freeze or to give a learning rate of their own."""
        i = self.sizes.index(self._known(size))
        return [*self.linear[i].parameters(), *self.residual[i].parameters()]

    def _known(self, size: int) -> int:
        if size not in self.sizes:
            raise ValueError(f"size {size!r} is none of this generator's, {self.sizes}: pass one of them.")
        return size

    @torch.no_grad()
    def sample(self, n: int = 1, rng: int = 0, batch: int = 256) -> NDArray[np.uint8]:
        """n pictures, (n, h, h) or (n, h, h, 3) uint8; the same on every device for a seed."""
        return self.sample_stages(n, rng, batch)[-1]

    @torch.no_grad()
    def sample_stages(self, n: int = 1, rng: int = 0, batch: int = 256) -> list[NDArray[np.uint8]]:
        """n pictures at every resolution, coarsest first, each sharpening the one before."""
        random = torch.Generator().manual_seed(check_count(rng, "rng", 0))
        Z = torch.randn(check_count(n, "n"), self.latent_dim, generator=random).to(next(self.parameters()))
        drawn = [[as_bytes(pictures) for pictures in self.stages(part)] for part in torch.split(Z, batch)]
        return [np.concatenate(parts) for parts in zip(*drawn, strict=True)]

    @torch.no_grad()
    def interpolate(self, steps: int = 8, rng: int = 0) -> NDArray[np.uint8]:
        """``steps`` pictures from one latent to another, on the quarter circle that keeps Gaussian latents Gaussian."""
        random = torch.Generator().manual_seed(check_count(rng, "rng", 0))
        ends = torch.randn(2, self.latent_dim, generator=random).to(next(self.parameters()))
        angle = torch.linspace(0, torch.pi / 2, check_count(steps, "steps", 2)).to(ends)[:, None]
        return as_bytes(self(angle.cos() * ends[:1] + angle.sin() * ends[1:]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, all or nothing, with the shape of the generator as JSON in its header."""
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        write_bytes(path, save(tensors, {"generator": json.dumps(self.shape())}))

    def shape(self) -> dict[str, Any]:
        """The arguments that make a generator of this shape."""
        ranks = [len(stage.factor) for stage in self.linear]  # type: ignore[arg-type]
        made = {"sizes": self.sizes, "channels": self.channels, "ranks": ranks, "noises": self._noises()}
        return made | {"width": self.width}

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: Any = None) -> ProgressiveGenerator:
        """The generator written by `save`.

        Raises
        ------
        ValueError
            The file holds no such generator, is damaged, or has weights that are not finite.
        """
        try:
            with safe_open(path, framework="pt") as file:
                shape = json.loads((file.metadata() or {})["generator"])
            weights = load_file(path)
            if {w.dtype for w in weights.values()} not in ({torch.float32}, {torch.float64}):
                raise ValueError("its weights are not all float32 or all float64")
            if not all(w.isfinite().all() for w in weights.values()):
                raise ValueError("it has weights that are not finite")
            with torch.device("meta"):  # nothing is allocated for a shape that the weights may not have
                made = cls(**shape)
            made.load_state_dict(weights, assign=True)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, *DAMAGE) as error:
            raise ValueError(f"{path} holds no progressive generator or is damaged ({error}).") from None
        return made.to(device)


class ConvolutionalDiscriminator(nn.Module):
    """Scores of pictures by convolutions that halve the resolution, without normalisation.

    Parameters
    ----------
    size, channels : int
        Of the pictures (n, channels, size, size); size is 4 times a power of two.
    width : int
        Features after the first halving; they double with each further one, up to eight times.

    References
    ----------
    Radford et al., DCGAN, 2016, arXiv 1511.06434, section 3, without batch normalisation, which couples the pictures of
    a batch, so that penalties on the slopes at each of them have no meaning (Gulrajani et al., 2017, arXiv 1704.00028).
    """

    def __init__(self, size: int, channels: int = 1, *, width: int = WIDTH) -> None:
        super().__init__()
        halvings = (check_count(size, "size") // 4).bit_length() - 1
        if size != 4 << max(halvings, 0):
            raise ValueError(f"size {size} is not 4, 8, 16, ...: resize the pictures.")
        check_count(width, "width")
        widths = [channels, *(width * min(2**i, 8) for i in range(halvings))]
        self.size, self.channels = size, channels
        self.halve = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))
        last = max(widths[-1], width)
        self.inner = nn.Conv2d(widths[-1], last, 3, padding=1)
        self.score = nn.Linear(16 * last, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """The scores, (n,).

        Raises
        ------
        ValueError
            The pictures are of another shape than it was built for.
        """
        if pictures.shape[1:] != (self.channels, self.size, self.size):
            raise ValueError(
                f"the discriminator takes pictures ({self.channels}, {self.size}, {self.size}), got "
                f"{tuple(pictures.shape[1:])}: resize them, or build one of that size."
            )
        features = pictures
        for layer in (*self.halve, self.inner):
            features = leaky_relu(layer(features), SLOPE)
        scores: Tensor = self.score(features.flatten(1)).flatten()
        return scores


def quadratic_discriminator(
    stage: Stage, width: int | None = None, dtype: torch.dtype = torch.float32, *, pictures: bool = False
) -> TwoLayerDiscriminator:
    """The certified optimal discriminator of a stage, on its rows minus their mean: D*(x) = |P x|^2.

    Its neurons are the eigenvectors that the stage keeps. ``width`` adds neurons with outer weight zero. With
    ``pictures`` it takes pictures (n, channels, size, size) as they are: D*(x) = |P(x - mean)|^2, the mean in free
    biases, which makes it a linear-quadratic one when it is trained. Source: the dual of
    equation 15 of Sahiner et al., arXiv 2107.05680.

    Raises
    ------
    ValueError
        width is less than the optimal discriminator has.
    """
    _, sizes, directions = np.linalg.svd(stage.detail, full_matrices=False)
    kept = directions[sizes > 1e-12 * sizes.max(initial=0.0)]
    if width is not None and width < len(kept):
        raise ValueError(f"width is {width}, but the optimal discriminator has {len(kept)} neurons.")
    bias = "free" if pictures else "none"
    made = TwoLayerDiscriminator(stage.detail.shape[1], width or len(kept), "quadratic", bias=bias, dtype=dtype)
    if pictures:
        shift = -kept @ stage.detail_mean
        turned = kept.reshape(-1, stage.size, stage.size, stage.channels).transpose(0, 3, 1, 2)
        kept = np.column_stack([turned.reshape(len(kept), -1), shift])
    with torch.no_grad():
        made.neurons[: len(kept)] = torch.from_numpy(kept).to(dtype)
        made.outer.zero_()[: len(kept)] = 1
    return made


def twice(pictures: Tensor) -> Tensor:
    """Pictures (n, c, h, h) enlarged twice by nearest neighbours."""
    return interpolate(pictures, scale_factor=2, mode="nearest")
