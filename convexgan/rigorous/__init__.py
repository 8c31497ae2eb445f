"""Certificates recomputed without rounding: rational arithmetic, and proofs in sixty digits."""

from convexgan.rigorous.moment import ExactMoments
from convexgan.rigorous.numbers import check_exact_size, down, up
from convexgan.rigorous.sample import ExactSample

__all__ = ["ExactMoments", "ExactSample", "check_exact_size", "down", "up"]
