"""Zero is decided with a scale: latents and data of any size, what squares cannot hold refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convexgan as cg
from convexgan.discriminators import Polynomial
from convexgan.generators import Free, Linear, TwoLayerPolynomial, TwoLayerReLU
from tests.generators import penalties, rows, seeds

X, Z = np.random.default_rng(0).standard_normal((2, 12, 2)) + 0.3


def spoiled(entry):
    """Latents with one entry that is wrong, or all so small that their squares vanish."""
    if entry == 1e-170:
        return Z * entry
    wrong = Z.copy()
    wrong[3, 1] = entry
    return wrong


DOORS = {
    "solve": lambda Z, **options: cg.solve(X, Z, beta=0.1, **options),
    "path": lambda Z, **options: cg.path(X, Z, betas=[0.1], **options),
    "select_method": lambda Z, **options: cg.select_method(X, Z, beta=0.1, **options),
    "program": lambda Z, **options: cg.program(X, Z, beta=0.1, **options),
    "certify": lambda Z, **options: cg.certify(X, X, Z=Z, beta=0.1, **options),
    "moments": lambda Z, **options: cg.Moments.from_array(Z, name="Z"),
}


@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf, 1e160, 1e-170])
@pytest.mark.parametrize("generator", ["linear", Linear(bias=True), "relu", TwoLayerReLU(bias=True), "polynomial"])
@pytest.mark.parametrize("door", DOORS)
def test_latents_that_squares_cannot_hold_are_refused_at_every_door(door, generator, entry):
    calls = [{}, {"discriminator": "linear"}, {"discriminator": "polynomial"}]
    if door not in ("program", "certify"):
        calls.append({"discriminator": "relu"})
        calls.append({"discriminator": "linear", "regularizer": "weights"} if generator != "polynomial" else {})
    for options in calls:
        with pytest.raises(ValueError, match=r"^(Z|rows) .*(infinite|overflow|underflow)"):
            DOORS[door](spoiled(entry), generator=generator, **options)


@pytest.mark.parametrize("entry", [np.nan, np.inf, 1e160, 1e-170])
@pytest.mark.parametrize("discriminator", ["linear", "quadratic", "polynomial", "relu"])
def test_data_that_squares_cannot_hold_are_refused(discriminator, entry):
    for generator in ("linear", "free", "mixture"):
        with pytest.raises(ValueError, match=r"^X .*(infinite|overflow|underflow)"):
            given = spoiled(entry)
            cg.solve(
                given, None if generator == "mixture" else Z, discriminator=discriminator, generator=generator, lam=1.0
            )


CELLS = {
    "linear": {"discriminator": "linear"},
    "linear, weights": {"discriminator": "linear", "regularizer": "weights"},
    "linear, ReLU generator": {"discriminator": "linear", "generator": "relu"},
    "quadratic": {},
    "quadratic, free": {"generator": "free"},
    "quadratic, ReLU generator": {"generator": "relu"},
    "quadratic, sums": {"reduction": "sum"},
}


@pytest.mark.parametrize("name", CELLS)
@settings(max_examples=30)
@given(size=st.floats(-70, 70), latent=st.floats(-30, 30), budget=st.sampled_from(["beta", "lam"]))
def test_units_of_data_and_latents_do_not_matter(name, size, latent, budget):
    """X in units of s: values in those of s^2 ("weights": s^2 / t^2), beta in those of the moment."""
    options, weights = CELLS[name], "weights" in name
    size, latent = 10.0**size, 10.0**latent
    degree = 1 if options.get("discriminator") == "linear" else 2
    cost = size**2 / (latent**2 if weights else 1.0)
    here = cg.solve(X, Z, **{budget: 0.2}, **options)
    given = 0.2 * (size**degree if budget == "beta" else cost / size**degree)
    there = cg.solve(size * X, latent * Z, **{budget: given}, **options)
    assert there.value == pytest.approx(cost * here.value, rel=1e-9)
    assert there.certificate.ipm == pytest.approx(
        size**degree * here.certificate.ipm, rel=1e-9, abs=1e-9 * size**degree
    )
    assert there.certificate.kind == here.certificate.kind == "saddle"


@pytest.mark.parametrize("discriminator", ["linear", "quadratic", "polynomial", "relu"])
@pytest.mark.parametrize("size", [1e-60, 1e-8, 1e60])
def test_what_a_test_sees_does_not_depend_on_units(discriminator, size):
    a, b = (0.09375, 0.5)
    neurons = Polynomial(a / size**2, b / size) if discriminator == "polynomial" else discriminator
    found = cg.two_sample_test(size * X, size * (Z + 2), neurons, permutations=19, rng=0)
    assert found.p_value == 0.05
    same = cg.two_sample_test(size * X, size * X[::-1], neurons, permutations=19, rng=0)
    assert same.p_value == 1.0


@pytest.mark.parametrize("entry", [np.nan, np.inf, 1e160, 1e-170])
def test_samples_of_a_test_that_squares_cannot_hold_are_refused(entry):
    with pytest.raises(ValueError, match=r"^X .*(infinite|overflow|underflow)"):
        cg.two_sample_test(spoiled(entry), X)


@pytest.mark.parametrize("size", [1e-100, 1e100])
def test_whether_moments_can_be_matched_does_not_depend_on_units(size):
    """Of squares of second moments there is none beyond 1e77."""
    game = {"discriminator": "quadratic", "bias": "penalized", "beta": 0.0}
    for generator, method in ((Linear(bias=True), "closed_form"), ("linear", "program")):
        assert cg.select_method(size * X, Z, generator=generator, **game)[0] == method


@pytest.mark.parametrize("size", [1e-60, 1e60])
def test_local_searches_take_latents_of_any_unit(size):
    game = {"discriminator": "relu", "generator": "linear", "lam": 1.5, "rng": 0}
    here, there = (cg.solve(X[:4, :1], unit * Z[:4], **game) for unit in (1.0, size))
    assert there.value == pytest.approx(here.value, rel=1e-6)
    assert there.certificate.bound == pytest.approx(here.certificate.bound, rel=1e-6)


def test_local_searches_take_latents_that_are_zero_where_there_is_a_bias():
    """Three rows and three features, of which one is not zero: the rows are not free."""
    game = {"discriminator": "relu", "generator": Linear(bias=True), "lam": 2.0}
    sol = cg.solve(X[:3, :1], np.zeros((3, 2)), **game)
    made = sol.generator(np.zeros((3, 2)))
    assert np.ptp(made, axis=0) == pytest.approx(0.0) and sol.certificate.bound <= sol.value


def infeasible(cell, seed, penalty):
    """A game that no generator of the class can play at beta = 0."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 6))
    n = int(rng.integers(2 * d + 1, 25))
    X = (rng.standard_normal((n, d)) * rng.uniform(0.3, 2, d) + rng.standard_normal(d)) * 10 ** rng.uniform(-3, 3)
    half = rng.standard_normal((n // 2, d - 1))
    mirrored = np.vstack([half, np.zeros((n % 2, d - 1)), -half])  # of mean zero to the last bit
    options = {"generator_penalty": penalty, **cell}
    if options.get("discriminator", "quadratic") == "linear" or isinstance(options.get("discriminator"), Polynomial):
        if options["discriminator"] != "linear" and options["discriminator"].coefficients[0]:
            X = X - X.mean(axis=0)
        return X, mirrored, options
    if isinstance(options.get("generator"), Free):
        return X, None, options
    few = np.repeat(rng.standard_normal((1, 1)), n, axis=0)  # one latent, however lifted
    return X, few if "generator" in options else rng.standard_normal((n, d - 1)), options


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    "cell",
    [
        {"discriminator": "linear"},
        {"discriminator": "linear", "regularizer": "weights"},
        {"discriminator": Polynomial(0.0, -0.37, 0.2)},
        {},
        {"regularizer": "weights"},
        {"discriminator": Polynomial(0.09375, 0.5, 0.4)},
        {"discriminator": Polynomial(-0.37, 0.2, 0.0)},
        {"generator": Free(1)},
        {"generator": TwoLayerReLU(bias=True)},
        {"generator": TwoLayerPolynomial(0.5, 0.3, 0.0)},
        {"generator": TwoLayerPolynomial(0.5, 0.3, 0.0), "regularizer": "lifted"},
    ],
    ids=str,
)
@settings(max_examples=60)
@given(seed=seeds, penalty=penalties)
def test_the_smallest_beta_that_is_handed_back_is_accepted(cell, reduction, seed, penalty):
    data, latents, options = infeasible(cell, seed, penalty)
    if reduction == "sum" and latents is None:
        return  # free rows as many as the data's reach everything
    options["reduction"] = reduction
    with pytest.raises(cg.InfeasibleError) as error:
        cg.solve(data, latents, beta=0.0, **options)
    assert f"{error.value.smallest_beta!r}" in str(error.value)
    sol = cg.solve(data, latents, beta=error.value.smallest_beta, **options)
    assert sol.certificate.kind in ("saddle", "minimax")
    with pytest.raises(cg.InfeasibleError):
        cg.solve(data, latents, beta=error.value.smallest_beta * (1 - 1e-9), **options)


@pytest.mark.parametrize("budget", [{"beta": 0.04}, {"lam": 25.0}])
@pytest.mark.parametrize("coefficients", [(0.09375, 0.5), (-0.2, 0.4)])
def test_polynomial_neurons_on_centred_data_and_latents_need_the_rank_alone(coefficients, budget):
    """Every generator's mean is zero, so the neurons need not add up to zero: one fewer than with a latent mean."""
    data, neurons = rows([3.0, 2.0, 0.6], n=9), Polynomial(*coefficients, 0.3)
    plain = cg.solve(data, cg.GaussianLatent(3), discriminator=neurons, **budget)
    moved = cg.solve(data, discriminator=neurons, generator=Free(9), **budget)
    a = abs(coefficients[0])
    rank = min(int(np.ceil(25 * a)), 3) if "lam" in budget else sum(value > 0.04 / a for value in (3, 2, 0.6))
    assert plain.certificate.kind == moved.certificate.kind == "saddle"
    assert plain.value == pytest.approx(moved.value, rel=1e-9)
    assert plain.certificate.min_neurons == len(plain.discriminator.outer) == rank
    assert moved.certificate.min_neurons == len(moved.discriminator.outer) == rank + 1
    again = cg.verify(plain.certificate, data)
    assert (again.kind, again.min_neurons) == ("saddle", rank)
