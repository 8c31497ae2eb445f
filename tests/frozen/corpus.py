"""The calls of the corpus, drawn over all combinations of options, and what is recorded of each outcome.

A call is plain JSON: a verb, names of samples, latents and players, and options. Its outcome is the method, kind,
status, numbers and keys of `stats` of what came back, or the type and first words of the error.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import convexgan as cg
from convexgan import discriminators, generators

CALLS = Path(__file__).with_name("calls.jsonl")
CERTIFICATES = Path(__file__).with_name("certificates.jsonl")
WORDS = 6  # of an error's message that are recorded
Outcome = dict[str, Any]

RNG = np.random.default_rng(20)
SAMPLES = {
    "plane": RNG.standard_normal((8, 2)) * [2.0, 0.7] + [0.5, -0.3],
    "other": RNG.standard_normal((8, 2)) + 0.4,
    "space": RNG.standard_normal((9, 3)) * [1.5, 1.0, 0.3],
    "line": RNG.standard_normal((7, 1)) + 0.2,
    "ints": RNG.integers(-3, 4, (8, 2)),
}
SAMPLES["centred"] = SAMPLES["plane"] - SAMPLES["plane"].mean(axis=0)
SAMPLES["single"] = SAMPLES["plane"].astype(np.float32)
SAMPLES["moments"] = cg.Moments.from_array(SAMPLES["plane"])
LATENTS = {
    "none": None,
    "gauss1": cg.GaussianLatent(1),
    "gauss2": cg.GaussianLatent(2),
    "gauss3": cg.GaussianLatent(3),
    "rows": RNG.standard_normal((8, 2)) * [1.0, 0.5],
    "few": RNG.standard_normal((5, 2)),
    "thin": RNG.standard_normal((8, 1)),
    "more": RNG.standard_normal((9, 3)),
}
PLAYERS = {
    "Polynomial(1, 2, 0)": discriminators.Polynomial(1.0, 2.0, 0.0),
    "ReLU(.2)": discriminators.ReLU(0.2),
    "Linear(bias)": generators.Linear(bias=True),
    "Free(5)": generators.Free(5),
    "TwoLayerReLU(bias)": generators.TwoLayerReLU(bias=True),
    "Mixture(continuous)": generators.Mixture(support="continuous"),
    "Mixture(points)": generators.Mixture(SAMPLES["other"]),
}
DISCRIMINATORS = ["linear", "quadratic", "polynomial", "relu", "Polynomial(1, 2, 0)", "ReLU(.2)"]
GENERATORS = ["linear", "free", "relu", "polynomial", "mixture", *list(PLAYERS)[2:]]
BUDGETS = [{"beta": b} for b in (0.0, 0.05, 0.3, 1.0, 30.0)] + [{"lam": v} for v in (0.0, 0.4, 3.0)]
RARE: dict[str, list[Any]] = {  # each is drawn now and then; most calls leave it out
    "regularizer": ["weights", "weights", "lifted"],
    "reduction": ["sum"],
    "bias": ["penalized", "penalized", "free"],
    "generator_penalty": [2.5],
    "tol": [1e-4],
    "max_neurons": [1, 2],
    "method": ["closed_form", "program", "cutting_planes", "fixed_patterns", "double_oracle", "semi_infinite"],
    "solver": ["CLARABEL", "SCS"],
    "solver_options": [{"max_iter": 200}],
    "gap": [0.01],
    "time_limit": [1000],
    "throw": [False],
}
OPTIONS = {  # those of the verbs that do not take all
    "certify": ("regularizer", "reduction", "bias", "generator_penalty", "tol", "time_limit"),
    "program": ("regularizer", "reduction", "bias", "generator_penalty", "tol"),
}
NOTHING: dict[str, Any] = {}


def drawn(seed: int = 0) -> Iterator[dict[str, Any]]:
    """Calls of every verb, without end, the same for the same seed."""
    rng = random.Random(seed)
    verbs = ["solve"] * 12 + ["select_method"] * 2 + ["certify"] * 3 + ["ipm", "two_sample_test", "program", "path"]
    while True:
        verb = rng.choice(verbs)
        call: dict[str, Any] = {
            "verb": verb,
            "X": rng.choice(list(SAMPLES)),
            "discriminator": rng.choice(DISCRIMINATORS),
        }
        if verb in ("ipm", "two_sample_test"):
            call["Y"] = rng.choice(["other", "plane", "line"])
            yield call | ({"bias": rng.choice(["penalized", "free"])} if rng.random() < 0.4 else NOTHING)
            continue
        call |= rng.choice(BUDGETS)
        if verb == "certify":
            call["Y"] = rng.choice(["other", "plane", "ints", "line", "moments"])
        if verb != "certify" or rng.random() < 0.3:
            call |= {"generator": rng.choice(GENERATORS), "Z": rng.choice(list(LATENTS))}
        rare, taken = 0.2 if rng.random() < 0.5 else 0.05, OPTIONS.get(verb, tuple(RARE))
        yield call | {name: rng.choice(RARE[name]) for name in taken if rng.random() < rare}


def outcome(call: dict[str, Any]) -> tuple[Outcome, list[cg.records.certificate.Certificate]]:
    """What a call gives, and its certificates."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found = answer(dict(call))
        except Exception as error:
            return {"error": type(error).__name__, "words": " ".join(str(error).split()[:WORDS])}, []
    recorded, certificates = described(found)
    if said:
        recorded["warned"] = sorted({" ".join(str(w.message).split()[:WORDS]) for w in said})
    return recorded, certificates


def answer(call: dict[str, Any]) -> Any:
    """The call, made."""
    verb, X = call.pop("verb"), SAMPLES[call.pop("X")]
    for name in ("discriminator", "generator"):
        if name in call:
            call[name] = PLAYERS.get(call[name], call[name])
    if verb in ("ipm", "two_sample_test"):
        extra = {"permutations": 9, "rng": 0} if verb == "two_sample_test" else {}
        return getattr(cg, verb)(X, SAMPLES[call.pop("Y")], call.pop("discriminator"), **extra, **call)
    Z = LATENTS[call.pop("Z", "none")]
    if verb == "certify":
        return cg.certify(X, SAMPLES[call.pop("Y")], **({} if Z is None else {"Z": Z}), **call)
    if verb == "path":
        beta = call.pop("beta", None)
        betas = [1.0] if beta is None else [beta, 2 * beta]
        return cg.path(X, Z, betas, **call)
    if verb == "program":
        return cg.program(X, Z, **call).problem
    return getattr(cg, verb)(X, Z, **call)


def described(found: Any) -> tuple[Outcome, list[cg.records.certificate.Certificate]]:
    """What is recorded of an answer, and its certificates."""
    if isinstance(found, list):
        parts = [described(one) for one in found]
        return {"list": [one for one, _ in parts]}, [c for _, many in parts for c in many]
    if isinstance(found, cg.records.certificate.Certificate):
        return numbers(found), [found]
    if isinstance(found, cg.Solution):
        recorded = {"status": str(found.status), "method": found.method, "stats": sorted(found.stats)}
        if found.certificate is None:
            return recorded, []
        return recorded | numbers(found.certificate), [found.certificate]
    if isinstance(found, tuple):
        return {"method": found[0], "reason": found[1]}, []
    if hasattr(found, "constraints"):  # a cvxpy problem
        return {"constraints": len(found.constraints), "convex": found.is_dcp()}, []
    names = ("value", "upper_bound", "exact", "status", "p_value", "sign")
    return {name: plain(getattr(found, name)) for name in names if hasattr(found, name)}, []


def numbers(certificate: cg.records.certificate.Certificate) -> Outcome:
    """Kind, width and numbers of a certificate."""
    names = ("kind", "value", "bound", "ipm", "violation", "max_min", "min_neurons", "origin")
    return {name: plain(getattr(certificate, name)) for name in names}


def plain(value: Any) -> Any:
    """As JSON has it, numbers to the last bit."""
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else str(float(value))
    return value if isinstance(value, bool | int | None) else str(value)


def read(path: Path) -> list[Any]:
    """The lines of one of the files."""
    return [json.loads(line) for line in path.read_text().splitlines()]
