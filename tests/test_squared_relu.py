"""Squared ReLU neurons: the search against all cells and against fractions, and every verb that takes them."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from typer.testing import CliRunner

import convexgan as cg
from convexgan.arrangements import activation_patterns, local_square_maxima, maximize_squares, sweep_square_values
from convexgan.arrangements.square_cones import SquareCones
from convexgan.arrangements.square_search import SquareSearch
from convexgan.arrangements.squares import reduce_squares
from convexgan.cli.app import app
from convexgan.discriminators import CLASSES, SquaredReLU
from convexgan.generators import Mixture
from convexgan.rigorous.numbers import exact
from tests.generators import seeds

NAME = "squared_relu"
RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal((9, 2)) * [2.0, 0.7] + [0.4, -0.2], RNG.standard_normal((8, 2)) + 0.5


def pair(seed, n=9, m=7, d=2):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) + rng.standard_normal(d) / 2, rng.standard_normal((m, d)) * rng.uniform(0.5, 2)


def signed(seed, count, d):
    """Rows and weights of any sign, with equal, opposite, zero and stretched rows among them."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, d)) * 10.0 ** rng.uniform(-1, 1, d)
    rows = np.vstack([rows, rows[:2], -rows[1:3], 3 * rows[:1], -0.5 * rows[3:4], np.zeros((1, d))])
    weights = rng.standard_normal(len(rows))
    weights[count] = rng.choice([-weights[0], weights[count]])  # cancels the first row, or not
    return rows, weights


def seen(rows, weights, U):
    """|sum_i w_i max(x_i . u, 0)^2| for each row of U, from the definition."""
    return np.abs(np.maximum(U @ rows.T, 0) ** 2 @ weights)


def by_cells(rows, weights):
    """The maximum from the eigenvectors of every cell's form: where the gradient vanishes u is one of them."""
    tried = []
    for pattern in activation_patterns(rows):
        vectors = np.linalg.eigh((rows[pattern].T * weights[pattern]) @ rows[pattern])[1].T
        tried += [vectors, -vectors]
    return seen(rows, weights, np.vstack(tried)).max()


def directions(d, count=4000, seed=0):
    U = np.random.default_rng(seed).standard_normal((count, d))
    return U / np.linalg.norm(U, axis=1)[:, None]


# -- the search ------------------------------------------------------------------------------------------------------


@given(seed=seeds, d=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_the_maximum_is_that_of_all_cells(seed, d):
    rows, weights = signed(seed, 6, d)
    found = maximize_squares(rows, weights)
    assert found.exact and found.status == "optimal" and found.method == ("sweep" if d < 3 else "cones")
    truth = by_cells(rows, weights)
    assert found.value == pytest.approx(truth, rel=1e-9) and truth <= found.upper_bound * (1 + 1e-15)
    assert seen(rows, weights, directions(d)).max() <= found.upper_bound
    assert np.linalg.norm(found.direction) == pytest.approx(1, rel=1e-14)
    assert found.sign * (np.maximum(rows @ found.direction, 0) ** 2 @ weights) == pytest.approx(found.value, rel=1e-12)


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_four_columns_by_all_cells(seed):
    rows, weights = signed(seed, 4, 4)
    found = maximize_squares(rows, weights)
    assert found.exact and found.value == pytest.approx(by_cells(rows, weights), rel=1e-9)


@given(seed=seeds, d=st.integers(1, 3), power=st.sampled_from([-8, -3, 0, 8]))
@settings(max_examples=30, deadline=None)
def test_the_bound_holds_in_fractions(seed, d, power):
    rows, weights = signed(seed, 6, d)
    rows = rows * 10.0**power
    found = maximize_squares(rows, weights)
    u = exact(found.direction)
    m = exact(weights) @ np.maximum(exact(rows) @ u, 0) ** 2
    truth = abs(m) / (u @ u)  # what the direction sees: at most the maximum, and near it
    assert truth <= Fraction(found.upper_bound)
    assert found.value == pytest.approx(float(truth), rel=1e-11) and found.exact
    other = exact(np.random.default_rng(seed).standard_normal(d))
    assert abs(exact(weights) @ np.maximum(exact(rows) @ other, 0) ** 2) <= Fraction(found.upper_bound) * (
        other @ other
    )


@given(seed=seeds, d=st.integers(2, 4))
@settings(max_examples=20, deadline=None)
def test_no_bound_of_a_stopped_search_is_too_small(seed, d):
    rows, weights = signed(seed, 8, d)
    truth = maximize_squares(rows, weights).value
    for limit in (
        {"time_limit": 0},
        {"max_nodes": 0},
        {"max_nodes": 50},
        {"gap": 0.2},
        {"method": "sampled", "rng": 0},
    ):
        found = maximize_squares(rows, weights, **limit)
        assert found.value <= truth * (1 + 1e-9) and found.upper_bound >= truth * (1 - 1e-12)
        assert found.value <= found.upper_bound and found.value >= 0.5 * truth
    assert maximize_squares(rows, weights, gap=0.2).upper_bound <= truth / 0.8 * (1 + 1e-9)


@pytest.mark.parametrize("d", [9, 17])  # cones that are no orthants; no cones at all
def test_many_columns_have_a_bound_and_a_good_value(d):
    rng = np.random.default_rng(d)
    rows, weights = rng.standard_normal((40, d)), rng.standard_normal(40)
    found = maximize_squares(rows, weights, max_nodes=3000)
    assert found.status == "stopped" and not found.exact
    best = local_square_maxima(rows, weights, directions(d, 200))[1].max()
    assert 0.999 * best <= found.value and best <= found.upper_bound
    even = np.abs(np.linalg.eigvalsh((rows.T * weights) @ rows)).max()
    doubled = maximize_squares(np.vstack([rows, -rows]), np.tile(weights, 2), max_nodes=3000)
    assert doubled.value == pytest.approx(even, rel=1e-12) and doubled.exact  # a quadratic form has a formula


def largest_inside(squares, rays, rng):
    """The largest value at the rays and at random points of each cone, (K,)."""
    K, d, _ = rays.shape
    shares = np.concatenate([rng.dirichlet(np.full(d, 0.5), (K, 50)), np.tile(np.eye(d), (K, 1, 1))], axis=1)
    points = shares @ rays
    points /= np.linalg.norm(points, axis=2)[:, :, None]
    return squares.values(points.reshape(-1, d)).reshape(K, -1).max(axis=1)


@given(seed=seeds, d=st.integers(3, 5), narrow=st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999]), near=st.booleans())
@settings(max_examples=80, deadline=None)
def test_cones_are_bounded_from_above(seed, d, narrow, near):
    rng = np.random.default_rng(seed)
    plus = rng.standard_normal((6, d))
    minus = plus + 10.0 ** rng.uniform(-4, -1) * rng.standard_normal((6, d)) if near else rng.standard_normal((6, d))
    squares = reduce_squares(np.vstack([plus, minus]) / 8, np.repeat([1.0, -rng.choice([1.0, 0.3])], 6))
    cover, centre = SquareCones.cover(1.0, squares, np.inf), rng.standard_normal(d)
    rays = narrow * centre / np.linalg.norm(centre) + (1 - narrow) * cover.rays  # about the centre
    about = replace(cover, rays=rays / np.linalg.norm(rays, axis=2)[:, :, None])
    for cones in (about, *about.parts(3), *cover.parts(2), *cover.halved().halved().parts(5)):
        largest, slack = largest_inside(squares, cones.rays, rng), 1e-13 * squares.size
        assert (cones.by_rays() >= largest - slack).all() and (cones.by_forms()[0] >= largest - slack).all()
    if narrow == 0.999:  # both are off by the square of the width at most
        found = np.minimum(about.by_rays(), about.by_forms()[0])
        assert (found <= np.maximum(largest_inside(squares, about.rays, rng), 0) + 1e-4 * squares.size).all()


def test_what_cancels_is_nothing():
    rows, weights = signed(0, 5, 3)
    found = maximize_squares(np.vstack([rows, rows]), np.concatenate([weights, -weights]))
    assert found.value == found.upper_bound == 0 and found.exact
    flat = rows @ np.array([[1.0, 0, 2], [0, 1, 1], [1, 1, 3]])  # of rank two: swept in its plane
    found = maximize_squares(flat, weights)
    assert found.method == "sweep" and found.exact and found.value == pytest.approx(by_cells(flat, weights), rel=1e-9)


def test_rows_that_moved_a_little_are_bounded_in_pairs():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((200, 3))
    B = A + 1e-5 * rng.standard_normal(A.shape)
    found = cg.ipm(A, B, NAME)
    assert found.status == "optimal" and found.stats["nodes"] < 20_000  # without pairs a like one took two million
    assert found.upper_bound == pytest.approx(found.value, rel=1e-5)
    rows, weights = np.vstack([A, B]), np.repeat([1 / 200, -1 / 200], 200)
    assert seen(rows, weights, directions(3, 20_000)).max() <= found.upper_bound


@given(seed=seeds, d=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_ascents_end_where_the_gradient_vanishes(seed, d):
    rows, weights = signed(seed, 6, d)
    starts = directions(d, 5, seed)
    U, values = local_square_maxima(rows, weights, starts)
    np.testing.assert_allclose(seen(rows, weights, U), values, rtol=1e-10)
    for u, value in zip(U, values, strict=True):
        gradient = 2 * (weights * np.maximum(rows @ u, 0)) @ rows
        sign = np.sign(gradient @ u)
        scale = np.abs(weights) @ (rows**2).sum(axis=1)
        assert np.linalg.norm(sign * gradient - 2 * value * u) <= 1e-4 * scale
    assert len(local_square_maxima(rows, weights, starts, time_limit=0)[0]) == 0


def test_pruned_cones_count_in_the_bound_until_they_are_below_the_value():
    rows, weights = signed(1, 8, 3)
    search = SquareSearch(reduce_squares(rows / 64, weights), gap=0.3)
    while search.run(max_nodes=search.nodes + 1) != "optimal":
        assert search.upper_bound * 64**2 >= by_cells(rows, weights) * (1 - 1e-12)
    assert search.value < search.upper_bound <= search.cutoff  # what was left within the gap is no proof of more


def test_many_weightings_are_swept_at_once():
    rng = np.random.default_rng(0)
    for d in (1, 2):
        rows, weights = rng.standard_normal((30, d)), rng.standard_normal((50, 30))
        found = sweep_square_values(rows, weights)
        np.testing.assert_allclose(found, [maximize_squares(rows, w).value for w in weights], rtol=1e-11)


# -- ipm and the test ------------------------------------------------------------------------------------------------


@given(
    seed=seeds,
    d=st.integers(1, 3),
    scale=st.sampled_from([1e-8, 1.0, 1e8]),
    bias=st.sampled_from(["none", "penalized"]),
)
@settings(max_examples=30, deadline=None)
def test_no_direction_sees_more_and_the_reported_one_sees_it_all(seed, d, scale, bias):
    A, B = pair(seed, d=d)
    A, B = scale * A, scale * B
    found = cg.ipm(A, B, NAME, bias=bias)
    ones = [np.ones((len(rows), int(bias == "penalized"))) for rows in (A, B)]
    lifted = [np.hstack(part) for part in ((A, ones[0]), (B, ones[1]))]
    rows, weights = np.vstack(lifted), np.repeat([1 / len(A), -1 / len(B)], [len(A), len(B)])
    assert found.status == "optimal" and seen(rows, weights, directions(rows.shape[1])).max() <= found.upper_bound
    assert seen(rows, weights, found.direction[None])[0] == pytest.approx(found.value, rel=1e-9)
    assert found.witness(A).mean() - found.witness(B).mean() == pytest.approx(found.value, rel=1e-8)


def test_weights_and_symmetries():
    A, B = pair(3, d=3)
    found = cg.ipm(A, B, SquaredReLU())
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    assert cg.ipm(A @ turn, B @ turn, NAME).value == pytest.approx(found.value, rel=1e-9)
    assert cg.ipm(B, A, NAME).value == pytest.approx(found.value, rel=1e-12) and cg.ipm(B, A, NAME).sign == -found.sign
    assert cg.ipm(5 * A, 5 * B, NAME).value == pytest.approx(25 * found.value, rel=1e-9)
    weighted = cg.ipm(A, B, NAME, weights_x=np.r_[2.0, np.ones(8)])
    assert weighted.value == pytest.approx(cg.ipm(np.vstack([A, A[:1]]), B, NAME).value, rel=1e-9)
    both = cg.ipm(np.vstack([A, -A]), np.vstack([B, -B]), NAME)  # even laws: half the quadratic discrepancy
    assert 2 * both.value == pytest.approx(cg.ipm(A, B, "quadratic").value, rel=1e-9)


@pytest.mark.parametrize(("d", "bias"), [(1, "none"), (2, "none"), (1, "penalized"), (3, "none"), (4, "none")])
def test_permutations(d, bias):
    A, B = pair(0, 12, 10, d)
    test = cg.two_sample_test(A, B, NAME, permutations=39, bias=bias)
    assert test.exact == (d < 4) and test.value <= cg.ipm(A, B, NAME, bias=bias).value * (1 + 1e-9)
    if d < 4:
        assert test.value == pytest.approx(cg.ipm(A, B, NAME, bias=bias).value, rel=1e-9)
    few = cg.two_sample_test(A[:3], B[:3], NAME, bias=bias)  # all splits: the p-value is a count
    rows, values = np.vstack([A[:3], B[:3]]), []
    if d < 4:
        for split in np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T.astype(bool):
            if split.sum() == 3:
                values.append(cg.ipm(rows[split], rows[~split], NAME, bias=bias).value)
        assert few.p_value == np.mean(np.array(values) >= few.value * (1 - 1e-9))
    far = cg.two_sample_test(A, 4 * B + 1, NAME, permutations=39, bias=bias)
    assert far.p_value <= 0.1


# -- games -----------------------------------------------------------------------------------------------------------


def by_grid(data, particles, beta=None, lam=None, count=3000):
    """The mixture's value by a linear program over neurons of a fine grid: a little below the game's."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    U = np.column_stack([np.cos(t), np.sin(t)])
    real, fake = (np.maximum(rows @ U.T, 0) ** 2 for rows in (data, particles))
    costs, m = (particles**2).sum(axis=1), len(particles)
    gap = -1.0 if beta is None else 0.0
    rows = np.column_stack([np.vstack([-fake.T, fake.T]), np.full(2 * count, gap)])
    right = np.concatenate([-real.mean(axis=0), real.mean(axis=0)]) + (beta or 0.0)
    weights = np.append(np.ones(m), 0.0)[None]
    return linprog(np.append(costs, lam or 0.0), rows, right, weights, [1.0]).fun


@pytest.mark.parametrize("budget", [{"beta": 0.1}, {"beta": 0.5}, {"lam": 0.5}, {"lam": 3.0}])
@pytest.mark.parametrize("particles", ["data", "others"])
def test_mixtures_are_solved_to_a_saddle(budget, particles):
    law = Mixture() if particles == "data" else Mixture(np.vstack([X, Y, np.zeros((1, 2))]))
    points = law.points(X)
    sol = cg.solve(X, discriminator=NAME, generator=law, **budget)
    assert sol.status == "optimal" and sol.certificate.kind == "saddle" and sol.method == "cutting_planes"
    assert sol.value == pytest.approx(by_grid(X, points, **budget), rel=1e-4)
    assert cg.verify(cg.Certificate.from_json(sol.certificate.to_json()), X).agreement.agrees
    if "beta" in budget:
        reached = cg.ipm(X, sol.generator.particles, NAME, weights_y=sol.generator.weights)
        assert reached.value <= budget["beta"] * (1 + 1e-7)


@given(seed=seeds, power=st.sampled_from([-8, 0, 8]), anywhere=st.booleans())
@settings(max_examples=12, deadline=None)
def test_certificates_hold_in_fractions(seed, power, anywhere):
    data = 10.0**power * pair(seed, 6)[0]
    beta = 0.1 * float((data**2).sum(axis=1).mean())
    if anywhere:
        claim = cg.certify(data, data, discriminator=NAME, beta=beta)
    else:
        claim = cg.solve(data, discriminator=NAME, generator="mixture", beta=beta).certificate
    arrays = {name: exact(array) for name, array in claim.evidence.arrays.items()}
    points, mass, rows = arrays["points"], arrays["weights"] / arrays["weights"].sum(), exact(data)
    U, v = arrays["neurons"], arrays["outer"] / (arrays["neurons"] ** 2).sum(axis=1)  # s(t) / |u|^2: no roots

    def scores(Z):
        return np.maximum(Z @ U.T, 0) ** 2 @ v

    spent = np.abs(arrays["outer"]).sum() * Fraction(beta)
    guaranteed = scores(rows).sum() / len(rows) - spent
    if not anywhere:
        law = arrays["particles"]
        guaranteed += ((law**2).sum(axis=1) - scores(law)).min()
    assert Fraction(claim.max_min) <= guaranteed and claim.max_min >= float(guaranteed) * (1 - 1e-9)
    assert Fraction(claim.value) >= (points**2).sum(axis=1) @ mass
    for u in exact(directions(2, 50, seed)):
        seen_by = (np.maximum(rows @ u, 0) ** 2).sum() / len(rows) - np.maximum(points @ u, 0) ** 2 @ mass
        assert abs(seen_by) <= Fraction(claim.ipm) * (u @ u)


def test_mixtures_with_a_bias_and_in_three_columns():
    A, _ = pair(4, 12, d=3)
    for game in ({"bias": "penalized", "beta": 0.3}, {"lam": 1.0}):
        sol = cg.solve(A[:, : 2 if "bias" in game else 3], discriminator=NAME, generator="mixture", **game)
        assert sol.certificate.kind == "saddle"


def test_certificates_speak_of_any_rows():
    for budget in ({"beta": 0.2}, {"beta": 0.6}, {"lam": 0.5}, {"lam": 5.0}):
        found = cg.certify(X, X, discriminator=NAME, **budget)
        assert found.kind == ("saddle" if budget.get("lam", 0.0) >= 4 else "bounded")  # 2 d neurons see all of E|Y|^2
        assert 0 < found.bound <= found.value
        anybody = [cg.certify(X, rows, discriminator=NAME, **budget) for rows in (0.8 * X, Y, X[:4])]
        feasible = [other.value for other in anybody if other.violation <= 1e-9]
        assert all(found.bound <= value for value in [*feasible, found.value])
        if "beta" in budget:  # no axis pays for its neurons where they see less than beta
            axes = np.concatenate([np.maximum(X, 0), np.maximum(-X, 0)], axis=1) ** 2
            assert found.bound >= np.maximum(axes.mean(axis=0) - budget["beta"], 0).sum() * (1 - 1e-12)
        assert cg.verify(found, X).agreement.agrees
    tight = cg.certify(X, X, discriminator=NAME, beta=1e-9)  # no law that looks the same costs less
    assert tight.bound == pytest.approx(tight.value, rel=1e-7) and tight.kind == "saddle"


def test_forged_certificates_are_refused():
    sol = cg.solve(X, discriminator=NAME, generator="mixture", beta=0.2)
    forged = replace(sol.certificate, value=0.9 * sol.certificate.value, ipm=0.5 * sol.certificate.ipm)
    assert not cg.verify(forged, X).agreement.agrees
    claim = cg.certify(X, X, discriminator=NAME, beta=0.2)
    better = replace(claim, bound=1.05 * claim.bound, max_min=1.05 * claim.max_min)
    assert set(cg.verify(better, X).agreement.differing) >= {"bound", "max_min"}
    described = json.loads(claim.to_json())
    arrays = described["evidence"]["arrays"]
    arrays["outer"]["data"] = [10.0 * v for v in arrays["outer"]["data"]]  # which far points would fool
    found = cg.verify(cg.Certificate.from_json(json.dumps(described)), X)
    assert found.bound == pytest.approx(claim.bound, rel=1e-9) and found.kind == "bounded"
    arrays["neurons"]["data"] = [0.8 * x for x in arrays["neurons"]["data"]]
    arrays["biases"]["data"] = [0.6] * len(arrays["outer"]["data"])
    described["evidence"]["settings"]["bias"] = "penalized"
    assert cg.verify(cg.Certificate.from_json(json.dumps(described)), X).bound == 0.0  # of which nothing is known


def test_solutions_come_back_from_files(tmp_path):
    sol = cg.solve(X, discriminator=NAME, generator="mixture", beta=0.1)
    sol.save(tmp_path / "sol.npz")
    again = cg.load(tmp_path / "sol.npz")
    assert again.discriminator.activation == SquaredReLU() == CLASSES[NAME]()
    np.testing.assert_array_equal(again.discriminator(Y), sol.discriminator(Y))


REFUSED = {
    "generator='free'": lambda: cg.solve(X, discriminator=NAME, generator="free", beta=0.1),
    "generator='linear'": lambda: cg.solve(X, cg.GaussianLatent(2), discriminator=NAME, beta=0.1),
    "generator='relu'": lambda: cg.solve(X, X, discriminator=NAME, generator="relu", lam=1.0),
    "regularizer": lambda: cg.solve(X, X, discriminator=NAME, generator="relu", regularizer="weights", lam=1.0),
    "support='continuous'": lambda: cg.solve(X, discriminator=NAME, generator=Mixture(support="continuous"), lam=1.0),
    "bias='free'": lambda: cg.ipm(X[:, :1], Y[:, :1], NAME, bias="free"),
    "bias='free' ": lambda: cg.solve(X[:, :1], discriminator=NAME, generator="mixture", beta=0.1, bias="free"),
    "rigorous=True": lambda: cg.verify(cg.certify(X, Y, discriminator=NAME, beta=0.1), X, rigorous=True),
    "discriminator": lambda: cg.held_out(X, Y, NAME),
    "ipm_program": lambda: cg.programs.ipm_program(X, Y, NAME),
    "method": lambda: cg.ipm(X, Y, NAME, method="enumerate"),
}


@pytest.mark.parametrize("argument", REFUSED)
def test_what_there_is_no_game_for_is_refused_by_name(argument):
    with pytest.raises(ValueError, match=argument.strip()):
        REFUSED[argument]()


# -- torch, pictures and the shell -----------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_loss_has_the_gradient_of_its_value(d):
    import torch

    A, B = pair(2, d=d)
    loss = cg.torch.ExactDiscriminatorLoss(A, NAME, lam=1.5, smoothing=0)
    fake = torch.from_numpy(B).requires_grad_()
    value = loss(fake)
    value.backward()
    if d <= 3:
        assert value.item() == pytest.approx(1.5 * cg.ipm(A, B, NAME).value, rel=1e-9)
    else:
        assert value.item() <= 1.5 * cg.ipm(A, B, NAME).upper_bound * (1 + 1e-9)
    if d > 3:  # by ascent from random directions, others at each call
        return
    step, slopes = 1e-5, np.zeros_like(B)
    for i in np.ndindex(*B.shape):
        moved = np.stack([B, B])
        moved[(0, *i)] += step
        moved[(1, *i)] -= step
        slopes[i] = (cg.ipm(A, moved[0], NAME).value - cg.ipm(A, moved[1], NAME).value) / (2 * step)
    np.testing.assert_allclose(fake.grad.numpy(), 1.5 * slopes, atol=1e-6 * np.abs(slopes).max() + 1e-9)


def test_modules_audits_and_training():
    import torch

    from convexgan.torch.modules import activate, slopes_of

    torch.manual_seed(0)
    t = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    activate(SquaredReLU(), t).sum().backward()
    assert torch.equal(slopes_of(SquaredReLU(), t.detach()), t.grad)
    D = cg.torch.TwoLayerDiscriminator(2, 4, NAME).double()
    assert D(torch.from_numpy(Y)).detach().numpy() == pytest.approx(cg.torch.to_critic(D)(Y))
    audit = cg.torch.audit(Y, NAME, X, objective=cg.torch.Objective(beta=0.1))
    assert audit.certificate.ipm == pytest.approx(cg.ipm(X, Y, NAME).value, rel=1e-9)
    points, loss = torch.from_numpy(Y).clone().requires_grad_(), cg.torch.ExactDiscriminatorLoss(X, NAME, 1.0)
    optimizer = torch.optim.Adam([points], 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss(points).backward()
        optimizer.step()
    assert cg.ipm(X, points.detach().numpy(), NAME).value < 0.3 * cg.ipm(X, Y, NAME).value
    with pytest.raises(ValueError, match="no counterpart"):
        cg.torch.to_generator(cg.torch.TwoLayerGenerator(2, 2, 3, NAME), cg.GaussianLatent(2))


def test_pictures_and_commands(tmp_path):
    from convexgan.plotting import equilibrium_plot, witness_plot

    witness_plot(cg.ipm(X, Y, NAME).critic, X, Y, tmp_path / "witness.png")
    equilibrium_plot(cg.solve(X, discriminator=NAME, generator="mixture", beta=0.1), X, tmp_path / "players.png")
    assert all((tmp_path / f"{made}.png").stat().st_size > 1000 for made in ("witness", "players"))
    for name, rows in (("X", X), ("Y", Y)):
        np.save(tmp_path / f"{name}.npy", rows)
    files = [str(tmp_path / "X.npy"), str(tmp_path / "Y.npy")]
    told = CliRunner().invoke(app, ["ipm", *files, "--discriminator", NAME])
    assert told.exit_code == 0 and f"{cg.ipm(X, Y, NAME).value:.8g}" in told.output
    told = CliRunner().invoke(
        app, ["solve", files[0], "--discriminator", NAME, "--generator", "mixture", "--beta", "0.1"]
    )
    assert told.exit_code == 0 and "saddle" in told.output
