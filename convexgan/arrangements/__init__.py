"""Hyperplane arrangements of rows: activation patterns, maxima of sums of rectified rows, interpolation by them.

Arrays and weights in; nothing here knows discriminators.
"""

from convexgan.arrangements.enumeration import activation_patterns, cover_bound
from convexgan.arrangements.interpolation import Interpolation, interpolate
from convexgan.arrangements.maximum import Maximum, maximize
from convexgan.arrangements.sampled import sampled_patterns
from convexgan.arrangements.sweep2d import sweep_values

__all__ = [
    "Interpolation",
    "Maximum",
    "activation_patterns",
    "cover_bound",
    "interpolate",
    "maximize",
    "sampled_patterns",
    "sweep_values",
]
