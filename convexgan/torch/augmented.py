"""Differentiable augmentation: a discriminator that never sees a picture twice the same way."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LIGHT, SATURATION, CONTRAST, SHIFT = 0.3, 1.0, 0.5, 8  # in [-1, 1]; of 1; of 1; one pixel of so many along an edge


class Augmented(nn.Module):
    """A discriminator of pictures in other light and moved, at random and another way at each look.

    Real and generated pictures are treated alike, and the generator is differentiated through what is done to its own,
    so it is not taught to make such pictures. What few pictures have in common is then all that a discriminator can
    learn: it does not know them by heart. In evaluation mode pictures are seen as they are.

    Parameters
    ----------
    discriminator : module
        Of pictures (n, channels, h, h) in [-1, 1].

    References
    ----------
    Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training, NeurIPS 2020, arXiv 2006.10738, section 3:
    colour and translation; the light changes by less here.

    Examples
    --------
    >>> import torch
    >>> from convexgan.torch import Augmented, ConvolutionalDiscriminator
    >>> D = Augmented(ConvolutionalDiscriminator(8))
    >>> D(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3])
    """

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, pictures: Tensor) -> Tensor:
        """The scores, (n,)."""
        found: Tensor = self.discriminator(moved(lit(pictures)) if self.training else pictures)
        return found


def lit(pictures: Tensor) -> Tensor:
    """Pictures in another light: brightness, the strength of colours, contrast."""

    def drawn(width: float) -> Tensor:
        return width * (2 * torch.rand(len(pictures), 1, 1, 1).to(pictures) - 1)

    pictures = pictures + drawn(LIGHT)
    if pictures.shape[1] > 1:
        grey = pictures.mean(dim=1, keepdim=True)
        pictures = grey + (1 + drawn(SATURATION)) * (pictures - grey)
    level = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return level + (1 + drawn(CONTRAST)) * (pictures - level)


def moved(pictures: Tensor) -> Tensor:
    """Pictures moved by up to an eighth of their edge each way, with zeros where nothing is."""
    n, _, height, width = pictures.shape
    most = max(width // SHIFT, 1)
    wide = nn.functional.pad(pictures, (most, most, most, most)).movedim(1, -1)
    down, right = (torch.randint(2 * most + 1, (n, 1)) for _ in range(2))
    rows, columns = down + torch.arange(height), right + torch.arange(width)
    which = (part.to(pictures.device) for part in (torch.arange(n)[:, None, None], rows[..., None], columns[:, None]))
    found: Tensor = wide[tuple(which)].movedim(-1, 1)
    return found
