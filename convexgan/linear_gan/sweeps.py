"""Test errors over latent dimensions and random draws: vectorised over draws, parallel over dimensions, resumable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convexgan._tools.arrays import as_floats
from convexgan._tools.checks import check_count, check_number
from convexgan._tools.sweeps import run_sweep
from convexgan.linear_gan.expectations import amplification, error_of, overlap
from convexgan.linear_gan.features import RandomFeatures, tanh_moment
from convexgan.linear_gan.learners import least_squares
from convexgan.linear_gan.mixed import Pairs, best_path

Array = NDArray[np.float64]
KIND = "linear GAN sweep"
TOLERANCE, LIMIT = 1e-4, 400  # of the mixed solver: far below the width of a band
NOISE = 1e-15  # of the largest eigenvalue of the features' second moment: what is smaller is rounding


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
    pair_weights: tuple[float, ...] | None = None
    scales: tuple[float, ...] | None = None
    features: RandomFeatures | None = None

    @property
    def plain(self) -> bool:
        """Whether pairs count alike and latents are white and used as they are."""
        return self.pair_weights is None and self.scales is None and self.features is None

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

    def turns(self, learner: str) -> list[int]:
        """The indices of `dimensions` between which a learner's error really rises or falls, by rising dimension.

        A change of the log error counts if its paired mean over draws exceeds 5 standard errors and 1 %.
        """
        order = np.argsort(self.setting.dimensions)
        logs = np.log(np.maximum(self.errors[self.setting.learners.index(learner)], 1e-12))[order]
        path, direction = [0], 0
        for j in range(1, len(logs)):
            change = logs[j] - logs[path[-1]]
            mean, noise = float(change.mean()), float(change.std() / np.sqrt(len(change)))
            way = int(np.sign(mean)) if abs(mean) > max(5 * noise, 0.01) else 0
            if way and way != direction:
                path.append(j)
                direction = way
            elif way or direction * mean > 0:
                path[-1] = j
        return [int(order[j]) for j in path]

    def falls(self, learner: str) -> int:
        """How often that error falls: 2 is a double descent, 3 a triple."""
        levels = np.log(np.maximum(self.errors[self.setting.learners.index(learner)], 1e-12)).mean(axis=-1)
        return int(np.sum(np.diff(levels[self.turns(learner)]) < 0))

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
    pair_weights: ArrayLike | None = None,
    scales: ArrayLike | None = None,
    features: RandomFeatures | None = None,
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
    pair_weights : (m,) array, optional
        Of the squared misfit of each pair in the mean over pairs; 1 unless given.
    scales : (K,) array, optional
        Standard deviations of the latents, of which latent dimension k <= K has the first k; 1 unless given.
    features : RandomFeatures, optional
        What the generator is linear in, instead of the latents. The generated law is not Gaussian then: the error is
        that of the Gaussian of the same second moment, which the true W2^2 is at least (Gelbrich 1990).
    draws, seed : int
    path : path, optional
        A file for the results so far, rewritten after each dimension; an interrupted sweep goes on from there.
    jobs : int, optional
        Processes; all cores unless given.
    progress : bool
        Show rate and time left on standard error.
    """
    setting = _setting(eigenvalues, samples, dimensions, pairs, ridges, weights, draws, seed)
    setting = _with_latents(setting, pair_weights, scales, features)
    order = np.argsort(setting.dimensions)[::-1]
    errors = run_sweep(
        partial(errors_at, setting),
        [setting.dimensions[j] for j in order],
        (len(setting.learners), setting.draws),
        kind=KIND,
        setting={name: value for name, value in asdict(setting).items() if value is not None},
        path=path,
        jobs=jobs,
        progress=progress,
    )
    return Sweep(setting, np.moveaxis(errors[np.argsort(order)], 0, 1))


def errors_at(setting: Setting, k: int) -> Array:
    """Test errors (learners, draws) at one latent dimension."""
    X, Z, R = drawn(setting, k)
    root, m = np.diag(np.sqrt(setting.eigenvalues)), setting.pairs
    share = np.sqrt(np.ones(m) if setting.pair_weights is None else setting.pair_weights)[:, None]
    pairs, Z = share * X[:, :m], share * Z
    _, s, V = np.linalg.svd(X, full_matrices=False)
    F = s[..., None] * np.eye(s.shape[-1]) / np.sqrt(setting.samples)
    found = [generator_error(F[:, : Z.shape[-1]] @ V, root)]
    L, lift = _turned(Z, R)
    found += [generator_error(lift @ least_squares(pairs, L, ridge), root) for ridge in (0.0, *setting.ridges)]
    if setting.weights:
        L, _ = _turned(Z, None)
        spare = min(Z.shape[-1], L.shape[-1] + F.shape[-1]) - L.shape[-1]
        problem = Pairs(F, pairs @ np.swapaxes(V, 1, 2), np.pad(L, [(0, 0), (0, 0), (0, spare)]))
        found += [generator_error(W @ V, root) for W, _ in best_path(problem, setting.weights, TOLERANCE, LIMIT)]
    return np.stack(found)


def _turned(Z: Array, R: Array | None) -> tuple[Array, Array]:
    """The features Z R turned to [L, 0], and a T such that their generator W generates the second moment (TW)'TW.

    Turning features changes no learner, so only min(m, q) of them matter.
    """
    if R is None:
        L = np.swapaxes(np.linalg.qr(np.swapaxes(Z, 1, 2), mode="r"), 1, 2)
        return L, np.eye(L.shape[-1])
    basis, right = np.linalg.qr(np.swapaxes(Z @ R, 1, 2))
    return np.swapaxes(right, 1, 2), np.asarray(np.linalg.qr(R @ basis, mode="r"))


def predicted(setting: Setting) -> Array:
    """The formula's test errors (dimensions,) of least squares on the pairs: median over the draws of the samples.

    `expected_error` in the plain setting; with weights, scales or features the error at the mean second moment, of
    which `amplification` is the limit for many pairs and latents.
    """
    S, m = np.diag(setting.eigenvalues), setting.pairs
    if setting.plain:
        known = [overlap(S, rows[:m].T @ rows[:m] / m, m) for rows in drawn(setting, 1)[0]]
        return np.array([np.median([error_of(each, m, k).estimate for each in known]) for k in setting.dimensions])
    weights = np.ones(m) if setting.pair_weights is None else np.array(setting.pair_weights)
    curve = []
    for k in setting.dimensions:
        X, _, R = drawn(setting, k)
        spectra = [np.ones(k)] if R is None else np.linalg.svd(R, compute_uv=False) ** 2
        factors = np.sqrt([amplification(weights, spectrum) for spectrum in spectra])
        finite = np.isfinite(factors).all()
        curve.append(np.median(generator_error(factors[..., None] * X[:, :m], np.sqrt(S))) if finite else np.inf)
    return np.array(curve)


def drawn(setting: Setting, k: int) -> tuple[Array, Array, Array | None]:
    """Samples (draws, n, d), white latents Z (draws, m, q) of the first m, and R (draws or 1, q, q): features are Z R.

    Without a feature map q = k and the columns of Z are nested over k. R is None for the identity.
    """
    scale = np.sqrt(np.asarray(setting.eigenvalues))
    shape, streams = (setting.samples, len(scale)), range(setting.draws)
    X = np.stack([np.random.default_rng([setting.seed, draw, 0]).standard_normal(shape) * scale for draw in streams])
    latents = [np.random.default_rng([setting.seed, draw, 1]).standard_normal((k, setting.pairs)).T for draw in streams]
    Z, scales = np.stack(latents), np.ones(k) if setting.scales is None else np.array(setting.scales[:k])
    if setting.features is None:
        return X, Z, None if setting.scales is None else np.diag(scales)[None]
    layers = [setting.features.weights(k, np.random.default_rng([setting.seed, draw, 2])) for draw in streams]
    weights = scales[:, None] * np.stack(layers)
    values, vectors = np.linalg.eigh(np.stack([tanh_moment(layer) for layer in weights]))
    sizes = np.sqrt(np.maximum(values, NOISE * values[:, -1:]))
    return X, np.tanh(Z @ weights) @ vectors / sizes[:, None], sizes[..., None] * np.swapaxes(vectors, 1, 2)


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


def _with_latents(
    setting: Setting, pair_weights: ArrayLike | None, scales: ArrayLike | None, features: RandomFeatures | None
) -> Setting:
    """The setting with weights of its pairs, and another law or map of its latents, checked."""
    if features is not None and not isinstance(features, RandomFeatures):
        raise ValueError(f"features must be a RandomFeatures, got {type(features).__name__}.")
    return replace(
        setting,
        pair_weights=_positive(pair_weights, "pair_weights", setting.pairs, "pairs"),
        scales=_positive(scales, "scales", max(setting.dimensions), "latents, or more", longer=True),
        features=features,
    )


def _positive(
    values: ArrayLike | None, name: str, length: int, what: str, *, longer: bool = False
) -> tuple[float, ...] | None:
    if values is None:
        return None
    numbers = as_floats(values, name)
    fits = numbers.ndim == 1 and (len(numbers) == length or (longer and len(numbers) > length))
    if not fits or not np.isfinite(numbers).all() or not (numbers > 0).all():
        raise ValueError(
            f"{name} must be positive numbers, one for each of {length} {what}; its shape is {numbers.shape}."
        )
    return tuple(float(number) for number in numbers)
