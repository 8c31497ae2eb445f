"""The problem set: certified optima by a second route, measures, saddle points at rest, fingerprints."""

from __future__ import annotations

import hashlib
import json
import math
from functools import partial

import numpy as np
import pytest
import torch

import convexgan as cg
from benchmarks import _croissant, _suite
from benchmarks._strangers import daskalakis, heavy_ball
from convexgan.problems import ConditionalProblem, GANProblem, MixtureProblem
from convexgan.problems.catalogue import PROBLEMS, scalar
from convexgan.problems.scalars import ScalarGame
from convexgan.problems.suite import VERSIONS, instances
from convexgan.torch.objective import Batch
from convexgan.updates import State, extragradient, optimistic_adam, simultaneous

NAMES = cg.problems.list()
GANS = [name for name in NAMES if isinstance(PROBLEMS[name](), GANProblem)]
VALUES = {"quadratic": 16.5, "quadratic-no-saddle": 7.5, "relu-toy": 0.64}
KINDS = {"quadratic-below-critical-width": "minimax", "quadratic-no-saddle": "minimax"}


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_is_as_published(name):
    problem = cg.problems.load(name)
    assert problem.name == name and name in str(problem) and problem.source
    start, again = problem.start(1), problem.start(1)
    assert all(torch.equal(a, b) for a, b in zip(start.x + start.y, again.x + again.y, strict=True))
    assert not torch.equal(start.x[0], problem.start(2).x[0])
    found = problem.measure(start)
    assert found.error > 0 and found.distance > 0
    moved = problem.project(simultaneous(problem.game(), start, 1e-3))
    assert all(part.dtype == torch.float64 and bool(part.isfinite().all()) for part in moved.x + moved.y)
    broken = State(tuple(math.nan * part for part in start.x), start.y)
    assert problem.measure(State(tuple(1e200 * part for part in start.x), start.y)).error > 1
    assert problem.measure(broken).error == math.inf


@pytest.mark.parametrize("name", GANS)
def test_optima_are_certified(name):
    problem = cg.problems.load(name)
    certificate = problem.solution.certificate
    assert problem.kind == KINDS.get(name, "saddle")
    assert certificate.relative_violation <= 1e-6
    assert problem.kind == "minimax" or certificate.gap <= 1e-6
    assert abs(problem.value - VALUES.get(name, problem.value)) <= 1e-9
    if name.startswith(("digits", "orl")):
        spectrum = np.linalg.eigvalsh(problem.X.T @ problem.X / len(problem.X))
        kept = np.maximum(spectrum - problem.options["beta"], 0)
        assert np.count_nonzero(kept) == 10 and abs(problem.value / kept.sum() - 1) <= 1e-9


@pytest.mark.parametrize("name", [name for name in GANS if name not in KINDS and name != "relu-mixture"])
def test_saddle_points_are_at_rest_and_measure_zero(name):
    problem = cg.problems.load(name)
    game = problem._game(*problem.saddle_players())
    state = game.players()
    at_start = problem.start(0)
    pairs = [(game, state), (problem.game(), at_start)]
    grad_x, away = (max(float(part.abs().max()) for part in g.grad_x(s.x, s.y)) for g, s in pairs)
    assert grad_x <= 1e-4 * max(away, 1.0)
    grad_y = game.grad_y(state.x, state.y)
    assert max(float(part.abs().max()) for part in grad_y) <= 1e-4 * problem.value
    found = problem.measure(State(state.x, at_start.y))
    assert found.error <= 1e-5 and found.distance <= 1e-3


def test_problems_without_a_saddle_have_no_saddle_players():
    for name in KINDS:
        with pytest.raises(ValueError, match="no saddle point at width"):
            cg.problems.load(name).saddle_players()
    with pytest.raises(ValueError, match="no finite logits"):
        cg.problems.load("relu-mixture").saddle_players()


def test_the_optimal_mixture_measures_zero():
    problem = cg.problems.load("relu-mixture")
    law = problem.solution.generator
    weights = np.zeros(len(problem.particles))
    for particle, weight in zip(law.particles, law.weights, strict=True):
        weights[np.flatnonzero((problem.particles == particle).all(axis=1))[0]] = weight
    with np.errstate(divide="ignore"):
        logits = torch.from_numpy(np.maximum(np.log(weights), -60.0))
    found = problem.measure(State((logits,), problem.start(0).y))
    assert found.error <= 1e-6 and found.distance <= 1e-6


@pytest.mark.parametrize("name", [name for name in NAMES if name not in GANS])
def test_scalar_games_rest_at_the_origin(name):
    problem = cg.problems.load(name)
    game, zero = problem.game(), torch.zeros(1, dtype=torch.float64)
    assert game.gradients((zero,), (zero,)) == ((zero,), (zero,))
    found = problem.measure(State((zero,), (zero,)))
    assert found.error == (math.inf if problem.kind == "none" else 0.0)
    xs, ys = torch.arange(-100, 101) / 1000, torch.arange(-500, 501) / 1000  # the best y is 2x or 3x
    payoff = problem.f(xs[:, None].double(), ys[None, :].double())
    minimal, no_gain = payoff.max(dim=1).values.argmin() == 100, payoff[100].max() <= 0
    assert bool(minimal & no_gain) == (problem.kind != "none")
    assert bool(no_gain & (payoff[:, 500].min() >= 0)) == (problem.kind == "saddle")
    x, y = torch.randn(2, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    step = 1e-6
    slope = (problem.f(x + step, y) - problem.f(x - step, y)) / (2 * step)
    assert torch.allclose(game.grad_x((x,), (y,))[0], slope, atol=1e-7)


def test_a_method_reaches_a_problem_that_it_solves():
    problem = cg.problems.load("convex-concave")
    game, state = problem.game(), problem.start(0)
    for _ in range(200):
        state = problem.project(extragradient(game, state, 0.2))
    assert problem.measure(state).error < 1e-9


def test_changed_data_and_unknown_names_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="quadratic-critical-width"):
        cg.problems.load("quadratic-critical-widht")
    for name in ("convex-concave", "linear"):
        with pytest.raises(ValueError, match="seed must be an integer >= 0"):
            cg.problems.load(name).start("a")
    changed = scalar("bilinear", "where plain descent-ascent circles", lambda x, y: 1.01 * x * y, "xy", "saddle", "")
    monkeypatch.setitem(PROBLEMS, "bilinear", lambda: changed)  # the text is the same, what is computed is not
    with pytest.raises(ValueError, match="makes its data differently"):
        cg.problems.load("bilinear")
    with pytest.raises(ValueError, match="version is 7: versions of the suite are 1"):
        cg.problems.load("linear", version=7)
    monkeypatch.setitem(VERSIONS, 1, "0" * 64)
    instances.cache_clear()
    with pytest.raises(ValueError, match="is not the published file"):
        cg.problems.suite(1)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_instance_of_every_version_is_proved_again(version):
    names = cg.problems.suite(version)
    assert len(names) >= 200 and set(cg.problems.families()) == {row.family for row in instances(1).values()} - {""}
    for name, claim in instances(version).items():
        problem = cg.problems.load(name, version)
        assert problem.verify() and problem.name == name, name
        assert (problem.kind, problem.fingerprint) == (claim.kind, claim.fingerprint), name
        assert problem.value == pytest.approx(claim.value, rel=1e-6, abs=1e-12), name


@pytest.mark.parametrize(
    ("kind", "f"),
    [
        ("saddle", lambda x, y: -(x**2) + x * y - y**2),
        ("saddle", lambda x, y: x**2 - y**2 + x**2 * y**2),  # not quadratic
        ("minimax", lambda x, y: x**2 - y**2),  # a saddle
        ("minimax", lambda x, y: -5 * x**2 + 4 * x * y - y**2),
        ("none", lambda x, y: x**2 - y**2),
        ("stationary", lambda x, y: -5 * x**2 + 4 * x * y - y**2),
        ("saddle", lambda x, y: x * y + 1e-9),
        ("saddle", lambda x, y: x * y + 1e-9 * y),
    ],
)
def test_a_game_of_two_numbers_is_of_no_kind_but_its_own(kind, f):
    assert not scalar("wrong", "", f, "", kind, "").verify()


def test_the_suite_is_what_its_script_makes_and_its_description_fits():
    made = json.loads(_croissant.PATH.read_text())
    assert made == _croissant.described(max(VERSIONS))
    required = {"@context", "@type", "conformsTo", "name", "description", "license", "url", "creator", "datePublished"}
    assert required <= {key for key, value in made.items() if value} and made["@type"] == "sc:Dataset"
    assert made["conformsTo"] == "http://mlcommons.org/croissant/1.0" and made["citeAs"].startswith("@misc")
    (file,), (records,) = made["distribution"], made["recordSet"]
    raw = (_croissant.PATH.parent / file["contentUrl"]).read_bytes()
    assert file["sha256"] == hashlib.sha256(raw).hexdigest() and file["contentSize"] == f"{len(raw)} B"
    columns = raw.decode().splitlines()[0].split(",")
    assert [field["source"]["extract"]["column"] for field in records["field"]] == columns
    assert {field["source"]["fileObject"]["@id"] for field in records["field"]} == {file["@id"]}
    for row in list(instances().values())[::20]:
        again = _suite.described(row._replace(kind="", value=0.0, fingerprint=""))
        assert again._replace(value=row.value) == row and again.value == pytest.approx(row.value, rel=1e-6)


# -- families, and optimisers that are not ours --------------------------------------------------------------------

SETTINGS = {
    "linear": [{}, {"columns": 3, "latents": 2}],
    "quadratic": [{}, {"columns": 6, "active": 4, "surplus": -1}, {"surplus": 3}],
    "quadratic-no-saddle": [{}, {"columns": 4}],
    "polynomial": [{}, {"columns": 2, "latents": 3}],
    "relu-mixture": [{}, {"rows": 20, "side": 5}],
    "bilinear": [{}, {"columns": 2, "curvature": 0.5}],
    "kernel": [{}, {"columns": 3, "rows": 5, "features": 20, "ridge": 0.5}],
    "relu-line": [{}, {"rows": 5, "beta": 0.2}],
    "particles": [{}, {"columns": 4, "rows": 6, "discriminator": "linear"}],
    "pictures": [{"rows": 100}, {"source": "orl", "rows": 50, "directions": 3}],
    "conditional": [{}, {"classes": 2, "discriminator": "linear"}],
    "batches": [{}, {"discriminator": "quadratic", "batch": 16}],
    "stochastic": [{}, {"shifts": 1.0, "batch": 4}],
}
DRAWN = [(name, setting) for name, settings in SETTINGS.items() for setting in settings]


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize(("family", "setting"), DRAWN, ids=str)
def test_problems_of_a_family_are_proved_and_told_apart(family, setting, seed):
    problem, again = (cg.problems.draw(family, seed, **setting) for _ in range(2))
    assert problem.verify() and problem.fingerprint == again.fingerprint
    assert problem.fingerprint != cg.problems.draw(family, seed + 1, **setting).fingerprint
    below = family == "quadratic-no-saddle" or setting.get("surplus", 0) < 0
    assert problem.kind == ("minimax" if below else "saddle")
    assert all(f"{name}={value}" in str(problem) for name, value in (setting | {"seed": seed}).items())
    if isinstance(problem, MixtureProblem) or not isinstance(problem, GANProblem | ConditionalProblem):
        return
    games = problem.parts if isinstance(problem, ConditionalProblem) else [problem]
    shares = getattr(problem, "shares", [1.0])
    if family == "relu-line":  # what the discriminator guarantees: there is no other method
        others = [problem.solution.certificate.bound]
    else:  # the closed form's semidefinite program
        others = [cg.solve(game.X, game.Z, **game.options, method="program").value for game in games]
    assert problem.value == pytest.approx(np.dot(shares, others), rel=1e-5)
    if family == "quadratic" and not below:  # the critical width is what was asked for
        assert problem.solution.certificate.min_neurons == problem.width - setting.get("surplus", 0)


def test_a_claim_that_is_wrong_is_not_proved():
    problem = cg.problems.draw("quadratic", 0)
    assert problem.verify()
    problem.X = 1.1 * problem.X  # the certificate is of other data
    assert not problem.verify()
    moved = cg.problems.draw("bilinear", 0)
    moved.payoff = lambda x, y: (x * y).sum()
    assert not moved.verify()


@pytest.mark.parametrize(("family", "setting"), [("batches", {}), ("stochastic", {"shifts": 1.0})])
@pytest.mark.parametrize("batch", [4, 16])
def test_noise_has_mean_zero_and_the_variance_of_its_batch(family, setting, batch):
    problem = cg.problems.draw(family, 2, batch=batch, **setting)
    players, game = problem.start(0)[:2], problem.game()
    drawn = torch.stack([joined(game.gradients(*players)) for _ in range(3000)])
    if family == "batches":
        whole, (X, Z, _) = problem._projector, problem._projector.batch
        mean, alone = joined(whole.gradients(*players)), []
        for batches in (
            [Batch(X[i : i + 1], Z) for i in range(len(X))],
            [Batch(X, Z[i : i + 1]) for i in range(len(Z))],
        ):
            each = []
            for whole.batch in batches:
                each.append(joined(whole.gradients(*players)))
            alone.append(torch.stack(each).var(0, correction=0))
        known = sum(alone) / batch
    else:
        mean = joined(ScalarGame(problem.payoff).gradients(*players))
        a, b = players[0][0] - problem.at[0], players[1][0] - problem.at[1]
        terms = torch.cat([problem.slopes @ b, problem.slopes.mT @ a], dim=1) + problem.shifts.flatten(1)
        known = terms.square().mean(0) / batch
    assert bool(((drawn.mean(0) - mean).abs() <= 5 * (known / 3000).sqrt() + 1e-12).all())
    assert float(drawn.var(0).sum()) == pytest.approx(float(known.sum()), rel=0.1) and float(known.sum()) > 0
    assert torch.equal(joined(problem.game().gradients(*players)), drawn[0])  # every game draws the same


def joined(players):
    return torch.cat([part.flatten() for player in players for part in player])


def test_the_game_of_labelled_rows_is_that_of_its_payoff():
    problem = cg.problems.draw("conditional", 1, discriminator="linear")
    game, state, other = problem.game(), problem.start(0), problem.start(1)
    u, v = other[:2]

    def moved(t):
        ways = zip(state[:2], (u, v), strict=True)
        return [tuple(a + t * b for a, b in zip(own, way, strict=True)) for own, way in ways]

    def payoff(t):
        x, y = moved(t)
        parts = zip(game.games, game.parts(x, 0), game.parts(y, 1), problem.shares, strict=True)
        return sum(share * float(one.value(*players)) for one, *players, share in parts)

    grad = game.gradients(*state[:2])
    assert torch.equal(joined(grad), joined((game.grad_x(*state[:2]), game.grad_y(*state[:2]))))
    along = float(joined(grad) @ joined((u, v)))
    assert (payoff(1e-6) - payoff(-1e-6)) / 2e-6 == pytest.approx(along, rel=1e-6)
    bend = (joined(game.gradients(*moved(1e-6))) - joined(game.gradients(*moved(-1e-6)))) / 2e-6
    assert torch.allclose(joined(game.vjp(*state[:2], u, v)), bend, atol=1e-5)
    rows = [float(np.mean(problem.labels == label)) for label in np.unique(problem.labels)]
    assert problem.value == pytest.approx(np.dot(rows, [part.value for part in problem.parts]))
    below = cg.problems.draw("conditional", 1)
    below.parts[0].width = 1
    assert below.parts[0].kind == "minimax" == below.kind


def test_families_name_what_is_wrong():
    with pytest.raises(ValueError, match="Did you mean 'quadratic'"):
        cg.problems.draw("quadratics")
    with pytest.raises(ValueError, match=r"a parameter of quadratic.*Did you mean 'columns'"):
        cg.problems.draw("quadratic", column=3)
    with pytest.raises(ValueError, match="active is 6, of 5 columns"):
        cg.problems.draw("quadratic", active=6)
    with pytest.raises(ValueError, match=r"active \+ surplus"):
        cg.problems.draw("quadratic", surplus=-3)
    with pytest.raises(ValueError, match="rows is 9999, of the 1797 pictures"):
        cg.problems.draw("pictures", rows=9999)
    with pytest.raises(ValueError, match="directions is 64, of 64"):
        cg.problems.draw("pictures", directions=64)
    with pytest.raises(ValueError, match="columns must be"):
        cg.problems.draw("linear", columns=0)
    assert set(cg.problems.families()) == set(SETTINGS) and cg.problems.families()["bilinear"]["curvature"] == 0.0


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("family", "options"), [("bilinear", {"curvature": 1.0}), ("linear", {}), ("kernel", {})])
@pytest.mark.parametrize(("step", "rate"), [(heavy_ball, 1e-3), (daskalakis, 0.01)])
def test_optimisers_that_are_not_ours_play_the_families(step, rate, family, options, seed):
    problem = cg.problems.draw(family, seed, **options)
    game, state = problem.game(), problem.start(0)
    rate = 10 * rate if (family, step) == ("kernel", heavy_ball) else rate  # its features are small
    first = problem.measure(state)
    for _ in range(500):
        state = problem.project(step(game, state, (rate, rate)))
    assert problem.measure(state).error < 0.3 * first.error


@pytest.mark.parametrize("family", ["kernel", "stochastic", "relu-line", "batches"])
def test_second_derivatives_are_those_of_the_gradients(family):
    """Whatever the shapes of the players; the same noise at every question."""
    problem = cg.problems.draw(family, 1)
    state, (u, v) = problem.start(0), problem.start(1)[:2]
    v = tuple(part + 0.1 for part in v)

    def slopes(t):
        ways = zip(state[:2], (u, v), strict=True)
        return joined(problem.game().gradients(*(tuple(a + t * b for a, b in zip(p, w, strict=True)) for p, w in ways)))

    bend = (slopes(1e-6) - slopes(-1e-6)) / 2e-6
    assert torch.allclose(joined(problem.game().vjp(*state[:2], u, v)), bend, atol=1e-6 * float(bend.abs().max()))


def test_no_point_and_no_discriminator_gains_at_the_saddle_of_a_kernel_game():
    problem, random = cg.problems.draw("kernel", 1), torch.Generator().manual_seed(0)
    at, nothing = problem.X, torch.zeros(50).double()
    assert float(problem.payoff(at, nothing)) == 0.0
    for _ in range(20):
        points, w = torch.randn(20, 2, generator=random).double(), torch.randn(50, generator=random).double()
        assert float(problem.payoff(at, w)) <= 0.0 <= float(problem.payoff(points, nothing))
        best = (problem.features(at) - problem.features(points)) / problem.ridge  # where the gradient in w vanishes
        found = problem.measure(State((points,), (w,)))
        assert found.value == pytest.approx(float(problem.payoff(points, best))) and found.error > 0
    assert problem.measure(State((at.flip(0),), (nothing,))).error < 1e-12  # their order does not matter


def test_optimistic_adam_is_that_of_its_paper():
    ours = partial(simultaneous, transform=partial(optimistic_adam, betas=(0.5, 0.9)))
    problem = cg.problems.draw("bilinear", 2)
    runs = []
    for step in (ours, daskalakis):
        state = problem.start(0)
        for _ in range(30):
            state = step(problem.game(), state, (0.01, 0.02))
        runs.append(torch.cat([state.x[0], state.y[0]]))
    assert torch.allclose(*runs, rtol=1e-10)
