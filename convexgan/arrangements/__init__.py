"""Hyperplane arrangements of rows: activation patterns, extrema of sums of rectified rows, interpolation by them.

Arrays and weights in; nothing here knows discriminators.
"""

from convexgan.arrangements.ascents import local_maxima
from convexgan.arrangements.boxes import Minimum, minimize_rectified
from convexgan.arrangements.enumeration import activation_patterns, cover_bound
from convexgan.arrangements.interpolation import Interpolation, interpolate
from convexgan.arrangements.maximum import Maximum, maximize
from convexgan.arrangements.sampled import sampled_patterns
from convexgan.arrangements.sweep2d import sweep_values

__all__ = [
    "Interpolation",
    "Maximum",
    "Minimum",
    "activation_patterns",
    "cover_bound",
    "interpolate",
    "local_maxima",
    "maximize",
    "minimize_rectified",
    "sampled_patterns",
    "sweep_values",
]
