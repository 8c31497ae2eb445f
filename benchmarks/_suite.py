"""Writes the file of the newest version of the benchmark suite, `convexgan/problems/suite-VERSION.csv`.

A version that has been published is not written again: what changes is a new version. For that, change `SETTINGS`,
call this, and add the version with the SHA-256 that is printed to `VERSIONS` of `convexgan/problems/suite.py`. A family
whose draws change gets a new name; under the old one it goes on drawing what it drew.

Example: python -m benchmarks._suite 2
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import convexgan as cg
from convexgan.problems.catalogue import PROBLEMS
from convexgan.problems.suite import VERSIONS, Instance

FOLDER = Path(cg.__file__).parent / "problems"
Settings = list[tuple[int, list[dict[str, Any]]]]
SETTINGS: dict[str, Settings] = {  # so many seeds of each setting
    "linear": [(4, [{}, {"columns": 2, "latents": 2}, {"columns": 10, "latents": 5}, {"beta": 1.0}])],
    "quadratic": [
        (4, [{}, {"surplus": 3}, {"columns": 10, "active": 6}, {"columns": 10, "active": 6, "surplus": 6}]),
        (4, [{"surplus": -1}, {"surplus": -2}, {"columns": 10, "active": 6, "surplus": -3}]),
    ],
    "quadratic-no-saddle": [(4, [{}, {"columns": 2}, {"columns": 5}])],
    "polynomial": [(4, [{}, {"columns": 2, "latents": 3}, {"columns": 2, "latents": 3, "beta": 0.2}])],
    "relu-line": [(4, [{}, {"rows": 4}, {"rows": 20, "beta": 0.05}, {"rows": 6, "beta": 0.2}])],
    "relu-mixture": [(4, [{"rows": 20, "side": 5}, {"rows": 20, "side": 5, "beta": 0.2}, {}])],
    "particles": [
        (4, [{"discriminator": "linear"}, {}, {"columns": 2, "rows": 30}, {"columns": 6, "rows": 12, "beta": 0.1}])
    ],
    "kernel": [(4, [{}, {"rows": 5}, {"ridge": 1.0}, {"columns": 5, "features": 100}])],
    "bilinear": [(4, [{}, {"curvature": 0.1}, {"curvature": 1.0}, {"columns": 10}, {"columns": 10, "curvature": 0.1}])],
    "pictures": [
        (3, [{}, {"source": "orl"}, {"directions": 3}, {"source": "orl", "directions": 3}]),
        (2, [{"size": 16, "rows": 300}]),
    ],
    "conditional": [(4, [{}, {"discriminator": "linear"}, {"classes": 2, "columns": 5}])],
    "batches": [(4, [{}, {"batch": 16}, {"discriminator": "quadratic"}])],
    "stochastic": [
        (4, [{}, {"slopes": 0.1, "curvature": 0.1}, {"shifts": 0.1}, {"shifts": 0.1, "batch": 64}]),
        (2, [{"curvature": 0.0, "slopes": 0.2}, {"columns": 10, "batch": 16, "shifts": 1.0}]),
    ],
}


def instances() -> list[Instance]:
    """All instances, solved and verified."""
    found = [described(Instance(name, "", 0, "{}", "", 0.0, "")) for name in PROBLEMS]
    for family, groups in SETTINGS.items():
        drawn = [(given, seed) for count, settings in groups for given in settings for seed in range(count)]
        for i, (given, seed) in enumerate(drawn):
            found.append(described(Instance(f"{family}/{i:02}", family, seed, json.dumps(given), "", 0.0, "")))
    return found


def described(instance: Instance) -> Instance:
    """The instance with kind, value to nine digits, and fingerprint."""
    problem = instance.make()
    if not problem.verify():
        raise RuntimeError(f"{instance.name} is not proved.")
    value = float(f"{problem.value:.9g}")
    return instance._replace(kind=problem.kind, value=value, fingerprint=problem.fingerprint)


def main() -> None:
    """Write the file and print its SHA-256."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=int)
    version = parser.parse_args().version
    path = FOLDER / f"suite-{version}.csv"
    if version in VERSIONS and path.exists():
        raise SystemExit(f"version {version} is published: give the next one.")
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Instance._fields)
    writer.writerows(instances())
    path.write_bytes(text.getvalue().encode())
    print(hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
