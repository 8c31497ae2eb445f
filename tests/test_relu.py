"""ReLU discriminators: ipm against its definition, brute force and symmetries; the two-sample test."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convexgan as cg
from convexgan.discriminators import ReLU
from tests.generators import rotation, seeds

LEAKY = [ReLU(), ReLU(0.2), ReLU(-1.0), ReLU(1.5)]


def pair(seed, n=14, m=11, d=2):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) + rng.standard_normal(d) / 2, rng.standard_normal((m, d)) * rng.uniform(0.5, 2)


def seen(X, Y, U, activation=None):
    """|mean s(Xu) - mean s(Yu)| for each row of U, from the definition."""
    s = activation or ReLU()
    return np.abs(s(X @ U.T).mean(0) - s(Y @ U.T).mean(0))


def directions(d, seed=0, count=20_000):
    U = np.random.default_rng(seed).standard_normal((count, d))
    return U / np.linalg.norm(U, axis=1)[:, None]


@pytest.mark.parametrize("activation", LEAKY)
@given(seed=seeds, d=st.integers(1, 3))
@settings(max_examples=15)
def test_no_direction_sees_more_and_the_reported_one_sees_it_all(activation, seed, d):
    X, Y = pair(seed, d=d)
    found = cg.ipm(X, Y, activation)
    assert found.exact and found.status == "optimal"
    assert np.linalg.norm(found.direction) == pytest.approx(1, rel=1e-12)
    assert seen(X, Y, found.direction[None], activation)[0] == pytest.approx(found.value, rel=1e-12)
    assert found.witness(X).mean() - found.witness(Y).mean() == pytest.approx(found.value, rel=1e-11)
    sampled = seen(X, Y, directions(d), activation).max()
    assert sampled <= found.value * (1 + 1e-12)
    assert sampled >= found.value * (0.99 if d < 3 else 0.97)


@given(seed=seeds)
@settings(max_examples=15)
def test_the_planar_maximum_is_reached_by_refining_a_grid(seed):
    X, Y = pair(seed)
    low, high = 0.0, 2 * np.pi
    for _ in range(6):  # the function is piecewise a sinusoid: zoom into the best cell of a fine grid
        angles = np.linspace(low, high, 4001)
        values = seen(X, Y, np.stack([np.cos(angles), np.sin(angles)], axis=1))
        best, step = angles[values.argmax()], (high - low) / 4000
        low, high = best - step, best + step
    assert cg.ipm(X, Y).value == pytest.approx(values.max(), rel=1e-9)


@given(seed=seeds, d=st.integers(1, 3))
@settings(max_examples=15)
def test_symmetries(seed, d):
    X, Y = pair(seed, d=d)
    value, Q = cg.ipm(X, Y).value, rotation(d, seed)
    assert cg.ipm(Y, X).value == pytest.approx(value, rel=1e-9)
    assert cg.ipm(Y, X).sign == -cg.ipm(X, Y).sign or value < 1e-12
    assert cg.ipm(X @ Q, Y @ Q).value == pytest.approx(value, rel=1e-9)
    assert cg.ipm(1e6 * X, 1e6 * Y).value == pytest.approx(1e6 * value, rel=1e-9)
    assert cg.ipm(1e-6 * X, 1e-6 * Y).value == pytest.approx(1e-6 * value, rel=1e-9)
    wider = [np.column_stack([s, np.zeros((len(s), 2)), s[:, :1]]) for s in (X, Y)]  # rank d in d + 3 columns
    bent = cg.ipm(*wider)
    assert bent.direction.shape == (d + 3,) and bent.value >= value * (1 - 1e-9)


def test_slope_one_is_the_linear_neuron_and_minus_one_the_absolute_value():
    X, Y = pair(1, d=3)
    assert cg.ipm(X, Y, ReLU(1.0)).value == pytest.approx(cg.ipm(X, Y, "linear").value, rel=1e-12)
    found = cg.ipm(X, Y, ReLU(-1.0))
    u = found.direction
    assert found.value == pytest.approx(abs(np.abs(X @ u).mean() - np.abs(Y @ u).mean()), rel=1e-12)


@given(seed=seeds)
@settings(max_examples=10)
def test_penalized_bias_is_a_column_of_ones(seed):
    X, Y = pair(seed, d=2)
    found = cg.ipm(X, Y, bias="penalized")
    ones = [np.column_stack([s, np.ones(len(s))]) for s in (X, Y)]
    assert found.value == pytest.approx(cg.ipm(*ones).value, rel=1e-9)
    assert found.direction.shape == (3,)
    assert found.witness(X).mean() - found.witness(Y).mean() == pytest.approx(found.value, rel=1e-11)


@pytest.mark.parametrize("activation", LEAKY)
@given(seed=seeds)
@settings(max_examples=10)
def test_free_bias_on_one_column(activation, seed):
    X, Y = pair(seed, d=1)
    found = cg.ipm(X, Y, activation, bias="free")
    shifts = np.linspace(-8, 8, 4001)[:, None]
    s = activation
    grid = max(np.abs(s(u * X.T + shifts).mean(1) - s(u * Y.T + shifts).mean(1)).max() for u in (1, -1))
    assert grid <= found.value * (1 + 1e-12) and grid >= found.value - 0.02
    assert found.witness(X).mean() - found.witness(Y).mean() == pytest.approx(found.value, abs=1e-12)
    assert found.value >= cg.ipm(X, Y, activation).value * (1 - 1e-12)  # b = 0 is one of the biases


def test_weights_are_repetitions():
    X, Y = pair(3, d=3)
    counts = np.random.default_rng(0).integers(1, 4, len(X))
    weighted = cg.ipm(X, Y, weights_x=counts)
    assert weighted.value == pytest.approx(cg.ipm(np.repeat(X, counts, axis=0), Y).value, rel=1e-9)
    assert weighted.value != pytest.approx(cg.ipm(X, Y).value, rel=1e-4)


def test_equal_samples():
    X, _ = pair(0, d=3)
    found = cg.ipm(X, X[::-1].copy())
    assert found.value < 1e-15 and found.exact and np.linalg.norm(found.direction) == pytest.approx(1)


def nearly_parallel(kind):
    """Samples whose differences are small beside what they share, and directions that see them."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((2, 300, 2))
    if kind == "clock":  # nanoseconds beside a unit column
        return np.column_stack([np.full(300, 1.6e18), X[:, 0]]), np.column_stack([np.full(300, 1.6e18), Y[:, 0] + 2])
    if kind == "tiny":
        return tuple(np.column_stack([1e-13 * s, np.ones(300)]) for s in (X[:, 0], 1.5 * Y[:, 0]))
    return float(kind) + X, float(kind) + 1.5 * Y


@pytest.mark.parametrize("kind", ["clock", "tiny", "1e6", "1e11", "1e13"])
def test_what_is_merged_or_dropped_is_part_of_the_bound(kind):
    X, Y = nearly_parallel(kind)
    found = cg.ipm(X, Y, time_limit=2)
    plane = np.linalg.svd(np.vstack([X, Y]), full_matrices=False)[2][1:]  # across what both share
    around = plane + np.linspace(-3, 3, 2001)[:, None] / np.abs(X).max() * plane[:, ::-1] * [1, -1]
    U = np.vstack([around, -around, np.eye(X.shape[1])])
    U /= np.linalg.norm(U, axis=1)[:, None]
    seen = np.abs(np.maximum(X @ U.T, 0).mean(0) - np.maximum(Y @ U.T, 0).mean(0)).max()
    assert seen <= found.upper_bound * (1 + 1e-9)
    assert found.exact == (found.status == "optimal" and found.upper_bound - found.value <= 1e-9 * found.value)
    if kind in ("clock", "1e11", "1e13"):
        assert not found.exact
    if kind == "1e6":
        # a sum of 600 terms in any order is off by 600 units in the last place of their sizes, at worst; and sums along
        # the circle, with 1,200 changes of twice their size in all, choose where it is largest
        sizes = np.linalg.norm(X, axis=1).mean() + np.linalg.norm(Y, axis=1).mean()
        assert found.upper_bound <= found.value * (1 + 1e-8) + 3200 * 2.0**-53 * sizes


def test_a_common_offset_costs_a_free_bias_nothing():
    X, Y = pair(1, d=1)
    near, far = cg.ipm(X, Y, bias="free"), cg.ipm(X + 2.0**30, Y + 2.0**30, bias="free")
    assert far.exact and far.value == pytest.approx(near.value, rel=1e-6)  # the rows themselves are rounded
    assert far.witness(X + 2.0**30).mean() - far.witness(Y + 2.0**30).mean() == pytest.approx(far.value, rel=1e-6)


@pytest.mark.parametrize("discriminator", ["relu", "linear", "quadratic"])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_ties_are_ties_however_they_are_rounded(discriminator, offset):
    """Six rows split into halves in ten ways, so no p-value is much below a tenth."""
    for seed in range(30):
        rows = offset + np.random.default_rng(seed).standard_normal((6, 1))
        assert cg.two_sample_test(rows[:3], rows[3:], discriminator, permutations=199, rng=seed).p_value > 0.05


def test_limits_leave_valid_bounds():
    X, Y = pair(0, n=40, m=40, d=4)
    full = cg.ipm(X, Y)
    for limit in ({"time_limit": 0}, {"max_nodes": 1}, {"gap": 0.3}, {"method": "sampled"}):
        found = cg.ipm(X, Y, **limit)
        assert found.value <= full.value * (1 + 1e-12) and found.upper_bound >= full.value * (1 - 1e-12), limit
    assert not cg.ipm(X, Y, time_limit=0).exact and not cg.ipm(X, Y, method="sampled").exact
    few = X[:9], Y[:9]
    assert cg.ipm(*few, method="enumerate").value == pytest.approx(cg.ipm(*few).value, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"method": "simplex"}, "unknown method"),
        ({"discriminator": "quadratic", "method": "cones"}, "for ReLU"),
        ({"gap": -1}, "gap"),
        ({"time_limit": -1}, "time_limit"),
        ({"max_nodes": -1}, "max_nodes"),
        ({"bias": "some"}, "unknown bias"),
        ({"weights_x": [1.0]}, "weights of X"),
        ({"discriminator": "rely"}, "Did you mean 'relu'"),
    ],
)
def test_bad_arguments(arguments, says):
    with pytest.raises(ValueError, match=says):
        cg.ipm(*pair(0), **arguments)


def test_moments_are_no_rows():
    X, Y = pair(0)
    with pytest.raises(ValueError, match="the rows themselves"):
        cg.ipm(cg.Moments.from_array(X), Y)
    with pytest.raises(ValueError, match="two_sample_test and solve"):
        cg.held_out(X, Y, "relu")
    with pytest.raises(ValueError, match="slope"):
        ReLU(np.nan)


def test_progress_goes_to_stderr(capsys):
    cg.ipm(*pair(0, d=3), progress=True)
    cg.two_sample_test(*pair(0, d=3), "quadratic", permutations=5, progress=True)
    assert capsys.readouterr().out == ""


# -- two-sample test -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("discriminator", ["relu", "quadratic"])
def test_p_values_are_uniform_under_the_null(discriminator):
    rng = np.random.default_rng(0)
    found = [
        cg.two_sample_test(*rng.standard_normal((2, 12, 2)), discriminator, permutations=19, rng=i).p_value
        for i in range(150)
    ]
    counts = np.histogram(found, np.linspace(0, 1, 5) + 0.025)[0]
    assert np.isclose(np.sum(found) / 150, 0.525, atol=0.09)  # uniform on 1/20, ..., 1; 0.024 is a standard error
    assert counts.min() > 15


@pytest.mark.parametrize(("d", "options"), [(1, {}), (2, {}), (1, {"bias": "penalized"}), (1, {"bias": "free"})])
def test_swept_permutations_are_what_ipm_gives(d, options):
    X, Y = pair(5, d=d)
    for activation in (ReLU(), ReLU(0.3)):
        found = cg.two_sample_test(X, Y, activation, permutations=20, rng=3, **options)
        draw = np.random.default_rng(3)
        draw.integers(2**31)
        rows, shares = np.concatenate([X, Y]), np.repeat([1 / len(X), -1 / len(Y)], [len(X), len(Y)])
        for value in found.null:
            w = draw.permutation(shares)
            assert value == pytest.approx(cg.ipm(rows[w > 0], rows[w < 0], activation, **options).value, rel=1e-9)
        assert found.value == pytest.approx(cg.ipm(X, Y, activation, **options).value, rel=1e-12)
        assert found.p_value == (1 + np.sum(found.null >= found.value)) / 21


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_different_laws_are_told_apart(d):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((60, d)), rng.standard_normal((50, d)) + 1.5
    found = cg.two_sample_test(X, Y, permutations=29)
    assert found.p_value <= 1 / 30 and found.exact == (d <= 3)
    assert found.held_out > 4 * found.held_out_error > 0
    assert cg.two_sample_test(X, Y, permutations=29).null.tolist() == found.null.tolist()


def test_one_row_is_no_sample():
    with pytest.raises(ValueError, match="at least two"):
        cg.two_sample_test(np.ones((1, 2)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="permutations"):
        cg.two_sample_test(np.ones((3, 2)), np.ones((5, 2)), permutations=0)


def test_many_permutations_are_not_kept_in_memory():
    X, Y = np.random.default_rng(0).standard_normal((2, 2000, 1))
    peaks = []
    for permutations in (1000, 2000):
        tracemalloc.start()
        cg.two_sample_test(X, Y, permutations=permutations)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("options", [{}, {"bias": "penalized"}])
def test_constant_samples_are_one_law(options):
    X = np.full((6, 2), 3.0)
    assert cg.two_sample_test(X, X[:4], permutations=9, **options).p_value == 1


@pytest.mark.parametrize("slope", [0.0, 0.3, -1.0])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_charged_bias_on_tiny_rows_is_as_good_as_free(d, slope):
    X, Y = pair(0, d=d)
    near, free = (cg.ipm(2.0**-18 * X, 2.0**-18 * Y, ReLU(slope), bias=bias) for bias in ("penalized", "free"))
    price = np.hypot(1, free.direction[-1])  # what the charge takes of it
    assert near.value == pytest.approx(free.value / price, rel=1e-13, abs=0) and near.exact
    free = cg.ipm(X, Y, ReLU(slope), bias="free").value if d == 1 else None
    near = cg.ipm(1e-3 * X, 1e-3 * Y, ReLU(slope), bias="penalized")
    for size in (1e-6, 1e-9, 1e-12):
        found = cg.ipm(size * X, size * Y, ReLU(slope), bias="penalized", time_limit=60)
        assert found.status == "optimal" and found.value <= found.upper_bound <= found.value * (1 + 1e-6)
        rows = np.column_stack([size * np.vstack([X, Y]), np.ones(len(X) + len(Y))])
        shares = np.repeat([1 / len(X), -1 / len(Y)], [len(X), len(Y)])
        assert abs(shares @ ReLU(slope)(rows @ found.direction)) == pytest.approx(found.value, rel=1e-6)
        assert np.linalg.norm(found.direction) == pytest.approx(1, abs=1e-12)
        assert found.upper_bound / size >= near.value / 1e-3 * (1 - 1e-9)  # a bias is cheaper for smaller rows
        assert free is None or found.value / size == pytest.approx(free, rel=1e-6)
        test = cg.two_sample_test(size * X, size * Y, ReLU(slope), bias="penalized", permutations=19)
        assert (
            test.p_value
            == cg.two_sample_test(1e-4 * X, 1e-4 * Y, ReLU(slope), bias="penalized", permutations=19).p_value
        )


def test_mixtures_on_tiny_rows_are_saddles_with_a_charged_bias():
    X = np.random.default_rng(1).standard_normal((12, 1))
    values = []
    for size in (1e-4, 1e-9):
        how = {"discriminator": "relu", "generator": "mixture", "bias": "penalized", "beta": 0.03 * size}
        sol = cg.solve(size * X, **how)
        assert sol.certificate.kind == "saddle"
        values.append(sol.value / size**2)
    assert values[0] == pytest.approx(values[1], rel=1e-6)


@pytest.mark.parametrize("noise", [1e-9, 1e-12, 2e-13, 1e-13, 3e-14, 1e-14, 1e-15])
def test_nearly_equal_samples_have_a_small_bound(noise):
    """Where rows are equal up to the rounding by which lines are recognised, some of them cancel and others do not."""
    for p in (3, 4, 5):
        X, error = np.random.default_rng(p).standard_normal((2, 40, p))
        found = cg.ipm(X, X + noise * error, time_limit=1)
        assert found.value <= found.upper_bound <= 10 * (noise + 1e-15)


@pytest.mark.parametrize("p", [7, 9])
def test_both_sides_are_looked_at_from_the_start(p):
    X, Y = np.random.default_rng(p).standard_normal((2, 60, p))
    X[:, 0] += 1.5  # the better side, or, exchanged, the other
    for first, second in ((X, Y), (Y, X)):
        sampled = cg.ipm(first, second, method="sampled").value
        found = cg.ipm(first, second, max_nodes=0, time_limit=2)
        assert found.value >= 0.99 * sampled and found.upper_bound < 2 * sampled
