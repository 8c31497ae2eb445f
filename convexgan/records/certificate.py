"""The certificate record: numbers that prove how good an answer is, with the evidence to recompute them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.files import check_target, write_bytes, write_npz
from convexgan.records.encoding import Apart, decoded, encoded, evidence_path, hashed, is_large, read_beside

Kind = Literal["saddle", "minimax", "bounded", "restricted", "stationary", "infeasible"]

KINDS: dict[str, str] = {
    "saddle": "global optimum and saddle point: neither player can improve",
    "minimax": "global optimum of min-max; no saddle point exists at this width or penalty",
    "bounded": "feasible, with a valid global bound; the gap is above the tolerance",
    "restricted": "best within extra constraints; the bound holds for the unconstrained game",
    "stationary": "a local optimum only",
    "infeasible": "the generator violates the constraint: its value proves nothing",
}


@dataclass(frozen=True)
class Evidence:
    """Everything but the data from which a certificate is recomputed.

    Attributes
    ----------
    settings : dict
        "game", the name of its family ("moments", "rows", "gaussian" or "means"), and what describes it: activation,
        beta or lam, penalty, regularizer, and so on, as JSON values.
    arrays : dict of arrays
        ``factor`` (r, d) and ``mean`` (d,) of the generated law, whose second moment is factor' factor;
        ``latent_values`` (r,) and ``latent_mean`` (r,) of the generator class; ``neurons``, ``outer`` of the critic.
    """

    settings: dict[str, Any]
    arrays: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Agreement:
    """The comparison of a claim with a referee's recomputation.

    Attributes
    ----------
    differing : tuple of str
        What is claimed and not so.
    better : tuple of str
        What is better than claimed: a longer search proves more.
    """

    differing: tuple[str, ...]
    better: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differing


@contextmanager
def reading_evidence(evidence: Evidence) -> Iterator[None]:
    """Whatever evidence from elsewhere breaks is one ValueError that says what is wrong with it."""
    try:
        for name, array in evidence.arrays.items():
            if not (np.abs(array) < HUGE).all():
                raise ValueError(f"{name} has entries that are not finite, or larger than {HUGE:g}")
        yield
    except KeyError as error:
        raise ValueError(f"the certificate's evidence is damaged: there is no {error} in it.") from None
    except DAMAGE as error:
        raise ValueError(
            f"the certificate's evidence does not fit X or is damaged: {str(error).rstrip('.')}."
        ) from None


@dataclass(frozen=True)
class Certificate:
    """How far an answer can be from the optimum, recomputed from the data.

    Attributes
    ----------
    value : float
        R_g of the generator; plus lam * ipm for norm-bounded discriminators.
    bound : float
        A lower bound on the optimal value.
    ipm : float
        The best response of the discriminator to the generator, max over D of |mean D(X) - mean D(G)|.
    violation : float
        max(ipm - beta, 0); 0 for norm-bounded discriminators.
    relative_violation : float
        violation / max(beta, ipm(X, 0)).
    kind : str
        One of `KINDS`.
    max_min : float
        The value the discriminator guarantees by itself: min over G of the game's payoff.
    min_neurons : int or None
        The smallest discriminator with a saddle point; None where there is none, or it is not known.
    origin : str
        Where the bound comes from.
    rounding : float
        The size below which values are rounding noise of the data's moments.
    tol : float
        The tolerance with which the kind was decided.
    eigenvalue_error : float
        How far the data's eigenvalues down to beta may lie above those used, where they come from an iteration; ``ipm``
        and ``violation`` are then upper bounds that take it into account.
    failure : float
        The probability, over random vectors drawn by that iteration, that they are not.
    enclosures : dict or None
        After ``verify(.., rigorous=True)``: between which numbers value, ipm, violation and optimum lie.
    agreement : Agreement or None
        After ``verify``: whether this agrees with the claim, and what does not.
    """

    value: float
    bound: float
    ipm: float
    violation: float
    relative_violation: float
    kind: Kind
    max_min: float
    min_neurons: int | None
    origin: str
    rounding: float = 0.0
    tol: float = 1e-6
    evidence: Evidence | None = field(default=None, repr=False, compare=False)
    eigenvalue_error: float = 0.0
    failure: float = 0.0
    enclosures: dict[str, tuple[float, float]] | None = field(default=None, compare=False)
    agreement: Agreement | None = field(default=None, repr=False, compare=False)

    @property
    def absolute_gap(self) -> float:
        """value - bound, infinite if the constraint is violated."""
        if self.kind == "infeasible":
            return math.inf
        return self.value - self.bound

    @property
    def gap(self) -> float:
        """(value - bound) / max(|value|, |bound|); 0 if both are 0 to rounding, infinite if infeasible."""
        return math.inf if self.kind == "infeasible" else relative_gap(self.value, self.bound, self.rounding)

    def optimal(self, tol: float | None = None) -> bool:
        """Whether the value is the global optimum of min-max to the relative tolerance (default: ``self.tol``)."""
        limit = self.tol if tol is None else tol
        if self.kind not in ("saddle", "minimax") or self.relative_violation > limit:
            return False
        return self.kind == "minimax" or self.gap <= limit

    def __str__(self) -> str:
        unknown = "none at any width" if self.kind == "minimax" else "width not determined"
        width = unknown if self.min_neurons is None else f"{self.min_neurons} neurons"
        lines = [
            f"{self.kind}: {KINDS[self.kind]}",
            f"  value               {self.value:.10g}",
            f"  bound               {self.bound:.10g}   ({self.origin})",
            f"  gap                 {self.gap:.3g} relative, {self.absolute_gap:.3g} absolute",
            f"  ipm                 {self.ipm:.10g}",
            f"  violation           {self.violation:.3g}, {self.relative_violation:.3g} relative",
            f"  max-min             {self.max_min:.10g}   (guaranteed by the discriminator alone)",
            f"  saddle point from   {width}",
        ]
        if self.failure > 0:
            wrong = f"wrong with probability {self.failure:.1g}"
            lines.append(
                f"  eigenvalue error    {self.eigenvalue_error:.3g} at most   (ipm and violation include it; {wrong})"
            )
        for name, (low, high) in (self.enclosures or {}).items():
            lines.append(f"  {name:<19} in [{low:.17g}, {high:.17g}]")
        return "\n".join(lines)

    def to_json(self) -> str:
        """The certificate and its evidence as JSON text; infinities are strings."""
        return self._text(encoded, VERSION)

    def parts(self) -> tuple[str, dict[str, NDArray[np.float64]]]:
        """JSON text that holds hashes of the large arrays of the evidence, and these arrays, to be kept elsewhere."""
        arrays = {} if self.evidence is None else self.evidence.arrays
        large = {name: array for name, array in arrays.items() if is_large(array)}
        return self._text(hashed, APART if large else VERSION), large

    def _text(self, large: Callable[[NDArray[np.float64]], dict[str, Any]], version: int) -> str:
        numbers = {name: getattr(self, name) for name in NUMBERS}
        content: dict[str, Any] = {
            "format": "convexgan certificate",
            "version": version,
            **{k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in numbers.items()},
            "gap": str(self.gap) if not math.isfinite(self.gap) else self.gap,
        }
        if self.evidence is not None:
            arrays = {name: large(array) for name, array in self.evidence.arrays.items()}
            content["evidence"] = {"settings": self.evidence.settings, "arrays": arrays}
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str, *, apart: Callable[[str], NDArray[Any]] | None = None) -> Certificate:
        """The certificate written by `to_json`; its numbers are claims until recomputed with `verify`.

        Parameters
        ----------
        text : str
        apart : callable, optional
            From the name to the array of what `parts` has separated.

        Raises
        ------
        ValueError
            The text is no certificate of a known version, or its kind, width or origin is none; an array that it holds
            the hash of is another.
        """
        return cls._whole(*_parsed(text), apart)

    @classmethod
    def _whole(
        cls, values: dict[str, Any], evidence: Evidence | None, apart: Callable[[str], NDArray[Any]] | None
    ) -> Certificate:
        """The certificate of what was read from JSON, with the arrays that are elsewhere."""
        for name, array in ({} if evidence is None else evidence.arrays).items():
            if isinstance(array, Apart):
                evidence.arrays[name] = array.found(name, apart)
        return cls(**values, evidence=evidence)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the certificate to a JSON file, and large arrays of its evidence to an .npz file beside it.

        That of ``cert.json`` is ``cert.json.npz``. Each is written all or nothing, the arrays first, whose hashes the
        other holds.
        """
        (text, large), beside = self.parts(), evidence_path(path)
        check_target(Path(path))
        if large:
            write_npz(beside, large)
        write_bytes(path, f"{text}\n".encode())
        if not large:
            beside.unlink(missing_ok=True)  # of what was here before

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Certificate:
        """The certificate in a file that `save` has written, or that holds what `to_json` returns.

        Raises
        ------
        ValueError
            As `from_json`; the file beside it is damaged, or of another certificate.
        FileNotFoundError
            There is no such file, or not the one beside it.
        """
        try:
            parts = _parsed(Path(path).read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not a convexgan certificate: pass the .json first, then the data.") from None
        except ValueError as error:
            raise ValueError(f"{path} is {error}") from None
        try:
            return cls._whole(*parts, partial(read_beside, path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


DAMAGE = (
    TypeError,
    AttributeError,
    IndexError,
    ValueError,
    ArithmeticError,
    MemoryError,
)  # what strange contents raise
VERSION = 2  # of files: their evidence names its game
APART = 3  # and holds hashes of arrays that are elsewhere
HUGE = 1e100  # squares of smaller numbers are finite
LATER = ("eigenvalue_error", "failure")  # files without them are from complete decompositions
FLOATS = ("value", "bound", "ipm", "violation", "relative_violation", "max_min", "rounding", "tol", *LATER)
NUMBERS = (*FLOATS, "kind", "min_neurons", "origin")


def _of_version_1(evidence: Evidence, kind: str) -> Evidence:
    """Evidence that names its game, which in files of version 1 its contents tell, and what it leaves unproved."""
    game, unproved = "moments", kind if kind in ("restricted", "stationary") else "bounded"
    if evidence.settings.get("latent") == "gaussian":
        game = "gaussian"
    elif "hidden" in evidence.arrays:
        game = "means"
    elif "points" in evidence.arrays:
        game = "rows"
    return Evidence({"game": game, "unproved": unproved} | evidence.settings, evidence.arrays)


def _parsed(text: str) -> tuple[dict[str, Any], Evidence | None]:
    """The fields of the certificate in JSON text, and its evidence, in which some arrays may be `Apart`."""
    try:
        content = json.loads(text)
        if content["format"] != "convexgan certificate" or content["version"] not in (1, VERSION, APART):
            raise KeyError("format")
        values: dict[str, Any] = {name: content[name] for name in NUMBERS if name in content or name not in LATER}
        for name in FLOATS:
            values[name] = float(values.get(name, 0.0))
        width, origin = values["min_neurons"], values["origin"]
        if values["kind"] not in KINDS:
            raise ValueError(f"kind {values['kind']!r}")
        if not isinstance(origin, str) or not (width is None or type(width) is int):
            raise ValueError(f"min_neurons {width!r}, origin {origin!r}")
        if "evidence" not in content:
            return values, None
        arrays: dict[str, Any] = {name: decoded(array) for name, array in content["evidence"]["arrays"].items()}
        evidence = Evidence(dict(content["evidence"]["settings"]), arrays)
        return values, _of_version_1(evidence, values["kind"]) if content["version"] == 1 else evidence
    except (KeyError, RecursionError, *DAMAGE) as error:
        raise ValueError(f"not a convexgan certificate of version 1, {VERSION} or {APART} ({error}).") from None


def unit_lengths(neurons: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lengths (m, 1) of a discriminator's neurons, by which to divide them; ValueError if they are not 1."""
    lengths = np.linalg.norm(neurons, axis=1, keepdims=True)
    if np.any(np.abs(lengths - 1) > 1e-9):
        raise ValueError("its neurons are not unit vectors")
    return np.where(np.abs(lengths - 1) <= 1e-15, 1.0, lengths)  # already as near as numbers come


def within_budget(outer: NDArray[np.float64], lam: float | None) -> NDArray[np.float64]:
    """A discriminator's outer weights, exactly within the bound on their norm; ValueError if that is not rounding."""
    size = float(np.abs(outer).sum())
    if lam is None or size <= lam:
        return outer
    if size > lam * (1 + 1e-9):
        raise ValueError("its discriminator is beyond its norm bound")
    return np.asarray(outer * (lam / size))


def relative_gap(value: float, bound: float, rounding: float = 0.0) -> float:
    """(value - bound) / max(|value|, |bound|), 0 if both are at most ``rounding``."""
    scale = max(abs(value), abs(bound))
    if scale <= rounding:
        return 0.0
    return math.inf if math.isinf(scale) else (value - bound) / scale
