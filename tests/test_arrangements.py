"""Arrangements: every maximum is reached by two routes, and every bound holds."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexgan._tools.deadline import Deadline
from convexgan.arrangements import (
    Maximum,
    activation_patterns,
    box_cones,
    cover_bound,
    local_maxima,
    maximize,
    maximize_squares,
    sampled_patterns,
    sweep_values,
)
from convexgan.arrangements import search as search_module
from convexgan.arrangements.ascents import ascend
from convexgan.arrangements.box_cones import BoxCones, box_bounds
from convexgan.arrangements.cones import Cones, cone_bounds, halved
from convexgan.arrangements.majorant import BLOCK, LARGE_BLOCK, ROUNDS, majorants
from convexgan.arrangements.reduce import lexical, positive_sums, reduce_rows, unreduced
from convexgan.arrangements.squares import unreduced_squares
from convexgan.arrangements.zonotope import maximize_concave
from convexgan.arrangements.zonotopes import Corrals
from tests.generators import rotation, seeds

Game = tuple[np.ndarray, np.ndarray]
few = settings(max_examples=25, deadline=None)


def game(p: int, N: int, seed: int = 0, shift: float = 0.2) -> Game:
    """N / 2 real and N / 2 generated Gaussian rows with their weights."""
    rng, n = np.random.default_rng(seed), N // 2
    X, Y = rng.standard_normal((n, p)), (1 + shift / 2) * rng.standard_normal((N - n, p))
    Y[:, 0] += shift
    return np.vstack([X, Y]), np.concatenate([np.full(n, 1 / n), np.full(N - n, -1 / (N - n))])


def m(rows: np.ndarray, weights: np.ndarray, U: np.ndarray) -> np.ndarray:
    """The function itself, at each row of U."""
    return np.maximum(U @ rows.T, 0) @ weights


def on_grid(rows: np.ndarray, weights: np.ndarray, count: int = 20_000) -> float:
    """max |m| over equally spaced angles."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return float(np.abs(m(rows, weights, np.column_stack([np.cos(angles), np.sin(angles)]))).max())


def check(found: Maximum, rows: np.ndarray, weights: np.ndarray) -> None:
    """What every answer promises."""
    assert np.linalg.norm(found.direction) == pytest.approx(1)
    assert found.sign * m(rows, weights, found.direction[None])[0] == pytest.approx(found.value, rel=1e-12)
    assert found.upper_bound >= found.value >= 0
    assert found.exact == (found.status == "optimal" and found.upper_bound - found.value <= 1e-9 * found.value)
    U = np.random.default_rng(1).standard_normal((2000, rows.shape[1]))
    U /= np.linalg.norm(U, axis=1)[:, None]
    assert np.abs(m(rows, weights, U)).max() <= found.upper_bound * (1 + 1e-9)


def inside(cones: Cones | BoxCones, count: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors in each of the cones, the corners of boxes among them, (K, count, p)."""
    if isinstance(cones, Cones):
        V = np.einsum("nj,kjp->knp", rng.random((count, cones.rays.shape[2])), cones.rays)
    else:
        shares = np.clip(rng.uniform(-1, 2, (len(cones.low), count, cones.low.shape[1])), 0, 1)
        V = cones.low[:, None] + shares * (cones.high - cones.low)[:, None]
    return np.asarray(V / np.linalg.norm(V, axis=2)[:, :, None])


@st.composite
def games(draw: Any, p: int, most: int) -> Game:
    """Gaussian or small-integer rows (parallel, zero and repeated ones among them), weights of either sign."""
    N, rng = draw(st.integers(1, most)), np.random.default_rng(draw(seeds))
    rows = rng.integers(-2, 3, (N, p)).astype(float) if draw(st.booleans()) else rng.standard_normal((N, p))
    kind = draw(st.sampled_from(["signs", "normal", "negative"]))
    normal = rng.standard_normal(N)
    return rows, {"signs": np.sign(normal) / N, "normal": normal, "negative": -np.abs(normal)}[kind]


@given(games(2, 12))
@settings(max_examples=60, deadline=None)
def test_sweep_is_the_maximum_over_the_circle(case: Game) -> None:
    rows, weights = case
    found = maximize(rows, weights, method="sweep")
    check(found, rows, weights)
    size = np.abs(weights) @ np.linalg.norm(rows, axis=1)
    grid = on_grid(rows, weights)
    assert grid - 1e-12 * size <= found.value <= grid + 4e-4 * size
    assert found.value == pytest.approx(maximize(rows, weights, method="enumerate").value, rel=1e-9, abs=1e-12)
    assert found.value == pytest.approx(maximize(rows, weights, method="cones").value, rel=1e-9, abs=1e-12)
    assert sweep_values(rows, weights[None])[0] == pytest.approx(found.value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("p", "most"), [(3, 12), (4, 9), (5, 7)])
def test_cones_agree_with_enumeration(p: int, most: int) -> None:
    @given(games(p, most))
    @few
    def agree(case: Game) -> None:
        found = maximize(*case, method="cones")
        check(found, *case)
        other = maximize(*case, method="enumerate")
        size = np.abs(case[1]) @ np.linalg.norm(case[0], axis=1)
        assert found.value == pytest.approx(other.value, rel=1e-8, abs=1e-14 * size)
        assert found.exact or found.value <= 1e-13 * size

    agree()


def test_both_routes_on_degenerate_rows() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows, weights = rng.integers(-1, 2, (8, 3)).astype(float), rng.standard_normal(8) - 1.0
        rows[0], weights[0] = (3, 1, 2), 6.0  # the maximum of a concave function, on hyperplanes
        found, other = maximize(rows, weights, method="cones"), maximize(rows, weights, method="enumerate")
        assert found.exact and found.value == pytest.approx(other.value, rel=1e-9)


@pytest.mark.parametrize(("p", "N"), [(3, 40), (4, 14), (5, 9)])
def test_both_routes_on_gaussian_samples(p: int, N: int) -> None:
    for seed, shift in itertools.product(range(3), (0.0, 0.3)):
        rows, weights = game(p, N, seed, shift)
        found = maximize(rows, weights)
        check(found, rows, weights)
        assert found.exact and found.method == "cones"
        assert found.value == pytest.approx(maximize(rows, weights, method="enumerate").value, rel=1e-9)


@pytest.mark.parametrize("p", [3, 5, 7, 9, 20])
@pytest.mark.parametrize("limit", [{"time_limit": 0}, {"max_nodes": 0}, {"max_nodes": 2000}, {"gap": 0.3}])
def test_bounds_hold_wherever_the_search_stops(p: int, limit: dict[str, float]) -> None:
    rows, weights = game(p, 60, p)
    found = maximize(rows, weights, **({"max_nodes": 5000} | limit))
    check(found, rows, weights)
    if p < 7:
        best = maximize(rows, weights, gap=0.0 if p == 3 else 1e-3)
        assert found.value * (1 - 1e-12) <= best.upper_bound
        assert found.upper_bound >= best.value * (1 - 1e-12)
    if limit == {"gap": 0.3} and found.status == "optimal":
        assert found.upper_bound * 0.7 <= found.value * (1 + 1e-12)
    assert found.upper_bound <= np.abs(weights) @ np.linalg.norm(rows, axis=1)


def test_time_limit_is_kept_and_a_bound_comes_at_once() -> None:
    rows, weights = game(8, 400)
    start = time.perf_counter()
    at_once = maximize(rows, weights, time_limit=0)
    assert time.perf_counter() - start < 2
    later = maximize(rows, weights, time_limit=1)
    assert time.perf_counter() - start < 10
    assert at_once.status == later.status == "stopped"
    assert at_once.value <= later.value <= later.upper_bound <= at_once.upper_bound
    relaxed = maximize(*game(8, 200), max_nodes=0)  # the majorants alone
    assert relaxed.upper_bound <= 1.2 * relaxed.value


@pytest.mark.parametrize("p", [3, 7])
@pytest.mark.parametrize(("positive", "block"), [(2, 128), (25, 128), (48, 128), (25, 5)])
def test_majorants_lie_above_the_function(p: int, positive: int, block: int) -> None:
    rows, weights = game(p, 50, p)[0], np.repeat([1.0, -1.0], [positive, 50 - positive])
    arrangement = reduce_rows(rows, weights)
    U = np.random.default_rng(0).standard_normal((5000, p))
    U /= np.linalg.norm(U, axis=1)[:, None]
    for quadratic, bound, _ in itertools.islice(majorants(arrangement, Deadline(), block), 10):
        above = quadratic.constant + U @ quadratic.linear - np.einsum("kp,pq,kq->k", U, quadratic.curvature, U)
        assert (above >= arrangement.values(U) - 1e-12).all()
        assert bound >= above.max() - 1e-12
        shifted = replace(quadratic, linear=quadratic.linear - 5 * np.eye(1, p)[0])  # negative on half the cones
        for family in (Cones, BoxCones):
            cones = family.cover(1.0, arrangement, np.inf).halved()
            V = inside(cones, 200, np.random.default_rng(1))
            values = V @ shifted.linear - np.einsum("knp,pq,knq->kn", V, shifted.curvature, V)
            assert (cones.under(shifted) >= values.max(axis=1) + shifted.constant - 1e-12).all()


def test_majorants_of_large_blocks_end_where_they_no_longer_fall() -> None:
    arrangement = reduce_rows(*game(9, 60))
    first, more = (
        [bound for _, bound, _ in majorants(arrangement, Deadline(), block)] for block in (BLOCK, LARGE_BLOCK)
    )
    assert len(first) == ROUNDS < len(more) < 1000 and more[:ROUNDS] == first and min(more) < 0.997 * min(first)
    assert min(more[:-ROUNDS]) * (1 - 2e-3) < min(more)


def test_beyond_the_cones_a_limit_is_used_for_the_bound() -> None:
    rows, weights = game(18, 300)
    soon, later = maximize(rows, weights), maximize(rows, weights, time_limit=60.0)
    check(later, rows, weights)
    assert later.upper_bound < 0.985 * soon.upper_bound


@given(p=st.integers(2, 6), seed=seeds, decades=st.integers(0, 4), cuts=st.integers(1, 40))
@few
def test_cut_cones_cover_their_parent_and_are_bounded(p: int, seed: int, decades: int, cuts: int) -> None:
    rng = np.random.default_rng(seed)
    stretch = rng.permuted(10.0 ** -np.linspace(0, decades, p))
    rays, metric = np.eye(p)[None], rotation(p, seed)
    metric = metric @ np.diag(stretch**2) @ metric.T
    inside = rng.random((50, p))
    for _ in range(cuts):  # each time the half that has the first point
        rays = halved(rays, metric)[0]
        shares = np.linalg.solve(np.swapaxes(rays, 1, 2)[:, None], inside[None, :, :, None])[..., 0]
        holds = (shares >= -1e-9 * np.abs(shares).max(axis=2, keepdims=True)).all(axis=2)
        assert holds.any(axis=0).all()
        rays = rays[np.argmax(holds[:, 0])][None]
        inside = np.vstack([inside[:1], rng.random((49, p)) @ rays[0]])
    length = np.linalg.norm(inside, axis=1)
    slope = rng.standard_normal(p)
    bound, y = cone_bounds(rays, rays @ slope)
    assert bound[0] >= (inside @ slope / length).max() - 1e-9 * np.linalg.norm(y)


@pytest.mark.parametrize("p", [2, 3, 5])
@pytest.mark.parametrize("decades", [0, 5, 8])
def test_bounds_hold_on_cones_so_narrow_that_they_have_no_inverse(p: int, decades: int) -> None:
    rng, turn = np.random.default_rng(0), rotation(p, 1)
    metric = turn @ np.diag(10.0 ** -np.linspace(0, 2 * decades, p)) @ turn.T
    rays, slope = np.eye(p)[None], rng.standard_normal(p)
    while np.ptp(rays, axis=1).max() > 1e-13:
        rays = halved(rays, metric)[0]
        attained = (rays @ slope / np.linalg.norm(rays, axis=2)).max(axis=1)
        assert (cone_bounds(rays, rays @ slope)[0] >= attained - 1e-14).all()
        rays = rays[rng.integers(2)][None]


@pytest.mark.parametrize("weakest", [1e-2, 1e-4])
def test_directions_in_which_little_happens_cost_little(weakest: float) -> None:
    rows, weights = game(3, 60)
    biased = np.column_stack([weakest * rows, np.ones(len(rows))])  # a bias beside tiny data
    found = maximize(biased, weights, max_nodes=200_000)
    check(found, biased, weights)
    assert found.exact
    for axes in (np.arange(6), np.arange(6)[::-1]):
        rows, weights = game(6, 60)
        assert maximize(rows * weakest ** (axes / 5), weights, gap=0.01, max_nodes=40_000).status == "optimal"


def test_pruned_cones_count_in_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, weights = game(3, 30)
    best = maximize(rows, weights)
    monkeypatch.setattr(search_module, "ASCENTS", 0)
    for gap in (0.1, 0.3, 0.5, 0.7):
        found = maximize(rows, weights, gap=gap)
        assert found.value * (1 - 1e-12) <= best.value <= found.upper_bound * (1 + 1e-12)
        assert found.status == "optimal" and found.upper_bound * (1 - gap) <= found.value * (1 + 1e-12)


def test_a_search_ends_where_cones_are_as_narrow_as_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, weights = game(4, 30)
    best = maximize(rows, weights)
    monkeypatch.setattr("convexgan.arrangements.branching.FINEST", 0.2)
    found = maximize(rows, weights)
    assert found.status == "stopped" and found.upper_bound >= best.value > 0.9 * found.value


def test_the_majorant_search_agrees_with_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, weights = game(4, 60)
    plain = maximize(rows, weights)
    monkeypatch.setattr(search_module, "MAJORANT_DIM", 1)
    other = maximize(rows, weights)
    assert plain.exact and other.exact and other.value == pytest.approx(plain.value, rel=1e-9)


def test_rows_that_nearly_cancel() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 3))
    rows, weights = np.vstack([X, X + 1e-5 * rng.standard_normal(X.shape)]), np.repeat([1.0, -1.0], 20)
    found = maximize(rows, weights, max_nodes=20_000)
    check(found, rows, weights)
    assert found.upper_bound <= 2 * found.value
    assert (
        found.value <= maximize(rows, weights, method="enumerate").value * (1 + 1e-7) <= found.upper_bound * (1 + 1e-6)
    )


@pytest.mark.parametrize("seed", [4, 8, 11])
def test_rows_that_nearly_cancel_and_vary_most_where_their_differences_do_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((2, 5))
    rows, weights = np.vstack([X, X + 1e-9 * rng.standard_normal(X.shape)]), np.repeat([1.0, -1.0], 2)
    found = maximize(rows, weights, max_nodes=50_000)
    check(found, rows, weights)
    assert found.status == "optimal"


def refined(cones: Any) -> Any:
    """The cones bounded with every linearisation, however far the bounds lie above the cutoff."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(box_cones, "NEAR", 1e300)
        return cones.bounded(1e-290)[0]


@given(seeds, st.integers(3, 5), st.sampled_from([Cones, BoxCones]))
@few
def test_pairs_lie_above_the_function(seed: int, p: int, family: Any) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((10, p))
    noise = (0.1 if p > 3 else 0.002) * rng.standard_normal(X.shape)
    rows, weights = np.vstack([X, X + noise]), np.repeat([1.0, -1.0], 10)
    arrangement = reduce_rows(rows, weights)
    cones = family.cover(1.0, arrangement, np.inf)
    for part in (cones, *cones.halved().parts(3)):
        above = part.paired()
        assert above is not None or part is not cones
        for one in (part, above) if above is not None else (part,):
            V = inside(one, 20, rng)
            values = V @ one.linear + positive_sums(V, one.plus) - positive_sums(V, one.minus)
            true = arrangement.values(V.reshape(-1, p)).reshape(values.shape)
            assert (values >= true - 1e-9).all()
            assert one is above or values == pytest.approx(true, abs=1e-9)
            assert (refined(one).bounds >= true.max(axis=1) - 1e-9).all()


@given(games(4, 30), st.integers(0, 40), seeds)
@few
def test_boxes_cover_the_sphere_and_are_bounded_from_above(case: Game, cuts: int, seed: int) -> None:
    arrangement, rng = reduce_rows(*case), np.random.default_rng(seed)
    p = arrangement.dim
    if p < 2:
        return
    cones = BoxCones.cover(1.0, arrangement, np.inf)
    V = rng.standard_normal((50, p))
    for _ in range(cuts):  # each time what holds the first direction is cut further
        cones = cones.halved()
        heights = V[:, cones.axes] * cones.low[np.arange(len(cones.axes)), cones.axes]
        low, high = (heights[:, :, None] * ends for ends in (cones.low, cones.high))
        holds = ((low - 1e-12 <= V[:, None]) & (V[:, None] <= high + 1e-12)).all(axis=2) & (heights > 0)
        assert holds.any(axis=1).all()
        cones = next(cones.take(holds[0]).parts(100))
        V = np.vstack([V[:1], inside(cones, 50, rng)[0]])
    U = inside(cones, 500, rng)
    true = arrangement.values(U.reshape(-1, p)).reshape(U.shape[:2]).max(axis=1)
    bounded, (once, at_centres, excess) = refined(cones), cones.bounded(np.inf)
    size = np.linalg.norm(arrangement.rows, axis=1).sum()
    assert (once.bounds >= bounded.bounds).all()
    assert (bounded.bounds >= true - 1e-14 * size).all() and (excess >= -1e-13 * size).all()
    assert at_centres == pytest.approx(arrangement.values(cones.middles), abs=1e-13 * size)


@given(st.integers(2, 5), seeds)
@few
def test_the_bound_on_a_box_is_a_projection_onto_its_cone(p: int, seed: int) -> None:
    from scipy.optimize import nnls

    rng = np.random.default_rng(seed)
    slopes, ends = rng.standard_normal((20, p)), np.sort(rng.uniform(-1, 1, (2, 20, p)), axis=0)
    axes, every = rng.integers(p, size=20), np.arange(20)
    ends[:, every, axes] = rng.choice([-1.0, 1.0], 20)
    bounds, _ = box_bounds(*ends, axes, slopes)
    for k in range(20):
        corners = np.array(list(itertools.product(*ends[:, k].T)))
        true = float(np.linalg.norm(corners.T @ nnls(corners.T, slopes[k])[0]))
        assert true - 1e-12 <= bounds[k] <= true * (1 + 1e-2) + 1e-12


@given(st.integers(1, 5), st.integers(0, 8), seeds)
@settings(max_examples=50, deadline=None)
def test_concave_maximum_is_certified_by_its_dual(p: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    linear, minus = rng.standard_normal(p), rng.standard_normal((count, p)) / 2
    value, u = maximize_concave(linear, minus)
    assert linear @ u - np.maximum(minus @ u, 0).sum() == pytest.approx(value, rel=1e-9, abs=1e-9)
    t = rng.random((2000, count))
    assert value <= np.linalg.norm(linear - t @ minus, axis=1).min() + 1e-9  # any point of the zonotope is a bound


@given(seed=seeds, p=st.integers(1, 6), m=st.integers(0, 30), size=st.sampled_from([1e-9, 1.0]))
@few
def test_many_zonotopes_at_once_have_the_nearest_points_of_each(seed: int, p: int, m: int, size: float) -> None:
    """Rows that are tiny beside the others too, and zonotopes that hold the origin."""
    rng = np.random.default_rng(seed)
    minus = rng.standard_normal((m, p)) * np.where(rng.random((m, 1)) < 0.5, size, 1.0)
    linear, starts = rng.standard_normal((20, p)) * rng.uniform(0, 3, (20, 1)), rng.standard_normal((20, p))
    points = shortest(linear, minus, starts)
    scale = np.linalg.norm(linear, axis=1) + np.abs(minus).sum()
    alone = [maximize_concave(each, minus)[0] for each in linear]
    assert np.abs(np.linalg.norm(points, axis=1) - alone).max() <= 1e-9 * scale.max()
    # a point of the zonotope: no direction separates it
    U = rng.standard_normal((200, p))
    assert (-np.maximum(U @ minus.T, 0).sum(axis=1)[:, None] - 1e-9 * scale.max() <= U @ (points - linear).T).all()
    assert (
        np.abs(shortest(linear, minus, starts, moved=rng.standard_normal((20, p))) - points).max() <= 1e-7 * scale.max()
    )


def shortest(linear: np.ndarray, minus: np.ndarray, starts: np.ndarray, moved: np.ndarray | None = None) -> np.ndarray:
    """The shortest vectors of polytopes, or those after they have come back from elsewhere."""

    def lowest(which: np.ndarray, U: np.ndarray) -> np.ndarray:
        return linear[which] - (U @ minus.T > 0) @ minus

    every = np.arange(len(linear))
    corrals = Corrals(lowest(every, starts), float(np.abs(linear).sum() + np.abs(minus).sum()))
    for steps in [np.zeros_like(linear)] if moved is None else [moved, -moved]:
        linear = linear + steps
        corrals.move(every, steps)
        live = every
        while len(live):
            live = live[corrals.advance(live, lowest(live, corrals.points[live]))]
    return corrals.points


@given(seed=seeds, p=st.integers(1, 6), N=st.integers(12, 60))
@few
def test_ascents_all_at_once_end_where_each_alone_does(seed: int, p: int, N: int) -> None:
    (rows, weights), starts = game(p, N, seed), np.random.default_rng(seed).standard_normal((20, p))
    U, values = local_maxima(rows, weights, starts)
    assert np.abs(m(rows, weights, U)) == pytest.approx(values, rel=1e-12, abs=1e-15)
    side, alone = reduce_rows(rows, weights), []
    for u in starts @ side.basis:
        turned = side.negated() if side.value(u) < 0 else side
        alone.append(ascend(turned, u / np.linalg.norm(u), Deadline())[1])
    together = np.append(values, np.zeros(len(alone) - len(values)))
    # a step may end on a hyperplane, on either side of which the next one goes
    assert np.mean(np.abs(np.sort(together) - np.sort(alone)) < 1e-9) > 0.9


DEGENERATE: dict[str, Game] = {
    "zero": (np.zeros((3, 3)), np.ones(3)),
    "cancelling": (np.vstack([rotation(3), rotation(3)]), np.repeat([1.0, -1.0], 3)),
    "cancelling in halves": (np.vstack([rotation(3), 2 * rotation(3)]), np.repeat([1.0, -0.5], 3)),
    "cancelling in three": (np.vstack([rotation(3)] * 3), np.repeat([0.25, 0.5, -0.75], 3)),
    "no weight": (rotation(3), np.zeros(3)),
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("method", ["auto", "sweep", "cones", "enumerate"])
def test_nothing_left_is_an_exact_zero(name: str, method: str) -> None:
    found = maximize(*DEGENERATE[name], method=method)
    if name == "cancelling in halves":  # parallel rows of other lengths, which are rounded
        assert (found.value, found.status) == (0, "optimal") and 0 < found.upper_bound < 200 * 2.0**-53
    else:
        assert (found.value, found.upper_bound, found.exact, found.status) == (0, 0, True, "optimal")
    assert np.linalg.norm(found.direction) == 1


def test_what_does_not_cancel_exactly_is_no_zero() -> None:
    found = maximize(np.vstack([rotation(3)] * 3), np.repeat([0.1, 0.2, -0.3], 3))
    truth = float(Fraction(0.1) + Fraction(0.2) + Fraction(-0.3)) * 3**0.5  # three orthonormal rows
    assert truth * (1 - 1e-12) <= found.upper_bound < 1e-15


@given(games(3, 8), seeds)
@few
def test_invariances(case: Game, seed: int) -> None:
    rows, weights = case
    value = maximize(rows, weights).value
    close = pytest.approx(value, rel=1e-8, abs=1e-11)
    assert maximize(rows @ rotation(3, seed), weights).value == close
    assert maximize(np.vstack([rows, rows]), np.append(weights, weights)).value / 2 == close
    assert maximize(rows, 2 * weights).value / 2 == close
    assert maximize(-rows, -weights).value == close
    assert maximize(rows * (1 + np.arange(len(rows)))[:, None], weights / (1 + np.arange(len(rows)))).value == close
    padded = np.hstack([rows, np.zeros((len(rows), 2))]) @ rotation(5, seed)  # rank deficient
    assert maximize(padded, weights).value == close
    plane = maximize(padded[:, :2] @ rotation(5, seed)[:2], weights)
    assert plane.method == "sweep" and plane.stats["rank"] <= 2


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e8])
@pytest.mark.parametrize("p", [1, 2, 3, 5])
def test_scales(scale: float, p: int) -> None:
    rows, weights = game(p, 30, 2)
    found = maximize(scale * rows, weights)
    check(found, scale * rows, weights)
    assert found.exact and found.value == pytest.approx(scale * maximize(rows, weights).value, rel=1e-9)


def test_antiparallel_rows_are_a_linear_function() -> None:
    rows = np.array([[3.0, 4.0, 0.0], [-3.0, -4.0, 0.0], [0.0, 0.0, 1.0]])
    found = maximize(rows, [1.0, -1.0, -1e-3])
    assert found.exact and found.value == pytest.approx(5)


def test_one_dimension() -> None:
    found = maximize([[2.0], [-1.0], [0.5]], [1.0, -3.0, 1.0])
    assert (found.value, found.exact, found.method, found.sign) == (3, True, "sweep", -1)
    assert sweep_values([[2.0], [-1.0], [0.5]], [[1.0, -3.0, 1.0], [1, 1, 1]]).tolist() == [3, 2.5]


def test_sweep_values_of_permutations() -> None:
    rows, weights = game(2, 50)
    rng = np.random.default_rng(0)
    many = np.array([rng.permutation(weights) for _ in range(20)])
    assert sweep_values(rows, many) == pytest.approx([maximize(rows, w).value for w in many], rel=1e-12)
    assert sweep_values(rows[:, :1], many) == pytest.approx([maximize(rows[:, :1], w).value for w in many], rel=1e-12)


@pytest.mark.parametrize("p", [1, 2, 3, 4])
def test_patterns_reach_covers_bound(p: int) -> None:
    rows = np.random.default_rng(p).standard_normal((9, p))
    expected = cover_bound(9, p)
    patterns = activation_patterns(rows)
    assert patterns.shape == (expected, 9) and len(np.unique(patterns, axis=0)) == expected
    drawn = sampled_patterns(rows, 200_000, rng=0)
    known = {row.tobytes() for row in patterns}
    assert all(row.tobytes() in known for row in drawn)
    assert 0.9 * expected <= len(drawn) <= expected


@given(games(3, 7))
@few
def test_patterns_of_degenerate_rows_are_those_of_random_directions(case: Game) -> None:
    rows = case[0]
    patterns = {row.tobytes() for row in activation_patterns(rows)}
    drawn = {row.tobytes() for row in sampled_patterns(rows, 20_000, rng=0)}
    assert drawn <= patterns
    for row in patterns - drawn:  # a small cell, then: it must have an interior
        from scipy.optimize import linprog

        sign = np.where(np.frombuffer(row, dtype=bool), -1.0, 1.0)
        nonzero = rows.any(axis=1)
        A = np.hstack([(sign[:, None] * rows)[nonzero], np.ones((nonzero.sum(), 1))])
        inside = linprog([0, 0, 0, -1], A, np.zeros(len(A)), bounds=[(-1, 1)] * 3 + [(None, 1)])
        assert -inside.fun > 1e-9


def test_cover_bound() -> None:
    assert [cover_bound(N, 2) for N in (1, 2, 5)] == [2, 4, 10]
    assert cover_bound(200, 3) == 39_802
    assert cover_bound(4, 10) == 16
    assert cover_bound(30, 4) == 2 * sum(math.comb(29, k) for k in range(4))


def test_too_many_patterns_are_refused_with_their_number() -> None:
    rows = np.random.default_rng(0).standard_normal((2000, 10))
    with pytest.raises(ValueError, match=str(cover_bound(2000, 10))):
        activation_patterns(rows)
    with pytest.raises(ValueError, match="activation patterns"):
        maximize(rows, np.ones(2000), method="enumerate")
    assert activation_patterns(np.vstack([rows[:5]] * 100), max_cells=32).shape == (32, 500)


@given(st.integers(3, 5), seeds)
@few
def test_sampled_is_a_lower_bound_and_says_so(p: int, seed: int) -> None:
    rows, weights = game(p, 40, seed)
    found = maximize(rows, weights, method="sampled", rng=0)
    assert not found.exact and found.status == "stopped" and 0 < found.stats["coverage"] <= 1
    best = maximize(rows, weights, gap=1e-3)
    assert 0.8 * best.value <= found.value <= best.upper_bound <= found.upper_bound * (1 + 1e-12)
    assert found.value == maximize(rows, weights, method="sampled", rng=0).value


def test_an_interrupt_returns_the_best_so_far() -> None:
    rows, weights = game(6, 200)
    seen: list[tuple[float, float, int]] = []

    def progress(value: float, upper_bound: float, nodes: int) -> None:
        seen.append((value, upper_bound, nodes))
        if len(seen) == 5:
            raise KeyboardInterrupt

    found = maximize(rows, weights, progress=progress)
    check(found, rows, weights)
    assert found.status == "stopped" and len(seen) == 5
    assert all(b[1] <= a[1] and b[0] >= a[0] for a, b in itertools.pairwise(seen))


def test_progress_is_in_the_units_of_the_data() -> None:
    rows, weights = game(4, 40)
    seen: list[tuple[float, float, int]] = []
    found = maximize(1e3 * rows, 1e-2 * weights, progress=lambda *report: seen.append(report))
    assert seen[-1] == pytest.approx((found.value, found.upper_bound, found.stats["nodes"]), rel=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "cone"}, "cones"),
        ({"method": "sweep"}, "rank 3"),
        ({"weights": np.ones(3)}, "weights"),
        ({"rows": np.full((4, 3), np.nan)}, "NaN"),
        ({"gap": -1}, "gap"),
        ({"time_limit": np.nan}, "time_limit"),
        ({"max_nodes": 1.5}, "max_nodes"),
    ],
)
def test_bad_arguments(change: dict[str, Any], message: str) -> None:
    arguments = {"rows": np.eye(4, 3), "weights": np.ones(4)} | change
    with pytest.raises(ValueError, match=message):
        maximize(arguments.pop("rows"), arguments.pop("weights"), **arguments)


def test_beyond_the_cones_random_ascents_look_for_the_value():
    rows, weights = np.random.default_rng(3).standard_normal((80, 18)), np.repeat([1 / 40, -1 / 40], 40)
    starts = np.random.default_rng(99).standard_normal((30, 18))
    found = maximize(rows, weights)
    assert found.value >= local_maxima(rows, weights, starts)[1].max() * (1 - 1e-9)
    assert found.status == "stopped" and found.value < found.upper_bound


@given(seed=seeds)
@few
def test_the_order_of_rows_is_that_of_all_their_entries(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-1, 2, (rng.integers(1, 30), rng.integers(1, 4))) * rng.choice([1.0, -0.3], (1, 1))
    order, fresh = lexical(rows)
    assert np.array_equal(order, np.lexsort(rows.T[::-1]))
    assert np.array_equal(rows[order[fresh]], np.unique(rows, axis=0))


@pytest.mark.parametrize("p", [3, 4])
def test_a_search_ends_when_it_knows_the_side_of_a_level(p: int) -> None:
    rows, weights = game(p, 60)
    whole = maximize(rows, weights)
    for share in (0.5, 0.9, 1 - 1e-8, 1.0, 1 + 1e-8, 1.1, 2.0):
        level = share * whole.value
        found = maximize(rows, weights, level=level)
        assert found.value <= whole.value * (1 + 1e-12) and found.upper_bound >= whole.value * (1 - 1e-12)
        assert found.value >= level * (1 - 1e-12) if share <= 1 else found.upper_bound < level
        assert found.stats["nodes"] <= whole.stats["nodes"]
    assert maximize(rows, weights, level=2 * whole.value).stats["nodes"] < whole.stats["nodes"]


@given(games(3, 30))
@few
def test_rows_as_they_are_have_a_bound_too(case: Game) -> None:
    rows, weights = case
    whole, hasty = maximize(rows, weights), unreduced(rows, weights)
    bounds = [side.bound() if len(side.plus) else np.linalg.norm(side.bound()) for side in (hasty, hasty.negated())]
    assert max(bounds) + hasty.slack >= whole.value * (1 - 1e-12)
    square, less = maximize_squares(rows, weights), unreduced_squares(rows, weights)
    assert max(less.bound(), less.negated().bound()) + less.slack >= square.value * (1 - 1e-12)


def test_many_rows_are_not_sorted_when_there_is_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, weights = game(3, 400)
    whole = maximize(rows, weights)
    monkeypatch.setattr("convexgan.arrangements.request.LARGE", 100)
    for p in (2, 3):
        found = maximize(rows[:, :p], weights, time_limit=0)
        assert found.status == "stopped" and found.stats["rows"] == 400
        assert 0 < found.value <= whole.value * (1 + 1e-12) or p == 2
        assert found.upper_bound >= maximize(rows[:, :p], weights).value


@pytest.mark.parametrize("p", [3, 4])
def test_steps_of_few_cones_find_the_same(p: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows would have it, in small."""
    rows, weights = game(p, 40)
    whole = maximize(rows, weights)
    monkeypatch.setattr("convexgan.arrangements.branching.PRODUCTS", 500)
    small = maximize(rows, weights)
    assert small.exact and small.value == pytest.approx(whole.value, rel=1e-9)
