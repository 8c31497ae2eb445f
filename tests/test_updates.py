"""Every step function against its spectrum on bilinear and quadratic games, and against its paper's recursion."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convexgan.dynamics import LinearGame
from convexgan.updates import (
    Game,
    State,
    adam,
    alternating,
    average,
    consensus,
    extragradient,
    generative_minimization,
    optimistic,
    simultaneous,
    unrolled,
)

STEPS = (simultaneous, alternating, extragradient, optimistic)
SIZES = st.floats(0.05, 0.5)


class Quadratic(Game):
    """f = x'Ax/2 + x'By - y'Cy/2 + cubic terms: zero-sum, not linear, with players that are one array each."""

    def __init__(self, seed=0, n=3, m=2, cubic=0.1):
        rng = np.random.default_rng(seed)
        A, C = rng.standard_normal((n, n)), rng.standard_normal((m, m))
        self.A, self.B, self.C, self.cubic = A @ A.T, rng.standard_normal((n, m)), C @ C.T, cubic
        self.x, self.y = rng.standard_normal(n), rng.standard_normal(m)

    def f(self, x, y):
        cubic = self.cubic * (x.sum() ** 3 + x.sum() ** 2 * y.sum() - y.sum() ** 3) / 6
        return x @ self.A @ x / 2 + x @ self.B @ y - y @ self.C @ y / 2 + cubic

    def grad_x(self, x, y):
        return self.A @ x + self.B @ y + self.cubic * (x.sum() ** 2 / 2 + x.sum() * y.sum() / 3)

    def grad_y(self, x, y):
        return self.B.T @ x - self.C @ y + self.cubic * (x.sum() ** 2 / 6 - y.sum() ** 2 / 2)

    def vjp(self, x, y, u, v):
        c, X, Y, U, V = self.cubic, x.sum(), y.sum(), u.sum(), v.sum()
        return (
            self.A @ u + self.B @ v + c * (X + Y / 3) * U + c * X / 3 * V,
            self.B.T @ u - self.C @ v + c * X / 3 * U - c * Y * V,
        )


class Split(Game):
    """The same game with each player cut into a tuple of two arrays."""

    def __init__(self, game):
        self.game = game

    @staticmethod
    def cut(array):
        return array[:1], array[1:]

    def grad_x(self, x, y):
        return self.cut(self.game.grad_x(np.concatenate(x), np.concatenate(y)))

    def grad_y(self, x, y):
        return self.cut(self.game.grad_y(np.concatenate(x), np.concatenate(y)))

    def vjp(self, x, y, u, v):
        return tuple(self.cut(part) for part in self.game.vjp(*(np.concatenate(part) for part in (x, y, u, v))))


def numerical_gradient(function, point, step=1e-6):
    """Central differences."""
    return np.array([(function(point + e) - function(point - e)) / (2 * step) for e in step * np.eye(len(point))])


def run(step, game, state, steps, *arguments):
    """The states visited, the first included."""
    states = [state]
    for _ in range(steps):
        states.append(step(game, states[-1], *arguments))
    return states


def distance(state):
    return float(np.hypot(np.linalg.norm(state.x), np.linalg.norm(state.y)))


def bilinear():
    return LinearGame(0.0, 1.0, 1.0, 0.0), State(np.array([[0.6]]), np.array([[-0.8]]))


def test_the_test_game_is_differentiated_right():
    game = Quadratic()
    x, y, rng = game.x, game.y, np.random.default_rng(1)
    assert game.grad_x(x, y) == pytest.approx(numerical_gradient(lambda x: game.f(x, y), x), abs=1e-8)
    assert game.grad_y(x, y) == pytest.approx(numerical_gradient(lambda y: game.f(x, y), y), abs=1e-8)
    u, v = rng.standard_normal(3), rng.standard_normal(2)
    pull_x, pull_y = game.vjp(x, y, u, v)

    def total(x, y):
        return u @ game.grad_x(x, y) + v @ game.grad_y(x, y)

    assert pull_x == pytest.approx(numerical_gradient(lambda x: total(x, y), x), abs=1e-8)
    assert pull_y == pytest.approx(numerical_gradient(lambda y: total(x, y), y), abs=1e-8)


# -- the bilinear game: what each method is known for --------------------------------------------------------


@given(SIZES)
def test_simultaneous_diverges_by_sqrt_one_plus_step_squared(a):
    states = run(simultaneous, *bilinear(), 20, a)
    assert distance(states[-1]) == pytest.approx(np.sqrt(1 + a**2) ** 20, rel=1e-12)


@given(st.floats(0.01, 1.9))
def test_alternating_stays_on_its_ellipse(a):
    def energy(s):  # the invariant of leapfrog, for y first
        return (s.x**2 + s.y**2 + a * s.x * s.y).item()

    states = run(alternating, *bilinear(), 200, a)
    assert [energy(s) for s in states] == pytest.approx(201 * [energy(states[0])], rel=1e-10)


@given(SIZES)
def test_extragradient_contracts_at_its_rate(a):
    states = run(extragradient, *bilinear(), 20, a)
    assert distance(states[-1]) == pytest.approx((1 - a**2 + a**4) ** 10, rel=1e-12)


@given(st.floats(0.05, 0.4))  # the two modes meet at 1/2
def test_optimistic_converges_at_its_rate(a):
    roots = np.roots([1, -(1 + 2j * a), 1j * a])
    rate = abs(roots).max()
    states = run(optimistic, *bilinear(), 400, a)
    late = [distance(s) for s in states[300:]]
    assert (late[-1] / late[0]) ** (1 / 100) == pytest.approx(rate, rel=1e-6) and rate < 1


def test_optimistic_diverges_beyond_one_over_root_three():
    for a, inside in ((0.57, True), (0.585, False)):
        states = run(optimistic, *bilinear(), 4000, a)
        assert (distance(states[-1]) < distance(states[100])) == inside


@given(SIZES, st.floats(0.1, 2.0))
def test_consensus_contracts_at_its_rate(a, weight):
    states = run(consensus, *bilinear(), 10, a, weight)
    assert distance(states[-1]) == pytest.approx(((1 - a * weight) ** 2 + a**2) ** 5, rel=1e-12)


def test_averages_of_a_diverging_run_approach_the_saddle():
    mean, distances = None, []
    for state in run(simultaneous, *bilinear(), 4000, 0.01):
        mean = average(mean, state)
        distances.append(distance(mean))
    assert distances[-1] < 0.06 < 1 < distance(state)


class Bounded(Game):
    """f = xy + (x - 2)^2 / 2 with |y| <= 1: the saddle point is (1, 1), where y would like to go on."""

    def grad_x(self, x, y):
        return y + x - 2

    def grad_y(self, x, y):
        return x

    def projected(self, y):
        return np.clip(y, -1, 1)


@pytest.mark.parametrize("step", [*STEPS, partial(generative_minimization, depth=3)])
def test_the_saddle_point_of_a_constrained_game_is_where_steps_rest(step):
    game, state = Bounded(), State(0.0, 0.0)
    for _ in range(300):
        state = step(game, state, 0.2)
        state = state._replace(y=game.projected(state.y))
    assert (state.x, state.y) == pytest.approx((1.0, 1.0), abs=1e-9)


# -- a nonlinear game: against the papers' formulas written once more ------------------------------------------


@given(st.integers(0, 20), SIZES, SIZES)
def test_gda_and_extragradient_against_plain_formulas(seed, a, b):
    game = Quadratic(seed)
    x, y, f = game.x, game.y, game.f

    def gx(x, y):
        return numerical_gradient(lambda x: f(x, y), x)

    def gy(x, y):
        return numerical_gradient(lambda y: f(x, y), y)

    up = y + b * gy(x, y)
    half = x - a * gx(x, y)
    expected = {
        simultaneous: (half, up),
        alternating: (x - a * gx(x, up), up),
        extragradient: (x - a * gx(half, up), y + b * gy(half, up)),
        optimistic: (half, up),
    }
    for step, (new_x, new_y) in expected.items():
        state = step(game, State(x, y), (a, b))
        assert state.x == pytest.approx(new_x, abs=1e-6, rel=1e-6)
        assert state.y == pytest.approx(new_y, abs=1e-6, rel=1e-6)


def test_optimistic_is_the_two_step_recursion():
    game, a, b = Quadratic(), 0.05, 0.08
    states = run(optimistic, game, State(game.x, game.y), 6, (a, b))
    for before, now, after in zip(states[:-2], states[1:-1], states[2:], strict=True):
        field = game.gradients(now.x, now.y)
        last = game.gradients(before.x, before.y)
        assert after.x == pytest.approx(now.x - 2 * a * field[0] + a * last[0], abs=1e-14)
        assert after.y == pytest.approx(now.y + 2 * b * field[1] - b * last[1], abs=1e-14)


@given(st.integers(0, 20), st.integers(0, 4))
def test_unrolled_descends_the_unrolled_objective(seed, depth):
    game, a, b = Quadratic(seed), 0.1, 0.05

    def surrogate(x):
        y = game.y
        for _ in range(depth):
            y = y + b * game.grad_y(x, y)
        return game.f(x, y)

    state = unrolled(game, State(game.x, game.y), (a, b), depth)
    assert state.x == pytest.approx(game.x - a * numerical_gradient(surrogate, game.x), abs=1e-6)
    assert state.y == pytest.approx(game.y + b * game.grad_y(game.x, game.y), abs=1e-14)


@given(st.integers(0, 20), st.floats(0, 2))
def test_consensus_descends_the_squared_gradients(seed, weight):
    game, a = Quadratic(seed), 0.1

    def half_norm(x, y):
        return sum(part @ part for part in game.gradients(x, y)) / 2

    state = consensus(game, State(game.x, game.y), a, weight)
    pull_x = numerical_gradient(lambda x: half_norm(x, game.y), game.x)
    pull_y = numerical_gradient(lambda y: half_norm(game.x, y), game.y)
    assert state.x == pytest.approx(game.x - a * (game.grad_x(game.x, game.y) + weight * pull_x), abs=1e-5, rel=1e-5)
    assert state.y == pytest.approx(game.y + a * (game.grad_y(game.x, game.y) - weight * pull_y), abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("b1", [0.0, 0.5])
def test_adam_against_its_algorithm_written_once_more(b1):
    gradients, b2, eps = np.random.default_rng(0).standard_normal((7, 3)), 0.9, 1e-8
    memory, m, v = None, np.zeros(3), np.zeros(3)
    for t, g in enumerate(gradients, start=1):
        direction, memory = adam(g, memory, betas=(b1, b2))
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        assert direction == pytest.approx((m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps), rel=1e-12)


@pytest.mark.parametrize("step", [simultaneous, alternating])
def test_adam_moves_each_player_with_a_memory_of_its_own(step):
    game = Quadratic()
    states = run(step, game, State(game.x, game.y), 3, (0.01, 0.02), partial(adam, betas=(0.5, 0.9)))
    assert abs(states[1].x - game.x) == pytest.approx(np.full(3, 0.01))  # Adam's first step is a sign
    assert abs(states[1].y - game.y) == pytest.approx(np.full(2, 0.02))
    assert [memory[2] for memory in states[3].memory] == [3, 3]


@given(st.integers(1, 9))
def test_averages_are_the_weighted_mean(count):
    rng = np.random.default_rng(count)
    xs, weights, mean = rng.standard_normal((count, 2)), rng.uniform(0.1, 1, count), None
    for x, weight in zip(xs, weights, strict=True):
        mean = average(mean, State(x, -x), weight)
    assert mean.x == pytest.approx(weights @ xs / weights.sum())
    assert mean.y == pytest.approx(-mean.x) and mean.total == pytest.approx(weights.sum())


# -- generative minimisation networks: the recursions and toy games of their paper ------------------------------


@given(st.integers(0, 20), st.integers(0, 4))
def test_generative_minimization_descends_the_gap_to_fixed_copies(seed, depth):
    game, rates, inner = Quadratic(seed), (0.1, 0.05), (0.02, 0.03)
    x, y = game.x, game.y
    for _ in range(depth):
        x, y = x - inner[0] * game.grad_x(x, game.y), y + inner[1] * game.grad_y(game.x, y)
    down = numerical_gradient(lambda point: game.f(point, y) - game.f(x, game.y), game.x)
    up = numerical_gradient(lambda point: game.f(game.x, y) - game.f(x, point), game.y)
    state = generative_minimization(game, State(game.x, game.y), rates, depth, inner)
    assert state.x == pytest.approx(game.x - rates[0] * down, abs=1e-6)
    assert state.y == pytest.approx(game.y - rates[1] * up, abs=1e-6)


COEFFICIENTS = st.floats(-2, 2)


@given(COEFFICIENTS, COEFFICIENTS, COEFFICIENTS, SIZES, SIZES, st.integers(0, 7))
def test_generative_minimization_is_its_linear_recursion_on_quadratic_games(a, b, c, alpha, e, k):
    """f = a x^2 / 2 - b y^2 / 2 + cxy: z - alpha H z, with powers of the inner steps in H."""
    (rx, sx), (ry, sy) = (((1 - e * h) ** k, (1 - (1 - e * h) ** k) / h if abs(h) > 1e-9 else k * e) for h in (a, b))
    z = np.array([0.6, -0.8])
    H = np.array([[a + c**2 * sy, c * ry], [-c * rx, b + c**2 * sx]])
    game = LinearGame(a, c, c, -b)
    state = generative_minimization(game, State(z[:1, None], z[1:, None]), alpha, k, e)
    assert np.array([state.x.item(), state.y.item()]) == pytest.approx(z - alpha * H @ z, abs=1e-9)


@given(SIZES, st.floats(0.2, 3.0), st.integers(1, 9))
def test_generative_minimization_converges_on_bilinear_games_below_its_threshold(e, c, k):
    limit = 2 * k * e / (1 + k**2 * e**2 * c**2)
    for share, inside in ((0.99, True), (1.01, False)):
        start = State(np.array([[0.6]]), np.array([[-0.8]]))
        states = run(generative_minimization, LinearGame(0.0, c, c, 0.0), start, 1, share * limit, k, e)
        assert (distance(states[-1]) < distance(states[0])) == inside


@given(SIZES)
def test_generative_minimization_of_one_step_is_extragradient_on_bilinear_games_and_only_there(a):
    game, state = bilinear()
    one, other = generative_minimization(game, state, a, 1), extragradient(game, state, a)
    assert [one.x.item(), one.y.item()] == pytest.approx([other.x.item(), other.y.item()], rel=1e-14)
    bent = LinearGame(1.0, 1.0, 1.0, 0.0)
    assert abs(generative_minimization(bent, state, a, 1).x - extragradient(bent, state, a).x).item() > a**2 / 10


class Toy(Game):
    """A game of two numbers, differentiated numerically."""

    def __init__(self, f):
        self.f = f

    def grad_x(self, x, y):
        return (self.f(x + 1e-6, y) - self.f(x - 1e-6, y)) / 2e-6

    def grad_y(self, x, y):
        return (self.f(x, y + 1e-6) - self.f(x, y - 1e-6)) / 2e-6


def f3(x, y):
    return (4 * x**2 - (y - 3 * x + 0.05 * x**3) ** 2 - 0.1 * y**4) * np.exp(-0.01 * (x**2 + y**2))


TOYS = {  # steps of generative minimisation, and whether plain descent-ascent arrives
    "f1": (lambda x, y: -3 * x**2 - y**2 + 4 * x * y, 103, False),
    "f2": (lambda x, y: 3 * x**2 + y**2 + 4 * x * y, 332, True),
    "f3": (f3, 89, False),
}


def arrives(step, game, *arguments):
    """The steps from (5, 7) until both moves are below 5e-6, and the end; None if that does not happen."""
    state = State(5.0, 7.0)
    for count in range(2000):
        new = step(game, state, 0.05, *arguments)
        if max(abs(new.x - state.x), abs(new.y - state.y)) < 5e-6:
            return count, new
        if max(abs(new.x), abs(new.y)) > 1e3:
            break
        state = new
    return None


@pytest.mark.parametrize("name", TOYS)
def test_toy_games_from_the_paper(name):
    f, steps, plain_arrives = TOYS[name]
    count, end = arrives(generative_minimization, Toy(f), 5)
    assert abs(count - steps) <= 3 and max(abs(end.x), abs(end.y)) < 2e-4
    assert (arrives(simultaneous, Toy(f)) is not None) == plain_arrives


def test_generative_minimization_may_end_where_no_equilibrium_is():
    """In f2 the maximiser gains by leaving 0, and the method goes there all the same."""
    f = TOYS["f2"][0]
    end = arrives(generative_minimization, Toy(f), 5)[1]
    assert f(end.x, end.y + 1.0) > f(end.x, end.y) + 0.9


# -- purity, structure, other libraries ------------------------------------------------------------------------

ALL = [
    *((step, ()) for step in STEPS),
    (simultaneous, (adam,)),
    (alternating, (adam,)),
    (consensus, (0.5,)),
    (unrolled, (3,)),
    (generative_minimization, (3, 0.04, adam)),
]


@pytest.mark.parametrize(("step", "arguments"), ALL)
def test_steps_do_not_touch_their_arguments_and_tuples_are_players_too(step, arguments):
    game = Quadratic()
    state = State(game.x.copy(), game.y.copy())
    plain = run(step, game, state, 3, (0.05, 0.1), *arguments)
    assert (state.x == game.x).all() and (state.y == game.y).all() and state.memory is None
    split = Split(game)
    cut = run(step, split, State(split.cut(game.x), split.cut(game.y)), 3, (0.05, 0.1), *arguments)
    assert np.concatenate(cut[-1].x) == pytest.approx(plain[-1].x, abs=1e-14)
    assert np.concatenate(cut[-1].y) == pytest.approx(plain[-1].y, abs=1e-14)


class TorchQuadratic(Game):
    """The test game by automatic differentiation alone."""

    def __init__(self, torch, game):
        self.torch, self.cubic = torch, game.cubic
        self.A, self.B, self.C = (torch.from_numpy(part) for part in (game.A, game.B, game.C))

    def differentiated(self, function, *players):
        leaves = [player.detach().requires_grad_() for player in players]
        return self.torch.autograd.grad(function(*leaves), leaves)

    def f(self, x, y):
        return Quadratic.f(self, x, y)

    def grad_x(self, x, y):
        return self.differentiated(self.f, x, y)[0]

    def grad_y(self, x, y):
        return self.differentiated(self.f, x, y)[1]

    def vjp(self, x, y, u, v):
        def total(x, y):
            gx, gy = self.torch.autograd.grad(self.f(x, y), (x, y), create_graph=True)
            return (gx * u).sum() + (gy * v).sum()

        return self.differentiated(total, x, y)


@pytest.mark.parametrize(("step", "arguments"), ALL)
def test_torch_tensors_take_the_same_steps(step, arguments):
    import torch

    game = Quadratic()
    plain = run(step, game, State(game.x, game.y), 3, (0.05, 0.1), *arguments)
    start = State(torch.from_numpy(game.x), torch.from_numpy(game.y))
    tensors = run(step, TorchQuadratic(torch, game), start, 3, (0.05, 0.1), *arguments)
    assert tensors[-1].x.numpy() == pytest.approx(plain[-1].x, abs=1e-13)
    assert tensors[-1].y.numpy() == pytest.approx(plain[-1].y, abs=1e-13)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.99)])
def test_moments_that_are_reused_are_the_same_numbers(betas):
    import torch

    memories = kept = reused = None
    for seed in range(4):
        gradient = torch.randn(3, 2, generator=torch.Generator().manual_seed(seed)).double(), torch.ones(())
        memories = kept
        before = None if kept is None else [part.clone() for part in (*kept[0], *kept[1])]
        there, kept = adam(gradient, kept, betas)
        here, reused = adam(gradient, reused, betas, reuse=True)
        assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))
        if before is not None:  # without reuse nothing of the caller's is changed
            assert all(torch.equal(a, b) for a, b in zip((*memories[0], *memories[1]), before, strict=True))
        arrays = adam(tuple(part.numpy() for part in gradient), None, betas)[0]
        alone = adam(gradient, None, betas)[0]
        assert all(np.allclose(a, b.numpy(), rtol=1e-6) for a, b in zip(arrays, alone, strict=True))
