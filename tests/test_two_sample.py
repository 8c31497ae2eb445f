"""The two-sample test beside scipy's: conventions, enumeration, weights, limits."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import numpy as np
import pytest
from scipy.stats import permutation_test

import convexgan as cg
from convexgan._tools.deadline import Deadline
from convexgan.arrangements import net_bounds
from convexgan.discriminators import Polynomial, ReLU, separate_rows


def pair(n: int, m: int, d: int, seed: int = 0, shift: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)) + shift


@pytest.mark.parametrize("discriminator", ["relu", "linear", "quadratic", "polynomial"])
@pytest.mark.parametrize(("n", "m", "d"), [(4, 4, 1), (5, 3, 2), (3, 4, 3)])
def test_few_splits_are_enumerated_as_scipy_does(discriminator: str, n: int, m: int, d: int) -> None:
    X, Y = pair(n, m, d, n)
    rows = np.concatenate([X, Y])

    def statistic(i: Any, j: Any) -> float:
        return cg.ipm(rows[np.asarray(i, int)], rows[np.asarray(j, int)], discriminator).value

    places = np.arange(n), np.arange(n, n + m)
    other = permutation_test(places, statistic, n_resamples=np.inf, alternative="greater", vectorized=False)
    found = cg.two_sample_test(X, Y, discriminator)
    assert found.enumerated and found.permutations == math.comb(n + m, n) - 1 and not found.stopped
    assert found.pvalue == found.p_value == pytest.approx(other.pvalue, abs=1e-12)
    assert found.statistic == found.value == pytest.approx(other.statistic, rel=1e-9)
    if discriminator == "relu" and d == 3:  # bounds, where they decide
        return
    np.testing.assert_allclose(
        np.sort([*found.null, found.value]), np.sort(other.null_distribution), rtol=1e-8, atol=1e-12
    )


@pytest.mark.parametrize("bias", ["none", "penalized"])
@pytest.mark.parametrize("discriminator", ["relu", "absolute", ReLU(0.2), ReLU(1.5)])
@pytest.mark.parametrize("kind", ["integers", "normal", "equal rows", "one column of three", "weights"])
def test_p_values_are_those_of_searches_of_every_split(kind: str, discriminator: Any, bias: str) -> None:
    """On three columns, where bounds decide, with ties: splits whose statistic is the samples' count."""
    n, m, d = 4, 3, 3 - (bias == "penalized")
    for seed in range(3):
        rng = np.random.default_rng(seed)
        rows = rng.integers(-1, 2, (n + m, d)).astype(float) if kind == "integers" else rng.standard_normal((n + m, d))
        if kind == "equal rows":
            rows[1::2] = rows[0]
        if kind == "one column of three":
            rows[:, 1:] = 2 * rows[:, :1]
        w = rng.integers(1, 3, n + m).astype(float) if kind == "weights" else np.ones(n + m)
        found = cg.two_sample_test(
            rows[:n], rows[n:], discriminator, bias=bias, weights_x=w[:n], weights_y=w[n:], permutations=100
        )
        values = []
        for chosen in itertools.combinations(range(n + m), n):
            first = np.isin(np.arange(n + m), chosen)
            how = {"weights_x": w[first], "weights_y": w[~first], "bias": bias}
            values.append(cg.ipm(rows[first], rows[~first], discriminator, **how).value)
        assert found.enumerated and found.value == pytest.approx(values[0], rel=1e-9)
        least = values[0] * (1 - 1e-9) - 1e-13
        assert found.p_value == pytest.approx(np.mean(np.array(values) >= least), abs=1e-12)


@pytest.mark.parametrize("slope", [0.0, 0.2, -1.0, 2.0])
def test_one_net_bounds_every_split(slope: float) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 3, 40):
        rows = rng.standard_normal((2 * n, 3)) * [1.0, 0.1, 3.0]
        shares = np.stack([rng.permutation(np.repeat([1 / n, -1 / n], n)) for _ in range(20)])
        low, high = net_bounds(rows, (1 - slope) * shares, slope * shares @ rows, Deadline()) or pytest.fail()
        for share, least, most in zip(shares, low, high, strict=True):
            truth = separate_rows(ReLU(slope), rows, share)
            assert truth.exact and least <= truth.value * (1 + 1e-9) and truth.value <= most * (1 + 1e-12)
            assert n < 3 or (least > 0.9 * truth.value and most < 1.2 * truth.value)
    assert net_bounds(rows, shares, shares @ rows, Deadline(0)) is None


@pytest.mark.parametrize("discriminator", ["relu", ReLU(0.3), "absolute"])
def test_drawn_statistics_are_lower_bounds_near_the_maximum(discriminator: Any) -> None:
    for d in (4, 5):
        X, Y = pair(20, 15, d, d)
        found, truth = cg.two_sample_test(X, Y, discriminator, permutations=9), cg.ipm(X, Y, discriminator)
        assert not found.exact and 0.95 * truth.value <= found.value <= truth.value * (1 + 1e-12)
        tiny = cg.two_sample_test(1e-100 * X, 1e-100 * Y, discriminator, permutations=9)
        assert tiny.p_value == found.p_value and tiny.value == pytest.approx(1e-100 * found.value, rel=1e-9)


def test_two_and_two_rows_have_six_splits_and_take_no_time() -> None:
    start = time.perf_counter()
    found = cg.two_sample_test(*pair(2, 2, 5))
    assert time.perf_counter() - start < 1
    assert found.permutations == 5 and found.enumerated and found.p_value in (2 / 6, 4 / 6, 1.0)
    few = cg.two_sample_test(*pair(2, 2, 5), permutations=5)  # one fewer than there are
    assert not few.enumerated and few.permutations == 5
    assert cg.two_sample_test(*pair(2, 2, 5), permutations=6).enumerated


@pytest.mark.parametrize(
    "discriminator", ["linear", "quadratic", Polynomial(0.3, 0.5, 0.1), Polynomial(-2.0, 0.0, 0.1), ReLU(0.2)]
)
@pytest.mark.parametrize("bias", ["none", "penalized"])
@pytest.mark.parametrize("shape", [(9, 7, 2), (5, 6, 30)])
def test_splits_together_are_splits_one_by_one(discriminator: Any, bias: str, shape: tuple[int, int, int]) -> None:
    X, Y = pair(*shape, 3)
    if isinstance(discriminator, ReLU):
        X, Y = X[:, :1], Y[:, :1]
    found = cg.two_sample_test(X, Y, discriminator, bias=bias, permutations=12, rng=4)
    draw = np.random.default_rng(4)
    draw.integers(2**31)
    rows, signs = np.concatenate([X, Y]), np.repeat([1.0, -1.0], [len(X), len(Y)])
    for value in found.null:
        first = draw.permutation(signs) > 0
        assert value == pytest.approx(cg.ipm(rows[first], rows[~first], discriminator, bias=bias).value, rel=1e-8)
    assert found.value == pytest.approx(cg.ipm(X, Y, discriminator, bias=bias).value, rel=1e-9)


@pytest.mark.parametrize("discriminator", ["relu", "linear", "quadratic", "polynomial"])
@pytest.mark.parametrize("d", [1, 3])
def test_a_row_keeps_its_weight_when_it_changes_sample(discriminator: str, d: int) -> None:
    X, Y = pair(4, 3, d, 1)
    w, v = np.array([1.0, 2, 3, 4]), np.array([5.0, 1, 1])
    found = cg.two_sample_test(X, Y, discriminator, weights_x=w, weights_y=v)
    rows, weights, values = np.concatenate([X, Y]), np.concatenate([w, v]), []
    for chosen in itertools.combinations(range(7), 4):
        first = np.isin(np.arange(7), chosen)
        how = {"weights_x": weights[first], "weights_y": weights[~first]}
        values.append(cg.ipm(rows[first], rows[~first], discriminator, **how).value)
    assert found.value == pytest.approx(values[0], rel=1e-9)
    assert found.p_value == pytest.approx(np.mean(np.array(values) >= values[0] * (1 - 1e-9)), abs=1e-12)
    repeated = cg.two_sample_test(X, Y, discriminator, weights_x=7 * w, weights_y=v)  # a sample's scale says nothing
    assert repeated.value == pytest.approx(found.value, rel=1e-9)


def test_a_weighted_test_holds_its_level() -> None:
    rng = np.random.default_rng(0)
    found = []
    for i in range(200):
        X, w = rng.standard_normal((2, 16, 2)), rng.exponential(size=(2, 16))
        found.append(cg.two_sample_test(*X, weights_x=w[0], weights_y=w[1], permutations=19, rng=i).p_value)
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.065)  # three standard errors


def test_the_witness_of_weighted_rows_is_judged_by_weighted_rows() -> None:
    X, Y = pair(60, 60, 2, shift=2.0)
    plain = cg.two_sample_test(X, Y, permutations=9)
    same = cg.two_sample_test(X, Y, permutations=9, weights_x=np.full(60, 3.0), weights_y=np.full(60, 0.1))
    assert same.held_out == pytest.approx(plain.held_out) and same.held_out_error == pytest.approx(plain.held_out_error)
    w = np.where(np.arange(60) < 59, 1e-12, 1.0)  # one row decides, so nothing is known of its spread
    assert cg.two_sample_test(X, Y, permutations=9, weights_x=w).p_value > 0.05


def test_a_limit_ends_the_permutations_with_a_valid_p_value() -> None:
    X, Y = pair(30, 30, 3)
    found = cg.two_sample_test(X, Y, permutations=10**6, time_limit=0.5)
    assert found.stopped and 0 < found.permutations < 10**6 and found.exact
    assert found.p_value == (1 + np.sum(found.null >= found.value)) / (1 + found.permutations)
    none = cg.two_sample_test(X, Y, time_limit=0)
    assert (none.p_value, none.permutations, none.stopped) == (1.0, 0, True)
    part = cg.two_sample_test(*pair(6, 6, 3), time_limit=0.05)
    assert not part.enumerated or part.permutations == 923


def test_progress_reports_the_p_value_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[float, float, int]] = []
    found = cg.two_sample_test(*pair(12, 12, 3), permutations=9, progress=lambda *numbers: seen.append(numbers))
    assert [count for _, _, count in seen] == list(range(1, 10))
    assert seen[-1] == (found.value, found.p_value, 9)
    cg.two_sample_test(*pair(12, 12, 1), permutations=9, progress=True)
    assert capsys.readouterr().out == ""


def test_ctrl_c_ends_the_permutations_with_what_is_known() -> None:
    def interrupt(value: float, p_value: float, count: int) -> None:
        if count == 4:
            raise KeyboardInterrupt

    found = cg.two_sample_test(*pair(12, 12, 3), permutations=99, progress=interrupt)
    assert (found.permutations, found.stopped) == (4, True) and found.p_value in np.arange(1, 6) / 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"weights_x": [1.0, 2.0]}, r"weights of X must have shape \(5,\)"),
        ({"weights_y": [1.0, 0, 1, 1]}, "weights of Y are 0 for 1 rows: leave those rows out"),
        ({"weights_x": [-1.0, 1, 1, 1, 1]}, "non-negative"),
        ({"time_limit": -1}, "time_limit"),
    ],
)
def test_arguments_without_meaning(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cg.two_sample_test(*pair(5, 4, 2), **arguments)


def test_quick_statistics_take_thousands_of_permutations_a_second() -> None:
    X, Y = pair(200, 200, 10)
    for discriminator in ("linear", "quadratic"):
        start = time.perf_counter()
        cg.two_sample_test(X, Y, discriminator, permutations=2000)
        assert time.perf_counter() - start < 4
