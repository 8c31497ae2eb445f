"""The formats of still pictures that are read: by suffix where a file is looked for, by content where it is opened."""

from __future__ import annotations

# what Pillow reads without another program (as EPS needs) and as a picture (unlike the tables of FITS, GRIB, HDF5)
_BY_FORMAT = {
    "JPEG": "jpg jpeg jpe jfif mpo",
    "PNG": "png apng",
    "WEBP": "webp",
    "BMP": "bmp",
    "DIB": "dib",
    "PPM": "pgm ppm pbm pnm",
    "TIFF": "tif tiff",
    "GIF": "gif",
    "JPEG2000": "jp2 j2k j2c jpc jpf jpx",
    "AVIF": "avif",
    "HEIF": "heic heif hif",
    "TGA": "tga icb vda vst",
    "ICO": "ico",
    "ICNS": "icns",
    "PCX": "pcx",
    "DDS": "dds",
    "PSD": "psd",
    "QOI": "qoi",
    "SGI": "sgi bw rgb rgba",
    "SUN": "ras",
    "XBM": "xbm",
    "XPM": "xpm",
    "MSP": "msp",
}
SUFFIXES = {f".{suffix}": name for name, suffixes in _BY_FORMAT.items() for suffix in suffixes.split()}
COMMON = "avif, bmp, gif, heic, jp2, jpg, pgm, png, ppm, tga, tif, webp"  # for messages; the others work all the same
VAGUE = frozenset({"TGA", "ICO", "PCX", "DIB", "MSP", "XBM"})  # begin like almost anything: believed by suffix only
_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
PHOTOS = "install 'convexgan[photos]'"


def openers(suffix: str) -> list[str]:
    """Pillow's names of the formats that a file of this suffix may be in, whatever the suffix says."""
    named = SUFFIXES.get(suffix.lower())
    return [name for name in _BY_FORMAT if name != "HEIF" and (name not in VAGUE or name == named)]


def is_heif(content: bytes) -> bool:
    """Whether the bytes are those of an HEIC photograph."""
    return content[4:8] == b"ftyp" and content[8:12] in _HEIF and b"avif" not in content[8:32]


def looks_like_a_picture(head: bytes) -> bool:
    """Whether a file without a suffix begins as the pictures of the web and of cameras do."""
    return head.startswith(_HEADS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or is_heif(head)
