"""Convex games with ReLU discriminators or mixture generators: solvers, and both players' best responses."""

from __future__ import annotations

from convexgan.conic.searches import Conic
from convexgan.games.sample.cutting_planes import Mixture, solve_mixture
from convexgan.games.sample.double_oracle import solve_continuous
from convexgan.games.sample.fixed_patterns import solve_fixed_patterns
from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.gaussian_game import solve_gaussian
from convexgan.games.sample.linear_bound import linear_bound
from convexgan.games.sample.mixture_program import solve_mixture_program
from convexgan.games.sample.partial_means import partial_means_bound
from convexgan.games.sample.partial_squares import partial_squares
from convexgan.games.sample.responses import critic_of, discriminator_response, generator_response, real_score
from convexgan.games.sample.scalar import solve_scalar

__all__ = [
    "Conic",
    "Mixture",
    "SampleGame",
    "critic_of",
    "discriminator_response",
    "generator_response",
    "linear_bound",
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
