"""Every method of the descent-ascent family on every problem of `convexgan.problems`, beside the exact solution.

A run starts from random players and is measured against the exact best response every 100 steps. It has arrived when
the error (the larger of the relative gap to the certified optimum and of the relative violation) is at most 1e-3. For
each method the step size with the most arrivals, then the fewest steps, is reported, so that the comparison favours
gradients: the time of the search for it and of the measurements does not count. "Exact" is the time of `solve`.

Predicted: extragradient and optimistic steps arrive where simultaneous ones circle, at some ten times the steps of a
quadratic problem's condition; none arrives at the quadratic problems with too few neurons, where there is no saddle
point; the exact solver is 10 to 1000 times faster.

A method of your own is a function (game, state, rates) -> state:

Example: python -m benchmarks.optimizers --method mypackage.mymodule:step --quick
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

import convexgan as cg
from benchmarks._report import write
from convexgan.problems import GANProblem, Problem
from convexgan.updates import (
    adam,
    alternating,
    average,
    consensus,
    extragradient,
    generative_minimization,
    optimistic,
    simultaneous,
    unrolled,
)

Step = Callable[..., Any]
ARRIVED = 1e-3
METHODS: dict[str, Step] = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "alternating, Adam": partial(alternating, transform=partial(adam, betas=(0.5, 0.9))),
    "extragradient": extragradient,
    "optimistic": optimistic,
    "consensus": partial(consensus, weight=0.1),
    "unrolled, 5": partial(unrolled, depth=5),
    "duality gap, 5": partial(generative_minimization, depth=5),
    "alternating, averaged": alternating,
}
COLUMNS = [
    "problem",
    "optimum",
    "method",
    "arrived",
    "best rate",
    "steps",
    "seconds",
    "median last error",
    "exact seconds",
    "ratio",
]


def run(name: str, method: str, step: Step, rate: float, seed: int, steps: int) -> dict[str, Any]:
    """One run: the steps and seconds until it arrived (infinite if it did not), and the errors on the way."""
    torch.set_num_threads(1)
    problem = cg.problems.load(name)
    game, state, mean = problem.game(), problem.start(seed), None
    seconds, curve = 0.0, [[0, *_measured(problem, state)]]
    for count in range(100, steps + 1, 100):
        start = time.perf_counter()
        for _ in range(100):
            state = problem.project(step(game, state, rate))
            if method.endswith("averaged"):
                mean = average(mean, state)
        seconds += time.perf_counter() - start
        shown = state if mean is None else state._replace(x=mean.x, y=mean.y)
        curve.append([count, *_measured(problem, shown)])
        error = curve[-1][1]
        if error <= ARRIVED or not math.isfinite(curve[-1][2]):
            break
    arrived = curve[-1][1] <= ARRIVED
    found = {"problem": name, "method": method, "rate": rate, "seed": seed, "arrived": arrived}
    return found | {"steps": curve[-1][0], "seconds": seconds, "curve": curve}


def _measured(problem: Problem, state: Any) -> tuple[float, float, float]:
    found = problem.measure(state)
    return found.error, found.distance, found.gap


def exact(name: str) -> float:
    """Seconds of the exact solution, the shortest of three; NaN where there is nothing to solve."""
    times = []
    for _ in range(3):
        problem = cg.problems.load(name)
        if not isinstance(problem, GANProblem):
            return math.nan
        start = time.perf_counter()
        _ = problem.value
        times.append(time.perf_counter() - start)
    return min(times)


def best(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What the best step size of a method did."""
    by_rate: dict[float, list[dict[str, Any]]] = {}
    for found in runs:
        by_rate.setdefault(found["rate"], []).append(found)

    def merit(rate: float) -> tuple[float, float, float]:
        arrived = [found for found in by_rate[rate] if found["arrived"]]
        last = statistics.median(found["curve"][-1][1] for found in by_rate[rate])
        steps = statistics.median(found["steps"] for found in arrived) if arrived else math.inf
        return -len(arrived), steps, last

    rate = min(by_rate, key=merit)
    arrived = [found for found in by_rate[rate] if found["arrived"]]
    return {
        "rate": rate,
        "arrived": len(arrived),
        "runs": len(by_rate[rate]),
        "steps": statistics.median(found["steps"] for found in arrived) if arrived else math.inf,
        "seconds": statistics.median(found["seconds"] for found in arrived) if arrived else math.inf,
        "error": merit(rate)[2],
        "curve": by_rate[rate][0]["curve"],
    }


def draw(table: dict[str, dict[str, dict[str, Any]]]) -> Figure:
    """Error against steps of each method at its best step size, first seed, a panel for each problem."""
    columns = 3
    rows = -(-len(table) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, (name, methods) in zip(axes, table.items(), strict=False):
        for i, (method, found) in enumerate(methods.items()):
            steps, errors = np.array([point[:2] for point in found["curve"]], dtype=float).T
            ax.semilogy(steps, np.where(np.isfinite(errors), errors, np.nan), label=method, color=f"C{i}", lw=1)
        ax.axhline(ARRIVED, color="black", lw=0.6, ls=":")
        ax.set(title=name, xlabel="steps", ylabel="error", ylim=(1e-4, 1e3))
    for ax in axes[len(table) :]:
        ax.axis("off")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize="small")
    return figure


def imported(path: str) -> Step:
    """The function named module:function."""
    module, _, name = path.partition(":")
    if not name:
        raise SystemExit(f"--method {path!r} must be module:function.")
    found: Step = getattr(importlib.import_module(module), name)
    return found


def finished(path: Path, steps: int) -> dict[str, dict[str, Any]]:
    """The runs of an earlier call, by key."""
    if not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))
    return {found["key"]: found for found in lines if found["budget"] == steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", help="module:function, judged beside ours")
    parser.add_argument("--problems", nargs="+", default=list(cg.problems.list()), help="names; by default all")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.3, 0.1, 0.03, 0.01, 0.003])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument(
        "--runs", type=Path, default=Path("build/optimizers.jsonl"), help="kept, so that a kill costs little"
    )
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")))
    options = parser.parse_args()
    if options.quick:
        options.steps, options.seeds, options.rates = 200, 1, [0.03]
        options.problems = ["quadratic-critical-width", "relu-toy", "bilinear"]
    methods = METHODS | ({options.method: imported(options.method)} if options.method else {})
    grid = [
        (name, method, rate, seed)
        for name in options.problems
        for method in methods
        for rate in options.rates
        for seed in range(options.seeds)
    ]
    options.runs.parent.mkdir(parents=True, exist_ok=True)
    done = {} if options.quick else finished(options.runs, options.steps)
    with ProcessPoolExecutor(options.jobs) as pool, options.runs.open("a") as log:
        waiting = {}
        for name, method, rate, seed in grid:
            key = f"{name}|{method}|{rate}|{seed}"
            if key not in done:
                waiting[key] = pool.submit(run, name, method, methods[method], rate, seed, options.steps)
        for i, (key, future) in enumerate(waiting.items()):
            done[key] = future.result()
            log.write(json.dumps({"key": key, "budget": options.steps, **done[key]}) + "\n")
            log.flush()
            print(f"\r{i + 1} of {len(waiting)} runs", end="", file=sys.stderr)
    report(options, methods, done)


def report(options: argparse.Namespace, methods: dict[str, Step], done: dict[str, dict[str, Any]]) -> None:
    """The table and the figure."""
    table, rows = {}, []
    for name in options.problems:
        seconds, problem = exact(name), cg.problems.load(name)
        table[name] = {}
        for method in methods:
            keys = [f"{name}|{method}|{rate}|{seed}" for rate in options.rates for seed in range(options.seeds)]
            found = table[name][method] = best([done[key] for key in keys])
            arrived = found["arrived"] > 0
            rows.append(
                [
                    name,
                    problem.kind,
                    method,
                    f"{found['arrived']} of {found['runs']}",
                    found["rate"] if arrived else "",
                    int(found["steps"]) if arrived else f"not reached in {options.steps}",
                    found["seconds"] if arrived else "",
                    found["error"],
                    "" if math.isnan(seconds) else seconds,
                    found["seconds"] / seconds if arrived and not math.isnan(seconds) else "",
                ]
            )
    write("optimizers", COLUMNS, rows, __doc__ or "", options.quick, draw(table))


if __name__ == "__main__":
    main()
