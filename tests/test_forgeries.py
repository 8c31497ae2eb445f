"""Forged certificates: whatever is done to the evidence, what `verify` returns is true of the game it describes."""

from __future__ import annotations

import functools
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import convexgan as cg
from convexgan.cli.referee import compare
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


def solve_again(name: str, evidence: cg.certificate.Evidence) -> cg.Solution:
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
    elif said.get("latent") == "gaussian":
        options["generator"], latents = cg.generators.Linear(said["generator_bias"]), cg.GaussianLatent(data.shape[1])
    elif "points" in arrays:
        options["generator"] = "free" if options["bias"] == "free" else ANYWHERE
    else:
        options |= {"regularizer": said["regularizer"], "max_neurons": said["max_neurons"]}
        latents = rows(arrays["latent_values"], 1, tilt=arrays["latent_mean"], turned=False)
    return cg.solve(data, latents, discriminator=activation(), **options)


SOLVED: dict[str, cg.Solution | float] = {}
CLASS = ("latent_values", "latent_mean", "latents", "particles")


def truth(name: str, evidence: cg.certificate.Evidence) -> cg.Solution | float:
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
    "beta": [0.0, 0.05, 0.5, 3.0, None, "1", 10**400, math.nan],
    "lam": [0.0, 0.5, 2.0, 50.0, None],
    "penalty": [0.5, 2.0, 0.0, -1.0],
    "regularizer": ["output", "weights"],
    "bias": ["none", "penalized", "free"],
    "max_neurons": [None, 0, 1, 2, 5],
    "activation": ["linear", "quadratic", "polynomial", "relu"],
    "coefficients": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.5, 0.3, 0.0], [0.0], [0.1]],
    "used": [[], [0], [0, 0], [1], [0, 1], [1, 0], [0, 1, 2], [2, 2, 2], [7], [10**13], [-1], [0.5]],
    "latent": ["gaussian"],
    "generator_bias": [True, False],
    "latent_dim": [1, 3],
    "rows": [1, len(X), len(FEW)],
    "value_scale": [1.0, float(len(X)), float(len(FEW))],
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


@st.composite
def forgeries(draw: Any) -> tuple[str, cg.Certificate]:
    """An honest certificate of some game with some of its evidence changed."""
    name = draw(st.sampled_from(sorted(CALLS)))
    claim = certificate_of(name)
    said, arrays = claim.evidence.settings, claim.evidence.arrays
    for _ in range(draw(st.integers(1, 3))):
        what = draw(st.sampled_from(["array"] * 4 + ["setting"] * 2 + ["no critic", "long neurons", "one row"]))
        if what == "array":
            field = draw(st.sampled_from(sorted(arrays)))
            arrays[field] = change_array(draw, arrays[field], CALLS[name][0])
        elif what == "setting":
            field = draw(st.sampled_from(sorted(said)))
            said[field] = draw(st.sampled_from(SETTINGS[field]))
        elif what == "no critic":
            for field in ("neurons", "outer", "biases", "spreads"):
                arrays.update({field: arrays[field][:0]} if field in arrays else {})
        elif what == "long neurons":
            size = draw(st.sampled_from(SIZES[2:]))
            arrays["neurons"], arrays["outer"] = arrays["neurons"] * size, arrays["outer"] / size
        elif "factor" in arrays and "used" in said:
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
    assert compare(name, claim, found)["agrees"] and not compare(name, claim, found)["better"]
    assert claim.kind in ("saddle", "minimax")
    assert_true(name, found)
