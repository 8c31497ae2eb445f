"""Constraints that a user adds to a program: their duals, what recover says of them, whom an infeasible one blames."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convexgan as cg
from tests.generators import CELLS, rows, second, seeds

TIGHT = {"solver": "CLARABEL", "tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}
GAMES = ("quadratic", "polynomial", "penalized")


def made(game, seed, size, latents=3, beta=0.1):
    """A program on correlated rows of any size with polynomial coefficients of that size, and its second moment."""
    X = size * np.random.default_rng(seed).standard_normal((40, 3)) @ np.array([[2, 1, 0], [0, 1, 1], [0, 0, 1.0]])
    X += size * np.array([0.5, 0.0, -0.3])
    neurons = cg.discriminators.Polynomial(0.5, 0.6 * size, 0.0) if game == "polynomial" else "quadratic"
    options = {"discriminator": neurons, "generator": cg.generators.Linear(bias=True), "beta": beta * size**2}
    if game == "penalized":
        options["bias"] = "penalized"
    program = cg.program(X, cg.GaussianLatent(latents), **options)
    return program, program.variables["second_moment"], X


@pytest.mark.parametrize("game", GAMES)
@given(seed=seeds, size=st.sampled_from([1e-4, 1.0, 1e3]), share=st.floats(0.85, 0.97))
@settings(max_examples=4)
def test_duals_are_those_of_the_users_problem(game, seed, size, share):
    """Three routes: the program's solve, cvxpy on a problem of one's own, and how the value changes with the limit."""
    program, S, _ = made(game, seed, size)
    program.solve()
    free = float(np.trace(S.value))
    program.parameters["beta"].value *= 4  # leaves room below
    program.solve()
    least = float(np.trace(S.value))
    limit = least + share * (free - least)
    asked = cp.trace(S) >= limit
    program.solve(constraints=asked)
    found = float(asked.dual_value)
    slope = [_value(program, cp.trace(S) >= limit * (1 + h)) for h in (1e-3, -1e-3)]
    assert found == pytest.approx((slope[0] - slope[1]) / (2e-3 * limit), rel=1e-4)
    assert found == pytest.approx(1.0, rel=1e-5)  # the cost is the trace itself
    if size == 1.0:  # in other units cvxpy's own answer is inaccurate
        cp.Problem(program.problem.objective, [*program.problem.constraints, asked]).solve(**TIGHT)
        assert float(asked.dual_value) == pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize("game", GAMES)
def test_duals_of_several_kinds_of_constraints_agree_with_cvxpy(game):
    program, S, _ = made(game, 3, 1.0, beta=0.5)
    program.solve()
    bound, target = float(np.linalg.eigvalsh(S.value)[1]) * 0.3, float(S.value[0, 1]) * 0.98
    added = [S >> bound * np.eye(3), S[0, 1] == target, cp.SOC(cp.Constant(1.02 * abs(target)), S[0, 1:] + 0.0)]
    program.solve(constraints=added)
    ours = [np.hstack([np.ravel(d.value) for d in c.dual_variables]) for c in added]
    assert np.abs(ours[0]).max() > 1e-3 and np.abs(ours[1]).max() > 1e-3
    cp.Problem(program.problem.objective, [*program.problem.constraints, *added]).solve(solver="CLARABEL")
    for mine, constraint in zip(ours, added, strict=True):
        theirs = np.hstack([np.ravel(d.value) for d in constraint.dual_variables])
        np.testing.assert_allclose(mine, theirs, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))


def _value(program, constraint):
    program.solve(constraints=constraint)
    return program.problem.value


@pytest.mark.parametrize("name", ["quadratic-linear", "polynomial-free", "linear-linear", "quadratic-penalized"])
@pytest.mark.parametrize("budget", [{"beta": 0.3}, {"lam": 0.7}], ids=str)
def test_status_value_and_own_duals_are_what_cvxpy_leaves(name, budget):
    case = CELLS[name]
    program = cg.program(case.X, case.Z, **case.options, **budget)
    assert program.problem.status is None and program.problem.value is None
    program.solve()
    status, value = program.problem.status, program.problem.value
    duals = [np.array(c.dual_value, dtype=float) for c in program.problem.constraints]
    assert program.problem.solve(**TIGHT) == pytest.approx(value, rel=1e-6)
    assert status == program.problem.status == "optimal"
    for mine, constraint in zip(duals, program.problem.constraints, strict=True):
        np.testing.assert_allclose(mine, np.array(constraint.dual_value, dtype=float), atol=1e-3)


def test_solver_keywords_are_cvxpys():
    program, _, _ = made("polynomial", 0, 1.0)
    stats = program.solve(cp.SCS, eps_abs=1e-7, max_iters=10_000)
    assert stats["solver"] == "SCS" and stats["solver_options"]["eps_abs"] == 1e-7
    assert program.solve("CLARABEL", max_iter=1)["solver_status"] == program.problem.status == cp.USER_LIMIT
    with pytest.raises(ValueError, match=r"solver_options does not suit CLARABEL.*no_such_thing"):
        program.solve("CLARABEL", no_such_thing=3)


@pytest.mark.parametrize("route", ["argument", "own problem", "own problem, not named"])
@pytest.mark.parametrize("latents", [1, 3])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_recover_evaluates_added_constraints_at_the_moments_of_the_generator(route, latents, size):
    X = size * np.random.default_rng(0).standard_normal((50, 3))
    program = cg.program(X, cg.GaussianLatent(latents), discriminator="quadratic", beta=2 * size**2)
    S = program.variables["second_moment"]
    asked = cp.diag(S) >= size**2
    if route == "argument":
        program.solve(constraints=asked)
        sol = program.recover()
    else:
        own = cp.Problem(program.problem.objective, [*program.problem.constraints, asked])
        own.solve(**TIGHT)
        sol = program.recover(own) if route == "own problem" else program.recover()
    variances = np.diag(sol.generator.weights.T @ sol.generator.weights)
    kept = bool((variances >= size**2 * (1 - 1e-6)).all())
    assert kept == (latents == 3)
    assert (sol.status, sol.certificate.kind) == (("optimal", "restricted") if kept else ("failed", "infeasible"))
    if not kept:
        assert "misses the added constraints" in sol.stats["message"] and "latent dimensions" in sol.stats["message"]


def test_the_last_solve_decides_which_constraints_were_added():
    program, S, _ = made("quadratic", 0, 1.0, latents=1, beta=9.0)
    program.solve(constraints=[cp.diag(S) >= 0.5])
    assert program.recover().status == "failed"
    program.solve()
    assert program.recover().status == "optimal"
    program.solve(constraints=[cp.diag(S) >= 0.5])
    program.problem.solve(**TIGHT)
    assert program.recover().status == "optimal"


def test_variables_of_ones_own_and_constraints_that_are_not_affine():
    program, S, X = made("polynomial", 1, 10.0)
    program.solve()
    t, m, wanted = cp.Variable(), program.variables["mean"], float(np.linalg.slogdet(S.value)[1]) + 0.5
    program.solve(constraints=[cp.norm(m - X.mean(0)) <= t, t <= 10.0, cp.log_det(S / 100) >= wanted - 3 * np.log(100)])
    sol = program.recover()
    assert sol.certificate.kind == "restricted" and sol.status == "optimal"
    W, b = sol.generator.weights, sol.generator.bias
    assert np.linalg.slogdet(W.T @ W + np.outer(b, b))[1] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_each_contradiction_is_named_as_what_it_is(size):
    X = size * rows([4.0, 1.0], 3)
    program = cg.program(X, cg.GaussianLatent(2), beta=0.5 * size**2)
    S = program.variables["second_moment"]
    for alone in ([cp.trace(S) <= -(size**2)], [S[0, 0] >= 3 * size**2, cp.trace(S) <= size**2]):
        with pytest.raises(cg.InfeasibleError, match="contradict each other") as error:
            program.solve(constraints=alone)
        assert error.value.smallest_beta == np.inf
        assert program.problem.status == "infeasible" and program.problem.value == np.inf
    with pytest.raises(ValueError, match="solve it"):
        program.recover()
    small = cp.trace(S) <= 1.0 * size**2
    with pytest.raises(cg.InfeasibleError, match="added constraints leave no generator") as error:
        program.solve(constraints=small)
    # tr S = 1 leaves 4 of the eigenvalues 4, 1: both must fall short by 2 or more
    assert error.value.smallest_beta == pytest.approx(3.0 * size**2, rel=1e-3)
    program.parameters["beta"].value = error.value.smallest_beta
    program.solve(constraints=small)
    assert program.problem.value == pytest.approx(size**2, rel=1e-3)


def test_the_class_is_blamed_only_for_what_it_excludes():
    X = rows([4.0, 1.0], 3, tilt=[0.9, 0.3], n=8)
    program = cg.program(X, rows([1.0, 1.0], n=8), discriminator="polynomial", beta=0.01)
    S = program.variables["second_moment"]
    with pytest.raises(cg.InfeasibleError, match="no generator of this class"):
        program.solve(constraints=[cp.trace(S) <= 100.0])


def test_a_single_constraint_needs_no_list_and_a_tuple_is_one():
    program, S, X = made("quadratic", 0, 1.0)
    target = second(X)[0, 1] - 0.08
    values = []
    for constraints in (S[0, 1] == target, [S[0, 1] == target], (S[0, 1] == target, cp.trace(S) <= 100)):
        program.solve(constraints=constraints)
        values.append(program.problem.value)
    assert np.ptp(values) <= 1e-7 * values[0] and values[0] > _unrestricted(program) * (1 + 1e-6)


def _unrestricted(program):
    program.solve()
    return program.problem.value
