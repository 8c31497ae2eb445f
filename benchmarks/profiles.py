"""Performance profiles of twelve methods over the benchmark suite, by gradients and by seconds.

The profile of a method at a factor of t is the share of the instances that it solves with at most t times the gradients
(or processor seconds) of the method that is best on that instance (Dolan, More, 2002): at t = 1 it is how often it is
the best, at the right edge how often it gets there at all. The instances are those of `convexgan.problems.suite()` but
`ridge-2`, which has nothing to arrive at. Solved means an error (see `docs/problems.md`) of at most 1e-1, or 1e-2, when
the run is looked at, every time it has become 1.4 times as long, so that smaller factors are not told apart.

Budgets are fixed, and the same for all: for each setting of a family the step sizes are the best of four (both players'
.1 or .03; the generator's .03 or .01 with ten times that of the discriminator), on the setting's first instance from
seed 0 with 150 gradients each, and the run that counts, from seed 1, has 1,000 gradients on every instance. A gradient
of one or both players at a point counts as one, a second derivative as two. Noise is not special: a run with batches
has arrived when it is seen below the tolerance once. One grid for all is hard on those whose steps it makes long: with
a momentum of 0.9 they are ten times as long in the end.

Seconds are processor seconds of the steps, one thread, measurements left out. The figures and the table are made from
profiles.json, which has every run: for each method and instance the step sizes, for each tolerance gradients and
seconds, or null, and the least error seen.

"torch SGD, momentum 0.9" and "optimistic Adam" are written outside the package, in benchmarks/_strangers.py. A method
of your own is a function (game, state, rates) -> state:

Example: python -m benchmarks.profiles --method mypackage.mymodule:step --quick
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import convexgan as cg
from benchmarks._records import recall
from benchmarks._report import RESULTS, write
from benchmarks._strangers import daskalakis, heavy_ball
from benchmarks.optimizers import LOST, PLAIN, RIVALS, Counted, imported
from convexgan.problems.suite import LATEST, instances
from convexgan.updates import average, extragradient

Step = Callable[..., Any]
Runs = dict[str, dict[str, Any]]  # by instance
METHODS: dict[str, Step] = {
    **PLAIN,
    **RIVALS,
    "extragradient, averaged": extragradient,
    "optimistic Adam": daskalakis,
    "torch SGD, momentum 0.9": heavy_ball,
}
RATES = [(0.1, 0.1), (0.03, 0.03), (0.03, 0.3), (0.01, 0.1)]
TOLERANCES = ("1e-1", "1e-2", "1e-3")
SHOWN = ("1e-1", "1e-2")
TRIAL, BUDGET = 150, 1000  # gradients
COLUMNS = ["method", *(f"solved to {tolerance}" for tolerance in TOLERANCES)]
COLUMNS += [f"{place} by {what}" for what in ("gradients", "seconds") for place in ("best", "within 4 times the best")]


@cache
def loaded(name: str) -> Any:
    """The instance, solved once."""
    return cg.problems.load(name)


def play(name: str, method: str, step: Step, rates: tuple[float, float], seed: int, budget: int) -> dict[str, Any]:
    """One run: what it had spent when first seen within each tolerance, and the least error seen."""
    problem = loaded(name)
    game, state, mean = Counted(problem.game()), problem.start(seed), None
    reached: dict[str, Any] = dict.fromkeys(TOLERANCES)
    found = problem.measure(state)
    seconds, look, least = 0.0, 10, found.error
    while game.count < budget and reached[TOLERANCES[-1]] is None and found.distance < LOST:
        start = time.process_time()
        while game.count < min(look, budget):
            state = problem.project(step(game, state, rates))
            if method.endswith("averaged"):
                mean = average(mean, state)
        seconds += time.process_time() - start
        look = math.ceil(1.4 * game.count)
        found = problem.measure(state if mean is None else state._replace(x=mean.x, y=mean.y))
        least = min(least, found.error)
        for tolerance in TOLERANCES:
            if found.error <= float(tolerance) and reached[tolerance] is None:
                reached[tolerance] = [game.count, round(seconds, 5)]
    return {"rates": rates, "reached": reached, "least": least}


def merit(found: dict[str, Any]) -> tuple[Any, ...]:
    """Runs that were within finer tolerances come first, by their gradients; then by the least error."""
    spent = [math.inf if cost is None else cost[0] for cost in reversed(found["reached"].values())]
    return (*spent, found["least"])


def played(method: str, step: Step, names: list[str]) -> Runs:
    """The runs on all instances of one setting, with the step size that is best on the first."""
    trials = [play(names[0], method, step, rates, 0, TRIAL) for rates in RATES]
    best = min(trials, key=merit)["rates"]
    return {name: play(name, method, step, best, 1, BUDGET) for name in names}


def settings() -> dict[str, list[str]]:
    """The instances by family and parameters, but those without a solution."""
    groups: dict[str, list[str]] = {}
    for name, row in instances().items():
        if row.kind != "none":
            groups.setdefault(f"{row.family} {row.parameters}" if row.family else name, []).append(name)
    return groups


def costs(table: dict[str, Runs], tolerance: str, which: int) -> np.ndarray[Any, Any]:
    """(methods, instances) gradients (0) or seconds (1) to the tolerance; infinite where it is not reached."""
    reached = [[run["reached"][tolerance] for run in runs.values()] for runs in table.values()]
    return np.array([[math.inf if cost is None else cost[which] for cost in row] for row in reached], dtype=float)


def profiles(spent: np.ndarray[Any, Any], factors: Any) -> np.ndarray[Any, Any]:
    """(methods, factors) shares of the instances solved within each factor of the best method's cost."""
    best = spent.min(axis=0)
    ratios = np.where(np.isfinite(spent), spent / np.where(np.isfinite(best), best, 1.0), np.inf)
    return np.asarray((ratios[:, :, None] <= np.asarray(factors)).mean(axis=1))


def draw(table: dict[str, Runs]) -> Figure:
    """Both profiles, a row for each tolerance."""
    figure, factors = Figure(figsize=(11, 8), layout="constrained"), np.geomspace(1, 100, 200)
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    for row, tolerance in zip(panels, SHOWN, strict=True):
        for which, (panel, text) in enumerate(zip(row, ("gradients", "processor seconds"), strict=True)):
            shares = profiles(costs(table, tolerance, which), factors)
            for i, (method, curve) in enumerate(zip(table, shares, strict=True)):
                style = {"color": f"C{i % 10}", "ls": "-" if i < 10 else "--", "lw": 1.2}
                panel.step(factors, curve, where="post", label=method, **style)
            panel.set(xscale="log", title=f"{text}, to an error of {tolerance}", ylim=(0, None), xlim=(1, 100))
            panel.grid(alpha=0.3)
    for panel in panels[1]:
        panel.set_xlabel("factor of the best method's")
    for panel in panels[:, 0]:
        panel.set_ylabel(f"share of {len(next(iter(table.values())))} instances")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    return figure


def rows(table: dict[str, Runs]) -> list[list[Any]]:
    """The table, the method that solves most to the first tolerance first."""
    solved = [np.isfinite(costs(table, tolerance, 0)).sum(axis=1) for tolerance in TOLERANCES]
    shares = [profiles(costs(table, SHOWN[0], which), (1, 4)) for which in (0, 1)]
    made = [
        [method, *(int(each[i]) for each in solved), *(float(f"{v:.2f}") for each in shares for v in each[i])]
        for i, method in enumerate(table)
    ]
    return sorted(made, key=lambda row: -row[1])


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", help="module:function, judged beside ours; nothing is written down")
    parser.add_argument("--draw", action="store_true", help="figure and table of profiles.json, nothing is run")
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")))
    return parser.parse_args()


def main() -> None:
    """Run what an earlier call has not, and report."""
    options, path = read_options(), RESULTS / "profiles.json"
    if options.draw:
        table = json.loads(path.read_text())["runs"]
    else:
        methods = METHODS | ({options.method: imported(options.method)} if options.method else {})
        table = collected(methods, options.quick)
    quick = options.quick or options.method is not None
    if not quick:
        write_json(path, table)
    write("profiles", COLUMNS, rows(table), __doc__ or "", quick, draw(table))


def collected(methods: dict[str, Step], quick: bool) -> dict[str, Runs]:
    """The runs of all methods on the suite, or of a few settings of it."""
    torch.set_num_threads(1)
    groups = [names[:1] for names in list(settings().values())[16:60:15]] if quick else list(settings().values())
    table: dict[str, Runs] = {method: {} for method in methods}
    with threadpool_limits(1):
        for i, names in enumerate(groups):
            for method, step in methods.items():
                make = partial(played, method, step, names)
                key = {"method": method, "names": names, "budgets": [TRIAL, BUDGET], "rates": RATES}
                table[method] |= make() if quick else recall("profiles", json.loads(json.dumps(key)), make)
            print(f"\r{i + 1} of {len(groups)}", end="", file=sys.stderr)
            loaded.cache_clear()
    return table


def _finite(found: dict[str, Any]) -> dict[str, Any]:
    """A run as JSON has it, which knows no infinity."""
    return found | {"least": float(f"{found['least']:.4g}") if math.isfinite(found["least"]) else None}


def write_json(path: Path, table: dict[str, Runs]) -> None:
    """All runs, a line for each method and instance."""
    lines = [
        f"{json.dumps(method)}: {{\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(_finite(found))}" for name, found in runs.items())
        + "}"
        for method, runs in table.items()
    ]
    head = {"suite": LATEST, "trial": TRIAL, "budget": BUDGET, "rates": RATES}
    path.write_text(json.dumps(head)[:-1] + ', "runs": {\n' + ",\n".join(lines) + "}}\n")


if __name__ == "__main__":
    main()
