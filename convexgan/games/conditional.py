"""Games on labelled rows: one for each class, and one certificate for all.

With shares pi_c, a discriminator D(x, c) whose neurons see one class each, under one penalty beta on their norm, and a
generator G(z, c) with the same shares, the discrepancy is max_c pi_c ipm(X_c, G_c): the payoff is the sum over classes
of pi_c times a game with beta / pi_c. So each class is solved by itself, values are averaged, neurons added up, and
there is a saddle where every class has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows, ordered
from convexgan._tools.classes import as_labels, check_known, grouped
from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import up
from convexgan._tools.tables import Label, Table, check_labels, column_names
from convexgan.exceptions import InfeasibleError
from convexgan.games.judge import combined
from convexgan.records.certificate import Certificate, Evidence, reading_evidence
from convexgan.records.conditional import PART, ConditionalSolution
from convexgan.records.solution import Solution
from convexgan.statistics.moments import Moments

Referee = Callable[[Evidence, Any, float, float | None], Certificate]


class Labelled(NamedTuple):
    """Rows (n, d) with the names of their columns, classes, and each row's place among these, (n,)."""

    rows: NDArray[Any]
    columns: tuple[Label, ...] | None
    classes: tuple[Label, ...]
    places: NDArray[np.int64]

    @classmethod
    def read(cls, X: Any, labels: Any, columns: tuple[Label, ...] | None = None) -> Labelled:
        """The rows of X, columns in the given order, with their labels; ValueError naming argument and repair."""
        if isinstance(X, Moments):
            raise ValueError("labels belong to rows, and X is Moments: pass the rows.")
        check_labels(labels, X, "labels", "X")
        X = ordered(X, columns, "X", "the certificate's data")
        rows = as_rows(X, "X")
        return cls(rows, columns or column_names(X, "X"), *grouped(as_labels(labels, len(rows), "X")))

    @property
    def counts(self) -> tuple[int, ...]:
        """Rows in each class."""
        return tuple(np.bincount(self.places, minlength=len(self.classes)).tolist())

    def part(self, i: int) -> Any:
        """The rows of a class, with the names of their columns."""
        rows = self.rows[self.places == i]
        return rows if self.columns is None else Table(self.columns, rows)


class LabelledMoments(NamedTuple):
    """The moments of the rows of each class, and how many rows there are."""

    classes: tuple[Label, ...]
    counts: tuple[int, ...]
    parts: tuple[Moments, ...]

    def part(self, i: int) -> Moments:
        """The moments of a class."""
        return self.parts[i]


def class_beta(beta: float, count: int, total: int) -> float:
    """beta over the share of a class, rounded up: what is a bound for a larger beta is one for beta."""
    return beta if count == total else up(beta * total / count, 0)


def solve_classes(
    data: Labelled,
    one: Callable[[Any, float, float | None], Solution],
    beta: float,
    tol: float,
    time_limit: float | None,
) -> ConditionalSolution:
    """The solution of all classes.

    Parameters
    ----------
    data : Labelled
    one : callable
        From the rows of a class, its beta and its seconds to its solution.
    beta, tol : float
    time_limit : float, optional
        Seconds for all.

    Raises
    ------
    InfeasibleError
        With the smallest beta that every class that is infeasible allows.
    """
    whole, counts, found = Deadline(time_limit), data.counts, []
    smallest, why = 0.0, ""
    for i, count in enumerate(counts):
        left = whole.part(1 / (len(counts) - i)).left
        try:
            found.append(one(data.part(i), class_beta(beta, count, sum(counts)), left))
        except InfeasibleError as error:
            least = up(error.smallest_beta * count / sum(counts))
            if least >= smallest:
                smallest, why = least, f"class {data.classes[i]!r} by itself, of beta over its share: {error}"
    if why:
        raise InfeasibleError(f"use beta >= {smallest!r} for all classes together; {why}", smallest_beta=smallest)
    if any(solution.certificate is None for solution in found):
        return ConditionalSolution(data.classes, counts, tuple(found), None)
    proofs = [solution.certificate for solution in found if solution.certificate is not None]
    certificate = joint_certificate(proofs, data.classes, counts, beta, tol)
    return ConditionalSolution(data.classes, counts, tuple(found), certificate)


def joint_certificate(
    proofs: Sequence[Certificate], classes: Sequence[Label], counts: Sequence[int], beta: float, tol: float
) -> Certificate:
    """The certificate of the game of all classes, from those of each, whose beta is `class_beta`."""
    parts = [proof.evidence for proof in proofs if proof.evidence is not None]
    settings: dict[str, Any] = {
        name: parts[0].settings[name] for name in ("activation", "columns") if name in parts[0].settings
    }
    settings |= {
        "game": "conditional",
        "beta": beta,
        "classes": list(classes),
        "parts": [part.settings for part in parts],
    }
    arrays = {PART.format(i) + n: a for i, part in enumerate(parts) for n, a in part.arrays.items()}
    return combined(proofs, counts, beta, Evidence(settings, arrays), tol)


def verify_classes(
    evidence: Evidence, X: Any, tol: float, limit: float | None, referee: Callable[[Evidence], Referee]
) -> Certificate:
    """The certificate recomputed from labelled rows, class by class; ValueError if the evidence does not fit them."""
    if not isinstance(X, Labelled | LabelledMoments):
        raise ValueError("the certificate is of a game on labelled rows: pass labels, one for each row of X.")
    with reading_evidence(evidence):
        settings = evidence.settings
        classes, parts, beta = tuple(settings["classes"]), settings["parts"], float(settings["beta"])
        if len(parts) != len(classes):
            raise ValueError("it has not one part for each of its classes")
    check_known(X.classes, classes, "labels")
    check_known(classes, X.classes, "classes of the certificate")
    found, counts, whole = [], X.counts, Deadline(limit)
    for i, (count, part) in enumerate(zip(counts, parts, strict=True)):
        arrays = {n.removeprefix(PART.format(i)): a for n, a in evidence.arrays.items() if n.startswith(PART.format(i))}
        own = Evidence(dict(part), arrays)
        with reading_evidence(own):
            if own.settings["beta"] != class_beta(beta, count, sum(counts)):
                raise ValueError(f"the beta of class {classes[i]!r} is not that of all over its share of the rows")
            if own.settings["game"] == "conditional":
                raise ValueError("its classes have classes")
        left = whole.part(1 / (len(counts) - i)).left
        found.append(referee(own)(own, X.part(i), tol, left))
    return combined(found, counts, beta, evidence, tol)
