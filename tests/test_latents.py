"""Latent laws: exact moments against definitions, and sampling."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

import convexgan as cg
from convexgan.latents import MomentLatent, SampleLatent, as_latent, quadratic_features
from tests.generators import rows


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
