"""The best response of ReLU neurons as a mixed-integer program: SCIP's value is that of ipm; added constraints."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

import convexgan as cg
from convexgan.discriminators import ReLU
from convexgan.programs import ipm_program, relu_program

pytest.importorskip("pyscipopt")


def pair(seed, d, n=6):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) + rng.standard_normal(d) / 2, 1.3 * rng.standard_normal((n, d))


@pytest.mark.parametrize(
    ("d", "scale", "activation", "bias"),
    [
        (2, 1.0, ReLU(), "none"),
        (2, 1e-4, ReLU(), "none"),
        (2, 1e4, ReLU(), "none"),
        (3, 1.0, ReLU(), "none"),
        (1, 1.0, ReLU(), "penalized"),
        (2, 1.0, ReLU(0.2), "none"),
        (2, 1.0, ReLU(-1.0), "none"),
    ],
)
def test_the_solver_agrees_with_the_search(d, scale, activation, bias):
    X, Y = (scale * s for s in pair(d, d))
    found, exact = ipm_program(X, Y, activation, bias=bias).solve("SCIP"), cg.ipm(X, Y, activation, bias=bias)
    assert found.status == "optimal" and found.sign == exact.sign
    assert found.value == pytest.approx(exact.value, rel=1e-5)
    assert found.value <= exact.value * (1 + 1e-9)
    assert np.linalg.norm(found.direction) <= 1 + 1e-12


def test_each_sign_is_a_problem_of_its_own():
    X, Y = pair(0, 2)
    program, turned = ipm_program(X, Y), ipm_program(Y, X)
    values = [problem.solve(solver="SCIP") for problem in (program.plus, program.minus)]
    assert max(values) == pytest.approx(cg.ipm(X, Y).value, rel=1e-5)
    assert values[::-1] == pytest.approx([p.solve(solver="SCIP") for p in (turned.plus, turned.minus)], abs=1e-6)


def test_only_rows_that_are_convex_for_the_sign_need_a_binary():
    rows, weights = np.random.default_rng(0).standard_normal((7, 3)), np.array([1, 1, -1, -1, -1, -1, -1.0])
    for sign, binaries in ((1.0, 2), (-1.0, 5)):
        variables = relu_program(rows, weights, sign).variables()
        assert sum(v.size for v in variables if v.attributes["boolean"]) == binaries
        assert "direction" in [v.name() for v in variables]


def test_constraints_on_the_direction():
    X, Y = pair(1, 3)
    program, exact = ipm_program(X, Y), cg.ipm(X, Y).value
    found = program.solve("SCIP", constraints=[program.direction >= 0])
    assert found.direction.min() >= -1e-8 and found.value <= exact * (1 + 1e-9)
    U = np.abs(np.random.default_rng(0).standard_normal((20_000, 3)))
    U /= np.linalg.norm(U, axis=1)[:, None]
    sampled = np.abs(ReLU()(X @ U.T).mean(0) - ReLU()(Y @ U.T).mean(0)).max()
    assert sampled <= found.value * (1 + 1e-7) and sampled >= 0.97 * found.value
    with pytest.raises(cg.InfeasibleError, match="no direction"):
        program.solve("SCIP", constraints=[cp.sum(program.direction) >= 2])


def test_a_direction_outside_the_span_of_the_rows_is_allowed():
    X, Y = (np.column_stack([s, s[:, 0]]) for s in pair(2, 1))  # rank 1 in two columns
    program = ipm_program(X, Y)
    found = program.solve("SCIP", constraints=[program.direction[0] == 0])
    along = ipm_program(X[:, 1:], Y[:, 1:]).solve("SCIP")
    assert found.value == pytest.approx(along.value, rel=1e-5)


def test_what_is_refused(monkeypatch):
    X, Y = pair(0, 2)
    with pytest.raises(ValueError, match="for ReLU neurons"):
        ipm_program(X, Y, "quadratic")
    with pytest.raises(ValueError, match="unknown bias"):
        ipm_program(X, Y, bias="free")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'convexgan\[scip\]'"):
        ipm_program(X, Y).solve("SCIP")
