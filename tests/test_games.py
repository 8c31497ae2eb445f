"""Games with ReLU discriminators: both players' best responses, two routes to each value, symmetries, refusals."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import convexgan as cg
from convexgan.discriminators import ReLU
from convexgan.games.sample import SampleGame, critic_of, generator_response
from convexgan.generators import Free, Mixture
from tests.generators import assert_alike, rotation, seeds

SCALAR = {"discriminator": "relu", "generator": "free", "bias": "free"}


def grid(side, half=2.5):
    ticks = np.linspace(-half, half, side)
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)


def budget(draw, scale):
    return {"beta": scale * draw.uniform(0.02, 0.4)} if draw.random() < 0.5 else {"lam": draw.uniform(0.3, 3) * scale}


# -- free points on the line ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.3])
def test_two_points(beta):
    X = np.array([[-1.0], [1.0]])
    for reduction, shrunk in (("sum", 1 - beta), ("mean", 1 - 2 * beta)):
        sol = cg.solve(X, beta=beta, reduction=reduction, **SCALAR)
        assert sol.certificate.kind == "saddle"
        np.testing.assert_allclose(np.sort(sol.generator().ravel()), [-shrunk, shrunk], atol=1e-8)
        assert sol.value == pytest.approx(shrunk**2 * (2 if reduction == "sum" else 1), rel=1e-8)


@given(seed=seeds, n=st.integers(1, 25))
@settings(max_examples=25)
def test_scalar_games_are_saddles(seed, n):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-3, 3)
    X = scale * (rng.standard_normal((n, 1)) + rng.normal())
    options = budget(rng, scale) | {"generator_penalty": rng.uniform(0.5, 2), "reduction": ("mean", "sum")[seed % 2]}
    if options["reduction"] == "sum":
        options = {name: n * value if name == "beta" else value for name, value in options.items()}
    sol = cg.solve(X, **options, **SCALAR)
    certificate = sol.certificate
    assert certificate.kind == "saddle" and certificate.gap < 1e-6 and certificate.relative_violation < 1e-9
    found = cg.ipm(X, sol.generator(), bias="free").value * (n if options["reduction"] == "sum" else 1)
    assert found == pytest.approx(certificate.ipm, rel=1e-9, abs=1e-12 * scale)
    D = sol.discriminator  # the value by the discriminator alone, at the points where it is cheapest to be
    y = np.linspace(-5 * scale, 5 * scale, 20001)[:, None]
    share = n if options["reduction"] == "sum" else 1
    payoff = D(X).mean() * share + (share * options["generator_penalty"] * y[:, 0] ** 2 - share * D(y)).min()
    payoff -= options.get("beta", 0.0) * D.norm
    assert payoff >= sol.value * (1 - 1e-6) - 1e-9 * scale
    assert cg.verify(cg.Certificate.from_json(certificate.to_json()), X).kind == "saddle"


@given(seed=seeds, n=st.integers(2, 6))
@settings(max_examples=5)
def test_scalar_value_by_brute_force_over_neurons(seed, n):
    """The same program with one constraint for each of many neurons, points on a fine grid, as a mixture."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 1))
    sol = cg.solve(X, beta=0.15, **SCALAR)
    particles = np.unique(np.concatenate([np.linspace(-3, 3, 121)[:, None], sol.generator(), np.zeros((1, 1))]), axis=0)
    mixed = cg.solve(X, discriminator="relu", bias="free", generator=Mixture(particles), beta=0.15)
    assert mixed.certificate.kind == "saddle"
    assert mixed.value == pytest.approx(sol.value, rel=1e-6, abs=1e-9)


@given(seed=seeds, n=st.integers(1, 25))
@settings(max_examples=10)
def test_scalar_value_by_a_program_over_partial_sums(seed, n):
    """The taut string in the tube around the partial sums of the data, on integers too, whose points coincide."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.standard_normal(n) * 3 + rng.normal() * rng.integers(0, 3))
    x = np.round(x) if seed % 2 else x
    options = budget(rng, 1.0)
    sums = cp.Variable(n)
    w = cp.hstack([sums[:1], cp.diff(sums)]) if n > 1 else sums
    head = (np.cumsum(x) - sums) / n
    tail = head[n - 1] - cp.hstack([0, head[: n - 1]]) if n > 1 else head
    level = options.get("beta", cp.Variable(nonneg=True))
    priced = options.get("lam", 0.0) * level
    problem = cp.Problem(cp.Minimize(cp.sum_squares(w) / n + priced), [cp.abs(head) <= level, cp.abs(tail) <= level])
    problem.solve(solver="CLARABEL")
    sol = cg.solve(x[:, None], **options, **SCALAR)
    assert sol.certificate.kind == "saddle"
    assert sol.value == pytest.approx(problem.value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("draw", ["standard_normal", "standard_cauchy", "integers"])
@pytest.mark.parametrize("options", [{"beta": 0.05}, {"lam": 1.0}])
def test_many_points_on_the_line_are_a_saddle(draw, options):
    rng, n = np.random.default_rng(0), 30_000
    X = rng.integers(-5, 6, (n, 1)).astype(float) if draw == "integers" else getattr(rng, draw)((n, 1))
    sol = cg.solve(X, **options, **SCALAR)
    assert sol.certificate.kind == "saddle" and sol.certificate.gap < 1e-8 and sol.status == "optimal"
    assert cg.certify(X, sol.generator(), discriminator="relu", bias="free", **options).kind == "saddle"
    worse = cg.certify(X, np.clip(X, -0.5, 0.5), discriminator="relu", bias="free", **options)
    assert worse.bound == pytest.approx(sol.certificate.bound, rel=1e-6)


# -- mixtures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", ["none", "penalized"])
@given(seed=seeds)
@settings(max_examples=4)
def test_mixtures_are_saddles_and_agree_with_one_program_over_many_neurons(bias, seed):
    rng = np.random.default_rng(seed)
    X, P = rng.standard_normal((12, 2)) + 0.5, grid(6)
    options = budget(rng, 1.0)
    sol = cg.solve(X, discriminator="relu", generator=Mixture(P), bias=bias, **options)
    assert sol.certificate.kind == "saddle" and sol.certificate.gap < 1e-8
    assert sol.certificate.relative_violation < 1e-8
    U = rng.standard_normal((800, 2 + (bias == "penalized")))
    U /= np.linalg.norm(U, axis=1)[:, None]
    lift = (lambda rows: np.column_stack([rows, np.ones(len(rows))])) if bias == "penalized" else (lambda rows: rows)
    real, seen = np.maximum(lift(X) @ U.T, 0).mean(0), np.maximum(lift(P) @ U.T, 0)
    # variables p and the level t: |real - p . seen| <= beta + t, where t is free of charge only with lam
    lam = options.get("lam")
    rows = np.hstack([np.vstack([-seen.T, seen.T]), np.full((2 * len(U), 1), -1.0)])
    right = np.concatenate([-real, real]) + options.get("beta", 0.0)
    costs = np.append(np.sum(P**2, axis=1), lam or 0.0)
    limits = [(0, None)] * len(P) + [(0, 0.0 if lam is None else None)]
    ones = np.append(np.ones(len(P)), 0.0)[None, :]
    relaxed = linprog(costs, rows, right, ones, [1.0], limits, method="highs-ipm").fun  # fewer neurons: a lower bound
    assert relaxed <= sol.value * (1 + 1e-6) + 1e-8
    assert relaxed >= sol.value * 0.95 - 0.02


@given(seed=seeds)
@settings(max_examples=3)
def test_mixture_symmetries(seed):
    rng = np.random.default_rng(seed)
    X, P, Q = rng.standard_normal((10, 2)), grid(5), rotation(2, seed)
    value = cg.solve(X, discriminator="relu", generator=Mixture(P), beta=0.3).value
    turned = cg.solve(X @ Q, discriminator="relu", generator=Mixture(P @ Q), beta=0.3)
    assert turned.value == pytest.approx(value, rel=1e-7, abs=1e-9)
    scaled = cg.solve(1e5 * X, discriminator="relu", generator=Mixture(1e5 * P), beta=0.3e5)
    assert scaled.value == pytest.approx(1e10 * value, rel=1e-7, abs=1)
    more = cg.solve(X, discriminator="relu", generator=Mixture(np.concatenate([P, X])), beta=0.3)
    assert more.value <= value * (1 + 1e-7) + 1e-9


def test_default_particles_reach_every_beta():
    X = np.random.default_rng(0).standard_normal((20, 2))
    for beta in (0.0, 0.2, 10.0):
        sol = cg.solve(X, discriminator="relu", generator="mixture", beta=beta)
        assert sol.certificate.kind == "saddle"
    assert sol.value == 0 and (sol.generator.sample(5) == 0).all()
    leaky = cg.solve(X, discriminator=ReLU(0.3), generator="mixture", beta=0.2)
    assert leaky.certificate.kind == "saddle"


def test_impossible_beta_is_named_and_the_one_named_works():
    X, P = np.random.default_rng(0).standard_normal((12, 2)) + 3, grid(4, half=1.0)
    with pytest.raises(cg.InfeasibleError) as error:
        cg.solve(X, discriminator="relu", generator=Mixture(P), beta=0.01)
    assert cg.solve(X, discriminator="relu", generator=Mixture(P), beta=0.01, throw=False).status == "infeasible"
    least = error.value.smallest_beta
    assert cg.solve(X, discriminator="relu", generator=Mixture(P), beta=least).certificate.kind == "saddle"
    with pytest.raises(cg.InfeasibleError):
        cg.solve(X, discriminator="relu", generator=Mixture(P), beta=least * 0.999)


def test_samples_follow_the_weights():
    X = np.random.default_rng(0).standard_normal((20, 2))
    made = cg.solve(X, discriminator="relu", generator="mixture", beta=0.1).generator
    drawn = made.sample(20_000, rng=0)
    np.testing.assert_allclose(drawn.mean(0), made.weights @ made.particles, atol=0.03)
    np.testing.assert_array_equal(made.sample(5, rng=1), made.sample(5, rng=1))
    with pytest.raises(ValueError, match="no latents"):
        made(np.zeros((3, 2)))


@pytest.mark.parametrize("options", [{"generator": "mixture"}, {"generator": "free", "bias": "free"}])
def test_saved_solutions_come_back(options, tmp_path):
    X = np.random.default_rng(0).standard_normal((9, 1))
    sol = cg.solve(X, discriminator=ReLU(), beta=0.1, **options)
    sol.save(tmp_path / "s.npz")
    again = cg.load(tmp_path / "s.npz")
    assert_alike(again.discriminator(X), sol.discriminator(X))
    assert_alike(again.generator.sample(4, 0), sol.generator.sample(4, 0))
    assert again.certificate == sol.certificate


# -- certificates --------------------------------------------------------------------------------------------------


def test_a_worse_discriminator_proves_less():
    X = np.random.default_rng(0).standard_normal((15, 1))
    sol = cg.solve(X, beta=0.1, **SCALAR)
    D = sol.discriminator
    game = SampleGame(X, ReLU(), 0.1, None, None, bias="free")
    neurons = np.column_stack([D.neurons, D.biases])
    best = generator_response(game, critic_of(game, neurons, D.outer))
    assert best == pytest.approx(sol.value, rel=1e-6)
    for wrong in (0.9 * D.outer, D.outer[::-1], 1.1 * D.outer):
        assert generator_response(game, critic_of(game, neurons, wrong)) < best - 1e-4


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("weights", lambda w: w * 2, "probabilities"),
        ("points", lambda p: p + 0.01, "among the particles"),
        ("neurons", lambda u: u * 2, "unit vectors"),
        ("outer", lambda v: v[:-1], "wrong shapes"),
        ("points", lambda p: p * np.nan, "not finite"),
    ],
)
def test_forged_evidence_is_refused(name, change, says):
    X = np.random.default_rng(0).standard_normal((9, 2))
    certificate = cg.solve(X, discriminator="relu", generator="mixture", beta=0.1).certificate
    certificate.evidence.arrays[name] = change(certificate.evidence.arrays[name])
    with pytest.raises(ValueError, match=says):
        cg.verify(certificate, X)


def test_a_referee_sees_another_sample():
    X = np.random.default_rng(0).standard_normal((9, 2))
    certificate = cg.solve(X, discriminator="relu", generator="mixture", beta=0.1).certificate
    assert cg.verify(certificate, X).value == certificate.value
    assert cg.verify(certificate, X + 0.5).kind == "infeasible"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"generator": "linear", "Z": None}, "Z is missing"),
        ({"generator": "linear", "Z": cg.Moments.from_array(np.eye(2))}, "latents as rows"),
        ({"generator": "polynomial", "Z": cg.GaussianLatent(2)}, "latents as rows"),
        ({"generator": "linear", "Z": cg.GaussianLatent(2), "bias": "penalized"}, "need bias='none'"),
        ({"generator": "linear", "Z": cg.GaussianLatent(2), "discriminator": ReLU(0.1)}, "slope 0"),
        ({"generator": "linear", "Z": np.ones((3, 2)), "reduction": "sum"}, "same number of rows"),
        ({"generator": Free(3), "Z": np.ones((2, 2))}, "Z has 2 rows"),
        ({"generator": "free", "discriminator": ReLU(1.5)}, "slope of at most 1"),
        ({"generator": Free(3), "bias": "free", "X": np.ones((4, 1))}, "as many rows as X"),
        ({"generator": "mixture", "reduction": "sum"}, "a mixture has none"),
        ({"generator": Mixture(np.ones((2, 3)))}, "3 columns"),
        ({"generator": "mixture", "lam": 1.0}, "exactly one"),
        ({"generator": "mixture", "X": cg.Moments.from_array(np.eye(2))}, "rows themselves"),
        ({"generator": "mixture", "regularizer": "weights"}, "regularizer has no meaning"),
        ({"generator": "mixture", "method": "program"}, "method='program' does not apply"),
    ],
)
def test_other_games_are_refused_by_name(options, says):
    arguments = {"X": np.random.default_rng(0).standard_normal((4, 2)), "beta": 0.1, "discriminator": "relu"} | options
    X = arguments.pop("X")
    with pytest.raises(ValueError, match=says):
        cg.solve(X, arguments.pop("Z", None), **arguments)


def test_a_time_limit_of_zero_leaves_a_valid_bound():
    X = np.random.default_rng(0).standard_normal((30, 2))
    full = cg.solve(X, discriminator="relu", generator="mixture", beta=0.05)
    sol = cg.solve(X, discriminator="relu", generator="mixture", beta=0.05, time_limit=0)
    assert sol.status == "stopped" and sol.certificate.kind in ("bounded", "infeasible")
    assert sol.certificate.bound <= full.value * (1 + 1e-9)


def test_paths_and_latents():
    X = np.random.default_rng(0).standard_normal((12, 2))
    found = cg.path(X, betas=(0.2, 0.4), discriminator="relu", generator="mixture")
    assert [sol.value for sol in found] == [
        cg.solve(X, discriminator="relu", generator="mixture", beta=beta).value for beta in (0.2, 0.4)
    ]
    with pytest.raises(ValueError, match="Z has no meaning"):
        cg.solve(X, X, discriminator="relu", generator="mixture", beta=0.2)
    with pytest.raises(ValueError, match="choose one of 'linear', 'quadratic', 'polynomial'"):
        cg.program(X, discriminator="relu", generator="mixture", beta=0.2)
    assert cg.select_method(X, discriminator="relu", generator="mixture", beta=0.2)[0] == found[0].method


@pytest.mark.parametrize("form", [lambda X: X.astype(np.float32), lambda X: (4 * X).astype(int), lambda X: X * 1e-8])
def test_other_forms_of_rows(form):
    X = form(np.random.default_rng(0).standard_normal((10, 1)))
    beta = 0.1 * float(np.abs(X).max())
    for options in ({"generator": "mixture"}, {"generator": "free", "bias": "free"}):
        assert cg.solve(X, discriminator="relu", beta=beta, **options).certificate.kind == "saddle"


def test_constant_and_repeated_rows():
    for X in (np.zeros((4, 1)), np.full((3, 1), 2.0), np.repeat([[1.0], [-2.0]], 3, axis=0), np.ones((1, 1))):
        for budget in ({"beta": 0.0}, {"beta": 0.3}, {"beta": 9.0}, {"lam": 0.0}, {"lam": 1.0}, {"lam": 50.0}):
            for options in ({"generator": "mixture"}, {"generator": "free", "bias": "free"}):
                sol = cg.solve(X, discriminator="relu", **options, **budget)
                assert sol.certificate.kind == "saddle", (X.ravel(), budget, options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Z", np.ones((4, 2))),
        ("regularizer", "weights"),
        ("time_limit", -1.0),
        ("generator_penalty", 0.0),
    ],
)
def test_arguments_without_a_meaning_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} "):
        cg.solve(np.ones((4, 2)), **{"discriminator": "relu", "generator": "mixture", "beta": 0.1, name: value})


def test_relatives_of_solve_name_the_discriminator():
    X, options = np.ones((4, 1)), {"discriminator": "relu", "generator": "free", "beta": 0.1}
    with pytest.raises(ValueError, match="'relu'"):
        cg.program(X, **options)
    with pytest.raises(ValueError, match="'relu'"):
        cg.ConvexWGAN(discriminator="relu").fit(X)
    found = cg.path(X, betas=[0.1, 0.2], **SCALAR)
    assert [sol.value for sol in found] == [cg.solve(X, beta=beta, **SCALAR).value for beta in (0.1, 0.2)]


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("penalty", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    "budget", [{"beta": 0.0}, {"beta": 0.2}, {"lam": 0.0}, {"lam": 1e-9}, {"lam": 0.5}, {"lam": 1e8}, {"lam": 1e10}]
)
def test_scalar_games_at_every_scale(scale, penalty, budget):
    for X in (np.random.default_rng(0).standard_normal((7, 1)), np.full((3, 1), 2.5), np.zeros((2, 1)), [[-3.0]]):
        options = {name: value * scale * (penalty if name == "lam" else 1) for name, value in budget.items()}
        sol = cg.solve(scale * np.array(X), generator_penalty=penalty, **options, **SCALAR)
        proof = sol.certificate
        # lam times what rounding may have changed of the ipm, 30 units in the last place, is no rounding of the value
        allowed = 1e-6 if budget.get("lam", 0.0) < 1e9 else 1e10 * 30 * 2.0**-53
        assert -1e-6 <= proof.gap <= allowed and (proof.kind == "saddle") == (proof.gap <= 1e-6), (X, sol)


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.uint8, bool])
@pytest.mark.parametrize("options", [{"generator": "mixture"}, {"generator": "free", "bias": "free"}])
def test_kinds_of_numbers(kind, options):
    X = np.array([[0], [1], [1], [1]])
    value = cg.solve(X.astype(float), discriminator="relu", beta=0.1, **options).value
    assert cg.solve(X.astype(kind), discriminator="relu", beta=0.1, **options).value == value


def test_no_discriminator_allowed_is_no_discriminator_used():
    X = np.random.default_rng(0).standard_normal((8, 2)) ** 3
    P = np.concatenate([X, [[0.25, 0.0]]])
    for options in ({"lam": 0.0}, {"beta": 1e9}):
        sol = cg.solve(X, discriminator="relu", generator=Mixture(P), **options)
        cheapest = (P**2).sum(axis=1).min()
        assert sol.certificate.kind == "saddle" and cheapest <= sol.value <= cheapest * (1 + 1e-14)


def test_time_and_interrupts_stop_every_search(monkeypatch, capsys):
    X = np.random.default_rng(0).standard_normal((12, 5))
    sol = cg.solve(X, discriminator="relu", generator="mixture", beta=0.05, time_limit=0.2, progress=True)
    assert sol.status == "stopped" and sol.certificate.kind in ("bounded", "infeasible")
    assert cg.solve(X[:, :1], beta=0.05, time_limit=0.0, **SCALAR).certificate.kind == "saddle"  # a formula
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    cg.solve(X[:, :2], discriminator="relu", generator="mixture", beta=0.05, progress=True)
    shown = capsys.readouterr()
    assert "mixture: bound" in shown.err and shown.out == ""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("convexgan.arrangements.search.Search._expand", interrupted)
    assert cg.solve(X, discriminator="relu", generator="mixture", beta=0.05).status == "stopped"


def test_a_violation_is_a_status_without_throw(monkeypatch):
    X, options = np.random.default_rng(0).standard_normal((6, 2)), {"discriminator": "relu", "generator": "mixture"}
    from convexgan.games.sample import methods as sample_methods

    exact = sample_methods.solve_mixture
    monkeypatch.setattr(sample_methods, "solve_mixture", lambda *a, **k: exact(*a, **k | {"tol": 0.1}))
    sol = cg.solve(X, beta=0.01, throw=False, **options)
    assert sol.status == "failed" and sol.certificate.kind == "infeasible" and "violates" in sol.stats["message"]
    with pytest.raises(cg.SolverError, match="violates"):
        cg.solve(X, beta=0.01, **options)


@pytest.mark.parametrize("far", [1e16, 1e17, 1e20])
def test_neurons_that_cancel_prove_nothing(far):
    """Two neurons whose exact sum is nothing: rounding must not become a bound."""
    X = np.linspace(0.3, 0.9, 7)[:, None]
    for outer in ([1.0, -1.0], [3.0, -1.0], [-1.0, 0.5]):
        for biases in ([far, far], [far, -far], [far, np.nextafter(far, 0)]):
            for signs in ([1.0, 1.0], [1.0, -1.0]):
                game = SampleGame(X, ReLU(), 0.0, None, None, bias="free")
                neurons = np.column_stack([signs, biases])
                best = generator_response(game, critic_of(game, neurons, np.array(outer)))
                assert best <= (X**2).mean() * (1 + 1e-9)  # with beta = 0 the data are feasible


@pytest.mark.parametrize("change", [lambda p: p[:, :1], lambda p: p.ravel(), lambda p: p[:0]])
def test_forged_particles_are_refused(change):
    X = np.random.default_rng(0).standard_normal((9, 2))
    certificate = cg.solve(X, discriminator="relu", generator="mixture", beta=0.1).certificate
    certificate.evidence.arrays["particles"] = change(certificate.evidence.arrays["particles"])
    with pytest.raises(ValueError, match="does not fit X"):
        cg.verify(certificate, X)
