"""Moments are additive, accurate in every precision, and never half-changed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convexgan as cg
from tests.generators import rows

Moments = cg.Moments
DENSE, THIN = (30, 4), (3, 40)


def sample(shape=DENSE, seed=0, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def exact(X, weights=None):
    """Mean and second moment in extended precision."""
    X = np.asarray(X).astype(np.longdouble)
    w = np.ones(len(X), np.longdouble) if weights is None else np.asarray(weights, np.longdouble)
    w = w / w.sum()
    return (w @ X).astype(float), ((X * w[:, None]).T @ X).astype(float)


def assert_moments(moments, X, weights=None, rtol=1e-14):
    mean, second = exact(X, weights)
    np.testing.assert_allclose(moments.mean, mean, rtol=0, atol=rtol * np.abs(X).max())
    np.testing.assert_allclose(moments.second, second, rtol=0, atol=rtol * np.abs(X).astype(float).max() ** 2)
    assert moments.trace == pytest.approx(np.trace(second), rel=10 * rtol)


@pytest.mark.parametrize("shape", [DENSE, THIN, (1, 1), (4, 4), (5, 4), (1, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_second_moment(shape, weighted):
    X = sample(shape) + 0.5
    w = np.arange(1.0, len(X) + 1) if weighted else None
    moments = Moments.from_array(X, w)
    assert_moments(moments, X, w)
    assert moments.count == len(X)
    assert (moments.factor is None) == (shape[0] > shape[1])


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, bool, np.float32, np.float16, np.float64])
@pytest.mark.parametrize("shape", [DENSE, THIN])
def test_every_real_dtype(dtype, shape):
    X = (np.abs(sample(shape)) * 60).astype(dtype)
    assert_moments(Moments.from_array(X), X)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-11), (np.float32, 1e-11)])
@pytest.mark.parametrize("offset", [100.0, 1000.0])
def test_small_variance_around_a_large_mean(dtype, rtol, offset):
    """The pilot mean keeps the covariance accurate where mean(x x') - mean mean' would lose it."""
    X = (offset + 0.01 * sample((5000, 3))).astype(dtype)
    truth = np.cov(X.astype(np.longdouble).T.astype(float), bias=True)
    mean = X.astype(np.longdouble).mean(0)
    centred = (X.astype(np.longdouble) - mean).astype(float)
    truth = centred.T @ centred / len(X)
    np.testing.assert_allclose(Moments.from_array(X).centered().second, truth, rtol=0, atol=rtol * 1e-4)


@pytest.mark.parametrize("d", [5, 90])
def test_bytes_are_added_up_exactly_in_any_order(d):
    X = np.random.default_rng(0).integers(0, 256, (5000, d)).astype(np.uint8)
    X[:2000], X[2000:2500] = 255, 0  # the largest products there are, all of one sign
    whole = (X.astype(np.int64) - 128).T @ (X.astype(np.int64) - 128)
    for parts in (np.array_split(X, 7), np.array_split(X[::-1], 3)):
        made = Moments.from_chunks(parts) + Moments.from_array(X[:0] if len(X) == 0 else X[:50])
        again = Moments.from_array(X[:50]) + Moments.from_chunks(parts)
        np.testing.assert_array_equal(np.tril(made._data.sums.gram), np.tril(again._data.sums.gram))
        few = X[:50].astype(np.int64) - 128
        np.testing.assert_array_equal(np.tril(made._data.sums.gram), np.tril(whole + few.T @ few))
        assert made._data.sums.moved == made._data.sums.shifted == 0


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.booleans(), st.integers(2, 8))
def test_chunks_and_merges_in_any_order_give_the_same(sizes, weighted, d):
    X = sample((sum(sizes), d)) * 3 + 1
    w = np.random.default_rng(1).uniform(0.1, 2, len(X)) if weighted else None
    cuts = np.cumsum(sizes)[:-1]
    chunks = np.split(X, cuts)
    weights = [None] * len(chunks) if w is None else np.split(w, cuts)
    parts = [Moments.from_array(c, v) for c, v in zip(chunks, weights, strict=True)]
    if w is None:
        assert_moments(Moments.from_chunks(iter(chunks)), X, rtol=1e-13)
    for order in itertools.islice(itertools.permutations(parts), 6):
        total = order[0]
        for part in order[1:]:
            total = total + part
        assert_moments(total, X, w, rtol=1e-13)
        assert total.count == len(X)
    for part, chunk, v in zip(parts, chunks, weights, strict=True):
        assert_moments(part, chunk, v)  # merging changed no argument


@pytest.mark.parametrize("d", [3, 70])
def test_chunks_of_mixed_precision_merge(d):
    A, B = sample((90, d)) + 50, (sample((90, d), 1) + 60).astype(np.float32)
    both = np.vstack([A, B.astype(float)])
    for merged in (Moments.from_array(A) + Moments.from_array(B), Moments.from_array(B) + Moments.from_array(A)):
        assert_moments(merged, both, rtol=1e-13)
    assert_moments(Moments.from_chunks([A, B]), both, rtol=1e-13)


@pytest.mark.parametrize("d", [20, 100])
@pytest.mark.parametrize("sort", [True, False])
def test_groups_at_other_levels_do_not_cancel(d, sort):
    """Single-precision rows of two classes, one moved by 3,000 deviations: their covariance and a game on it."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, d)) + 3000 * (np.arange(4000) >= 2000)[:, None]
    X = (X if sort else X[rng.permutation(4000)]).astype(np.float32)
    truth = np.cov(X.astype(float).T, bias=True)
    values = np.linalg.eigvalsh(truth)[::-1]
    for moments in (Moments.from_array(X), Moments.from_chunks(np.array_split(X, 8))):
        data = moments.centered()
        np.testing.assert_allclose(data.spectrum.values[1:5], values[1:5], rtol=1e-4)
        sol = cg.solve(data, cg.GaussianLatent(d), beta=float(values[3]))
        W = sol.generator.weights
        assert np.linalg.norm(truth - W.T @ W, 2) <= sol.certificate.ipm + 1e-9 * values[0]
        assert sol.certificate.kind == "saddle" and sol.certificate.violation <= 1e-9 * values[0]


def test_many_single_rows_lose_no_digits():
    rng = np.random.default_rng(0)
    narrow = rng.standard_normal((200_000, 2)).astype(np.float32)
    narrow[0] = 1e5  # beside which single precision would not see the others
    assert_moments(Moments.from_array(narrow), narrow.astype(float), rtol=1e-13)


def test_many_rows_cross_the_chunk_boundary(monkeypatch):
    monkeypatch.setattr("convexgan.statistics.accumulation.CHUNK_BYTES", 64)
    X, w = sample((101, 3)) + 2, np.arange(101.0)
    assert_moments(Moments.from_array(X), X)
    assert_moments(Moments.from_array(X, w), X, w)


@pytest.mark.parametrize("shape", [DENSE, THIN])
@pytest.mark.parametrize("weighted", [False, True])
def test_centered(shape, weighted):
    X = sample(shape) + 7
    w = np.arange(1.0, len(X) + 1) if weighted else None
    mean = exact(X, w)[0]
    original = Moments.from_array(X, w)
    centred = original.centered()
    np.testing.assert_allclose(centred.second, exact(X - mean, w)[1], atol=1e-12)
    assert not centred.mean.any()
    assert_moments(original, X, w)
    grown = centred.update(X[:1] - mean)  # what was centred can still grow
    assert grown.count == len(X) + 1
    v = np.ones(len(X)) if w is None else w
    np.testing.assert_allclose(grown.second, exact(np.vstack([X, X[:1]]) - mean, np.append(v, 1.0))[1], atol=1e-12)


@pytest.mark.parametrize("shape", [DENSE, THIN])
@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_with_ones(shape, centre, dtype):
    X = sample(shape, dtype=dtype) + dtype(0 if centre else 1)
    moments = Moments.from_array(X)
    if centre:
        moments, X = moments.centered(), X - moments.mean
    augmented = moments.with_ones()
    np.testing.assert_allclose(augmented.second, exact(np.column_stack([X, np.ones(len(X))]))[1], atol=2e-6)
    np.testing.assert_allclose(augmented.mean, np.append(moments.mean, 1), atol=1e-7)
    assert augmented.eps == moments.eps
    values, vectors = augmented.spectrum.values, augmented.spectrum.vectors
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose((vectors * values) @ vectors.T, augmented.second, atol=1e-6)


@pytest.mark.parametrize("shape", [DENSE, THIN])
def test_spectrum(shape):
    moments = Moments.from_array(sample(shape))
    values, vectors = moments.spectrum.values, moments.spectrum.vectors
    assert (np.diff(values) <= 0).all() and (values >= 0).all()
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=1e-13)
    np.testing.assert_allclose((vectors * values) @ vectors.T, moments.second, atol=1e-12)
    assert moments.spectrum.value(len(values)) == 0
    assert moments.spectrum is moments.spectrum


@given(st.integers(1, 6), st.integers(1, 30), st.sampled_from([1e-8, 1.0, 1e8]), st.booleans())
def test_rank_of_a_product(rank, n, size, single):
    A, B = sample((n, rank)), sample((rank, 7), 1)
    X = (size * (A @ B)).astype(np.float32 if single else float)
    assert Moments.from_array(X).rank() == min(n, rank)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("n", [20, 4])
def test_rank_counts_small_but_real_directions(n, single):
    """Well above rounding noise of the precision the data came in: the smallest eigenvalue is 1e-6 of the largest."""
    X = rows([1.0, 1e-2, 1e-4 if single else 1e-9], n=max(n, 5), turned=True)
    assert Moments.from_array(X.astype(np.float32) if single else X).rank() == 3


@pytest.mark.parametrize("shape", [DENSE, THIN])
@pytest.mark.parametrize(
    "damage",
    [
        lambda X: X * np.nan,
        lambda X: np.where(np.arange(X.size).reshape(X.shape) == 3, np.inf, X),
        lambda X: X[:, :-1],
        lambda X: X[:0],
        lambda X: X[0],
    ],
)
def test_a_refused_update_leaves_the_object_unchanged(shape, damage):
    X = sample(shape)
    moments = Moments.from_array(X)
    mean, second = moments.mean.copy(), moments.second.copy()
    for bad in (damage(sample(DENSE if shape == DENSE else THIN, 1)), damage(np.tile(X, (20, 1)))):
        with pytest.raises(ValueError, match="rows"):
            moments.update(bad)
    assert moments.count == len(X) and moments.total == len(X)
    np.testing.assert_array_equal(moments.mean, mean)
    np.testing.assert_array_equal(moments.second, second)
    assert_moments(moments.update(X), np.vstack([X, X]))


@pytest.mark.parametrize("weights", [[1, 1], [1, -1, 1], [0, 0, 0], [1, np.nan, 1], [[1], [1], [1]]])
def test_bad_weights_are_named(weights):
    with pytest.raises(ValueError, match="weights of X"):
        Moments.from_array(np.ones((3, 2)), weights)


def test_weights_beside_finished_moments_are_refused_not_ignored():
    X = sample()
    with pytest.raises(ValueError, match="weights"):
        Moments.from_array(Moments.from_array(X), np.ones(len(X)))


def test_integer_weights_repeat_rows():
    X, counts = sample(), np.arange(30) % 4
    repeated = Moments.from_array(np.repeat(X, counts, axis=0))
    weighted = Moments.from_array(X, counts)
    np.testing.assert_allclose(weighted.second, repeated.second, rtol=0, atol=1e-14)
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", [DENSE, THIN])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
def test_save_and_load(tmp_path, shape, weighted, dtype):
    X = (np.abs(sample(shape)) * 50).astype(dtype)
    moments = Moments.from_array(X, np.arange(1.0, len(X) + 1) if weighted else None)
    moments.save(tmp_path / "a.npz")
    again = Moments.load(tmp_path / "a.npz")
    assert (again.count, again.total, again.eps, again.dim) == (moments.count, moments.total, moments.eps, shape[1])
    np.testing.assert_array_equal(again.second, moments.second)
    assert again.rank() == moments.rank()
    np.testing.assert_array_equal((again + moments).second, (moments + moments).second)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("shape", [DENSE, THIN])
def test_damaged_files_give_a_value_error_with_the_path(tmp_path, shape):
    path = tmp_path / "moments.npz"
    Moments.from_array(sample(shape)).save(path)
    whole = path.read_bytes()
    name = b"gram.npy" if shape == DENSE else b"rows0.npy"
    middle = whole.find(name) + 200
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for damaged in (b"", b"hello", whole[: len(whole) // 2], flipped):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"moments\.npz"):
            Moments.load(path)


@pytest.mark.parametrize(
    "change", [{"gram": np.zeros((2, 2))}, {"count": -1}, {"total": np.nan}, {"linear": np.full(4, np.nan)}]
)
def test_a_file_with_impossible_content_is_refused(tmp_path, change):
    path = tmp_path / "moments.npz"
    Moments.from_array(sample()).save(path)
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **(content | change))
    with pytest.raises(ValueError, match=r"moments\.npz"):
        Moments.load(path)


def test_other_files_are_not_moments(tmp_path):
    np.savez(tmp_path / "b.npz", x=np.ones(3))
    np.save(tmp_path / "c.npy", np.ones(3))
    for name in ("b.npz", "c.npy"):
        with pytest.raises(ValueError, match=name):
            Moments.load(tmp_path / name)
    np.savez(tmp_path / "p.npz", dim=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"p\.npz"):
        Moments.load(tmp_path / "p.npz")
    with pytest.raises(FileNotFoundError):
        Moments.load(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError, match="create it"):
        Moments.from_array(sample()).save(tmp_path / "no" / "a.npz")


def test_laws_are_neither_updated_nor_merged_nor_saved(tmp_path):
    law = cg.GaussianLatent(3).moments()
    for act in (
        lambda: law.update(np.ones((1, 3))),
        lambda: law + law,
        lambda: law.centered(),
        lambda: law.save(tmp_path / "x"),
    ):
        with pytest.raises(ValueError, match="law"):
            act()


def test_empty_moments_say_so():
    empty = Moments(3)
    for read in (lambda: empty.mean, lambda: empty.second, lambda: empty.spectrum, lambda: Moments.from_chunks([])):
        with pytest.raises(ValueError, match=r"no samples|empty"):
            read()
    with pytest.raises(ValueError, match="cannot merge"):
        empty + Moments(2)
    assert_moments(empty + Moments.from_array(sample((9, 3))), sample((9, 3)))


def test_few_large_pictures_never_form_a_square_matrix():
    wide = np.random.default_rng(0).standard_normal((4, 300_000))
    moments = Moments.from_array(wide)
    np.testing.assert_allclose(moments.spectrum.values, np.linalg.eigvalsh(wide @ wide.T / 4)[::-1], rtol=1e-12)
    assert moments.rank() == 4


def test_float64_entries_too_large_to_square_are_refused():
    with pytest.raises(ValueError, match="X"):
        Moments.from_array(np.full((4, 2), 1e200)).spectrum  # noqa: B018


def test_a_symmetric_matrix_from_its_lower_triangle():
    from convexgan.statistics.products import mirror_lower

    for size in (1, 5, 8, 13):
        full = np.random.default_rng(size).standard_normal((size, size))
        full = full + full.T
        wrong = np.tril(full) + np.triu(np.full((size, size), np.nan), 1)
        np.testing.assert_array_equal(mirror_lower(wrong, block=4), full)
