"""Hyperplane arrangements of rows: activation patterns, extrema of sums of rectified rows, interpolation by them.

Arrays and weights in; nothing here knows discriminators.
"""

from convexgan.arrangements.ascents import local_maxima
from convexgan.arrangements.boxes import Minimum, minimize_rectified
from convexgan.arrangements.difference import Convex, Peak, maximize_difference
from convexgan.arrangements.enumeration import activation_patterns, cover_bound
from convexgan.arrangements.halfspace_maximum import maximize_over_halfspaces
from convexgan.arrangements.halfspace_sweep import sweep_cuts
from convexgan.arrangements.interpolation import Interpolation, interpolate
from convexgan.arrangements.maximum import maximize
from convexgan.arrangements.net import net_bounds, net_size
from convexgan.arrangements.offset_maximum import maximize_with_offsets
from convexgan.arrangements.offset_sweep import sweep_offsets
from convexgan.arrangements.record import Maximum
from convexgan.arrangements.reduce import row_space
from convexgan.arrangements.sampled import Sampled, sampled_patterns
from convexgan.arrangements.sampled_offsets import SampledOffsets
from convexgan.arrangements.square_ascents import local_square_maxima
from convexgan.arrangements.square_maximum import maximize_squares
from convexgan.arrangements.square_sweep import sweep_square_values
from convexgan.arrangements.sweep2d import sweep_values

__all__ = [
    "Convex",
    "Interpolation",
    "Maximum",
    "Minimum",
    "Peak",
    "Sampled",
    "SampledOffsets",
    "activation_patterns",
    "cover_bound",
    "interpolate",
    "local_maxima",
    "local_square_maxima",
    "maximize",
    "maximize_difference",
    "maximize_over_halfspaces",
    "maximize_squares",
    "maximize_with_offsets",
    "minimize_rectified",
    "net_bounds",
    "net_size",
    "row_space",
    "sampled_patterns",
    "sweep_cuts",
    "sweep_offsets",
    "sweep_square_values",
    "sweep_values",
]
