"""The cvxpy programs: the same values as the formulas and as independent programs, by every solver; what they say."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convexgan as cg
from convexgan.programs import mosek_licence
from convexgan.programs.low_rank import Search
from tests.generators import CELLS, EXACT, PROGRAMS, RELU, Case, coefficients, rotation, rows, scaled, second

LICENSED, WHY_NOT = mosek_licence()
SOLVERS = [
    "CLARABEL",
    "SCS",
    pytest.param("MOSEK", marks=pytest.mark.skipif(not LICENSED, reason=f"MOSEK unlicensed: {WHY_NOT}")),
]
BUDGETS = [{"beta": 0.37}, {"lam": 0.9}]
TIGHT = {"solver": "CLARABEL", "tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}

solver = pytest.mark.parametrize("solver", SOLVERS)
budget = pytest.mark.parametrize("budget", BUDGETS, ids=str)


def has_program(case):
    return not (case.options.get("regularizer") in ("weights", "lifted") and coefficients(case)[0])


# -- the same values as the formulas ------------------------------------------------------------------------


@solver
@budget
@pytest.mark.parametrize("name", [n for n, c in EXACT.items() if has_program(c)])
def test_every_solver_gives_the_value_of_the_formula(name, solver, budget):
    exact = EXACT[name].solve(**budget)
    sol = EXACT[name].solve(**budget, method="program", solver=solver)
    assert sol.value == pytest.approx(exact.value, rel=1e-6)
    assert sol.certificate.bound <= exact.value * (1 + 1e-9)
    assert sol.certificate.kind == "saddle"
    assert (sol.stats["solver"], sol.method) == (solver, "program")
    assert {"solver_version", "solver_options", "solver_status", "solver_seconds"} <= sol.stats.keys()


def law_program(case, budget):
    """min E|y|^2 over all laws (S, m) with ipm <= beta or + lam ipm, straight from MATH.md section 3.

    The trust regions are bounded through their own multipliers: t_+ for Q, t_- for -Q.
    """
    a, b = coefficients(case)
    shifted, d = case.options.get("bias") == "penalized", case.X.shape[1]
    X = np.column_stack([case.X, np.ones(len(case.X))]) if shifted else case.X
    M, level = cp.Variable((d + 1, d + 1), symmetric=True), cp.Variable()  # the second moment of (y, 1)
    # (y, 1) is also what neurons with a bias see; with a second column of ones M would have no interior
    S, m = (M, M[:, d:]) if shifted else (M[:d, :d], M[:d, d:])
    constraints, cost = [M >> 0, M[d, d] == 1], cp.trace(M) - 1
    if a and kappa(case) == 0:
        constraints += [M[:d, d] == 0]
    Q, q = a * (second(X) - S), b * (X.mean(0)[:, None] - m)
    for sign in (1, -1):
        t = cp.Variable()
        corner = cp.reshape(level - t, (1, 1), order="C")
        constraints += [cp.bmat([[t * np.eye(X.shape[1]) - sign * Q, -sign * q / 2], [-sign * q.T / 2, corner]]) >> 0]
    if "beta" in budget:
        return cp.Problem(cp.Minimize(cost), [*constraints, level <= budget["beta"]]).solve(**TIGHT)
    return cp.Problem(cp.Minimize(cost + budget["lam"] * level), constraints).solve(**TIGHT)


def kappa(case):
    """1 where the generator has a constant among its features; the tests below use no other latents but mean zero."""
    generator = cg.generators.as_generator(case.options.get("generator", "linear"))
    return float(generator.name != "linear" or generator.bias)


@solver
@budget
@pytest.mark.parametrize("name", ["quadratic-penalized", "polynomial-bias", "polynomial-free", "polynomial-polynomial"])
def test_semidefinite_saddles(name, solver, budget):
    sol = PROGRAMS[name].solve(**budget, solver=solver)
    assert sol.value == pytest.approx(law_program(PROGRAMS[name], budget), rel=1e-6)
    assert sol.certificate.kind == "saddle" and sol.method == "program"
    assert sol.certificate.relative_violation <= 1e-6 and sol.certificate.gap <= 1e-6
    assert (np.linalg.norm(np.column_stack([sol.discriminator.neurons, sol.discriminator.biases]), axis=1)) == (
        pytest.approx(np.ones(len(sol.discriminator.outer)), abs=1e-6)
    )
    if "lam" in budget:
        assert sol.discriminator.norm <= budget["lam"] * (1 + 1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_semidefinite_saddle_in_more_dimensions(seed):
    X = np.random.default_rng(seed).standard_normal((30, 6)) * [3, 2, 1.5, 1, 0.5, 0.2] + 0.8
    case = Case(X, None, {"discriminator": "polynomial", "generator": "free"})
    sol = case.solve(beta=0.2)
    assert sol.value == pytest.approx(law_program(case, {"beta": 0.2}), rel=1e-6)
    assert sol.certificate.kind == "saddle"


@budget
def test_latents_of_any_mean_bound_what_the_program_may_move(budget):
    """kappa < 1: [[S, m], [m', kappa]] >= 0. Against a program over the Gram matrix of all weights."""
    case = PROGRAMS["polynomial-linear"]
    K, z = second(case.Z), case.Z.mean(0)
    a, b = coefficients(case)
    k, d = len(z), 2
    # P = [W; I-ish]: the relaxation P = [[K^{1/2} W W'K^{1/2}, .]] is exact at d + k dimensions
    root = np.linalg.cholesky(K).T
    white = np.linalg.solve(root.T, z)
    P = cp.Variable((k + d, k + d), PSD=True)
    F, S = P[:k, k:], P[k:, k:]
    m = (white[None, :] @ F).T
    Q, q = a * (second(case.X) - S), b * (case.X.mean(0)[:, None] - m)
    level, constraints = cp.Variable(), [P[:k, :k] == np.eye(k)]
    for sign in (1, -1):
        t = cp.Variable()
        corner = cp.reshape(level - t, (1, 1), order="C")
        constraints += [cp.bmat([[t * np.eye(d) - sign * Q, -sign * q / 2], [-sign * q.T / 2, corner]]) >> 0]
    if "beta" in budget:
        problem = cp.Problem(cp.Minimize(cp.trace(S)), [*constraints, level <= budget["beta"]])
    else:
        problem = cp.Problem(cp.Minimize(cp.trace(S) + budget["lam"] * level), constraints)
    problem.solve(**TIGHT)
    sol = case.solve(**budget)
    assert sol.value == pytest.approx(problem.value, rel=1e-6)
    assert sol.certificate.kind == "saddle"
    Y = sol.generator(case.Z)
    assert cg.ipm(case.X, Y, case.options["discriminator"]).value == pytest.approx(sol.certificate.ipm, rel=1e-8)
    assert np.mean(np.sum(Y**2, 1)) + budget.get("lam", 0) * sol.certificate.ipm == pytest.approx(sol.value, rel=1e-8)


@budget
@pytest.mark.parametrize("name", [n for n in PROGRAMS if n != "quadratic-penalized"])  # the 1 would not scale
@pytest.mark.parametrize("size", [1e-4, 1e6])
def test_programs_are_homogeneous(name, budget, size):
    case, moved = scaled(PROGRAMS[name], size, budget)
    here, there = PROGRAMS[name].solve(**budget), case.solve(**moved)
    assert there.value == pytest.approx(size**2 * here.value, rel=1e-6)
    assert there.certificate.kind == here.certificate.kind == "saddle"


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_invariant_under_rotation_and_fall_in_beta(name):
    case, R = PROGRAMS[name], rotation(2, 9)
    values = [case.solve(beta=beta).value for beta in (0.1, 0.37, 1.0, 2.5)]
    assert (np.diff(values) < 0).all()
    assert Case(case.X @ R, case.Z, case.options).solve(beta=0.37).value == pytest.approx(values[1], rel=1e-6)


# -- parameters, constraints, recovery ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quadratic-linear", "polynomial-free", "linear-linear"])
@pytest.mark.parametrize("kind", ["beta", "lam"])
def test_parameters_can_be_changed(name, kind):
    case = CELLS[name]
    program = cg.program(case.X, case.Z, **case.options, **{kind: 0.2})
    assert list(program.parameters) == [kind]
    for number in (0.2, 0.5, 0.9):
        program.parameters[kind].value = number
        program.solve()
        expected = case.solve(**{kind: number})
        assert program.problem.objective.value == pytest.approx(expected.value, rel=1e-6)
        recovered = program.recover()
        assert recovered.value == pytest.approx(expected.value, rel=1e-6)
        assert recovered.certificate.kind == "saddle"


@pytest.mark.parametrize("name", ["quadratic-linear", "polynomial-free", "linear-linear"])
@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
def test_where_doing_nothing_is_feasible_it_is_optimal(name, solver):
    """beta >= ipm(X, 0): value and bound are 0, and a solver's rounding must not leave a gap of 100 %."""
    sol = CELLS[name].solve(beta=8.0, method="program", solver=solver)
    assert sol.value == pytest.approx(0, abs=1e-8)
    assert sol.certificate.kind == "saddle"


@pytest.mark.parametrize("size", [0.1, 1.0, 1e3])
def test_the_users_own_solve_is_enough(size):
    X = size * rows([4.0, 1.0], 3)
    program = cg.program(X, cg.GaussianLatent(2), beta=0.5 * size**2)
    value = program.problem.solve(**TIGHT)
    assert value == pytest.approx(4.0 * size**2, rel=1e-6)
    assert program.recover().certificate.kind == "saddle"
    expected = second(X) - 0.5 * size**2 * np.eye(2)
    np.testing.assert_allclose(program.variables["second_moment"].value, expected, atol=1e-6 * size**2)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", ["beta", "lam"])
@pytest.mark.parametrize("regularizer", ["output", "weights"])
def test_programs_know_sums_and_penalties(reduction, kind, regularizer):
    X, Z = rows([4.0, 1.0], 3, tilt=[0.5, 0.3], n=6), rows([2.0, 2.0], n=6)
    number = 3.0 if reduction == "sum" and kind == "beta" else 0.5
    options = {"reduction": reduction, "generator_penalty": 0.7, "regularizer": regularizer, kind: number}
    exact = cg.solve(X, Z, **options)
    sol = cg.solve(X, Z, method="program", **options)
    for found, known in ((sol.value, exact.value), (sol.certificate.bound, exact.value)):
        assert found == pytest.approx(known, rel=1e-6)
    program = cg.program(X, Z, **options)
    program.solve()
    assert program.problem.objective.value == pytest.approx(exact.value, rel=1e-6)
    assert program.parameters[kind].value == pytest.approx(number)


@pytest.mark.parametrize("route", ["argument", "problem"])
def test_added_constraints_are_obeyed_and_called_restricted(route):
    X = np.random.default_rng(0).standard_normal((50, 3)) @ np.array([[2, 1, 0], [0, 1, 1], [0, 0, 1.0]])
    program, target = cg.program(X, cg.GaussianLatent(3), beta=0.1), second(X)[0, 1] - 0.08
    S = program.variables["second_moment"]
    if route == "argument":
        program.solve(constraints=[S[0, 1] == target])
    else:
        cp.Problem(program.problem.objective, [*program.problem.constraints, S[0, 1] == target]).solve(**TIGHT)
    sol, best = program.recover(), cg.solve(X, cg.GaussianLatent(3), beta=0.1)
    assert sol.certificate.kind == "restricted"
    assert sol.certificate.bound <= best.value * (1 + 1e-9) < sol.value
    assert (sol.generator.weights.T @ sol.generator.weights)[0, 1] == pytest.approx(target, abs=1e-6)
    assert not sol.certificate.optimal()


def test_contradicting_constraints_say_so():
    program = cg.program(rows([4.0, 1.0]), cg.GaussianLatent(2), beta=0.5)
    with pytest.raises(cg.InfeasibleError, match="contradict") as error:
        program.solve(constraints=[cp.trace(program.variables["second_moment"]) <= -1])
    assert error.value.smallest_beta == np.inf


def test_recover_needs_values():
    program = cg.program(rows([4.0, 1.0]), cg.GaussianLatent(2), beta=0.5)
    with pytest.raises(ValueError, match="solve it"):
        program.recover()


# -- infeasible ----------------------------------------------------------------------------------------------


def shifted(reduction):
    return rows([4.0, 1.0], 3, tilt=[0.9, 0.3], n=8), rows([1.0, 1.0], n=8), {"reduction": reduction}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("discriminator", ["polynomial", "linear"])
@solver
def test_infeasible_programs_name_a_feasible_beta(reduction, discriminator, solver):
    X, Z, options = shifted(reduction)
    options |= {"discriminator": discriminator, "method": "program", "solver": solver}
    with pytest.raises(cg.InfeasibleError, match="beta >=") as error:
        cg.solve(X, Z, beta=0.01, **options)
    smallest = error.value.smallest_beta
    assert cg.solve(X, Z, beta=smallest, **options).status == "optimal"
    with pytest.raises(cg.InfeasibleError):
        cg.solve(X, Z, beta=0.99 * smallest, **options)
    unit = len(X) if reduction == "sum" else 1
    if discriminator == "linear":
        assert smallest == pytest.approx(unit * np.linalg.norm(X.mean(0)), rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_rank_limited_answers_name_a_feasible_beta(seed):
    """What InfeasibleError promises: the same call succeeds with smallest_beta."""
    X = np.random.default_rng(seed).standard_normal((30, 4)) * [3, 2, 1.5, 1] + 1
    options = {"discriminator": "polynomial", "generator": cg.generators.Linear(bias=True)}
    with pytest.raises(cg.InfeasibleError, match="rank") as error:
        cg.solve(X, cg.GaussianLatent(1), beta=0.02, **options)
    sol = cg.solve(X, cg.GaussianLatent(1), beta=error.value.smallest_beta, **options)
    assert sol.certificate.kind in ("bounded", "saddle", "minimax")


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([0.3, 1.0, 100.0, 1e4]),
    kind=st.sampled_from([("quadratic", "penalized"), ("polynomial", "none")]),
    d=st.integers(1, 3),
)
def test_what_some_generator_reaches_is_not_called_infeasible(seed, size, kind, d):
    """Another route: weights are written down, and beta is what they reach."""
    rng = np.random.default_rng(seed)
    X, Z = size * (rng.standard_normal((30, d)) + np.eye(d)[0]), rng.standard_normal((25, d)) + 0.5
    matched = np.linalg.solve(np.linalg.cholesky(second(Z)).T, np.linalg.cholesky(second(X)).T)
    weights = matched * rng.uniform(0.6, 0.99)
    options = dict(zip(("discriminator", "bias"), kind, strict=True))
    beta = cg.ipm(X, Z @ weights, **options).value * 1.05
    sol = cg.solve(X, Z, beta=beta, **options)
    made = sol.generator(Z)
    assert cg.ipm(X, made, **options).value <= beta * (1 + 1e-5)
    assert sol.certificate.kind in ("bounded", "saddle", "minimax")
    assert sol.value == pytest.approx(np.mean(np.sum(made**2, axis=1)), rel=1e-6)
    known = cg.certify(X, Z @ weights, beta=beta, generator="linear", Z=Z, **options)
    assert known.kind != "infeasible" and sol.certificate.bound <= known.value * (1 + 1e-6)


@pytest.mark.parametrize(("discriminator", "bias"), [("quadratic", "penalized"), ("polynomial", "none")])
def test_an_answer_cut_to_the_latents_rank_is_replaced_by_one_within_beta(discriminator, bias):
    rng = np.random.default_rng(3)
    X, Z = 100 * (rng.standard_normal((50, 3)) + np.eye(3)[0]), rng.standard_normal((40, 3)) + 0.5
    options = {"discriminator": discriminator, "bias": bias}
    beta = 0.1 * 100**2 if bias == "penalized" else 0.1 * cg.ipm(X, 0 * X, discriminator).value
    relaxed = cg.program(X, Z, beta=beta, **options)
    relaxed.solve()
    cut = relaxed.recover()
    assert cut.status == "failed" and "though none is excluded" in cut.stats["message"]
    sol = cg.solve(X, Z, beta=beta, **options)
    assert sol.status == "optimal" and "local searches" in sol.stats["search"]
    assert sol.certificate.relative_violation <= 1e-6
    lowest = relaxed.problem.objective.value
    assert lowest * (1 - 1e-6) <= sol.value <= 1.01 * lowest  # found: 1.0006 times the relaxed optimum at most


def test_without_an_answer_none_is_called_excluded(monkeypatch):
    """The search for an answer of the latents' rank finds nothing: that proves nothing."""
    monkeypatch.setattr("convexgan.programs.local_optima", lambda game, *_: Search(np.zeros((0, 3, 3)), 40))
    rng = np.random.default_rng(3)
    X, Z = rng.standard_normal((50, 3)) + np.eye(3)[0], rng.standard_normal((40, 3)) + 0.5
    call = {"discriminator": "quadratic", "bias": "penalized"}
    with pytest.raises(cg.SolverError, match="though none is excluded") as error:
        cg.solve(X, Z, beta=0.1, **call)
    works = float(str(error.value).split("beta of ")[1].split(",")[0])
    assert cg.solve(X, Z, beta=works, **call).status == "optimal"
    assert cg.solve(X, Z, beta=0.1, throw=False, **call).status == "failed"


def test_rank_limited_norm_budget_is_bounded_by_the_program():
    X = np.random.default_rng(0).standard_normal((30, 4)) * [3, 2, 1.5, 1] + 1
    options = {"discriminator": "polynomial", "generator": cg.generators.Linear(bias=True), "lam": 100.0}
    free = cg.solve(X, cg.GaussianLatent(4), **options)
    sol = cg.solve(X, cg.GaussianLatent(1), **options)
    assert free.certificate.kind == "saddle"
    assert sol.certificate.kind == "bounded"
    assert sol.certificate.bound >= free.value * (1 - 1e-6)  # eigenvalues may say more than the program
    assert sol.value > free.value * 1.01


@pytest.mark.parametrize("throw", [True, False])
def test_statuses_without_raising(throw):
    X, Z, _ = shifted("mean")
    if throw:
        with pytest.raises(cg.InfeasibleError):
            cg.solve(X, Z, discriminator="polynomial", beta=0.01)
        return
    sol = cg.solve(X, Z, discriminator="polynomial", beta=0.01, throw=False)
    assert (sol.status, sol.value, sol.generator, sol.certificate) == ("infeasible", np.inf, None, None)
    assert "beta >=" in sol.stats["message"]


# -- solvers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [("SCS", {"max_iters": 3}), ("CLARABEL", {"max_iter": 2})])
def test_a_solver_that_gives_up_is_never_believed(name, options):
    case = PROGRAMS["polynomial-free"]
    exact = case.solve(beta=0.37)
    sol = case.solve(beta=0.37, solver=name, solver_options=options, throw=False)
    assert sol.status in ("failed", "stopped")
    if sol.certificate is not None:
        assert not sol.certificate.optimal()
        assert sol.certificate.bound <= exact.value * (1 + 1e-6)
    if sol.status == "failed":
        with pytest.raises(cg.SolverError):
            case.solve(beta=0.37, solver=name, solver_options=options)


@pytest.mark.parametrize("name", ["SCS", "CLARABEL"])
def test_no_time_gives_no_false_answer(name):
    X = np.random.default_rng(0).standard_normal((60, 25)) + 0.3
    sol = cg.solve(X, generator="free", discriminator="polynomial", beta=0.2, solver=name, time_limit=1e-4, throw=False)
    assert sol.status in ("failed", "stopped")
    assert sol.certificate is None or not sol.certificate.optimal()


def test_mosek_is_used_or_the_reason_told():
    case = PROGRAMS["polynomial-free"]
    method, reason = cg.select_method(case.X, case.Z, beta=0.3, **case.options)
    assert method == "program"
    assert "MOSEK" in reason
    if not LICENSED:
        with pytest.raises(ValueError, match="CLARABEL"):
            case.solve(beta=0.3, solver="MOSEK")


def test_large_programs_go_to_the_first_order_solver():
    X = np.random.default_rng(0).standard_normal((100, 23)) + 1
    _, reason = cg.select_method(X, generator="free", discriminator="polynomial", beta=0.2)
    assert ("SCS" in reason) or LICENSED
    _, reason = cg.select_method(X[:, :22], generator="free", discriminator="polynomial", beta=0.2)
    assert ("CLARABEL" in reason) or LICENSED


def test_unequal_latents_under_weights_are_no_program():
    X, Z = rows([4.0, 1.0], tilt=[0.3, 0.1]), rows([3.0, 1.0])
    with pytest.raises(ValueError, match="not convex"):
        cg.program(X, Z, beta=0.3, regularizer="weights", discriminator="polynomial")


@pytest.mark.parametrize("lam", [1.0, 5.0])
def test_relaxed_weights_are_bounded_below(lam):
    """polynomial x weights with unequal latents: an answer with an honest bound, by name."""
    X, Z = rows([4.0, 1.0], tilt=[0.3, 0.1]), rows([3.0, 1.0])
    sol = cg.solve(X, Z, lam=lam, regularizer="weights", discriminator="polynomial")
    assert sol.certificate.kind in ("bounded", "saddle") and "not convex" in sol.stats["reason"]
    W = sol.generator.weights
    price = np.sum(W**2) + lam * cg.ipm(X, sol.generator(Z), "polynomial").value
    assert price == pytest.approx(sol.value, rel=1e-9)
    draws = np.random.default_rng(0).standard_normal((300, 2, 2))
    values = [np.sum(V**2) + lam * cg.ipm(X, Z @ V, "polynomial").value for V in (*draws, *(W + 0.1 * draws))]
    assert sol.certificate.bound <= min(values) * (1 + 1e-9)


def test_relu_fit_is_the_default():
    assert cg.discriminators.Polynomial().coefficients[:2] == RELU
