"""Whether what is installed works here: versions, matrix kernels, memory, solvers, a small problem for each room."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import typer

from convexgan._tools.extras import install
from convexgan.cli.console import Json, phase, print_json, print_table, result
from convexgan.cli.info import version_of
from convexgan.exceptions import ConvexGANError

TESTED = ((3, 11), (3, 12), (3, 13))
LITTLE = 2**30  # bytes of memory, or of room for files, below which pictures do not fit
NAMED, DEVELOPING = re.compile(r"([\w.-]+)(?:\[.*\])?\s*(?:>=\s*([\d.]+))?"), 'extra == "dev"'
AGAIN = "pip install --force-reinstall convexgan"


class Finding(NamedTuple):
    """What was looked at, what was found, and the repair; none where all is well."""

    what: str
    found: str
    repair: str = ""


class NotInstalledError(Exception):
    """A room needs an extra that is not there, which is no fault."""


def doctor(as_json: Json = False) -> None:
    """Look whether everything works on this machine, and say how to repair what does not; exit code 1 if something is.

    Every conic solver solves a small program, and every room a small problem whose answer is known.

    Example: convexgan doctor
    """
    with phase("looking"):
        findings = [*_machine(), *_packages(), *_solvers(), *_rooms()]
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        print_table(("what", "found", "repair"), [tuple(finding) for finding in findings])
    wrong = sum(bool(finding.repair) for finding in findings)
    if not as_json:
        result("all is well" if not wrong else f"{wrong} to repair")
    if wrong:
        raise typer.Exit(1)


# -- the machine ---------------------------------------------------------------------------------------------------


def _machine() -> Iterator[Finding]:
    """Python, kernels and threads, int8, memory, room for files."""
    from convexgan._tools.memory import physical_memory
    from convexgan.statistics.integers import int8_is_exact

    own = tuple(map(int, platform.python_version_tuple()[:2]))
    repair = "" if own >= TESTED[0] else "install Python 3.11, 3.12 or 3.13"
    untested = "" if own in TESTED else ", which is not tested"
    yield Finding("python", f"{platform.python_version()}{untested}", repair)
    yield from _kernels()
    how = "multiplied as int8" if int8_is_exact("cpu") else "multiplied in float32, with the same result"
    yield Finding("bytes", how)
    memory, room = physical_memory(), shutil.disk_usage(tempfile.gettempdir()).free
    yield Finding("memory", f"{memory / 1e9:.3g} GB", "close programs, or lift the limit" if memory < LITTLE else "")
    yield Finding("room for files", f"{room / 1e9:.3g} GB", "free some, or set TMPDIR" if room < LITTLE else "")


def _kernels() -> Iterator[Finding]:
    """The libraries of linear algebra that numpy and scipy have loaded."""
    import scipy.linalg  # noqa: F401  # has a library of its own
    from threadpoolctl import threadpool_info

    cores = os.cpu_count() or 1
    for library in threadpool_info():
        if library["user_api"] != "blas":
            continue
        kernel, threads = library.get("architecture") or "one kernel", library["num_threads"]
        repair = f"set OMP_NUM_THREADS={cores}: more threads than processors wait for each other"
        name = f"{library['internal_api']} {library.get('version') or ''}".strip()
        yield Finding(name, f"{kernel}, {threads} threads", repair if threads > cores else "")


def _packages() -> Iterator[Finding]:
    """What pyproject.toml requires, and each extra that is there, by the versions asked for."""
    lines = [line.partition(";") for line in importlib.metadata.requires("convexgan") or ()]
    asked = {line.strip(): "extra" in marker for line, _, marker in lines if DEVELOPING not in marker}
    for requirement, optional in asked.items():
        name, least = NAMED.match(requirement).groups()  # type: ignore[union-attr]
        version = version_of(name)
        if version is None:
            if not optional:
                yield Finding(name, "not installed", f"pip install '{requirement}'")
            continue
        old = least is not None and _numbers(version) < _numbers(least)
        yield Finding(name, version, f"pip install --upgrade '{requirement}'" if old else "")


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


# -- solvers and rooms ---------------------------------------------------------------------------------------------


def _solvers() -> Iterator[Finding]:
    """Each conic solver on one small program."""
    from convexgan.conic.solvers import BACKENDS

    for name, backend in BACKENDS.items():
        if missing := backend.missing():
            yield Finding(name, missing.partition(":")[0])
            continue
        yield _tried(name, f"pip install --force-reinstall {backend.package}", partial(_solved_by, name))


def _solved_by(solver: str) -> None:
    """Raise unless a solver's value is right."""
    import convexgan as cg

    _near(cg.solve(X3, cg.GaussianLatent(3), beta=0.5, method="program", solver=solver).value, VALUE3, 1e-5)


def _rooms() -> Iterator[Finding]:
    """A small problem for each room."""
    for name, problem in PROBLEMS.items():
        yield _tried(name, AGAIN, problem)


def _tried(name: str, repair: str, problem: Callable[[], None]) -> Finding:
    """How a problem went."""
    start = time.perf_counter()
    try:
        problem()
    except NotInstalledError as missing:
        return Finding(name, str(missing))
    except (ConvexGANError, ArithmeticError, ValueError, TypeError, ImportError, AttributeError, OSError) as error:
        return Finding(
            name, f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", repair
        )
    return Finding(name, f"works ({time.perf_counter() - start:.2f} s)")


def _near(found: float, expected: float, tol: float = 1e-6) -> None:
    """Raise unless a number is the one expected."""
    if not abs(found - expected) <= tol * max(abs(expected), 1.0):
        raise ValueError(f"{found:.10g} where {expected:.10g} is right")


def _needs(*modules: str) -> None:
    """Raise NotInstalledError for what is not there."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise NotInstalledError(f"not installed: {install(module)}")


def _games() -> None:
    import convexgan as cg

    X = np.diag(np.sqrt(5 * np.array([9, 6, 4, 1.5, 0.4])))
    sol = cg.solve(X, cg.GaussianLatent(5), beta=1.0)
    _near(sol.value, 16.5)
    if sol.certificate is None or not cg.verify(sol.certificate, X).kind == sol.certificate.kind == "saddle":
        raise ValueError("the certificate of a saddle does not hold")


def _arrangements() -> None:
    import convexgan as cg

    _near(cg.ipm(np.eye(2), np.zeros((1, 2))).value, 0.5**0.5)


def _datasets() -> None:
    from convexgan.datasets import load

    _near(len(load("digits").images), 1797)


def _dynamics() -> None:
    from convexgan.dynamics import LinearGame, predict

    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    _near(float(predict(LinearGame(zero, one, one, zero), 0.3, "simultaneous").rate), 1.09**0.5)


def _estimators() -> None:
    import convexgan as cg

    X = np.random.default_rng(0).standard_normal((30, 3))
    _near(float(np.abs(cg.ConvexWGAN(beta=0.1).fit(X).mean_ - X.mean(axis=0)).max()), 0.0)


def _gaussian() -> None:
    from convexgan.gaussian import squared_wasserstein

    _near(float(squared_wasserstein(np.eye(2), 4 * np.eye(2), np.zeros(2), np.ones(2))), 4.0)


def _linear_gan() -> None:
    from convexgan.linear_gan import unsupervised

    X = np.diag([2.0, 1.0, 0.5])
    W = unsupervised(X, 3)
    _near(float(np.abs(W.T @ W - X.T @ X / 3).max()), 0.0)


def _metrics() -> None:
    from convexgan.metrics import frechet_distance

    _near(frechet_distance(PICTURES, PICTURES, "pixels=2", resamples=2).value, 0.0)


def _plotting() -> None:
    _needs("matplotlib")
    from convexgan.plotting import spectrum_plot

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "spectrum.png")
        spectrum_plot([np.array([2.0, 1.0])], [0.5], ["a"], path)
        if not os.path.getsize(path):
            raise ValueError("a figure is empty")


def _problems() -> None:
    _needs("torch", "safetensors")
    import convexgan as cg

    _near(cg.problems.load("quadratic-critical-width").value, 16.5)


def _programs() -> None:
    import convexgan as cg

    made = cg.program(X3, cg.GaussianLatent(3), beta=0.5)
    made.solve()
    _near(made.problem.value, VALUE3, 1e-5)


def _progressive() -> None:
    import convexgan as cg

    model = cg.ProgressiveConvexGAN(ranks=[5, 10]).fit(PICTURES)
    _near(sum(stage.certificate.kind == "saddle" for stage in model.stages_), 2)


def _torch() -> None:
    _needs("torch", "safetensors")
    import torch

    import convexgan as cg
    from convexgan.torch import from_solution

    sol = cg.solve(X3, cg.GaussianLatent(3), beta=0.5)
    made, Z = from_solution(sol)[0], np.eye(3)
    if sol.generator is not None:
        _near(float(np.abs(made(torch.from_numpy(Z)).detach().numpy() - sol.generator(Z)).max()), 0.0)


def _updates() -> None:
    from convexgan.updates import Game, State, extragradient

    class Bilinear(Game):
        """x y."""

        def grad_x(self, x: Any, y: Any) -> Any:
            """y."""
            return y

        def grad_y(self, x: Any, y: Any) -> Any:
            """x."""
            return x

    _near(float(extragradient(Bilinear(), State(np.array([0.6]), np.array([-0.8])), (0.1, 0.1)).x[0]), 0.674)


X3, VALUE3 = np.diag([3.0, 2.0, 1.0]), 10 / 3  # at beta = .5
PICTURES = np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8)
PROBLEMS: dict[str, Callable[[], None]] = {
    "games": _games,
    "arrangements": _arrangements,
    "datasets": _datasets,
    "dynamics": _dynamics,
    "estimators": _estimators,
    "gaussian": _gaussian,
    "linear_gan": _linear_gan,
    "metrics": _metrics,
    "plotting": _plotting,
    "problems": _problems,
    "programs": _programs,
    "progressive": _progressive,
    "torch": _torch,
    "updates": _updates,
}
