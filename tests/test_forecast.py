"""Predictions at saddle points of any game, against known spectra, against autograd and against running the method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convexgan as cg
from convexgan.dynamics import (
    GaussianKernel,
    KernelGame,
    LinearGame,
    SolvedGame,
    Tangent,
    forecast,
    linearize,
    measured_rate,
    modes,
    predict,
    predict_gda,
    update_matrix,
)
from convexgan.exceptions import SolverError
from convexgan.updates import Game, State, alternating, extragradient, optimistic, simultaneous

METHODS = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "extragradient": extragradient,
    "optimistic": optimistic,
}
methods = pytest.mark.parametrize("method", METHODS)
BIASED = cg.generators.Linear(bias=True)
rng = np.random.default_rng(0)
X = rng.standard_normal((16, 4)) * [2, 1.5, 1, 0.4] + 0.3
Z = rng.standard_normal((16, 5)) + 0.1


class Curved(Game):
    """f = sum sin(A x) + x'B y - |y|^2 (1 + |y|^2) with the first player in two arrays; stationary at shifted zeros."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.A, self.B = rng.standard_normal((4, 3)), rng.standard_normal((3, 2))
        self.x0, self.y0 = rng.standard_normal(3), rng.standard_normal((2, 1))
        self.pull = self.A.sum(axis=0)

    @property
    def saddle(self):
        return State((self.x0[:1], self.x0[1:]), self.y0)

    def slopes(self, x, y):
        X, Y = np.concatenate(x) - self.x0, (y - self.y0)[:, 0]
        return self.A.T @ np.cos(self.A @ X) - self.pull + self.B @ Y, self.B.T @ X - (2 + 4 * Y @ Y) * Y

    def grad_x(self, x, y):
        slope = self.slopes(x, y)[0]
        return slope[:1], slope[1:]

    def grad_y(self, x, y):
        return self.slopes(x, y)[1][:, None]

    def jacobian(self):
        """At the saddle point, where the cosines have no slope."""
        return LinearGame(np.zeros((3, 3)), self.B, self.B.T, -2 * np.eye(2))


class Autograd(Game):
    """The game of a payoff written in torch."""

    def __init__(self, payoff):
        self.payoff = payoff

    def gradients(self, x, y):
        import torch

        parts = [*(x if isinstance(x, tuple) else (x,)), *(y if isinstance(y, tuple) else (y,))]
        with torch.enable_grad():
            live = [part if part.requires_grad else part.detach().requires_grad_() for part in parts]
            n = len(x) if isinstance(x, tuple) else 1
            players = (tuple(live[:n]) if isinstance(x, tuple) else live[0], live[n])
            found = torch.autograd.grad(self.payoff(*players), live, create_graph=True)
        return (tuple(found[:n]) if isinstance(x, tuple) else found[0]), found[n]

    def grad_x(self, x, y):
        return self.gradients(x, y)[0]

    def grad_y(self, x, y):
        return self.gradients(x, y)[1]


def run(game, state, rates, method, steps):
    for _ in range(steps):
        state = METHODS[method](game, state, rates)
    return state


def flat(state):
    return np.concatenate(
        [np.ravel(part) for player in state[:2] for part in (player if isinstance(player, tuple) else (player,))]
    )


def moved(state, move):
    """The state plus a flat move."""
    parts = [player if isinstance(player, tuple) else (player,) for player in state[:2]]
    sizes = [np.size(part) for player in parts for part in player]
    pieces = iter(np.split(move, np.cumsum(sizes)[:-1]))
    made = [tuple(part + next(pieces).reshape(part.shape) for part in player) for player in parts]
    return State(*(m if isinstance(p, tuple) else m[0] for m, p in zip(made, state[:2], strict=True)))


# -- Jacobians -----------------------------------------------------------------------------------------------------


@given(st.integers(0, 50))
def test_differences_give_the_jacobian(seed):
    game = Curved(seed)
    found, known = Tangent(game, game.saddle).dense(), game.jacobian()
    for name in ("xx", "xy", "yx", "yy"):
        assert getattr(found, name) == pytest.approx(getattr(known, name), abs=1e-10)


def test_differences_and_autograd_agree_where_the_gradients_bend():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    A, B, x0, y0 = (rng.standard_normal(shape) for shape in ((3, 3), (3, 2), 3, 2))

    class Numpy(Game):
        def grad_x(self, x, y):
            return A.T @ (np.exp(A @ (x - x0)) - 1) + 3 * (x - x0) ** 2 + B @ (y - y0)

        def grad_y(self, x, y):
            return B.T @ (x - x0) - np.sinh(2 * (y - y0))

    def payoff(x, y):
        a, b, u, v = torch.tensor(A), torch.tensor(B), x - torch.tensor(x0), y - torch.tensor(y0)
        return torch.exp(a @ u).sum() - (a @ u).sum() + (u**3).sum() + u @ b @ v - torch.cosh(2 * v).sum() / 2

    ours = Tangent(Numpy(), (x0, y0)).dense()
    theirs = Tangent(Autograd(payoff), (torch.tensor(x0), torch.tensor(y0))).dense()
    for name in ("xx", "xy", "yx", "yy"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-10)
    assert theirs.xx == pytest.approx(A.T @ A) and theirs.yy == pytest.approx(-2 * np.eye(2))


@methods
def test_running_a_curved_game_follows_the_tangent(method):
    game, rates = Curved(3), (0.2, 0.1)
    tangent = Tangent(game, game.saddle)
    move = 1e-6 * np.random.default_rng(0).standard_normal(5)
    end = run(game, moved(game.saddle, move), rates, method, 30)
    flat_end = run(tangent, State(move[:3], move[3:]), rates, method, 30)
    assert flat(end) - flat(game.saddle) == pytest.approx(flat(flat_end), abs=1e-10)
    known = predict(game.jacobian(), rates, method)
    found = predict_gda(game, rates, method)
    assert found.rate == pytest.approx(known.rate, rel=1e-9) and found.phase == known.phase and found.complete


# -- solved games --------------------------------------------------------------------------------------------------

SOLVED = [
    (discriminator, generator, options)
    for discriminator, least in (("linear", 0.2), ("quadratic", 0.25), ("polynomial", 0.2))
    for generator in ("linear", BIASED, "free", "polynomial")
    for options in (
        {"beta": least},
        {"beta": 16 * least, "reduction": "sum", "generator_penalty": 1.7},
        {"beta": 1.2 * least, "bias": "penalized"},
        {"beta": least, "regularizer": "weights"},
    )
    if "regularizer" not in options or (discriminator == "linear" and generator in ("linear", BIASED))
]


def solved(discriminator, generator, options, data=X):
    latents = None if generator == "free" else Z
    return cg.solve(data, latents, discriminator=discriminator, generator=generator, **options)


def features(generator):
    if generator == "free":
        return np.eye(16)
    return cg.generators.as_generator(generator).lift(Z)


def payoff(game, sol, x, y, rows, options):
    """What is played for, from the rows themselves."""
    (v, T), W = y, x
    U = game.neurons(T)[0]
    biases = U[:, -1] if game.biased else np.zeros(len(U))
    critic = cg.discriminators.TwoLayerDiscriminator(U[:, : X.shape[1]], v, sol.discriminator.activation, biases)
    fake, reduced = rows @ W, (np.sum if options.get("reduction") == "sum" else np.mean)
    size = np.sum(W**2) if options.get("regularizer") == "weights" else reduced(np.sum(fake**2, axis=1))
    gain = reduced(critic(X)) - reduced(critic(fake)) - options["beta"] * np.abs(v).sum()
    return gain + options.get("generator_penalty", 1.0) * size


@pytest.mark.parametrize(("discriminator", "generator", "options"), SOLVED)
def test_solved_games_play_for_what_was_solved(discriminator, generator, options):
    sol = solved(discriminator, generator, options)
    game, rows = SolvedGame(sol, X), features(generator)
    assert payoff(game, sol, *game.saddle[:2], rows, options) == pytest.approx(sol.value, rel=2e-6)
    move = 0.05 * np.random.default_rng(0).standard_normal(len(flat(game.saddle)))
    here = moved(game.saddle, move)
    slopes = flat(State(*game.gradients(here.x, here.y)))
    for seed in range(3):
        aim = np.random.default_rng(seed + 1).standard_normal(len(move))
        up, down = (payoff(game, sol, *moved(here, s * 1e-5 * aim)[:2], rows, options) for s in (1, -1))
        assert (up - down) / 2e-5 == pytest.approx(slopes @ aim, rel=1e-5, abs=1e-6 * abs(sol.value))


@methods
@pytest.mark.parametrize("discriminator", ["linear", "quadratic", "polynomial"])
def test_running_a_solved_game_follows_the_prediction(discriminator, method):
    sol = solved(discriminator, "linear", {"beta": 0.25})
    game, rates = SolvedGame(sol, X), (0.05, 0.08)
    told = predict_gda(sol, rates, method, X=X)
    values, vectors = np.linalg.eig(update_matrix(Tangent(game, game.saddle).dense(), rates, method))
    lead = np.argmax(np.where(abs(values - 1) < 1e-9, 0, abs(values)))  # the slowest that moves
    mode, probe = vectors[:, lead].real, np.linalg.pinv(vectors)[lead].real
    start, size = flat(game.saddle), len(flat(game.saddle))
    state, signal = moved(game.saddle, 1e-6 * mode[:size]), []
    if method == "optimistic":
        state = state._replace(memory=moved(State(*game.gradients(*game.saddle[:2])), 1e-6 * mode[size:])[:2])
    for _ in range(60):
        memory = [] if method != "optimistic" else [flat(State(*state.memory))]
        signal.append(probe @ np.concatenate([flat(state) - start, *memory]))
        state = METHODS[method](game, state, rates)
    assert told.complete and told.rate == pytest.approx(abs(values).max(), rel=1e-9)
    assert measured_rate(np.array(signal)) == pytest.approx(told.across.rate, abs=1e-6)


def test_quadratic_saddle_points_are_a_family_around_which_steps_turn():
    sol = solved("quadratic", "linear", {"beta": 0.25})
    r, m = 5, sol.certificate.min_neurons
    same = r * m - m * (m + 1) // 2 + m * (m - 1) // 2  # weights of one second moment, and rotations of equal neurons
    found = {method: predict_gda(sol, 0.05, method, X=X) for method in METHODS}
    assert {forecast.neutral for forecast in found.values()} == {same}
    assert [forecast.phase for forecast in found.values()] == ["diverge", "sustained", "sustained", "sustained"]
    assert [forecast.silent for forecast in found.values()] == [False, True, True, True]
    assert found["alternating"].across.phase == "sustained"
    assert found["extragradient"].across.rate < 1 and found["optimistic"].across.rate < 1
    assert "silent" in str(found["alternating"]) and f"{same} neutral directions" in str(found["extragradient"])


def test_a_quadratic_game_does_what_was_predicted():
    """Far from the saddle point: simultaneous leaves it, extragradient comes to its family at the predicted rate."""
    sol = solved("quadratic", "linear", {"beta": 0.25})
    game = SolvedGame(sol, X)
    start = moved(game.saddle, 1e-4 * np.random.default_rng(0).standard_normal(len(flat(game.saddle))))

    def size(state):  # zero on the whole family
        return np.linalg.norm(flat(State(*game.gradients(state.x, state.y))))

    assert size(run(game, start, 0.05, "simultaneous", 150)) > 20 * size(start)
    assert 0.2 < size(run(game, start, 0.05, "alternating", 1500)) / size(start) < 5
    told = predict_gda(sol, 0.07, "extragradient", X=X).across.rate
    late = run(game, start, 0.07, "extragradient", 1200)
    later = run(game, late, 0.07, "extragradient", 600)
    assert size(later) < size(start) / 50
    assert (size(later) / size(late)) ** (1 / 600) == pytest.approx(told, abs=2e-4)


def test_sums_need_steps_smaller_by_the_number_of_rows():
    mean = predict_gda(solved("quadratic", "linear", {"beta": 0.25}), 0.3, "simultaneous", X=X)
    total = predict_gda(solved("quadratic", "linear", {"beta": 4.0, "reduction": "sum"}), 0.3 / 16, "simultaneous", X=X)
    assert total.rate == pytest.approx(mean.rate, rel=1e-9)


def test_a_bias_that_came_out_as_zero_is_a_player():
    sol = cg.solve(X, cg.GaussianLatent(5), generator=BIASED, beta=0.25)  # four features suffice
    assert not sol.generator.bias.any()
    assert SolvedGame(sol, X).saddle.x.shape == (6, 4)


# -- large players -------------------------------------------------------------------------------------------------


class Large(Game):
    """n players on each side, f = sum a_i x_i^2 / 2 + c_i x_i y_i - b_i y_i^2 / 2, with the pairs' roots known."""

    def __init__(self, n):
        rng = np.random.default_rng(0)
        self.a, self.b, self.c = rng.uniform(0.5, 1.5, n), rng.uniform(0.5, 1.5, n), rng.uniform(0, 1, n)
        self.a[0], self.b[0], self.c[0] = 0.02, 0.03, 0.4
        self.saddle = State(np.ones(n), np.ones(n))

    def grad_x(self, x, y):
        return self.a * (x - 1) + self.c * (y - 1)

    def grad_y(self, x, y):
        return self.c * (x - 1) - self.b * (y - 1)

    def rate(self, rates, method):
        pairs = LinearGame.of_modes(self.a, self.c, self.c, -self.b)
        return predict(pairs, rates, method).rate.max()


@methods
def test_arnoldi_finds_the_known_rate_of_many_players(method, monkeypatch):
    monkeypatch.setattr(Tangent, "dense", None)
    game = Large(1500)
    found = predict_gda(game, (0.4, 0.3), method)
    assert found.rate == pytest.approx(game.rate((0.4, 0.3), method), rel=1e-9)
    assert not found.complete and len(found.eigenvalues) == forecast.LEADING
    assert found.phase == ("diverge" if method == "simultaneous" else "damped oscillation")


@methods
def test_arnoldi_and_the_dense_spectrum_agree(method, monkeypatch):
    sol = solved("linear", "free", {"beta": 0.4})
    dense = predict_gda(sol, (3.0, 0.1), method, X=X)
    monkeypatch.setattr(forecast, "DENSE", 0)
    monkeypatch.setattr(Tangent, "dense", None)
    found = predict_gda(sol, (3.0, 0.1), method, X=X)
    assert found.rate == pytest.approx(dense.rate, rel=1e-9) and found.phase == dense.phase


def test_eigenvalues_too_close_for_arnoldi_come_from_the_jacobian(monkeypatch):
    monkeypatch.setattr(forecast, "RESTARTS", 4)
    monkeypatch.setattr(forecast, "DENSE", 400)
    game = Large(300)
    game.a, game.b = np.zeros(300), np.zeros(300)  # every eigenvalue is on the circle
    found = predict_gda(game, 0.5, "alternating")
    assert found.complete and len(found.eigenvalues) == 600 and found.phase == "sustained"
    assert np.abs(found.eigenvalues) == pytest.approx(1.0)
    monkeypatch.setattr(forecast, "physical_memory", lambda: 2**20)
    with pytest.raises(SolverError, match="too close together, and there is no memory"):
        predict_gda(game, 0.5, "alternating")


def test_neutral_directions_are_all_counted_in_a_game_of_a_thousand_parameters(monkeypatch):
    monkeypatch.setattr(forecast, "_leading", None)
    game = Large(500)
    for part in (game.a, game.b, game.c):
        part[7:40] = 0  # directions in which nothing happens
    found = predict_gda(game, (0.4, 0.3), "alternating")
    pairs = LinearGame.of_modes(*(np.delete(part, np.s_[7:40]) for part in (game.a, game.c, game.c, -game.b)))
    assert found.complete and found.neutral == 66
    assert found.across.rate == pytest.approx(predict(pairs, (0.4, 0.3), "alternating").rate.max(), rel=1e-9)


def test_what_is_said_of_a_solution_is_said_of_the_neurons_that_its_saddle_point_uses():
    sol = cg.solve(X, np.eye(len(X)), discriminator="linear", beta=0.4)
    found = predict_gda(sol, (0.3, 0.1), "extragradient", X=X)
    assert found.neurons == np.count_nonzero(sol.discriminator.outer) > 0
    assert f"of a discriminator with {found.neurons} neurons" in str(found)
    assert predict_gda(Large(5), 0.1).neurons is None and "neurons" not in str(predict_gda(Large(5), 0.1))


def test_a_torch_network_by_arnoldi_and_by_the_kernel_of_its_mean(monkeypatch):
    monkeypatch.setattr(forecast, "DENSE", 400)
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    Z, U, V = (torch.randn(shape, dtype=torch.float64) for shape in ((30, 4), (4, 80), (80, 3)))
    weights = (U / 2, V / 9)

    def mean(U, V):
        return (torch.tanh(Z @ U) @ V).mean(axis=0)

    target = mean(*weights).detach()

    def game(decay):  # the generator is pulled back to its weights, the saddle point by construction
        def payoff(x, d):
            away = sum(((part - start) ** 2).sum() for part, start in zip(x, weights, strict=True))
            return d @ (target - mean(*x)) - (d @ d) / 2 + decay * away / 2

        return Autograd(payoff)

    saddle, rates = State(weights, torch.zeros(3, dtype=torch.float64)), (0.4, 0.5)
    J = torch.cat([part.reshape(3, -1) for part in torch.func.jacrev(mean, argnums=(0, 1))(*weights)], dim=1)
    kernels = torch.linalg.eigvalsh(J @ J.T).numpy()
    known = LinearGame.of_modes(0.05, -np.sqrt(kernels), -np.sqrt(kernels), -1.0)
    told = predict_gda(game(0.05), rates, "alternating", saddle=saddle)
    rest = 1 - 0.4 * 0.05  # all that the mean does not feel
    assert not told.complete and told.rate == pytest.approx(max(rest, predict(known, rates).rate.max()), rel=1e-9)
    few = (weights[0][:, :20], weights[1][:20])
    target, weights = mean(*few).detach(), few
    J = torch.cat([part.reshape(3, -1) for part in torch.func.jacrev(mean, argnums=(0, 1))(*few)], dim=1)
    told = predict_gda(game(0.0), rates, "alternating", saddle=(few, saddle.y))
    assert told.complete and told.neutral == 140 - 3 and told.silent
    expected = predict(modes(torch.linalg.eigvalsh(J @ J.T).numpy()), rates)
    assert told.across.rate == pytest.approx(expected.rate.max(), rel=1e-9)


def test_a_torch_player_that_nothing_depends_on_is_neutral():
    torch = pytest.importorskip("torch")
    point = ((torch.zeros(2, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)), torch_zeros())
    told = predict_gda(Autograd(lambda x, y: (0 * x[0]).sum() + (x[1] * y).sum()), 0.1, saddle=point)
    assert told.neutral == 2 and told.across.rate == pytest.approx(1)


# -- other games, and what cannot be predicted -----------------------------------------------------------------------


def test_linear_and_kernel_games_need_no_other_call():
    bilinear = LinearGame(0.0, 1.0, 1.0, 0.0)
    assert predict_gda(bilinear, 0.3, "simultaneous").rate == predict(bilinear, 0.3, "simultaneous").rate
    kernel, origin = KernelGame([[0.0]], GaussianKernel(1.0), 0.4), np.zeros((1, 1))
    told = predict_gda(kernel, (0.2, 0.3), saddle=origin)
    assert told.rate == predict(linearize(kernel, origin), (0.2, 0.3)).rate and told.neutral == 0
    assert "damped oscillation: the distance to the saddle point is multiplied by" in str(told)


def test_games_without_saddle_points_are_refused():
    narrow = solved("quadratic", "linear", {"beta": 0.25, "max_neurons": 1})
    with pytest.raises(ValueError, match=r"no saddle point exists .* one exists from max_neurons = 3"):
        predict_gda(narrow, 0.1, X=X)
    apart = cg.solve(X, Z, generator=BIASED, regularizer="weights", beta=0.03)
    assert apart.certificate.kind == "minimax" and apart.certificate.min_neurons is None
    with pytest.raises(ValueError, match=r"no saddle point exists .* nothing to go to\.$"):
        predict_gda(apart, 0.1, X=X)


class Kink(Game):
    def grad_x(self, x, y):
        return np.maximum(x, 0) + y

    def grad_y(self, x, y):
        return x - y


class Cubic(Game):
    """Without any slope at the origin, and smooth."""

    def grad_x(self, x, y):
        return x**2 * abs(x)

    def grad_y(self, x, y):
        return -(y**3)


def test_a_point_without_slopes_is_all_neutral():
    told = predict_gda(Cubic(), 0.1, saddle=(np.zeros(2), np.zeros(1)))
    assert told.silent and told.neutral == 3


class NoGraph(Game):
    def grad_x(self, x, y):
        return y.detach()

    def grad_y(self, x, y):
        return x.detach()


def torch_zeros(dtype="float64"):
    torch = pytest.importorskip("torch")
    return torch.zeros(1, dtype=getattr(torch, dtype))


LINEAR = solved("linear", "linear", {"beta": 0.5})
NETWORK = cg.solve(X, Z, discriminator="linear", generator="relu", beta=0.5)
RELU = cg.solve(X[:, :1], discriminator="relu", generator="free", beta=0.3, bias="free")
INFEASIBLE = cg.solve(X, Z[:, :1], beta=0.001, throw=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: predict_gda(LINEAR, 0.1), "X is missing"),
        (lambda: predict_gda(NETWORK, 0.1, X=X), "a ReLU network bends"),
        (lambda: predict_gda(LINEAR, 0.1, X=X[:, :3]), "both must describe the same features"),
        (lambda: predict_gda(LINEAR, 0.1, X=2 * X), "not stationary"),
        (lambda: predict_gda(LINEAR, -0.1, X=X), "step sizes must be finite and >= 0"),
        (lambda: predict_gda(LINEAR, (0.1, np.nan), X=X), "step sizes must be finite"),
        (lambda: predict_gda(LINEAR, (0.1, 0.1, 0.1), X=X), "one number or a pair"),
        (lambda: predict_gda(LINEAR, 0.1, "alternate", X=X), "Did you mean 'alternating'"),
        (lambda: predict_gda(LinearGame(0.0, 1.0, 1.0, 0.0), 0.1, X=X), "X is for a Solution only"),
        (lambda: predict_gda(modes(np.ones(3)), 0.1), "`predict` takes batches"),
        (lambda: predict_gda(KernelGame([[0.0]], GaussianKernel(), 1.0), 0.1), "saddle is missing: pass points"),
        (lambda: predict_gda(Kink(), 0.1), "saddle is missing: pass the players"),
        (lambda: predict_gda(Kink(), 0.1, saddle=(np.zeros(2), np.zeros(2))), "at a kink"),
        (lambda: predict_gda(Curved(0), 0.1, saddle=((np.zeros(1), np.zeros(2)), np.zeros((2, 1)))), "not stationary"),
        (lambda: predict_gda(Kink(), 0.1, saddle=(np.zeros(1, "f"), np.zeros(1, "f"))), "players are float32"),
        (lambda: predict_gda(NoGraph(), 0.1, saddle=(torch_zeros("float32"),) * 2), "players are float32"),
        (lambda: predict_gda(NoGraph(), 0.1, saddle=(torch_zeros(),) * 2), "carry no graph"),
        (lambda: SolvedGame(cg.solve(X, Z, lam=1.0), X), "solve with beta"),
        (lambda: SolvedGame(RELU, X[:, :1]), "ReLU neurons bend"),
        (lambda: SolvedGame(INFEASIBLE, X), "status 'infeasible'"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_solution_too_coarse_to_refine_is_refused():
    from convexgan.dynamics.tangent import refine

    with pytest.raises(SolverError, match="nearest stationary point"):
        refine(Curved(0), moved(Curved(0).saddle, np.full(5, 0.4)))
