"""A scikit-learn estimator around the solved game."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from convexgan._tools.arrays import as_floats, as_rows
from convexgan._tools.checks import check_columns, check_count, check_weights
from convexgan._tools.files import DAMAGE, read_model, write_model
from convexgan._tools.tables import check_labels, column_names
from convexgan.discrepancy import ipm
from convexgan.discriminators import activation_from, as_moment_discriminator
from convexgan.discriminators.activation import MomentActivation
from convexgan.generators import Linear, LinearGenerator
from convexgan.records.solution import Solution
from convexgan.solve import solve
from convexgan.statistics.latents import GaussianLatent
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]
ON_PLANE = 1e-9  # relative distance from the plane of generated rows that is rounding
NO_SPREAD = 2.0**-26  # relative standard deviation that is the root of a variance's rounding
PLAIN = ("n_components", "beta", "lam", "center", "generator_penalty")  # parameters that a file holds


class ConvexWGAN(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A linear generator with Gaussian latents, the certified optimum of its Wasserstein game.

    Parameters
    ----------
    discriminator : "linear", "quadratic", "polynomial" or an instance
    n_components : int, optional
        Latent dimension k, by default the number of features.
    beta : float, optional
        The level of the constraint ipm <= beta. By default the smallest feasible one for a quadratic
        discriminator, the (k + 1)-th eigenvalue: 0 for as many latents as features.
    lam : float, optional
        Instead of beta.
    center : bool
        Subtract the mean before, add it to samples. Without it a linear or polynomial discriminator needs the
        generator to have a bias, which it then has.
    generator_penalty : float
    random_state : int, RandomState or None
        For `sample` calls without one of their own.

    Attributes
    ----------
    solution_ : Solution
    mean_ : (d,) array
    moments_ : Moments
        Of all rows so far, to which `partial_fit` adds; files do not hold them.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> X = np.random.default_rng(0).standard_normal((200, 3)) * [3, 2, 1] + 5
    >>> model = cg.ConvexWGAN(beta=0.1).fit(X)
    >>> model.solution_.certificate.kind, model.sample(4, random_state=0).shape
    ('saddle', (4, 3))
    """

    def __init__(
        self,
        *,
        discriminator: str | MomentActivation = "quadratic",
        n_components: int | None = None,
        beta: float | None = None,
        lam: float | None = None,
        center: bool = True,
        generator_penalty: float = 1.0,
        random_state: Any = None,
    ) -> None:
        self.discriminator = discriminator
        self.n_components = n_components
        self.beta = beta
        self.lam = lam
        self.center = center
        self.generator_penalty = generator_penalty
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> ConvexWGAN:
        """Solve the game on the rows of X, (n, d), weighted by ``sample_weight``, (n,), if it is given."""
        return self._fit(X, sample_weight, None)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> ConvexWGAN:
        """Solve the game on all rows since the last `fit`, or the first call of this, and those of X.

        The game depends on the rows' moments only, which add up: the result is that of `fit` on all rows at once, but
        for rounding, and no row is kept once there are more of them than columns.

        Raises
        ------
        ValueError
            The model was loaded from a file, which holds no moments of its rows.
        """
        if hasattr(self, "solution_") and not hasattr(self, "moments_"):
            raise ValueError("this model was loaded from a file, which holds no moments of its rows: call fit.")
        return self._fit(X, sample_weight, getattr(self, "moments_", None))

    def _fit(self, X: Any, sample_weight: Any, before: Moments | None) -> ConvexWGAN:
        check_random_state(self.random_state)
        least = 2 if before is None else 1
        rows = validate_data(
            self, _checked(X), dtype=[np.float64, np.float32], ensure_min_samples=least, reset=before is None
        )
        check_labels(sample_weight, X, "sample_weight", "X")
        weights = None if sample_weight is None else _weights(sample_weight, len(rows))
        moments = Moments.from_array(rows, weights)
        moments = moments if before is None else before.merge(moments)
        self._solve(moments)
        self.moments_ = moments  # last, so that a game without a solution leaves the model as it was
        return self

    def _solve(self, moments: Moments) -> None:
        k = moments.dim if self.n_components is None else check_count(self.n_components, "n_components")
        data = moments.centered() if self.center else moments
        activation = as_moment_discriminator(self.discriminator)
        beta = self.beta
        if beta is None and self.lam is None:
            beta = abs(activation.coefficients[0]) * data.spectrum.value(k)
        self.solution_ = solve(
            data,
            GaussianLatent(k),
            discriminator=activation,
            generator=Linear(bias=not self.center and activation.coefficients[1] != 0),
            beta=beta,
            lam=self.lam,
            generator_penalty=self.generator_penalty,
        )
        self.mean_ = moments.mean if self.center else np.zeros(moments.dim)

    def sample(self, n: int = 1, random_state: Any = None) -> Array:
        """n new rows, (n, d)."""
        check_is_fitted(self)
        source = check_random_state(self.random_state if random_state is None else random_state)
        rng = np.random.default_rng(source.randint(2**32, size=4, dtype=np.uint32))
        return self._generator.sample(check_count(n, "n"), rng) + self.mean_

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Minus the ipm between the rows and the generator's exact law; higher is better."""
        rows = self._rows(X) - self.mean_
        weights, bias = self._generator.weights, self._generator.bias
        law = Moments.of_law(bias, np.vstack([weights, bias]))
        return -ipm(rows, law, self.discriminator, weights_x=sample_weight).value

    def score_samples(self, X: Any) -> Array:
        """The log density of the generator's law at each row, (n,); -inf for rows that it cannot make.

        The law is Gaussian with mean ``mean_ + bias`` and covariance W'W. Where W has rank r < d, as it has whenever
        beta removes an eigenvalue, the density is that on the r-dimensional plane of generated rows; a row that lies
        off it by more than rounding has none. Read in one direction: finite values tell rows of the plane apart.
        """
        rows, generator = self._rows(X) - self.mean_ - self._generator.bias, self._generator
        _, sizes, axes = np.linalg.svd(generator.weights, full_matrices=False)
        kept = sizes > NO_SPREAD * sizes.max(initial=0.0)
        codes = rows @ axes[kept].T
        off = np.linalg.norm(rows - codes @ axes[kept], axis=1)
        room = ON_PLANE * (np.linalg.norm(rows, axis=1) + np.linalg.norm(self.mean_ + generator.bias))
        found = -0.5 * np.sum((codes / sizes[kept]) ** 2, axis=1) - np.log(sizes[kept]).sum()
        return np.asarray(np.where(off > room, -np.inf, found - 0.5 * kept.sum() * np.log(2 * np.pi)))

    def transform(self, X: Any) -> Array:
        """The latents of rows, (n, k): coordinates in which the generator's law is standard Gaussian.

        Of all latents that make the point of the generator's plane nearest to a row, the shortest: what `encode` gives,
        with the sign of each latent such that the largest weight of its direction is positive. The law of latents
        has no sign, so that of `encode` is an accident of the eigenvectors; this one hangs on the rows alone.
        """
        return self.encode(X) * self._signs

    def inverse_transform(self, Z: Any) -> Array:
        """The rows of latents, (n, d) for (n, k), with the signs of `transform`."""
        latents = as_rows(Z, "Z")
        check_columns(latents, len(self._signs), "Z", "transform")
        return self.decode(latents * self._signs)

    @property
    def _signs(self) -> Array:
        """The sign of each latent, (k,)."""
        W = self._generator.weights
        return np.where(np.take_along_axis(W, np.abs(W).argmax(axis=1)[:, None], axis=1)[:, 0] < 0, -1.0, 1.0)

    def encode(self, X: Any) -> Array:
        """The latents of rows, (n, k): least squares in the generator's range."""
        rows, generator = self._rows(X), self._generator
        return np.asarray((rows - self.mean_ - generator.bias) @ np.linalg.pinv(generator.weights))

    def decode(self, Z: Any) -> Array:
        """The rows of latents, (n, d) for (n, k)."""
        check_is_fitted(self)
        return self._generator(Z) + self.mean_

    @property
    def _n_features_out(self) -> int:
        """The number of latents, by which scikit-learn names output features."""
        return len(self._generator.weights)

    @property
    def _generator(self) -> LinearGenerator:
        check_is_fitted(self)
        generator = self.solution_.generator
        if generator is None or generator.form != "affine":
            raise ValueError("this model has no generator: fit it again.")
        return generator

    def _rows(self, X: Any) -> Array:
        check_is_fitted(self)
        return np.asarray(validate_data(self, _checked(X), dtype=np.float64, reset=False))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one .npz file, atomically and without pickles."""
        check_is_fitted(self)
        settings, arrays = self.solution_.state()
        params = {name: value for name, value in self.get_params().items() if name in PLAIN}
        params = {name: value.item() if isinstance(value, np.generic) else value for name, value in params.items()}
        names = getattr(self, "feature_names_in_", None)  # of the columns of a data frame
        settings |= {"params": params, "feature_names": None if names is None else [str(name) for name in names]}
        write_model(path, "estimator", settings, arrays | {"mean": self.mean_})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ConvexWGAN:
        """The model written by `save`; its random_state is None.

        Raises
        ------
        ValueError
            The file is no model, or is damaged.
        """
        settings, arrays = read_model(path, "estimator")
        try:
            name, *coefficients = settings["activation"]
            model = cls(**settings["params"], discriminator=activation_from(name, coefficients))
            model.solution_, model.mean_ = Solution.from_state(settings, arrays), arrays["mean"]
            model.n_features_in_ = len(model.mean_)
            if model._generator.bias.shape != model.mean_.shape:
                raise ValueError(f"its generator does not make {len(model.mean_)} features")
            if (names := settings.get("feature_names")) is not None:
                if len(names) != len(model.mean_) or not all(isinstance(name, str) for name in names):
                    raise ValueError(f"it does not name {len(model.mean_)} features")
                model.feature_names_in_ = np.array(names, dtype=object)
        except (KeyError, TypeError, IndexError, ValueError, *DAMAGE) as error:
            raise ValueError(f"{path} is not a complete model file ({error}).") from None
        return model


def _weights(sample_weight: Any, rows: int) -> Array:
    weights = as_floats(sample_weight, "sample_weight")
    if not weights.any():
        raise ValueError("sample_weight is zero for all rows: give at least one of them a positive weight.")
    return check_weights(weights, rows, "sample_weight")


def _checked(X: Any) -> Any:
    """X as scikit-learn reads it rightly: plain arrays and frames as they are, the latter for their names."""
    if type(X) is np.ndarray and X.dtype.kind == "c":
        raise ValueError("Complex data not supported: pass X.real if the imaginary parts mean nothing.")
    if type(X) is np.ndarray and X.dtype.kind in "fbO" and X.dtype.itemsize <= 8 and not _is_mixed(X):
        return X
    rows = as_rows(X, "X")
    return rows if column_names(X, "X") is None else X


def _is_mixed(X: NDArray[Any]) -> bool:
    """Whether objects are missing or text, which scikit-learn would take for the numbers it spells."""
    return X.dtype.kind == "O" and any(cell is None or isinstance(cell, str | bytes) for cell in X.flat)
