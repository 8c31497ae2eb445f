"""Phase diagrams of a generated point near a true one: the predicted phases beside exactly simulated rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

from convexgan.dynamics.kernel_games import KernelGame, point_modes, simulate_points
from convexgan.dynamics.kernels import Kernel, curvature
from convexgan.dynamics.spectrum import Prediction, measured_rate, predict
from convexgan.updates import Step

Array = NDArray[np.float64]

OFFSET = 1e-9  # of the kernel's length scale: where the simulated point starts
LINEAR = 1e-4  # of the length scale: beyond it the run says nothing about the linearisation
SETTLING = 0.2  # the share of a run left out at its start


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """Predictions and measured rates on a grid.

    Attributes
    ----------
    predicted : Prediction
        Of each grid point.
    measured : (...) array
        The rate of the exact simulation there, NaN where too few steps stayed within the linear range.
    """

    predicted: Prediction
    measured: Array

    @property
    def boundary_error(self) -> int:
        """How many cells beyond the predicted border of convergence a cell was found on the wrong side; 0 if none.

        Keep eta_d lam below 2 on the grid: beyond it the critic diverges where the point feels it late.
        """
        told, seen = np.asarray(self.predicted.rate) < 1, self.measured < 1
        wrong = (told != seen) & np.isfinite(self.measured)
        depth = np.maximum(distance_transform_cdt(told), distance_transform_cdt(~told))
        return int(np.max(depth, where=wrong, initial=0))


def phase_diagram(
    kernel: Kernel, lam: Any, rates: tuple[Any, Any], *, method: str | Step = "alternating", steps: int = 400
) -> PhaseDiagram:
    """The phases of one generated point at the only true one, over any two parameters.

    The kernel's width, lam and the two rates broadcast against each other: a column and a row make a grid. All grid
    points are simulated at once, from the critic at rest and the point a little off.

    Parameters
    ----------
    kernel : Kernel
        With a number or an array as its width.
    lam : float or array
        Regularisation; from eta_d lam = 2 on the critic itself diverges, whatever the point does.
    rates : pair of float or array
        Step sizes eta_g of the point and eta_d of the critic.
    method : str or step function
        As for `update_matrix`.
    steps : int
        Simulated steps.
    """
    predicted = predict(point_modes(kernel, lam), rates, method)
    game, scale = KernelGame([[0.0]], kernel, lam), 1 / np.sqrt(curvature(kernel))
    shape = np.shape(predicted.rate)
    start = np.broadcast_to(OFFSET * scale[..., None, None], (*shape, 1, 1))
    rest = game.rest(np.zeros((*shape, 1, 1)))
    path = simulate_points(game, start, rates, steps=steps, method=method, critic=rest)[..., 0, 0] / scale
    flat = path.reshape(len(path), -1)
    measured = np.array([_linear_rate(signal) for signal in flat.T]).reshape(shape)
    return PhaseDiagram(predicted, measured)


def _linear_rate(signal: Array) -> float:
    """The rate over the stretch within the linear range and above rounding, after settling."""
    outside = np.flatnonzero((np.abs(signal) > LINEAR) | (np.abs(signal) < 1e-280))
    stretch = signal[: int(outside[0]) if len(outside) else len(signal)]
    stretch = stretch[int(SETTLING * len(stretch)) :]
    return measured_rate(stretch) if len(stretch) > 4 else float("nan")
