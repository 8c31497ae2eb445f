"""When gradient descent-ascent converges, and how fast: linearised games, wide generators, kernel discriminators."""

from convexgan.dynamics.deep import DeepGame, DeepMatching, draw_deep, simulate_deep
from convexgan.dynamics.kernel_games import Critic, KernelGame, linearize, point_modes, simulate_points
from convexgan.dynamics.kernels import GaussianKernel, Kernel, KernelSum, RationalQuadratic, curvature
from convexgan.dynamics.linear_games import LinearGame, update_matrix
from convexgan.dynamics.overparameterized import (
    MeanGame,
    MeanMatching,
    Runs,
    WidthAdvice,
    advise_width,
    draw,
    modes,
    simulate,
    step_limit,
)
from convexgan.dynamics.phase_diagram import PhaseDiagram, phase_diagram
from convexgan.dynamics.spectrum import (
    PHASES,
    Prediction,
    best_parameter,
    classify,
    critical_step,
    measured_rate,
    predict,
)

__all__ = [
    "PHASES",
    "Critic",
    "DeepGame",
    "DeepMatching",
    "GaussianKernel",
    "Kernel",
    "KernelGame",
    "KernelSum",
    "LinearGame",
    "MeanGame",
    "MeanMatching",
    "PhaseDiagram",
    "Prediction",
    "RationalQuadratic",
    "Runs",
    "WidthAdvice",
    "advise_width",
    "best_parameter",
    "classify",
    "critical_step",
    "curvature",
    "draw",
    "draw_deep",
    "linearize",
    "measured_rate",
    "modes",
    "phase_diagram",
    "point_modes",
    "predict",
    "simulate",
    "simulate_deep",
    "simulate_points",
    "step_limit",
    "update_matrix",
]
