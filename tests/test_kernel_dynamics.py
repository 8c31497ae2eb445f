"""Kernel discriminators: derivatives, exact descent-ascent against its recursion, predictions against running it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convexgan.dynamics import (
    Critic,
    GaussianKernel,
    KernelGame,
    KernelSum,
    PhaseDiagram,
    Prediction,
    RationalQuadratic,
    best_parameter,
    curvature,
    linearize,
    measured_rate,
    phase_diagram,
    point_modes,
    predict,
    simulate_points,
    update_matrix,
)

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
    modes = predict(point_modes(GaussianKernel(1.0), 2.1), (1.2, 1.0), "simultaneous")
    assert modes.rate < 1  # what the point feels would converge
    assert phase_diagram(GaussianKernel(1.0), np.array([2.1]), (1.2, 1.0), method="simultaneous").predicted.rate > 1.09


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
        (lambda: point_modes(GaussianKernel(), 1.0, q=-1.0), "q must be finite and positive"),
        (lambda: linearize(KernelGame([[0.0]], GaussianKernel(), 1.0), [[0.5]]), "points move"),
        (lambda: simulate_points(KernelGame([[0.0]], GaussianKernel(), 1.0), [0.5], 0.1), "points must be finite"),
        (lambda: simulate_points(KernelGame([[0.0]], GaussianKernel(), 1.0), [[0.5]], -0.1), "step sizes must be"),
        (
            lambda: simulate_points(KernelGame([[0.0]], GaussianKernel(), 1.0, q=[0.4, 0.4]), np.zeros((2, 1)), 0.1),
            "q must be 2 positive masses with sum 1",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
