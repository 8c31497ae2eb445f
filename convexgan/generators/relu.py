"""Two-layer ReLU generators, which reach every sample that their latents can tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import as_rows
from convexgan._tools.checks import as_rng, check_columns, check_count, check_finite, check_flag
from convexgan._tools.deadline import Deadline
from convexgan._tools.rounding import gamma
from convexgan.arrangements import interpolate
from convexgan.arrangements.reduce import lines
from convexgan.generators.generator import State
from convexgan.statistics.latents import Latent, SampleLatent, latent_state, restore_latent
from convexgan.statistics.moments import Moments
from convexgan.statistics.spectrum import Spectrum

Array = NDArray[np.float64]
MAX_ROWS = 5_000  # a matrix of this size squared, and its eigenvectors, are handled
FLOOR = 1e-10  # of the kernel's eigenvalues: they order the features, rounding must not remove any
RANK = 1e-12
GAP = 0.01  # of the path norm, which no game depends on: the outputs are exact


@dataclass(frozen=True)
class TwoLayerReLU:
    """The class of generators sum_j w_j max(u_j . z, 0) of any width; with ``bias`` latents are [z, 1].

    On given latents Z its outputs are a linear space, so games that see only these outputs are those of a linear
    generator on a basis of that space. Which of the optimal outputs is taken the game leaves open: the basis are the
    eigenvectors of E max(z . u, 0) max(z' . u, 0), u Gaussian (Cho and Saul, 2009), smoothest first, for these need the
    least weights. A network whose path norm is the least, to one percent where that can be proved, then goes through
    the outputs: the two steps of Sahiner et al., arXiv 2107.05680.

    Parameters
    ----------
    bias : bool
        Without it multiples of one latent have multiples as outputs, and a constant costs many neurons.
    """

    bias: bool = False
    name: ClassVar[str] = "relu"
    form: ClassVar[Literal["network"]] = "network"
    regularizers: ClassVar[tuple[str, ...]] = ("output", "weights")  # as errors list them
    refusals: ClassVar[dict[str, str]] = {  # those among them that are not convex, and the repair
        "weights": "regularizer='weights' with a two-layer ReLU generator is convex against a linear discriminator "
        "only, in solve: use regularizer='output'."
    }

    def __post_init__(self) -> None:
        check_flag(self.bias, "bias of TwoLayerReLU")

    def augmented(self, rows: NDArray[Any]) -> Array:
        """What the neurons see, (n, k) or (n, k + 1)."""
        return np.column_stack([rows, np.ones(len(rows))]) if self.bias else np.asarray(rows, dtype=np.float64)

    def lift(self, rows: NDArray[Any]) -> Array:
        """The features of the latents (n, k) on which generators are linear, (n, r); orthogonal, of these rows only."""
        return self._basis(rows)[0]

    def features(self, latent: Latent) -> Moments:
        """The moments of `lift` of a sample.

        Raises
        ------
        ValueError
            The latents are not rows.
        """
        if not isinstance(latent, SampleLatent):
            raise ValueError(
                "a ReLU generator against this game needs the latents as rows: pass Z as an array (for Gaussian "
                "latents generator='linear' is as good, or generator='relu' against a linear discriminator with "
                "regularizer='weights')."
            )
        lifted, values = self._basis(latent.rows)
        return Moments.of_law(lifted.mean(axis=0), spectrum=Spectrum(values, np.eye(len(values))))

    def _basis(self, rows: NDArray[Any]) -> tuple[Array, Array]:
        """The features and their second moments, which are uncorrelated: descending."""
        if len(rows) > MAX_ROWS:
            raise ValueError(f"Z has {len(rows)} rows: a ReLU generator through them is limited to {MAX_ROWS}.")
        Z = self.augmented(rows)
        span = reachable(Z)
        if span.shape[1] == 0:
            raise ValueError("Z is zero everywhere, so every generator is: pass latents that vary, or a bias.")
        values, vectors = np.linalg.eigh(span.T @ arc_cosine_kernel(Z) @ span / len(Z))
        values = np.maximum(values[::-1], FLOOR * values[-1])
        return span @ vectors[:, ::-1] * np.sqrt(len(Z) * values), values

    def build(self, weights: Array, latent: Latent) -> ReLUGenerator:
        """The generator with the given (r, d) weights on the features."""
        return self.fit(weights, latent)[0]

    def fit(
        self, weights: Array, latent: Latent, deadline: Deadline | None = None
    ) -> tuple[ReLUGenerator, dict[str, float]]:
        """The generator of `build`, and how it was found: its path norm, the least possible one, the largest error.

        Path norms are those of the outputs' principal components, each of which has its own neurons. After the deadline
        they are no longer made smaller.
        """
        deadline = deadline or Deadline()
        rows = np.zeros((0, latent.dim)) if latent.rows is None else latent.rows
        Z, outputs = self.augmented(rows), np.asarray(self.lift(rows) @ weights)
        left, sizes, axes = np.linalg.svd(outputs, full_matrices=False)
        kept = np.flatnonzero(sizes > RANK * sizes[0])
        found = [interpolate(Z, left[:, i] * sizes[i], gap=GAP, time_limit=deadline.left) for i in kept]
        neurons = [np.zeros((0, Z.shape[1])), *(part.neurons for part in found)]
        outer = [axes[:0], *(np.outer(part.outer, axes[i]) for part, i in zip(found, kept, strict=True))]
        record = {
            "path_norm": sum(part.path_norm for part in found),
            "path_norm_bound": sum(part.bound for part in found),
            "interpolation_error": max((part.residual for part in found), default=0.0),
        }
        return self.network(np.concatenate(neurons), np.concatenate(outer), latent), record

    def network(self, neurons: Array, outer: Array, latent: Latent) -> ReLUGenerator:
        """The generator with these neurons (m, k or k + 1) and outer weights (m, d)."""
        biases = neurons[:, -1] if self.bias else np.zeros(len(neurons))
        return ReLUGenerator(neurons[:, : latent.dim], biases, outer, latent)

    @staticmethod
    def restore(settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> ReLUGenerator:
        """The generator whose `state` was saved."""
        latent = restore_latent(settings, arrays)
        return ReLUGenerator(arrays["neurons"], arrays["biases"], arrays["outer"], latent)


def reachable(Z: Array) -> Array:
    """An orthonormal basis of all outputs sum_j a_j max(Z u_j, 0), (n, r).

    max(t, 0) = (t + |t|) / 2, and sums of |z . u| have any value on each line of rows; linear functions complete them.
    """
    lengths = np.linalg.norm(Z, axis=1)
    rows = np.flatnonzero(lengths > 0)
    first, line, _ = lines(Z[rows] / lengths[rows, None])
    even = np.zeros((len(Z), len(first)))
    even[rows, line] = lengths[rows]
    even /= np.linalg.norm(even, axis=0)
    odd = Z - even @ (even.T @ Z)
    left, sizes, _ = np.linalg.svd(odd, full_matrices=False)
    return np.hstack([even, left[:, sizes > RANK * max(lengths.max(), 1e-300)]])


def arc_cosine_kernel(Z: Array) -> Array:
    """E max(z_i . u, 0) max(z_j . u, 0) for standard Gaussian u, (n, n).

    Source: Cho and Saul, Kernel methods for deep learning, 2009, equation 6 with degree 1.
    """
    lengths = np.linalg.norm(Z, axis=1)
    sizes = np.outer(lengths, lengths)
    cosine = np.clip(np.divide(Z @ Z.T, sizes, out=np.zeros_like(sizes), where=sizes > 0), -1, 1)
    angle = np.arccos(cosine)
    return np.asarray(sizes * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi))


@dataclass(frozen=True, eq=False)
class ReLUGenerator:
    """G(z) = sum_j outer_j max(neurons_j . z + biases_j, 0).

    Attributes
    ----------
    neurons : (m, k) array
    biases : (m,) array
    outer : (m, d) array
    latent : Latent
        What `sample` draws from.
    """

    neurons: Array
    biases: Array
    outer: Array
    latent: Latent
    form: ClassVar[Literal["network"]] = "network"

    def __post_init__(self) -> None:
        m, k = len(self.neurons), self.latent.dim
        if self.neurons.shape != (m, k) or self.biases.shape != (m,) or self.outer.ndim != 2 or len(self.outer) != m:
            raise ValueError(
                f"neurons, biases and outer must have shapes (m, {k}), (m,) and (m, d) for latents of dimension {k}, "
                f"got {self.neurons.shape}, {self.biases.shape} and {self.outer.shape}."
            )

    @property
    def path_norm(self) -> float:
        """sum_j |u_j| |w_j|, biases counted: weight decay, (1/2) sum |u_j|^2 + |w_j|^2, after rescaling each neuron."""
        inner = np.sqrt(np.sum(self.neurons**2, axis=1) + self.biases**2)
        return float(inner @ np.linalg.norm(self.outer, axis=1))

    def __call__(self, Z: Any) -> Array:
        """The generated rows, (n_f, d), for latents (n_f, k)."""
        rows = as_rows(Z, "Z")
        check_columns(rows, self.latent.dim, "Z", "the generator's latents")
        check_finite(rows, "Z")
        return np.asarray(np.maximum(rows @ self.neurons.T + self.biases, 0) @ self.outer, dtype=np.float64)

    def rounding(self, rows: Array) -> Array:
        """How far rounding may have moved each entry of the rows generated from latents (n, k), (n, d)."""
        inner = np.abs(rows) @ np.abs(self.neurons).T + np.abs(self.biases)
        return np.asarray(gamma(sum(self.neurons.shape) + 4) * (inner @ np.abs(self.outer)))

    def sample(self, n: int, rng: int | np.random.Generator | None = None) -> Array:
        """n generated rows, (n, d), from fresh latents."""
        return self(self.latent.sample(check_count(n, "n"), as_rng(rng)))

    def state(self) -> State:
        """Settings and arrays from which `TwoLayerReLU.restore` makes it again."""
        settings, arrays = latent_state(self.latent)
        network = {"neurons": self.neurons, "biases": self.biases, "outer": self.outer}
        return settings | {"name": "relu"}, arrays | network
