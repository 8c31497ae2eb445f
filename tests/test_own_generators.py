"""A generator defined outside the package is a class for every verb: the answers of a linear one on its features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

import convexgan as cg
from convexgan._tools.rounding import gamma
from convexgan.generators import CLASSES, Linear, LinearGenerator, Mixture, MixtureGenerator, restore, state
from convexgan.statistics.latents import GaussianLatent, Latent, SampleLatent, latent_state, restore_latent

RNG = np.random.default_rng(11)
X, Z = RNG.standard_normal((12, 3)) * [2.0, 0.9, 0.5] + [0.5, -0.3, 0.1], RNG.standard_normal((12, 2))
Y, GAUSSIAN = RNG.standard_normal((8, 3)), cg.GaussianLatent(2)


@dataclass(frozen=True)
class Squared:
    """Linear in [z, z^2], as a user writes it."""

    name: ClassVar[str] = "squared"
    form: ClassVar[Literal["features"]] = "features"
    regularizers: ClassVar[tuple[str, ...]] = ("output", "weights")
    refusals: ClassVar[dict[str, str]] = {}

    def lift(self, rows: np.ndarray) -> np.ndarray:
        return np.column_stack([rows, rows**2])

    def features(self, latent: Latent) -> cg.Moments:
        if isinstance(latent, SampleLatent):
            return cg.Moments.from_array(self.lift(latent.rows))
        if not isinstance(latent, GaussianLatent):
            raise ValueError("squares need fourth moments: pass Z as an array or GaussianLatent(k).")
        k = latent.dim
        mean = np.repeat([0.0, 1.0], k)
        return cg.Moments.of_second(mean, np.outer(mean, mean) + np.diag(np.repeat([1.0, 2.0], k)))

    def build(self, weights: np.ndarray, latent: Latent) -> SquaredGenerator:
        return SquaredGenerator(weights, latent)

    @staticmethod
    def restore(settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> SquaredGenerator:
        return SquaredGenerator(arrays["weights"], restore_latent(settings, arrays))


@dataclass(frozen=True, eq=False)
class SquaredGenerator:
    """weights' [z, z^2]."""

    weights: np.ndarray
    latent: Latent
    spec: ClassVar[Squared] = Squared()
    form: ClassVar[Literal["features"]] = "features"

    def __call__(self, Z: Any) -> np.ndarray:
        return self.spec.lift(np.asarray(Z)) @ self.weights

    def rounding(self, rows: np.ndarray) -> np.ndarray:
        return gamma(len(self.weights) + 4) * (np.abs(self.spec.lift(rows)) @ np.abs(self.weights))

    def sample(self, n: int, rng: int | np.random.Generator | None = None) -> np.ndarray:
        return self(self.latent.sample(n, np.random.default_rng(rng)))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        settings, arrays = latent_state(self.latent)
        return settings | {"name": "squared"}, arrays | {"weights": self.weights}


@dataclass(frozen=True)
class Cross:
    """The laws on the axes' points at -1, 0 and 1, as a user writes them."""

    name: ClassVar[str] = "cross"
    form: ClassVar[Literal["law"]] = "law"
    support: ClassVar[str] = "particles"

    def points(self, data: np.ndarray, columns: Any = None) -> np.ndarray:
        return np.vstack([sign * np.eye(data.shape[1]) for sign in (-1, 1)] + [np.zeros((1, data.shape[1]))])


def programmed(generator: Any, latents: Any, **options: Any) -> cg.Solution:
    made = cg.program(X, latents, discriminator="polynomial", generator=generator, **options)
    made.solve()
    return made.recover()


LIFTED = Squared().lift(Z)
LAWS = {"rows": (Z, LIFTED), "gaussian": (GAUSSIAN, Squared().features(GAUSSIAN))}  # its latents, and the twin's
SOLVES: dict[str, dict[str, Any]] = {
    "quadratic, beta": {"beta": 0.3},
    "quadratic, lam": {"lam": 1.7},
    "linear, beta": {"discriminator": "linear", "beta": 0.1},
    "linear, lam": {"discriminator": "linear", "lam": 1.5, "generator_penalty": 0.2},
    "polynomial, beta": {"discriminator": "polynomial", "beta": 0.2},
    "polynomial, lam": {"discriminator": "polynomial", "lam": 2.0, "bias": "penalized"},
    "linear, weights": {"discriminator": "linear", "beta": 0.1, "regularizer": "weights"},
    "quadratic, weights": {"beta": 1.0, "regularizer": "weights"},
    "biased": {"beta": 1.0, "bias": "penalized"},
}
OF_ROWS: dict[str, dict[str, Any]] = {
    "sums": {"beta": 5.0, "reduction": "sum"},
    "relu, lam": {"discriminator": "relu", "lam": 2.0, "gap": 0.3},
    "relu, beta": {"discriminator": "relu", "beta": 0.4, "gap": 0.3},
    "absolute": {"discriminator": "absolute", "lam": 2.0, "gap": 0.3},
}
CASES = [(law, name) for law in LAWS for name in (*SOLVES, *(OF_ROWS if law == "rows" else ()))]


@pytest.mark.parametrize(("law", "name"), CASES)
def test_solve_has_the_answer_of_a_linear_generator_on_the_features(law, name):
    (own, twin), options = LAWS[law], (SOLVES | OF_ROWS)[name]
    found, expected = cg.solve(X, own, generator=Squared(), **options), cg.solve(X, twin, generator=Linear(), **options)
    assert type(found.generator) is SquaredGenerator and type(expected.generator) is LinearGenerator
    assert (found.method, found.certificate.kind, found.status) == (
        expected.method,
        expected.certificate.kind,
        expected.status,
    )
    for number in ("value", "bound", "ipm"):
        theirs = getattr(expected.certificate, number)
        assert getattr(found.certificate, number) == pytest.approx(theirs, rel=1e-7, abs=1e-9), number
    np.testing.assert_allclose(found.generator(Z), expected.generator(LIFTED), rtol=1e-6, atol=1e-7)
    assert cg.verify(found.certificate, X).agreement.agrees
    assert found.generator.sample(5, rng=0).shape == (5, 3)


VERBS: dict[str, Callable[[Any, Any], Any]] = {
    "select_method": lambda g, latents: cg.select_method(X, latents, generator=g, beta=0.3),
    "select_method, relu": lambda g, latents: cg.select_method(X, latents, generator=g, discriminator="relu", lam=2.0),
    "path": lambda g, latents: [s.value for s in cg.path(X, latents, betas=[0.2, 0.4], generator=g)],
    "program": lambda g, latents: programmed(g, latents, beta=0.3).value,
    "certify": lambda g, latents: cg.certify(X, image(latents), generator=g, Z=latents, beta=0.3).value,
    "certify, bound": lambda g, latents: cg.certify(X, image(latents), generator=g, Z=latents, beta=0.3).bound,
    "certify, weights": lambda g, latents: (
        cg.certify(X, image(latents), generator=g, Z=latents, lam=1.0, regularizer="weights").value
    ),
}


def image(latents):
    """Rows that are a linear image of the features, which the twin has as its latents."""
    return (latents if latents.shape[1] == 4 else LIFTED) @ np.random.default_rng(3).standard_normal((4, 3))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_it(verb):
    found, expected = VERBS[verb](Squared(), Z), VERBS[verb](Linear(), LIFTED)
    assert found == expected if verb.startswith("select") else found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("latents", [Z, GAUSSIAN], ids=["rows", "gaussian"])
def test_solutions_are_read_by_a_name_in_the_table(latents, tmp_path, monkeypatch):
    sol = cg.solve(X, latents, generator=Squared(), beta=0.3)
    sol.save(tmp_path / "sol.npz")
    with pytest.raises(ValueError, match="unknown generator 'squared'"):
        cg.load(tmp_path / "sol.npz")
    monkeypatch.setitem(CLASSES, "squared", Squared)
    again = cg.load(tmp_path / "sol.npz")
    np.testing.assert_array_equal(again.generator(Z), sol.generator(Z))
    np.testing.assert_array_equal(again.generator.sample(4, rng=1), sol.generator.sample(4, rng=1))
    for spec in ("squared", Squared):
        assert cg.solve(X, latents, generator=spec, beta=0.3).value == sol.value


def test_state_and_restore_keep_every_generator():
    kept = [cg.solve(X, Z, generator=name, beta=1.0).generator for name in ("linear", "free", "relu", "polynomial")]
    for generator in (*kept, MixtureGenerator(Y, np.full(len(Y), 1 / len(Y)))):
        settings, arrays = state(generator)
        again = restore(settings, arrays)
        assert type(again) is type(generator) and (settings, arrays.keys()) == (
            again.state()[0],
            again.state()[1].keys(),
        )
        np.testing.assert_array_equal(again.sample(5, rng=0), generator.sample(5, rng=0))


def test_torch_says_that_it_has_no_module_until_one_is_registered():
    import torch

    from convexgan.torch.conversion import as_module

    sol = cg.solve(X, Z, generator=Squared(), beta=0.3)
    with pytest.raises(ValueError, match=r"a SquaredGenerator has no counterpart.*as_module\.register"):
        cg.torch.from_solution(sol)

    class Module(torch.nn.Linear):
        def forward(self, latents):
            return super().forward(torch.cat([latents, latents**2], 1))

    def converted(generator):
        made = Module(4, 3, bias=False)
        made.weight = torch.nn.Parameter(torch.from_numpy(generator.weights.T.copy()))
        return made

    as_module.register(SquaredGenerator, converted)
    G, D = cg.torch.from_solution(sol)
    np.testing.assert_allclose(G(torch.from_numpy(Z)).detach().numpy(), sol.generator(Z), rtol=1e-12)
    found = cg.torch.audit(G, D, X, Z, objective=cg.torch.Objective(beta=0.3)).certificate
    assert found.value == pytest.approx(sol.value, rel=1e-9) and found.kind != "infeasible"


def test_its_weights_move_in_the_dynamics_of_its_game():
    from convexgan.dynamics.solved_game import SolvedGame

    game = SolvedGame(cg.solve(X, Z, generator=Squared(), beta=0.3), X)
    twin = SolvedGame(cg.solve(X, cg.Moments.from_array(LIFTED), beta=0.3), X)
    assert game.saddle.x.shape == (4, 3)
    np.testing.assert_allclose(game.saddle.x, twin.saddle.x, atol=1e-9)
    np.testing.assert_allclose(game.grad_x(*game.saddle[:2]), twin.grad_x(*twin.saddle[:2]), atol=1e-9)


@pytest.mark.parametrize("discriminator", ["relu", "absolute", "quadratic", "polynomial"])
def test_a_law_of_ones_own_is_the_mixture_on_its_particles(discriminator):
    found, expected = (
        cg.solve(X, discriminator=discriminator, generator=spec, lam=2.0)
        for spec in (Cross(), Mixture(Cross().points(X)))
    )
    assert found.value == pytest.approx(expected.value, rel=1e-9) and type(found.generator) is MixtureGenerator
    assert found.certificate.kind == expected.certificate.kind and found.method == expected.method
    assert cg.verify(found.certificate, X).agreement.agrees


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cg.solve(X, cg.Moments.from_array(Z), generator=Squared(), beta=0.3), "squares need fourth moments"),
        (lambda: cg.solve(X, generator=Squared(), beta=0.3), "Z is missing"),
        (lambda: cg.solve(X, Z, generator=Squared(), beta=0.3, regularizer="lifted"), "unknown regularizer"),
        (
            lambda: cg.solve(X, GAUSSIAN, generator=Squared(), discriminator="relu", lam=1.0),
            "a squared generator .* rows",
        ),
        (lambda: cg.certify(X, Y, generator=Squared(), Z=Z[:8], beta=0.3), "the image of Z under a squared generator"),
        (lambda: cg.solve(X, Z, generator=Cross(), beta=0.3), "Z has no meaning for a cross generator"),
        (lambda: cg.program(X, generator=Cross(), beta=0.3), "generator 'cross' is for solve"),
        (lambda: cg.solve(X, Z, generator=Squared, beta=0.3), "unknown generator"),
        (lambda: cg.solve(X, Z, generator=Unformed(), beta=0.3), "unknown generator"),
    ],
)
def test_what_it_is_not_for_is_refused_by_its_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class Unformed:
    """No generator class."""

    name, form = "unformed", "rows"
