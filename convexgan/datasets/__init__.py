"""Pictures in: CelebA, folders, archives, array files and bundled sets. The only room that opens image files."""

from convexgan.datasets.account import Count, Skipped
from convexgan.datasets.archive import list_archive
from convexgan.datasets.bundled import digits, orl
from convexgan.datasets.cache import Cache, build_cache
from convexgan.datasets.celeba import list_celeba
from convexgan.datasets.folder import find_images, list_folder, read_folder
from convexgan.datasets.listing import Listing
from convexgan.datasets.pictures import ImageSet
from convexgan.datasets.sources import find, load

__all__ = [
    "Cache",
    "Count",
    "ImageSet",
    "Listing",
    "Skipped",
    "build_cache",
    "digits",
    "find",
    "find_images",
    "list_archive",
    "list_celeba",
    "list_folder",
    "load",
    "orl",
    "read_folder",
]
