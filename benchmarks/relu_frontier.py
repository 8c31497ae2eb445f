"""What the exact search of a ReLU neuron has proved after 1, 10 and 60 seconds, by columns and rows; before and now.

Each cell is (upper bound - value) / value of one search that may take 60 processor seconds and ends at 1 %, looked at
after 1, 10 and 60 of them; "inf" where nothing had been found yet. "before" is the code of the commit OLD, whose
searches had no partial moments, no boxes and no pairs; both sides in one run, taken out of the repository's history.
Laws as in `relu_ipm`: half of the rows shifted and scaled, or of the same law, which is harder.

Predicted: up to six columns both end at 1 % with 200 rows; from 2,000 rows on the new code is at most half as far from
the value as the old one, more at six to twelve columns; at twenty both are far away. Seen: 200 rows of eight columns,
which never ended, end in 16 and 30 s, 2,000 of six in 2 and 4 s (41 and 56 before), 20,000 of four in 1 and 3 s (3 and
19); at twenty the distance is half. With 2,000 rows and more of eight and twelve columns it is the same after a minute,
sooner reached: there the prediction fails, and the frontier is.

Finished rows are kept in build/relu_frontier.jsonl: a killed run goes on.

Example: python -m benchmarks.relu_frontier --quick
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks._records import forget, recall
from benchmarks._report import parse, write

OLD = "a6a5ebf"  # before deadlines, bounds from partial moments, boxes
ROOT = Path(__file__).parents[1]
LOOKS, GAP = (1.0, 10.0, 60.0), 0.01
CASES = [(3, 20_000), (3, 200_000), *((p, n) for p in (4, 6, 8, 12) for n in (200, 2_000, 20_000)), (20, 1_000)]
SEARCH = """
import json, sys, time
time.monotonic = time.process_time  # a machine that has other work to do takes no time from a search
import numpy as np
from convexgan.arrangements import maximize
p, n, shifted, limit, gap = json.loads(sys.argv[1])
X, Y = np.random.default_rng(p).standard_normal((2, n // 2, p))
if shifted:
    Y = 1.1 * Y
    Y[:, 0] += 0.2
rows, weights = np.vstack([X, Y]), np.repeat([2 / n, -2 / n], n // 2)
start, seen = time.process_time(), []
def look(value, bound, cones):
    seen.append((time.process_time() - start, value, bound))
found = maximize(rows, weights, gap=gap, time_limit=limit, progress=look)
look(found.value, found.upper_bound, 0)
print(json.dumps(seen[:: max(len(seen) // 2000, 1)] + seen[-1:]))
"""


def searched(code: Path, p: int, n: int, shifted: bool, limit: float) -> list[float]:
    """The gaps at the looks, and the seconds that the search took, with the package in a folder."""
    given = json.dumps([p, n, shifted, limit, GAP])
    environment = os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SEARCH, given]
    done = subprocess.run(command, env=environment, cwd=code, check=True, stdout=subprocess.PIPE, text=True)
    trace = json.loads(done.stdout)
    gaps = []
    for look in LOOKS:
        known = [(value, bound) for seconds, value, bound in trace if seconds <= look or look >= limit]
        value, bound = known[-1] if known else (0.0, 1.0)
        gaps.append((bound - value) / value if value > 0 else float("inf"))
    return [*gaps, trace[-1][0]]


def main() -> None:
    """Search with both, case by case."""
    quick = parse(__doc__).quick
    cases, limit = (CASES[2:3], 2.0) if quick else (CASES, LOOKS[-1])
    if quick:
        forget("relu_frontier_quick")
    name, rows = "relu_frontier_quick" if quick else "relu_frontier", []
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "archive", OLD, "convexgan"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
        for p, n in cases:
            for shifted in (True, False):
                sides = []
                for side, code in (("before", Path(folder)), ("now", ROOT)):
                    key = {"columns": p, "rows": n, "shifted": shifted, "side": side}
                    sides.append(recall(name, key, partial(searched, code, p, n, shifted, limit)))
                rows.append([p, n, "shifted" if shifted else "equal", *sides[0], *sides[1]])
                print(rows[-1], flush=True)
    columns = ["columns", "rows", "laws"]
    for side in ("before", "now"):
        columns += [f"{side}, {look:.0f} s" for look in LOOKS] + [f"{side}, seconds"]
    write("relu_frontier", columns, rows, str(__doc__), quick)


if __name__ == "__main__":
    main()
