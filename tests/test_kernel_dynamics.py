"""Kernel discriminators: derivatives, exact descent-ascent against its recursion, predictions against running it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from convexgan.dynamics import (
    Critic,
    GaussianKernel,
    KernelGame,
    KernelSum,
    LinearPoints,
    NetworkPoints,
    PhaseDiagram,
    Prediction,
    RationalQuadratic,
    best_parameter,
    critical_step,
    curvature,
    linearize,
    measured_rate,
    phase_diagram,
    point_modes,
    predict,
    predict_gda,
    simulate_points,
    simulate_spread,
    steady_spread,
    update_matrix,
    wasserstein,
)
from convexgan.updates import State, alternating, extragradient, optimistic, simultaneous

KERNELS = (
    GaussianKernel(0.7),
    RationalQuadratic(1.3, 0.5),
    RationalQuadratic(0.8, 3.0),
    KernelSum((GaussianKernel(0.5), GaussianKernel(2.0), RationalQuadratic(1.0))),
)
ORDERS = ("simultaneous", "alternating")
kernels = pytest.mark.parametrize("kernel", KERNELS)


def close(values, others, tol=1e-9):
    """Equal as sets with multiplicity."""
    values, others = list(np.asarray(values, dtype=complex)), list(np.asarray(others, dtype=complex))
    assert len(values) == len(others)
    for value in values:
        nearest = min(others, key=lambda other: abs(other - value))
        assert abs(nearest - value) < tol
        others.remove(nearest)


def recursion(kernel, data, p, q, points, lam, eta_g, eta_d, steps, order):
    """The recursion of the paper with every past point kept in a list: f is evaluated, never represented."""
    past, path, y = [], [points], points.copy()

    def slope(at):
        """grad f(at), f = eta_d sum_s (1 - eta_d lam)^s (data's kernels - the kernels of s steps ago)."""
        total = np.zeros_like(at)
        for age, cloud in enumerate(reversed(past)):
            weight = eta_d * (1 - eta_d * lam) ** age
            for centres, masses, sign in ((data, p, 1), (cloud, q, -1)):
                for centre, mass in zip(centres, masses, strict=True):
                    gap = at - centre
                    slopes = kernel.slope((gap**2).sum(axis=1)[:, None])
                    total += sign * weight * mass * 2 * slopes * gap
        return total

    for _ in range(steps):
        if order == "alternating":
            past.append(y)
        move = eta_g * q[:, None] * slope(y)
        if order == "simultaneous":
            past.append(y)
        y = y + move
        path.append(y)
    return np.array(path)


@kernels
def test_derivatives(kernel):
    r2, h = np.array([[0.01, 0.3, 1.0, 4.0]]), 1e-6
    assert kernel.slope(r2) == pytest.approx((kernel.value(r2 + h) - kernel.value(r2 - h)) / (2 * h), rel=1e-7)
    assert kernel.bend(r2) == pytest.approx((kernel.slope(r2 + h) - kernel.slope(r2 - h)) / (2 * h), rel=1e-7)


def test_curvature_is_one_over_width_squared():
    assert curvature(GaussianKernel(0.5)) == pytest.approx(4)
    assert curvature(RationalQuadratic(np.array([0.5, 2.0]), 7.0)) == pytest.approx([4, 0.25])
    assert curvature(KERNELS[3]) == pytest.approx(4 + 0.25 + 1)
    r2 = np.array([[0.0, 1.0, 3.0]])
    assert RationalQuadratic(0.8, 1e9).value(r2) == pytest.approx(GaussianKernel(0.8).value(r2))


@kernels
@pytest.mark.parametrize("order", ORDERS)
def test_exact_descent_ascent_is_the_recursion(kernel, order):
    rng = np.random.default_rng(0)
    data, points = rng.standard_normal((3, 2)), rng.standard_normal((2, 2))
    p, q, lam, rates = np.array([0.5, 0.2, 0.3]), np.array([0.6, 0.4]), 0.5, (0.4, 0.3)
    path = simulate_points(KernelGame(data, kernel, lam, p, q), points, rates, steps=25, method=order)
    assert path == pytest.approx(recursion(kernel, data, p, q, points, lam, *rates, 25, order), abs=1e-12)


@pytest.mark.parametrize("order", ["simultaneous", "alternating", "extragradient", "optimistic"])
def test_a_batch_is_its_games_and_forgetting_changes_little(order):
    data, start = np.array([[0.0], [2.0]]), np.array([[0.3], [2.2]])
    widths, lams, rates = np.array([0.8, 1.5]), np.array([0.3, 0.6]), (np.array([0.1, 0.3]), 0.5)
    together = simulate_points(KernelGame(data, GaussianKernel(widths), lams), start, rates, steps=120, method=order)
    assert together.shape == (121, 2, 2, 1)
    for index in range(2):
        one = KernelGame(data, GaussianKernel(widths[index]), lams[index])
        eta = (rates[0][index], 0.5)
        alone = simulate_points(one, start, eta, steps=120, method=order, threshold=0.0)
        assert together[:, index] == pytest.approx(alone, abs=1e-9)


def test_forgotten_clouds_are_gone():
    game = KernelGame([[0.0]], GaussianKernel(1.0), 1.0)
    critic = game.silent(np.zeros((1, 1)))
    for _ in range(100):
        critic = (critic + 0.5 * game.grad_y(np.zeros((1, 1)), critic)).forget(1e-6)
    assert len(critic.weights) == 20 and critic.first == 80  # .5^20 < 1e-6
    assert critic.weights.sum() == pytest.approx(critic.real.item(), rel=2e-6) == 1 / 1.0


def test_critics_of_one_history_add_as_functions_whatever_they_forgot():
    game, x = KernelGame([[0.0]], RationalQuadratic(1.0), 0.5), np.array([[0.7]])
    critics = [game.silent(x)]
    for step in range(5):
        critics.append(critics[-1] + 0.3 * game.grad_y(x + step, critics[-1]))
    critics += [Critic(c.real, c.weights[k:], c.centres[k:], k) for c in critics[3:] for k in (1, 2, 3)]
    at = np.array([[0.2], [1.5]])
    for one in critics:
        for other in critics:
            total = game.slope(at, one) + game.slope(at, other)
            assert game.slope(at, one + other) == pytest.approx(total, abs=1e-14)
            assert game.slope(at, one - 2.0 * other) == pytest.approx(
                game.slope(at, one) - 2 * game.slope(at, other), abs=1e-14
            )


# -- predictions ---------------------------------------------------------------------------------------------------


@given(st.floats(0.2, 3), st.floats(0.05, 1.5), st.floats(0.1, 1), st.floats(0.1, 1), st.floats(0.01, 0.9))
def test_point_modes_solve_their_quadratics(width, lam, p, q, eta_g):
    eta_d, gamma = 0.4, 1 / width**2
    A, B, C = eta_d * lam, eta_g * q * gamma * (p - q) / lam, eta_d * eta_g * gamma * q**2
    modes = point_modes(GaussianKernel(width), lam, p, q)
    known = {
        "simultaneous": np.roots([1, -(2 - A - B), (1 - A) * (1 - B) + C]),
        "alternating": np.roots([1, -(2 - A - B - C), (1 - A) * (1 - B)]),
    }
    for order, roots in known.items():
        tol = 1e-6 * max(1, abs(roots).max())  # roots meet
        close(predict(modes, (eta_g, eta_d), order).eigenvalues, roots, tol)


@pytest.mark.parametrize(
    ("width", "simultaneous", "alternating", "rate"), [(0.5, 4.0, 3.6, 0.8), (1, 2.0, 1.9, 0.9), (2, 1.0, 0.975, 0.95)]
)
def test_best_regularisation(width, simultaneous, alternating, rate):
    for order, lam in (("simultaneous", simultaneous), ("alternating", alternating)):
        modes = point_modes
        best = best_parameter(
            lambda lams: predict(modes(GaussianKernel(width), lams), 0.1, order).rate,  # noqa: B023
            0.1,
            15.0,
        )
        assert best == (pytest.approx(lam, rel=1e-6), pytest.approx(rate, rel=1e-6))


SETTINGS = [
    (order, kernel, lam, eta_g)
    for order in ORDERS
    for kernel, lam, eta_g in [
        (GaussianKernel(1.0), 0.1, 0.09),
        (GaussianKernel(1.0), 0.1, 0.11),
        (GaussianKernel(1.0), 0.1, 0.5),
        (GaussianKernel(1.0), 1.0, 0.3),
        (GaussianKernel(0.5), 3.3, 0.1),
        (GaussianKernel(0.5), 0.3, 0.07),
        (GaussianKernel(2.0), 0.2, 0.7),
        (GaussianKernel(2.0), 0.9, 0.1),
        (RationalQuadratic(1.0, 2.0), 0.1, 0.09),
        (RationalQuadratic(0.5, 1.0), 0.5, 0.12),
        (RationalQuadratic(2.0, 0.5), 0.4, 1.6),
        (KERNELS[3], 1.0, 0.15),
    ]
]


@pytest.mark.parametrize(("order", "kernel", "lam", "eta_g"), SETTINGS)
def test_predicted_and_simulated_rates_agree(order, kernel, lam, eta_g):
    game, rates, origin = KernelGame([[0.0]], kernel, lam), (eta_g, 0.1), np.zeros((1, 1))
    path = simulate_points(game, origin + 1e-5, rates, steps=800, method=order, critic=game.rest(origin))
    told = predict(point_modes(kernel, lam), rates, order)
    within = abs(path[:, 0, 0]) < 1e-3  # where the game is linear
    assert measured_rate(path[50 : within.sum(), 0, 0]) == pytest.approx(told.rate, abs=1e-6)
    assert predict(linearize(game, origin), rates, order).rate == pytest.approx(told.rate)


def test_quoted_rates():
    modes = point_modes(GaussianKernel(1.0), 0.1)
    assert predict(modes, (0.09, 0.1), "simultaneous").rate == pytest.approx(0.99950, abs=5e-6)
    assert predict(modes, (0.11, 0.1), "simultaneous").rate == pytest.approx(1.00050, abs=5e-6)
    assert predict(modes, (np.array([0.01, 1.0, 30.0]), 0.1), "alternating").rate == pytest.approx(np.sqrt(0.99))


@pytest.mark.parametrize("order", ORDERS)
def test_unmatched_masses_and_far_points(order):
    """Two modes far apart, two generated points at one of them: mean, deviation and unmatched modes."""
    kernel, lam, rates, p, q = GaussianKernel(1.0), 0.4, (0.2, 0.3), (0.7, 0.3), np.array([0.25, 0.25, 0.5])
    game = KernelGame([[0.0], [100.0]], kernel, lam, p, q)
    found = predict(linearize(game, [[0.0], [0.0], [100.0]]), rates, order).eigenvalues
    cloud = predict(point_modes(kernel, lam, 0.3, 0.5), rates, order).eigenvalues
    # two points of mass q move together as one of mass 2q whose own step is half as long
    D, half = 0.7 - 0.5, (rates[0] / 2, rates[1])
    mean = predict(point_modes(kernel, lam, 0.7, 0.5), half, order).eigenvalues
    deviation = [1 - rates[0] * 0.25 * D / lam, 1 - rates[1] * lam]
    close(found, [*cloud, *mean, *deviation])


def test_a_lone_point_freezes_or_runs():
    q, eta_g, eta_d, gamma = 1.0, 0.2, 0.5, 1.0
    critical = np.sqrt(eta_g / eta_d * gamma) * q
    for lam, phase in ((1.01 * critical, "sustained"), (0.99 * critical, "diverge")):
        # the only data is where no kernel reaches
        modes = linearize(KernelGame([[1e3]], GaussianKernel(1.0), lam), [[0.0]])
        told = predict(modes, (eta_g, eta_d), "simultaneous")
        assert told.phase == phase
        B = -eta_g * gamma * q**2 / lam
        close(told.eigenvalues, [1, 1 - eta_d * lam - B])


def test_a_lone_point_does_what_was_said():
    for lam, moves in ((0.8, False), (0.5, True)):  # critical: .632
        game = KernelGame([[1e3]], GaussianKernel(1.0), lam)
        path = simulate_points(
            game, [[1e-3]], (0.2, 0.5), steps=1500, method="simultaneous", critic=game.rest(np.zeros((1, 1)))
        )[:, 0, 0]
        assert (abs(path[-1]) > 1) == moves


@pytest.mark.parametrize("order", ORDERS)
def test_linearisation_in_the_plane_against_running_it(order):
    data, offset = np.array([[0.0, 0.0], [1.5, 0.5]]), 1e-6 * np.array([[1, 2], [-2, 0.5]])
    game, rates = KernelGame(data, RationalQuadratic(1.0), 0.3), (0.8, 0.3)
    path = simulate_points(game, data + offset, rates, steps=60, method=order, critic=game.rest(data))
    matrix, state = update_matrix(linearize(game, data), rates, order), np.concatenate([offset.ravel(), np.zeros(4)])
    for points in path:
        assert (points - data).ravel() == pytest.approx(state[:4], abs=1e-10)
        state = matrix @ state


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("family", [GaussianKernel, RationalQuadratic])
def test_phase_diagrams(order, family):
    lam, eta_g = np.linspace(0.1, 4.8, 14)[:, None], np.linspace(0.05, 1.5, 15)
    diagram = phase_diagram(family(0.8), lam, (eta_g, 0.4), method=order, steps=300)
    assert diagram.measured.shape == diagram.predicted.phase.shape == (14, 15)
    assert diagram.boundary_error <= 1 and np.isfinite(diagram.measured).all()
    near = abs(diagram.predicted.rate - 1) < 0.05
    assert diagram.measured[near] == pytest.approx(diagram.predicted.rate[near], abs=2e-4)
    over_widths = phase_diagram(family(np.linspace(0.5, 2, 6)[:, None]), 0.5, (eta_g, 0.4), method=order)
    assert over_widths.boundary_error == 0 and over_widths.measured.shape == (6, 15)


def test_boundary_error_counts_cells_beyond_the_border():
    told = np.where(np.arange(8) < 4, 0.9, 1.1) * np.ones((3, 1))
    for wrong, cells in ([], 0), ([4], 1), ([4, 5], 2), ([3], 1), ([1], 3):
        seen = told.copy()
        seen[1, wrong] = 2 - seen[1, wrong]
        seen[0, 0] = np.nan
        assert PhaseDiagram(Prediction(told, told, told), seen).boundary_error == cells


def test_the_critic_itself_needs_step_times_lam_below_two():
    """Wherever modes are made: eta_d lam = 2.1 multiplies what the point does not feel of the critic by -1.1 a step."""
    kernel, rates = GaussianKernel(1.0), (1.2, 1.0)
    modes, game = point_modes(kernel, 2.1), KernelGame([[0.0]], kernel, 2.1)
    felt = np.linalg.eigvals(update_matrix(modes, rates, "simultaneous"))
    assert np.abs(felt).max() < 1  # what the point feels would converge
    for told in (
        predict(modes, rates, "simultaneous"),
        predict(linearize(game, [[0.0]]), rates, "simultaneous"),
        predict_gda(game, rates, "simultaneous", saddle=[[0.0]]),
    ):
        assert told.rate == pytest.approx(1.1) and told.phase == "diverge"
    assert phase_diagram(kernel, np.array([2.1]), rates, method="simultaneous").predicted.rate == pytest.approx(1.1)
    for method in ("simultaneous", "alternating", "optimistic"):
        last = critical_step(point_modes(kernel, 4.0), method)
        assert 0 < last <= 0.5 and predict(point_modes(kernel, 4.0), 1.01 * last, method).rate > 1
    best, rate = best_parameter(lambda lam: predict(point_modes(kernel, lam), 0.5, "simultaneous").rate, 0.1, 10)
    assert 0.5 * best < 2 and rate < 1


# -- clouds ---------------------------------------------------------------------------------------------------------


def cross(spread):
    """(2 dim, dim) points on the axes, symmetric about 0, with these second moments."""
    arms = np.diag(np.sqrt(np.asarray(spread) * len(spread)))
    return np.concatenate([arms, -arms])


@kernels
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("excess", [-0.002, 0.0, 0.004])
def test_second_moments_of_a_small_cloud(kernel, order, excess):
    """Against exact simulation; a second true point, far away, holds the rest of the mass."""
    scale, errors = float(1 / np.sqrt(curvature(kernel))), []
    for size in (0.1, 0.05):
        spread = np.array([1.0, 0.3]) * (size * scale) ** 2
        q = 0.5
        p = q + excess * (size / 0.1) ** 2
        data, lone = np.array([[0.0, 0.0], [1e6, 0.0]]), np.array([[1e6, 0.0]])
        game = KernelGame(data, kernel, 0.5, [p, 1 - p], [*np.full(4, q / 4), 1 - q])
        rates = (0.8 * scale**2, 0.4)
        path = simulate_points(game, np.concatenate([cross(spread), lone]), rates, steps=300, method=order)
        exact = (path[:, :4] ** 2).mean(axis=1)
        told = simulate_spread(kernel, 0.5, spread, rates, points=4, p=p, q=q, steps=300, method=order)
        errors.append(np.abs((told - exact) / spread).max())
    assert np.abs(exact / spread - 1).max() > 0.05 > 2 * errors[0] > 8 * errors[1]  # of first order in the spread


def test_a_matched_cloud_shrinks_like_one_over_steps():
    """Where the linearisation is silent: on the line, quasi-static, rho' = -2 eta_g (q/n) 3 gamma^2 q rho^2 / 2 lam."""
    path = simulate_spread(GaussianKernel(1.0), 0.5, [0.01], (0.1, 0.5), points=2, steps=40_000)[:, 0]
    slope = 2 * 0.1 / 2 * 1.5 / 0.5
    assert (1 / path[-1] - 1 / path[20_000]) / 20_000 == pytest.approx(slope, rel=1e-3)
    cloud = linearize(KernelGame([[0.0]], GaussianKernel(1.0), 0.5), [[0.0], [0.0]])
    assert predict(cloud, (0.1, 0.5)).phase == "sustained"


@kernels
def test_a_heavy_cloud_stops_at_the_steady_spread(kernel):
    """Approximate mode collapse: mass that is too much at a true point spreads a little and stays."""
    errors = []
    for excess in (0.04, 0.02):
        p, q, scale = 0.5, 0.5 + excess, float(1 / np.sqrt(curvature(kernel)))
        spread = steady_spread(kernel, 2, p, q)
        data, lone = np.array([[0.0, 0.0], [1e6, 0.0]]), np.array([[1e6, 0.0]])
        game = KernelGame(data, kernel, 0.5, [p, 1 - p], [*np.full(4, q / 4), 1 - q])
        start = np.concatenate([cross([1.5 * spread, 0.7 * spread]), lone])
        path = simulate_points(game, start, (4 * scale**2, 0.4), steps=1200)
        exact = (path[-1, :4] ** 2).mean(axis=0)
        assert exact[0] == pytest.approx(exact[1], rel=1e-2)  # round in the end
        errors.append(abs(spread / exact.mean() - 1))
    assert errors[1] < 0.06 and errors[1] < errors[0] / 1.7
    assert steady_spread(kernel, 2, 0.6, 0.5) == 0


def test_steady_spread_is_a_fixed_point_and_takes_batches():
    kernel = GaussianKernel(np.array([0.5, 2.0]))
    rho = steady_spread(kernel, 3, 0.4, 0.5)
    assert rho == pytest.approx(2 * np.array([0.25, 4.0]) * 0.2 / 5)
    path = simulate_spread(kernel, 0.5, rho[:, None] * np.ones(3), (0.1, 0.5), points=5, p=0.4, q=0.5, steps=50)
    assert path[-1] == pytest.approx(path[0], rel=1e-12)


# -- generators -----------------------------------------------------------------------------------------------------

LATENTS = np.random.default_rng(5).standard_normal((4, 3))
GENERATORS = {
    "linear": (LinearPoints(LATENTS), (3, 2)),
    "network": (NetworkPoints(LATENTS), ((3, 5), (5, 2))),
}
generators = pytest.mark.parametrize("name", GENERATORS)


def weights_of(name, seed=0):
    rng, shape = np.random.default_rng(seed), GENERATORS[name][1]
    return rng.standard_normal(shape) if name == "linear" else tuple(rng.standard_normal(part) for part in shape)


def entries(weights):
    return np.concatenate([part.ravel() for part in (weights if isinstance(weights, tuple) else (weights,))])


def shifted(weights, move):
    if not isinstance(weights, tuple):
        return weights + move.reshape(weights.shape)
    first, second = np.split(move, [weights[0].size])
    return weights[0] + first.reshape(weights[0].shape), weights[1] + second.reshape(weights[1].shape)


@generators
def test_generators_pull_back_slopes(name):
    generator, weights = GENERATORS[name][0], weights_of(name)
    slopes, pulled = np.random.default_rng(1).standard_normal((4, 2)), []
    for unit in np.eye(len(entries(weights))):
        up, down = (generator.points(shifted(weights, sign * 1e-5 * unit)) for sign in (1, -1))
        pulled.append(((up - down) * slopes).sum() / 2e-5)
    assert entries(generator.pull(weights, slopes)) == pytest.approx(np.array(pulled), abs=1e-8)


@generators
@pytest.mark.parametrize("order", ["simultaneous", "alternating", "extragradient", "optimistic"])
def test_generators_at_rest_follow_their_linearisation(name, order):
    generator, weights = GENERATORS[name][0], weights_of(name)
    game = KernelGame(generator.points(weights), RationalQuadratic(1.0), 0.3, generator=generator)
    rates, size = (0.3, 0.3), len(entries(weights))
    move = 1e-6 * np.random.default_rng(2).standard_normal(size)
    path = simulate_points(game, shifted(weights, move), rates, steps=40, method=order, critic=game.rest(game.data))
    modes = linearize(game, weights)
    steps = {"simultaneous": simultaneous, "alternating": alternating}
    step = steps.get(order) or {"extragradient": extragradient, "optimistic": optimistic}[order]
    state = State(move[:, None], np.zeros((8, 1)))
    for points in path:
        expected = generator.points(shifted(weights, state.x[:, 0])) - game.data
        assert points - game.data == pytest.approx(expected, abs=1e-9)
        state = step(modes, state, rates)


def test_a_linear_generator_that_cannot_reach_the_data_is_linearised_where_it_rests():
    """Slopes at the points do not vanish there, what the latents see of them does."""
    rng = np.random.default_rng(2)  # of most draws the network's weights run off, with slopes that vanish slowly
    data, latents, rates = rng.standard_normal((6, 2)), rng.standard_normal((6, 2)), (1.5, 0.5)
    for generator, start in ((LinearPoints(latents), np.eye(2)), (NetworkPoints(latents), (np.eye(2), np.eye(2)))):
        game = KernelGame(data, GaussianKernel(2.0), 0.5, generator=generator)
        state = State(start, game.silent(generator.points(start)))
        for _ in range(400):
            state = alternating(game, state, rates)
            state = state._replace(y=state.y.forget(1e-12))
        start = state.x

        def gradient(move, game=game, start=start):
            at = shifted(start, move)
            return entries(game.grad_x(at, game.rest(game.generator.points(at))))

        found = least_squares(gradient, np.zeros(len(entries(start))), method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15)
        rest = shifted(start, found.x)
        modes = linearize(game, rest)
        at = generator.points(rest)
        assert np.abs(game.slope(at, game.rest(at))).max() > 1e-3
        move = 1e-6 * rng.standard_normal(len(entries(rest)))
        starts = (shifted(rest, move), rest)
        path, still = (simulate_points(game, begin, rates, steps=25, critic=game.rest(at)) for begin in starts)
        matrix, told = update_matrix(modes, rates), np.concatenate([move, np.zeros(12)])
        for change in path - still:
            assert change == pytest.approx(generator.points(shifted(rest, told[: len(move)])) - at, abs=1e-11)
            told = matrix @ told


def test_a_batch_of_generators():
    generator, weights, lams = GENERATORS["network"][0], weights_of("network"), np.array([0.3, 0.6])
    data = np.random.default_rng(3).standard_normal((5, 2))
    together = simulate_points(
        KernelGame(data, GaussianKernel(1.0), lams, generator=generator), weights, (0.3, 0.5), steps=30
    )
    for lam, path in zip(lams, np.moveaxis(together, 1, 0), strict=True):
        alone = KernelGame(data, GaussianKernel(1.0), lam, generator=generator)
        assert path == pytest.approx(simulate_points(alone, weights, (0.3, 0.5), steps=30), abs=1e-12)


# -- distances, and the two ways of failing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wasserstein([0.0], [[0.0]]), "points must have shape"),
        (lambda: wasserstein([[0.0, 1.0]], [[0.0]]), "both must describe the same features"),
        (lambda: wasserstein([[0.0]], [[np.nan]]), "data .* has NaN"),
        (lambda: wasserstein([[0.0]], [[0.0]], q=[0.5]), "q must be 1 positive masses with sum 1"),
    ],
)
def test_bad_laws(call, message):
    pytest.importorskip("ot")
    with pytest.raises(ValueError, match=message):
        call()


def test_without_pot_the_repair_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'convexgan\[ot\]'"):
        wasserstein([[0.0]], [[0.0]])


def test_optimal_transport_against_linear_programs():
    pytest.importorskip("ot")
    from scipy.optimize import linear_sum_assignment, linprog

    rng = np.random.default_rng(0)
    points, data = rng.standard_normal((2, 5, 2)), rng.standard_normal((5, 2))
    costs = ((points[:, :, None] - data) ** 2).sum(axis=-1)
    matched = [cost[linear_sum_assignment(cost)].mean() for cost in costs]
    assert wasserstein(points, data) == pytest.approx(np.sqrt(matched), rel=1e-10)
    q, p = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(3))
    rows = [np.kron(np.eye(5), np.ones(3)), np.kron(np.ones(5), np.eye(3))]
    plan = linprog(costs[0][:, :3].ravel(), A_eq=np.concatenate(rows), b_eq=np.concatenate([q, p]))
    assert wasserstein(points[0], data[:3], q, p) == pytest.approx(np.sqrt(plan.fun), rel=1e-8)
    points[1, 0, 0] = np.inf
    assert np.isnan(wasserstein(points, data)[1])


def test_mode_collapse_and_divergence_where_predicted():
    """All points start near one of two far modes: a frozen collapse, or points that run, as lam decides."""
    data, rates = np.array([[0.0], [50.0]]), (0.05, 0.5)
    start = np.array([[0.01], [-0.02], [0.03], [-0.02]])
    far = np.array([[10.0], [-10.0], [20.0], [-20.0]])  # lone points of mass 1/4
    for lam, phase in ((0.2, "sustained"), (0.04, "diverge")):  # critical: q sqrt(eta_g / eta_d) = .079
        game = KernelGame(data, GaussianKernel(1.0), lam)
        assert predict(linearize(game, far), rates).phase == phase
        path = simulate_points(game, far + 1e-3 * start, rates, steps=1500, critic=game.rest(far))
        moved = np.abs(path[-1] - far).max()
        assert (moved < 0.1) if phase == "sustained" else (moved > 1)
    game = KernelGame(data, GaussianKernel(1.0), 0.2)
    collapsed = simulate_points(game, start, rates, steps=4000)[-1]
    assert np.abs(collapsed).max() < 10  # nothing ever reaches the other mode
    assert predict(linearize(game, np.zeros((4, 1))), rates).phase == "diverge"  # they spread: too much mass


class Laplacian:
    def value(self, r2):
        return np.exp(-np.sqrt(r2))

    def slope(self, r2):
        return -self.value(r2) / (2 * np.sqrt(r2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianKernel(-1.0), "width of a kernel must be finite and positive"),
        (lambda: RationalQuadratic(1.0, 0.0), "alpha of a kernel must be finite and positive"),
        (lambda: KernelSum(()), "parts of KernelSum is empty"),
        (lambda: KernelGame([[0.0]], Laplacian(), 1.0), "smooth kernels only"),
        (lambda: KernelGame([[0.0]], GaussianKernel(), 0.0), "lam must be finite and positive"),
        (lambda: KernelGame([[0.0], [1.0]], GaussianKernel(), 1.0, p=[0.5, 0.6]), "p must be 2 positive masses"),
        (lambda: KernelGame([[0.0], [1.0]], GaussianKernel(), 1.0, p=[1.5, -0.5]), "least -0.5"),
        (lambda: KernelGame([[np.nan]], GaussianKernel(), 1.0), "data .* has NaN"),
        (lambda: point_modes(GaussianKernel(), 1.0, q=-1.0), "q must be finite and positive"),
        (lambda: linearize(KernelGame([[0.0]], GaussianKernel(), 1.0), [[0.5]]), "points move"),
        (
            lambda: simulate_points(KernelGame([[0.0]], GaussianKernel(), 1.0), [0.5], 0.1),
            "start must hold finite arrays",
        ),
        (lambda: simulate_points(KernelGame([[0.0]], GaussianKernel(), 1.0), [[0.5]], -0.1), "step sizes must be"),
        (
            lambda: simulate_points(KernelGame([[0.0]], GaussianKernel(), 1.0), [[0.5, 1.0]], 0.1),
            "start generates points of shape",
        ),
        (lambda: simulate_spread(GaussianKernel(), 1.0, [-1.0], 0.1, points=2), "spread must be finite and positive"),
        (lambda: simulate_spread(GaussianKernel(), 1.0, [0.1], -0.1, points=2), "step sizes must be"),
        (lambda: simulate_spread(GaussianKernel(), 1.0, [0.1], 0.1, points=0), "points must be an integer"),
        (lambda: simulate_spread(GaussianKernel(), 1.0, [0.1], 0.1, points=2, method="none"), "unknown method"),
        (lambda: steady_spread(GaussianKernel(), 0, 0.4, 0.5), "dim must be an integer"),
        (lambda: LinearPoints([1.0]), "latents must be a 2-D array"),
        (
            lambda: simulate_points(KernelGame([[0.0]], GaussianKernel(), 1.0, q=[0.4, 0.4]), np.zeros((2, 1)), 0.1),
            "q must be 2 positive masses with sum 1",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
