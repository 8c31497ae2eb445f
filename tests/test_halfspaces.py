"""Half-spaces: every route against all subsets that a hyperplane cuts off, with ties and points on common planes."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import ks_2samp

import convexgan as cg
from convexgan.arrangements import maximize_over_halfspaces, sweep_cuts
from convexgan.arrangements.halfspaces import beyond
from convexgan.discriminators import Threshold
from convexgan.generators import Mixture
from tests.generators import seeds


def sample(seed, d, most):
    """Few rows of both samples, with ties, rows on common lines and planes now and then, and their weights."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, most, 2)
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((m, d)) * rng.uniform(0.3, 2)
    kind = rng.integers(5)
    if kind == 1:
        X, Y = np.round(X), np.round(Y)
    if kind == 2:
        X, Y = np.round(2 * X) / 2 + 1e6, np.round(2 * Y) / 2 + 1e6
    if kind == 3:  # all on one line, or on one plane
        X[:, -1], Y[:, -1] = 2 * X[:, 0] - 1, 2 * Y[:, 0] - 1
        X, Y = np.round(16 * X) / 16, np.round(16 * Y) / 16
    if kind == 4:
        X[0] = Y[0]
    v, w = (None, None) if rng.integers(2) else (rng.integers(1, 4, n), rng.uniform(0.2, 2, m))
    return X, Y, v, w


def cut_off(points, inside):
    """Whether a hyperplane separates the points inside from the others, by the widest margin."""
    signs, d = np.where(inside, 1.0, -1.0), points.shape[1]
    rows = np.column_stack([-signs[:, None] * np.column_stack([points, np.ones(len(points))]), np.ones(len(points))])
    bounds = [(-1, 1)] * d + [(None, None), (None, 1)]
    found = linprog(np.append(np.zeros(d + 1), -1), rows, np.zeros(len(points)), bounds=bounds)
    return -found.fun > 1e-7


def largest(X, Y, v, w):
    """max |P(H) - Q(H)| over all half-spaces, from all subsets."""
    v, w = (np.ones(len(S)) if u is None else u for S, u in ((X, v), (Y, w)))
    points, where = np.unique(np.concatenate([X, Y]), axis=0, return_inverse=True)
    shares = np.bincount(where.ravel(), np.concatenate([v / np.sum(v), -w / np.sum(w)]), len(points))
    points = points - points.mean(axis=0)
    sets = [np.array(inside) for inside in itertools.product([True, False], repeat=len(points))]
    for inside in sorted(sets, key=lambda inside: -abs(shares[inside].sum())):
        if cut_off(points, inside):
            return abs(float(shares[inside].sum()))
    raise AssertionError


@pytest.mark.parametrize(("d", "most"), [(1, 6), (2, 5), (3, 5)])
@given(seed=seeds)
@settings(max_examples=40)
def test_every_route_is_the_best_of_all_subsets(d, most, seed):
    X, Y, v, w = sample(seed, d, most)
    known = largest(X, Y, v, w)
    for method in ("auto", "cones", "enumerate"):
        found = cg.ipm(X, Y, "threshold", weights_x=v, weights_y=w, method=method)
        assert found.value == pytest.approx(known, abs=1e-12), method
        assert found.value <= found.upper_bound <= known + 1e-12 and found.status == "optimal"
        assert np.linalg.norm(found.direction[:-1]) == pytest.approx(1)


@pytest.mark.parametrize("d", [2, 3, 4])
@given(seed=seeds)
@settings(max_examples=10)
def test_searches_are_the_enumeration_of_all_cells(d, seed):
    X, Y, v, w = sample(seed, d, {2: 14, 3: 9, 4: 6}[d])
    known = cg.ipm(X, Y, "threshold", weights_x=v, weights_y=w, method="enumerate")
    for method in ("auto", "cones"):
        found = cg.ipm(X, Y, Threshold(), bias="free", weights_x=v, weights_y=w, method=method)
        assert found.value == pytest.approx(known.value, abs=1e-12)
        assert found.upper_bound == pytest.approx(known.upper_bound, abs=1e-12)


@given(seed=seeds, d=st.integers(1, 3))
@settings(max_examples=20)
def test_the_value_is_what_the_half_space_holds(seed, d):
    X, Y, *_ = sample(seed, d, 9)
    found = cg.ipm(X, Y, "threshold")
    u, b = found.direction[:-1], Fraction(found.direction[-1])
    inside = [[sum(map(Fraction.__mul__, map(Fraction, row), map(Fraction, u))) + b > 0 for row in S] for S in (X, Y)]
    shares = [Fraction(sum(part), len(part)) for part in inside]
    assert float(abs(shares[0] - shares[1])) == pytest.approx(found.value, abs=1e-15)
    assert (beyond(X, found.direction) == inside[0]).all()


def test_rows_on_a_hyperplane_are_not_beyond_it():
    rows = np.array([[0.1, 0.1], [0.3, 0.1 + 0.2], [2.0**60, 2.0**60 + 256], [1e-300, 0.0], [5.0, 5.0]])
    assert beyond(rows, np.array([1.0, -1.0, 0.0])).tolist() == [False, False, False, True, False]
    assert beyond(rows, np.array([-1.0, 1.0, 0.0])).tolist() == [False, True, True, False, False]
    assert beyond(np.array([[0.1]]), np.array([3.0, -0.3])).tolist() == [True]  # as stored, not as printed


def test_one_column_is_the_statistic_of_kolmogorov_and_smirnov():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, y = np.round(rng.standard_normal((40, 1)), 1), np.round(rng.standard_normal((31, 1)) + 0.2, 1)
        found = cg.ipm(x, y, "threshold")
        assert found.exact and found.value == pytest.approx(ks_2samp(x[:, 0], y[:, 0]).statistic, abs=1e-14)
        test = cg.two_sample_test(x, y, "threshold", permutations=49)
        assert test.value == pytest.approx(found.value, abs=1e-14) and test.exact


@given(seed=seeds, d=st.sampled_from([2, 3]))
@settings(max_examples=10)
def test_affine_maps_change_nothing(seed, d):
    X, Y, *_ = sample(seed, d, 8)
    rng = np.random.default_rng(seed)
    known = cg.ipm(X, Y, "threshold").value
    scales = 2.0 ** rng.integers(-300, 300, d)
    assert cg.ipm(X * scales, Y * scales, "threshold").value == pytest.approx(known, abs=1e-12)
    assert cg.ipm(Y, X, "threshold").value == pytest.approx(known, abs=1e-12)
    assert cg.ipm(np.repeat(X, 3, axis=0), Y, "threshold").value == pytest.approx(known, abs=1e-12)


def test_points_that_are_nearly_on_a_line_are_told_apart_in_integers():
    """Tenths are not on common lines as stored; a line of floats need not lie between them, the bound knows."""
    gaps = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, Y = np.round(rng.standard_normal((2, 5, 2)), 1)
        found, known = (cg.ipm(X, Y, "threshold", method=m) for m in ("sweep", "enumerate"))
        assert found.upper_bound == pytest.approx(known.upper_bound, abs=1e-12)
        assert found.value <= known.upper_bound
        gaps += found.value < found.upper_bound - 1e-9
    assert gaps <= 12
    t = np.arange(6.0)[:, None]  # on a line, and one of them off it by less than floats of its size tell from it
    rows, shares = np.hstack([t, t]) / 8, np.array([1, -1, 1, -1, 1, -1]) / 3
    assert maximize_over_halfspaces(rows, shares).value == pytest.approx(1 / 3)
    rows[2, 1] += 2.0**-54
    assert maximize_over_halfspaces(rows, shares).upper_bound >= 2 / 3 - 1e-12


def test_many_points():
    rng = np.random.default_rng(0)
    for kind in ("smooth", "lattice"):
        X, Y = rng.standard_normal((2, 300, 2))
        X, Y = (X, Y) if kind == "smooth" else (np.round(2 * X), np.round(2 * Y))
        found = [cg.ipm(X, Y, "threshold", method=method) for method in ("sweep", "cones")]
        assert found[0].exact and found[1].exact and found[0].value == pytest.approx(found[1].value, abs=1e-12)
        shares = np.repeat([1 / 300, -1 / 300], 300)
        several = sweep_cuts(np.vstack([X, Y]), np.stack([shares, -shares]), cg._tools.deadline.Deadline())
        np.testing.assert_allclose(several, found[0].value, atol=1e-12)
    X, Y = rng.standard_normal((2, 60, 3))
    found = cg.ipm(X, Y, "threshold")
    assert found.exact and found.value >= cg.ipm(X, Y, "threshold", method="sampled").value


def test_bounds_hold_wherever_the_search_stops():
    X, Y = np.random.default_rng(1).standard_normal((2, 40, 3))
    full = cg.ipm(X, Y, "threshold")
    assert full.exact
    for limit in ({"time_limit": 0}, {"max_nodes": 1}, {"gap": 0.3}, {"method": "sampled"}):
        found = cg.ipm(X, Y, "threshold", **limit)
        assert 0 < found.value <= full.value + 1e-12 and found.upper_bound >= full.value - 1e-12, limit
    swept = cg.ipm(X[:, :2], Y[:, :2], "threshold", time_limit=0)
    assert swept.status == "stopped" and swept.upper_bound >= cg.ipm(X[:, :2], Y[:, :2], "threshold").value
    same = cg.ipm(X, X[::-1], "threshold")
    assert same.value == 0 and same.upper_bound < 1e-15 and same.status == "optimal"


@pytest.mark.parametrize(("discriminator", "bias"), [("threshold", "none"), ("relu", "free"), ("absolute", "free")])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_permutations_are_what_ipm_gives(discriminator, bias, d):
    rng = np.random.default_rng(5)
    X, Y = np.round(rng.standard_normal((9, d)) * 4) / 4, np.round(rng.standard_normal((7, d)) * 4) / 4 + 0.5
    found = cg.two_sample_test(X, Y, discriminator, bias=bias, permutations=30, rng=3)
    draw = np.random.default_rng(3)
    draw.integers(2**31)
    rows, shares = np.concatenate([X, Y]), np.repeat([1 / 9, -1 / 7], [9, 7])
    for value in found.null:
        w = draw.permutation(shares)
        exact = cg.ipm(rows[w > 0], rows[w < 0], discriminator, bias=bias)
        assert value <= exact.upper_bound and (d == 3 or value >= exact.value * (1 - 1e-9) - 1e-12)
    assert found.exact == (d < 3) and found.p_value == (1 + np.sum(found.null >= found.value - 1e-12)) / 31
    assert found.witness(X).shape == (9,)
    weighted = cg.two_sample_test(X, Y, discriminator, bias=bias, permutations=9, weights_x=np.full(9, 2.0))
    assert 0.1 <= weighted.p_value <= 1


def test_laws_that_differ_are_told_apart_and_limits_are_kept():
    rng = np.random.default_rng(0)
    for d in (2, 4):
        X, Y = rng.standard_normal((60, d)), rng.standard_normal((50, d)) + 1
        for options in ({"discriminator": "threshold"}, {"bias": "free"}):
            assert cg.two_sample_test(X, Y, permutations=39, **options).p_value == 1 / 40
    X, Y = rng.standard_normal((2, 2000, 2))
    for options in ({"discriminator": "threshold"}, {"bias": "free"}):
        found = cg.two_sample_test(X, Y, permutations=9999, time_limit=0.5, **options)
        assert found.stopped and 0 < found.p_value <= 1


def test_where_half_spaces_are_of_no_use_is_said():
    X = np.random.default_rng(0).standard_normal((6, 2))
    for call in (
        lambda: cg.solve(X, X, discriminator="threshold", beta=0.1),
        lambda: cg.solve(X, generator=Mixture(X), discriminator=Threshold(), beta=0.1),
        lambda: cg.certify(X, X, discriminator="threshold", beta=0.1),
    ):
        with pytest.raises(ValueError, match="is for ipm and two_sample_test: its neurons jump"):
            call()
    with pytest.raises(ValueError, match="its neurons jump"):
        cg.held_out(X, X, "threshold")
    with pytest.raises(ValueError, match="no norm makes larger"):
        cg.ipm(X, X, "threshold", bias="penalized")
    with pytest.raises(ValueError, match="activation patterns"):
        cg.ipm(*np.random.default_rng(0).standard_normal((2, 100, 4)), "threshold", method="enumerate")
    with pytest.raises(ValueError, match="a line or a plane"):
        cg.ipm(*np.random.default_rng(0).standard_normal((2, 9, 3)), "threshold", method="sweep")
    with pytest.raises(ValueError, match="add up to"):
        maximize_over_halfspaces(X, np.ones(6))


def test_torch_has_no_gradient_of_a_jump():
    torch = pytest.importorskip("torch")
    from convexgan.torch import ExactDiscriminatorLoss, TwoLayerDiscriminator

    for made in (
        lambda: ExactDiscriminatorLoss(torch.eye(3), "threshold"),
        lambda: TwoLayerDiscriminator(3, 2, "threshold"),
    ):
        with pytest.raises(ValueError, match="its neurons jump"):
            made()
