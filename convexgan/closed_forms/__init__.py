"""Games with a formula, each with the critic that proves it."""

from convexgan.closed_forms.discriminator_response import game_ipm, ipm_of_zero, ipm_rounding, rounding
from convexgan.closed_forms.dual import best_scale, dual_value
from convexgan.closed_forms.generator_response import (
    class_factor,
    cost,
    generated_moments,
    unwhiten,
    whiten,
    whiten_sample,
    whitening_error,
)
from convexgan.closed_forms.linear import solve_linear
from convexgan.closed_forms.matching import has_match, solve_matching
from convexgan.closed_forms.pairing import realize, unit_neurons
from convexgan.closed_forms.polynomial import has_closed_form, solve_polynomial
from convexgan.closed_forms.quadratic import proved_spectral_bound, solve_quadratic, spectral_bound

__all__ = [
    "best_scale",
    "class_factor",
    "cost",
    "dual_value",
    "game_ipm",
    "generated_moments",
    "has_closed_form",
    "has_match",
    "ipm_of_zero",
    "ipm_rounding",
    "proved_spectral_bound",
    "realize",
    "rounding",
    "solve_linear",
    "solve_matching",
    "solve_polynomial",
    "solve_quadratic",
    "spectral_bound",
    "unit_neurons",
    "unwhiten",
    "whiten",
    "whiten_sample",
    "whitening_error",
]
