"""An activation defined outside the package is a discriminator class for every verb: the same answers as its twin's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convexgan as cg
from convexgan import discriminators
from convexgan.discriminators import CLASSES, Absolute, Polynomial, ReLU
from convexgan.generators import Linear, Mixture
from convexgan.programs import ipm_program

RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal((9, 2)) * [2.0, 0.7] + [0.4, -0.2], RNG.standard_normal((8, 2)) + 0.5
LINE, Z = X[:, :1], RNG.standard_normal((9, 2))


@dataclass(frozen=True)
class Bent:
    """max(t, 0) + min(t, 0) / 4, as a user writes it."""

    name: ClassVar[str] = "bent"
    needs: ClassVar[Literal["rows"]] = "rows"
    slope: ClassVar[float] = 0.25

    def __call__(self, t: np.ndarray) -> np.ndarray:
        return np.where(t > 0, t, t / 4)


@dataclass(frozen=True)
class Lifted:
    """t^2 + 2 t, as a user writes it."""

    name: ClassVar[str] = "lifted"
    needs: ClassVar[Literal["moments"]] = "moments"
    coefficients: ClassVar[tuple[float, float, float]] = (1.0, 2.0, 0.0)

    def __call__(self, t: np.ndarray) -> np.ndarray:
        return t * t + 2 * t


def programmed(activation):
    program = cg.program(X, cg.GaussianLatent(2), discriminator=activation, beta=1.5)
    program.solve()
    return program.recover().value


TWINS = {
    "bent": (Bent(), ReLU(0.25)),
    "lifted": (Lifted(), Polynomial(1.0, 2.0, 0.0)),
    "absolute": (Absolute(), ReLU(-1)),
}
VERBS: dict[str, Callable[[Any], float]] = {
    "ipm": lambda d: cg.ipm(X, Y, d).value,
    "ipm with a bias": lambda d: cg.ipm(X, Y, d, bias="penalized").value,
    "two_sample_test": lambda d: cg.two_sample_test(X, Y, d, permutations=19).p_value,
    "certify": lambda d: cg.certify(X, Y, discriminator=d, beta=0.1).bound,
    "solve, mixture": lambda d: cg.solve(X, discriminator=d, generator="mixture", beta=0.1).value,
    "solve, particles": lambda d: cg.solve(X, discriminator=d, generator=Mixture(Y), lam=0.5).value,
    "path": lambda d: cg.path(X, betas=[0.1, 0.2], discriminator=d, generator="mixture")[1].value,
    "audit": lambda d: cg.torch.audit(Y, d, X, objective=cg.torch.Objective(beta=0.1)).certificate.value,
    "loss": lambda d: float(cg.torch.ExactDiscriminatorLoss(X, d, lam=1.0)(tensor(Y))),
    "module": lambda d: module(d)(tensor(Y)).sum().item(),
}
OF_MOMENTS: dict[str, Callable[[Any], float]] = {
    "solve": lambda d: cg.solve(X, cg.GaussianLatent(2), discriminator=d, beta=1.5).value,
    "program": programmed,
    "held_out": lambda d: cg.held_out(X, Y, d, resamples=5).high,
    "ConvexWGAN": lambda d: cg.ConvexWGAN(discriminator=d, beta=0.3).fit(X).solution_.value,
}
OF_ROWS: dict[str, Callable[[Any], float]] = {
    "ipm, free bias": lambda d: cg.ipm(LINE, Y[:, :1], d, bias="free").value,
    "solve, free": lambda d: cg.solve(X, discriminator=d, generator="free", lam=0.4, gap=0.3).certificate.bound,
    "solve, anywhere": lambda d: cg.solve(X, discriminator=d, generator=Mixture(support="continuous"), lam=0.4).value,
    "ipm_program": lambda d: ipm_program(X[:3], Y[:3], d).solve("SCIP").value,
}
CALLS = [(name, verb) for name in TWINS for verb in (*VERBS, *(OF_MOMENTS if name == "lifted" else OF_ROWS))]


def tensor(rows):
    import torch

    return torch.from_numpy(rows)


def module(activation):
    import torch

    torch.manual_seed(0)
    return cg.torch.TwoLayerDiscriminator(2, 3, activation).double()


@pytest.mark.parametrize(("name", "verb"), CALLS)
def test_every_verb_takes_it(name, verb):
    own, twin = TWINS[name]
    call = (VERBS | OF_MOMENTS | OF_ROWS)[verb]
    assert call(own) == pytest.approx(call(twin), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", TWINS)
def test_solutions_and_certificates_are_read_by_a_name_in_the_table(name, tmp_path, monkeypatch):
    own, twin = TWINS[name]
    sol = cg.solve(X, discriminator=own, generator="mixture", beta=0.1)
    assert json.loads(sol.certificate.to_json())["evidence"]["settings"]["activation"] == name
    monkeypatch.setitem(CLASSES, name, type(own))
    sol.save(tmp_path / "sol.npz")
    again = cg.load(tmp_path / "sol.npz")
    assert again.discriminator.activation == own
    np.testing.assert_array_equal(again.discriminator(Y), sol.discriminator(Y))
    found = cg.verify(cg.Certificate.from_json(sol.certificate.to_json()), X)
    assert found.agreement.agrees and found.kind == "saddle"
    of_twin = cg.solve(X, discriminator=twin, generator="mixture", beta=0.1)
    assert cg.solve(X, discriminator=name, generator="mixture", beta=0.1).value == of_twin.value
    exactly = cg.verify(sol.certificate, X, rigorous=True).enclosures["ipm"]
    assert exactly[0] <= sol.certificate.ipm * (1 + 1e-12) and sol.certificate.ipm >= exactly[1] * (1 - 1e-12)


@pytest.mark.parametrize("name", ["bent", "absolute"])
def test_pictures_show_where_it_bends(name, tmp_path):
    from convexgan.plotting import equilibrium_plot, witness_plot

    own, _ = TWINS[name]
    witness_plot(cg.ipm(X, Y, own).critic, X, Y, tmp_path / "witness.png")
    equilibrium_plot(cg.solve(X, discriminator=own, generator="mixture", beta=0.1), X, tmp_path / "players.png")
    assert all((tmp_path / f"{made}.png").stat().st_size > 1000 for made in ("witness", "players"))


@given(st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_the_absolute_value_sees_the_largest_difference_of_mean_distances(seed, dim):
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((6, dim)) + 0.3, 1.5 * rng.standard_normal((5, dim))
    found = cg.ipm(A, B, "absolute")

    def seen(U):
        return np.abs(np.abs(A @ U.T).mean(axis=0) - np.abs(B @ U.T).mean(axis=0))

    directions = rng.standard_normal((20_000, dim))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    assert seen(directions).max() <= found.upper_bound * (1 + 1e-12)
    assert found.exact and seen(found.direction[None]) == pytest.approx(found.value, rel=1e-12)
    flipped = replace(found, direction=-found.direction)  # an even function: both signs see the same
    assert seen(flipped.direction[None]) == pytest.approx(found.value, rel=1e-12)


def test_what_is_no_activation_is_refused_by_name():
    class Wish:
        name, needs = "wish", "luck"

    for wrong in (Wish(), "tanh", 3):
        with pytest.raises(ValueError, match="unknown discriminator"):
            cg.ipm(X, Y, wrong)
    assert {"Absolute", "ReLU"} <= set(discriminators.__all__) and Linear().name == "linear"
