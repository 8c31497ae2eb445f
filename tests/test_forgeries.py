"""Forged certificates: whatever is done to the evidence, what `verify` returns is true of the game it describes."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import convexgan as cg
from convexgan.games.agreement import agreement
from convexgan.games.sample import SampleGame
from convexgan.games.sample.responses import rising_neurons
from tests.generators import rows

RNG = np.random.default_rng(0)
X = rows([4.0, 2.0, 0.5], 3, tilt=[0.6, 0.3, 0.1])
CENTRED = rows([4.0, 2.0, 0.5], 3)
FEW = RNG.standard_normal((6, 2)) + np.array([0.5, 0.0])
LINE = RNG.standard_normal((7, 1))
Z = rows([3.0, 1.0, 0.2, 0.1], 5, tilt=[0.1, 0.4, 0.0, 0.2])
CHEAP = rows([50.0, 1.0], 5, tilt=[0.0, 1.0])  # a constant, and a latent that costs little and has mean zero
FLAT = rows([1.0, 1.0, 1.0, 1.0], 4, tilt=[0.5, 0.0, 0.0, 0.0])
LATENTS = RNG.standard_normal((6, 2))
ANYWHERE = cg.generators.Mixture(support="continuous")
LINEAR: dict[str, Any] = {"discriminator": "linear"}
RELU: dict[str, Any] = {"discriminator": "relu", "generator": "mixture"}
NETWORK = {"discriminator": "linear", "generator": "relu", "regularizer": "weights"}
CALLS: dict[str, tuple[np.ndarray, Any, dict[str, Any]]] = {
    "linear": (X, Z, LINEAR | {"beta": 0.3}),
    "linear-lam": (X, Z, LINEAR | {"lam": 1.0}),
    "linear-weights": (X, CHEAP, LINEAR | {"beta": 0.3, "regularizer": "weights"}),
    "linear-zero": (X, cg.GaussianLatent(3), LINEAR | {"beta": 2.0}),
    "linear-sum": (X, rows([2.0, 1.0], 5, tilt=[0.2, 0.4], n=len(X)), LINEAR | {"beta": 1.0, "reduction": "sum"}),
    "quadratic": (X, Z, {"beta": 0.7}),
    "quadratic-lam": (X, cg.GaussianLatent(3), {"lam": 1.4}),
    "quadratic-weights": (X, Z, {"beta": 0.7, "regularizer": "weights"}),
    "quadratic-width": (X, cg.GaussianLatent(3), {"beta": 0.2, "max_neurons": 1}),
    "quadratic-rank": (X, cg.GaussianLatent(1), {"beta": 2.1}),
    "quadratic-free": (X, None, {"beta": 0.7, "generator": "free"}),
    "quadratic-bias": (X, FLAT, {"beta": 0.7, "bias": "penalized"}),
    "polynomial": (X, cg.GaussianLatent(4), {"discriminator": "polynomial", "beta": 0.7}),
    "polynomial-centred": (CENTRED, cg.GaussianLatent(3), {"discriminator": "polynomial", "beta": 0.1}),
    "network": (X, LATENTS, NETWORK | {"beta": 0.3}),
    "network-gaussian": (X, cg.GaussianLatent(2), NETWORK | {"lam": 9.0}),
    "mixture": (FEW, None, RELU | {"beta": 0.1}),
    "mixture-lam": (FEW, None, RELU | {"lam": 1.0, "bias": "penalized"}),
    "mixture-free-bias": (LINE, None, RELU | {"beta": 0.1, "bias": "free"}),
    "mixture-quadratic": (FEW, None, {"generator": "mixture", "beta": 0.2}),
    "anywhere": (FEW, None, RELU | {"generator": ANYWHERE, "beta": 0.2}),
    "points": (LINE, None, RELU | {"generator": "free", "beta": 0.1, "bias": "free"}),
    "gaussian": (FEW - FEW.mean(0), cg.GaussianLatent(2), RELU | {"generator": "linear", "beta": 0.1}),
}


def certificate_of(name: str) -> cg.Certificate:
    """The certificate that solve writes, from its file; a new one each time, to be changed."""
    return cg.Certificate.from_json(honest(name))


@functools.cache
def honest(name: str) -> str:
    data, latents, options = CALLS[name]
    return cg.solve(data, latents, **options).certificate.to_json()


# -- nothing false is certified ------------------------------------------------------------------------------------


def solve_again(name: str, evidence: cg.records.certificate.Evidence) -> cg.Solution:
    """The game that the evidence describes, in means, solved: the players it brings along are not used."""
    said, arrays, data = evidence.settings, evidence.arrays, CALLS[name][0]
    activation = {"linear": cg.discriminators.Linear, "quadratic": cg.discriminators.Quadratic}.get(said["activation"])
    if activation is None:
        activation = {"relu": cg.discriminators.ReLU, "polynomial": cg.discriminators.Polynomial}[said["activation"]]
        activation = functools.partial(activation, *said["coefficients"])
    options: dict[str, Any] = {"generator_penalty": said["penalty"], "bias": said.get("bias", "none")}
    options |= {budget: said[budget] for budget in ("beta", "lam") if said[budget] is not None}
    latents: Any = None
    if "hidden" in arrays:
        options |= {"generator": cg.generators.TwoLayerReLU(said["generator_bias"]), "regularizer": "weights"}
        latents = arrays.get("latents", cg.GaussianLatent(said["latent_dim"]))
    elif "particles" in arrays:
        options["generator"] = cg.generators.Mixture(arrays["particles"])
    elif said["game"] == "gaussian":
        options["generator"], latents = cg.generators.Linear(said["generator_bias"]), cg.GaussianLatent(data.shape[1])
    elif "points" in arrays:
        if options["bias"] == "free" and said["coefficients"][0] != 0:  # certified by verify, but solved by nothing
            assume(False)
        options["generator"] = "free" if options["bias"] == "free" else ANYWHERE
    else:
        options |= {"regularizer": said["regularizer"], "max_neurons": said["max_neurons"]}
        latents = rows(arrays["latent_values"], 1, tilt=arrays["latent_mean"], turned=False)
    return cg.solve(data, latents, discriminator=activation(), **options)


SOLVED: dict[str, cg.Solution | float] = {}
CLASS = ("latent_values", "latent_mean", "latents", "particles")


def truth(name: str, evidence: cg.records.certificate.Evidence) -> cg.Solution | float:
    """The solved game, or the smallest beta at which it can be solved."""
    fixed = {k: v for k, v in evidence.settings.items() if k != "used"}
    key = json.dumps([name, fixed, {k: evidence.arrays[k].tolist() for k in CLASS if k in evidence.arrays}])
    if key not in SOLVED:
        try:
            SOLVED[key] = solve_again(name, evidence)
        except cg.InfeasibleError as error:
            SOLVED[key] = error.smallest_beta
        except cg.SolverError:
            assume(False)
    return SOLVED[key]


def assert_true(name: str, found: cg.Certificate) -> None:
    """What a recomputed certificate says, against the solved game."""
    data, evidence = CALLS[name][0], found.evidence
    assert evidence is not None
    said, best = evidence.settings, truth(name, evidence)
    if isinstance(best, float):
        assert found.kind == "infeasible" or said["beta"] >= best * (1 - 2e-6), (found, best)
        return
    known, unit = best.certificate, said.get("value_scale", 1.0)
    value, bound, max_min = found.value / unit, found.bound / unit, found.max_min / unit
    slack = 3e-6 * abs(known.value) + 4 * max(found.rounding / unit, known.rounding)
    scale = max(said["beta"] or 0.0, float(np.mean(data**2) + 1))
    assert bound <= known.value + slack and max_min <= known.value + slack, (found, known)
    if found.kind != "infeasible":  # a violation that is allowed is worth what the discriminator asks for it
        assert value >= known.bound - slack - 2e-6 * scale * best.discriminator.norm, (found, known)
    if found.kind in ("saddle", "minimax"):
        assert value <= known.value + slack, (found, known)
    if best.method == "closed_form" and "hidden" not in evidence.arrays:
        assert max_min <= known.max_min + slack, (found, known)  # the best discriminator of this width
        assert found.min_neurons == known.min_neurons, (found, known)


SIZES = [-1.0, 0.0, 1e-8, 0.5, 1 - 1e-7, 1 + 1e-10, 1 + 1e-7, 1.01, 2.0, 100.0, 1e8]
SETTINGS: dict[str, list[Any]] = {
    "beta": [0.0, 0.05, 0.5, 1.3, 3.0, None, "1", 10**400],
    "lam": [0.0, 0.5, 2.0, 50.0, None],
    "penalty": [0.5, 2.0, 0.0, -1.0],
    "regularizer": ["output", "weights"],
    "bias": ["none", "penalized", "free"],
    "max_neurons": [None, 0, 1, 2, 5],
    "activation": ["linear", "quadratic", "polynomial", "relu"],
    "coefficients": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.5, 0.3, 0.0], [0.0], [0.1]],
    "used": [[], [0], [0, 0], [1], [0, 1], [1, 0], [0, 1, 2], [2, 2, 2], [7], [10**13], [-1], [0.5]],
    "game": ["moments", "rows", "gaussian", "means", "chess"],
    "unproved": ["bounded", "restricted", "stationary", "saddle"],
    "generator_bias": [True, False],
    "latent_dim": [1, 3],
    "rows": [1, len(X), len(FEW)],
    "value_scale": [1.0, float(len(X)), float(len(FEW))],
    "law_error": [[0.0, 0.0], [0.01, 0.1], [1.0], [-1.0, 0.0], "1", None],
    "latent_error": [0.0, 0.01, 1.0, -1.0, "1", None],
}


def change_array(draw: Any, array: np.ndarray, data: np.ndarray) -> np.ndarray:
    """The array with its numbers changed, or its rows."""
    how = draw(st.sampled_from(["scale", "row", "turn", "drop", "double", "mean", "noise", "empty", "join"]))
    size, i = draw(st.sampled_from(SIZES)), draw(st.integers(0, max(len(array) - 1, 0)))
    if how == "scale" or array.ndim == 0 or len(array) == 0:
        return size * array
    if how == "row":
        return np.concatenate([array[:i], size * array[i : i + 1], array[i + 1 :]])
    if how == "mean" and array.shape[-1] == data.shape[1]:  # what the other player wants to see
        return np.broadcast_to(size * data.mean(0), array.shape).copy()
    other = np.random.default_rng(i).standard_normal(array.shape)
    joined = np.concatenate([array, -array])
    return {"turn": array[::-1], "drop": np.delete(array, i, 0), "empty": array[:0], "join": joined}.get(
        how, array + size * other if how == "noise" else np.concatenate([array, array[i : i + 1]])
    )


def add_cancelling(draw: Any, arrays: dict[str, np.ndarray]) -> None:
    """Large neurons in two bases of a plane, whose sum is zero but for rounding."""
    if (dim := arrays["neurons"].shape[1]) < 2 or "biases" not in arrays:
        return
    angle, size = draw(st.floats(0, 1)), draw(st.sampled_from([1e6, 1e9, 1e12, 1e15]))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    plane = np.eye(dim)[draw(st.permutations(range(dim)))][:2]
    arrays["neurons"] = np.concatenate([arrays["neurons"], plane, turn @ plane])
    arrays["outer"] = np.concatenate([arrays["outer"], size * np.array([1.0, 1.0, -1.0, -1.0])])
    for field in {"biases", "spreads"} & set(arrays):
        arrays[field] = np.append(arrays[field], np.zeros(4))


def other_law(draw: Any, said: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Another law of the class, its mean a little wrong."""
    if 0 < len(arrays["latent_values"]) == len(arrays["latent_mean"]):
        noise = np.random.default_rng(draw(st.integers(0, 9))).standard_normal
        width = draw(st.integers(1, len(arrays["latent_mean"])))
        arrays["factor"] = draw(st.sampled_from(SIZES[2:])) * noise((width, arrays["neurons"].shape[1]))
        arrays["mean"] = arrays["factor"].T @ arrays["latent_mean"][:width] * draw(st.sampled_from(SIZES))
        said["used"] = list(range(width))


@st.composite
def forgeries(draw: Any) -> tuple[str, cg.Certificate]:
    """An honest certificate of some game with some of its evidence changed."""
    name = draw(st.sampled_from(sorted(CALLS)))
    claim = certificate_of(name)
    said, arrays = claim.evidence.settings, claim.evidence.arrays
    for _ in range(draw(st.integers(1, 3))):
        what = draw(st.sampled_from(["array"] * 4 + ["setting", "no critic", "long", "cancel", "law", "one row"]))
        if what == "array":
            field = draw(st.sampled_from(sorted(arrays)))
            arrays[field] = change_array(draw, arrays[field], CALLS[name][0])
        elif what == "setting":
            field = draw(st.sampled_from(sorted(said)))
            said[field] = draw(st.sampled_from(SETTINGS[field]))
        elif what == "no critic":
            for field in ("neurons", "outer", "biases", "spreads"):
                arrays.update({field: arrays[field][:0]} if field in arrays else {})
        elif what == "long":
            size = draw(st.sampled_from(SIZES[2:]))
            arrays["neurons"], arrays["outer"] = arrays["neurons"] * size, arrays["outer"] / size
        elif what == "cancel":
            add_cancelling(draw, arrays)
        elif what == "law" and "used" in said:
            other_law(draw, said, arrays)
        elif "used" in said:
            i = draw(st.integers(0, len(arrays["latent_values"])))
            target = draw(st.sampled_from(SIZES)) * CALLS[name][0].mean(0)
            said["used"], arrays["factor"], arrays["mean"] = [i], target[None, :], CALLS[name][0].mean(0)
    return name, cg.Certificate.from_json(claim.to_json())


def tuned(name: str, found: cg.Certificate) -> cg.Certificate | None:
    """The critic scaled until it seems to prove what the generator costs."""
    if not (found.kind == "bounded" and found.max_min > 0 and found.evidence is not None):
        return None
    outer = found.evidence.arrays["outer"]
    found.evidence.arrays["outer"] = outer * (found.value / found.max_min)
    return recomputed(name, found)


def recomputed(name: str, claim: cg.Certificate) -> cg.Certificate | None:
    """What the referee says; None if it refuses the evidence, which it does with ValueError."""
    relu = claim.evidence is not None and claim.evidence.settings.get("activation") == "relu"
    try:
        return cg.verify(claim, CALLS[name][0], time_limit=2.0 if relu else None)
    except ValueError as error:
        assert "certificate" in str(error), error  # and not numpy's
        return None


@settings(max_examples=300)
@given(forgeries())
def test_nothing_false_is_certified(forgery: tuple[str, cg.Certificate]) -> None:
    name, claim = forgery
    found = recomputed(name, claim)
    if found is not None:
        assert_true(name, found)
        again = tuned(name, found)
        if again is not None:
            assert_true(name, again)


@pytest.mark.parametrize("name", CALLS)
def test_what_solve_writes_is_confirmed(name: str) -> None:
    claim = certificate_of(name)
    found = cg.verify(claim, CALLS[name][0])
    assert agreement(claim, found).agrees and not agreement(claim, found).better
    assert claim.kind in ("saddle", "minimax")
    assert_true(name, found)


# -- forgeries that once passed ------------------------------------------------------------------------------------


def forged(claim: cg.Certificate, arrays: dict[str, Any] | None = None, **said: Any) -> cg.Certificate:
    evidence = cg.records.certificate.Evidence(claim.evidence.settings | said, claim.evidence.arrays | (arrays or {}))
    return replace(claim, evidence=evidence)


NO_CRITIC = {"neurons": np.zeros((0, 3)), "biases": np.zeros(0), "outer": np.zeros(0)}


def test_a_row_of_the_factor_given_twice() -> None:
    """The second overwrites the first: a law without cost, but with any mean."""
    mean = X.mean(0)
    law = {"factor": np.stack([100 * mean, 0 * mean]), "mean": mean}
    false = forged(certificate_of("linear"), NO_CRITIC | law, used=[0, 0])
    with pytest.raises(ValueError, match="twice"):
        cg.verify(false, X)


def test_under_weights_the_mean_follows_from_the_factor() -> None:
    """The row of the dear latent moved to the cheap one, which has mean zero and would have to stay at zero."""
    claim = certificate_of("linear-weights")
    arrays = claim.evidence.arrays
    share = np.array([0.0, 1.0])
    for used, factor in (([0], arrays["factor"][-1:]), ([], np.zeros((0, 3)))):
        false = forged(claim, {"latent_mean": share, "factor": factor, "outer": 0.1 * arrays["outer"]}, used=used)
        with pytest.raises(ValueError, match="mean"):
            cg.verify(false, X)


@pytest.mark.parametrize("factor", [np.zeros((0, 3)), np.zeros((1, 3))])
def test_nothing_has_no_mean_however_small_the_data(factor: np.ndarray) -> None:
    tiny = 1e-9 * X
    claim = cg.solve(tiny, Z, discriminator="linear", beta=3e-10).certificate
    with pytest.raises(ValueError, match="no law"):
        cg.verify(forged(claim, {"factor": factor, "mean": tiny.mean(0)}, used=[0][: len(factor)]), tiny)


def test_latents_of_almost_no_mean_give_almost_no_mean() -> None:
    """kappa = 1e-16: a mean of length 1 costs 1e16."""
    latents = rows([1.0, 1.0], 4, tilt=[1e-8, 0.0])
    claim = cg.solve(X, latents, discriminator="linear", beta=0.3).certificate
    mean = claim.evidence.arrays["mean"]
    with pytest.raises(ValueError, match="no law"):
        cg.verify(forged(claim, NO_CRITIC | {"factor": 1e5 * mean[None, :], "mean": mean}, used=[0]), X)


def test_latents_of_full_rank_leave_no_choice_of_the_mean() -> None:
    """One constant latent: every second moment of rank one comes with its mean, and none without."""
    claim = cg.solve(X, np.ones((4, 1)), discriminator="linear", beta=0.3).certificate
    factor = claim.evidence.arrays["factor"]
    assert cg.verify(claim, X).kind == "saddle"
    with pytest.raises(ValueError, match="no law"):
        cg.verify(forged(claim, {"mean": 0.5 * factor[0]}), X)


def test_certified_rows_need_not_be_factors_of_the_class() -> None:
    """`certify` writes any factor of the rows' second moment, longer than the class's rank."""
    wide, latents = np.random.default_rng(0).standard_normal((5, 9)), FLAT[:, :2]
    image = latents @ np.random.default_rng(1).standard_normal((2, 9))
    known: dict[str, Any] = {"beta": 0.3, "generator": "linear", "Z": latents}
    for data, claim in (
        (wide, cg.certify(wide, image, **known)),
        (wide, cg.certify(wide, image, discriminator="linear", **known)),
        (X, cg.certify(X, X + 1, beta=0.3, discriminator="linear")),
    ):
        assert agreement(claim, cg.verify(claim, data)).agrees


def test_large_neurons_that_cancel_prove_nothing() -> None:
    """Where the discriminator is free of charge, rounding of 1e17 - 1e17 is no bound."""
    claim = cg.solve(X, Z, beta=0.0, regularizer="weights").certificate
    arrays = claim.evidence.arrays
    for angle in np.linspace(0.1, 1.4, 100):
        turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0]])
        neurons = np.concatenate([arrays["neurons"], np.eye(3)[:2], turn])
        outer = np.append(arrays["outer"], 1e17 * np.array([-1, -1, 1, 1]))
        false = forged(claim, {"neurons": neurons, "outer": outer, "biases": np.zeros(len(outer))})
        assert cg.verify(false, X).max_min <= claim.value * (1 + 1e-6)


def test_a_discriminator_wider_than_the_game_allows() -> None:
    for width in (0, 1):
        with pytest.raises(ValueError, match="max_neurons"):
            cg.verify(forged(certificate_of("quadratic"), max_neurons=width), X)
    with pytest.raises(TypeError, match="max_neurons"):
        cg.program(X, Z, beta=0.7, max_neurons=1)


def test_two_neurons_of_one_linear_function_are_one() -> None:
    claim = certificate_of("network")
    arrays = {name: np.repeat(claim.evidence.arrays[name], 2, axis=0) for name in ("neurons", "outer")}
    found = cg.verify(forged(claim, arrays | {"outer": arrays["outer"] / 2}), X)
    assert (found.kind, found.min_neurons) == ("saddle", 1)


def test_a_free_bias_is_for_rectified_neurons() -> None:
    with pytest.raises(ValueError, match="free bias"):
        cg.verify(forged(certificate_of("mixture-quadratic"), bias="free"), FEW)


def test_widths_and_origins_are_claims() -> None:
    claim = certificate_of("quadratic")
    found = cg.verify(claim, X)
    for width in (0, 1, 3):
        assert agreement(replace(claim, min_neurons=width), found).differing == ("min_neurons",)
    assert agreement(replace(claim, origin="nonsense"), found).differing == ("origin",)
    modest = agreement(replace(claim, min_neurons=None), found)  # as programs write it: not known
    assert modest.agrees and modest.better == ("min_neurons",)
    none = replace(certificate_of("quadratic-width"), min_neurons=None)  # beside minimax: at no width
    assert agreement(none, cg.verify(none, X)).differing == ("min_neurons",)
    searched = certificate_of("mixture")
    again = cg.verify(searched, FEW)
    assert agreement(replace(searched, origin="costs are non-negative"), again).agrees
    assert agreement(replace(searched, origin="nonsense"), again).differing == ("origin",)
    for field, value in (("min_neurons", "3"), ("min_neurons", [3]), ("origin", 7)):
        text = json.dumps(json.loads(claim.to_json()) | {field: value})
        with pytest.raises(ValueError, match="not a convexgan certificate"):
            cg.Certificate.from_json(text)


def test_the_certificate_of_a_program_agrees() -> None:
    claim = cg.solve(X, cg.GaussianLatent(3), beta=0.7, method="program").certificate
    assert agreement(claim, cg.verify(claim, X)).agrees


# -- free biases ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [{"beta": 0.0}, {"beta": 0.05}, {"lam": 3.0}])
def test_mixtures_against_free_biases_are_confirmed(budget: dict[str, float]) -> None:
    for seed in range(5):
        data = np.random.default_rng(seed).standard_normal((4 + seed, 1))
        claim = cg.solve(data, discriminator="relu", generator="mixture", bias="free", **budget).certificate
        assert agreement(claim, cg.verify(claim, data)).agrees


def test_rising_neurons_of_a_free_bias_have_unit_weights() -> None:
    points, weights = np.array([[0.1], [2.0]]), np.array([0.3, 0.7])
    game = SampleGame(LINE, cg.discriminators.ReLU(), 0.0, None, None, bias="free")
    U, values = rising_neurons(game, points, weights, np.random.default_rng(0).standard_normal((30, 2)), 0.0)
    assert len(U) > 1 and np.allclose(np.abs(U[:, 0]), 1)
    real, fake = (np.maximum(side @ U[:, :1].T + U[:, 1], 0) for side in (LINE, points))
    np.testing.assert_allclose(values, np.abs(real.mean(0) - weights @ fake), rtol=1e-9)


# -- damage --------------------------------------------------------------------------------------------------------


DAMAGED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("quadratic", {}, {"activation": "relu", "coefficients": [0]}, "ReLU"),
    ("quadratic", {}, {"activation": "relo"}, "relo"),
    ("quadratic", {}, {"beta": 10**400}, "beta must"),
    ("mixture", {}, {"penalty": 10**400}, "penalty must"),
    ("network", {}, {"beta": 10**400}, "beta must"),
    ("network", {"latents": np.zeros((6, 2))}, {}, "zero everywhere"),
    ("network", {"latents": np.zeros((0, 2))}, {}, "latents is empty"),
    ("network", {"latents": np.ones(6)}, {}, "latents must be a 2-D array"),
    ("quadratic", {"factor": np.ones((2, 3))}, {"used": [10**13, 1]}, "used"),
    ("quadratic-weights", {"factor": np.ones((2, 3))}, {"used": [7, 8]}, "used"),
    ("quadratic", {"mean": np.full(3, 1e200)}, {}, "mean has entries"),
    ("gaussian", {}, {"generator_bias": "no"}, "generator_bias"),
]


@pytest.mark.parametrize(("name", "arrays", "said", "says"), DAMAGED)
def test_damage_is_named(name: str, arrays: dict[str, Any], said: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=f"certificate's evidence.*damaged.*{says}"):
        cg.verify(forged(certificate_of(name), arrays, **said), CALLS[name][0])


@pytest.mark.parametrize("field", ["beta", "outer"])
def test_what_is_missing_is_named(field: str) -> None:
    content = json.loads(certificate_of("quadratic").to_json())
    for part in content["evidence"].values():
        part.pop(field, None)
    with pytest.raises(ValueError, match=f"no '{field}'"):
        cg.verify(cg.Certificate.from_json(json.dumps(content)), X)


def test_numbers_that_are_none_are_no_certificate() -> None:
    content = json.loads(certificate_of("quadratic").to_json())
    for text in (json.dumps(content | {"value": 10**400}), "[" * 100_000):
        with pytest.raises(ValueError, match="not a convexgan certificate"):
            cg.Certificate.from_json(text)
