"""Convex games with ReLU discriminators or mixture generators: solvers, and both players' best responses."""

from __future__ import annotations

from convexgan.games._conic import Conic
from convexgan.games.cutting_planes import solve_mixture
from convexgan.games.double_oracle import solve_continuous
from convexgan.games.fixed_patterns import solve_fixed_patterns
from convexgan.games.mixture_program import solve_mixture_program
from convexgan.games.partial_means import partial_means_bound
from convexgan.games.partial_squares import partial_squares
from convexgan.games.responses import critic_of, discriminator_response, generator_response, real_score
from convexgan.games.sample_game import SampleGame
from convexgan.games.scalar import solve_scalar
from convexgan.games.semi_infinite import solve_gaussian

__all__ = [
    "Conic",
    "SampleGame",
    "critic_of",
    "discriminator_response",
    "generator_response",
    "partial_means_bound",
    "partial_squares",
    "real_score",
    "solve_continuous",
    "solve_fixed_patterns",
    "solve_gaussian",
    "solve_mixture",
    "solve_mixture_program",
    "solve_scalar",
]
