"""Distances between Gaussians by square roots and by a semidefinite program; gradients by differences."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from convexgan.gaussian import (
    covariance_factor,
    factor_distance,
    factor_gradient,
    squared_wasserstein,
    transport_map,
    wasserstein_gradient,
)

seeds = st.integers(0, 2**16)
sizes = st.integers(1, 6)


def covariance(d: int, rank: int, seed: int) -> np.ndarray:
    """(d, d) covariance of the given rank."""
    factor = np.random.default_rng(seed).standard_normal((rank, d))
    return factor.T @ factor


def by_square_roots(A: np.ndarray, B: np.ndarray) -> float:
    """The formula with scipy's matrix square root."""
    root = np.real(sqrtm(A))
    return float(np.trace(A) + np.trace(B) - 2 * np.trace(np.real(sqrtm(root @ B @ root))))


@given(sizes, seeds)
def test_distance_is_the_formula_with_matrix_square_roots(d, seed):
    A, B = covariance(d, d, seed), covariance(d, d, seed + 1)
    means = np.random.default_rng(seed).standard_normal((2, d))
    expected = by_square_roots(A, B) + np.sum((means[0] - means[1]) ** 2)
    assert squared_wasserstein(A, B, *means) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("ranks", "d"), [((1, 1), 3), ((2, 4), 4), ((3, 1), 4), ((2, 2), 4)])
def test_distance_is_the_best_coupling_even_if_singular(ranks, d):
    A, B = covariance(d, ranks[0], 0), covariance(d, ranks[1], 1)
    F, G = covariance_factor(A), covariance_factor(B)
    C = cp.Variable(ranks)  # the correlation of x = F'a and y = G'b, a and b white
    joint = cp.bmat([[np.eye(ranks[0]), C], [C.T, np.eye(ranks[1])]])
    problem = cp.Problem(cp.Maximize(cp.trace(F.T @ C @ G)), [joint >> 0])
    problem.solve(solver="CLARABEL")
    assert squared_wasserstein(A, B) == pytest.approx(np.trace(A + B) - 2 * problem.value, abs=1e-5)


@given(sizes, seeds)
def test_distance_is_symmetric_turns_along_and_has_the_commuting_case(d, seed):
    A, B = covariance(d, d, seed), covariance(d, max(d - 1, 1), seed + 1)
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    distance = squared_wasserstein(A, B)
    assert squared_wasserstein(B, A) == pytest.approx(distance, rel=1e-9, abs=1e-9)
    turned = [M + M.T for M in (Q @ A @ Q.T / 2, Q @ B @ Q.T / 2)]
    assert squared_wasserstein(*turned) == pytest.approx(distance, rel=1e-9, abs=1e-9)
    a, b = np.random.default_rng(seed).random((2, d))
    assert squared_wasserstein(np.diag(a), np.diag(b)) == pytest.approx(np.sum((a**0.5 - b**0.5) ** 2), rel=1e-9)


def test_nearly_equal_laws_keep_their_digits():
    F = np.random.default_rng(0).standard_normal((5, 4))
    moved = 1e-8 * np.random.default_rng(1).standard_normal((5, 4))
    found = float(factor_distance(F, F + moved))
    assert 0 < found <= np.sum(moved**2)
    assert found == pytest.approx(float(factor_distance(F * 1e8, (F + moved) * 1e8)) * 1e-16, rel=1e-4)
    assert squared_wasserstein(F.T @ F, F.T @ F) < 1e-25


@given(sizes, st.integers(0, 5), seeds)
def test_transport_map_pushes_and_costs_the_distance(d, missing, seed):
    A, B = covariance(d, d, seed), covariance(d, max(d - missing, 1), seed + 1)
    T = transport_map(A, B)
    np.testing.assert_allclose(T @ A @ T, B, atol=1e-7 * np.trace(B))
    np.testing.assert_allclose(T, T.T, atol=0)
    assert np.linalg.eigvalsh(T)[0] >= -1e-10 * np.trace(T)
    cost = np.trace((T - np.eye(d)) @ A @ (T - np.eye(d)))
    assert cost == pytest.approx(squared_wasserstein(A, B), rel=1e-6, abs=1e-8)


def test_a_line_is_carried_to_another_line_but_not_to_a_plane():
    line, other = np.outer([1.0, 0.0], [1.0, 0.0]), np.outer([0.6, 0.8], [0.6, 0.8])
    T = transport_map(line, other)
    np.testing.assert_allclose(T @ line @ T, other, atol=1e-14)
    for B in (np.eye(2), np.diag([0.0, 1.0])):
        with pytest.raises(ValueError, match=r"no linear map takes .* A reaches"):
            transport_map(line, B)
    with pytest.raises(ValueError, match="no gradient: B is singular"):
        wasserstein_gradient(np.eye(2), line)


@given(st.integers(1, 5), st.booleans(), seeds)
def test_gradient_in_the_covariance_is_the_slope(d, singular, seed):
    A, B = covariance(d, max(d - 1, 1) if singular else d, seed), covariance(d, d, seed + 1) + 0.1 * np.eye(d)
    way = np.random.default_rng(seed).standard_normal((d, d))
    way, step = (way + way.T) / np.linalg.norm(way), 1e-4
    slope = (squared_wasserstein(A, B + step * way) - squared_wasserstein(A, B - step * way)) / (2 * step)
    assert np.sum(wasserstein_gradient(A, B) * way) == pytest.approx(slope, rel=1e-4, abs=1e-3 * np.trace(A))


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), seeds)
def test_gradient_in_the_factor_is_the_slope(p, q, d, seed):
    rng = np.random.default_rng(seed)
    F, G, way = rng.standard_normal((p, d)), rng.standard_normal((q, d)), rng.standard_normal((q, d))
    if np.linalg.svd(F @ G.T, compute_uv=False)[: min(p, q)].min() < 0.05:
        return  # at or near a kink
    slope = (factor_distance(F, G + 1e-6 * way) - factor_distance(F, G - 1e-6 * way)) / 2e-6
    assert np.sum(factor_gradient(F, G) * way) == pytest.approx(float(slope), rel=1e-5, abs=1e-5)


def test_factors_are_taken_by_the_stack():
    F, G = np.random.default_rng(0).standard_normal((3, 2, 4)), np.random.default_rng(1).standard_normal((3, 5, 4))
    each = [squared_wasserstein(f.T @ f, g.T @ g) for f, g in zip(F, G, strict=True)]
    np.testing.assert_allclose(factor_distance(F, G), each, rtol=1e-9)
    np.testing.assert_allclose(factor_gradient(F, G)[1], factor_gradient(F[1], G[1]), rtol=1e-12)


def test_factor_has_the_rank_and_gives_the_covariance_back():
    A = covariance(5, 2, 0)
    F = covariance_factor(A)
    assert F.shape == (2, 5)
    np.testing.assert_allclose(F.T @ F, A, atol=1e-12)
    np.testing.assert_allclose(np.diag(F @ F.T), np.linalg.eigvalsh(A)[:2:-1], rtol=1e-10)
    assert covariance_factor(np.zeros((3, 3))).shape == (0, 3)
    assert squared_wasserstein(np.zeros((3, 3)), np.eye(3)) == 3


@pytest.mark.parametrize(
    ("A", "says"),
    [
        (np.ones((2, 3)), "A must be a square"),
        (np.diag([1.0, -1.0]), "A is not positive semidefinite"),
        (np.array([[1.0, 0.5], [0.0, 1.0]]), "A is not symmetric"),
        (np.array([[np.nan, 0], [0, 1.0]]), "A .* has NaN"),
        (np.ones(2), "A must be a 2-D array"),
        (np.eye(3), "dimensions must agree"),
    ],
)
def test_what_is_no_covariance_is_refused(A, says):
    with pytest.raises(ValueError, match=says):
        squared_wasserstein(A, np.eye(2))


def test_wrong_means_are_refused():
    with pytest.raises(ValueError, match="mean_b must be 2 finite numbers"):
        squared_wasserstein(np.eye(2), np.eye(2), [0, 0], [0, 0, 0])


def test_factors_of_any_number_of_rows_are_their_second_moments():
    rng = np.random.default_rng(3)
    F, G = rng.standard_normal((300, 4)), rng.standard_normal((90, 4)) @ np.diag([1.0, 1.0, 0.0, 1e-9])
    assert float(factor_distance(F, G)) == pytest.approx(squared_wasserstein(F.T @ F, G.T @ G), rel=1e-9)
    assert float(factor_distance(F, F[::-1])) < 1e-20 * np.sum(F**2)  # no cancellation: 1e-16 of the traces' difference
