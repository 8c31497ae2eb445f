"""Classes of pictures on the command line: attributes of CelebA, folders, a list of labels, or clusters."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from convexgan._tools.checks import check_count
from convexgan.cli.arrays import read_labels
from convexgan.datasets import Cache, ImageSet, Listing
from convexgan.datasets.celeba import attribute_labels

FOLDERS = "folders"
COARSE = 8  # pixels at which clusters are found
LABELS = "labels.txt"  # in a RUN


@dataclass(frozen=True)
class Classes:
    """Options for a generator of each class, one of the three."""

    condition: Annotated[
        list[str] | None,
        typer.Option(help="A class for having and lacking a CelebA attribute, repeatable: crossed; or folders."),
    ] = None
    labels: Annotated[Path | None, typer.Option(help="FILE with a label for each picture, one a line.")] = None
    clusters: Annotated[
        int | None, typer.Option(help="So many classes, found by k-means; the certificate is of these.")
    ] = None

    @property
    def given(self) -> list[str]:
        """The names of the options that are used."""
        return [name for name, value in vars(self).items() if value is not None]

    def settings(self) -> dict[str, Any]:
        """What a run is known by, labels by what the file holds. Raises where more than one option is given."""
        if len(self.given) > 1:
            raise ValueError(f"--{' and --'.join(self.given)} each say what the classes are: pass one of them.")
        if self.clusters is not None:
            check_count(self.clusters, "--clusters", 2)
        digest = None if self.labels is None else hashlib.sha256(self.labels.read_bytes()).hexdigest()
        return {"condition": self.condition, "labels": digest, "clusters": self.clusters}

    def before(self, data: str, found: ImageSet | Listing) -> list[str] | None:
        """The labels of pictures that are not decoded yet, each class with two at least; None for clusters, or none."""
        if self.labels is not None:
            labels = [str(label) for label in read_labels(self.labels)]
            if len(labels) != len(found):
                raise ValueError(f"--labels {self.labels} has {len(labels):,} labels for {len(found):,} pictures.")
        elif self.condition is not None:
            labels = _conditions(data, found, self.condition)
        else:
            most = len(found) // 2
            if self.clusters is not None and self.clusters > most:
                raise ValueError(
                    f"--clusters {self.clusters} is too many for {len(found):,} pictures: pass {most} at most."
                )
            return None
        few = [label for label, count in Counter(labels).items() if count < 2]
        if few:
            raise ValueError(f"class {few[0]!r} has one picture, and needs two: join it to another, or leave it out.")
        return labels

    def after(
        self, labels: list[str] | None, found: ImageSet | Listing, pictures: ImageSet | Cache, seed: int
    ) -> list[str] | None:
        """The labels of the pictures that could be read."""
        if self.clusters is not None:
            return clustered(pictures, self.clusters, seed)
        if labels is None or not isinstance(found, Listing):
            return labels
        lost = {skipped.path for skipped in pictures.skipped}
        root, each = found.keeper.root, zip(labels, found.entries, strict=True)
        kept = [label for label, entry in each if root / entry.name not in lost]
        if len(kept) != len(pictures):
            raise ValueError(f"{len(pictures):,} pictures were read and {len(kept):,} have labels: empty the cache.")
        return kept


def _conditions(data: str, found: ImageSet | Listing, conditions: Sequence[str]) -> list[str]:
    """The labels by attributes, or by folders."""
    if not isinstance(found, Listing):
        raise ValueError(f"--condition is for folders and CelebA, not for {data}: pass --labels FILE.")
    if FOLDERS not in conditions:
        return attribute_labels(data, found, conditions)
    if len(conditions) > 1:
        raise ValueError("--condition folders goes with no other: leave the attributes out.")
    parts = [entry.name.replace("\\", "/").split("/")[:-1] for entry in found.entries]
    ends = zip(min(parts), max(parts), strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))  # a folder around all says nothing
    flat = next((e.name for part, e in zip(parts, found.entries, strict=True) if len(part) == shared), None)
    if flat is not None:
        raise ValueError(f"--condition folders: {flat} lies in no subfolder of those of {data}: move it into one.")
    return [part[shared] for part in parts]


def clustered(pictures: Any, count: int, seed: int) -> list[str]:
    """The clusters of pictures at 8 pixels, numbered from the largest."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    from convexgan.progressive.passes import as_pictures
    from convexgan.progressive.pyramid import box_pyramid

    source = as_pictures(pictures)
    size = min(COARSE, source.shape[0])
    rows = np.concatenate([box_pyramid(block, [size])[size].reshape(len(block), -1) for block in source.blocks()])
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # empty clusters are refused below
        found: NDArray[Any] = KMeans(count, n_init=4, random_state=seed).fit(rows.astype(np.float64)).labels_
    sizes = np.bincount(found, minlength=count)
    if sizes.min() < 2:
        raise ValueError(f"--clusters {count} leaves a cluster with {sizes.min()} pictures: pass fewer.")
    rank = np.empty(count, dtype=int)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(count)
    width = len(str(count - 1))
    return [f"{i:0{width}}" for i in rank[found]]
