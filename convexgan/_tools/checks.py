"""Argument checks: every message names the argument, says what was found and how to repair it."""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_floats
from convexgan._tools.memory import physical_memory

T = TypeVar("T")
# where torch has no class of its own: memory on the CPU, a GPU that is full before anything is on it, and cuBLAS
EXHAUSTED = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def check_finite(rows: NDArray[Any], name: str) -> float:
    """The largest absolute entry; raises if there is a NaN or an infinity (two passes, no temporary)."""
    if rows.dtype.kind != "f":
        return float(rows.max(initial=0))
    low, high = float(rows.min()), float(rows.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(np.count_nonzero(~np.isfinite(rows).all(axis=1)))
        raise ValueError(
            f"{name} (shape {rows.shape}) has NaN or infinite entries in {bad} rows: "
            f"drop them with {name}[np.isfinite({name}).all(axis=1)] or impute them."
        )
    return max(abs(low), abs(high))


def check_columns(rows: NDArray[Any], dim: int, name: str, other: str) -> None:
    """Raise unless the rows have ``dim`` columns."""
    if rows.shape[1] != dim:
        raise ValueError(
            f"{name} has shape {rows.shape} but {other} has {dim} columns: both must describe the same features."
        )


def check_weights(weights: Any, rows: int, name: str) -> NDArray[np.float64]:
    """Non-negative row weights with a positive sum, shape (rows,)."""
    w = as_floats(weights, name)
    if w.shape != (rows,):
        raise ValueError(f"{name} must have shape ({rows},), one weight a row, got {w.shape}.")
    if not np.isfinite(w).all() or (w < 0).any() or not w.any():
        raise ValueError(f"{name} must be finite and non-negative with a positive sum.")
    if not 1e-290 < w.max() < 1e300 / rows:
        raise ValueError(f"{name} are up to {w.max():.2g}, beyond what can be summed: divide them by their maximum.")
    return w


def check_number(value: Any, name: str, *, positive: bool = False, signed: bool = False) -> float:
    """A finite float, non-negative (or positive, or of any sign); a NaN, a bool or a string is refused."""
    if isinstance(value, (bool, np.bool_, str)):
        raise ValueError(f"{name} must be a number, got {value!r}.")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be a number, got {value!r}.") from None
    if not np.isfinite(number) or (number < 0 and not signed) or (positive and number == 0):
        allowed = "" if signed else " and positive" if positive else " and >= 0"
        raise ValueError(f"{name} must be finite{allowed}, got {value!r}.")
    return number


def check_count(value: Any, name: str, least: int = 1) -> int:
    """An integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}.")
    return int(value)


def as_rng(value: Any, name: str = "rng") -> np.random.Generator:
    """The random numbers of a seed, or the Generator that was passed."""
    try:
        return np.random.default_rng(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an integer >= 0, a numpy Generator or None, got {value!r}.") from None


def check_flag(value: Any, name: str) -> bool:
    """True or False, and nothing else."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def check_choice(value: Any, name: str, choices: Iterable[str]) -> str:
    """The value if it is one of the choices; otherwise an error that suggests the nearest."""
    options = list(choices)
    if isinstance(value, str) and value in options:
        return value
    raise ValueError(
        f"unknown {name} {value!r}: choose one of {', '.join(map(repr, options))}.{nearest_of(value, options)}"
    )


def nearest_of(value: Any, options: Iterable[Any]) -> str:
    """A sentence that suggests the nearest of some options, nothing if none is near."""
    folded = {str(option).lower(): option for option in options}
    near = difflib.get_close_matches(str(value).lower(), folded, n=1, cutoff=0.4)
    return f" Did you mean {folded[near[0]]!r}?" if near else ""


def resolve(value: Any, name: str, classes: Mapping[str, type[T]]) -> T:
    """An instance from its short name, its class or itself."""
    if isinstance(value, tuple(classes.values())):
        return value  # type: ignore[return-value]
    if isinstance(value, type) and value in classes.values():
        return value()  # type: ignore[no-any-return]
    return classes[check_choice(value, name, classes)]()


def warn_user(message: str) -> None:
    """Warn of the line outside this package from which it was called."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "convexgan":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def check_memory(dim: int) -> None:
    """Raise before a (dim, dim) float64 eigenproblem that cannot fit in this machine's memory."""
    need = 4 * 8 * dim**2  # the matrix, its eigenvectors, LAPACK's workspace and one product
    total = physical_memory()
    if need > total:
        raise ValueError(
            f"X has {dim} columns: the second moment and its eigenvectors need {need / 2**30:.0f} GiB and this "
            f"machine has {total / 2**30:.0f} GiB. Reduce the columns (smaller pictures), or pass fewer rows than "
            "columns, for which only the rows are kept."
        )


def is_exhausted(error: BaseException) -> bool:
    """Whether the system, numpy or torch says that memory was not enough; the package's own errors say what to do."""
    if isinstance(error, MemoryError):
        return type(error) is not MemoryError or not error.args
    if not isinstance(error, RuntimeError):
        return False
    known = type(error).__name__ == "OutOfMemoryError"  # of torch, which is not imported for this
    inner = error.__cause__ is not None and is_exhausted(error.__cause__)  # torch.onnx wraps whatever it meets
    return known or inner or any(sign in str(error) for sign in EXHAUSTED)


def check_bytes(value: Any, name: str) -> int:
    """A number of bytes, from an integer or from text like "2GB" (10^9) or "512MiB" (2^20)."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMGT]?)(i?)B?", str(value))
    if isinstance(value, (bool, float)) or found is None:
        raise ValueError(f"{name} must be a number of bytes or text like '2GB' or '512MiB', got {value!r}.")
    number, prefix, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(prefix.upper() or " "))
