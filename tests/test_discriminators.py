"""The exact best response of every discriminator against brute force, and its dual against a semidefinite program."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import convexgan as cg
from convexgan.discriminators import (
    Polynomial,
    ReLU,
    TwoLayerDiscriminator,
    as_discriminator,
    difference,
    maximize_on_sphere,
    separate,
    separation,
)
from tests.generators import RELU, brute_ipm, rotation, rows, second, seeds

ACTIVATIONS = {
    "linear": (0.0, 1.0),
    "quadratic": (1.0, 0.0),
    "polynomial": RELU,
    "negative": (-0.7, 0.4),
    "steep": (0.1, -5.0),
    "no-linear": (-2.0, 0.0),
    "no-square": (0.0, -3.0),
}


def spec(name):
    return name if name in ("linear", "quadratic", "polynomial") else Polynomial(*ACTIVATIONS[name], 0.3)


def pair(seed, n=12, m=9, d=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) * rng.uniform(0.2, 2, d) + 0.4, rng.standard_normal((m, d)) - 0.3


def seen(X, Y, activation, direction, bias=0.0):
    """mean s(Xu + bias) - mean s(Yu + bias)."""
    a, b, c = as_discriminator(activation).coefficients
    tx, ty = X @ direction + bias, Y @ direction + bias
    return np.mean((a * tx + b) * tx + c) - np.mean((a * ty + b) * ty + c)


def sphere_sdp(Q, q):
    """max u'Qu + q'u over the sphere by its dual: min nu s.t. [[t I - Q, -q/2], [-q'/2, nu - t]] >= 0."""
    d = len(q)
    t, nu = cp.Variable(), cp.Variable()
    block = cp.bmat([[t * np.eye(d) - Q, -q[:, None] / 2], [-q[None, :] / 2, cp.reshape(nu - t, (1, 1), order="C")]])
    problem = cp.Problem(cp.Minimize(nu), [block >> 0])
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return problem.value


# -- the trust region problem on the sphere ----------------------------------------------------------------


def planar(values, linear, count=200_001):
    angle = np.linspace(0, 2 * np.pi, count)
    u = np.stack([np.cos(angle), np.sin(angle)])
    return float((values @ u**2 + linear @ u).max())


def assert_maximum(values, linear, truth, tol):
    value, bound, u = maximize_on_sphere(np.asarray(values), np.eye(len(values)), np.asarray(linear))
    scale = max(np.abs(values).max(), np.abs(linear).max())
    assert np.linalg.norm(u) == pytest.approx(1, abs=1e-14)
    assert values @ u**2 + linear @ u == pytest.approx(value, abs=1e-13 * scale)
    assert value <= bound <= value + 1e-12 * scale
    if truth is not None:
        assert value == pytest.approx(truth, abs=tol * scale)


@given(
    arrays(float, 2, elements=st.floats(-5, 5, width=32)),
    arrays(float, 2, elements=st.sampled_from([0.0, 1e-12, -1e-6, 1e-3, 1.0, -4.0])),
)
@example(np.array([1.0, -1.0]), np.array([0.0, 1.0]))  # hard case: linear orthogonal to the top eigenvector
@example(np.array([1.0, -1.0]), np.array([1e-14, 1.0]))  # nearly
@example(np.array([1.0, -1.0]), np.array([1e-8, 3.999999]))
@example(np.array([1.0, -1.0]), np.array([0.0, 4.0]))  # exactly between the cases
@example(np.array([2.0, 2.0]), np.array([0.6, 0.8]))  # Q a multiple of I
@example(np.array([0.0, 0.0]), np.array([0.3, -0.1]))
@example(np.array([1e-200, 0.0]), np.array([1.0, 1.0]))
def test_sphere_against_every_angle(values, linear):
    assert_maximum(values, linear, planar(values, linear), 1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_sphere_with_a_repeated_top_eigenvalue(seed):
    """In the top eigenspace only the part of ``linear`` in it matters: as if there were one eigenvector along it."""
    rng = np.random.default_rng(seed)
    linear = np.append(rng.standard_normal(3) * 10 ** rng.uniform(-4, 1), rng.standard_normal())
    truth = planar(np.array([1.0, -1.0]), np.array([np.linalg.norm(linear[:3]), linear[3]]))
    assert_maximum(np.array([1.0, 1.0, 1.0, -1.0]), linear, truth, 1e-8)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("d", [1, 2, 7])
def test_sphere_with_a_multiple_of_the_identity(seed, d):
    linear = np.random.default_rng(seed).standard_normal(d)
    assert_maximum(np.full(d, 3.0), linear, 3 + np.linalg.norm(linear), 1e-13)


@given(seeds, st.sampled_from([1e-15, 1e-12, 1e-9, 1e-5]), st.integers(2, 8))
def test_sphere_with_nearly_equal_eigenvalues(seed, spread, d):
    rng = np.random.default_rng(seed)
    values, linear = 1 + spread * rng.standard_normal(d), rng.standard_normal(d) * 10 ** rng.uniform(-8, 0)
    assert_maximum(values, linear, 1 + np.linalg.norm(linear), 4 * spread + 1e-14)


@given(seeds, st.sampled_from([1e-30, 1e-13, 1e-9, 1e-4]))
def test_sphere_near_the_hard_case(seed, small):
    rng = np.random.default_rng(seed)
    values = np.sort(rng.uniform(-1, 1, 5))[::-1]
    linear = rng.standard_normal(5) * 0.3
    linear[0] = small
    assert_maximum(values, linear, None, 0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("strength", [0.0, 1e-3, 1.0, 30.0])
def test_sphere_against_the_dual_program(seed, strength):
    rng = np.random.default_rng(seed)
    values, basis = rng.standard_normal(4), rotation(4, seed)
    linear = strength * rng.standard_normal(4)
    linear -= (linear @ basis[:, np.argmax(values)]) * basis[:, np.argmax(values)] * (seed % 2)  # hard every other time
    value, bound, u = maximize_on_sphere(values, basis, linear)
    Q = (basis * values) @ basis.T
    assert u @ Q @ u + linear @ u == pytest.approx(value, abs=1e-12 * (1 + strength))
    assert value == pytest.approx(sphere_sdp(Q, linear), rel=1e-7)
    assert bound == pytest.approx(value, rel=1e-12)


# -- ipm -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(seed=seeds)
def test_ipm_is_the_brute_force_maximum_and_its_neuron_attains_it(name, seed):
    X, Y = pair(seed)
    found = cg.ipm(X, Y, spec(name))
    assert found.value == pytest.approx(brute_ipm(X, Y, *ACTIVATIONS[name]), rel=1e-6)
    assert found.sign * seen(X, Y, spec(name), found.direction) == pytest.approx(found.value, rel=1e-12)
    assert found.value <= found.upper_bound <= found.value * (1 + 1e-12)
    assert np.linalg.norm(found.direction) == pytest.approx(1, abs=1e-14)
    assert found.exact
    assert found.witness(X).mean() - found.witness(Y).mean() == pytest.approx(found.value, rel=1e-12)


@pytest.mark.parametrize("name", ["quadratic", "polynomial", "negative"])
@pytest.mark.parametrize("swap", [False, True])
def test_both_signs(name, swap):
    """Whichever sample is wider the value is the same and the witness prefers the real one."""
    X, Y = pair(3)
    X, Y = (Y * 0.1, X * 3) if swap else (X * 3, Y * 0.1)
    found = cg.ipm(X, Y, spec(name))
    assert found.sign == np.sign(ACTIVATIONS[name][0]) * (-1 if swap else 1)
    assert cg.ipm(Y, X, spec(name)).value == pytest.approx(found.value, rel=1e-14)


@pytest.mark.parametrize("seed", range(10))
def test_equal_second_moments_leave_the_means(seed):
    X = np.random.default_rng(seed).standard_normal((10, 4))
    found = cg.ipm(X, -X, "polynomial")
    assert found.value == pytest.approx(RELU[1] * np.linalg.norm(2 * X.mean(0)), rel=1e-12)
    assert found.exact


@pytest.mark.parametrize("name", ["linear", "quadratic", "polynomial"])
@pytest.mark.parametrize(
    ("n", "d", "offset", "kind"), [(300_000, 2, 0, "f4"), (20_000, 80, 3, "f4"), (900, 3, 1e7, "f8")]
)
def test_the_bound_holds_whatever_was_rounded(name, n, d, offset, kind):
    """Samples that differ little beside their size, against sums in extended precision around a common centre."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((n, d)) + offset).astype(kind)
    Y = (X + 1e-3 * rng.standard_normal((n, d))).astype(kind)
    found, (a, b) = cg.ipm(X, Y, name), ACTIVATIONS[name]
    u = found.direction.astype(np.longdouble)
    t, s = X @ u, Y @ u
    seen = abs(float((a * (t - s) * (t + s) + b * (t - s)).mean()))
    assert seen <= found.upper_bound
    assert found.exact == (found.upper_bound - found.value <= 1e-9 * found.value)
    if found.exact:
        assert found.value == pytest.approx(seen, rel=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_thin_and_dense_moments_agree(name, seed):
    """Few rows in many columns take the route that never forms a (d, d) matrix; both routes see the same."""
    X, Y = pair(seed, n=3, m=4, d=14)
    thin = cg.ipm(X, Y, spec(name))
    dense = cg.ipm(np.tile(X, (5, 1)), np.tile(Y, (4, 1)), spec(name))
    assert cg.Moments.from_array(X).factor is not None
    assert cg.Moments.from_array(np.tile(X, (5, 1))).factor is None
    assert thin.value == pytest.approx(dense.value, rel=1e-12)
    assert thin.sign * seen(X, Y, spec(name), thin.direction) == pytest.approx(thin.value, rel=1e-11)


@pytest.mark.parametrize("name", ["polynomial", "negative"])
def test_thin_route_needs_the_null_space(name):
    """Moments so close that the linear term wins: the maximiser leaves the span of the second moments."""
    X = np.eye(1, 12) * 0.1
    Y = np.eye(1, 12, 1) * 0.1
    found = cg.ipm(X, Y, spec(name))
    assert found.value == pytest.approx(brute_ipm(X, Y, *ACTIVATIONS[name]), rel=1e-9)
    lone = cg.ipm(np.eye(1, 12), 2 * np.eye(1, 12), spec(name))
    assert lone.value == pytest.approx(brute_ipm(np.eye(1, 12), 2 * np.eye(1, 12), *ACTIVATIONS[name]), rel=1e-9)


def test_null_space_maximum():
    """u'Mu with M <= 0 of low rank: one sign's maximum 0 lies in the null space, the other is the answer."""
    X, Y = np.zeros((1, 20)), np.eye(1, 20)
    values = {s: maximize_on_sphere(*_eigh(s, X, Y))[0] for s in (1, -1)}
    assert values == pytest.approx({1: 0.0, -1: 1.0}, abs=1e-14)


def _eigh(sign, X, Y):
    gap = difference(cg.Moments.from_array(X), cg.Moments.from_array(Y))
    values, vectors = np.linalg.eigh(gap.second)
    return sign * values, gap.lifted(vectors), np.zeros(X.shape[1])


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("d", [3, 30])
def test_penalized_bias_is_an_appended_one(name, d):
    X, Y = pair(1, d=d)
    found = cg.ipm(X, Y, spec(name), bias="penalized")
    longer = [np.column_stack([A, np.ones(len(A))]) for A in (X, Y)]
    assert found.value == pytest.approx(cg.ipm(*longer, spec(name)).value, rel=1e-12)
    assert found.value >= cg.ipm(X, Y, spec(name)).value * (1 - 1e-12)
    bias = found.direction[d] if ACTIVATIONS[name][0] else 0.0
    assert found.sign * seen(X, Y, spec(name), found.direction[:d], bias) == pytest.approx(found.value, rel=1e-12)
    assert found.witness(X).mean() - found.witness(Y).mean() == pytest.approx(found.value, rel=1e-12)


def test_free_bias_only_where_constants_cancel():
    X, Y = pair(0)
    assert cg.ipm(X, Y, "linear", bias="free").value == cg.ipm(X, Y, "linear").value
    for name in ("quadratic", "polynomial"):
        with pytest.raises(ValueError, match="penalized"):
            cg.ipm(X, Y, name, bias="free")


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("d", [2, 40])
def test_weights_replace_repetition(name, d):
    X, Y = pair(2, d=d)
    wx, wy = np.arange(len(X)) % 3 + 1, np.arange(len(Y)) % 2 + 1
    weighted = cg.ipm(X, Y, spec(name), weights_x=wx, weights_y=wy)
    repeated = cg.ipm(np.repeat(X, wx, 0), np.repeat(Y, wy, 0), spec(name))
    assert weighted.value == pytest.approx(repeated.value, rel=1e-12)
    assert weighted.value != pytest.approx(cg.ipm(X, Y, spec(name)).value, rel=1e-3)
    assert cg.ipm(X, Y, spec(name), weights_x=wx * 10.0, weights_y=wy).value == pytest.approx(weighted.value)


def test_weights_are_not_ignored_for_moments():
    X, Y = pair(2)
    with pytest.raises(ValueError, match="weights"):
        cg.ipm(cg.Moments.from_array(X), Y, "quadratic", weights_x=np.arange(1.0, len(X) + 1))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_ipm_is_a_pseudometric(name):
    (X, Y), (V, _) = pair(0), pair(5)
    assert cg.ipm(X, X.copy(), spec(name)).value == pytest.approx(0, abs=1e-14)
    xy, yv, xv = (cg.ipm(A, B, spec(name)).value for A, B in ((X, Y), (Y, V), (X, V)))
    assert xv <= (xy + yv) * (1 + 1e-12)
    R = rotation(3)
    assert cg.ipm(X @ R, Y @ R, spec(name)).value == pytest.approx(xy, rel=1e-12)
    assert cg.ipm(cg.Moments.from_array(X), cg.Moments.from_array(Y), spec(name)).value == xy


def test_separation_is_the_value_of_separate():
    for d in (3, 30):
        X, Y = (cg.Moments.from_array(A) for A in pair(4, d=d))
        for a, b in ACTIVATIONS.values():
            assert separation(X, Y, a, b) == pytest.approx(separate(X, Y, a, b).value, rel=1e-12)


def test_witness_refuses_other_columns():
    X, Y = pair(0)
    with pytest.raises(ValueError, match="3 columns"):
        cg.ipm(X, Y).witness(X[:, :2])
    with pytest.raises(ValueError, match="same features"):
        cg.ipm(X, Y[:, :2])


# -- two-layer discriminators and their classes --------------------------------------------------------------


def test_two_layer_discriminator_is_its_definition():
    rng = np.random.default_rng(0)
    U, v, beta, X = rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal(4), pair(0)[0]
    D = TwoLayerDiscriminator(U, v, Polynomial(0.3, -0.2, 0.7), beta)
    slow = [sum(v[j] * (0.3 * t**2 - 0.2 * t + 0.7) for j, t in enumerate(U @ x + beta)) for x in X]
    np.testing.assert_allclose(D(X), slow, rtol=1e-12)
    assert D.norm == pytest.approx(np.abs(v).sum())
    Q, q = D.quadratic_form()
    rest = D(X) - np.einsum("ni,ij,nj->n", X, Q, X) - X @ q
    np.testing.assert_allclose(rest, rest[0], atol=1e-12)
    with pytest.raises(ValueError, match="NaN"):
        D(X * np.nan)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (np.nan, 1), (1, np.inf)])
def test_constant_or_infinite_activations_are_refused(a, b):
    with pytest.raises(ValueError, match=r"Polynomial (needs|must be finite)"):
        Polynomial(a, b)
    with pytest.raises(ValueError, match=r"Polynomial (needs|must be finite)"):
        cg.generators.TwoLayerPolynomial(a, b)


def test_constants_cancel():
    X, Y = pair(0)
    assert cg.ipm(X, Y, Polynomial(0.3, 0.2, 0)).value == cg.ipm(X, Y, Polynomial(0.3, 0.2, 99)).value


# -- held-out ------------------------------------------------------------------------------------------------


def test_held_out_interval_resamples_the_real_rows():
    X, Y = pair(0, n=60, m=50)
    found = cg.held_out(X, Y, "quadratic", resamples=60)
    assert found.value == pytest.approx(np.abs(np.linalg.eigvalsh(second(X) - second(Y))).max(), rel=1e-12)
    assert found.low < found.value < found.high
    assert found == cg.held_out(X, Y, "quadratic", resamples=60)
    narrow = cg.held_out(X, Y, "quadratic", resamples=60, level=0.5)
    assert found.low < narrow.low < narrow.high < found.high
    same = cg.held_out(rows([1.0, 1.0])[:1], np.zeros((1, 2)), "linear", resamples=5)
    assert same.low == same.high == same.value


@pytest.mark.parametrize("discriminator", ["linear", "quadratic"])
def test_held_out_interval_covers_the_laws_ipm(discriminator):
    # generated = the law itself, whose ipm is 0: percentiles of resampled ipms would never reach it
    draw = np.random.default_rng(0)
    law = cg.Moments.of_law(np.zeros(3), np.eye(3))
    found = [
        cg.held_out(draw.standard_normal((80, 3)), law, discriminator, level=0.9, resamples=100) for _ in range(40)
    ]
    assert all(f.value > 0 for f in found)
    assert sum(f.low == 0 for f in found) >= 31  # 36 expected, 5 are 2.6 standard deviations
    assert max(f.high for f in found) < 2


@pytest.mark.parametrize(("resamples", "level"), [(5, 0.8), (18, (1 + 0.95 * 17) / 19), (19, 0.95), (60, 0.95)])
def test_few_draws_are_no_interval_of_95_percent(resamples, level):
    assert cg.held_out(*pair(0, n=60, m=50), resamples=resamples).level == pytest.approx(level)


@pytest.mark.parametrize("bad", [{"level": 1.0}, {"level": 0}, {"resamples": 0}, {"level": np.nan}])
def test_held_out_arguments(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        cg.held_out(*pair(0), **bad)


@given(seed=st.integers(0, 2**32 - 1), neurons=st.integers(0, 12))
@settings(max_examples=40)
def test_scores_of_one_column_are_the_sums_over_neurons(seed: int, neurons: int) -> None:
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((neurons, 1)) * rng.integers(0, 2, (neurons, 1)), rng.standard_normal(neurons)
    b = rng.integers(-2, 3, neurons).astype(float)
    activation = ReLU(float(rng.choice([0.0, 0.2, -1.0, 2.0])))
    steep = u[:, 0] != 0
    x = np.concatenate([rng.standard_normal((5, 1)), -b[steep, None] / u[steep]])  # and where neurons bend
    expected = activation(x @ u.T + b) @ v
    found = TwoLayerDiscriminator(u, v, activation, b)(x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14 * (1 + np.abs(v).sum()) * (3 + np.abs(x).max()))
