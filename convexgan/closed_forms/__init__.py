"""Games with a formula, each with the critic that proves it."""

from convexgan.closed_forms.discriminator_response import game_ipm, ipm_of_nothing, rounding
from convexgan.closed_forms.generator_response import cost, dual_value, generated_moments, unwhiten, whiten
from convexgan.closed_forms.linear import solve_linear
from convexgan.closed_forms.pairing import realize, unit_neurons
from convexgan.closed_forms.polynomial import has_closed_form, solve_polynomial
from convexgan.closed_forms.quadratic import solve_quadratic, spectral_bound

__all__ = [
    "cost",
    "dual_value",
    "game_ipm",
    "generated_moments",
    "has_closed_form",
    "ipm_of_nothing",
    "realize",
    "rounding",
    "solve_linear",
    "solve_polynomial",
    "solve_quadratic",
    "spectral_bound",
    "unit_neurons",
    "unwhiten",
    "whiten",
]
