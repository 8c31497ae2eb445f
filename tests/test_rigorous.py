"""What certificates print are bounds in exact arithmetic, in every cell and unit; and `verify` without rounding."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convexgan as cg
from convexgan._tools import rounding as _rounding
from convexgan.rigorous import numbers
from tests.exact import Outcome, law_game, moment_game, outcome
from tests.generators import EIGENVALUES, rows, seeds

FEW = rows([3.0, 1.0], 0, tilt=[0.4, 0.2])


# -- arithmetic ----------------------------------------------------------------------------------------------------


@given(st.floats(1e-300, 1e300))
def test_square_roots_lie_between_their_bounds(number):
    low, high = numbers.root(Fraction(number))
    assert low**2 <= Fraction(number) <= high**2 and high - low <= high / 2**150


@given(st.fractions())
def test_floats_on_either_side(number):
    assert Fraction(numbers.down(number)) <= number <= Fraction(numbers.up(number))
    if number == Fraction(float(number)):
        assert numbers.down(number) == numbers.up(number) == float(number)


@given(seeds, st.integers(1, 6), st.sampled_from([1e-9, 1e-3, 1.0, 1e8]))
def test_moments_in_fractions_are_those_of_the_rows(seed, d, unit):
    X = unit * np.random.default_rng(seed).standard_normal((7, d))
    second, mean = numbers.second_and_mean(X)
    each = [[Fraction(x) for x in row] for row in X.tolist()]
    assert mean.tolist() == [sum(column) / 7 for column in zip(*each, strict=True)]
    assert second[0, -1] == sum(row[0] * row[-1] for row in each) / 7
    w = np.random.default_rng(seed + 1).uniform(0, 2, 7)
    weighted = numbers.second_and_mean(X, w)[1][0]
    assert weighted == sum(Fraction(a) * row[0] for a, row in zip(w.tolist(), each, strict=True)) / sum(
        Fraction(a) for a in w.tolist()
    )


def matrices(seed: int, d: int, lowest: float) -> np.ndarray:
    """A symmetric matrix whose smallest eigenvalue is about ``lowest``."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    values = np.append(lowest, rng.uniform(0.5, 2, d - 1))
    made = (turn * values) @ turn.T
    return (made + made.T) / 2


@pytest.mark.parametrize("proof", [_rounding.is_positive, lambda M: numbers.is_positive(numbers.exact(M))])
@pytest.mark.parametrize("d", [1, 2, 5, 12])
@given(seed=seeds, lowest=st.sampled_from([1.0, 1e-6, 1e-10, -1e-15, -1e-10, -1.0]))
def test_what_is_proved_positive_is(proof, d, seed, lowest):
    M = matrices(seed, d, lowest)
    if proof(M):
        assert _determinant_signs(M)
    elif lowest >= 1e-10:
        pytest.fail("no proof of a matrix that is far from singular")


def _determinant_signs(M: np.ndarray) -> bool:
    """Whether all leading minors are non-negative, in fractions (Sylvester; no matrix here is singular)."""
    rest = [[Fraction(x) for x in row] for row in M.tolist()]
    for k in range(len(rest)):
        if rest[k][k] < 0:
            return False
        for i in range(k + 1, len(rest)):
            share = rest[i][k] / rest[k][k]
            rest[i] = [x - share * y for x, y in zip(rest[i], rest[k], strict=True)]
    return True


@given(seeds, st.integers(1, 8), st.sampled_from([1e-100, 1e-8, 1.0, 1e8]), st.sampled_from([0.0, 1.0, 1e6]))
def test_largest_eigenvalues_are_bounded_closely(seed, d, unit, offset):
    A = np.random.default_rng(seed).standard_normal((d, d))
    M = unit * (A + A.T + offset * np.eye(d))
    low, high = numbers.largest_eigenvalue(numbers.exact(M))
    size = Fraction(float(np.abs(M).max()))
    assert low <= high <= low + size / 10**20
    norm = float(np.abs(np.linalg.eigvalsh(M)).max())
    guesses = [None, norm, norm * (1 - 1e-12), 0.5 * norm, 1e-9 * norm]
    for bound in (_rounding.largest_eigenvalue(M), *(_rounding.spectral_norm(M, guess) for guess in guesses)):
        assert Fraction(bound) >= low
        assert bound <= norm * (1 + 1e-8)
    assert float((Fraction(_rounding.largest_eigenvalue(M)) - high) / size) <= 1e-12
    assert (_rounding.eigenvalue_bounds(M) >= np.sort(np.linalg.eigvalsh(M))[::-1]).all()


@given(seeds, st.sampled_from(["f4", "f8", "u1"]), st.sampled_from([1e-8, 1.0, 1e8]), st.sampled_from([0.0, 1e3, 1e9]))
def test_moments_state_how_wrong_they_are(seed, kind, unit, offset):
    """Kept rows and sums, chunks and merges, weights, centred and mapped: against fractions."""
    rng = np.random.default_rng(seed)
    n, d = (int(rng.integers(1, 30)), int(rng.integers(1, 6)))
    X = rng.integers(0, 256, (n, d)) if kind == "u1" else unit * (rng.standard_normal((n, d)) + offset)
    X = X.astype(kind)
    w = rng.uniform(0, 2, n) if rng.random() < 0.5 else None
    half = n // 2
    whole = cg.Moments.from_array(X, w)
    if half:
        parts = [cg.Moments.from_array(X[s], None if w is None else w[s]) for s in (slice(half), slice(half, None))]
        for moments in (parts[0] + parts[1], parts[1] + parts[0]):
            assert_errors(moments, X, w)
    assert_errors(whole, X, w)
    assert_errors(whole.centered(), X, w, centred=True)
    A = rng.standard_normal((d, 3))
    assert_errors(whole.mapped(lambda rows: rows @ A), X, w, A)
    assert_errors(whole.centered().mapped(lambda rows: rows @ A), X, w, A, centred=True)


def assert_errors(moments, X, w, A=None, centred=False) -> None:
    second, mean = numbers.second_and_mean(X.astype(float), w)
    if centred:
        second, mean = second - np.outer(mean, mean), 0 * mean
    if A is not None:
        second, mean = numbers.exact(A).T @ second @ numbers.exact(A), numbers.exact(A).T @ mean
    apart = numbers.exact(moments.second) - second
    far = max(numbers.largest_eigenvalue(sign * apart)[0] for sign in (1, -1)) if apart.any() else Fraction(0)
    assert far <= Fraction(moments.second_error)
    away = numbers.exact(moments.mean) - mean
    assert numbers.root(away @ away)[0] <= Fraction(moments.mean_error)
    if moments.factor is not None:
        F = numbers.exact(moments.factor)
        apart = F.T @ F - second
        far = max(numbers.largest_eigenvalue(sign * apart)[0] for sign in (1, -1)) if apart.any() else Fraction(0)
        assert far <= Fraction(moments.factor_error)
    known = moments.spectrum
    true = numbers.largest_eigenvalue(second) if second.any() else (Fraction(0), Fraction(0))
    assert abs(Fraction(known.value(0)) - true[0]) <= Fraction(moments.spectrum_error) + (true[1] - true[0])


# -- certificates --------------------------------------------------------------------------------------------------


def assert_true(found: Outcome) -> None:
    assert found.false == [], (found.cell, found.kind)


@pytest.mark.parametrize("block", range(8))
def test_certificates_of_moment_games_are_bounds(block):
    for seed in range(30 * block, 30 * block + 30):
        assert_true(outcome(moment_game(seed)))


@pytest.mark.parametrize("block", range(4))
def test_certificates_of_laws_of_points_are_bounds(block):
    for seed in range(30 * block, 30 * block + 30):
        assert_true(outcome(law_game(seed)))


def test_the_referee_of_this_file_sees_what_is_false(monkeypatch):
    """With rounding taken for nothing the same games are refused."""
    monkeypatch.setattr(_rounding, "gamma", lambda n: 0.0)
    response = "discriminators.best_response"
    for module in (
        "statistics.accumulation",
        "statistics.mapping",
        "statistics.moments",
        "statistics.products",
        response,
        "closed_forms.dual",
        "closed_forms.quadratic",
    ):
        monkeypatch.setattr(f"convexgan.{module}.gamma", lambda n: 0.0)
    monkeypatch.setattr(f"convexgan.{response}.spectral_norm", lambda M, *_: abs(np.linalg.eigvalsh(M)).max())
    assert any(outcome(moment_game(seed)).false for seed in range(60))


def test_an_immense_price_is_no_excuse():
    """lam times the rounding of an ipm is no rounding of the value."""
    X = np.random.default_rng(0).standard_normal((50, 3)) * [2.0, 1.0, 0.5]
    for lam in (1e6, 2e14, 1e15, 1e17):
        proof = cg.solve(X, cg.GaussianLatent(3), lam=lam).certificate
        assert proof.bound <= np.sum(X**2) / 50 * (1 + 1e-12)
        assert (proof.kind == "saddle") == (proof.value - proof.bound <= 1e-6 * proof.value)


@pytest.mark.parametrize("lam", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("regularizer", ["output", "weights"])
def test_a_value_of_nothing_but_rounding_is_nothing(regularizer, lam):
    """Centred data against linear neurons: the zero generator is optimal, its ipm is what rounding leaves of a mean."""
    rng = np.random.default_rng(0)
    for n in (4, 50, 400):
        X = rng.standard_normal((n, 2))
        options = {"discriminator": "linear", "regularizer": regularizer, "generator_penalty": 0.3, "lam": lam}
        proof = cg.solve(X - X.mean(axis=0), rng.standard_normal((5, 2)), **options).certificate
        assert proof.kind == "saddle" and proof.value <= 1e-12


@pytest.mark.parametrize("name", ["quadratic", "polynomial"])
@pytest.mark.parametrize("size", [1e-3, 1e-7, 1e-8])
def test_the_row_of_ones_does_not_hide_tiny_data(name, size):
    """A penalised bias on centred data: both samples have the same ones, however large beside the data."""
    X = np.random.default_rng(1).standard_normal((40, 3)) * [2.0, 1.0, 0.5]
    X = size * (X - X.mean(axis=0))
    activation = cg.discriminators.Polynomial(1.0, 0.3 * size * (name == "polynomial"), 0.0)
    sol = cg.solve(X, cg.GaussianLatent(3), discriminator=activation, bias="penalized", beta=size**2)
    W = sol.generator.weights
    apart = np.linalg.norm(X.T @ X / 40 - W.T @ W, 2)
    assert sol.certificate.violation >= apart - size**2 - 1e-12 * size**2
    assert sol.certificate.relative_violation <= 1e-6 and sol.certificate.kind == "saddle"


@pytest.mark.parametrize(("shift", "lam"), [(7e-13, 1e14), (3e-13, 1e21), (7e-13, 1e16)])
def test_a_latent_mean_that_counts_as_zero_is_in_the_bound(shift, lam):
    Z, X = np.random.default_rng(0).standard_normal((50, 2)), np.full((3, 1), 1.0)
    Z = Z - Z.mean(axis=0)
    Z[:, 0] += shift
    bound = cg.solve(X, cg.Moments.from_array(Z), discriminator="linear", lam=lam).certificate.bound
    second, mean = (part.astype(float) for part in numbers.second_and_mean(Z))
    kappa = Fraction(float(mean @ np.linalg.solve(second, mean)))
    assert Fraction(bound) <= Fraction(lam) - Fraction(lam) ** 2 * kappa * (1 - Fraction(1, 10**9)) / 4


def test_weights_of_points_that_do_not_cancel_exactly_are_in_the_bound():
    """3 (k - 1) shares of 1 / 3k against 7 (k - 1) of 1 / 7k: nothing is left but rounding, far from the neuron."""
    for k in (1000, 1021):
        X, Y = np.zeros((3 * k, 1)), np.zeros((7 * k, 1))
        X[0], X[1:3], Y[:7] = 1.0, -1.0, -0.5
        truth = Fraction(3, 2) / (3 * k)
        assert Fraction(cg.ipm(X, Y, bias="free").upper_bound) >= truth


@pytest.mark.parametrize(
    ("size", "weight"), [(1e-4, 1e-306), (1e-60, 1e-200), (1e60, 1e200), (1.0, 1e308), (1e-60, 1e-300)]
)
def test_weights_beyond_floating_point_are_refused(size, weight):
    X = size * np.random.default_rng(0).standard_normal((20, 3))
    for n in (20, 2):
        with pytest.raises(ValueError, match=r"weights of X .*(rescale|divide)"):
            cg.Moments.from_array(X[:n], np.full(n, weight))


def test_numbers_that_are_none_prove_nothing():
    assert not _rounding.is_positive(np.array([[1.0, np.nan], [np.nan, 1.0]]))
    X = 1e10 * np.random.default_rng(0).standard_normal((20, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = cg.solve(X, cg.GaussianLatent(3), beta=1.0, generator_penalty=1e300, throw=False).certificate
        assert found is None or not any(map(math.isnan, (found.value, found.bound, found.ipm, found.max_min)))
        huge = cg.certify(1e139 * X, X, discriminator=cg.discriminators.Polynomial(1e12, 0.5, 0.0), beta=1e297)
    assert huge.kind == "infeasible" and huge.ipm == math.inf


# -- verify without rounding ---------------------------------------------------------------------------------------


CLAIMS = {
    "quadratic": (rows(EIGENVALUES), cg.GaussianLatent(5), {"beta": 1.0}),
    "linear": (FEW, rows([2.0, 1.0], 5, tilt=[0.3, 0.4]), {"discriminator": "linear", "beta": 0.1}),
    "polynomial": (FEW, rows([2.0, 1.0, 0.5], 5), {"discriminator": "polynomial", "beta": 0.4}),
    "weights": (FEW, rows([2.0, 0.5], 5), {"regularizer": "weights", "lam": 1.3}),
    "bias": (
        FEW,
        cg.GaussianLatent(2),
        {"bias": "penalized", "beta": 0.1, "generator": cg.generators.Linear(bias=True)},
    ),
    "mixture": (FEW, None, {"discriminator": "relu", "generator": "mixture", "beta": 0.1}),
    "line": (FEW[:, :1], None, {"discriminator": "relu", "generator": "free", "bias": "free", "beta": 0.1}),
    "smooth": (FEW, None, {"discriminator": "polynomial", "generator": "mixture", "lam": 0.7}),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_are_confirmed_without_rounding(name):
    X, Z, options = CLAIMS[name]
    claim = cg.solve(X, Z, **options).certificate
    found = cg.verify(claim, X, rigorous=True)
    assert found.kind == claim.kind and found.value == pytest.approx(claim.value, rel=1e-6)
    for field in ("value", "ipm", "violation"):
        low, high = found.enclosures[field]
        assert low <= high <= getattr(found, field) <= getattr(claim, field) * (1 + 1e-15)
        assert getattr(found, field) <= high + 1e-15 * max(found.value, found.ipm)
        assert high - low <= 1e-12 * max(1.0, abs(high))
    assert found.bound >= claim.bound * (1 - 1e-15)
    low, high = found.enclosures["optimum"]
    assert low == found.bound
    if found.violation == 0:
        assert high == pytest.approx(found.value, rel=1e-14)
    elif name in ("quadratic", "mixture"):  # the data's own law is of the class
        assert found.value < high <= found.value * (1 + 1e-7)
    else:
        assert high == math.inf
    assert "in [" in str(found) and "in [" not in str(claim)
    assert cg.Certificate.from_json(found.to_json()).value == found.value


def test_a_law_that_is_cheaper_than_the_optimum_does_not_enclose_it():
    X = np.array([[3.0, 0.0], [0.0, 1.0]])
    Y = np.array([[8**0.5, 0.0], [0.0, 0.0]]) * (1 - 4e-8)
    found = cg.verify(cg.certify(X, Y, beta=0.5), X, rigorous=True)
    low, high = found.enclosures["optimum"]  # which is 4
    assert found.value < 4 and low <= 4 <= high < 4.00001


def test_a_forged_number_is_outside_its_enclosure():
    X, Z, options = CLAIMS["quadratic"]
    claim = cg.solve(X, Z, **options).certificate
    claim.evidence.arrays["factor"] *= 1.001
    found = cg.verify(claim, X, rigorous=True)
    assert not found.enclosures["value"][0] <= claim.value <= found.enclosures["value"][1]
    assert found.enclosures["ipm"][0] != claim.ipm


def test_a_violation_has_no_enclosed_optimum():
    X, Z, options = CLAIMS["quadratic"]
    claim = cg.solve(X, Z, **options).certificate
    claim.evidence.arrays["factor"] *= 0.9
    found = cg.verify(claim, X, rigorous=True)
    assert found.kind == "infeasible" and "optimum" not in found.enclosures and found.gap == math.inf


@pytest.mark.parametrize(
    ("X", "Z", "options", "says"),
    [
        (
            np.eye(300, 250),
            cg.GaussianLatent(250),
            {"beta": 0.0},
            "up to 200 columns.* this game has 250 columns and 300",
        ),
        (np.tile(FEW, (600, 1)), None, {"discriminator": "relu", "generator": "mixture", "lam": 0.0}, "2000 rows"),
        (np.eye(4, 3), None, {"discriminator": "relu", "generator": "mixture", "lam": 0.1}, "has 3 columns"),
        (FEW - FEW.mean(0), cg.GaussianLatent(2), {"discriminator": "relu", "beta": 0.1}, "Gaussian laws"),
        (
            FEW,
            np.eye(3),
            {"discriminator": "linear", "generator": "relu", "regularizer": "weights", "beta": 0.1},
            "networks",
        ),
    ],
    ids=["wide", "long", "solid", "gaussian", "network"],
)
def test_games_that_are_too_large_or_of_another_kind_say_so(X, Z, options, says):
    claim = cg.solve(X, Z, **options).certificate
    with pytest.raises(ValueError, match=f"rigorous=True .*{says}"):
        cg.verify(claim, X, rigorous=True)


def test_moments_are_no_rows():
    X, Z, options = CLAIMS["quadratic"]
    claim = cg.solve(X, Z, **options).certificate
    with pytest.raises(ValueError, match="needs the rows themselves"):
        cg.verify(claim, cg.Moments.from_array(X), rigorous=True)
    with pytest.raises(ValueError, match="rigorous must be True or False"):
        cg.verify(claim, X, rigorous=1)
    with pytest.raises(ValueError, match="damaged"):
        cg.verify(replace(claim, evidence=replace(claim.evidence, arrays={})), X, rigorous=True)
