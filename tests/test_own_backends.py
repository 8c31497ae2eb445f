"""A conic solver that the package does not know is a row of the table: every program is solved with it, by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import convexgan as cg
from convexgan.cli import app
from convexgan.conic.solvers import BACKENDS, Backend
from convexgan.generators import Mixture

RNG = np.random.default_rng(8)
X, PARTICLES = RNG.standard_normal((9, 2)) * [2.0, 0.7] + [0.4, -0.2], RNG.standard_normal((12, 2))
CALLS: dict[str, Callable[[str | None], cg.Solution]] = {
    "moments": lambda s: cg.solve(X, cg.GaussianLatent(2), discriminator="polynomial", beta=0.8, solver=s),
    "mixture": lambda s: cg.solve(X, discriminator="linear", generator=Mixture(PARTICLES), beta=0.4, solver=s),
    "particles anywhere": lambda s: cg.solve(X, discriminator="relu", generator=ANYWHERE, beta=0.3, solver=s),
    "rows": lambda s: cg.solve(X[:4], discriminator="relu", generator="free", beta=0.3, solver=s),
    "program": lambda s: solved(s),
}
ANYWHERE = Mixture(support="continuous")


def solved(solver: str | None) -> cg.Solution:
    program = cg.program(X, cg.GaussianLatent(2), discriminator="polynomial", beta=0.8)
    program.solve(solver=solver)
    return program.recover()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The solver's log: Clarabel under another name, by an interface of its own."""
    from cvxpy.reductions.solvers.conic_solvers.clarabel_conif import CLARABEL

    seen: list[str] = []

    class Mine(CLARABEL):  # type: ignore[misc]
        def name(self) -> str:
            return "MINE"

        def solve_via_data(self, *arguments: Any, **options: Any) -> Any:
            seen.append("solved")
            return super().solve_via_data(*arguments, **options)

    known = BACKENDS["CLARABEL"]
    monkeypatch.setitem(BACKENDS, "MINE", Backend("clarabel", known.options, unknown=known.unknown, interface=Mine()))
    return seen


@pytest.mark.parametrize("name", CALLS)
def test_every_program_is_solved_with_it(name: str, calls: list[str]) -> None:
    found, usual = CALLS[name]("mine"), CALLS[name]("CLARABEL")
    assert calls and found.stats["solver"] == "MINE" and found.stats["solver_options"]
    assert found.value == pytest.approx(usual.value, rel=1e-9)
    assert found.certificate is not None and found.certificate.kind == usual.certificate.kind


def test_the_command_takes_it_and_mistakes_name_it(calls: list[str], tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", X)
    line = ["solve", str(tmp_path / "x.npy"), "--gaussian", "2", "--discriminator", "polynomial", "--beta", "0.8"]
    done = CliRunner().invoke(app, [*line, "--solver", "MINE", "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["kind"] == "saddle" and calls
    wrong = CliRunner().invoke(app, [*line, "--solver", "MINES"])
    assert wrong.exit_code == 2 and "Did you mean 'MINE'?" in wrong.stderr


def test_one_that_is_missing_says_why(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "MINE", Backend("clarabel", dict, missing=lambda: "no licence"))
    with pytest.raises(ValueError, match="solver 'MINE' cannot be used: no licence"):
        CALLS["moments"]("MINE")
    assert not calls
