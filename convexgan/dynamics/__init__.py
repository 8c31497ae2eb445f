"""When gradient descent-ascent converges, and how fast: linearised games, wide generators, kernel discriminators."""

from convexgan.dynamics.clouds import simulate_spread, steady_spread
from convexgan.dynamics.deep import DeepGame, DeepMatching, draw_deep, simulate_deep
from convexgan.dynamics.forecast import Forecast, measure_gda, predict_gda
from convexgan.dynamics.forecast_sweep import ForecastSweep, forecast_sweep
from convexgan.dynamics.kernel_games import Critic, KernelGame, linearize, point_modes, simulate_points
from convexgan.dynamics.kernel_sweep import CollapseSweep, collapse_sweep
from convexgan.dynamics.kernels import GaussianKernel, Kernel, KernelSum, RationalQuadratic, curvature
from convexgan.dynamics.linear_games import LinearGame, update_matrix
from convexgan.dynamics.noise import NoisyForecast, predict_noise
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
from convexgan.dynamics.payoff_game import PayoffGame
from convexgan.dynamics.phase_diagram import PhaseDiagram, phase_diagram
from convexgan.dynamics.point_generators import FreePoints, LinearPoints, NetworkPoints, PointGenerator
from convexgan.dynamics.solved_game import SolvedGame
from convexgan.dynamics.spectrum import (
    PHASES,
    Prediction,
    best_parameter,
    classify,
    critical_step,
    measured_rate,
    predict,
)
from convexgan.dynamics.tangent import Tangent
from convexgan.dynamics.transport import wasserstein
from convexgan.dynamics.width_sweep import WidthSweep, width_sweep

__all__ = [
    "PHASES",
    "CollapseSweep",
    "Critic",
    "DeepGame",
    "DeepMatching",
    "Forecast",
    "ForecastSweep",
    "FreePoints",
    "GaussianKernel",
    "Kernel",
    "KernelGame",
    "KernelSum",
    "LinearGame",
    "LinearPoints",
    "MeanGame",
    "MeanMatching",
    "NetworkPoints",
    "NoisyForecast",
    "PayoffGame",
    "PhaseDiagram",
    "PointGenerator",
    "Prediction",
    "RationalQuadratic",
    "Runs",
    "SolvedGame",
    "Tangent",
    "WidthAdvice",
    "WidthSweep",
    "advise_width",
    "best_parameter",
    "classify",
    "collapse_sweep",
    "critical_step",
    "curvature",
    "draw",
    "draw_deep",
    "forecast_sweep",
    "linearize",
    "measure_gda",
    "measured_rate",
    "modes",
    "phase_diagram",
    "point_modes",
    "predict",
    "predict_gda",
    "predict_noise",
    "simulate",
    "simulate_deep",
    "simulate_points",
    "simulate_spread",
    "steady_spread",
    "step_limit",
    "update_matrix",
    "wasserstein",
    "width_sweep",
]
