"""Leading eigenpairs of moments that are formed, and the proof by a factorisation that none was missed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convexgan as cg
from convexgan.exceptions import SolverError
from convexgan.statistics import partial
from convexgan.statistics.krylov import CLOSELY
from convexgan.statistics.partial import formed_pairs

SPECTRA = {
    "slow": lambda d: 1 / np.arange(1.0, d + 1),
    "fast": lambda d: np.exp(-np.arange(d) / 10.0),
    "few": lambda d: np.where(np.arange(d) < 9, 1.0 + np.arange(d), 0.0),
    "equal": lambda d: np.where(np.arange(d) < 9, 1.0, 0.01),
    "noise": lambda d: np.random.default_rng(1).chisquare(2 * d, d) / (2 * d),
}


def factor_of(values, r, seed=0):
    """(r, d) rows F with the given eigenvalues of F'F, d of them, as many as r not 0."""
    d, rng = len(values), np.random.default_rng(seed)
    left, right = np.linalg.qr(rng.standard_normal((r, r)))[0], np.linalg.qr(rng.standard_normal((d, d)))[0]
    return (left * np.sqrt(values[:r])) @ right[:r] if r < d else (right * np.sqrt(values)) @ right


def check(known, truth, count, tol=CLOSELY):
    """What a subspace says of the eigenvalues is so."""
    values = known.enclosure.values
    assert known.failure == 0
    above = known.enclosure.proved_error(count)
    assert above <= tol * truth[0]
    np.testing.assert_array_less(values[:count], truth[:count] + 1e-13 * truth[0])
    np.testing.assert_array_less(truth[:count], values[:count] + above + 1e-13 * truth[0])


@pytest.mark.parametrize("form", ["second", "factor", "few rows"])
@pytest.mark.parametrize("kind", [kind for kind in SPECTRA if kind != "noise"])
def test_leading_pairs_are_those_of_a_complete_decomposition(kind, form):
    values, count = np.sort(SPECTRA[kind](300))[::-1], 9
    F = factor_of(values, 120 if form == "few rows" else 300)
    S = F.T @ F
    known = formed_pairs(S if form == "second" else None, None if form == "second" else F, count)
    truth = np.linalg.eigvalsh(S)[::-1]
    check(known, truth, count)
    V = known.vectors
    P = np.eye(300) - V @ np.linalg.solve(V.T @ V, V.T)
    assert np.linalg.eigvalsh(P @ S @ P)[-1] <= known.enclosure.rest


def test_a_guess_lies_in_the_span():
    F = factor_of(np.arange(1, 301) ** -1.0, 300)
    rows, S = np.random.default_rng(0).standard_normal((5, 300)), F.T @ F
    truth, count = np.linalg.eigvalsh(S)[::-1], 9
    guessed, free = formed_pairs(S, None, count, guess=rows), formed_pairs(S, None, count)
    for known in (guessed, free):
        check(known, truth, count)
    outside = [np.linalg.norm(rows - rows @ known.vectors @ known.vectors.T) for known in (guessed, free)]
    assert outside[0] < 1e-9 and outside[1] > 1
    assert free.vectors.shape[1] == count + 10 < guessed.vectors.shape[1]


@given(st.integers(0, 10**6), st.integers(1, 12), st.floats(1e-7, 1e7))
def test_what_is_proved_of_any_moments_is_so(seed, count, scale):
    rng = np.random.default_rng(seed)
    d, n = int(rng.integers(90, 130)), int(rng.integers(60, 200))
    X = scale * rng.standard_normal((n, d)) * np.sort(rng.gamma(0.3, size=d))[::-1]
    data = cg.Moments.from_array(X)
    truth = np.linalg.eigvalsh(X.T @ X / n)[::-1]
    try:
        check(data.leading_pairs(count), truth, count)
    except SolverError:
        assert truth[count] > 0.5 * truth[count - 1]  # only where eigenvalues lie close


@pytest.mark.parametrize("form", ["second", "factor"])
def test_no_start_hides_an_eigenvector(form):
    """The first vectors are orthogonal to the largest, and all products with them, without any rounding."""
    d, count = 500, 8
    values = 1 / np.arange(1.0, d + 1) ** 2
    S, F = np.diag(values), np.diag(np.sqrt(values))
    proofs = []
    real = partial._rest

    def spied(*args):
        proofs.append(real(*args) is not None)
        return real(*args)

    class Blind:  # random vectors of the start that happen to be blind for it
        rng, calls = np.random.default_rng(0), 0

        def standard_normal(self, shape):
            self.calls += 1
            drawn = self.rng.standard_normal(shape)
            if self.calls == 1:
                drawn[0] = 0
            return drawn

    blind = Blind()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partial, "_rest", spied)
        patch.setattr(partial.np.random, "default_rng", lambda seed: blind)
        known = formed_pairs(S if form == "second" else None, F if form == "factor" else None, count)
    assert proofs[0] is False and proofs[-1] is True
    check(known, values, count)


@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_levels_are_proved_only_where_the_complement_ends_below(seed, b, few):
    """Also of vectors that are no eigenvectors, where coupling counts."""
    rng = np.random.default_rng(seed)
    F = rng.standard_normal((8 if few else 20, 12)) * rng.gamma(0.5, size=12)
    V = np.linalg.qr(rng.standard_normal((12, b)))[0]
    S, P = F.T @ F, np.eye(12) - V @ V.T
    truth, values = float(np.linalg.eigvalsh(P @ S @ P)[-1]), np.einsum("ij,ij->j", V, S @ V)
    for share in (0.5, 0.9, 1 - 1e-6):
        assert partial._rest(S, None, V, values, share * truth) is None
        assert partial._rest(None, F, V, values, share * truth) is None
    found = partial._rest(None, F, V, values, (1 + 1e-6) * truth)  # of rows it is an equivalence
    assert found is not None and truth <= found <= truth * (1 + 2e-6)


def test_what_cannot_be_separated_is_said():
    values = np.sort(SPECTRA["noise"](400))[::-1]
    with pytest.raises(SolverError, match="compute all"):
        formed_pairs(None, factor_of(values, 400), 60)


@pytest.mark.parametrize("rows", ["many", "few"])
@pytest.mark.parametrize("beta", [0.0, 0.02, 0.3])
def test_games_are_solved_from_few_pairs(monkeypatch, rows, beta):
    """By both routes, and on the smallest beta where latents of this rank cannot match."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((700 if rows == "many" else 250, 400)) / np.arange(1.0, 401)
    latent = cg.GaussianLatent(10)

    def solved(given):
        try:
            return cg.solve(given, latent, beta=beta)
        except cg.InfeasibleError as error:
            return cg.solve(given, latent, beta=error.smallest_beta)

    whole = solved(X)
    monkeypatch.setattr(partial, "PARTIAL", 100)
    data = cg.Moments.from_array(X)
    sol = solved(data)
    assert "spectrum" not in data._cache and data.leading(11) is not data
    certificate = sol.certificate
    assert certificate.kind == "saddle" and certificate.failure == 0 and certificate.eigenvalue_error > 0
    assert sol.value == pytest.approx(whole.value, rel=1e-7)
    S, W = X.T @ X / len(X), sol.generator.weights
    assert np.linalg.norm(S - W.T @ W, 2) <= certificate.ipm
    assert certificate.ipm == pytest.approx(np.linalg.norm(S - W.T @ W, 2), rel=1e-6)
    assert certificate.bound <= whole.value * (1 + 1e-9)
    agreed = cg.verify(certificate, X)
    assert agreed.agreement.agrees


def test_more_rows_are_decomposed_anew(monkeypatch):
    monkeypatch.setattr(partial, "PARTIAL", 100)
    X = np.random.default_rng(6).standard_normal((400, 300)) / np.arange(1.0, 301)
    data = cg.Moments.from_array(X)
    first = data.leading(5)
    data.update(10 * X[:1])
    assert data.leading(5) is not first and first.count == 400
    assert data.leading(5).spectrum.value(0) == pytest.approx(data._copy().spectrum.value(0), rel=1e-9)


def test_few_pairs_are_sought_where_rows_and_columns_are_many_and_eight_times_as_many(monkeypatch):
    sought = []

    def seeking(self, count, guess=None):
        sought.append(count)
        raise SolverError("they are not separated")

    monkeypatch.setattr(partial, "PARTIAL", 100)
    monkeypatch.setattr(cg.Moments, "leading_pairs", seeking)
    X = np.random.default_rng(7).standard_normal((400, 300))
    for rows, count in ((X, 38), (X, 37), (X[:99], 5), (X[:100], 5)):
        cg.Moments.from_array(rows).leading(count)
    assert sought == [37, 5]
