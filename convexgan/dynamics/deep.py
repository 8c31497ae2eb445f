"""Deeper generators, and random-feature discriminators: simulated exactly, predicted by their kernel at the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import as_rng, check_count, check_number
from convexgan.dynamics.overparameterized import Runs, residual_path
from convexgan.updates import Game, State, Step, resolve_step

Array = NDArray[np.float64]
Layers = tuple[Array, ...]


@dataclass(frozen=True)
class DeepMatching:
    """Generator V ReLU(W_L ... ReLU(W_1 z)), V fixed, against <d, F(x)> - |d|^2 / 2, F(x) = x or ReLU(U x).

    Weights start at variance 1/fan_in in the first layer and in V, 2/fan_in between; U has variance 1/m. The target is
    a random unit vector, or the mean features of as many Gaussian points around one as there are latents.

    Parameters
    ----------
    outputs, latents, samples : int
        The dimensions m of the data and p of the latents, and the number n of latents.
    layers : int
        The number L of trained layers.
    features : int, optional
        The rows of U, fixed; None for F(x) = x.

    References
    ----------
    [OP] Balaji et al., Understanding Overparameterization in GANs, ICLR 2021, arXiv 2104.05605, section 2.
    """

    outputs: int = 5
    latents: int = 10
    samples: int = 40
    layers: int = 1
    features: int | None = None

    def __post_init__(self) -> None:
        for name in ("outputs", "latents", "samples", "layers"):
            check_count(getattr(self, name), name)
        if self.features is not None:
            check_count(self.features, "features")


class DeepGame(Game):
    """Independent copies of the game; the minimiser is (W_1, ..., W_L), the maximiser is d.

    Parameters
    ----------
    V : (seeds, k, m) array
        The fixed last layer, a row for each neuron.
    Z : (seeds, n, p) array
        Latents.
    target : (seeds, F) array
        The mean features to match.
    U : (seeds, m, F) array or None
        Random features; None for F(x) = x.
    """

    def __init__(self, V: Array, Z: Array, target: Array, U: Array | None = None) -> None:
        self.V, self.Z, self.target, self.U = V, Z, target, U

    def residual(self, layers: Layers) -> Array:
        """(seeds, F) target less the mean features of the generated points."""
        generated: Array = self._features(self._activations(layers)[-1]).mean(axis=1)
        return self.target - generated

    def grad_x(self, x: Layers, y: Array) -> Layers:
        """-d/dW_l <d, mean F>, by back-propagation."""
        hidden = self._activations(x)
        back = np.broadcast_to(-y[:, None, :] / self.Z.shape[1], self._features(hidden[-1]).shape)
        if self.U is not None:
            back = (back * (self._features(hidden[-1]) > 0)) @ self.U.swapaxes(1, 2)
        back = back @ self.V.swapaxes(1, 2)
        gradients: list[Array] = []
        for index in reversed(range(len(x))):
            back = back * (hidden[index + 1] > 0)
            gradients.append(back.swapaxes(1, 2) @ hidden[index])
            back = back @ x[index]
        return tuple(reversed(gradients))

    def grad_y(self, x: Layers, y: Array) -> Array:
        """Residual - d."""
        return self.residual(x) - y

    def kernels(self, layers: Layers) -> Array:
        """(seeds, F, F) of JJ', J the Jacobian of the mean features in all layers."""
        units = np.eye(self.target.shape[1])
        rows = [self.grad_x(layers, np.broadcast_to(unit, self.target.shape)) for unit in units]
        seeds = len(self.Z)
        J = np.stack([np.concatenate([part.reshape(seeds, -1) for part in row], axis=1) for row in rows], axis=1)
        kernels: Array = J @ J.swapaxes(1, 2)
        return kernels

    def _activations(self, layers: Layers) -> list[Array]:
        """The latents and what each layer makes of them, (seeds, n, width)."""
        hidden = [self.Z]
        for weights in layers:
            hidden.append(np.maximum(hidden[-1] @ weights.swapaxes(1, 2), 0))
        return hidden

    def _features(self, hidden: Array) -> Array:
        points = hidden @ self.V
        return points if self.U is None else np.maximum(points @ self.U, 0)


def draw_deep(setting: DeepMatching, width: int, seeds: int, rng: Any = 0) -> tuple[DeepGame, Layers]:
    """A game and its first layers, all of one width.

    Parameters
    ----------
    setting : DeepMatching
        The dimensions.
    width : int
        Neurons k of every layer.
    seeds : int
        Independent draws of everything.
    rng : int or numpy Generator
        Where they come from.
    """
    rng, k, seeds = as_rng(rng), check_count(width, "width"), check_count(seeds, "seeds")
    m, n, p = setting.outputs, setting.samples, setting.latents
    Z, mean = rng.standard_normal((seeds, n, p)), rng.standard_normal((seeds, m))
    target = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    U = None
    if setting.features is not None:
        U = rng.standard_normal((seeds, m, setting.features)) / np.sqrt(m)
        target = np.maximum((target[:, None] + rng.standard_normal((seeds, n, m))) @ U, 0).mean(axis=1)
    V = rng.standard_normal((seeds, k, m)) / np.sqrt(k)
    layers = [rng.standard_normal((seeds, k, p)) / np.sqrt(p)]
    layers += [rng.standard_normal((seeds, k, k)) * np.sqrt(2 / k) for _ in range(setting.layers - 1)]
    return DeepGame(V, Z, target, U), tuple(layers)


def simulate_deep(
    setting: DeepMatching,
    width: int,
    rates: tuple[float, float],
    *,
    steps: int = 600,
    seeds: int = 20,
    method: str | Step = "simultaneous",
    rng: Any = 0,
) -> Runs:
    """Exact training runs, all seeds at once; `Runs.kernels` predicts them through `modes` as far as JJ' stays.

    Parameters
    ----------
    setting : DeepMatching
        The dimensions, depth and features.
    width : int
        Neurons k of every layer.
    rates : (float, float)
        Step sizes eta of the layers and mu of d.
    steps, seeds, method, rng
        As for `simulate`.
    """
    eta, mu = (check_number(rate, "rates") for rate in rates)
    step = resolve_step(method)
    game, layers = draw_deep(setting, width, seeds, rng)
    residuals = residual_path(game, State(layers, np.zeros_like(game.target)), (eta, mu), step, steps)
    kernels = np.linalg.eigvalsh(game.kernels(layers))[:, None]
    return Runs((width,), residuals[:, :, None], np.maximum(kernels, 0))
