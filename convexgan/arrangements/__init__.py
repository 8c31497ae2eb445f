"""Hyperplane arrangements of rows: activation patterns, and the maximum of a sum of rectified rows.

Arrays and weights in; nothing here knows discriminators.
"""

from convexgan.arrangements.enumeration import activation_patterns, cover_bound
from convexgan.arrangements.maximum import Maximum, maximize
from convexgan.arrangements.sampled import sampled_patterns
from convexgan.arrangements.sweep2d import sweep_values

__all__ = ["Maximum", "activation_patterns", "cover_bound", "maximize", "sampled_patterns", "sweep_values"]
