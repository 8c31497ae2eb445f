"""Games on labelled rows: each class by itself, and one certificate for all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import convexgan as cg
from convexgan.cli.app import app
from convexgan.gaussian import squared_wasserstein
from convexgan.records.certificate import Certificate


def sample(seed=0, n=90, d=3, classes=("a", "b", "c")):
    """Rows of unequal classes, each with a covariance of its own, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.array(classes)[np.minimum(rng.geometric(0.5, n) - 1, len(classes) - 1)]
    scales = {label: 0.5 + rng.uniform(0, 2, d) for label in classes}
    return np.stack([rng.standard_normal(d) * scales[label] for label in labels]), labels


def joint_program(X, labels, beta):
    """The whole game in one program: second moments S_c >= 0 with pi_c |S(X_c) - S_c| <= beta."""
    import cvxpy as cp

    cost, constraints = 0, []
    for label in np.unique(labels):
        rows, share = X[labels == label], np.mean(labels == label)
        S = cp.Variable((X.shape[1],) * 2, PSD=True)
        cost += share * cp.trace(S)
        gap, limit = rows.T @ rows / len(rows) - S, beta / share * np.eye(X.shape[1])
        constraints += [limit - gap >> 0, limit + gap >> 0]
    problem = cp.Problem(cp.Minimize(cost), constraints)
    return problem.solve(solver="CLARABEL")


@pytest.mark.parametrize("beta", [0.01, 0.2, 1.0, 5.0])
def test_the_value_is_that_of_the_whole_game_in_one_program(beta):
    X, labels = sample()
    sol = cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=beta)
    assert sol.value == pytest.approx(joint_program(X, labels, beta), rel=1e-6, abs=1e-7)
    assert sol.certificate.kind == "saddle" and sol.status == "optimal"
    assert sol.certificate.ipm <= beta * (1 + 1e-9) or beta == 5.0


@given(st.integers(0, 10**6), st.floats(0.0, 2.0), st.sampled_from(["quadratic", "linear", "polynomial"]))
def test_numbers_are_bounds_and_add_up(seed, beta, discriminator):
    X, labels = sample(seed, n=40)
    sol = cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=beta, discriminator=discriminator, generator=LINEAR)
    shares = dict(zip(sol.classes, sol.shares, strict=True))
    parts = {label: sol[label].certificate for label in sol.classes}
    proof = sol.certificate
    assert proof.value == pytest.approx(sum(shares[c] * p.value for c, p in parts.items()), rel=1e-12, abs=1e-12)
    assert proof.value >= sum(shares[c] * p.value for c, p in parts.items()) * (1 - 1e-15)
    assert proof.bound <= sum(shares[c] * p.bound for c, p in parts.items()) + 1e-15
    assert proof.ipm >= max(shares[c] * p.ipm for c, p in parts.items()) * (1 - 1e-15)
    assert proof.gap <= 1e-6 and proof.kind in ("saddle", "minimax")
    widths = [p.min_neurons for p in parts.values()]
    assert proof.min_neurons == (None if None in widths else sum(widths))


LINEAR = cg.generators.Linear(bias=True)


def test_nothing_better_is_feasible():
    """Shrinking or turning one class's law within the constraint costs no less; leaving it, the certificate says so."""
    X, labels = sample(3)
    sol = cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=0.3)
    rng, better = np.random.default_rng(0), []
    for _ in range(300):
        cost, worst = 0.0, 0.0
        for label, share in zip(sol.classes, sol.shares, strict=True):
            W = sol[label].generator.weights + 0.2 * rng.standard_normal((3, 3)) * rng.uniform(0, 1)
            rows = X[labels == label]
            worst = max(worst, share * np.linalg.norm(rows.T @ rows / len(rows) - W.T @ W, 2))
            cost += share * np.sum(W**2)
        better.append(cost < sol.certificate.bound and worst <= 0.3)
    assert not any(better)


def test_labels_of_one_class_are_the_plain_game():
    X, _ = sample()
    plain, one = (cg.solve(X, cg.GaussianLatent(3), beta=0.2, **how) for how in ({}, {"labels": [7] * len(X)}))
    assert one.classes == (7,) and one.value == pytest.approx(plain.value, rel=1e-14)
    np.testing.assert_array_equal(one[7].generator.weights, plain.generator.weights)


@pytest.mark.parametrize("discriminator", ["quadratic", "polynomial", "relu"])
def test_a_certificate_is_verified_from_labelled_rows(discriminator):
    X, labels = sample(1, n=40, d=2)
    options = {"generator": "mixture", "Z": None} if discriminator == "relu" else {"Z": cg.GaussianLatent(2)}
    sol = cg.solve(X, labels=labels, beta=0.5, discriminator=discriminator, **options)
    claim = Certificate.from_json(sol.certificate.to_json())
    found = cg.verify(claim, X, labels=labels)
    assert found.agreement.agrees, found.agreement
    order = np.random.default_rng(0).permutation(len(X))
    assert cg.verify(claim, X[order], labels=labels[order]).agreement.agrees
    other = labels[np.random.default_rng(1).permutation(len(X))]  # as many of each class, of other rows
    assert not cg.verify(claim, X, labels=other).agreement.agrees


def test_claims_that_are_changed_differ():
    X, labels = sample(2)
    claim = cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=0.3).certificate
    content = json.loads(claim.to_json())
    for name, factor in (("value", 0.99), ("bound", 1.01), ("ipm", 0.9), ("min_neurons", 2)):
        changed = json.loads(json.dumps(content))
        changed[name] = type(changed[name])(changed[name] * factor)
        assert name in cg.verify(Certificate.from_json(json.dumps(changed)), X, labels=labels).agreement.differing
    for damage, message in (
        (lambda c: c["settings"]["parts"].pop(), "one part for each"),
        (lambda c: c["settings"]["parts"][0].update(beta=9.0), "share of the rows"),
        (lambda c: c["settings"]["parts"][0].update(game="conditional"), "classes have classes"),
        (lambda c: c["settings"].pop("classes"), "damaged"),
        (lambda c: c["arrays"].pop("class 0.factor"), "damaged"),
        (lambda c: c["settings"].update(classes=["a", "b", "d"]), "'c' is none of the classes"),
    ):
        changed = json.loads(json.dumps(content))
        damage(changed["evidence"])
        with pytest.raises(ValueError, match=message):
            cg.verify(Certificate.from_json(json.dumps(changed)), X, labels=labels)


def test_players_take_labels():
    X, labels = sample(4)
    sol = cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=0.2)
    Z = np.random.default_rng(0).standard_normal((50, 3))
    asked = np.random.default_rng(1).choice(sol.classes, 50)
    rows = sol.generator(Z, asked)
    for label in sol.classes:
        np.testing.assert_array_equal(rows[asked == label], sol[label].generator(Z[asked == label]))
    scores = sol.discriminator(X, labels)
    payoff = sum(
        share * (scores[labels == c].mean() - expected(sol[c]))
        for c, share in zip(sol.classes, sol.shares, strict=True)
    )
    norm = sum(np.abs(sol[c].discriminator.outer).sum() for c in sol.classes)
    assert payoff + sol.value - 0.2 * norm == pytest.approx(sol.certificate.max_min, rel=1e-6)
    drawn, of = sol.sample(3000, rng=0)
    assert drawn.shape == (3000, 3) and np.mean(of == "a") == pytest.approx(sol.shares[0], abs=0.05)
    only, of = sol.sample(5, rng=0, label="b")
    assert only.shape == (5, 3) and set(of) == {"b"}
    np.testing.assert_array_equal(sol.sample(4, rng=3)[0], sol.sample(4, rng=3)[0])


def expected(solution):
    """The discriminator's mean over the generator's law, in closed form: outer |W u|^2."""
    critic, W = solution.discriminator, solution.generator.weights
    return float(critic.outer @ np.sum((critic.neurons @ W.T) ** 2, axis=1))


@pytest.mark.parametrize("discriminator", ["quadratic", "polynomial"])
def test_rows_are_moved_from_class_to_class_along_the_shortest_path(discriminator):
    X, labels = sample(8)
    X = X + 2 * (labels == "b")[:, None]
    sol = cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=0.1, discriminator=discriminator, generator=LINEAR)
    (a, A), (b, B) = (moments_of(sol[label]) for label in "ab")
    whole = squared_wasserstein(A, B, a, b)
    for share in (0.0, 0.25, 1.0):
        eye = sol.transport(np.vstack([a, a + np.eye(3)]), "a", "b", share)  # an affine map, read off its corners
        mean, turned = eye[0], eye[1:] - eye[0]
        moved = squared_wasserstein(A, turned.T @ A @ turned, a, mean)
        assert moved == pytest.approx(share**2 * whole, rel=1e-6, abs=1e-9)
        left = squared_wasserstein(turned.T @ A @ turned, B, mean, b)
        assert left == pytest.approx((1 - share) ** 2 * whole, rel=1e-6, abs=1e-9)
    relu = cg.solve(X[:, :1], labels=labels, beta=0.5, discriminator="relu", generator="mixture")
    with pytest.raises(ValueError, match="class 'a' has no moments"):
        relu.transport(X[:, :1], "a", "b")
    with pytest.raises(ValueError, match="'z' is none of the classes"):
        sol.transport(X, "a", "z")


def moments_of(solution):
    """Mean and covariance of a linear generator of standard Gaussian latents."""
    W, bias = solution.generator.weights, solution.generator(np.zeros((1, 3)))[0]
    return bias, W.T @ W


def test_files_come_back(tmp_path):
    X, labels = sample(5, classes=(3, 1, 20))
    sol = cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=0.2)
    sol.save(tmp_path / "s.npz")
    again = cg.load(tmp_path / "s.npz")
    assert again.classes == sol.classes == (1, 3, 20) and again.counts == sol.counts
    np.testing.assert_array_equal(again.sample(9, rng=0)[0], sol.sample(9, rng=0)[0])
    assert cg.verify(again.certificate, X, labels=labels).agreement.agrees
    assert str(again) == str(sol) and "3 classes" in str(sol)


def test_the_smallest_beta_of_all_classes_is_named():
    X, labels = sample(6)
    with pytest.raises(cg.InfeasibleError, match=r"for all classes together; class .* by itself") as error:
        cg.solve(X, cg.GaussianLatent(1), labels=labels, beta=0.0)
    smallest = error.value.smallest_beta
    assert cg.solve(X, cg.GaussianLatent(1), labels=labels, beta=smallest).certificate.kind == "saddle"
    with pytest.raises(cg.InfeasibleError):
        cg.solve(X, cg.GaussianLatent(1), labels=labels, beta=smallest * 0.999)
    none = cg.solve(X, cg.GaussianLatent(1), labels=labels, beta=0.0, throw=False)
    assert none.status == "infeasible" and none.certificate is None and none.value == np.inf
    with pytest.raises(ValueError, match="has no generator"):
        none.generator(np.ones((1, 1)), ["a"])
    with pytest.raises(ValueError, match="nothing to save"):
        none.save("nowhere.npz")


def test_frames_keep_their_names():
    X, labels = sample(7)
    frame = pd.DataFrame(X, columns=["x", "y", "z"], index=np.arange(len(X)) + 100)
    series = pd.Series(labels, index=frame.index)
    sol = cg.solve(frame, cg.GaussianLatent(3), labels=series, beta=0.2)
    assert sol.value == cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=0.2).value
    assert cg.verify(sol.certificate, frame[["z", "x", "y"]], labels=series).agreement.agrees
    with pytest.raises(ValueError, match="labels of X in another order"):
        cg.solve(frame, cg.GaussianLatent(3), labels=series[::-1], beta=0.2)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["a"] * 5, {}, r"labels has shape \(5,\), not \(90,\): pass one label for each of the 90 rows of X"),
        ([["a"]] * 90, {}, r"shape \(90, 1\)"),
        (["a"] * 89 + [None], {}, "missing entries: drop such rows"),
        ([1.0] * 89 + [float("nan")], {}, "missing entries"),
        ([pd.NA] * 90, {}, "missing entries"),
        (np.array(["NaT"] * 90, dtype="M8[D]"), {}, "missing entries"),
        ([0.5] * 90, {}, "cut into classes if they are numbers"),
        ([b"a"] * 90, {}, "an entry b'a': pass strings or integers"),
        ("a" * 90, {}, "labels is a str: pass a list"),
        ({"a", "b"}, {}, "labels is a set: pass a list"),
        (iter("ab"), {}, "iterator: pass a list"),
        (["a"] * 89 + [3], {}, "strings and integers"),
        (["a", "b"] * 45, {"beta": None, "lam": 1.0}, "lam is not available with labels: pass beta"),
        (["a", "b"] * 45, {"reduction": "sum"}, "use reduction='mean'"),
        (["a", "b"] * 45, {"max_neurons": 3}, "max_neurons is not available"),
    ],
)
def test_bad_labels_are_named(labels, options, message):
    X, _ = sample()
    with pytest.raises(ValueError, match=message):
        cg.solve(X, cg.GaussianLatent(3), labels=labels, **({"beta": 0.2} | options))


def test_more_mistakes_are_named():
    X, labels = sample()
    sol = cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=0.2)
    with pytest.raises(ValueError, match="pass labels, one for each row of X"):
        cg.verify(sol.certificate, X)
    with pytest.raises(ValueError, match="labels are for certificates of games on labelled rows"):
        cg.verify(sol["a"].certificate, X, labels=labels)
    with pytest.raises(ValueError, match="not for labelled rows"):
        cg.verify(sol.certificate, X, labels=labels, rigorous=True)
    with pytest.raises(ValueError, match="labels belong to rows, and X is Moments"):
        cg.solve(cg.Moments.from_array(X), cg.GaussianLatent(3), labels=labels, beta=0.2)
    with pytest.raises(ValueError, match="'A' is none of the classes 'a', 'b', 'c'"):
        sol["A"]
    with pytest.raises(ValueError, match=r"Did you mean 'male'\?"):
        cg.solve(X, cg.GaussianLatent(3), labels=["male", "female"] * 45, beta=0.2).sample(3, label="mele")


@pytest.mark.parametrize(
    "form",
    [list, tuple, np.array, pd.Series, pd.Categorical, lambda labels: np.array(labels, dtype=object), pl.Series],
)
def test_labels_of_every_form_are_read(form):
    X, labels = sample()
    found = cg.solve(X, cg.GaussianLatent(3), labels=form(list(map(str, labels))), beta=0.2)
    assert found.classes == ("a", "b", "c")
    numbers = pytest.importorskip("torch").tensor([ord(label) for label in labels])
    numbered = cg.solve(X, cg.GaussianLatent(3), labels=numbers, beta=0.2)
    assert numbered.classes == (97, 98, 99) and numbered.value == found.value


def test_a_path_takes_labels():
    X, labels = sample()
    found = cg.path(X, cg.GaussianLatent(3), betas=[0.2, 0.5], labels=labels)
    assert [sol.value for sol in found] == [
        cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=beta).value for beta in (0.2, 0.5)
    ]


def test_a_limit_is_for_all_classes_together(monkeypatch):
    X, labels = sample()
    seen = []
    module = sys.modules["convexgan.solve"]  # convexgan.solve is the function
    real = module.solved
    monkeypatch.setattr(
        module, "solved", lambda call, options, throw: (seen.append(options), real(call, options, throw))[1]
    )
    cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=0.2, time_limit=6.0)
    limits = [options.time_limit for options in seen]
    assert limits[0] == pytest.approx(2.0, abs=0.1) and sum(limits) <= 12.0 and limits[2] <= 6.0


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, labels = sample()
    np.save("X.npy", X)
    np.save("labels.npy", labels)
    Path("labels.txt").write_text("\n".join(labels), encoding="utf-8")
    for file in ("labels.npy", "labels.txt"):
        game = "solve", "X.npy", "--gaussian", 3, "--labels", file, "--beta", 0.2
        solved = run(*game, "--certificate", "c.json", "--json")
        assert json.loads(solved.stdout)["value"] == cg.solve(X, cg.GaussianLatent(3), labels=labels, beta=0.2).value
        assert run("verify", "c.json", "X.npy", "--labels", file).exit_code == 0
    assert run(*game, "--out", "s.npz").exit_code == 0
    assert cg.load("s.npz").classes == ("a", "b", "c")
    other = run("verify", "c.json", "X.npy")
    assert other.exit_code == 2 and "pass labels, one for each row of X" in other.stderr
    Path("gap.txt").write_text("a\n\nb", encoding="utf-8")
    assert "gap.txt, line 2 is empty" in run("verify", "c.json", "X.npy", "--labels", "gap.txt").stderr
