"""Every game goes through one pipeline: options mean the same everywhere, and what a method does not use is said."""

from __future__ import annotations

import warnings
from dataclasses import fields

import numpy as np
import pytest

import convexgan as cg
from convexgan.games.game import SELECTIVE, Options
from convexgan.games.registry import FAMILIES, methods
from convexgan.generators import Linear, Mixture

RNG = np.random.default_rng(3)
X, Z = RNG.standard_normal((10, 2)) * [2.0, 0.7] + [0.5, -0.2], RNG.standard_normal((10, 2))
LINE = X[:, :1]
GAMES = {  # one for each method of each family
    "nothing": (X, Z, {"beta": 1e3}),
    "linear": (X, Z, {"beta": 0.1, "discriminator": "linear"}),
    "quadratic": (X, Z, {"beta": 0.1}),
    "polynomial": (X - X.mean(axis=0), cg.GaussianLatent(2), {"beta": 0.1, "discriminator": "polynomial"}),
    "matching": (X, np.column_stack([Z, Z**2]), {"beta": 0.0, "discriminator": "polynomial"}),
    "program": (X, Z, {"beta": 0.1, "discriminator": "polynomial", "generator": Linear(bias=True)}),
    "free rows": (X, None, {"beta": 0.1, "generator": "free"}),
    "weight decay": (X, Z, {"beta": 0.1, "discriminator": "linear", "generator": "relu", "regularizer": "weights"}),
    "mixture of moments": (X, None, {"beta": 0.1, "generator": "mixture"}),
    "mixture": (X, None, {"beta": 0.1, "discriminator": "relu", "generator": "mixture"}),
    "mixture anywhere": (X, None, {"beta": 0.1, "discriminator": "relu", "generator": Mixture(support="continuous")}),
    "line": (LINE, None, {"beta": 0.1, "discriminator": "relu", "generator": "free", "bias": "free"}),
    "Gaussian": (X, cg.GaussianLatent(2), {"beta": 0.9, "discriminator": "relu"}),
    "Gaussian with bias": (X, cg.GaussianLatent(2), {"beta": 0.3, "discriminator": "relu", "generator": Linear(True)}),
    "local optimum": (X, None, {"lam": 0.4, "discriminator": "relu", "generator": "free", "gap": 0.3}),
}
GIVEN = {"gap": 0.2, "max_neurons": 2, "rng": 0, "solver": "CLARABEL", "solver_options": {}}
CONIC = {"solver", "solver_options"}
USES = {
    "nothing": {"max_neurons"},
    "linear": {"max_neurons"},
    "quadratic": {"max_neurons"},
    "polynomial": set(),
    "matching": set(),
    "program": CONIC,
    "free rows": {"max_neurons", "rng"},
    "weight decay": set(),
    "mixture of moments": CONIC,
    "mixture": set(),
    "mixture anywhere": CONIC | {"gap"},
    "line": set(),
    "Gaussian": CONIC,
    "Gaussian with bias": CONIC | {"gap"},
    "local optimum": CONIC | {"gap", "rng"},
}


def solved(name, **options):
    data, latents, game = GAMES[name]
    return cg.solve(data, latents, **(game | {"time_limit": 20.0} | options))


def test_a_game_stands_for_every_method():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert {solved(name).method for name in GAMES} == set(methods())
    assert set(GIVEN) == set(SELECTIVE) < {field.name for field in fields(Options)}


@pytest.mark.parametrize("name", GAMES)
def test_what_a_method_does_not_use_is_said_once_and_changes_nothing(name):
    given = GIVEN | {key: value for key, value in GAMES[name][2].items() if key in GIVEN}
    used = {key: value for key, value in given.items() if key in USES[name]}
    plain = solved(name, **used)
    assert "unused" not in plain.stats
    with pytest.warns(UserWarning, match="no difference to method") as said:
        sol = solved(name, **given)
    assert len(said) == 1 and said[0].filename == __file__
    assert sol.stats["unused"] == [key for key in SELECTIVE if key not in USES[name]]
    assert all(key in str(said[0].message) for key in sol.stats["unused"])
    assert (sol.value, sol.certificate) == (plain.value, plain.certificate)


@pytest.mark.parametrize("name", GAMES)
def test_the_selected_method_can_be_asked_for(name):
    data, latents, game = GAMES[name]
    method, reason = cg.select_method(data, latents, **game)
    seed = {"rng": 0} if "rng" in USES[name] else {}
    auto, asked = solved(name, **seed), solved(name, method=method, **seed)
    assert (asked.method, asked.stats["reason"]) == (method, reason) == (auto.method, auto.stats["reason"])
    assert asked.value == auto.value


@pytest.mark.parametrize("name", GAMES)
def test_methods_that_do_not_apply_are_refused_with_those_that_do(name):
    data, latents, game = GAMES[name]
    mine = next(f for f in FAMILIES if cg.select_method(data, latents, **game)[0] in [m.name for m in f.methods])
    others = set(methods()) - {cg.select_method(data, latents, **game)[0], "program"}
    assert mine in FAMILIES and others
    for other in others:
        with pytest.raises(ValueError, match=f"method='{other}' does not apply: .* Use method='"):
            solved(name, method=other)
    with pytest.raises(ValueError, match="unknown method 'magic'"):
        solved(name, method="magic")


@pytest.mark.parametrize("name", GAMES)
def test_every_solution_tells_how_it_was_found(name):
    sol = solved(name)
    assert {"reason", "solve_seconds", "certificate_seconds"} <= set(sol.stats)
    if "solver" in USES[name] or name == "mixture":
        assert {"solver", "solver_version", "solver_options"} <= set(sol.stats)


@pytest.mark.parametrize("name", GAMES)
def test_certificates_of_every_game_take_a_time_limit(name):
    data, _, game = GAMES[name]
    sol = solved(name)
    assert cg.verify(sol.certificate, data, time_limit=10.0).kind == sol.certificate.kind
    game = {key: value for key, value in game.items() if key in ("beta", "lam", "discriminator", "bias")}
    assert cg.certify(data, data, time_limit=10.0, **game).violation <= 1e-9
