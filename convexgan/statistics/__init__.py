"""Moments of samples and laws, their products, spectra and subspaces, and latents."""
