"""A method defined outside the package is a row of its family: chosen, run and judged like those that there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convexgan as cg
from convexgan._tools.deadline import Deadline
from convexgan.games import registry
from convexgan.games.game import Answer, Method, Options
from convexgan.games.moment.family import FAMILY, answer
from convexgan.games.moment.reading import Setting
from convexgan.records.moment_game import Optimum

X = np.random.default_rng(3).standard_normal((40, 3)) * [2.0, 1.0, 0.5]
LATENT = cg.GaussianLatent(3)


def applies(setting: Setting, options: Options) -> str:
    """Why this is the method for a game, or an empty string where it is none."""
    game = setting.game
    named = game.activation.name == "quadratic" and game.regularizer == "output" and game.bias == "none"
    covered = game.beta is not None and game.latent.rank >= game.data.dim
    return "second moments are shrunk by beta" if named and covered else ""


def shrink(setting: Setting, options: Options, deadline: Deadline, beta: float = 1.0, offer: float = 1.0) -> Answer:
    """Both players, of which nothing is believed: whether they are optimal, the certificate finds out."""
    game = setting.game
    values, vectors = np.linalg.eigh(game.data.second)
    level = beta * game.beta
    kept = values > level
    factor = np.zeros((game.latent.rank, game.data.dim))
    factor[: kept.sum()] = np.sqrt(values[kept] - level)[:, None] * vectors[:, kept].T
    players = Optimum(factor, vectors[:, kept].T, np.full(kept.sum(), offer * game.penalty))
    return answer(setting, game, players, {"kept": int(kept.sum())}, options, lambda *_: "use closed_form", deadline)


def added(monkeypatch: pytest.MonkeyPatch, run: Any, first: bool = True) -> None:
    """Put the method into its family, before those that there are or behind them."""
    own = (Method("shrinkage", applies, run),)
    mine = replace(FAMILY, methods=own + FAMILY.methods if first else FAMILY.methods + own)
    families = tuple(mine if family.covers is FAMILY.covers else family for family in registry.FAMILIES)
    monkeypatch.setattr(registry, "FAMILIES", families)


def test_it_is_chosen_with_its_reason_and_finds_the_optimum(monkeypatch):
    usual = cg.solve(X, LATENT, beta=0.3)
    added(monkeypatch, shrink)
    assert cg.select_method(X, LATENT, beta=0.3) == ("shrinkage", "second moments are shrunk by beta")
    sol = cg.solve(X, LATENT, beta=0.3)
    assert (sol.method, sol.certificate.kind, sol.stats["kept"]) == ("shrinkage", "saddle", 2)
    assert sol.value == pytest.approx(usual.value, rel=1e-12) and usual.method == "closed_form"
    assert cg.verify(sol.certificate, X).agreement.agrees


def test_it_is_asked_for_by_name_and_refused_where_it_does_not_apply(monkeypatch):
    added(monkeypatch, shrink, first=False)
    assert cg.solve(X, LATENT, beta=0.3).method == "closed_form"
    assert cg.solve(X, LATENT, beta=0.3, method="shrinkage").method == "shrinkage"
    with pytest.raises(ValueError, match="method='shrinkage' does not apply"):
        cg.solve(X, LATENT, lam=2.0, method="shrinkage")
    with pytest.raises(ValueError, match="Did you mean 'shrinkage'"):
        cg.solve(X, LATENT, beta=0.3, method="shrinkag")


def test_options_that_it_does_not_use_are_said(monkeypatch):
    added(monkeypatch, shrink)
    with pytest.warns(UserWarning, match=r"max_neurons makes no difference to method 'shrinkage'"):
        sol = cg.solve(X, LATENT, beta=0.3, max_neurons=2)
    assert sol.stats["unused"] == ["max_neurons"]


def test_one_that_is_wrong_is_found_out(monkeypatch):
    added(monkeypatch, lambda *call: shrink(*call, offer=0.5))
    sol = cg.solve(X, LATENT, beta=0.3)
    best = cg.solve(X, LATENT, beta=0.3, method="closed_form").value
    assert sol.certificate.max_min == pytest.approx(best / 2) and sol.certificate.bound <= best * (1 + 1e-12)
    added(monkeypatch, lambda *call: shrink(*call, beta=2.0))  # too far from the data
    with pytest.raises(cg.SolverError, match="use closed_form"):
        cg.solve(X, LATENT, beta=0.3)
