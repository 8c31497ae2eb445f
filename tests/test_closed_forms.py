"""Every closed form against the numbers of MATH.md, a formula written once more, a convex program and brute force."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import convexgan as cg
from convexgan.closed_forms import unit_neurons
from convexgan.discriminators import Polynomial
from convexgan.generators import Linear
from convexgan.records.solution import shortfall
from tests.generators import (
    CELLS,
    EIGENVALUES,
    EXACT,
    Case,
    budgets,
    coefficients,
    linear_cases,
    polynomial_cases,
    quadratic_cases,
    rotation,
    rows,
    scaled,
    second,
    seeds,
    soft_value,
)

RUNNING = rows(EIGENVALUES)
TIGHT = {"solver": "CLARABEL", "tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}


def features(case):
    """What the weights of the case's linear or polynomial generator multiply, (n, k), for sample latents."""
    spec = cg.generators.as_generator(case.options.get("generator", "linear"))
    return spec.lift(np.asarray(case.Z, dtype=float))


# -- the acceptance numbers of MATH.md -----------------------------------------------------------------------


@pytest.mark.parametrize(("width", "max_min"), [(1, 8), (2, 13), (3, 16), (4, 16.5), (5, 16.5), (None, 16.5)])
def test_running_example(width, max_min):
    sol = cg.solve(RUNNING, cg.GaussianLatent(5), beta=1.0, max_neurons=width)
    assert sol.value == pytest.approx(16.5, rel=1e-13)
    assert sol.certificate.max_min == pytest.approx(max_min, rel=1e-13)
    assert sol.certificate.min_neurons == 4
    assert sol.certificate.bound == pytest.approx(max_min, rel=1e-13)
    assert sol.certificate.kind == ("saddle" if max_min == 16.5 else "minimax")
    assert len(sol.discriminator.neurons) == min(width or 4, 4)


def test_unequal_latents_have_no_saddle_under_weights():
    sol = cg.solve(rows([9.0, 6, 4]), rows([4.0, 2, 1]), beta=1.0, regularizer="weights")
    assert sol.value == pytest.approx(8 / 4 + 5 / 2 + 3, rel=1e-12) == 7.5
    assert sol.certificate.max_min == pytest.approx(16 / 4, rel=1e-12)
    assert (sol.certificate.kind, sol.certificate.min_neurons) == ("minimax", None)
    assert sol.certificate.bound == pytest.approx(7.5, rel=1e-12)


def singular(sol):
    return np.linalg.svd(sol.generator.weights, compute_uv=False)


@pytest.mark.parametrize("lam", [0, 0.5, 1, 1.7, 2, 3, 4.999, 5, 9])
@pytest.mark.parametrize("penalty", [1.0, 0.5])
def test_the_norm_budget_is_the_rank(lam, penalty):
    """rank G* = floor(lam / g) with (l_i - l_{j+1})_+ as eigenvalues, m* = ceil(lam / g), integers included."""
    sol = cg.solve(RUNNING, cg.GaussianLatent(5), lam=lam * penalty, generator_penalty=penalty)
    j = min(int(lam), 5)
    b = (*EIGENVALUES, 0.0)[j]
    expected = [max(value - b, 0) for value in EIGENVALUES]
    np.testing.assert_allclose(singular(sol) ** 2, expected, atol=1e-12)
    assert sol.value == pytest.approx(penalty * (sum(expected) + lam * b), rel=1e-12, abs=1e-15)
    assert sol.certificate.kind == "saddle"
    assert sol.certificate.min_neurons == min(int(np.ceil(lam)), 5) == len(sol.discriminator.outer)
    assert sol.discriminator.norm <= lam * penalty * (1 + 1e-12)
    assert sol.certificate.ipm == pytest.approx(b, abs=1e-12)


@pytest.mark.parametrize(("lam", "active"), [(0.2, 0), (0.25, 1), (0.7, 1), (0.75, 2), (1.74, 2), (1.75, 3), (9, 3)])
def test_the_rank_law_under_weights_counts_prices(lam, active):
    values, k = [9.0, 6, 4], [4.0, 2, 1]
    sol = cg.solve(rows(values), rows(k), lam=lam, regularizer="weights")
    b = [*values, 0.0][active]
    assert int((singular(sol) > 1e-9).sum()) == active
    expected = sum((v - b) / p for v, p in zip(values[:active], k, strict=False)) + lam * b
    assert sol.value == pytest.approx(expected, rel=1e-12)
    assert sol.certificate.kind in ("saddle", "minimax")


@pytest.mark.parametrize("lam", [2.0, 2.5, 3.0, 7.0])
@pytest.mark.parametrize("r", [1, 2])
def test_rank_limited_norm_budget(lam, r):
    sol = cg.solve(RUNNING, cg.GaussianLatent(r), lam=lam)
    assert sol.value == pytest.approx(soft_value(EIGENVALUES, np.ones(r), lam=lam), rel=1e-12)
    assert sol.certificate.kind == ("saddle" if lam <= r + 1 else "minimax")
    assert sol.certificate.optimal(1e-9)


@pytest.mark.parametrize("r", [1, 2, 4])
@pytest.mark.parametrize("discriminator", ["quadratic", "polynomial"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_rank_limited_latents_need_the_next_eigenvalue(r, discriminator, reduction):
    options = {"discriminator": discriminator, "reduction": reduction}
    Z = rows(np.ones(r), n=len(RUNNING))
    slope = 1.0 if discriminator == "quadratic" else 0.09375
    unit = len(RUNNING) if reduction == "sum" else 1
    with pytest.raises(cg.InfeasibleError, match=r"rank") as error:
        cg.solve(RUNNING, Z, beta=0.5 * EIGENVALUES[r] * slope * unit, **options)
    assert error.value.smallest_beta == pytest.approx(EIGENVALUES[r] * slope * unit, rel=1e-12)
    repaired = cg.solve(RUNNING, Z, beta=error.value.smallest_beta, **options)
    assert repaired.status == "optimal"
    assert repaired.value == pytest.approx(unit * sum(v - EIGENVALUES[r] for v in EIGENVALUES[:r]), rel=1e-9)
    with pytest.raises(cg.InfeasibleError):
        cg.solve(RUNNING, Z, beta=error.value.smallest_beta * (1 - 1e-9), **options)


def test_rank_limited_polynomial_budget_is_known_to_be_optimal():
    """ipm of a polynomial is at least |a| times the spectral norm, so the eigenvalue bound holds for it too."""
    sol = cg.solve(RUNNING, cg.GaussianLatent(2), discriminator="polynomial", lam=100.0)
    expected = soft_value(EIGENVALUES, np.ones(2), lam=100 * 0.09375)
    assert sol.value == pytest.approx(expected, rel=1e-12)
    assert sol.certificate.kind == "minimax"


# -- hypothesis: problems with the answer attached -----------------------------------------------------------


@given(quadratic_cases() | quadratic_cases("weights") | polynomial_cases() | linear_cases())
def test_value_certificate_and_generator(case):
    sol = case.solve()
    size = second(case.X).trace() * case.options["generator_penalty"]
    assert sol.value == pytest.approx(case.value, rel=1e-10, abs=1e-12 * size)
    assert sol.certificate.kind in ("saddle", "minimax") and sol.certificate.optimal(1e-9)
    assert abs(sol.certificate.gap) < 1e-9
    assert_generator_is_what_was_certified(sol, case)


def assert_generator_is_what_was_certified(sol, case):
    """Value and ipm once more, from the rows the generator makes."""
    if not isinstance(case.Z, np.ndarray):
        return
    Y, X = sol.generator(case.Z), case.X
    found = cg.ipm(X, Y, case.options["discriminator"]).value
    assert found == pytest.approx(sol.certificate.ipm, abs=1e-10 * max(1, second(X).trace()))
    g, W = case.options["generator_penalty"], sol.generator.weights
    price = g * (np.sum(W**2) if case.options["regularizer"] == "weights" else np.mean(np.sum(Y**2, axis=1)))
    value = price + case.options.get("lam", 0) * found
    assert value == pytest.approx(sol.value, rel=1e-9, abs=1e-10)


@given(quadratic_cases(), st.integers(2, 9))
def test_sum_is_n_times_mean(case, n):
    X, Z = np.tile(case.X, (n, 1)), rows(np.ones(case.X.shape[1]), n=n * len(case.X))
    budget = {k: v * (len(X) if k == "beta" else 1) for k, v in case.options.items() if k in ("beta", "lam")}
    mean = Case(X, Z, case.options).solve()
    total = Case(X, Z, case.options | budget).solve(reduction="sum")
    close = {"rel": 1e-12, "abs": 1e-12 * len(X)}
    assert total.value == pytest.approx(len(X) * mean.value, **close)
    assert total.certificate.bound == pytest.approx(len(X) * mean.certificate.bound, **close)
    assert total.certificate.max_min == pytest.approx(len(X) * mean.certificate.max_min, **close)
    assert total.certificate.ipm == pytest.approx(len(X) * mean.certificate.ipm, **close)
    assert total.discriminator.norm == pytest.approx(mean.discriminator.norm)
    np.testing.assert_allclose(total.generator(Z), mean.generator(Z), atol=1e-10)


def test_weights_are_not_scaled_by_sum():
    """|W|^2 + lam * sum-ipm: n lam replaces lam; with beta the sum-ipm is constrained."""
    X, Z = rows([3.0, 1.0], n=6), rows([2.0, 0.5], n=6)
    total = cg.solve(X, Z, beta=3.0, reduction="sum", regularizer="weights")
    assert total.value == pytest.approx(2.5 / 2 + 0.5 / 0.5, rel=1e-12)
    lam = cg.solve(X, Z, lam=0.1, reduction="sum", regularizer="weights")
    assert lam.value == pytest.approx(soft_value([3, 1], [0.5, 2], lam=0.6), rel=1e-12)
    assert lam.discriminator.norm <= 0.1 * (1 + 1e-12)
    scores = lam.discriminator(X).sum() - lam.discriminator(lam.generator(Z)).sum()
    W = lam.generator.weights
    assert scores + np.sum(W**2) == pytest.approx(lam.value, rel=1e-9)


# -- the linear discriminator: convex in the generator's weights, solved as such -----------------------------


@pytest.mark.parametrize("budget", [{"beta": 0.3}, {"beta": 9.0}, {"lam": 0.4}, {"lam": 50.0}])
@pytest.mark.parametrize("name", ["linear-linear", "linear-weights", "linear-polynomial", "linear-free", "linear-bias"])
def test_linear_against_a_program_over_the_weights(name, budget):
    case = CELLS[name]
    if name == "linear-bias":  # Gaussian latents: only their constant matters, E z = 0 and E z z' = I
        F, K = np.array([[0.0, 0.0, 1.0]]), np.eye(3)
    elif name == "linear-free":
        F = np.eye(len(case.X))
        K = F / len(F)
    else:
        F = features(case)
        K = F.T @ F / len(F)
    W = cp.Variable((F.shape[1], 2))
    root = np.linalg.cholesky(K + 1e-14 * np.eye(len(K))).T
    cost = cp.sum_squares(W) if name == "linear-weights" else cp.sum_squares(root @ W)
    ipm = cp.norm(case.X.mean(0) - F.mean(0) @ W)
    problem = (
        cp.Problem(cp.Minimize(cost), [ipm <= budget["beta"]])
        if "beta" in budget
        else cp.Problem(cp.Minimize(cost + budget["lam"] * ipm))
    )
    problem.solve(**TIGHT)
    sol = case.solve(**budget)
    assert sol.value == pytest.approx(problem.value, rel=1e-6, abs=1e-8)
    assert sol.certificate.kind == "saddle" and sol.certificate.optimal(1e-9)
    assert sol.certificate.min_neurons == int(sol.value > 0)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@given(seed=seeds)
def test_linear_without_a_latent_mean_is_infeasible_and_says_from_where_on_not(reduction, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 30))
    X, Z = rng.standard_normal((2 * n, 3)) + 1, rng.standard_normal((n, 2))
    options = {"discriminator": "linear", "reduction": reduction}
    Z = np.vstack([Z, -Z])
    with pytest.raises(cg.InfeasibleError, match="bias=True") as error:
        cg.solve(X, Z, beta=0.0, **options)
    repaired = cg.solve(X, Z, beta=error.value.smallest_beta, **options)
    assert repaired.value == 0 and repaired.certificate.kind == "saddle"
    size = np.linalg.norm(X.mean(0)) * (2 * n if reduction == "sum" else 1)
    assert error.value.smallest_beta == pytest.approx(size, rel=1e-12)


def test_linear_with_a_bias_is_constant():
    X = rows([1.0, 1.0], tilt=[0.6, 0.0])
    sol = cg.solve(X, cg.GaussianLatent(3), discriminator="linear", generator=cg.generators.Linear(bias=True), beta=0.1)
    np.testing.assert_allclose(sol.generator.bias, X.mean(0) * (1 - 0.1 / 0.6), rtol=1e-12)
    assert not sol.generator.weights.any()
    assert sol.value == pytest.approx(0.25, rel=1e-12)


# -- the quadratic discriminator ------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [{"beta": 0.7}, {"beta": 2.0}, {"lam": 1.5}, {"lam": 2.0}, {"lam": 30.0}])
@given(seed=seeds)
def test_quadratic_against_a_program_over_second_moments(budget, seed):
    X = np.random.default_rng(seed).standard_normal((8, 3)) @ np.diag([2, 1.2, 0.8]) + 0.3
    assert _second_moment_program(X, 0.8, budget) == pytest.approx(
        cg.solve(X, cg.GaussianLatent(3), generator_penalty=0.8, **budget).value, rel=1e-7, abs=1e-8
    )


def _second_moment_program(X, penalty, budget):
    d = X.shape[1]
    S, b = cp.Variable((d, d), PSD=True), cp.Variable()
    norm = [second(X) - S << b * np.eye(d), S - second(X) << b * np.eye(d)]
    cost = penalty * cp.trace(S)
    if "beta" in budget:
        problem = cp.Problem(cp.Minimize(cost), [*norm, b == budget["beta"]])
    else:
        problem = cp.Problem(cp.Minimize(cost + budget["lam"] * b), norm)
    return problem.solve(**TIGHT)


@given(st.integers(1, 7), seeds, budgets())
def test_free_rows(n, seed, budget):
    """Free(n): the rows' own second moment is the soft threshold; n rows reach rank n."""
    X = np.random.default_rng(seed).standard_normal((9, 4)) + 0.2
    values = np.linalg.eigvalsh(second(X))[::-1]
    spec = cg.generators.Free(n)
    if "beta" in budget and n < 4 and budget["beta"] < values[n]:
        with pytest.raises(cg.InfeasibleError) as error:
            cg.solve(X, generator=spec, **budget)
        assert error.value.smallest_beta == pytest.approx(values[n], rel=1e-12)
        return
    sol = cg.solve(X, generator=spec, rng=seed, **budget)
    assert sol.value == pytest.approx(soft_value(values, np.ones(min(n, 4)), **budget), rel=1e-11, abs=1e-13)
    Y = sol.generator()
    assert Y.shape == (n, 4)
    ipm = np.abs(np.linalg.eigvalsh(second(X) - second(Y))).max()
    assert ipm == pytest.approx(sol.certificate.ipm, rel=1e-9, abs=1e-12)
    assert np.mean(np.sum(Y**2, 1)) + budget.get("lam", 0) * ipm == pytest.approx(sol.value, rel=1e-9, abs=1e-11)
    assert sol.certificate.kind in ("saddle", "minimax")


def test_free_weights_are_the_rows_themselves():
    X = rows([3.0, 1.0], n=5)
    sol = cg.solve(X, generator=cg.generators.Free(4), beta=0.5, regularizer="weights")
    assert sol.value == pytest.approx(np.sum(sol.generator() ** 2), rel=1e-12)
    assert sol.value == pytest.approx(4 * 3.0, rel=1e-12)
    assert sol.certificate.kind == "saddle"


def test_free_rows_take_their_number_from_Z_or_X():
    X, Z = rows([3.0, 1.0], n=6), np.ones((4, 3))
    assert cg.solve(X, generator="free", beta=0.5).generator().shape == (6, 2)
    assert cg.solve(X, Z, generator="free", beta=0.5).generator().shape == (4, 2)
    with pytest.raises(ValueError, match="pass one of them"):
        cg.solve(X, Z, generator=cg.generators.Free(3), beta=0.5)
    generator = cg.solve(X, Z, generator="free", beta=0.5).generator
    assert {tuple(r) for r in generator.sample(50, 0)} <= {tuple(r) for r in generator()}
    with pytest.raises(ValueError, match="training latents"):
        generator(np.ones((5, 3)))


@pytest.mark.parametrize("coefficients", [(0.09375, 0.5, 0.46875), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
@pytest.mark.parametrize("budget", [{"beta": 0.5}, {"lam": 1.5}])
def test_polynomial_generators_reach_what_their_features_reach(coefficients, budget):
    spec, X = cg.generators.TwoLayerPolynomial(*coefficients), rows([3.0, 2.0, 0.6])
    Z = np.random.default_rng(0).standard_normal((30, 2))
    rank = np.linalg.matrix_rank(spec.lift(Z))
    if rank < 3 and "beta" in budget:
        with pytest.raises(cg.InfeasibleError):
            cg.solve(X, Z, generator=spec, **budget)
        return
    for latents in (Z, cg.GaussianLatent(2)):
        sol = cg.solve(X, latents, generator=spec, **budget)
        assert sol.value == pytest.approx(soft_value([3, 2, 0.6], np.ones(rank), **budget), rel=1e-12)
        assert sol.certificate.kind == "saddle"
        Y = sol.generator(Z)
        W = np.linalg.lstsq(spec.lift(Z), Y, rcond=None)[0]
        np.testing.assert_allclose(spec.lift(Z) @ W, Y, atol=1e-9)
        if latents is Z:
            assert np.abs(np.linalg.eigvalsh(second(X) - second(Y))).max() == pytest.approx(
                sol.certificate.ipm, abs=1e-10
            )


def test_lifted_penalty_is_the_norm_of_the_lifted_weights():
    spec, X = cg.generators.TwoLayerPolynomial(), rows([3.0, 1.0])
    Z = np.random.default_rng(1).standard_normal((30, 2))
    k = np.linalg.eigvalsh(second(spec.lift(Z)))[::-1]
    sol = cg.solve(X, Z, generator=spec, regularizer="lifted", beta=0.5)
    assert sol.value == pytest.approx(2.5 / k[0] + 0.5 / k[1], rel=1e-10)
    assert sol.value == pytest.approx(np.sum(sol.generator.weights**2), rel=1e-10)
    with pytest.raises(ValueError, match="lifted"):
        cg.solve(X, Z, generator=spec, regularizer="weights", beta=0.5)


# -- brute force over the generator's weights, for every cell ------------------------------------------------

ANGLES = np.linspace(0, 2 * np.pi, 721)
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)])


def planar_ipm(X, Y, a, b):
    """max over 721 unit neurons: low by at most 2e-5 relative."""
    M, m = second(X) - second(Y), X.mean(0) - Y.mean(0)
    return np.abs(a * np.sum(CIRCLE * (M @ CIRCLE), axis=0) + b * m @ CIRCLE).max()


def brute_value(case, lam):
    """min over the weights of R + lam ipm by a simplex search from several starts; nothing convex is used."""
    a, b = coefficients(case)
    spec = case.options.get("generator", "linear")
    F = np.eye(2) if spec == "free" else features(case)
    squared = case.options.get("regularizer", "output") != "output"

    def objective(w):
        W = w.reshape(-1, 2)
        Y = F @ W
        cost = np.sum(W**2) if squared else np.mean(np.sum(Y**2, axis=1))
        return cost + lam * planar_ipm(case.X, Y, a, b)

    best = np.inf
    for seed in range(4):
        w = np.random.default_rng(seed).standard_normal(2 * F.shape[1])
        for _ in range(4):  # a restarted simplex leaves kinks
            found = minimize(
                objective, w, method="Nelder-Mead", options={"maxfev": 4000, "xatol": 1e-9, "fatol": 1e-11}
            )
            w = found.x
        best = min(best, found.fun)
    return best


@pytest.mark.parametrize("lam", [0.6, 1.4])
@pytest.mark.parametrize(
    "name", ["linear-linear", "linear-weights", "quadratic-linear", "quadratic-weights", "quadratic-free-weights"]
)
def test_no_generator_found_by_search_is_better(name, lam):
    case = CELLS[name]
    if "free" in name:
        case = Case(case.X, None, case.options | {"generator": cg.generators.Free(2)})
    elif name.startswith("quadratic"):
        case = Case(case.X, rows([2.0, 0.7], 5, tilt=[0.4, 0.3]), case.options)
    raw = Case(case.X, case.Z, case.options | {"generator": "free"} if "free" in name else case.options)
    sol = case.solve(lam=lam)
    found = brute_value(raw, lam)
    assert found >= sol.value * (1 - 3e-5)
    assert found == pytest.approx(sol.value, rel=2e-3)


@pytest.mark.parametrize("lam", [1.0, 4.0])
def test_no_generator_found_by_search_is_better_against_polynomial_neurons(lam):
    case = CELLS["polynomial-centred"]
    case = Case(case.X, rows([1.3, 0.5], 8), case.options)
    found, sol = brute_value(case, lam), case.solve(lam=lam)
    assert sol.method == "closed_form"
    assert found >= sol.value * (1 - 3e-5)
    assert found == pytest.approx(sol.value, rel=2e-3)


# -- properties of every cell with a formula -----------------------------------------------------------------

BUDGETS = [{"beta": 0.37}, {"lam": 0.9}]
cell = pytest.mark.parametrize("name", EXACT)


@cell
@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_every_cell_is_certified(name, budget):
    sol = EXACT[name].solve(**budget)
    assert sol.method == "closed_form"
    assert sol.certificate.optimal(1e-9), sol
    assert sol.certificate.bound <= sol.value * (1 + 1e-9)


@cell
@pytest.mark.parametrize("budget", BUDGETS, ids=str)
@pytest.mark.parametrize("size", [1e-4, 0.3, 1e6])
def test_homogeneous(name, budget, size):
    """Data in other units: the value is in their square."""
    case, budget_there = scaled(EXACT[name], size, budget)
    here, there = EXACT[name].solve(**budget), case.solve(**budget_there)
    assert there.value == pytest.approx(size**2 * here.value, rel=1e-10)
    assert there.certificate.kind == here.certificate.kind
    assert there.certificate.optimal(1e-9)


@cell
@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_invariant_under_rotation(name, budget):
    case, R = EXACT[name], rotation(2, 9)
    turned, straight = Case(case.X @ R, case.Z, case.options).solve(**budget), case.solve(**budget)
    assert turned.value == pytest.approx(straight.value, rel=1e-11)
    assert turned.certificate.ipm == pytest.approx(straight.certificate.ipm, rel=1e-9)
    assert turned.certificate.kind == straight.certificate.kind


@cell
def test_value_falls_in_beta_and_rises_in_lam(name):
    betas = [0.05, 0.2, 0.6, 1.0, 2.0, 4.5, 9.0]
    values = [EXACT[name].solve(beta=beta).value for beta in betas]
    assert (np.diff(values) <= 1e-12).all() and values[0] > values[-1] == 0
    lams = [EXACT[name].solve(lam=lam).value for lam in betas]
    assert (np.diff(lams) >= -1e-12).all() and lams[0] < lams[-1]


@cell
def test_value_is_convex_in_beta_and_concave_in_lam(name):
    grid = np.linspace(0.1, 4, 14)
    values = np.array([EXACT[name].solve(beta=beta).value for beta in grid])
    assert (np.diff(values, 2) >= -1e-11).all()
    values = np.array([EXACT[name].solve(lam=lam).value for lam in grid])
    assert (np.diff(values, 2) <= 1e-11).all()


@cell
def test_the_norm_bounded_game_is_the_penalised_one_at_its_own_ipm(name):
    """If (G, b) minimises R + lam ipm, then G minimises R at beta = b: two formulas, one generator."""
    norm = EXACT[name].solve(lam=0.9)
    penal = EXACT[name].solve(beta=norm.certificate.ipm)
    assert penal.value + 0.9 * norm.certificate.ipm == pytest.approx(norm.value, rel=1e-9)


@pytest.mark.parametrize("discriminator", ["quadratic", "polynomial"])
@pytest.mark.parametrize("budget", [{"beta": 0.1}, {"beta": 3.0}, {"lam": 2.0}, {"lam": 1.0}, {"lam": 10.0}])
@pytest.mark.parametrize("split", [1e-3, 1e-7, 1e-11, 1e-14, 0.0])
def test_continuous_at_ties(discriminator, budget, split):
    def value(e):
        sol = cg.solve(rows([5.0, 3.0 + e, 3.0, 1.0]), cg.GaussianLatent(4), discriminator=discriminator, **budget)
        assert sol.certificate.kind == "saddle"
        return sol.value

    assert value(split) == pytest.approx(value(0.0), abs=2 * split + 1e-12)


@pytest.mark.parametrize("beta", [3.0, 3.0 * (1 + 1e-13), 3.0 * (1 - 1e-13), 3 - 1e-9])
def test_beta_at_an_eigenvalue(beta):
    sol = cg.solve(rows([5.0, 3.0, 1.0]), cg.GaussianLatent(3), beta=beta)
    assert sol.value == pytest.approx(2.0, abs=1e-8) and sol.certificate.optimal()


# -- the pieces -----------------------------------------------------------------------------------------------


@given(st.integers(1, 6), seeds, st.booleans())
def test_unit_neurons_reassemble_their_moments(d, seed, centred):
    """sum v_j [u_j; 1][u_j; 1]' = [[S, m], [m', tr S]], with |u_j| = 1 and v_j > 0."""
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((d + 1, d))
    U /= np.linalg.norm(U, axis=1)[:, None]
    v = rng.uniform(0.1, 2, d + 1)
    S, m = (v * U.T) @ U, np.zeros(d) if centred else v @ U
    neurons, weights = unit_neurons(S, m, float(v.sum()))
    np.testing.assert_allclose(np.linalg.norm(neurons, axis=1), 1, atol=1e-10)
    assert (weights > 0).all() and weights.sum() == pytest.approx(v.sum(), rel=1e-10)
    np.testing.assert_allclose((weights * neurons.T) @ neurons, S, atol=1e-9)
    np.testing.assert_allclose(weights @ neurons, m, atol=1e-9)


# -- beta = 0 ----------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    seed=seeds,
    exponent=st.integers(-6, 6),
    options=st.sampled_from(
        [
            {"discriminator": "polynomial"},
            {"discriminator": Polynomial(-0.3, 0.2, 0.1)},
            {"discriminator": "quadratic", "bias": "penalized"},
            {"discriminator": "polynomial", "generator": "polynomial"},
            {"discriminator": "polynomial", "generator": "free"},
        ]
    ),
)
def test_at_beta_0_the_moments_are_the_datas(seed, exponent, options):
    """By hand: ipm is 0 only where both moments agree, so the value is the data's second moment."""
    rng, size = np.random.default_rng(seed), 10.0**exponent
    X = size * (rng.standard_normal((20, 3)) + np.array([1, 0.5, 0]))
    Z = None if options.get("generator") == "free" else rng.standard_normal((30, 5)) + 0.5
    sol = cg.solve(X, Z, beta=0.0, **{"generator": Linear(bias=True)} | options)
    assert (sol.method, sol.certificate.kind) == ("closed_form", "saddle")
    assert sol.value == pytest.approx(np.mean(np.sum(X**2, axis=1)), rel=1e-9)
    made = sol.generator() if Z is None else sol.generator(Z)
    np.testing.assert_allclose(made.mean(axis=0), X.mean(axis=0), atol=1e-9 * size)
    np.testing.assert_allclose(made.T @ made / len(made), X.T @ X / len(X), atol=1e-9 * size**2)
    if exponent == 0 and Z is not None:  # the other route
        again = cg.solve(X, Z, beta=0.0, method="program", **{"generator": Linear(bias=True)} | options)
        assert again.value == pytest.approx(sol.value, rel=1e-5)


def test_at_beta_0_latents_that_do_not_suffice_are_infeasible():
    X, Z = np.random.default_rng(0).standard_normal((2, 20, 3))
    X = X + np.eye(3)[0]
    assert cg.select_method(X, Z, discriminator="polynomial", beta=0.0)[0] == "program"
    with pytest.raises(cg.InfeasibleError) as error:
        cg.solve(X, Z, discriminator="polynomial", beta=0.0)
    assert cg.solve(X, Z, discriminator="polynomial", beta=error.value.smallest_beta).status == "optimal"


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("seed", [1, 3])
def test_rounding_of_a_vanishing_ipm_is_no_violation(size, seed):
    """Centred data against linear neurons: ipm(X, 0) is rounding itself, and no scale for a violation."""
    X = size * np.random.default_rng(seed).standard_normal((20, 2))
    X -= X.mean(axis=0)
    sol = cg.solve(X, discriminator="linear", generator="mixture", beta=0.0)
    assert sol.certificate.kind == "saddle" and sol.value <= 1e-12 * size**2
    assert cg.certify(X, -X, discriminator="linear", beta=0.0).kind == "bounded"  # means of opposite rounding
    moved = cg.certify(X, X + 1e-6 * size, discriminator="linear", beta=0.0)
    assert moved.kind == "infeasible" and moved.violation == pytest.approx(2**0.5 * 1e-6 * size, rel=1e-6)


def test_what_is_below_the_bound_is_not_called_a_violation():
    proof = cg.certify(np.eye(3), np.eye(3), beta=0.1)
    below = replace(proof, value=0.1, bound=0.2, relative_violation=0.0, kind="infeasible")
    assert "value 0.1 is below the bound 0.2" in shortfall(below) and "violates" not in shortfall(below)
    assert "violates the constraint by 0.01 relative" in shortfall(replace(below, relative_violation=0.01))
