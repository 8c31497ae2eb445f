"""A scikit-learn estimator around the solved game."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from convexgan._checks import check_count
from convexgan._files import DAMAGE, read_model, write_model
from convexgan._tools.arrays import as_rows
from convexgan._tools.tables import column_names
from convexgan.discrepancy import ipm
from convexgan.discriminators import activation_from, as_moment_discriminator
from convexgan.generators import Linear, LinearGenerator
from convexgan.latents import GaussianLatent
from convexgan.moments import Moments
from convexgan.problem import MomentActivation
from convexgan.solution import Solution
from convexgan.solve import solve

Array = NDArray[np.float64]
PLAIN = ("n_components", "beta", "lam", "center", "generator_penalty")  # parameters that a file holds


class ConvexWGAN(BaseEstimator):  # type: ignore[misc]
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

    def fit(self, X: Any, y: Any = None) -> ConvexWGAN:
        """Solve the game on the rows of X, (n, d)."""
        check_random_state(self.random_state)
        rows = validate_data(self, _checked(X), dtype=[np.float64, np.float32], ensure_min_samples=2)
        k = rows.shape[1] if self.n_components is None else check_count(self.n_components, "n_components")
        moments = Moments.from_array(rows)
        self.mean_ = moments.mean if self.center else np.zeros(rows.shape[1])
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
        return self

    def sample(self, n: int = 1, random_state: Any = None) -> Array:
        """n new rows, (n, d)."""
        check_is_fitted(self)
        source = check_random_state(self.random_state if random_state is None else random_state)
        rng = np.random.default_rng(source.randint(2**32, size=4, dtype=np.uint32))
        return self._generator.sample(check_count(n, "n"), rng) + self.mean_

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the ipm between the rows and the generator's exact law; higher is better."""
        rows = self._rows(X) - self.mean_
        weights, bias = self._generator.weights, self._generator.bias
        law = Moments.of_law(bias, np.vstack([weights, bias]))
        return -ipm(rows, law, self.discriminator).value

    def encode(self, X: Any) -> Array:
        """The latents of rows, (n, k): least squares in the generator's range."""
        generator = self._generator
        return np.asarray((self._rows(X) - self.mean_ - generator.bias) @ np.linalg.pinv(generator.weights))

    def decode(self, Z: Any) -> Array:
        """The rows of latents, (n, d) for (n, k)."""
        check_is_fitted(self)
        return self._generator(Z) + self.mean_

    @property
    def _generator(self) -> LinearGenerator:
        check_is_fitted(self)
        generator = self.solution_.generator
        if not isinstance(generator, LinearGenerator):
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
        """The model written by `save`; its random_state is None."""
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
