"""Eigenvalues that are called certified are: bounds hold against complete decompositions, and nothing can hide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaincinv
from scipy.stats import binom, chi2

import convexgan as cg
from convexgan.statistics import krylov
from convexgan.statistics.krylov import Complement, Pairs, leading_pairs, orthonormal
from convexgan.statistics.moments import Moments
from convexgan.statistics.subspace import Enclosure, Subspace

SPECTRA = {
    "pictures": lambda d: np.arange(1, d + 1) ** -1.5,
    "slow": lambda d: np.arange(1, d + 1) ** -0.7,
    "few": lambda d: np.where(np.arange(d) < 30, 1 / np.arange(1, d + 1), 0),
    "flat": lambda d: np.ones(d),
    "clusters": lambda d: np.where(np.arange(d) < d // 8, 3.0, 0.1),
}


def matrix(values: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A matrix with these eigenvalues, and its eigenvectors."""
    vectors = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values),) * 2))[0]
    return (vectors * values) @ vectors.T, vectors


def ritz(S: np.ndarray, guess: np.ndarray) -> tuple[Subspace, np.ndarray]:
    """Ritz pairs on the span of a guess with the sharp bound on the complement, straight from the definitions."""
    Q = np.linalg.qr(guess)[0]
    values, turn = np.linalg.eigh(Q.T @ S @ Q)
    values, V = values[::-1], Q @ turn[:, ::-1]
    R = S @ V - V * values
    P = np.eye(len(S)) - V @ V.T
    rest = np.linalg.eigvalsh(P @ S @ P)[-1]
    return Subspace(V, Enclosure(values, R.T @ R, rest), 0.0), V


@given(st.integers(0, 10**6), st.integers(3, 12), st.integers(1, 6), st.sampled_from([0.0, 1e-4, 0.1, 1.0]))
def test_enclosures_hold(seed, d, b, noise):
    b = min(b, d - 1)
    rng = np.random.default_rng(seed)
    S, vectors = matrix(np.sort(rng.exponential(size=d))[::-1] ** 2, seed)
    known, V = ritz(S, vectors[:, :b] + noise * rng.standard_normal((d, b)))
    truth, size = np.linalg.eigvalsh(S)[::-1], np.linalg.norm(S, 2)
    for enclosure in (known.enclosure, known.enclosure.first(max(b - 1, 1))):
        for count in range(1, len(enclosure.values) + 1):
            gaps = truth[:count] - enclosure.values[:count]
            assert gaps.min() >= -1e-12 * size
            assert gaps.max() <= enclosure.error(count) + 1e-12 * size
    inside = rng.standard_normal((2, b)) @ V.T
    for factor in (inside, inside + noise * rng.standard_normal((2, d)), np.zeros((1, d))):
        assert np.linalg.norm(S - factor.T @ factor, 2) <= known.distance(factor) + 1e-12 * size
    kept = max(b - 1, 1)
    P = np.eye(d) - V[:, :kept] @ V[:, :kept].T
    assert np.linalg.eigvalsh(P @ S @ P)[-1] <= known.enclosure.first(kept).rest + 1e-12 * size


def test_enclosures_are_sharp_to_second_order():
    S, vectors = matrix(SPECTRA["pictures"](60))
    errors = []
    for noise in (1e-3, 1e-4):
        known, _ = ritz(S, vectors[:, :10] + noise * np.random.default_rng(1).standard_normal((60, 10)))
        errors.append(known.enclosure.error(5))
    assert 50 < errors[0] / errors[1] < 200
    known, V = ritz(S, vectors[:, :10])
    factor = np.sqrt(known.enclosure.values[:5] - known.enclosure.values[5])[:, None] * V[:, :5].T
    assert known.distance(factor) == pytest.approx(np.linalg.norm(S - factor.T @ factor, 2), rel=1e-9)


@pytest.mark.parametrize(("corner", "coupling", "rest"), [(0.7, 0.1, 0.8), (0.8, 0.1, 0.7), (1, 1e-3, 0.1), (0, 1, 0)])
def test_the_bound_on_the_top_is_nearly_the_best(corner, coupling, rest):
    top = np.linalg.eigvalsh([[corner, coupling], [coupling, rest]])[-1]
    found = Enclosure(np.array([1.0]), np.array([[coupling**2]]), rest).top(np.array([[corner]]))
    assert top * (1 - 1e-12) <= found <= top + 0.05 * coupling


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("start", ["none", "good", "exact", "missing the largest", "dependent"])
def test_leading_pairs_are_those_of_a_complete_decomposition(spectrum, start):
    d, count, width = 240, 20, 26
    values = SPECTRA[spectrum](d)
    S, vectors = matrix(values)
    rng = np.random.default_rng(3)
    guess = {
        "none": np.zeros((d, 0)),
        "good": vectors[:, :width] + 0.02 * rng.standard_normal((d, width)),
        "exact": vectors[:, :width],
        "missing the largest": vectors[:, 1 : width + 1],
        "dependent": np.repeat(vectors[:, :3], 10, axis=1),
    }[start]
    found = leading_pairs(lambda Q: S @ Q, guess, count, width=width, columns=160, rng=rng)
    known = found.enclosure
    gaps = values[:count] - known.values[:count]
    assert gaps.min() >= -1e-12 and gaps.max() <= known.error(count) + 1e-14 <= 1.1e-7 * values[0]
    P = np.eye(d) - found.vectors @ found.vectors.T
    assert np.linalg.eigvalsh(P @ S @ P)[-1] <= known.rest * (1 + 1e-9)
    assert np.allclose(found.vectors.T @ found.vectors, np.eye(width), atol=1e-12)
    R = S @ found.vectors - found.vectors * known.values
    above = np.linalg.eigvalsh(known.coupling - R.T @ R)  # rounding is inside, at most a share of 1e-4
    assert -1e-16 * values[0] ** 2 <= above[0] <= above[-1] <= 2e-4 * np.linalg.norm(R, 2) ** 2 + 1e-14 * values[0] ** 2
    assert known.error(count) < known.proved_error(count) <= known.error(count) + 1e-11 * values[0]
    assert 0 < found.failure < 1e-8


def test_few_columns_mean_more_passes_and_the_same_answer():
    S, _ = matrix(SPECTRA["slow"](500))
    passes = []
    for columns in (60 + krylov.PROBES, 450):
        calls = []
        product = lambda Q, calls=calls: calls.append(Q.shape[1]) or S @ Q  # noqa: E731
        guess = np.zeros((500, 0))
        found = leading_pairs(product, guess, 20, width=30, columns=columns, rng=np.random.default_rng(0))
        assert np.abs(found.enclosure.values[:20] - SPECTRA["slow"](500)[:20]).max() < 1e-7
        passes.append(len(calls))
    assert passes[0] > passes[1]


def searched(S: np.ndarray, basis: np.ndarray, times: int, rng: np.random.Generator) -> Complement:
    """A search of the complement after so many multiplications."""
    search = Complement(rng, basis)
    for _ in range(times):
        search.add(basis, S @ search.block)
    return search


@pytest.mark.parametrize("probes", [1, 3])
def test_the_bound_on_the_complement_fails_as_often_as_it_says(monkeypatch, probes):
    """For a complement of rank one and one multiplication the probability is exact."""
    monkeypatch.setattr(krylov, "FAILURE", 0.2)
    monkeypatch.setattr(krylov, "PROBES", probes)
    d, rng = 12, np.random.default_rng(0)
    S, basis = np.diag(np.eye(1, d)[0]), np.eye(d)[:, -2:]
    bounds = [searched(S, basis, 1, rng).bound()[0] for _ in range(3000)]
    assert np.mean(np.array(bounds) < 1) == pytest.approx(0.2, abs=0.025)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("rest", [0.0, 1e-9, 0.5, 0.999])
@pytest.mark.parametrize("size", [1.0, 1e8])
def test_looking_after_every_pass_does_not_make_it_fail_more_often(monkeypatch, kind, rest, size):
    """One event, that the vectors hardly see the eigenvector, decides over the bounds of all passes."""
    monkeypatch.setattr(krylov, "FAILURE", 0.05)
    monkeypatch.setattr(krylov, "PROBES", 4)
    d, used, rng = 30, 2, np.random.default_rng(0)
    values = np.append(size, rest * rng.random(d - 1))
    S, vectors = matrix(np.append(100 * size * np.ones(used), values))
    basis, failures, times = vectors[:, :used], 0, 600
    for _ in range(times):
        search, least = Complement(rng, basis), np.inf
        while not search.exhausted:
            search.add(basis, (S.astype(kind) @ search.block.astype(kind)).astype(float))
            least = min(least, search.bound()[0])
        failures += least < size * (1 - 1e-4)
    assert failures <= binom.ppf(1 - 1e-6, times, 0.05)


@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(0, 3), st.integers(1, 6), st.sampled_from([0.1, 1, 4]))
def test_the_complement_ends_between_theta_and_the_bound(seed, d, m, times, decay):
    rng = np.random.default_rng(seed)
    S, _ = matrix(rng.exponential(size=d) * np.arange(1, d + 1.0) ** -decay, seed)
    basis = np.linalg.qr(rng.standard_normal((d, min(m, d - 1))))[0]
    search = searched(S, basis, times, rng)
    bound, theta = search.bound()
    P = np.eye(d) - basis @ basis.T
    truth = np.linalg.eigvalsh(P @ S @ P)[-1]
    assert theta * (1 - 1e-9) <= truth <= bound * (1 + 1e-9)
    P = P - np.outer(P[0], P[0]) / max(P[0, 0], 1e-300)  # the bound is one for larger bases too
    assert np.linalg.eigvalsh(P @ S @ P)[-1] <= bound * (1 + 1e-9) + 1e-12


def test_the_bound_is_where_the_largest_mass_that_moments_allow_is_too_small():
    """The mass at t is at most 1 / v'H^-1 v, H the Hankel matrix of the moments and v the powers of t."""
    d, times, rng = 30, 3, np.random.default_rng(0)
    S, _ = matrix(np.arange(1, d + 1) ** -0.7)
    search = Complement(rng, np.zeros((d, 0)))
    G = search.block * search._size
    moments = [np.sum(G * (np.linalg.matrix_power(S, j) @ G)) for j in range(2 * times + 1)]
    for _ in range(times):
        search.add(np.zeros((d, 0)), S @ search.block)
    bound, theta = search.bound()
    hankel = np.array([[moments[i + j] for j in range(times + 1)] for i in range(times + 1)])
    for t in (0.1, theta, bound, 2 * bound):
        powers = t ** np.arange(times + 1)
        assert search._inverse_mass(t) == pytest.approx(powers @ np.linalg.solve(hankel, powers), rel=1e-6)
    chi = 2 * gammaincinv(krylov.PROBES / 2, krylov.FAILURE)
    assert chi2.cdf(chi, krylov.PROBES) == pytest.approx(krylov.FAILURE)
    assert search._inverse_mass(bound) * chi == pytest.approx(1, rel=1e-4)


def test_nothing_lies_beyond_a_whole_basis_and_little_beyond_an_invariant_one():
    S, vectors = matrix(np.where(np.arange(20) < 5, 3.0, 0.0))
    rng = np.random.default_rng(0)
    assert searched(S, vectors, 2, rng).bound() == (0.0, 0.0)
    assert searched(S, vectors[:, :5], 2, rng).bound()[0] < 1e-12
    assert searched(S, vectors[:, :2], 3, rng).bound()[0] == pytest.approx(3, rel=1e-5)  # one eigenvalue and zero


@pytest.mark.parametrize("hidden", [1.0, 0.5])
def test_a_large_eigenvalue_far_from_the_start_is_found(hidden):
    """The start is invariant, so its residuals say nothing of what it lacks; only the random vectors do."""
    values = np.append(np.linspace(1, 0.1, 60), np.full(180, 1e-6))
    S, vectors = matrix(values)
    lacking = int(np.argmin(np.abs(values[:60] - hidden)))
    start = np.delete(vectors[:, :61], lacking, axis=1)
    rng = np.random.default_rng(0)
    found = leading_pairs(lambda Q: S @ Q, start, 40, width=60, columns=200, rng=rng)
    np.testing.assert_allclose(found.enclosure.values[:40], values[:40], atol=1e-7)


def test_orthonormal_drops_what_depends():
    rng = np.random.default_rng(0)
    basis = orthonormal(rng.standard_normal((50, 10)))
    block = np.hstack(
        [basis[:, :4], 1e-9 * rng.standard_normal((50, 3)), rng.standard_normal((50, 2)), np.zeros((50, 1))]
    )
    block = np.hstack([block, block[:, -2:-1] * 7])
    kept = orthonormal(block, basis)
    assert kept.shape == (50, 5)
    assert np.allclose(np.hstack([basis, kept]).T @ np.hstack([basis, kept]), np.eye(15), atol=1e-13)


def test_what_cannot_be_reached_is_said(monkeypatch):
    monkeypatch.setattr(krylov, "MAX_PASSES", 3)
    S, _ = matrix(SPECTRA["slow"](300))
    with pytest.raises(cg.SolverError, match=r"known to .* of the largest after 3 passes, not to 1e-07"):
        leading_pairs(
            lambda Q: S @ Q, np.zeros((300, 0)), 20, width=22, columns=44 + krylov.PROBES, rng=np.random.default_rng(0)
        )


@pytest.mark.parametrize("seed", range(40))
def test_what_is_known_is_told_without_eigenvalues_as_with_them(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    b = int(rng.integers(3, 12))
    width = int(rng.integers(2, b + 1))
    count = int(rng.integers(1, width + 1))
    root = np.diag(rng.uniform(0.5, 1, b)) if seed % 2 else rng.standard_normal((b, b)) * rng.uniform(0.01, 1, b)
    values = np.sort(rng.uniform(1, 2, b))[::-1]
    pairs = Pairs(values, np.eye(b), root.T @ root * 10.0 ** rng.uniform(-12, -2))
    for rest in (0.0, 0.5, 0.9 * values[count - 1], values[count - 1], 1.1 * values[count - 1], 3.0):
        error = pairs.known(rest, width).error(count)
        for share in (0.4, 0.6, 0.999, 1.0, 1.001, 1.6, 2.5):
            assert pairs.is_known(rest, width, count, share * error) == (share >= 1)
    monkeypatch.setattr(np.linalg, "eigvalsh", lambda matrix: pytest.fail("of a sum that is too large anyway"))
    assert not pairs.is_known(3.0, width, count, 1e-3)
    assert not pairs.is_known(0.0, width, count, float(pairs.coupling.diagonal()[:count].mean()) / 5)


def test_certificates_on_a_subspace_hold_on_the_whole_space():
    """The game solved from leading pairs: same value, and its violation is no smaller than the true one."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 120)) * np.arange(1, 121) ** -0.8
    data = Moments.from_array(X - X.mean(0))
    pairs = leading_pairs(
        lambda Q: data.second @ Q, np.zeros((120, 0)), 13, width=20, columns=90, rng=np.random.default_rng(0)
    )
    known = Moments.on_subspace(pairs)
    beta = known.spectrum.value(12)
    partial = cg.solve(known, cg.GaussianLatent(12), beta=beta).certificate
    complete = cg.solve(data, cg.GaussianLatent(12), beta=beta + partial.eigenvalue_error).certificate
    assert partial.kind == "saddle" and partial.value == pytest.approx(complete.value, rel=1e-5)
    assert partial.ipm == pytest.approx(
        complete.ipm, rel=1e-4
    ) and 0 < partial.eigenvalue_error < 1.1e-7 * data.spectrum.value(0)
    assert partial.failure == pairs.failure and "eigenvalue error" in str(partial) and complete.failure == 0
    again = cg.Certificate.from_json(partial.to_json())
    assert again == partial
    truth = cg.verify(again, data)
    assert truth.ipm <= partial.ipm + 1e-15 and truth.value == pytest.approx(partial.value, rel=1e-12)
    for narrow in (12, 6):  # a generator that is not optimal, or does not even lie in the subspace
        F = rng.standard_normal((narrow, 120)) * 0.1
        assert np.linalg.norm(data.second - F.T @ F, 2) <= pairs.distance(F)


def test_a_subspace_proves_nothing_of_biases_and_linear_terms():
    """What is not restricted to quadratic neurons without bias reads the whole moment, or says that there is none."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 60)) * np.arange(1, 61) ** -0.2
    data = Moments.from_array(X).centered()
    pairs = leading_pairs(lambda Q: data.second @ Q, np.zeros((60, 0)), 6, width=10, columns=60, rng=rng)
    whole, known = data.with_ones().spectrum.values, data.restricted(pairs).with_ones()
    np.testing.assert_allclose(known.spectrum.values, whole, atol=1e-12)
    for options in ({"discriminator": "quadratic", "bias": "penalized"}, {"discriminator": "polynomial"}):
        with pytest.raises(ValueError, match="known on a subspace only"):
            cg.solve(Moments.on_subspace(pairs), cg.GaussianLatent(12), beta=whole[9] / 2, **options)


def test_linear_maps_of_moments_are_moments_of_mapped_rows():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((6, 4))
    for n in (3, 5, 40):
        X = rng.standard_normal((n, 6)) + 2
        mapped, direct = Moments.from_array(X).mapped(lambda rows: rows @ A), Moments.from_array(X @ A)
        assert mapped.count == n and mapped.dim == 4
        np.testing.assert_allclose(mapped.mean, direct.mean, atol=1e-13)
        np.testing.assert_allclose(mapped.second, direct.second, atol=1e-12)
        np.testing.assert_allclose(mapped.centered().second, direct.centered().second, atol=1e-12)
    with pytest.raises(ValueError, match="law"):
        Moments.of_law(np.zeros(6), np.eye(6)).mapped(lambda rows: rows)
