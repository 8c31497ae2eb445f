"""Synthetic colour faces for benchmarks, and the tools that judge faces.

The faces are drawn from the DCGAN that the package gan-face-generate ships. It was trained on DigiFace-1M, rendered
faces: no photograph of anybody is among them. They are smooth and somewhat alike, so figures on them do not carry
over to photographs. The tools are installed without their dependencies, and their files found by path:

    make build/tools

Example: python -m benchmarks._faces    # draws 20,000 and keeps them in build/faces
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan.cli.arrays import write_rows
from convexgan.metrics._nets import find_file
from convexgan.progressive.pyramid import box_pyramid, to_uint8

BUILD = Path(__file__).parents[1] / "build"
TOOLS = BUILD / "tools"
COUNT, BATCH = 20_000, 250
WIDTHS = (100, 512, 256, 128, 64, 3)  # latent, then channels at 4, 8, 16, 32 and 64 pixels


def use_tools() -> None:
    """Let packages in build/tools be found."""
    if str(TOOLS) not in sys.path:
        sys.path.append(str(TOOLS))


def faces(size: int = 64, n: int = COUNT) -> NDArray[np.uint8]:
    """The first n of 20,000 synthetic faces, (n, size, size, 3), size 64 or its halvings; drawn once, then read."""
    path = BUILD / "faces" / f"{size}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = draw() if size == 64 else faces()
        parts = [drawn[i : i + BATCH] for i in range(0, len(drawn), BATCH)]
        write_rows(path, np.concatenate([to_uint8(box_pyramid(part, [size])[size]) for part in parts]))
    return np.load(path, mmap_mode="r")[:n]


def draw() -> NDArray[np.uint8]:
    """20,000 faces of 64 x 64 pixels from the DCGAN, the same ones every time."""
    import torch

    net, parts = dcgan(), []
    random = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        for _ in range(0, COUNT, BATCH):
            images = net(torch.randn(BATCH, WIDTHS[0], 1, 1, generator=random))
            parts.append(to_uint8(images.permute(0, 2, 3, 1).numpy()))
    return np.concatenate(parts)


def dcgan() -> Any:
    """The generator: transposed convolutions that double the resolution, as Radford et al. (2016) describe it."""
    import torch
    from torch import nn

    use_tools()
    layers: list[Any] = []
    for i, (wide, narrow) in enumerate(pairwise(WIDTHS)):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        layers.append(nn.ConvTranspose2d(wide, narrow, 4, stride, padding, bias=False))
        layers += [nn.BatchNorm2d(narrow), nn.ReLU()] if narrow > 3 else [nn.Tanh()]
    net = nn.Sequential(*layers).eval()
    weights = torch.load(find_file(None, "gan-face-generate", "weights.tar"), map_location="cpu", weights_only=True)
    net.load_state_dict({name.removeprefix("main."): w for name, w in weights["netG_state_dict"].items()})
    return net


if __name__ == "__main__":
    for edge in (64, 32):
        print(f"{faces(edge).shape} in {BUILD / 'faces'}")
