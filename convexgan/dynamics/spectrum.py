"""What a linear update does in the end: phase, rate, the largest stable step, the best of a parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from convexgan._tools.arrays import as_floats
from convexgan._tools.checks import check_number
from convexgan.dynamics.linear_games import LinearGame, update_matrix
from convexgan.updates import Step
from convexgan.updates.game import pair

PHASES = ("converge", "damped oscillation", "sustained", "diverge")
ON_CIRCLE = 1e-9  # a modulus this near 1 is 1: the eigenvalues' own accuracy is 1e-15 times the matrix's norm
NOISE = 1e-7  # of a signal: what is smaller is no mode of the linear part
REAL = 1e-6  # a double eigenvalue is known to the root of the rounding only


@dataclass(frozen=True, eq=False)
class Prediction:
    """The asymptotic behaviour of a linear update.

    Attributes
    ----------
    eigenvalues : (..., N) complex array
        Of the update matrix.
    rate : (...) array
        The spectral radius: the factor per step, in the end.
    phase : (...) array of str
        "converge" (leading eigenvalues real, rate < 1), "damped oscillation" (complex, < 1), "sustained" (= 1: the
        linearisation of a non-linear game is silent) or "diverge" (> 1).
    """

    eigenvalues: NDArray[np.complex128]
    rate: Any
    phase: Any


def predict(game: LinearGame, rates: Any, method: str | Step = "alternating") -> Prediction:
    """Eigenvalues, rate and phase of a method on a linear game, or on each game of a batch.

    Parameters
    ----------
    game : LinearGame
        A game or a batch of them.
    rates : number, array or pair
        Step sizes, broadcast against the batch.
    method : str or step function
        As for `update_matrix`.
    """
    found = np.linalg.eigvals(update_matrix(game, rates, method))
    return classify(found if game.unfelt is None else _with_unfelt(found, game.unfelt, rates, method))


def _with_unfelt(found: Any, curvature: Any, rates: Any, method: str | Step) -> Any:
    """Also the eigenvalue of directions that x does not feel, wherever they grow."""
    rate = pair(rates)[1]
    alone = LinearGame.of_modes(-curvature, 0.0, 0.0, curvature)  # both players alike: each by itself
    decay = np.linalg.eigvals(update_matrix(alone, (rate, rate), method))
    leading = np.take_along_axis(decay, np.abs(decay).argmax(axis=-1)[..., None], axis=-1)
    growing = np.where(np.abs(leading) >= 1, leading, 0.0)
    if not growing.any():
        return found
    batch = np.broadcast_shapes(found.shape[:-1], growing.shape[:-1])
    parts = [np.broadcast_to(part, (*batch, part.shape[-1])) for part in (found, growing)]
    return np.concatenate(parts, axis=-1)


def classify(eigenvalues: Any) -> Prediction:
    """The prediction from eigenvalues (..., N)."""
    eigenvalues = np.asarray(eigenvalues, dtype=np.complex128)
    moduli = np.abs(eigenvalues)
    rate = moduli.max(axis=-1)
    leading = moduli >= rate[..., None] - REAL * np.maximum(rate, 1e-300)[..., None]
    turning = (leading & (np.abs(eigenvalues.imag) > REAL * moduli)).any(axis=-1)
    index = np.where(rate > 1 + ON_CIRCLE, 3, np.where(rate >= 1 - ON_CIRCLE, 2, turning.astype(int)))
    phase = np.array(PHASES)[index]
    return Prediction(eigenvalues, rate, phase) if rate.ndim else Prediction(eigenvalues, float(rate), str(phase))


def critical_step(game: LinearGame, method: str | Step = "alternating", ratio: float = 1.0) -> float:
    """The largest step a of x, with ratio * a for y, up to which every smaller step converges.

    0 if small steps do not converge, infinity if none up to 100 / (spectral radius of the field) diverges. The first
    crossing on a grid 3 % apart is refined to rounding; `predict` says what lies beyond it.

    Parameters
    ----------
    game : LinearGame
        One game.
    method : str or step function
        As for `update_matrix`.
    ratio : float
        The step of y over that of x.
    """
    check_number(ratio, "ratio", positive=True)
    scale = float(np.abs(np.linalg.eigvals(game.field((1.0, ratio)))).max())
    if game.unfelt is not None:
        scale = max(scale, ratio * float(np.abs(game.unfelt).max()))
    if scale == 0:
        return 0.0
    steps = np.geomspace(1e-3, 100, 400) / scale
    margin = predict(game, (steps, ratio * steps), method).rate - 1
    outside = np.flatnonzero(margin >= 0)
    if not len(outside):
        return float("inf")
    first = int(outside[0])
    if first == 0:
        return 0.0

    def excess(step: float) -> float:
        return float(predict(game, (step, ratio * step), method).rate) - 1

    return float(brentq(excess, steps[first - 1], steps[first], xtol=1e-14 / scale, rtol=1e-14))


def best_parameter(rate: Callable[[Any], Any], low: float, high: float) -> tuple[float, float]:
    """The parameter with the smallest rate between two bounds, and that rate.

    Parameters
    ----------
    rate : function
        From an array of parameters to their rates, vectorised, such as a `predict(...).rate`.
    low, high : float
        Positive bounds; a geometric grid of 400 points between them is refined around its best.

    Raises
    ------
    ValueError
        high is not above low.
    """
    check_number(low, "low", positive=True)
    if not low < check_number(high, "high"):
        raise ValueError(f"high must be above low = {low}, got {high}.")
    grid = np.geomspace(low, high, 400)
    best = int(np.argmin(rate(grid)))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(
        lambda value: float(rate(np.array([value]))[0]), bounds=bounds, method="bounded", options={"xatol": 1e-10 * low}
    )
    return float(found.x), float(found.fun)


def measured_rate(signal: Any, order: int = 2) -> Any:
    """The factor per step of a signal that obeys a linear recurrence: the largest root of the one it fits best.

    Exact for a sum of `order` modes, oscillating or not, where a slope of logarithms is not.

    Parameters
    ----------
    signal : (T, ...) array
        The signal over time, T > 2 order.
    order : int
        The number of modes still visible.

    Raises
    ------
    ValueError
        The signal has too few steps for so many modes.
    """
    signal = as_floats(signal, "signal")
    if len(signal) <= 2 * order:
        raise ValueError(f"signal has {len(signal)} steps: {order} modes need more than {2 * order}.")
    flat = signal.reshape(len(signal), -1)
    rates = [_largest_root(column, order) for column in flat.T]
    return np.array(rates).reshape(signal.shape[1:]) if signal.ndim > 1 else rates[0]


def _largest_root(signal: NDArray[np.float64], order: int) -> float:
    windows = np.lib.stride_tricks.sliding_window_view(signal, order + 1)
    size = np.abs(windows).max(axis=1, keepdims=True)
    windows = (windows / np.where(size > 0, size, 1))[size[:, 0] > 0]  # every stretch counts alike, however decayed
    coefficients = np.linalg.lstsq(windows[:, :order], windows[:, order], rcond=NOISE)[0]
    return float(np.abs(np.roots(np.concatenate([[1.0], -coefficients[::-1]]))).max(initial=0.0))
