"""Pictures in: folders, array files and bundled sets. The only room that opens image files."""

from convexgan.datasets.bundled import digits, orl
from convexgan.datasets.folder import ImageSet, Skipped, find_images, read_folder
from convexgan.datasets.sources import load

__all__ = ["ImageSet", "Skipped", "digits", "find_images", "load", "orl", "read_folder"]
