"""Latent laws: exact moments against definitions, and sampling."""

from __future__ import annotations

import importlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import hermegauss

import convexgan as cg
from convexgan.closed_forms import whiten, whiten_sample
from convexgan.statistics.latents import MomentLatent, SampleLatent, as_latent, decompose, quadratic_features
from tests.generators import rows, second, seeds


def gauss_grid(k, degree=4):
    """Nodes and weights that integrate polynomials of degree 2 * degree - 1 exactly against N(0, I)."""
    nodes, weights = hermegauss(degree)
    Z = np.array(list(itertools.product(nodes, repeat=k)))
    w = np.array([math.prod(p) for p in itertools.product(weights / weights.sum(), repeat=k)])
    return Z, w


@pytest.mark.parametrize("k", [1, 2, 4])
def test_gaussian_lifted_moments_are_exact(k):
    Z, w = gauss_grid(k)
    features = quadratic_features(Z)
    law = cg.GaussianLatent(k).quadratic_moments()
    np.testing.assert_allclose(law.mean, w @ features, atol=1e-13)
    np.testing.assert_allclose(law.second, (features * w[:, None]).T @ features, atol=1e-12)
    assert law.rank() == (k + 1) * (k + 2) // 2


@pytest.mark.parametrize("coefficients", [(0.09375, 0.5, 0.46875), (1.0, 0.0, 0.0), (0.5, -1.0, 0.0), (0.0, 2.0, 0.3)])
@pytest.mark.parametrize("k", [1, 3])
def test_polynomial_generator_features_are_exact(k, coefficients):
    spec = cg.generators.TwoLayerPolynomial(*coefficients)
    Z, w = gauss_grid(k)
    lifted = spec.lift(Z)
    law = spec.features(cg.GaussianLatent(k))
    np.testing.assert_allclose(law.mean, w @ lifted, atol=1e-13)
    np.testing.assert_allclose(law.second, (lifted * w[:, None]).T @ lifted, atol=1e-12)
    sampled = spec.features(SampleLatent(Z))
    np.testing.assert_allclose(sampled.second, lifted.T @ lifted / len(Z), atol=1e-12 * np.abs(lifted).max() ** 2)


@pytest.mark.parametrize("coefficients", [(0.1, 0.5, 0.4), (1.0, 0.0, 0.0), (0.0, 2.0, 0.3)])
def test_lifted_features_span_every_polynomial_neuron(coefficients):
    a, b, c = coefficients
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((40, 3))
    t = Z @ rng.standard_normal((3, 6))
    neurons = (a * t + b) * t + c
    features = cg.generators.TwoLayerPolynomial(a, b, c).lift(Z)
    fitted = features @ np.linalg.lstsq(features, neurons, rcond=None)[0]
    np.testing.assert_allclose(fitted, neurons, atol=1e-12)


def test_frobenius_norm_of_the_lift_is_that_of_the_matrix():
    z = np.array([[1.0, -2.0, 0.5]])
    squares = quadratic_features(z)[0, :6]
    assert squares @ squares == pytest.approx(np.sum(np.outer(z, z) ** 2), rel=1e-14)


@pytest.mark.parametrize("k", [1, 5])
def test_gaussian_moments_and_samples(k):
    latent = cg.GaussianLatent(k)
    moments = latent.moments()
    np.testing.assert_array_equal(moments.mean, np.zeros(k))
    np.testing.assert_array_equal(moments.second, np.eye(k))
    draws = latent.sample(20_000, np.random.default_rng(0))
    assert draws.shape == (20_000, k)
    assert np.abs(draws.T @ draws / len(draws) - np.eye(k)).max() < 0.05


@pytest.mark.parametrize("dim", [0, -1, 2.0, True, "3"])
def test_gaussian_dimension_is_a_positive_integer(dim):
    with pytest.raises(ValueError, match="dim"):
        cg.GaussianLatent(dim)


def test_sample_latents_are_copied_and_drawn_with_replacement():
    Z = rows([2.0, 1.0])
    latent = as_latent(Z)
    kept = Z.copy()
    Z[:] = 0
    drawn = latent.sample(200, np.random.default_rng(0))
    assert {tuple(r) for r in drawn} == {tuple(r) for r in kept}
    np.testing.assert_allclose(latent.moments().second, kept.T @ kept / len(kept), atol=1e-14)
    assert latent.moments() is latent.moments()


def test_moments_can_be_latents_but_cannot_be_sampled():
    moments = cg.Moments.from_array(rows([2.0, 1.0]))
    latent = as_latent(moments)
    assert isinstance(latent, MomentLatent) and latent.moments() is moments and latent.dim == 2
    with pytest.raises(ValueError, match="only the moments"):
        latent.sample(3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="Z is missing"):
        as_latent(None)
    with pytest.raises(ValueError, match="fourth moments"):
        cg.generators.TwoLayerPolynomial().features(latent)


# -- whitening ---------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    seed=seeds,
    offset=st.sampled_from([0.0, 1e2, 1e4, 1e6, 1e7]),
    spread=st.sampled_from([1.0, 1e-2, 1e-3]),
    spec=st.sampled_from([cg.generators.Linear(), cg.generators.Linear(bias=True), cg.generators.TwoLayerPolynomial()]),
)
def test_certificates_describe_the_generator_whatever_the_latents_condition(seed, offset, spread, spec):
    """The rows that the generator makes, by another route: their own moments."""
    rng = np.random.default_rng(seed)
    if isinstance(spec, cg.generators.TwoLayerPolynomial):
        offset = min(offset, 1e2)
    X = rng.standard_normal((60, 3)) * [2, 1.5, 1]
    Z = offset + rng.standard_normal((40, 4)) * [1, 1, 1, spread]
    sol = cg.solve(X, Z, beta=0.1, generator=spec)
    made, proof = sol.generator(Z), sol.certificate
    assert proof.kind == "saddle"
    assert cg.ipm(X, made, "quadratic").value == pytest.approx(proof.ipm, rel=1e-5)
    assert proof.relative_violation <= 1e-6
    assert np.mean(np.sum(made**2, axis=1)) == pytest.approx(proof.value, rel=1e-6)
    assert cg.verify(proof, X).kind == "saddle"


@pytest.mark.parametrize("discriminator", ["linear", "quadratic"])
def test_the_certificate_is_of_the_weights_handed_back(discriminator, monkeypatch):
    """Weights that miss what was aimed at are seen."""
    X, Z = rows([4.0, 2.0, 0.7], 2, tilt=[0.3, 0.1, 0.0], n=8), rows([2.0, 1.0, 0.5], 4, tilt=[0.2, 0.0, 0.4], n=8)
    true = cg.solve(X, Z, beta=0.2, discriminator=discriminator)
    off = importlib.import_module("convexgan.games.moment.family")
    monkeypatch.setattr(off, "unwhiten", lambda latent, factor, _true=off.unwhiten: 0.9 * _true(latent, factor))
    moved = cg.solve(X, Z, beta=0.2, discriminator=discriminator, throw=False)
    assert true.status == "optimal" and moved.status == "failed"
    made = moved.generator(Z)
    assert moved.certificate.ipm == pytest.approx(cg.ipm(X, made, discriminator).value, rel=1e-9)
    assert moved.certificate.value == pytest.approx(np.mean(np.sum(made**2, axis=1)), rel=1e-9)


@pytest.mark.parametrize("n", [3, 7, 9000])
def test_decompositions_are_of_the_rows(n):
    """In one piece or several, with more or fewer rows than features; the pseudo-inverse is the other route."""
    A = np.random.default_rng(n).standard_normal((n, 5)) @ np.diag([1e3, 1, 1, 1e-3, 0.0]) + [0, 1, 0, 0, 0]
    found = decompose(A)
    np.testing.assert_allclose(found.triangle.T @ found.triangle, second(A), atol=1e-9)
    np.testing.assert_allclose(found.triangle.T @ found.ones, A.mean(axis=0), atol=1e-10)
    law = whiten_sample(found)
    assert law.rank == min(n, 4) and law.kappa <= 1 + 1e-15  # a normalised vector of 4: gamma_7 is 8e-16
    assert law.kappa == pytest.approx(np.mean(A @ np.linalg.pinv(A, rcond=1e-12) @ np.ones(n)), rel=1e-9)
    np.testing.assert_allclose(law.root, np.sqrt(law.values)[:, None] * law.vectors.T, atol=1e-9)


def test_no_latents_have_more_mean_than_second_moment():
    """kappa is at most 1 for features with a constant too, else referees refuse the certificate."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        Z = rng.standard_normal((int(rng.integers(2, 12)), 2)) * 10.0 ** rng.uniform(-3, 1, 2)
        X = rng.standard_normal((10, 2)) + 1
        sol = cg.solve(X, Z, discriminator="linear", generator="polynomial", beta=0.1)
        mean = sol.certificate.evidence.arrays["latent_mean"]
        assert mean @ mean <= 1 + 1e-15
        assert cg.verify(sol.certificate, X).kind == "saddle"
        law = whiten(cg.Moments.from_array(cg.generators.TwoLayerPolynomial().lift(Z)))
        assert law.kappa <= 1 + 1e-15
