"""Programs on data of any size and place, solvers that fail, answers refined: what stands behind every conic solver."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convexgan as cg
from benchmarks import solver_errors
from convexgan.conic import backends
from convexgan.conic.refine import Refinement
from convexgan.conic.solvers import mosek_licence
from convexgan.exceptions import SolverError, UnboundedError
from tests.generators import CELLS, PROGRAMS, RELU, rows, second, seeds, soft_value

LICENSED = mosek_licence()[0]
unlicensed = pytest.mark.skipif(LICENSED, reason="with a licence MOSEK is first")
BIASED = cg.generators.Linear(bias=True)
sizes = st.sampled_from([1e-6, 1e-3, 1.0, 1e3, 1e6])


def proved(sol, tol=1e-6):
    """Both players' best responses were recomputed from the data: the second route to every optimum."""
    return sol.certificate.kind == "saddle" and sol.certificate.relative_violation <= tol


# -- units, places ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("game", ["polynomial", "penalized", "mixture"])
@given(seed=seeds, size=sizes, offset=st.sampled_from([0.0, 1.0, 100.0, 3000.0]), share=st.floats(0.01, 1.5))
@settings(max_examples=12)
def test_an_offset_of_the_data_is_no_hard_problem(game, seed, size, offset, share):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 5))
    X = size * (rng.standard_normal((30, d)) + offset * rng.standard_normal(d) / np.sqrt(d))
    options = {"discriminator": "quadratic", "bias": "penalized"}
    if game != "penalized":
        options = {"discriminator": cg.discriminators.Polynomial(RELU[0], RELU[1] * size, 0.0)}
    Z = None if game == "mixture" else cg.GaussianLatent(d)
    sol = cg.solve(
        X, Z, generator="mixture" if game == "mixture" else BIASED, beta=share * RELU[0] * size**2, **options
    )
    assert proved(sol)


def test_data_plus_three_thousand():
    X = np.random.default_rng(0).standard_normal((100, 3)) + 3000
    sol = cg.solve(X, cg.GaussianLatent(3), discriminator="polynomial", generator=BIASED, beta=1.0)
    assert proved(sol) and sol.stats["solver_status"] == "optimal"


@given(seed=seeds, unit=st.sampled_from([1e-6, 1e-4, 1e3, 1e5]), kind=st.sampled_from(["beta", "lam"]))
@settings(max_examples=10)
def test_the_unit_of_the_latents_is_the_weights_affair(seed, unit, kind):
    """Weights for latents in another unit are that much smaller: their squares cost unit^-2 of what they did."""
    X = rows([4.0, 1.0], seed, tilt=[0.5, 0.3])
    Z = rows([1.0, 1.0], seed + 1, tilt=[0.0, 0.0])
    options = {"discriminator": "polynomial", "generator": "linear", "regularizer": "weights"}
    budget = {"beta": 0.3 * cg.ipm(X, 0 * X, "polynomial").value} if kind == "beta" else {"lam": 5.0}
    try:
        here = cg.solve(X, Z, **options, **budget)
    except cg.InfeasibleError:
        with pytest.raises(cg.InfeasibleError):
            cg.solve(X, unit * Z, **options, **budget)
        return
    moved = budget if kind == "beta" else {"lam": 5.0 / unit**2}
    there = cg.solve(X, unit * Z, **options, **moved)
    assert there.value * unit**2 == pytest.approx(here.value, rel=1e-6)
    assert there.certificate.kind == here.certificate.kind


@pytest.mark.parametrize("left", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
def test_a_generator_that_does_nearly_nothing_is_as_accurate(left, solver):
    """beta just below the largest eigenvalue, where the value is that of one soft threshold."""
    X, values = rows([4.0, 1.0, 0.5], 3), [4.0, 1.0, 0.5]
    sol = cg.solve(X, cg.GaussianLatent(3), beta=4.0 * (1 - left), method="program", solver=solver)
    assert sol.value == pytest.approx(soft_value(values, [1.0] * 3, beta=4.0 * (1 - left)), rel=2e-6)
    assert proved(sol)
    if (solver, left) == ("CLARABEL", 1e-6):
        assert sol.stats["refined"] >= 1


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("share", [0.0, 1e-9, 1e-5, 0.1, 0.999])
def test_betas_of_every_order_are_proved(name, share):
    case = PROGRAMS[name]
    discriminator, bias = case.options.get("discriminator", "quadratic"), case.options.get("bias", "none")
    top = cg.ipm(case.X, np.zeros((1, 2)), discriminator, bias=bias).value
    try:
        sol = case.solve(beta=share * top, method="program")
    except cg.InfeasibleError:
        assert name == "polynomial-linear"  # without a constant the latents reach no mean exactly
        return
    assert proved(sol)


# -- solvers that fail -----------------------------------------------------------------------------------------


def failing(monkeypatch, names, error=SolverError, when=lambda problem: True):
    """Let these solvers fail on the problems for which ``when`` holds."""
    real = backends.run

    def run(problem, name, options, verbose=False):
        if name in names and when(problem):
            raise error(f"{name} failed on purpose.")
        return real(problem, name, options, verbose)

    monkeypatch.setattr(backends, "run", run)


@unlicensed
@pytest.mark.parametrize("error", [SolverError, UnboundedError])
@pytest.mark.parametrize("name", ["polynomial-free", "quadratic-penalized", "mixture"])
def test_another_solver_takes_over_and_the_record_says_so(name, error, monkeypatch):
    if name == "mixture":
        if error is UnboundedError:
            return
        X, Z, options = CELLS["polynomial-free"].X, None, {"discriminator": "polynomial", "generator": "mixture"}
    else:
        X, Z, options = PROGRAMS[name].X, PROGRAMS[name].Z, PROGRAMS[name].options
    known = cg.solve(X, Z, beta=0.2, **options)
    assert known.stats["solver"] == "CLARABEL" and "solver_failures" not in known.stats
    failing(monkeypatch, ["CLARABEL"], error)
    sol = cg.solve(X, Z, beta=0.2, **options)
    assert sol.value == pytest.approx(known.value, rel=1e-6) and proved(sol)
    assert sol.stats["solver"] == "SCS" and list(sol.stats["solver_failures"]) == ["CLARABEL"]
    with pytest.raises(SolverError, match=r"CLARABEL (failed|calls unbounded)"):
        cg.solve(X, Z, beta=0.2, solver="CLARABEL", **options)


def test_an_infeasible_game_is_called_so_even_where_solvers_only_fail(monkeypatch):
    X, Z = rows([4.0, 1.0], 3, tilt=[0.9, 0.3], n=8), rows([1.0, 1.0], n=8)
    failing(monkeypatch, ["CLARABEL", "SCS", "MOSEK"], when=lambda problem: bool(problem.parameters()))
    with pytest.raises(cg.InfeasibleError, match="no generator of this class"):
        cg.program(X, Z, discriminator="polynomial", beta=0.01).solve()
    with pytest.raises(SolverError, match="on purpose"):
        cg.program(X, Z, discriminator="polynomial", beta=10.0).solve()


@pytest.mark.parametrize("bias", ["none", "penalized"])
def test_certify_needs_no_solver_for_what_it_can_do_without(bias, monkeypatch):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 3)) + 1, 0.9 * rng.standard_normal((40, 3)) + 1
    call = {"discriminator": "polynomial", "bias": bias, "beta": 0.05, "generator": "free"}
    known = cg.certify(X, Y, **call)
    failing(monkeypatch, ["CLARABEL", "SCS", "MOSEK"])
    found = cg.certify(X, Y, **call)
    assert (found.value, found.ipm, found.violation) == (known.value, known.ipm, known.violation)
    assert 0 < found.bound <= known.bound * (1 + 1e-9)


def test_searches_turn_to_another_solver_too(monkeypatch):
    X = np.random.default_rng(0).standard_normal((12, 2)) + 1
    known = cg.solve(X, cg.GaussianLatent(2), discriminator="relu", beta=0.9)
    failing(monkeypatch, ["CLARABEL"])
    sol = cg.solve(X, cg.GaussianLatent(2), discriminator="relu", beta=0.9)
    assert sol.value == pytest.approx(known.value, rel=1e-5) and sol.stats["solver"] == "SCS"


def test_above_the_limit_the_first_order_solver_is_as_accurate():
    X = np.random.default_rng(0).standard_normal((150, 30)) * np.linspace(3, 0.3, 30) + 0.3
    sol = cg.solve(X, cg.GaussianLatent(30), discriminator="polynomial", generator=BIASED, beta=0.3)
    assert proved(sol) and sol.certificate.gap < 1e-7
    assert LICENSED or sol.stats["solver"] == "SCS"


# -- refinement ------------------------------------------------------------------------------------------------


@given(seed=seeds, d=st.integers(2, 5))
@settings(max_examples=10)
def test_refining_a_poor_answer_gives_the_least_eigenvalue_and_its_multipliers(seed, d):
    """min <C, X> over X >= 0 of trace 1: the least eigenvalue y of C, with C - y I the multiplier of X >= 0."""
    C = second(np.random.default_rng(seed).standard_normal((d + 2, d)))
    X = cp.Variable((d, d), symmetric=True)
    problem = cp.Problem(cp.Minimize(cp.trace(C @ X)), [X >> 0, cp.trace(X) == 1])
    problem.solve(solver="CLARABEL", **dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-2))
    least, errors = float(np.linalg.eigvalsh(C)[0]), []
    errors.append(abs(float(np.trace(C @ X.value)) - least))
    for step in (1e-2, 1e-4):
        refinement = Refinement(problem, step)
        refinement.problem.solve(solver="CLARABEL")
        refinement.accept()
        errors.append(abs(float(np.trace(C @ X.value)) - least))
    assert errors[-1] <= 1e-9 < 1e-7 < max(errors[0], 2e-7)
    np.testing.assert_allclose(problem.constraints[0].dual_value, C - least * np.eye(d), atol=1e-6)
    assert np.trace(X.value) == pytest.approx(1, abs=1e-9) and np.linalg.eigvalsh(X.value)[0] >= -1e-9


# -- the measurement -------------------------------------------------------------------------------------------


def test_random_calls_are_what_the_benchmark_says_and_end():
    calls = [solver_errors.draw(seed) for seed in range(60)]
    assert {call.verb for call in calls} == {"solve", "program", "certify"}
    assert min(call.size for call in calls) < 1e-4 and max(call.size for call in calls) > 1e4
    ends = {solver_errors.ending(call)[0] for call in calls}
    assert "saddle" in ends and not ends & {"SolverError", "UnboundedError", "ValueError"}
