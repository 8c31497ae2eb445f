"""Pictures out: contact sheets (Pillow) and figures (matplotlib), both imported only when drawn."""

from convexgan.plotting.balances import balance_plot
from convexgan.plotting.bands import band_plot
from convexgan.plotting.cells import arrangement_plot
from convexgan.plotting.critics import equilibrium_plot, witness_plot
from convexgan.plotting.phases import phase_plot
from convexgan.plotting.rates import rate_plot
from convexgan.plotting.searches import SearchTrace, search_plot
from convexgan.plotting.sheets import contact_sheet, save_animation, save_image, stage_sheet
from convexgan.plotting.spectrum import spectrum_plot

__all__ = [
    "SearchTrace",
    "arrangement_plot",
    "balance_plot",
    "band_plot",
    "contact_sheet",
    "equilibrium_plot",
    "phase_plot",
    "rate_plot",
    "save_animation",
    "save_image",
    "search_plot",
    "spectrum_plot",
    "stage_sheet",
    "witness_plot",
]
