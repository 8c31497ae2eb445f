"""The progressive model on faces, digits and a colour folder: seconds, certificates, held-out discrepancy.

The colour folder holds synthetic power-law pictures, written as .png files and read back.

Predicted: seconds at 64 pixels for 400 pictures (singular values of 320 rows); gaps at rounding; held-out
discrepancies far above beta for a few hundred pictures, because sampling error of the covariance decides them.

Example: python -m benchmarks.real_data --quick
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import convexgan as cg
from benchmarks._pictures import power_law
from benchmarks._report import parse, write
from convexgan.datasets import digits, orl, read_folder


def colour_folder(n: int, size: int) -> np.ndarray:
    """Pictures written as files and read back through the folder reader."""
    with tempfile.TemporaryDirectory() as name:
        for i, picture in enumerate(power_law(n, size)):
            Image.fromarray(picture).save(Path(name) / f"{i:05}.png")
        return read_folder(name, size).images


def main() -> None:
    """Fit each set and measure every stage."""
    options = parse(__doc__)
    sets = {"digits": digits(8).images}
    if not options.quick:
        sets |= {"ORL faces, grey": orl(64).images, "synthetic colour folder": colour_folder(600, 64)}
    rows = []
    for name, images in sets.items():
        order = np.random.default_rng(0).permutation(len(images))
        cut = len(images) * 4 // 5
        marks = [time.perf_counter()]
        model = cg.ProgressiveConvexGAN()
        model.fit(images[order[:cut]], progress=lambda stage, data, marks=marks: marks.append(time.perf_counter()))
        held = model.held_out(images[order[cut:]], resamples=20)
        for stage, found, seconds in zip(model.stages_, held, np.diff(marks), strict=True):
            c = stage.certificate
            numbers = [stage.beta, float(seconds), c.value, c.gap, c.relative_violation]
            held_out = [c.kind, found.value, f"{found.low:.4g} .. {found.high:.4g}"]
            rows.append([name, cut, stage.size, stage.rank, *numbers, *held_out])
    columns = ["pictures", "n", "px", "rank", "beta", "s", "value", "gap", "violation", "kind", "held-out ipm", "95 %"]
    write("real_data", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
