"""ReLU neurons whose offset costs nothing: every route against the definition, in any number of columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convexgan as cg
from convexgan._tools.deadline import Deadline
from convexgan.arrangements import maximize_with_offsets, sweep_offsets
from convexgan.arrangements.offset_search import belt, belt_bounds
from convexgan.discriminators import ReLU, separate_rows
from convexgan.generators import Mixture
from tests.generators import seeds

KINDS = [ReLU(), ReLU(0.3), ReLU(-1.0), ReLU(1.0), ReLU(1.5)]


def sample(seed, d, most=7):
    """Few rows of both samples, with ties, equal rows and rows on common lines now and then, and their weights."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, most, 2)
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((m, d)) * rng.uniform(0.3, 2)
    kind = rng.integers(5)
    if kind == 1:
        X, Y = np.round(X), np.round(Y)
    if kind == 2:
        X[0] = Y[0]
    if kind == 3:  # all on one line, or on one plane
        X[:, -1], Y[:, -1] = 2 * X[:, 0], 2 * Y[:, 0]
    v, w = (None, None) if rng.integers(2) else (rng.integers(1, 4, n), rng.uniform(0.2, 2, m))
    return X, Y, v, w


def signed(X, Y, v, w):
    v, w = (np.ones(len(S)) if u is None else u for S, u in ((X, v), (Y, w)))
    return np.concatenate([X, Y]), np.concatenate([v / np.sum(v), -w / np.sum(w)])


def largest_in_plane(rows, weights, s):
    """max |sum_i w_i s(x_i . u + b)|: on the best line lies a point, and there the sum is smooth between others."""
    best = 0.0
    for x in rows:
        apart = rows - x
        normals = np.array([[-y, x] for x, y in apart if x or y] or [[1.0, 0.0]])
        angles = np.sort(np.arctan2(normals[:, 1], normals[:, 0]) % np.pi)
        angles = np.concatenate([angles, angles + np.pi])
        middle = (angles + np.append(angles[1:], angles[0] + 2 * np.pi)) / 2
        seen = apart @ np.stack([np.cos(middle), np.sin(middle)])
        slopes = np.where(seen > 0, s(np.ones(1)), -s(-np.ones(1)))
        peaks = (weights[:, None] * slopes).T @ apart
        peaks = peaks[np.linalg.norm(peaks, axis=1) > 0]
        U = np.vstack([np.column_stack([np.cos(angles), np.sin(angles)]), peaks])
        U = np.vstack([U, -U]) / np.linalg.norm(np.vstack([U, -U]), axis=1)[:, None]
        best = max(best, float(np.abs(s(apart @ U.T).T @ weights).max()))
    return best


@pytest.mark.parametrize("activation", KINDS)
@given(seed=seeds)
@settings(max_examples=40)
def test_every_route_in_the_plane_is_the_definition(activation, seed):
    X, Y, v, w = sample(seed, 2)
    rows, weights = signed(X, Y, v, w)
    known = largest_in_plane(rows, weights, activation)
    for method in ("auto", "cones", "enumerate"):
        found = cg.ipm(X, Y, activation, bias="free", weights_x=v, weights_y=w, method=method)
        assert found.value <= known * (1 + 1e-9) + 1e-13 and found.upper_bound >= known * (1 - 1e-13), method
        assert found.value == pytest.approx(known, rel=1e-9, abs=1e-13), method
        assert np.linalg.norm(found.direction[:-1]) == pytest.approx(1, abs=1e-12)
        scores = found.witness(rows)
        assert weights @ scores == pytest.approx(found.value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("d", [1, 3, 4])
@given(seed=seeds, slope=st.sampled_from([0.0, -1.0, 0.2, 2.0]))
@settings(max_examples=12)
def test_cones_are_the_enumeration_of_all_cells(d, seed, slope):
    X, Y, v, w = sample(seed, d, most=6 if d < 4 else 4)
    options = {"bias": "free", "weights_x": v, "weights_y": w}
    known = cg.ipm(X, Y, ReLU(slope), method="enumerate" if d > 1 else "sweep", **options)
    found = cg.ipm(X, Y, ReLU(slope), **options)
    assert found.status == "optimal"
    assert found.value == pytest.approx(known.value, rel=1e-9, abs=1e-13)
    assert found.upper_bound >= known.value * (1 - 1e-13) and found.upper_bound <= known.value * (1 + 1e-9) + 1e-12
    charged = cg.ipm(X, Y, ReLU(slope), bias="penalized", weights_x=v, weights_y=w)
    assert charged.value <= found.upper_bound  # a bias that is charged is one of them, on a shorter neuron


@given(seed=seeds, d=st.sampled_from([2, 3]))
@settings(max_examples=15)
def test_moving_turning_and_scaling_both_samples_changes_nothing_else(seed, d):
    X, Y, v, w = sample(seed, d)
    rng = np.random.default_rng(seed)
    turn, shift = np.linalg.qr(rng.standard_normal((d, d)))[0], 100 * rng.standard_normal(d)
    options = {"bias": "free", "weights_x": v, "weights_y": w}
    known = cg.ipm(X, Y, **options).value
    for size in (1e-9, 1.0, 2.0**60):
        moved = [size * (S @ turn + shift) for S in (X, Y)]
        assert cg.ipm(*moved, **options).value == pytest.approx(size * known, rel=1e-8, abs=size * 1e-12)
    assert cg.ipm(Y, X, bias="free", weights_x=w, weights_y=v).value == pytest.approx(known, rel=1e-9, abs=1e-13)


def test_many_points_of_a_plane_are_searched_and_both_ways_agree():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((700, 2)), rng.standard_normal((600, 2)) * 1.1
    cones, swept = cg.ipm(X, Y, bias="free"), cg.ipm(X, Y, bias="free", method="sweep")
    assert (cones.stats["method"], swept.stats["method"]) == ("cones", "sweep")
    assert cones.exact and swept.exact and cones.value == pytest.approx(swept.value, rel=1e-10)


@pytest.mark.parametrize("d", [1, 2])
def test_many_weightings_at_once_are_one_at_a_time(d):
    rng = np.random.default_rng(d)
    rows, w = np.round(rng.standard_normal((40, d)), 1), rng.standard_normal((20, 40))
    w -= w.mean(axis=1)[:, None]
    for slope in (0.0, -1.0, 0.4):
        found = sweep_offsets(rows, (1 - slope) * w, slope * w @ rows, Deadline())
        known = [maximize_with_offsets(rows, one, slope).value for one in w]
        np.testing.assert_allclose(found, known, rtol=1e-10)


@pytest.mark.parametrize("q", [1, 2, 3, 5, 9])
def test_cones_cover_every_hyperplane_among_the_points(q):
    reach, rng = 0.7, np.random.default_rng(q)
    rays = belt(q, reach)
    u = rng.standard_normal((2000, q))
    b = reach * np.linalg.norm(u, axis=1) * rng.choice([-1.0, 1.0, 0.3, 0.99], 2000)
    shares = np.einsum("np,kpj->nkj", np.column_stack([u, b]), np.linalg.inv(rays))
    assert (shares.min(axis=2).max(axis=1) >= -1e-12).all()


@pytest.mark.parametrize("q", [2, 3, 4])
def test_no_point_of_a_cone_is_above_its_bound(q):
    rng = np.random.default_rng(q)
    rays, heights = belt(q, 0.8), rng.standard_normal((len(belt(q, 0.8)), q + 1))
    bounds, _ = belt_bounds(rays, heights)
    shares = rng.exponential(size=(400, len(rays), q + 1)) ** rng.choice([1, 3], (400, 1, 1))
    z = np.einsum("skj,kjp->skp", shares, rays)
    seen = np.einsum("skj,kj->sk", shares, heights) / np.linalg.norm(z[..., :-1], axis=2)
    assert (seen.max(axis=0) <= bounds * (1 + 1e-12) + 1e-12).all()
    assert np.median(seen.max(axis=0)[bounds > 0] / bounds[bounds > 0]) > 0.8


def test_bounds_hold_wherever_the_search_stops():
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((2, 40, 3))
    full = cg.ipm(X, Y, bias="free")
    assert full.exact
    for limit in ({"time_limit": 0}, {"max_nodes": 1}, {"gap": 0.3}, {"method": "sampled"}):
        found = cg.ipm(X, Y, bias="free", **limit)
        assert 0 < found.value <= full.value * (1 + 1e-12) and found.upper_bound >= full.value * (1 - 1e-12), limit
    swept = cg.ipm(X[:, :2], Y[:, :2], bias="free", time_limit=0)
    assert swept.status == "stopped" and swept.upper_bound >= cg.ipm(X[:, :2], Y[:, :2], bias="free").value


@pytest.mark.parametrize(("d", "n"), [(6, 4), (7, 12), (9, 30), (18, 40)])
def test_bounds_in_many_columns_hold(d, n):
    rng = np.random.default_rng(d)
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((n, d)) * 1.2 + 0.1
    found = cg.ipm(X, Y, bias="free", time_limit=0.5)
    known = max(cg.ipm(X, Y, bias="free", method="sampled", rng=i).value for i in range(3))
    tiny = cg.ipm(1e-4 * X, 1e-4 * Y, bias="penalized", time_limit=0.5)
    assert max(known, 1e4 * tiny.value) <= found.upper_bound * (1 + 1e-12)
    assert known <= found.value * (1 + 1e-9) and found.upper_bound <= 3 * found.value


def test_a_point_is_no_farther_than_its_neighbours():
    assert cg.ipm(np.zeros((1, 2)), np.array([[3.0, 4.0]]), bias="free").value == pytest.approx(5)
    X = np.random.default_rng(0).standard_normal((9, 3))
    same = cg.ipm(X, X[::-1], ReLU(0.3), bias="free")
    assert same.value == 0 and same.exact
    # a ring around a point: half of all rows lie beyond a line through it, at their distance
    ring = np.array([[np.cos(t), np.sin(t)] for t in np.arange(400) * np.pi / 200])
    assert cg.ipm(ring, np.zeros((1, 2)), bias="free").value == pytest.approx(1 / np.pi, abs=1e-4)


def test_weights_of_another_sum_and_sweeps_of_space_are_refused():
    rows = np.random.default_rng(0).standard_normal((6, 3))
    with pytest.raises(ValueError, match=r"add up to .* divide those of both samples"):
        separate_rows(ReLU(), rows, np.ones(6), "free")
    with pytest.raises(ValueError, match="a line or a plane"):
        cg.ipm(rows[:3], rows[3:], bias="free", method="sweep")
    with pytest.raises(ValueError, match="activation patterns"):
        cg.ipm(*np.random.default_rng(0).standard_normal((2, 100, 4)), bias="free", method="enumerate")


# -- games ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [{"beta": 0.2}, {"lam": 0.8}])
@pytest.mark.parametrize("slope", [0.0, -1.0, 0.3])
def test_mixtures_against_free_offsets_are_saddles(slope, budget):
    rng = np.random.default_rng(1)
    X, particles = rng.normal((0.8, 0), 1, (12, 2)), rng.normal((0.4, 0), 1, (30, 2))
    call = {"discriminator": ReLU(slope), "bias": "free"} | budget
    sol = cg.solve(X, generator=Mixture(particles), **call)
    proof = sol.certificate
    assert proof.kind == "saddle" and cg.verify(proof, X).kind == "saddle"
    law = sol.generator
    rows = np.concatenate([X, law.particles])
    shares = np.concatenate([np.full(12, 1 / 12), -law.weights / law.weights.sum()])
    reached = largest_in_plane(rows, shares, ReLU(slope))
    assert reached == pytest.approx(proof.ipm, rel=1e-6)
    size = 1e-4  # among tiny rows a bias that is charged is next to free
    tiny = {key: size * number if key == "beta" else number * size for key, number in budget.items()}
    near = cg.solve(size * X, generator=Mixture(size * particles), **call | {"bias": "penalized"} | tiny)
    assert near.value / size**2 == pytest.approx(sol.value, rel=1e-5)


def test_bounds_for_any_generator_against_free_offsets():
    rng = np.random.default_rng(2)
    X = rng.normal((1, 0), 1, (10, 2))
    for slope in (0.0, -1.0):
        call = {"discriminator": ReLU(slope), "bias": "free", "lam": 1.0}
        anywhere = cg.solve(X, generator=Mixture(support="continuous"), time_limit=30, **call)
        proof = cg.certify(X, 0.8 * X, time_limit=30, **call)
        assert anywhere.certificate.bound <= anywhere.value * (1 + 1e-9) <= proof.value
        assert 0.9 * anywhere.value <= proof.bound <= anywhere.value * (1 + 1e-6)
        given = cg.solve(X, generator=Mixture(np.vstack([X, 0.5 * X])), **call)
        assert given.value >= anywhere.certificate.bound


def test_one_column_has_two_routes():
    x = np.random.default_rng(0).standard_normal((9, 1)) + 0.7
    call = {"discriminator": "relu", "bias": "free", "beta": 0.1}
    points, anywhere = (
        cg.solve(x, generator="free", **call),
        cg.solve(x, generator=Mixture(support="continuous"), **call),
    )
    assert anywhere.value == pytest.approx(points.value, rel=1e-6) and anywhere.certificate.kind == "saddle"


def test_what_free_offsets_are_not_for_is_said():
    X = np.random.default_rng(0).standard_normal((5, 2))
    call = {"discriminator": "relu", "bias": "free", "beta": 0.1}
    for generator in ("free", "linear"):
        with pytest.raises(ValueError, match="generators 'mixture' and 'free', the latter on one column"):
            cg.solve(X, None if generator == "free" else X, generator=generator, **call)
    proof = cg.solve(X, generator=Mixture(X), **call).certificate
    with pytest.raises(ValueError, match=r"rigorous=True .* a bias counted"):
        cg.verify(proof, X, rigorous=True)
    with pytest.raises(ValueError, match="unbounded"):
        cg.certify(X, X, **call | {"discriminator": "squared_relu"})
