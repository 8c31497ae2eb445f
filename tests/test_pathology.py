"""Input as it comes: broken, empty, huge, tiny, degenerate, and of every type. An answer is right or a clear error."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import convexgan as cg
from convexgan._tools import checks as _checks
from tests.generators import CELLS, EXACT, Case, coefficients, rotation, rows, scaled, second

X, Z = rows([4.0, 2.0, 0.7], 2, tilt=[0.4, 0.2, 0.1]), rows([2.0, 1.0, 0.5], 4, tilt=[0.3, 0.2, 0.1])
GAUSS = cg.GaussianLatent(3)
DISCRIMINATORS = ["linear", "quadratic", "polynomial"]

every = pytest.mark.parametrize("discriminator", DISCRIMINATORS)
one_of_two = pytest.mark.parametrize("budget", [{"beta": 0.3}, {"lam": 0.9}], ids=str)


# -- refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (np.where(X[2, 1] == X, np.nan, X), r"X \(shape \(6, 3\)\) has NaN or infinite entries in 1 rows"),
        (np.where(X[2, 1] == X, np.inf, X), r"X \(shape \(6, 3\)\) has NaN"),
        (np.where(X[2, 1] == X, -np.inf, X).astype(np.float32), r"X \(shape \(6, 3\)\) has NaN"),
        (X[:0], r"X is empty \(shape \(0, 3\)\)"),
        (X[:, :0], r"X is empty"),
        (X[0], r"X must be a 2-D array .* got shape \(3,\): \.reshape\(-1, 1\)"),
        (X[None], r"X must be a 2-D array .* flatten"),
        (7.0, r"X must be a 2-D array"),
        (X + 1j, r"X must hold real numbers, got dtype complex128"),
        (X.astype(str), r"X must hold real numbers"),
        ([["a", "b"]], r"X must hold real numbers"),
        (X.astype(object), r"X must hold real numbers"),
        (None, r"X must"),
    ],
)
def test_broken_rows_are_named_with_their_repair(broken, says):
    for call in (
        lambda: cg.solve(broken, GAUSS, beta=0.3),
        lambda: cg.ipm(broken, X),
        lambda: cg.ipm(broken, X, "quadratic"),
        lambda: cg.two_sample_test(broken, X),
        lambda: cg.balance(broken, X),
        lambda: cg.certify(broken, X, beta=0.3),
        lambda: cg.Moments.from_array(broken),
    ):
        with pytest.raises(ValueError, match=says):
            call()


@pytest.mark.parametrize("broken", [Z * np.nan, Z[:0], Z[0], Z[:, :0], Z.astype(str), Z + 1j])
@pytest.mark.parametrize("generator", ["linear", "polynomial"])
def test_broken_latents_are_named(broken, generator):
    with pytest.raises(ValueError, match="Z"):
        cg.solve(X, broken, beta=0.3, generator=generator)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cg.ipm(X, X[:, :2]), "same features"),
        (lambda: cg.ipm(X, X[:, :2], "quadratic"), "3 columns and Y has 2"),
        (lambda: cg.two_sample_test(X, X[:, :2]), "same features"),
        (lambda: cg.balance(X, X[:, :2]), "same features"),
        (lambda: cg.certify(X, X[:, :2], beta=1.0), "same features"),
        (lambda: cg.held_out(X, X[:, :2]), "same features"),
        (lambda: cg.Moments.from_array(X).update(X[:, :2]), "same features"),
        (lambda: cg.Moments.from_chunks([X, X[:, :2]]), "same features"),
        (lambda: cg.solve(X, GAUSS, beta=0.1).discriminator(X[:, :2]), "same features"),
    ],
)
def test_mismatched_columns(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize("name", ["beta", "lam"])
@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf, -np.inf, "0.1", "big", True, [0.1, 0.2], 1j])
def test_budgets_are_finite_numbers(name, bad):
    with pytest.raises(ValueError, match=f"{name} must be"):
        cg.solve(X, GAUSS, **{name: bad})


@pytest.mark.parametrize("options", [{}, {"beta": 0.1, "lam": 0.1}])
def test_exactly_one_budget(options):
    for call in (cg.solve, cg.select_method, cg.program, cg.certify):
        with pytest.raises(ValueError, match="exactly one of beta and lam"):
            call(X, X, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"generator_penalty": 0},
        {"generator_penalty": -1},
        {"generator_penalty": np.nan},
        {"tol": 0},
        {"tol": "fine"},
        {"max_neurons": 0},
        {"max_neurons": 2.5},
        {"discriminator": 3},
        {"generator": None},
        {"regularizer": "none"},
        {"reduction": "max"},
        {"bias": True},
        {"method": "magic"},
        {"solver": "IPOPT", "method": "program"},
        {"bias": "free"},
    ],
)
def test_bad_options_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options)) if "method" not in options else "solver|method"):
        cg.solve(X, GAUSS, beta=0.1, **options)


def test_unknown_solver_is_refused_even_where_a_formula_answers():
    with pytest.raises(ValueError, match="solver"):
        cg.solve(X, GAUSS, beta=0.1, solver="IPOPT")


def test_missing_latents():
    with pytest.raises(ValueError, match="Z is missing"):
        cg.solve(X, beta=0.3)
    assert cg.solve(X, generator="free", beta=0.3).status == "optimal"


def test_sums_need_equally_many_rows():
    for latents in (Z[:-1], GAUSS, cg.Moments.from_array(np.vstack([Z, Z]))):
        with pytest.raises(ValueError, match="same number of rows"):
            cg.solve(X, latents, beta=0.3, reduction="sum")
    with pytest.raises(ValueError, match="same number of rows"):
        cg.solve(X, generator=cg.generators.Free(5), beta=0.3, reduction="sum")


def test_empty_moments_are_refused():
    for call in (
        lambda: cg.solve(cg.Moments(3), GAUSS, beta=0.1),
        lambda: cg.solve(X, cg.Moments(3), beta=0.1),
        lambda: cg.ipm(X, cg.Moments(3), "quadratic"),
    ):
        with pytest.raises(ValueError, match="no samples"):
            call()


def test_more_columns_than_memory_are_refused_before_the_matrix_is_made(monkeypatch):
    wide = np.ones((2, 3000))
    monkeypatch.setattr(_checks, "physical_memory", lambda: 4_096_000)
    with pytest.raises(ValueError, match=r"3000 columns.*GiB"):
        cg.Moments(3000).update(np.ones((3001, 3000), np.float32))
    with pytest.raises(ValueError, match="columns"):
        cg.Moments.from_array(wide).second  # noqa: B018
    sol = cg.solve(np.eye(2, 3000), GAUSS, beta=0.1)
    assert sol.value == pytest.approx(0.8) and sol.certificate.kind == "saddle"


# -- answered: types and layouts --------------------------------------------------------------------------------


class Frame:
    """What pandas looks like to numpy."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


class Tensor:
    """What torch looks like to us."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.values


INTEGERS = np.round(5 * X)
FORMS = {
    "list": lambda A: A.tolist(),
    "int64": lambda A: A.astype(np.int64),
    "int8": lambda A: A.astype(np.int8),
    "float32": lambda A: A.astype(np.float32),
    "float16": lambda A: A.astype(np.float16),
    "longdouble": lambda A: A.astype(np.longdouble),
    "big-endian": lambda A: A.astype(">f8"),
    "fortran": np.asfortranarray,
    "strided": lambda A: np.repeat(np.repeat(A, 2, 0), 3, 1)[::2, ::3],
    "reversed": lambda A: A[::-1, ::-1].copy()[::-1, ::-1],
    "frame": Frame,
    "tensor": Tensor,
    "matrix": lambda A: np.ma.masked_array(A),
    "read-only": lambda A: np.frombuffer(A.tobytes()).reshape(A.shape),
}


@pytest.mark.parametrize("form", FORMS)
@every
def test_every_form_of_the_same_rows(form, discriminator):
    latents = np.round(5 * Z)
    options = {"discriminator": discriminator, "beta": 1.0}
    given = FORMS[form](INTEGERS)
    expected = cg.solve(INTEGERS, latents, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sol = cg.solve(given, FORMS[form](latents), **options)
    assert sol.value == pytest.approx(expected.value, rel=1e-5 if form in ("float32", "float16") else 1e-6)
    assert sol.certificate.kind == expected.certificate.kind == "saddle"
    Y = sol.generator(FORMS[form](latents))
    assert Y.dtype == np.float64
    np.testing.assert_allclose(Y, sol.generator(latents), atol=1e-12)
    np.testing.assert_allclose(sol.discriminator(given), sol.discriminator(INTEGERS), rtol=1e-12)
    found = cg.ipm(given, FORMS[form](latents), discriminator).value
    assert found == pytest.approx(cg.ipm(INTEGERS, latents, discriminator).value, rel=1e-5)


def test_booleans_and_bytes():
    B = np.random.default_rng(0).integers(0, 2, (20, 3)).astype(bool)
    expected = cg.solve(B.astype(float), GAUSS, beta=0.05).value
    assert cg.solve(B, GAUSS, beta=0.05).value == pytest.approx(expected, rel=1e-14)
    assert cg.solve(B.astype(np.uint8), GAUSS, beta=0.05).value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("number", [np.float32(0.5), np.int64(1), 1, np.array(0.5), "numpy scalar"])
def test_budgets_of_every_numeric_type(number):
    number = np.float64(0.5) if isinstance(number, str) else number
    assert cg.solve(X, GAUSS, beta=number).value == cg.solve(X, GAUSS, beta=float(number)).value


# -- answered: scales and degenerate data --------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("size", [1e-4, 1e6])
@one_of_two
def test_any_units(name, size, budget):
    """With the user's own activation, not rescaled with the data: certified, and as good as the matching units'."""
    case = CELLS[name]
    a, b = coefficients(case)
    typical = abs(a) * size**2 + abs(b) * size
    own = {"beta": 0.2 * typical} if "beta" in budget else {"lam": size**2 / typical}
    sol = Case(size * case.X, case.Z, case.options).solve(**own)
    assert sol.certificate.kind in ("saddle", "minimax"), sol
    assert sol.certificate.optimal()
    if name == "quadratic-penalized":
        return
    normal, moved = scaled(Case(size * case.X, case.Z, case.options), 1 / size, own)
    assert sol.value == pytest.approx(size**2 * normal.solve(**moved).value, rel=2e-6)


@pytest.mark.parametrize("name", EXACT)
def test_beta_zero_reproduces_the_moments(name):
    case = EXACT[name]
    sol = case.solve(beta=0.0)
    assert sol.certificate.ipm <= 1e-12 and sol.certificate.kind in ("saddle", "minimax")
    if isinstance(case.Z, np.ndarray) and coefficients(case)[0]:
        np.testing.assert_allclose(second(sol.generator(case.Z)), second(case.X), atol=1e-11)


@pytest.mark.parametrize("name", ["polynomial-free", "polynomial-bias", "quadratic-penalized"])
def test_beta_zero_by_program(name):
    case = CELLS[name]
    sol = case.solve(beta=0.0)
    assert sol.value == pytest.approx(np.trace(second(case.X)), rel=1e-5)
    assert sol.certificate.kind == "saddle"


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("method", ["auto", "program"])
def test_beta_above_everything_gives_nothing(name, method):
    """Doing nothing is feasible, hence optimal: value 0, no neurons needed."""
    case = CELLS[name]
    try:
        sol = case.solve(beta=50.0, method=method)
    except ValueError as error:
        assert "not convex" in str(error)
        return
    assert sol.value == pytest.approx(0, abs=1e-8)
    assert sol.certificate.kind == "saddle" and sol.certificate.gap == 0
    assert sol.certificate.min_neurons in (0, None)


@pytest.mark.parametrize("name", CELLS)
def test_lam_zero_gives_nothing(name):
    sol = CELLS[name].solve(lam=0.0)
    assert sol.value == pytest.approx(0, abs=1e-8)
    assert sol.certificate.kind == "saddle"


@pytest.mark.parametrize("name", [n for n in CELLS if n != "polynomial-linear"])  # kappa .25 cannot reach mean .34
def test_a_large_lam_reproduces_the_moments(name):
    case = CELLS[name]
    sol = case.solve(lam=1e4)
    assert sol.certificate.kind in ("saddle", "minimax")
    assert sol.certificate.ipm <= 1e-6


@every
@one_of_two
def test_duplicate_rows_change_nothing(discriminator, budget):
    once = cg.solve(X, Z, discriminator=discriminator, **budget)
    often = cg.solve(np.repeat(X, 4, 0), np.repeat(Z, 3, 0), discriminator=discriminator, **budget)
    assert often.value == pytest.approx(once.value, rel=1e-7)
    assert often.certificate.kind == once.certificate.kind


@every
@one_of_two
def test_rank_deficient_latents_count_by_their_rank(discriminator, budget):
    """Copies and sums of latent columns add nothing; nobody divides by a round-off eigenvalue."""
    data = X - X.mean(0) * (discriminator != "linear")
    lean = rows([2.0, 1.0, 0.5], 4, tilt=[0.3, 0.2, 0.1] if discriminator == "linear" else None)
    wide = np.column_stack([lean, lean[:, 0], lean @ [1, 2, 3], np.zeros(len(lean))])
    options = {"discriminator": discriminator, **budget}
    a, b = cg.solve(data, lean, **options), cg.solve(data, wide, **options)
    assert b.value == pytest.approx(a.value, rel=1e-10)
    np.testing.assert_allclose(
        b.generator(wide).T @ b.generator(wide), a.generator(lean).T @ a.generator(lean), atol=1e-9
    )
    assert np.abs(b.generator.weights).max() < 100


@every
@one_of_two
def test_fewer_rows_than_columns(discriminator, budget):
    data = np.random.default_rng(0).standard_normal((4, 30))
    data -= data.mean(0) * (discriminator == "polynomial")
    latents = np.random.default_rng(1).standard_normal((40, 30)) + 0.2
    options = {"discriminator": discriminator, **budget}
    thin = cg.solve(data, latents, **options)
    dense = cg.solve(np.tile(data, (10, 1)), latents, **options)
    assert thin.value == pytest.approx(dense.value, rel=1e-9)
    assert thin.certificate.kind == dense.certificate.kind == "saddle"
    few = cg.solve(data, latents[:3], discriminator=discriminator, lam=2.0)
    assert few.certificate.bound <= few.value * (1 + 1e-9)


def test_few_large_pictures_against_few_latents():
    data = np.random.default_rng(0).standard_normal((5, 20_000))
    sol = cg.solve(data, cg.GaussianLatent(5), beta=100.0)
    values = np.linalg.eigvalsh(data @ data.T / 5)
    assert sol.value == pytest.approx(np.maximum(values - 100, 0).sum(), rel=1e-12)
    assert sol.certificate.kind == "saddle"


@every
@one_of_two
@pytest.mark.parametrize("n", [1, 5])
def test_constant_data(discriminator, budget, n):
    data = np.tile([[3.0, 4.0]], (n, 1))
    sol = cg.solve(
        data, cg.GaussianLatent(2), discriminator=discriminator, generator=cg.generators.Linear(bias=True), **budget
    )
    assert sol.certificate.kind == "saddle"
    if discriminator == "quadratic":
        assert sol.value == pytest.approx(24.7 if "beta" in budget else 0.9 * 25, rel=1e-12)
    if discriminator == "linear":
        assert sol.value == pytest.approx(4.7**2 if "beta" in budget else 0.45**2 + 0.9 * 4.55, rel=1e-12)


@every
@one_of_two
def test_data_that_are_zero(discriminator, budget):
    for latents in (cg.GaussianLatent(2), np.ones((3, 1))):
        sol = cg.solve(np.zeros((5, 2)), latents, discriminator=discriminator, **budget)
        assert sol.value == pytest.approx(0, abs=1e-8)
        assert sol.certificate.kind == "saddle"


@every
@pytest.mark.parametrize("generator", ["linear", "polynomial"])
def test_latents_that_are_zero_are_refused(discriminator, generator):
    spec = cg.generators.TwoLayerPolynomial(1.0, 1.0, 0.0) if generator == "polynomial" else generator
    with pytest.raises(ValueError, match="Z is zero everywhere"):
        cg.solve(X, np.zeros((5, 2)), discriminator=discriminator, generator=spec, beta=50.0)


@every
@pytest.mark.parametrize("budget", [{"beta": 1.0}, {"lam": 0.9}], ids=str)
def test_one_column(discriminator, budget):
    data, latents = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [-1.0], [2.0]])
    sol = cg.solve(data, latents, discriminator=discriminator, **budget)
    grid = np.linspace(-4, 4, 400_001)  # all generators z -> w z
    m1, m2 = 7 / 3 - grid * 2 / 3, 7 - grid**2 * 2
    a, b = {"linear": (0, 1), "quadratic": (1, 0), "polynomial": (0.09375, 0.5)}[discriminator]
    ipm = np.maximum(np.abs(a * m2 + b * m1), np.abs(a * m2 - b * m1))
    cost = 2 * grid**2
    value = cost[ipm <= 1].min() if "beta" in budget else (cost + 0.9 * ipm).min()
    assert sol.certificate.bound <= value * (1 + 1e-6)
    assert sol.certificate.kind == ("saddle" if discriminator != "polynomial" else sol.certificate.kind)
    assert sol.value == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("generator", ["linear", "free"])
def test_one_sample(generator):
    sol = cg.solve([[3.0, 4.0]], None if generator == "free" else [[2.0]], beta=1.0, generator=generator)
    assert sol.value == pytest.approx(24.0, rel=1e-12)
    Y = sol.generator([[2.0]])
    assert Y.shape == (1, 2) and np.linalg.norm(Y) == pytest.approx(np.sqrt(24))


def test_nearly_dependent_columns():
    base = np.random.default_rng(0).standard_normal((50, 2))
    data = np.column_stack([base, base[:, 0] + 1e-9 * base[:, 1]])
    sol = cg.solve(data, GAUSS, beta=0.0)
    assert sol.certificate.kind == "saddle"
    assert sol.value == pytest.approx(np.trace(second(data)), rel=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1e-160, 1e-100, 1e100, 1e150])
def test_extreme_units_are_answered_or_refused(size):
    """No number a user can square may give a wrong answer: saddle, or an error that names the data."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            sol = cg.solve(size * X, GAUSS, beta=0.1 * size * size)
    except (ValueError, cg.SolverError) as error:
        assert "X" in str(error) or size < 1e-150  # where beta itself is a denormal number
        return
    assert sol.certificate.kind == "saddle"


@pytest.mark.parametrize("size", [1e-6, 1e-4, 1.0, 1e6])
def test_centred_data_are_centred_in_any_units(size):
    centred = size * rows([4.0, 2.0, 0.7], 2)
    assert cg.select_method(centred, GAUSS, discriminator="polynomial", lam=1.0)[0] == "closed_form"
    moved = centred + 1e-3 * size
    assert cg.select_method(moved, GAUSS, discriminator="polynomial", lam=1.0)[0] == "program"


def test_float32_data_of_a_small_rank_are_not_matched_to_rounding_noise():
    """300 single-precision rows of rank 2 in 10 columns: beta = 0 needs two latents, not ten."""
    A = np.random.default_rng(0).standard_normal((300, 2)) @ np.random.default_rng(1).standard_normal((2, 10))
    sol = cg.solve(A.astype(np.float32), cg.GaussianLatent(2), beta=0.0)
    assert sol.status == "optimal"
    assert sol.value == pytest.approx(np.trace(second(A)), rel=1e-5)


def test_rotated_latents_change_nothing_for_output():
    R = rotation(3, 5)
    a, b = (cg.solve(X, latents, beta=0.3) for latents in (Z, Z @ R))
    assert a.value == pytest.approx(b.value, rel=1e-12)


def test_the_global_random_state_is_left_alone():
    state = np.random.get_state()[1].copy()
    cg.solve(X, generator="free", beta=0.3)
    cg.ipm(X, X * 2)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
