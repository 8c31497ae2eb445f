"""What `convexgan fit` does beside multiplying pixels, each part done in two ways in turn, in processor seconds.

JPEG of several sizes read by Pillow and by simplejpeg, whose pixels must be equal; pictures brought to a size by
Pillow's box filter, which counts pixels on a border in full, and by exact area averages; pictures decoded and
forgotten, and decoded into a cache and read from there as a pass does; a certificate of 64 pixels in colour written and
read as text and as two files; and `import convexgan` without and with scikit-learn, of which models of pictures are
estimators.

Predicted: simplejpeg takes half to two thirds of Pillow's time. Refuted: .9 to 1.05 of it, since Pillow brings the same
decoder. By counts of operations exact averages take 2 to 7 times the time of Pillow's filter. Refuted up to 1,024
pixels: 1.1 to 1.2 of it, as sparse products; 3 at 4,096. A cache adds a sixth to decoding, which passes at 64 pixels
would do five times without it. Two files take a sixth to a fifth of the seconds of one text.

Example: python -m benchmarks.fit_costs --quick
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks._celeba import photographs, write_celeba
from benchmarks._report import parse, write
from convexgan import Certificate
from convexgan.datasets import build_cache, find, jpeg
from convexgan.datasets.decoding import decode
from convexgan.datasets.listing import attempt
from convexgan.datasets.pictures import fit_square
from convexgan.records.certificate import Evidence

Work = Callable[[], Any]


def in_turn(first: Work, second: Work, repeats: int) -> tuple[float, float]:
    """The shortest processor time of each side."""
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        for side, seconds in zip((first, second), times, strict=True):
            start = time.process_time()
            side()
            seconds.append(time.process_time() - start)
    return min(times[0]), min(times[1])


def decoding(edge: int, count: int, repeats: int) -> tuple[float, float]:
    """Seconds a picture by Pillow and by simplejpeg, 178 x 218 or square."""
    module, contents = jpeg.simplejpeg(), []
    for picture in photographs(count, 0):
        file, noise = io.BytesIO(), np.random.default_rng(0).integers(-6, 7, (edge, edge, 3))
        if edge != 178:
            picture = np.asarray(Image.fromarray(picture).resize((edge, edge), Image.Resampling.BICUBIC))
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(file, "JPEG", quality=85)
        contents.append(file.getvalue())

    def read(found: Any) -> list[Any]:
        jpeg.simplejpeg = lambda: found
        return [decode(content, "a.jpg", 64).pixels for content in contents]

    if not all(map(np.array_equal, read(None), read(module))):
        raise SystemExit("the pixels differ")
    seconds = in_turn(lambda: read(None), lambda: read(module), repeats)
    jpeg.simplejpeg = lambda: module
    return seconds[0] / count, seconds[1] / count


def averaging(edge: int, size: int, repeats: int) -> tuple[float, float]:
    """Seconds a picture brought to a size by Pillow's box filter, and by exact area averages."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (edge, edge, 3), dtype=np.uint8))
    count = max(1, 10**7 // edge**2)

    def box() -> None:
        for _ in range(count):
            np.asarray(picture.resize((size, size), Image.Resampling.BOX))

    def area() -> None:
        for _ in range(count):
            fit_square(picture, size)

    seconds = in_turn(box, area, repeats)
    return seconds[0] / count, seconds[1] / count


def caching(folder: Path, count: int) -> tuple[float, float]:
    """Seconds a picture decoded and forgotten, and decoded into a cache that is read once."""
    listing = find(write_celeba(folder, count))

    def forget() -> None:
        for entry in listing.entries:
            attempt(listing.keeper, entry, 64, False, "center")

    def keep() -> None:
        with tempfile.TemporaryDirectory() as place:
            for _ in build_cache(listing, place, 64).blocks():
                pass

    seconds = in_turn(forget, keep, 3)
    return seconds[0] / count, seconds[1] / count


def certificates(folder: Path, rank: int, columns: int, repeats: int) -> list[list[Any]]:
    """Rows of writing and of reading: as text, and as two files."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal((rank, columns)) for name in ("factor", "neurons")}
    evidence = Evidence({"game": "moments"}, arrays)
    claim = Certificate(1.0, 1.0, 0.5, 0.0, 0.0, "saddle", 1.0, rank, "closed form", evidence=evidence)
    text, files = folder / "text.json", folder / "files.json"

    def as_text() -> None:
        text.write_text(claim.to_json())

    writing = in_turn(as_text, lambda: claim.save(files), repeats)
    reading = in_turn(lambda: Certificate.load(text), lambda: Certificate.load(files), repeats)
    sizes = text.stat().st_size / 1e6, sum(path.stat().st_size for path in folder.glob("files.*")) / 1e6
    what = f"certificate of rank {rank}, {columns} columns"
    sides = "text", "two files"
    rows: list[list[Any]] = [
        [f"{what}: {did}", *sides, *took] for did, took in (("writing s", writing), ("reading s", reading))
    ]
    return [*rows, [f"{what}: MB", *sides, *sizes]]


def importing(modules: str) -> float:
    """Processor seconds of the imports in a process of its own, the best of three."""
    code = f"import time; t = time.process_time(); import {modules}; print(time.process_time() - t)"
    return min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(3))


def main() -> None:
    """Measure every part."""
    options = parse(__doc__)
    rows: list[list[Any]] = []
    if jpeg.simplejpeg() is not None:
        for edge, count in ((178, 20),) if options.quick else ((64, 200), (178, 200), (512, 30), (2048, 3)):
            name = "178 x 218" if edge == 178 else f"{edge} x {edge}"
            took = decoding(edge, count, 2 if options.quick else 15)
            rows.append([f"JPEG of {name} to 64: ms", "Pillow", "simplejpeg", *(1000 * seconds for seconds in took)])
    for edge, size in ((178, 64),) if options.quick else ((178, 32), (178, 64), (178, 128), (1024, 64), (4096, 64)):
        took = averaging(edge, size, 2 if options.quick else 5)
        rows.append([f"{edge} pixels to {size}: ms", "Pillow's box", "area", *(1000 * seconds for seconds in took)])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        took = caching(folder / "celeba", 100 if options.quick else 3000)
        rows.append(["178 x 218 to 64: ms", "forgotten", "cached, read", *(1000 * seconds for seconds in took)])
        for rank, columns in ((20, 768),) if options.quick else ((175, 12288), (619, 12288)):
            rows += certificates(folder, rank, columns, 3)
    rows.append(["import s", "convexgan", "and its models", importing("convexgan"), importing("convexgan.progressive")])
    columns = ["what", "first", "second", "by the first", "by the second", "ratio"]
    write("fit_costs", columns, [[*row, row[4] / row[3]] for row in rows], __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
