"""The README keeps its word: its examples run, and its table says what `solve` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convexgan as cg
from tests.documents import ROOT, blocks, run_page

README = ROOT / "README.md"
TABLE = [
    ("linear", False, "closed form, saddle"),
    ("quadratic", False, "closed form, saddle"),
    ("polynomial", True, "closed form, saddle"),
    ("polynomial", False, "SDP, saddle"),
]
RELU = [
    "one column, free bias: closed form, saddle; else local, bounded",
    "Gaussian latents: cutting planes, saddle; else local, bounded",
    "local, bounded",
    "local, bounded",
    "cutting planes, saddle",
]


def test_the_last_row_of_the_table_is_true() -> None:
    X, Z = np.random.default_rng(0).standard_normal((2, 6, 2))
    anywhere = cg.generators.Mixture(support="continuous")
    calls: list[tuple[str, Any, dict[str, Any], str]] = [
        ("saddle", None, {"generator": "free", "bias": "free"}, "partial_sums"),
        ("bounded", None, {"generator": "free"}, "fixed_patterns"),
        ("saddle", cg.GaussianLatent(2), {"generator": "linear"}, "semi_infinite"),
        ("bounded", Z, {"generator": "linear"}, "fixed_patterns"),
        ("bounded", Z, {"generator": "polynomial"}, "fixed_patterns"),
        ("bounded", Z, {"generator": "relu"}, "fixed_patterns"),
        ("saddle", None, {"generator": "mixture"}, "cutting_planes"),
        ("saddle", None, {"generator": anywhere}, "double_oracle"),
    ]
    for kind, latents, options, method in calls:
        rows = X[:, :1] if "bias" in options else X
        sol = cg.solve(rows, latents, discriminator="relu", lam=2.0, **options)
        assert sol.certificate is not None and (sol.certificate.kind, sol.method) == (kind, method)


def test_examples_run(tmp_path: Path) -> None:
    printed = run_page(README, tmp_path)
    assert printed.count("saddle") >= 4
    assert (tmp_path / "digits.png").exists()


def test_there_are_examples_in_python_and_in_the_shell() -> None:
    languages = [language for language, _ in blocks(README)]
    assert "python" in languages and "bash" in languages and "" not in languages


@pytest.mark.parametrize("generator", ["free", "linear", "polynomial", "relu", "mixture"])
@pytest.mark.parametrize(("discriminator", "centred", "says"), TABLE)
def test_the_table_is_true(discriminator: str, centred: bool, says: str, generator: str) -> None:
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((40, 3)) * [2, 1, 0.5] + 0.4, rng.standard_normal((40, 4)) + 0.2
    specs = {"linear": cg.generators.Linear(bias=not centred), "relu": cg.generators.TwoLayerReLU(bias=True)}
    latents = {"relu": Z[:12, :1], "mixture": None}.get(generator, Z)
    spec = specs.get(generator, generator)
    sol = cg.solve(X - X.mean(0) * centred, latents, discriminator=discriminator, generator=spec, beta=0.03)
    assert sol.certificate is not None
    program = "conic program" if generator == "mixture" else "SDP"
    found = f"{'closed form' if sol.method == 'closed_form' else program}, {sol.certificate.kind}"
    assert found == ("conic program, saddle" if generator == "mixture" else says)


def test_the_table_tested_is_the_table_printed() -> None:
    rows = [
        line.split("|")[1:-1] for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| **")
    ]
    assert [cell.strip() for cell in rows.pop()] == ["**ReLU** (sees every half-space)", *RELU]
    assert len(rows) == len(TABLE)
    for (first, *cells), (discriminator, centred, says) in zip(rows, TABLE, strict=True):
        assert f"**{discriminator}**" in first and ("centred" in first) == centred
        assert [cell.strip() for cell in cells] == [says] * 4 + ["conic program, saddle"]


def test_the_exceptions_are_true() -> None:
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((40, 3)) * [2, 1, 0.5] + 0.4, rng.standard_normal((40, 4)) * [3, 1, 1, 1]
    biased = cg.generators.Linear(bias=True)
    kinds = {
        name: cg.solve(X, Z, discriminator=name, generator=biased, regularizer="weights", beta=0.03).certificate
        for name in ("quadratic", "polynomial")
    }
    assert [c.kind for c in kinds.values() if c is not None] == ["minimax", "bounded"]
    narrow = cg.solve(X, Z, beta=0.03, max_neurons=1).certificate
    assert narrow is not None and narrow.kind == "minimax"
    for latents, name in ((Z[:, :1], "quadratic"), (Z, "polynomial")):
        with pytest.raises(cg.InfeasibleError) as caught:
            cg.solve(X, latents, discriminator=name, beta=0.03)
        cg.solve(X, latents, discriminator=name, beta=caught.value.smallest_beta)
