"""Certificates: both best responses checked from outside, wrong generators told apart, forgeries found."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import convexgan as cg
from convexgan.records.certificate import KINDS, relative_gap
from tests.generators import CELLS, Case, brute_ipm, coefficients, quadratic_cases, rows, second, seeds

BUDGETS = [{"beta": 0.37}, {"lam": 0.9}]
SAMPLED = {n: c for n, c in CELLS.items() if isinstance(c.Z, np.ndarray)}

budget = pytest.mark.parametrize("budget", BUDGETS, ids=str)
sampled = pytest.mark.parametrize("name", SAMPLED)


def lift(case, Z):
    return cg.generators.as_generator(case.options.get("generator", "linear")).lift(Z)


def cost(case, W, F, penalty=1.0):
    if case.options.get("regularizer", "output") != "output":
        return penalty * np.sum(W**2)
    return penalty * np.mean(np.sum((F @ W) ** 2, axis=1))


# -- both best responses, from outside -------------------------------------------------------------------------


@sampled
@budget
def test_no_neuron_sees_more_than_ipm(name, budget):
    case = SAMPLED[name]
    sol = case.solve(**budget)
    found = brute_ipm(case.X, sol.generator(case.Z), *coefficients(case))
    assert found <= sol.certificate.ipm * (1 + 1e-9) + 1e-12
    assert found == pytest.approx(sol.certificate.ipm, rel=1e-6, abs=1e-9)


@sampled
@budget
def test_no_generator_does_better_against_the_discriminator(name, budget):
    """max_min is the minimum over weights of mean D(X) - mean D(G) + R - beta |v|: smooth, so BFGS finds it."""
    case = SAMPLED[name]
    sol = case.solve(**budget)
    D, F = sol.discriminator, lift(case, case.Z)
    base = D(case.X).mean() - budget.get("beta", 0) * D.norm

    def payoff(w):
        W = w.reshape(-1, 2)
        return base - D(F @ W).mean() + cost(case, W, F)

    starts = [np.zeros(2 * F.shape[1]), *np.random.default_rng(0).standard_normal((3, 2 * F.shape[1]))]
    best = min(minimize(payoff, w, method="BFGS", options={"gtol": 1e-10}).fun for w in starts)
    scale = max(abs(sol.value), 1e-3)
    assert best >= sol.certificate.max_min - 1e-6 * scale
    assert best == pytest.approx(sol.certificate.max_min, abs=1e-4 * scale)
    if "lam" in budget:
        assert D.norm <= budget["lam"] * (1 + 1e-9)


@given(quadratic_cases() | quadratic_cases("weights"), st.integers(0, 5))
def test_the_bound_bounds_every_generator(case, seed):
    sol = case.solve()
    F, g = case.Z, case.options["generator_penalty"]
    rng = np.random.default_rng(seed)
    near = [sol.generator.weights + s * rng.standard_normal(sol.generator.weights.shape) for s in (1e-4, 0.01, 1)]
    for W in (*near, 0 * near[0], 1.01 * sol.generator.weights, 0.99 * sol.generator.weights):
        ipm = np.abs(np.linalg.eigvalsh(second(case.X) - second(F @ W))).max()
        if "beta" in case.options:
            if ipm > case.options["beta"]:
                continue
            ipm = 0
        value = cost(case, W, F, g) + case.options.get("lam", 0) * ipm
        assert value >= sol.certificate.bound - 1e-9 * (1 + value)


# -- certify -----------------------------------------------------------------------------------------------------


@sampled
@budget
@pytest.mark.parametrize("known", [False, True])
def test_certify_recognises_the_optimum(name, budget, known):
    case = SAMPLED[name]
    sol = case.solve(**budget)
    options = {k: v for k, v in case.options.items() if k != "generator"}
    if known or options.get("regularizer"):
        options |= {"generator": case.options.get("generator", "linear"), "Z": case.Z}
    found = cg.certify(case.X, sol.generator(case.Z), **options, **budget, tol=1e-5)
    assert found.value == pytest.approx(sol.value, rel=1e-7)
    assert found.ipm == pytest.approx(sol.certificate.ipm, rel=1e-6)
    if "Z" in options or not name.startswith("linear"):
        assert found.bound <= sol.value * (1 + 1e-6)
    if "Z" in options:
        assert found.kind in ("saddle", "minimax")
        assert found.bound == pytest.approx(sol.certificate.bound, rel=1e-6)


X = rows([4.0, 2.0, 0.7], 2)
Z = rows([1.0, 1.0, 1.0, 1.0], 4)


def wrong(kind, Y):
    rng = np.random.default_rng(0)
    return {
        "larger": lambda: 1.02 * Y,
        "smaller": lambda: 0.9 * Y,
        "turned": lambda: Y[:, [1, 2, 0]],
        "noised": lambda: Y + 0.2 * rng.standard_normal(Y.shape),
        "shifted": lambda: Y + 0.3,
        "nothing": lambda: 0 * Y,
        "data": lambda: X.copy(),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("larger", "bounded"),
        ("smaller", "infeasible"),
        ("turned", "infeasible"),
        ("nothing", "infeasible"),
        ("noised", None),
        ("shifted", None),
        ("data", "bounded"),
    ],
)
@pytest.mark.parametrize("discriminator", ["quadratic", "polynomial"])
def test_wrong_generators_are_told_apart(kind, expected, discriminator):
    slope = 1 if discriminator == "quadratic" else 0.09375
    options = {"discriminator": discriminator, "beta": 0.5 * slope}
    sol = cg.solve(X, Z, **options)
    Y = wrong(kind, sol.generator(Z))
    found = cg.certify(X, Y, **options)
    assert found.ipm == pytest.approx(cg.ipm(X, Y, discriminator).value, rel=1e-9)
    assert found.value == pytest.approx(np.mean(np.sum(Y**2, 1)), rel=1e-12)
    assert found.bound == pytest.approx(sol.value, rel=1e-9)
    assert not found.optimal(1e-3)
    assert found.kind in ((expected,) if expected else ("bounded", "infeasible"))
    assert (found.gap == math.inf) == (found.kind == "infeasible") == (found.violation > 1e-6)
    lam = cg.certify(X, Y, discriminator=discriminator, lam=1.4 / slope)
    best = cg.solve(X, Z, discriminator=discriminator, lam=1.4 / slope)
    assert lam.kind == "bounded" and lam.gap > 1e-4
    assert lam.bound == pytest.approx(best.value, rel=1e-9)


def test_rows_that_are_no_image_of_Z_are_refused():
    Y = np.random.default_rng(0).standard_normal((len(Z), 3))
    with pytest.raises(ValueError, match="not the image"):
        cg.certify(X, Y, beta=0.5, generator="linear", Z=Z)
    with pytest.raises(ValueError, match="same number of rows"):
        cg.certify(X, Y[:3], beta=0.5, generator="linear", Z=Z)
    with pytest.raises(ValueError, match="weights"):
        cg.certify(X, Y, beta=0.5, regularizer="weights")
    with pytest.raises(ValueError, match="columns"):
        cg.certify(X, Y[:, :2], beta=0.5)


@pytest.mark.parametrize(
    "latents", [cg.GaussianLatent(2), cg.Moments.from_array(rows([4.0, 0.5], 1))], ids=["law", "moments"]
)
def test_of_a_class_with_a_law_of_latents_only_laws_are_certified_and_all_of_those_are_verified(latents):
    """Drawn rows have a mean and a second moment that no generator of the class has: a referee finds no such law."""
    options = {"beta": 0.5, "generator": "linear", "Z": latents}
    W = np.random.default_rng(0).standard_normal((2, 3))
    drawn = np.random.default_rng(1).standard_normal((500, 2)) @ W
    for Y in (drawn, cg.Moments.from_array(drawn)):
        with pytest.raises(ValueError, match="no linear generator of these latents has Y's mean and second moment"):
            cg.certify(X, Y, **options)
    law = cg.Moments.of_law(np.zeros(3), W)
    if isinstance(latents, cg.Moments):
        law = cg.Moments.from_array(rows([4.0, 0.5], 1) @ W)
    found = cg.certify(X, law, **options)
    assert not cg.verify(found, X).agreement.differing
    assert cg.certify(X, drawn, beta=0.5).bound <= found.bound * (1 + 1e-9)


@pytest.mark.parametrize("regularizer", ["output", "weights"])
def test_certify_weighs_the_least_weights(regularizer):
    W = np.random.default_rng(0).standard_normal((2, 3))
    latents = rows([4.0, 0.5], 1)
    found = cg.certify(X, latents @ W, beta=30.0, generator="linear", Z=latents, regularizer=regularizer)
    expected = np.sum(W**2) if regularizer == "weights" else np.mean(np.sum((latents @ W) ** 2, 1))
    assert found.value == pytest.approx(expected, rel=1e-10)


def test_a_law_outside_the_class_cannot_beat_its_bound():
    """With Z known only by its moments, rows that no generator of the class makes must not look optimal."""
    latents = np.random.default_rng(0).standard_normal((50, 2)) + 0.5
    data = np.array([[1.0, 0.0], [1.0, 1.0]])
    target = data.mean(0) * (1 - 0.1 / np.linalg.norm(data.mean(0)))
    options = {"discriminator": "linear", "beta": 0.1, "generator": "linear", "Z": cg.Moments.from_array(latents)}
    try:
        found = cg.certify(data, np.tile(target, (3, 1)), **options)
    except ValueError:
        return
    assert not found.optimal()
    assert found.kind != "saddle"


def test_a_value_below_the_bound_is_not_a_saddle():
    """Allowed a violation within tol, a generator may cost less than the optimum; but not by 100 % and "saddle"."""
    found = cg.certify(np.diag([2.0, 1.0]), np.zeros((2, 2)), beta=2.0 - 1e-6)
    assert found.value == 0 < found.bound
    assert not found.optimal(1e-6)


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e6])
def test_certify_in_any_units(size):
    sol = cg.solve(size * X, Z, beta=0.5 * size**2)
    Y = sol.generator(Z)
    assert cg.certify(size * X, Y, beta=0.5 * size**2).optimal(1e-9)
    assert cg.certify(size * X, 0.99 * Y, beta=0.5 * size**2).kind == "infeasible"
    assert cg.certify(size * X, 1.001 * Y, beta=0.5 * size**2).kind == "bounded"


# -- the record ----------------------------------------------------------------------------------------------


@given(seeds)
def test_gap_and_violation_are_as_defined(seed):
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((9, 3)) * rng.uniform(0.5, 3)
    found = cg.certify(X, Y, beta=1.0)
    scale = max(1.0, np.abs(np.linalg.eigvalsh(second(X))).max())
    assert found.violation == pytest.approx(max(found.ipm - 1, 0))
    assert found.relative_violation == pytest.approx(found.violation / scale)
    if found.relative_violation > 1e-6:
        assert found.kind == "infeasible" and found.gap == found.absolute_gap == math.inf
    else:
        assert found.gap == pytest.approx((found.value - found.bound) / found.value)
        assert found.absolute_gap == pytest.approx(found.value - found.bound)


@pytest.mark.parametrize(
    ("value", "bound", "gap"), [(0, 0, 0), (2, 1, 0.5), (-1, -2, 0.5), (1, math.inf, math.inf), (0, -1, 1)]
)
def test_relative_gap(value, bound, gap):
    assert relative_gap(value, bound) == gap


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6])
def test_tol_decides_the_kind(gap, tol):
    Y = cg.solve(X, Z, beta=0.5).generator(Z) * np.sqrt(1 / (1 - gap))
    found = cg.certify(X, Y, beta=0.5, tol=tol)
    assert found.kind == ("saddle" if gap < tol else "bounded")
    assert found.optimal() == (gap < tol)
    assert found.optimal(1e-1) == (gap < tol)  # a kind is not upgraded by asking
    assert not found.optimal(gap / 10)


@pytest.mark.parametrize("tol", [0, -1, np.nan, "small"])
def test_tol_is_a_positive_number(tol):
    for call in (lambda: cg.certify(X, X, beta=0.5, tol=tol), lambda: cg.solve(X, Z, beta=0.5, tol=tol)):
        with pytest.raises(ValueError, match="tol"):
            call()


@pytest.mark.parametrize("name", CELLS)
@budget
def test_json_round_trip_and_verification(name, budget):
    case = CELLS[name]
    claim = case.solve(**budget).certificate
    read = cg.Certificate.from_json(claim.to_json())
    assert read == claim
    again = cg.verify(read, case.X)
    assert (again.kind, again.min_neurons, again.origin) == (claim.kind, claim.min_neurons, claim.origin)
    for field in ("value", "bound", "ipm", "max_min"):
        assert getattr(again, field) == pytest.approx(getattr(claim, field), rel=1e-9, abs=1e-12)
    assert json.loads(claim.to_json())["gap"] == claim.gap


def test_infinities_survive_json():
    bad = cg.certify(X, 0 * X, beta=0.1)
    assert bad.gap == math.inf
    text = bad.to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert cg.Certificate.from_json(text) == bad


def test_print_says_what_is_proved():
    for case, word in (
        (cg.certify(X, 0 * X, beta=0.1), "infeasible"),
        (cg.solve(X, Z, beta=0.1).certificate, "saddle"),
    ):
        assert word in str(case) and KINDS[word] in str(case) and f"{case.value:.10g}" in str(case)


# -- files -------------------------------------------------------------------------------------------------------

LARGE = np.random.default_rng(0).standard_normal((300, 120)) * 3


@pytest.fixture(scope="module")
def large():
    """A certificate of 120 columns, of which two arrays are large."""
    return cg.solve(LARGE, cg.GaussianLatent(120), beta=0.0)


def written(certificate, path):
    """The arrays that a file of the certificate is written with."""
    certificate.save(path)
    with np.load(f"{path}.npz") as file:
        return {name: file[name] for name in file.files}


def test_the_files_of_a_certificate_are_the_certificate(large, tmp_path):
    claim, path = large.certificate, tmp_path / "cert.json"
    arrays = written(claim, path)
    assert arrays.keys() == {"factor", "neurons"} and path.stat().st_size < 10_000 + 30 * 4 * 120
    (tmp_path / "whole.json").write_text(claim.to_json())
    for name in ("cert.json", "whole.json"):
        read = cg.Certificate.load(tmp_path / name)
        assert read == claim and read.evidence.settings == claim.evidence.settings
        for array in claim.evidence.arrays:
            assert read.evidence.arrays[array].tobytes() == claim.evidence.arrays[array].tobytes()
        assert cg.verify(read, LARGE).agreement.agrees
    TRUE["saddle"].save(path)  # over it: what is beside would be of another
    assert cg.Certificate.load(path) == TRUE["saddle"] and not (tmp_path / "cert.json.npz").exists()
    TRUE["saddle"].save(path)


def test_solutions_hold_large_evidence_once(large, tmp_path):
    large.save(tmp_path / "sol.npz")
    read = cg.load(tmp_path / "sol.npz").certificate
    assert read == large.certificate
    for name, array in large.certificate.evidence.arrays.items():
        assert read.evidence.arrays[name].tobytes() == array.tobytes()
    with np.load(tmp_path / "sol.npz") as file:
        assert "evidence.factor" in file and file["settings.json"].size < 10_000 + 30 * 4 * 120


FORGED = {
    "edited": lambda a: a | {"factor": a["factor"] * np.where(np.arange(120) == 7, 1 + 2**-52, 1)},
    "turned": lambda a: a | {"factor": a["factor"].T.copy()},
    "swapped": lambda a: {"factor": a["neurons"], "neurons": a["factor"]},
    "left out": lambda a: {"factor": a["factor"]},
    "rounded": lambda a: a | {"neurons": a["neurons"].astype(np.float32)},
    "complex": lambda a: a | {"neurons": a["neurons"].astype(complex)},
    "words": lambda a: a | {"neurons": a["neurons"].astype(str)},
    "objects": lambda a: a | {"neurons": a["neurons"].astype(object)},
}


@pytest.mark.parametrize("change", FORGED)
def test_what_is_changed_beside_a_certificate_is_found(large, tmp_path, change):
    path = tmp_path / "cert.json"
    arrays = written(large.certificate, path)
    cg.Certificate.load(path)
    np.savez(f"{path}.npz", **FORGED[change](arrays))
    with pytest.raises(
        ValueError, match=r"cert\.json: (factor|neurons) of its evidence [^\n]*make the certificate again"
    ):
        cg.Certificate.load(path)


def test_what_is_torn_or_of_another_certificate_is_found(large, tmp_path):
    path, beside = tmp_path / "cert.json", tmp_path / "cert.json.npz"
    written(cg.solve(LARGE, cg.GaussianLatent(120), beta=0.1).certificate, path)
    other = beside.read_bytes()
    written(large.certificate, path)
    whole = beside.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (other, bytes(flipped), b"", b"words", *(whole[: len(whole) * i // 7] for i in range(1, 7))):
        beside.write_bytes(content)
        with pytest.raises(ValueError, match=r"^[^\n]*cert\.json: (factor|neurons) of its evidence [^\n]*$"):
            cg.Certificate.load(path)
    beside.unlink()
    with pytest.raises(FileNotFoundError, match=r"cert\.json\.npz, which holds its evidence, is not beside it"):
        cg.Certificate.load(path)
    with pytest.raises(ValueError, match=r"read both with Certificate\.load"):
        cg.Certificate.from_json(path.read_text())
    with pytest.raises(ValueError, match=r"cert\.json is not a convexgan certificate"):
        path.write_text("{}")
        cg.Certificate.load(path)


# -- forgeries ---------------------------------------------------------------------------------------------------


def forged(certificate, settings=None, arrays=None, **fields):
    evidence = certificate.evidence
    evidence = replace(evidence, settings=evidence.settings | (settings or {}), arrays=evidence.arrays | (arrays or {}))
    return cg.Certificate.from_json(replace(certificate, evidence=evidence, **fields).to_json())


def exposed(certificate, data=X):
    """Whether recomputing refuses the file or disagrees with what it claims."""
    try:
        found = cg.verify(certificate, data)
    except ValueError:
        return True
    same = all(
        math.isclose(getattr(found, f), getattr(certificate, f), rel_tol=1e-9, abs_tol=1e-12)
        for f in ("value", "bound", "ipm", "violation", "relative_violation", "max_min")
    )
    return not (same and found.kind == certificate.kind and found.min_neurons == certificate.min_neurons)


Y = cg.solve(X, Z, beta=1.0).generator(Z)
TRUE = {
    "saddle": cg.solve(X, Z, beta=1.0).certificate,  # two neurons in three dimensions
    "bounded": cg.certify(X, 1.1 * Y, beta=1.0),
    "infeasible": cg.certify(X, 0.9 * Y, beta=1.0),
    "lam": cg.solve(X, Z, lam=1.5).certificate,
    "weights": cg.solve(X, rows([4.0, 2, 1]), beta=1.0, regularizer="weights").certificate,
}
claims = pytest.mark.parametrize("name", TRUE)


@claims
def test_true_claims_stand(name):
    assert not exposed(forged(TRUE[name]))


@claims
@pytest.mark.parametrize("field", ["value", "bound", "ipm", "violation", "relative_violation", "max_min"])
def test_forged_numbers(name, field):
    claim = TRUE[name]
    assert exposed(forged(claim, **{field: getattr(claim, field) + 0.01}))


@claims
@pytest.mark.parametrize("kind", ["saddle", "minimax", "bounded", "restricted", "infeasible", "stationary"])
def test_forged_kind(name, kind):
    claim = TRUE[name]
    if kind == claim.kind:
        return
    if claim.kind == "bounded" and kind in ("restricted", "stationary"):
        return  # a weaker claim about how the rows came to be: data cannot contradict it
    assert exposed(forged(claim, kind=kind))


@claims
@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("factor", lambda a: 1.02 * a),
        ("factor", lambda a: a[:, ::-1]),
        ("factor", lambda a: a[:-1]),
        ("mean", lambda a: a + 7.0),
        ("neurons", lambda a: 1.02 * a),
        ("neurons", lambda a: a[:, ::-1]),
        ("outer", lambda a: 0.9 * a),
        ("outer", lambda a: -a),
    ],
)
def test_forged_evidence(name, array, change):
    claim = TRUE[name]
    assert exposed(forged(claim, arrays={array: change(claim.evidence.arrays[array])}))


def test_the_latent_values_matter_under_weights():
    claim = TRUE["weights"]
    assert exposed(forged(claim, arrays={"latent_values": 1.1 * claim.evidence.arrays["latent_values"]}))


def test_neurons_longer_than_one_prove_nothing():
    """The penalty beta |v|_1 is for unit neurons: long ones with small weights would hide from it."""
    claim = TRUE["bounded"]
    neurons, outer = claim.evidence.arrays["neurons"], claim.evidence.arrays["outer"]
    long = forged(claim, arrays={"neurons": 100 * neurons, "outer": outer / 100**2})
    with pytest.raises(ValueError, match="unit"):
        cg.verify(long, X)
    false = None
    for size in np.linspace(1, 3, 2001):  # long enough to "prove" that the 10 % too costly rows are optimal
        short = forged(claim, arrays={"neurons": size * neurons, "outer": outer / size**2})
        try:
            found = cg.verify(short, X)
        except ValueError:
            return
        if found.kind == "saddle":
            false = found
            break
    assert false is None


@claims
@pytest.mark.parametrize("setting", ["beta", "lam", "penalty", "value_scale", "rows"])
def test_forged_settings(name, setting):
    claim = TRUE[name]
    true = claim.evidence.settings[setting]
    change = (true or 0) + 1 if setting in ("rows", "min_neurons") else (true or 0.2) * 1.1
    assert exposed(forged(claim, settings={setting: change}))


@claims
def test_other_data(name):
    assert exposed(TRUE[name], 1.01 * X)
    assert exposed(TRUE[name], X[:, ::-1] + 0.1)
    assert exposed(TRUE[name], X[:, :2])


def test_a_forged_tolerance_does_not_make_a_saddle():
    """Ten percent above the optimum, every field consistent with tol = 0.5."""
    false = forged(TRUE["bounded"], tol=0.5, kind="saddle", bound=TRUE["bounded"].max_min)
    assert exposed(false)


def test_a_forged_width_is_found():
    for width in (1, 3, 7, None):
        assert exposed(forged(TRUE["saddle"], min_neurons=width)), width


def test_a_forged_class_does_not_pass():
    """Latents of negative variance, or a mean beyond the second moment, belong to no class."""
    claim = TRUE["weights"]
    for arrays in (
        {"latent_values": -claim.evidence.arrays["latent_values"]},
        {"latent_mean": np.array([3.0, 0.0, 0.0])},
        {"latent_values": claim.evidence.arrays["latent_values"][::-1].copy()},
    ):
        with pytest.raises(ValueError, match="certificate"):
            cg.verify(forged(claim, arrays=arrays), X)


def test_a_law_outside_the_class_is_exposed():
    """linear discriminator, kappa < 1: a constant with the optimal mean costs less than the class allows."""
    latents = np.random.default_rng(0).standard_normal((50, 2)) + 0.5
    data = np.array([[1.0, 0.0], [1.0, 1.0]])
    sol = cg.solve(data, latents, discriminator="linear", beta=0.1)
    mean = sol.certificate.evidence.arrays["mean"]
    false = forged(sol.certificate, arrays={"factor": mean[None, :]}, settings={"used": [0]})
    with pytest.raises(ValueError, match=r"law|class"):
        cg.verify(false, data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"format": "other"}',
        lambda c: c.replace('"version": 2', '"version": 4'),
        lambda c: c.replace('"value"', '"valve"'),
        lambda c: c.replace('"kind": "saddle"', '"kind": "perfect"'),
        lambda c: c.replace('"shape": [', '"shape": [9, '),
        lambda c: c[:-20],
    ],
)
def test_other_texts_are_not_certificates(text):
    text = text(TRUE["saddle"].to_json()) if callable(text) else text
    with pytest.raises(ValueError, match="not a convexgan certificate"):
        cg.Certificate.from_json(text)


@pytest.mark.parametrize("change", ["drop", "shape", "type", "nan"])
@pytest.mark.parametrize("array", ["factor", "mean", "neurons", "outer", "biases", "latent_values", "latent_mean"])
def test_damaged_evidence_is_a_value_error(array, change):
    content = json.loads(TRUE["saddle"].to_json())
    arrays = content["evidence"]["arrays"]
    if change == "drop":
        del arrays[array]
    elif change == "shape":
        arrays[array] = {"shape": [1, 1, 1], "data": [1.0]}
    elif change == "type":
        arrays[array] = {"shape": [2], "data": ["a", "b"]}
    else:
        arrays[array]["data"] = [math.nan] * len(arrays[array]["data"])
    with pytest.raises(ValueError, match="certificate"):
        cg.verify(cg.Certificate.from_json(json.dumps(content)), X)


def test_no_evidence_no_verification():
    bare = replace(TRUE["saddle"], evidence=None)
    with pytest.raises(ValueError, match="no evidence"):
        cg.verify(cg.Certificate.from_json(bare.to_json()), X)


def test_verification_under_sum():
    options = {"beta": 3.0, "reduction": "sum"}
    case = Case(rows([4.0, 2.0], n=6), rows([1.0, 1.0], n=6), options)
    claim = case.solve().certificate
    again = cg.verify(claim, case.X)
    assert (again.kind, again.min_neurons, again.origin) == (claim.kind, claim.min_neurons, claim.origin)
    for field in ("value", "bound", "ipm", "max_min"):
        assert getattr(again, field) == pytest.approx(getattr(claim, field), rel=1e-12)
    assert exposed(forged(claim, settings={"rows": 5, "value_scale": 5.0}), case.X)
