"""Two-layer ReLU generators: interpolation against the convex program over all patterns, games against free rows."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convexgan as cg
from convexgan.arrangements import activation_patterns, interpolate
from convexgan.generators import TwoLayerReLU
from convexgan.generators.relu import arc_cosine_kernel, reachable
from tests.generators import assert_alike, seeds

BIASED = TwoLayerReLU(bias=True)


def program_over_patterns(Z, y):
    """min sum |p_i| + |q_i| s.t. sum_i D_i Z (p_i - q_i) = y, (2 D_i - I) Z p_i >= 0 and the same for q_i."""
    D = activation_patterns(Z).astype(float)
    p, q = cp.Variable((len(D), Z.shape[1])), cp.Variable((len(D), Z.shape[1]))
    cones = [cp.multiply(2 * D - 1, half @ Z.T) >= 0 for half in (p, q)]
    outputs = cp.sum(cp.multiply(D, (p - q) @ Z.T), axis=0)
    problem = cp.Problem(cp.Minimize(cp.sum(cp.norm(cp.vstack([p, q]), axis=1))), [outputs == y, *cones])
    return problem.solve(solver=cp.CLARABEL)


# -- interpolation -------------------------------------------------------------------------------------------------


@given(seed=seeds, k=st.integers(1, 3), n=st.integers(1, 6), scale=st.sampled_from([1e-4, 1.0, 1e5]))
@settings(max_examples=12)
def test_the_path_norm_is_that_of_the_program_over_all_patterns(seed, k, n, scale):
    rng = np.random.default_rng(seed)
    Z = scale * rng.standard_normal((n, k))
    y = Z @ rng.standard_normal(k) + np.maximum(Z @ rng.standard_normal((k, 4)), 0) @ rng.standard_normal(4)
    if n > 1 and seed % 3 == 0:  # equal rows, multiples, opposite rows and zeros
        Z = np.vstack([Z, Z[:1], 2.5 * Z[:1], -Z[:1], 0 * Z[:1]])
        y = Z @ rng.standard_normal(k) + np.maximum(Z @ rng.standard_normal((k, 4)), 0) @ rng.standard_normal(4)
    found = interpolate(Z, y)
    exact = program_over_patterns(Z / scale, y / np.abs(y).max()) * np.abs(y).max() / scale
    assert found.bound <= exact * (1 + 1e-6)
    assert exact * (1 - 1e-6) <= found.path_norm <= exact * (1 + 1e-3)
    assert found.bound >= found.path_norm * (1 - 1e-3)
    np.testing.assert_allclose(np.maximum(Z @ found.neurons.T, 0) @ found.outer, y, atol=1e-9 * np.abs(y).max())
    np.testing.assert_allclose(np.linalg.norm(found.neurons, axis=1), 1)


@pytest.mark.parametrize(("n", "k"), [(150, 2), (60, 3)])
def test_a_smooth_function_at_many_rows(n, k):
    rng = np.random.default_rng(0)
    Z = np.column_stack([rng.standard_normal((n, k - 1)), np.ones(n)])
    y = np.sin(2 * Z[:, 0])
    found = interpolate(Z, y, gap=1e-2)
    assert found.residual < 1e-9 and 0.99 <= found.bound / found.path_norm <= 1 and len(found.outer) <= 2 * n
    assert found.path_norm < interpolate(Z, y + 0.3 * rng.standard_normal(n), gap=0.1).bound  # noise is not smooth


@pytest.mark.parametrize(
    ("Z", "y", "says"),
    [
        ([[1.0, 2.0], [1.0, 2.0]], [1.0, 2.0], "equal targets"),
        ([[1.0, 2.0], [2.0, 4.0]], [1.0, 1.0], "multiples"),
        ([[0.0, 0.0], [1.0, 0.0]], [1.0, 1.0], "column of ones"),
        ([[1.0], [-1.0]], [1.0], "one for each of the 2 rows"),
        ([[1.0], [-1.0]], [1.0, np.nan], "finite"),
    ],
)
def test_targets_out_of_reach(Z, y, says):
    with pytest.raises(ValueError, match=says):
        interpolate(np.array(Z), np.array(y))


def test_more_opposite_pairs_than_columns_are_tied_by_linearity():
    Z = np.random.default_rng(0).standard_normal((4, 2))
    Z = np.vstack([Z, -Z])
    odd = np.concatenate([np.arange(4.0), -np.arange(4.0)])
    with pytest.raises(ValueError, match="no ReLU network"):
        interpolate(Z, odd)
    assert interpolate(Z, np.abs(odd)).residual < 1e-9


# -- the space of outputs ------------------------------------------------------------------------------------------


@given(seed=seeds, k=st.integers(1, 3), n=st.integers(1, 7))
@settings(max_examples=15)
def test_reachable_outputs_are_those_of_many_random_neurons(seed, k, n):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, k))
    Z = np.vstack([Z, Z[:2], -Z[: seed % 4], 3 * Z[:1], 0 * Z[:1]])
    basis, outputs = reachable(Z), np.maximum(Z @ rng.standard_normal((k, 500)), 0)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    np.testing.assert_allclose(basis @ (basis.T @ outputs), outputs, atol=1e-9)
    assert basis.shape[1] == np.linalg.matrix_rank(outputs, tol=1e-7)


def test_the_kernel_is_the_mean_over_gaussian_neurons():
    rng = np.random.default_rng(0)
    Z = np.vstack([rng.standard_normal((4, 3)), np.zeros((1, 3))])
    draws = np.maximum(Z @ rng.standard_normal((3, 400_000)), 0)
    np.testing.assert_allclose(arc_cosine_kernel(Z), draws @ draws.T / 400_000, atol=0.02)


# -- games ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("discriminator", ["linear", "quadratic", "polynomial"])
@given(seed=seeds)
@settings(max_examples=4)
def test_games_cost_what_free_rows_do_where_latents_differ(discriminator, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((20, 2)) * [2, 1] + rng.normal(size=2)
    Z = rng.standard_normal((12, 1 + seed % 2))
    beta = rng.uniform(0.05, 0.5) * cg.ipm(X, np.zeros((1, 2)), discriminator).value
    options = {"beta": beta} if seed % 3 else {"lam": rng.uniform(0.3, 3)}
    sol = cg.solve(X, Z, discriminator=discriminator, generator=BIASED, **options)
    free = cg.solve(X, discriminator=discriminator, generator=cg.generators.Free(12), rng=0, **options)
    assert sol.certificate.kind == "saddle" and sol.value == pytest.approx(free.value, rel=1e-6, abs=1e-9)
    seen = cg.ipm(X, sol.generator(Z), discriminator).value  # of the network, not of what it should reach
    assert seen == pytest.approx(sol.certificate.ipm, rel=1e-8, abs=1e-9)
    assert np.mean(np.sum(sol.generator(Z) ** 2, axis=1)) + options.get("lam", 0) * seen == pytest.approx(sol.value)
    assert sol.stats["path_norm_bound"] <= sol.stats["path_norm"] <= sol.generator.path_norm * (1 + 1e-9)
    assert cg.verify(cg.Certificate.from_json(sol.certificate.to_json()), X).kind == "saddle"
    rows = cg.certify(X, sol.generator(Z), discriminator=discriminator, generator=BIASED, Z=Z, **options)
    assert rows.kind == "saddle"


def test_the_certificate_judges_the_network_and_not_its_targets(monkeypatch):
    def wrong(*arguments, **options):
        found = interpolate(*arguments, **options)
        return replace(found, outer=1.1 * found.outer)

    X, Z = np.random.default_rng(0).standard_normal((20, 2)), np.random.default_rng(1).standard_normal((9, 1))
    monkeypatch.setattr("convexgan.generators.relu.interpolate", wrong)
    sol = cg.solve(X, Z, generator=BIASED, beta=0.3)
    assert sol.certificate.kind == "bounded" and sol.value == pytest.approx(
        np.mean(np.sum(sol.generator(Z) ** 2, axis=1))
    )
    with pytest.raises(cg.SolverError, match="violates the constraint"):
        cg.solve(X, Z, generator=BIASED, beta=0.01)


def test_a_referee_accepts_laws_of_many_latent_directions():
    X = np.random.default_rng(0).standard_normal((20, 4)) + 1
    proof = cg.solve(
        X, np.random.default_rng(1).standard_normal((30, 2)), discriminator="linear", generator="relu", beta=0.2
    )
    assert cg.verify(proof.certificate, X).kind == "saddle"


def test_few_latents_bend_into_many_directions():
    """A linear generator of one latent has rank one; of one latent and a bias two; ReLUs reach all."""
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((50, 4)) * [3, 2, 1, 0.5], rng.standard_normal((30, 1))
    sol = cg.solve(X, Z, generator=BIASED, beta=0.1)
    assert sol.certificate.kind == "saddle" and np.linalg.matrix_rank(sol.generator(Z)) == 4
    with pytest.raises(cg.InfeasibleError) as error:
        cg.solve(X, Z, generator="relu", beta=0.1)  # without a bias two half-lines
    assert cg.solve(X, Z, generator="relu", beta=error.value.smallest_beta).certificate.kind == "saddle"


def test_the_outputs_taken_are_smooth():
    """Of all optimal outputs, those through which a short network goes: far shorter than through a random choice."""
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((50, 2)), rng.standard_normal((30, 2))
    sol = cg.solve(X, Z, generator=BIASED, beta=0.1)
    turned = np.linalg.qr(rng.standard_normal((30, 2)))[0]
    left, sizes, _ = np.linalg.svd(sol.generator(Z), full_matrices=False)
    assert left.shape == turned.shape
    rough = sum(interpolate(BIASED.augmented(Z), turned[:, i] * sizes[i], gap=0.1).bound for i in range(2))
    assert rough > 3 * sol.stats["path_norm"]


@pytest.mark.parametrize("Z", [np.ones((3, 2)), np.repeat([[1.0, 2.0], [0.0, 0.0], [-1.0, 1.0]], 2, axis=0), [[5.0]]])
@pytest.mark.parametrize("spec", ["relu", BIASED], ids=["plain", "biased"])
def test_degenerate_latents_give_a_certified_answer(Z, spec):
    X = np.random.default_rng(0).standard_normal((10, 2)) + 1
    for discriminator in ("linear", "quadratic", "polynomial"):
        found = cg.solve(X, np.array(Z), discriminator=discriminator, generator=spec, lam=0.5)
        assert found.certificate.kind in ("saddle", "minimax"), discriminator


def test_saved_generators_come_back_and_remember_their_latents(tmp_path):
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((20, 2)), rng.standard_normal((15, 2))
    sol = cg.solve(X, Z, generator=BIASED, beta=0.3)
    sol.save(tmp_path / "s.npz")
    again = cg.load(tmp_path / "s.npz")
    fresh = rng.standard_normal((5, 2))
    assert_alike(again.generator(fresh), sol.generator(fresh))
    assert_alike(again.generator.sample(6, rng=1), sol.generator.sample(6, rng=1))
    made, drawn, rows = sol.generator, sol.generator.sample(40, rng=0), sol.generator(Z)
    apart = np.abs(drawn[:, None, :] - rows).max(axis=2).min(axis=1)
    # products of 40 rows and of 15 need not round alike: two of k + 1 and m terms each differ by this at most
    inner = (
        np.linalg.norm(np.column_stack([made.neurons, made.biases]), axis=1)
        * np.hypot(np.linalg.norm(Z, axis=1), 1).max()
    )
    size = (inner @ np.abs(made.outer)).max()
    assert (apart <= 2 * (len(inner) + 3) * np.finfo(float).eps * size).all()
    assert np.linalg.norm(rows[:, None] - rows, axis=2)[~np.eye(15, dtype=bool)].min() > 1e-3  # rows are told apart


def test_zero_is_a_network_too():
    X, Z = np.random.default_rng(0).standard_normal((20, 2)), np.eye(2)
    sol = cg.solve(X, Z, generator="relu", beta=100.0)
    assert sol.value == 0 and sol.generator(Z).shape == (2, 2) and not sol.generator(Z).any()


@pytest.mark.parametrize(
    ("Z", "options", "says"),
    [
        (cg.GaussianLatent(2), {}, "latents as rows"),
        (cg.Moments.from_array(np.eye(2)), {}, "latents as rows"),
        (None, {}, "Z is missing"),
        (np.zeros((3, 2)), {}, "zero everywhere"),
    ],
)
def test_calls_refused_by_name(Z, options, says):
    with pytest.raises(ValueError, match=says):
        cg.solve(np.eye(2), Z, generator="relu", beta=0.1, **options)
