"""The benchmark suite: a list of instances with what was proved of each, in versions that stay."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from convexgan._tools.checks import check_choice
from convexgan.problems.catalogue import PROBLEMS
from convexgan.problems.families import draw
from convexgan.problems.problem import Problem

VERSIONS = {1: "5094adb98b00638d42b5534a9f1e8ce2b8ede57b40e56da026cdcbc79c21b74f"}
"""The SHA-256 of each version's file, suite-VERSION.csv."""
LATEST = max(VERSIONS)


class Instance(NamedTuple):
    """A row of a version's file.

    Attributes
    ----------
    name : str
    family : str
        Empty for a problem with a name of its own.
    seed : int
    parameters : str
        Those of the family, as JSON.
    kind : str
        Of the optimum: "saddle", "minimax", "stationary" or "none".
    value : float
    fingerprint : str
    """

    name: str
    family: str
    seed: int
    parameters: str
    kind: str
    value: float
    fingerprint: str

    def make(self) -> Problem:
        """The problem."""
        if not self.family:
            return PROBLEMS[self.name]()
        problem = draw(self.family, self.seed, **json.loads(self.parameters))
        problem.name, problem.description = self.name, f"{problem.name}: {problem.description}"
        return problem


@cache
def instances(version: int = LATEST) -> dict[str, Instance]:
    """The instances of a version by name.

    Raises
    ------
    ValueError
        There is no such version, or its file is not what was published.
    """
    if version not in VERSIONS:
        raise ValueError(f"version is {version!r}: versions of the suite are {', '.join(map(str, VERSIONS))}.")
    raw = files("convexgan.problems").joinpath(f"suite-{version}.csv").read_bytes()
    if hashlib.sha256(raw).hexdigest() != VERSIONS[version]:
        raise ValueError(f"suite-{version}.csv is not the published file: install convexgan again.")
    rows: Any = csv.DictReader(io.StringIO(raw.decode(), newline=""))
    made = (Instance(**row | {"seed": int(row["seed"]), "value": float(row["value"])}) for row in rows)
    return {instance.name: instance for instance in made}


def suite(version: int = LATEST) -> tuple[str, ...]:
    """The names of all instances of the suite, for `load`: the problems of `list`, and draws of every family.

    Parameters
    ----------
    version : int
        A version that was published stays what it is.
    """
    return tuple(instances(version))


def load(name: str, version: int = LATEST) -> Problem:
    """A problem of the suite by name; its optimum is certified when it is first asked for.

    Parameters
    ----------
    name : str
        Of `suite`.
    version : int
        Of the suite.

    Raises
    ------
    ValueError
        For an unknown name, or if the problem came out otherwise than when the suite was published.
    FileNotFoundError
        For the ORL problems without the extra ``demo``.

    Examples
    --------
    >>> import convexgan as cg
    >>> problem = cg.problems.load("quadratic-critical-width")
    >>> round(problem.value, 9), problem.kind
    (16.5, 'saddle')
    """
    known = instances(version)
    instance = known[check_choice(name, "name", known)]
    problem = instance.make()
    if problem.fingerprint != instance.fingerprint:
        raise ValueError(
            f"{name} came out as {problem.fingerprint}, published as {instance.fingerprint}: a library makes its data "
            "differently; install the versions in constraints.txt to compare with published results."
        )
    return problem
