"""A solved game in the parameters that gradient descent-ascent moves: the generator's weights against neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.arrays import ordered
from convexgan.discriminators.activation import needs_rows
from convexgan.dynamics.tangent import refine
from convexgan.games.moment.reading import check_same_columns
from convexgan.generators import Generator, Linear
from convexgan.records.certificate import KINDS, Evidence
from convexgan.records.solution import Solution
from convexgan.statistics.moments import Moments
from convexgan.updates import Game, State

Array = NDArray[np.float64]
Critic = tuple[Array, Array]


class SolvedGame(Game):
    """min over W, max over (v, T): mean D(X) - mean D(G(Z)) + R_g(G) - beta |v|_1, in the units of `solve`.

    G(z) = W' features(z), or the rows W are free. D(x) = sum_j v_j s(u_j . x) with u_j on the unit sphere: the
    solution's neuron moved along its tangent plane by T_j and projected back, so that no move only rescales a neuron.
    Near the saddle point its steps are those of neurons that are normalised after each step.

    Parameters
    ----------
    solution : Solution
        With a certificate of kind "saddle", and the penalty beta on a linear, quadratic or polynomial discriminator.
    X : (n, d) array or Moments
        The real samples it was solved for.

    Attributes
    ----------
    saddle : State
        W (r, d), and the pair of v (m,) and T (m, d - 1); a neuron's bias is its last coordinate. T is 0, except that
        the answer of a conic solver is refined until it is stationary to rounding.

    Raises
    ------
    ValueError
        There is no saddle point, or no such parameters.
    """

    def __init__(self, solution: Solution, X: Any) -> None:
        evidence = _checked(solution)
        critic, settings = solution.discriminator, evidence.settings
        if critic is None or solution.generator is None:
            raise ValueError("the solution has no players.")
        data = Moments.from_array(ordered(X, critic.columns, "X", "the solution's data"), name="X")
        check_same_columns(data, Moments(critic.neurons.shape[1]), "the discriminator")
        self.a, self.b, _ = critic.coefficients
        self.biased = settings["bias"] == "penalized" and self.a != 0
        if self.biased:
            data = data.with_ones()
        self.mean, self.second = data.mean, (data.second if self.a != 0 else np.zeros((data.dim, data.dim)))
        self.rows, self.beta = settings["rows"], settings["beta"]
        self.price, self.by_weights = (
            settings["penalty"] * settings["value_scale"],
            settings["regularizer"] == "weights",
        )
        W, features = _parameters(solution.generator, len(evidence.arrays["latent_values"]))
        self.feature_mean, self.feature_second = features.mean, features.second
        used = critic.outer != 0
        neurons = np.column_stack([critic.neurons, critic.biases]) if self.biased else critic.neurons
        self._neurons = neurons[used] / np.linalg.norm(neurons[used], axis=1, keepdims=True)
        self._mirrors = self._neurons.copy()  # reflect the first axis onto the neuron, and the others onto its plane
        self._mirrors[:, 0] += np.where(self._mirrors[:, 0] < 0, -1.0, 1.0)
        v = critic.outer[used].astype(np.float64)
        self.saddle = State(W, (v, np.zeros((len(v), neurons.shape[1] - 1))))
        if solution.method == "program":
            self.saddle = refine(self, self.saddle)

    def neurons(self, T: Array) -> tuple[Array, Array]:
        """(m, d) neurons on the sphere, and what they were divided by, (m, 1)."""
        moved = self._neurons + self._reflect(np.column_stack([np.zeros(len(T)), T]))
        size = np.linalg.norm(moved, axis=1, keepdims=True)
        return moved / size, size

    def grad_x(self, x: Array, y: Critic) -> Array:
        """The gradient in W of R_g less the critic's mean on the generated rows."""
        v, (U, _) = y[0], self.neurons(y[1])
        u, bias = (U[:, :-1], U[:, -1]) if self.biased else (U, np.zeros(len(U)))
        K, mean = self.feature_second, self.feature_mean
        seen = 2 * self.a * (K @ (x @ u.T) + np.outer(mean, bias)) + self.b * mean[:, None]  # (r, m)
        cost = 2 * self.price * (x if self.by_weights else K @ x)
        gradient: Array = cost - self.rows * (seen * v) @ u
        return gradient

    def grad_y(self, x: Array, y: Critic) -> Critic:
        """The gradient in v and T of the critic's mean difference less its penalty."""
        v, (U, size) = y[0], self.neurons(y[1])
        shift, bend = self._difference(x, U)
        gain = self.a * np.einsum("md,md->m", U, bend) + self.b * U @ shift
        slope = v[:, None] * (2 * self.a * bend + self.b * shift)
        slope = (slope - np.einsum("md,md->m", slope, U)[:, None] * U) / size
        return self.rows * (gain - self.beta * np.sign(v)), self.rows * self._reflect(slope)[:, 1:]

    def _difference(self, W: Array, U: Array) -> tuple[Array, Array]:
        """(d,) the difference of the means, and (m, d) that of the second moments, applied to neurons."""
        mean = W.T @ self.feature_mean
        if not self.biased:
            return self.mean - mean, U @ self.second - (U @ W.T) @ self.feature_second @ W
        u, bias = U[:, :-1], U[:, -1:]
        own = (u @ W.T) @ self.feature_second @ W + bias * mean
        return self.mean - np.append(mean, 1.0), U @ self.second - np.column_stack([own, u @ mean + bias[:, 0]])

    def _reflect(self, rows: Array) -> Array:
        """Row j reflected at the plane across mirror j."""
        w = self._mirrors
        share = np.einsum("md,md->m", w, rows) / np.einsum("md,md->m", w, w)
        reflected: Array = rows - 2 * share[:, None] * w
        return reflected


def _checked(solution: Solution) -> Evidence:
    """The evidence of a saddle point that has smooth parameters."""
    certificate, critic = solution.certificate, solution.discriminator
    if certificate is None or critic is None:
        raise ValueError(f"the solution has status {solution.status.value!r}: there is no saddle point.")
    if certificate.kind == "minimax":
        width = certificate.min_neurons
        repair = "; one exists from max_neurons = " + str(width) if width is not None else ""
        raise ValueError(f"no saddle point exists ({KINDS['minimax']}): descent-ascent has nothing to go to{repair}.")
    if certificate.kind != "saddle" or certificate.evidence is None:
        raise ValueError(f"the certificate's kind is {certificate.kind!r}: a saddle point with its evidence is needed.")
    if needs_rows(critic.activation):
        raise ValueError("ReLU neurons bend where rows sit at the saddle point: there is no linearisation.")
    if certificate.evidence.settings["beta"] is None:
        raise ValueError("a discriminator bounded by lam moves along its bound, not by plain steps: solve with beta.")
    return certificate.evidence


def _parameters(generator: Generator, rank: int) -> tuple[Array, Moments]:
    """The generator's weights and the moments of what they multiply."""
    if generator.form == "rows":
        return generator.points, Moments.from_array(np.eye(len(generator.points)))
    if generator.form == "features":
        return generator.weights, generator.spec.features(generator.latent)
    if generator.form == "affine":
        features = Linear().features(generator.latent)
        if generator.bias.any() or features.rank() < rank:  # the class had a bias, even where it came out as 0
            return np.vstack([generator.weights, generator.bias]), Linear(bias=True).features(generator.latent)
        return generator.weights, features
    if generator.form == "network":
        raise ValueError("a ReLU network bends where its neurons turn on: there is no linearisation in its parameters.")
    raise ValueError("a mixture has no parameters that plain steps can move: its weights stay non-negative.")
