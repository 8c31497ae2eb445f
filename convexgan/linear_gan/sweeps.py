"""Test errors over latent dimensions and random draws: vectorised over draws, parallel over dimensions, resumable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convexgan._tools.arrays import as_floats
from convexgan._tools.checks import check_count, check_number
from convexgan._tools.sweeps import run_sweep
from convexgan.linear_gan.expectations import error_of, overlap
from convexgan.linear_gan.learners import least_squares
from convexgan.linear_gan.mixed import Pairs, best_path

Array = NDArray[np.float64]
KIND = "linear GAN sweep"
TOLERANCE, LIMIT = 1e-4, 400  # of the mixed solver: far below the width of a band


@dataclass(frozen=True)
class Setting:
    """What is drawn and what is learnt. The law is N(0, diag(eigenvalues)): every learner is rotation equivariant.

    Draw i of a seed gives the same samples and nested latents at every dimension, so curves are smooth in k.
    """

    eigenvalues: tuple[float, ...]
    samples: int
    pairs: int
    dimensions: tuple[int, ...]
    ridges: tuple[float, ...]
    weights: tuple[float, ...]
    draws: int
    seed: int

    @property
    def learners(self) -> tuple[str, ...]:
        """The names of the curves."""
        ridges = [f"ridge {ridge:g}" for ridge in self.ridges]
        return ("unsupervised", "pseudo-supervised", *ridges, *[f"mixed {weight:g}" for weight in self.weights])


@dataclass(frozen=True, eq=False)
class Sweep:
    """Test errors W2^2(N(0, S), N(0, W'W)).

    Attributes
    ----------
    setting : Setting
    errors : (learners, dimensions, draws) array
    """

    setting: Setting
    errors: Array

    def bands(self, coverage: float = 0.8) -> Array:
        """Median, lower and upper quantile over draws, (learners, dimensions, 3); the median is robust to the peak."""
        tail = (1 - coverage) / 2
        return np.moveaxis(np.quantile(self.errors, [0.5, tail, 1 - tail], axis=-1), 0, -1)

    def curve(self, learner: str) -> Array:
        """The medians (dimensions,) of a learner."""
        return np.asarray(np.median(self.errors[self.setting.learners.index(learner)], axis=-1))

    def rows(self) -> Iterator[tuple[str, int, int, float]]:
        """(learner, latent dimension, draw, test error): a tidy table."""
        for i, learner in enumerate(self.setting.learners):
            for j, k in enumerate(self.setting.dimensions):
                for draw, error in enumerate(self.errors[i, j]):
                    yield learner, k, draw, float(error)


def sweep(
    eigenvalues: ArrayLike,
    samples: int,
    dimensions: Iterable[int],
    *,
    pairs: int | None = None,
    ridges: Sequence[float] = (),
    weights: Sequence[float] = (),
    draws: int = 40,
    seed: int = 0,
    path: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: bool = False,
) -> Sweep:
    """The test errors of all learners at every latent dimension, over random samples and latents.

    Parameters
    ----------
    eigenvalues : (d,) array
        Of the second moment S of the law.
    samples : int
        n; all of them are used by the unsupervised and mixed learners.
    dimensions : iterable of int
        Latent dimensions k.
    pairs : int, optional
        m, how many samples are paired with a fixed latent; all of them unless given.
    ridges, weights : sequences of float
        One curve of `pseudo_supervised` for each ridge, of `mixed` for each weight.
    draws, seed : int
    path : path, optional
        A file for the results so far, rewritten after each dimension; an interrupted sweep goes on from there.
    jobs : int, optional
        Processes; all cores unless given.
    progress : bool
        Show a bar on standard error.
    """
    setting = _setting(eigenvalues, samples, dimensions, pairs, ridges, weights, draws, seed)
    order = np.argsort(setting.dimensions)[::-1]
    errors = run_sweep(
        partial(errors_at, setting),
        [setting.dimensions[j] for j in order],
        (len(setting.learners), setting.draws),
        kind=KIND,
        setting=asdict(setting),
        path=path,
        jobs=jobs,
        progress=progress,
    )
    return Sweep(setting, np.moveaxis(errors[np.argsort(order)], 0, 1))


def errors_at(setting: Setting, k: int) -> Array:
    """Test errors (learners, draws) at one latent dimension."""
    X, Z = drawn(setting, k)
    root, m = np.diag(np.sqrt(setting.eigenvalues)), setting.pairs
    # rotating the latents leaves every error as it is: with Z = [L, 0] only min(m, k) of them matter
    L = np.swapaxes(np.linalg.qr(np.swapaxes(Z, 1, 2), mode="r"), 1, 2)
    _, s, V = np.linalg.svd(X, full_matrices=False)
    F = s[..., None] * np.eye(s.shape[-1]) / np.sqrt(setting.samples)
    found = [generator_error(F[:, :k] @ V, root)]
    found += [generator_error(least_squares(X[:, :m], L, ridge), root) for ridge in (0.0, *setting.ridges)]
    if setting.weights:
        spare = min(k, L.shape[-1] + F.shape[-1]) - L.shape[-1]
        problem = Pairs(F, X[:, :m] @ np.swapaxes(V, 1, 2), np.pad(L, [(0, 0), (0, 0), (0, spare)]))
        found += [generator_error(W @ V, root) for W, _ in best_path(problem, setting.weights, TOLERANCE, LIMIT)]
    return np.stack(found)


def predicted(setting: Setting) -> Array:
    """The formula's test errors (dimensions,) of least squares on the pairs: median over the draws of the samples."""
    X, _ = drawn(setting, 1)
    S, m = np.diag(setting.eigenvalues), setting.pairs
    known = [overlap(S, rows[:m].T @ rows[:m] / m, m) for rows in X]
    return np.array([np.median([error_of(each, m, k).estimate for each in known]) for k in setting.dimensions])


def drawn(setting: Setting, k: int) -> tuple[Array, Array]:
    """Samples (draws, n, d) and the latents (draws, m, k) of the first m, whose columns are nested over k."""
    scale = np.sqrt(np.asarray(setting.eigenvalues))
    shape, streams = (setting.samples, len(scale)), range(setting.draws)
    X = [np.random.default_rng([setting.seed, draw, 0]).standard_normal(shape) * scale for draw in streams]
    Z = [np.random.default_rng([setting.seed, draw, 1]).standard_normal((k, setting.pairs)).T for draw in streams]
    return np.stack(X), np.stack(Z)


def generator_error(W: Array, root: Array) -> Array:
    """W2^2(N(0, root'root), N(0, W'W)) for W (..., k, d)."""
    fidelity = np.linalg.svd(W @ root.T, compute_uv=False).sum(axis=-1)
    return np.asarray(np.sum(root**2) + np.sum(W**2, axis=(-1, -2)) - 2 * fidelity)


def check_spectrum(eigenvalues: ArrayLike) -> Array:
    """Eigenvalues (d,) of a second moment, in float64."""
    values = as_floats(eigenvalues, "eigenvalues")
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise ValueError("eigenvalues must be a list of finite numbers >= 0, not all of them 0.")
    return values


def _setting(
    eigenvalues: ArrayLike,
    samples: int,
    dimensions: Iterable[int],
    pairs: int | None,
    ridges: Sequence[float],
    weights: Sequence[float],
    draws: int,
    seed: int,
) -> Setting:
    """The checked setting."""
    values = check_spectrum(eigenvalues)
    n = check_count(samples, "samples")
    m = n if pairs is None else check_count(pairs, "pairs")
    if m > n:
        raise ValueError(f"pairs = {m} but samples = {n}: a pair is a sample with a latent, so pairs <= samples.")
    ks = tuple(check_count(k, "a latent dimension k") for k in dimensions)
    if not ks or len(set(ks)) < len(ks):
        raise ValueError("dimensions must hold at least one latent dimension, and each once.")
    setting = Setting(
        tuple(float(value) for value in values),
        n,
        m,
        ks,
        tuple(check_number(ridge, "ridge", positive=True) for ridge in ridges),
        tuple(check_number(weight, "weight", positive=True) for weight in weights),
        check_count(draws, "draws"),
        check_count(seed, "seed", 0),
    )
    if len(set(setting.learners)) < len(setting.learners):
        raise ValueError("ridges and weights must each differ in their first six digits: curves are named by them.")
    return setting
