"""`convexgan doctor` finds what does not work, and names the repair."""

from __future__ import annotations

import importlib.metadata
import json
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import convexgan as cg
from convexgan.cli import doctor
from convexgan.cli.app import app
from convexgan.conic.solvers import BACKENDS

OPTIONAL = ("problems", "torch") if find_spec("torch") is None else ("torch",)


def findings(code: int = 0) -> dict[str, dict[str, Any]]:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == code, (done.output, done.exception)
    return {finding["what"]: finding for finding in json.loads(done.stdout)}


def test_all_is_well_here() -> None:
    found = findings()
    assert not any(finding["repair"] for finding in found.values())
    assert {"python", "memory", "numpy", "cvxpy", *BACKENDS, *doctor.PROBLEMS} <= found.keys()
    assert all(found[name]["found"].startswith(("works", "not installed")) for name in doctor.PROBLEMS)
    assert "all is well" in CliRunner().invoke(app, ["doctor"]).stdout


def test_every_room_has_a_problem() -> None:
    assert set(cg._ROOMS) <= doctor.PROBLEMS.keys()


@pytest.mark.parametrize("room", [name for name in doctor.PROBLEMS if name not in ("datasets", "plotting", *OPTIONAL)])
def test_a_wrong_number_in_a_room_is_found(monkeypatch: pytest.MonkeyPatch, room: str) -> None:
    """No problem is one that cannot fail."""
    real = doctor._near
    monkeypatch.setattr(doctor, "_near", lambda found, expected, tol=1e-6: real(found + 1e-3, expected, tol))
    with pytest.raises(ValueError, match="is right"):
        doctor.PROBLEMS[room]()


@pytest.mark.parametrize("missing", ["torch", "safetensors"])  # the extra metrics brings the first without the second
def test_an_extra_that_is_there_in_part_is_no_fault(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name))
    for room in ("problems", "torch"):
        with pytest.raises(doctor.NotInstalledError, match=r"not installed: pip install 'convexgan\[torch\]'"):
            doctor.PROBLEMS[room]()


def test_a_room_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        np.linalg.cholesky(-np.eye(2))

    monkeypatch.setitem(doctor.PROBLEMS, "games", broken)
    found = findings(1)["games"]
    assert found["found"].startswith("failed: LinAlgError: Matrix is not positive definite")
    assert found["repair"] == doctor.AGAIN
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1 and "1 to repair" in done.stdout


def test_old_and_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["numpy>=99.1", "nosuchthing>=1", 'alsonot; extra == "plot"', "scipy>=1.0"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: asked)
    found = findings(1)
    assert found["numpy"]["repair"] == "pip install --upgrade 'numpy>=99.1'"
    assert found["nosuchthing"] == {
        "what": "nosuchthing",
        "found": "not installed",
        "repair": "pip install 'nosuchthing>=1'",
    }
    assert "alsonot" not in found and not found["scipy"]["repair"]


def test_a_machine_that_is_too_small_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convexgan._tools.memory.physical_memory", lambda: 2**29)
    monkeypatch.setattr(doctor.platform, "python_version_tuple", lambda: ("3", "10", "1"))
    found = findings(1)
    assert "lift the limit" in found["memory"]["repair"] and "3.11" in found["python"]["repair"]


def test_more_threads_than_processors_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    library = {"user_api": "blas", "internal_api": "openblas", "num_threads": 64, "version": "0.3"}
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: [library])
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 2)
    (found,) = doctor._kernels()
    assert found.found == "one kernel, 64 threads" and "OMP_NUM_THREADS=2" in found.repair
