"""What `solve` returns for labelled rows: a game for each class, and the certificate of all of them together."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import as_rng, check_count, check_number
from convexgan._tools.classes import as_labels, check_known
from convexgan._tools.files import write_model
from convexgan._tools.tables import Label
from convexgan.gaussian import transport_map
from convexgan.records.certificate import Certificate
from convexgan.records.encoding import EVIDENCE
from convexgan.records.solution import Solution, Status

Array = NDArray[np.float64]
PART = "class {}."  # before the names of a class's arrays


@dataclass(frozen=True, eq=False)
class ConditionalSolution:
    """A solved game on labelled rows, D(x, c) and G(z, c) a discriminator and a generator for each class c.

    Attributes
    ----------
    classes : tuple of str or int
        The labels, sorted.
    counts : tuple of int
        Rows of X in each class; their shares are those of the generated rows.
    solutions : tuple of Solution
        Each class's own game, whose beta is that of the whole over the class's share.
    certificate : Certificate or None
        Of the game of all classes; None where a class has no answer.
    """

    classes: tuple[Label, ...]
    counts: tuple[int, ...]
    solutions: tuple[Solution, ...]
    certificate: Certificate | None

    @property
    def shares(self) -> Array:
        """The shares of the classes, (C,)."""
        return np.array(self.counts) / sum(self.counts)

    @property
    def method(self) -> str:
        """The names of the methods that were taken."""
        return ", ".join(sorted({solution.method for solution in self.solutions}))

    @property
    def value(self) -> float:
        """The generator's cost, the mean over classes; infinite if one has no answer."""
        return math.inf if self.certificate is None else self.certificate.value

    @property
    def status(self) -> Status:
        """The status of the class that came out worst."""
        return max((solution.status for solution in self.solutions), key=list(Status).index)

    def __getitem__(self, label: Label) -> Solution:
        """The solution of one class."""
        return self.solutions[int(check_known([label], self.classes, "label")[0])]

    def __str__(self) -> str:
        lines = [f"{self.status}: {self.status.sentence}", f"{len(self.classes)} classes, value {self.value:.10g}"]
        for label, share, solution in zip(self.classes, self.shares, self.solutions, strict=True):
            proof = solution.certificate
            kind = solution.stats.get("message", "none") if proof is None else f"{proof.kind}, gap {proof.gap:.3g}"
            lines.append(f"  {label!s:<12} share {share:.4g}, value {solution.value:.10g}, {kind}")
        return "\n".join([*lines, *([] if self.certificate is None else [str(self.certificate)])])

    def generator(self, Z: Any, labels: Any) -> Array:
        """The generated rows (n, d) for latents (n, k) and their labels (n,)."""
        rows = as_rows(Z, "Z")
        places, made = check_known(as_labels(labels, len(rows), "Z"), self.classes, "labels"), None
        for i in np.unique(places):
            part = self._player(int(i), "generator")(rows[places == i])
            made = np.empty((len(rows), part.shape[1])) if made is None else made
            made[places == i] = part
        return np.empty((0, 0)) if made is None else made

    def discriminator(self, X: Any, labels: Any) -> Array:
        """The scores (n,) of rows (n, d) with their labels (n,)."""
        rows = as_rows(X, "X")
        places, scores = check_known(as_labels(labels, len(rows), "X"), self.classes, "labels"), np.empty(len(rows))
        for i in np.unique(places):
            scores[places == i] = self._player(int(i), "discriminator")(rows[places == i])
        return scores

    def sample(
        self, n: int, rng: int | np.random.Generator | None = None, label: Label | None = None
    ) -> tuple[Array, NDArray[Any]]:
        """n generated rows (n, d) and their labels (n,): of one class, or of all by their shares."""
        draw = as_rng(rng)
        given = None if label is None else check_known([label], self.classes, "label")
        places = (
            draw.choice(len(self.classes), check_count(n, "n"), p=self.shares) if given is None else given.repeat(n)
        )
        parts = {int(i): self._player(int(i), "generator").sample(int(np.sum(places == i)), draw) for i in set(places)}
        rows = np.empty((len(places), next(iter(parts.values())).shape[1]))
        for i, part in parts.items():
            rows[places == i] = part
        return rows, np.array(self.classes)[places]

    def transport(self, rows: Any, source: Label, target: Label, share: float = 1.0) -> Array:
        """Rows (n, d) of one class moved a share of the way to another, by the optimal map between their Gaussians.

        Those have the mean and covariance that the generator makes in each class; what lies between is the shortest
        path of laws from one to the other. Source: R. J. McCann, A convexity principle for interacting gases, 1997.

        Raises
        ------
        ValueError
            A class is unknown, or its game is none of moments; the first class lacks directions that the second has.
        """
        part = check_number(share, "share")
        (mean, A), (there, B) = (self._moments(label) for label in (source, target))
        turned = (1 - part) * np.eye(len(mean)) + part * transport_map(A, B)
        return np.asarray((1 - part) * mean + part * there + (as_rows(rows, "rows") - mean) @ turned)

    def _moments(self, label: Label) -> tuple[Array, Array]:
        """The mean (d,) and covariance (d, d) that the generator makes in a class."""
        proof = self[label].certificate
        found = {} if proof is None or proof.evidence is None else proof.evidence.arrays
        if "factor" not in found:
            raise ValueError(f"class {label!r} has no moments: its game is none against linear to polynomial neurons.")
        mean, factor = found["mean"], found["factor"]
        return mean, factor.T @ factor - np.outer(mean, mean)

    def _player(self, i: int, which: str) -> Any:
        """The generator or the discriminator of a class; ValueError where it has none."""
        found = getattr(self.solutions[i], which)
        if found is None:
            raise ValueError(f"class {self.classes[i]!r} has no {which}: its status is {self.solutions[i].status}.")
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one .npz file, atomically and without pickles; `convexgan.load` reads it.

        Raises
        ------
        ValueError
            There is nothing to save: the call ended without an answer.
        """
        if self.certificate is None:
            raise ValueError(f"nothing to save: the status is {self.status.value!r}.")
        parts = [solution.state() for solution in self.solutions]
        settings = {"classes": list(self.classes), "counts": list(self.counts), "parts": [part for part, _ in parts]}
        arrays = {PART.format(i) + name: a for i, (_, part) in enumerate(parts) for name, a in part.items()}
        proof, large = self.certificate.parts()
        arrays |= {EVIDENCE + name: array for name, array in large.items()}
        write_model(path, "conditional", settings | {"certificate": proof}, arrays)

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> ConditionalSolution:
        """The solution that was saved; KeyError, TypeError or ValueError if it is damaged."""
        classes, counts = tuple(settings["classes"]), tuple(check_count(c, "counts") for c in settings["counts"])
        parts = [
            Solution.from_state(part, {name.removeprefix(p): a for name, a in arrays.items() if name.startswith(p)})
            for part, p in zip(settings["parts"], map(PART.format, range(len(classes))), strict=True)
        ]
        if not len(set(classes)) == len(classes) == len(counts) > 0:
            raise ValueError("its classes and counts contradict each other")
        proof = Certificate.from_json(settings["certificate"], apart=lambda name: arrays[EVIDENCE + name])
        return cls(classes, counts, tuple(parts), proof)
