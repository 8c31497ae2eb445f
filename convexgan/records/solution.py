"""What `solve` returns: both players, the certificate and how it was found."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan import generators
from convexgan._tools.files import write_model
from convexgan._tools.tables import read_names
from convexgan.discriminators import TwoLayerDiscriminator, activation_from, parameters
from convexgan.generators import Generator
from convexgan.records.certificate import Certificate
from convexgan.records.encoding import EVIDENCE


class Status(StrEnum):
    """The status of a solution; `sentence` explains it."""

    OPTIMAL = "optimal"
    STOPPED = "stopped"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    FAILED = "failed"

    @property
    def sentence(self) -> str:
        """An explanation of the status, with the repair."""
        return {
            "optimal": "The method finished; the certificate says what it proves.",
            "stopped": "A limit was reached, it was interrupted, or the gap asked for was not: the bound holds.",
            "infeasible": "No generator of the class meets the constraint: raise beta, use lam=, or a richer class.",
            "unbounded": "The program has no finite optimum: check the constraints that were added.",
            "failed": "The solver gave no answer: try another solver or method.",
        }[self.value]


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved game.

    Attributes
    ----------
    value : float
        The generator's cost at the answer (plus lam * ipm); infinite if there is none.
    status : Status
    method : str
        The name of the method that was taken, one that `convexgan.solve` accepts as ``method``.
    generator, discriminator : callables, or None without an answer
        ``generator(Z)`` gives (n_f, d) rows, ``generator.sample(n, rng)`` fresh ones; ``discriminator(X)`` scores.
    certificate : Certificate or None
    stats : dict
        The reason for the method, seconds, options that made no difference (``unused``); for programs solver, version
        and options.
    warnings : tuple of str
        What a user should know about the problem, printed with the solution.
    """

    value: float
    status: Status
    method: str
    generator: Generator | None
    discriminator: TwoLayerDiscriminator | None
    certificate: Certificate | None
    stats: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        evidence = None if self.certificate is None else self.certificate.evidence
        if evidence is not None and self.discriminator is not None:
            named = replace(self.discriminator, columns=read_names(evidence.settings.get("columns")))
            object.__setattr__(self, "discriminator", named)

    def __str__(self) -> str:
        lines = [f"{self.status}: {self.status.sentence}", f"method {self.method}, value {self.value:.10g}"]
        if self.certificate is not None:
            lines.append(str(self.certificate))
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one .npz file, atomically and without pickles."""
        write_model(path, "solution", *self.state())

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON settings and arrays from which `from_state` makes the solution again.

        Raises
        ------
        ValueError
            There is nothing to save: the call ended without an answer.
        """
        critic = self.discriminator
        if self.generator is None or critic is None or self.certificate is None:
            raise ValueError(f"nothing to save: the status is {self.status.value!r}.")
        described, arrays = generators.state(self.generator)
        proof, large = self.certificate.parts()
        settings = {
            "status": self.status.value,
            "method": self.method,
            "stats": json.loads(json.dumps(self.stats, default=str)),
            "warnings": list(self.warnings),
            "generator": described,
            "activation": [critic.activation.name, *parameters(critic.activation)],
            "certificate": proof,
        }
        stored = {f"generator.{name}": array for name, array in arrays.items()}
        stored |= {EVIDENCE + name: array for name, array in large.items()}
        return settings, stored | {"neurons": critic.neurons, "outer": critic.outer, "biases": critic.biases}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Solution:
        """The solution whose `state` was saved; KeyError, TypeError or ValueError if it is damaged."""
        prefix = "generator."
        weights = {name[len(prefix) :]: a for name, a in arrays.items() if name.startswith(prefix)}
        name, *coefficients = settings["activation"]
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("it has entries that are not finite")
        certificate = Certificate.from_json(settings["certificate"], apart=lambda name: arrays[EVIDENCE + name])
        return cls(
            certificate.value,
            Status(settings["status"]),
            settings["method"],
            generators.restore(settings["generator"], weights),
            TwoLayerDiscriminator(
                arrays["neurons"], arrays["outer"], activation_from(name, coefficients), arrays["biases"]
            ),
            certificate,
            settings["stats"],
            tuple(settings["warnings"]),
        )


def unsolved(status: Status, method: str, message: str) -> Solution:
    """The solution of a game that has none, for ``throw=False``."""
    return Solution(math.inf, status, method, None, None, None, {"message": message})


def shortfall(certificate: Certificate) -> str:
    """Why an answer whose certificate is of kind "infeasible" is none."""
    if certificate.relative_violation > certificate.tol:
        return (
            f"the answer violates the constraint by {certificate.relative_violation:.2g} relative, above "
            f"tol = {certificate.tol:g}"
        )
    return (
        f"the answer's value {certificate.value:.10g} is below the bound {certificate.bound:.10g} by more than "
        f"tol = {certificate.tol:g} relative, so the answer is inaccurate"
    )
