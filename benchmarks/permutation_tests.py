"""Permutation tests with the ReLU discrepancy: seconds, and what the code before took in the same run.

Claim: 999 permutations of 350 rows of three columns in 5 s, of 1,000 rows of ten columns in 60 s; of two columns
thousands of permutations a second. Half the rows are standard Gaussian, half of the same law or moved by .5 in the
first column. Before, every permutation was a search of its own on three columns, and on more ascents by concave
programs from 10,000 directions; it is measured on a few permutations and scaled. Up to three columns both give the same
p-value where all are made; on more the statistics differ.

Example: python -m benchmarks.permutation_tests --quick
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from benchmarks._report import parse, write

ROOT = Path(__file__).parents[1]
BEFORE = "8cf5dcc"  # the last commit without nets and shared directions
CASES = [  # rows of each sample, columns, permutations, as many as are measured of the code before
    (175, 2, 9999, 999),
    (1000, 2, 9999, 999),
    (175, 3, 999, 30),
    (1000, 3, 999, 15),
    (10_000, 3, 999, 3),
    (500, 5, 999, 10),
    (500, 10, 999, 10),
]
TIMED = """
import json, sys, time
import numpy as np
import convexgan as cg
n, d, shift, few, many = json.loads(sys.argv[1])
X, Y = np.random.default_rng([n, d]).standard_normal((2, n, d))
Y[:, 0] += shift
found, seconds = None, []
for count in (few, many):
    start = time.perf_counter()
    found = cg.two_sample_test(X, Y, permutations=count)
    seconds.append(time.perf_counter() - start)
print(json.dumps([*seconds, found.p_value]))
"""


def old_code(folder: str) -> bool:
    """Whether the package as it was is in the folder now; not without git and its history."""
    done = subprocess.run(["git", "archive", BEFORE, "convexgan"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0:
        with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
    return done.returncode == 0


def timed(path: str, *case: float) -> list[float]:
    """Seconds of few and of many permutations by the package in a folder, and the p-value of the many."""
    command = [sys.executable, "-c", TIMED, json.dumps(case)]
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def main() -> None:
    """Measure every case."""
    options = parse(__doc__)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        known = old_code(folder)
        for n, d, count, few in CASES[2:3] if options.quick else CASES:
            for shift in (0.0, 0.5):
                count = 99 if options.quick else count
                _, seconds, p = timed(str(ROOT), n, d, shift, 1, count)
                before = float("nan")
                if known:
                    one, several, _ = timed(folder, n, d, shift, 1, few)
                    before = one + (several - one) / (few - 1) * (count - 1)
                rows.append([2 * n, d, shift, count, before, seconds, before / seconds, count / seconds, p])
                print(rows[-1], flush=True)
    columns = ["rows", "columns", "shift", "permutations", "seconds before", "seconds", "ratio", "a second", "p-value"]
    write("permutation_tests", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
