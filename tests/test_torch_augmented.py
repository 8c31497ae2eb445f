"""What a discriminator sees of few pictures: other light and places, the same for real and generated ones."""

from __future__ import annotations

import pytest
import torch

from convexgan.torch import Augmented
from convexgan.torch.augmented import CONTRAST, LIGHT, lit, moved


class Seen(torch.nn.Module):
    """Keeps what it is shown."""

    def forward(self, pictures):
        self.last = pictures
        return pictures.flatten(1).sum(dim=1)


@pytest.mark.parametrize("size", [4, 8, 32])
def test_pictures_are_moved_whole_by_at_most_an_eighth(size):
    torch.manual_seed(0)
    pictures, most = torch.rand(200, 2, size, size) + 1, max(size // 8, 1)
    wide = torch.nn.functional.pad(pictures, (most, most, most, most))
    places = [(i, j) for i in range(2 * most + 1) for j in range(2 * most + 1)]
    found, counts = moved(pictures), []
    for picture, large in zip(found, wide, strict=True):
        same = [torch.equal(picture, large[:, i : i + size, j : j + size]) for i, j in places]
        assert sum(same) == 1
        counts.append(places[same.index(True)])
    assert len(set(counts)) > min(len(places), 60) / 2
    assert {min(i) for i in zip(*counts, strict=True)} == {0}
    assert {max(i) for i in zip(*counts, strict=True)} == {2 * most}


@pytest.mark.parametrize("channels", [1, 3])
def test_light_moves_the_mean_and_stretches_the_rest(channels):
    torch.manual_seed(0)
    pictures = torch.rand(300, channels, 8, 8, dtype=torch.float64) - 0.5
    found = lit(pictures)
    shift = (found - pictures).mean(dim=(1, 2, 3))
    assert float(shift.abs().max()) <= LIGHT and float(shift.std()) == pytest.approx(LIGHT / 3**0.5, rel=0.1)
    greys = [part.mean(dim=1) - part.mean(dim=(1, 2, 3))[:, None, None] for part in (pictures, found)]
    ratio = (greys[0] * greys[1]).sum(dim=(1, 2)) / greys[0].square().sum(dim=(1, 2))
    assert torch.allclose(greys[1], ratio[:, None, None] * greys[0], atol=1e-12)
    assert float((ratio - 1).abs().max()) <= CONTRAST and float(ratio.std()) == pytest.approx(
        CONTRAST / 3**0.5, rel=0.1
    )
    if channels == 3:
        tints = [part - part.mean(dim=1, keepdim=True) for part in (pictures, found)]
        strength = (tints[0] * tints[1]).sum(dim=(1, 2, 3)) / tints[0].square().sum(dim=(1, 2, 3)) / ratio
        assert 0 <= float(strength.min()) < 0.1 and 1.9 < float(strength.max()) <= 2


def test_every_look_in_training_is_another_and_the_generator_learns_through_it():
    torch.manual_seed(0)
    D, pictures = Augmented(Seen()), torch.rand(5, 1, 8, 8, requires_grad=True)
    looks = [(D(pictures), D.discriminator.last)[1] for _ in range(2)]
    assert not torch.equal(*looks)
    (grad,) = torch.autograd.grad(D(pictures).sum(), pictures)
    assert float(grad.abs().sum()) > 0
    D.eval()
    D(pictures)
    assert torch.equal(D.discriminator.last, pictures)
