"""Pictures out: contact sheets (Pillow) and spectra (matplotlib), both imported only when drawn."""

from convexgan.plotting.bands import band_plot
from convexgan.plotting.phases import phase_plot
from convexgan.plotting.rates import rate_plot
from convexgan.plotting.sheets import contact_sheet, save_image, stage_sheet
from convexgan.plotting.spectrum import spectrum_plot

__all__ = ["band_plot", "contact_sheet", "phase_plot", "rate_plot", "save_image", "spectrum_plot", "stage_sheet"]
