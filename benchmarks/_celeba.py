"""Generated pictures in CelebA's exact layout: 178 x 218 JPEG files with photographic spectra, and the two lists."""

from __future__ import annotations

import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 178, 218
FULL = 202_599
BATCH = 64
ATTRIBUTES = [
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
]


def photographs(n: int, seed: int) -> NDArray[np.uint8]:
    """(n, 218, 178, 3) random pictures around a common oval; amplitudes fall off like 1 / frequency."""
    from scipy import fft

    rng = np.random.default_rng(seed)
    shape = (224, 192)  # the next sizes with small factors, cut afterwards: the spectrum's period is not seen
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    weight = np.maximum(frequency, 1 / 224) ** -1.3 * np.exp(-((frequency / 0.25) ** 2))  # the lens blurs
    weight = weight.astype(np.float32)
    noise = rng.standard_normal((n, 3, *weight.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    layers = fft.irfft2(noise * weight, s=shape, workers=1)[..., :HEIGHT, :WIDTH]
    layers *= 45 / float(layers.std())
    layers[:, 1:] *= 0.35  # luminance varies most, colours together with it
    y, x = np.ogrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    oval = 60 * np.exp(-2.5 * (1.4 * x**2 + y**2) ** 2)
    mixed = np.einsum("ck,nkhw->nhwc", np.array([[1, 1, 0.3], [1, 0, -0.6], [1, -1, 0.3]], np.float32), layers)
    mixed += (100 + oval)[..., None] + np.array([25, 0, -15])
    return np.clip(mixed, 0, 255).astype(np.uint8)


def write_celeba(root: Path, n: int, seed: int = 0, workers: int = 1) -> Path:
    """Write n pictures, attributes and partition below ``root``, and return it."""
    folder = root / "img_align_celeba"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, n, BATCH)
    jobs = ([folder] * len(starts), starts, [min(BATCH, n - s) for s in starts], [seed] * len(starts))
    if workers == 1:
        list(map(_write_batch, *jobs))
    else:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(_write_batch, *jobs))
    return _write_lists(root, n, seed)


def repeat_celeba(source: Path, root: Path, n: int) -> Path:
    """Write n pictures below ``root``, those of a source again and again, unless they are there, and return it."""
    if not (root / "list_eval_partition.txt").exists():
        folder, known = root / "img_align_celeba", sorted((source / "img_align_celeba").iterdir())
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(n):
            shutil.copyfile(known[i % len(known)], folder / f"{i + 1:06}.jpg")
        _write_lists(root, n, 0)
    return root


def _write_lists(root: Path, n: int, seed: int) -> Path:
    """Write attributes and partition; the latter last."""
    rng = np.random.default_rng(seed)
    names = [f"{i + 1:06}.jpg" for i in range(n)]
    signs = np.where(rng.random((n, len(ATTRIBUTES))) < 0.4, 1, -1)
    rows = [f"{name} " + " ".join(f"{sign:2}" for sign in row) for name, row in zip(names, signs, strict=True)]
    (root / "list_attr_celeba.txt").write_text("\n".join([str(n), " ".join(ATTRIBUTES), *rows]) + "\n")
    cuts = np.searchsorted([162_770 / FULL, 182_637 / FULL], np.arange(n) / n, side="right")
    lines = [f"{name} {part}" for name, part in zip(names, cuts, strict=True)]
    (root / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    return root


def _write_batch(folder: Path, start: int, count: int, seed: int) -> None:
    from PIL import Image

    for i, picture in enumerate(photographs(count, seed * FULL + start)):
        Image.fromarray(picture).save(folder / f"{start + i + 1:06}.jpg", quality=85)
